/**
 * The graph of everything that lives, as the walker (src/graph.h) made it: numbers in typed arrays, no object a node.
 *
 * Nodes are numbered breadth first: node 0 stands above all roots and holds nothing itself, a parent has a smaller
 * number than its children, and a dominator a smaller one than what it dominates. Figures are bytes.
 *
 * While a graph stands the walker can do nothing else: `end()` it before the next report.
 */

/** @typedef {import("./module.js").Walker} Walker */

/** Kinds by number, as in src/layout.h. */
export const kindNames = Object.freeze(
  ["table", "string", "function", "proto", "upvalue", "thread", "userdata", "state", "string table", "unknown"]);

/** No such node. */
export const noNode = 0xffffffff;

const longestText = 64;
const remembered = 4096;
const arrays = { places: 0, parents: 1, first: 2, successors: 3, dominators: 4, own: 5, retained: 6, kinds: 7 };

export class Graph {
  /** @type {Walker} */ #walker;
  /** @type {ArrayBuffer | null} */ #buffer = null;
  /** @type {Record<string, any>} */ #views = {};
  /** @type {Map<number, string>} labels of steps: paths share most of theirs */ #names = new Map();
  /** @type {{ first: Uint32Array, list: Uint32Array, sorted: Uint8Array } | null} */ #children = null;
  /** @type {{ first: Uint32Array, list: Uint32Array } | null} */ #referrers = null;

  /** @param {Walker} walker @param {number} state address of the lua_State */
  constructor(walker, state) {
    this.#walker = walker;
    const count = walker.call.attach_graph(state);
    if (count < 0) throw new Error("No memory for the graph of this process: it needs about 50 bytes an object.");
    /** Nodes, node 0 among them. */
    this.nodeCount = count;
    /** References between them. */
    this.edgeCount = this.first[count];
  }

  /** A view of the walker's memory, made anew when the memory has grown. @param {keyof typeof arrays} name */
  #view(name) {
    const buffer = this.#walker.buffer();
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#views = {};
    }
    return (this.#views[name] ??= this.#makeView(name, buffer));
  }

  /** @param {keyof typeof arrays} name @param {ArrayBuffer} buffer */
  #makeView(name, buffer) {
    if (this.nodeCount === 0) throw new Error("This graph has ended.");
    const at = this.#walker.call.attach_graph_array(arrays[name]);
    if (name === "kinds") return new Uint8Array(buffer, at, this.nodeCount);
    if (name === "retained") return new Float64Array(buffer, at, this.nodeCount);
    const length = { first: this.nodeCount + 1, successors: this.edgeCount }[/** @type {string} */ (name)] ?? this.nodeCount;
    return new Uint32Array(buffer, at, length);
  }

  /** Who reached a node first, which is the step before it on its shortest path; 0 of a root. @returns {Uint32Array} */
  get parents() { return this.#view("parents"); }
  /** Where a node's references begin in `successors`. @returns {Uint32Array} */
  get first() { return this.#view("first"); }
  /** What nodes refer to, node after node; twice where they refer twice. @returns {Uint32Array} */
  get successors() { return this.#view("successors"); }
  /** The nearest node without which a node would go: its immediate dominator. @returns {Uint32Array} */
  get dominators() { return this.#view("dominators"); }
  /** Own bytes. @returns {Uint32Array} */
  get own() { return this.#view("own"); }
  /** What would be freed if a node went: bytes of everything it dominates, and its own. @returns {Float64Array} */
  get retained() { return this.#view("retained"); }
  /** Numbers of kinds: see `kindNames`. @returns {Uint8Array} */
  get kinds() { return this.#view("kinds"); }

  /** @param {number} node */
  kindName(node) { return kindNames[this.kinds[node]]; }

  /** What a node refers to, in the order of its references; a copy of nothing. @param {number} node */
  references(node) {
    return this.successors.subarray(this.first[node], this.first[node + 1]);
  }

  /** Who refers to a node, by number, once for each reference. @param {number} node */
  referrers(node) {
    const { first, list } = (this.#referrers ??= reversed(this.first, this.successors, this.nodeCount));
    return list.subarray(first[node], first[node + 1]);
  }

  /**
   * What a node dominates immediately, largest first; of the same size, the one nearer to the root first.
   * @param {number} node
   */
  children(node) {
    const { first, list, sorted } = (this.#children ??= dominated(this.dominators, this.nodeCount));
    const found = list.subarray(first[node], first[node + 1]);
    if (found.length > 1 && !(sorted[node >> 3] & (1 << (node & 7)))) {
      const retained = this.retained;
      found.sort((a, b) => retained[b] - retained[a] || a - b);
      sorted[node >> 3] |= 1 << (node & 7);
    }
    return found;
  }

  /** The label of a node's last step on its shortest path, as in a report. @param {number} node */
  name(node) {
    if (node === 0) return "[process]";
    const known = this.#names.get(node);
    if (known !== undefined) return known;
    const name = this.#walker.text(this.#walker.call.attach_path_label(node));
    if (this.#names.size >= remembered) this.#names.clear();
    this.#names.set(node, name);
    return name;
  }

  /** Under what label `from` refers to `to` (the first time): `key` where it is an entry's key. @param {number} from @param {number} to */
  label(from, to) {
    return this.#walker.text(this.#walker.call.attach_label(from, to));
  }

  /** How many steps a node is away from its root: 1 is a root. @param {number} node */
  depth(node) {
    let depth = 0;
    for (const parents = this.parents; node !== 0; node = parents[node]) depth++;
    return depth;
  }

  /**
   * The shortest path. Longer ones than `most` steps lose their middle, and lead nowhere then.
   * @param {number} node @param {number} [most]
   */
  path(node, most = Infinity) {
    const parents = this.parents;
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
    const segments = splitPath(path);
    const globals = this.globals();
    if (segments[0] === "_G" && globals !== noNode) return this.#follow(globals, segments.slice(1));
    const fromRoot = this.#follow(0, segments);
    return fromRoot === noNode && globals !== noNode ? this.#follow(globals, segments) : fromRoot;
  }

  /** The table of globals; `noNode` where there is none. */
  globals() {
    return this.nodeCount > 1 && this.name(1) === "_G" ? 1 : noNode;
  }

  /** What a node refers to under a label; `noNode`. @param {number} from @param {string} label */
  follow(from, label) {
    return this.#walker.call.attach_follow(from, this.#walker.put(label)) >>> 0;
  }

  /** @param {number} node @param {string[]} segments */
  #follow(node, segments) {
    for (const segment of segments) {
      if (node === noNode) break;
      node = this.follow(node, segment);
    }
    return node;
  }

  /** Puts every word of the memory back; nothing of this graph may be asked any more. */
  end() {
    if (this.nodeCount === 0) return;
    this.#walker.call.attach_end_graph();
    this.nodeCount = this.edgeCount = 0;
    this.#views = {};
    this.#children = this.#referrers = null;
    this.#names.clear();
  }
}

/** The segments of a path: what stands between slashes that no backslash escapes. @param {string} path */
export function splitPath(path) {
  return path.match(/(?:\\.|[^\\/])+/gs) ?? [];
}

/** Edges the other way round. @param {Uint32Array} first @param {Uint32Array} successors @param {number} count */
function reversed(first, successors, count) {
  const begin = new Uint32Array(count + 2);
  for (let edge = 0; edge < successors.length; edge++) begin[successors[edge] + 2]++;
  for (let node = 2; node <= count + 1; node++) begin[node] += begin[node - 1];
  const list = new Uint32Array(successors.length);
  for (let from = 0; from < count; from++)
    for (let edge = first[from]; edge < first[from + 1]; edge++) list[begin[successors[edge] + 1]++] = from;
  return { first: begin, list };
}

/** The dominator tree from above. @param {Uint32Array} dominators @param {number} count */
function dominated(dominators, count) {
  const begin = new Uint32Array(count + 2);
  for (let node = 1; node < count; node++) if (dominators[node] !== noNode) begin[dominators[node] + 2]++;
  for (let node = 2; node <= count + 1; node++) begin[node] += begin[node - 1];
  const list = new Uint32Array(count);
  for (let node = 1; node < count; node++)
    if (dominators[node] !== noNode) list[begin[dominators[node] + 1]++] = node;
  return { first: begin, list, sorted: new Uint8Array((count + 7) >> 3) };
}

const strictDecoder = new TextDecoder("utf-8", { fatal: true });

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
