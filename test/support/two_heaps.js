/** A memory with two heaps: one memory behind the other, whose addresses lead to where it stands now. */
import { attach } from "../../cli/attach.js";
import { readImage } from "../../cli/image.js";
import { bytesOf, ourImages } from "./images.js";

/** Both are memories of this image: wide words are taken for addresses by mistake least of all. */
export const image = ourImages[0];

const globalState = 24; // its address in lua_State
const figures = { begin: 16, end: 48 }; // of the collector in global_State, which may read like addresses

/** @param {Uint8Array} first @param {Uint8Array} second */
export async function twoHeaps(first, second) {
  const { heapBegin = 0 } = await readImage(bytesOf(image)), { state } = await attach(second);
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  const words = new DataView(both.buffer, first.length);
  const global = Number(words.getBigUint64(state + globalState, true));
  for (let at = heapBegin; at < second.length; at += 8) {
    const word = words.getBigUint64(at, true), isFigure = at >= global + figures.begin && at < global + figures.end;
    if (!isFigure && word % 8n === 0n && word >= heapBegin && word < second.length) words.setBigUint64(at, word + BigInt(first.length), true);
  }
  return both;
}
