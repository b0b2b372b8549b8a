/**
 * Attaching: every published image, every kind of input, and what is said of what is no memory of a process.
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { attach, diff, Heap, MembuddyError, summarize } from "../cli/index.js";
import { openInput } from "../cli/input.js";
import { loadMemory } from "../cli/memory.js";
import { makeMemory, makeWalker } from "../cli/module.js";
import { readOptions } from "../cli/options.js";
import { formatSize } from "../cli/print.js";
import { otherHeapsNote } from "../cli/report.js";
import { ourImages } from "./support/images.js";
import { askAtInstant, spawnWatched } from "./support/instant.js";
import { spawnProcess } from "./support/process.js";
import { loadWalker, stepsOf } from "./support/steps.js";
import { image, twoHeaps } from "./support/two_heaps.js";

const inRoot = (/** @type {string} */ file) => fileURLToPath(new URL(`../${file}`, import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "membuddy-"));
after(() => rmSync(folder, { recursive: true }));

/** Node.js 18 cannot compile the published images of 64 bits: their code is older than its own. */
const isOldNode = Number(process.versions.node.split(".")[0]) < 20;

/** @type {{ name: string, bits: 32 | 64 }[]} llama takes 1.2 GB, and is left to `ATTACH_LARGE=1` */
const published = [
  { name: "aos2_0_1", bits: 64 }, { name: "aos2_0_3", bits: 64 }, { name: "aos2_0_4_32", bits: 32 }, { name: "aos2_0_6", bits: 64 },
  { name: "sqlite", bits: 64 }, { name: "process", bits: 64 }, ...(process.env.ATTACH_LARGE ? [{ name: "llama", bits: /** @type {64} */ (64) }] : []),
];

describe("published images", () => {
  for (const { name, bits } of published)
    test(`${name} is read, and its books balance`, { skip: isOldNode && bits === 64 && "Node.js 18 cannot compile it" }, async () => {
      const process = await spawnProcess(inRoot(`build/specimens/${name}.wasm`));
      await process.send({ Tags: [{ name: "Action", value: "Eval" }], Data: "Kept = {} for i = 1, 1000 do Kept[i] = { 'kept ' .. i } end" });
      const heap = await attach(/** @type {any} */ ({ Memory: process.memory }), { module: inRoot(`build/specimens/${name}.wasm`) });
      const { lua, bits: width, bytes } = heap.image;
      assert.deepEqual({ lua, width, bytes }, { lua: "5.3", width: bits, bytes: process.memoryBytes });
      const { luaSize, live, garbage, unaccounted } = heap.books();
      assert.equal(unaccounted, 0);
      assert.equal(live + garbage, luaSize);
      const { parts, memory } = heap.account();
      assert.equal(Object.values(parts).reduce((sum, part) => sum + part, 0), memory);
      const results = heap.profile();
      assert.equal(Object.values(results.sizes).reduce((sum, own) => sum + own, 0), results.totalSize);
      if (name.startsWith("aos")) assert.ok(results.totalSizes["_G/Kept"] > 1000 * 80, JSON.stringify(results.totalSizes["_G/Kept"]));
      heap.close();
    });
});

/** @type {Uint8Array} of the first of our images, an array of its own */
let memory;
before(async () => {
  const process = await spawnProcess(ourImages[0].file);
  await process.eval(`Deep = { list = { "a", { "b" } } } Deep.list["1"] = { 1 } Deep.list[3] = Deep Deep["with/slash"] = { x = {} }`);
  memory = new Uint8Array(/** @type {Uint8Array} */ (process.memory));
});

/** @param {import("../cli/input.js").Input} input @param {import("../cli/options.js").ReportOptions} [options] */
async function reportOf(input, options) {
  const heap = await attach(input);
  const text = JSON.stringify(heap.profile(options));
  heap.close();
  return text;
}
/** @param {string} name @param {Uint8Array} bytes */
function fileOf(name, bytes) {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

describe("what a memory can be read from", () => {
  test("every input gives the same report, byte for byte", async () => {
    const expected = await reportOf(memory);
    const padded = new Uint8Array(memory.length + 24);
    padded.set(memory, 13);
    const live = new WebAssembly.Memory({ initial: memory.length / 65536 });
    new Uint8Array(live.buffer).set(memory);
    const shared = new SharedArrayBuffer(gzipSync(memory).length);
    new Uint8Array(shared).set(gzipSync(memory));
    const archived = Buffer.concat([gzipSync(memory), Buffer.alloc(512)]); // as a tape has it
    const inputs = {
      "an ArrayBuffer": memory.buffer, "a Buffer": Buffer.from(memory), "a view that is not aligned": padded.subarray(13, 13 + memory.length),
      "a DataView": new DataView(memory.buffer), "gzip": gzipSync(memory), "a Blob": new Blob([/** @type {any} */ (memory)]),
      "gzip in a Blob": new Blob([gzipSync(memory)]), "gzip in a SharedArrayBuffer": shared, "a WebAssembly.Memory": live, "a result of the loader": { Memory: memory.buffer }, "an environment": { memory },
      "a file": fileOf("raw.dat", memory), "a file by URL": pathToFileURL(fileOf("raw.dat", memory)), "a gzip file": fileOf("raw.gz", gzipSync(memory)),
      "a gzip file with zeros behind its end, which tells no size": fileOf("padded.gz", archived), "its bytes": archived, "a Blob of it": new Blob([archived]),
      "gzip of two members": Buffer.concat([gzipSync(memory.subarray(0, 131072)), gzipSync(memory.subarray(131072))]),
    };
    for (const [what, input] of Object.entries(inputs)) {
      if (what === "gzip of two members") writeFileSync(path.join(folder, "two.gz"), /** @type {Buffer} */ (input));
      const given = what === "gzip of two members" ? path.join(folder, "two.gz") : /** @type {any} */ (input);
      assert.equal(await reportOf(given), expected, what);
    }
  });

  test("the bytes of a file stand where they stood, however they came, zeros between them too", async () => {
    const mib = 2 ** 20;
    const bytes = Uint32Array.from({ length: (20 * mib) / 4 + 3 }, (_, i) => Math.imul(i + 1, 0x9e3779b1));
    bytes.fill(0, (3 * mib) / 4, (9 * mib) / 4); // over the end of what is read at once
    bytes.fill(0, (17 * mib) / 4, (18 * mib) / 4);
    const file = fileOf("large.bin", new Uint8Array(bytes.buffer));
    for (const size of [20 * mib + 12, 12 * mib, 4 * mib + 1, 4 * mib, 5]) { // each a file that was cut
      truncateSync(file, size);
      const { memory: loaded, bytes: count } = await loadMemory(await openInput(file), () => {});
      assert.ok(count === size && Buffer.compare(new Uint8Array(loaded.buffer, 0, size), new Uint8Array(bytes.buffer, 0, size)) === 0, `${size} bytes`);
    }
  });

  test("a file that is cut while it is read is read to where it ends", async () => {
    const file = fileOf("shrinking.bin", new Uint8Array(20 * 2 ** 20).fill(7));
    const source = await openInput(file);
    const { bytes } = await loadMemory(source, (done) => { if (done < 9 * 2 ** 20) truncateSync(file, 10 * 2 ** 20 + 5); });
    assert.equal(bytes, 10 * 2 ** 20 + 5);
  });

  test("a file whose place a larger one takes before it is read is read whole", async () => {
    const file = fileOf("replaced.bin", new Uint8Array(10).fill(1)), source = await openInput(file);
    renameSync(fileOf("larger.bin", new Uint8Array(2 ** 20).fill(2)), file);
    const { bytes } = await loadMemory(source, () => {});
    assert.equal(bytes, 2 ** 20);
  });

  test("a memory that grows while it is read is refused, though all of Lua was read before", async () => {
    const live = new WebAssembly.Memory({ initial: 100 });
    new Uint8Array(live.buffer).set(memory);
    const onProgress = ({ done = 0 }) => { if (done > memory.length && live.buffer.byteLength === 100 * 65536) live.grow(1); };
    await assert.rejects(attach(live, { onProgress }), { name: "MembuddyError", message: "the memory grew, or was given away, while it was read; wait until it is read, or give a copy" });
    const given = memory.slice(), reading = attach(given.buffer);
    structuredClone(given.buffer, { transfer: [given.buffer] });
    await assert.rejects(reading, /^MembuddyError: the memory grew, or was given away, while it was read/);
  });

  test("the input is left as it was", async () => {
    const copy = memory.slice();
    await reportOf(copy, { retained: true });
    assert.ok(Buffer.from(copy).equals(Buffer.from(memory)));
  });
});

describe("64-bit memories, for what does not fit into others", () => {
  test("the walker in one gives the same reports", async () => {
    const large = makeMemory(memory.length, true);
    new Uint8Array(large.buffer).set(memory);
    const module = await WebAssembly.compile(readFileSync(inRoot("dist/attach-lua54-wasm64-large.wasm")));
    const walker = await makeWalker(module, "lua54-wasm64", large, memory.length);
    const state = walker.call.attach_find_state(0);
    assert.equal(walker.call.attach_check(state), 0);
    const heap = new Heap({ walker, state, name: "the memory", onProgress() {} }), other = await attach(memory);
    assert.deepEqual(heap.profile({ retained: true }), other.profile({ retained: true }));
    assert.deepEqual(heap.account(), other.account());
    assert.deepEqual([...heap.graph().retained], [...other.graph().retained]);
  });

  test("a memory of more than 2 GiB is read, and its zeros take no memory", async () => {
    const file = path.join(folder, "large.dat");
    writeFileSync(file, memory);
    truncateSync(file, 2 ** 31 + 2 ** 20);
    const before = process.memoryUsage().rss;
    const heap = await attach(file), { totalSize } = heap.profile();
    assert.equal(heap.image.bytes, 2 ** 31 + 2 ** 20);
    assert.equal(totalSize, (await attach(memory)).profile().totalSize);
    assert.ok(process.memoryUsage().rss - before < 2 ** 28);
  });
});

test("of gzip that unpacks to more than it promised, 4 GiB more are expected", async () => {
  const page = new Uint8Array(65536).fill(1);
  /** @type {unknown[]} */ const told = [];
  await loadMemory({ name: "it", bytes: 65536, async pour(sink) {
    for (let i = 0; i < 2; i++) {
      sink.room(65536).set(page);
      sink.advance(65536);
    }
  } }, (done, total) => told.push([done, total]));
  assert.deepEqual(told, [[65536, 65536], [131072, 65536 + 2 ** 32]]);
});

/** @param {import("../cli/input.js").Input} input @param {RegExp} message */
async function assertRefused(input, message) {
  const steps = await stepsOf(() => assert.rejects(attach(input, { loadWalker }), (/** @type {any} */ error) => {
    assert.ok(error instanceof MembuddyError, error.stack);
    assert.match(error.message, message);
    assert.ok(!error.message.includes("\n"));
    return true;
  }));
  assert.ok(steps < 1e7, `${steps} steps`);
}

describe("what is no memory is refused in words", () => {
  const page = 65536;
  test("nothing", () => assertRefused(new Uint8Array(0), /is empty/));
  test("zeros", () => assertRefused(new Uint8Array(10 * page), /looked for the main thread of Lua 5\.3.*every byte of it is zero/));
  test("noise", () => assertRefused(Uint8Array.from({ length: 4 * page }, (_, i) => (i * i * 2654435761) >>> 13), /no (sound )?Lua/));
  test("a length that is no whole number of pages", () => assertRefused(memory.subarray(0, memory.length - 100), /no whole number of pages/));
  test("half of it", () => assertRefused(memory.slice(0, Math.floor(memory.length / 2 / page) * page), /no (sound )?Lua/));
  test("its second half zeroed", () => assertRefused(memory.slice().fill(0, memory.length / 2), /no (sound )?Lua/));
  test("a module", () => assertRefused(ourImages[0].file, /is a WebAssembly module.*--module/));
  test("a text", () => assertRefused(inRoot("package.json"), /JSON/));
  test("gzip that was cut short, and why it cannot be read", async () => {
    const cut = gzipSync(memory).subarray(0, 20000);
    for (const input of [cut, new Blob([cut]), fileOf("short.gz", cut)])
      await assertRefused(input, /gzip file that cannot be read to its end \(unexpected end of file\); fetch it again$/);
  });
  test("what a program throws to break off is thrown as it is, and blames no file", async () => {
    const packed = gzipSync(memory), enough = new Error("enough");
    for (const input of [memory, packed, new Blob([packed]), fileOf("raw.dat", memory), fileOf("packed.gz", packed)])
      await assert.rejects(attach(input, { onProgress: ({ done }) => { if (done) throw enough; } }), (error) => error === enough);
  });
  test("gzip that was cut behind its first bytes, or promises more than it can hold", async () => {
    const liar = gzipSync(memory);
    liar.writeUInt32LE(0xfffffff0, liar.length - 4);
    for (const bytes of [Uint8Array.of(0x1f, 0x8b, 8), liar])
      for (const input of [bytes, fileOf("cut.gz", bytes)]) await assertRefused(input, /gzip file that cannot be read to its end/);
  });
  test("a file that is not there", () => assertRefused(path.join(folder, "none.dat"), /none\.dat cannot be read: there is no such file/));
  test("a name that is empty", () => assertRefused("", /^a file without a name cannot be read: there is no such file$/));
  test("a URL that leads to no file of this machine", () => assertRefused(new URL("file:///a%2Fb"), /^file:\/\/\/a%2Fb cannot be read: /));
  test("a result that is its own memory", () => {
    const result = /** @type {any} */ ({});
    result.Memory = result;
    return assertRefused(result, /an object with Memory was given/);
  });
  test("results that are each other's memory", () => {
    const result = /** @type {any} */ ({ memory: {} });
    result.memory.Memory = result;
    return assertRefused(result, /^bytes were expected as the Memory of this result, and an object with Memory was given; accepted: an ArrayBuffer, a SharedArrayBuffer, any view of one, a Blob/);
  });
  test("a result whose Memory is a text: no file of this name is opened, and the text is not repeated", async () => {
    for (const text of [fileOf("named.dat", memory), "-", Buffer.from(memory).toString("base64")])
      await assertRefused(/** @type {any} */ ({ Memory: text }), /^bytes were expected as the Memory of this result, and a string was given; accepted: [^/]*$/);
  });
  test("a file that breaks off while it is read", { skip: !existsSync("/proc/self/mem") && "there is no /proc" }, () => assertRefused("/proc/self/mem", /^\/proc\/self\/mem cannot be read: /));
  test("walkers that are none", async () => {
    const foreign = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    await assert.rejects(attach(memory, { loadWalker: async () => foreign }), { name: "MembuddyError", message: /^what loadWalker gave is not the walker / });
  });
  test("a module that is longer than any", async () => {
    truncateSync(fileOf("long.wasm", new Uint8Array(8)), 2 ** 30 + 1);
    await assert.rejects(attach(memory, { module: path.join(folder, "long.wasm") }), { name: "MembuddyError", message: /long\.wasm has more than 1,073,741,824 bytes, which a module has at most$/ });
  });
  test("a folder", () => assertRefused(folder, /is a directory/));
  test("a Blob whose file was changed since, under its name", async () => {
    const error = new Error("The blob could not be read");
    const broken = (/** @type {Uint8Array<ArrayBuffer>} */ bytes, /** @type {number} */ from) => {
      const file = Object.assign(new Blob([bytes]), { name: "state.dat" }), slice = file.slice.bind(file);
      file.slice = (begin = 0, end) => (begin < from ? slice(begin, end) : Object.assign(slice(begin, end), { arrayBuffer: () => Promise.reject(error) }));
      return file;
    };
    for (const from of [0, 2 ** 20]) await assert.rejects(attach(broken(new Uint8Array(2 ** 21), from)), { name: "MembuddyError", message: "state.dat cannot be read: The blob could not be read", cause: error });
  });
  test("a number", () => assertRefused(/** @type {any} */ (7), /a number was given; accepted: the path or URL of a file, an ArrayBuffer, a SharedArrayBuffer, any view of one, a Blob, /));
  test("a result that is an error", () => assertRefused(/** @type {any} */ ({ Error: "out of memory" }), /no Memory, but an Error.*out of memory/));
  test("a result whose error is no JSON, or long", async () => {
    const cycle = /** @type {any} */ ({});
    cycle.self = cycle;
    for (const [error, told] of /** @type {[any, RegExp][]} */ ([[cycle, /an object with self$/], [1n, /a bigint$/], [() => {}, /a function$/], ["x".repeat(1e6), /"x{499}…$/]]))
      await assertRefused(/** @type {any} */ ({ Error: error }), new RegExp(`^this result has no Memory, but an Error: .*${told.source}`));
  });
});

describe("damage that the sum of all blocks does not show is refused", () => {
  /** A process of 32 bits, and where the objects of its graph are. @param {string} name @param {string} lua */
  async function spawned(name, lua) {
    const process = await spawnProcess(inRoot(`dist/membuddy-${name}.wasm`));
    await process.eval(lua);
    const words = new DataView(/** @type {Uint8Array} */ (process.memory).slice().buffer);
    const heap = await attach(words.buffer);
    const graph = heap.graph();
    const at = (/** @type {string} */ path) => heap.walker.call.attach_object_of(graph.find(path));
    const word = (/** @type {number} */ address) => words.getUint32(address, true);
    const put = (/** @type {number} */ address, /** @type {number} */ value) => words.setUint32(address, value, true);
    return { at, word, put, memory: words.buffer };
  }

  test("a key that is no value", async () => {
    const { at, word, put, memory: damaged } = await spawned("lua54-wasm32", "local kept = {} Kept = { key = function() return kept end }");
    const node = word(at("Kept") + 16); // [value 8][tag, key's tag, next 8][key]
    put(node + 16, at("Kept/key/[upvalue kept]"));
    await assertRefused(damaged, /refers to 0x[0-9a-f]+, where no such object is/);
  });

  test("a block that lies on other objects, which will bear marks", async () => {
    const { at, put, memory: damaged } = await spawned("lua54-wasm32", "Kept = { {}, {}, {}, {} }");
    put(at("Kept") + 12, at("Kept/2") - 16);
    await assertRefused(damaged, /says that it has 64 bytes or entries, which cannot be/);
  });

  test("an upvalue's cell where none is", async () => {
    const { at, word, put, memory: damaged } = await spawned("lua53-wasm32", "local kept = 'kept' Kept = { function() return kept end }");
    put(at("Kept/1") + 16, word(at("Kept/1") + 16) + 8);
    await assertRefused(damaged, /refers to 0x/);
  });

  test("an upvalue's cell that bears a mark", async () => {
    const { at, word, put, memory: damaged } = await spawned("lua53-wasm32", "local kept = 'kept' Kept = { function() return kept end }");
    const count = word(at("Kept/1") + 16) + 4; // of its holders
    put(count, word(count) | 2 ** 31);
    await assertRefused(damaged, /is in a list of objects, and is none/);
  });

  test("an upvalue whose value is somewhere else", async () => {
    const { at, put, memory: damaged } = await spawned("lua54-wasm32", "local kept = 'kept' Kept = { function() return kept end }");
    const cell = at("Kept/1/[upvalue kept]");
    for (const slot of [damaged.byteLength + 65536, at("Kept")]) {
      put(cell + 8, slot);
      await assertRefused(damaged, /refers to 0x/);
    }
  });

  test("a chain of a metatable's entries that does not end", async () => {
    const { at, word, put, memory: damaged } = await spawned("lua54-wasm32", "Kept = setmetatable({}, { __index = {} }) getmetatable(Kept).a = 1");
    const node = word(at("Kept/[metatable]") + 16), flags = at("Kept/[metatable]") + 4;
    put(flags, word(flags) & 0xff00ffff); // as where Lua did not note yet that no `__mode` is in it
    for (const slot of [0, 1]) put(node + 24 * slot + 12, slot === 0 ? 1 : -1);
    await assertRefused(damaged, /comes back to/);
    for (const steps of [[1, 0], [0, -1]]) { // as long as it can be
      for (const slot of [0, 1]) put(node + 24 * slot + 12, steps[slot]);
      assert.equal((await attach(damaged)).books().unaccounted, 0);
    }
  });

  test("a frame of Lua whose function is none", async () => {
    const { at, word, put, memory: damaged } = await spawned("lua54-wasm32",
      "Kept = coroutine.create(function() local kept = {} coroutine.yield() return kept end) coroutine.resume(Kept)");
    const frame = word(word(at("Kept") + 20) + 8); // that of yield is before it
    put(frame, word(frame) + 16); // [function], [kept]
    await assertRefused(damaged, /refers to 0x/);
  });

  test("the key of a removed entry where no string is", async () => {
    const { at, word, put, memory: damaged } = await spawned("lua54-wasm32", "Text = '1234\\0045678' Kept = setmetatable({ gone = 1 }, { __mode = 'kv' }) Kept.gone = nil");
    const node = word(at("Kept") + 16);
    put(node + 8, 0x4410); // an empty value, and a short string for its key
    put(node + 16, at("Text") + 16); // the text itself, which reads like one
    await assertRefused(damaged, /refers to 0x/);
  });

  test("a text whose length and header together are more than 32 bits say", async () => {
    const { at, put, memory: damaged } = await spawned("lua54-wasm32", "Text = ('long'):rep(100)");
    put(at("Text") + 12, -8);
    await assertRefused(damaged, /4,294,967,288 bytes/);
  });

  test("a value that is a prototype or an upvalue's cell, by its tag as well", async () => {
    const { at, word, put, memory: damaged } = await spawned("lua54-wasm32", "local kept = {} Kept = { key = function() return kept end }");
    const node = word(at("Kept") + 16), tags = word(node + 8) & ~0xff;
    for (const [object, tag] of [[at("Kept/key/[upvalue kept]"), 0x49], [word(at("Kept/key") + 12), 0x4a]]) {
      put(node, object);
      put(node + 8, tags | tag);
      await assertRefused(damaged, /refers to 0x/);
    }
  });

  test("a table of so many entries that 32 bits say 0 bytes, or a number that is none", async () => {
    const { at, word, put, memory: damaged } = await spawned("lua53-wasm32", "Kept = { key = true }");
    const state = word(at("[main thread]") + 16), flags = at("Kept") + 4, rest = word(flags) & 0xffffff; // one entry: the exponent is 0
    for (const [exponent, bytes] of [[27, 32], [32, 0]]) {
      const total = word(state + 8);
      put(state + 8, total - bytes);
      put(flags, rest | (exponent << 24));
      await assertRefused(damaged, /bytes or entries, which cannot be/);
      put(state + 8, total);
    }
  });

  test("a list of threads with open upvalues that does not end", async () => {
    for (const [name, list] of /** @type {const} */ ([["lua53-wasm32", 104], ["lua54-wasm32", 156]])) {
      const { at, word, put, memory: damaged } = await spawned(name, "return 1");
      const main = at("[main thread]");
      put(word(main + 16) + list, main);
      put(main + 44, main); // as where it is in no list
      await assertRefused(damaged, /comes back to/);
    }
  });

  test("a list of gray objects that leads to none, to one without a link, or nowhere else", async () => {
    const { at, word, put, memory: damaged } = await spawned("lua54-wasm32", "Kept = { 'text' }");
    const state = word(at("[main thread]") + 16), table = at("Kept"); // the collector's state is at 77, its gray list at 100
    put(state + 76, word(state + 76) & 0xffff00ff); // it marks
    for (const [gray, told] of /** @type {const} */ ([[table + 8, /refers to 0x/], [at("Kept/1"), /refers to 0x0,/], [table, /comes back to/]])) {
      put(state + 100, gray);
      put(table + 28, table); // its link
      await assertRefused(damaged, told);
    }
  });
});

describe("one word that is wrong is refused", () => {
  /** @typedef {{ at: (path: string) => number, word: (address: number) => number, put: (address: number, value: number) => void, free: number }} Words  free: where nothing is */
  /** @type {ArrayBuffer} */ let sound;
  /** @type {Record<string, number>} */ let places;
  const names = ["io", "Kept", "Kept/1", "Kept/2", "Kept/3", "Many", "Waiting", "Get", "Get/[upvalue open]", "Shut/[upvalue closed]", "io/stdout", "[main thread]"];
  before(async () => {
    const process = await spawnProcess(inRoot("dist/membuddy-lua54-wasm32.wasm"));
    await process.eval(`Kept = { "text", {}, function(one) return one, 1.5, "constant" end } Many = {} for i = 1, 128 do Many[i] = false end
      Waiting = coroutine.create(function() local open = {} Get = function() return open end coroutine.yield() return open end) coroutine.resume(Waiting)
      local closed = {} Shut = function() return closed end`);
    sound = /** @type {Uint8Array} */ (process.memory).slice().buffer;
    const heap = await attach(sound), graph = heap.graph();
    places = Object.fromEntries(names.map((name) => [name, heap.walker.call.attach_object_of(graph.find(name))]));
    heap.close();
  });
  /** @param {(words: Words) => void} change */
  function changed(change) {
    const view = new DataView(sound.slice(0));
    change({ at: (path) => places[path], word: (address) => view.getUint32(address, true), put: (address, value) => view.setUint32(address, value, true), free: sound.byteLength - 8192 });
    return view.buffer;
  }
  const stateOf = (/** @type {Words} */ { at, word }) => word(at("[main thread]") + 16);
  const frameOf = (/** @type {Words} */ { at, word }) => word(word(at("Waiting") + 20) + 8); // before that of yield: [function][top][previous][next]
  /** One more table, which nobody refers to. @param {Words} it @param {number} address */
  const addTable = (it, address) => {
    for (let i = 0; i < 32; i += 4) it.put(address + i, it.word(it.at("Kept/2") + i));
    it.put(address, it.word(stateOf(it) + 88)); // the first of all objects
    it.put(stateOf(it) + 88, address);
    it.put(stateOf(it) + 8, it.word(stateOf(it) + 8) + 32); // what Lua counts
  };

  test("but not one more object that nobody refers to", async () => {
    const { garbage } = (await attach(changed(() => {}))).books();
    assert.equal((await attach(changed((it) => addTable(it, it.free)))).books().garbage, garbage + 32);
  });

  /** @type {Record<string, [(words: Words) => void, RegExp]>} */
  const lies = {
    "an object that begins within a word": [(it) => addTable(it, it.free + 1), /is in a list of objects, and is none/],
    "an object far beyond the memory": [({ at, put }) => put(at("Kept/2"), 0xfffffff0), /is in a list of objects, and is none/],
    "an object of no kind": [(it) => { addTable(it, it.free); it.put(it.free + 4, it.word(it.free + 4) & ~0xff | 11); }, /is in a list of objects, and is none/],
    "a function of a kind that is no object": [({ at, word, put }) => {
      put(at("Kept/3") + 4, word(at("Kept/3") + 4) | 0x10);
      put(word(at("Kept") + 12) + 40, word(word(at("Kept") + 12) + 40) | 0x10);
    }, /is in a list of objects, and is none/],
    "a main thread that is in no list": [(it) => {
      let last = it.word(stateOf(it) + 88);
      while (it.word(last) !== it.at("[main thread]")) last = it.word(last);
      it.put(last, 0);
    }, /is in a list of objects, and is none/],
    "a list of objects that comes back": [({ at, put }) => put(at("Kept/2"), at("Kept/2")), /comes back to/],
    "an object that bears a mark": [({ at, word, put }) => put(at("Kept/2") + 4, word(at("Kept/2") + 4) | 0x8000), /is in a list of objects, and is none/],
    "a block with an object in its middle": [(it) => { addTable(it, it.free); it.put(it.at("Many") + 12, it.free - 1024); }, /2,048 bytes or entries, which cannot be/],
    "a block with an object in its first word": [(it) => { addTable(it, it.free); it.put(it.at("Many") + 12, it.free); }, /2,048 bytes or entries, which cannot be/],
    "a block with an object in its last word": [(it) => { addTable(it, it.free); it.put(it.at("Many") + 12, it.free - 2044); }, /2,048 bytes or entries, which cannot be/],
    "an array whose larger number has as many bytes": [({ at, word, put }) => put(at("Many") + 8, word(at("Many") + 8) + 2 ** 28), /268,435,584 bytes or entries, which cannot be/],
    "a block where nothing can be": [({ at, put }) => put(at("Kept") + 12, 0), /bytes or entries, which cannot be/],
    "constants whose negative number has as many bytes": [({ at, word, put }) => put(word(at("Kept/3") + 12) + 16, word(word(at("Kept/3") + 12) + 16) - 2 ** 28), /-268,435,\d+ bytes or entries, which cannot be/],
    ...Object.fromEntries(Object.entries({ instructions: [20, 2 ** 30], prototypes: [28, 2 ** 30], "local variables": [32, 2 ** 30], upvalues: [12, 2 ** 29], "absolute lines": [36, 2 ** 29] }).map(([what, [field, more]]) =>
      [`${what} whose larger number has as many bytes`, [({ at, word, put }) => put(word(at("Kept/3") + 12) + field, word(word(at("Kept/3") + 12) + field) + more), /bytes or entries, which cannot be/]])),
    "a userdata whose length and header are 0 together": [(it) => {
      it.put(stateOf(it) + 8, it.word(stateOf(it) + 8) - 16 - it.word(it.at("io/stdout") + 8));
      it.put(it.at("io/stdout") + 8, -16);
    }, /4,294,967,280 bytes or entries/],
    "a string table that has as many bytes": [(it) => it.put(stateOf(it) + 32, it.word(stateOf(it) + 32) | 2 ** 30), /bytes or entries, which cannot be/],
    "a live object that refers to a dead one": [(it) => {
      it.put(stateOf(it) + 76, (it.word(stateOf(it) + 76) & 0xffff00ff) | (3 << 8)); // it sweeps
      it.put(it.at("Kept/2") + 4, (it.word(it.at("Kept/2") + 4) & 0xffffc7ff) | ((it.word(stateOf(it) + 76) & 0x18 ^ 0x18) << 8));
    }, /refers to 0x/],
    "a prototype on a stack": [(it) => it.put(it.word(frameOf(it)) + 16, it.word(it.at("Kept/3") + 12)), /refers to 0x/],
    "an upvalue's cell on a stack": [(it) => it.put(it.word(frameOf(it)) + 16, it.at("Get/[upvalue open]")), /refers to 0x/],
    "a frame that is not the one before its next": [(it) => it.put(it.word(it.at("Waiting") + 20) + 8, it.at("Waiting") + 52), /refers to 0x/],
    "a frame that is in no list, though one comes to it by way of 0": [(it) => {
      it.put(it.at("Waiting") + 20, it.free);
      it.put(12, it.free); // what would be next
      for (const frame of [0, it.free]) it.put(frame + 32, 2 << 16); // as of C
    }, /refers to 0x/],
    "a list of frames that comes back": [(it) => {
      const first = it.at("Waiting") + 52, last = it.word(it.at("Waiting") + 20);
      it.put(last + 12, first);
      it.put(first + 8, last);
    }, /comes back to/],
    "a stack that is used beyond its end": [({ at, word, put }) => put(at("Waiting") + 12, word(at("Waiting") + 24) + 16 * 6), /bytes or entries, which cannot be/],
    "an open upvalue outside of its stack": [({ at, put, free }) => put(at("Get/[upvalue open]") + 8, free), /refers to 0x/],
    "an open upvalue just behind its stack": [({ at, word, put }) => put(at("Get/[upvalue open]") + 8, word(at("Waiting") + 24) + 5 * 16), /refers to 0x/],
    "an open upvalue that no thread lists": [({ at, put }) => put(at("Waiting") + 32, 0), /refers to 0x0/],
    "an open upvalue that is no object": [({ at, word, put, free }) => {
      for (let i = 0; i < 32; i += 4) put(free + i, word(at("Get/[upvalue open]") + i));
      put(at("Waiting") + 32, free);
    }, /refers to 0x/],
    "a list of open upvalues that comes back": [({ at, put }) => put(at("Get/[upvalue open]") + 16, at("Get/[upvalue open]")), /comes back to/],
    "a userdata's metatable that is no table": [({ at, put }) => put(at("io/stdout") + 12, at("Kept/1")), /refers to 0x/],
    "a table's metatable that is no table": [({ at, put }) => put(at("Kept") + 24, at("Kept/1")), /refers to 0x/],
    "a table's metatable that is in no list": [({ at, put, free }) => {
      put(free + 4, 0xff0005); // it reads like a table without `__mode`
      put(at("Kept") + 24, free);
    }, /refers to 0x/],
    "a function's prototype that is none": [({ at, put }) => put(at("Kept/3") + 12, at("Kept")), /refers to 0x/],
    "a function's upvalue that is none": [({ at, put }) => put(at("Get") + 16, at("Kept")), /refers to 0x/],
    "a closed upvalue whose value is none": [({ at, put, free }) => put(at("Shut/[upvalue closed]") + 16, free), /refers to 0x/],
    "a local variable's name that is no text": [({ at, word, put }) => put(word(word(at("Kept/3") + 12) + 72), at("Kept")), /refers to 0x/],
    "a source that is no text": [({ at, word, put }) => put(word(at("Kept/3") + 12) + 76, at("Kept")), /refers to 0x/],
    "a frame whose function is in no list": [(it) => {
      const frame = frameOf(it);
      it.put(it.free + 4, 6); // it reads like a Lua function
      it.put(it.word(frame), it.free);
      it.put(it.at("Waiting") + 12, it.word(it.at("Waiting") + 28)); // and nothing on the stack is looked at
    }, /refers to 0x/],
    "a frame whose function is between two slots": [(it) => it.put(frameOf(it), it.word(frameOf(it)) + 8), /refers to 0x/],
    "a frame whose function is in a table": [(it) => it.put(frameOf(it), it.word(it.at("Kept") + 12) + 32), /refers to 0x/],
    "entries that begin within a word, where there are none": [({ at, put, free }) => put(at("Kept/2") + 16, free + 1), /refers to 0x/],
    "entries that are elsewhere, where there are none": [({ at, put }) => put(at("Kept/2") + 16, sound.byteLength), /refers to 0x/],
    "a table that says it has no entries, and has one": [({ at, put }) => put(at("io") + 20, 0), /refers to 0x/],
    "a name of the first metamethod that is no text": [(it) => it.put(stateOf(it) + 172, it.at("Kept")), /refers to 0x/],
    "a name of the last metamethod that is no text": [(it) => it.put(stateOf(it) + 268, it.at("Kept")), /refers to 0x/],
    "the first type's metatable that is no table": [(it) => it.put(stateOf(it) + 272, it.at("Kept/1")), /refers to 0x/],
    "the last type's metatable that is no table": [(it) => it.put(stateOf(it) + 304, it.at("Kept/1")), /refers to 0x/],
    "a registry that is no table": [(it) => it.put(stateOf(it) + 40, it.at("Kept/1")), /refers to 0x/],
    "a registry that is no object": [(it) => it.put(stateOf(it) + 48, 0), /refers to 0x0/],
    "a sum that is more than the memory": [(it) => it.put(stateOf(it) + 8, 2 ** 31), /bytes or entries, which cannot be/],
    "a sum that is not Lua's": [(it) => it.put(stateOf(it) + 8, it.word(stateOf(it) + 8) + 8), /add up to 8 bytes less/],
  };
  for (const [what, [change, told]] of Object.entries(lies)) test(what, () => assertRefused(changed(change), told));
});

test("a check that finds too little memory gives back what it had", async () => {
  const process = await spawnProcess(inRoot("dist/membuddy-lua53-wasm32.wasm"));
  const subject = new Uint8Array(/** @type {Uint8Array} */ (process.memory));
  const pages = makeMemory(subject.length, false).buffer.byteLength / 65536;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  new Uint8Array(memory.buffer).set(subject);
  const module = await WebAssembly.compile(readFileSync(inRoot("dist/attach-lua53-wasm32.wasm")));
  const { call } = await makeWalker(module, "lua53-wasm32", memory, subject.length);
  const state = call.attach_find_state(0), noMemory = 5, bitmapBytes = subject.length / 32;
  const lines = () => call.attach_profile(state, 0, 3, 256, 320, 0, 0);
  let reports = 0;
  for (let room = bitmapBytes + 1024; room < 3 * bitmapBytes; room += 1024) { // for the first of three, not for all
    call.attach_start(subject.length, pages * 65536 - room);
    const before = lines();
    call.attach_end_profile();
    assert.equal(call.attach_check(state), noMemory);
    assert.equal(lines(), before, `with ${room} bytes`);
    reports += before > 0 ? 1 : 0;
  }
  assert.ok(reports > 0);
});

test("a memory that leaves no room to check it is told as too large, not as damaged", async () => {
  const { Memory } = WebAssembly, subject = new Uint8Array(1500 * 65536);
  subject.set(memory);
  WebAssembly.Memory = class extends Memory { // that never grows
    constructor(/** @type {WebAssembly.MemoryDescriptor} */ { initial }) { super({ initial, maximum: initial }); }
  };
  try {
    await assert.rejects(attach(subject), /^MembuddyError: the memory: 98,304,000 bytes, and the room to walk them, do not fit into .*: there was no memory to check it with$/);
  } finally {
    WebAssembly.Memory = Memory;
  }
});

describe("a walker at the end of what 32 bits address", () => {
  const inTest = async (/** @type {import("node:test").TestContext} */ t, /** @type {number} */ pages) => {
    const process = await spawnProcess(inRoot("dist/membuddy-lua54-wasm32.wasm"));
    await process.eval("Kept = {} for i = 1, 20000 do Kept[i] = { i } end");
    const subject = new Uint8Array(/** @type {Uint8Array} */ (process.memory)), memory = makeMemory(subject.length, false);
    const module = await WebAssembly.compile(readFileSync(inRoot("dist/attach-lua54-wasm32.wasm")));
    const fill = () => new Uint8Array(memory.buffer).set(subject);
    fill();
    const { call, restart } = await makeWalker(module, "lua54-wasm32", memory, subject.length);
    try {
      memory.grow(pages - memory.buffer.byteLength / 65536);
    } catch (error) {
      t.skip(`this machine gives no ${pages} pages: ${error}`);
      return undefined;
    }
    return { call, restart, subjectBytes: subject.length, fill };
  };

  test("has no memory where too little is left, and does not begin again at 0", async (t) => {
    const walker = await inTest(t, 65535);
    if (!walker) return;
    const { call, fill, subjectBytes } = walker, outcomes = new Set(), noMemory = 5;
    for (let room = 20000; room < 4e6; room = Math.ceil(room * 1.3)) {
      fill();
      call.attach_start(subjectBytes, (65535 * 65536 - room) | 0);
      const state = call.attach_find_state(0), verdict = call.attach_check(state);
      outcomes.add(verdict === 0 ? (call.attach_graph(state) === -1 ? "no graph" : "a graph") : `verdict ${verdict}`);
    }
    assert.deepEqual([...outcomes].sort(), ["a graph", "no graph", `verdict ${noMemory}`]);
  });

  test("makes use of all 65,536 pages", async (t) => {
    const walker = await inTest(t, 65536);
    if (!walker) return;
    const { call, restart } = walker;
    restart();
    const state = call.attach_find_state(0);
    assert.equal(call.attach_check(state), 0);
    assert.ok(call.attach_graph(state) > 20000);
  });
});

test("the walker of the Lua that a memory names is tried first; where it names another, or none, the right one is found as well", async () => {
  const named = (/** @type {string} */ name) => Buffer.from(Buffer.from(memory).toString("latin1").replaceAll("Lua 5.4", name), "latin1");
  const tried = async (/** @type {Uint8Array} */ bytes) => {
    /** @type {string[]} */
    const names = [];
    const heap = await attach(bytes, { loadWalker: async (name) => readFileSync(inRoot(`dist/attach-${names[names.push(name) - 1]}.wasm`)) });
    assert.equal(heap.image.lua, "5.4");
    return names;
  };
  assert.deepEqual(await tried(memory), ["lua54-wasm64"]);
  for (const other of ["Lua 5.3", "LUA 5.4"]) assert.deepEqual(await tried(named(other)), ["lua53-wasm64", "lua54-wasm64"]);
});

test("metatables whose entries stand in one chain take the time of their length, however many tables have them", async () => {
  const process = await spawnProcess(inRoot("dist/membuddy-lua54-wasm32.wasm"));
  await process.eval(`Metatables = { {}, {} } for i = 1, 2^16 do Metatables[1][i + 0.5], Metatables[2][i + 0.5] = true, true end
    Kept = {} for i = 1, 60000 do Kept[i] = setmetatable({}, Metatables[i % 2 + 1]) end`);
  const words = new DataView(/** @type {Uint8Array} */ (process.memory).slice().buffer), heap = await attach(words.buffer), graph = heap.graph();
  for (const name of ["Metatables/1", "Metatables/2"]) {
    const table = heap.walker.call.attach_object_of(graph.find(name)), nodes = words.getUint32(table + 16, true), count = 1 << words.getUint8(table + 7);
    for (let i = 0; i < count; i++) words.setInt32(nodes + 24 * i + 12, i + 1 < count ? 1 : 0, true);
  }
  const steps = await stepsOf(async () => assert.equal((await attach(words.buffer, { loadWalker })).books().unaccounted, 0));
  assert.ok(steps < 1e7, `${steps} steps`);
});

test("texts are as long as they are where Lua left a long string's short length undefined, as before 5.4.7", async () => {
  const process = await spawnProcess(inRoot("dist/membuddy-lua54-wasm32.wasm"));
  await process.eval("local key = ('k'):rep(50) Kept = { [key] = {}, text = ('long '):rep(12) }");
  const bytes = /** @type {Uint8Array} */ (process.memory).slice(), names = ["Kept/text", `Kept/${"k".repeat(50)} (key)`];
  const told = async () => {
    const heap = await attach(bytes), graph = heap.graph(), nodes = names.map((name) => graph.find(name));
    const found = nodes.map((node) => ({ text: graph.text(node), path: graph.path(node), at: heap.walker.call.attach_object_of(node) }));
    graph.end();
    return { found, report: heap.profile({ target: "Kept" }) };
  };
  const expected = await told();
  assert.equal(expected.found[0].text, `"${"long ".repeat(12)}"`);
  for (const { at } of expected.found) bytes[at + 7] = 3; // [next 4][tag][marks][extra][short length]
  assert.deepEqual(await told(), expected);
});

describe("two heaps in one memory", () => {
  /** @type {Uint8Array} */ let larger;
  before(async () => {
    const process = await spawnProcess(image.file);
    await process.eval("Kept = ('x'):rep(1e5)");
    larger = /** @type {Uint8Array} */ (process.memory);
  });

  test("the larger is read, and the other is told", async () => {
    for (const [first, second] of [[memory, larger], [larger, memory]]) {
      const heap = await attach(await twoHeaps(first, second));
      assert.equal(heap.books().luaSize, (await attach(larger)).books().luaSize);
      assert.deepEqual(heap.otherHeaps.map(({ luaSize }) => luaSize), [(await attach(memory)).books().luaSize]);
      if (first === larger) // its blocks are told, not those of the heap that was checked last
        assert.equal(heap.account().parts.slack, (await attach(larger)).account().parts.slack);
    }
    assert.deepEqual((await attach(memory)).otherHeaps, []);
  });

  test("where the search ends before the memory does, that is said", async () => {
    const noted = (/** @type {number} */ count) => otherHeapsNote(/** @type {any} */ ({ otherHeaps: Array(count).fill({ state: 8, luaSize: 1 }) }));
    assert.match(String(noted(62)), /^Not looked at: 62 other sound Lua heaps in this memory \((1 bytes? at 0x8, ){8}\.\.\.\); /);
    assert.match(String(noted(63)), /^Not looked at: at least 63 other sound Lua heaps /);
    const forged = new BigUint64Array(72 * 1024);
    for (let place = 0; place < 64 * 1024; place += 1024) { // a thread, and behind it nothing but references to it
      forged.fill(BigInt(8 * (place + 8)), place + 16, place + 1000);
      forged.set([8n, 0n, BigInt(8 * (place + 16))], place + 9);
    }
    await assert.rejects(attach(forged), /; 127 other places were refused as well, and nobody looked further: --module tells where the heap is$/);
  });

  test("the one that the module names is read, or refused with its reason, whatever else is there", async () => {
    const both = await twoHeaps(memory, larger), { state } = await attach(memory);
    const heap = await attach(both, { module: image.file });
    assert.deepEqual([heap.state, heap.otherHeaps], [state, []]);
    const words = new DataView(both.buffer), { statePointer = 0 } = heap.moduleImage ?? {};
    const refusal = /^the memory: no sound Lua heap where MemBuddy's aos image has its own: its main thread at 0x[0-9a-f]+ is refused, since /;
    words.setUint8(state + 8, words.getUint8(state + 8) ^ 1); // its kind
    await assert.rejects(attach(both, { module: image.file }), { name: "MembuddyError", message: refusal });
    words.setBigUint64(statePointer, 0n, true);
    await assert.rejects(attach(both, { module: image.file }), /at 0x0 is refused, since Lua has not begun there$/);
  });
});

describe("targets by path", () => {
  /** @type {import("../cli/heap.js").Heap} */
  let heap;
  before(async () => { heap = await attach(memory); });

  test("a global may be named with and without _G", () => assert.deepEqual(heap.profile({ target: "_G/Deep" }), heap.profile({ target: "Deep" })));
  test("a target's report adds up", () => {
    const { sizes, totalSize, target } = heap.profile({ target: "_G/Deep" });
    assert.equal(target, "Deep");
    assert.equal(Object.values(sizes).reduce((sum, own) => sum + own, 0), totalSize);
  });
  test("namesakes are told apart by their number", () => {
    const { totalSizes } = heap.profile({ target: "Deep", depth: 2 });
    const [one, other] = ["Deep/list/1", "Deep/list/1#2"].map((name) => totalSizes[name]);
    assert.ok(one > 0 && other > 0 && one !== other, JSON.stringify(totalSizes));
    assert.equal(heap.profile({ target: "_G/Deep/list/1" }).totalSize + heap.profile({ target: "_G/Deep/list/1#2" }).totalSize > 0, true);
  });
  test("a key with a slash is written as the report writes it", () => assert.ok(heap.profile({ target: "Deep/with\\/slash/x" }).totalSize > 0));
  test("what only tree and why tell apart is a target, too, and named as there", () => {
    for (const path of ["_G/loadfile (key)", "_G/ao/addAssignable/[upvalue findIndexByProp]/[value]", "_G/Dump/[proto .dump:487]/[constant]#2", "[type metatables]#1", "[state]#3"]) {
      const { target = "", totalSize } = heap.profile({ target: path });
      assert.ok(totalSize > 0 && heap.retained(path) > 0, path);
      assert.equal(heap.profile({ target }).totalSize, totalSize, `${path} is called ${target}`);
    }
  });
  test("an upvalue of what holds no memory is no target, and its cell stays as it was", async () => {
    const process = await spawnProcess(ourImages[2].file);
    await process.eval("local number = 1 Kept = function() number = number + 1 end");
    const one = await attach(/** @type {Uint8Array} */ (process.memory));
    one.retained("Kept"); // a first walk forgets what the collector knew
    const before = Buffer.from(one.walker.buffer().slice(0, one.walker.subjectBytes));
    assert.throws(() => one.retained("Kept/[upvalue number]"), /'Kept\/\[upvalue number\]' holds no memory of its own; accepted: a table/);
    assert.ok(before.equals(Buffer.from(one.walker.buffer(), 0, one.walker.subjectBytes)));
  });
  test("lines that are sums, or a key's, say so", () => {
    const key = "membuddy: what is at '_G/loadfile' holds no memory of its own, only its key does; accepted: the path of an object, such as '_G/loadfile (key)'";
    assert.throws(() => heap.profile({ target: "_G/loadfile" }), { message: key });
    assert.throws(() => heap.retained("Dump/[proto .dump:487]/[constant]"), /is a sum of several objects; accepted: the path of one, such as Dump\/\[proto \.dump:487\]\/\[constant\]#1$/);
  });
  test("an object below the head of several roots is named by a path that is accepted", () => {
    const { target = "", totalSize } = heap.profile({ target: "[type metatables]/string" });
    assert.equal(target, "[type metatables]/string");
    assert.ok(totalSize > 0);
  });
  test("a path that is mistyped deep in a large table leads nowhere, like others", async () => {
    const process = await spawnProcess(ourImages[1].file);
    await process.eval("local key = ('n'):rep(60) Large = {} local t = Large for i = 1, 100 do t[key] = {} t = t[key] end for i = 1, 25000 do t['k' .. i] = 'v' .. i end");
    const large = await attach(/** @type {Uint8Array} */ (process.memory)), above = `Large${`/${"n".repeat(60)}`.repeat(100)}`;
    for (const name of ["none", "k77#2"]) assert.throws(() => large.profile({ target: `${above}/${name}` }), /^MembuddyError: membuddy: there is nothing at the path /);
    assert.ok(large.retained(`${above}/k77`) > 0);
  });
  test("a path that leads nowhere is an error that names it, also where a name begins so, or is longer than any", () => {
    for (const target of ["Deep/nothing", "Deep/lis", "Deep/lists", "Deeper", "_", "[main", "[registry]s", "x".repeat(5000)])
      assert.throws(() => heap.profile({ target }), (/** @type {any} */ { name, message }) => name === "MembuddyError" && message.startsWith(`membuddy: there is nothing at the path '${target.slice(0, 100)}`), target);
  });
  test("a global with a number for its name is called so", async () => {
    const process = await spawnProcess(image.file);
    await process.eval("for i = 1, 256 do _G[i] = { i } end");
    assert.equal((await attach(/** @type {Uint8Array} */ (process.memory))).profile({ target: "_G/2" }).target, "2");
  });
  test("what shares the name of its shortest path with others is called by the path that was asked for", async () => {
    const process = await spawnProcess(image.file);
    await process.eval(`Set = {} for i = 1, 5 do Set[{ ("q"):rep(i * 100) }] = true end
      Odd = { ["1"] = { "one" }, [1] = { {}, {} } } _G["[registry]"] = { { "mine" } } return 1`);
    const odd = await attach(/** @type {Uint8Array} */ (process.memory)), targetOf = (/** @type {string} */ target) => odd.profile({ target }).target;
    const { retained = {} } = odd.profile({ retained: true, children: Infinity, lines: Infinity });
    for (const path of ["_G/Set/[table]", "_G/Set/[table]#3", "_G/Set/[table]#3/1", "_G/Odd/1", "_G/Odd/1#2", "_G/[registry]"]) {
      const { target, retained: own } = odd.profile({ target: path, retained: true });
      assert.equal(target, path);
      assert.equal(own?.[path], retained[path]);
      assert.equal(targetOf(path.replace("_G/", "")), path === "_G/[registry]" ? "[registry]" : path);
    }
  });
  test("retained bytes are those of the report", () => assert.equal(heap.retained("_G/Deep"), heap.profile({ retained: true, depth: 1 }).retained?.["_G/Deep"]));
  test("what a node holds is told of one after the other, though the graph ends, and of what is no node it is an error", () => {
    const [deep, inbox] = ["Deep", "Inbox"].map((name) => heap.graph().find(name));
    for (const [node, target] of /** @type {const} */ ([[deep, "Deep"], [inbox, "Inbox"], [deep, "Deep"]])) {
      const { totalSize, shared } = heap.profile({ target });
      assert.deepEqual(heap.holdings(node), { held: totalSize, shared });
    }
    for (const none of [0, -1, 1.5, NaN, "1", undefined, 0xffffffff])
      assert.throws(() => heap.holdings(/** @type {any} */ (none)), { name: "MembuddyError", message: /^membuddy: the node is .+; accepted: whole numbers from 1 to \d+$/ });
    assert.equal(heap.books().unaccounted, 0);
  });
  test("kinds of a path are those of its report, and without one those of the process", () => {
    for (const target of ["_G/Deep", "Inbox", "Handlers/evaluate"])
      assert.deepEqual(heap.kinds(target), heap.profile({ target }).kinds);
    assert.deepEqual(heap.kinds(), heap.profile().kinds);
  });
  test("a closed heap says so", async () => {
    const closed = await attach(memory);
    const graph = closed.graph();
    closed.close();
    assert.throws(() => closed.books(), /closed/);
    for (const ask of [() => graph.name(5), () => graph.own, () => graph.find("_G")]) assert.throws(ask, { name: "MembuddyError", message: /closed/ });
    closed.close();
  });
});

describe("what retained sizes leave in the copy is taken back before anything else is read", () => {
  /** @type {Record<string, (heap: Heap) => unknown>} */
  const questions = {
    "books()": (heap) => heap.books(),
    "kinds(path)": (heap) => heap.kinds("_G/Handlers"),
    "profile()": (heap) => heap.profile({ depth: Infinity, children: Infinity, lines: Infinity }),
    "the same again": (heap) => heap.profile({ retained: true }),
    "a target": (heap) => heap.profile({ target: "_G/Handlers", retained: true }),
    "a target far below": (heap) => heap.profile({ target: "_G/package/loaded/.crypto.cipher.aes256" }),
    "retained(path)": (heap) => heap.retained("_G/Handlers"),
    "account()": (heap) => heap.account(),
    "graph()": (heap) => [...heap.graph().retained],
    "the check": ({ walker: { call }, state }) => call.attach_check(state),
    "the search": ({ walker: { call } }) => call.attach_find_state(0),
    "what others hold": ({ walker: { call }, state }) => call.attach_exclusive(state, call.attach_parent(state, state)),
    "who holds": ({ walker: { call }, state }) => call.attach_parent(state, call.attach_parent(state, state)),
  };
  for (const { name, file } of ourImages)
    test(name, async () => {
      const process = await spawnWatched(file);
      await process.eval("Waiting = setmetatable({}, { __gc = function() end }) Waiting = nil Weak = setmetatable({ [{}] = { {} } }, { __mode = 'k' })");
      await process.eval(`local text, count = ("x"):rep(1e5), 0 -- of a text broken off Lua 5.3 keeps the buffer, as long as its box
        pcall(text.gsub, text, "x", function()
          count = count + 1
          for i = 1, count == 9e4 and 9 or 0 do
            local _, value = debug.getlocal(2, i)
            if type(value) == "userdata" then Box = value end
          end
          if Box then error("broken off") end
        end)
        Newer = setmetatable({}, { __gc = function() end })`);
      const subject = new Uint8Array(/** @type {Uint8Array} */ (process.memory));
      for (const [what, ask] of Object.entries(questions)) {
        const [untouched, asked] = [await attach(subject), await attach(subject)];
        const expected = ask(untouched);
        asked.profile({ retained: true });
        assert.deepEqual(ask(asked), expected, what);
        assert.equal(asked.profile().unaccounted, 0);
        asked.close();
        untouched.close();
      }
      const heap = await attach(subject), copy = () => Buffer.from(Buffer.from(heap.walker.buffer(), 0, subject.length));
      heap.profile();
      const walked = copy(); // with what every walk leaves (docs/numbers.md)
      heap.profile({ retained: true });
      assert.notEqual(Buffer.compare(copy(), walked), 0);
      heap.retained("_G");
      assert.equal(Buffer.compare(copy(), walked), 0, "the copy is as it was");

      const { memory: finalizing } = await askAtInstant(process, "account", "nil", `collectgarbage("stop") -- the box waits for its finalizer, behind others
        local begun
        for _ = 1, 20000 do setmetatable({}, { __gc = function() begun = true end }) end
        Box = nil
        repeat collectgarbage("step", 0) until begun`);
      const [untouched, asked] = [await attach(finalizing), await attach(finalizing)], { parts } = untouched.account();
      asked.profile({ retained: true });
      assert.deepEqual(asked.account().parts, parts);
      if (asked.image.lua === "5.3") assert.ok(/** @type {number} */ (parts.buffers) > 1e5, String(parts.buffers)); // 5.4 closes it where it broke off
    });
});

test("a heap that was closed, and a graph that has ended, keep no copy", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const closed = async () => {
    const heap = await attach(memory), graph = heap.graph(), kept = { heap, graph, views: graph.own.length, copy: new WeakRef(heap.walker.buffer()) };
    heap.close();
    return kept;
  };
  const kept = [await closed(), await closed()];
  for (let times = 0; times < 20 && kept.some(({ copy }) => copy.deref()); times++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
  }
  assert.deepEqual(kept.map(({ copy }) => copy.deref()), [undefined, undefined]);
  for (const { heap, graph } of kept) assert.ok(heap.name === "the memory" && graph.nodeCount === 0);
});

describe("options are read as Lua reads them", () => {
  const refused = {
    "unknown option 'dept'; accepted: target, depth, max_depth, min_size, top, children, lines, cycles, no_header, retained, budget, checks": { dept: 1 },
    "option 'depth' is -1; accepted: a whole number from 0, Infinity, \"inf\" or \"infinity\"": { depth: -1 },
    "option 'depth' is 1.5; accepted: a whole number from 0, Infinity, \"inf\" or \"infinity\"": { depth: 1.5 },
    "option 'top' is true; accepted: a whole number from 0, or false for all": { top: true },
    "option 'min_size' is table; accepted: a number of bytes from 0": { min_size: [] },
    "option 'cycles' is \"yes\"; accepted: true or false": { cycles: "yes" },
    "option 'depth' is \"3\"; accepted: a whole number from 0, Infinity, \"inf\" or \"infinity\"": { depth: "3" },
    "option 'depth' is 3n; accepted: a whole number from 0, Infinity, \"inf\" or \"infinity\"": { depth: 3n },
    "option 'depth' is false; accepted: a whole number from 0, Infinity, \"inf\" or \"infinity\"": { depth: false },
    "option 'target' is \"\"; accepted: a path, as a report gives it": { target: "" },
    "option 'target' is 5; accepted: a path, as a report gives it": { target: 5 },
    "option 'checks' is 1; accepted: true or false": { checks: 1 },
    "option 'top' is \"a\"; accepted: a whole number from 0, or false for all": { top: "a\x1b[31m" },
    "the options are null; accepted: an object": null,
    "the options are a number; accepted: an object": 5,
    "the options are an array; accepted: an object": [],
  };
  for (const [message, options] of Object.entries(refused))
    test(message, () => assert.throws(() => readOptions(/** @type {any} */ (options)), { message: `membuddy: ${message}` }));

  test("those that mean nothing outside are taken", () => assert.deepEqual(readOptions({ checks: false, budget: 1e6 }), readOptions()));
  test("sizes are rounded as C rounds them", () => assert.deepEqual([0, 1023, 1024, 1152, 1162, 1048570, 1048576, 2 ** 40].map((bytes) => formatSize(bytes)),
    ["0 bytes", "1023 bytes", "1.00 KB", "1.12 KB", "1.13 KB", "1023.99 KB", "1.00 MB", "1024.00 GB"]));
});

describe("what a program gives is looked at first", () => {
  /** @type {any} */
  let heap;
  before(async () => { heap = await attach(memory); });
  const noResults = "membuddy: the first argument is no results of profile(); accepted: results and options, or options alone";
  const results = () => heap.profile({ retained: true });
  const changed = (/** @type {(summary: any) => any} */ change) => change(structuredClone(summarize(heap)));

  /** @type {Record<string, [() => any, string | RegExp]>} */
  const refused = {
    "retained()": [() => heap.retained(), "membuddy: the path is undefined; accepted: a path, as a report gives it"],
    "retained(5)": [() => heap.retained(5), "membuddy: the path is 5; accepted: a path, as a report gives it"],
    "kinds(5)": [() => heap.kinds(5), "membuddy: the path is 5; accepted: a path, as a report gives it"],
    "profile(null)": [() => heap.profile(null), "membuddy: the options are null; accepted: an object"],
    "print(5)": [() => heap.print(5), "membuddy: the first argument is a number; accepted: results and options, or options alone"],
    "print of two options": [() => heap.print({}, { top: 1 }), noResults],
    "print(results, 5)": [() => heap.print(results(), 5), "membuddy: the options are a number; accepted: an object"],
    "print(null, { dept: 1 })": [() => heap.print(null, { dept: 1 }), /unknown option 'dept'/],
    "a misspelt option of attach": [() => attach(memory, /** @type {any} */ ({ modul: "x" })), "membuddy: unknown option 'modul'; accepted: module, onProgress, loadWalker"],
    "attach(memory, 5)": [() => attach(memory, /** @type {any} */ (5)), "membuddy: the options are a number; accepted: an object"],
    "onProgress that is none": [() => attach(memory, /** @type {any} */ ({ onProgress: 5 })), "membuddy: option 'onProgress' is 5; accepted: a function"],
    "a misspelt option of export": [() => heap.export("pprof", { min_size: 1 }), "membuddy: unknown option 'min_size'; accepted: minSize, depth, title, older"],
    "export(format, 5)": [() => heap.export("pprof", 5), "membuddy: the options are a number; accepted: an object"],
    "a limit as text": [() => heap.export("pprof", { minSize: "1" }), `membuddy: option 'minSize' is "1"; accepted: a number of bytes from 0`],
    "a sink that takes nothing": [() => heap.export("pprof", {}, 5), /^the sink is a number; accepted:/],
    "a limit of what is whole": [() => heap.export("heapsnapshot", { minSize: 3 }), "a heapsnapshot has every object: minSize and depth are of the other formats"],
    "a depth of what is whole": [() => heap.export("heapsnapshot", { depth: 3 }), /^a heapsnapshot has every object/],
    "a title of what has none": [() => heap.export("pprof", { title: "x" }), /^a title was given for pprof/],
    "a misspelt option of summarize": [() => summarize(heap, /** @type {any} */ ({ dept: 1 })), "membuddy: unknown option 'dept'; accepted: depth"],
    "summarize()": [() => /** @type {any} */ (summarize)(), "membuddy: undefined was given; accepted: a heap, as attach() gives it"],
    "diff(heap, 5)": [() => diff(heap, /** @type {any} */ (5)), "membuddy: a number was given; accepted: a heap, as attach() gives it, or a summary of one"],
    "summaries of two depths": [() => diff(summarize(heap, { depth: 2 }), summarize(heap)), "membuddy: the summaries are 2 and 8 steps deep; accepted: two of one depth"],
    "a module that is none": [() => attach(memory, /** @type {any} */ ({ module: 5 })), /^a module was expected, and a number was given; accepted:/],
    "a summary that was JSON": [() => diff(heap, JSON.parse(JSON.stringify(summarize(heap)))), /^membuddy: the summary of the memory was changed: 'shapes' has no Map; accepted:/],
    "a summary without kinds": [() => diff(heap, changed(({ kinds, ...rest }) => rest)), /^membuddy: the summary of the memory was changed: 'kinds' has no 'table' with figures; accepted:/],
    "a summary of fewer kinds": [() => diff(changed((summary) => ({ ...summary, kinds: { ...summary.kinds, proto: null } })), heap), /: 'kinds' has no 'proto' with figures; accepted:/],
    "a summary without a total": [() => diff(changed((summary) => ({ ...summary, totals: { ...summary.totals, live: undefined } })), heap), /: 'totals' lacks a figure; accepted:/],
    "a summary without its depth": [() => diff(changed(({ depth, ...rest }) => rest), heap), /: 'depth' is no number; accepted:/],
    "a summary whose shapes became objects": [() => diff(heap, changed((summary) => {
      summary.shapes.below.get("_G").below = {};
      return summary;
    })), /: a part of 'shapes' is none; accepted:/],
    "a buffer that was given away": [() => {
      const buffer = new ArrayBuffer(65536);
      structuredClone(buffer, { transfer: [buffer] });
      return attach(buffer);
    }, /^the memory cannot be read: /],
    "a walker that is not there": [() => attach(memory, { loadWalker: async () => { throw new Error("no network"); } }), "the walker lua54-wasm64 cannot be loaded: no network"],
    "a walker that its server does not have": [() => attach(memory, { loadWalker: async () => ({ ok: false, status: 404, url: "https://x/a.wasm", arrayBuffer: async () => new ArrayBuffer(2) }) }),
      "the walker lua54-wasm64 cannot be loaded: HTTP 404 at https://x/a.wasm; loadWalker says where the walkers are"],
    "a walker of a server that does not say where": [() => attach(memory, { loadWalker: async () => new Response("no", { status: 500 }) }), /: HTTP 500; loadWalker says /],
    "no walker": [() => attach(memory, /** @type {any} */ ({ loadWalker: async () => {} })), "the walker lua54-wasm64 cannot be loaded: loadWalker gave undefined; accepted: bytes, or a Response"],
    "a walker that is none": [() => attach(memory, { loadWalker: async () => new Uint8Array(3) }), /^the walker lua54-wasm64 cannot be loaded: /],
    "formatSize()": [() => /** @type {any} */ (formatSize)(), "membuddy: formatSize was given undefined; accepted: a number of bytes"],
    "an escape in 'circular'": [() => heap.print({ ...results(), circular: { "_G/a": "\x1b[31m" } }), /'circular' is a table with control characters in a path; expected paths/],
    "one of the upper controls": [() => heap.print({ ...results(), circular: { "_G/a": "\x9b31m" } }), /'circular' is a table with control characters in a path; expected paths/],
    "an escape in 'target'": [() => heap.print({ ...results(), target: "\x1b[31m", shared: 0 }), /'target' is a path with control characters; expected paths/],
    "an escape in 'retained'": [() => heap.print({ ...results(), retained: { _G: "\x1b[31m" } }), /'retained' of '_G' is a string; expected a number/],
    "an escape in 'otherCycles'": [() => heap.print({ ...results(), otherCycles: "\x1b[31m" }), /'otherCycles' is string; expected a number/],
    "an escape in 'type'": [() => heap.print({ ...results(), type: "x\x1b[31m" }), /'type' is "x"; expected/],
  };
  for (const [what, [call, message]] of Object.entries(refused))
    test(what, () => assert.rejects(async () => call(), (/** @type {any} */ error) => {
      assert.ok(error instanceof MembuddyError, error.stack);
      if (typeof message === "string") assert.equal(error.message, message);
      else assert.match(error.message, message);
      return true;
    }));

  test("an onProgress that asks the heap it is told of: what the call reads would be gone", async () => {
    /** @type {unknown[]} */ const told = [];
    let ask = () => {};
    /** @type {any} */ const listened = await attach(memory, { onProgress: () => {
      try { ask(); } catch (error) { told.push(error); }
    } });
    const questions = [() => listened.books(), () => listened.profile(), () => listened.graph()];
    const calls = [() => listened.profile(), () => listened.retained("_G"), () => listened.account(), () => listened.graph(), () => summarize(listened).shapes, () => listened.export("heapsnapshot")];
    for (const call of calls) {
      ask = () => {};
      const expected = await call();
      for (const question of questions) {
        ask = question;
        if (call !== calls[3]) assert.deepEqual(await call(), expected);
      }
    }
    assert.ok(told.length >= calls.length);
    for (const error of told) assert.equal(/** @type {Error} */ (error).message, "membuddy: onProgress asks the heap that is being read; ask it when the call has returned");
    ask = () => listened.image;
    assert.equal(listened.profile().unaccounted, 0);
    const enough = new Error("enough");
    let isEnough = false;
    const broken = await attach(memory, { onProgress: () => { if (isEnough) throw enough; } });
    isEnough = true;
    assert.throws(() => broken.profile(), enough);
    isEnough = false;
    assert.equal(broken.profile().unaccounted, 0, "what broke off one call asks the next");
  });

  test("a palette of what are no functions is refused", () => {
    const message = "membuddy: 'blue' of the palette is 5; accepted: a function";
    assert.throws(() => heap.print({ top: 1 }, undefined, { blue: 5 }), { name: "MembuddyError", message });
    assert.throws(() => formatSize(1024, /** @type {any} */ ({ red: "x" })), { name: "MembuddyError" });
  });

  test("a palette that is null is none", () => {
    assert.equal(formatSize(1024, /** @type {any} */ (null)), "1.00 KB");
    assert.equal(heap.print(null, null, null), heap.print());
  });

  test("print takes its options in either place", () => {
    assert.equal(heap.print(null, { top: 1 }), heap.print({ top: 1 }));
    assert.equal(heap.print(undefined, { top: 1 }), heap.print({ top: 1 }));
    assert.notEqual(heap.print({ top: 1 }), heap.print());
  });
});

test("the file that attach was given is read piece by piece, and zeros take no memory", async () => {
  const bytes = readFileSync(fileOf("raw.dat", memory)).length;
  const grown = fileOf("grown.dat", Buffer.concat([memory, Buffer.alloc(512 * 2 ** 20)])); // as a process that had grown
  const before = process.memoryUsage.rss();
  const heap = await attach(grown);
  assert.equal(heap.books().unaccounted, 0);
  assert.ok(heap.image.bytes > bytes);
  const taken = process.memoryUsage.rss() - before;
  assert.ok(taken < 256 * 2 ** 20, `${taken} bytes`);
  heap.close();
  rmSync(grown);
});
