/**
 * The backends agree: what `membuddy.profile` says inside of a process, and what `attach` says of its memory at the same
 * instant, is the same object, figure by figure: paths, own bytes, bytes below, retained bytes, cycles, kinds, garbage.
 *
 * The memory is copied between two calls of Lua on one line (test/support/instant.js), so the message that asks is in
 * both, on the same slots of the same stack.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { attach } from "../cli/index.js";
import { askAtInstant, spawnWatched } from "./support/instant.js";
import { ourImages } from "./support/images.js";

process.env.SCALE = "0.01";
const { heaps } = await import("../scripts/bench/heaps.js");

/** Options in Lua and in JavaScript. @type {{ says: string, lua: string, options: import("../cli/options.js").ReportOptions }[]} */
const reports = [
  { says: "defaults", lua: "{}", options: {} },
  { says: "retained sizes", lua: "{ retained = true }", options: { retained: true } },
  { says: "every line", lua: "{ depth = math.huge, children = false, cycles = false }", options: { depth: Infinity, children: false, cycles: false } },
  { says: "few children", lua: "{ depth = 6, children = 5 }", options: { depth: 6, children: 5 } },
  { says: "few lines", lua: "{ depth = 2, lines = 12 }", options: { depth: 2, lines: 12 } },
  { says: "one root", lua: "{ depth = 0 }", options: { depth: 0 } },
];

/** Every figure by its name. @param {any} value @param {string} [name] @returns {[string, unknown][]} */
const figures = (value, name = "") => (typeof value === "object"
  ? Object.entries(value).flatMap(([key, inner]) => figures(inner, `${name}.${key}`))
  : [[name, value]]);

/** What is said differently, at most ten lines of it. @param {any} outside @param {any} inside */
function differences(outside, inside) {
  const [one, other] = [new Map(figures(outside)), new Map(figures(inside))];
  return [...new Set([...one.keys(), ...other.keys()])].sort()
    .filter((name) => name !== ".backend" && one.get(name) !== other.get(name))
    .slice(0, 10).map((name) => `${name}: outside ${one.get(name)}, inside ${other.get(name)}`);
}

/**
 * @param {import("./support/instant.js").WatchedProcess} process
 * @param {string} lua @param {import("../cli/options.js").ReportOptions} options
 */
async function agree(process, lua, options) {
  const { results, memory } = await askAtInstant(process, "profile", lua);
  const heap = await attach(memory);
  const outside = heap.profile(options);
  heap.close();
  assert.equal(results.backend, "native");
  assert.equal(outside.backend, "attach");
  assert.equal(outside.unaccounted, 0);
  assert.deepEqual(differences(outside, results), []);
  assert.ok(figures(outside).length > 20);
}

for (const image of ourImages) {
  describe(image.name, () => {
    for (const { says, lua, options } of reports)
      test(`a fresh process, ${says}`, async () => agree(await spawnWatched(image.file), lua, options));

    for (const heap of heaps)
      test(`${heap.name}`, async () => {
        const process = await spawnWatched(image.file);
        await heap.build(process);
        await agree(process, "{ retained = true }", { retained: true });
      });
  });
}
