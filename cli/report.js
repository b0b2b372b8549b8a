/**
 * What `membuddy FILE` says of a memory: where its bytes are, which kinds of objects live, and the largest by path.
 */
import { counted, grouped, shownName } from "./errors.js";
import { mostCandidates } from "./module.js";
import { formatSize, compareText } from "./print.js";
import { readOptions } from "./options.js";

/**
 * @typedef {import("./results.js").Results} Results
 * @typedef {import("./context.js").Context} Context
 */

/** Rows of text as columns; numbers to the right. @param {string[][]} rows @param {("left" | "right")[]} sides */
export function columns(rows, sides) {
  const widths = sides.map((_, column) => rows.reduce((width, row) => Math.max(width, row[column].length), 0)); // as arguments, a hundred thousand rows are too many
  return rows.map((row) => row.map((cell, column) =>
    sides[column] === "right" ? cell.padStart(widths[column]) : cell.padEnd(column === sides.length - 1 ? 0 : widths[column])).join("  "));
}

/** @param {Results["kinds"]} kinds */
function kindRows(kinds) {
  return Object.entries(kinds)
    .filter(([, { count }]) => count > 0)
    .sort(([, a], [, b]) => b.bytes - a.bytes)
    .map(([name, { count, bytes }]) => [grouped(bytes), grouped(count), name.replace("_", " ")]);
}

/** @param {Results} results @param {import("./options.js").Settled} options */
function pathRows(results, options) {
  const lines = Object.entries(results.sizes)
    .map(([path, own]) => ({ path, own, total: Object.hasOwn(results.totalSizes, path) ? results.totalSizes[path] : own }))
    .filter(({ total }) => total >= options.min_size)
    .sort((a, b) => b.total - a.total || compareText(a.path, b.path));
  const size = (/** @type {number | undefined} */ bytes) => (bytes === undefined ? "" : formatSize(bytes));
  const rows = lines.slice(0, options.top).map(({ path, own, total }) =>
    [size(total), Object.hasOwn(results.totalSizes, path) ? size(own) : "", size(results.retained?.[path]), path]);
  return { rows, others: lines.slice(options.top) };
}

/**
 * @param {Results} results  with retained sizes @param {import("./options.js").ReportOptions} options @param {Context} context
 * @returns {string[]} lines
 */
export function resultLines(results, options, { colours }) {
  const settled = readOptions(options);
  const { rows, others } = pathRows(results, settled);
  const rest = others.reduce((sum, { own }) => sum + own, 0);
  const held = results.target === undefined ? [] : [`Held by ${results.target}: ${formatSize(results.totalSize)}; others hold as well: ${formatSize(results.shared ?? 0)}`, ""];
  const [kindHead, ...kinds] = columns([["bytes", "count", "kind"], ...kindRows(results.kinds)], ["right", "right", "left"]);
  const [pathHead, ...paths] = columns([["total", "own", "retained", "path"], ...rows], ["right", "right", "right", "left"]);
  return [
    ...held, colours.bold("Kinds of live objects"), colours.gray(kindHead), ...kinds, "",
    colours.bold("Largest by path") + colours.gray(" (total: with everything below; retained: what would go with it)"), colours.gray(pathHead), ...paths,
    ...(others.length > 0 ? [colours.gray(`... and ${counted(others.length, "other")}, totalling ${formatSize(rest)}`)] : []),
    ...(rows.length + others.length === 0 ? [colours.gray(counted(Object.keys(results.sizes).length, "smaller line"))] : []),
  ];
}

/** What a part of the account is. @type {Record<string, string>} */
const partNames = {
  live: "Lua, live objects", garbage: "Lua, garbage", runtime: "Lua, state and string table", slack: "allocator, round Lua's blocks",
  buffers: "buffers of Lua's libraries", asyncify: "C stack that waits for its host", other: "other blocks in use: C library, messages",
  free: "free, or grown and not asked for yet", static: "static data", stack: "C stack", gaps: "reserved addresses, alignment",
  belowHeap: "static data and C stack (--module tells them apart)", unknown: "not known (--module may tell)", unaccounted: "unaccounted",
};

/** @param {import("./account.js").Account} account @param {Context} context */
function accountLines({ parts, memory, pages, maximum, headroom, stackHighWater, asyncify, largestFree }, { colours }) {
  const rows = Object.entries(parts).filter(([, bytes]) => bytes !== 0).sort(([, a], [, b]) => b - a)
    .map(([part, bytes]) => [grouped(bytes), `${((100 * bytes) / memory).toFixed(1)} %`, partNames[part] ?? part]);
  const [head, ...lines] = columns([["bytes", "share", "part"], ...rows, [grouped(memory), "", `in all: ${grouped(pages)} pages`]], ["right", "right", "left"]);
  const figures = [
    ["maximum of the image", maximum], ["headroom until then", headroom], ["C stack used at most", stackHighWater],
    ["Asyncify, while it waits", asyncify], ["largest free block", largestFree],
  ].filter(([, bytes]) => bytes !== undefined).map(([what, bytes]) => `${what}: ${formatSize(/** @type {number} */ (bytes))}`);
  return [colours.bold("Every byte of the memory"), colours.gray(head), ...lines, ...(figures.length > 0 ? [colours.gray(figures.join("; "))] : []), ""];
}

const mostHeapsTold = 8;

/**
 * That the memory has more heaps than the one that was read, in one sentence; undefined where it has none.
 * @param {import("./heap.js").Heap} heap @param {string} [where]  what the memory is called
 */
export function otherHeapsNote({ otherHeaps }, where = "this memory") {
  if (otherHeaps.length === 0) return undefined;
  const count = otherHeaps.length, atLeast = count + 1 < mostCandidates ? "" : "at least "; // nobody looked further
  const told = otherHeaps.slice(0, mostHeapsTold).map(({ state, luaSize }) => `${formatSize(luaSize)} at 0x${state.toString(16)}`);
  if (count > mostHeapsTold) told.push("...");
  return `Not looked at: ${count === 1 ? "another sound Lua heap" : `${atLeast}${count} other sound Lua heaps`} in ${where} (${told.join(", ")}); --module tells which is the process's`;
}

/**
 * @param {import("./heap.js").Heap} heap @param {Context} context
 * @returns {string[]}
 */
export function bookLines(heap, context) {
  const { lua, bits, bytes, name } = heap.image;
  const books = heap.books(), others = otherHeapsNote(heap);
  return [
    `${context.colours.bold(shownName(heap.name))}: ${name === undefined ? "" : `${name}, `}Lua ${lua}, ${bits} bits, ${grouped(bytes)} bytes`,
    `Lua memory: ${formatSize(books.luaSize)} = live ${formatSize(books.live)} + garbage ${formatSize(books.garbage)}; unaccounted: ${formatSize(books.unaccounted)}`,
    ...(others === undefined ? [] : [others]),
    "",
    ...accountLines(heap.account(), context),
  ];
}
