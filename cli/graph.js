/**
 * The graph of everything that lives, as the walker (src/graph.h) made it: numbers in typed arrays, no object a node.
 *
 * Nodes are numbered breadth first: node 0 stands above all roots and has no bytes itself, node 1 is `_G`, a parent has a
 * smaller number than its children, and a dominator (but that of `_G`) a smaller one than what it dominates. Figures are
 * bytes.
 *
 * While a graph stands the walker can do nothing else: `end()` it before the next report.
 */

import { checkText, described, shown } from "./check.js";
import { MembuddyError } from "./errors.js";
import { lineFigure, kindNames as resultKinds } from "./results.js";

/** @typedef {import("./module.js").Walker} Walker */

/** Kinds by number, as in src/layout.h. @type {readonly string[]} */
export const kindNames = Object.freeze([...resultKinds.map((name) => name.replace("_", " ")), "unknown"]);

/** No such node. */
export const noNode = 0xffffffff;
/** So many own bytes, or more. */
export const mostOwn = 0xffffffff;

const longestText = 64;
const remembered = 4096;
const manyNames = 8; // of one table's entries: cheaper all at once
/** By the number that the walker knows them by (src/attach.h). The last four are made when they are asked for. */
const arrays = {
  parents: 1, first: 2, successors: 3, dominators: 4, own: 5, retained: 6, kinds: 7,
  childFirst: 8, children: 9, referrerFirst: 10, referrers: 11,
};

/** What node 0 is called: all that lives, above the roots. */
export const wholeName = "[process]";

/** Heads of several roots, which the report lists below them. */
const heads = ["[state]", "[type metatables]", "[finalizers]", "[resurrected]", "[touched upvalues]"];
/** Lists, where each entry is called by its place. */
const lists = ["[finalizers]", "[resurrected]"];
const types = ["nil", "boolean", "lightuserdata", "number", "string", "table", "function", "userdata", "thread"];
/** What a prototype has several of, which are one line of the report. */
const sums = ["[constant]", "[names]"];

/** A label that is a line of the report for several objects: the first of them has its number as well. @param {string} label @param {boolean} isRoot */
export const numbered = (label, isRoot) => ((isRoot ? heads : sums).includes(label) ? `${label}#1` : label);

export class Graph {
  /** @type {Walker | undefined} none when it has ended: whoever keeps a graph keeps no copy */ #kept;
  #state;
  /** @type {ArrayBuffer | null} */ #buffer = null;
  /** @type {Record<string, any>} */ #views = {};
  /** @type {Map<number, string>} labels of steps: paths share most of theirs */ #names = new Map();

  /** @param {Walker} walker @param {number} state address of the lua_State */
  constructor(walker, state) {
    this.#kept = walker;
    this.#state = state;
    const count = walker.call.attach_graph(state);
    if (count < 0) throw outOfMemory();
    /** Nodes, node 0 among them. */
    this.nodeCount = count;
    /** References between them. */
    this.edgeCount = 0;
    this.edgeCount = this.first[count];
  }

  get #walker() {
    if (!this.#kept) throw ended();
    return this.#kept;
  }

  /**
   * A view of the walker's memory, made anew when the memory has grown: good until the next call of a method.
   * @param {keyof typeof arrays} name
   */
  #view(name) {
    if (this.nodeCount === 0) throw ended();
    if (this.#walker.buffer() === this.#buffer && this.#views[name]) return this.#views[name];
    const at = this.#walker.call.attach_graph_array(arrays[name]); // may let the memory grow
    if (at === 0) throw outOfMemory();
    if (this.#walker.buffer() !== this.#buffer) this.#views = {};
    this.#buffer = this.#walker.buffer();
    return (this.#views[name] = this.#makeView(name, at));
  }

  /** @param {keyof typeof arrays} name @param {number} at */
  #makeView(name, at) {
    const buffer = this.#walker.buffer();
    if (name === "kinds") return new Uint8Array(buffer, at, this.nodeCount);
    if (name === "retained") return new Float64Array(buffer, at, this.nodeCount);
    return new Uint32Array(buffer, at, lengthOf(name, this.nodeCount, this.edgeCount));
  }

  /** Who reached a node first, which is the step before it on its shortest path; 0 of a root. @returns {Uint32Array} */
  get parents() { return this.#view("parents"); }
  /** Where a node's references begin in `successors`. @returns {Uint32Array} */
  get first() { return this.#view("first"); }
  /** What nodes refer to, node after node; twice where they refer twice. @returns {Uint32Array} */
  get successors() { return this.#view("successors"); }
  /** The nearest node without which a node would go: its immediate dominator. @returns {Uint32Array} */
  get dominators() { return this.#view("dominators"); }
  /** Own bytes; `mostOwn` where it is more. @returns {Uint32Array} */
  get own() { return this.#view("own"); }
  /** Own bytes, however many. @param {number} node */
  ownBytes(node) {
    const own = this.own[this.#checked(node)];
    return own < mostOwn ? own : this.#walker.call.attach_own_bytes(node);
  }
  /** What would be freed if a node went: bytes of everything it dominates, and its own. @returns {Float64Array} */
  get retained() { return this.#view("retained"); }
  /** Numbers of kinds: see `kindNames`. @returns {Uint8Array} */
  get kinds() { return this.#view("kinds"); }

  /** The node again; what is none would be read from somewhere else. @param {number} node */
  #checked(node) {
    if (Number.isInteger(node) && node >= 0 && node < this.nodeCount) return node;
    if (this.nodeCount === 0) throw ended();
    throw new MembuddyError(`membuddy: the node is ${shown(node)}; accepted: whole numbers from 0 to ${this.nodeCount - 1}`);
  }

  /** @param {number} node */
  kindName(node) { return kindNames[this.kinds[this.#checked(node)]]; }

  /** What a node refers to, in the order of its references; a copy of nothing. @param {number} node @returns {Uint32Array} */
  references(node) {
    const { first } = this;
    return this.successors.subarray(first[this.#checked(node)], first[node + 1]);
  }

  /** Who refers to a node, by number, once for each reference. @param {number} node @returns {Uint32Array} */
  referrers(node) {
    const list = this.#view("referrers"), first = this.#view("referrerFirst");
    return list.subarray(first[this.#checked(node)], first[node + 1]);
  }

  /**
   * What a node dominates immediately, largest first; of the same size, the one nearer to the root first.
   * @param {number} node @returns {Uint32Array}
   */
  children(node) {
    if (this.#walker.call.attach_sort_children(this.#checked(node)) < 0) throw outOfMemory();
    const list = this.#view("children"), first = this.#view("childFirst");
    return list.subarray(first[node], first[node + 1]);
  }

  /** Where each node's part of `childList` begins: for loops over all of the dominator tree. @returns {Uint32Array} */
  get childFirst() { return this.#view("childFirst"); }
  /** What nodes dominate, node after node; those that `children` was not asked about in the order of numbers. @returns {Uint32Array} */
  get childList() { return this.#view("children"); }

  /** The label of a node's last step on its shortest path, as in a report. @param {number} node */
  name(node) {
    if (node === 0) return wholeName;
    const known = this.#names.get(this.#checked(node));
    if (known !== undefined) return known;
    const name = numbered(this.#walker.text(this.#walker.call.attach_path_label(node)), this.parents[node] === 0);
    if (this.#names.size >= remembered) this.#names.clear();
    this.#names.set(node, name);
    return name;
  }

  /** The names of many nodes: each alone would be looked for in all of its table. @param {Iterable<number>} nodes @returns {Map<number, string>} */
  names(nodes) {
    if (typeof nodes?.[Symbol.iterator] !== "function") throw new MembuddyError(`membuddy: the nodes are ${described(nodes)}; accepted: an array of them, or another iterable`);
    const { parents } = this;
    /** @type {Map<number, number[]>} */ const byParent = new Map();
    for (const node of nodes) {
      const parent = parents[this.#checked(node)], list = byParent.get(parent);
      if (list) list.push(node);
      else byParent.set(parent, [node]);
    }
    /** @type {Map<number, string>} */ const found = new Map();
    for (const [parent, list] of byParent) {
      if (parent !== 0 && list.length >= manyNames) this.#readNames(parent, new Set(list), found);
      for (const node of list) if (!found.has(node)) found.set(node, this.name(node));
    }
    return found;
  }

  /** From one pass. @param {number} parent @param {Set<number>} wanted @param {Map<number, string>} found */
  #readNames(parent, wanted, found) {
    const walker = this.#walker, { onWrite } = walker;
    /** @type {Map<string, number>} */ const namesakes = new Map();
    walker.onWrite = (record) => {
      const view = new DataView(record.buffer, record.byteOffset);
      const node = view.getUint32(0, true), repeats = view.getUint32(4, true), mayRepeat = repeats !== 0;
      if (!mayRepeat && !wanted.has(node)) return;
      const label = labelDecoder.decode(record.subarray(8));
      const count = mayRepeat ? (namesakes.get(label) ?? repeats - 1) + 1 : 1;
      if (mayRepeat) namesakes.set(label, count);
      if (wanted.has(node) && !found.has(node)) found.set(node, count > 1 ? `${label}#${count}` : numbered(label, false));
    };
    try {
      walker.call.attach_each_label(parent);
    } finally {
      walker.onWrite = onWrite;
    }
  }

  /** Under what label `from` refers to `to` (the first time): `key` where it is an entry's key. @param {number} from @param {number} to */
  label(from, to) {
    return numbered(this.#walker.text(this.#walker.call.attach_label(this.#checked(from), this.#checked(to))), from === 0);
  }

  /** How many steps a node is away from its root: 1 is a root. @param {number} node */
  depth(node) {
    let depth = 0;
    this.#checked(node);
    for (const parents = this.parents; node !== 0; node = parents[node]) depth++;
    return depth;
  }

  /**
   * The shortest path. Longer ones than `most` steps lose their middle, and lead nowhere then.
   * @param {number} node @param {number} [most]
   */
  path(node, most = Infinity) {
    const parents = this.parents;
    this.#checked(node);
    const depth = Number.isFinite(most) ? this.depth(node) : 0;
    const kept = depth > most ? Math.max(1, most >> 1) : 0;
    /** @type {string[]} */ const labels = [];
    for (let step = 1; node !== 0; node = parents[node], step++) {
      if (kept && step > kept && depth - step >= kept) {
        if (step === kept + 1) labels.push("…");
      } else labels.push(this.name(node));
    }
    return labels.reverse().join("/");
  }

  /** What a node is: a string's beginning, a function's place in the source, the name of its kind. @param {number} node */
  text(node) {
    const kind = this.kindName(node);
    if (node === 0) return "process";
    if (kind === "string") return `"${escaped(this.#walker.bytes(this.#walker.call.attach_node_text(node)), longestText)}"`;
    if (kind !== "function" && kind !== "proto") return kind;
    const place = this.#walker.text(this.#walker.call.attach_node_text(node));
    if (kind === "proto") return place;
    return place ? `function ${place}` : "C function";
  }

  /**
   * The node at a path, as reports write them; what does not begin at a root begins at `_G`.
   * @param {string} path
   * @returns {number} `noNode` where nothing is
   */
  find(path) {
    checkText("path", path);
    const segments = splitPath(path);
    const reported = heads.includes(segments[0]) ? this.#findReported(segments) : noNode;
    if (reported !== noNode) return reported;
    const globals = this.globals();
    if (segments[0] === "_G" && globals !== noNode) return this.#follow(globals, segments.slice(1));
    const fromRoot = this.#follow(0, segments);
    return fromRoot === noNode && globals !== noNode ? this.#follow(globals, segments) : fromRoot;
  }

  /** As the report calls what stands below a head, where paths of the graph have a number: `[finalizers]/2`, `[type metatables]/string`. @param {string[]} segments */
  #findReported([head, step, ...rest]) {
    if (lists.includes(head) && /^\d+$/.test(step)) return this.#follow(this.follow(0, `${head}#${step}`), rest);
    return head === "[type metatables]" && types.includes(step) ? this.#follow(this.#typeMetatable(step), rest) : noNode;
  }

  /** Of which type a metatable is the lines of a report tell, and no edge: the graph is made anew behind them, with the same numbers. @param {string} type */
  #typeMetatable(type) {
    const { call, text } = this.#walker;
    call.attach_end_graph();
    this.#views = {};
    const object = this.#reportedMetatable(call.attach_profile(this.#state, 0, 1, -1, -1, 0, 0), (line) => text(call.attach_line_label(line)), type);
    call.attach_end_profile();
    if (call.attach_graph(this.#state) !== this.nodeCount) throw outOfMemory();
    return object === 0 ? noNode : call.attach_node_of(object) >>> 0;
  }

  /** @param {number} count @param {(line: number) => string} label @param {string} type @returns {number} its address; 0: there is none */
  #reportedMetatable(count, label, type) {
    const { attach_line: figure } = this.#walker.call;
    for (let line = 0; line < count; line++) {
      const parent = figure(line, lineFigure.parent);
      if (parent >= 0 && figure(parent, lineFigure.parent) < 0 && label(parent) === "[type metatables]" && label(line) === type) return figure(line, lineFigure.object);
    }
    return 0;
  }

  /** The table of globals; `noNode` where there is none. */
  globals() {
    return this.follow(0, "_G");
  }

  /** What a node refers to under a label; `noNode`. @param {number} from @param {string} label */
  follow(from, label) {
    checkText("label", label);
    if (from === noNode) return noNode;
    return this.#walker.call.attach_follow(this.#checked(from), this.#walker.put(label)) >>> 0;
  }

  /** An upvalue's value may be named without the cell that holds it. @param {number} node @param {string[]} segments */
  #follow(node, segments) {
    for (const segment of segments) {
      if (node === noNode) break;
      const next = this.follow(node, segment);
      node = next === noNode && this.kindName(node) === "upvalue" ? this.follow(this.follow(node, "[value]"), segment) : next;
    }
    return node;
  }

  /** Puts every word of the memory back; nothing of this graph may be asked any more. */
  end() {
    if (this.nodeCount === 0) return;
    this.#walker.call.attach_end_graph();
    this.nodeCount = this.edgeCount = 0;
    this.#kept = undefined;
    this.#buffer = null;
    this.#views = {};
    this.#names.clear();
  }
}

/** Lines of a report that are Lua's own, or the head of several objects. @param {string} path */
export const isNoObject = (path) => path === "[string table]" || heads.includes(path);

/** Lines of a report that are several objects in one: of them the graph has each. @param {string} path */
export const isSum = (path) => sums.includes(splitPath(path).at(-1) ?? "");

/** @param {string} path */
export const severalAt = (path) =>
  new MembuddyError(`membuddy: '${path}' is a sum of several objects; accepted: the path of one, such as ${path}#1`);

/** @param {string} path of an entry that is a line of the report for the bytes of its key */
export const onlyKeyAt = (path) =>
  new MembuddyError(`membuddy: what is at '${path}' holds no memory of its own, only its key does; accepted: the path of an object, such as '${path} (key)'`);

/** A report also has lines that are sums, or Lua's own, which nobody can look into. @param {string} path @returns {MembuddyError} */
export function nothingAt(path) {
  if (heads.includes(path))
    return new MembuddyError(`membuddy: '${path}' is a line of the report, but no object; accepted: the path of one below it, such as ${path}#1`);
  if (isNoObject(path))
    return new MembuddyError(`membuddy: '${path}' is a line of the report, but no object; accepted: the path of one, such as _G/Inbox or Inbox`);
  if (path === wholeName)
    return new MembuddyError(`membuddy: '${path}' is the whole in \`tree\`, but no object; accepted: the path of one, such as _G/Inbox or Inbox`);
  const above = /^(.+)\/(?:\.\.\.|\[\d+ more\])$/s.exec(path)?.[1];
  return new MembuddyError(above === undefined
    ? `membuddy: there is nothing at the path '${path}'; accepted: a path as a report gives it, such as _G/Inbox or Inbox`
    : `membuddy: '${path}' is a sum of several objects; accepted: the path of one, such as ${above}`);
}

/** The segments of a path: what stands between slashes that no backslash escapes. @param {string} path */
export function splitPath(path) {
  return path === "" ? [] : path.split(/(?<!(?<!\\)(?:\\\\)*\\)\//);
}

const ended = () => new MembuddyError("this graph has ended: the heap was closed, or asked for something else");

const outOfMemory = () =>
  new MembuddyError("not enough memory for the graph of this process: about 50 bytes an object are needed beside a copy of it");

/** @param {string} name @param {number} nodes @param {number} edges */
function lengthOf(name, nodes, edges) {
  if (name === "successors" || name === "referrers") return edges;
  return name.endsWith("irst") ? nodes + 1 : nodes;
}

const labelDecoder = new TextDecoder("utf-8", { ignoreBOM: true }); // that mark is part of a name
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes of a string as a report shows them: cut, without anything that a terminal could mistake. @param {Uint8Array} bytes @param {number} limit */
function escaped(bytes, limit) {
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const length = characterLength(bytes, at);
    if (at + (length || 1) > limit) return `${text}…`;
    if (length === 0) text += `\\x${bytes[at].toString(16).toUpperCase().padStart(2, "0")}`;
    else text += strictDecoder.decode(bytes.subarray(at, at + length)).replace(/["\\]/, "\\$&");
    at += length || 1;
  }
  return text;
}

/** Bytes of the printable UTF-8 character at `at`; 0 where there is none. @param {Uint8Array} bytes @param {number} at */
function characterLength(bytes, at) {
  const byte = bytes[at];
  if (byte < 0x80) return byte >= 0x20 && byte !== 0x7f ? 1 : 0;
  const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
  try {
    const character = strictDecoder.decode(bytes.subarray(at, at + length));
    return /[\p{Cc}]/u.test(character) || [...character].length !== 1 ? 0 : length;
  } catch {
    return 0;
  }
}
