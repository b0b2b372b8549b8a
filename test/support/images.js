/** The images that tests run: ours, and the official ones that they are compared with. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);
const inRoot = (/** @type {string} */ path) => fileURLToPath(new URL(path, root));

/**
 * @typedef {object} Image
 * @property {string} name
 * @property {string} file
 * @property {"5.3" | "5.4"} lua
 * @property {32 | 64} bits
 */

/** @type {Image[]} */
export const ourImages = [
  { lua: "5.4", bits: 64 },
  { lua: "5.4", bits: 32 },
  { lua: "5.3", bits: 64 },
  { lua: "5.3", bits: 32 },
].map(({ lua, bits }) => {
  const name = `membuddy-lua${lua.replace(".", "")}-wasm${bits}`;
  return { name, file: inRoot(`dist/${name}.wasm`), lua: /** @type {"5.3" | "5.4"} */ (lua), bits: /** @type {32 | 64} */ (bits) };
});

/** @type {Image} */
export const stockImage = { name: "aos 2.0.6", file: inRoot("build/specimens/aos2_0_6.wasm"), lua: "5.3", bits: 64 };

/** @type {Image} aos 2.0.4, the published image for 32 bits */
export const stockImage32 = { name: "aos 2.0.4", file: inRoot("build/specimens/aos2_0_4_32.wasm"), lua: "5.3", bits: 32 };

/** @param {Image} image */
export const bytesOf = (image) => new Uint8Array(readFileSync(image.file));
