/**
 * Makes what processes load whose image has no MemBuddy:
 *
 *   dist/membuddy.lua               the module in one file
 *   dist/blueprints/membuddy.lua    for .load-blueprint: the module and its handlers, one Eval
 *   dist/apm/                       the package: apm.json, main.lua, README.md; publish.json is the message that the
 *                                   registry of apm takes, publish-1.json the one of APM, aos 1's
 *
 *   [VENDOR=@NAME] [REPOSITORY=URL] node scripts/stock.js OUTPUT-FOLDER
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { minified, packed, writeWhole } from "./pack-lua.js";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const read = (/** @type {string} */ name) => readFile(path.join(root, name), "utf8");

/** @param {string} text */
function longString(text) {
  let level = "=";
  while (text.includes(`]${level}]`)) level += "=";
  return `[${level}[\n${text}]${level}]`; // Lua leaves out a line that ends in front
}

/**
 * Bytes as ASCII that src/stock.lua reads: ! or ` and a character for one from 128 on. Lua's escapes would take five
 * bytes of a message, which has to fit on a C stack of 64 KB in the sqlite image.
 * @param {number[]} bytes
 */
function inAscii(bytes) {
  if (bytes.some((byte) => byte === 0x21 || byte === 0x60)) throw new Error("these texts must hold neither ! nor `");
  return bytes.map((byte) => (byte < 128 ? "" : byte < 192 ? "!" : "`") + String.fromCharCode(byte < 128 ? byte : 48 + byte % 64)).join("");
}

/** @param {string} source */
function packedTable(source) {
  const { packed: bytes, pairs } = packed(minified(source));
  return `{${longString(inAscii(bytes))},${longString(inAscii(pairs.flat()))}}`;
}

async function version() {
  const found = /MEMBUDDY_VERSION\s+"([^"]+)"/.exec(await read("src/membuddy.h"));
  if (!found) throw new Error("src/membuddy.h does not say MEMBUDDY_VERSION");
  return found[1];
}

/** The module as src/stock.lua wants it; on its own it gives one value, since a second one fails an Eval. @param {string} pure */
function withSetter(pure) {
  const end = "\nreturn membuddy\n";
  if (!pure.endsWith(end) || !pure.includes("\nlocal findings\n")) throw new Error("src/membuddy.lua does not end as expected");
  return `${pure.slice(0, -end.length)}\nreturn membuddy, function(lines) findings = lines end\n`;
}

/** The expression that loads everything and gives the module. */
async function loading() {
  const [stock, pure, checks, handlers] = await Promise.all(["stock", "membuddy", "checks", "handlers"].map((name) => read(`src/${name}.lua`)));
  return `load(${longString(minified(stock))}, "=membuddy")(${[withSetter(pure), checks, handlers].map(packedTable).join(",\n")})`;
}

/**
 * Where the source is, which apm demands and shows. Without an address the source is named by its checksum: a tag of a
 * message must not be empty, and nobody else's address is right.
 * @param {string} module
 */
async function repository(module) {
  const { repository: said, homepage } = JSON.parse(await read("package.json"));
  const address = process.env.REPOSITORY || (typeof said === "string" ? said : said?.url) || homepage;
  return address?.replace(/^git\+/, "") ?? `urn:sha256:${createHash("sha256").update(module).digest("hex")}`;
}

/** @param {string} module */
async function description(module) {
  return {
    name: "membuddy",
    vendor: process.env.VENDOR || "@apm",
    version: await version(),
    description: "Memory profiler: where every byte of a process went, and aos's leaks by name",
    keywords: ["memory", "profiler", "debug", "leak", "gc"],
    license: "MIT",
    dependencies: {},
    warnings: { modifiesGlobalState: false, installMessage: "" },
    authors: [],
    main: "main.lua",
    repository: await repository(module),
  };
}

/** @typedef {Awaited<ReturnType<typeof description>>} Description */

/** @param {Record<string, unknown>} fields */
const tags = (fields) => Object.entries(fields).map(([name, value]) => ({ name, value: typeof value === "string" ? value : JSON.stringify(value) }));

/** What the registry takes: the description in tags, the texts in the data. @param {Description} about @param {string} source @param {string} readme */
const publishing = (about, source, readme) => ({
  Tags: tags({ Action: "APM.Publish", Name: about.name, Vendor: about.vendor, Version: about.version, Description: about.description,
    Repository: about.repository, License: about.license, Dependencies: about.dependencies, Warnings: about.warnings,
    Keywords: about.keywords, Authors: about.authors }),
  Data: JSON.stringify({ source, readme }),
});

/** What the registry of APM takes, for 10 of its tokens, and hands on as it is. @param {Description} about @param {string} source @param {string} readme */
const publishingToOld = (about, source, readme) => ({
  Tags: tags({ Action: "APM.Publish", Quantity: "100000000000" }),
  Data: JSON.stringify({
    Name: about.name,
    Vendor: about.vendor,
    Version: about.version,
    PackageData: {
      Readme: readme,
      Description: about.description,
      Main: about.main,
      Dependencies: [],
      RepositoryUrl: about.repository,
      Items: [{ meta: { name: about.main }, data: source }],
      Authors: about.authors,
    },
  }),
});

/** @param {unknown} value */
const json = (value) => JSON.stringify(value, null, 2) + "\n";

/** @param {string} output */
async function writeAll(output) {
  const expression = await loading();
  const readme = await read("src/apm.md");
  const release = await version();
  const head = `-- MemBuddy ${release}, a memory profiler for aos processes. MIT licence.\n`;
  const module = `${head}local membuddy = ${expression}\nreturn membuddy\n`;
  const about = await description(module);
  await writeWhole(path.join(output, "membuddy.lua"), module);
  // \40 is "(": loaders of files and of packages look for calls of require by their text, in strings too.
  await writeWhole(path.join(output, "blueprints/membuddy.lua"), `${head}local membuddy = ${expression}
membuddy.serve(membuddy.serving or nil)
return "MemBuddy ${release} (" .. membuddy.backend .. "): local membuddy = require\\40'membuddy') membuddy.print()"
`);
  await writeWhole(path.join(output, "apm/apm.json"), json(about));
  await writeWhole(path.join(output, "apm/main.lua"), module);
  await writeWhole(path.join(output, "apm/README.md"), readme);
  await writeWhole(path.join(output, "apm/publish.json"), json(publishing(about, module, readme)));
  await writeWhole(path.join(output, "apm/publish-1.json"), json(publishingToOld(about, module, readme)));
}

await writeAll(process.argv[2] ?? path.join(root, "dist")).catch((error) => {
  console.error(`stock.js: error: ${error.message}`);
  process.exitCode = 1;
});
