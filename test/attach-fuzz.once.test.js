/**
 * Damaged memories: whatever byte is wrong, `attach` gives one clear error, or a heap whose books balance and whose reports
 * add up; it never hangs nor breaks. (Damage that the books cannot see, such as in the text of a string, is no damage
 * to them.) Each version of Node.js gets other bytes; the seed makes a failure repeatable.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { attach, MembuddyError } from "../cli/index.js";
import { ourImages } from "./support/images.js";
import { spawnProcess } from "./support/process.js";
import { loadWalker, stepsOf } from "./support/steps.js";

const damages = Number(process.env.FUZZ_COUNT ?? 500);
const seed = Number(process.env.FUZZ_SEED ?? process.versions.node.split(".")[0]);
const mostSteps = 1e7;

/** Mulberry32, a small generator of random numbers. @param {number} state */
function randomFrom(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Where something is: zeros are mostly nobody's. @param {Uint8Array} memory */
function usedWords(memory) {
  const words = new BigUint64Array(memory.buffer, memory.byteOffset, memory.length / 8);
  return [...words.keys()].filter((at) => words[at] !== 0n).map((at) => at * 8);
}

/** @param {Uint8Array} memory @param {number[]} words @param {() => number} random */
function damaged(memory, words, random) {
  const copy = memory.slice();
  const places = [];
  for (let left = 1 + Math.floor(random() * random() * 20); left > 0; left--) {
    const place = words[Math.floor(random() * words.length)] + Math.floor(random() * 8);
    copy[place] = random() < 0.5 ? copy[place] ^ (1 << Math.floor(random() * 8)) : Math.floor(random() * 256);
    places.push(place);
  }
  return { copy, places };
}

/** Where the tag of a table, a prototype or a cell may stand, behind a link to another object and before a colour. @param {Uint8Array} memory @param {{ bits: 32 | 64, lua: string }} image */
function likelyTags(memory, { bits, lua }) {
  const colours = lua === "5.3" ? [1, 2] : [8, 16];
  const linkBytes = bits / 8, view = new DataView(memory.buffer, memory.byteOffset);
  const isLink = (/** @type {number} */ at) => view.getUint32(at, true) % linkBytes === 0 && view.getUint32(at, true) < memory.length;
  return usedWords(memory).map((at) => at + linkBytes)
    .filter((at) => at + 1 < memory.length && [5, 9, 10].includes(memory[at]) && colours.includes(memory[at + 1]) && isLink(at - linkBytes));
}

/** @param {Uint8Array} memory @param {boolean} thoroughly  every walk that there is @returns {Promise<"refused" | "trapped" | "sound">} */
async function judge(memory, thoroughly) {
  try {
    const heap = await attach(memory, { loadWalker });
    assert.equal(heap.books().unaccounted, 0);
    const results = heap.profile({ retained: thoroughly });
    assert.equal(Object.values(results.sizes).reduce((sum, bytes) => sum + bytes, 0), results.totalSize);
    assert.equal(results.totalSize + results.garbage, results.luaSize);
    if (thoroughly) heap.graph();
    heap.close();
    return "sound";
  } catch (error) {
    if (!(error instanceof MembuddyError)) throw error;
    assert.match(error.message, /^the memory[ :]/);
    assert.ok(!error.message.includes("\n") && error.message.length < 600, error.message);
    return error.message.includes("its books balance, but") ? "trapped" : "refused";
  }
}

for (const [index, image] of ourImages.entries())
  describe(`${image.name}, ${damages} damaged memories, seed ${seed}`, () => {
    test("each is refused in words, or its books balance", async () => {
      const process = await spawnProcess(image.file);
      await process.eval("Balances = {} for i = 1, 50 do Balances['a' .. i] = { i, coroutine.create(function() return i end) } end");
      const memory = new Uint8Array(/** @type {Uint8Array} */ (process.memory));
      const words = usedWords(memory), random = randomFrom(seed * 4 + index);
      const count = { refused: 0, trapped: 0, sound: 0 };
      for (let i = 0; i < damages; i++) {
        const { copy, places } = damaged(memory, words, random);
        const steps = await stepsOf(async () => {
          const verdict = await judge(copy, i % 4 === 0).catch((error) => assert.fail(`damage ${i} at ${places.join(", ")}: ${error.stack}`));
          count[verdict] += 1;
        });
        assert.ok(steps < mostSteps, `damage ${i} at ${places.join(", ")} took ${steps} steps`);
      }
      assert.ok(count.refused > damages / 10 && count.sound > 0, JSON.stringify(count));
      assert.ok(count.trapped <= damages / 250, `the check lets too much pass: ${JSON.stringify(count)}`); // told in words, too
    });

    test("a tag with a bit that no object of its kind has is refused", async () => {
      const process = await spawnProcess(image.file);
      await process.eval("return 1");
      const memory = new Uint8Array(/** @type {Uint8Array} */ (process.memory)).slice();
      const tags = likelyTags(memory, image), random = randomFrom(seed);
      let refused = 0;
      for (let i = 0; i < 60; i += 1) {
        const at = tags[Math.floor(random() * tags.length)];
        memory[at] ^= 0x10;
        refused += Number((await judge(memory, false)) === "refused");
        memory[at] ^= 0x10;
      }
      assert.ok(refused >= 50, `${refused} of 60 were refused`); // the others are no tags
    });
  });
