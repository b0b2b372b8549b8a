/**
 * A report as a page: the account, what keeps memory, kinds, largest paths, and what changed where two memories
 * were given. Needs nothing but the data (report-data.js).
 */
import { accountBar } from "./account-bar.js";
import { changes } from "./changes.js";
import { element, foreign, section } from "./dom.js";
import { makePicture } from "./picture.js";
import { sortedTable } from "./table.js";
import { formatBytes, formatCount, formatShare, visible } from "./words.js";

/** @typedef {import("./report-data.js").ReportData} ReportData */

/** @param {HTMLElement} place @param {ReportData} data */
export function renderReport(place, data) {
  const picture = makePicture(data.tree);
  const largest = largestTable(data, picture);
  place.replaceChildren(
    header(data), ...(data.changes ? [changesSection(data)] : []), accountSection(data),
    section("retained", "What keeps memory alive",
      "Each block is as large as what would be freed if it went away. What stands under it is kept alive by it alone; the rest of its room is its own bytes.",
      searchBar(picture, largest), legend(data), picture.node, keysHelp()),
    section("largest", "Largest by path", "Shallow: own bytes. With everything below: what is first reached through the path. Retained: what would be freed if it went away.", largest.node),
    section("kinds", "Kinds of objects", `${formatCount(data.objects)} live objects.`, kindsTable(data)),
    footer(data));
  picture.draw();
}

/** @param {ReportData} data */
function header(data) {
  const { books } = data;
  const figures = [
    ["Memory", formatBytes(data.memoryBytes)], ["Lua takes of it", formatBytes(books.lua)], ["Garbage", formatBytes(books.garbage)],
    ["Unaccounted", formatBytes(books.unaccounted)],
  ];
  return element("header", {}, element("p", { class: "maker" }, `MemBuddy ${data.version}`), element("h1", {}, foreign(visible(data.title, 200))),
    element("p", { class: "image" }, foreign(visible(data.image, 400))),
    ...(data.others ? [element("p", { class: "image" }, data.others)] : []),
    element("dl", { class: "figures" }, ...figures.map(([name, value]) =>
      element("div", { class: name === "Unaccounted" ? (books.unaccounted === 0 ? "good" : "bad") : "" }, element("dt", {}, name), element("dd", {}, value)))));
}

/** @param {ReportData} data */
function accountSection({ account, memoryBytes, facts }) {
  const rest = element("dl", { class: "facts" }, ...facts.map(({ name, value, meaning }) =>
    element("div", { title: meaning }, element("dt", {}, name), element("dd", {}, value))));
  return section("account", "Where the bytes are", `Every byte of the ${formatBytes(memoryBytes)} stands in one part.`, accountBar(account), rest);
}

/** @param {ReturnType<typeof makePicture>} picture @param {{ filter: (test: (row: any) => boolean) => void }} largest */
function searchBar(picture, largest) {
  const input = element("input", { type: "search", id: "search", placeholder: "Search blocks and paths", "aria-label": "Search blocks and paths",
    "aria-describedby": "search-result", autocomplete: "off", spellcheck: "false", "aria-keyshortcuts": "/" });
  const result = element("output", { id: "search-result", for: "search" });
  const next = element("button", { type: "button", hidden: true }, "Next match");
  const look = () => {
    const { count, bytes, whole } = picture.search(input.value);
    const text = input.value.trim().toLowerCase();
    largest.filter((row) => visible(row.path).toLowerCase().includes(text));
    next.hidden = count === 0;
    result.textContent = !text ? "" : count === 0 ? "no block matches" :
      `${formatCount(count)} ${count === 1 ? "block matches" : "blocks match"}: ${formatBytes(bytes)}, ${formatShare(bytes, whole)}`;
  };
  input.addEventListener("input", look);
  next.addEventListener("click", () => picture.showNext());
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") picture.showNext(event.shiftKey ? -1 : 1);
    if (event.key !== "Escape") return;
    if (input.value) input.value = "";
    else input.blur();
    look();
  });
  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select")) return;
    if (!input.isConnected) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
  return element("search", { class: "search" }, input, next, result);
}

/** @param {ReportData} data */
function legend({ tree }) {
  const order = tree.kindNames.filter((kind) => kind !== "state").sort((a, b) => Number(a === "more") - Number(b === "more"));
  return element("ul", { class: "legend", "aria-label": "Colours" }, ...order.map((kind) =>
    element("li", {}, element("span", { class: `swatch kind-${kind.replace(" ", "-")}` }), kind === "more" ? "many small" : kind)));
}

const keysHelp = () => element("p", { class: "keys", id: "keys" }, ...[
  ["/", "search"], ["←↑↓→", "move"], ["Enter", "zoom in"], ["Esc", "zoom out"], ["Home", "all"],
].flatMap(([key, does]) => [element("kbd", {}, key), ` ${does}  `]));

/** @param {ReportData} data @param {ReturnType<typeof makePicture>} picture */
function largestTable({ lines }, picture) {
  const whole = Math.max(1, ...lines.map(({ total }) => total));
  return sortedTable({
    caption: "Largest by path", rows: lines, isLong: true, sortedBy: 3, columns: [
      { title: "Path", value: ({ path }) => path, cell: (line) => pathCell(line, picture), className: "path" },
      { title: "Shallow", value: ({ own }) => own, cell: ({ own }) => formatBytes(own), isFigure: true },
      { title: "With below", value: ({ total }) => total, cell: ({ total }) => formatBytes(total), isFigure: true, className: "second" },
      { title: "Retained", value: ({ retained }) => retained ?? -1, cell: ({ retained }) => (retained === null ? "—" : figureBar(retained, whole)), isFigure: true },
    ],
  });
}

/** @param {import("./report-data.js").Line} line @param {ReturnType<typeof makePicture>} picture */
function pathCell({ path, row }, picture) {
  const shown = visible(path);
  if (row < 0) return foreign(shown);
  const button = element("button", { type: "button", class: "path-link", title: "Show in the picture" }, foreign(shown));
  button.addEventListener("click", () => {
    picture.show(row);
    document.getElementById("retained")?.scrollIntoView({ block: "start" });
  });
  return button;
}

/** A figure with a bar behind it. @param {number} bytes @param {number} whole */
function figureBar(bytes, whole) {
  const fill = element("span", { class: "fill", "aria-hidden": "true" });
  fill.style.width = `${Math.min(100, (100 * bytes) / whole).toFixed(2)}%`;
  return element("span", { class: "figure-bar" }, fill, element("span", {}, formatBytes(bytes)));
}

/** @param {ReportData} data */
function kindsTable({ kinds }) {
  const rows = kinds.filter(({ count }) => count > 0);
  const whole = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  return sortedTable({
    caption: "Kinds of objects", rows, sortedBy: 2, columns: [
      { title: "Kind", value: ({ kind }) => kind, cell: ({ kind }) => element("span", {}, element("span", { class: `swatch kind-${kind.replace("_", "-")}` }), kind.replace("_", " ")) },
      { title: "Count", value: ({ count }) => count, cell: ({ count }) => formatCount(count), isFigure: true },
      { title: "Bytes", value: ({ bytes }) => bytes, cell: ({ bytes }) => figureBar(bytes, whole), isFigure: true },
      { title: "Share", value: ({ bytes }) => bytes, cell: ({ bytes }) => formatShare(bytes, whole), isFigure: true, className: "second" },
      { title: "Average", value: ({ bytes, count }) => bytes / count, cell: ({ bytes, count }) => `${(bytes / count).toFixed(1)} B`, isFigure: true, className: "second" },
    ],
  }).node;
}

/** @param {ReportData} data */
const changesSection = (data) => section("changes", "What changed", "", changes(/** @type {any} */ (data.changes)));

/** @param {ReportData} data */
function footer({ books }) {
  return element("footer", {},
    element("p", {}, `Lua's own figure is ${formatCount(books.lua)} bytes = live ${formatCount(books.live)} + garbage ${formatCount(books.garbage)}` +
      `; unaccounted: ${formatCount(books.unaccounted)}. Live are the objects of the picture, Lua's state block and its table of strings; garbage is what a full collection would free now.`),
    element("p", {}, "This page holds all that it shows: it loads nothing and sends nothing."));
}
