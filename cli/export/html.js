/**
 * A report as one self-contained page, which loads nothing: the page that `make html` built, with the data in it.
 */
import { diff } from "../diff.js";
import { MembuddyError, messageOf } from "../errors.js";
import { changesData } from "../html/changes-data.js";
import { embed } from "../html/embed.js";
import { reportData } from "../html/report-data.js";

/**
 * @typedef {import("../heap.js").Heap} Heap
 * @typedef {{ title?: string, older?: import("../diff.js").Summary, depth?: number, minSize?: number }} HtmlOptions
 *   `title`: what the memory is called, else its file's name; `older`: an earlier memory, which the page tells the changes from
 */

/** @param {Heap} heap @param {{ write: (piece: string) => void }} file @param {HtmlOptions} [options] */
export async function write(heap, file, options) {
  file.write(await htmlReport(heap, options));
}

async function readPage() {
  const built = new URL("../../dist/html/report.html", import.meta.url); // in a bundle of CommonJS there is no such URL
  if (built.protocol === "file:") return (await import("node:fs/promises")).readFile(built, "utf8");
  const response = await fetch(built);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.text();
}

/** @param {Heap} heap @param {HtmlOptions} [options] @returns {Promise<string>} */
export async function htmlReport(heap, { title = lastStep(heap.name), older, depth, minSize } = {}) {
  const page = await readPage().catch((error) => {
    throw new MembuddyError(`the page of reports is not there (${messageOf(error)}); in a checkout, \`make html\` builds it`, { cause: error });
  });
  const changes = older === undefined ? undefined : changesData(diff(older, heap), { before: lastStep(older.name), after: title });
  return embed(page, reportData(heap, { title, changes, depth, minSize }));
}

/** A file's name without its directories: the same from wherever it is asked. @param {string} name */
export const lastStep = (name) => name.split(/[\\/]/).filter(Boolean).pop() ?? name;
