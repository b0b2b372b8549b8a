/**
 * Work that is counted, where a time would hang on the machine: the same run takes the same steps everywhere. A step is
 * the entry of a function of a WebAssembly module or a turn of a loop in it, as `wasm-opt --log-execution` marks them. What
 * JavaScript does besides is not counted.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

const counter = `
  (module
    (import "counting" "steps" (global $steps (mut i64)))
    (func (export "log_execution") (param i32) (global.set $steps (i64.add (global.get $steps) (i64.const 1)))))`;

const steps = new WebAssembly.Global({ value: "i64", mutable: true }, 0n);
const { instantiate } = WebAssembly;
WebAssembly.instantiate = /** @type {any} */ ((/** @type {any} */ module, /** @type {any} */ imports) =>
  instantiate(module, { ...imports, counting: { steps } }));

/**
 * A module that counts its steps, wherever it is instantiated.
 * @param {string} file absolute, or from the root of the repository
 * @returns {Uint8Array}
 */
export function countingModule(file) {
  const folder = mkdtempSync(path.join(tmpdir(), "membuddy-steps-"));
  const inFolder = (/** @type {string} */ name) => path.join(folder, name);
  const tool = (/** @type {string} */ name, /** @type {string[]} */ ...options) =>
    execFileSync(path.join(root, "build/toolchain/bin", name), ["--all-features", ...options], { stdio: ["ignore", "ignore", "inherit"] });
  try {
    writeFileSync(inFolder("counter.wat"), counter);
    tool("wasm-opt", "--log-execution", path.resolve(root, file), "-o", inFolder("telling.wasm"));
    tool("wasm-merge", inFolder("telling.wasm"), "module", inFolder("counter.wat"), "env", "-o", inFolder("merged.wasm"));
    tool("wasm-opt", "--inlining", inFolder("merged.wasm"), "-o", inFolder("counting.wasm"));
    return readFileSync(inFolder("counting.wasm"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @type {Map<string, Uint8Array>} */
const walkers = new Map();

/** A walker that counts its steps, for the option of `attach` of this name. @param {string} name */
export async function loadWalker(name) {
  const walker = walkers.get(name) ?? countingModule(`dist/attach-${name}.wasm`);
  walkers.set(name, walker);
  return walker;
}

/** Steps of all such modules while `run` runs. @param {() => unknown} run @returns {Promise<number>} */
export async function stepsOf(run) {
  const before = steps.value;
  await run();
  return Number(steps.value - before);
}

/**
 * Lua that makes a report below so many frames; their calls take steps of their own, few beside it.
 * @param {number} frames @param {string} membuddy
 */
export const reportBelow = (frames, membuddy) => `local function recurse(left)
    if left == 0 then ${membuddy}.profile({ depth = 0 }) else recurse(left - 1) end
    return left
  end
  recurse(${frames})`;
