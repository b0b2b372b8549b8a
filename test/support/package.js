/**
 * The packed npm package, as a user has it: in a folder of its own, without the checkout.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));

/** Where commands run; gone after the tests. */
export const folder = mkdtempSync(path.join(tmpdir(), "membuddy-cli-"));
after(() => rmSync(folder, { recursive: true }));
export const inFolder = (/** @type {string} */ name) => path.join(folder, name);
export const installed = inFolder("node_modules/membuddy");
export const bin = path.join(installed, "cli/bin.js");

/** Unpacks what `npm publish` would send, and gives it its runtime dependencies, no others. */
function install() {
  const packed = JSON.parse(execFileSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", inFolder(packed[0].filename), "-C", installed, "--strip-components=1"]);
  const wanted = Object.keys(manifest.dependencies);
  for (let name = wanted.shift(); name !== undefined; name = wanted.shift()) {
    const to = inFolder(`node_modules/${name}`), from = path.join(root, "node_modules", name);
    if (existsSync(to)) continue;
    mkdirSync(path.dirname(to), { recursive: true });
    symlinkSync(from, to);
    wanted.push(...Object.keys(JSON.parse(readFileSync(path.join(from, "package.json"), "utf8")).dependencies ?? {}));
  }
}

/** @param {string[]} commandLine @param {{ input?: Uint8Array }} [options] */
export function run(commandLine, { input } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--preserve-symlinks", bin, ...commandLine], { cwd: folder, input, encoding: "utf8", maxBuffer: 2 ** 28 });
  return { status, stdout, stderr };
}

/** @param {string[]} commandLine @param {{ input?: Uint8Array }} [options] what it says on the standard output, when all is well */
export function say(commandLine, options) {
  const { status, stdout, stderr } = run(commandLine, options);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** The package, and the sample in its folder. */
export function installPackage() {
  install();
  say(["sample", "-o", "sample.dat"]);
}
