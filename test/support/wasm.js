/** Reads, and where a test needs it rewrites, the sections of a WebAssembly module. */

const headerBytes = 8; // magic number and version
const memorySection = 5;
const customSection = 0;
const globalSection = 6;
const constInstructions = new Set([0x41, 0x42]); // i32.const, i64.const
const hasMaximum = 1;
const is64Bit = 4;

/** @typedef {{ id: number, begin: number, contents: number, end: number }} Section */

/** @param {Uint8Array} bytes @param {number} at @returns {[number, number]} value, and where the next thing begins */
function readNumber(bytes, at) {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return [value, at];
  }
}

/** @param {number} value @returns {number[]} */
function writeNumber(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return [...bytes, value];
}

/** @param {Uint8Array} wasm @returns {Generator<Section>} */
function* sectionsOf(wasm) {
  for (let at = headerBytes; at < wasm.length; ) {
    const [length, contents] = readNumber(wasm, at + 1);
    yield { id: wasm[at], begin: at, contents, end: contents + length };
    at = contents + length;
  }
}

/** @param {Uint8Array} wasm @returns {Section} */
function memorySectionOf(wasm) {
  for (const section of sectionsOf(wasm)) if (section.id === memorySection) return section;
  throw new Error("the module has no memory of its own");
}

/** @param {Uint8Array} wasm */
export function memoryLimits(wasm) {
  const { contents } = memorySectionOf(wasm);
  const flags = wasm[contents + 1];
  const [initialPages, next] = readNumber(wasm, contents + 2);
  const maximumPages = flags & hasMaximum ? readNumber(wasm, next)[0] : undefined;
  return { is64: (flags & is64Bit) !== 0, initialPages, maximumPages };
}

/**
 * The same module with another maximum of its memory.
 * @param {Uint8Array} wasm
 * @param {number} maximumPages
 */
export function withMemoryMaximum(wasm, maximumPages) {
  const section = memorySectionOf(wasm);
  const { initialPages } = memoryLimits(wasm);
  const flags = wasm[section.contents + 1] | hasMaximum;
  const contents = [1, flags, ...writeNumber(initialPages), ...writeNumber(maximumPages)];
  const replacement = [memorySection, ...writeNumber(contents.length), ...contents];
  return new Uint8Array([...wasm.subarray(0, section.begin), ...replacement, ...wasm.subarray(section.end)]);
}

/** @param {Uint8Array} wasm @returns {boolean} whether the module says what its functions are called */
export function hasFunctionNames(wasm) {
  for (const { id, contents } of sectionsOf(wasm)) {
    if (id !== customSection) continue;
    const [length, begin] = readNumber(wasm, contents);
    if (new TextDecoder().decode(wasm.subarray(begin, begin + length)) === "name") return true;
  }
  return false;
}

/**
 * The size of an image's C stack: the stack stands first in memory, and its pointer starts at the far end. It is the only
 * one of the module's globals that does not start at 0.
 * @param {Uint8Array} wasm
 */
export function stackBytes(wasm) {
  for (const { id, contents } of sectionsOf(wasm)) {
    if (id !== globalSection) continue;
    for (let [count, at] = readNumber(wasm, contents); count > 0 && constInstructions.has(wasm[at + 2]); count--) {
      const [value, end] = readNumber(wasm, at + 3);
      if (value !== 0) return value;
      at = end + 1;
    }
  }
  throw new Error("the module has no stack pointer where images have it");
}
