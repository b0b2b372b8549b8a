/** An empty Eval, there and back, as a compute unit does it: memory copied in before, and out after. */
import { spawnProcess } from "../../../test/support/process.js";
import { median } from "../statistics.js";
import { hostNowMs, image, stockImage } from "../specimen.js";
import { ratio, row } from "../report.js";

// As long for a fast image as for a slow one: V8 goes on optimising for seconds.
const warmUpMs = 2000;
const roundsMs = 4000;

/** @typedef {{ times: number[], memoryBytes: number }} Measured */

/** @param {{ image: string }} job @returns {Promise<Measured>} */
async function measure(job) {
  const specimen = await spawnProcess(job.image);
  const times = [], first = hostNowMs();
  for (let begin = first; begin < first + warmUpMs + roundsMs; begin = hostNowMs()) {
    await specimen.eval("");
    if (begin >= first + warmUpMs) times.push(hostNowMs() - begin);
  }
  return { times, memoryBytes: specimen.memoryBytes };
}

/** @param {Measured} m */
const detail = (m) => `${median(m.times).toFixed(2)} ms with ${(m.memoryBytes / 1e6).toFixed(1)} MB`;

/** @param {Measured[]} measured */
const rows = ([ours, stock]) => [
  row({
    figure: "empty Eval in a fresh process, faster than in stock aos 2.0.6",
    value: median(stock.times) / median(ours.times), show: ratio, atLeast: 10, aim: 20, moreIsBetter: true,
    detail: `${detail(ours)}; stock ${detail(stock)}`,
  }),
];

export const emptyEval = {
  name: "eval",
  jobs: [
    { label: "empty Evals in our image", image },
    { label: "empty Evals in stock aos 2.0.6", image: stockImage },
  ],
  measure,
  rows,
};
