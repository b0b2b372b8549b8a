/** What processes load whose image has no membuddy: as .load-blueprint, by message, through apm. In published images. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { attach } from "../cli/index.js";
import { minified } from "../scripts/pack-lua.js";
import { clientAs, ownClient, registry, registryId } from "./support/apm.js";
import { ourImages, stockImage, stockImage32 } from "./support/images.js";
import { assertLeaks, checksOf, fromStranger, leak, owner, stranger } from "./support/leaks.js";
import { spawnProcess } from "./support/process.js";

const inRoot = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const blueprint = readFileSync(inRoot("dist/blueprints/membuddy.lua"), "utf8"); // as aos's command line reads it
const specimen = (/** @type {string} */ name) => ({ name, file: inRoot(`build/specimens/${name}.wasm`) });
// A process of 110 MB is slow to copy: what does not depend on the version of Node.js runs on one.
const isHeavyHere = process.versions.node.startsWith("20.") ? undefined : { skip: "runs on Node.js 20" };

/** @typedef {import("./support/process.js").Process} Process */

/** What `.load-blueprint membuddy` sends: the file's text as one Eval, with the tags of the command line. @param {Process} process */
const loadBlueprint = (process) => process.send({
  Tags: [{ name: "Action", value: "Eval" }, { name: "Data-Protocol", value: "ao" }, { name: "Variant", value: "ao.TN.1" },
    { name: "Type", value: "Message" }, { name: "SDK", value: "aoconnect" }],
  Data: blueprint,
});

/** @param {{ file: string }} image */
async function withBlueprint(image) {
  const process = await spawnProcess(image.file);
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
  });
}

test("in an image that has the native library the blueprint adds the handlers and nothing else", async () => {
  const { process, output } = await withBlueprint(ourImages[0]);
  assert.match(output, /\(native\)/);
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

/** Strings in the process, read from outside. @param {Process} process */
async function stringsIn(process) {
  await process.eval("return 1");
  const heap = await attach(/** @type {Uint8Array} */ (process.memory));
  try {
    return heap.profile().kinds.string.bytes;
  } finally {
    heap.close();
  }
}

test("of the source hardly more stays than the packed checks and handlers: at most 24 KB of strings, names included", isHeavyHere ?? {}, async () => {
  const process = await spawnProcess(stockImage.file);
  await process.eval("return 1");
  const before = await stringsIn(process);
  assert.equal((await loadBlueprint(process)).Error, undefined);
  const stays = await stringsIn(process) - before;
  assert.ok(stays > 4096 && stays <= 24576, `${stays} bytes of strings more; the file has ${blueprint.length}`);
});

test("the blueprint's source does not stay in the process", isHeavyHere ?? {}, async () => {
  const { process } = await withBlueprint(stockImage);
  const longest = Number(await process.eval(`local sizes, longest = require("membuddy").profile({ depth = 6, lines = false, cycles = false }).sizes, 0
    for path, bytes in pairs(sizes) do if path:find("membuddy", 1, true) and bytes > longest then longest = bytes end end return longest`));
  assert.ok(longest > 0 && longest < 100000, `${longest} bytes under one path of membuddy`);
  const sources = (await checksOf(process)).get("sources");
  assert.doesNotMatch(String(sources?.text), /membuddy/);
});

// ---- the checks of the pure module ----

test("aos 2.0.6: leaks of real messages are found by name, and print() tells them", isHeavyHere ?? {}, async () => {
  const { process } = await withBlueprint(stockImage);
  await leak(process);
  assertLeaks(await checksOf(process), { exact: false, canTell: false });
  const text = await process.eval(`for name in pairs(Colors) do Colors[name] = "" end require("membuddy").print({ top = 3 })`);
  assert.match(text, /\nChecks:\n {4}inbox: 41, /);
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
  await process.eval(`return require("membuddy").serve({ open = true, patch = true })`);
  const { messages } = await ask(process, { Action: "Membuddy-Account" }, stranger);
  const patch = messages.find((message) => message.Tags.some((/** @type {any} */ tag) => tag.name === "device" && tag.value === "patch@1.0"));
  assert.equal(patch?.Tags.find((/** @type {any} */ tag) => tag.name === "cache").value.membuddy.type, "membuddy-account");
  await process.eval(`return require("membuddy").serve(false)`);
  assert.deepEqual((await fromStranger(process, "Membuddy-Report")).Messages, [], "nobody answers any more");
});

test("the tags of a report: Depth, Top, Target; what is wrong is told in the reply", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`Balances = { ["a/b"] = { 1, 2, { "deep" } } } for i = 1, 500 do Balances["holder " .. i] = tostring(i) end`);
  const whole = JSON.parse((await ask(process, { Action: "Membuddy-Report", Depth: "1", Top: "5" })).data);
  assert.equal(whole.lines.length, 5);
  assert.equal(whole.lines[0].path, "_G");
  assert.ok(whole.otherLines > 0);
  assert.ok(whole.lines.every((/** @type {any} */ line) => line.path.split("/").length <= 2));
  const target = JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: "Balances" })).data);
  assert.equal(target.lines[0].path, "Balances");
  assert.equal(target.lines[0].bytes, target.totalSize);
  assert.equal(JSON.parse((await ask(process, { Action: "Membuddy-Report", Target: "_G/Balances/a\\/b/3" })).data).path, "_G/Balances/a\\/b/3");
  for (const [tags, words] of /** @type {[Record<string, string>, RegExp][]} */ ([
    [{ Depth: "much" }, /tag Depth is much; accepted: a whole number/],
    [{ Target: "Balances/nobody" }, /Target Balances\/nobody is not there/],
    [{ Target: "Balances/holder 1/x" }, /leads through a string/],
    [{ Format: "xml" }, /tag Format is xml; accepted: json, prometheus/],
  ])) {
    const reply = await ask(process, { Action: "Membuddy-Report", ...tags });
    assert.equal(reply.tags.Action, "Membuddy-Report-Error");
    assert.match(reply.data, words);
  }
  assert.equal(await process.eval("return #Errors"), "0");
});

const deepPath = "_G/".repeat(20000);
/** @type {Record<string, string>[]} */
const hostileTags = [
  { Depth: "9e999" }, { Depth: "-0" }, { Depth: "0x7fffffffffffffff" }, { Depth: "nan" }, { Depth: "1".repeat(5000) }, { Top: "-1" }, { Top: "1e300" },
  { Top: "%s%n\u0000" }, { Target: deepPath }, { Target: "/".repeat(5000) }, { Target: "%z\u0000\\\\/\\" }, { Target: "_G/_G/_G/package/loaded/_G" },
  { Target: "Trap/a" }, { Target: "Trap" }, { Format: "json\nX: y" }, { Format: "constructor" }, { reply: "no function" }, { Reply: "{}" }, { Tags: "x" },
  { Target: "Balances", Depth: "inf", Top: "inf" }, { "": "empty" }, { [`k${"y".repeat(3000)}`]: "long name" },
];

test("a hostile sender gets one bounded reply, no error is raised, and no program of the process runs", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`local function fail() Ran = true error("a metamethod ran") end
    Trap = setmetatable({}, { __index = fail, __len = fail, __pairs = fail, __tostring = fail, __eq = fail, __name = fail })`);
  for (const tags of hostileTags) {
    for (const action of ["Membuddy-Report", "Membuddy-Account", "Membuddy-Checks"]) {
      for (const from of [owner, stranger]) {
        const result = await process.send({ From: from, Owner: from, Tags: Object.entries({ Action: action, ...tags }).map(([name, value]) => ({ name, value })) });
        const what = `${action} ${JSON.stringify(tags).slice(0, 80)}`;
        assert.equal(result.Error, undefined, what);
        assert.equal(result.Messages.length, 1, what);
        assert.ok(result.Messages[0].Data.length < 100000, what);
        if (from === stranger) assert.match(result.Messages[0].Data, /is for the owner of this process/, what);
      }
    }
  }
  assert.equal(await process.eval("return #Errors .. tostring(Ran)"), "0nil");
});

test("src/example.lua runs unchanged on the pure module in a published image", isHeavyHere ?? {}, async () => {
  const { process } = await withBlueprint(stockImage);
  const text = await process.eval(readFileSync(inRoot("src/example.lua"), "utf8"));
  assert.match(text, /== The whole process[^]*Total size[^]*== One table[^]*Example\/balances/);
});

test("a reply is bounded whatever the heap", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`Wide = {} for i = 1, 2000 do Wide[("k"):rep(60) .. i] = { [("l"):rep(60) .. i] = { { {} } } } end`);
  for (const format of ["json", "prometheus"]) {
    const { data } = await ask(process, { Action: "Membuddy-Report", Depth: "inf", Top: "inf", Target: "Wide", Format: format });
    assert.ok(data.length > 1000 && data.length < 100000, `${format}: ${data.length} bytes`);
  }
});

const parser = inRoot("build/openmetrics");
const python = [inRoot("build/toolchain/bin/python3"), "/usr/bin/python3"].find(existsSync);
// Its package would load servers and ssl first: only the parser is wanted.
const parse = `import sys, json, types
package = types.ModuleType("prometheus_client")
package.__path__ = [sys.argv[1] + "/prometheus_client"]
sys.modules["prometheus_client"] = package
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
print(json.dumps([[f.name, f.type, f.unit, [[s.name, s.labels, s.value] for s in f.samples]] for f in families(sys.stdin.read())]))`;
const canParse = python && existsSync(parser) ? {} : { skip: "Prometheus's parser could not be had (scripts/openmetrics.sh)" };

test("Format prometheus: Prometheus's own parser accepts the text, and reads the figures", canParse, async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`Odd = { ['quote" back\\\\slash \\n line \\255 %s'] = { 1, 2, 3 }, ["ž"] = { {} } }`);
  for (const action of ["Membuddy-Report", "Membuddy-Account", "Membuddy-Checks"]) {
    const { data, tags } = await ask(process, { Action: action, Format: "prometheus", Target: "Odd" });
    assert.match(tags["Content-Type"], /^application\/openmetrics-text/);
    const families = JSON.parse(execFileSync(String(python), ["-c", parse, parser], { input: data, encoding: "utf8" }));
    assert.ok(families.length >= 2 && families.every((/** @type {any[]} */ [name, type]) => name.startsWith("membuddy_") && type === "gauge"));
    const samples = families.flatMap((/** @type {any[]} */ family) => family[3]);
    assert.ok(samples.every((/** @type {any[]} */ [, labels, value]) => labels.process && Number.isFinite(value)));
    if (action === "Membuddy-Report") assert.ok(samples.some((/** @type {any[]} */ [, labels]) => String(labels.path).includes('quote" back')));
  }
});

test("a process without msg.reply is answered through Send", async () => {
  const { process } = await withBlueprint(ourImages[0]);
  await process.eval(`Handlers.prepend("old", function(msg) msg.reply = nil return "continue" end, function() end)`);
  const reply = await ask(process, { Action: "Membuddy-Account" });
  assert.equal(JSON.parse(reply.data).unaccounted, 0);
});

// ---- apm ----

/** Carries what one process sent to another on. @param {any} result @param {Process} to @param {string} from */
async function deliver(result, to, from) {
  let last;
  for (const { Target: _, Tags, Data } of result.Messages) last = await to.send({ From: from, Owner: from, Tags, Data });
  return last;
}

/** @param {Process} client @param {Process} shop @param {string} code */
async function install(client, shop, code) {
  const asked = await client.evalResult(code);
  assert.equal(asked.Error, undefined);
  const answered = await deliver(asked, shop, "PROCESS-ADDRESS-43-CHARACTERS-LONG-01234567");
  assert.equal(answered?.Error, undefined);
  return deliver(answered, client, registryId);
}

for (const name of ["apm", "APM"]) {
  test(`${name}.install, upgrade and uninstall`, isHeavyHere ?? {}, async () => {
    const shop = await spawnProcess(ourImages[0].file);
    await shop.eval(registry);
    const message = JSON.parse(readFileSync(inRoot("dist/apm/publish.json"), "utf8"));
    const published = await shop.send(message);
    assert.equal(published.Error, undefined);
    assert.match(published.Messages[0].Data, /^Published @apm\/membuddy@/);
    const client = await spawnProcess(stockImage.file);
    await client.eval(clientAs(name, name === "apm" ? ownClient() : undefined));
    const before = await usedBytes(client);
    const installed = await install(client, shop, `return ${name}.install("membuddy")`);
    assert.equal(installed?.Error, undefined);
    assert.match(await client.eval(`require("membuddy").print({ top = 3 })`), /Total size/);
    const { text } = (await checksOf(client)).get("sources") ?? {};
    assert.doesNotMatch(String(text), /membuddy/);
    const module = (await usedBytes(client)) - before;
    assert.ok(module < 200000, `${module} bytes stay`);

    await client.eval(`require("membuddy").serve({ open = true }) require("membuddy").mark()`);
    const newer = { ...message, Tags: message.Tags.map((/** @type {any} */ tag) => (tag.name === "Version" ? { ...tag, value: "9.0.0" } : tag)) };
    newer.Data = JSON.stringify({ source: JSON.parse(message.Data).source.replace(/\nreturn membuddy\n$/, "\nmembuddy.isNewer = true return membuddy\n"), readme: "newer" });
    assert.equal((await shop.send(newer)).Error, undefined);
    await install(client, shop, `return ${name}.install("membuddy")`);
    assert.equal(await client.eval(`return ${name}.installed["@apm/membuddy"] .. " " .. tostring(require("membuddy").isNewer)`), "9.0.0 true");
    assert.equal((await ask(client, { Action: "Membuddy-Checks" }, stranger)).tags.Action, "Membuddy-Checks-Response", "it goes on answering");

    await client.eval(`require("membuddy").serve(false) return ${name}.uninstall("membuddy")`);
    const left = (await usedBytes(client)) - before;
    assert.ok(left < 4096 + 16384, `${left} bytes are left`); // of them 16 KB if the table of strings has doubled
  });
}
