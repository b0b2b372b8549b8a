/** Draws the line of progress. The process's own streams pass through the main thread, which is busy: so straight to the terminal. */
import { writeSync } from "node:fs";
import { Writable } from "node:stream";
import { parentPort, workerData } from "node:worker_threads";
import cliProgress from "cli-progress";

const quietMs = 1000, intervalMs = 100;
const port = /** @type {import("node:worker_threads").MessagePort} */ (parentPort);
const begin = Date.now();

const terminal = Object.assign(new Writable({ write: (piece, _encoding, done) => { writeSync(2, piece); done(); } }), { isTTY: true, columns: workerData.columns });
const bar = new cliProgress.SingleBar({
  stream: /** @type {any} */ (terminal), clearOnComplete: true, hideCursor: null, fps: 10, barsize: 24,
  linewrap: true, // else it is turned off, and who presses Ctrl-C keeps a terminal without
  format: (_options, { progress, total }, { phase }) => {
    const seconds = ((Date.now() - begin) / 1000).toFixed(0);
    const filled = Math.round(progress * 24);
    return total > 1 ? `${phase} ${"█".repeat(filled)}${"░".repeat(24 - filled)} ${Math.floor(progress * 100)} %` : `${phase} ... ${seconds} s`;
  },
});

let current = { phase: "starting", done: 0, total: 1 };
let isDrawn = false;
const timer = setInterval(() => {
  if (!isDrawn && Date.now() - begin < quietMs) return;
  if (!isDrawn) bar.start(current.total, current.done, current);
  isDrawn = true;
  bar.setTotal(current.total);
  bar.update(current.done, current);
}, intervalMs);

port.on("message", (message) => {
  if (message !== "end") {
    current = { phase: message.phase, done: message.done ?? 0, total: message.total ?? 1 };
    return;
  }
  clearInterval(timer);
  if (isDrawn) bar.stop();
  port.close();
});
