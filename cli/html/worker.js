/**
 * Reads memories away from the page, so that the page stays alive: the modules of the command line, in a browser.
 */
import { attach } from "../attach.js";
import { messageOf } from "../errors.js";
import { reportData } from "./report-data.js";

const post = (/** @type {unknown} */ message) => /** @type {any} */ (self).postMessage(message);

/** @param {string} name @returns {(progress: import("../attach.js").Progress) => void} */
const telling = (name) => ({ phase, done, total }) => post({ progress: `${name}: ${phase}`, share: done !== undefined && total ? done / total : undefined });

/** @param {File} memory @param {File | null} module */
const open = (memory, module) =>
  attach(memory, { module: module ?? undefined, onProgress: telling(memory.name), loadWalker: (variant) => fetch(`attach-${variant}.wasm`) });

/** @param {{ memory: File, older: File | null, module: File | null }} files */
async function read({ memory, older, module }) {
  const heap = await open(memory, module);
  void older;
  return reportData(heap, { title: memory.name });
}

self.onmessage = async ({ data }) => {
  try {
    post({ report: await read(data) });
  } catch (error) {
    post({ error: messageOf(error) });
  }
};
