/**
 * A copy of a process's memory, as WebAssembly memory with room for the walker behind it.
 */
import { MembuddyError, grouped, messageOf } from "./errors.js";
import { checkKind, kindBytes, pourBytes } from "./input.js";
import { largeMaximumPages, makeMemory, pageBytes, walkerBytes } from "./module.js";

/** @typedef {{ memory: import("./module.js").WasmMemory, bytes: number, isLarge: boolean }} Loaded  large: a 64-bit memory */

/** Gzip promises the rest of a division by so many bytes. */
const mostPromised = 2 ** 32;
/** The other half of a 32-bit memory is room to walk this one. */
const mostNarrowBytes = 2 ** 31;
const engine = typeof process === "object" && process.versions?.node ? `Node.js ${process.versions.node}` : "this browser";

/**
 * 64-bit memories are behind a flag in Node.js up to 22, which may be set while it runs as long as no memory was made.
 * Nothing else in the process changes.
 */
let flagIsSet = false;
async function allowLargeMemories() {
  if (flagIsSet || typeof process !== "object" || !process.versions?.node) return;
  flagIsSet = true;
  if (Number(process.versions.node.split(".")[0]) < 24) (await import("node:v8")).setFlagsFromString("--experimental-wasm-memory64");
}

/** Whether this engine has memories of more than 4 GiB. */
async function hasLargeMemories() {
  await allowLargeMemories();
  return largeMaximumPages() * pageBytes > 2 ** 32;
}

/** @param {number} bytes @param {Loaded["isLarge"]} hasLarge */
const needsLarge = (bytes, hasLarge) => hasLarge && bytes > mostNarrowBytes;

/** @param {string} name @param {number} bytes @param {unknown} error */
export function tooLarge(name, bytes, error) {
  const gibibytes = (largeMaximumPages() * pageBytes) / 2 ** 30;
  const more = gibibytes > 4 ? "" : "; more have Node.js 22, Chrome and Edge from 133, Firefox from 134";
  return new MembuddyError(
    `${name}: ${grouped(bytes)} bytes, and the room to walk them, do not fit into a WebAssembly memory of ${engine} (${gibibytes} GiB${more}): ${messageOf(error)}`,
    { cause: error });
}

/** @param {string} name @param {number} bytes @param {boolean} isLarge */
function allocate(name, bytes, isLarge) {
  try {
    return makeMemory(bytes, isLarge);
  } catch (error) {
    throw tooLarge(name, bytes, error);
  }
}

/** @param {Loaded} loaded @param {number} pages */
function grow({ memory, isLarge }, pages) {
  if (!isLarge) return memory.grow(pages);
  try { // the final specification
    return memory.grow(/** @type {any} */ (BigInt(pages)));
  } catch (error) {
    if (error instanceof RangeError) throw error;
    return memory.grow(pages); // Node.js up to 22
  }
}

/** Room for `wanted` bytes more. @param {string} name @param {Loaded} loaded @param {number} wanted */
function makeRoom(name, loaded, wanted) {
  const missing = loaded.bytes + wanted - loaded.memory.buffer.byteLength;
  if (missing <= 0) return;
  try {
    grow(loaded, Math.max(256, Math.ceil(missing / pageBytes)));
  } catch (error) {
    throw tooLarge(name, loaded.bytes + wanted, error);
  }
}

/**
 * @param {import("./input.js").Source} source
 * @param {(done: number, total?: number) => void} onProgress @returns {Promise<Loaded>}
 */
export async function loadMemory(source, onProgress) {
  const hasLarge = await hasLargeMemories();
  const isLarge = needsLarge(source.bytes, hasLarge);
  let loaded = { memory: allocate(source.name, source.bytes, isLarge), bytes: 0, isLarge };
  await source.pour({
    room(wanted) {
      // more than was promised
      if (!loaded.isLarge && needsLarge(loaded.bytes + wanted, hasLarge)) loaded = copyMemory(source.name, loaded, true);
      makeRoom(source.name, loaded, wanted);
      return new Uint8Array(loaded.memory.buffer, loaded.bytes, wanted);
    },
    advance(bytes) {
      const isHead = loaded.bytes < kindBytes;
      loaded.bytes += bytes;
      if (isHead) checkKind(source.name, new Uint8Array(loaded.memory.buffer, 0, loaded.bytes)); // before all of it came, which may have no end
      const missed = Math.max(0, Math.ceil((loaded.bytes - source.bytes) / mostPromised)) * mostPromised;
      onProgress(loaded.bytes, source.bytes > 0 ? source.bytes + missed : undefined);
    },
  });
  makeRoom(source.name, loaded, walkerBytes); // nobody may have known how much would come
  return loaded;
}

/** The same bytes in a memory of the other kind. @param {string} name @param {Loaded} from @param {boolean} isLarge @returns {Loaded} */
export function copyMemory(name, from, isLarge) {
  const memory = allocate(name, from.bytes, isLarge);
  let at = 0;
  pourBytes({ room: (bytes) => new Uint8Array(memory.buffer, at, bytes), advance: (bytes) => { at += bytes; } }, new Uint8Array(from.memory.buffer, 0, from.bytes));
  return { memory, bytes: from.bytes, isLarge };
}

/** Zeroes what stands behind the subject: a walker expects it so. @param {Loaded} loaded */
export function clearBehind({ memory, bytes }) {
  new Uint8Array(memory.buffer, bytes).fill(0);
}
