/**
 * A process read from outside, against V8's own heap snapshot of the same graph made of JavaScript objects: whole
 * commands, each in a Node.js of its own, one after the other in the same run.
 */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { largeHeap, objectsHeap, scaled } from "../heaps.js";
import { row } from "../report.js";
import { median } from "../statistics.js";
import { hostNowMs, image, inRoot, stockImage } from "../specimen.js";
import { spawnProcess } from "../../../test/support/process.js";

const rounds = 5;
const scratch = inRoot("build/bench/outside");
const command = inRoot("cli/bin.js");
const hugeHeap = objectsHeap(1e7);

const v8Snapshot = `
  const { writeHeapSnapshot } = require("node:v8");
  const items = [];
  for (let i = 0; i < ${scaled(1e6)}; i++) items.push([i, "x" + i]);
  globalThis.items = items;
  const begin = performance.now();
  writeHeapSnapshot(process.env.OUT);
  console.log(performance.now() - begin);`;

/**
 * Runs a program; gives how long it took and how much memory it had at most, as the system counts it.
 * @param {string[]} words after `node` @param {Record<string, string>} [environment]
 * @returns {Promise<{ ms: number, peakBytes: number, output: string }>}
 */
function run(words, environment = {}) {
  const begin = hostNowMs();
  const child = spawn(process.execPath, ["--experimental-wasm-memory64", "--no-warnings", "--import", inRoot("scripts/bench/tell-peak.js"), ...words], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const texts = /** @type {string[][]} */ ([[], [], []]);
  [1, 2, 3].forEach((stream, index) => child.stdio[stream]?.on("data", (text) => texts[index].push(String(text))));
  return new Promise((resolve, reject) =>
    child.on("close", (code, signal) => {
      const [output, errors, peak] = texts.map((parts) => parts.join(""));
      if (code !== 0) reject(new Error(`node ${words[0]} ended with ${signal ?? code}: ${errors.trim().split("\n").pop()}`));
      else resolve({ ms: hostNowMs() - begin, peakBytes: Number(peak), output });
    }));
}

/** @param {string} name @param {string} file an image @param {import("../heaps.js").Heap} [heap] */
async function memoryFile(name, file, heap) {
  const out = path.join(scratch, name);
  mkdirSync(scratch, { recursive: true });
  const specimen = await spawnProcess(file);
  await heap?.build(specimen);
  await specimen.eval("collectgarbage() return 1");
  writeFileSync(out, /** @type {Uint8Array} */ (specimen.memory), { flush: true }); // the disk is quiet when the clock starts
  return out;
}

/** @typedef {Awaited<ReturnType<typeof run>>} Run */

/** @param {Run[]} runs */
const middle = (runs) => ({ ms: median(runs.map((one) => one.ms)), peakBytes: median(runs.map((one) => one.peakBytes)), output: runs[0].output });

/** @param {() => Promise<Run>} once @param {number} times */
async function repeat(once, times) {
  const runs = [];
  for (let i = 0; i < times; i++) runs.push(await once());
  return middle(runs);
}

/** @param {{ label: string, heap?: import("../heaps.js").Heap, snapshot?: boolean }} job */
async function measure({ heap, snapshot }) {
  if (!heap) return measureFinding();
  const file = await memoryFile("memory.dat", image, heap);
  const out = path.join(scratch, "out.heapsnapshot");
  const makeReport = () => run([command, file, "--json"]);
  const idle = await repeat(() => run([command, "--version"]), rounds);
  const fileBytes = statSync(file).size;
  const measured = (/** @type {Run} */ report) => ({ objects: JSON.parse(report.output).objects, report, idle, fileBytes });
  if (!snapshot) return measured(await repeat(makeReport, 3));
  const reports = [], exports = [], v8Ms = [];
  for (let i = 0; i < rounds; i++) { // they take turns: where the machine is slow for a while it is so for all
    reports.push(await makeReport());
    exports.push(await run([command, "export", file, "--format", "heapsnapshot", "-o", out]));
    if (i % 2 === 0) v8Ms.push(Number((await run(["-e", v8Snapshot], { OUT: out })).output));
  }
  rmSync(scratch, { recursive: true, force: true });
  return { ...measured(middle(reports)), exported: middle(exports), v8: { ms: median(v8Ms), all: v8Ms } };
}

/** How long the state is looked for in the memory of a stock process. */
async function measureFinding() {
  const { makeMemory, makeWalker } = await import("../../../cli/module.js");
  const bytes = readFileSync(await memoryFile("stock.dat", stockImage));
  const memory = makeMemory(bytes.length, false);
  new Uint8Array(memory.buffer).set(bytes);
  const module = await WebAssembly.compile(readFileSync(inRoot("dist/attach-lua53-wasm64.wasm")));
  const walker = await makeWalker(module, "lua53-wasm64", memory, bytes.length);
  const times = [];
  for (let i = 0; i < 9; i++) {
    const begin = hostNowMs();
    if (walker.call.attach_find_state(0) === 0) throw new Error("no state was found");
    times.push(hostNowMs() - begin);
  }
  return { findMs: median(times), bytes: bytes.length };
}

const inTimes = (/** @type {number} */ value) => `${value.toFixed(1)} x`;
const milliseconds = (/** @type {number} */ value) => `${value.toFixed(0)} ms`;

/** @param {any[]} measured */
const rows = ([large, huge, finding]) => [
  row({
    figure: `from outside: books, dominators, retained sizes of ${largeHeap.name}, whole command, against V8's \`writeHeapSnapshot\` of the same graph`,
    value: large.v8.ms / large.report.ms, show: inTimes, atLeast: 10, aim: 30, moreIsBetter: true,
    detail: `${milliseconds(large.report.ms)} for ${large.objects} objects, V8 ${large.v8.all.map((/** @type {number} */ ms) => ms.toFixed(0)).join(", ")} ms`,
  }),
  row({
    figure: "the same, plus writing the `.heapsnapshot`",
    value: large.v8.ms / large.exported.ms, show: inTimes, atLeast: 4, aim: 10, moreIsBetter: true,
    detail: milliseconds(large.exported.ms),
  }),
  row({
    figure: "memory above the size of the input and an idle command, at most",
    value: (large.report.peakBytes - large.idle.peakBytes - large.fileBytes) / large.objects,
    show: (bytes) => `${bytes.toFixed(0)} B an object`, atLeast: 64, aim: 40,
    detail: `resident at most ${(large.report.peakBytes / 1e6).toFixed(0)} MB, input ${(large.fileBytes / 1e6).toFixed(0)} MB`,
  }),
  row({
    figure: `finding the state in ${(finding.bytes / 1e6).toFixed(0)} MB`,
    value: finding.findMs, show: (ms) => `${ms.toFixed(1)} ms`, atLeast: 50, aim: 20,
  }),
  row({
    figure: `the whole command for ${hugeHeap.name}`,
    value: huge.report.ms / 1000, show: (seconds) => `${seconds.toFixed(1)} s`, aim: 60,
    detail: `${(huge.report.ms * 1e6 / huge.objects).toFixed(0)} ns an object; ${(large.report.ms * 1e6 / large.objects).toFixed(0)} ns with ${largeHeap.name}`,
  }),
];

export const outside = {
  name: "outside",
  jobs: [{ label: largeHeap.name, heap: largeHeap, snapshot: true }, { label: hugeHeap.name, heap: hugeHeap }, { label: "finding the state" }],
  measure, rows,
};
