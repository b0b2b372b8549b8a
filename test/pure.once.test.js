/** The module in pure Lua in published images: how much it explains, how far it is off, what it leaves behind. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { errorsOfPaths, loadPure, shareOf } from "./support/pure.js";
import { spawnProcess } from "./support/process.js";

/** @typedef {import("./support/process.js").Process} Process */

const specimen = (/** @type {string} */ name) => fileURLToPath(new URL(`../build/specimens/${name}.wasm`, import.meta.url));

for (const name of ["aos2_0_6", "aos2_0_4_32", "aos2_0_1", "sqlite"]) {
  describe(`pure Lua in ${name}`, async () => {
    const process = await spawnProcess(specimen(name));
    await loadPure(process);

    test("97 percent of what Lua counts are explained, and nothing is left behind", async () => {
      const pages = process.memoryBytes;
      const { explained, leftBytes } = await shareOf(process);
      assert.ok(explained >= 97 && explained <= 101, `${explained} percent`);
      assert.ok(leftBytes <= 0, `${leftBytes} bytes are left`);
      assert.equal(process.memoryBytes, pages);
    });

    test("the 100 largest paths are as large as they are seen from outside", async () => {
      const { errors, live } = await errorsOfPaths(process);
      assert.ok(errors.length >= 90, `only ${errors.length} of 100 paths are there`);
      const { path, error } = errors[errors.length - 1];
      assert.ok(errors[errors.length >> 1].error <= 0.02, `the median is off by ${errors[errors.length >> 1].error}`);
      assert.ok(error <= 0.15, `${path} is off by ${error}`);
      assert.ok(Math.abs(live - 1) <= 0.02, `of what lives it finds ${live}`);
    });
  });
}

/** As many as a process in use has. The memory stays in the instance: copying 110 MB a message would take minutes. */
const used = [
  { name: "8 thousand objects", mostPeakBytes: 90, build: (/** @type {Process} */ process) =>
    process.eval(`Specimen = {} for i = 1, 4000 do Specimen[i] = { i, "s" .. i } end`) },
  { name: "8 thousand objects", mostPeakBytes: 64, build: (/** @type {Process} */ process) =>
    process.eval(`Specimen = {} for i = 1, 4000 do Specimen[i] = { i, "s" .. i } end`) },
  { name: "100 thousand objects", mostPeakBytes: 64, build: (/** @type {Process} */ process) =>
    process.eval(`Specimen = {} for i = 1, 50000 do Specimen[i] = { i, "s" .. i } end`) },
  { name: "1,000 unhandled messages", mostPeakBytes: 100, build: async (/** @type {Process} */ process) => {
    for (let i = 0; i < 1000; i++) {
      const sender = `SENDER-${String(i % 50).padStart(36, "0")}`;
      await process.send({ From: sender, Owner: sender, Id: `MESSAGE-${String(i).padStart(35, "0")}`, Tags: [{ name: "Action", value: "Nothing" }], Data: `${i}` });
    }
  } },
  { name: "100 thousand balances", mostPeakBytes: 64, build: (/** @type {Process} */ process) =>
    process.eval(`Balances = {} for i = 1, 100000 do Balances[string.format("%043d", i)] = tostring(i * 1000003) end`) },
  { name: "1,000 waiting handlers", mostPeakBytes: 100, build: async (/** @type {Process} */ process) => {
    for (let i = 0; i < 1000; i++) await process.evalResult(`return Receive({ Action = "Never-${i}" })`);
  } },
];
// The first coroutine that waits shares the code of Eval with the message that asks.
const ofThisMoment = /^\[|^_G\/(?:os\/time|Handlers(?:\/list|\/coroutines(?:\/1(?:\/.*)?)?)?$)|^_G\/ao(?:\/outbox.*)?$/;

for (const { name, build, mostPeakBytes } of used) {
  test(`aos 2.0.6 with ${name}: 95 percent explained, at most ${mostPeakBytes} bytes an object at the peak, no page grown, nothing left, the largest paths as from outside`, async () => {
    const process = await spawnProcess(specimen("aos2_0_6"), { carryMemory: false, loader: { UNSAFE_MEMORY: true } });
    await loadPure(process);
    await build(process);
    const pages = process.memoryBytes;
    const { explained, leftBytes, peakBytes } = await shareOf(process);
    assert.ok(explained >= 95 && explained <= 101, `${explained} percent`);
    assert.ok(leftBytes <= 0, `${leftBytes} bytes are left`);
    assert.ok(peakBytes <= mostPeakBytes, `${peakBytes} bytes an object`);
    assert.ok(process.memoryBytes - pages <= 0, `${process.memoryBytes - pages} bytes of pages more`);
    const { errors } = await errorsOfPaths(process, ofThisMoment);
    assert.equal(errors.length, 100, "paths that are there");
    assert.ok(errors[50].error <= 0.02, `the median is off by ${errors[50].error}`);
    assert.ok(errors[99].error <= 0.15, `${errors[99].path} is off by ${errors[99].error}`);
  });
}

test("a budget stops the walk, and the report says so", async () => {
  const process = await spawnProcess(specimen("aos2_0_6"));
  await loadPure(process);
  const text = await process.eval(`local r = package.loaded.membuddy.profile({ budget = 20000 })
    local lines, saved = {}, print
    print = function(line) lines[#lines + 1] = line end
    package.loaded.membuddy.print(r)
    print = saved
    return tostring(r.stopped) .. " " .. table.concat(lines, "\\n")`);
  assert.match(text, /^true /);
  assert.match(text, /Stopped early/);
});

test("30 thousand records in records, and as many whose keys are records: a report takes a moment, not a scan a record", async () => {
  const process = await spawnProcess(specimen("aos2_0_6"), { carryMemory: false, loader: { UNSAFE_MEMORY: true } });
  await loadPure(process);
  const ms = async (/** @type {string} */ entry) => {
    await process.eval(`Specimen = {} for i = 1, 30000 do ${entry} end collectgarbage() collectgarbage() return 1`);
    const begin = performance.now();
    await process.eval("return package.loaded.membuddy.profile().totalSize");
    return performance.now() - begin;
  };
  const flat = await ms("Specimen[i] = { { i } }");
  for (const entry of ["Specimen[i] = { { { { { i } } } } }", "Specimen[{ { i } }] = { { i } }"]) {
    const nested = await ms(entry);
    assert.ok(nested < 10 * flat + 1000, `${entry}: ${nested} ms, of flat ones ${flat} ms`);
  }
});
