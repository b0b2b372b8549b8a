/**
 * The options of a report, as `membuddy.profile` and `membuddy.print` read them in Lua (src/lua_options.c): the same
 * names, the same defaults, the same sentences, in which Lua's math.huge is Infinity.
 */
import { checkOptions, shown } from "./check.js";
import { MembuddyError } from "./errors.js";

/**
 * @typedef {object} ReportOptions
 * @property {string} [target]  the path of what to look at; absent: the whole process
 * @property {number | "inf" | "infinity"} [depth]  steps below the root
 * @property {number | "inf" | "infinity"} [max_depth]  the same
 * @property {number} [min_size]  bytes that a line must have to be printed
 * @property {number | false} [top]  lines that are printed
 * @property {number | false} [children]  lines that one table may have
 * @property {number | false} [lines]  lines that the report may have
 * @property {boolean} [cycles]
 * @property {boolean} [no_header]
 * @property {boolean} [retained]
 * @property {number} [budget]  of Lua, as `checks`: taken, so that options of there do here; a walk from outside borrows nothing
 * @property {boolean} [checks]
 *
 * @typedef {object} Settled  the same with every default in its place; Infinity: no limit
 * @property {string | undefined} target
 * @property {number} depth @property {number} min_size @property {number} top @property {number} children
 * @property {number} lines @property {boolean} cycles @property {boolean} no_header @property {boolean} retained
 */

const defaultDepth = 3, defaultChildren = 256, defaultLines = 320;
const largestCount = 2 ** 32 - 1;

const accepted = {
  depth: 'a whole number from 0, Infinity, "inf" or "infinity"',
  limit: "a whole number from 0, or false for all",
  bytes: "a number of bytes from 0",
  flag: "true or false",
  target: "a path, as a report gives it",
};

/** @type {Record<string, { type: keyof typeof accepted, field?: keyof Settled }>} in Lua's order */
const known = {
  target: { type: "target", field: "target" },
  depth: { type: "depth", field: "depth" },
  max_depth: { type: "depth", field: "depth" },
  min_size: { type: "bytes", field: "min_size" },
  top: { type: "limit", field: "top" },
  children: { type: "limit", field: "children" },
  lines: { type: "limit", field: "lines" },
  cycles: { type: "flag", field: "cycles" },
  no_header: { type: "flag", field: "no_header" },
  retained: { type: "flag", field: "retained" },
  budget: { type: "bytes" },
  checks: { type: "flag" },
};

/** @param {unknown} value @returns {number | undefined} */
function count(value) {
  if (typeof value !== "number" || !(value >= 0) || (value !== Math.floor(value))) return undefined;
  return value >= largestCount ? Infinity : value;
}

/** @type {Record<keyof typeof accepted, (value: any) => unknown>} each gives undefined for what it does not accept */
const readers = {
  depth: (value) => (value === "inf" || value === "infinity" ? Infinity : count(value)),
  limit: (value) => (value === false ? Infinity : count(value)),
  bytes: (value) => (typeof value === "number" && value >= 0 ? value : undefined),
  flag: (value) => (typeof value === "boolean" ? value : undefined),
  target: (value) => (typeof value === "string" && value !== "" ? value : undefined),
};

/**
 * @param {ReportOptions} [options] @returns {Settled}
 * @throws {MembuddyError} that names the option, its value, and what is accepted
 */
export function readOptions(options = {}) {
  checkOptions(options, Object.keys(known));
  const settled = /** @type {Settled} */ (
    { target: undefined, depth: defaultDepth, min_size: 1, top: 20, children: defaultChildren, lines: NaN, cycles: true, no_header: false, retained: false });
  for (const [name, { type, field }] of Object.entries(known)) {
    const given = /** @type {any} */ (options)[name];
    if (given === undefined || given === null) continue;
    const value = readers[type](given);
    if (value === undefined) throw new MembuddyError(`membuddy: option '${name}' is ${shown(given)}; accepted: ${accepted[type]}`);
    if (field) /** @type {any} */ (settled)[field] = value;
  }
  const asksForMore = settled.depth > defaultDepth || settled.children > defaultChildren;
  if (Number.isNaN(settled.lines)) settled.lines = asksForMore ? Infinity : defaultLines;
  return settled;
}
