/**
 * pprof's profile.proto, compressed: two values a sample, objects and bytes in use; the stack of a sample is the path that
 * retains it, its leaf the kind of object.
 *
 * There is no time in it, so that the same memory gives the same bytes.
 */
import { Function as PprofFunction, Line, Location, Mapping, Profile, Sample, StringTable, ValueType } from "pprof-format";
import { readBranches, stacks } from "./branches.js";

/** A location and a function for each frame, once each. */
class Locations {
  /** @type {Location[]} */ locations = [];
  /** @type {PprofFunction[]} */ functions = [];
  /** @type {Map<string, number>} */ #known = new Map();
  #strings;

  /** @param {StringTable} strings */
  constructor(strings) {
    this.#strings = strings;
  }

  /** @param {import("./branches.js").Frame} frame */
  idOf({ name, source }) {
    const key = source ? `${source.file}\0${source.line}\0${name}` : name;
    return this.#known.get(key) ?? this.#add(key, name, source);
  }

  /** @param {string} key @param {string} name @param {{ file: string, line: number } | undefined} source */
  #add(key, name, source) {
    const id = this.locations.length + 1;
    const text = this.#strings.dedup(name);
    const filename = source ? this.#strings.dedup(source.file) : 0, line = source?.line ?? 0;
    this.functions.push(new PprofFunction({ id, name: text, systemName: text, filename, startLine: line }));
    this.locations.push(new Location({ id, mappingId: 1, line: [new Line({ functionId: id, line })] }));
    this.#known.set(key, id);
    return id;
  }
}

/** @param {import("./branches.js").Branch[]} branches */
function makeProfile(branches) {
  const stringTable = new StringTable();
  const value = (/** @type {string} */ type, /** @type {string} */ unit) =>
    new ValueType({ type: stringTable.dedup(type), unit: stringTable.dedup(unit) });
  const table = new Locations(stringTable);
  const sampleType = [value("inuse_objects", "count"), value("inuse_space", "bytes")];
  const sample = [...stacks(branches)].map(({ frames, bytes, count }) =>
    new Sample({ locationId: frames.map((frame) => table.idOf(frame)).reverse(), value: [count, bytes] }));
  const mapping = [new Mapping({ id: 1, filename: stringTable.dedup("Lua"), hasFunctions: true, hasFilenames: true, hasLineNumbers: true })];
  return new Profile({
    sampleType, sample, mapping, location: table.locations, function: table.functions, stringTable,
    periodType: value("space", "bytes"), period: 1, defaultSampleType: stringTable.dedup("inuse_space"),
  });
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
function compressed(bytes) {
  return new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
}

/** @type {import("./index.js").Writer} */
export async function write(heap, file, options) {
  const { branches } = readBranches(heap, options);
  const bytes = new Uint8Array(makeProfile(branches).encode());
  for await (const piece of /** @type {AsyncIterable<Uint8Array>} */ (/** @type {unknown} */ (compressed(bytes)))) file.write(piece);
}
