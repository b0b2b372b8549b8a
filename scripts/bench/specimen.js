/**
 * A process to measure: spawned in the loader, with a clock that tells the time, and with what lua/measure.lua offers.
 */
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { spawnProcess } from "../../test/support/process.js";

/** @typedef {Awaited<ReturnType<typeof spawnProcess>>} Specimen */

// Taken before any loader runs: each one replaces the global clocks by counters.
export const hostNowMs = performance.now.bind(performance);

/** @param {string} path from the root of the repository */
export const inRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

export const image = inRoot("dist/membuddy-lua54-wasm64.wasm");
/** The same image, linked without the profiler. */
export const imageWithout = inRoot("build/bench/without/dist/membuddy-lua54-wasm64.wasm");
export const stockImage = inRoot("build/specimens/aos2_0_6.wasm");

/** @param {string} name of a file in lua/ */
export const luaSource = (name) => readFileSync(inRoot(`scripts/bench/lua/${name}.lua`), "utf8");

const answerBegins = '{"result":';

/**
 * Runs the body of a Lua function in the process; gives what it returns. What it prints stands before that.
 * @param {Specimen} specimen
 * @param {string} body
 * @returns {Promise<any>}
 */
export async function ask(specimen, body) {
  const text = await specimen.eval(`require("json").encode({result = (function()\n${body}\nend)()})`);
  const begin = text.lastIndexOf(answerBegins);
  return begin < 0 ? undefined : JSON.parse(text.slice(begin)).result;
}

const closestTwoReadings = `
  local closest = math.huge
  for _ = 1, 100 do
    local first = os.clock()
    closest = math.min(closest, os.clock() - first)
  end
  return closest * 1000`;

/**
 * `os.clock` in the image asks the host's Date.now.
 * @param {Specimen} specimen
 */
async function giveClock(specimen) {
  Date.now = hostNowMs;
  const apartMs = await ask(specimen, closestTwoReadings);
  if (!(apartMs < 0.5))
    throw new Error(`os.clock in the image does not tell the host's time: two readings are ${apartMs} ms apart`);
}

/**
 * @param {string} file an image
 * @returns {Promise<Specimen>} its memory stays in the instance: only what happens inside is measured
 */
export async function spawnSpecimen(file) {
  const specimen = await spawnProcess(file, { carryMemory: false, loader: { UNSAFE_MEMORY: true } });
  await giveClock(specimen);
  await ask(specimen, luaSource("measure"));
  return specimen;
}
