/**
 * The graph of a process read from outside: its paths lead back, its retained sizes are those of the walk that takes the
 * object away, chains and cuts are those of a naive search, and a diff adds up. On our images and on a published one.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { attach } from "../cli/attach.js";
import { diff, summarize, tellingPaths } from "../cli/diff.js";
import { treeLines } from "../cli/dominator_tree.js";
import { readBranches } from "../cli/export/branches.js";
import { mostOwn, noNode } from "../cli/graph.js";
import { treeData } from "../cli/html/tree-data.js";
import { formatSize } from "../cli/print.js";
import { freedByCut, why } from "../cli/why.js";
import { ourImages, stockImage } from "./support/images.js";
import { spawnProcess } from "./support/process.js";
import { loadWalker, stepsOf } from "./support/steps.js";

/**
 * @typedef {import("../cli/heap.js").Heap} Heap
 * @typedef {import("../cli/graph.js").Graph} Graph
 */

/** Shared and circular tables, closures over one cell, a waiting coroutine, metatables, keys of every kind. */
const program = `
  local shared = {name = "shared", inner = {1, 2, {"deep"}}}
  One, Two = {shared = shared}, {also = {shared = shared}}
  One.back = One; Two.one = One
  Same = {one_name = {}} Same.other_name = Same.one_name
  do local own = {{"held"}} Alone = function() return own end end
  local count = {total = 0}
  Add = function(n) count.total = count.total + n; return shared end
  Get = function() return count, shared end
  Waiting = coroutine.wrap(function(a) local kept = {a, "kept"}; coroutine.yield(kept); return kept end)
  Waiting({"argument"})
  Keys = {[1.5] = "float", [-3] = {"minus"}, [true] = {"yes"}, [{}] = {"by table"}, [{}] = "by another", ["a/b\\\\c"] = {"slash"},
    ["1"] = {"text"}, [1] = {"number"}, ["true"] = {"text"}, [("long"):rep(40) .. "1"] = {1}, [("long"):rep(40) .. "2"] = {2}, ["\\1\\255"] = {"bytes"},
    ["\\239\\187\\191mark"] = {"after a mark"}, mark = {"without"}}
  Alike = {{"first"}, {"second"}, ["1"] = {"text"}, ["2"] = {"text"}, [""] = {"nothing"}}
  for i = 1, 1000 do -- until the empty key comes first in its table
    local first
    Empty = {[""] = {"nothing"}} for j = 1, i % 50 do Empty["number" .. j] = j end Empty["other" .. i] = Empty[""]
    for key, value in pairs(Empty) do first = first or type(value) == "table" and key end
    if first == "" then break end
  end
  List = {} for i = 1, 300 do List[i] = {id = "id" .. i, data = ("x"):rep(i), next = List[i - 1]} end
  Texts = {"\\127", "\\194\\155", "a\\\\b\\"", "\\240\\159\\152\\128"}
  setmetatable(List, {__index = {default = "default"}, __name = "List"})
  return 1`;

/** Values that only their keys hold, and one that is held otherwise as well. */
const weakProgram = `
  Cache = setmetatable({}, {__mode = "k"})
  Held = {} Cache[Held] = {value = {"of a weak key"}}
  return 1`;

const specimens = [...ourImages, stockImage]
  .filter(({ name, bits }) => bits === 32 || name.startsWith("membuddy") || Number(process.versions.node.split(".")[0]) >= 20);

/** @param {ArrayBuffer | Uint8Array | null} memory */
const copyOf = (memory) => new Uint8Array(/** @type {ArrayBuffer} */ (memory instanceof Uint8Array ? memory.slice().buffer : memory?.slice(0)));

/** A repeatable die. @param {number} seed */
function dice(seed) {
  return (/** @type {number} */ sides) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor(seed / 65536) % sides;
  };
}

/** @param {Graph} graph @param {number} count @param {(node: number) => boolean} [wanted] */
function randomNodes(graph, count, wanted = () => true) {
  const roll = dice(7), nodes = new Set();
  for (let tries = 0; nodes.size < count && tries < 100 * count; tries++) {
    const node = 1 + roll(graph.nodeCount - 1);
    if (wanted(node)) nodes.add(node);
  }
  return [...nodes];
}

/* ---- the naive twin ---- */

/** Bytes that are reached; one edge may be cut. @param {Graph} graph @param {{ from: number, to: number, edge: number } | null} cut */
function reachedBytes({ first, successors, own, nodeCount }, cut) {
  const seen = new Uint8Array(nodeCount), stack = [0];
  seen[0] = 1;
  let bytes = 0;
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    bytes += own[node];
    for (let edge = first[node]; edge < first[node + 1]; edge++) {
      if (edge === cut?.edge || seen[successors[edge]]) continue;
      seen[successors[edge]] = 1;
      stack.push(successors[edge]);
    }
  }
  return bytes;
}

/** Steps and number of shortest chains to every node: forwards, from `_G` and the roots. @param {Graph} graph */
function forwardChains(graph) {
  const { first, successors, nodeCount } = graph;
  const levels = new Array(nodeCount).fill(Infinity), counts = new Array(nodeCount).fill(0);
  let level = [...new Set([graph.globals(), ...successors.subarray(first[0], first[1])])];
  for (const node of level) levels[node] = 1, counts[node] = 1;
  for (let depth = 2; level.length > 0; depth++) {
    const next = new Set();
    for (const node of level)
      for (const to of new Set(successors.subarray(first[node], first[node + 1]))) {
        if (levels[to] === Infinity) levels[to] = depth;
        if (levels[to] !== depth) continue;
        counts[to] += counts[node];
        next.add(to);
      }
    level = [...next];
  }
  return { levels, counts };
}

for (const image of specimens)
  describe(image.name, () => {
    /** @type {Uint8Array} */ let memory;
    /** @type {Heap} */ let heap;
    /** @type {Graph} */ let graph;

    before(async () => {
      const subject = await spawnProcess(image.file);
      await subject.eval(program);
      memory = copyOf(subject.memory);
      heap = await attach(memory);
      graph = heap.graph();
    });
    after(() => heap.close());

    test("own bytes add up to what lives, and so does what the root retains", () => {
      const sum = graph.own.reduce((total, bytes) => total + bytes, 0);
      assert.equal(graph.retained[0], sum);
      const { kinds, live } = { kinds: heap.kinds(), live: heap.books().live };
      assert.equal(sum + kinds.state.bytes + kinds.string_table.bytes, live);
      graph = heap.graph();
    });

    test("every path leads back to its node", () => {
      for (let node = 1; node < graph.nodeCount; node++) {
        const found = graph.find(graph.path(node));
        assert.equal(found, node, `${graph.path(node)} leads to ${found}, not to ${node}`);
      }
    });

    test("paths may leave out _G and an upvalue's cell; what is not there is not found", () => {
      assert.equal(graph.find("One/shared/name"), graph.find("_G/One/shared/name"));
      assert.equal(graph.text(graph.find("One/shared/name")), '"shared"');
      assert.notEqual(graph.find("Add/[upvalue count]/total (key)"), noNode);
      for (const nothing of ["One/nothing", "nothing", "_G/One/shared/name/x", "Keys/[table]#9", ""]) assert.equal(graph.find(nothing), nothing === "" ? 0 : noNode, nothing);
    });

    test("entries that read alike have different paths, and so has an empty key", () => {
      const texts = ["Alike/1/1", "Alike/1#2/1", "Alike/2/1", "Alike/2#2/1", "Alike//1", "Keys/1/1", "Keys/1#2/1"].map((where) => graph.text(graph.find(where)));
      assert.deepEqual(texts.slice(0, 5), ['"first"', '"text"', '"second"', '"text"', '"nothing"']);
      assert.deepEqual(texts.slice(5).sort(), ['"number"', '"text"']);
      assert.equal(graph.label(graph.find("Empty"), graph.find("Empty/")), "", "the first of two");
    });

    test("texts show what a string is and where a function comes from, escaped", () => {
      assert.deepEqual(["Keys/[table]", "Keys/[table]#2"].map((where) => graph.text(graph.find(where))).sort(), ['"by another"', "table"]);
      assert.match(graph.text(graph.find("Add")), /^function \[proto .*\]$/);
      assert.equal(graph.text(graph.find("Waiting")), "C function");
      assert.deepEqual([1, 2, 3, 4].map((index) => graph.text(graph.find(`Texts/${index}`))), ['"\\x7F"', '"\\xC2\\x9B"', '"a\\\\b\\""', '"\u{1F600}"']); // no code of a terminal
      assert.equal(graph.text(graph.find("Keys/\\x01\\xFF (key)")), '"\\x01\\xFF"');
      assert.equal(graph.text(graph.find("List/300/data")), `"${"x".repeat(64)}…"`);
    });

    /** The walk takes a cell for a part of who holds it. @param {number} node */
    const isNoCell = (node) => graph.kindName(node) !== "upvalue";

    test("retained sizes are what goes when the object goes", () => {
      const wanted = ["One", "Two", "List", "List/300", "Add", "Get", "Keys", "Waiting", "One/shared", "_G", "[registry]"].map((name) => graph.find(name));
      const expected = [...wanted, ...randomNodes(graph, 40, isNoCell)].map((node) =>
        ({ path: graph.path(node), bytes: graph.retained[node], object: heap.walker.call.attach_object_of(node) }));
      graph.end();
      for (const { path: where, bytes, object } of expected)
        assert.equal(bytes, heap.walker.call.attach_retained(heap.state, object), where);
      graph = heap.graph();
    });

    test("children in the tree of dominators are in order, and make up what their parent retains", () => {
      const { retained, own, dominators } = graph;
      for (const node of [0, ...randomNodes(graph, 200), graph.find("List"), graph.globals()]) {
        const children = graph.children(node);
        assert.equal(children.reduce((sum, child) => sum + retained[child], own[node]), retained[node]);
        children.forEach((child, i) => {
          assert.equal(dominators[child], node);
          assert.ok(i === 0 || retained[children[i - 1]] > retained[child] || (retained[children[i - 1]] === retained[child] && children[i - 1] < child));
        });
      }
    });

    test("referrers are references the other way round", () => {
      const edges = new Map();
      for (let from = 0; from < graph.nodeCount; from++) for (const to of graph.references(from)) edges.set(to, [...(edges.get(to) ?? []), from]);
      for (const node of randomNodes(graph, 200)) assert.deepEqual([...graph.referrers(node)], edges.get(node));
    });

    test("what a cut frees is what is not reached any more", () => {
      const roll = dice(11), { first, successors } = graph, all = reachedBytes(graph, null);
      assert.equal(all, graph.retained[0]);
      let freeing = 0;
      const sources = [...randomNodes(graph, 150, (node) => first[node] < first[node + 1]), ...["One", "Two", "List", "List/7", "Add"].map((name) => graph.find(name))];
      for (const from of sources) {
        const edge = first[from] + roll(first[from + 1] - first[from]), to = successors[edge];
        const freed = freedByCut(graph, from, to);
        assert.equal(freed, all - reachedBytes(graph, { from, to, edge }), `${graph.path(from)} -> ${graph.path(to)}`);
        if (freed > 0) freeing++;
      }
      assert.ok(freeing > 10 && freeing < sources.length, `${freeing} of ${sources.length} cuts free something: both cases must be there`);
    });

    test("the shortest chains are as many and as long as a search from the roots finds", () => {
      const { levels, counts } = forwardChains(graph);
      for (const node of randomNodes(graph, 60)) {
        const found = why(graph, graph.path(node), { chains: 5 });
        if (found.node !== node) continue; // the value of an upvalue's cell is asked about in the cell's place
        assert.equal(found.chainCount, counts[node], found.path);
        assert.equal(found.chains.length, Math.min(5, counts[node]), found.path);
        assert.equal(new Set(found.chains.map(({ steps }) => steps.map((step) => step.node).join())).size, found.chains.length);
        for (const { steps } of found.chains) {
          assert.equal(steps.length, levels[node]);
          steps.forEach((step, i) => assert.ok(i === 0 || graph.references(steps[i - 1].node).includes(step.node)));
        }
      }
    });

    test("why tells all ways to what is shared, and which reference alone keeps what", () => {
      const shared = why(graph, "One/shared");
      assert.deepEqual(shared.chains.map((chain) => chain.path), ["_G/One/shared"]);
      assert.equal(shared.chains[0].steps[2].frees, 0);
      assert.ok(shared.others.some(({ path: where, label }) => `${where}/${label}` === "_G/Two/also/shared"));
      const [chain] = why(graph, "List/300/data").chains;
      assert.equal(chain.path, "_G/List/300/data");
      assert.equal(chain.steps[3].frees, graph.own[graph.find("List/300/data")]);
      assert.equal(why(graph, "List/299").chains[0].steps[2].frees, 0, "List/300 holds it as well");
      assert.throws(() => why(graph, "Nothing/here"), /nothing at the path 'Nothing\/here'/);
    });

    test("the tree's lines keep to depth, top and smallest size, and leave nothing out of their sums", () => {
      const lines = treeLines(graph, graph.find("List"), { depth: 1, top: 5, minSize: 100 });
      assert.deepEqual(lines.map(({ depth }) => depth), [0, 1, 1, 1, 1, 1]);
      const shown = lines.slice(1).reduce((sum, line) => sum + line.retained, 0);
      assert.equal(shown + (lines[0].others?.retained ?? 0) + lines[0].own, lines[0].retained);
      assert.equal(treeLines(graph, 0, { depth: 9, top: Infinity, minSize: 0, lines: 1e6 }).filter(({ others }) => !others || others.count === 0).length > 100, true);
      assert.deepEqual(treeLines(graph, 0, { minSize: graph.retained[0] + 1 }).length, 1);
    });

    test("the own bytes of what has more than 32 bits say are told as they are", () => {
      const node = graph.find("Keys"), own = graph.own[node], told = () => [
        graph.ownBytes(node), treeLines(graph, node)[0].own, why(graph, "Keys").own, treeData(graph).tree.own.reduce((sum, bytes) => sum + bytes, 0),
        ...[{}, { depth: 1 }].map((options) => readBranches(heap, options).branches.reduce((sum, { own, more }) => more.reduce((all, { bytes }) => all + bytes, sum + own), 0))];
      const asTheyAre = told();
      assert.deepEqual([asTheyAre[0], asTheyAre[4]], [own, heap.books().luaSize]);
      graph = heap.graph();
      graph.own[node] = mostOwn; // which stands for as many, or more
      assert.deepEqual(told(), asTheyAre);
      graph.own[node] = own;
    });

    test("shapes add up to the graph; the same memory again is no change", async () => {
      const summary = summarize(heap);
      assert.equal(summary.shapes.total, summary.totals.live);
      const again = await attach(memory);
      const same = diff(summary, again);
      assert.deepEqual([same.paths, same.change.live, same.change.objects], [[], 0, 0]);
      assert.deepEqual([diff(summarize(heap, { depth: 2 }), again).paths, diff(again, summarize(heap, { depth: 2 })).paths], [[], []], "a heap is grouped as deep as the summary beside it");
      again.close();
      graph = heap.graph();
    });

    test("a shape is a path with `[n]` for every number, a cell and its value are one, and what has two names is under the first", () => {
      const first = graph.path(graph.find("Same/one_name")), second = first.endsWith("one_name") ? "other_name" : "one_name";
      const globals = summarize(heap).shapes.below.get("_G")?.below ?? new Map();
      const below = (/** @type {string} */ name) => globals.get(name).below;
      assert.deepEqual(["[n]", "1", "1.5", "-3", "[table]", "true"].filter((name) => below("Keys").has(name)), ["[n]", "1", "[table]", "true"]);
      const own = below("Alone").get("[upvalue own]");
      assert.deepEqual([own.objects, [...own.below.keys()]], [2, ["[n]"]]);
      assert.deepEqual([first.slice("_G/Same/".length), second].map((name) => below("Same").get(name).objects), [2, 1]); // the keys are objects, too
      graph = heap.graph();
    });

    test("what is no node, no path and no label is refused with one sentence", () => {
      const graph = heap.graph(), count = graph.nodeCount;
      for (const node of [-1, 0.5, count, 2 ** 32, NaN, "1", null, undefined])
        for (const ask of /** @type {Function[]} */ ([graph.name, graph.text, graph.ownBytes, graph.kindName, graph.depth, graph.path, graph.children, graph.references, graph.referrers]))
          assert.throws(() => ask.call(graph, node), { name: "MembuddyError", message: /^membuddy: the node is .+; accepted: whole numbers from 0 to \d+$/ });
      assert.throws(() => graph.names(/** @type {any} */ (5)), { message: "membuddy: the nodes are a number; accepted: an array of them, or another iterable" });
      assert.throws(() => graph.label(0, count), { message: /^membuddy: the node is/ });
      assert.throws(() => graph.find(/** @type {any} */ (7)), { message: "membuddy: the path is 7; accepted: a string" });
      assert.throws(() => graph.follow(0, /** @type {any} */ (undefined)), { message: "membuddy: the label is undefined; accepted: a string" });
    });

    test("a graph that has ended says so, and leaves the heap as it was", () => {
      const stale = heap.graph();
      assert.equal(heap.books().unaccounted, 0);
      assert.throws(() => stale.retained, /this graph has ended/);
      graph = heap.graph();
      assert.equal(graph.find("_G"), 1);
    });
  });

describe("weak tables", () => {
  test("the value of a weak key is held by its key, and named by its table", async () => {
    const subject = await spawnProcess(ourImages[0].file);
    await subject.eval(weakProgram);
    const heap = await attach(copyOf(subject.memory));
    const graph = heap.graph();
    const value = graph.find("Cache/[table]");
    assert.equal(graph.kindName(value), "table");
    assert.equal(graph.path(value), "_G/Cache/[table]");
    assert.deepEqual([...graph.referrers(value)], [graph.find("Held")]);
    assert.equal(graph.label(graph.find("Held"), value), "[value of weak key]");
    assert.equal(graph.dominators[value], graph.find("Held"));
    assert.equal(freedByCut(graph, graph.find("Cache"), value), graph.retained[value], "the entry is its key's one reference");
    for (let node = 1; node < graph.nodeCount; node++) assert.equal(graph.find(graph.path(node)), node);
    heap.close();
  });
});

describe("why, of what is as deep as it is large", () => {
  /** @type {Graph} */ let graph;
  before(async () => {
    const subject = await spawnProcess(ourImages[0].file);
    await subject.eval(`Ring = {} local last = Ring for i = 1, 20000 do last.next = {head = Ring, back = last} last = last.next end
      List = {} last = List for i = 1, 20000 do last.n = {} last = last.n end Near = {} last.far = Near
      Fork = {} last = Fork for i = 1, 1100 do local down = {} last.l, last.r = {d = down}, {d = down} last = down end
      local both = {} for _, name in ipairs({ "A", "B", "C" }) do Three = Three or {} Three[name] = { both } end Three.far = { { { both } } }
      Flat, Twice = {}, {} for i = 1, 4000 do Flat[i] = {} Twice[i], Twice["of " .. i] = {}, Flat[i] end
      local ends = {} last = ends for i = 1, 20000 do last.n = { p = last } last = last.n end Deque = { ends, last }
      local all = { {} } Halves = all[1] for i = 2, 6000 do all[i] = { up = all[i // 2] } all[i - 1].n = all[i] end
      Weak, Keys = setmetatable({}, { __mode = "k" }), {} for i = 1, 2000 do Keys[i] = {} Weak[Keys[i]] = { i } end
      Hub = {} Wide = {} last = Wide local name = ("n"):rep(60) for i = 1, 2300 do last[name] = { Hub } last = last[name] end return 1`);
    graph = (await attach(copyOf(subject.memory), { loadWalker })).graph();
  });
  /** @param {string} path */
  async function quickly(path) {
    const found = why(graph, path), steps = await stepsOf(() => why(graph, path));
    assert.ok(steps < 2e6, `${steps} steps`);
    return found;
  }

  test("so many chains that no number tells how many", async () =>
    assert.equal((await quickly(`Fork${"/l/d".repeat(1100)}`)).chainCount, Number.MAX_VALUE));
  test("the end of a list takes the work of its length", async () => {
    const path = (/** @type {number} */ length) => `List${"/n".repeat(length)}`;
    assert.equal((await quickly(path(20000))).chains[0].steps.length, 20002);
    const [whole, quarter] = [await stepsOf(() => why(graph, path(20000))), await stepsOf(() => why(graph, path(5000)))];
    assert.ok(whole < 5 * quarter, `${whole} steps, for a quarter of it ${quarter}`);
  });
  test("so does a list each member of which refers to the one half as far", () => {
    let reads = 0;
    const dominators = new Proxy(graph.dominators.slice(), { get: (all, at) => (reads++, Reflect.get(all, at)) });
    Object.defineProperty(graph, "dominators", { value: dominators, configurable: true });
    try {
      const steps = why(graph, `Halves${"/n".repeat(5999)}`).chains[0].steps;
      assert.ok(steps.slice(2).every(({ references }) => references === 1), "those from what it holds itself do not count");
      assert.ok(reads < 5 * graph.nodeCount, `${reads} reads, of ${graph.nodeCount} nodes`);
    } finally {
      delete (/** @type {any} */ (graph)).dominators;
    }
  });
  test("other references have whole paths, or such as a terminal has room for; too many of them are refused", () => {
    const end = `_G/List${"/n".repeat(20000)}`;
    assert.deepEqual(why(graph, "Near").others, [{ path: end, label: "far" }]);
    assert.equal(why(graph, "Near", { longestPath: 32 }).others[0].path, `_G/List${"/n".repeat(14)}/…${"/n".repeat(16)}`);
    assert.equal(why(graph, "Hub", { chains: Infinity, longestPath: 32 }).others.length, 2300);
    assert.throws(() => why(graph, "Hub", { chains: Infinity }), { name: "MembuddyError", message: /more than 134,217,728 characters .*ask for less \(`--chains`\)$/ });
  });
  test("a path of as many steps as it may have is whole, of a longer one both ends are told", () => {
    const node = graph.find("List/n/n/n");
    assert.deepEqual([6, 5, 4, 3, 1].map((most) => graph.path(node, most)), ["_G/List/n/n/n", "_G/List/n/n/n", "_G/List/…/n/n", "_G/…/n", "_G/…/n"]);
  });
  test("references of shortest chains are told on no longer way, however few chains are shown", () => {
    for (const chains of [1, 2, 3]) assert.deepEqual(why(graph, "Three/A/1", { chains }).others, [{ path: "_G/Three/far/1/1", label: "1" }], `${chains} of 3`);
  });
  test("of other references as many are told as of chains, and how many there are", () => {
    const { others, otherCount } = why(graph, "Hub", { chains: 3, longestPath: 32 });
    assert.deepEqual([others.length, otherCount, why(graph, "Near").otherCount], [3, 2300, 1]);
  });
  test("so does a head that all of a list refer to", async () => {
    const { references, others } = await quickly("Ring");
    assert.deepEqual([references, others], [1, []]);
  });
  test("lines of a tree have the paths of their nodes, also where these lose their middle", async () => {
    const list = graph.find("List");
    const linesTo = (/** @type {number} */ depth) => treeLines(graph, list, { depth, top: Infinity, minSize: 0 });
    const [whole, quarter] = [await stepsOf(() => linesTo(20000)), await stepsOf(() => linesTo(5000))];
    assert.ok(whole < 5 * quarter, `${whole} steps, for a quarter of it ${quarter}`);
    const lines = linesTo(Infinity);
    assert.ok(lines.length > 20000);
    for (const depth of [0, 1, 13, 14, 15, 16, 29, 30, 31, 32, 33, 50, 19999])
      assert.equal(lines[depth].path, graph.path(graph.find(`List${"/n".repeat(depth)}`), 32), `${depth} steps down`);
  });
  test("lines of one table take the work of its length, below it and where they are held in common", async () => {
    const flat = graph.find("Flat"), ofTwo = graph.dominators[graph.find("Flat/1")], twice = graph.find("Twice");
    assert.ok(ofTwo !== flat);
    for (const root of [ofTwo, twice]) {
      const linesOf = (/** @type {number} */ top) => treeLines(graph, root, { depth: 1, top, minSize: 0 });
      const [whole, quarter] = [await stepsOf(() => linesOf(4000)), await stepsOf(() => linesOf(1000))];
      assert.ok(whole < 5 * quarter && whole < 2e6, `${whole} steps, for a quarter of it ${quarter}`);
      for (const { path, retained } of linesOf(4000).slice(1, 300)) assert.equal(graph.retained[graph.find(path)], retained, path);
    }
  });
  test("paths that have much in common take the work of their number, where their lines stand side by side", async () => {
    for (const isWhole of [false, true]) {
      const linesOf = (/** @type {number} */ lines) => treeLines(graph, graph.find("Deque"), { top: Infinity, minSize: 0, lines, isWhole });
      const steps = await stepsOf(() => linesOf(12000));
      assert.ok(steps < 2e6, `${steps} steps`);
      for (const { path, node } of [1, 29, 30, 31, 32, 63, 64, 65, 500].map((at) => ({ path: linesOf(501)[at].path, node: graph.children(graph.find("Deque"))[at - 1] })))
        assert.equal(path, graph.path(node, isWhole ? Infinity : 32));
    }
  });
  test("so do names from a table with weak keys, each of which stands below its key", async () => {
    const linesOf = () => treeLines(graph, graph.find("Keys"), { top: Infinity, minSize: 0 });
    const steps = await stepsOf(linesOf);
    assert.ok(steps < 2e6, `${steps} steps`);
    for (const { path, retained } of linesOf().slice(1, 100)) assert.equal(graph.retained[graph.find(path)], retained, path);
  });
  test("whole paths lead back to their lines, and more than memory has room for are refused", () => {
    const lines = treeLines(graph, graph.find("List"), { depth: 100, isWhole: true });
    for (const { path, retained } of lines) assert.equal(graph.retained[graph.find(path)], retained, path);
    assert.equal(lines.at(-1)?.path, `_G/List${"/n".repeat(100)}`);
    assert.throws(() => treeLines(graph, graph.find("List"), { depth: Infinity, isWhole: true }), { name: "MembuddyError", message: /ask for less \(`--depth`, `--top`\)$/ });
  });
  test("lines of a tree that are too many are summed up in the lines above", () => {
    const lines = treeLines(graph, 0, { depth: Infinity, top: Infinity, minSize: 0, lines: 5000 });
    assert.equal(lines.length, 5000);
    assert.equal(lines.reduce((sum, { own, others }) => sum + own + (others?.retained ?? 0), 0), graph.retained[0]);
  });
});

test("a graph takes the work of its length where others hold as well what a list holds", async () => {
  const stepsFor = async (/** @type {number} */ length) => {
    const subject = await spawnProcess(ourImages[0].file);
    await subject.eval(`Lists = { {}, {} } local last, items = Lists[1], Lists[2]
      for i = 1, ${length} do items[i] = {} last[2], last[1] = items[i], {} last = last[1] end return 1`);
    const heap = await attach(copyOf(subject.memory), { loadWalker });
    return stepsOf(() => heap.graph());
  };
  const [whole, quarter] = [await stepsFor(8000), await stepsFor(2000)];
  assert.ok(whole < 5 * quarter, `${whole} steps, for a quarter of it ${quarter}`);
});

test("a report, the names and a summary of a deep coroutine take the work of its frames", async () => {
  const stepsFor = async (/** @type {number} */ frames) => {
    const subject = await spawnProcess(ourImages[0].file);
    await subject.eval(`local function recurse(left) local held = {} if left > 0 then recurse(left - 1) else coroutine.yield() end return held end
      Deep = coroutine.create(recurse) coroutine.resume(Deep, ${frames})`);
    const heap = await attach(copyOf(subject.memory), { loadWalker });
    return stepsOf(() => {
      heap.profile({ children: false, lines: false });
      summarize(heap);
      heap.graph().names(heap.graph().children(heap.graph().find("Deep")));
    });
  };
  const [whole, quarter] = [await stepsFor(8000), await stepsFor(2000)];
  assert.ok(whole < 5 * quarter, `${whole} steps, for a quarter of it ${quarter}`);
});

describe("what changed", () => {
  /** @type {Uint8Array} */ let first;
  /** @type {Uint8Array} */ let last;
  /** @type {import("../cli/diff.js").Diff} */ let changes;
  /** @type {import("../cli/diff.js").Diff} */ let moved;

  before(async () => {
    const subject = await spawnProcess(ourImages[0].file);
    const summaryOf = async () => {
      const heap = await attach(copyOf(subject.memory));
      const summary = summarize(heap);
      heap.close();
      return summary;
    };
    await subject.eval(`Mail = {} for i = 1, 100 do Mail[i] = {Id = "id" .. i, Data = ("d"):rep(50) .. i} end
      Fork = {} local last = Fork for i = 1, 60 do local down = {} last.l, last.r = {d = down}, {d = down} last = down end
      Gone = {a = {"gone"}} Names = {} for i = 1, 900 do Names["name" .. i] = {i} end collectgarbage() return 1`);
    first = copyOf(subject.memory);
    const one = await summaryOf();
    await subject.eval(`local copies = {} for i, mail in ipairs(Mail) do copies[i] = {Id = mail.Id, Data = mail.Data} end Mail = nil collectgarbage()
      Mail = {} for i, mail in ipairs(copies) do Mail[i] = {Id = mail.Id, Data = mail.Data} end collectgarbage() return 1`);
    const two = await summaryOf();
    await subject.eval(`Gone = nil for i = 1, 30 do table.remove(Mail, 1) end for i = 101, 250 do Mail[#Mail + 1] = {Id = "id" .. i, Data = ("d"):rep(50) .. i} end
      Fresh = {list = {"x"}} for i = 901, 1100 do Names["name" .. i] = {i} end collectgarbage() return 1`);
    last = copyOf(subject.memory);
    changes = diff(two, await summaryOf());
    moved = diff(one, two);
  });

  /** @param {string} where */
  const at = (where) => changes.paths.find((change) => change.path === where);

  test("objects that were made anew elsewhere are no change", () => {
    assert.deepEqual(moved.paths.filter((change) => change.path.startsWith("_G/Mail")), []);
  });
  test("what grew, appeared and went is told by path, shifted entries as one line", () => {
    assert.deepEqual([at("_G/Fresh")?.change, at("_G/Fresh/list")?.change, at("_G/Gone")?.change], ["appeared", "appeared", "went"]);
    assert.deepEqual([at("_G/Mail/[n]")?.change, at("_G/Mail/[n]")?.objects, at("_G/Mail/[n]/Id")?.objects], ["grew", 120, 120]);
    assert.ok((at("_G/Mail")?.total ?? 0) > (at("_G/Mail/[n]")?.total ?? 0));
  });
  test("names with a backslash at their end stand above others like any, and an open upvalue is called as everywhere", async () => {
    const process = await spawnProcess(ourImages[0].file);
    const memories = [];
    for (const step of [`Q = { ["a\\\\"] = {}, b = {} }
        Waiting = coroutine.wrap(function() coroutine.yield() local kept = {} local get = function() return kept end coroutine.yield() return get end)
        Waiting()`, `Q["a\\\\"].x = { y = { ("z"):rep(5000) } } Q.b.x = { y = { ("w"):rep(5000) } } Waiting()`]) {
      await process.eval(step);
      memories.push(copyOf(process.memory));
    }
    const { paths } = diff(await attach(memories[0]), await attach(memories[1]));
    const told = tellingPaths(paths).map(({ path }) => path);
    assert.ok(!told.includes("_G/Q/b") && !told.includes("_G/Q/a\\\\"), told.join("\n")); // what is below says it all
    assert.ok(told.some((path) => path.endsWith("/[open upvalue]")) && !told.some((path) => path.includes("[upvalue 0]")), told.join("\n"));
  });
  test("a table of very many names counts as a list, on both sides", () => {
    assert.deepEqual([at("_G/Names/[key]")?.change, at("_G/Names/[key]")?.objects], ["grew", 400]); // keys and values
    assert.equal(changes.paths.some((change) => change.path.startsWith("_G/Names/name")), false);
  });
  test("changes of lines add up to the change of what lives, and to those of kinds", () => {
    assert.equal(changes.paths.reduce((sum, change) => sum + change.own, 0), changes.change.live);
    assert.equal(Object.values(changes.kinds).reduce((sum, kind) => sum + kind.bytes, 0), changes.change.live);
  });

  test("no byte is lost where a name reads like the line of very many names", async () => {
    const subject = await spawnProcess(ourImages[0].file);
    const before = summarize(await attach(copyOf(subject.memory)));
    await subject.eval(`Many = {["[key]"] = {"one", {}}, ["[other]"] = {}} for i = 1, 1100 do Many["name" .. i] = {i} end return 1`);
    const { paths, change } = diff(before, await attach(copyOf(subject.memory)));
    assert.equal(paths.reduce((sum, { own }) => sum + own, 0), change.live);
    assert.equal(paths.reduce((sum, { objects }) => sum + objects, 0), change.objects);
  });

  test("a list as deep as it is long is compared to its end", async () => {
    const subject = await spawnProcess(ourImages[0].file);
    await subject.eval("List = {} local last = List for i = 1, 6000 do last.n = {} last = last.n end return 1");
    const before = summarize(await attach(copyOf(subject.memory)), { depth: Infinity });
    await subject.eval("local last = List while last.n do last = last.n end last.n = {} return 1");
    const { paths } = diff(before, summarize(await attach(copyOf(subject.memory)), { depth: Infinity }));
    assert.ok(paths.some((change) => change.path === `_G/List${"/n".repeat(6001)}` && change.change === "appeared"));
    const leaf = { own: 1, total: 1, objects: 1, below: new Map() };
    const below = new Map([["deep", before.shapes], ...Array.from({ length: 1000 }, (_, index) => /** @type {const} */ ([`name${index}`, leaf]))]);
    const many = { ...before, shapes: { own: 0, total: before.shapes.total + 1000, objects: 0, below } }; // which are compared as one
    assert.deepEqual(diff(many, many).paths, []);
  });

  test("more paths than memory has room for are refused with one sentence, whatever they are asked for", async () => {
    const subject = await spawnProcess(ourImages[0].file);
    const none = summarize(await attach(copyOf(subject.memory)), { depth: Infinity });
    await subject.eval("List = {} local last = List for i = 1, 12000 do last.n = {} last = last.n end return 1");
    const heap = await attach(copyOf(subject.memory));
    const tooMuch = { name: "MembuddyError", message: /^the paths have more than 134,217,728 characters in all, which are accepted at most; ask for less \(`depth`/ };
    assert.throws(() => heap.profile({ depth: Infinity }), tooMuch);
    assert.throws(() => diff(none, summarize(heap, { depth: Infinity })), tooMuch);
    for (const format of /** @type {const} */ (["folded", "speedscope", "pprof"]))
      await assert.rejects(heap.export(format, { depth: Infinity, minSize: 0 }, { write: () => assert.fail("nothing is written") }),
        { name: "MembuddyError", message: /^the stacks have [\d,]+ frames in all, and 16,777,216 are accepted at most; ask for less \(`depth`, `minSize`\)$/ });
    assert.ok((await heap.export("json", { depth: Infinity, minSize: 0 })).length > 1e6);
    heap.close();
  });

  test("the commands tell the same", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "membuddy-"));
    const file = path.join(folder, "state.dat"), bin = fileURLToPath(new URL("../cli/bin.js", import.meta.url));
    /** @param {string[]} words */
    const run = async (...words) => (await promisify(execFile)(process.execPath, [...process.execArgv.filter((word) => word.includes("memory64")), bin, ...words])).stdout;
    try {
      writeFileSync(file, first);
      const tree = JSON.parse(await run("tree", file, "Mail", "--depth", "1", "--top", "3", "--json"));
      assert.deepEqual(tree.lines.map((/** @type {{ path: string }} */ line) => line.path), ["_G/Mail", "_G/Mail/100", "_G/Mail/10", "_G/Mail/11"]);
      assert.match(await run("tree", file, "Mail", "--depth", "1", "--top", "3"), /^ +retained.*\n.*_G\/Mail.*\n.* 100 .*\n(.*\n)+.*\d+ more\n$/);
      assert.equal(JSON.parse(await run("why", file, "Mail/7/Id", "--json")).chains[0].path, "_G/Mail/7/Id");
      assert.match(await run("why", file, `Fork${"/l/d".repeat(60)}`, "--chains", "2"), /\n\nmore than 9,007,199,254,740,991 shortest chains of 122 steps from a root, 2 of them:\n\n/);
      const deep = `_G/Fork${"/l/d".repeat(60)}`, chain = (await run("why", file, deep, "--chains", "1")).trimEnd().split("\n\n")[2].split("\n");
      assert.deepEqual([chain[0], chain.length, chain[21]], ["  1. 122 steps", 42, "     ... 82 steps ..."]);
      assert.match(chain[1], /^ {5}_G +a root  table, retains /);
      assert.match(chain[41], /^ {5}d +cut here: frees nothing, 2 references to it  table, retains 56 bytes$/);
      assert.match(await run("tree", file, deep, "--depth", "0"), /  _G\/Fork(\/l\/d){7}\/…(\/l\/d){8}  table\n$/);
      assert.equal(JSON.parse(await run("tree", file, deep, "--depth", "0", "--json")).lines[0].path, deep);
      assert.match(await run("tree", file, "Fork", "--depth", "50", "--top", "1"), /^.{33} {80}_G.*\n.{33} {80}\(41\) _G.*\n.{33} {80}\(42\) _G/m);
      assert.match(await run("why", file, "Gone/a"), /1 shortest chain of 3 steps.*\n\n.*_G\/Gone\/a\n.*a root.*\n.*cut here: frees/s);
      assert.match(await run("diff", file, file), /nothing changed\n$/);
      assert.equal(JSON.parse(await run("diff", file, file, "--json")).type, "membuddy-diff");
      const later = path.join(folder, "later.dat");
      writeFileSync(later, last);
      assert.match(await run("diff", file, later, "--depth", "0"), /live objects.*\n\nKinds of live objects\n +bytes +count +kind\n( *[+-].*\n)+$/);
      const grouped = (/** @type {number} */ amount) => amount.toLocaleString("en-US");
      for (const [older, newer] of [[file, later], [later, file]]) {
        const told = JSON.parse(await run("diff", older, newer, "--json")), text = await run("diff", older, newer, "--top", "all", "--min-size", "0");
        const signed = (/** @type {number} */ change, /** @type {(amount: number) => string} */ shown) => (change === 0 ? "" : (change > 0 ? "+" : "-") + shown(Math.abs(change)));
        const rows = [
          ...[["linear memory", "memory"], ["Lua", "luaSize"], ["of it, live", "live"], ["of it, garbage", "garbage"]].map(([title, name]) => [title, formatSize(told.a[name]), formatSize(told.b[name]), signed(told.change[name], formatSize)]),
          ["live objects", grouped(told.a.objects), grouped(told.b.objects), signed(told.change.objects, grouped)],
          ...Object.entries(told.kinds).filter(([, { count, bytes }]) => count !== 0 || bytes !== 0).sort(([, x], [, y]) => Math.abs(y.bytes) - Math.abs(x.bytes))
            .map(([kind, { count, bytes }]) => [signed(bytes, formatSize), signed(count, grouped), kind.replace("_", " ")]),
          ...tellingPaths(told.paths).map(({ path, change, total, own, objects }) => [signed(total, formatSize), signed(own, formatSize), signed(objects, grouped), change, path]),
        ].map((row) => row.filter(Boolean).join("  "));
        assert.ok(rows.some((row) => row.startsWith("-")) && rows.some((row) => row.startsWith("+")));
        const heads = /^(.* -> .*|before  after  change|Kinds of live objects|bytes  count  kind|By path .*|total  own  objects  path|)$/;
        assert.deepEqual(text.split("\n").map((line) => line.trim().replace(/ {2,}/g, "  ")).filter((line) => !heads.test(line)), rows);
        const telling = tellingPaths(told.paths).map(({ total }) => Math.abs(total)), least = telling[telling.length >> 1];
        assert.ok(told.paths.some((/** @type {any} */ { total }) => total <= -least) && told.paths.some((/** @type {any} */ { total }) => total >= least));
        assert.equal((await run("diff", older, newer, "--top", "0", "--min-size", String(least))).trimEnd().split("\n").at(-1), `... and ${grouped(telling.filter((bytes) => bytes >= least).length)} others`);
      }
      const changes = (await run("diff", file, later, "--top", "all")).split("By path")[1].trimEnd().split("\n"), count = changes.length - 2;
      assert.ok(count > 1 && !/others?$/.test(changes[count + 1]));
      assert.doesNotMatch(await run("diff", file, later, "--top", String(count)), /others?\n$/);
      assert.match(await run("diff", file, later, "--top", String(count - 1)), /\n\.\.\. and 1 other\n$/);
      assert.match(await run("diff", file, later, "--min-size", "1g"), /objects +path\n[\d,]+ smaller changes\n$/);
      await assert.rejects(run("why", file, "No/such"), (/** @type {any} */ error) => error.code === 1 && /^membuddy: there is nothing at the path 'No\/such'/.test(error.stderr));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test("retained sizes are sums over the dominators, also where the registry is weak and somebody else holds _G", async () => {
  for (const { file } of ourImages) {
    const subject = await spawnProcess(file);
    await subject.eval(`debug.setmetatable(0, { __index = function() return Kept end }) Kept = { {}, { {} } }
      setmetatable(debug.getregistry(), { __mode = "v" })`);
    const graph = (await attach(copyOf(subject.memory))).graph(), { own, dominators, retained, nodeCount } = graph;
    const sums = Array.from({ length: nodeCount }, (_, node) => own[node]);
    const depths = new Map([[0, 0]]);
    /** @param {number} node @returns {number} */
    const depthOf = (node) => {
      const depth = depths.get(node) ?? depthOf(dominators[node]) + 1;
      depths.set(node, depth);
      return depth;
    };
    const reached = sums.map((_, node) => node).filter((node) => dominators[node] < nodeCount);
    for (const node of reached.sort((a, b) => depthOf(b) - depthOf(a))) if (node !== 0) sums[dominators[node]] += sums[node];
    assert.ok(dominators[1] > 1, "_G is held by others alone");
    for (const node of reached) assert.equal(retained[node], sums[node], graph.path(node));
  }
});

test("the removed key of a weak table that a finalizer brings back is a node too, and is found by its path", async () => {
  for (const { name, file } of ourImages) {
    const subject = await spawnProcess(file);
    await subject.eval(`local collect = collectgarbage
      collect("stop")
      collectgarbage = function(what, ...) return what and what ~= "collect" and collect(what, ...) or 0 end
      do
        local weak = setmetatable({ stays = "as a value" }, { __mode = "kv" })
        weak["a key that " .. "was removed"] = 1
        weak["a key that " .. "was removed"] = nil
        setmetatable({ weak }, { __gc = function() end })
      end`);
    const heap = await attach(copyOf(subject.memory)), { live } = heap.account().parts, graph = heap.graph();
    assert.ok(graph.find("[resurrected]/1/1") !== noNode);
    assert.equal(graph.retained[0], live, name);
    assert.equal(graph.own.reduce((total, own) => total + own, 0), live, name);
    const removed = [...graph.kinds.keys()].filter((node) => graph.text(node).includes("a key that was removed"));
    assert.equal(removed.length, heap.image.lua === "5.4" ? 1 : 0);
    for (const node of removed) assert.equal(graph.find(graph.path(node)), node, graph.path(node));
  }
});

test("a graph of 600,000 objects borrows 48 bytes an object at most", async () => {
  const subject = await spawnProcess(ourImages[0].file);
  await subject.eval('Data = {} for i = 1, 300000 do Data[i] = {i, "s" .. i} end return 1');
  const heap = await attach(/** @type {Uint8Array} */ (subject.memory));
  heap.walker.restart(); // forgets what the checks borrowed
  const graph = heap.graph();
  assert.ok(graph.nodeCount > 600000);
  graph.children(graph.find("Data"));
  const bytes = heap.walker.call.attach_peak_bytes() / graph.nodeCount;
  assert.ok(bytes <= 48, `${bytes.toFixed(1)} bytes an object`);
  heap.close();
});
