/** The module in pure Lua in the published image: what it explains, how exact, how fast, and what it takes meanwhile. */
import { readFileSync } from "node:fs";
import { objectsHeap, scaled, smallHeap } from "../heaps.js";
import { median } from "../statistics.js";
import { spawnCounting } from "../instructions.js";
import { ask, inRoot, luaSource, spawnSpecimen, stockImage } from "../specimen.js";
import { ratio, row } from "../report.js";
import { errorsOfPaths, loadPure, shareOf } from "../../../test/support/pure.js";
import { spawnProcess } from "../../../test/support/process.js";
import { minified } from "../../pack-lua.js";

/** @typedef {Awaited<ReturnType<typeof spawnProcess>>} Process */
/** @typedef {import("../specimen.js").Specimen} Specimen */
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
  const process = await spawnProcess(stockImage, { carryMemory: false, loader: { UNSAFE_MEMORY: true } }); // copying takes minutes
  await loadPure(process);
  await heap.build(process);
  const before = process.memoryBytes;
  const { explained, peakBytes } = await shareOf(process);
  const pages = (process.memoryBytes - before) / 65536;
  const { errors } = await errorsOfPaths(process);
  return { explained, peakBytes, pages, median: median(errors.map(({ error }) => error)), worst: errors[errors.length - 1].error };
}

const timed = (/** @type {number} */ rounds) => `
  local profile, times = package.loaded.membuddy.profile, {}
  for i = 1, ${rounds} do collectgarbage() times[i] = Bench.timed_ms(function() profile() end) end
  return times`;
const standIn = `
  local peer = assert(load([====[${luaSource("peer")}]====], "=peer"))()
  return Bench.timed_ms(function() peer.profile({target = Specimen, max_depth = "inf"}) end)`;

const callsAMessage = 25;
const messagesASide = 10;

/** @param {Specimen} specimen @returns {Promise<number[]>} */
async function manyTimes(specimen) {
  const times = [];
  for (let i = 0; i < messagesASide; i++) times.push(...await ask(specimen, timed(callsAMessage)));
  return times;
}

/**
 * Times, in milliseconds, on the heap of the published tool's figure: ours before and after for as long together as the
 * stand-in takes, so that both have the same machine.
 */
async function times() {
  const specimen = await spawnSpecimen(stockImage);
  await loadPure(specimen);
  await smallHeap.build(specimen);
  const [firstMs] = await ask(specimen, timed(callsAMessage));
  const before = await manyTimes(specimen);
  const peerMs = await ask(specimen, standIn);
  return { firstMs, pureMs: median([...before, ...await manyTimes(specimen)]), peerMs };
}

/** The same in millions of instructions, which no other load on the machine can change. */
async function counted() {
  const specimen = await spawnCounting(stockImage);
  await loadPure(specimen);
  await smallHeap.build(specimen);
  const [ours] = await ask(specimen, timed(1));
  return { ours, peer: await ask(specimen, standIn) };
}

const callsATurn = [16, 4, 1];
const warmUps = 1;
const turns = 5;

/** Nanoseconds and bytes of Lua memory an object; the sizes take turns: a machine that is slower for some seconds is so for all. */
async function perObject() {
  const specimens = [];
  for (const size of sizes) {
    const specimen = await spawnSpecimen(stockImage);
    await loadPure(specimen);
    await objectsHeap(size).build(specimen);
    specimens.push(specimen);
  }
  const ms = sizes.map(() => /** @type {number[]} */ ([]));
  for (let turn = 0; turn < warmUps + turns; turn++)
    for (const [i, specimen] of specimens.entries()) {
      const one = await ask(specimen, timed(callsATurn[i]));
      if (turn >= warmUps) ms[i].push(...one);
    }
  return Promise.all(specimens.map(async (specimen, i) => {
    const { objects, peakBytes } = await shareOf(specimen);
    return { ns: median(ms[i]) * 1e6 / objects, peakBytes };
  }));
}
const sizes = [8e3, 1e5, 1e6];

const bytes = (/** @type {number} */ count) => `${count.toFixed(0)} bytes`;
const percent = (/** @type {number} */ share) => `${share.toFixed(2)} %`;

/** @param {any[]} measured */
function rows(measured) {
  const [{ pureMs, firstMs, peerMs, sourceBytes }, { ours, peer }, { each }, ...found] = measured;
  const millions = (/** @type {number} */ count) => `${count.toLocaleString("en", { maximumSignificantDigits: 4 })} million`;
  const slowest = Math.max(...each.map((/** @type {any} */ one) => one.ns)), fastest = Math.min(...each.map((/** @type {any} */ one) => one.ns));
  return [
    row({ figure: "pure Lua: faster than a stand-in for the published tool, 8 thousand objects, stock aos 2.0.6", value: peerMs / pureMs,
      show: ratio, atLeast: 500, aim: 2000, moreIsBetter: true, detail: `${pureMs.toFixed(1)} ms (the first call ${firstMs.toFixed(1)} ms) against ${(peerMs / 1000).toFixed(1)} s, source ${sourceBytes} bytes` }),
    row({ figure: "the same, in WebAssembly instructions", value: peer / ours, show: ratio, detail: `${millions(ours)} against ${millions(peer)}` }),
    row({ figure: "pure Lua: the slowest time an object over the fastest, 8 thousand to 1 million objects", value: slowest / fastest, show: ratio,
      atLeast: 2, aim: 1.2, detail: each.map((/** @type {any} */ one) => `${one.ns.toFixed(0)} ns`).join(", ") }),
    row({ figure: "pure Lua: Lua memory at its peak an object, 8 thousand objects in aos", value: each[0].peakBytes, show: bytes, atLeast: 64, aim: 40,
      detail: `100 thousand: ${bytes(each[1].peakBytes)}, 1 million: ${bytes(each[2].peakBytes)}` }),
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

const sourceBytes = () => minified(readFileSync(inRoot("src/membuddy.lua"), "utf8")).length;

export const pure = {
  name: "pure",
  jobs: [{ label: "pure Lua, its time", kind: "times", heap: 0 }, { label: "pure Lua, its instructions", kind: "counted", heap: 0 },
    { label: "pure Lua, an object", kind: "each", heap: 0 },
    ...heaps.map(({ name }, heap) => ({ label: `pure Lua, ${name}`, kind: "heap", heap }))],
  /** @param {{ kind: string, heap: number }} job */
  async measure({ kind, heap }) {
    if (kind === "times") return { ...await times(), sourceBytes: sourceBytes() };
    if (kind === "heap") return exactness(heaps[heap]);
    return kind === "counted" ? counted() : { each: await perObject() };
  },
  rows,
};
