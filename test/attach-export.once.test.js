/**
 * Exports: the consumers themselves open our files, and show our figures.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { Profile } from "pprof-format";
import { attach, summarize } from "../cli/index.js";
import { readBranches, stacks } from "../cli/export/branches.js";
import { splitPath } from "../cli/graph.js";
import { formatNames, formatOfPath } from "../cli/export/index.js";
import { devtoolsMissing, edgesOf, loadInBrowser, loadSnapshot, nodesOf, speedscopeImporter } from "./support/devtools.js";
import { noBrowser } from "./support/browser.js";
import { ourImages } from "./support/images.js";
import { spawnProcess } from "./support/process.js";

/** Everything that an edge or a name can be. */
const hostile = String.raw`
  Plain = { one = {}, two = "a string that is longer than forty characters, and so is on its own", [1] = {}, [2] = {}, [7] = {},
    ["a\u{2028}b"] = {}, ["c\u{2029}d"] = {}, ["e\u{FFFE}f\u{FFFF}g"] = {}, ["\u{FEFF}b"] = {}, [-3] = {}, [2^40|0] = {}, [4294967295] = {}, [4294967296] = {}, [0.5] = {}, [true] = {}, [false] = {}, [print] = {}, [0] = {}, [io.stdout] = {}, [coroutine.create(print)] = {}, ["a/b\\c\"d;e\n\0\255é"] = {} }
  Plain[Plain] = Plain
  Keys = { {}, {}, {} }
  Alike = { { 1, 2, 3 }, { {} }, ["1"] = {}, ["2"] = { 1 }, [2.5] = {}, ["2.5"] = { 1 }, [""] = { 1, 2 } }
  Ephemeron = setmetatable({}, { __mode = "k" })
  for i, key in ipairs(Keys) do Ephemeron[key] = { i, payload = ("p"):rep(1000 + i) } end
  Ephemeron[Keys[1]].other = Keys[2]
  Ephemeron["strong"] = { "held by the table itself" }
  WeakValues = setmetatable({ Plain, named = Keys[1], text = ("t"):rep(50), {} }, { __mode = "v" })
  AllWeak = setmetatable({ [Keys[1]] = Keys[2], [Plain] = ("w"):rep(60) }, { __mode = "kv" })
  Metatable = setmetatable({}, { __index = {}, __name = "a class" })
  local first, second = { "first" }, { "second" }
  function Closure() return first, second end
  function Sibling() second = first end
  Waiting = coroutine.create(function(argument) local held = { argument } coroutine.yield(held) return held end)
  coroutine.resume(Waiting, { "argument" })
  Open = coroutine.create(function() local held = {} Getter = function() return held end coroutine.yield() return held end)
  coroutine.resume(Open)
  Sourced = load("return 1", "@a/folder/file.lua")
  Sources = { load("return 1", "=" .. ("s"):rep(99)), load("local kept = 'constant'\nreturn function() return kept, 'constant' end") }
  Classes = { setmetatable({}, { __name = "one" }), setmetatable({}, { __name = "another" }), setmetatable({}, { __index = {} }), io.stdout, { number = 1 }, { table = {} } }
  Chain = {}
  local link = Chain
  for i = 1, 700 do link.next = { i = tostring(i) .. ("-"):rep(30) } link = link.next end
  Binary = { ("\255\254\1\n\"\\"):rep(400), "\u{1F600}\u{85}", ("x"):rep(5000) }
  Mangled = { ["_Z3fooi"] = { ("m"):rep(500) }, ["List<T>::get(index)"] = { ("n"):rep(500) } }
  Twice = {}
  for i = 1, 20 do Twice[i] = { i } end
  Twice.again, Twice.once_more = Twice[3], Twice[5]
  Bulk = {}
  for i = 1, 2000 do Bulk[i] = { i, "bulk " .. i } end
`;

const sum = (/** @type {Iterable<number>} */ numbers) => {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
};
/** @param {any} group */
const totals = (group) => group.profiles.map((/** @type {any} */ profile) => [profile.getName(), profile.getTotalWeight()]);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "membuddy-export-"));
after(() => fs.rmSync(folder, { recursive: true }));

/** @type {Map<string, Uint8Array>} */
const memories = new Map();
before(async () => {
  for (const image of ourImages) {
    const process = await spawnProcess(image.file);
    await process.eval(hostile);
    memories.set(image.name, /** @type {Uint8Array} */ (process.memory).slice());
  }
});
const open = (/** @type {string} */ name) => attach(/** @type {Uint8Array} */ (memories.get(name)));
const anImage = ourImages[0].name;

/** @param {Awaited<ReturnType<typeof attach>>} heap */
function figuresOf(heap) {
  const graph = heap.graph();
  const figures = { own: graph.own.slice(), retained: graph.retained.slice(), dominators: graph.dominators.slice(), nodeCount: graph.nodeCount };
  return figures;
}

for (const { name } of ourImages) {
  describe(`a heap snapshot of ${name}, in the loader of Chrome's DevTools`, { skip: devtoolsMissing }, () => {
    /** @type {any} */ let snapshot;
    /** @type {string[]} */ let reports;
    /** @type {ReturnType<typeof figuresOf>} */ let figures;
    let luaBytes = 0;
    /** @type {(name: string) => any} the value of a global variable */ let global;

    before(async () => {
      const heap = await open(name);
      const file = await heap.export("heapsnapshot");
      figures = figuresOf(heap);
      luaBytes = heap.books().luaSize;
      ({ snapshot, reports } = await loadSnapshot(file));
      const globals = [...nodesOf(snapshot)].find((node) => node.rawName() === "_G");
      global = (wanted) => edgesOf(globals).find((edge) => edge.name === wanted && edge.type === "property")?.to;
    });

    test("loads without a complaint", () => assert.deepEqual(reports, []));

    test("shallow and retained bytes of every node are ours", () => {
      const wrong = [...nodesOf(snapshot)].slice(1, figures.nodeCount)
        .filter((node, index) => node.selfSize() !== figures.own[index + 1] || node.retainedSize() !== figures.retained[index + 1])
        .map((node) => `${node.type()} ${node.name()}: ${node.selfSize()}, ${node.retainedSize()}`);
      assert.deepEqual(wrong, []);
      assert.ok(figures.nodeCount > 6000);
    });

    test("the dominator of every node is ours", () => {
      const theirs = snapshot.dominatorsTree.subarray(0, figures.nodeCount);
      assert.deepEqual([...theirs], [...figures.dominators]);
    });

    test("all of what Lua counts is in it", () => {
      assert.equal(snapshot.totalSize, luaBytes);
      assert.equal(snapshot.createNode(0).retainedSize(), luaBytes);
    });

    test("ids are odd and unique", () => {
      const ids = [...nodesOf(snapshot)].map((node) => node.id());
      assert.equal(new Set(ids).size, snapshot.nodeCount);
      assert.ok(ids.every((id) => id % 2 === 1));
    });

    test("edges say what they are", () => {
      const edges = edgesOf(global("Plain")).map(({ type, name: label, to }) => `${type} ${label} ${to.type()}`);
      const expected = ["property one object", "property two string", "element 1 object", "element 2 object", "element 7 object", "property -3 object",
        "property 1099511627776 object", "element 4294967295 object", "property 4294967296 object", "property 0.5 object", "property true object",
        "property false object", "element 0 object", "internal [userdata] object", "internal [thread] object", "internal [function] object", "internal [table] object", "internal [key] closure", "internal [key] string",
        'property a/b\\c"d;e\\x0A\\x00\\xFFé object'];
      const plain = edges.map((edge) => edge.replaceAll("\n", "\\x0A").replaceAll("\0", "\\x00"));
      for (const edge of expected) assert.ok(plain.includes(edge), `${edge} is not among\n${plain.join("\n")}`);
    });

    test("a prototype's edges say what they are, and a coroutine's open upvalue is called so", () => {
      const [, chunk] = edgesOf(global("Sources")), [proto] = edgesOf(chunk.to).filter(({ name: label }) => label === "[proto]");
      assert.deepEqual([...new Set(edgesOf(proto.to).map(({ type, name: label, to }) => `${type} ${label} ${to.type()}`))].sort(),
        ["internal [constant] string", "internal [names] string", "internal [proto] code", "internal [source] string"]);
      assert.ok(edgesOf(global("Open")).some(({ type, name: label, to }) => type === "internal" && label === "[open upvalue]" && to.rawName() === "upvalue"));
    });

    test("an upvalue has its name, a cell its value", () => {
      const cells = edgesOf(global("Closure")).filter(({ type }) => type === "context");
      assert.deepEqual(cells.map((cell) => cell.name), ["first", "second"]);
      assert.deepEqual(cells.map((cell) => edgesOf(cell.to).map((edge) => `${edge.name} ${edge.to.name()}`)), [["[value] table"], ["[value] table"]]);
    });

    test("weak references are shown and keep nothing", () => {
      const weak = edgesOf(global("WeakValues")).filter(({ type }) => type === "weak");
      assert.deepEqual(weak.map((edge) => edge.name).sort(), ["1", "named"]);
      assert.ok(weak.every((edge) => edge.to.dominatorIndex() !== global("WeakValues").nodeIndex));
      assert.equal(edgesOf(global("AllWeak")).filter(({ type }) => type === "weak").length, 3);
    });

    test("an ephemeron's value hangs on its key", () => {
      const pairs = edgesOf(global("Ephemeron")).filter((edge) => /part of key/.test(edge.name));
      assert.equal(pairs.length, 3);
      for (const { to, name: label } of pairs) {
        const key = snapshot.createNode(to.dominatorIndex());
        assert.ok(edgesOf(key).some((edge) => edge.name === label), "the same edge leads from the key");
        assert.ok(key.retainedSize() > 1000);
      }
    });

    test("nodes have the names that a reader knows", () => {
      assert.match(global("Closure").rawName(), /:\d+$/);
      assert.equal(global("Metatable").rawName(), "a class");
      assert.deepEqual(edgesOf(global("Classes")).map(({ to }) => to.rawName()), ["one", "another", "table", "FILE*", "table", "Object"]);
      assert.deepEqual(edgesOf(global("Sources")).map(({ to }) => to.rawName()), [`${"s".repeat(80)}…:0`, "local kept = 'constant':0"]);
      assert.equal(global("Waiting").rawName(), "thread");
      assert.equal(global("Ephemeron").rawName(), "weak table");
      const [bytes, wide, long] = edgesOf(global("Binary")).map(({ to }) => to.rawName());
      assert.ok(bytes.startsWith('\\xFF\\xFE\u0001\n"\\'));
      assert.equal(wide, "\u{1F600}\\xC2\\x85");
      assert.equal(long, `${"x".repeat(1024)}…`);
    });

    test("a coroutine's local variables have their names", () => {
      assert.ok(edgesOf(global("Waiting")).some((edge) => edge.name === "[local held]" && edge.to.rawName() === "table"));
    });
  });
}

test("the DevTools of a real browser show our figures", { skip: noBrowser }, async () => {
  const heap = await open(anImage);
  const { totalSize, retainedSizes, dominatorsTree } = await loadInBrowser(await heap.export("heapsnapshot"));
  const { retained, dominators, nodeCount } = figuresOf(heap);
  assert.deepEqual(retainedSizes.slice(1, nodeCount), [...retained.subarray(1)]);
  assert.deepEqual(dominatorsTree.slice(0, nodeCount), [...dominators]); // with the same dominators, shallow sizes are the same too
  assert.equal(totalSize, heap.books().luaSize);
});

test("a text that ends within its last character's bytes has no ellipsis", async () => {
  const process = await spawnProcess(ourImages[0].file), whole = `${"x".repeat(1023)}\u00e9`;
  await process.eval(`Whole, Cut = "${whole}", "${whole}x"`);
  const heap = await attach(/** @type {Uint8Array} */ (process.memory));
  const { strings } = JSON.parse(new TextDecoder().decode(await heap.export("heapsnapshot")));
  assert.deepEqual(strings.filter((/** @type {string} */ text) => text.startsWith(whole)).sort(), [whole, `${whole}…`]);
});

test("an object has the same id in a later snapshot", async () => {
  const process = await spawnProcess(ourImages[0].file);
  /** @type {Set<number>[]} */ const found = [];
  for (const code of ["Kept = { 1, 2, {} }", "for i = 1, 100 do _G['New' .. i] = {} end"]) {
    await process.eval(code);
    const heap = await attach(/** @type {Uint8Array} */ (process.memory).slice());
    const { nodes } = JSON.parse(new TextDecoder().decode(await heap.export("heapsnapshot")));
    found.push(new Set(nodes.filter((/** @type {number} */ _value, /** @type {number} */ index) => index % 7 === 2)));
  }
  const kept = [...found[0]].filter((id) => found[1].has(id)).length;
  assert.ok(kept > 0.95 * found[0].size, `${kept} of ${found[0].size}`);
});

describe("any format", () => {
  for (const format of formatNames) {
    test(`${format}: the same memory gives the same bytes`, async () => {
      const [first, second] = [await (await open(anImage)).export(format), await (await open(anImage)).export(format)];
      assert.ok(first.length > 1000);
      assert.ok(Buffer.from(first).equals(second));
    });
    test(`${format}: the heap answers afterwards as before`, async () => {
      const heap = await open(anImage);
      const before = JSON.stringify(heap.profile());
      await heap.export(format);
      assert.equal(JSON.stringify(heap.profile()), before);
    });
    test(`${format}: a sink may keep its pieces`, async () => {
      const heap = await open(anImage);
      /** @type {(string | Uint8Array)[]} */ const pieces = [];
      await heap.export(format, {}, { write: (piece) => pieces.push(piece) });
      assert.ok(Buffer.concat(pieces.map((piece) => Buffer.from(piece))).equals(await heap.export(format)));
    });
  }

  test("an unknown format is an error that names those there are", async () => {
    await assert.rejects((await open(anImage)).export(/** @type {any} */ ("svg")), /"svg" is not known; there are heapsnapshot, pprof/);
    await assert.rejects((await open(anImage)).export("json", { depth: -1 }), /depth' is -1/);
  });

  test("a format, a title and an older memory that are none are refused", async () => {
    const heap = await open(anImage);
    for (const [format, options] of /** @type {any[][]} */ ([[Symbol("json"), {}], [Object.create(null), {}], ["html", { title: 7n }], ["html", { title: Symbol("a") }], ["html", { older: null }], ["html", { older: "" }]]))
      await assert.rejects(heap.export(format, options), { name: "MembuddyError", message: /^(the format (symbol|table) is not known; there are|membuddy: the title is .+; accepted: a string|membuddy: (null|a string) was given; accepted)/ });
  });

  test("what is of another format, no option or no sink is refused", async () => {
    const heap = await open(anImage), older = summarize(heap);
    for (const [format, options, message, sink] of /** @type {[import("../cli/index.js").FormatName, any, RegExp, any?][]} */ ([
      ["heapsnapshot", { minSize: 0 }, /every object/], ["heapsnapshot", { depth: 3 }, /every object/], ["json", { older }, /only html tells changes/],
      ["json", { title: "" }, /only html has one/], ["json", { minsize: 4 }, /unknown option 'minsize'; accepted: minSize/], ["json", { minSize: "4" }, /'minSize' is "4"; accepted: a number of bytes/],
      ["json", { depth: NaN }, /'depth' is nan; accepted/], ["json", {}, /the sink is an object; accepted: an object whose write/, {}], ["json", {}, /the sink is null/, null]]))
      await assert.rejects(heap.export(format, options, sink), { name: "MembuddyError", message }, format + JSON.stringify(options));
  });

  test("folded: no reader of lines finds an end within one", async () => {
    const text = new TextDecoder().decode(await (await open(anImage)).export("folded", { minSize: 0 }));
    assert.ok(text.includes("a\\xE2\\x80\\xA8b") && text.includes("c\\xE2\\x80\\xA9d"));
    for (const line of text.trimEnd().split(/[\n\u2028\u2029]/)) assert.match(line, /^[^;].* \d+$/);
  });

  test("folded: nothing in it is unknown to XML, which flamegraph.pl makes of it", async () => {
    const text = new TextDecoder().decode(await (await open(anImage)).export("folded", { minSize: 0 }));
    assert.ok(text.includes("e\\xEF\\xBF\\xBEf\\xEF\\xBF\\xBFg"));
    assert.match(text, /^[\n\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u);
  });

  test("a sink that throws, or asks the heap, leaves the walker as it was", async () => {
    const heap = await open(anImage), before = JSON.stringify(heap.profile());
    for (let times = 0; times < 50; times++) await assert.rejects(heap.export("heapsnapshot", {}, { write: () => { throw new Error("full"); } }), { message: "full" });
    await assert.rejects(heap.export("heapsnapshot", {}, { write: () => { heap.books(); } }), /while its snapshot was written/);
    assert.equal(JSON.stringify(heap.profile()), before);
    const closing = await open(anImage);
    await assert.rejects(closing.export("heapsnapshot", {}, { write: () => closing.close() }), { name: "MembuddyError" });
  });

  test("what would disturb an export is an error, and the heap is as before", async () => {
    const process = await spawnProcess(ourImages[1].file);
    await process.eval("Big = {} for i = 1, 50000 do Big[i] = { 'item ' .. i } end");
    const heap = await attach(/** @type {Uint8Array} */ (process.memory));
    const before = JSON.stringify(heap.profile());
    const [first, second] = [heap.export("heapsnapshot"), heap.export("heapsnapshot")];
    await assert.rejects(second, /exported already/);
    assert.ok((await first).length > 1e6);
    const slowly = () => { // so that the export pauses, and the question comes meanwhile
      setTimeout(() => heap.books(), 0);
      for (const end = Date.now() + 60; Date.now() < end; );
    };
    await assert.rejects(heap.export("heapsnapshot", {}, { write: slowly }), /while its snapshot was written/);
    assert.equal(JSON.stringify(heap.profile()), before);
  });

  test("names of files tell the format", () => {
    assert.deepEqual(["a.heapsnapshot", "A.PB.GZ", "b.speedscope.json", "c.folded", "d.json", "e.txt"].map(formatOfPath),
      ["heapsnapshot", "pprof", "speedscope", "folded", "json", undefined]);
  });
});

for (const { name } of ourImages) {
  describe(`the dominator tree of ${name}`, () => {
    /** @type {Awaited<ReturnType<typeof attach>>} */ let heap;
    before(async () => { heap = await open(name); });

    for (const limits of [{}, { minSize: 0, depth: Infinity }, { minSize: 1e9 }, { depth: 1 }, { depth: 0 }, { minSize: 5000, depth: 3 }]) {
      test(`no byte and no object is lost with ${JSON.stringify(limits)}`, () => {
        const { branches, totalBytes, objectCount } = readBranches(heap, limits);
        assert.equal(sum([...stacks(branches)].map(({ bytes }) => bytes)), totalBytes);
        assert.equal(totalBytes, heap.books().luaSize);
        const blocks = branches.filter(({ kind, own }) => ["state", "string table", "garbage"].includes(kind) && own > 0).length;
        assert.equal(sum([...stacks(branches)].map(({ count }) => count)), objectCount + blocks);
      });
    }

    test("a branch retains itself, its branches and what was summed up", () => {
      const { branches } = readBranches(heap, { minSize: 300 });
      const below = branches.map(({ own, more }) => own + sum(more.map(({ bytes }) => bytes)));
      for (let index = branches.length - 1; index > 0; index--) below[branches[index].parent] += below[index];
      assert.deepEqual(below, branches.map(({ retained }) => retained));
    });

    test("what retains just enough has a branch; without limits that is a ten thousandth of all, 64 steps down", () => {
      const { branches, totalBytes, minSize, depth } = readBranches(heap, {});
      assert.deepEqual([minSize, depth], [Math.floor(totalBytes / 10000), 64]);
      const smallest = Math.min(...branches.slice(1, -3).map(({ retained }) => retained));
      assert.equal(readBranches(heap, { minSize: smallest }).branches.length, branches.length);
    });

    test("of a name of more than eight steps the last ones are told", () => {
      const names = readBranches(heap, { minSize: 0, depth: Infinity }).branches.map(({ name }) => name);
      const cut = names.filter((name) => name.startsWith("…/"));
      assert.ok(cut.length > 0 && names.every((name) => name.split(/(?<!\\)\//).length <= 9));
      assert.ok(cut.some((name) => name.split(/(?<!\\)\//).length === 9));
    });

    test("the last step of a branch's name is the one that the graph gives, also where it begins with a mark of byte order", () => {
      const { branches } = readBranches(heap, { minSize: 0, depth: Infinity }), graph = heap.graph(), last = Math.max(graph.dominators[1], 1);
      const nodes = Array.from({ length: graph.nodeCount }, (_value, node) => (node === 0 || node > last ? node : node < last ? node + 1 : 1)); // `_G` behind who holds it
      assert.deepEqual(branches.slice(1, -3).map(({ name }) => splitPath(name).at(-1) ?? ""), nodes.slice(1).map((node) => graph.name(node)));
      const names = branches.map(({ name }) => name);
      for (const name of ["\u{FEFF}b", "[state]#1", "_G"]) assert.ok(names.includes(name), name);
    });

    test("what was summed up is told by kind, the largest first", () => {
      for (const { more } of readBranches(heap, { minSize: 300 }).branches)
        more.forEach(({ bytes, count }, index) => assert.ok(count > 0 && (index === 0 || more[index - 1].bytes >= bytes)));
    });

    test("limits hold", () => {
      const { branches } = readBranches(heap, { minSize: 2000, depth: 3 });
      const depths = [0];
      branches.forEach(({ parent }, index) => { if (index > 0) depths[index] = depths[parent] + 1; });
      assert.equal(Math.max(...depths), 3);
      assert.ok(branches.every(({ retained, kind }) => retained >= 2000 || ["state", "string table", "garbage"].includes(kind)));
    });

    test("names join to the paths of a report, whether they were read one by one or together", () => {
      const { branches } = readBranches(heap, { minSize: 0, depth: 4 });
      const graph = heap.graph();
      /** @type {string[]} */ const paths = [];
      let compared = 0;
      branches.forEach((branch, index) => {
        paths[index] = [...(branch.parent > 0 ? [paths[branch.parent]] : []), branch.name].join("/");
        if (index === 0 || branch.name.startsWith("…") || /^\[(state|string table|garbage)\]$/.test(branch.name)) return;
        const node = graph.find(paths[index].replace(/^.*\/(?=_G(\/|$))/, "")); // a path through `_G` begins there
        assert.equal(graph.retained[node], branch.retained, paths[index]);
        compared++;
      });
      assert.ok(compared > 2000);
    });
  });
}

describe("stacks", () => {
  const branch = (/** @type {number} */ parent, /** @type {Partial<import("../cli/export/branches.js").Branch>} */ rest = {}) =>
    ({ parent, name: "step", kind: "table", own: 1, retained: 1, source: undefined, more: [], ...rest });

  test("lead from the process to a kind, by way of the sum where there is one", () => {
    const more = [{ kind: "string", bytes: 9, count: 3 }, { kind: "proto", bytes: 5, count: 1 }], source = { file: "f.lua", line: 7 };
    const found = [...stacks([branch(-1, { name: "[process]", own: 0 }), branch(0, { name: "", own: 4, more }), branch(1, { kind: "function", own: 2, source })])];
    assert.deepEqual(found.map(({ frames, bytes, count }) => `${frames.map(({ name }) => name).join(";")} ${bytes} ${count}`),
      ['"";(table) 4 1', '"";[more];(string) 9 3', '"";[more];(proto) 5 1', '"";step;(function) 2 1']);
    assert.deepEqual(found[3].frames[1].source, source);
  });

  test("of what is summed up are those of the same in a later memory, so that two profiles compare", async () => {
    const subject = await spawnProcess(ourImages[0].file);
    /** @type {string[][]} */ const found = [];
    for (const last of [2000, 2010]) {
      await subject.eval(`Many = {} for i = 1, ${last} do Many["key " .. i] = {} end`);
      const heap = await attach(/** @type {Uint8Array} */ (subject.memory).slice());
      const paths = [...stacks(readBranches(heap, { minSize: 4096 }).branches)].map(({ frames }) => frames.map(({ name }) => name).join(";"));
      found.push(paths.filter((path) => path.includes(";Many;")));
    }
    assert.equal(found[0].length, 3);
    assert.deepEqual(found[1], found[0]);
  });

  test("are refused beyond so many frames, before the first", () => {
    const list = (/** @type {number} */ length, /** @type {any} */ rest) => Array.from({ length }, (_value, index) => branch(index - 1, rest));
    assert.equal(stacks(list(4000, {})).next().done, false);
    for (const branches of [list(6000, {}), list(4500, { more: [{ kind: "string", bytes: 1, count: 1 }] })])
      assert.throws(() => stacks(branches).next(), { name: "MembuddyError", message: /^the stacks have [\d,]+ frames in all, and 16,777,216 are accepted at most; ask for less/ });
  });
});

describe("the consumers of stacks", () => {
  /** @type {Awaited<ReturnType<typeof attach>>} */ let heap;
  let luaBytes = 0;
  before(async () => {
    heap = await open(anImage);
    luaBytes = heap.books().luaSize;
  });

  for (const [format, file] of /** @type {const} */ ([["speedscope", "a.speedscope.json"], ["folded", "a.folded"], ["pprof", "a.pb.gz"]])) {
    test(`speedscope's own importer takes ${format}`, async () => {
      const bytes = await heap.export(format);
      const group = await speedscopeImporter()(file, format === "pprof" ? gunzipSync(bytes) : bytes);
      assert.ok(totals(group).some((/** @type {[string, number]} */ [, weight]) => weight === luaBytes), JSON.stringify(totals(group)));
    });
  }

  test("a file of speedscope has both figures, and the place of what has one", async () => {
    const { shared, profiles, activeProfileIndex } = JSON.parse(new TextDecoder().decode(await heap.export("speedscope")));
    const found = [...stacks(readBranches(heap, {}).branches)];
    assert.deepEqual(profiles.map((/** @type {any} */ { name, unit, weights }) => [name, unit, weights]),
      [["bytes", "bytes", found.map(({ bytes }) => bytes)], ["objects", "none", found.map(({ count }) => count)]]);
    assert.equal(profiles[activeProfileIndex].name, "bytes");
    for (const { startValue, endValue, weights } of profiles) assert.deepEqual([startValue, endValue], [0, sum(weights)]);
    assert.deepEqual(profiles[1].samples.map((/** @type {number[]} */ sample) => sample.map((frame) => shared.frames[frame])),
      found.map(({ frames }) => frames.map(({ name, source }) => ({ name, ...source }))));
  });

  test("folded stacks have one line each, a number at the end", async () => {
    const lines = new TextDecoder().decode(await heap.export("folded", { minSize: 0 })).trimEnd().split("\n");
    assert.ok(lines.every((line) => /^[^;]+(;[^;]+)* [1-9]\d*$/.test(line)));
    assert.equal(sum(lines.map((line) => Number(line.slice(line.lastIndexOf(" "))))), luaBytes);
    assert.ok(lines.some((line) => line.includes('d\\x3Be\\x0A\\x00\\xFFé')));
  });

  test("a profile of pprof keeps the rules of its checker", async () => {
    const profile = Profile.decode(gunzipSync(await heap.export("pprof")));
    const text = (/** @type {number | bigint} */ index) => profile.stringTable.strings[Number(index)];
    assert.equal(text(0), "");
    assert.deepEqual(profile.sampleType.map(({ type, unit }) => `${text(type)} ${text(unit)}`), ["inuse_objects count", "inuse_space bytes"]);
    const functions = new Set(profile.function.map(({ id }) => Number(id))), locations = new Map(profile.location.map((location) => [Number(location.id), location]));
    assert.equal(functions.size, profile.function.length);
    assert.equal(locations.size, profile.location.length);
    assert.ok(!functions.has(0) && !locations.has(0));
    assert.ok(profile.location.every(({ line }) => line.every(({ functionId }) => functions.has(Number(functionId)))));
    assert.ok(profile.sample.every(({ value, locationId }) => value.length === 2 && locationId.every((id) => locations.has(Number(id)))));
    assert.equal(sum(profile.sample.map(({ value }) => Number(value[1]))), luaBytes);
    assert.equal(text(profile.defaultSampleType), "inuse_space");
    assert.deepEqual([text(profile.periodType?.type ?? 0), text(profile.periodType?.unit ?? 0), Number(profile.period), Number(profile.timeNanos)], ["space", "bytes", 1, 0]);
    assert.deepEqual(profile.mapping.map(({ id, filename, ...has }) => [Number(id), text(filename), has.hasFunctions, has.hasFilenames, has.hasLineNumbers]), [[1, "Lua", true, true, true]]); // else go tool pprof looks for symbols
    assert.ok(profile.location.every(({ mappingId }) => Number(mappingId) === 1) && profile.function.every(({ systemName }) => Number(systemName) === 0));
    const { branches } = readBranches(heap, {}), found = [...stacks(branches)];
    assert.deepEqual(profile.sample.map(({ value }) => value.map(Number)), found.map(({ count, bytes }) => [count, bytes]));
    const sourceOf = new Map(found.flatMap(({ frames }) => frames.map(({ name, source }) => [`${name} ${source?.file ?? ""} ${source?.line ?? 0}`, true])));
    assert.deepEqual(profile.function.map(({ name, filename, startLine }) => `${text(name)} ${text(filename)} ${startLine}`).sort(), [...sourceOf.keys()].sort());
    assert.ok(profile.location.every(({ line: [line] }) => Number(line.line) === Number(profile.function[Number(line.functionId) - 1].startLine)));
    const leaf = profile.function.find(({ id }) => id === locations.get(Number(profile.sample[0].locationId[0]))?.line[0].functionId);
    assert.match(text(leaf?.name ?? 0), /^\([a-z ]+\)$/, "the leaf comes first");
  });

  const pprof = fileURLToPath(new URL("../build/test-tools/pprof/pprof", import.meta.url));
  test("go tool pprof prints our figures and names", { skip: fs.existsSync(pprof) ? false : "scripts/test-tools.sh could not fetch pprof" }, async () => {
    const file = path.join(folder, "a.pb.gz");
    fs.writeFileSync(file, await heap.export("pprof"));
    const print = (/** @type {string[]} */ ...how) => execFileSync(pprof, [...how, file], { encoding: "utf8", env: { ...process.env, HOME: folder }, stdio: ["ignore", "pipe", "ignore"] });
    const top = print("-top", "-unit=B", "-nodecount=1000"), mangled = print("-peek=^Mangled$");
    assert.match(top, new RegExp(`of ${luaBytes}B total`));
    const strings = sum([...stacks(readBranches(heap, {}).branches)].filter(({ frames }) => frames[frames.length - 1].name === "(string)").map(({ bytes }) => bytes));
    assert.match(top, new RegExp(`^ *${strings}B .*\\(string\\)$`, "m"));
    for (const name of ["_Z3fooi", "List<T>::get(index)"]) assert.ok(mangled.includes(`   ${name}\n`), mangled);
  });

  test("json is what its description says", async () => {
    const tree = JSON.parse(new TextDecoder().decode(await heap.export("json", { depth: Infinity })));
    assert.deepEqual([tree.type, tree.version, tree.nodes[0].name, tree.nodes[0].kind], ["membuddy-dominators", 1, "[process]", "process"]);
    assert.equal(tree.depth, null);
    assert.deepEqual(tree.image, heap.image);
    assert.equal(sum(tree.nodes.map((/** @type {any} */ node) => node.own + sum((node.more ?? []).map((/** @type {any} */ more) => more.bytes)))), tree.totalBytes);
    assert.ok(tree.nodes.every((/** @type {any} */ node, /** @type {number} */ index) => (index === 0 ? node.parent === null : node.parent < index)));
    const closure = tree.nodes.find((/** @type {any} */ node) => node.name === "Closure" || node.source);
    assert.ok(closure.source.line >= 0 && typeof closure.source.file === "string");
    assert.ok(tree.nodes.every((/** @type {any} */ { kind, source, more }) => (kind === "proto" || !source || kind === "function") && (!more || more.length > 0)));
    assert.ok(tree.nodes.some((/** @type {any} */ { kind, source }) => kind === "proto" && source.line > 0));
    const all = JSON.parse(new TextDecoder().decode(await heap.export("json", { minSize: 0 })));
    assert.deepEqual(all.nodes.find((/** @type {any} */ node) => node.name === "Sourced").source, { file: "a/folder/file.lua", line: 0 });
  });
});

describe("membuddy export", () => {
  const bin = fileURLToPath(new URL("../cli/bin.js", import.meta.url));
  const input = path.join(folder, "state.dat");
  before(() => fs.writeFileSync(input, /** @type {Uint8Array} */ (memories.get(anImage))));
  const run = (/** @type {string[]} */ ...line) => spawnSync(process.execPath, [bin, "export", ...line], { cwd: folder, encoding: "utf8" });

  test("writes the file that the name of the output asks for, and says nothing", async () => {
    const { status, stdout, stderr } = run(input, "-o", "a.heapsnapshot");
    assert.deepEqual([status, stdout, stderr], [0, "", ""]);
    assert.ok(Buffer.from(await (await open(anImage)).export("heapsnapshot")).equals(fs.readFileSync(path.join(folder, "a.heapsnapshot"))));
  });

  test("writes to the standard output, with limits", async () => {
    const { status, stdout } = run(input, "-o", "-", "--format", "json", "--min-size", "4k", "--depth", "2");
    assert.equal(status, 0);
    assert.equal(stdout, new TextDecoder().decode(await (await open(anImage)).export("json", { minSize: 4096, depth: 2 })));
  });

  test("a module names the image on the page, and changes nothing of the tree as JSON", async () => {
    const written = (/** @type {string} */ format, /** @type {string[]} */ ...module) => run(input, "-o", "-", "--format", format, "--min-size", "100k", ...module).stdout;
    assert.equal(written("json", "--module", ourImages[0].file), written("json"));
    const name = "MemBuddy's aos image";
    assert.deepEqual([written("html", "--module", ourImages[0].file), written("html")].map((page) => page.includes(name)), [true, false]);
  });

  test("writes the format that it is told, whatever the name of the output says", () => {
    assert.equal(run(input, "-o", "b.folded", "--format", "json", "--min-size", "100k").status, 0);
    assert.equal(JSON.parse(fs.readFileSync(path.join(folder, "b.folded"), "utf8")).type, "membuddy-dominators");
  });

  test("an older memory is on the page", () => {
    fs.copyFileSync(input, path.join(folder, "an older.dat"));
    assert.deepEqual([["--with", "an older.dat"], []].map((older) => run(input, "-o", "-", "--format", "html", "--min-size", "100k", ...older).stdout.includes('"before":"an older.dat"')), [true, false]);
  });

  test("asks for a format that it cannot tell", () => {
    const { status, stderr } = run(input, "-o", "a.txt");
    assert.equal(status, 2);
    assert.match(stderr, /a\.txt says no format; give --format/);
    assert.equal(run(input, "-o", "a.txt", "--format", "svg").status, 2);
  });

  test("pprof of 100 thousand objects, each with a stack of its own, takes less than 100 MB of JavaScript's memory and loses no byte", async () => {
    const subject = await spawnProcess(ourImages[0].file), many = path.join(folder, "many.dat"), output = path.join(folder, "many.pb.gz");
    await subject.eval(`Many = {} for i = 1, 50000 do Many["key " .. i] = "value " .. i end return 1`);
    fs.writeFileSync(many, /** @type {Uint8Array} */ (subject.memory));
    const { status, stderr } = spawnSync(process.execPath, ["--max-old-space-size=100", bin, "export", many, "--min-size", "0", "--depth", "all", "-o", output], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    const profile = Profile.decode(gunzipSync(fs.readFileSync(output)));
    assert.ok(profile.sample.length > 100000);
    assert.equal(sum(profile.sample.map(({ value }) => Number(value[1]))), (await attach(many)).books().luaSize);
    assert.deepEqual([new Set(profile.stringTable.strings).size, profile.stringTable.strings[0]], [profile.stringTable.strings.length, ""]);
    const { strings } = profile.stringTable;
    assert.deepEqual(profile.function.map(({ id }) => Number(id)), profile.location.map(({ id }) => Number(id)));
    assert.deepEqual(profile.location.map(({ id }) => Number(id)), profile.location.map((_, index) => index + 1));
    assert.ok(["key 1", "key 50000"].every((key) => profile.function.some(({ name }) => strings[Number(name)] === key)));
  });

  test("leaves nothing when it is interrupted", async () => {
    const image = ourImages[1];
    const subject = await spawnProcess(image.file);
    await subject.eval("Big = {} for i = 1, 100000 do Big[i] = { 'item ' .. i } end");
    const big = path.join(folder, "big.dat"), output = path.join(folder, "big.heapsnapshot");
    fs.writeFileSync(big, /** @type {Uint8Array} */ (subject.memory));
    const isWriting = () => fs.readdirSync(folder).some((name) => name.startsWith("big.heapsnapshot."));
    const interrupt = async () => {
      const child = spawn(process.execPath, [bin, "export", big, "-o", output]);
      while (!isWriting() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 2));
      child.kill("SIGINT");
      return new Promise((resolve) => (child.exitCode === null ? child.on("exit", resolve) : resolve(child.exitCode)));
    };
    let status = await interrupt();
    for (let attempt = 1; status === 0 && attempt < 5; attempt++) { // it was done before we saw it
      fs.rmSync(output);
      status = await interrupt();
    }
    assert.equal(status, 130);
    assert.ok(!isWriting() && !fs.existsSync(output));
  });
});
