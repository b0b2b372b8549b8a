/**
 * Results as text, line by line: the same bytes as `membuddy.print` writes (src/lua_print.c).
 */
import { shown } from "./check.js";
import { MembuddyError } from "./errors.js";
import { sizeParts } from "./size.js";
import { version } from "./version.js";

/**
 * @typedef {"blue" | "gray" | "green" | "red"} Colour
 * @typedef {Partial<Record<Colour, (text: string) => string>>} Palette  plain where a colour is missing
 * @typedef {import("./results.js").Results} Results
 */

/** @param {Palette} palette  null is none @param {Colour} colour @param {string} text */
function coloured(palette, colour, text) {
  const paint = palette?.[colour] ?? String;
  if (typeof paint !== "function") throw new MembuddyError(`membuddy: '${colour}' of the palette is ${shown(paint)}; accepted: a function`);
  return paint(text) ?? text;
}

/**
 * A number of bytes in words: "0 bytes", "1.23 KB", "4.00 MB", "1.50 GB".
 * @param {number} bytes @param {Palette} [palette]
 */
export function formatSize(bytes, palette = {}) {
  if (typeof bytes !== "number") throw new MembuddyError(`membuddy: formatSize was given ${shown(bytes)}; accepted: a number of bytes`);
  const { number, unit } = sizeParts(bytes);
  return `${coloured(palette, unit === "bytes" ? "green" : "red", number)} ${coloured(palette, "gray", unit)}`;
}

/** In the order of their bytes in UTF-8, which is that of their characters. @param {string} a @param {string} b */
export function compareText(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i), y = b.charCodeAt(i);
    if (x === y) continue;
    const isHalf = (/** @type {number} */ unit) => unit >= 0xd800 && unit <= 0xdfff; // beyond all others
    return isHalf(x) === isHalf(y) ? x - y : isHalf(x) ? 1 : -1;
  }
  return a.length - b.length;
}

/* ---- results that somebody may have edited ---- */

/** @param {string} field @param {string} found @param {string} expected */
const changed = (field, found, expected) => new MembuddyError(`membuddy: these results were changed: '${field}' is ${found}; expected ${expected}`);

/** @param {unknown} value what Lua calls its type */
const typeName = (value) => (value === undefined || value === null ? "nil" : typeof value === "object" ? "table" : typeof value);

/** @param {any} results @param {string} name */
function numberField(results, name) {
  if (typeof results[name] !== "number") throw changed(name, typeName(results[name]), "a number");
  return results[name];
}

/** What somebody else wrote may not reach a terminal. @param {string} name @param {string} what @param {string} path */
function checkPath(name, what, path) {
  if (/[\0-\x1f\x7f-\x9f]/.test(path)) throw changed(name, what, "paths as profile wrote them");
}

const inTable = "a table with control characters in a path";

/** @param {any} results @param {string} name @param {"number" | "string"} type */
function checkPaths(results, name, type) {
  const table = results[name];
  if (typeof table !== "object" || table === null) throw changed(name, typeName(table), "a table");
  let sum = 0;
  for (const [path, value] of Object.entries(table)) {
    checkPath(name, inTable, path);
    if (typeof value !== type)
      throw new MembuddyError(`membuddy: these results were changed: '${name}' of '${path.length > 64 ? "a long string" : path}' is a ${typeName(value)}; expected a ${type}`);
    if (type === "number") sum += value;
    else checkPath(name, inTable, value);
  }
  return sum;
}

/** @param {any} results */
function checkResults(results) {
  if (results?.type !== "membuddy-results") throw changed("type", typeof results?.type === "string" ? shown(results.type) : typeName(results?.type), "'membuddy-results'");
  const sum = checkPaths(results, "sizes", "number");
  checkPaths(results, "totalSizes", "number");
  checkPaths(results, "circular", "string");
  if (results.retained !== undefined) checkPaths(results, "retained", "number");
  if (results.otherCycles !== undefined) numberField(results, "otherCycles");
  if (typeof results.target === "string") checkPath("target", "a path with control characters", results.target);
  const total = numberField(results, "totalSize");
  if (sum !== total)
    throw new MembuddyError(`membuddy: these results were changed: their sizes add up to ${sum} bytes; expected 'totalSize', which is ${total}`);
}

/* ---- lines ---- */

/** A path; its last step, where it is a sum of others, in another colour. @param {string} path @param {Palette} palette */
function shownPath(path, palette) {
  const sum = path.indexOf("/...");
  const end = sum >= 0 && sum + 4 === path.length ? sum : path.length;
  return coloured(palette, "blue", path.slice(0, end)) + (end < path.length ? coloured(palette, "green", path.slice(end)) : "");
}

/** @typedef {{ path: string, bytes: number, own: number }} Line */
/** Largest first, then by path. @param {Line} a @param {Line} b */
const compareLines = (a, b) => b.bytes - a.bytes || compareText(a.path, b.path);

/** @param {Results} results @param {import("./options.js").Settled} options @param {Palette} palette */
function sizeLines(results, options, palette) {
  /** @type {Line[]} */
  const lines = [];
  for (const [path, own] of Object.entries(results.sizes)) {
    const bytes = Object.hasOwn(results.totalSizes, path) ? results.totalSizes[path] : own;
    if (bytes >= options.min_size) lines.push({ path, bytes, own });
  }
  lines.sort(compareLines);
  const shown = lines.slice(0, options.top).map(({ path, bytes }) => {
    const held = results.retained && Object.hasOwn(results.retained, path) ? `, retained ${formatSize(results.retained[path], palette)}` : "";
    return `    ${shownPath(path, palette)}: ${formatSize(bytes, palette)}${held}`;
  });
  const others = lines.slice(options.top);
  if (others.length > 0) {
    const rest = others.reduce((sum, line) => sum + line.own, 0); // with everything below, much would count twice
    shown.push(coloured(palette, "gray", `... and ${others.length} other references`) + coloured(palette, "gray", ", totalling ") + formatSize(rest, palette));
  }
  return [coloured(palette, "gray", "Sizes:"), ...shown];
}

/** @param {Results} results @param {import("./options.js").Settled} options @param {Palette} palette */
function cycleLines(results, options, palette) {
  const paths = Object.keys(results.circular).sort(compareText);
  if (paths.length === 0 || !options.cycles) return [];
  const shown = paths.slice(0, options.top).map((path) => `    ${shownPath(path, palette)}: ${shownPath(results.circular[path], palette)}`);
  const others = Math.max(0, paths.length - options.top) + (results.otherCycles ?? 0);
  if (others > 0) shown.push(coloured(palette, "gray", `... and ${others} other circular references`));
  return [coloured(palette, "gray", "Circular references:"), ...shown];
}

/** @param {string} what @param {number} bytes @param {Palette} palette @param {string} [behind] */
const amount = (what, bytes, palette, behind = "") => coloured(palette, "gray", what) + formatSize(bytes, palette) + behind;

/** @param {Results} results @param {Palette} palette */
function headerLines(results, palette) {
  const [luaSize, garbage, unaccounted] = ["luaSize", "garbage", "unaccounted"].map((name) => numberField(results, name));
  const lines = [coloured(palette, "blue", `MemBuddy ${version}`),
    amount("Lua memory: ", luaSize, palette, " = ") + amount("live ", luaSize - garbage - unaccounted, palette, " + ") +
    amount("garbage ", garbage, palette, "; ") + amount("unaccounted: ", unaccounted, palette)];
  if (typeof results.target === "string")
    lines.push(`Held by ${results.target}${amount("; others hold as well: ", numberField(results, "shared"), palette)}`);
  return lines;
}

/**
 * @param {Results} results @param {import("./options.js").Settled} options @param {Palette} [palette]
 * @returns {string[]}
 */
export function printLines(results, options, palette = {}) {
  checkResults(results);
  return [
    ...(options.no_header ? [] : headerLines(results, palette)),
    amount("Total size: ", results.totalSize, palette),
    ...sizeLines(results, options, palette),
    ...cycleLines(results, options, palette),
  ];
}
