/**
 * The dominator tree as lines: below each object stands what would go with it.
 */

/** @typedef {import("./graph.js").Graph} Graph */

/**
 * @typedef {object} TreeLine
 * @property {number} depth  0 is the object that was asked for
 * @property {string} path  the shortest; the middle of a very long one is left out
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
 */

const longestPath = 32; // steps

/** A path in hand: its last steps, and how many there are; the first ones too where it is longer. @typedef {{ count: number, first: string[], last: string[] }} Steps */

const kept = longestPath >> 1; // of a longer path, at either end

/** As `graph.path` writes it. @param {Steps} steps */
const written = ({ count, first, last }) => (count > longestPath ? [...first, "…", ...last.slice(-kept)] : last).join("/");

/** @param {Graph} graph @param {number} node @returns {Steps} */
function stepsTo(graph, node) {
  const labels = [];
  for (const parents = graph.parents; node !== 0; node = parents[node]) labels.push(graph.name(node));
  labels.reverse();
  return { count: labels.length, first: labels.slice(0, kept), last: labels.slice(-longestPath) };
}

/** One step more: a path is not walked anew for each line, which stands below the last one mostly. @param {Steps} above @param {string} name @returns {Steps} */
const stepsBelow = ({ count, first, last }, name) =>
  ({ count: count + 1, first: count < kept ? [...first, name] : first, last: [...last.slice(1 - longestPath), name] });

/** @param {Graph} graph @param {number} node @param {number} depth @param {Steps} steps @param {boolean} isBelow  the line above is the step before @returns {TreeLine} */
function describe(graph, node, depth, steps, isBelow) {
  const path = node === 0 ? "[process]" : written(steps);
  return {
    depth, path, name: isBelow ? graph.name(node) : path,
    kind: graph.kindName(node), text: graph.text(node), own: graph.own[node], retained: graph.retained[node],
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

/** @param {TreeLine} line @param {number} retained  of a child that is not shown */
function addOther(line, retained) {
  line.others ??= { count: 0, retained: 0 };
  line.others.count++;
  line.others.retained += retained;
}

/**
 * @param {Graph} graph @param {number} root @param {TreeOptions} [options]
 * @returns {TreeLine[]}
 */
export function treeLines(graph, root, { depth: deepest = 3, top = 10, minSize = 1, lines: most = 100000 } = {}) {
  /** @type {TreeLine[]} */ const lines = [];
  const pending = [{ node: root, above: 0, depth: 0, parent: /** @type {TreeLine | undefined} */ (undefined), aboveSteps: /** @type {Steps | undefined} */ (undefined) }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { node, depth, parent, above, aboveSteps } = next;
    if (parent && lines.length >= most) {
      addOther(parent, graph.retained[node]);
      continue;
    }
    const isBelow = aboveSteps !== undefined && above !== 0 && graph.parents[node] === above;
    const steps = isBelow ? stepsBelow(aboveSteps, graph.name(node)) : stepsTo(graph, node);
    const line = describe(graph, node, depth, steps, isBelow);
    const children = graph.children(node);
    const shown = depth < deepest ? countShown(graph, children, top, minSize) : 0;
    if (shown < children.length) line.others = othersOf(graph, children, shown);
    lines.push(line);
    for (let i = shown; i-- > 0;) pending.push({ node: children[i], above: node, depth: depth + 1, parent: line, aboveSteps: steps });
  }
  return lines;
}
