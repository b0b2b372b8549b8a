/**
 * The heap of a process, read from outside: what `membuddy` tells inside of one, asked of a copy of its memory.
 */
import { readAccount } from "./account.js";
import { described, shown } from "./check.js";
import { MembuddyError } from "./errors.js";
import { Graph } from "./graph.js";
import { readOptions } from "./options.js";
import { printLines } from "./print.js";
import { noMemoryForWalk, profile, readBooks, readHoldings, readKinds, readKindsOf } from "./results.js";
import { findTarget } from "./target.js";

/**
 * @typedef {import("./results.js").Results} Results
 * @typedef {import("./results.js").Kinds} Kinds
 * @typedef {import("./options.js").ReportOptions} ReportOptions
 *
 * @typedef {object} Image  what process this is the memory of
 * @property {"5.3" | "5.4"} lua
 * @property {32 | 64} bits
 * @property {number} bytes  of its linear memory
 * @property {string} [name]  of a published image, or of one of ours; with the module only, as what follows
 * @property {string} [sha256] @property {boolean} [hasMemBuddy] @property {number} [initialBytes] @property {number} [maximumBytes]
 *
 * @typedef {{ held: number, shared: number }} Holdings  bytes, without entering what has a name of its own; of these what others hold as well
 * @typedef {{ state: number, luaSize: number }} OtherHeap  the address of its main thread, and the bytes that Lua took
 *
 * @typedef {{ walker: import("./module.js").Walker, state: number, otherHeaps?: OtherHeap[], name: string, moduleImage?: import("./image.js").Image, onProgress: (progress: import("./attach.js").Progress) => void }} HeapParts
 */

const printAccepts = "accepted: results and options, or options alone";

/** What `print` was given, told apart as in Lua. @param {any} first @param {any} second */
function printArguments(first, second) {
  if (first === undefined || first === null) return { options: second };
  if (typeof first !== "object") throw new MembuddyError(`membuddy: the first argument is ${described(first)}; ${printAccepts}`);
  if ("type" in first || "sizes" in first) return { results: /** @type {Results} */ (first), options: second };
  if (second !== undefined && second !== null) throw new MembuddyError(`membuddy: the first argument is no results of profile(); ${printAccepts}`);
  return { options: first };
}

/** @param {string} path  of what is asked for */
function checkPath(path) {
  if (typeof path !== "string" || path === "") throw new MembuddyError(`membuddy: the path is ${shown(path)}; accepted: a path, as a report gives it`);
}

export class Heap {
  /** @type {import("./module.js").Walker | undefined} */
  #walker;
  #onProgress;
  #isTelling = false;
  /** @type {Graph | undefined} */
  #graph;

  /** @param {HeapParts} parts  made by `attach` */
  constructor({ walker, state, otherHeaps = [], name, moduleImage, onProgress }) {
    this.#walker = walker;
    this.#onProgress = onProgress;
    /** The address of the main thread. @readonly */
    this.state = state;
    /** Other sound heaps in the memory, which were not read: none where the module says which one is the process's. @readonly */
    this.otherHeaps = otherHeaps;
    /** What the memory was read from. @readonly */
    this.name = name;
    /** What the WASM that the process runs tells, where it was given. @readonly */
    this.moduleImage = moduleImage;
  }

  /** The C side (src/attach.h). */
  get walker() {
    if (!this.#walker) throw new MembuddyError("this heap was closed");
    return this.#walker;
  }

  /** @returns {Image} */
  get image() {
    const [lua, width] = this.walker.variant.split("-");
    const { name, sha256, hasMemBuddy, initialBytes, maximumBytes } = this.moduleImage ?? {};
    return {
      lua: lua === "lua53" ? "5.3" : "5.4", bits: width === "wasm64" ? 64 : 32, bytes: this.walker.subjectBytes,
      ...(this.moduleImage && { name, sha256, hasMemBuddy, initialBytes, maximumBytes }),
    };
  }

  /** Says what takes time. @param {string} phase */
  progress(phase) {
    this.#refuseListener();
    this.#isTelling = true;
    try {
      this.#onProgress({ phase });
    } finally {
      this.#isTelling = false;
    }
  }

  /** Another question in the middle of one would take away what that one reads. */
  #refuseListener() {
    if (this.#isTelling) throw new MembuddyError("membuddy: onProgress asks the heap that is being read; ask it when the call has returned");
  }

  /** A graph and a walk write numbers into the same words. */
  #endGraph() {
    this.#graph?.end();
    this.#graph = undefined;
  }

  /**
   * Asks the walker, who may find that the memory is damaged in a way that its check did not see.
   * @template T @param {(walker: import("./module.js").Walker) => T} question @returns {T}
   */
  #ask(question) {
    const walker = this.walker;
    this.#refuseListener();
    try {
      this.#endGraph();
      return question(walker);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      this.#walker = undefined; // what it had marked is not taken back
      throw new MembuddyError(`${this.name} is damaged: its books balance, but a walk through it ended with: ${error.message}`, { cause: error });
    }
  }

  /** @template T @param {(walker: import("./module.js").Walker) => T} read */
  #walk(read) {
    return this.#ask((walker) => {
      if (walker.call.attach_read_books(this.state) !== 0) throw noMemoryForWalk();
      return read(walker);
    });
  }

  /** Lua's own figure, and what it is made of. `unaccounted` is 0. */
  books() {
    return this.#walk(readBooks);
  }

  /** Count and bytes of the live objects of each kind, or of what the object at this path holds. @param {string} [path] @returns {Kinds} */
  kinds(path) {
    if (path === undefined) return this.#walk(readKinds);
    checkPath(path);
    return this.#ask((walker) => readKindsOf(walker, this.state, findTarget(walker, this.state, path).object));
  }

  /**
   * The results object of Lua's `membuddy.profile`; a target is named by its path.
   * @param {ReportOptions} [options] @returns {Results}
   */
  profile(options) {
    const settled = readOptions(options);
    this.progress("adding up");
    return this.#ask((walker) => {
      const target = settled.target === undefined ? undefined : findTarget(walker, this.state, settled.target);
      return profile(walker, this.state, settled, target);
    });
  }

  /**
   * The text of Lua's `membuddy.print`, of these results.
   * @overload @param {Results | null | undefined} results @param {ReportOptions} [options] @param {import("./print.js").Palette} [palette]
   * @returns {string} lines, each with its end
   */
  /**
   * The same of a report with these options.
   * @overload @param {ReportOptions | null} [options] @param {null} [none] @param {import("./print.js").Palette} [palette]
   * @returns {string} lines, each with its end
   */
  /** @param {Results | ReportOptions | null} [resultsOrOptions] @param {ReportOptions | null} [options] @param {import("./print.js").Palette} [palette] */
  print(resultsOrOptions, options, palette) {
    const given = printArguments(resultsOrOptions, options);
    const settled = readOptions(given.options ?? {});
    return printLines(given.results ?? this.profile(given.options ?? {}), settled, palette).map((line) => `${line}\n`).join("");
  }

  /** Bytes that only the object at this path keeps alive. @param {string} path @returns {number} */
  retained(path) {
    checkPath(path);
    this.progress("what only it holds");
    return this.#ask((walker) => {
      const bytes = walker.call.attach_retained(this.state, findTarget(walker, this.state, path).object);
      if (bytes < 0) throw noMemoryForWalk();
      return bytes;
    });
  }

  /**
   * What a node of the graph holds, as a report with it as its target says. The graph ends; its numbers are those of the next.
   * @param {number} node @returns {Holdings}
   */
  holdings(node) {
    const { nodeCount } = this.graph();
    if (!Number.isInteger(node) || node <= 0 || node >= nodeCount) // what is none would be read from somewhere else; 0 is no object
      throw new MembuddyError(`membuddy: the node is ${shown(node)}; accepted: whole numbers from 1 to ${nodeCount - 1}`);
    const object = this.walker.call.attach_object_of(node);
    return this.#ask((walker) => readHoldings(walker, this.state, object));
  }

  /** Every byte of the linear memory, each in one part: exactly with the module, else as far as the memory itself tells. */
  account() {
    this.progress("every byte");
    return this.#ask((walker) => readAccount({ walker, state: this.state }, this.moduleImage));
  }

  /** Everything that lives, as nodes and references, with what each retains. It ends with the next report. */
  graph() {
    this.progress("what holds what");
    if (!this.#graph?.nodeCount) this.#graph = this.#ask((walker) => new Graph(walker, this.state)); // none, or ended
    return this.#graph;
  }

  /**
   * The heap in the format of another tool. With a sink its pieces go there, one after the other, to keep, and nothing waits
   * for it.
   * @param {import("./export/index.js").FormatName} format @param {import("./export/index.js").ExportOptions} [options] @param {import("./export/index.js").Sink} [sink]
   * @returns {Promise<Uint8Array>} the file; empty where there is a sink
   */
  async export(format, options, sink) {
    const { exportBytes, exportHeap } = await import("./export/index.js");
    if (sink === undefined) return exportBytes(this, format, options);
    await exportHeap(this, format, sink, options);
    return new Uint8Array();
  }

  /** Lets go of the copy. */
  close() {
    this.#endGraph();
    this.#walker = undefined;
  }
}
