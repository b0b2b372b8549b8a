/**
 * What `membuddy FILE` says of a memory: where its bytes are, which kinds of objects live, and the largest by path.
 */
import { formatSize, compareText } from "./print.js";
import { readOptions } from "./options.js";

/**
 * @typedef {import("./results.js").Results} Results
 * @typedef {import("./context.js").Context} Context
 */

/** Rows of text as columns; numbers to the right. @param {string[][]} rows @param {("left" | "right")[]} sides */
export function columns(rows, sides) {
  const widths = sides.map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, column) =>
    sides[column] === "right" ? cell.padStart(widths[column]) : cell.padEnd(column === sides.length - 1 ? 0 : widths[column])).join("  "));
}

/** @param {number} count */
const grouped = (count) => count.toLocaleString("en-US");

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
    ...(others.length > 0 ? [colours.gray(`... and ${grouped(others.length)} others, totalling ${formatSize(rest)}`)] : []),
  ];
}

/**
 * @param {import("./heap.js").Heap} heap @param {Context} context
 * @returns {string[]}
 */
export function bookLines(heap, { colours }) {
  const { lua, bits, bytes } = heap.image;
  const books = heap.books();
  return [
    `${colours.bold(heap.name)}: Lua ${lua}, ${bits} bits, ${grouped(bytes)} bytes`,
    `Lua memory: ${formatSize(books.luaSize)} = live ${formatSize(books.live)} + garbage ${formatSize(books.garbage)}; unaccounted: ${formatSize(books.unaccounted)}`,
    "",
  ];
}
