/**
 * Images that count the WebAssembly instructions that they execute. The count is the same in every run, on every
 * machine. The counting comes from `@permaweb/wasm-metering`, with which compute units charge for messages: a call in
 * front of each straight stretch of code, here into a counter that is merged into the module. It knows the instructions
 * of images, not all of those of the modules that read from outside.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
// @ts-ignore it has no types
import metering from "@permaweb/wasm-metering";
import { ask, inRoot, luaSource } from "./specimen.js";
import { spawnProcess } from "../../test/support/process.js";

/** @typedef {import("./specimen.js").Specimen} Specimen */

const everyInstruction = { start: 0, type: {}, import: 0, code: { locals: {}, code: { DEFAULT: 1 } }, data: 0 };
const meterItself = 2; // the constant and the call in front of each stretch, which it counts too

const counter = `
  (module
    (global $count (mut i64) (i64.const 0))
    (func (export "usegas") (param i64)
      (global.set $count (i64.add (global.get $count) (i64.sub (local.get 0) (i64.const ${meterItself})))))
    (func (export "instructions") (result i64) (global.get $count)))`;

/** @param {string} file an image @returns {Uint8Array} one that counts */
function counting(file) {
  const folder = inRoot("build/bench/counting");
  const work = (/** @type {string} */ name) => path.join(folder, `${path.basename(file, ".wasm")}-${name}`);
  const tool = (/** @type {string} */ name, /** @type {string[]} */ ...args) =>
    execFileSync(inRoot(`build/toolchain/bin/${name}`), ["--all-features", ...args], { stdio: ["ignore", "ignore", "inherit"] });
  mkdirSync(folder, { recursive: true });
  writeFileSync(work("metered.wasm"), metering.meterWASM(readFileSync(file), { meterType: "i64", costTable: everyInstruction }));
  writeFileSync(work("counter.wat"), counter);
  tool("wasm-merge", work("metered.wasm"), "image", work("counter.wat"), "metering", "-o", work("merged.wasm"));
  tool("wasm-opt", work("merged.wasm"), "--inlining", "-O3", "-o", work("counting.wasm")); // what it counted it still counts
  return readFileSync(work("counting.wasm"));
}

/**
 * A process whose clock tells millions of instructions instead of milliseconds: what `Bench.timed_ms` gives are those.
 * @param {string} file an image
 * @returns {Promise<Specimen>}
 */
export async function spawnCounting(file) {
  const { instantiate } = WebAssembly;
  /** @type {any} */
  let exports;
  WebAssembly.instantiate = /** @type {any} */ (async (/** @type {any} */ ...args) => {
    const made = /** @type {any} */ (await instantiate(.../** @type {[any]} */ (args)));
    exports = (made.instance ?? made).exports;
    return made;
  });
  try {
    const specimen = await spawnProcess(counting(file), { carryMemory: false, loader: { UNSAFE_MEMORY: true } });
    Date.now = () => Number(exports.instructions()) / 1e6;
    await ask(specimen, luaSource("measure"));
    return specimen;
  } finally {
    WebAssembly.instantiate = instantiate;
  }
}
