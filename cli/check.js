/**
 * What a program gave, looked at before it is used: so that a slip is one sentence, and no TypeError.
 */
import { MembuddyError } from "./errors.js";
import { formatNumber } from "./module.js";

/** What was given in the place of something else. @param {unknown} value */
export function described(value) {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/**
 * That options are some, and each has a known name: a misspelt one would be no option, and say nothing.
 * @param {unknown} options @param {readonly string[]} names
 */
export function checkOptions(options, names) {
  if (options === null || typeof options !== "object" || Array.isArray(options))
    throw new MembuddyError(`membuddy: the options are ${described(options)}; accepted: an object`);
  for (const name of Object.keys(options))
    if (!names.includes(name)) throw new MembuddyError(`membuddy: unknown option '${shownText(name)}'; accepted: ${names.join(", ")}`);
}

/** @param {string} name of an option @param {unknown} value */
export function checkFunction(name, value) {
  if (value !== undefined && typeof value !== "function") throw new MembuddyError(`membuddy: option '${name}' is ${shown(value)}; accepted: a function`);
}

/** @param {string} name of what was given @param {unknown} value */
export function checkText(name, value) {
  if (typeof value !== "string") throw new MembuddyError(`membuddy: the ${name} is ${shown(value)}; accepted: a string`);
}

const longestShown = 64; // bytes

/** As src/lua_support.c shows it: up to its first control character. @param {string} text */
function shownText(text) {
  return new TextEncoder().encode(text).length > longestShown ? "a long string" : text.replace(/[\0-\x1f\x7f].*/s, "");
}

/** A value as an error shows it: as Lua would write it. @param {unknown} value */
export function shown(value) {
  if (typeof value === "string") return `"${shownText(value)}"`;
  if (typeof value === "number") return Number.isInteger(value) && Math.abs(value) < 2 ** 53 ? String(value) : formatNumber(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "boolean" || value === null || value === undefined) return String(value);
  return typeof value === "object" ? "table" : typeof value;
}
