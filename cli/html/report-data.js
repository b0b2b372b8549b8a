/**
 * What a page shows of a memory, as plain data: the same memory gives the same data. Its size is bounded, whatever the
 * size of the memory (tree-data.js); bytes are cut nowhere, only summed.
 */
import { noNode, splitPath } from "../graph.js";
import { otherHeapsNote } from "../report.js";
import { version } from "../version.js";
import { treeData } from "./tree-data.js";
import { formatBytes, formatCount } from "./words.js";

/**
 * @typedef {object} ReportData
 * @property {string} version  of MemBuddy
 * @property {string} title
 * @property {string} image  one sentence: which process this is the memory of
 * @property {string} [others]  one sentence: which heaps of the memory are not shown
 * @property {number} memoryBytes
 * @property {{ lua: number, live: number, garbage: number, unaccounted: number }} books  bytes
 * @property {import("./account-bar.js").Part[]} account  parts, which sum to `memoryBytes`
 * @property {{ name: string, value: string, meaning: string }[]} facts
 * @property {number} objects  live
 * @property {{ kind: string, count: number, bytes: number }[]} kinds
 * @property {Line[]} lines  largest by path
 * @property {TreeData} tree  dominator tree
 * @property {import("./changes.js").Changes} [changes]  from an older memory
 *
 * @typedef {{ path: string, own: number, total: number, retained: number | null, row: number }} Line  `row` of the tree, or -1
 *
 * @typedef {import("../heap.js").Heap} Heap
 * @typedef {import("./tree-data.js").TreeData} TreeData
 */

const longestPath = 1000;
const steps = 3;
const fewReferences = 5000;

/** In the order of the bar. */
const parts = {
  live: "Lua objects that can be reached",
  garbage: "what a full collection would free now",
  runtime: "Lua's state block and its table of strings",
  unaccounted: "what Lua's own figure has above the sum of its objects",
  slack: "what the allocator adds to Lua's blocks: headers, rounding",
  buffers: "texts that Lua's libraries were building",
  other: "all other blocks in use: the C library, messages of the host",
  asyncify: "the stack of a call that waits for the host",
  free: "holes of the allocator, and memory that nothing asked for yet",
  unknown: "what the heap holds beside Lua: its blocks are not laid out in a way that is known",
  static: "constants and variables of the image",
  stack: "the C stack",
  gaps: "reserved addresses, and alignment between regions",
  belowHeap: "static data, stack and gaps: the module's WASM (--module) tells them apart",
};
const partNames = { belowHeap: "below the heap" };

/** Kinds as rows, largest first. @param {import("../results.js").Kinds} kinds */
export const kindRows = (kinds) => Object.entries(kinds).filter(([, { count }]) => count > 0)
  .map(([kind, { count, bytes }]) => ({ kind, count, bytes }))
  .sort((a, b) => b.bytes - a.bytes || (a.kind < b.kind ? -1 : 1));

/** @param {import("../results.js").Results} results */
function lineRows({ sizes, totalSizes, retained }) {
  return Object.keys(sizes).map((path) => ({
    path: path.length > longestPath ? `${path.slice(0, longestPath)}…` : path, own: sizes[path],
    total: Object.hasOwn(totalSizes, path) ? totalSizes[path] : sizes[path],
    retained: retained && Object.hasOwn(retained, path) ? retained[path] : null, row: -1,
  })).sort((a, b) => b.total - a.total || (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** @param {import("../account.js").Account} account */
function accountRows(account) {
  const known = /** @type {Record<string, number | undefined>} */ (account.parts);
  return Object.entries(parts).filter(([part]) => known[part] !== undefined)
    .map(([part, meaning]) => ({ name: /** @type {any} */ (partNames)[part] ?? part, bytes: known[part] ?? 0, meaning }));
}

/** @param {import("../account.js").Account} account */
function factRows({ pages, maximum, headroom, stackHighWater, largestFree, freeChunks, asyncify }) {
  const size = (/** @type {number | undefined} */ bytes) => bytes === undefined ? undefined : formatBytes(bytes);
  return [
    { name: "pages", value: formatCount(pages), meaning: "of 64 KB, which a memory grows by" },
    { name: "maximum", value: size(maximum), meaning: "how far the image lets its memory grow" },
    { name: "headroom", value: size(headroom), meaning: "what may still be grown, and what is free" },
    { name: "stack high-water mark", value: size(stackHighWater), meaning: "the most of the C stack that was ever in use" },
    { name: "largest free block", value: size(largestFree), meaning: "the longest text or table that fits without growing" },
    { name: "free blocks", value: freeChunks === undefined ? undefined : formatCount(freeChunks), meaning: "holes that the allocator keeps" },
    { name: "while waiting", value: size(asyncify), meaning: "what the process takes while it waits for its host, and only then" },
  ].flatMap(({ name, value, meaning }) => (value ? [{ name, value, meaning }] : []));
}

/** @param {Heap["image"]} image */
const imageSentence = ({ lua, bits, name }) => [name, `Lua ${lua}`, `${bits} bits`].filter(Boolean).join(", ");

/** A label without the number that tells it from its namesakes. @param {string} label */
const baseOf = (label) => label.replace(/#\d+$/, "");

/**
 * The node that a line is of. Of namesakes a report counts the larger first, the tree the one that comes first: their
 * bytes tell which is meant. A line of an upvalue is of its value, where no shorter path leads to that.
 * @param {import("../graph.js").Graph} graph @param {Line} line @param {string} step  its last one
 * @param {{ node: number, label: string }[]} namesakes  rows below its table's @param {boolean} isQuick  whether a path may be followed
 */
function nodeOf(graph, { path, retained }, step, namesakes, isQuick) {
  const fits = (/** @type {number} */ node) => graph.retained[node] === retained; // no node has none
  const named = namesakes.find(({ label }) => label === step)?.node ?? (isQuick ? graph.find(path) : noNode);
  if (fits(named)) return named;
  const fitting = namesakes.find(({ node }) => fits(node));
  if (fitting || named === noNode) return fitting?.node;
  if (graph.kindName(named) === "upvalue") {
    const value = graph.follow(named, "[value]");
    return fits(value) ? value : named;
  }
  const isAmbiguous = step !== baseOf(step) || namesakes.length > 1 || (isQuick && graph.find(`${path}#2`) !== noNode);
  return isAmbiguous ? undefined : named; // the bytes of a table with weak keys differ, too
}

/**
 * The rows of the tree that paths lead to. A path is followed where that is quick; what large tables hold is known by
 * the row of its table, or not at all.
 * @param {import("../graph.js").Graph} graph @param {TreeData} tree @param {Map<number, number>} rows  by node @param {Line[]} lines
 */
function findRows(graph, tree, rows, lines) {
  const nodes = new Map([...rows].map(([node, row]) => [row, node]));
  /** @type {Map<string, { node: number, label: string }[]>} */ const children = new Map();
  for (const [node, row] of rows) {
    const label = tree.labels[row], key = `${tree.parents[row]}/${baseOf(label)}`, namesakes = children.get(key);
    if (namesakes) namesakes.push({ node, label });
    else children.set(key, [{ node, label }]);
  }
  const found = new Map([["", 0]]);
  for (const line of [...lines].sort((a, b) => a.path.length - b.path.length)) {
    const steps = splitPath(line.path), above = found.get(steps.slice(0, -1).join("/"));
    if (above === undefined) continue;
    const isQuick = graph.references(nodes.get(above) ?? 0).length < fewReferences, step = steps[steps.length - 1];
    line.row = rows.get(nodeOf(graph, line, step, children.get(`${above}/${baseOf(step)}`) ?? [], isQuick) ?? noNode) ?? -1;
    if (line.row >= 0) found.set(line.path, line.row);
  }
}

/**
 * @param {Heap} heap  stays open
 * @param {{ title?: string, changes?: import("./changes.js").Changes, depth?: number, minSize?: number }} [options]
 *   `depth`, `minSize`: of the picture; what is deeper or retains less is summed up
 * @returns {ReportData}
 */
export function reportData(heap, { title = heap.name, changes, ...limits } = {}) {
  const books = heap.books(), account = heap.account(), others = otherHeapsNote(heap);
  const results = heap.profile({ depth: steps, retained: true });
  const lines = lineRows(results);
  const graph = heap.graph();
  const { tree, rows } = treeData(graph, limits);
  findRows(graph, tree, rows, lines);
  graph.end();
  return {
    version, title, image: imageSentence(heap.image), ...(others !== undefined && { others }), memoryBytes: heap.image.bytes,
    books: { lua: books.luaSize, live: books.live, garbage: books.garbage, unaccounted: books.unaccounted },
    account: accountRows(account), facts: factRows(account), objects: results.objects, kinds: kindRows(results.kinds), lines, tree, ...(changes && { changes }),
  };
}
