/**
 * Progress on the standard error, only where that is a terminal, and only of what takes longer than a second. It is drawn
 * by a thread of its own: the walker does not let go of the main one.
 */
/** @typedef {import("./attach.js").Progress} Progress */

const silent = { report: (/** @type {Progress} */ _progress) => {}, end: async () => {} };

export async function startProgress() {
  if (!process.stderr.isTTY) return silent;
  const { Worker } = await import("node:worker_threads");
  /** @type {import("node:worker_threads").Worker} */
  let worker;
  try {
    worker = new Worker(new URL("./progress_worker.js", import.meta.url), { workerData: { columns: process.stderr.columns ?? 80 } });
  } catch {
    return silent;
  }
  worker.unref();
  worker.on("error", () => {});
  const isOver = new Promise((resolve) => worker.once("exit", resolve)); // before the end, where the terminal is gone
  let last = 0;
  return {
    /** @param {Progress} progress */
    report(progress) {
      const now = Date.now();
      if (progress.done !== undefined && progress.done !== progress.total && now - last < 50) return;
      last = now;
      worker.postMessage(progress);
    },
    async end() {
      worker.postMessage("end"); // it wipes its line, then ends by itself
      worker.ref();
      await isOver;
    },
  };
}
