/** Against the published pure-Lua profiler, or a stand-in that works as it does, on the same small heap. */
import { readFileSync } from "node:fs";
import { smallHeap } from "../heaps.js";
import { median } from "../statistics.js";
import { ask, image, luaSource, spawnSpecimen, stockImage } from "../specimen.js";
import { ratio, row } from "../report.js";

const peerFile = process.env.PEER_MEMBUDDY;
const peerName = peerFile ? "the published tool" : "a stand-in for the published tool";
const rounds = 101;

/** @typedef {{ peerMs: number, profile?: number[], sameCall?: number[] }} Measured in milliseconds */

/** @param {string} source @returns {string} a Lua long string */
function quoted(source) {
  const level = [...source.matchAll(/\](=*)(?=\])/g)].reduce((longest, [, signs]) => Math.max(longest, signs.length + 1), 1);
  return `[${"=".repeat(level)}[\n${source}]${"=".repeat(level)}]`;
}

function peerSource() {
  if (!peerFile) return luaSource("peer");
  try {
    return readFileSync(peerFile, "utf8");
  } catch (error) {
    const code = /** @type {NodeJS.ErrnoException} */ (error).code;
    throw new Error(`PEER_MEMBUDDY=${peerFile} cannot be read (${code}); give the Lua file of the published tool`);
  }
}

const runPeer = () => `
  local peer = assert(load(${quoted(peerSource())}, "=peer"))() or membuddy
  if type(peer) ~= "table" or not peer.profile then error("the file gives no table with a function 'profile'") end
  local results
  local elapsed_ms = Bench.timed_ms(function() results = peer.profile({target = Specimen, max_depth = "inf"}) end)
  local entries = 0
  for _ in pairs(results.sizes) do entries = entries + 1 end
  if entries < #Specimen then error("it told the size of " .. entries .. " values only") end
  return elapsed_ms`;

const runOurs = `
  local profile = package.loaded.membuddy.profile
  local same_call = function() profile({target = Specimen, max_depth = "inf"}) end
  Bench.race(11, {profile = profile, sameCall = same_call})
  return Bench.race(${rounds}, {profile = profile, sameCall = same_call})`;

/** @param {{ image: string }} job @returns {Promise<Measured>} */
async function measure(job) {
  const specimen = await spawnSpecimen(job.image);
  await smallHeap.build(specimen);
  const ours = job.image === image ? await ask(specimen, runOurs) : {};
  return { ...ours, peerMs: await ask(specimen, runPeer()) };
}

/** @param {number[]} times @param {number} peerMs */
const compared = (times, peerMs) => `${median(times).toFixed(3)} ms against ${(peerMs / 1000).toFixed(1)} s`;

/** @param {Measured[]} measured */
function rows([same, stock]) {
  const { profile = [], sameCall = [], peerMs } = same;
  return [
    row({
      figure: `faster than ${peerName}, ${smallHeap.name}, in the same process`,
      value: peerMs / median(profile), show: ratio, atLeast: 1e4, aim: 5e4, moreIsBetter: true,
      detail: compared(profile, peerMs),
    }),
    row({
      figure: `the same with ${peerName} where it lives, stock aos 2.0.6`,
      value: stock.peerMs / median(profile), show: ratio, detail: compared(profile, stock.peerMs),
    }),
    row({
      figure: 'the same process, both called as `profile({target = t, max_depth = "inf"})`',
      value: peerMs / median(sameCall), show: ratio, detail: compared(sameCall, peerMs),
    }),
  ];
}

export const peer = {
  name: "peer",
  jobs: [
    { label: `${peerName}, in our image`, image },
    { label: `${peerName}, in stock aos 2.0.6`, image: stockImage },
  ],
  measure,
  rows,
};
