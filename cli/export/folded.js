/**
 * Folded stacks, as flamegraph.pl and many others read them: `frame;frame;frame bytes`, root first.
 */
import { readBranches, stacks } from "./branches.js";
import { makeBreath } from "./breath.js";

/**
 * A semicolon would end a frame, to some readers two separators end a line, and XML, so the picture, has not the last two
 * characters; nothing else of a label can do harm (src/path.h). @param {string} name
 */
const frame = (name) => name.replace(/[;\u2028\u2029\ufffe\uffff]/g, (character) => encodeURIComponent(character).replaceAll("%", "\\x"));

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
