/**
 * The rest of the image with and without the profiler: the same work in three processes, turn by turn. Two of them run
 * the same image, and tell how far equal things lie apart.
 */
import { compareFunctions } from "../functions.js";
import { median, medianInterval, pairedRatios } from "../statistics.js";
import { ask, image, imageWithout, luaSource, spawnSpecimen } from "../specimen.js";
import { ratio, row } from "../report.js";

const warmUps = 20;
const rounds = 100;
const widestInterval = 0.1;

/** @typedef {{ withIt: number[], without: number[], again: number[] }} Times in milliseconds, round by round */
/** @typedef {{ times: Times, functions: ReturnType<typeof compareFunctions> }} Measured */

/** @param {string} file */
async function spawnWorker(file) {
  const specimen = await spawnSpecimen(file);
  await ask(specimen, luaSource("workload"));
  return specimen;
}

/** @returns {Promise<Times>} */
async function race() {
  /** @type {Times} */
  const times = { withIt: [], without: [], again: [] };
  const workers = [
    { times: times.withIt, specimen: await spawnWorker(image) },
    { times: times.without, specimen: await spawnWorker(imageWithout) },
    { times: times.again, specimen: await spawnWorker(image) },
  ];
  for (let round = 0; round < warmUps + rounds; round++) {
    for (const worker of workers) worker.times.push(await ask(worker.specimen, "return Bench.timed_ms(Workload)"));
    workers.reverse();
  }
  return { withIt: times.withIt.slice(warmUps), without: times.without.slice(warmUps), again: times.again.slice(warmUps) };
}

/** @returns {Promise<Measured>} */
const measure = async () => ({ times: await race(), functions: compareFunctions(image, imageWithout) });

/** @param {[number, number]} interval */
const shownInterval = ([low, high]) => `${low.toFixed(3)} to ${high.toFixed(3)}`;

/**
 * Missed, if slower than the same image measured twice may be.
 * @param {[number, number]} interval where the ratio lies with 95 % confidence
 * @param {[number, number]} twice where the same image's ratio to itself does
 */
function verdict(interval, twice) {
  if ([interval, twice].some(([low, high]) => high - low > widestInterval)) return "**too noisy to tell**";
  return interval[0] <= Math.max(1, twice[1]) ? "ok, aim met" : "**missed**";
}

/** @param {Times} times */
function timeRow({ withIt, without, again }) {
  const ratios = pairedRatios(withIt, without);
  const interval = medianInterval(ratios);
  const twice = medianInterval(pairedRatios(withIt, again));
  return row({
    figure: "the rest of the image with and without `membuddy`, same work",
    value: median(ratios), show: ratio, atLeast: 1, aim: 1,
    detail: `95 % confidence: ${shownInterval(interval)}; the same image twice: ${shownInterval(twice)}`,
    verdict: verdict(interval, twice),
  });
}

/** @param {NonNullable<Measured["functions"]>} functions */
function functionsRow({ shared, differing }) {
  return row({
    figure: "functions of the rest that are the same code with and without `membuddy`",
    value: shared - differing.length,
    show: (count) => `${count} of ${shared}`,
    detail: differing.length ? `not ${differing.map((name) => `\`${name}\``).join(", ")}` : "",
  });
}

/** @param {Measured[]} measured */
const rows = ([{ times, functions }]) => [timeRow(times), ...(functions ? [functionsRow(functions)] : [])];

export const rest = {
  name: "rest",
  jobs: [{ label: "the same work with and without membuddy" }],
  measure,
  rows,
  needsImageWithout: true,
};
