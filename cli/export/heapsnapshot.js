/**
 * `.heapsnapshot`, as Chrome DevTools loads it. The walker writes it (src/attach_snapshot.c); this hands the pieces on.
 */
import { MembuddyError } from "../errors.js";
import { makeBreath } from "./breath.js";

/** @param {import("../module.js").Walker} walker @param {import("../graph.js").Graph} graph */
async function step(walker, graph) {
  if (walker.call.attach_begin_snapshot() !== 0) throw new MembuddyError("not enough memory to write a heap snapshot");
  try {
    const breathe = makeBreath();
    while (walker.call.attach_step_snapshot() < 1) {
      await breathe();
      if (graph.nodeCount === 0) throw new MembuddyError("this heap was asked for a report while its snapshot was written; wait for the export first");
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
