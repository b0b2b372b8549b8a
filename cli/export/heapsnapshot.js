/**
 * `.heapsnapshot`, as Chrome DevTools loads it. The walker writes it (src/attach_snapshot.c); this hands the pieces on.
 */
import { MembuddyError } from "../errors.js";
import { makeBreath } from "./breath.js";

/** @param {import("../module.js").Walker} walker @param {import("../graph.js").Graph} graph @param {() => void} handOn */
async function step(walker, graph, handOn) {
  if (walker.call.attach_begin_snapshot() !== 0) throw new MembuddyError("not enough memory to write a heap snapshot");
  try {
    const breathe = makeBreath();
    for (let isDone = false; !isDone; await breathe()) {
      if (graph.nodeCount === 0) throw new MembuddyError("this heap was asked for a report while its snapshot was written; wait for the export first");
      isDone = walker.call.attach_step_snapshot() >= 1;
      handOn();
    }
  } finally {
    walker.call.attach_end_snapshot();
  }
}

/** @type {import("./index.js").Writer} */
export async function write(heap, file) {
  const { walker } = heap, graph = heap.graph();
  /** @type {Uint8Array[]} */ let pieces = []; // between steps: whoever takes them may throw, or ask the heap
  walker.onWrite = (piece) => { pieces.push(piece.slice()); }; // the view is good until it returns
  const handOn = () => {
    const made = pieces;
    pieces = [];
    for (const piece of made) file.write(piece);
  };
  try {
    heap.progress("writing the heap snapshot");
    await step(walker, graph, handOn);
  } finally {
    walker.onWrite = null;
  }
}
