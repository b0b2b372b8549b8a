/**
 * Reads memories away from the page, so that the page stays alive: the modules of the command line, in a browser.
 */
import { attach } from "../attach.js";
import { diff, summarize } from "../diff.js";
import { messageOf } from "../errors.js";
import { changesData } from "./changes-data.js";
import { reportData } from "./report-data.js";

const post = (/** @type {unknown} */ message) => /** @type {any} */ (self).postMessage(message);

/** @param {string} name @returns {(progress: import("../attach.js").Progress) => void} */
const telling = (name) => ({ phase, done, total }) => post({ progress: `${name}: ${phase}`, share: done !== undefined && total ? done / total : undefined });

/** @param {File} memory @param {File | null} module */
const open = (memory, module) =>
  attach(memory, { module: module ?? undefined, onProgress: telling(memory.name), loadWalker: (name) => fetch(`attach-${name}.wasm`) });

/** @param {{ memory: File, older: File | null, module: File | null }} files */
async function read({ memory, older, module }) {
  const before = older && (await summaryOf(older, module));
  const heap = await open(memory, module);
  const changes = before ? changesData(diff(before, summarize(heap)), { before: before.name, after: memory.name }) : undefined;
  return reportData(heap, { title: memory.name, changes });
}

/** The older memory is let go before the newer is read. @param {File} older @param {File | null} module */
async function summaryOf(older, module) {
  const heap = await open(older, module);
  const summary = summarize(heap);
  heap.close();
  return summary;
}

self.onmessage = async ({ data }) => {
  try {
    post({ report: await read(data) });
  } catch (error) {
    post({ error: messageOf(error) });
  }
};
