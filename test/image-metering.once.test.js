/**
 * Our images in the loader's formats that meter, where every instruction is charged: its meter writes the image anew (some
 * seconds each), and fails on instructions that it does not know.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { converse } from "./support/conversation.js";
import { ourImages, stockImage } from "./support/images.js";
import { spawnProcess } from "./support/process.js";

/** @type {Record<number, string>} */
const metering = { 64: "wasm64-unknown-emscripten-draft_2024_10_16-metering", 32: "wasm32-unknown-emscripten-metering" };

/** @param {import("./support/images.js").Image} image */
const spawnMetered = (image) => spawnProcess(image.file, { format: metering[image.bits] });

const { GasUsed: stockGas = 0 } = (await spawnMetered(stockImage)).spawnResult;
const stockConversation = await converse(await spawnProcess(stockImage.file));

for (const image of ourImages)
  test(`${image.name}, metered, answers as the official image does, its books hold, and its boot costs no more`, async () => {
    const process = await spawnMetered(image);
    const { GasUsed: gas = 0 } = process.spawnResult;
    assert.deepEqual(await converse(process), stockConversation);
    assert.equal(await process.eval(`return require("membuddy").profile().unaccounted`), "0");
    assert.ok(gas > 0 && gas <= stockGas, `${gas} against ${stockGas}`);
  });
