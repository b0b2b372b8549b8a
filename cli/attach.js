/**
 * Attaches to the memory of any aos process: finds out which Lua it runs and how wide its addresses are, checks every
 * object and reference in it, and believes it only when its books balance to the byte.
 */
import { checkFunction, checkOptions, described } from "./check.js";
import { MembuddyError, grouped, messageOf } from "./errors.js";
import { Heap } from "./heap.js";
import { checkImage, readImage, wordOf } from "./image.js";
import { openInput, readBytes } from "./input.js";
import { clearBehind, copyMemory, loadMemory, tooLarge } from "./memory.js";
import { isWide, makeWalker, mostCandidates, pageBytes } from "./module.js";
import { readBooks } from "./results.js";

/**
 * @typedef {import("./module.js").Variant} Variant
 * @typedef {import("./module.js").Walker} Walker
 * @typedef {import("./module.js").WalkerName} WalkerName
 *
 * @typedef {object} Progress
 * @property {string} phase  what is being done, in words: `reading`, `looking for Lua`, ...
 * @property {number} [done] @property {number} [total]  bytes, where they are known
 *
 * @typedef {object} AttachOptions
 * @property {import("./input.js").Input} [module]  the WASM that the process runs: says which image it is, where its stack and its allocator are
 * @property {(progress: Progress) => void} [onProgress]
 * @property {(name: WalkerName) => Promise<WalkerFile>} [loadWalker]  where the walkers come from, if not from dist/attach-NAME.wasm
 *
 * @typedef {ArrayBuffer | ArrayBufferView | { arrayBuffer: () => Promise<ArrayBuffer>, ok?: boolean, status?: number, url?: string }} WalkerFile  the last is a Response
 *
 * @typedef {{ variant: Variant, address: number, reason: string, closeness: number }} Refusal
 */

/** @type {Variant[]} most processes are of the first kind */
const variants = ["lua53-wasm64", "lua54-wasm64", "lua53-wasm32", "lua54-wasm32"];
const mostOf32Bits = 2 ** 32;
const names = { lua53: "Lua 5.3", lua54: "Lua 5.4", wasm32: "32 bits", wasm64: "64 bits" };

/** @param {Variant} variant */
function versionOf(variant) {
  const [lua, width] = /** @type {(keyof typeof names)[]} */ (variant.split("-"));
  return `${names[lua]}, ${names[width]}`;
}

/* ---- the walkers ---- */

/** @type {Map<WalkerName, Promise<WebAssembly.Module>>} */
const compiled = new Map();

/** @param {WalkerName} name @returns {Promise<WalkerFile>} */
async function walkerFile(name) {
  const url = new URL(`../dist/attach-${name}.wasm`, import.meta.url);
  if (url.protocol !== "file:") return fetch(url);
  return (await import("node:fs/promises")).readFile(url);
}

/** What a server says instead of a file is none. @param {WalkerFile} source @returns {Promise<BufferSource>} */
async function bytesOf(source) {
  if (typeof source !== "object" || source === null) throw new Error(`loadWalker gave ${described(source)}; accepted: bytes, or a Response`);
  if (!("arrayBuffer" in source)) return /** @type {BufferSource} */ (source);
  if (source.ok === false) throw new Error(`HTTP ${source.status}${source.url ? ` at ${source.url}` : ""}; loadWalker says where the walkers are`);
  return source.arrayBuffer();
}

/** @param {WalkerName} name @param {NonNullable<AttachOptions["loadWalker"]>} load */
async function compileWalker(name, load) {
  try {
    return await WebAssembly.compile(await bytesOf(await load(name)));
  } catch (error) {
    const isAbsent = load === walkerFile && ["ENOENT", "ERR_INVALID_URL"].includes(/** @type {NodeJS.ErrnoException | null} */ (error)?.code ?? ""); // the latter in a bundle of CommonJS
    const remedy = isAbsent ? "; in a checkout, `make` makes it, and in a bundle `loadWalker` says where it is" : "";
    throw new MembuddyError(`the walker ${name} cannot be loaded: ${messageOf(error)}${remedy}`, { cause: error });
  }
}

/** @param {WalkerName} name @param {AttachOptions["loadWalker"]} load */
function walkerModule(name, load) {
  if (load) return compileWalker(name, load);
  const known = compiled.get(name);
  if (known) return known;
  const module = compileWalker(name, walkerFile);
  compiled.set(name, module);
  module.catch(() => compiled.delete(name)); // it may be there the next time
  return module;
}

/** @param {Variant} variant @param {boolean} isLarge @returns {WalkerName} */
const walkerName = (variant, isLarge) => (isLarge ? /** @type {WalkerName} */ (`${variant}-large`) : variant);

/** @param {Variant} variant @param {import("./memory.js").Loaded} loaded @param {AttachOptions["loadWalker"]} load */
async function startWalker(variant, { memory, bytes, isLarge }, load) {
  const name = walkerName(variant, isLarge), module = await walkerModule(name, load);
  try {
    return await makeWalker(module, variant, memory, bytes);
  } catch (error) {
    if (!load || error instanceof RangeError) throw error;
    throw new MembuddyError(`what loadWalker gave is not the walker ${name}: ${messageOf(error)}`, { cause: error });
  }
}

/* ---- candidates ---- */

const noRoom = "there was no memory to check it with";
const verdicts = [
  () => "a reference leads out of the memory",
  (/** @type {string} */ at) => `${at} is in a list of objects, and is none`,
  (/** @type {string} */ at, /** @type {number} */ value) => `${at} says that it has ${grouped(value)} bytes or entries, which cannot be`,
  (/** @type {string} */ at, /** @type {number} */ value) => `${at} refers to ${hex(value)}, where no such object is`,
  (/** @type {string} */ at) => `a list comes back to ${at}`,
  () => noRoom,
  (/** @type {string} */ _at, /** @type {number} */ value) => `its objects add up to ${grouped(value)} bytes less than Lua says it took`,
];
const unbalanced = verdicts.length - 1;

/** @param {number} address */
const hex = (address) => `0x${address.toString(16)}`;

/** What the check had found when it ended, or trapped. @param {Walker} walker @param {number} state @returns {Refusal} */
function refusal({ call, variant }, state) {
  const verdict = call.attach_last_verdict();
  const reason = verdicts[verdict](`the object at ${hex(call.attach_problem_address())}`, call.attach_problem_value());
  return { variant, address: state, reason, closeness: verdict === unbalanced ? 2 : 1 };
}

/** @param {Walker} walker @param {number} state @returns {Refusal | undefined} why a candidate is no heap, or not one whose books balance */
function refusalOf(walker, state) {
  try {
    return walker.call.attach_check(state) === 0 ? undefined : refusal(walker, state);
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    const refused = refusal(walker, state);
    walker.restart();
    return refused;
  }
}

/** @typedef {import("./heap.js").OtherHeap} OtherHeap */

/** @param {Walker} walker @param {number} state  of a sound heap; what a walk through it breaks off is none to prefer */
function luaSizeOf(walker, state) {
  try {
    return walker.call.attach_read_books(state) === 0 ? readBooks(walker).luaSize : 0;
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    walker.restart();
    return 0;
  }
}

/** Every sound heap, by address. Every candidate that is refused says why. @param {Walker} walker @param {Refusal[]} refusals */
function soundHeaps(walker, refusals) {
  const states = [];
  let state = walker.call.attach_find_state(0);
  for (let count = 0; state !== 0 && count < mostCandidates; count++) {
    const refusal = refusalOf(walker, state);
    if (refusal) refusals.push(refusal);
    else states.push(state);
    state = walker.call.attach_find_state(state + 1);
  }
  return states;
}

/**
 * The largest heap: which of several is the process's nothing says, and what it is fills a memory.
 * @param {Walker} walker @param {Refusal[]} refusals @returns {{ state: number, otherHeaps: OtherHeap[] } | undefined}
 */
function findHeap(walker, refusals) {
  const states = soundHeaps(walker, refusals);
  if (states.length === 0) return undefined;
  if (states.length === 1) return { state: states[0], otherHeaps: [] };
  const heaps = states.map((state) => ({ state, luaSize: luaSizeOf(walker, state) })).sort((a, b) => b.luaSize - a.luaSize);
  return { state: heaps[0].state, otherHeaps: heaps.slice(1) };
}

/**
 * The heap that the module names, and no other one.
 * @param {Walker} walker @param {Refusal[]} refusals @param {number} root  the address of its state
 */
function heapAt(walker, refusals, root) {
  const isThread = root !== 0 && walker.call.attach_find_state(root) === root;
  const reason = root === 0 ? "Lua has not begun there" : "no main thread stands there";
  const refusal = isThread ? refusalOf(walker, root) : { variant: walker.variant, address: root, reason, closeness: 0 };
  if (!refusal) return { state: root, otherHeaps: [] };
  refusals.push(refusal);
  return undefined;
}

/* ---- refusing ---- */

/** @param {Uint8Array} bytes */
function isZero(bytes) {
  const words = new Float64Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 8));
  for (let i = 0; i < words.length; i++) if (!Object.is(words[i], 0)) return false;
  return true;
}

/** @param {string} name @param {Uint8Array} bytes */
function checkShape(name, bytes) {
  if (bytes.length === 0) throw new MembuddyError(`${name} is empty; a process's memory was expected`);
  if (bytes.length % pageBytes !== 0)
    throw new MembuddyError(`${name} has ${grouped(bytes.length)} bytes, which is no whole number of pages of ${grouped(pageBytes)}: ` +
      "it was cut short, or it is not the linear memory of a process");
}

/** The one that is worth telling. @param {Refusal[]} refusals */
const closest = (refusals) => refusals.reduce((a, b) => (b.closeness > a.closeness ? b : a));

/** @param {string} name @param {Uint8Array} bytes @param {Refusal[]} refusals @param {Variant[]} tried */
function noHeap(name, bytes, refusals, tried) {
  const looked = `looked for the main thread of ${tried.map(versionOf).join("; ")}`;
  if (refusals.length === 0) {
    const why = isZero(bytes) ? "every byte of it is zero" : "nothing in it is one";
    return new MembuddyError(`${name}: no Lua in these ${grouped(bytes.length)} bytes: ${looked}, and ${why}`);
  }
  const best = closest(refusals);
  const others = refusals.length > 1 ? `; ${refusals.length - 1} other places were refused as well` : "";
  const isCut = tried.some((of) => refusals.filter(({ variant }) => variant === of).length === mostCandidates);
  const more = isCut ? ", and nobody looked further: --module tells where the heap is" : "";
  return new MembuddyError(`${name}: no sound Lua heap in these ${grouped(bytes.length)} bytes, which are damaged or cut short: ${looked}; ` +
    `what looks like ${versionOf(best.variant)} at ${hex(best.address)} is refused, since ${best.reason}${others}${more}`);
}

/* ---- the module ---- */

/** @typedef {import("./image.js").Image} Image */

/** Lua's name for itself is among the constants of an image, which stand at the beginning: megabytes of them have none. */
const farthestConstant = 2 ** 22;
const nameBegin = "L".charCodeAt(0), nameBytes = "Lua 5.4".length;

/** @param {Uint8Array} memory @returns {string | undefined} the first that it mentions: a guess, which saves looks at all of it */
function mentionedVersion(memory) {
  const constants = memory.subarray(0, farthestConstant);
  for (let at = constants.indexOf(nameBegin); at >= 0; at = constants.indexOf(nameBegin, at + 1)) {
    const version = /^Lua (5\.[34])/.exec(String.fromCharCode(...constants.subarray(at, at + nameBytes)))?.[1];
    if (version !== undefined) return version;
  }
  return undefined;
}

/** The one that fits the module, or the text in the memory, first. @param {Image | undefined} image @param {Uint8Array} memory */
function likelyVariants(image, memory) {
  const version = image ? image.lua : mentionedVersion(memory);
  const likely = `lua${version?.replace(".", "") ?? ""}-wasm${image?.bits ?? 64}`;
  return [...variants].sort((a, b) => Number(b === likely) - Number(a === likely));
}

/** Those that the module can be, which says where the state is. @param {Image} image */
const fittingVariants = ({ lua, bits }) =>
  variants.filter((variant) => variant.endsWith(`wasm${bits}`) && (lua === undefined || variant.startsWith(`lua${lua.replace(".", "")}`)));

/** Where the module says that the state is. Of an image that nobody knows, what is no address may be a flag. @param {Image} image @param {Uint8Array} memory */
function rootOf(image, memory) {
  if (image.statePointer === undefined) return undefined;
  const root = wordOf(image, "statePointer", memory);
  return image.name !== undefined || root % (image.bits / 8) === 0 ? root : undefined;
}

/** @param {import("./input.js").Input} module  a path, or a Blob that was a file */
const nameOfModule = (module) => (typeof module === "string" && module !== "-" ? module : /** @type {any} */ (module)?.name ?? "the module");

/** Why the heap that the module names is none. @param {string} name @param {Image} image @param {Uint8Array} bytes @param {Refusal[]} refusals */
function noHeapThere(name, image, bytes, refusals) {
  if (isZero(bytes)) return noHeap(name, bytes, [], fittingVariants(image));
  checkImage(image, image.bits, bytes, name);
  const best = closest(refusals);
  return new MembuddyError(`${name}: no sound Lua heap where ${image.name ?? "the module"} has its own: ` +
    `its main thread at ${hex(best.address)} is refused, since ${best.reason}`);
}

/* ---- the whole ---- */

/** Stands out here, since the heap keeps it: a function of 'attach' would keep the copy, closed or not. */
const tellNobody = () => {};

/**
 * Reads the memory of a process, raw or gzip, and proves that it understands it.
 * @param {import("./input.js").Input} input  the path of a file (`-`: the standard input), bytes, a Blob, or a result of the ao loader
 * @param {AttachOptions} [options]
 * @returns {Promise<Heap>}
 * @throws {MembuddyError} that says what was looked for and what was wrong
 */
export async function attach(input, options = {}) {
  checkOptions(options, ["module", "onProgress", "loadWalker"]);
  const { module, onProgress = tellNobody, loadWalker } = options;
  checkFunction("onProgress", onProgress);
  checkFunction("loadWalker", loadWalker);
  const moduleImage = module === undefined ? undefined : await readImage(await readBytes(module), nameOfModule(module));
  const source = await openInput(input, () => onProgress({ phase: "reading" }));
  /** @type {Refusal[]} */
  const refusals = [];
  let loaded = await loadMemory(source, (done, total) => onProgress({ phase: "reading", done, total }));
  const subject = () => new Uint8Array(loaded.memory.buffer, 0, loaded.bytes);
  checkShape(source.name, subject());
  onProgress({ phase: "looking for Lua" });
  const root = moduleImage && rootOf(moduleImage, subject());
  const likely = moduleImage && root !== undefined ? fittingVariants(moduleImage) : likelyVariants(moduleImage, subject());
  for (const variant of likely) {
    if (loaded.isLarge && !isWide(variant)) {
      if (loaded.bytes > mostOf32Bits) continue;
      loaded = copyMemory(source.name, loaded, false);
    } else clearBehind(loaded);
    const walker = await startWalker(variant, loaded, loadWalker);
    const found = root === undefined ? findHeap(walker, refusals) : heapAt(walker, refusals, root);
    if (!found) continue;
    if (moduleImage) checkImage(moduleImage, isWide(variant) ? 64 : 32, subject(), source.name);
    return new Heap({ walker, ...found, name: source.name, moduleImage, onProgress });
  }
  if (refusals.some(({ reason }) => reason === noRoom)) throw tooLarge(source.name, loaded.bytes, noRoom);
  if (moduleImage && root !== undefined && refusals.length > 0) throw noHeapThere(source.name, moduleImage, subject(), refusals);
  throw noHeap(source.name, subject(), refusals, likely);
}
