/** What `profile{retained = true}` borrows, and how long it takes. */
import { middleHeap } from "../heaps.js";
import { median } from "../statistics.js";
import { ask, image, spawnSpecimen } from "../specimen.js";
import { row } from "../report.js";

const rounds = 9;
const pageBytes = 65536;

const firstReport = `
  return Bench.growth(function() package.loaded.membuddy.profile({retained = true}) end)`;

const withRetained = `
  local profile = package.loaded.membuddy.profile
  local function retained() return profile({retained = true}) end
  local objects = retained().objects
  return {objects = objects, times = Bench.race(${rounds}, {retained = retained, profile = profile})}`;

/** @typedef {{ pages: number, objects: number, times: { retained: number[], profile: number[] } }} Measured */

/** @returns {Promise<Measured>} */
async function measure() {
  const specimen = await spawnSpecimen(image);
  await middleHeap.build(specimen);
  const { pages } = await ask(specimen, firstReport);
  return { pages, ...(await ask(specimen, withRetained)) };
}

/** @param {Measured[]} measured */
const rows = ([{ pages, objects, times }]) => [
  row({
    figure: `\`profile{retained = true}\`, ${middleHeap.name}: linear memory borrowed`,
    value: (pages * pageBytes) / objects, show: (bytes) => `${bytes.toFixed(0)} bytes an object`,
    detail: `${((pages * pageBytes) / 1e6).toFixed(1)} MB for ${objects} objects`,
  }),
  row({
    figure: `\`profile{retained = true}\`, ${middleHeap.name}: time`,
    value: median(times.retained), show: (ms) => `${ms.toFixed(0)} ms`,
    detail: `${(median(times.retained) / median(times.profile)).toFixed(1)} times a \`profile()\``,
  }),
];

export const retained = { name: "retained", jobs: [{ label: middleHeap.name }], measure, rows };
