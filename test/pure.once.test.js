/** The module in pure Lua in published images: how much it explains, how far it is off, what it leaves behind. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { errorsOfPaths, loadPure, shareOf } from "./support/pure.js";
import { spawnProcess } from "./support/process.js";

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
