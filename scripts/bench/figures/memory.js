/** Linear memory that a growing process takes for each byte that Lua holds. */
import { creditBalances, scaled } from "../heaps.js";
import { ask, image, spawnSpecimen, stockImage } from "../specimen.js";
import { ratio, row } from "../report.js";

const balances = scaled(8e5);
const messages = 8;

/** @typedef {{ memoryBytes: number, luaBytes: number }} Held */
/** @typedef {{ fresh: Held, full: Held }} Measured */

/** @param {import("../specimen.js").Specimen} specimen @returns {Promise<Held>} */
async function held(specimen) {
  const luaBytes = await ask(specimen, "return Bench.lua_bytes()");
  return { memoryBytes: specimen.memoryBytes, luaBytes };
}

/** @param {{ image: string }} job @returns {Promise<Measured>} */
async function measure(job) {
  const specimen = await spawnSpecimen(job.image);
  const fresh = await held(specimen);
  const share = Math.ceil(balances / messages);
  for (let credited = 0; credited < balances; credited += share)
    await ask(specimen, creditBalances(credited + 1, Math.min(credited + share, balances)));
  return { fresh, full: await held(specimen) };
}

/** @param {Measured} m */
const memoryGrown = ({ fresh, full }) => full.memoryBytes - fresh.memoryBytes;
/** @param {Measured} m */
const luaGrown = ({ fresh, full }) => full.luaBytes - fresh.luaBytes;
/** @param {Measured} m */
const perLuaByte = (m) => memoryGrown(m) / luaGrown(m);
/** @param {Measured} m */
const detail = (m) => `${(memoryGrown(m) / 1e6).toFixed(1)} MB for ${(luaGrown(m) / 1e6).toFixed(1)} MB`;

/** @param {Measured[]} measured */
const rows = ([ours, stock]) => [
  row({
    figure: `linear memory per Lua byte, ${balances} balances credited in ${messages} messages`,
    value: perLuaByte(ours), show: ratio, atLeast: 1.3, aim: 1.1, detail: detail(ours),
  }),
  row({ figure: "the same in stock aos 2.0.6", value: perLuaByte(stock), show: ratio, detail: detail(stock) }),
];

export const memory = {
  name: "memory",
  jobs: [
    { label: `${balances} balances in our image`, image },
    { label: `${balances} balances in stock aos 2.0.6`, image: stockImage },
  ],
  measure,
  rows,
};
