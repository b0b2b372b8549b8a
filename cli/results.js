/**
 * A report as the object that `profile` returns: the same fields and figures as Lua's results (src/lua_results.c).
 */
import { MembuddyError, grouped } from "./errors.js";

/**
 * @typedef {import("./module.js").Walker} Walker
 * @typedef {"table" | "string" | "function" | "proto" | "upvalue" | "thread" | "userdata" | "state" | "string_table"} Kind
 * @typedef {Record<Kind, { count: number, bytes: number }>} Kinds
 *
 * @typedef {object} Books  in bytes
 * @property {number} luaSize  what Lua says it took
 * @property {number} live @property {number} garbage @property {number} garbageCount
 * @property {number} unaccounted  0
 *
 * @typedef {object} Results
 * @property {"membuddy-results"} type
 * @property {number} totalSize
 * @property {number} objects
 * @property {number} luaSize @property {number} garbage @property {number} unaccounted
 * @property {true} exact
 * @property {"attach"} backend
 * @property {string} [target] @property {number} [shared]  bytes of a target that others hold as well
 * @property {number} [otherCycles]
 * @property {Kinds} kinds
 * @property {Record<string, number>} sizes  own bytes by path; they add up to `totalSize`
 * @property {Record<string, number>} totalSizes  with everything below
 * @property {Record<string, number>} [retained]
 * @property {Record<string, string>} circular @property {Record<string, string>} cycles  the same
 */

/** @type {Kind[]} in the order of src/layout.h */
export const kindNames = ["table", "string", "function", "proto", "upvalue", "thread", "userdata", "state", "string_table"];

/** What the walker tells of the books, in this order (src/attach.h); behind it count and bytes of each kind. */
const bookFigures = ["luaSize", "live", "garbage", "garbageCount", "unaccounted"], firstKindFigure = 8;

/** @param {Walker} walker @returns {Books} */
export const readBooks = ({ call }) => /** @type {Books} */ (
  Object.fromEntries(bookFigures.map((name, which) => [name, call.attach_book(which)])));

/** @param {(kind: number, figure: number) => number} tell @returns {Kinds} */
const makeKinds = (tell) => /** @type {Kinds} */ (Object.fromEntries(kindNames.map((name, kind) => [name, { count: tell(kind, 0), bytes: tell(kind, 1) }])));

/** @param {Walker} walker @returns {Kinds} of everything that lives */
export const readKinds = ({ call }) => makeKinds((kind, figure) => call.attach_book(firstKindFigure + 2 * kind + figure));

export const noMemoryForWalk = () => new MembuddyError("not enough memory for a walk");

/** @param {Walker} walker @param {number} state @param {number} object @returns {Kinds} of what it holds */
export function readKindsOf({ call }, state, object) {
  if (call.attach_profile(state, object, 0, 0, 0, 0, 0) < 0) throw noMemoryForWalk();
  const kinds = makeKinds(call.attach_met);
  call.attach_end_profile();
  return kinds;
}

/** Without the state and the string table, which are none. @param {Kinds} kinds */
export const countObjects = (kinds) => kindNames.slice(0, kindNames.indexOf("state")).reduce((sum, name) => sum + kinds[name].count, 0);

/** What the walker tells of a line (src/attach.h). */
export const lineFigure = { parent: 0, own: 1, below: 2, foldedBytes: 3, foldedCount: 4, total: 5, retained: 6, object: 7, depth: 8 };

/**
 * Different keys can read alike (1 and "1", any two tables, even lines that MemBuddy adds): from the second on they get
 * a number.
 */
export class Names {
  /** @type {Map<string, number>} */
  sizes = new Map();
  /** @type {Map<string, number>} */
  #last = new Map();

  /** @param {string} path */
  free(path) {
    if (!this.sizes.has(path)) return path;
    let number = this.#last.get(path) ?? 1, numbered;
    do numbered = `${path}#${++number}`;
    while (this.sizes.has(numbered));
    this.#last.set(path, number);
    return numbered;
  }
}

const mostCharacters = 2 ** 27; // three times as many are in a report as JSON, and 2^29 are the longest text of V8

/**
 * A function that adds up what it is given, and refuses more than memory has room for: each path is written out, so that
 * those of a list take the square of its length.
 * @param {string} options  which give less
 */
export function countPaths(options) {
  let characters = 0;
  return (/** @type {string} */ path) => {
    characters += path.length;
    if (characters > mostCharacters)
      throw new MembuddyError(`the paths have more than ${grouped(mostCharacters)} characters in all, which are accepted at most; ask for less (${options})`);
  };
}

/**
 * Reads the lines of a report that the walker holds.
 * @param {Walker} walker @param {number} count @param {boolean} withRetained @param {string | undefined} rootName  of a target
 */
function readLines(walker, count, withRetained, rootName) {
  const { attach_line: figure, attach_line_label: label } = walker.call;
  const names = new Names(), addPath = countPaths("`depth`, `children`, `lines`");
  const totals = new Map(), retained = new Map();
  /** @type {string[]} */
  const paths = [];
  let totalSize = 0;
  for (let line = 0; line < count; line++) {
    const parent = figure(line, lineFigure.parent), total = figure(line, lineFigure.total);
    const step = parent < 0 && rootName !== undefined ? rootName : walker.text(label(line));
    const path = names.free(parent < 0 ? step : `${paths[parent]}/${step}`);
    addPath(path);
    paths.push(path);
    if (parent < 0) totalSize += total;
    if (total > 0) {
      names.sizes.set(path, figure(line, lineFigure.own));
      totals.set(path, total);
      if (withRetained) retained.set(path, figure(line, lineFigure.retained));
    }
    const below = figure(line, lineFigure.below), folded = figure(line, lineFigure.foldedBytes);
    if (below > 0) names.sizes.set(names.free(`${path}/...`), below);
    if (folded > 0) names.sizes.set(names.free(`${path}/[${figure(line, lineFigure.foldedCount)} more]`), folded);
  }
  return { paths, totalSize, sizes: names.sizes, totals, retained };
}

/** @param {Walker} walker @param {string[]} paths */
function readCycles({ call, text }, paths) {
  const cycles = new Map();
  const count = call.attach_cycle_count();
  for (let i = 0; i < count; i++) {
    const step = text(call.attach_cycle_label(i));
    cycles.set(`${paths[call.attach_cycle(i, 0)]}/${step}`, paths[call.attach_cycle(i, 1)]);
  }
  return cycles;
}

/** What a target holds, told by its kinds, and of that what others hold as well. @param {Walker} walker @param {number} state @param {number} object @param {Kinds} kinds */
function holdingsOf({ call }, state, object, kinds) {
  const exclusive = call.attach_exclusive(state, object);
  if (exclusive < 0) throw new MembuddyError("not enough memory to tell what others hold as well");
  const held = kindNames.reduce((sum, name) => sum + kinds[name].bytes, 0);
  return { held, shared: Math.max(0, held - exclusive) };
}

/** @param {Walker} walker @param {number} state @param {number} object */
export const readHoldings = (walker, state, object) => holdingsOf(walker, state, object, readKindsOf(walker, state, object));

/** Own properties, whatever they are called. @template T @param {Map<string, T>} map @returns {Record<string, T>} */
const record = (map) => Object.fromEntries(map);

/**
 * @param {Walker} walker @param {number} state
 * @param {import("./options.js").Settled} options
 * @param {{ object: number, name: string } | undefined} target
 * @returns {Results}
 */
export function profile(walker, state, options, target) {
  const { call } = walker;
  const refuse = () => new MembuddyError("not enough memory for a report with so many lines; ask for fewer (`lines`, `depth`, `children`)");
  const limit = (/** @type {number} */ value) => (value === Infinity ? -1 : value); // negative: none
  const count = call.attach_profile(state, target?.object ?? 0, limit(options.depth), limit(options.children), limit(options.lines),
    options.cycles ? 1 : 0, options.retained ? 1 : 0);
  if (count < 0 || call.attach_read_books(state) !== 0) throw refuse();
  try {
    const kinds = makeKinds(call.attach_met);
    const { paths, totalSize, sizes, totals, retained } = readLines(walker, count, options.retained, target?.name);
    const circular = record(readCycles(walker, paths));
    const dropped = call.attach_cycles_dropped();
    const { luaSize, garbage, unaccounted } = readBooks(walker);
    const shared = target ? holdingsOf(walker, state, target.object, kinds).shared : 0;
    return {
      type: "membuddy-results", totalSize, objects: countObjects(kinds), luaSize, garbage, unaccounted, exact: true, backend: "attach",
      ...(target && { target: target.name, shared }),
      ...(options.cycles && dropped > 0 && { otherCycles: dropped }),
      kinds, sizes: record(sizes), totalSizes: record(totals),
      ...(options.retained && { retained: record(retained) }),
      circular, cycles: circular,
    };
  } finally {
    call.attach_end_profile();
  }
}
