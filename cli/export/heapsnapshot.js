/**
 * `.heapsnapshot`, as Chrome DevTools loads it. The walker writes it (src/attach_snapshot.c); this hands the pieces on.
 */
import { MembuddyError } from "../errors.js";

const breathEveryMs = 50;

/** Lets signals, and a page, have their turn. */
const breathe = () => new Promise((resolve) => setTimeout(resolve, 0));

/** @param {import("../module.js").Walker} walker @param {import("../graph.js").Graph} graph */
async function step(walker, graph) {
  if (walker.call.attach_begin_snapshot() !== 0) throw new MembuddyError("not enough memory to write a heap snapshot");
  try {
    let last = Date.now();
    while (walker.call.attach_step_snapshot() < 1) {
      if (Date.now() - last < breathEveryMs) continue;
      await breathe();
      if (graph.nodeCount === 0) throw new MembuddyError("this heap was asked for a report while its snapshot was written; wait for the export first");
      last = Date.now();
    }
  } finally {
    walker.call.attach_end_snapshot();
  }
}

/** @type {import("./index.js").Writer} */
export async function write(heap, file) {
  const { walker } = heap, graph = heap.graph();
  walker.onWrite = (piece) => file.write(piece.slice()); // the view is good until it returns
  try {
    heap.progress("writing the heap snapshot");
    await step(walker, graph);
  } finally {
    walker.onWrite = null;
  }
}
