/**
 * Makes Lua small without changing what it does: comments and white space go, local variables get short names, and
 * where it is kept as data, frequent pairs of bytes become one byte (from 0x80 on), again and again.
 * In the header the bytes below a space stand for pairs, too: they come behind 0xFF.
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
const token = /--\[(=*)\[[^]*?\]\1\]|--[^\n]*|\[(=*)\[[^]*?\]\2\]|"(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*'|0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\.\.\.|\.\.|::|<<|>>|\/\/|[=~<>]=|\s+|[^]/g;

/** @typedef {{ text: string, newlines: number }} Token how many lines end in front of it */

/** @param {string} source @returns {Token[]} without comments and white space */
function tokensOf(source) {
  /** @type {Token[]} */
  const tokens = [];
  let newlines = 0;
  for (const [text] of source.matchAll(token)) {
    if (/^(?:--|\s)/.test(text)) newlines += text.split("\n").length - 1;
    else {
      tokens.push({ text, newlines });
      newlines = 0;
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

/**
 * A local variable: where it is used, and from which token to which it is visible.
 * @typedef {{ name: string, uses: number[], from: number, to: number }} Variable
 * @typedef {{ closes: string, names: Map<string, Variable> }} Block
 */

const operators = new Set("+ - * / // % ^ # & | ~ << >> .. == ~= <= >= < > = and or not , ; ( { [ . : in".split(" "));
const goesOn = new Set("+ - * / // % ^ & | ~ << >> .. == ~= <= >= < > and or , ( { [ . :".split(" "));

/** True if an expression that has come to a token ends in front of the next one. @param {string} text @param {string | undefined} next */
const endsHere = (text, next) => !operators.has(text) && !(next !== undefined && (goesOn.has(next) || /^["'[]/.test(next)));

/** Finds what every name means, as Lua's scopes say. */
class Scopes {
  /** @type {Variable[]} */
  variables = [];
  /** @type {Map<string, number[]>} names that are no local variable, and where they are used */
  globals = new Map();
  /** @type {Block[]} */
  #blocks = [];
  /** @type {{ names: string[], depth: number, isUntil: boolean }[]} what becomes visible, or ends, behind an expression */
  #pending = [];
  /** @type {string[]} */
  #loopNames = [];
  #tokens;
  #fields;

  /** @param {Token[]} tokens */
  constructor(tokens) {
    this.#tokens = tokens;
    this.#fields = fieldsAmong(tokens);
    this.#open("");
    for (let at = 0; at < tokens.length; at++) at = this.#read(at);
    while (this.#blocks.length > 0) this.#close(tokens.length);
  }

  /** @param {string} closes */
  #open(closes) { this.#blocks.push({ closes, names: new Map() }); }

  /** @param {number} at */
  #close(at) { for (const variable of this.#blocks.pop()?.names.values() ?? []) variable.to = at; }

  /** @param {string} name @param {number} at */
  #declare(name, at) {
    const block = /** @type {Block} */ (this.#blocks.at(-1));
    const hidden = block.names.get(name);
    if (hidden) hidden.to = at;
    const variable = { name, uses: [], from: at, to: this.#tokens.length };
    block.names.set(name, variable);
    this.variables.push(variable);
  }

  /** @param {number} at */
  #use(at) {
    const name = this.#tokens[at].text;
    const block = [...this.#blocks].reverse().find(({ names }) => names.has(name));
    if (block) /** @type {Variable} */ (block.names.get(name)).uses.push(at);
    else this.globals.set(name, [...(this.globals.get(name) ?? []), at]);
  }

  /** The names of a list, and the token behind it. @param {number} at @returns {[string[], number]} */
  #list(at) {
    const names = [];
    for (; isName(this.#tokens[at]?.text); at++) {
      names.push(this.#tokens[at].text);
      if (this.#tokens[at + 1]?.text !== ",") return [names, at + 1];
      at += 1;
    }
    return [names, at];
  }

  /** @param {string[]} names @param {number} first where the list stands, whose names are uses as well */
  #declareList(names, first) {
    names.forEach((name, index) => {
      this.#declare(name, first);
      this.variables.at(-1)?.uses.push(first + 2 * index);
    });
  }

  /** Reads a token, or a head of several; gives the last one read. @param {number} at @returns {number} */
  #read(at) {
    const tokens = this.#tokens, { text } = tokens[at];
    let last = at;
    if (text === "local" && tokens[at + 1].text === "function") {
      this.#declareList([tokens[at + 2].text], at + 2);
      last = this.#parameters(at + 3);
    } else if (text === "local") {
      const [names, behind] = this.#list(at + 1);
      if (tokens[behind]?.text === "=") this.#pending.push({ names: [String(at + 1), ...names], depth: this.#depth(at), isUntil: false });
      else this.#declareList(names, at + 1);
      return behind - (tokens[behind]?.text === "=" ? 0 : 1);
    } else if (text === "function") {
      for (last = at + 1; tokens[last].text !== "("; last++) if (isName(tokens[last].text) && !this.#fields.has(last)) this.#use(last);
      last = this.#parameters(last);
    } else if (text === "for") {
      const [names, behind] = this.#list(at + 1);
      this.#loopNames = [String(at + 1), ...names];
      return behind - 1;
    } else if (text === "do") {
      this.#open("end");
      this.#declareList(this.#loopNames.slice(1), Number(this.#loopNames[0]));
      this.#loopNames = [];
    } else if (text === "then" || text === "repeat" || text === "{" || text === "(" || text === "[") this.#open(text);
    else if (text === "else") {
      this.#close(at);
      this.#open("then");
    } else if (text === "until") this.#pending.push({ names: [], depth: this.#depth(at), isUntil: true });
    else if (text === "end" || text === "elseif" || text === "}" || text === ")" || text === "]") this.#close(at);
    else if (isName(text) && !this.#fields.has(at)) this.#use(at);
    this.#finish(last);
    return last;
  }

  /** @param {number} at */
  #depth(at) { return at < 0 ? 0 : this.#blocks.length; }

  /** From the parenthesis on. @param {number} at */
  #parameters(at) {
    this.#open("end");
    const [names, behind] = this.#list(at + 1);
    this.#declareList(names, at + 1);
    return this.#tokens[behind].text === "..." ? behind + 1 : behind;
  }

  /** Ends the statements whose expression ends here. @param {number} at */
  #finish(at) {
    for (;;) {
      const pending = this.#pending.at(-1);
      if (!pending || pending.depth !== this.#blocks.length || !endsHere(this.#tokens[at].text, this.#tokens[at + 1]?.text)) return;
      if (keywords.has(this.#tokens[at].text) && !/^(?:end|nil|true|false)$/.test(this.#tokens[at].text)) return;
      this.#pending.pop();
      if (pending.isUntil) this.#close(at + 1);
      else {
        this.#declareList(pending.names.slice(1), Number(pending.names[0]));
        for (const variable of this.variables.slice(1 - pending.names.length)) variable.from = at + 1;
      }
    }
  }
}

/** a, b, ... z, A, ... Z, aa, ... @param {number} index @returns {string} */
function shortName(index) {
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return (index >= letters.length ? shortName(Math.floor(index / letters.length) - 1) : "") + letters[index % letters.length];
}

/**
 * The most frequent local gets the shortest name. Two share a name where neither is used while the other one is visible.
 * @param {Token[]} tokens
 */
function renameLocals(tokens) {
  const { variables, globals } = new Scopes(tokens);
  /** @type {(Variable | undefined)[]} */
  const meaning = [];
  for (const variable of variables) for (const at of variable.uses) meaning[at] = variable;
  /** @type {Map<Variable, Set<Variable>>} */
  const conflicts = new Map(variables.map((variable) => [variable, new Set()]));
  for (const one of variables) {
    for (let at = one.from; at < one.to; at++) {
      const other = meaning[at];
      if (!other || other === one) continue;
      conflicts.get(one)?.add(other);
      conflicts.get(other)?.add(one);
    }
  }
  const taken = new Set([...keywords, ...globals.keys()]);
  /** @type {Map<Variable, string>} */
  const names = new Map();
  for (const variable of [...variables].sort((a, b) => b.uses.length - a.uses.length || a.from - b.from)) {
    const others = new Set([...conflicts.get(variable) ?? []].map((other) => names.get(other)));
    let index = 0;
    while (taken.has(shortName(index)) || others.has(shortName(index))) index += 1;
    names.set(variable, shortName(index));
  }
  return tokens.map((one, at) => {
    const variable = meaning[at];
    return variable ? { ...one, text: names.get(variable) ?? one.text } : one;
  });
}

/** @param {string} source @param {boolean} [keepsLines] every token in its line, for the test @returns {string} */
export function minified(source, keepsLines = false) {
  let text = "";
  let last = "";
  for (const { text: next, newlines } of renameLocals(tokensOf(source))) {
    const words = /\w$/.test(last) && /^\w/.test(next);
    const numberThenDots = /^\.?\d/.test(last) && next.startsWith(".");
    const symbols = /[-[=.:<>~/]$/.test(last) && /^[-[=.:<>~/]/.test(next) && (!last.endsWith(".") || next.startsWith("."));
    const mayJoin = newlines > 0 && next === "("; // a call, or a new statement
    if (keepsLines) text += "\n".repeat(newlines);
    text += (text === "" ? "" : mayJoin && !keepsLines ? "\n" : words || numberThenDots || symbols ? " " : "") + next;
    last = next;
  }
  return `${text}\n`;
}

const firstPair = 0x80;
const mostPairs = 128; // bytes that are no ASCII
const mostPairsOfHeader = mostPairs + 0x20; // and those below a space
const longestPiece = 64;

/** The byte that stands for a pair. @param {number} index */
const symbolOf = (index) => (firstPair + index) % 256;

/**
 * The text in as few bytes as these pairs allow: joined in their order, some stood in the way of longer ones.
 * @param {string} text @param {[number, number][]} pairs @returns {number[]}
 */
function shortest(text, pairs) {
  const pieces = Array.from({ length: firstPair }, (_, code) => String.fromCharCode(code));
  pairs.forEach(([one, other], index) => (pieces[symbolOf(index)] = pieces[one] + pieces[other]));
  /** @type {number[][]} */
  const beginningWith = Array.from({ length: firstPair }, () => []);
  pieces.forEach((piece, symbol) => beginningWith[piece.charCodeAt(0)].push(symbol));
  const left = new Uint32Array(text.length + 1); // bytes, from here on
  const choice = new Uint8Array(text.length);
  for (let at = text.length - 1; at >= 0; at--) {
    left[at] = text.length;
    for (const symbol of beginningWith[text.charCodeAt(at)]) {
      const bytes = left[at + pieces[symbol].length] + 1;
      if (bytes <= left[at] && text.startsWith(pieces[symbol], at)) [left[at], choice[at]] = [bytes, symbol];
    }
  }
  const bytes = [];
  for (let at = 0; at < text.length; at += pieces[choice[at]].length) bytes.push(choice[at]);
  return bytes;
}

/**
 * @param {string} text ASCII
 * @param {number} [most] pairs
 * @returns {{ packed: number[], pairs: [number, number][] }}
 */
export function packed(text, most = mostPairs) {
  const taken = new Set(Array.from({ length: most }, (_, index) => String.fromCharCode(symbolOf(index))));
  if ([...text].some((character) => taken.has(character))) throw new Error("this text has characters that stand for pairs");
  let bytes = [...Buffer.from(text, "ascii")];
  /** @type {[number, number][]} */
  const pairs = [];
  const lengths = Array.from({ length: 256 }, () => 1);
  while (pairs.length < most) {
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
    const symbol = symbolOf(pairs.length);
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
  return { packed: shortest(text, pairs), pairs };
}

/** @param {number[]} bytes */
const rows = (bytes) => bytes.reduce((text, byte, i) => text + (i % 24 === 0 ? "\n    " : " ") + byte + ",", "");

/** @param {string} source @param {string} name */
function header(source, name) {
  const { packed: bytes, pairs } = packed(minified(source).trimEnd(), mostPairsOfHeader);
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
