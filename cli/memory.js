/**
 * A copy of a process's memory, as WebAssembly memory with room for the walker behind it.
 */
import { MembuddyError, grouped, messageOf } from "./errors.js";
import { pourBytes } from "./input.js";
import { makeMemory } from "./module.js";

/** @typedef {{ memory: WebAssembly.Memory, bytes: number }} Loaded */

export const pageBytes = 65536;
const engine = typeof process === "object" && process.versions?.node ? `Node.js ${process.versions.node}` : "this browser";

/**
 * 64-bit memories are behind a flag in Node.js up to 22, which may be set while it runs as long as no memory was made.
 * Nothing else in the process changes.
 */
let flagIsSet = false;
async function allowWideMemories() {
  if (flagIsSet || typeof process !== "object" || !process.versions?.node) return;
  flagIsSet = true;
  if (Number(process.versions.node.split(".")[0]) < 24) (await import("node:v8")).setFlagsFromString("--experimental-wasm-memory64");
}

/** A module that has nothing but a 64-bit memory. */
const wideModule = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 4, 1]);

/** Whether this engine can read 64-bit processes: some browsers lack memory64. */
export async function hasWideMemories() {
  await allowWideMemories();
  return WebAssembly.validate(wideModule);
}

/** @param {string} name @param {number} bytes @param {boolean} wide @param {unknown} error */
function tooLarge(name, bytes, wide, error) {
  const limit = wide ? "Node.js 18 and 20 hold 4 GiB, Node.js 22 holds 16 GiB" : "a 32-bit memory holds 4 GiB";
  return new MembuddyError(
    `${name}: ${grouped(bytes)} bytes, and the room to walk them, do not fit into a WebAssembly memory of ${engine} (${limit}): ${messageOf(error)}`,
    { cause: error });
}

/** @param {string} name @param {number} bytes @param {boolean} wide */
function allocate(name, bytes, wide) {
  try {
    return makeMemory(bytes, wide);
  } catch (error) {
    throw tooLarge(name, bytes, wide, error);
  }
}

/** @param {WebAssembly.Memory} memory @param {number} pages @param {boolean} wide */
function grow(memory, pages, wide) {
  if (!wide) return memory.grow(pages);
  try { // the final specification
    return memory.grow(/** @type {any} */ (BigInt(pages)));
  } catch (error) {
    if (error instanceof RangeError) throw error;
    return memory.grow(pages); // Node.js up to 22
  }
}

/**
 * @param {import("./input.js").Source} source @param {boolean} wide
 * @param {(done: number, total: number) => void} onProgress @returns {Promise<Loaded>}
 */
export async function loadMemory(source, wide, onProgress) {
  if (wide) await allowWideMemories();
  const memory = allocate(source.name, source.bytes, wide);
  let at = 0;
  await source.pour({
    room(wanted) {
      const missing = at + wanted - memory.buffer.byteLength;
      if (missing > 0)
        try {
          grow(memory, Math.max(256, Math.ceil(missing / pageBytes)), wide);
        } catch (error) {
          throw tooLarge(source.name, at + wanted, wide, error);
        }
      return new Uint8Array(memory.buffer, at, wanted);
    },
    advance(bytes) {
      at += bytes;
      onProgress(at, Math.max(at, source.bytes));
    },
  });
  return { memory, bytes: at };
}

/** The same bytes in a memory of the other width. @param {string} name @param {Loaded} from @param {boolean} wide @returns {Loaded} */
export function copyMemory(name, from, wide) {
  const memory = allocate(name, from.bytes, wide);
  let at = 0;
  pourBytes({ room: (bytes) => new Uint8Array(memory.buffer, at, bytes), advance: (bytes) => { at += bytes; } }, new Uint8Array(from.memory.buffer, 0, from.bytes));
  return { memory, bytes: from.bytes };
}

/** Zeroes what stands behind the subject: a walker expects it so. @param {Loaded} loaded */
export function clearBehind({ memory, bytes }) {
  new Uint8Array(memory.buffer, bytes).fill(0);
}
