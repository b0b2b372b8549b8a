/**
 * Takes aos's own Lua and makes of it what an image carries:
 *
 *   bundle.c            the table of modules: name, offset, length
 *   sources-wasm32.wat  a module with one passive data segment, all sources end to end, and a function that copies
 *   sources-wasm64.wat  a part of it into linear memory (wasm-merge puts it into the image)
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

/** @param {[string, Buffer][]} modules */
function tableInC(modules) {
  let offset = 0;
  const rows = modules.map(([name, source]) => {
    const row = `    {${JSON.stringify(name)}, ${offset}, ${source.length}},\n`;
    offset += source.length;
    return row;
  });
  return `#include "bundle.h"

const struct bundle_module bundle_modules[] = {
${rows.join("")}};

const size_t bundle_module_count = sizeof bundle_modules / sizeof bundle_modules[0];
`;
}

/** @param {Buffer} bytes */
function quotedInWat(bytes) {
  const isPlain = (/** @type {number} */ byte) => byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
  return [...bytes].map((byte) => (isPlain(byte) ? String.fromCharCode(byte) : "\\" + byte.toString(16).padStart(2, "0"))).join("");
}

/** @param {Buffer} sources @param {32 | 64} bits */
function readerInWat(sources, bits) {
  const memory = bits === 64 ? "(memory i64 0)" : "(memory 0)";
  return `(module
  (import "image" "memory" ${memory})
  (data $aos_sources "${quotedInWat(sources)}")
  (func $bundle_read (export "read") (param $to i${bits}) (param $offset i32) (param $bytes i32)
    (memory.init $aos_sources (local.get $to) (local.get $offset) (local.get $bytes))))
`;
}

/** @param {string} file @param {string} text */
async function writeWhole(file, text) {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

/** @param {string} image @param {string} output */
async function writeBundle(image, output) {
  const modules = [...(await collectModules(image, process.env.AOS_PROCESS))].sort(([a], [b]) => (a < b ? -1 : 1));
  const sources = Buffer.concat(modules.map(([, source]) => source));
  await mkdir(output, { recursive: true });
  await writeWhole(path.join(output, "sources-wasm32.wat"), readerInWat(sources, 32));
  await writeWhole(path.join(output, "sources-wasm64.wat"), readerInWat(sources, 64));
  await writeWhole(path.join(output, "bundle.c"), tableInC(modules));
  console.log(`${modules.length} modules of aos, ${sources.length} bytes`);
}

const [image, output] = process.argv.slice(2);
await writeBundle(image, output).catch((error) => {
  console.error(`bundle.js: error: ${error.message}`);
  process.exitCode = 1;
});
