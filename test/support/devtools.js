/**
 * The consumers of our files, as their makers ship them: the loader of Chrome's DevTools, out of their sources
 * (scripts/devtools.js) and inside of a browser, and the importer of speedscope.
 */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { hasDevtools, startBrowser } from "./browser.js";

const root = new URL("../../", import.meta.url);
const devtools = new URL("build/test-tools/devtools/", root);
const worker = "entrypoints/heap_snapshot_worker/";
const loader = new URL(worker, devtools);

/** Why the loader is not there; false where it is. */
export const devtoolsMissing = fs.existsSync(loader) ? false : "build/test-tools/devtools is not there: npm could not fetch chrome-devtools-frontend";

/** What the loader takes for granted in a browser of its age. */
function addNewerBuiltins() {
  const promise = /** @type {any} */ (Promise);
  promise.withResolvers ??= () => {
    /** @type {any} */ const parts = {};
    parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
  };
  const array = /** @type {any} */ (Array.prototype);
  if (!array.toSorted)
    Object.defineProperty(array, "toSorted", { value: /** @this {any[]} */ function (/** @type {any} */ order) { return [...this].sort(order); } });
}

/**
 * A snapshot of DevTools, and what it reported about the file.
 * @param {Uint8Array} file @returns {Promise<{ snapshot: any, reports: string[] }>}
 */
export async function loadSnapshot(file) {
  addNewerBuiltins();
  const { HeapSnapshotLoader } = await import(new URL("HeapSnapshotLoader.js", loader).href);
  const { SecondaryInitManager } = await import(new URL("HeapSnapshot.js", loader).href);
  /** @type {string[]} */ const reports = [];
  const reader = new HeapSnapshotLoader({
    sendEvent: (/** @type {string} */ name, /** @type {unknown} */ data) => name.includes("Progress") || reports.push(`${name}: ${JSON.stringify(data)}`),
  });
  const pieceBytes = 65536, decoder = new TextDecoder();
  for (let at = 0; at < file.length; at += pieceBytes) reader.write(decoder.decode(file.subarray(at, at + pieceBytes), { stream: true }));
  reader.close();
  const { port1, port2 } = new MessageChannel();
  try {
    void new SecondaryInitManager(port2);
    return { snapshot: await reader.buildSnapshot(port1), reports };
  } finally {
    port1.close();
    port2.close();
  }
}

/**
 * What DevTools make of a file in a real browser, its own where it brings them: the messages are those that their page
 * sends to its workers.
 * @param {Uint8Array} file @returns {Promise<{ totalSize: number, retainedSizes: number[], dominatorsTree: number[] }>}
 */
export async function loadInBrowser(file) {
  const browser = await startBrowser();
  try {
    const page = await browser.newPage();
    const from = hasDevtools ? "devtools://devtools/bundled/" : "http://devtools.invalid/";
    const script = `${from}${worker}heap_snapshot_worker-entrypoint.js`;
    if (!hasDevtools)
      await page.context().route(`${from}**`, (route) => route.fulfill({ path: fileURLToPath(new URL(route.request().url().slice(from.length), devtools)) }));
    await page.goto(script);
    return await page.evaluate(loadInPage, { script, text: new TextDecoder().decode(file) });
  } finally {
    await browser.close();
  }
}

/** Runs in the page. @param {{ script: string, text: string }} parts */
async function loadInPage({ script, text }) {
  const startWorker = async () => {
    const worker = new Worker(script, { type: "module" });
    await new Promise((resolve) => { worker.onmessage = resolve; }); // ready
    return (/** @type {object} */ command, /** @type {Transferable[]} */ ports = []) => new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.callId) data.error ? reject(new Error(data.error)) : resolve(data.result);
      };
      worker.postMessage({ callId: 1, ...command }, ports);
    });
  };
  const first = await startWorker(), second = await startWorker();
  const call = (/** @type {string} */ methodName, /** @type {unknown[]} */ ...methodArguments) => first({ disposition: "method", objectId: 1, methodName, methodArguments });
  const get = (/** @type {string} */ methodName) => first({ disposition: "getter", objectId: 2, methodName });
  const { port1, port2 } = new MessageChannel();
  await first({ disposition: "createLoader", objectId: 1 });
  await second({ disposition: "setupForSecondaryInit", objectId: 1 }, [port2]);
  for (let at = 0; at < text.length; at += 65536) await call("write", text.slice(at, at + 65536));
  await call("close");
  await first({ disposition: "factory", objectId: 1, methodName: "buildSnapshot", methodArguments: [], newObjectId: 2 }, [port1]);
  return { totalSize: await get("totalSize"), retainedSizes: [...await get("retainedSizes")], dominatorsTree: [...await get("dominatorsTree")] };
}

/** Every node as DevTools has it. @param {any} snapshot */
export function* nodesOf(snapshot) {
  for (let index = 0; index < snapshot.nodeCount; index++) yield snapshot.createNode(index * snapshot.nodeFieldCount);
}

/** @param {any} node @returns {{ type: string, name: string, to: any }[]} */
export function edgesOf(node) {
  const found = [];
  for (let edges = node.edges(); edges.hasNext(); edges.next())
    found.push({ type: edges.edge.type(), name: edges.edge.name(), to: edges.edge.node() });
  return found;
}

/**
 * speedscope's importer: its bundle, with the page left out.
 * @returns {(name: string, file: Uint8Array) => Promise<any>}
 */
export function speedscopeImporter() {
  const folder = new URL("node_modules/speedscope/dist/release/", root);
  const names = fs.readdirSync(folder);
  const read = (/** @type {RegExp} */ name) => fs.readFileSync(new URL(/** @type {string} */ (names.find((file) => name.test(file))), folder), "utf8");
  /** @type {Record<string, any>} */ const globals = { TextDecoder, TextEncoder, console: { log() {}, warn() {} }, performance, Uint8Array, ArrayBuffer, navigator: { userAgent: "" }, location: { hash: "" } };
  globals.window = globals.self = globals;
  const context = vm.createContext(globals);
  const importer = read(/^import\..*\.js$/);
  vm.runInContext(read(/^speedscope\..*\.js$/).replace(/\},\{\},\[[^\]]*\], null\)\s*(\/\/.*)?$/, "},{},[], null)"), context); // nothing of it starts
  vm.runInContext(importer, context);
  const id = /"([A-Za-z0-9+/]{4})":\[function\(require,module,exports\) \{(?:(?!\[function\(require).)*?exports\.importProfileGroupFromText=/s.exec(importer)?.[1];
  const module = vm.runInContext(`parcelRequire(${JSON.stringify(id)})`, context);
  return (name, file) => module.importProfilesFromArrayBuffer(path.basename(name), file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength));
}
