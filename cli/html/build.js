/**
 * Builds dist/html: `report.html`, the page that an export fills in, and `site/`, what `membuddy serve` offers.
 * The same sources give the same bytes.
 */
import { build } from "esbuild";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, "../..");
const out = path.join(root, "dist/html");
const targets = ["chrome109", "firefox115", "safari16"];

/** @param {string} entry @param {import("esbuild").BuildOptions} [options] */
async function bundle(entry, options = {}) {
  const { outputFiles, metafile } = await build({
    entryPoints: [path.join(here, entry)], bundle: true, minify: true, write: false, metafile: true, format: "iife", target: targets,
    charset: "ascii", legalComments: "none", absWorkingDir: root, logLevel: "warning", ...options,
  });
  return { text: outputFiles?.[0].text ?? "", packages: packagesOf(Object.keys(metafile?.inputs ?? {})) };
}

/** @param {string[]} inputs */
const packagesOf = (inputs) =>
  [...new Set(inputs.flatMap((input) => /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []))].sort();

/** The notices of MemBuddy and of every package in a bundle. @param {string[]} packages */
function notices(packages) {
  const own = `MemBuddy\n\n${read("LICENSE")}`;
  return [own, ...packages.map((name) => {
    const { version } = JSON.parse(read(`node_modules/${name}/package.json`));
    return `${name} ${version}\n\n${read(`node_modules/${name}/LICENSE`)}`;
  })].map((text) => text.trim()).join("\n\n---\n\n");
}

/** @param {string} file */
const read = (file) => fs.readFileSync(path.join(root, file), "utf8");
/** @param {string} text */
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
/** @param {string} text a script or style that stands inside a page must not end there */
function inside(text) {
  if (/<\/(script|style)|<!--/i.test(text)) throw new Error("A bundle contains the end of its own element.");
  return text;
}
/** @param {string} name @param {string | Uint8Array} content */
function write(name, content) {
  const file = path.join(out, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.part`, content);
  fs.renameSync(`${file}.part`, file);
}

async function buildReport() {
  const style = inside((await bundle("style.css")).text.trim());
  const { text, packages } = await bundle("embedded.js");
  const script = inside(`/*!\n${notices(packages).replaceAll("*/", "* /")}\n*/\n${text.trim()}`);
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`;
  const page = read("cli/html/report.html").replace("@policy@", () => policy).replace("@style@", () => style).replace("@script@", () => script);
  write("report.html", page);
}

/** A folder that any server of files can offer: it needs nothing else. */
async function buildSite() {
  const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; worker-src 'self'; img-src data:; " +
    "base-uri 'none'; form-action 'none'";
  /** @type {import("esbuild").BuildOptions} */
  const options = { format: "esm", external: ["node:*"], target: [...targets, "es2022"] };
  const page = await bundle("drop.js", options), worker = await bundle("worker.js", options);
  if (/import[^;(]*from\s*"node:/.test(worker.text)) throw new Error("A module that the page needs imports a module of Node.js at its top; it must import it where it uses it.");
  write("site/page.js", page.text);
  write("site/worker.js", worker.text);
  write("site/style.css", (await bundle("style.css")).text);
  write("site/index.html", read("cli/html/drop.html").replace("@policy@", () => policy));
  write("site/report.html", fs.readFileSync(path.join(out, "report.html")));
  write("site/LICENSES.txt", `${notices([...new Set([...page.packages, ...worker.packages])])}\n`);
  for (const name of walkers()) write(`site/${name}`, fs.readFileSync(path.join(root, "dist", name)));
}

function walkers() {
  const found = fs.readdirSync(path.join(root, "dist")).filter((name) => /^attach-.*\.wasm$/.test(name)).sort();
  if (found.length !== 6) throw new Error(`dist has ${found.length} of the 6 modules attach-*.wasm; build them with: make attach`);
  return found;
}

await buildReport();
await buildSite();
