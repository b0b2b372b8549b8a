/**
 * Speed and size, measured: `npm run bench`, which is `make bench`.
 *
 * The table goes to standard output and, when everything was measured at full size, into bench/results.md.
 * What is being done is told on standard error.
 *
 *   ONLY=speed,peer      only these figures: speed, flat, print, peer, memory, eval, size, rest, retained, images, outside, pure
 *   SCALE=0.01           heaps of a hundredth of the size, to try the bench itself
 *   PEER_MEMBUDDY=file   the published pure-Lua tool; without it a stand-in runs (scripts/bench/lua/peer.lua)
 */
import { execFileSync, fork } from "node:child_process";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { figures } from "./bench/figures/index.js";
import { scale } from "./bench/heaps.js";
import { describeMachine } from "./bench/machine.js";
import { notes } from "./bench/notes.js";
import { failedRow, markdown } from "./bench/report.js";
import { inRoot } from "./bench/specimen.js";

/** @typedef {import("./bench/figures/index.js").Figure} Figure */

const jobLimitMs = 600_000;
const resultsFile = inRoot("bench/results.md");

const say = (/** @type {string} */ text) => process.stderr.write(text);

function wantedFigures() {
  const names = (process.env.ONLY ?? "").split(",").filter(Boolean);
  const unknown = names.filter((name) => !figures.some((figure) => figure.name === name));
  const known = figures.map((figure) => figure.name).join(", ");
  if (unknown.length > 0) throw new Error(`ONLY=${process.env.ONLY}: ${unknown[0]} is no figure; there are ${known}`);
  return names.length > 0 ? figures.filter((figure) => names.includes(figure.name)) : figures;
}

/** @param {Figure} figure @param {number} index @returns {Promise<any>} */
function runJob(figure, index) {
  const child = fork(inRoot("scripts/bench/job.js"), [figure.name, String(index)], {
    execArgv: ["--experimental-wasm-memory64", "--no-warnings"],
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), jobLimitMs);
    let answer = /** @type {any} */ (undefined);
    child.on("message", (message) => (answer = message));
    child.on("error", (error) => reject(error));
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (answer?.measured !== undefined) resolve(answer.measured);
      else reject(new Error(answer?.error ?? `the measuring process ended with ${signal ?? code}; it has ${jobLimitMs / 1000} s`));
    });
  });
}

/** @param {Figure} figure */
async function runFigure(figure) {
  const measured = [];
  for (const [index, job] of figure.jobs.entries()) {
    say(`${figure.name}: ${job.label} ... `);
    const begin = Date.now();
    measured.push(await runJob(figure, index));
    say(`${((Date.now() - begin) / 1000).toFixed(1)} s\n`);
  }
  return { rows: figure.rows(measured), tables: figure.tables?.(measured) ?? [], failed: false };
}

/** A figure that can't be measured does not stop the others. @param {Figure} figure */
async function runFigureOrTell(figure) {
  try {
    return await runFigure(figure);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    say(`not measured: ${reason}\n`);
    return { rows: [failedRow(figure.name, reason)], tables: [], failed: true };
  }
}

function linkImageWithout() {
  say("the image without membuddy\n");
  execFileSync(inRoot("scripts/bench/without.sh"), [inRoot("build/bench/without"), "dist/membuddy-lua54-wasm64.wasm"], {
    stdio: ["ignore", process.stderr, process.stderr],
  });
}

/** @param {string} text */
function writeResults(text) {
  mkdirSync(dirname(resultsFile), { recursive: true });
  writeFileSync(`${resultsFile}.tmp`, text);
  renameSync(`${resultsFile}.tmp`, resultsFile);
  say("written to bench/results.md\n");
}

function commandLine() {
  const { ONLY, SCALE, PEER_MEMBUDDY } = process.env;
  const settings = { ONLY, SCALE, PEER_MEMBUDDY: PEER_MEMBUDDY && basename(PEER_MEMBUDDY) };
  const given = Object.entries(settings).filter(([, value]) => value);
  return [...given.map(([name, value]) => `${name}=${value}`), "npm run bench"].join(" ");
}

async function main() {
  const wanted = wantedFigures();
  const machine = describeMachine();
  if (wanted.some((figure) => figure.needsImageWithout)) linkImageWithout();
  const outcomes = [];
  for (const figure of wanted) outcomes.push(await runFigureOrTell(figure));
  const rows = outcomes.flatMap((outcome) => outcome.rows);
  const text = markdown({ command: commandLine(), machine, rows, tables: outcomes.flatMap((outcome) => outcome.tables), notes });
  process.stdout.write(text);
  const hasFailed = outcomes.some((outcome) => outcome.failed);
  if (wanted === figures && scale === 1 && !hasFailed) writeResults(text);
  else say("bench/results.md is left as it is: that needs every figure, at full size\n");
  process.exitCode = hasFailed ? 1 : 0;
}

await main().catch((error) => {
  say(`bench: ${error.message}\n`);
  process.exitCode = 1;
});
