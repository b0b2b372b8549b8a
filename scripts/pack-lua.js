/**
 * Makes Lua small without changing what it does: comments and white space go, local variables get short names, and
 * where it is kept as data, frequent pairs of bytes become one byte (from 0x80 on), again and again.
 *
 *   node scripts/pack-lua.js INPUT.lua OUTPUT.h    a header with the packed text and its table of pairs
 *
 * The text must be ASCII. A line keeps its end where Lua would otherwise read two statements as one.
 */
import { readFile, rename, writeFile, mkdir } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";

const keywords = new Set(("and break do else elseif end false for function goto if in local nil not or repeat return then " +
  "true until while").split(" "));
// Names of the program's environment: a local of the same name keeps it.
const globals = new Set(("_ENV _G _VERSION assert bit32 collectgarbage coroutine debug dofile error getmetatable io ipairs load " +
  "loadfile loadstring math module next os package pairs pcall print rawequal rawget rawlen rawset require select " +
  "setmetatable setfenv self string table tonumber tostring type unpack utf8 xpcall ao json Handlers Send Inbox Errors Owner").split(" "));
const token = /--\[(=*)\[[^]*?\]\1\]|--[^\n]*|\[(=*)\[[^]*?\]\2\]|"(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*'|0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\.\.\.|\.\.|::|<<|>>|\/\/|[=~<>]=|\s+|[^]/g;

/** @typedef {{ text: string, newline: boolean }} Token */

/** @param {string} source @returns {Token[]} without comments and white space */
function tokensOf(source) {
  /** @type {Token[]} */
  const tokens = [];
  let newline = false;
  for (const [text] of source.matchAll(token)) {
    if (/^(?:--|\s)/.test(text)) newline ||= text.includes("\n");
    else {
      tokens.push({ text, newline });
      newline = false;
    }
  }
  return tokens;
}

const isName = (/** @type {string | undefined} */ text) => text !== undefined && /^[A-Za-z_]/.test(text) && !keywords.has(text);

/** Which tokens are names of fields, not of variables. @param {Token[]} tokens */
function fieldsAmong(tokens) {
  /** @type {Set<number>} */
  const fields = new Set();
  /** @type {string[]} */
  const open = [];
  tokens.forEach(({ text }, at) => {
    const before = tokens[at - 1]?.text, after = tokens[at + 1]?.text;
    if (/^(?:[({[]|function|do|then|repeat)$/.test(text)) open.push(text);
    if (/^(?:[)}\]]|end|until|elseif)$/.test(text)) open.pop();
    if (!isName(text)) return;
    const isKey = after === "=" && open.at(-1) === "{" && (before === "{" || before === "," || before === ";");
    if (before === "." || before === ":" || before === "goto" || before === "::" || isKey) fields.add(at);
  });
  return fields;
}

/** Adds the names of a list that begins at a token. @param {Token[]} tokens @param {number} at @param {Set<string>} names */
function addList(tokens, at, names) {
  for (; isName(tokens[at]?.text); at += 2) {
    names.add(tokens[at].text);
    if (tokens[at + 1]?.text === "<") at += 3;
    if (tokens[at + 1]?.text !== ",") break;
  }
}

/** @param {Token[]} tokens @returns {Set<string>} every local variable and parameter */
function localsOf(tokens) {
  /** @type {Set<string>} */
  const names = new Set();
  tokens.forEach(({ text }, at) => {
    if (text === "local" && tokens[at + 1].text !== "function") addList(tokens, at + 1, names);
    if (text === "local" && tokens[at + 1].text === "function") names.add(tokens[at + 2].text);
    if (text === "for") addList(tokens, at + 1, names);
    if (text === "function") {
      let parameters = at + 1;
      while (tokens[parameters].text !== "(") parameters += 1;
      addList(tokens, parameters + 1, names);
    }
  });
  return names;
}

/** a, b, ... z, A, ... Z, aa, ... @param {number} index @returns {string} */
function shortName(index) {
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return (index >= letters.length ? shortName(Math.floor(index / letters.length) - 1) : "") + letters[index % letters.length];
}

/** The most frequent local gets the shortest name. @param {Token[]} tokens */
function renameLocals(tokens) {
  const fields = fieldsAmong(tokens);
  const locals = localsOf(tokens);
  /** @type {Map<string, number>} */
  const uses = new Map();
  /** @type {Set<string>} */
  const taken = new Set([...keywords, ...globals]);
  tokens.forEach(({ text }, at) => {
    if (!isName(text) || fields.has(at)) return;
    if (locals.has(text) && !globals.has(text)) uses.set(text, (uses.get(text) ?? 0) + 1);
    else taken.add(text);
  });
  /** @type {Map<string, string>} */
  const names = new Map();
  let index = 0;
  for (const [name] of [...uses].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))) {
    while (taken.has(shortName(index))) index += 1;
    names.set(name, shortName(index++));
  }
  return tokens.map((one, at) => (fields.has(at) ? one : { ...one, text: names.get(one.text) ?? one.text }));
}

/** @param {string} source @returns {string} */
export function minified(source) {
  let text = "";
  let last = "";
  for (const { text: next, newline } of renameLocals(tokensOf(source))) {
    const words = /\w$/.test(last) && /^\w/.test(next);
    const numberThenDots = /\d$/.test(last) && next.startsWith(".");
    const symbols = /[-[=.:<>~/]$/.test(last) && /^[-[=.:<>~/]/.test(next) && !/^\.\.?\.?$/.test(last);
    const mayJoin = newline && next === "("; // a call, or a new statement
    text += (text === "" ? "" : mayJoin ? "\n" : words || numberThenDots || symbols ? " " : "") + next;
    last = next;
  }
  return `${text}\n`;
}

const firstPair = 0x80;
const mostPairs = 128;
const longestPiece = 64;

/**
 * @param {string} text ASCII
 * @returns {{ packed: number[], pairs: [number, number][] }}
 */
export function packed(text) {
  let bytes = [...Buffer.from(text, "ascii")];
  /** @type {[number, number][]} */
  const pairs = [];
  const lengths = Array.from({ length: 256 }, () => 1);
  while (pairs.length < mostPairs) {
    /** @type {Map<number, number>} */
    const counts = new Map();
    let previous = -1;
    for (let i = 0; i + 1 < bytes.length; i++) {
      const pair = bytes[i] * 256 + bytes[i + 1];
      if (pair === previous && bytes[i] === bytes[i + 1]) previous = -1; // "aaa" is one pair
      else counts.set((previous = pair), (counts.get(pair) ?? 0) + 1);
    }
    const fitting = [...counts].filter(([pair]) => lengths[pair >> 8] + lengths[pair & 255] <= longestPiece);
    const [pair, count] = fitting.reduce((best, one) => (one[1] > best[1] ? one : best), [0, 0]);
    if (count < 4) break;
    const symbol = firstPair + pairs.length;
    pairs.push([pair >> 8, pair & 255]);
    lengths[symbol] = lengths[pair >> 8] + lengths[pair & 255];
    const next = [];
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] * 256 + bytes[i + 1] === pair) {
        next.push(symbol);
        i += 1;
      } else next.push(bytes[i]);
    }
    bytes = next;
  }
  return { packed: bytes, pairs };
}

/** @param {number[]} bytes */
const rows = (bytes) => bytes.reduce((text, byte, i) => text + (i % 24 === 0 ? "\n    " : " ") + byte + ",", "");

/** @param {string} source @param {string} name */
function header(source, name) {
  const { packed: bytes, pairs } = packed(minified(source));
  return `/* Made of ${name} by scripts/pack-lua.js. */
#define PACKED_LONGEST_PIECE ${longestPiece}
static const unsigned char packed_pairs[][2] = {${rows(pairs.flat())}
};
static const unsigned char packed_text[] = {${rows(bytes)}
};
`.replace(/(\d+), (\d+),(?=[^}]*\n};\nstatic)/g, "{$1, $2},");
}

/** @param {string} file @param {string} text */
export async function writeWhole(file, text) {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [input, output] = process.argv.slice(2);
  await writeWhole(output, header(await readFile(input, "utf8"), path.basename(input)));
}
