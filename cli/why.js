/**
 * Why an object is still there: the shortest chains of references that lead to it, and what would be freed if one of
 * their references were cut.
 */
import { isNoObject, isSum, noNode, nothingAt, onlyKeyAt, severalAt } from "./graph.js";
import { countPaths } from "./results.js";

/** @typedef {import("./graph.js").Graph} Graph */

/**
 * @typedef {object} Step
 * @property {number} node
 * @property {string} name  the label of the reference that leads to it
 * @property {string} kind @property {string} text
 * @property {number} own @property {number} retained
 * @property {number | null} frees  bytes that would go if this one reference were cut: all that the object retains, or
 *   nothing where another way leads to it; null of a root, which nothing refers to that could be cut
 * @property {number} references  to this object that could keep it: those from what it holds itself do not count
 *
 * @typedef {object} Chain
 * @property {string} path @property {Step[]} steps  from the root to the object
 *
 * @typedef {object} Why
 * @property {string} path @property {number} node @property {string} kind @property {string} text
 * @property {number} own @property {number} retained
 * @property {number} chainCount  of shortest chains; beyond 2^53 not exact, and Number.MAX_VALUE at most
 * @property {Chain[]} chains  at most as many as asked for: first one for each object that refers to it directly
 * @property {number} references  to the object that could keep it
 * @property {{ path: string, label: string }[]} others  references that are on no shortest chain, at most as many
 * @property {number} otherCount  objects that refer to it on no shortest chain
 */

/** The object at a path; an upvalue's value rather than its cell. @param {Graph} graph @param {string} path */
export function findObject(graph, path) {
  if (isNoObject(path)) throw nothingAt(path);
  if (isSum(path) && graph.find(`${path}#2`) !== noNode) throw severalAt(path);
  const node = graph.find(path);
  if (node === noNode) throw graph.find(`${path} (key)`) === noNode ? nothingAt(path) : onlyKeyAt(path);
  const value = graph.kindName(node) === "upvalue" ? graph.follow(node, "[value]") : noNode;
  return value === noNode ? node : value;
}

/** Steps from the root above all roots, by node. @param {Graph} graph */
function levelsOf({ parents, nodeCount }) {
  const levels = new Uint32Array(nodeCount);
  for (let node = 1; node < nodeCount; node++) levels[node] = levels[parents[node]] + 1;
  return levels;
}

/** Who refers to a node on a shortest chain, in the order of numbers. @param {Graph} graph @param {Uint32Array} levels @param {number} node */
function holdersOf(graph, levels, node) {
  const level = levels[node];
  if (level <= 1) return [];
  const holders = new Set([graph.parents[node]]);
  for (const from of graph.referrers(node)) if (levels[from] === level - 1) holders.add(from);
  return [...holders].sort((a, b) => a - b);
}

/** How many shortest chains lead to each node on the way to `target`. @param {Graph} graph @param {Uint32Array} levels @param {number} target */
function countChains(graph, levels, target) {
  const found = new Set([target]);
  for (const node of found) for (const holder of holdersOf(graph, levels, node)) found.add(holder);
  /** @type {Map<number, number>} */ const counts = new Map();
  for (const node of [...found].sort((a, b) => levels[a] - levels[b])) {
    const holders = holdersOf(graph, levels, node);
    counts.set(node, holders.length === 0 ? 1 : Math.min(Number.MAX_VALUE, holders.reduce((sum, holder) => sum + (counts.get(holder) ?? 0), 0)));
  }
  return counts;
}

/** The nodes of the shortest path. @param {Graph} graph @param {number} node */
function pathNodes(graph, node) {
  const nodes = [];
  for (const parents = graph.parents; node !== 0; node = parents[node]) nodes.push(node);
  return nodes.reverse();
}

/** The beginning of a chain; chains share what follows, since one is as long as a list. @typedef {{ node: number, next?: Link }} Link */

/** @param {Link | undefined} link */
function nodesOf(link) {
  const nodes = [];
  for (; link; link = link.next) nodes.push(link.node);
  return nodes;
}

/**
 * All chains that end with `end`, each as its nodes, in the order of numbers.
 * @param {Graph} graph @param {Uint32Array} levels @param {number[]} end @returns {Generator<number[]>}
 */
function* eachChain(graph, levels, end) {
  const pending = [{ node: end[0], next: /** @type {Link | undefined} */ (undefined) }];
  for (let link = pending.pop(); link; link = pending.pop()) {
    const holders = holdersOf(graph, levels, link.node);
    if (holders.length === 0) yield [...nodesOf(link), ...end.slice(1)];
    for (const node of holders.reverse()) pending.push({ node, next: link });
  }
}

/** One chain for each that refers to the object, then others. @param {Graph} graph @param {Uint32Array} levels @param {number} target @param {number} most */
function pickChains(graph, levels, target, most) {
  /** @type {Map<string, number[]>} */ const chains = new Map();
  const add = (/** @type {number[]} */ chain) => chains.set(chain.join(" "), chain);
  for (const holder of holdersOf(graph, levels, target).slice(0, most)) add([...pathNodes(graph, holder), target]);
  if (chains.size === 0) add([target]);
  if (chains.size < most)
    for (const chain of eachChain(graph, levels, [target])) if (add(chain).size >= most) break;
  return [...chains.values()];
}

/**
 * Where, in an order that has all that a node dominates right behind it, each node stands, and how many stand there with it.
 * @typedef {{ begins: Uint32Array, sizes: Uint32Array }} Subtrees
 */

/** @param {Graph} graph @returns {Subtrees} */
function readSubtrees(graph) {
  const { nodeCount, childFirst, childList } = graph, { dominators } = graph; // in this order: making the first may move memory
  const [order, next] = [new Uint32Array(nodeCount), new Uint32Array(nodeCount).fill(1)];
  const [begins, sizes] = [new Uint32Array(nodeCount).fill(noNode), new Uint32Array(nodeCount).fill(1)];
  let count = 1;
  for (let at = 0; at < count; at++)
    for (let child = childFirst[order[at]]; child < childFirst[order[at] + 1]; child++) order[count++] = childList[child];
  for (let at = count; --at > 0;) sizes[dominators[order[at]]] += sizes[order[at]];
  begins[0] = 0;
  for (let at = 1; at < count; at++) {
    const node = order[at], dominator = dominators[node];
    begins[node] = next[dominator];
    next[dominator] += sizes[node];
    next[node] = begins[node] + 1;
  }
  return { begins, sizes };
}

/** @type {WeakMap<Graph, Subtrees>} made where they are needed: the way from a node up to its dominators may be long, and is asked for by many */
const subtrees = new WeakMap();

/** @param {Graph} graph @returns {Subtrees} */
function subtreesOf(graph) {
  const known = subtrees.get(graph) ?? readSubtrees(graph);
  subtrees.set(graph, known);
  return known;
}

/**
 * Those that refer to a node, without what it holds itself: that does not keep it. A dominator has the smaller number, but
 * for that of `_G`, which is node 1. Referrers are asked for anew behind `subtreesOf`, for which memory may move.
 * @param {Graph} graph @param {number} node
 */
function keepersOf(graph, node) {
  const referrers = graph.referrers(node);
  if (graph.retained[node] === graph.own[node] || referrers.every((from) => from <= node && from !== 1)) return referrers.filter((from) => from !== node);
  const { begins, sizes } = subtreesOf(graph), begin = begins[node], end = begin + sizes[node];
  return graph.referrers(node).filter((from) => from !== node && !(begins[from] > begin && begins[from] < end));
}

/**
 * Bytes that go when one reference from `from` to `to` is cut. The entry of a table with weak keys is an edge of its key
 * alone: where it is cut in the table, the key's one reference is gone as well.
 * @param {Graph} graph @param {number} from @param {number} to
 */
export function freedByCut(graph, from, to) {
  const keepers = keepersOf(graph, to);
  return keepers.length === 1 && (keepers[0] === from || !graph.referrers(to).includes(from)) ? graph.retained[to] : 0;
}

/** @param {Graph} graph @param {number} node */
const describe = (graph, node) => ({
  node, kind: graph.kindName(node), text: graph.text(node), own: graph.ownBytes(node), retained: graph.retained[node],
  references: keepersOf(graph, node).length,
});

/** @param {Graph} graph @param {number[]} nodes @returns {Chain} */
function describeChain(graph, nodes) {
  const steps = nodes.map((node, index) => {
    const from = index === 0 ? 0 : nodes[index - 1];
    return { name: graph.label(from, node), frees: index === 0 ? null : freedByCut(graph, from, node), ...describe(graph, node) };
  });
  return { path: steps.map(({ name }) => name).join("/"), steps };
}

/** Those of shortest chains are none, shown or not. @param {Graph} graph @param {Uint32Array} levels @param {number} target @param {number} most @param {number} longestPath */
function otherReferences(graph, levels, target, most, longestPath) {
  const known = new Set([0, ...holdersOf(graph, levels, target)]);
  const others = [], addPath = countPaths("`--chains`");
  let otherCount = 0;
  for (const from of keepersOf(graph, target)) {
    if (known.has(from)) continue;
    known.add(from);
    if (++otherCount > most) continue;
    const path = graph.path(from, longestPath);
    addPath(path);
    others.push({ path, label: graph.label(from, target) });
  }
  return { others, otherCount };
}

/**
 * @param {Graph} graph @param {string} path @param {{ chains?: number, longestPath?: number }} [options]  chains: how many, at most;
 *   longestPath: steps beyond which that of another reference loses its middle
 * @returns {Why}
 */
export function why(graph, path, { chains: most = 10, longestPath = Infinity } = {}) {
  const target = findObject(graph, path), levels = levelsOf(graph);
  const chains = pickChains(graph, levels, target, most);
  const chainCount = /** @type {number} */ (countChains(graph, levels, target).get(target));
  return {
    path: graph.path(target), ...describe(graph, target), chainCount,
    chains: chains.map((nodes) => describeChain(graph, nodes)),
    ...otherReferences(graph, levels, target, most, longestPath),
  };
}
