/**
 * Files that are there whole or not at all: written beside their place, then renamed. What breaks off, by an error or by
 * Ctrl-C, leaves nothing. What is no regular file (a pipe, a terminal, /dev/null) is written to as it is.
 */
import { accessSync, closeSync, constants, existsSync, fchmodSync, fstatSync, lstatSync, openSync, readlinkSync, realpathSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { MembuddyError, isOfSystem, reasonOf } from "./errors.js";

/**
 * @typedef {{ write: (piece: string | Uint8Array) => void }} FileWriter
 * @typedef {import("node:fs").Stats} Stats
 */

const standardInput = 0, standardOutput = 1;

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

/** What came while nothing else could run: signals are looked for between the two. */
const signalsTurn = () => new Promise((resolve) => setTimeout(() => setImmediate(resolve)));

/** Waits where a pipe is full. */
const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);

/** @param {number} descriptor @returns {FileWriter} */
const writerOf = (descriptor) => ({
  write(piece) {
    const bytes = typeof piece === "string" ? Buffer.from(piece) : piece;
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(descriptor, bytes, at);
      } catch (error) {
        const { code } = /** @type {NodeJS.ErrnoException} */ (error);
        if (code === "EPIPE") process.exit(0); // who reads has had enough (`membuddy FILE | head`)
        if (code !== "EAGAIN") throw error;
        pause();
      }
    }
  },
});

/* ---- where to ---- */

/** @param {string} path @param {unknown} error */
function unwritable(path, error) {
  const reason = existsSync(dirname(path)) ? reasonOf(error) : `there is no folder ${dirname(path)}`;
  return new MembuddyError(`${path} cannot be written: ${reason}`, { cause: error });
}

/** @param {Stats | undefined} a @param {Stats | undefined} b */
const isSame = (a, b) => a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;

/** @param {string} path */
function inputStat(path) {
  try {
    return path === "-" ? fstatSync(standardInput) : statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // who reads it says why it cannot be read
  }
}

/** Where a chain of links leads; nothing needs to be there. @param {string} path @param {number} [most] */
function followLinks(path, most = 40) {
  while (most-- > 0 && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink())
    path = resolve(realpathSync(dirname(path)), readlinkSync(path));
  return path;
}

/** Whether a result is made beside what is there, and takes its place. @param {Stats | undefined} there */
const isReplaced = (there) => !there || (there.isFile() && !isSame(there, fstatSync(standardOutput)));

/**
 * That a result can go to this path, before there is one.
 * @param {string} path `-` is the standard output @param {string[]} [inputs]  that are read for it
 * @returns {Stats | undefined} what is there already
 */
export function checkOutput(path, inputs = []) {
  if (path === "-") return fstatSync(standardOutput);
  if (path === "") throw new MembuddyError("the name of the output is empty; name the file to write");
  let there;
  try {
    there = statSync(path, { throwIfNoEntry: false });
    if (there?.isFile()) accessSync(path, constants.W_OK);
    if (isReplaced(there)) accessSync(dirname(followLinks(path)), constants.W_OK);
  } catch (error) {
    throw unwritable(path, error);
  }
  if (there?.isDirectory() || path.endsWith("/")) throw new MembuddyError(`${path} is a directory; name the file to write`);
  if (there?.isFile() && inputs.some((input) => isSame(there, inputStat(input))))
    throw new MembuddyError(`${path} is read for the result, which would replace it; name another file to write`);
  return there;
}

/* ---- writing ---- */

/**
 * @template T
 * @param {string} path  as the user calls it @param {string} place @param {string} flags @param {(descriptor: number) => Promise<T>} use
 * @returns {Promise<T>}
 */
async function withDescriptor(path, place, flags, use) {
  let descriptor;
  try {
    descriptor = openSync(place, flags);
  } catch (error) {
    throw unwritable(path, error);
  }
  try {
    return await use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** @param {string} path @param {unknown} error @param {string} [rest] */
function unfinishedError(path, error, rest = "") {
  if (!isOfSystem(error)) return error;
  return new MembuddyError(`${path} could not be written to its end: ${reasonOf(error)}${rest}`, { cause: error });
}

/** The result of a command, where it is a text. @param {string} text */
export function writeOut(text) {
  try {
    writerOf(standardOutput).write(text);
  } catch (error) {
    throw unfinishedError("the standard output", error);
  }
}

/** @template T @param {string} path @param {number} descriptor @param {(file: FileWriter) => T | Promise<T>} produce @returns {Promise<T>} */
async function writeThrough(path, descriptor, produce) {
  try {
    return await produce(writerOf(descriptor));
  } catch (error) {
    throw unfinishedError(path, error);
  }
}

const mostOfName = 60; // characters: with what is added no name is too long

/** A process's number is the same again and again in a container: what one left that was killed must not stand in the way. @param {string} place */
async function besides(place) {
  const { randomUUID } = await import("node:crypto");
  return join(dirname(place), `${basename(place).slice(0, mostOfName)}.${randomUUID().slice(0, 13)}.tmp`);
}

/**
 * @template T
 * @param {string} path @param {number | undefined} mode  of the file that it replaces @param {(file: FileWriter) => T | Promise<T>} produce
 * @returns {Promise<T>}
 */
async function replaceFile(path, mode, produce) {
  const place = followLinks(path), temporary = await besides(place);
  if (unfinished.size === 0) for (const signal of signals) process.on(signal, endBySignal);
  try {
    const made = await withDescriptor(path, temporary, "wx", async (descriptor) => {
      unfinished.add(temporary);
      if (mode !== undefined) fchmodSync(descriptor, mode & 0o7777);
      return produce(writerOf(descriptor));
    });
    await signalsTurn();
    renameSync(temporary, place);
    return made;
  } catch (error) {
    throw unfinishedError(path, error, "; nothing is left of it");
  } finally {
    if (unfinished.delete(temporary)) rmSync(temporary, { force: true });
    if (unfinished.size === 0) for (const signal of signals) process.off(signal, endBySignal);
  }
}

/**
 * @template T
 * @param {string} path `-` is the standard output @param {(file: FileWriter) => T | Promise<T>} produce  writes the file, piece by piece
 * @returns {Promise<T>}
 */
export async function writeWhole(path, produce) {
  const there = checkOutput(path);
  if (isReplaced(there)) return replaceFile(path, there?.mode, produce);
  if (isSame(there, fstatSync(standardOutput))) return writeThrough(path === "-" ? "the standard output" : path, standardOutput, produce); // by whatever name
  return withDescriptor(path, path, "w", (descriptor) => writeThrough(path, descriptor, produce));
}
