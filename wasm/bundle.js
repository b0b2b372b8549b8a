/**
 * Takes aos's own Lua and makes of it what an image carries:
 *
 *   bundle.c            the table of modules: name, length
 *   sources-wasm32.wat  a module with the sources as constants of its code, and a function that writes those of one
 *   sources-wasm64.wat  into linear memory (wasm-merge puts it into the image)
 *
 * The sources come out of an official image, by running it and asking its own module loader; with AOS_PROCESS=dir,
 * aos's modules come from that folder (the `process` folder of an aos checkout) instead.
 *
 *   node --experimental-wasm-memory64 wasm/bundle.js OFFICIAL-IMAGE OUTPUT-FOLDER
 */
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { spawnProcess } from "../test/support/process.js";

/** @typedef {Map<string, Buffer>} Modules */

// The second searcher of an official image holds its modules, name to source, as its first upvalue.
const readModulesInLua = `
  local _, modules = debug.getupvalue(package.searchers[2], 1)
  local as_hexadecimal = {}
  for name, source in pairs(modules) do
    if type(source) == "string" then
      as_hexadecimal[name] = source:gsub(".", function(byte) return string.format("%02x", byte:byte()) end)
    end
  end
  return require("json").encode(as_hexadecimal)`;

/** @param {string} image @returns {Promise<Modules>} */
async function modulesOfImage(image) {
  const process = await spawnProcess(image);
  const modules = JSON.parse(await process.eval(readModulesInLua));
  return new Map(Object.entries(modules).map(([name, source]) => [name, Buffer.from(String(source), "hex")]));
}

/** @param {string} file @returns {Promise<Buffer>} without byte order mark; a first line for the shell is emptied */
async function readSource(file) {
  const text = await readFile(file, "latin1");
  return Buffer.from(text.replace(/^\xef\xbb\xbf/, "").replace(/^#[^\n]*/, ""), "latin1");
}

/**
 * Named as the official builder names them: crypto/mac/init.lua is ".crypto.mac.init".
 * @param {string} folder
 * @returns {Promise<Modules>}
 */
async function modulesOfFolder(folder) {
  const names = await readdir(folder, { recursive: true }).catch((error) => {
    throw new Error(`AOS_PROCESS=${folder} cannot be read (${error.code}): give the "process" folder of an aos checkout`);
  });
  const files = names.filter((name) => name.endsWith(".lua") && !name.includes("node_modules"));
  if (!files.includes("process.lua"))
    throw new Error(`AOS_PROCESS=${folder} has no process.lua: give the "process" folder of an aos checkout`);
  /** @type {Modules} */
  const modules = new Map();
  for (const file of files) {
    const name = "." + file.slice(0, -".lua".length).split(path.sep).join(".");
    modules.set(name, await readSource(path.join(folder, file)));
  }
  return modules;
}

/**
 * A folder's modules replace aos's, whose names begin with a dot; `json` and the entry come from the builder.
 * @param {string} image
 * @param {string | undefined} folder
 */
async function collectModules(image, folder) {
  const official = await modulesOfImage(image);
  if (!folder) return official;
  const builders = [...official].filter(([name]) => !name.startsWith("."));
  return new Map([...builders, ...(await modulesOfFolder(folder))]);
}

/** Of one call, which is what a module's length is rounded up to. */
const wordsAtOnce = 32;
const wordBytes = 8;
const pieceBytes = wordsAtOnce * wordBytes;
/** Of one function: engines have limits, V8 7,654,321 bytes of code. */
const functionBytes = 4096 * pieceBytes;

/** @param {[string, Buffer][]} modules */
function tableInC(modules) {
  const rows = modules.map(([name, source]) => `    {${JSON.stringify(name)}, ${source.length}},\n`);
  return `#include "bundle.h"

_Static_assert(BUNDLE_PIECE_BYTES == ${pieceBytes}, "wasm/bundle.js says it");

const struct bundle_module bundle_modules[] = {
${rows.join("")}};

const size_t bundle_module_count = sizeof bundle_modules / sizeof bundle_modules[0];
`;
}

/** @template T @param {number} count @param {(index: number) => T} make @returns {T[]} */
const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));

/**
 * Writes a part of a source by calls of `$put`.
 * @param {Buffer} source @param {string} name @param {number} begin
 */
function writerInWat(source, name, begin) {
  const part = source.subarray(begin, begin + functionBytes);
  const padded = Buffer.alloc(Math.ceil(part.length / pieceBytes) * pieceBytes);
  part.copy(padded);
  const word = (/** @type {number} */ at) => `i64.const ${padded.readBigInt64LE(at)}`;
  const words = (/** @type {number} */ at) => times(wordsAtOnce, (i) => word(at + i * wordBytes)).join(" ");
  const lines = times(padded.length / pieceBytes, (i) => `    local.get $to ${words(i * pieceBytes)} call $put local.set $to\n`);
  return `  (func ${name} (param $to ptr)\n${lines.join("")}  )\n`;
}

/**
 * The functions for a source, and what calls them where it is asked for.
 * @param {Buffer} source @param {number} index
 */
function moduleInWat(source, index) {
  const begins = times(Math.ceil(source.length / functionBytes), (part) => part * functionBytes);
  const name = (/** @type {number} */ begin) => `$bundle_write_${index}_${begin}`;
  const call = (/** @type {number} */ begin) => `(call ${name(begin)} (ptr.add (local.get $to) (ptr.const ${begin})))`;
  return {
    functions: begins.map((begin) => writerInWat(source, name(begin), begin)).join(""),
    choice: `    (if (i32.eq (local.get $module) (i32.const ${index})) (then ${begins.map(call).join(" ")}))\n`,
  };
}

/**
 * Constants of code, not data: linear memory has nothing of them, and reading them takes no instruction that the
 * published images do without (the loader's meter knows no others).
 * @param {Buffer[]} sources
 * @param {32 | 64} bits
 */
function writersInWat(sources, bits) {
  const memory = bits === 64 ? "(memory i64 0)" : "(memory 0)";
  const store = (/** @type {number} */ i) => `    (i64.store offset=${i * wordBytes} (local.get $to) (local.get ${i + 1}))\n`;
  const modules = sources.map(moduleInWat);
  return `(module
  (import "image" "memory" ${memory})
  (func $put (param $to ptr) (param${" i64".repeat(wordsAtOnce)}) (result ptr)
${times(wordsAtOnce, store).join("")}    (ptr.add (local.get $to) (ptr.const ${pieceBytes})))
${modules.map(({ functions }) => functions).join("")}  (func $aos_sources (export "bundle_write") (param $to ptr) (param $module i32)
${modules.map(({ choice }) => choice).join("")}  ))
`.replaceAll(/\bptr\b/g, `i${bits}`);
}

/** @param {string} file @param {string} text */
async function writeWhole(file, text) {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

/** @param {string} image @param {string} output */
async function writeBundle(image, output) {
  const modules = [...(await collectModules(image, process.env.AOS_PROCESS))].sort(([a], [b]) => (a < b ? -1 : 1));
  const sources = modules.map(([, source]) => source);
  await mkdir(output, { recursive: true });
  await writeWhole(path.join(output, "sources-wasm32.wat"), writersInWat(sources, 32));
  await writeWhole(path.join(output, "sources-wasm64.wat"), writersInWat(sources, 64));
  await writeWhole(path.join(output, "bundle.c"), tableInC(modules));
  console.log(`${modules.length} modules of aos, ${Buffer.concat(sources).length} bytes`);
}

const [image, output] = process.argv.slice(2);
await writeBundle(image, output).catch((error) => {
  console.error(`bundle.js: error: ${error.message}`);
  process.exitCode = 1;
});
