/**
 * Makes what processes load whose image has no MemBuddy:
 *
 *   dist/membuddy.lua               the module in one file
 *   dist/blueprints/membuddy.lua    for .load-blueprint: the module and its handlers, one Eval
 *   dist/apm/                       the package: apm.json, main.lua, README.md, and publish.json, the message for the registry
 *
 *   node scripts/stock.js OUTPUT-FOLDER
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { minified, packed, writeWhole } from "./pack-lua.js";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const read = (/** @type {string} */ name) => readFile(path.join(root, name), "utf8");

/** A Lua string of any bytes, in ASCII. @param {number[]} bytes */
function quoted(bytes) {
  const digit = (/** @type {number | undefined} */ byte) => byte !== undefined && byte >= 0x30 && byte <= 0x39;
  const shown = (/** @type {number} */ byte, /** @type {number | undefined} */ next) => {
    if (byte === 0x22 || byte === 0x5c) return "\\" + String.fromCharCode(byte);
    if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
    return "\\" + String(byte).padStart(digit(next) ? 3 : 1, "0");
  };
  return `"${bytes.map((byte, at) => shown(byte, bytes[at + 1])).join("")}"`;
}

/** @param {string} text */
function longString(text) {
  let level = "=";
  while (text.includes(`]${level}]`)) level += "=";
  return `[${level}[${text}]${level}]`;
}

/** @param {string} source */
function packedTable(source) {
  const { packed: bytes, pairs } = packed(minified(source));
  return `{${quoted(bytes)},${quoted(pairs.flat())}}`;
}

async function version() {
  const found = /MEMBUDDY_VERSION\s+"([^"]+)"/.exec(await read("src/membuddy.h"));
  if (!found) throw new Error("src/membuddy.h does not say MEMBUDDY_VERSION");
  return found[1];
}

/** The expression that loads everything and gives the module. */
async function loading() {
  const [stock, pure, checks, handlers] = await Promise.all(["stock", "membuddy", "checks", "handlers"].map((name) => read(`src/${name}.lua`)));
  return `load(${longString(minified(stock))}, "=membuddy")(${longString(minified(pure))},\n${packedTable(checks)},\n${packedTable(handlers)})`;
}

const keywords = ["memory", "profiler", "debug", "leak", "gc"];

/** @param {string} output */
async function writeAll(output) {
  const release = await version();
  const expression = await loading();
  const readme = await read("src/apm.md");
  const head = `-- MemBuddy ${release}, a memory profiler for aos processes. MIT licence.\n`;
  const module = `${head}local membuddy = ${expression}\nreturn membuddy\n`;
  const about = {
    name: "membuddy",
    vendor: "@apm",
    version: release,
    description: "Memory profiler: where every byte of a process went, and aos's leaks by name",
    keywords,
    license: "MIT",
    dependencies: {},
    warnings: { modifiesGlobalState: false, installMessage: "" },
    authors: [],
    main: "main.lua",
    repository: JSON.parse(await read("package.json")).repository?.url ?? "",
  };
  const tag = (/** @type {string} */ name, /** @type {unknown} */ value) => ({ name, value: typeof value === "string" ? value : JSON.stringify(value) });
  const message = {
    Tags: [tag("Action", "APM.Publish"), tag("Name", about.name), tag("Vendor", about.vendor), tag("Version", release),
      tag("Description", about.description), tag("Keywords", keywords), tag("License", about.license), tag("Repository", about.repository),
      tag("Dependencies", about.dependencies), tag("Warnings", about.warnings), tag("Authors", about.authors)],
    Data: JSON.stringify({ source: module, readme }),
  };
  await writeWhole(path.join(output, "membuddy.lua"), module);
  await writeWhole(path.join(output, "blueprints/membuddy.lua"), `${head}local membuddy = ${expression}
membuddy.serve(membuddy.serving or nil)
return "MemBuddy ${release} (" .. membuddy.backend .. "): local membuddy = require('membuddy') membuddy.print()"
`);
  await writeWhole(path.join(output, "apm/apm.json"), JSON.stringify(about, null, 2) + "\n");
  await writeWhole(path.join(output, "apm/main.lua"), module);
  await writeWhole(path.join(output, "apm/README.md"), readme);
  await writeWhole(path.join(output, "apm/publish.json"), JSON.stringify(message, null, 2) + "\n");
}

await writeAll(process.argv[2] ?? path.join(root, "dist")).catch((error) => {
  console.error(`stock.js: error: ${error.message}`);
  process.exitCode = 1;
});
