/**
 * What a page shows of a memory, as plain data: the same memory gives the same data. Its size is bounded, whatever the
 * size of the memory (tree-data.js); bytes are cut nowhere, only summed.
 */
import { treeData } from "./tree-data.js";
import { formatBytes, formatCount } from "./words.js";

/**
 * @typedef {object} ReportData
 * @property {string} version  of MemBuddy
 * @property {string} title
 * @property {string} image  one sentence: which process this is the memory of
 * @property {number} memoryBytes
 * @property {{ lua: number, live: number, garbage: number, unaccounted: number }} books  bytes
 * @property {import("./account-bar.js").Part[]} account  parts, which sum to `memoryBytes`
 * @property {{ name: string, value: string, meaning: string }[]} facts
 * @property {{ kind: string, count: number, bytes: number }[]} kinds
 * @property {Line[]} lines  largest by path
 * @property {import("./tree-data.js").TreeData} tree  dominator tree
 * @property {import("./changes.js").Changes} [changes]  from an older memory
 * @property {string[]} notes
 *
 * @typedef {{ path: string, own: number, total: number, retained: number | null, row: number }} Line  `row` of the tree, or -1
 *
 * @typedef {import("../heap.js").Heap} Heap
 */

const longestPath = 1000;
const depth = 3;

/** @type {Record<string, string>} */
const meanings = {
  live: "Lua objects that can be reached",
  garbage: "what a full collection would free now",
  runtime: "Lua's state and its table of strings",
  slack: "what the allocator rounds Lua's blocks up by, and its headers",
  buffers: "texts that C libraries are building",
  other: "blocks of the C library and of the host",
  free: "holes of the allocator, and memory that nothing asked for yet",
  static: "constants and variables of the image",
  stack: "the C stack",
  asyncify: "stacks of suspended calls",
  gaps: "reserved addresses, and alignment between regions",
};

/** Kinds as rows, largest first. @param {import("../results.js").Kinds} kinds */
export const kindRows = (kinds) => Object.entries(kinds).filter(([, { count }]) => count > 0)
  .map(([kind, { count, bytes }]) => ({ kind, count, bytes }))
  .sort((a, b) => b.bytes - a.bytes || (a.kind < b.kind ? -1 : 1));

/** @param {import("../results.js").Results} results */
function lineRows({ sizes, totalSizes, retained }) {
  return Object.keys(sizes).map((path) => ({
    path: path.length > longestPath ? `${path.slice(0, longestPath)}…` : path, own: sizes[path],
    total: Object.hasOwn(totalSizes, path) ? totalSizes[path] : sizes[path],
    retained: retained && Object.hasOwn(retained, path) ? retained[path] : null,
  })).sort((a, b) => b.total - a.total || (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/**
 * @param {Heap} heap  stays open; a graph of its own is made and ended
 * @param {{ title?: string, version: string, changes?: import("./changes.js").Changes }} options
 * @returns {ReportData}
 */
export function reportData(heap, { title = heap.name, version, changes }) {
  const books = heap.books();
  const results = heap.profile({ depth, retained: true });
  const account = accountRows(heap);
  const graph = heap.graph();
  try {
    return {
      version, title, image: imageSentence(heap.image), memoryBytes: heap.image.bytes,
      books: { lua: books.luaSize, live: books.live, garbage: books.garbage, unaccounted: books.unaccounted },
      ...account, kinds: kindRows(results.kinds), lines: lineRows(results), tree: treeData(graph),
      ...(changes ? { changes } : {}), notes: [],
    };
  } finally {
    graph.end();
  }
}
