/**
 * The dominator tree as JSON, flat, so that no depth of it is a depth of the file:
 *
 *   { "type": "membuddy-dominators", "version": 1,
 *     "image": { "lua": "5.3", "bits": 64, "bytes": N },       what was read, and the size of its memory
 *     "totalBytes": N, "objectCount": N,                       Lua's own figure; live objects
 *     "minSize": N, "depth": N,                                null: Infinity, which JSON has not
 *     "nodes": [                                               parents before their children; node 0 is the process
 *       { "parent": 0,                                         index in `nodes`; null of node 0
 *         "name": "Inbox",                                     the path from its parent to it
 *         "kind": "table", "own": N, "retained": N,            bytes
 *         "source": { "file": "...", "line": N },              of functions and prototypes
 *         "more": [{ "kind": "string", "bytes": N, "count": N }] } ] }   what it retains beside its children
 *
 * The sum of `own` and of the `bytes` of `more` is `totalBytes`.
 */
import { readBranches } from "./branches.js";

/** @param {import("./branches.js").Branch} branch @param {number} index */
function node({ parent, more, ...rest }, index) {
  return JSON.stringify({ parent: index === 0 ? null : parent, ...rest, ...(more.length > 0 && { more }) });
}

/** @type {import("./index.js").Writer} */
export async function write(heap, file, options) {
  const { branches, ...figures } = readBranches(heap, options);
  const { lua, bits, bytes } = heap.image;
  const head = JSON.stringify({ type: "membuddy-dominators", version: 1, image: { lua, bits, bytes }, ...figures });
  file.write(`${head.slice(0, -1)},"nodes":[\n`);
  branches.forEach((branch, index) => file.write(`${index > 0 ? ",\n" : ""}${node(branch, index)}`));
  file.write("\n]}\n");
}
