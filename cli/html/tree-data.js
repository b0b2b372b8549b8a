/**
 * The dominator tree, cut to what a page can show: largest first, the rest of each node's children in one `[N more]`.
 * No byte is lost: own bytes of all rows together are the bytes of the whole.
 *
 * Rows stand in columns, a parent before its children and siblings largest first. The figures of a row are `own`
 * (for `[N more]`: all that the N hold) and, by sums from below, what it retains.
 */

/**
 * @typedef {object} TreeData
 * @property {number[]} parents  row of the parent; -1 of the first row, which stands above all roots
 * @property {string[]} labels  the step from the parent's row; a path of its own where `rooted`
 * @property {number[]} rooted  rows whose shortest path does not lead through the parent's row: `_G`, which the registry keeps
 * @property {number[]} kinds  index into `kindNames`
 * @property {number[]} own  bytes
 * @property {number[]} counts  0, or how many objects a `[N more]` stands for
 * @property {string[]} texts  what an object is, where more can be said than its kind
 * @property {string[]} kindNames
 *
 * @typedef {object} TreeLimits
 * @property {number} [rows]  at most so many objects
 * @property {number} [children]  of each object at most so many
 * @property {number} [depth]  at most so many levels
 * @property {number} [minSize]  in bytes; what retains less is not shown. If absent, less than a twenty thousandth of
 *   the whole is shown only among the first few of its siblings
 */

/** @typedef {import("../graph.js").Graph} Graph */

const limits = { rows: 12000, children: 256, depth: 250 };
const smallestShare = 1 / 20000;
const firstFew = 12;
const manyReferences = 20000;
/** To name an entry its table is searched: of a table of a million only a few are named. @param {number} references */
const namesOf = (references) => Math.max(4, Math.floor(2e6 / references));
const longestLabel = 240;
const longestLabelSteps = 4;

/**
 * @param {Graph} graph @param {TreeLimits} [options]
 * @returns {{ tree: TreeData, rows: Map<number, number> }} rows by node
 */
export function treeData(graph, options = {}) {
  const { rows = limits.rows, children = limits.children, depth = limits.depth, minSize } = options;
  const nodes = chooseNodes(graph, { rows, children, depth: Math.min(depth, limits.depth), minSize });
  return writeRows(graph, nodes);
}

/**
 * Takes the largest node that is left, again and again. Of each node's children only the next is waiting.
 * @param {Graph} graph @param {{ rows: number, children: number, depth: number, minSize?: number }} most
 */
function chooseNodes(graph, most) {
  const least = most.minSize ?? graph.retained[0] * smallestShare, few = most.minSize === undefined ? firstFew : 0;
  const chosen = new Set([0]);
  /** @type {Waiting[]} */ const waiting = [];
  /** @param {number} parent @param {number} place @param {number} depth */
  const wait = (parent, place, depth) => {
    const children = graph.children(parent), references = graph.references(parent).length;
    if (place >= Math.min(children.length, most.children, namesOf(references))) return;
    const node = children[place], bytes = graph.retained[node];
    if (bytes >= least || (place < few && references < manyReferences)) push(waiting, { node, bytes, parent, place, depth });
  };
  if (most.depth > 0) wait(0, 0, 1);
  while (waiting.length && chosen.size < most.rows) {
    const { node, parent, place, depth } = pop(waiting);
    chosen.add(node);
    wait(parent, place + 1, depth);
    if (depth < most.depth) wait(node, 0, depth + 1);
  }
  return chosen;
}

/** A row before its columns; `rest`: the children of `node` from that place on. @typedef {{ parent: number, node: number, rest: number, isRest?: boolean }} Row */

/** Rows breadth first, `[N more]` last among its siblings. @param {Graph} graph @param {Set<number>} chosen */
function orderRows(graph, chosen) {
  /** @type {Row[]} */
  const rows = [{ parent: -1, node: 0, rest: 0 }];
  for (let row = 0; row < rows.length; row++) {
    const { node, isRest } = rows[row];
    if (isRest) continue;
    const children = graph.children(node);
    let shown = 0;
    for (; shown < children.length && chosen.has(children[shown]); shown++) rows.push({ parent: row, node: children[shown], rest: 0 });
    if (shown < children.length) rows.push({ parent: row, node, rest: shown, isRest: true });
  }
  return rows;
}

/** @param {Graph} graph @param {Set<number>} chosen */
function writeRows(graph, chosen) {
  /** @type {TreeData} */
  const tree = { parents: [], labels: [], rooted: [], kinds: [], own: [], counts: [], texts: [], kindNames: [] };
  const rows = new Map(), sizes = subtreeSizes(graph);
  for (const { parent, node, rest, isRest } of orderRows(graph, chosen)) {
    if (isRest) addRest(tree, parent, graph.children(node).subarray(rest), graph.retained, sizes);
    else {
      const { label, isRooted } = stepLabel(graph, node);
      const row = addRow(tree, parent, label, graph.kindName(node), graph.ownBytes(node), 0, textOf(graph, node));
      if (isRooted) tree.rooted.push(row);
      rows.set(node, row);
    }
  }
  return { tree, rows };
}

/** @param {TreeData} tree @param {number} parent @param {Uint32Array} rest @param {Float64Array} retained @param {Uint32Array} sizes */
function addRest(tree, parent, rest, retained, sizes) {
  let bytes = 0, count = 0;
  for (const node of rest) bytes += retained[node], count += sizes[node];
  addRow(tree, parent, `[${rest.length} more]`, "more", bytes, count, "");
}

/** @param {TreeData} tree @param {number} parent @param {string} label @param {string} kind @param {number} own @param {number} count @param {string} text */
function addRow(tree, parent, label, kind, own, count, text) {
  let number = tree.kindNames.indexOf(kind);
  if (number < 0) number = tree.kindNames.push(kind) - 1;
  tree.texts.push(text);
  tree.counts.push(count);
  tree.own.push(own);
  tree.kinds.push(number);
  tree.labels.push(label.length > longestLabel ? `${label.slice(0, longestLabel)}…` : label);
  return tree.parents.push(parent) - 1;
}

/** The steps from a node's dominator, if its shortest path leads there. @param {Graph} graph @param {number} node */
function stepLabel(graph, node) {
  const { parents, dominators } = graph;
  /** @type {string[]} */ const steps = [];
  let at = node;
  for (; at !== dominators[node] && at !== 0; at = parents[at])
    if (steps.length < longestLabelSteps) steps.unshift(graph.name(at));
    else if (steps[0] !== "…") steps.unshift("…");
  return { label: steps.join("/"), isRooted: at === 0 && node !== 0 };
}

/** @param {Graph} graph @param {number} node */
function textOf(graph, node) {
  const text = node === 0 ? "" : graph.text(node);
  return text === graph.kindName(node) ? "" : text;
}

/** How many objects each node dominates, itself among them; a dominator has a smaller number. @param {Graph} graph */
function subtreeSizes({ dominators, nodeCount }) {
  const sizes = new Uint32Array(nodeCount).fill(1);
  for (let node = nodeCount - 1; node > 0; node--) sizes[dominators[node]] += sizes[node];
  return sizes;
}

// --- a heap: the largest on top, of equal ones the smaller number

/** @typedef {{ node: number, bytes: number, parent: number, place: number, depth: number }} Waiting */

/** @param {Waiting} a @param {Waiting} b */
const isBefore = (a, b) => a.bytes > b.bytes || (a.bytes === b.bytes && a.node < b.node);

/** @param {Waiting[]} heap @param {Waiting} entry */
function push(heap, entry) {
  let at = heap.push(entry) - 1;
  for (let above = (at - 1) >> 1; at > 0 && isBefore(entry, heap[above]); at = above, above = (at - 1) >> 1) heap[at] = heap[above];
  heap[at] = entry;
}

/** @param {Waiting[]} heap */
function pop(heap) {
  const [top] = heap;
  const last = /** @type {Waiting} */ (heap.pop());
  if (heap.length === 0) return top;
  let at = 0;
  for (let below = 1; below < heap.length; below = 2 * at + 1) {
    if (below + 1 < heap.length && isBefore(heap[below + 1], heap[below])) below++;
    if (!isBefore(heap[below], last)) break;
    heap[at] = heap[below];
    at = below;
  }
  heap[at] = last;
  return top;
}
