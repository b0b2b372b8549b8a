/**
 * The reconciled account of a process, read from outside: every byte of its memory, each in one part. The counterpart of
 * `membuddy.account()` (src/account.h), and the same figures under the same names.
 *
 * With the module's WASM (`readImage`) everything is known. Without it the heap is found by the allocator's own
 * invariants; what lies below it (static data, stack, reserved addresses) is one figure then. `known` says which.
 */
import { MembuddyError, grouped } from "./errors.js";
import { checkImage, wordOf } from "./image.js";
import { isWide, pageBytes } from "./module.js";

/** The order of src/attach_account.h. */
const figures = [
  "live", "garbage", "runtime", "slack", "buffers", "other", "unwound", "free", "static", "stack", "gaps", "luaSize",
  "unaccounted", "largestFree", "freeChunks", "stackHighWater", "chunksAreKnown", "regionsAreKnown",
];

/**
 * In bytes. They sum to `memory`, always; a part that is not known is absent, and in another.
 * @typedef {object} Parts
 * @property {number} live  live objects of Lua
 * @property {number} garbage  what a collection would free now
 * @property {number} runtime  Lua's state block and string table
 * @property {number} [slack]  what the allocator adds to Lua's blocks
 * @property {number} [buffers]  buffers of Lua's libraries that Lua does not count
 * @property {number} [asyncify]  the buffer that a C stack is unwound into, where the process was left waiting for its host
 * @property {number} [other]  all other blocks in use
 * @property {number} [free]  free blocks, and memory that was grown but not asked for yet
 * @property {number} [static]
 * @property {number} [stack]
 * @property {number} [gaps]  reserved addresses at the bottom, alignment between regions
 * @property {number} [belowHeap]  in the place of static, stack and gaps: where no module tells them apart
 * @property {number} [unknown]  in the place of all that the heap holds beside Lua: where its chunks do not add up
 * @property {number} [unaccounted]  where Lua's books do not balance: what its own figure has above the sum of its objects
 *
 * @typedef {object} Known
 * @property {boolean} chunks  the heap's chunks lead from its first to its last without a gap, and Lua's blocks are among them
 * @property {boolean} regions  static data, stack and gaps
 * @property {boolean} maximum  how far the memory may grow
 * @property {boolean} asyncify
 *
 * @typedef {object} Account
 * @property {Parts} parts
 * @property {number} memory
 * @property {number} pages
 * @property {number} luaSize
 * @property {number} unaccounted
 * @property {number} [stackHighWater]  the most of the stack that was ever in use
 * @property {number} [asyncify]  what the process takes while it waits for its host, and only then
 * @property {number} [largestFree]
 * @property {number} [freeChunks]
 * @property {number} [maximum]
 * @property {number} [headroom]  until the maximum: what may be grown, and what is free
 * @property {Known} known
 *
 * @typedef {import("./image.js").Image} Image
 * @typedef {{ walker: import("./module.js").Walker, state: number }} ReadableHeap
 */

/** Where the image says that things are: the arguments of `attach_account`. @param {Image | undefined} image @param {Uint8Array} memory */
function addressesOf(image, memory) {
  const { mallocState = 0, heapBegin, breakPointer } = image ?? {};
  if (image === undefined || heapBegin === undefined || breakPointer === undefined) return [mallocState, 0, 0, 0, 0, 0, 0];
  const heapEnd = wordOf(image, "breakPointer", memory);
  const { stackLow, stackHigh, staticBegin, staticEnd } = image;
  if (stackLow === undefined || stackHigh === undefined || staticBegin === undefined || staticEnd === undefined)
    return [mallocState, 0, 0, 0, 0, 0, 0];
  return [mallocState, heapBegin, heapEnd, stackLow, stackHigh, staticBegin, staticEnd];
}

/** @param {Record<string, number>} read @returns {Parts} */
function luaParts({ live, garbage, runtime, unaccounted }) {
  return { live, garbage, runtime, ...(unaccounted !== 0 && { unaccounted }) };
}

/** @param {Record<string, number>} read @returns {Partial<Parts>} */
function chunkParts({ slack, buffers, other, unwound }) {
  return { slack, buffers, ...(unwound > 0 && { asyncify: unwound }), other: other - unwound };
}

/** @param {Record<string, number>} read @returns {Partial<Parts>} */
function regionParts(read) {
  if (read.regionsAreKnown) return { free: read.free, static: read.static, stack: read.stack, gaps: read.gaps };
  return read.chunksAreKnown ? { free: read.free, belowHeap: read.static + read.stack + read.gaps } : {};
}

/** @param {object} parts */
const sumOf = (parts) => Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);

/** Where the chunks are known nothing is left over: gaps are what lies between all else. @param {Record<string, number>} read @param {number} memory @returns {Parts} */
function partsOf(read, memory) {
  const lua = luaParts(read), regions = regionParts(read);
  if (read.chunksAreKnown) return { ...lua, ...chunkParts(read), ...regions };
  const named = { ...lua, ...regions };
  return { ...named, unknown: memory - sumOf(named) };
}

/**
 * The account of an attached heap.
 * @param {ReadableHeap} heap
 * @param {Image} [image] of the module that the process runs; one of another module is an error
 * @returns {Account}
 */
export function readAccount({ walker, state }, image) {
  const memory = walker.subjectBytes;
  const bytes = new Uint8Array(walker.buffer(), 0, memory);
  if (image !== undefined) checkImage(image, isWide(walker.variant) ? 64 : 32, bytes);
  if (walker.call.attach_account(state, memory, ...addressesOf(image, bytes)) !== 0)
    throw new MembuddyError(`not enough memory to read the account of ${grouped(memory)} bytes: the machine, or this engine's limit of WebAssembly memories, is too small`);
  const read = Object.fromEntries(figures.map((name, which) => [name, walker.call.attach_account_figure(which)]));
  const parts = partsOf(read, memory);
  const maximum = image?.maximumBytes;
  const asyncify = image?.asyncifyBytes;
  return {
    parts,
    memory,
    pages: memory / pageBytes,
    luaSize: read.luaSize,
    unaccounted: read.unaccounted,
    ...(read.regionsAreKnown && { stackHighWater: read.stackHighWater }),
    ...(asyncify !== undefined && { asyncify }),
    ...(read.chunksAreKnown && { largestFree: read.largestFree, freeChunks: read.freeChunks }),
    ...(maximum !== undefined && { maximum }),
    ...(maximum !== undefined && parts.free !== undefined && { headroom: maximum - memory + parts.free }),
    known: {
      chunks: read.chunksAreKnown === 1,
      regions: read.regionsAreKnown === 1,
      maximum: maximum !== undefined,
      asyncify: asyncify !== undefined,
    },
  };
}
