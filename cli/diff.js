/**
 * What changed between two memories: by kind, and by path. Nothing is compared by address. Numbers in a path read `[n]`,
 * so that entries which shift, come and go in a list stay the same line; a table of very many names counts as a list, too.
 */
import { checkOptions, described, shown } from "./check.js";
import { MembuddyError, shownName } from "./errors.js";
import { splitPath } from "./graph.js";
import { countObjects, countPaths, kindNames } from "./results.js";

/** @typedef {import("./heap.js").Heap} Heap */

/**
 * @typedef {object} Amount
 * @property {number} total  bytes with everything below @property {number} own  bytes of the line's own objects
 * @property {number} objects  its own
 *
 * @typedef {object} Shape
 * @property {number} own @property {number} total @property {number} objects
 * @property {Map<string, Shape>} below
 *
 * @typedef {object} Summary  all that a comparison needs of a memory, which may be closed then
 * @property {"membuddy-summary"} type
 * @property {string} name @property {import("./heap.js").Image} image @property {number} depth  steps of a path that are told apart
 * @property {import("./results.js").Kinds} kinds
 * @property {{ luaSize: number, live: number, garbage: number, objects: number, memory: number }} totals
 * @property {Shape} shapes
 *
 * @typedef {"grew" | "shrank" | "appeared" | "went" | "changed"} Change  changed: other objects of the same bytes
 * @typedef {{ path: string, change: Change, a: Amount, b: Amount, total: number, own: number, objects: number }} PathChange
 * @typedef {{ a: { count: number, bytes: number }, b: { count: number, bytes: number }, count: number, bytes: number }} KindChange
 *
 * @typedef {object} Diff
 * @property {"membuddy-diff"} type
 * @property {{ name: string } & Summary["totals"]} a @property {{ name: string } & Summary["totals"]} b
 * @property {Summary["totals"]} change  b less a
 * @property {Record<string, KindChange>} kinds
 * @property {PathChange[]} paths  what changed at all, by the bytes of the change with everything below
 */

const mostNames = 1000; // below one shape
const anyKey = "[key]";
const usualDepth = 8;
/** By the number that the walker knows them by (src/attach.h). */
const shapeArrays = { parents: 0, objects: 1, own: 2 };

/** @returns {Shape} */
const emptyShape = () => ({ own: 0, total: 0, objects: 0, below: new Map() });

/** A cell that is still open in its thread, as all others call it: upvalues of functions are counted from 1. @param {string} label */
const labelOf = (label) => (label === "[upvalue 0]" ? "[open upvalue]" : label);

/** @param {import("./module.js").Walker} walker @param {number} depth */
function readShapes(walker, depth) {
  const { call, buffer, text } = walker;
  const count = call.attach_shapes(depth);
  if (count < 0) throw new MembuddyError("not enough memory to compare this process");
  const parents = new Uint32Array(buffer(), call.attach_shape_array(shapeArrays.parents), count);
  const objects = new Uint32Array(buffer(), call.attach_shape_array(shapeArrays.objects), count);
  const own = new Float64Array(buffer(), call.attach_shape_array(shapeArrays.own), count);
  const shapes = [emptyShape()];
  for (let i = 1; i < count; i++) {
    const label = labelOf(text(call.attach_shape_label(i))), { below } = shapes[parents[i]];
    const shape = below.get(label) ?? emptyShape();
    below.set(label, shape);
    shapes.push(shape);
    shape.own += own[i];
    shape.objects += objects[i];
  }
  call.attach_end_shapes();
  return shapes[0];
}

/** With everything below: no recursion, since a list is as deep as it is long. @param {Shape} root */
function addUp(root) {
  const shapes = [root];
  for (const { below } of shapes) for (const shape of below.values()) shapes.push(shape);
  for (const shape of shapes.reverse()) {
    shape.total = shape.own;
    for (const { total } of shape.below.values()) shape.total += total;
  }
}

/** What belongs to no object. @param {Shape} shapes @param {string} label @param {number} bytes */
function addRuntime({ below }, label, bytes) {
  const shape = below.get(label) ?? emptyShape();
  shape.own += bytes;
  below.set(label, shape);
}

/** @param {unknown} heap @param {string} accepted */
function checkHeap(heap, accepted) {
  if (typeof /** @type {Partial<Heap> | null} */ (heap)?.books !== "function")
    throw new MembuddyError(`membuddy: ${described(heap)} was given; accepted: ${accepted}`);
}

/**
 * What a comparison needs of a memory; the heap may be closed then.
 * @param {Heap} heap @param {{ depth?: number }} [options] @returns {Summary}
 */
export function summarize(heap, options = {}) {
  checkOptions(options, ["depth"]);
  const { depth = usualDepth } = options;
  if (typeof depth !== "number" || !(depth >= 0)) throw new MembuddyError(`membuddy: option 'depth' is ${shown(depth)}; accepted: a number from 0`);
  checkHeap(heap, "a heap, as attach() gives it");
  const books = heap.books(), kinds = heap.kinds();
  heap.graph();
  heap.progress("grouping by path");
  const shapes = readShapes(heap.walker, depth);
  addRuntime(shapes, "[state]", kinds.state.bytes);
  addRuntime(shapes, "[string table]", kinds.string_table.bytes);
  addUp(shapes);
  return {
    type: "membuddy-summary", name: heap.name, image: heap.image, depth, kinds, shapes,
    totals: { luaSize: books.luaSize, live: books.live, garbage: books.garbage, objects: countObjects(kinds), memory: heap.image.bytes },
  };
}

/* ---- comparing ---- */

/** Adds a copy of what `from` has. @param {Shape} into @param {Shape} from */
function merge(into, from) {
  const pending = [{ into, from }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { into: to, from: shape } = next;
    to.own += shape.own;
    to.total += shape.total;
    to.objects += shape.objects;
    for (const [label, below] of shape.below) {
      const known = to.below.get(label) ?? emptyShape();
      to.below.set(label, known);
      pending.push({ into: known, from: below });
    }
  }
}

/** Names that a table has very many of, as one. @param {Map<string, Shape>} below */
function withoutNames(below) {
  const folded = new Map(), all = emptyShape();
  for (const [label, shape] of below)
    if (label.startsWith("[") && label !== anyKey) folded.set(label, shape);
    else merge(all, shape);
  return all.objects > 0 || all.below.size > 0 ? folded.set(anyKey, all) : folded;
}

/** @param {Shape | undefined} shape @returns {Amount} */
const amountOf = (shape) => ({ total: shape?.total ?? 0, own: shape?.own ?? 0, objects: shape?.objects ?? 0 });

/** @param {Shape | undefined} a @param {Shape | undefined} b @returns {Change} */
function changeOf(a, b) {
  if (!a) return "appeared";
  if (!b) return "went";
  return b.total > a.total ? "grew" : b.total < a.total ? "shrank" : "changed";
}

/** @typedef {{ path: string, a: Shape | undefined, b: Shape | undefined }} Pair */

/** What is below two shapes, by label. @param {Pair} pair @returns {Pair[]} */
function pairsBelow({ path, a, b }) {
  let below = [a?.below ?? new Map(), b?.below ?? new Map()];
  if (below.some(({ size }) => size > mostNames)) below = below.map(withoutNames);
  return [...new Set([...below[0].keys(), ...below[1].keys()])].map((label) =>
    ({ path: path === "" ? label : `${path}/${label}`, a: below[0].get(label), b: below[1].get(label) }));
}

/** @param {Shape} before @param {Shape} after @returns {PathChange[]} */
function compareShapes(before, after) {
  /** @type {PathChange[]} */ const changes = [];
  const addPath = countPaths("`depth`");
  const pending = pairsBelow({ path: "", a: before, b: after });
  for (let pair = pending.pop(); pair; pair = pending.pop()) {
    const { path, a, b } = pair, from = amountOf(a), to = amountOf(b);
    if (from.total !== to.total || from.own !== to.own || from.objects !== to.objects) {
      addPath(path);
      changes.push({ path, change: changeOf(a, b), a: from, b: to, total: to.total - from.total, own: to.own - from.own, objects: to.objects - from.objects });
    }
    for (const below of pairsBelow(pair)) pending.push(below);
  }
  return changes;
}

/** @param {string} a @param {string} b */
const compareText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** @param {Summary["kinds"]} a @param {Summary["kinds"]} b */
function compareKinds(a, b) {
  /** @type {Diff["kinds"]} */ const kinds = {};
  for (const name of /** @type {(keyof Summary["kinds"])[]} */ (Object.keys(a)))
    kinds[name] = { a: a[name], b: b[name], count: b[name].count - a[name].count, bytes: b[name].bytes - a[name].bytes };
  return kinds;
}

const mostOfAll = 0.9;

/** A line whose change is nearly all that of a line below it says nothing more. @param {PathChange[]} paths */
export function tellingPaths(paths) {
  /** @type {Map<string, number>} */ const largestBelow = new Map();
  for (const { path, total } of paths) {
    const above = splitPath(path).slice(0, -1).join("/");
    if (above !== "") largestBelow.set(above, Math.max(largestBelow.get(above) ?? 0, Math.abs(total)));
  }
  return paths.filter(({ path, total, objects }) => objects !== 0 || (largestBelow.get(path) ?? 0) < mostOfAll * Math.abs(total));
}

/** @param {unknown} figures @param {string[]} names */
const hasFigures = (figures, names) => names.every((name) => typeof /** @type {Record<string, unknown> | null | undefined} */ (figures)?.[name] === "number");

/** @param {Shape} root */
function areShapes(root) {
  const shapes = new Set([root]);
  for (const shape of shapes) {
    if (!(shape?.below instanceof Map) || !hasFigures(shape, ["own", "total", "objects"])) return false;
    for (const below of shape.below.values()) shapes.add(below);
  }
  return true;
}

/** What of a summary is not as `summarize` made it. @param {Partial<Summary>} summary */
function damageOf({ shapes, kinds, totals, depth }) {
  if (!(shapes?.below instanceof Map)) return "'shapes' has no Map";
  if (!areShapes(shapes)) return "a part of 'shapes' is none";
  const kind = kindNames.find((name) => !hasFigures(kinds?.[name], ["count", "bytes"]));
  if (kind) return `'kinds' has no '${kind}' with figures`;
  if (!hasFigures(totals, ["luaSize", "live", "garbage", "objects", "memory"])) return "'totals' lacks a figure";
  return typeof depth === "number" ? undefined : "'depth' is no number";
}

/** @param {Heap | Summary} subject @returns {Summary | undefined} */
function givenSummary(subject) {
  const summary = /** @type {Summary | null} */ (subject);
  if (summary?.type !== "membuddy-summary") return undefined;
  const damage = damageOf(summary);
  if (damage) throw new MembuddyError(`membuddy: the summary of ${shownName(String(summary.name))} was changed: ${damage}; accepted: one as summarize() gives it, which is no JSON but can be cloned`);
  return summary;
}

/** @param {Heap | Summary} subject @param {number} depth  that of what it is compared with @returns {Summary} */
function summaryOfHeap(subject, depth) {
  checkHeap(subject, "a heap, as attach() gives it, or a summary of one");
  return summarize(/** @type {Heap} */ (subject), { depth });
}

/**
 * Compares two memories: of one process at two times, or of two processes.
 * @param {Heap | Summary} a  what was before @param {Heap | Summary} b  what came after
 * @returns {Diff}
 */
export function diff(a, b) {
  const older = givenSummary(a), newer = givenSummary(b), depth = older?.depth ?? newer?.depth ?? usualDepth;
  const before = older ?? summaryOfHeap(a, depth), after = newer ?? summaryOfHeap(b, depth);
  if (before.depth !== after.depth)
    throw new MembuddyError(`membuddy: the summaries are ${before.depth} and ${after.depth} steps deep; accepted: two of one depth`);
  const paths = compareShapes(before.shapes, after.shapes);
  paths.sort((x, y) => Math.abs(y.total) - Math.abs(x.total) || Math.abs(y.own) - Math.abs(x.own) || compareText(x.path, y.path));
  const change = /** @type {Summary["totals"]} */ (Object.fromEntries(
    Object.entries(before.totals).map(([name, value]) => [name, after.totals[/** @type {keyof Summary["totals"]} */ (name)] - value])));
  return {
    type: "membuddy-diff", a: { name: before.name, ...before.totals }, b: { name: after.name, ...after.totals }, change,
    kinds: compareKinds(before.kinds, after.kinds), paths,
  };
}
