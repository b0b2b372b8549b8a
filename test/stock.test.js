/**
 * What processes load whose image has no membuddy: as .load-blueprint, by message, through apm. In published images.
 *
 * What is real in it: the images, their loader, aoconnect, by which the command line sends, and Prometheus's parser. What
 * stands in for code that no package has is in support/aoconnect.js (the command of the command line) and
 * support/apm.js (both ends of apm); they say where it was looked for, and what they were compared with.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { attach } from "../cli/index.js";
import { minified } from "../scripts/pack-lua.js";
import { blueprintText, sentByCommandLine, sentToHyperBeam } from "./support/aoconnect.js";
import { carry, generations } from "./support/apm.js";
import { bytesOf, ourImages, stockImage, stockImage32 } from "./support/images.js";
import { assertGrowth, assertLeaks, assertParts, assertQuiet, assertRefusals, checksOf, fromStranger, leak, owner, stranger } from "./support/leaks.js";
import { processId, spawnProcess } from "./support/process.js";
import { withMemoryMaximum } from "./support/wasm.js";

const inRoot = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const blueprint = await blueprintText("membuddy");
const evaluating = await sentByCommandLine(blueprint);
const specimen = (/** @type {string} */ name) => ({ name, file: inRoot(`build/specimens/${name}.wasm`) });
// A process of 110 MB is slow to copy: what does not depend on the version of Node.js runs on one.
const isHeavyHere = process.versions.node.startsWith("20.") ? undefined : { skip: "runs on Node.js 20" };

const mostReplyBytes = 66000;

/** @typedef {import("./support/process.js").Process} Process */

/** What `.load-blueprint membuddy` sends. @param {Process} process */
const loadBlueprint = (process, item = evaluating) => process.send({ Target: item.target, Tags: item.tags, Data: item.data });

/** @param {{ file: string }} image @param {import("./support/process.js").SpawnOptions} [options] */
async function withBlueprint(image, options) {
  const process = await spawnProcess(image.file, options);
  const result = await loadBlueprint(process);
  assert.equal(result.Error, undefined);
  return { process, output: String(result.Output?.data?.output ?? result.Output?.data) };
}

/** @param {Process} process @param {Record<string, string>} tags @param {string} [from] */
async function ask(process, tags, from = owner) {
  const result = await process.send({ From: from, Owner: from, Tags: Object.entries(tags).map(([name, value]) => ({ name, value })) });
  assert.equal(result.Error, undefined);
  const replies = result.Messages.filter((message) => message.Target === from);
  assert.equal(replies.length, 1, "one reply");
  const named = Object.fromEntries(replies[0].Tags.map((/** @type {{ name: string, value: any }} */ tag) => [tag.name, tag.value]));
  return { tags: named, data: replies[0].Data, messages: result.Messages };
}

/** @param {Process} process */
const usedBytes = async (process) => Number(await process.eval(`collectgarbage() collectgarbage() return collectgarbage("count") * 1024`));

// ---- .load-blueprint ----

for (const image of [stockImage, stockImage32, specimen("aos2_0_1"), specimen("aos2_0_3")]) {
  test(`${image.name}: the blueprint installs the module and its handlers; twice is harmless`, isHeavyHere ?? {}, async () => {
    const { process, output } = await withBlueprint(image);
    assert.match(output, /^MemBuddy \d+\.\d+\.\d+ \(lua\)/m);
    const once = { bytes: await usedBytes(process), handlers: await process.eval("return #Handlers.list") };
    await loadBlueprint(process);
    assert.equal(await process.eval("return #Handlers.list"), once.handlers);
    assert.ok(Math.abs((await usedBytes(process)) - once.bytes) < 1024, "nothing stays of the second");
    assert.match(await process.eval(`require("membuddy").print({ top = 3 })`), /Total size/);
    assert.equal(JSON.parse((await ask(process, { Action: "Membuddy-Report" })).data).backend, "lua");
    assertQuiet(await checksOf(process));
  });
}

/** That the C stack was large enough: a step beyond its end writes over the allocator's parameters, and mostly goes on. @param {Process} process */
async function assertStackOfSqlite(process) {
  const heap = await attach(/** @type {Uint8Array} */ (process.memory), { module: specimen("sqlite").file });
  const { stackHighWater } = heap.account();
  heap.close();
  assert.ok(Number(stackHighWater) < 65536 - 512, `${stackHighWater} bytes of 65536`);
}

// Its C stack has 64 KB, and the loader puts the message on it; aos's print shows nothing in this image.
test("sqlite: the blueprint installs the module and its handlers, with 4 KB to spare for a longer message", isHeavyHere ?? {}, async () => {
  const process = await spawnProcess(specimen("sqlite").file);
  for (const spare of [0, 4096]) {
    const result = await loadBlueprint(process, { ...evaluating, data: `${blueprint}--${"x".repeat(spare)}` });
    assert.match(String(result.Output?.data?.output), /^MemBuddy \d+\.\d+\.\d+ \(lua\)/);
  }
  assert.equal(JSON.parse((await ask(process, { Action: "Membuddy-Report" })).data).backend, "lua");
  assert.equal(JSON.parse((await ask(process, { Action: "Membuddy-Checks" })).data).checks.length, 9);
  const text = await process.eval(`collectgarbage() collectgarbage() return "explained: " .. require("membuddy").profile().explained`);
  assert.ok(Number(text.split(" ")[1]) > 97, text);
  await assertStackOfSqlite(process);
  const heap = await attach(/** @type {Uint8Array} */ (process.memory));
  assert.equal(heap.books().unaccounted, 0);
  heap.close();
});

test("the command line sends the blueprint as it is, as one Eval", async () => {
  assert.equal(evaluating.data, blueprint);
  assert.deepEqual(Object.fromEntries(evaluating.tags.map(({ name, value }) => [name, value])),
    { Action: "Eval", SDK: "aoconnect", "Data-Protocol": "ao", Variant: "ao.TN.1", Type: "Message" });
  const process = await spawnProcess(ourImages[0].file);
  const result = await loadBlueprint(process, sentToHyperBeam(blueprint));
  assert.equal(result.Error, undefined);
  assert.match(String(result.Output?.data?.output ?? result.Output?.data), /^MemBuddy /m);
});

test("over what else is called membuddy the module loads as if nothing were there", async () => {
  const process = await spawnProcess(ourImages[0].file);
  const text = readFileSync(inRoot("dist/membuddy.lua"), "utf8");
  assert.equal(await process.eval(`
    local function fail() error("a metamethod ran") end
    local open, problems = assert(load([=====[\n${text}]=====], "=file")), {}
    for _, other in ipairs({ { serving = true }, setmetatable({}, { __index = fail, __eq = fail }), "a text", { backend = "none" } }) do
      package.loaded.membuddy = other
      local ok, problem = pcall(open)
      if not ok or not rawequal(package.loaded.membuddy, problem) then problems[#problems + 1] = tostring(problem) end
    end
    return #Handlers.list .. table.concat(problems, "; ")`), await process.eval("return #Handlers.list"));
});

for (const image of [ourImages[0], stockImage32]) {
  test(`${image.name}: where \`package\` and \`math\` mean something else, which aos does without, the module loads and reports`, async () => {
    const process = await spawnProcess(image.file, { carryMemory: false });
    for (const other of ["5", "setmetatable({}, { __index = function() error('a metamethod ran') end })"]) {
      await process.eval(`package, math = ${other}, ${other}`);
      await process.eval(readFileSync(inRoot("dist/membuddy.lua"), "utf8"));
      assert.match(await process.eval(`local membuddy = require("membuddy")
        return membuddy.backend .. membuddy.profile().totalSize .. #membuddy.checks()`), image === stockImage32 ? /^lua\d+9$/ : /^native\d+9$/);
    }
  });
}

test("aos 2.0.4: without a library of Lua's that the module needs, loading it says which", async () => {
  const process = await spawnProcess(stockImage32.file, { carryMemory: false });
  const text = readFileSync(inRoot("dist/membuddy.lua"), "utf8");
  for (const library of ["debug", "coroutine", "utf8", "math", "string", "table"]) {
    assert.equal(await process.eval(`
      local open, pcall, loaded, kept = assert(load([=====[\n${text}]=====], "=file")), pcall, package.loaded, ${library}
      ${library}, loaded.${library} = nil, nil
      local _, problem = pcall(open)
      ${library}, loaded.${library} = kept, kept
      return tostring(problem)`), `membuddy: no ${library} library here; pure Lua needs one`);
  }
});

test("aos 2.0.4: src/membuddy.lua alone is a chunk that aos evaluates, of one value", async () => {
  const process = await spawnProcess(stockImage32.file);
  const text = readFileSync(inRoot("src/membuddy.lua"), "utf8");
  const result = await process.evalResult(text);
  assert.match(String(result.Output?.data?.output ?? result.Output?.data), /profile.*function/s);
  assert.equal(await process.eval(`return select("#", load([=====[\n${text}]=====])())`), "1");
});

// As aos's `.load` and apm's publisher look for what they should put in front of a text.
const requirePattern = /(?<=(require( *)(\n*)(\()?( *)("|'))).*(?=("|'))/g;

test("loaders of files and packages find nothing to put in front of the texts", () => {
  for (const name of ["membuddy.lua", "blueprints/membuddy.lua", "apm/main.lua"]) {
    assert.equal(readFileSync(inRoot(`dist/${name}`), "utf8").match(requirePattern), null, name);
  }
  assert.ok("require('membuddy')".match(requirePattern), "the pattern finds what it is for");
});

test("in an image that has the native library the blueprint adds the handlers and nothing else", async () => {
  const { process, output } = await withBlueprint(ourImages[0]);
  assert.match(output, /\(native\)/);
  assert.equal(await process.eval(`return debug.getinfo(require("membuddy").checks).what`), "C");
  const report = JSON.parse((await ask(process, { Action: "Membuddy-Report", Top: "3" })).data);
  assert.deepEqual([report.backend, report.exact, report.unaccounted, report.lines.length], ["native", true, 0, 3]);
});

test("packing leaves every instruction as it was", async () => {
  const process = await spawnProcess(ourImages[0].file);
  for (const name of ["membuddy", "checks", "handlers", "stock"]) {
    const source = readFileSync(inRoot(`src/${name}.lua`), "utf8");
    const codeOf = (/** @type {string} */ text) => `string.dump(assert(load([=====[\n${text}]=====])), true)`;
    assert.equal(await process.eval(`return ${codeOf(source)} == ${codeOf(minified(source, true))}`), "true", name);
  }
});

test("packing joins no dots that make another token together", async () => {
  const process = await spawnProcess(ourImages[0].file);
  const packed = minified(`local one, hex = "b", {x1 = {y = "c"}}
    local function all(...) return "a" .. ... .. one .. .5 .. 0xA .. hex.x1.y .. 1 .. 2., ... end
    return (all("-"))`);
  assert.equal(await process.eval(packed), "a-b0.510c12.0", packed);
});

/** What a process has got in strings, read from outside: all of them, and what of it is packed text. @param {WayIn} way */
async function stringsAfter({ process, load }) {
  await process.eval("return 1");
  const before = await stringsIn(process);
  await load();
  await process.eval("return 1"); // until then the message is at hand
  const added = (await stringsIn(process)).filter(({ key }) => !before.some((one) => one.key === key));
  return { added, packed: added.filter(({ text, bytes }) => bytes > 128 && isPacked.test(text)) };
}

const isPacked = /\\x[89A-F][\dA-F]/; // beside patterns, which are short, nothing else has such a byte

/** @param {Process} process */
async function stringsIn(process) {
  const heap = await attach(/** @type {Uint8Array} */ (process.memory));
  try {
    const graph = heap.graph();
    const nodes = Array.from({ length: graph.nodeCount }, (_, node) => node).filter((node) => graph.kindName(node) === "string");
    return nodes.map((node) => ({ text: graph.text(node), bytes: graph.own[node], path: graph.path(node) })).map((one) => ({ ...one, key: `${one.bytes} ${one.text}` }));
  } finally {
    heap.close();
  }
}

const sum = (/** @type {{ bytes: number }[]} */ strings) => strings.reduce((bytes, one) => bytes + one.bytes, 0);

/** @typedef {{ process: Process, load: () => Promise<unknown> }} WayIn */

/** @param {(process: Process) => Promise<unknown>} load @returns {Promise<WayIn>} */
async function byEval(load) {
  const process = await spawnProcess(stockImage.file);
  return { process, load: () => load(process) };
}

/** @param {Generation} generation @returns {Promise<WayIn>} */
async function byPackage(generation) {
  const { client, publish, install } = await market(generation);
  await publish(JSON.parse(readFileSync(inRoot(`dist/apm/${generation.publishing}`), "utf8")));
  return { process: client, load: () => install("membuddy") };
}

/** @type {[string, () => Promise<WayIn>][]} */
const waysIn = [
  [".load-blueprint", () => byEval(loadBlueprint)],
  [".load", () => byEval((process) => process.eval(readFileSync(inRoot("dist/membuddy.lua"), "utf8")))],
  ...generations.map((generation) => /** @type {[string, () => Promise<WayIn>]} */ ([`${generation.name}.install`, () => byPackage(generation)])),
];

for (const [way, prepare] of waysIn) {
  test(`${way}: of the source 12 KB stay at most, which are the checks and the handlers, packed; with names and messages 21 KB`, isHeavyHere ?? {}, async () => {
    const { process, load } = await prepare();
    const { added, packed } = await stringsAfter({ process, load });
    assert.equal(await process.eval(`return type(require("membuddy").profile)`), "function");
    const paths = packed.map(({ path }) => path).join(", ");
    assert.equal(packed.length, 4, `two texts and the pairs of each, and not ${paths}`);
    assert.ok(packed.every(({ path }) => path.includes("/membuddy/")), paths);
    assert.ok(sum(packed) > 4096 && sum(packed) <= 12288, `${sum(packed)} bytes of packed text`);
    assert.ok(sum(added) <= 21504, `${sum(added)} bytes of strings`);
    const [longest] = added.filter((one) => !packed.includes(one)).sort((one, other) => other.bytes - one.bytes);
    assert.ok(longest.bytes <= 320, `${longest.path} has ${longest.bytes} bytes: ${longest.text}`);
    assert.doesNotMatch(String((await checksOf(process)).get("sources")?.text), /membuddy/);
  });
}

// ---- at the prompt ----

test("aos 2.0.6: the results of profile() are shown at the prompt, figure by figure", isHeavyHere ?? {}, async () => {
  const { process } = await withBlueprint(stockImage);
  for (const call of ["profile()", "profile(Handlers)"])
    assert.match((await process.eval(`return require("membuddy").${call}`)).replace(/\x1b\[\d+m/g, ""), /\n +totalSize = \d+,/, call);
});

test("aos 2.0.6: of _G and package.loaded a report has what they hold, as a Target too", isHeavyHere ?? {}, async () => {
  const { process } = await withBlueprint(stockImage);
  const shares = await process.eval(`local membuddy = require("membuddy")
    local whole = membuddy.profile()
    return membuddy.profile(_G).totalSize / whole.totalSizes._G .. " "
      .. membuddy.profile(package.loaded).totalSize / whole.totalSizes["_G/package/loaded"]`);
  const [ofGlobals, ofLoaded] = shares.split(" ").map(Number);
  assert.ok(Math.abs(ofGlobals - 1) < 0.01, shares);
  assert.ok(ofLoaded > 0.99 && ofLoaded < 1.2, `${shares}: what functions in _G hold of it is in their lines`);
  const { totalSize, luaSize } = JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: "_G" })).data);
  assert.ok(totalSize > luaSize / 2, `${totalSize} of ${luaSize}`);
});

// ---- the checks of the pure module ----

test("aos 2.0.6: leaks of real messages are found by name, and print() tells them", isHeavyHere ?? {}, async () => {
  const { process } = await withBlueprint(stockImage);
  await leak(process);
  assertLeaks(await checksOf(process), { exact: false, canTell: false });
  await assertGrowth(process);
  await assertRefusals(process);
  const text = await process.eval(`for name in pairs(Colors) do Colors[name] = "" end require("membuddy").print({ top = 3 })`);
  assert.match(text, /\nChecks:\n {4}inbox: 41, /);
  await process.eval(`require("membuddy").mark()`);
  assert.doesNotMatch(await process.eval(`require("membuddy").print({ top = 300 })`), /growth/, "its own lines are none");
});

test("aos 2.0.6: what was found in a part is said to be at least that", isHeavyHere ?? {}, async () => {
  await assertParts((await withBlueprint(stockImage)).process);
});

test("aos 2.0.4: where a budget ended the walk, print() leaves out the checks, which would take more, unless they are asked for", isHeavyHere ?? {}, async () => {
  const { process } = await withBlueprint(specimen("aos2_0_4_32"));
  const [kept, whole, asked] = (await process.eval(`for name in pairs(Colors) do Colors[name] = "" end
    for i = 1, 3000 do local tags = {} for j = 1, 20 do tags[j] = { j } end Inbox[#Inbox + 1] = { From = "x", Tags = tags } end
    local membuddy, count, print_, texts = require("membuddy"), collectgarbage, print, {}
    for i, options in ipairs({ { budget = 500000 }, { budget = 1 << 30 }, { budget = 500000, checks = true } }) do
      local lines, peak = {}, 0
      count() count()
      local before = count("count")
      print = function(line) lines[#lines + 1] = line end
      debug.sethook(function() peak = math.max(peak, count("count") - before) end, "", 1000)
      membuddy.print(options)
      debug.sethook()
      print = print_
      texts[i] = peak * 1024 // 1 .. " " .. table.concat(lines, "\\n"):match("\\nChecks.*")
    end
    return table.concat(texts, "|")`)).split("|");
  assert.match(kept, /^\d+\.0 \nChecks: left out, since the budget was used up; option checks = true makes them$/);
  assert.ok(parseFloat(kept) < 2 * 500000 + 300000, kept);
  assert.match(whole, /\nChecks:\n {4}inbox: 3001, /);
  assert.match(asked, /\nChecks:\n {4}inbox: 3001, /);
});

// ---- reports by message ----

test("only the owner is answered with data; anybody else is refused in words, until the process opens", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  for (const action of ["Membuddy-Report", "Membuddy-Account", "Membuddy-Checks"]) {
    const refused = await ask(process, { Action: action }, stranger);
    assert.equal(refused.tags.Action, `${action}-Error`);
    assert.match(refused.tags.Error, /is for the owner of this process/);
    assert.doesNotMatch(refused.data, /\d{3}/);
    const given = await ask(process, { Action: action });
    assert.equal(given.tags.Action, `${action}-Response`);
    assert.equal(JSON.parse(given.data).type, action.toLowerCase());
  }
  await process.eval(`return require("membuddy").serve({ open = { ["${stranger}"] = true } })`);
  assert.equal((await ask(process, { Action: "Membuddy-Report" }, stranger)).tags.Action, "Membuddy-Report-Response");
  await process.eval(`return require("membuddy").serve({ open = { ["${stranger}"] = false } })`);
  assert.equal((await ask(process, { Action: "Membuddy-Report" }, stranger)).tags.Action, "Membuddy-Report-Error");
  assert.equal(await process.eval(`local owner, given = Owner
    Owner = nil
    Handlers.list[#Handlers.list].handle({ Tags = {}, reply = function(fields) given = fields end })
    Owner = owner
    return given.Error:match("is for the owner")`), "is for the owner", "where none is, nobody is it");
  assert.equal(await process.eval(`return require("membuddy").serve({ open = true })`), "MemBuddy answers Membuddy-Report, Membuddy-Account, Membuddy-Checks");
  assert.equal((await ask(process, { Action: "Membuddy-Report" }, stranger)).messages.length, 1, "nothing is published");
  assert.equal(await process.eval(`return require("membuddy").serve(false)`), "MemBuddy answers no messages any more");
  assert.deepEqual((await fromStranger(process, "Membuddy-Report")).Messages, [], "nobody answers any more");
  assert.equal(await process.eval(`local membuddy, handlers = require("membuddy"), Handlers
    Handlers = nil
    pcall(membuddy.serve)
    Handlers = handlers
    return tostring(membuddy.serving)`), "false", "what could not be done is not noted as done");
});

test("with patch every answer is exposed by patch@1.0, no refusal is, and whether that works is not the asker's matter", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`return require("membuddy").serve({ patch = true })`);
  for (const action of ["Membuddy-Report", "Membuddy-Account", "Membuddy-Checks"]) {
    const { messages } = await ask(process, { Action: action });
    assert.equal(messages.length, 2);
    const tags = Object.fromEntries(messages[1].Tags.map((/** @type {any} */ tag) => [tag.name, tag.value]));
    assert.deepEqual([messages[1].Target, tags.device, tags.cache.membuddy.type], [processId, "patch@1.0", action.toLowerCase()]);
    assert.equal((await ask(process, { Action: action }, stranger)).messages.length, 1, "a refusal is not published");
    if (action === "Membuddy-Report") assert.equal((await ask(process, { Action: action, Depth: "x" })).messages.length, 1, "nor an error");
  }
  await process.eval(`local send = Send Send = function(message) if message.device then error("no way") end return send(message) end`);
  assert.equal((await ask(process, { Action: "Membuddy-Account" })).tags.Action, "Membuddy-Account-Response", "and nothing after it");
  assert.equal(await process.eval("return #Errors"), "0");
});

test("the tags of a report: Depth, Top, Target; what is wrong is told in the reply", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`Balances = { ["a/b"] = { 1, 2, { "deep" } } } for i = 1, 500 do Balances["holder " .. i] = tostring(i) end`);
  const whole = JSON.parse((await ask(process, { Action: "Membuddy-Report", Depth: "1", Top: "5" })).data);
  assert.equal(whole.lines.length, 5);
  assert.equal(whole.lines[0].path, "_G");
  assert.ok(whole.otherLines > 0);
  assert.ok(whole.lines.every((/** @type {any} */ line) => line.path.split("/").length <= 2));
  assert.equal(JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: "" })).data).path, undefined, "an empty tag is none");
  const target = JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: "Balances" })).data);
  assert.equal(target.lines[0].path, "Balances");
  assert.equal(target.lines[0].bytes, target.totalSize);
  assert.deepEqual(Object.keys(target), ["backend", "exact", "garbage", "kinds", "lines", "luaSize", "objects", "otherLines", "path", "shared", "totalSize",
    "type", "unaccounted", "version"], "in order");
  assert.equal(JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: "_G/Balances/a\\/b/3" })).data).path, "_G/Balances/a\\/b/3");
  for (const [tags, words] of /** @type {[Record<string, string>, RegExp][]} */ ([
    [{ Depth: "much" }, /tag Depth is much; accepted: a whole number/],
    [{ Target: "Balances/nobody" }, /Target Balances\/nobody is not there/],
    [{ Target: "Balances/holder 1/x" }, /leads through a string/],
    [{ Target: "x".repeat(1024) }, /^Target x{40} is not there/],
    [{ Target: "x".repeat(1025) }, /^Target has 1025 bytes; accepted: at most 1024$/],
    [{ Target: /** @type {any} */ (5) }, /tag Target is 5; accepted: a path of table keys/],
    [{ Format: "xml" }, /tag Format is xml; accepted: json, prometheus/],
  ])) {
    const reply = await ask(process, { Action: "Membuddy-Report", ...tags });
    assert.equal(reply.tags.Action, "Membuddy-Report-Error");
    assert.match(reply.data, words);
  }
  assert.equal(await process.eval("return #Errors"), "0");
});

test("counts are whole numbers in digits, or inf; all else is refused in words that a terminal can show", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`Deep = {} local at = Deep for i = 1, 20 do at.d = {} at = at.d end for i = 1, 300 do Deep[i] = { i } end`);
  const report = async (/** @type {Record<string, string>} */ tags) => JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: "Deep", ...tags })).data);
  const depthOf = (/** @type {any} */ { lines }) => Math.max(...lines.map((/** @type {any} */ line) => line.path.split("/").length - 1));
  const most = depthOf(await report({ Depth: "inf", Top: "infinity" }));
  assert.equal(most, 3);
  for (const Depth of ["1000000000", "9223372036854775807", "99999999999999999999", "1".repeat(5000)]) {
    assert.equal(depthOf(await report({ Depth, Top: "inf" })), most, Depth.slice(0, 30));
  }
  assert.equal(depthOf(await report({ Depth: "002", Top: "200" })), 2);
  assert.equal((await report({ Depth: "0" })).lines.length, 1);
  assert.equal((await report({ Top: "0" })).lines.length, 0);
  assert.equal((await report({ Depth: "", Top: "", Format: "" })).lines.length, 20, "an empty tag is none");
  const { lines } = await report({ Top: "inf" });
  assert.deepEqual(lines, [...lines].sort((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1)), "the same report is the same text");
  assert.equal((await report({ Top: "100000" })).lines.length, 200);
  for (const value of ["1e9", "-1", "0x10", " 3 ", "3.0", "3\n", "+3", "nan", "-inf", "٣", "\u001b[31m3", "\u0000"]) {
    for (const name of ["Depth", "Top"]) {
      const { tags, data } = await ask(process, { Action: "Membuddy-Report", [name]: value });
      assert.equal(tags.Action, "Membuddy-Report-Error", JSON.stringify(value));
      assert.match(data, new RegExp(`^tag ${name} is [ -~]*; accepted: a whole number from 0, or inf$`));
      assert.equal(tags.Error, data);
    }
  }
});

test("a Target may begin with _G and not be it, and what may not be asked for is told in full", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`_GameState, _G2, Keys, Num = { {} }, { 2 }, { [true] = { 1 }, [false] = { 3 }, [1.5] = { 2 }, [-1 / 0] = { 4 }, A = {}, B = false }, 5`);
  for (const Target of ["_GameState", "_GameState/1", "_G2", "_G/_G2", "_G", "_G/", "Keys/true", "Keys/false", "Keys/1.5", "Keys/-inf"])
    assert.equal(JSON.parse((await ask(process, { Action: "Membuddy-Report", Target })).data).path, Target);
  assert.match((await ask(process, { Action: "Membuddy-Report", Target: "Keys/B" })).data, /the target is a boolean, which/);
  assert.match((await ask(process, { Action: "Membuddy-Report", Target: "Keys/\u000041" })).data, /^Target Keys\/\?41 is not there/, "and not A");
  assert.match((await ask(process, { Action: "Membuddy-Report", Target: "Num" })).data,
    /the target is a number, which holds no memory; accepted: a table, string, function, coroutine or userdata$/);
  const refused = await process.eval(`
    local texts = {}
    local trap = setmetatable({}, { __tostring = function() error("a metamethod ran") end })
    for _, options in ipairs({ { patch = "no" }, { open = "everybody" }, { open = { Owner } }, { open = { [Owner] = 1 } },
      { open = { [trap] = true } }, { opne = true }, { [trap] = 1 }, { [7] = 1 }, { ["\\27[2J"] = true }, "yes" }) do
      texts[#texts + 1] = select(2, pcall(load("require('membuddy').serve(...)", "=caller"), options))
    end
    return table.concat(texts, "\\n")`);
  assert.deepEqual(refused.split("\n"), [
    "option 'patch' of serve is a string; accepted: true or false",
    "option 'open' of serve is a string; accepted: true or false, or a table, address = true",
    ...["1", owner, "table"].map((entry) => `option 'open' of serve has an entry ${entry}; accepted: address = true`),
    ...["opne", "table", "7", "?[2J"].map((name) => `unknown option '${name}' of serve; accepted: open, patch`),
    "the options of serve are a string; accepted: a table, or false to answer no more",
  ].map((text) => `caller:1: membuddy: ${text}`));
});

test("every path of a report is a Target, whatever stands in its keys", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`Keys = { ["a/b"] = {}, ["a\\\\"] = {}, ["a\\\\/b"] = {}, ["\\1"] = {}, ["\\255"] = {}, ["ž"] = {}, ["š"] = {}, ["x41"] = {},
    ["\\\\x41"] = {}, ["\\\\"] = { ["/"] = {} }, [7] = {}, ['"'] = {}, [" "] = {} }
    local bytes = 0 for _, value in pairs(Keys) do bytes = bytes + 1000 value[1] = ("v"):rep(bytes) end`);
  const { lines } = JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: "Keys", Depth: "2", Top: "inf" })).data);
  const tables = lines.filter((/** @type {any} */ { path: name }) => name !== "Keys" && !name.endsWith("/1") && !name.includes("["));
  assert.equal(tables.length, 14);
  for (const { path: name, bytes } of tables) {
    const below = JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: name })).data);
    assert.equal(below.path, name);
    assert.ok(Math.abs(below.totalSize - bytes) < 100, `${name}: ${bytes} and ${below.totalSize}, but for keys that others have too`);
  }
  assert.ok(tables.some((/** @type {any} */ { path: name }) => name === "Keys/ž"), "names come as they are");
  await process.eval(`local function text(length) return { ("v"):rep(length) } end
    Keys = { [""] = { text(1000), [""] = text(2000) }, [1 / 3] = text(4000), [1 / 0] = text(5000), [-0.5] = text(6000) }`);
  const odd = JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: "Keys", Depth: "2", Top: "inf" })).data).lines;
  for (const name of ["Keys/", "Keys//1", "Keys//", "Keys/0.33333333333333", "Keys/inf", "Keys/-0.5"]) {
    const below = JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: name })).data);
    const line = odd.find((/** @type {any} */ { path: one }) => one === name);
    assert.ok(Math.abs(below.totalSize - line.bytes) < 100, `${name}: ${line.bytes} and ${below.totalSize}`);
  }
});

for (const image of [ourImages[0], ourImages[2]]) {
  test(`${image.name}: a Target that is no UTF-8 comes back byte for byte`, async () => {
    const { process } = await withBlueprint(image);
    await process.eval(`Keys = { ["\\xED\\xA0\\x80"] = {} }`);
    assert.match((await ask(process, { Action: "Membuddy-Report", Target: "Keys/\ud800" })).data, /"path":"Keys\/\\u00ed\\u00a0\\u0080"/);
  });
}

/** @type {Record<string, string>[]} */
const hostileTags = [
  { Depth: "9e999" }, { Depth: "-0" }, { Depth: "0x7fffffffffffffff" }, { Depth: "nan" }, { Depth: "1".repeat(5000) }, { Top: "-1" }, { Top: "1e300" },
  { Top: "%s%n\u0000" }, { Target: "_G/".repeat(20000) }, { Target: "_G/".repeat(341) }, { Target: "/".repeat(5000) }, { Target: "x".repeat(1 << 20) },
  { Target: "%z\u0000\\\\/\\" }, { Target: "\\x" }, { Target: "\\x2f\\x00\\xff/\\" }, { Target: "_G/_G/_G/package/loaded/_G" }, { Target: "\u001b[2J\r\n" },
  { Target: "Trap/a" }, { Target: "Trap" }, { Format: "json\nX: y" }, { Format: "constructor" }, { Format: "f".repeat(70000) },
  { Format: "prometheus", Target: "Trap" }, { reply: "no function" }, { Reply: "{}" }, { Tags: "x" }, { From: owner }, { Owner: owner },
  { Target: "Balances", Depth: "inf", Top: "inf" }, { "": "empty" }, { [`k${"y".repeat(3000)}`]: "long name" },
];

const ourAndStock = [{ image: ourImages[0], options: {} }, { image: stockImage, options: isHeavyHere ?? {} }];

for (const { image, options } of ourAndStock) {
  test(`${image.name}: a hostile sender gets one bounded reply, no error is raised, and no program of the process runs`, options, async () => {
    const { process } = await withBlueprint(image, { carryMemory: false });
    await process.eval(`local function fail() Ran = true error("a metamethod ran") end
      Trap = setmetatable({}, { __index = fail, __len = fail, __pairs = fail, __tostring = fail, __eq = fail, __name = fail })
      Handlers.prepend("odd", function(msg) if msg.Tags.Odd then msg.Tags.Depth = Trap msg.Tags.Format = Trap end return 0 end, print)`);
    const actions = ["Membuddy-Report", "Membuddy-Account", "Membuddy-Checks"];
    for (const tags of [...hostileTags, { Odd: "a table in a tag" }]) {
      for (const action of image === stockImage ? actions.slice(0, 1) : actions) { // each message to it copies 110 MB
        for (const from of [owner, stranger]) {
          const Tags = Object.entries({ Action: action, ...tags }).map(([name, value]) => ({ name, value }));
          const result = await process.send({ From: from, Owner: from, Tags });
          const what = `${action} ${JSON.stringify(tags).slice(0, 80)}`;
          assert.equal(result.Error, undefined, what);
          assert.equal(result.Messages.length, 1, what);
          const { Data, Tags: given } = result.Messages[0];
          assert.ok(Data.length < mostReplyBytes, what);
          assert.ok(given.every((/** @type {any} */ { value }) => value.length < 200 && /^[ -~]*$/.test(value)), what);
          if (from === stranger) assert.match(Data, /is for the owner of this process/, what);
        }
      }
    }
    assert.equal(await process.eval("return #Errors .. tostring(Ran)"), "0nil");
  });
}

test("aos 2.0.6: names of libraries may mean something else, numbers and booleans have a __tostring, strings no methods, and the checks may fail", isHeavyHere ?? {}, async () => {
  const { process } = await withBlueprint(stockImage, { carryMemory: false });
  const problems = await process.eval(`
    local membuddy, pcall, tostring, concat, next, write = require("membuddy"), pcall, tostring, table.concat, next, print
    local globals, problems, type_of = _G, {}, type
    for _, name in next, { "string", "table", "math", "debug", "utf8", "coroutine", "load", "assert", "pcall", "next", "type", "tostring" } do
      local saved, lines = globals[name], 0
      globals[name], print = {}, function() lines = lines + 1 end
      local ok, problem = pcall(membuddy.print, { top = 2 })
      globals[name], print = saved, write
      if not ok or lines < 6 then problems[#problems + 1] = name .. ": " .. tostring(problem) end
    end
    for _, value in next, { 0, true } do
      debug.setmetatable(value, { __tostring = function() error("a metamethod ran") end })
      local ok, problem = pcall(membuddy.profile, { target = { [1] = { 1 }, [true] = { 2 } } })
      debug.setmetatable(value, nil)
      if not ok then problems[#problems + 1] = tostring(problem) end
    end
    local debug, lines = package.loaded.debug, {}
    package.loaded.debug = setmetatable({}, { __index = function() error("not enough memory", 0) end })
    local list, reason = membuddy.checks()
    print = function(line) lines[#lines + 1] = line end
    membuddy.print({ top = 1 })
    local marked, refusal = pcall(membuddy.mark)
    package.loaded.debug, print = debug, write
    if marked or refusal ~= "not enough memory" then problems[#problems + 1] = "mark: " .. tostring(refusal) end
    if #list > 0 or reason ~= "not enough memory" then problems[#problems + 1] = tostring(reason) end
    if lines[#lines] ~= "Checks: none, since not enough memory" then problems[#problems + 1] = lines[#lines] end
    local methods = getmetatable("").__index
    getmetatable("").__index, print = nil, function(line) lines[#lines + 1] = line end
    local ok, problem = pcall(membuddy.print, { top = 1 })
    getmetatable("").__index, print = methods, write
    if not ok or not lines[#lines]:find("^Checks: none, since .*attempt to index a string") then
      problems[#problems + 1] = tostring(problem or lines[#lines])
    end
    return concat(problems, "; ")`);
  assert.equal(problems, "");
});

test("a report is given whatever a program has made of the libraries' names and hands to our handlers", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  const answers = await process.eval(`
    local answers, globals, next, owner, serve, kept = {}, _G, next, Owner, require("membuddy").serve, {}
    for _, name in next, { "utf8", "math", "string", "table", "package", "debug", "_G" } do
      kept[name], globals[name] = globals[name], 0
    end
    serve()
    for name, value in next, kept do globals[name] = value end
    local asked = { {}, { Format = "prometheus" }, { Format = true }, { Depth = 0 }, { Depth = -2 }, { Depth = 2.5 } }
    for _, handler in ipairs(Handlers.list) do
      for _, tags in next, handler.name:find("^Membuddy") and asked or {} do
        local saved, given = {}
        for _, name in next, { "math", "string", "table", "collectgarbage", "ao", "_G" } do
          saved[name], globals[name] = globals[name], 0
        end
        handler.handle({ From = owner, Tags = tags, reply = function(fields) given = fields end })
        handler.handle({ From = owner, Tags = tags, reply = function() error("no reply") end })
        for name, value in next, saved do globals[name] = value end
        assert(not handler.pattern("no table"))
        answers[#answers + 1] = handler.name .. ": " .. (given.Error or given.Action)
      end
    end
    return table.concat(answers, "\\n")`);
  assert.deepEqual(answers.split("\n").sort(), ["Membuddy-Account", "Membuddy-Checks", "Membuddy-Report"].flatMap((name) => [
    ...Array(name.endsWith("Report") ? 3 : 5).fill(`${name}: ${name}-Response`), `${name}: tag Format is a boolean; accepted: json, prometheus`,
    ...(name.endsWith("Report") ? ["-2", "2.5"].map((depth) => `${name}: tag Depth is ${depth}; accepted: a whole number from 0, or inf`) : []),
  ]).sort());
});

test("no message fails for what its answer raises, nor where strings have no methods any more", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  assert.equal(await process.eval(`
    local methods, trap = debug.getmetatable(""), setmetatable({}, { __index = function() error("a metamethod ran") end })
    local problems, given, message = {}, {}, { Tags = {}, From = Owner }
    local function handle(handler, reply)
      message.reply = reply
      local ok, problem = pcall(handler.handle, message)
      if not ok then problems[#problems + 1] = handler.name .. ": " .. tostring(problem) end
    end
    for _, handler in ipairs(Handlers.list) do
      if handler.name:find("^Membuddy") then
        handle(handler, function(fields) given[#given + 1] = fields.Error error(trap) end)
        debug.setmetatable("", nil)
        handle(handler, function() end)
        debug.setmetatable("", methods)
      end
    end
    return table.concat(problems, "; ") .. table.concat(given, "; ")`), Array(3).fill("the report failed: a table").join("; "));
});

test("where numbers and booleans have a __tostring, no report and no check calls it", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  assert.equal(await process.eval(`
    local type, next, debug, list, texts, given = type, next, debug, Handlers.list, {}, nil
    Inbox[#Inbox + 1] = { From = 5, Action = 0.5 }
    local message = { From = Owner, Tags = {}, reply = function(fields) given = fields.Error or fields.Data end }
    for _, value in next, { 0, true } do debug.setmetatable(value, { __tostring = function() error("a metamethod ran") end }) end
    for i = 1, #list do
      if list[i].name:find("^Membuddy") then
        for _, Depth in next, { 1, -1 } do
          message.Tags.Depth = Depth
          list[i].handle(message)
          texts[#texts + 1] = given:match("a metamethod ran") or given:match("^tag Depth is %-1;") or given:match("^{") or given
        end
      end
    end
    for _, check in next, require("membuddy").checks() do texts[#texts + 1] = check.error end
    debug.setmetatable(0, nil) debug.setmetatable(true, nil)
    return table.concat(texts, " ")`), "{ tag Depth is -1; { { { {");
});

test("src/example.lua runs unchanged on the pure module in a published image", isHeavyHere ?? {}, async () => {
  const { process } = await withBlueprint(stockImage);
  const text = await process.eval(readFileSync(inRoot("src/example.lua"), "utf8"));
  assert.match(text, /== The whole process[^]*Total size[^]*== One table[^]*MembuddyExample\/balances/);
});

const crowded = `
  Wide = {} for i = 1, 2000 do Wide[("k"):rep(60) .. i] = { [("l"):rep(60) .. i] = { { {} } } } end
  Loud = { [("K"):rep(200000)] = { ("v"):rep(200000) }, [("\\255"):rep(1000)] = { {} }, [("\\1"):rep(1000)] = { {} } }
  local long = ("long %s \\27[31m"):rep(5000)
  for i = 1, 300 do Inbox[#Inbox + 1] = { Id = long .. i, From = long .. i, Action = long .. i, Tags = {}, Timestamp = 1 } end
  for i = 1, 50 do Errors[i] = long .. i end
  for i = 1, 50 do Handlers.once({ [long .. i] = long .. i }, print) Handlers.add("handler " .. i, { Action = "never" }, load("local a = 1 return a --" .. long)) end
  local co = coroutine.create(load("coroutine.yield() --" .. long)) coroutine.resume(co) Handlers.coroutines[1] = co
  Sparse = {} for i = 1, 5000 do Sparse["key " .. i] = i end for i = 1, 4990 do Sparse["key " .. i] = nil end
  _G[long] = setmetatable({ {} }, { __name = long })
  Quotes = {} local at, quotes = Quotes, ('"'):rep(58) for i = 1, 2 do at[quotes] = {} at = at[quotes] end
  for i = 1, 250 do at[quotes .. i] = { ("q"):rep(500) .. i } end`;

/** @type {Record<string, string>[]} */
const all = [{ Top: "inf", Depth: "inf" }, { Top: "inf", Depth: "inf", Target: "Wide" }, { Top: "inf", Depth: "inf", Target: "Loud" },
  { Top: "inf", Depth: "inf", Target: "Quotes" }];

for (const { image, options } of ourAndStock) {
  test(`${image.name}: a reply is bounded whatever the heap`, options, async () => {
    const { process } = await withBlueprint(image, { carryMemory: false });
    await process.eval(crowded);
    for (const Format of ["json", "prometheus"]) {
      for (const tags of all) {
        const { tags: { Action }, data } = await ask(process, { Action: "Membuddy-Report", Format, ...tags });
        assert.equal(Action, "Membuddy-Report-Response", data);
        assert.ok(data.length > 1000 && data.length < mostReplyBytes, `${Format}: ${data.length} bytes`);
      }
      for (const action of ["Membuddy-Account", "Membuddy-Checks"]) {
        const { tags: { Action }, data } = await ask(process, { Action: action, Format });
        assert.equal(Action, `${action}-Response`, data);
        assert.ok(data.length > 100 && data.length < 20000, `${action} ${Format}: ${data.length} bytes`);
      }
    }
  });
}

const fillBut = (/** @type {number} */ freeBytes) => `local reserve, piece = ("r"):rep(${freeBytes}), 1000000
  Full = {} while piece > 64 do if not pcall(function() Full[#Full + 1] = ("x"):rep(piece) .. #Full end) then piece = piece // 2 end end
  reserve = nil collectgarbage() return "full"`;

test("in a process that is full a report is given or refused, and its message never fails for it", async () => {
  const wasm = withMemoryMaximum(bytesOf(ourImages[0]), 64);
  let given = 0;
  for (let free = 50000; free <= 200000; free += 10000) { // with less aos itself fails at times
    for (const action of ["Membuddy-Report", "Membuddy-Account", "Membuddy-Checks"]) {
      const process = await spawnProcess(wasm, { carryMemory: false });
      assert.equal((await loadBlueprint(process)).Error, undefined);
      await process.eval(fillBut(free));
      const { tags, data } = await ask(process, { Action: action });
      if (tags.Action.endsWith("-Error")) assert.match(data, /not enough memory/);
      else assert.equal(JSON.parse(data).type, action.toLowerCase());
      given += Number(tags.Action.endsWith("-Response"));
      assert.equal(await process.eval(`return "alive"`), "alive");
    }
  }
  assert.ok(given > 24, `${given} of 48 were given`);
});

test("a report that a full process has no memory for leaves aos the room to send its refusal", async () => {
  const process = await spawnProcess(withMemoryMaximum(bytesOf(ourImages[0]), 64), { carryMemory: false });
  assert.equal((await loadBlueprint(process)).Error, undefined);
  await process.eval(fillBut(100000));
  const { tags } = await ask(process, { Action: "Membuddy-Report", Top: "inf" });
  assert.equal(tags.Error, "the report failed: not enough memory");
  assert.equal(await process.eval(`return "alive"`), "alive");
});

const parser = inRoot("build/test-tools/openmetrics");
const python = [inRoot("build/toolchain/bin/python3"), "/usr/bin/python3"].find(existsSync);
// Its package would load servers and ssl first: only the parser is wanted.
const parse = `import sys, json, types
package = types.ModuleType("prometheus_client")
package.__path__ = [sys.argv[1] + "/prometheus_client"]
sys.modules["prometheus_client"] = package
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
print(json.dumps([[f.name, f.type, f.unit, [[s.name, s.labels, s.value] for s in f.samples]] for f in families(sys.stdin.read())]))`;
const canParse = python && existsSync(parser) ? {} : { skip: "Prometheus's parser could not be had (scripts/test-tools.sh)" };

test("Format prometheus: Prometheus's own parser accepts the text, and reads the figures", canParse, async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`Odd = { ['quote" back\\\\slash \\n line \\255 %s'] = { 1, 2, 3 }, ["ž"] = { {} }, ["š"] = { {} }, ["\\254"] = { {} }, ["\\253"] = { {} } }`);
  for (const action of ["Membuddy-Report", "Membuddy-Account", "Membuddy-Checks"]) {
    const { data, tags } = await ask(process, { Action: action, Format: "prometheus", Target: "Odd" });
    assert.match(tags["Content-Type"], /^application\/openmetrics-text/);
    const families = JSON.parse(execFileSync(String(python), ["-c", parse, parser], { input: data, encoding: "utf8" }));
    assert.ok(families.length >= 2 && families.every((/** @type {any[]} */ [name, type]) => name.startsWith("membuddy_") && type === "gauge"));
    const samples = families.flatMap((/** @type {any[]} */ family) => family[3]);
    assert.ok(samples.every((/** @type {any[]} */ [, labels, value]) => labels.process && Number.isFinite(value)));
    if (action !== "Membuddy-Checks") {
      const { luaSize } = JSON.parse((await ask(process, { Action: action })).data);
      const [, , value] = samples.find((/** @type {any[]} */ [name]) => name === "membuddy_lua_bytes");
      assert.ok(Math.abs(value - luaSize) < 0.2 * luaSize, `${value} bytes of Lua, in JSON ${luaSize}`);
    }
    const series = samples.map((/** @type {any[]} */ [name, labels]) => name + JSON.stringify(labels));
    assert.equal(new Set(series).size, series.length, "each series is there once");
    if (action === "Membuddy-Report") assert.ok(samples.some((/** @type {any[]} */ [, labels]) => labels.path === "Odd/ž"), "UTF-8 stays");
    if (action === "Membuddy-Report") assert.ok(samples.some((/** @type {any[]} */ [, labels]) => String(labels.path).startsWith('Odd/quote" back\\\\slash')));
    if (action === "Membuddy-Report") assert.ok(samples.some((/** @type {any[]} */ [name, labels]) => name === "membuddy_kind_bytes" && labels.kind === "table"));
  }
});

test("the label of the process is its id where that is a text, and nothing runs to read it", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  assert.equal(await process.eval(`
    local ao, texts, given = ao, {}, nil
    local function fail() error("a metamethod ran") end
    local trap = setmetatable({}, { __tostring = fail, __index = fail })
    local message = { From = Owner, Tags = { Format = "prometheus" }, reply = function(fields) given = fields.Data end }
    for _, value in ipairs({ trap, { id = trap }, setmetatable({ id = 5 }, { __index = fail }), { id = 'a"b\\nc' }, false }) do
      _G.ao = value or nil
      for _, handler in ipairs(Handlers.list) do
        if handler.name == "Membuddy-Account" then handler.handle(message) end
      end
      texts[#texts + 1] = given:match("membuddy_part_bytes{(.-),part") or given
    end
    _G.ao = ao
    return table.concat(texts, " ")`), String.raw`process="" process="" process="" process="a\"b\\x0ac" process=""`);
});

test("a check that failed is no sample of 0", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval("package.loaded.os = nil");
  const { data } = await ask(process, { Action: "Membuddy-Checks", Format: "prometheus" });
  assert.match(data, /check="inbox"\} \d/);
  assert.doesNotMatch(data, /check="sources"/);
});

test("figures have all their digits, what is none is told as null, what is not there is no sample; checks that could not be made are refused", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`local membuddy = require("membuddy")
    membuddy.account = function() return { a = 0 / 0, b = 1 / 0, c = -1 / 0, d = 123456789012345678, e = 12345678.25, f = print } end
    membuddy.checks = function() return {}, "not enough memory" end`);
  assert.match((await ask(process, { Action: "Membuddy-Account" })).data, /^{"a":null,"b":null,"backend":"native","c":null,"d":123456789012345678,"e":12345678.25,"f":null,/);
  await process.eval(`require("membuddy").account = function() return { largestFree = 5 } end`);
  assert.equal((await ask(process, { Action: "Membuddy-Account", Format: "prometheus" })).data, `# TYPE membuddy_largest_free_bytes gauge
# UNIT membuddy_largest_free_bytes bytes
# HELP membuddy_largest_free_bytes From the account.
membuddy_largest_free_bytes{process="${processId}"} 5
# EOF
`);
  assert.equal((await ask(process, { Action: "Membuddy-Checks" })).data, "the checks could not be made: not enough memory");
  await process.eval(`require("membuddy").account = function() error(("\\27["):rep(1000), 0) end`);
  assert.equal((await ask(process, { Action: "Membuddy-Account" })).data, `the report failed: ${"?[".repeat(80)}`);
});

test("every figure stands under its own name, in JSON and for Prometheus", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`local membuddy = require("membuddy")
    membuddy.profile = function() return { totalSize = 1, objects = 2, luaSize = 3, garbage = 4, unaccounted = 5, exact = true, shared = 6,
      kinds = { table = { bytes = 7, count = 8 } }, totalSizes = { _G = 9, ["_G/a"] = 8, ["_G/b"] = 8 }, sizes = { _G = 10, ["_G/a"] = 11, ["_G/b"] = 12 } } end
    membuddy.account = function() return { luaSize = 1, memory = 2, maximum = 3, headroom = 4, largestFree = 5, stackHighWater = 6, unaccounted = 7, parts = { free = 8, live = 9 } } end
    membuddy.checks = function() return { { name = "inbox", bytes = 1, count = 2 } } end
    membuddy.version = "V"`);
  const given = async (/** @type {Record<string, string>} */ tags) => String((await ask(process, { Top: "2", ...tags })).data);
  assert.deepEqual(JSON.parse(await given({ Action: "Membuddy-Report" })), { type: "membuddy-report", backend: "native", version: "V", totalSize: 1, objects: 2,
    luaSize: 3, garbage: 4, unaccounted: 5, exact: true, shared: 6, kinds: { table: { bytes: 7, count: 8 } }, otherLines: 1,
    lines: [{ path: "_G", bytes: 9, own: 10 }, { path: "_G/a", bytes: 8, own: 11 }] });
  const samples = async (/** @type {string} */ Action) => (await given({ Action, Format: "prometheus" })).split("\n").filter((line) => /^[^#]/.test(line))
    .map((line) => line.replace(`process="${processId}"`, "").replace("{}", "").replace("{,", "{"));
  assert.deepEqual(await samples("Membuddy-Report"), ["membuddy_lua_bytes 3", "membuddy_garbage_bytes 4", "membuddy_unaccounted_bytes 5", "membuddy_reported_bytes 1",
    'membuddy_kind_bytes{kind="table"} 7', 'membuddy_kind_objects{kind="table"} 8', 'membuddy_path_bytes{path="_G"} 9', 'membuddy_path_bytes{path="_G/a"} 8']);
  assert.deepEqual(await samples("Membuddy-Account"), ["membuddy_lua_bytes 1", 'membuddy_part_bytes{part="free"} 8', 'membuddy_part_bytes{part="live"} 9', "membuddy_memory_bytes 2",
    "membuddy_maximum_bytes 3", "membuddy_headroom_bytes 4", "membuddy_largest_free_bytes 5", "membuddy_stack_high_water_bytes 6", "membuddy_unaccounted_bytes 7"]);
  assert.deepEqual(await samples("Membuddy-Checks"), ['membuddy_check_bytes{check="inbox"} 1', 'membuddy_check_findings{check="inbox"} 2']);
});

test("what a program hands to Handlers.evaluate needs no tags, with our handlers as without", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  assert.equal(await process.eval(`
    Handlers.add("inner", function(msg) return msg.Action == "Inner" end, function() Seen = true end)
    Handlers.evaluate({ Action = "Inner", From = "me" }, ao.env)
    return tostring(Seen)`), "true");
});

test("a process without msg.reply is answered through Send", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`Handlers.prepend("old", function(msg) msg.reply = nil return "continue" end, function() end)`);
  const reply = await ask(process, { Action: "Membuddy-Account" });
  assert.equal(JSON.parse(reply.data).unaccounted, 0);
});

test("a message may have its fields beside Tags, or instead, and a reply that is no function", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  assert.equal(await process.eval(`
    local send, sent = Send, {}
    Send = function(message) sent[#sent + 1] = (message.Target == Owner and "to the owner: " or "") .. message.Data end
    for _, handler in ipairs(Handlers.list) do
      for _, Tags in ipairs({ false, {} }) do
        local message = { From = Owner, Action = handler.name, Format = "xml", Tags = Tags, reply = "to whom it may concern" }
        if handler.name:find("^Membuddy") and handler.pattern(message) then handler.handle(message) end
      end
    end
    Send = send
    return table.concat(sent, "; ")`), Array(6).fill("to the owner: tag Format is xml; accepted: json, prometheus").join("; "));
});

// ---- apm ----

const packaged = (/** @type {string} */ name) => JSON.parse(readFileSync(inRoot(`dist/apm/${name}`), "utf8"));

test("the package has what its publisher and registry demand, the message what a message may have", () => {
  const about = packaged("apm.json");
  assert.match(about.name, /^[\w-]+$/);
  assert.match(about.vendor, /^@[a-z0-9]+$/);
  assert.match(about.version, /^\d+\.\d+\.\d+$/);
  assert.ok(about.keywords.length <= 5 && about.description && about.license && new URL(about.repository).protocol);
  assert.equal(typeof about.warnings.modifiesGlobalState + typeof about.warnings.installMessage, "booleanstring");
  assert.ok(existsSync(inRoot(`dist/apm/${about.main}`)));
  for (const { publishing } of generations) {
    const { Tags } = packaged(publishing);
    assert.ok(Tags.length <= 128, publishing);
    for (const { name, value } of Tags) { // the limits of ANS-104
      assert.ok(name.length >= 1 && name.length <= 1024 && value.length >= 1 && value.length <= 3072, `${publishing}: tag ${name} = ${value}`);
    }
  }
});

test("where the source is comes from REPOSITORY, for whom it is published from VENDOR", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "membuddy-stock-"));
  try {
    const env = { ...process.env, VENDOR: "@someone", REPOSITORY: "https://example.org/source" };
    execFileSync(process.execPath, [inRoot("scripts/stock.js"), folder], { env });
    const { Tags } = JSON.parse(readFileSync(path.join(folder, "apm/publish.json"), "utf8"));
    const named = Object.fromEntries(Tags.map((/** @type {any} */ tag) => [tag.name, tag.value]));
    assert.deepEqual([named.Vendor, named.Repository], ["@someone", "https://example.org/source"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** @typedef {typeof generations[number]} Generation */

/** A registry, a process with a client, and the messages between them. @param {Generation} generation */
async function market({ name, registry, client: code }) {
  const shop = await spawnProcess(ourImages[0].file);
  await shop.eval(registry);
  const client = await spawnProcess(stockImage.file);
  assert.equal(await client.eval(`return tostring(${name})`), "nil", "no published image has a client: the texts tell to load it first");
  await client.eval(code);
  /** @type {Map<string, any>} */
  const published = new Map();
  const publish = async (/** @type {any} */ message) => {
    const Tags = message.Tags.map((/** @type {any} */ tag) => (tag.name === "Quantity" && published.size ? { ...tag, value: "10000000000" } : tag)); // an update
    const signed = { ...message, Tags, Id: `PUBLISHED-${published.size}-${"-".repeat(31)}` };
    published.set(signed.Id, signed);
    const { Error, Messages } = await shop.send(signed);
    assert.equal(Error, undefined);
    return String(Messages[0].Data);
  };
  const install = async (/** @type {string} */ query) => {
    const asked = await client.evalResult(`return ${name}.install("${query}")`);
    assert.equal(asked.Error, undefined);
    const result = await carry(asked, client, shop, published);
    assert.equal(result?.Error, undefined);
    return { asked, result };
  };
  return { shop, client, publish, install };
}

/** The same package with another version and module. @param {any} message @param {string} version @param {(source: string) => string} edit */
function edited({ Tags, Data }, version, edit) {
  const data = JSON.parse(Data);
  if (data.source) data.source = edit(data.source);
  else data.PackageData.Items[0].data = edit(data.PackageData.Items[0].data);
  if (data.Version) data.Version = version;
  return { Tags: Tags.map((/** @type {any} */ tag) => (tag.name === "Version" ? { ...tag, value: version } : tag)), Data: JSON.stringify(data) };
}

/** Count and bytes of what is alive, by kind, from outside. @param {Process} process */
async function alive(process) {
  await process.eval("collectgarbage() collectgarbage() return 1");
  const heap = await attach(/** @type {Uint8Array} */ (process.memory));
  try {
    return Object.fromEntries(Object.entries(heap.profile({ depth: 1 }).kinds).map(([kind, { count, bytes }]) => [kind, [count, bytes]]));
  } finally {
    heap.close();
  }
}

/** What remains of a package that came and went. @param {Generation} generation @param {(source: string) => string} edit @param {string[]} uses */
async function leftBy(generation, edit, uses) {
  const { client, publish, install } = await market(generation);
  await publish(edited(packaged(generation.publishing), "1.0.0", edit));
  await install("membuddy");
  for (const code of uses) await client.eval(code);
  await client.eval(`return ${generation.name}.uninstall("membuddy")`);
  return alive(client);
}

for (const generation of generations) {
  const { name, publishing, installed } = generation;
  const message = packaged(publishing);

  // A registry needs SQLite, and the C stack of its image has 64 KB: a longer package could not be published.
  test(`sqlite: ${name}'s registry takes the message that publishes, with 3 KB to spare`, isHeavyHere ?? {}, async () => {
    const shop = await spawnProcess(specimen("sqlite").file);
    await shop.eval(generation.registry);
    const Tags = [...message.Tags, { name: "Spare", value: "x".repeat(3072) }];
    assert.match(String((await shop.send({ ...message, Tags })).Messages[0]?.Data), /^Published membuddy@/);
    await assertStackOfSqlite(shop);
  });

  test(`${name}.install, upgrade and uninstall`, isHeavyHere ?? {}, async () => {
    const { client, publish, install } = await market(generation);
    assert.match(await publish(message), /^Published membuddy@/);
    const before = await usedBytes(client);
    await install("membuddy");
    assert.match(await client.eval(`require("membuddy").print({ top = 3 })`), /Total size/);
    const { text } = (await checksOf(client)).get("sources") ?? {};
    assert.doesNotMatch(String(text), /membuddy/);
    const module = (await usedBytes(client)) - before;
    assert.ok(module < 200000, `${module} bytes stay`);

    await client.eval(`require("membuddy").serve({ open = true }) require("membuddy").mark()`);
    await publish(edited(message, "9.0.0", (source) => source.replace(/\nreturn membuddy\n$/, "\nmembuddy.isNewer = true return membuddy\n")));
    await install("membuddy");
    assert.equal(await client.eval(`return ${name}.installed["${installed}"] .. " " .. tostring(require("membuddy").isNewer)`), "9.0.0 true");
    assert.equal((await ask(client, { Action: "Membuddy-Checks" }, stranger)).tags.Action, "Membuddy-Checks-Response", "it goes on answering");
    assert.doesNotMatch(String((await checksOf(client)).get("growth")?.text), /nothing to compare/, "the mark is still there");
    assert.equal(await client.eval(`return tostring(require("membuddy").serving.open)`), "true", "it is the newer that answers");

    await client.eval(`require("membuddy").serve(false) return ${name}.uninstall("membuddy")`);
    assert.equal(await client.eval(`return tostring(package.loaded.membuddy) .. tostring(${name}.installed["${installed}"])`), "nilnil");
  });

  test(`${name}: after uninstalling nothing of ours is left, neither objects nor bytes`, isHeavyHere ?? {}, async () => {
    const ours = await leftBy(generation, (source) => source, ["require('membuddy').print() require('membuddy').serve()",
      "require('membuddy').mark()", "require('membuddy').serve(false)"]);
    // A package as large that is an empty table: the network, aos and Lua's libraries leave as much behind.
    const empty = await leftBy(generation, (source) => `local text = ${JSON.stringify("x".repeat(source.length))} return {}`, [
      "for i = 1, 3 do Handlers.add('handler ' .. i, 'action ' .. i, print) end", "return 1", "for i = 1, 3 do Handlers.remove('handler ' .. i) end"]);
    const { string_table: ourTable, ...ourKinds } = ours;
    const { string_table: table, ...kinds } = empty;
    assert.deepEqual(ourKinds, kinds);
    assert.ok(ourTable[1] === table[1] || ourTable[1] === 2 * table[1], "but for Lua's table of strings, which doubles and does not shrink so soon");
  });
}

for (const image of [ourImages[0], stockImage32]) {
  test(`${image.name}: after an upgrade it is the newer module's handlers that answer, with the options and the mark of before`, async () => {
    const process = await spawnProcess(image.file);
    const load = () => process.eval(readFileSync(inRoot("dist/membuddy.lua"), "utf8"));
    await load();
    await process.eval(`local membuddy = require("membuddy") membuddy.serve({ open = true }) membuddy.mark()
      Count, Older = #Handlers.list, {} for _, handler in ipairs(Handlers.list) do Older[handler.handle] = handler.name end`);
    await load();
    assert.equal(await process.eval(`local answering = {}
      for _, handler in ipairs(Handlers.list) do
        if handler.name:find("^Membuddy") then answering[#answering + 1] = Older[handler.handle] or "newer" end
      end
      return table.concat(answering, " ") .. " " .. #Handlers.list - Count .. type(require("membuddy").marked)`), "newer newer newer 0table");
    assert.equal((await ask(process, { Action: "Membuddy-Account" }, stranger)).tags.Action, "Membuddy-Account-Response");
  });
}

test("apm: what the registry refuses and the client knows", isHeavyHere ?? {}, async () => {
  const [generation] = generations;
  const { client, shop, publish, install } = await market(generation);
  const message = packaged(generation.publishing);
  await publish(message);
  assert.match(await publish(message), /^Version should be greater/);
  assert.match(await publish({ ...edited(message, "9.0.0", (source) => source), From: stranger, Owner: stranger }), /^You are not the owner/);
  const newer = edited(message, "9.0.0", (source) => source);
  assert.match(await publish({ ...newer, Tags: newer.Tags.filter((/** @type {any} */ tag) => tag.name !== "Repository") }), /NOT NULL.*Repository/);
  const { version } = packaged("apm.json");
  await install(`membuddy@${version}`);
  const { asked } = await install(`@apm/membuddy@${version}`);
  assert.deepEqual(asked.Messages, [], "it is installed already");
  assert.equal(await client.eval(`return tostring(require("membuddy").backend)`), "lua");
  assert.equal((await shop.eval(`return #Packages["@apm/membuddy"]`)), "1");
});
