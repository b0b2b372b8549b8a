/**
 * What a memory can be read from, told apart by content: a file, raw or gzip; bytes; what the ao loader returns; a Blob
 * that was dropped on a page. A source pours its bytes into a sink, piece by piece, so that they are in memory once.
 */
import { MembuddyError, grouped, isOfSystem, messageOf, reasonOf } from "./errors.js";
import { pageBytes } from "./module.js";

/**
 * Where bytes go, which is zero at first: `room` gives a place for at most so many, `advance` says how many of them are done.
 * @typedef {{ room: (bytes: number) => Uint8Array, advance: (bytes: number) => void }} Sink
 *
 * @typedef {object} Source
 * @property {string} name  for messages
 * @property {number} bytes  raw: how many there are; gzip: how many its trailer promises; 0: nobody knows
 * @property {(sink: Sink) => Promise<void>} pour
 *
 * @typedef {import("./module.js").WasmMemory} WasmMemory
 * @typedef {{ readonly href: string, readonly protocol: string, readonly pathname: string }} UrlLike  a URL
 * @typedef {{ readonly size: number, readonly type: string, arrayBuffer: () => Promise<ArrayBuffer> }} BlobLike  a Blob
 * @typedef {{ Memory: ArrayBufferLike | ArrayBufferView | BlobLike | WasmMemory }} LoaderResult
 * @typedef {string | UrlLike | ArrayBufferLike | ArrayBufferView | BlobLike | WasmMemory | LoaderResult | { memory: LoaderResult["Memory"] }} Input
 */

const pieceBytes = 2 ** 20; // fits into the caches
const laneBytes = 4 * pieceBytes; // takes much longer than a trip to a thread and back
const bytesBetweenPauses = 64 * 2 ** 20;
const accepted =
  "the path or URL of a file, an ArrayBuffer, a SharedArrayBuffer, any view of one, a Blob, a WebAssembly.Memory, or a result of the ao loader (with `Memory`)";
const acceptedOfResults = "an ArrayBuffer, a SharedArrayBuffer, any view of one, a Blob or a WebAssembly.Memory";

const headBytes = 3; // that tell what it is

/** @param {Uint8Array} bytes */
const isGzip = (bytes) => bytes.length > 2 && bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8;

const mostInflated = 1040; // times as long, and a little more than deflate can do

/** Gzip's last four bytes: the length before compression, modulo 2^32. Where a file was cut short they are any; 0 where they cannot be. @param {Uint8Array} tail @param {number} compressed */
function promisedBytes(tail, compressed) {
  const promised = tail.length < 4 ? 0 : new DataView(tail.buffer, tail.byteOffset, tail.byteLength).getUint32(tail.byteLength - 4, true);
  return promised <= mostInflated * compressed ? promised : 0;
}

/** Lets others run, now and then. @param {number} at */
const pauseAt = (at) => (at % bytesBetweenPauses === 0 ? new Promise((resolve) => setTimeout(resolve)) : undefined);

const zeros = typeof Buffer === "function" ? Buffer.alloc(pageBytes) : undefined;

/** @param {Uint8Array} page */
function isZero(page) {
  return zeros !== undefined && Buffer.compare(page, page.length === pageBytes ? zeros : zeros.subarray(0, page.length)) === 0;
}

/** Pages of zeros, the most of many memories, are not written: so they take no memory. @param {Sink} sink @param {Uint8Array} bytes */
export function pourBytes(sink, bytes) {
  const room = sink.room(bytes.length);
  for (let at = 0; at < bytes.length; at += pageBytes) {
    const page = bytes.subarray(at, at + pageBytes);
    if (!isZero(page)) room.set(page, at);
  }
  sink.advance(bytes.length);
}

/** What a stream of a page gives. @param {ReadableStream<Uint8Array>} stream */
async function* piecesOf(stream) {
  const reader = stream.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) yield piece.value;
}

/** Node.js as it reads a file: its stream is another's from 22 on, and refuses zeros behind the end. @param {string} name @param {ReadableStream<Uint8Array>} compressed @param {Sink} sink */
async function pourGzip(name, compressed, sink) {
  if (typeof process === "object" && process.versions?.node) return pourGzipStream(name, (await import("node:stream")).Readable.from(/** @type {any} */ (compressed)), sink);
  for await (const piece of unbroken(name, piecesOf(compressed.pipeThrough(/** @type {any} */ (new DecompressionStream("gzip")))))) pourBytes(sink, piece);
}

/** The same pieces; where they break off it is the file's fault. What their taker throws is not. @param {string} name @param {AsyncIterable<Uint8Array>} inflated */
async function* unbroken(name, inflated) {
  try {
    yield* inflated;
  } catch (error) {
    const reason = messageOf(error) || messageOf(/** @type {Error} */ (error).cause); // Node.js 22 tells it there
    throw new MembuddyError(`${name} is a gzip file that cannot be read to its end (${reason}); fetch it again`, { cause: error });
  }
}

/** @param {string} name @param {Blob} blob @returns {Promise<Source>} */
async function blobSource(name, blob) {
  const bytesAt = async (/** @type {number} */ from, /** @type {number} */ to) => {
    try {
      return new Uint8Array(await blob.slice(from, to).arrayBuffer());
    } catch (error) {
      throw unreadable(name, error); // that of a file which was changed since
    }
  };
  if (isGzip(await bytesAt(0, 3))) {
    const bytes = promisedBytes(await bytesAt(Math.max(0, blob.size - 4), blob.size), blob.size);
    return { name, bytes, pour: (sink) => pourGzip(name, blob.stream(), sink) };
  }
  return {
    name, bytes: blob.size,
    async pour(sink) {
      for (let at = 0; at < blob.size; at += pieceBytes) pourBytes(sink, await bytesAt(at, Math.min(at + pieceBytes, blob.size)));
    },
  };
}

/** @param {string} name @param {Uint8Array} bytes @returns {Promise<Source>} */
async function bytesSource(name, bytes) {
  const { length } = bytes;
  if (isGzip(bytes)) return blobSource(name, new Blob([new Uint8Array(bytes)])); // a copy: of one that is shared Node.js 18 makes none, and ends
  return {
    name, bytes: length,
    async pour(sink) {
      for (let at = 0; at < length; at += pieceBytes) {
        if (bytes.length !== length) throw new MembuddyError(`${name} grew, or was given away, while it was read; wait until it is read, or give a copy`);
        pourBytes(sink, bytes.subarray(at, at + pieceBytes));
        await pauseAt(at);
      }
    },
  };
}

/**
 * Half by a thread of the system's, half here meanwhile: most of it is waiting for memory. @returns how many bytes came
 * @param {typeof import("node:fs").readSync} readSync @param {import("node:fs/promises").FileHandle} handle @param {Uint8Array} room @param {number} at
 */
async function readInTwo(readSync, handle, room, at) {
  const middle = Math.min(room.length, laneBytes);
  const other = middle < room.length ? handle.read(room, middle, room.length - middle, at + middle) : { bytesRead: 0 };
  try {
    const count = readSync(handle.fd, room, 0, middle, at);
    return count < middle ? count : count + (await other).bytesRead;
  } finally {
    await other;
  }
}

/**
 * Straight to its place; but where a page of zeros was met, more of them are expected, and those are not written.
 * @param {import("node:fs/promises").FileHandle} handle @param {Sink} sink @param {number} bytes
 */
async function pourHandle(handle, sink, bytes) {
  const { readSync } = await import("node:fs");
  const scratch = new Uint8Array(pieceBytes);
  for (let at = 0, expectsZeros = false, count = -1; at < bytes && count !== 0; at += count) {
    const wanted = Math.min(expectsZeros ? pieceBytes : 2 * laneBytes, bytes - at);
    const piece = expectsZeros ? scratch.subarray(0, wanted) : sink.room(wanted);
    count = await readInTwo(readSync, handle, piece, at);
    if (expectsZeros) pourBytes(sink, piece.subarray(0, count));
    else sink.advance(count);
    expectsZeros = isZero(piece.subarray(Math.max(0, count - pageBytes), count));
    await pauseAt(at);
  }
}

/** @param {string} path @param {unknown} error */
function unreadable(path, error) {
  if (error instanceof MembuddyError) return error;
  const isMissing = /** @type {any} */ (error).code === "ENOENT", isAddress = /^\w+:\/\//.test(path);
  const reason = !isMissing ? reasonOf(error) : isAddress ? "an address is no file; fetch it, and give what came" : "there is no such file";
  return new MembuddyError(`${path === "" ? "a file without a name" : path} cannot be read: ${reason}`, { cause: error });
}

/** @param {string} path @returns {Promise<import("node:fs/promises").FileHandle>} */
async function openFile(path) {
  const { open } = await import("node:fs/promises");
  try {
    const handle = await open(path);
    if (!(await handle.stat()).isDirectory()) return handle;
    await handle.close();
    throw new MembuddyError(`${path} is a directory; name a file`);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** @template T @param {string} path @param {(handle: import("node:fs/promises").FileHandle) => Promise<T>} use @param {import("node:fs/promises").FileHandle} [opened] */
async function withFile(path, use, opened) {
  const handle = opened ?? await openFile(path);
  try {
    return await use(handle);
  } catch (error) {
    throw isOfSystem(error) ? unreadable(path, error) : error;
  } finally {
    await handle.close();
  }
}

/** zlib itself: a page's streams come in pieces too small for a hundred megabytes. @param {string} name @param {import("node:stream").Readable} compressed @param {Sink} sink */
async function pourGzipStream(name, compressed, sink) {
  const { createGunzip } = await import("node:zlib");
  const inflated = createGunzip({ chunkSize: 2 ** 20 });
  compressed.on("error", (error) => inflated.destroy(error));
  try {
    for await (const piece of unbroken(name, compressed.pipe(inflated))) pourBytes(sink, piece);
  } finally {
    compressed.destroy();
  }
}

/** @param {string} path @param {Sink} sink */
async function pourGzipFile(path, sink) {
  const { createReadStream } = await import("node:fs");
  return pourGzipStream(path, createReadStream(path, { highWaterMark: 2 ** 18 }), sink);
}

/** A named pipe, read as the standard input is: a file's stream keeps the process until the writer writes, or ends. @param {string} path */
async function pipeOf(path) {
  const { open, stat } = await import("node:fs");
  const { promisify } = await import("node:util");
  const isPipe = await promisify(stat)(path).then((stats) => stats.isFIFO(), () => false); // else it is told when it is opened
  if (!isPipe) return undefined;
  const { Socket } = await import("node:net");
  return promisify(open)(path, "r").then((fd) => new Socket({ fd, readable: true, writable: false }), (error) => { throw unreadable(path, error); });
}

/** @param {string} path @returns {Promise<Source>} */
async function fileSource(path) {
  const pipe = await pipeOf(path);
  if (pipe) return pipeSource(path, pipe);
  const opened = await openFile(path);
  const stat = await opened.stat();
  if (!stat.isFile()) return pipeSource(path, opened.createReadStream());
  return withFile(path, async (handle) => {
    const head = new Uint8Array(headBytes), tail = new Uint8Array(4);
    await handle.read(head, 0, headBytes, 0);
    if (!isGzip(head)) return { name: path, bytes: stat.size, pour: (sink) => withFile(path, async (file) => pourHandle(file, sink, (await file.stat()).size)) }; // another may have taken its place
    await handle.read(tail, 0, 4, Math.max(0, stat.size - 4));
    return { name: path, bytes: promisedBytes(tail, stat.size), pour: (sink) => pourGzipFile(path, sink) };
  }, opened);
}

/** The same pieces, of which the first is no shorter than the head, if there is so much. @param {AsyncIterable<Uint8Array>} pieces */
async function* fromHead(pieces) {
  /** @type {Uint8Array | undefined} */
  let head = new Uint8Array();
  for await (const piece of pieces) {
    if (head === undefined) yield piece;
    else if ((head = Buffer.concat([head, piece])).length >= headBytes) {
      yield head;
      head = undefined;
    }
  }
  if (head) yield head;
}

/** What comes through a pipe has no size, is read once, and goes straight to its place: whoever takes it says how much that may be. @param {string} name @param {import("node:stream").Readable} stream @returns {Source} */
function pipeSource(name, stream) {
  return {
    name, bytes: 0,
    async pour(sink) {
      const pieces = fromHead(stream);
      try {
        const { value: head } = /** @type {{ value: Uint8Array }} */ (await pieces.next());
        if (isGzip(head)) return await pourGzipStream(name, (await import("node:stream")).Readable.from(withHead(head, pieces)), sink);
        for await (const piece of withHead(head, pieces)) pourBytes(sink, piece);
      } catch (error) {
        throw isOfSystem(error) ? unreadable(name, error) : error;
      } finally {
        stream.destroy();
      }
    },
  };
}

/** @param {Uint8Array} head @param {AsyncIterable<Uint8Array>} pieces */
async function* withHead(head, pieces) {
  yield head;
  yield* pieces;
}

let standardInputIsTaken = false;

/** @param {() => void} onWait */
async function standardInput(onWait) {
  if (standardInputIsTaken) throw new MembuddyError("the standard input was read already, which goes once; name a file for the other");
  standardInputIsTaken = true;
  const { fstatSync } = await import("node:fs");
  if (fstatSync(0).isDirectory()) throw new MembuddyError("the standard input is a directory; name a file");
  onWait();
  return pipeSource("the standard input", process.stdin);
}

/** @param {unknown} value @returns {Uint8Array | undefined} @throws {TypeError} where a buffer was given away */
function viewOf(value) {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer || (typeof SharedArrayBuffer !== "undefined" && value instanceof SharedArrayBuffer))
    return new Uint8Array(value);
  if (Object.prototype.toString.call(value) === "[object ArrayBuffer]") return new Uint8Array(/** @type {ArrayBuffer} */ (value)); // of another realm
  return undefined;
}

/** @param {unknown} value @returns {string} */
function shown(value) {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  const keys = Object.keys(value).slice(0, 5).join(", ");
  return `an object ${keys ? `with ${keys}` : "without keys"}`;
}

/** @param {string} expected @param {unknown} given @param {string} whatIs @returns {never} */
function refuse(expected, given, whatIs) {
  throw new MembuddyError(`${expected}, and ${shown(given)} was given; accepted: ${whatIs}`);
}

const longestError = 500; // characters

/** The Error of a result, which may be anything. @param {unknown} error */
function errorText(error) {
  try {
    const text = JSON.stringify(error) ?? shown(error);
    return text.length > longestError ? `${text.slice(0, longestError)}…` : text;
  } catch {
    return shown(error); // a cycle, or a bigint
  }
}

/** What is there already. @param {unknown} input @returns {Promise<Source> | undefined} */
function sourceOfBytes(input) {
  if (typeof Blob !== "undefined" && input instanceof Blob) return blobSource(/** @type {any} */ (input).name ?? "the memory", input);
  if (typeof WebAssembly === "object" && input instanceof WebAssembly.Memory) return bytesSource("the memory", new Uint8Array(input.buffer));
  try {
    const bytes = viewOf(input);
    return bytes && bytesSource("the memory", bytes);
  } catch (error) {
    throw new MembuddyError(`the memory cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** @param {URL} url */
async function pathOfUrl(url) {
  const { fileURLToPath } = await import("node:url");
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new MembuddyError(`${url.href} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * @param {Input} input `-` is the standard input @param {() => void} [onWait]  before something slow
 * @param {string} [wanted]  what it is to be, for messages
 * @returns {Promise<Source>}
 */
export async function openInput(input, onWait = () => {}, wanted = "a memory") {
  if (input === "-") return standardInput(onWait);
  if (typeof input === "string") return fileSource(input);
  if (input instanceof URL) {
    if (input.protocol !== "file:") throw new MembuddyError(`${input.href} is not a file; fetch it, and give its bytes`);
    return fileSource(await pathOfUrl(input));
  }
  const source = sourceOfBytes(input);
  if (source) return source;
  const result = /** @type {any} */ (input), inner = result?.Memory ?? result?.memory;
  if (inner) return sourceOfBytes(inner) ?? refuse("bytes were expected as the Memory of this result", inner, acceptedOfResults); // no path: somebody else wrote it
  if (result?.Error) throw new MembuddyError(`this result has no Memory, but an Error: ${errorText(result.Error)}`);
  return refuse(`${wanted} was expected`, input, accepted);
}

const mostModuleBytes = 2 ** 30; // that engines compile

/** All bytes of a source, for what is not walked: a module's WASM. @param {Input} input @returns {Promise<Uint8Array>} */
export async function readBytes(input) {
  const source = await openInput(input, undefined, "a module");
  const checkSize = (/** @type {number} */ size) => {
    if (size > mostModuleBytes) throw new MembuddyError(`${source.name} has more than ${grouped(mostModuleBytes)} bytes, which a module has at most`);
  };
  checkSize(source.bytes);
  let bytes = new Uint8Array(source.bytes), at = 0;
  await source.pour({
    room(wanted) {
      checkSize(at + wanted);
      if (at + wanted > bytes.length) {
        const larger = new Uint8Array(Math.max(2 * bytes.length, at + wanted));
        larger.set(bytes);
        bytes = larger;
      }
      return bytes.subarray(at, at + wanted);
    },
    advance: (count) => { at += count; },
  });
  return bytes.subarray(0, at);
}

export const kindBytes = 16; // that tell what is no memory

/** What begins so, if it is known to be no memory: that has zeros where C's null pointer leads. @param {Uint8Array} head */
function foreignKind(head) {
  const text = String.fromCharCode(...head.subarray(0, kindBytes));
  if (text.startsWith("\0asm")) return "a WebAssembly module, not the memory of a process (give it with --module)";
  if (text.startsWith("\x7fELF")) return "a program";
  if (text.startsWith("PK\x03\x04")) return "a ZIP archive";
  if (text.startsWith("\x28\xb5\x2f\xfd")) return "compressed by zstd; unpack it first";
  if (/^\s*[{[]/.test(text)) return "JSON, it seems";
  if (/^\s*</.test(text)) return "HTML or XML, it seems";
  if (/^[\t\n\r -~]{16}$/.test(text)) return "text, it seems";
  return undefined;
}

/** @param {string} name @param {Uint8Array} head  of a memory, as it seems @throws {MembuddyError} where it is none */
export function checkKind(name, head) {
  const foreign = foreignKind(head);
  if (foreign) throw new MembuddyError(`${name} is ${foreign}; a process's linear memory was expected, raw or gzip`);
}
