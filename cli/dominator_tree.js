/**
 * The dominator tree as lines: below each object stands what would go with it.
 */
import { wholeName } from "./graph.js";
import { countPaths } from "./results.js";

/** @typedef {import("./graph.js").Graph} Graph */

/**
 * @typedef {object} TreeLine
 * @property {number} depth  0 is the object that was asked for
 * @property {string} path  the shortest; the middle of a very long one is left out, but for `isWhole`
 * @property {string} name  its last step where the line above is the step before, else the path
 * @property {string} kind @property {string} text
 * @property {number} own @property {number} retained
 * @property {number} share  of the whole process, from 0 to 1
 * @property {{ count: number, retained: number }} [others]  children that are not shown
 *
 * @typedef {object} TreeOptions
 * @property {number} [depth] @property {number} [top]  children of each object
 * @property {number} [minSize]  bytes that a line retains at least
 * @property {number} [lines]  at most
 * @property {boolean} [isWhole]  paths are written out, however long: more of them than memory has room for are refused
 */

const longestPath = 32; // steps

/** A path in hand, by its last step: paths share what they begin with. `first` are the first steps of a longer one. @typedef {{ count: number, name: string, above?: Steps, first?: Steps }} Steps */

const kept = longestPath >> 1; // of a longer path, at either end

/** @param {Steps} above @param {string} name @returns {Steps} */
const stepsBelow = (above, name) => ({ count: above.count + 1, name, above, first: above.count === kept ? above : above.first });

/** @param {Steps | undefined} steps @param {number} count */
function lastNames(steps, count) {
  const names = [];
  for (; steps && names.length < count; steps = steps.above) names.push(steps.name);
  return names.reverse();
}

/** As `graph.path` writes it. @param {Steps} steps */
const written = (steps) => (steps.count > longestPath ? [...lastNames(steps.first, kept), "…", ...lastNames(steps, kept)] : lastNames(steps, steps.count)).join("/");

/**
 * How the paths of lines are made, each from that of the line above where it can be.
 * @template T @typedef {{ none: T, below: (above: T, name: string) => T, written: (path: T) => string }} Paths
 */
/** @type {Paths<Steps>} */
const shortPaths = { none: { count: 0, name: "" }, below: stepsBelow, written };
/** @returns {Paths<string>} */
function wholePaths() {
  const addPath = countPaths("`--depth`, `--top`");
  return { none: "", below: (above, name) => (above === "" ? name : `${above}/${name}`), written: (path) => (addPath(path), path) };
}

/** Paths from the root on: what many have in common is walked once. @template T @param {Graph} graph @param {Paths<T>} paths @returns {(node: number) => T} */
function pathsTo(graph, { none, below }) {
  const known = new Map([[0, none]]);
  return (node) => {
    const nodes = [];
    for (const parents = graph.parents; !known.has(node); node = parents[node]) nodes.push(node);
    let path = /** @type {T} */ (known.get(node));
    for (const next of nodes.reverse()) known.set(next, (path = below(path, graph.name(next))));
    return path;
  };
}

/** @param {Graph} graph @param {number} node @param {number} depth @param {string} path @param {string} name @returns {TreeLine} */
function describe(graph, node, depth, path, name) {
  return {
    depth, path, name,
    kind: graph.kindName(node), text: graph.text(node), own: graph.ownBytes(node), retained: graph.retained[node],
    share: graph.retained[node] / graph.retained[0],
  };
}

/** How many children are shown: they are in order. @param {Graph} graph @param {Uint32Array} children @param {number} most @param {number} minSize */
function countShown(graph, children, most, minSize) {
  let count = 0;
  while (count < children.length && count < most && graph.retained[children[count]] >= minSize) count++;
  return count;
}

/** @param {Graph} graph @param {Uint32Array} children @param {number} shown */
function othersOf(graph, children, shown) {
  const retained = graph.retained;
  let bytes = 0;
  for (let i = shown; i < children.length; i++) bytes += retained[children[i]];
  return { count: children.length - shown, retained: bytes };
}

/** @param {{ others?: TreeLine["others"] }} line @param {number} retained  of a child that is not shown */
function addOther(line, retained) {
  line.others ??= { count: 0, retained: 0 };
  line.others.count++;
  line.others.retained += retained;
}

/**
 * @param {Graph} graph @param {number} root @param {TreeOptions} [options]
 * @returns {TreeLine[]}
 */
export const treeLines = (graph, root, options = {}) => (options.isWhole ? linesOf(graph, root, options, wholePaths()) : linesOf(graph, root, options, shortPaths));

/** A line before it has a name; `above` is the number of the one above it. @typedef {{ node: number, above: number, depth: number, others?: TreeLine["others"] }} Place */

/** @param {Graph} graph @param {number} root @param {TreeOptions} options @returns {Place[]} in the order of the lines */
function chooseLines(graph, root, { depth: deepest = 3, top = 10, minSize = 1, lines: most = 100000 }) {
  /** @type {Place[]} */ const places = [];
  const pending = [{ node: root, above: -1, depth: 0 }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { node, above, depth } = next;
    if (above >= 0 && places.length >= most) {
      addOther(places[above], graph.retained[node]);
      continue;
    }
    const children = graph.children(node), shown = depth < deepest ? countShown(graph, children, top, minSize) : 0;
    const others = shown < children.length ? othersOf(graph, children, shown) : undefined;
    const number = places.push({ node, above, depth, ...(others && { others }) }) - 1;
    for (const child of children.slice(0, shown).reverse()) pending.push({ node: child, above: number, depth: depth + 1 });
  }
  return places;
}

/** @template T @param {Graph} graph @param {number} root @param {TreeOptions} options @param {Paths<T>} paths @returns {TreeLine[]} */
function linesOf(graph, root, options, paths) {
  const places = chooseLines(graph, root, options), names = graph.names(places.map(({ node }) => node)); // all at once: lines apart may be of one table
  const pathTo = pathsTo(graph, paths);
  /** @type {T[]} */ const found = [];
  return places.map(({ node, above, depth, others }) => {
    const isBelow = above >= 0 && places[above].node !== 0 && graph.parents[node] === places[above].node, step = names.get(node) ?? "";
    const path = node === 0 ? paths.none : paths.below(isBelow ? found[above] : pathTo(graph.parents[node]), step);
    found.push(path);
    const whole = node === 0 ? wholeName : paths.written(path);
    return { ...describe(graph, node, depth, whole, isBelow ? step : whole), ...(others && { others }) };
  });
}
