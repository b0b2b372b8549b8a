/** Measures one job of one figure in a process of its own: `job.js FIGURE INDEX`, started by bench.js, which it tells. */
import { figures } from "./figures/index.js";

const [name, index] = process.argv.slice(2);
const figure = figures.find((one) => one.name === name);
if (!figure || !process.send) throw new Error("job.js is started by bench.js");
try {
  process.send({ measured: await figure.measure(figure.jobs[Number(index)]) });
} catch (error) {
  process.send({ error: error instanceof Error ? error.message : String(error) });
}
process.disconnect();
