/**
 * pprof's profile.proto, compressed: two values a sample, objects and bytes in use; the stack of a sample is the path that
 * retains it, its leaf the kind of object.
 *
 * There is no time in it, so that the same memory gives the same bytes.
 */
import { Function as PprofFunction, Line, Location, Mapping, Profile, Sample, StringTable, ValueType, emptyTableToken } from "pprof-format";
import { readBranches, stacks } from "./branches.js";

const samplesOfPiece = 16384; // 8 MB while it is made; in smaller ones less is alike, and gzip finds less

/** @returns {{ sample: Sample[], location: Location[], function: PprofFunction[], stringTable: StringTable }} */
const emptyPiece = () => ({ sample: [], location: [], function: [], stringTable: new StringTable(emptyTableToken) });

/** A profile in pieces: messages which, one behind the other, are one message. Strings, locations and functions are in it once each. */
class Pieces {
  /** @type {Map<string, number>} */ #texts = new Map();
  /** @type {Map<string, number>} */ #locations = new Map();
  #piece = emptyPiece();

  /** @param {string} text */
  textId(text) {
    const id = this.#texts.get(text) ?? this.#texts.size;
    if (id === this.#texts.size) {
      this.#texts.set(text, id);
      this.#piece.stringTable.dedup(text);
    }
    return id;
  }

  /** @param {import("./branches.js").Frame} frame */
  #locationId({ name, source }) {
    const key = source ? `${source.file}\0${source.line}\0${name}` : name;
    return this.#locations.get(key) ?? this.#addLocation(key, name, source);
  }

  /** @param {string} key @param {string} name @param {{ file: string, line: number } | undefined} source */
  #addLocation(key, name, source) {
    const id = this.#locations.size + 1;
    const text = this.textId(name);
    const filename = source ? this.textId(source.file) : 0, line = source?.line ?? 0;
    this.#piece.function.push(new PprofFunction({ id, name: text, filename, startLine: line })); // systemName: pprof would read names as C++'s
    this.#piece.location.push(new Location({ id, mappingId: 1, line: [new Line({ functionId: id, line })] }));
    this.#locations.set(key, id);
    return id;
  }

  /** @param {import("./branches.js").Stack} stack */
  addSample({ frames, bytes, count }) {
    this.#piece.sample.push(new Sample({ locationId: frames.map((frame) => this.#locationId(frame)).reverse(), value: [count, bytes] }));
  }

  get isFull() { return this.#piece.sample.length >= samplesOfPiece; }

  /** What came since the last piece, and what there is one of. @param {ConstructorParameters<typeof Profile>[0]} [rest] */
  take(rest) {
    const piece = new Profile({ ...this.#piece, ...rest }).encode();
    this.#piece = emptyPiece();
    return piece;
  }
}

/** @param {import("./branches.js").Branch[]} branches */
function* makeProfile(branches) {
  const pieces = new Pieces();
  const text = (/** @type {string} */ name) => pieces.textId(name);
  const value = (/** @type {string} */ type, /** @type {string} */ unit) => new ValueType({ type: text(type), unit: text(unit) });
  text(""); // is number 0
  yield pieces.take({
    sampleType: [value("inuse_objects", "count"), value("inuse_space", "bytes")],
    mapping: [new Mapping({ id: 1, filename: text("Lua"), hasFunctions: true, hasFilenames: true, hasLineNumbers: true })],
    periodType: value("space", "bytes"), period: 1, defaultSampleType: text("inuse_space"),
  });
  for (const stack of stacks(branches)) {
    pieces.addSample(stack);
    if (pieces.isFull) yield pieces.take();
  }
  yield pieces.take();
}

/** @param {Iterator<Uint8Array, void>} pieces */
function compressed(pieces) {
  const stream = new ReadableStream({
    pull(controller) {
      const { done, value } = pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  return stream.pipeThrough(new CompressionStream("gzip"));
}

/** @type {import("./index.js").Writer} */
export async function write(heap, file, options) {
  const { branches } = readBranches(heap, options);
  for await (const piece of /** @type {AsyncIterable<Uint8Array>} */ (/** @type {unknown} */ (compressed(makeProfile(branches))))) file.write(piece);
}
