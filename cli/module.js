/**
 * The walker (src/attach.h) at work: a copy of a process's memory, grown, with the module behind its last page.
 * Knows nothing of reports; gives numbers, texts and views.
 */

export const pageBytes = 65536;
/** Places that are looked at for a heap: each may cost as much as one, and a memory may hold any number of forged ones. */
export const mostCandidates = 64;
const stackBytes = 4 * pageBytes;
/** Behind the subject at first: what the walker needs before it can ask for more. */
export const walkerBytes = stackBytes + 16 * pageBytes;
const tableLength = 64;
const firstFunction = 1; // 0 is C's null pointer

/**
 * @typedef {"lua53-wasm64" | "lua53-wasm32" | "lua54-wasm64" | "lua54-wasm32"} Variant  of processes
 * @typedef {Variant | "lua53-wasm64-large" | "lua54-wasm64-large"} WalkerName  large: in a 64-bit memory
 *
 * What is a page's or Node.js's own is told by its members where the package's types name it: a program need not have either.
 * @typedef {{ readonly buffer: ArrayBuffer, grow: (pages: number) => number }} WasmMemory  a WebAssembly.Memory
 * @typedef {object} WasmModule  a WebAssembly.Module
 */

/** @param {Variant} variant */
export const isWide = (variant) => variant.endsWith("64");

/**
 * A memory that holds `bytes` of the subject and may grow. `fill` writes the subject: straight from a file, if need be,
 * so that it is in memory only once.
 * @param {number} bytes @param {boolean} isLarge  a 64-bit memory @returns {WasmMemory}
 */
export function makeMemory(bytes, isLarge) {
  const initial = Math.ceil((bytes + walkerBytes) / pageBytes);
  if (!isLarge) return new WebAssembly.Memory({ initial }); // no maximum: some engines set as much aside
  const maximum = Math.max(initial + 1, largeMaximumPages());
  try { // the final specification
    return new WebAssembly.Memory(/** @type {any} */ ({ initial: BigInt(initial), maximum: BigInt(maximum), address: "i64" }));
  } catch { // Node.js up to 22
    return new WebAssembly.Memory(/** @type {any} */ ({ initial, maximum, index: "i64" }));
  }
}

const narrowMaximumPages = 65536;
let largest = 0;
/** How far this engine lets a 64-bit memory grow, in pages; no further than a 32-bit one where it has none. */
export function largeMaximumPages() {
  for (const pages of largest ? [largest] : [262144, 131072]) {
    try {
      new WebAssembly.Memory(/** @type {any} */ ({ initial: 0n, maximum: BigInt(pages), address: "i64" }));
      return (largest = pages);
    } catch {
      try {
        new WebAssembly.Memory(/** @type {any} */ ({ initial: 0, maximum: pages, index: "i64" }));
        return (largest = pages);
      } catch { /* less, then */ }
    }
  }
  return (largest = narrowMaximumPages);
}

/** `%.14g`, as Lua writes a number. @param {number} value */
export function formatNumber(value) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [digits, exponent] = value.toExponential(13).split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 14) {
    const sign = power < 0 ? "-" : "+";
    return `${trimZeros(digits)}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return trimZeros(value.toFixed(13 - power));
}
/** @param {string} text */
const trimZeros = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

/**
 * @typedef {object} Walker
 * @property {Variant} variant
 * @property {Record<string, (...values: (number | string)[]) => number>} call  the exports, addresses as numbers
 * @property {(length: number) => string} text  what an export left in the text, as UTF-8
 * @property {(length: number) => Uint8Array} bytes  the same, a copy of its bytes
 * @property {(text: string) => number} put  writes a text, gives its length in bytes
 * @property {() => ArrayBuffer} buffer  the memory as it is now
 * @property {number} subjectBytes
 * @property {((piece: Uint8Array) => void) | null} onWrite  takes what the module writes: a view, good until it returns
 * @property {() => void} restart  forgets all loans and the stack: after a trap
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // that mark is part of a name

/** Exports that take addresses; in 64 bits those are BigInts. The number says which arguments. */
const addresses = /** @type {Record<string, number[]>} */ ({
  attach_start: [0, 1], attach_find_state: [0], attach_check: [0], attach_read_books: [0], attach_profile: [0, 1],
  attach_retained: [0, 1], attach_exclusive: [0, 1], attach_graph: [0], attach_node_of: [0],
  attach_global_label: [0, 1], attach_parent: [0, 1], attach_step: [0, 1],
  attach_account: [0],
});

/** Exports that give addresses: in 32 bits the upper half of those would come as negative numbers. */
const givesAddress = /^attach_(text|find_state|problem_address|graph_array|shape_array|object_of|parent|step)$/;

/** @param {string} name @param {Function} run @param {boolean} wide @returns {(...values: (number | string)[]) => number} */
function exported(name, run, wide) {
  const taken = addresses[name] ?? [], gives = givesAddress.test(name);
  if (!gives && (!wide || taken.length === 0)) return /** @type {any} */ (run); // some are asked by the million
  if (!wide) return (...values) => run(...values) >>> 0;
  const asked = (/** @type {(number | string)[]} */ ...values) =>
    run(...values.map((value, index) => (taken.includes(index) ? BigInt(value) : Number(value))));
  return gives ? (...values) => Number(BigInt.asUintN(64, asked(...values))) : (...values) => Number(asked(...values));
}

/**
 * @param {WasmModule} module @param {Variant} variant @param {WasmMemory} memory
 * @param {number} subjectBytes @returns {Promise<Walker>}
 */
export async function makeWalker(module, variant, memory, subjectBytes) {
  const wide = isWide(variant);
  const address = (/** @type {number} */ value) => (wide ? BigInt(value) : value);
  const base = Math.ceil(subjectBytes / pageBytes) * pageBytes;
  const constant = (/** @type {number} */ value, wideOne = wide) =>
    new WebAssembly.Global({ value: wideOne ? "i64" : "i32", mutable: false }, wideOne ? BigInt(value) : value | 0);
  const dataBytes = dataSize(module);
  const stackTop = base + dataBytes + stackBytes;
  const stackPointer = new WebAssembly.Global({ value: wide ? "i64" : "i32", mutable: true }, address(stackTop));
  const buffer = () => memory.buffer;
  const env = {
    memory,
    __stack_pointer: stackPointer,
    __memory_base: constant(base),
    __memory_base32: constant(base, false),
    __table_base: constant(firstFunction),
    __table_base32: constant(firstFunction, false),
    __indirect_function_table: new WebAssembly.Table({ initial: tableLength, element: "anyfunc" }),
    write_number(/** @type {number | bigint} */ at, /** @type {number} */ value) {
      const text = encoder.encode(formatNumber(value));
      new Uint8Array(buffer(), Number(at), text.length).set(text);
      return text.length;
    },
    write(/** @type {number | bigint} */ at, /** @type {number | bigint} */ count) {
      walker.onWrite?.(new Uint8Array(buffer(), Number(at), Number(count)));
    },
  };
  const instance = await WebAssembly.instantiate(module, { env });
  const exports = /** @type {Record<string, Function>} */ (/** @type {unknown} */ (instance.exports));
  exports.__wasm_apply_data_relocs?.();
  const call = /** @type {Walker["call"]} */ ({});
  for (const [name, run] of Object.entries(exports))
    if (name.startsWith("attach_")) call[name] = exported(name, run, wide);
  const textAt = call.attach_text();
  const bytes = (/** @type {number} */ length) => new Uint8Array(buffer(), textAt, length).slice();
  const restart = () => {
    stackPointer.value = address(stackTop);
    call.attach_start(subjectBytes, stackTop);
  };
  restart();
  /** @type {Walker} */
  const walker = {
    variant, call, buffer, subjectBytes, bytes, restart,
    onWrite: null,
    text: (length) => decoder.decode(bytes(length)),
    put(text) {
      const encoded = encoder.encode(text).subarray(0, 4096);
      new Uint8Array(buffer(), textAt, encoded.length).set(encoded);
      return encoded.length;
    },
  };
  return walker;
}

/** Bytes of static data that a position-independent module asks for: its dylink.0 section says it. @param {WebAssembly.Module} module */
function dataSize(module) {
  const [section] = WebAssembly.Module.customSections(module, "dylink.0");
  const bytes = new Uint8Array(section);
  let at = 0;
  const number = () => {
    let value = 0, shift = 0, byte;
    do {
      byte = bytes[at++];
      value += (byte & 0x7f) * 2 ** shift;
      shift += 7;
    } while (byte & 0x80);
    return value;
  };
  while (at < bytes.length) {
    const kind = number(), length = number(), end = at + length;
    if (kind === 1) return Math.ceil(number() / 16) * 16 + 64; // memory info: size first
    at = end;
  }
  return pageBytes;
}
