/**
 * Folded stacks, as flamegraph.pl and many others read them: `frame;frame;frame bytes`, root first.
 */
import { readBranches, stacks } from "./branches.js";
import { makeBreath } from "./breath.js";

/** A semicolon would end a frame, and to some readers these two end a line; nothing else of a label can (src/path.h). @param {string} name */
const frame = (name) => name.replaceAll(";", "\\x3B").replaceAll("\u2028", "\\xE2\\x80\\xA8").replaceAll("\u2029", "\\xE2\\x80\\xA9");

/** @type {import("./index.js").Writer} */
export async function write(heap, file, options) {
  const { branches } = readBranches(heap, options);
  const breathe = makeBreath();
  let lines = "";
  for (const { frames, bytes } of stacks(branches)) {
    lines += `${frames.map(({ name }) => frame(name)).join(";")} ${bytes}\n`;
    if (lines.length < 65536) continue;
    file.write(lines);
    lines = "";
    await breathe();
  }
  file.write(lines);
}
