/**
 * Are the functions that two images share the same code? Each is taken apart into text; addresses of data and numbers
 * of functions without names, which move when anything is added, do not count.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { inRoot } from "./specimen.js";

const disassembler = inRoot("build/toolchain/bin/wasm-dis");
const longestTextBytes = 2 ** 28;

/** @param {string} image @returns {string} */
const disassemble = (image) =>
  execFileSync(disassembler, ["--all-features", image], { encoding: "latin1", maxBuffer: longestTextBytes });

/** @param {string} text */
const withoutAddresses = (text) =>
  text.replace(/\b(i(?:32|64)\.const) -?\d+/g, "$1").replace(/\boffset=\d+/g, "offset").replace(/\$\d+\b/g, "$$");

/** @param {string} image @returns {Map<string, string>} name to code */
function functionsOf(image) {
  const parts = disassemble(image).split(/\n (?=\()/);
  const code = parts.filter((part) => part.startsWith("(func $"));
  return new Map(code.map((part) => [part.slice("(func $".length).split(/[\s)]/, 1)[0], withoutAddresses(part)]));
}

/**
 * @param {string} image
 * @param {string} other
 * @returns {{ shared: number, differing: string[] } | null} functions that bear a name in both; null: no disassembler
 */
export function compareFunctions(image, other) {
  if (!existsSync(disassembler)) return null;
  const these = functionsOf(image);
  const those = functionsOf(other);
  const shared = [...these.keys()].filter((name) => those.has(name) && !/^\d+$/.test(name));
  return { shared: shared.length, differing: shared.filter((name) => these.get(name) !== those.get(name)) };
}
