import assert from "node:assert/strict";
import { test } from "node:test";
import { ourImages } from "./support/images.js";
import { assertGrowth, assertLeaks, assertNoFalseAlarms, assertQuiet, assertRefusals, checksOf, fromStranger, leak, unhandledCount } from "./support/leaks.js";
import { spawnProcess } from "./support/process.js";

for (const image of ourImages) {
  test(`${image.name}: a process that nobody used has no findings`, async () => {
    const process = await spawnProcess(image.file);
    assertQuiet(await checksOf(process));
    await assertRefusals(process);
  });

  test(`${image.name}: what only looks like a leak is no finding, and names of libraries may mean something else`, async () => {
    await assertNoFalseAlarms(await spawnProcess(image.file));
  });

  test(`${image.name}: leaks of real messages are found by name, and growth from a mark on`, async () => {
    const process = await spawnProcess(image.file);
    await leak(process);
    assertLeaks(await checksOf(process), { exact: true, canTell: true });
    await assertGrowth(process);
  });
}

const [image] = ourImages;

test("print() ends with the checks that found something", async () => {
  const process = await spawnProcess(image.file);
  await leak(process);
  await process.eval(`local room = ("r"):rep(1000000) return #room`);
  const lines = (await process.eval(`for name in pairs(Colors) do Colors[name] = "" end require("membuddy").print({ top = 3 })`)).split("\n");
  const begin = lines.indexOf("Checks:");
  assert.ok(begin > 0, lines.join("\n"));
  assert.match(lines[begin + 1], new RegExp(`^    inbox: ${unhandledCount + 1}, \\d+\\.\\d\\d KB: messages that no handler took`));
  assert.deepEqual(lines.slice(begin + 1).map((line) => /^ {4}(\w+): /.exec(line)?.[1]),
    ["inbox", "once_handlers", "coroutines", "errors", "duplicate_strings", "sparse_tables", "held_messages"]);
  assert.ok(!(await process.eval(`require("membuddy").print({ checks = false })`)).includes("Checks:"), "they can be left out");
  assert.ok(!(await process.eval(`require("membuddy").print({ target = Inbox })`)).includes("Checks:"), "they are about the process");
});

test("print() leaves the checks out where they would make the process grow, and says so", async () => {
  const process = await spawnProcess(image.file);
  const text = await process.eval(`local account = require("membuddy").account()
    assert(account.parts.free < 196608, account.parts.free)
    require("membuddy").print()`);
  assert.match(text.split("\n").at(-1) ?? "", /^Checks: left out.*checks = true/);
  await leak(process);
  const wanted = await process.eval(`for name in pairs(Colors) do Colors[name] = "" end require("membuddy").print({ checks = true })`);
  assert.match(wanted, /\nChecks:\n {4}inbox: /);
});

test("checks that a program made impossible are one line of the report, which stands", async () => {
  const process = await spawnProcess(image.file);
  const text = await process.eval(`
    local lines, kept, metatable = {}, print, debug.getmetatable("")
    print = function(line) lines[#lines + 1] = line end
    debug.setmetatable("", nil)
    require("membuddy").print({ checks = true, no_header = true, top = 1 })
    debug.setmetatable("", metatable)
    print = kept
    return table.concat(lines, "\\n")`);
  assert.match(text, /Total size: .*\n.*\n[^]*\nChecks: none, since membuddy.checks:\d+: attempt to index a string value/);
});

test("a check that fails is named in the report, and is no finding", async () => {
  const process = await spawnProcess(image.file);
  const text = await process.eval(`
    local kept = package.loaded.os
    package.loaded.os = nil
    require("membuddy").print({ checks = true })
    package.loaded.os = kept`);
  assert.match(text.split("\n").at(-1) ?? "", /^ {4}not checked: sources, duplicate_strings, sparse_tables, held_messages \(.+\)$/);
});

test("messages that a lasting handler holds have their bytes", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`Handlers.add("Keep", "Keep", function(msg)
    Handlers.add("for-" .. msg.Id, { Action = "N" .. msg.Id }, function() return msg.Data end)
  end)`);
  for (let i = 0; i < 5; i += 1) await fromStranger(process, "Keep", { Id: `message-${i}`, Data: "x".repeat(500) });
  const held = (await checksOf(process)).get("held_messages");
  assert.equal(held?.count, 5);
  assert.ok((held?.bytes ?? 0) > 5 * 1000, `${held?.bytes} bytes`);
});

test("sources are found behind every function of a table", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`Plugins = {} for i = 1, 40 do Plugins["p" .. i] = load("-- " .. ("c"):rep(1000) .. i .. "\\nreturn x") end`);
  const { count = 0, bytes = 0 } = (await checksOf(process)).get("sources") ?? {};
  assert.ok(count >= 40 && bytes > 40 * 1000, `${count} sources, ${bytes} bytes`);
});

test("the checks call nothing of the program, and a damaged one says so instead of raising", async () => {
  const process = await spawnProcess(image.file);
  const text = await process.eval(`
    local trap = setmetatable({}, { __index = function() error("index") end, __len = function() error("length") end,
      __pairs = function() error("pairs") end, __eq = function() error("equal") end, __tostring = function() error("text") end })
    local saved = { Inbox, Errors, Handlers.list, Handlers.coroutines }
    Inbox, Errors, Handlers.list, Handlers.coroutines = trap, trap, { trap, false, { name = trap }, { name = "_once_1", pattern = trap } }, { trap }
    trap[1], trap[trap] = trap, trap
    local checks = require("membuddy").checks()
    Inbox, Errors, Handlers.list, Handlers.coroutines = table.unpack(saved)
    local names = {}
    for i, check in ipairs(checks) do names[i] = check.name .. (check.error and ": " .. check.error or "") end
    return table.concat(names, "\\n")`);
  assert.equal(text.split("\n").length, 9);
  assert.doesNotMatch(text, /: (index|length|pairs|equal|text)/);
});

test("the checks are bounded: of a heap with a million objects they look at a part, in the time of a few collections", async () => {
  const process = await spawnProcess(image.file, { carryMemory: false });
  await process.eval(`Big = {} for i = 1, 500000 do Big[i] = { i } end`);
  const [checksMs, collectionMs] = JSON.parse(await process.eval(`
    local function ms(f) local begin = os.clock() f() return (os.clock() - begin) * 1000 end
    local collection = ms(collectgarbage)
    return "[" .. ms(function() require("membuddy").checks() end) .. "," .. collection .. "]"`));
  assert.ok(checksMs < 20 * collectionMs + 200, `${checksMs} ms, a collection ${collectionMs} ms`);
});
