/**
 * The page of `membuddy serve`: takes a memory that is dropped on it, has a worker read it with the very modules of the
 * command line, and shows the report. Nothing leaves the machine.
 */
import { messageOf } from "../errors.js";
import { element, foreign } from "./dom.js";
import { afterDrop } from "./dropped.js";
import { embed } from "./embed.js";
import { renderReport } from "./report.js";
import { visible } from "./words.js";

/** @typedef {import("./report-data.js").ReportData} ReportData */
/** @typedef {import("./dropped.js").Files<File>} Files */

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const drop = byId("drop"), place = byId("place");

/** Of the report on the page. @type {Files & { data: ReportData | null }} */
let shown = { memory: null, older: null, module: null, data: null };
/** What is being read. @type {Files | null} */ let asked = null;
/** @type {Worker | null} */ let worker = null;

const input = element("input", { type: "file", multiple: true, class: "unseen", tabindex: "-1", "aria-hidden": "true" });
const olderInput = element("input", { type: "file", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
const status = element("div", { class: "status", role: "status" });
const problem = element("div", { class: "problem", role: "alert", hidden: true });
const welcome = element("div", { class: "welcome" },
  element("h1", {}, "MemBuddy"),
  element("p", { class: "lead" }, "Where every byte of an aos process went. Drop its memory here: ",
    element("code", {}, "state-PID.dat"), ", a checkpoint, raw or gzip. It is read on this machine, by this page, and goes nowhere."),
  button("Choose a memory…", () => input.click(), "main"),
  element("p", { class: "lead small" }, "Two memories at once are compared, the older with the newer. The module's WASM beside them tells stack and allocator exactly."));
const tools = element("div", { class: "tools", hidden: true },
  button("Another memory…", () => input.click()), button("Compare with an older one…", () => olderInput.click()), button("Save this report", save));

/** @param {string} text @param {() => void} act @param {string} [className] */
function button(text, act, className) {
  const made = element("button", { type: "button", class: className }, text);
  made.addEventListener("click", act);
  return made;
}

// --- files

/** @param {File} file */
async function isModule(file) {
  return [...new Uint8Array(await file.slice(0, 4).arrayBuffer())].join() === "0,97,115,109";
}

/** What was dropped: memories, the newest last, and a module. @param {Iterable<File>} files */
async function take(files) {
  const memories = [];
  /** @type {File | null} */ let module = null;
  for (const file of files) {
    try {
      if (await isModule(file)) module = file;
      else memories.push(file);
    } catch (error) {
      return tell(`${file.name} is a folder, or cannot be read: ${messageOf(error)}`);
    }
  }
  if (memories.length > 2) return tell(`${memories.length} memories were dropped; one is shown, or two are compared.`);
  memories.sort((a, b) => a.lastModified - b.lastModified || (a.name < b.name ? -1 : 1));
  const next = afterDrop(asked ?? shown, memories, module);
  if (next.memory) return start(next);
  shown = { ...shown, ...next };
  return tell(`${next.module?.name} is a module; drop the memory of a process beside it.`);
}

/** One drop after the other: of two fast ones the later is the last, whichever is looked into sooner. */
let taken = Promise.resolve();
/** @param {Iterable<File>} files */
const takeInTurn = (files) => (taken = taken.catch(() => {}).then(() => take(files)));

// --- reading

/** @param {Files} files */
function start({ memory, older, module }) {
  asked = { memory, older, module };
  if (!shown.data) shown.module = null; // one that came first is of this memory now, and refused with it
  problem.hidden = true;
  tools.hidden = true;
  say(`Reading ${visible(memory?.name ?? "", 80)}`);
  worker?.terminate();
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.progress) say(data.progress, data.share);
    else if (data.error) fail(data.error);
    else show(data.report);
  };
  worker.onerror = (event) => fail(`The reader ended: ${event.message || "what serves this page has ended, or this browser does not start it"}.`);
  worker.postMessage({ memory, older, module });
}

/** @param {string} text @param {number} [share] */
function say(text, share) {
  const bar = element("progress", { max: 1, value: share, "aria-label": text });
  status.replaceChildren(element("span", {}, foreign(text)), bar);
  welcome.hidden = true;
}

/** @param {ReportData} report */
function show(report) {
  shown = { ...shown, ...asked, data: report };
  asked = null;
  worker?.terminate();
  worker = null;
  status.replaceChildren();
  tools.hidden = false;
  document.title = `${visible(report.title, 80)} · MemBuddy`;
  renderReport(place, report);
  scrollTo(0, 0);
}

/** What was shown before still is. @param {string} message */
function fail(message) {
  worker?.terminate();
  worker = null;
  status.replaceChildren();
  welcome.hidden = shown.data !== null;
  tools.hidden = shown.data === null;
  asked = null;
  tell(message);
}

/** What is wrong; what is being read goes on. @param {string} message */
function tell(message) {
  problem.hidden = false;
  problem.replaceChildren(foreign(visible(message, 2000)));
}

/** The same file as `membuddy export --format html` makes. */
async function save() {
  if (!shown.data) return;
  let page;
  try {
    page = await (await fetch("report.html")).text();
  } catch (error) {
    return tell(`The report cannot be saved, since what serves this page does not answer: ${messageOf(error)}`);
  }
  const url = URL.createObjectURL(new Blob([embed(page, shown.data)], { type: "text/html" }));
  const link = element("a", { href: url, download: `${shown.data.title.replace(/[^\w.-]+/g, "_")}.html` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// --- what happens on the page

input.addEventListener("change", () => void takeInTurn([...(input.files ?? [])]).then(() => (input.value = "")));
olderInput.addEventListener("change", () => {
  if (olderInput.files?.[0]) start({ ...shown, older: olderInput.files[0] });
  olderInput.value = "";
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => event.relatedTarget === null && document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer?.files.length) void takeInTurn([...event.dataTransfer.files]);
});

drop.replaceChildren(welcome, tools, status, problem, input, olderInput);
