/**
 * Files that are there whole or not at all: written beside their place, then renamed. What breaks off, by an error or by
 * Ctrl-C, leaves nothing.
 */
import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { MembuddyError, messageOf } from "./errors.js";

/** @typedef {{ write: (piece: string | Uint8Array) => void, bytes: () => number }} FileWriter */

/** @type {Set<string>} */
const unfinished = new Set();
function removeUnfinished() {
  for (const path of unfinished) rmSync(path, { force: true });
  unfinished.clear();
}

/** @param {"SIGINT" | "SIGTERM" | "SIGHUP"} signal */
function endBySignal(signal) {
  removeUnfinished();
  process.exit(128 + { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }[signal]);
}
const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

/** @param {number} descriptor @param {Uint8Array} bytes */
function writeAll(descriptor, bytes) {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
}

/**
 * @template T
 * @param {string} path @param {(file: FileWriter) => T | Promise<T>} produce  writes the file, piece by piece
 * @returns {Promise<T>}
 */
export async function writeWhole(path, produce) {
  const temporary = `${path}.${process.pid}.tmp`;
  /** @type {number | undefined} */
  let descriptor;
  try {
    descriptor = openSync(temporary, "wx");
  } catch (error) {
    throw new MembuddyError(`${path} cannot be written: ${messageOf(error)}`, { cause: error });
  }
  if (unfinished.size === 0) for (const signal of signals) process.on(signal, endBySignal);
  unfinished.add(temporary);
  let count = 0;
  try {
    const made = await produce({
      write(piece) {
        const bytes = typeof piece === "string" ? Buffer.from(piece) : piece;
        writeAll(/** @type {number} */ (descriptor), bytes);
        count += bytes.length;
      },
      bytes: () => count,
    });
    closeSync(descriptor);
    descriptor = undefined;
    renameSync(temporary, path);
    return made;
  } catch (error) {
    const code = /** @type {any} */ (error).code;
    if (code === "ENOSPC" || code === "EIO" || code === "EDQUOT")
      throw new MembuddyError(`${path} could not be written to its end: ${messageOf(error)}; nothing is left of it`, { cause: error });
    throw error;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
    rmSync(temporary, { force: true });
    unfinished.delete(temporary);
    if (unfinished.size === 0) for (const signal of signals) process.off(signal, endBySignal);
  }
}
