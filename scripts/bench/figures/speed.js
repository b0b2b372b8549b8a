/** `profile()` of everything against a full collection, and what a report costs in memory: on each heap. */
import { basename } from "node:path";
import { heaps, largeHeap } from "../heaps.js";
import { median, pairedRatios, quantile } from "../statistics.js";
import { ask, hostNowMs, image, inRoot, spawnSpecimen } from "../specimen.js";
import { ratio, row } from "../report.js";

/**
 * @typedef {import("../specimen.js").Specimen} Specimen
 * @typedef {{ pages: number, largestFree: number }} Growth
 * @typedef {{ collect: number[], profile: number[] }} Times in milliseconds, round by round
 * @typedef {object} Measured
 * @property {number} objects
 * @property {number} luaBytes
 * @property {number} firstMs the first report that the process ever made
 * @property {Times} times
 * @property {{ profile: Growth, print: Growth, aosPrint: Growth }} growth the last with what aos makes of printed lines
 * @property {{ profile: number, print: number }} leftBytes
 */

const otherVariants = ["lua54-wasm32", "lua53-wasm64", "lua53-wasm32"];
const otherImages = otherVariants.map((variant) => inRoot(`dist/membuddy-${variant}.wasm`));
const raceMs = 4000;
const fewestRounds = 15;
const mostRounds = 2001;

const reportsAtWork = `
  local membuddy = package.loaded.membuddy
  local firstMs
  local profile = Bench.growth(function() firstMs = Bench.timed_ms(membuddy.profile) end)
  local print = Bench.growth(Bench.print_nowhere)
  local aosPrint = Bench.growth(membuddy.print)
  local whole = membuddy.profile()
  local growth = {profile = profile, print = print, aosPrint = aosPrint}
  return {firstMs = firstMs, growth = growth, objects = whole.objects, luaBytes = whole.luaSize}`;

const reportsLeave = `
  local membuddy = package.loaded.membuddy
  return {profile = Bench.left_bytes(function() membuddy.profile() end), print = Bench.left_bytes(Bench.print_nowhere)}`;

/** @param {Specimen} specimen @param {number} rounds @returns {Promise<Times>} */
const race = (specimen, rounds) =>
  ask(specimen, `return Bench.race(${rounds}, {collect = collectgarbage, profile = package.loaded.membuddy.profile})`);

/** The first rounds find the code still unoptimised, and tell how many fit. @param {Specimen} specimen */
async function raceForAWhile(specimen) {
  const trials = 5;
  await race(specimen, trials);
  const begin = hostNowMs();
  await race(specimen, trials);
  const roundMs = (hostNowMs() - begin) / trials;
  return race(specimen, Math.round(Math.min(mostRounds, Math.max(fewestRounds, raceMs / roundMs))));
}

/** @param {{ image: string, heap: string }} job @returns {Promise<Measured>} */
async function measure(job) {
  const specimen = await spawnSpecimen(job.image);
  await heaps.find((heap) => heap.name === job.heap)?.build(specimen);
  const reports = await ask(specimen, reportsAtWork);
  const times = await raceForAWhile(specimen);
  return { ...reports, times, leftBytes: await ask(specimen, reportsLeave) };
}

/** @param {Measured} m */
const ratioOf = (m) => median(m.times.profile) / median(m.times.collect);
/** @param {Measured} m */
const nanosecondsAnObject = (m) => (median(m.times.profile) * 1e6) / m.objects;
/** @param {number} pages */
const inPages = (pages) => `${pages} pages`;
/** @param {number} ms */
const inMs = (ms) => ms.toFixed(ms < 10 ? 3 : 1);

/** @param {string} name @param {Measured} m @returns {string[]} */
const tableLine = (name, m) => [
  name,
  String(m.objects),
  (m.luaBytes / 1e6).toFixed(1),
  inMs(median(m.times.collect)),
  inMs(median(m.times.profile)),
  ratio(ratioOf(m)),
  nanosecondsAnObject(m).toFixed(0),
  inMs(m.firstMs),
  `${m.growth.profile.pages}, ${m.growth.print.pages}, ${m.growth.aosPrint.pages}`,
  `${m.leftBytes.profile}, ${m.leftBytes.print}`,
];

const tableHead = [
  "heap",
  "objects in all",
  "Lua MB",
  "collection ms",
  "profile() ms",
  "ratio",
  "ns an object",
  "first profile() ms",
  "pages grown: profile(), print(), with aos's print",
  "bytes left: profile(), print()",
];

/** @param {Measured} m how far the ratios of single rounds lie apart */
function spread(m) {
  const ratios = pairedRatios(m.times.profile, m.times.collect);
  return `${ratio(quantile(ratios, 0.25))} to ${ratio(quantile(ratios, 0.75))} in the middle half of ${ratios.length} rounds`;
}

/** @param {Measured[]} all */
function freeBefore(all) {
  const bytes = all.flatMap((m) => Object.values(m.growth)).map((growth) => growth.largestFree);
  return `${Math.floor(Math.min(...bytes) / 1024)} to ${Math.ceil(Math.max(...bytes) / 1024)} KB in the largest free chunk before`;
}

/** @param {Measured[]} all */
function rows(all) {
  const large = all[heaps.indexOf(largeHeap)];
  const pages = Math.max(...all.flatMap((m) => [m.growth.profile.pages, m.growth.print.pages]));
  const left = Math.max(...all.flatMap((m) => [m.leftBytes.profile, m.leftBytes.print]));
  return [
    row({
      figure: `\`profile()\` of everything, ${largeHeap.name}, against a full \`collectgarbage()\``,
      value: ratioOf(large), show: ratio, atLeast: 1.2, aim: 0.6, detail: spread(large),
    }),
    row({
      figure: `linear memory grown by a default report, worst of ${all.length} heaps`,
      value: pages, show: inPages, atLeast: 0, aim: 0, detail: freeBefore(all),
    }),
    row({
      figure: "the same, with what aos's `print` makes of the lines",
      value: Math.max(...all.map((m) => m.growth.aosPrint.pages)), show: inPages,
    }),
    row({
      figure: `Lua memory that a default report leaves after collection, worst of ${all.length} heaps`,
      value: left, show: (n) => `${n} bytes`, atLeast: 0, aim: 0,
    }),
  ];
}

export const speed = {
  name: "speed",
  jobs: heaps.map((heap) => ({ label: heap.name, image, heap: heap.name })),
  measure,
  rows,
  /** @param {Measured[]} all */
  tables: (all) => [{ title: "Each heap", head: tableHead, lines: all.map((m, i) => tableLine(heaps[i].name, m)) }],
};

export const images = {
  name: "images",
  jobs: otherImages.map((image) => ({ label: `${basename(image)}, ${largeHeap.name}`, image, heap: largeHeap.name })),
  measure,
  rows: () => [],
  /** @param {Measured[]} all */
  tables: (all) => [{
    title: "The other images",
    head: ["image", ...tableHead],
    lines: all.map((m, i) => [basename(otherImages[i]), ...tableLine(largeHeap.name, m)]),
  }],
};
