/** The module in pure Lua in the published image: what it explains, how exact, how fast, and what it takes meanwhile. */
import { scaled, smallHeap } from "../heaps.js";
import { median } from "../statistics.js";
import { ask, luaSource, spawnSpecimen, stockImage } from "../specimen.js";
import { ratio, row } from "../report.js";
import { errorsOfPaths, loadPure, pureSource, shareOf } from "../../../test/support/pure.js";
import { spawnProcess } from "../../../test/support/process.js";

/** @typedef {Awaited<ReturnType<typeof spawnProcess>>} Process */
/** @typedef {{ explained: number, peakBytes: number, median: number, worst: number, pages: number }} Exactness */

const sender = (/** @type {number} */ i) => ({ From: `SENDER-${String(i).padStart(36, "0")}`, Owner: `SENDER-${String(i).padStart(36, "0")}` });

/** @type {{ name: string, build: (process: Process) => Promise<unknown> }[]} */
const heaps = [
  { name: "fresh", build: async () => {} },
  { name: "unhandled messages", build: async (process) => {
    for (let i = 0; i < scaled(1000); i++)
      await process.send({ ...sender(i % 50), Id: `MESSAGE-${String(i).padStart(35, "0")}`, Tags: [{ name: "Action", value: "Nothing" }], Data: `${i}` });
  } },
  { name: "balances", build: (process) => process.eval(`
    Balances = {} for i = 1, ${scaled(1e5)} do Balances[string.format("%043d", i)] = tostring(i * 1000003) end`) },
  { name: "waiting handlers", build: async (process) => {
    for (let i = 0; i < scaled(1000); i++) await process.evalResult(`return Receive({ Action = "Never-${i}" })`);
  } },
];

/** @param {(typeof heaps)[number]} heap @returns {Promise<Exactness>} */
async function exactness(heap) {
  const process = await spawnProcess(stockImage);
  await loadPure(process);
  await heap.build(process);
  const before = process.memoryBytes;
  const { explained, peakBytes } = await shareOf(process);
  const pages = (process.memoryBytes - before) / 65536;
  const { errors } = await errorsOfPaths(process);
  return { explained, peakBytes, pages, median: median(errors.map(({ error }) => error)), worst: errors[errors.length - 1].error };
}

/** Times, in milliseconds, on the heap of the published tool's figure. */
async function times() {
  const specimen = await spawnSpecimen(stockImage);
  await loadPure(specimen);
  await smallHeap.build(specimen);
  const pureMs = await ask(specimen, `
    local profile, times = package.loaded.membuddy.profile, {}
    for i = 1, 11 do collectgarbage() times[i] = Bench.timed_ms(function() profile() end) end
    return times`);
  const peerMs = await ask(specimen, `
    local peer = assert(load([====[${luaSource("peer")}]====], "=peer"))()
    return Bench.timed_ms(function() peer.profile({target = Specimen, max_depth = "inf"}) end)`);
  return { pureMs: median(pureMs), peerMs };
}

const percent = (/** @type {number} */ share) => `${share.toFixed(2)} %`;

/** @param {any[]} measured */
function rows(measured) {
  const [{ pureMs, peerMs, sourceBytes }, ...found] = measured;
  return [
    row({ figure: "pure Lua: faster than a stand-in for the published tool, 8 thousand objects, stock aos 2.0.6", value: peerMs / pureMs,
      show: ratio, atLeast: 500, aim: 2000, moreIsBetter: true, detail: `${pureMs.toFixed(1)} ms against ${(peerMs / 1000).toFixed(1)} s, source ${sourceBytes} bytes` }),
    ...heaps.flatMap(({ name }, index) => {
      const { explained, peakBytes, pages, median: middle, worst } = found[index];
      return [
        row({ figure: `pure Lua: share of Lua's count explained, ${name}`, value: explained, show: percent, atLeast: index === 0 ? 97 : 95,
          aim: index === 0 ? 99.5 : 99, moreIsBetter: true, detail: `${peakBytes.toFixed(0)} bytes of Lua memory an object, ${pages} pages grown` }),
        row({ figure: `pure Lua: median error of the 100 largest paths, ${name}`, value: 100 * middle, show: percent, atLeast: 2, aim: 1 }),
        row({ figure: `pure Lua: worst error of the 100 largest paths, ${name}`, value: 100 * worst, show: percent, atLeast: 15, aim: 5 }),
      ];
    }),
  ];
}

export const pure = {
  name: "pure",
  jobs: [{ label: "pure Lua, its time", heap: undefined }, ...heaps.map((_, index) => ({ label: `pure Lua, ${heaps[index].name}`, heap: index }))],
  /** @param {{ heap?: number }} job */
  measure: async (job) => job.heap === undefined ? { ...await times(), sourceBytes: (await pureSource()).length } : exactness(heaps[job.heap]),
  rows,
};
