/**
 * The backends agree: what `membuddy.profile` says inside of a process, and what `attach` says of its memory at the same
 * instant, is the same object, figure by figure: paths, own bytes, bytes below, retained bytes, cycles, kinds, garbage.
 *
 * The memory is copied between two calls of Lua on one line (test/support/instant.js), so the message that asks is in
 * both, on the same slots of the same stack.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
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
  { says: "a global as target", lua: "{ target = Handlers, retained = true }", options: { target: "Handlers", retained: true } },
  { says: "the globals as target", lua: "{ target = _G, depth = 1 }", options: { target: "_G", depth: 1 } },
  { says: "a table far below as target", lua: '{ target = package.loaded[".crypto.cipher.aes256"], depth = 5 }', options: { target: "_G/package/loaded/.crypto.cipher.aes256", depth: 5 } },
  { says: "a function as target", lua: "{ target = Handlers.add }", options: { target: "_G/Handlers/add" } },
];

/** Stops the collector on its way through the heap; between messages it rests. @param {number} share */
const stoppedAt = (share) => `
  local steps = 0
  repeat steps = steps + 1 until collectgarbage("step", 1)
  for _ = 1, math.floor(steps * ${share}) do assert(not collectgarbage("step", 1), "the cycle is shorter than the one before") end`;

/** Stops the collector where it frees what refers to what it freed before. @param {number} share */
const sweepingAt = (share) => `
  local function make() local t for i = 1, 3000 do t = { t, "s" .. i, function() return t end, i % 100 == 0 and coroutine.create(print) or nil } end end
  collectgarbage() collectgarbage() make()
  local steps = 0 repeat steps = steps + 1 until collectgarbage("step", 1)
  make()
  for _ = 1, math.floor(steps * ${share}) do collectgarbage("step", 1) end`;

/** Lua that runs before. */
const collector = [
  ...[0.5, 0.6, 0.7, 0.8, 0.9].map((share) => ({ says: `sweeping, ${share * 100} % of its way`, lua: sweepingAt(share) })),
  ...[0.1, 0.4, 0.6, 0.8, 0.95].map((share) => ({ says: `at ${share * 100} % of its way`, lua: stoppedAt(share) })),
  { says: "generational", lua: `if _VERSION == "Lua 5.4" then collectgarbage("generational") local t = {} for i = 1, 3000 do t[i % 50] = { i } end end` },
];

/** What random programs ask of the library that native tests give them, in Lua. */
const programs = `
  local text = [=====[${readFileSync(new URL("heaps/programs.lua", import.meta.url), "utf8")}]=====]
  local function nothing() end
  local native = setmetatable({
    has_generations = _VERSION == "Lua 5.4",
    closure = function(...) return coroutine.wrap(nothing), ... end,
    userdata = function(_, _, metatable) return setmetatable({}, metatable) end,
    thread = function(...)
      local thread = coroutine.create(function(first, ...) coroutine.yield(...) return first end)
      coroutine.resume(thread, ...)
      return thread
    end,
  }, { __index = function() return nothing end })
  function Program(seed) Specimen = assert(load(text, "=program"))(native, seed, 300) end`;

/** aos's global `Colors`, as its image has it. @param {number} code */
const escape = (code) => (/** @type {string} */ text) => `\x1b[${code}m${text}\x1b[0m`;
const aosColours = { red: escape(31), green: escape(32), blue: escape(34), gray: escape(90) };


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

/** All that lives is in the graph, byte for byte: what exports are made of. @param {import("../cli/index.js").Heap} heap @param {any} report */
function assertWholeGraph(heap, report) {
  const graph = heap.graph();
  assert.equal(graph.nodeCount - 1, report.objects);
  assert.equal(graph.retained[0], report.totalSize - report.kinds.state.bytes - report.kinds.string_table.bytes);
  for (const path of Object.keys(report.totalSizes).filter((one) => /^\[resurrected\]\/\d+$/.test(one)))
    assert.equal(graph.own[graph.find(path)], report.sizes[path], path);
  graph.end();
}

/**
 * @param {import("./support/instant.js").WatchedProcess} process
 * @param {string} lua @param {import("../cli/options.js").ReportOptions} options @param {string} [first]
 */
async function agree(process, lua, options, first = "") {
  const { results, printed, memory } = await askAtInstant(process, "profile", lua, first);
  const heap = await attach(memory);
  const outside = heap.profile(options);
  assert.equal(heap.print(outside, {}, aosColours), printed);
  if (!("target" in options)) assertWholeGraph(heap, outside);
  heap.close();
  assert.equal(results.backend, "native");
  assert.equal(outside.backend, "attach");
  assert.equal(outside.unaccounted, 0);
  assert.deepEqual(differences(outside, results), []);
  assert.ok(figures(outside).length > 20);
}

for (const image of ourImages)
  describe(image.name, () => {
    /** @type {import("./support/instant.js").WatchedProcess} */
    let fresh;
    before(async () => { fresh = await spawnWatched(image.file); });

    for (const { says, lua, options } of reports) test(`a fresh process, ${says}`, () => agree(fresh, lua, options));

    for (const { says, lua } of collector)
      test(`the collector ${says}`, () => agree(fresh, "{ retained = true }", { retained: true }, lua));

    test("random programs", async () => {
      await fresh.eval(programs);
      for (let seed = 1; seed <= 12; seed += 1) {
        await agree(fresh, "{ retained = true }", { retained: true }, `Program(${seed})`);
        await agree(fresh, "{ depth = math.huge, children = false }", { depth: Infinity, children: false });
      }
      await fresh.eval("Program, Specimen = nil");
    });

    for (const heap of heaps)
      test(heap.name, async () => {
        await fresh.eval("Specimen = nil");
        await heap.build(fresh);
        await agree(fresh, "{ retained = true }", { retained: true });
      });
  });
