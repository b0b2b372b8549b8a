/**
 * What changed between two memories: by kind, and by path. Nothing is compared by address. Numbers in a path read `[n]`,
 * so that entries which shift, come and go in a list stay the same line; a table of very many names counts as a list, too.
 */
import { checkOptions, described, shown } from "./check.js";
import { MembuddyError } from "./errors.js";
import { countObjects } from "./results.js";

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
 * @property {string} name @property {import("./heap.js").Image} image
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

/** @returns {Shape} */
const emptyShape = () => ({ own: 0, total: 0, objects: 0, below: new Map() });

/** @param {import("./module.js").Walker} walker @param {number} depth */
function readShapes(walker, depth) {
  const { call, buffer, text } = walker;
  const count = call.attach_shapes(depth);
  if (count < 0) throw new MembuddyError("not enough memory to compare this process");
  const parents = new Uint32Array(buffer(), call.attach_shape_array(0), count);
  const objects = new Uint32Array(buffer(), call.attach_shape_array(1), count);
  const own = new Float64Array(buffer(), call.attach_shape_array(2), count);
  const shapes = [emptyShape()];
  for (let i = 1; i < count; i++) {
    const label = text(call.attach_shape_label(i)), { below } = shapes[parents[i]];
    const shape = below.get(label) ?? emptyShape();
    below.set(label, shape);
    shapes.push(shape);
    shape.own += own[i];
    shape.objects += objects[i];
  }
  call.attach_end_shapes();
  return shapes[0];
}

/** With everything below. @param {Shape} shape */
function addUp(shape) {
  shape.total = shape.own;
  for (const below of shape.below.values()) shape.total += addUp(below);
  return shape.total;
}

/** What belongs to no object. @param {Shape} shapes @param {string} label @param {number} bytes */
function addRuntime({ below }, label, bytes) {
  const shape = below.get(label) ?? emptyShape();
  shape.own += bytes;
  below.set(label, shape);
}

/**
 * What a comparison needs of a memory; the heap may be closed then.
 * @param {Heap} heap @param {{ depth?: number }} [options] @returns {Summary}
 */
export function summarize(heap, options = {}) {
  checkOptions(options, ["depth"]);
  const { depth = 8 } = options;
  if (typeof depth !== "number" || !(depth >= 0)) throw new MembuddyError(`membuddy: option 'depth' is ${shown(depth)}; accepted: a number from 0`);
  if (typeof /** @type {Partial<Heap> | null} */ (heap)?.books !== "function") throw new MembuddyError(`membuddy: ${described(heap)} was given; accepted: a heap, as attach() gives it`);
  const books = heap.books(), kinds = heap.kinds();
  heap.graph();
  heap.progress("grouping by path");
  const shapes = readShapes(heap.walker, depth);
  addRuntime(shapes, "[state]", kinds.state.bytes);
  addRuntime(shapes, "[string table]", kinds.string_table.bytes);
  addUp(shapes);
  return {
    type: "membuddy-summary", name: heap.name, image: heap.image, kinds, shapes,
    totals: { luaSize: books.luaSize, live: books.live, garbage: books.garbage, objects: countObjects(kinds), memory: heap.image.bytes },
  };
}

/* ---- comparing ---- */

/** @param {Shape} into @param {Shape} from */
function merge(into, from) {
  into.own += from.own;
  into.total += from.total;
  into.objects += from.objects;
  for (const [label, shape] of from.below) {
    const known = into.below.get(label);
    if (known) merge(known, shape);
    else into.below.set(label, shape);
  }
}

/** Names that a table has very many of, as one. @param {Map<string, Shape>} below */
function withoutNames(below) {
  const folded = new Map(), all = emptyShape();
  for (const [label, shape] of below)
    if (label.startsWith("[")) folded.set(label, shape);
    else merge(all, structuredClone(shape));
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

/**
 * @param {Shape | undefined} a @param {Shape | undefined} b @param {string} path @param {PathChange[]} changes
 */
function compareShapes(a, b, path, changes) {
  const from = amountOf(a), to = amountOf(b);
  if (path !== "" && (from.total !== to.total || from.own !== to.own || from.objects !== to.objects))
    changes.push({ path, change: changeOf(a, b), a: from, b: to, total: to.total - from.total, own: to.own - from.own, objects: to.objects - from.objects });
  let below = [a?.below ?? new Map(), b?.below ?? new Map()];
  if (below.some(({ size }) => size > mostNames)) below = below.map(withoutNames);
  for (const label of new Set([...below[0].keys(), ...below[1].keys()]))
    compareShapes(below[0].get(label), below[1].get(label), path === "" ? label : `${path}/${label}`, changes);
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
    const above = /^(.*[^\\])\/(?:\\.|[^\\/])*$/s.exec(path)?.[1];
    if (above !== undefined) largestBelow.set(above, Math.max(largestBelow.get(above) ?? 0, Math.abs(total)));
  }
  return paths.filter(({ path, total, objects }) => objects !== 0 || (largestBelow.get(path) ?? 0) < mostOfAll * Math.abs(total));
}

/** @param {Heap | Summary} subject @returns {Summary} */
const summaryOf = (subject) =>
  /** @type {Partial<Summary> | null} */ (subject)?.type === "membuddy-summary" ? /** @type {Summary} */ (subject) : summarize(/** @type {Heap} */ (subject));

/**
 * Compares two memories: of one process at two times, or of two processes.
 * @param {Heap | Summary} a  what was before @param {Heap | Summary} b  what came after
 * @returns {Diff}
 */
export function diff(a, b) {
  const before = summaryOf(a), after = summaryOf(b);
  /** @type {PathChange[]} */ const paths = [];
  compareShapes(before.shapes, after.shapes, "", paths);
  paths.sort((x, y) => Math.abs(y.total) - Math.abs(x.total) || Math.abs(y.own) - Math.abs(x.own) || compareText(x.path, y.path));
  const change = /** @type {Summary["totals"]} */ (Object.fromEntries(
    Object.entries(before.totals).map(([name, value]) => [name, after.totals[/** @type {keyof Summary["totals"]} */ (name)] - value])));
  return {
    type: "membuddy-diff", a: { name: before.name, ...before.totals }, b: { name: after.name, ...after.totals }, change,
    kinds: compareKinds(before.kinds, after.kinds), paths,
  };
}
