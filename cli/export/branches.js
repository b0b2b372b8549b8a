/**
 * The dominator tree, bounded: what every format but the heap snapshot is made of.
 *
 * A branch is an object that retains at least `minSize` bytes and lies at most `depth` steps below the top. What it
 * dominates beside its own branches is summed up by kind, so that no byte is lost: over all branches, own and summed
 * bytes and the blocks that are no objects make what Lua counts.
 */
import { MembuddyError, grouped } from "../errors.js";
import { kindNames, mostOwn, wholeName } from "../graph.js";
import { readBooks, readKinds } from "../results.js";

/** @typedef {import("../graph.js").Graph} Graph */

const defaultShare = 10000;
const defaultDepth = 64;
const longestName = 8; // steps
const kindCount = kindNames.length;

/**
 * @typedef {{ kind: string, bytes: number, count: number }} Sum
 *
 * @typedef {object} Branch
 * @property {number} parent  number of the branch that it belongs to; that of the first is -1
 * @property {string} name  the path from its parent to it: one step, or several where it is shared between them
 * @property {string} kind
 * @property {number} own @property {number} retained  bytes
 * @property {{ file: string, line: number } | undefined} source  of a function or prototype
 * @property {Sum[]} more  what has no branch of its own
 *
 * @typedef {object} Branches
 * @property {number} totalBytes  Lua's own figure @property {number} objectCount  live
 * @property {number} minSize @property {number} depth
 * @property {Branch[]} branches  parents first; the first is the process
 */

/** @param {Graph} graph @param {number} minSize @param {number} depth */
function choose(graph, minSize, depth) {
  const { nodeCount, dominators, retained, own, kinds } = graph;
  const places = new Uint32Array(nodeCount); // 2 x the branch; odd where summed up in it
  const nodes = [0], parents = [-1], depths = [0];
  /** @type {(Float64Array | undefined)[]} */ const sums = [];
  const place = (/** @type {number} */ node) => {
    const above = places[dominators[node]], branch = above >>> 1;
    if (!(above & 1) && retained[node] >= minSize && depths[branch] < depth) {
      places[node] = 2 * nodes.length;
      nodes.push(node);
      parents.push(branch);
      depths.push(depths[branch] + 1);
    } else {
      places[node] = 2 * branch + 1;
      const sum = (sums[branch] ??= new Float64Array(2 * kindCount));
      sum[2 * kinds[node]] += own[node] < mostOwn ? own[node] : graph.ownBytes(node);
      sum[2 * kinds[node] + 1]++;
    }
  };
  // A dominator has the smaller number, but for that of `_G`, which is a root: `_G` is number 1, whoever holds it.
  const firstOfAll = nodeCount > 1 ? Math.max(dominators[1], 1) : 0;
  for (let node = 2; node <= firstOfAll; node++) place(node);
  if (nodeCount > 1) place(1);
  for (let node = firstOfAll + 1; node < nodeCount; node++) place(node);
  return { nodes, parents, sums };
}

/** @param {Float64Array | undefined} sum @returns {Sum[]} largest first */
function namedSums(sum) {
  if (!sum) return [];
  return kindNames.map((kind, index) => ({ kind, bytes: sum[2 * index], count: sum[2 * index + 1] }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.bytes - a.bytes || (a.kind < b.kind ? -1 : 1));
}

/* ---- names ---- */

/** The nodes of the path to a branch's node, from its dominator on; the last ones of a long path. @param {Graph} graph @param {number} node */
function steps(graph, node) {
  const { parents, dominators } = graph;
  const end = dominators[node];
  const found = [];
  let at = node;
  for (; at !== end && at !== 0 && found.length < longestName; at = parents[at]) found.push(at);
  return { found: found.reverse(), isCut: at !== end && at !== 0 }; // some paths begin at `_G`, whoever holds that
}

/** @param {Graph} graph @param {number[]} nodes of branches */
function branchNames(graph, nodes) {
  /** @type {Set<number>} */ const wanted = new Set();
  for (const node of nodes) for (const step of steps(graph, node).found) wanted.add(step);
  const known = graph.names(wanted);
  return nodes.map((node) => {
    if (node === 0) return wholeName;
    const { found, isCut } = steps(graph, node);
    return (isCut ? "…/" : "") + found.map((step) => known.get(step)).join("/");
  });
}

/** @param {Graph} graph @param {number} node @param {import("../module.js").Walker} walker */
function sourceOf(graph, node, walker) {
  const kind = graph.kindName(node);
  if (node === 0 || (kind !== "function" && kind !== "proto")) return undefined;
  const parts = /^\[proto (.*):(\d+)\]$/s.exec(walker.text(walker.call.attach_node_text(node)));
  return parts ? { file: parts[1].replace(/\\([/\\])/g, "$1"), line: Number(parts[2]) } : undefined;
}

/* ---- the whole ---- */

/** What is no object, as branches of the process. @param {import("../module.js").Walker} walker @returns {Branch[]} */
function blocks(walker) {
  const kinds = readKinds(walker);
  const sizes = { state: kinds.state.bytes, "string table": kinds.string_table.bytes, garbage: readBooks(walker).garbage };
  return Object.entries(sizes).map(([kind, bytes]) => (/** @type {Branch} */ (
    { parent: 0, name: `[${kind}]`, kind, own: bytes, retained: bytes, source: undefined, more: [] })));
}

/** @param {Graph} graph @param {import("../module.js").Walker} walker @param {import("./index.js").ExportOptions} options @returns {Branches} */
function grow(graph, walker, options) {
  const totalBytes = readBooks(walker).luaSize;
  const minSize = options.minSize ?? Math.floor(totalBytes / defaultShare);
  const depth = options.depth ?? defaultDepth;
  const { nodes, parents, sums } = choose(graph, minSize, depth);
  const names = branchNames(graph, nodes);
  const branches = nodes.map((node, index) => ({
    parent: parents[index], name: names[index], kind: node === 0 ? "process" : graph.kindName(node), own: graph.ownBytes(node),
    retained: node === 0 ? totalBytes : graph.retained[node], source: sourceOf(graph, node, walker), more: namedSums(sums[index]),
  }));
  return { totalBytes, objectCount: graph.nodeCount - 1, minSize, depth, branches: [...branches, ...blocks(walker)] };
}

/** @param {import("../heap.js").Heap} heap @param {import("./index.js").ExportOptions} options @returns {Branches} */
export function readBranches(heap, options) {
  return grow(heap.graph(), heap.walker, options);
}

/* ---- as stacks ---- */

/**
 * @typedef {{ name: string, source?: { file: string, line: number } }} Frame
 * @typedef {{ frames: Frame[], bytes: number, count: number }} Stack  the leaf last: a kind
 */

const nameOfMore = "[more]"; // without their number: to what compares two profiles, another name is another place

const mostFrames = 2 ** 24; // 1.4 GB while speedscope's file is made

/** Each stack is a path of its own, so that those of a list take the square of its length. @param {Branch[]} branches */
function checkFrames(branches) {
  /** @type {number[]} */ const depths = [];
  let frames = 0;
  for (const [index, { parent, more }] of branches.entries()) {
    depths[index] = index === 0 ? 0 : depths[parent] + 1;
    frames += depths[index] * (1 + more.length);
  }
  if (frames > mostFrames)
    throw new MembuddyError(`the stacks have ${grouped(frames)} frames in all, and ${grouped(mostFrames)} are accepted at most; ask for less (\`depth\`, \`minSize\`)`);
}

/** @param {Branch[]} branches @param {number} index @returns {Frame[]} */
function framesTo(branches, index) {
  const frames = [];
  for (; index !== 0; index = branches[index].parent) frames.push({ name: branches[index].name || '""', source: branches[index].source }); // a frame needs a name
  return frames.reverse();
}

/** Every byte once, under the path that retains it. @param {Branch[]} branches @returns {Generator<Stack>} */
export function* stacks(branches) {
  checkFrames(branches);
  for (const [index, branch] of branches.entries()) {
    const path = framesTo(branches, index);
    if (branch.own > 0) yield { frames: [...path, { name: `(${branch.kind})` }], bytes: branch.own, count: 1 };
    for (const { kind, bytes, count } of branch.more)
      yield { frames: [...path, { name: nameOfMore }, { name: `(${kind})` }], bytes, count };
  }
}
