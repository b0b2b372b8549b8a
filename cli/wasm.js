/**
 * A module's bytes, read as far as an image's facts need it: sections, limits, names, initial data, and the constants in
 * the code of single functions. Every read is bounded by the section it stands in; what is malformed is an error.
 */

const headerBytes = 8; // "\0asm" and the version
const longestNumberBytes = 10;
const constants = new Set([0x41, 0x42]); // i32.const, i64.const
const globalGet = 0x23;
const endOfExpression = 0x0b;

/** What a module exports and imports. */
const kindNames = ["function", "table", "memory", "global", "tag"];
/** What the names are of, by the number of their part of the section. */
const named = { functions: 1, globals: 7, segments: 9 };
const sections = { custom: 0, import: 2, memory: 5, global: 6, export: 7, code: 10, data: 11 };

/** Reads the binary format's own things one after the other; throws where a read would leave the bytes. */
class Reader {
  /** @param {Uint8Array} bytes @param {number} [at] @param {number} [end] */
  constructor(bytes, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get isAtEnd() {
    return this.at >= this.end;
  }

  byte() {
    if (this.at >= this.end) throw new RangeError(`the module ends in the middle of something, at byte ${this.at}`);
    return this.bytes[this.at++];
  }

  /** @param {number} count */
  skip(count) {
    if (count > this.end - this.at) throw new RangeError(`the module ends in the middle of something, at byte ${this.end}`);
    this.at += count;
  }

  /** A number in LEB128, unsigned; above 2^53 the nearest that JavaScript has. */
  number() {
    let value = 0;
    for (let scale = 1, length = 0; length < longestNumberBytes; length++, scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new RangeError(`a number is longer than ${longestNumberBytes} bytes, at byte ${this.at}`);
  }

  /** The same with a sign. */
  signed() {
    const begin = this.at;
    const value = this.number();
    const last = this.bytes[this.at - 1];
    return last & 0x40 ? value - 128 ** (this.at - begin) : value;
  }

  /** @param {number} length */
  slice(length) {
    const begin = this.at;
    this.skip(length);
    return this.bytes.subarray(begin, this.at);
  }

  name() {
    return new TextDecoder().decode(this.slice(this.number()));
  }

  /** The next `length` bytes as a reader of their own. @param {number} length */
  part(length) {
    const begin = this.at;
    this.skip(length);
    return new Reader(this.bytes, begin, this.at);
  }

  /** @template T @param {(reader: Reader) => T} read @returns {T[]} */
  list(read) {
    const items = [];
    for (let left = this.number(); left > 0; left--) items.push(read(this));
    return items;
  }
}

/**
 * @typedef {object} Limits
 * @property {boolean} is64
 * @property {number} initialPages
 * @property {number | undefined} maximumPages
 *
 * @typedef {object} Segment  initial data
 * @property {number} address
 * @property {Uint8Array} bytes
 * @property {string | undefined} name  as the linker called it: `.rodata`, `.data` ...
 *
 * @typedef {object} Access  a load from, or a store to, a constant address
 * @property {number} address
 * @property {number} opcode
 * @property {number} alignment  bytes that the access claims to be aligned to
 *
 * @typedef {object} WasmModule
 * @property {Limits | undefined} memory  its own, or imported
 * @property {Map<string, {kind: string, index: number}>} exports
 * @property {(string | undefined)[]} functionNames  by index, imports included
 * @property {(string | undefined)[]} globalNames
 * @property {(number | undefined)[]} globals  initial values of its own globals, where they are constants
 * @property {number} importedGlobalCount
 * @property {Segment[]} segments  active ones of the first memory, at constant addresses
 * @property {number} functionCount
 * @property {(functionIndex: number) => Generator<Instruction>} code  the instructions of a function, up to the first one
 *   that is not known
 */

/** @param {Reader} reader @returns {Limits} */
function readLimits(reader) {
  const flags = reader.number();
  const initialPages = reader.number();
  return { is64: (flags & 4) !== 0, initialPages, maximumPages: flags & 1 ? reader.number() : undefined };
}

/** The value of an initial expression that is a single constant. @param {Reader} reader */
function readConstant(reader) {
  const opcode = reader.byte();
  if (constants.has(opcode)) {
    const value = reader.signed();
    if (reader.byte() === endOfExpression) return value;
    reader.at--;
  } else {
    reader.at--;
  }
  for (const { opcode: next } of instructions(reader)) if (next === endOfExpression) return undefined;
  throw new RangeError("an initial value has no end");
}

/** @param {Reader} reader @returns {{kind: string, limits?: Limits}} */
function readImport(reader) {
  reader.name();
  reader.name();
  const kind = kindNames[reader.byte()];
  if (kind === "function") reader.number();
  else if (kind === "table") (reader.byte(), readLimits(reader));
  else if (kind === "memory") return { kind, limits: readLimits(reader) };
  else if (kind === "global") reader.skip(2);
  else if (kind === "tag") (reader.byte(), reader.number());
  else throw new RangeError("an import is of no kind that is known");
  return { kind };
}

/** @param {Reader} reader @returns {Segment | undefined} */
function readSegment(reader) {
  const flags = reader.number();
  const isPassive = (flags & 1) !== 0;
  const memory = flags === 2 ? reader.number() : 0;
  const address = isPassive ? undefined : readConstant(reader);
  const bytes = reader.slice(reader.number());
  return address === undefined || memory !== 0 ? undefined : { address, bytes, name: undefined };
}

/** By index, which may be any number: nothing says yet how many there are. @param {Reader} reader @returns {Map<number, string>} */
function readNameMap(reader) {
  const names = new Map();
  for (let left = reader.number(); left > 0; left--) names.set(reader.number(), reader.name());
  return names;
}

/** The names of what is there. @param {Map<number, string> | undefined} names @param {number} count @returns {(string | undefined)[]} */
const namesOf = (names, count) => Array.from({ length: count }, (_, index) => names?.get(index));

/* ---- code ---- */

/**
 * @typedef {object} Instruction
 * @property {number} opcode  of two bytes: the prefix in front, as 0xfc08
 * @property {number} value  a constant, an index, or a memory access's offset; else 0
 * @property {number} alignment  of a memory access, in bytes; else 0
 */

/** Reads what follows an opcode. @type {Map<number, (reader: Reader, found: Instruction) => void>} */
const operands = new Map();
/** @param {number[]} range first and last @param {(reader: Reader, found: Instruction) => void} read */
const define = ([first, last = first], read) => {
  for (let opcode = first; opcode <= last; opcode++) operands.set(opcode, read);
};
const nothing = () => {};
/** @type {(reader: Reader, found: Instruction) => void} */
const index = (reader, found) => void (found.value = reader.number());
/** @type {(reader: Reader, found: Instruction) => void} */
const signed = (reader, found) => void (found.value = reader.signed());
/** @type {(reader: Reader) => void} */
const twoIndices = (reader) => void (reader.number(), reader.number());
/** @type {(reader: Reader, found: Instruction) => void} */
const memoryAccess = (reader, found) => {
  const flags = reader.number();
  if (flags & 0x40) reader.number(); // of another memory
  found.alignment = flags & 0x40 ? 0 : 2 ** flags;
  found.value = reader.number();
};
/** @param {number} count @returns {(reader: Reader) => void} */
const raw = (count) => (reader) => reader.skip(count);

define([0x00, 0x01], nothing); // unreachable, nop
define([0x02, 0x04], signed); // block, loop, if
define([0x05], nothing);
define([0x06], signed); // try
define([0x07, 0x09], index); // catch, throw, rethrow
define([0x0a, 0x0b], nothing); // throw_ref, end
define([0x0c, 0x0d], index); // br, br_if
define([0x0e], (reader) => void (reader.list((r) => r.number()), reader.number())); // br_table
define([0x0f], nothing);
define([0x10], index); // call
define([0x11], twoIndices);
define([0x12], index);
define([0x13], twoIndices);
define([0x18], index); // delegate
define([0x19, 0x1b], nothing); // catch_all, drop, select
define([0x1c], (reader) => void reader.list((r) => r.byte()));
define([0x20, 0x26], index); // locals, globals, tables
define([0x28, 0x3e], memoryAccess);
define([0x3f, 0x40], index); // memory.size, memory.grow
define([0x41, 0x42], signed);
define([0x43], raw(4));
define([0x44], raw(8));
define([0x45, 0xc4], nothing); // arithmetic
define([0xd0], signed);
define([0xd1], nothing);
define([0xd2], index);
define([0xfc00, 0xfc07], nothing); // saturating conversions
define([0xfc08], twoIndices); // memory.init
define([0xfc09], index);
define([0xfc0a], twoIndices);
define([0xfc0b], index);
define([0xfc0c], twoIndices);
define([0xfc0d], index);
define([0xfc0e], twoIndices);
define([0xfc0f, 0xfc11], index);
define([0xfd00, 0xfdff], nothing); // SIMD, with these exceptions
define([0xfd00, 0xfd0b], memoryAccess);
define([0xfd0c, 0xfd0d], raw(16));
define([0xfd15, 0xfd22], raw(1));
define([0xfd54, 0xfd5b], (reader, found) => void (memoryAccess(reader, found), reader.byte()));
define([0xfd5c, 0xfd5d], memoryAccess);
define([0xfe00, 0xfe4e], memoryAccess); // atomics
define([0xfe03], raw(1));

/** @param {Reader} reader @returns {Generator<Instruction>} */
function* instructions(reader) {
  while (!reader.isAtEnd) {
    let opcode = reader.byte();
    if (opcode >= 0xfc && opcode <= 0xfe) {
      const second = reader.number();
      if (second > 0xff) return;
      opcode = opcode * 256 + second;
    }
    const read = operands.get(opcode);
    if (read === undefined) return;
    const found = { opcode, value: 0, alignment: 0 };
    read(reader, found);
    yield found;
  }
}

/** @param {Reader} reader of a function's body @returns {Generator<Instruction>} */
function* bodyInstructions(reader) {
  reader.list((r) => (r.number(), r.byte())); // locals
  yield* instructions(reader);
}

/** @param {{ opcode: number }} instruction whose value is a number that stands in the code */
export const isConstant = ({ opcode }) => constants.has(opcode);

const firstLoad = 0x28;
const lastAccess = 0x3e;

/**
 * The loads and stores of a function whose address is a constant, in the order of the code. A store's address stands
 * before its value, so only stores of constants and locals are seen.
 * @param {Iterable<Instruction>} code @returns {Generator<Access>}
 */
export function* constantAccesses(code) {
  /** @type {Instruction | undefined} */
  let before;
  for (const found of code) {
    if (found.opcode >= firstLoad && found.opcode <= lastAccess && before && isConstant(before) && found.alignment > 0)
      yield { address: before.value + found.value, opcode: found.opcode, alignment: found.alignment };
    before = found;
  }
}

/** The constants that a function sets a global to, in the order of the code. @param {Iterable<Instruction>} code */
export function* constantGlobals(code) {
  /** @type {Instruction | undefined} */
  let before;
  for (const found of code) {
    if (found.opcode === globalGet + 1 && before && isConstant(before)) yield { global: found.value, value: before.value };
    before = found;
  }
}

/* ---- modules ---- */

/** @param {Uint8Array} bytes */
const isModule = (bytes) => bytes.length >= headerBytes && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) === 0x0061736d;

/** @param {Uint8Array} bytes @returns {WasmModule} */
export function parseWasm(bytes) {
  if (!isModule(bytes)) throw new TypeError(`this is no WebAssembly module: it does not begin with "\\0asm" (${bytes.length} bytes were given)`);
  /** @type {WasmModule} */
  const module = {
    memory: undefined, exports: new Map(), functionNames: [], globalNames: [], globals: [], importedGlobalCount: 0, segments: [],
    functionCount: 0, *code() {},
  };
  let importedFunctionCount = 0;
  /** @type {(Segment | undefined)[]} */
  let segments = [];
  /** @type {Reader[]} */
  let bodies = [];
  /** @type {Map<number, Map<number, string>>} by the kind of what is named */
  const names = new Map();

  /** @param {Reader} section */
  function readNames(section) {
    while (!section.isAtEnd) {
      const kind = section.byte();
      const part = section.part(section.number());
      if (Object.values(named).includes(kind)) names.set(kind, readNameMap(part));
    }
  }
  /** @param {Reader} section */
  function readCustom(section) {
    if (section.name() === "name") readNames(section);
  }
  /** @param {Reader} section */
  function readImports(section) {
    for (const { kind, limits } of section.list(readImport)) {
      if (kind === "function") importedFunctionCount++;
      if (kind === "global") module.importedGlobalCount++;
      if (kind === "memory") module.memory ??= limits;
    }
  }
  /** @param {Reader} section */
  function readGlobals(section) {
    module.globals = section.list((r) => (r.skip(2), readConstant(r)));
  }
  /** @param {Reader} section */
  function readExports(section) {
    section.list((r) => module.exports.set(r.name(), { kind: kindNames[r.byte()], index: r.number() }));
  }

  const file = new Reader(bytes, headerBytes);
  while (!file.isAtEnd) {
    const id = file.byte();
    const section = file.part(file.number());
    if (id === sections.custom) readCustom(section);
    else if (id === sections.import) readImports(section);
    else if (id === sections.memory) module.memory ??= section.list(readLimits)[0];
    else if (id === sections.global) readGlobals(section);
    else if (id === sections.export) readExports(section);
    else if (id === sections.code) bodies = section.list((r) => r.part(r.number()));
    else if (id === sections.data) segments = section.list(readSegment);
  }
  module.functionCount = importedFunctionCount + bodies.length;
  module.functionNames = namesOf(names.get(named.functions), module.functionCount);
  module.globalNames = namesOf(names.get(named.globals), module.importedGlobalCount + module.globals.length);
  const segmentNames = namesOf(names.get(named.segments), segments.length);
  segments.forEach((segment, i) => segment && module.segments.push({ ...segment, name: segmentNames[i] }));
  module.code = function* (functionIndex) {
    const body = bodies[functionIndex - importedFunctionCount];
    if (body) yield* bodyInstructions(new Reader(body.bytes, body.at, body.end));
  };
  return module;
}
