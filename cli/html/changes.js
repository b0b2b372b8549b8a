/**
 * What changed between two memories: totals, kinds, paths.
 */
import { element, foreign } from "./dom.js";
import { sortedTable } from "./table.js";
import { formatBytes, formatChange, formatCount, visible } from "./words.js";

/**
 * @typedef {object} Changes
 * @property {string} before  what the older memory is called
 * @property {string} after
 * @property {{ name: string, before: number, after: number }[]} totals  bytes
 * @property {{ kind: string, countBefore: number, count: number, bytesBefore: number, bytes: number }[]} kinds
 * @property {{ path: string, before: number | null, after: number | null, change: number, objects: number, state: import("../diff.js").Change }[]} paths
 *   bytes with everything below, the largest changes first
 * @property {number} otherPaths  how many smaller changes are left out
 */

/** @param {Changes} data */
export function changes({ before, after, totals, kinds, paths, otherPaths }) {
  const most = Math.max(1, ...paths.map(({ change }) => Math.abs(change)));
  return element("div", {},
    element("p", { class: "lead" }, "From ", foreign(visible(before, 120)), " to ", foreign(visible(after, 120)), "."),
    element("dl", { class: "figures small" }, ...totals.map((total) => element("div", {}, element("dt", {}, total.name),
      element("dd", {}, changed(total.after - total.before), element("span", { class: "now" }, `now ${formatBytes(total.after)}`))))),
    element("h3", {}, "By path"), element("p", { class: "lead" }, `Bytes with everything below. [n] stands for the numbers of a list, [key] for the names of a large table.` +
      `${otherPaths ? ` ${formatCount(otherPaths)} smaller changes are not shown.` : ""}`), pathsTable(paths, most).node,
    element("h3", {}, "By kind"), kindsTable(kinds).node);
}

/** @param {number} bytes */
const changed = (bytes) => element("span", { class: bytes > 0 ? "grew" : bytes < 0 ? "shrank" : "same" }, bytes === 0 ? "±0" : formatChange(bytes));

/** @param {Changes["paths"]} paths @param {number} most */
function pathsTable(paths, most) {
  return sortedTable({
    caption: "What changed, by path", rows: paths, isLong: true, sortedBy: 2, nothing: "Nothing changed.", columns: [
      { title: "Path", value: ({ path }) => path, cell: ({ path }) => foreign(visible(path)), className: "path" },
      { title: "What", value: ({ state }) => state, cell: ({ state }) => element("span", { class: `state ${state}` }, state), className: "state-column" },
      { title: "Change", value: ({ change }) => Math.abs(change), cell: ({ change }) => changeBar(change, most), isFigure: true },
      { title: "Objects", value: ({ objects }) => Math.abs(objects), cell: ({ objects }) => signed(objects), isFigure: true, className: "second" },
      { title: "Before", value: ({ before }) => before ?? -1, cell: ({ before }) => (before === null ? "—" : formatBytes(before)), isFigure: true, className: "second" },
      { title: "After", value: ({ after }) => after ?? -1, cell: ({ after }) => (after === null ? "—" : formatBytes(after)), isFigure: true, className: "second" },
    ],
  });
}

/** @param {number} change @param {number} most */
function changeBar(change, most) {
  const fill = element("span", { class: `fill ${change < 0 ? "less" : ""}`, "aria-hidden": "true" });
  fill.style.width = `${((100 * Math.abs(change)) / most).toFixed(2)}%`;
  return element("span", { class: "figure-bar" }, fill, changed(change));
}

/** @param {Changes["kinds"]} kinds */
function kindsTable(kinds) {
  return sortedTable({
    caption: "What changed, by kind", rows: kinds, sortedBy: 2, columns: [
      { title: "Kind", value: ({ kind }) => kind, cell: ({ kind }) => kind.replace("_", " ") },
      { title: "Count", value: (row) => row.count - row.countBefore, cell: (row) => signed(row.count - row.countBefore), isFigure: true },
      { title: "Bytes", value: (row) => Math.abs(row.bytes - row.bytesBefore), cell: (row) => changed(row.bytes - row.bytesBefore), isFigure: true },
      { title: "Before", value: ({ bytesBefore }) => bytesBefore, cell: ({ bytesBefore }) => formatBytes(bytesBefore), isFigure: true, className: "second" },
      { title: "After", value: ({ bytes }) => bytes, cell: ({ bytes }) => formatBytes(bytes), isFigure: true, className: "second" },
    ],
  });
}

/** @param {number} count */
const signed = (count) => (count > 0 ? `+${formatCount(count)}` : count < 0 ? `\u2212${formatCount(-count)}` : "±0");
