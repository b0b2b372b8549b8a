/** What the profiler adds to the image, against an image linked without it. */
import { readFileSync } from "node:fs";
import { image, imageWithout } from "../specimen.js";
import { bytesWithoutCustomSections } from "../wasm.js";
import { kilobytes, row } from "../report.js";

/** @typedef {{ file: number, stripped: number }} Bytes */

/** @param {string} file @returns {Bytes} */
function bytesOf(file) {
  const wasm = readFileSync(file);
  return { file: wasm.length, stripped: bytesWithoutCustomSections(wasm) };
}

const measure = async () => ({ withIt: bytesOf(image), without: bytesOf(imageWithout) });

/** @param {{ withIt: Bytes, without: Bytes }[]} measured */
const rows = ([{ withIt, without }]) => [
  row({
    figure: "what `membuddy` adds to the image",
    value: withIt.file - without.file, show: kilobytes, atLeast: 32 * 1024, aim: 20 * 1024,
    detail: `${withIt.file} - ${without.file} bytes; without names of functions, ${kilobytes(withIt.stripped - without.stripped)}`,
  }),
];

export const size = { name: "size", jobs: [{ label: "sizes" }], measure, rows, needsImageWithout: true };
