/** Whether `profile()` takes as long for an object of a large heap as for one of a small heap: the sizes take turns. */
import { largeHeap, middleHeap, smallHeap } from "../heaps.js";
import { ratio, row } from "../report.js";
import { ask, image, spawnSpecimen } from "../specimen.js";
import { median } from "../statistics.js";

const sizes = [smallHeap, middleHeap, largeHeap];
const callsATurn = [64, 8, 1];
const warmUps = 3;
const turns = 15;

/** A machine that is slower for some seconds is so for all three. @returns {Promise<number[]>} nanoseconds an object */
async function measure() {
  const specimens = await Promise.all(sizes.map(() => spawnSpecimen(image)));
  for (const [i, heap] of sizes.entries()) await heap.build(specimens[i]);
  const times = sizes.map(() => /** @type {number[]} */ ([]));
  for (let turn = 0; turn < warmUps + turns; turn++)
    for (const [i, specimen] of specimens.entries()) {
      const { profile } = await ask(specimen, `return Bench.race(${callsATurn[i]}, {profile = package.loaded.membuddy.profile})`);
      if (turn >= warmUps) times[i].push(median(profile));
    }
  const objects = await Promise.all(specimens.map((specimen) => ask(specimen, "return package.loaded.membuddy.profile().objects")));
  return times.map((ms, i) => (median(ms) * 1e6) / objects[i]);
}

/** How much longer an object of a heap takes than one of a smaller heap, at most. @param {number[]} perObject */
const growth = (perObject) => Math.max(...perObject.flatMap((ns, i) => perObject.slice(0, i).map((smaller) => ns / smaller)));

export const flat = {
  name: "flat",
  jobs: [{ label: sizes.map((heap) => heap.name).join(", ") }],
  measure,
  /** @param {number[][]} measured */
  rows: ([perObject]) => [
    row({
      figure: `time of \`profile()\` per object, ${smallHeap.name} to ${largeHeap.name}`,
      value: Math.max(...perObject) / Math.min(...perObject), show: ratio, atLeast: 2, aimText: "flat",
      detail: `${perObject.map((ns) => ns.toFixed(0)).join(", ")} ns`,
    }),
    row({ figure: "the same, of a heap against a smaller one, at most", value: growth(perObject), show: ratio }),
  ],
};
