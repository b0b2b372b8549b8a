/** What the checks add to a `print()`, in a process that has something to find. */
import { largeHeap, smallHeap } from "../heaps.js";
import { median } from "../statistics.js";
import { ask, image, spawnSpecimen } from "../specimen.js";
import { row } from "../report.js";
import { leak } from "../../../test/support/leaks.js";

const reports = (/** @type {number} */ rounds) => `
  return Bench.race(${rounds}, {
    collect = collectgarbage,
    bare = function() Bench.print_nowhere({checks = false}) end,
    checked = function() Bench.print_nowhere({checks = true}) end,
  })`;

/** @typedef {{ name: string, times: { collect: number[], bare: number[], checked: number[] } }} Measured */

/** @param {{ heap: import("../heaps.js").Heap, rounds: number }} job @returns {Promise<Measured>} */
async function measure({ heap, rounds }) {
  const specimen = await spawnSpecimen(image);
  await heap.build(specimen);
  await leak(specimen);
  await ask(specimen, reports(3)); // V8 optimises meanwhile
  return { name: heap.name, times: await ask(specimen, reports(rounds)) };
}

/** @param {Measured[]} measured */
const rows = (measured) => measured.map(({ name, times }) => row({
  figure: `\`print()\` with the checks, ${name} and leaks of every kind, against a full \`collectgarbage()\``,
  value: median(times.checked) / median(times.collect), show: (times) => `${times.toFixed(1)} x`,
  detail: `${median(times.checked).toFixed(1)} ms; without the checks ${median(times.bare).toFixed(1)} ms`,
}));

export const print = {
  name: "print",
  jobs: [{ label: smallHeap.name, heap: smallHeap, rounds: 101 }, { label: largeHeap.name, heap: largeHeap, rounds: 15 }],
  measure, rows,
};
