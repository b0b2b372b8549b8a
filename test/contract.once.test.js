/** test/heaps/contract.lua, which native tests run over both backends, in the images: another compiler made those. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ourImages } from "./support/images.js";
import { spawnProcess } from "./support/process.js";
import { countingModule, reportBelow, stepsOf } from "./support/steps.js";

const contract = readFileSync(new URL("heaps/contract.lua", import.meta.url), "utf8");

for (const image of ourImages) {
  test(`${image.name}: every claim of the contract holds`, async () => {
    const process = await spawnProcess(image.file, { carryMemory: false });
    for (let at = 0; at < contract.length; at += 16384)
      await process.eval(`Text = (Text or "") .. [====[\n${contract.slice(at, at + 16384)}]====] return 1`);
    const count = Number(await process.eval(`Claims, Text = assert(load(Text, "=contract"))(), nil return #Claims`));
    assert.ok(count > 100, `${count} claims`);
    const failed = [];
    for (let i = 1; i <= count; i++) {
      const problem = await process.eval(`
        local claim = Claims[${i}]
        local ok, problem = pcall(claim.run)
        return ok and "" or claim.name .. ": " .. tostring(problem)`);
      if (problem) failed.push(problem);
    }
    assert.deepEqual(failed, []);
  });
}

test("a report below four times the frames takes no more than four times the work", async () => {
  const process = await spawnProcess(countingModule(ourImages[0].file), { carryMemory: false });
  const steps = (/** @type {number} */ frames) => stepsOf(() => process.eval(reportBelow(frames, "require('membuddy')")));
  const [fewer, more] = [await steps(10000), await steps(40000)];
  assert.ok(more < 4 * fewer, `${more} steps, below a quarter of the frames ${fewer}`);
});

// In 5.4 an iterator of gmatch is the way to userdata that Lua has by the thousand.
test("a report of userdata, each with a table of its own, takes little more work than of tables that hold the same", async () => {
  const process = await spawnProcess(countingModule(ourImages[0].file), { carryMemory: false });
  const steps = async (/** @type {string} */ holder) => {
    await process.eval(`Many = {} for i = 1, 8000 do
      local held = { ("x"):rep(1000) .. i }
      Many[i] = ${holder}
    end collectgarbage()`);
    return stepsOf(() => process.eval("local _ = require('membuddy').profile(Many, {})")); // aos would show what is no statement
  };
  const tables = await steps("{ held }"), userdata = await steps("debug.setmetatable(select(2, debug.getupvalue((''):gmatch('.'), 3)), held)");
  assert.ok(userdata < 1.5 * tables, `${userdata} steps, of tables ${tables}`);
});
