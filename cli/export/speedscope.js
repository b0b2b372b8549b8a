/**
 * The file format of speedscope: two profiles over the same stacks, bytes and objects.
 * https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources
 */
import { version } from "../version.js";
import { readBranches, stacks } from "./branches.js";

/** Frames once each. */
class FrameTable {
  /** @type {{ name: string, file?: string, line?: number }[]} */ frames = [];
  /** @type {Map<string, number>} */ #known = new Map();

  /** @param {import("./branches.js").Frame} frame */
  indexOf({ name, source }) {
    const key = source ? `${source.file}\0${source.line}\0${name}` : name;
    let index = this.#known.get(key);
    if (index === undefined) {
      index = this.frames.push({ name, ...source }) - 1;
      this.#known.set(key, index);
    }
    return index;
  }
}

/** @param {string} name @param {string} unit @param {number[][]} samples @param {number[]} weights */
function profile(name, unit, samples, weights) {
  const endValue = weights.reduce((sum, weight) => sum + weight, 0);
  return { type: "sampled", name, unit, startValue: 0, endValue, samples, weights };
}

/** @type {import("./index.js").Writer} */
export async function write(heap, file, options) {
  const { branches } = readBranches(heap, options);
  const table = new FrameTable();
  const found = [...stacks(branches)];
  const samples = found.map(({ frames }) => frames.map((frame) => table.indexOf(frame)));
  file.write(JSON.stringify({
    $schema: "https://www.speedscope.app/file-format-schema.json",
    exporter: `membuddy@${version}`,
    name: "Lua memory, by what retains it",
    activeProfileIndex: 0,
    shared: { frames: table.frames },
    profiles: [
      profile("bytes", "bytes", samples, found.map(({ bytes }) => bytes)),
      profile("objects", "none", samples, found.map(({ count }) => count)),
    ],
  }));
}
