/**
 * Takes the types out of the loader of Chrome's DevTools and of what it imports, so that Node.js or a browser runs it as
 * it is. What it needs of DevTools beside (translations, the texts of an editor) has stand-ins, since it is far more than
 * a loader.
 *
 *   node devtools.js SOURCES OUT
 */
import fs from "node:fs";
import path from "node:path";
import ts from "typescript";

const [sources, out] = process.argv.slice(2);
const worker = "entrypoints/heap_snapshot_worker";

/** @type {Record<string, string>} */
const standIns = {
  "core/i18n/i18n.js": "export const i18n = { serializeUIString: (text, values) => JSON.stringify({ text, values }) };",
  "core/text_utils/text_utils.js": "export * as TextUtils from './TextUtils.js';",
  "core/text_utils/ContentData.js": "export class ContentData {}",
  "core/text_utils/ContentProvider.js": "export class SearchMatch {}",
  "models/heap_snapshot/heap_snapshot.js": "export * as HeapSnapshotModel from './HeapSnapshotModel.js';",
};

/** @param {string} file */
function compiled(file) {
  const text = fs.readFileSync(path.join(sources, file.replace(/\.js$/, ".ts")), "utf8");
  return ts.transpileModule(text, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } }).outputText;
}

/** @param {string} file @param {string} text */
function write(file, text) {
  fs.mkdirSync(path.dirname(path.join(out, file)), { recursive: true });
  fs.writeFileSync(path.join(out, file), text);
}

const done = new Set();
const waiting = [`${worker}/heap_snapshot_worker-entrypoint.js`];
for (let file = waiting.pop(); file; file = waiting.pop()) {
  if (done.has(file)) continue;
  done.add(file);
  const text = standIns[file] ?? compiled(file);
  write(file, text);
  for (const [, imported] of text.matchAll(/(?:from|import)\s*\(?['"](\.[^'"\n]+)['"]/g))
    waiting.push(path.posix.normalize(path.posix.join(path.posix.dirname(file), imported)));
}
write("package.json", '{ "type": "module" }\n');
