import { showUnseen } from "./unseen.js";

/**
 * An error that tells its reader what was wrong and what to do: shown without a stack.
 */
export class MembuddyError extends Error {
  /** @param {string} message @param {{ cause?: unknown }} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = "MembuddyError";
  }
}

/** A command line that can't be meant so, whatever the memory is. */
export class UsageError extends MembuddyError {}

/** @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/** Of Node.js's error of a file its reason alone: the call and the path, which may be a temporary one, are ours. @param {unknown} error */
export const reasonOf = (error) => messageOf(error).replace(/^E[A-Z0-9]+: /, "").replace(/, [a-z]+( '.*)?$/s, "");

/** Whether the system refused: to read, to write, to rename. @param {unknown} error */
export const isOfSystem = (error) => typeof /** @type {NodeJS.ErrnoException | null} */ (error)?.syscall === "string";

/** @param {number} bytes */
export const grouped = (bytes) => bytes.toLocaleString("en-US");

/** `1 other`, `2,000 others`. @param {number} count @param {string} one  what they are called, with an s where they are several */
export const counted = (count, one) => `${grouped(count)} ${one}${count === 1 ? "" : "s"}`;

/** @param {string} character */
const code = (character) => `\\x${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

/** A name that somebody else may have chosen, as a terminal shows it and does not obey it. @param {string} name */
export const shownName = (name) => showUnseen(name.replace(/\p{Cc}/gu, code));

/** The same as a word of a command line, to be pasted into a shell. @param {string} name */
export const shownWord = (name) => (/^[\w@%+=:,./-]+$/.test(name) ? name : `'${shownName(name).replaceAll("'", "'\\''")}'`);

/** The same of lines that are ours. @param {string} text */
export const shownLines = (text) => text.split("\n").map(shownName).join("\n");
