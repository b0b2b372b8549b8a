/**
 * A heap in the formats of other tools. Each format is a file of this folder that exports
 *
 *   write(heap, file, options): Promise<void>
 *
 * and hands its pieces to `file.write`, one after the other. The same memory gives the same bytes.
 */
import { checkOptions, checkText, described, shown } from "../check.js";
import { MembuddyError } from "../errors.js";

/**
 * @typedef {import("../heap.js").Heap} Heap
 * @typedef {{ write: (piece: string | Uint8Array) => void }} Sink  may keep the pieces; nothing waits for it
 *
 * @typedef {object} ExportOptions  of all formats but heapsnapshot, which is whole
 * @property {number} [minSize]  what retains fewer bytes is summed up by kind; default: a ten thousandth of all
 * @property {number} [depth]  steps of the dominator tree; what is deeper is summed up; default 64
 * @property {string} [title]  of html: what the memory is called, else its file's name
 * @property {import("../diff.js").Summary} [older]  of html: an earlier memory, which the page tells the changes from
 *
 * @typedef {(heap: Heap, file: Sink, options: ExportOptions) => Promise<void>} Writer
 * @typedef {{ about: string, endings: string[], load: () => Promise<{ write: Writer }> }} Format
 */

export const formats = /** @type {const} @satisfies {Record<string, Format>} */ ({
  heapsnapshot: { about: "Chrome DevTools, VS Code, memlab", endings: [".heapsnapshot"], load: () => import("./heapsnapshot.js") },
  pprof: { about: "go tool pprof, and what reads its profiles", endings: [".pb.gz", ".pprof"], load: () => import("./pprof.js") },
  speedscope: { about: "speedscope.app", endings: [".speedscope.json"], load: () => import("./speedscope.js") },
  folded: { about: "flamegraph.pl and its relatives", endings: [".folded", ".collapsed"], load: () => import("./folded.js") },
  json: { about: "the dominator tree, for programs", endings: [".json"], load: () => import("./json.js") },
  html: { about: "any browser: one page, without network", endings: [".html", ".htm"], load: () => import("./html.js") },
});

/** @typedef {keyof typeof formats} FormatName */

export const formatNames = /** @type {FormatName[]} */ (Object.keys(formats));

/** The format that a file's name says; undefined where it says none. @param {string} path @returns {FormatName | undefined} */
export function formatOfPath(path) {
  const lower = path.toLowerCase();
  return formatNames.find((name) => formats[name].endings.some((ending) => lower.endsWith(ending)));
}

/** @param {number | undefined} value @param {string} name @param {string} accepted */
function checkLimit(value, name, accepted) {
  if (value === undefined || (typeof value === "number" && value >= 0)) return;
  throw new MembuddyError(`membuddy: option '${name}' is ${shown(value)}; accepted: ${accepted}`);
}

/**
 * @param {Heap} heap @param {string} format a name of `formats`
 * @param {Sink} file @param {ExportOptions} [options]
 */
export async function exportHeap(heap, format, file, options = {}) {
  if (typeof format !== "string" || !Object.hasOwn(formats, format))
    throw new MembuddyError(`the format ${shown(format)} is not known; there are ${formatNames.join(", ")}`);
  checkOptions(options, ["minSize", "depth", "title", "older"]);
  if (typeof file?.write !== "function") throw new MembuddyError(`the sink is ${described(file)}; accepted: an object whose write takes the pieces`);
  checkLimit(options.minSize, "minSize", "a number of bytes from 0");
  checkLimit(options.depth, "depth", "a number from 0, Infinity for all");
  if (options.title !== undefined) checkText("title", options.title);
  if (format === "heapsnapshot" && (options.minSize ?? options.depth) !== undefined)
    throw new MembuddyError("a heapsnapshot has every object: minSize and depth are of the other formats");
  if (options.older !== undefined && format !== "html") throw new MembuddyError(`an older memory was given for ${format}; only html tells changes`);
  if (options.title !== undefined && format !== "html") throw new MembuddyError(`a title was given for ${format}; only html has one`);
  const { write } = await formats[/** @type {FormatName} */ (format)].load();
  if (heap.walker.onWrite) throw new MembuddyError("this heap is being exported already; wait for that first");
  await write(heap, file, options);
}

/** The same in one piece. @param {Heap} heap @param {string} format @param {ExportOptions} [options] @returns {Promise<Uint8Array>} */
export async function exportBytes(heap, format, options) {
  /** @type {Uint8Array[]} */ const pieces = [];
  const encoder = new TextEncoder();
  await exportHeap(heap, format, { write: (piece) => pieces.push(typeof piece === "string" ? encoder.encode(piece) : piece) }, options);
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
