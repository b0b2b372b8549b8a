/**
 * What every subcommand gets: opening memories with progress, options of a report, colours, and the way out.
 */
import { InvalidArgumentError, Option } from "commander";
import pc from "picocolors";
import { attach } from "./attach.js";
import { MembuddyError, messageOf, shownName } from "./errors.js";
import { checkOutput, writeOut, writeWhole } from "./files.js";
import { splitPath } from "./graph.js";
import { readBytes } from "./input.js";
import { startProgress } from "./progress.js";
import { otherHeapsNote } from "./report.js";
import { readUnseen, showUnseen } from "./unseen.js";

/**
 * @typedef {import("commander").Command} Command
 * @typedef {import("./options.js").ReportOptions} ReportOptions
 * @typedef {Awaited<ReturnType<typeof attach>>} Heap
 *
 * @typedef {object} CommandOptions  of the command line
 * @property {number | "inf"} [depth] @property {number | false} [top] @property {number} [minSize]
 * @property {number | false} [children] @property {number | false} [lines]
 * @property {string} [target] @property {string} [module] @property {boolean} [json]
 */

const colours = pc.createColors(pc.isColorSupported && Boolean(process.stdout.isTTY));

/** @param {string} text @param {string} accepted @param {number} [least] */
function numberOf(text, accepted, least = 0) {
  if (!/^\d+$/.test(text) || Number(text) < least) throw new InvalidArgumentError(`${accepted} is needed.`);
  return Number(text);
}
/** @param {string} text */
const wholeNumber = (text) => numberOf(text, "a whole number from 0");
/** @param {string} text */
const positiveNumber = (text) => numberOf(text, "a whole number from 1", 1);
const numberOrAll = "a whole number from 0, or all,";
/** @param {string} text */
const limit = (text) => (text === "all" ? /** @type {false} */ (false) : numberOf(text, numberOrAll));
/** @param {string} text */
const depth = (text) => (text === "all" || text === "inf" ? "inf" : numberOf(text, numberOrAll));

/** @param {string} text */
function pathOf(text) {
  if (splitPath(text).every((step) => step === "" || step === "\\")) throw new InvalidArgumentError("a path, as a report gives it, is needed.");
  return readUnseen(text);
}

const unitBytes = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
/** `1500`, `4k`, `1.5m`. @param {string} text */
export function bytesOf(text) {
  const parts = /^(\d+(?:\.\d+)?)\s*(?:([kmg])i?)?b?$/i.exec(text);
  if (!parts) throw new InvalidArgumentError("a number of bytes is needed, such as 1500, 4k or 1.5m.");
  const unit = /** @type {keyof typeof unitBytes | undefined} */ (parts[2]?.toLowerCase());
  return Math.round(Number(parts[1]) * (unit ? unitBytes[unit] : 1));
}

/** @type {Record<"depth" | "top" | "minSize" | "children" | "lines" | "json" | "module", { flags: string, more?: string, read?: (text: string) => unknown }>} */
const shared = {
  depth: { flags: "--depth <steps>", more: "; all", read: depth },
  top: { flags: "--top <lines>", more: "; all", read: limit },
  minSize: { flags: "--min-size <bytes>", more: ": 1500, 4k, 1.5m", read: bytesOf },
  children: { flags: "--children <lines>", more: "; all", read: limit },
  lines: { flags: "--lines <lines>", more: "; all", read: limit },
  json: { flags: "--json" },
  module: { flags: "--module <file>" },
};

/** @type {Map<string, Promise<Blob>>} */
const modules = new Map();
/** The module of a command line, which may be of two memories and come through a pipe, once. @param {string} path */
function moduleOf(path) {
  const read = modules.get(path) ?? readBytes(path).then((bytes) => Object.assign(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (bytes)]), path !== "-" && { name: path }));
  modules.set(path, read);
  return read;
}

/** What is worth telling beside the result. @param {string} text */
function tell(text) {
  process.stderr.write(`${text}\n`);
}

export const context = {
  /** picocolors: plain where the output is no terminal. */
  colours,

  /** The result, and nothing else, goes to the standard output. @param {string} text */
  print(text) {
    writeOut(text.endsWith("\n") ? text : `${text}\n`);
  },
  /** A result for people: what a stranger's keys have in them turns round no line. @param {string[]} lines */
  asText: (lines) => showUnseen(lines.join("\n")),
  /** A result as one text, which has an end. @param {object} result */
  asJson(result) {
    try {
      return JSON.stringify(result);
    } catch (error) {
      throw new MembuddyError(`the result as JSON is longer than a text can be (${messageOf(error)}); ask for less (\`--depth\`, \`--lines\`, \`--chains\`)`, { cause: error });
    }
  },
  tell,

  /** @template T @param {(report: (progress: import("./attach.js").Progress) => void) => Promise<T>} work with progress on the terminal */
  async withProgress(work) {
    const progress = await startProgress();
    try {
      return await work(progress.report);
    } finally {
      await progress.end();
    }
  },

  /**
   * Attaches to a file, shows progress while `use` works, and closes the heap.
   * @template T @param {string} file @param {CommandOptions} options @param {(heap: Heap) => T | Promise<T>} use
   * @param {(note: string) => void} [tellOthers]  is given what there is to say of heaps that were not looked at
   */
  async withHeap(file, options, use, tellOthers = tell) {
    /** @type {string | undefined} */ let others;
    try {
      return await context.withProgress(async (onProgress) => {
        const heap = await attach(file, { module: options.module === undefined ? undefined : await moduleOf(options.module), onProgress });
        others = otherHeapsNote(heap, shownName(heap.name));
        try {
          return await use(heap);
        } finally {
          heap.close();
        }
      });
    } finally {
      if (others !== undefined) tellOthers(others); // the line of the progress is wiped now; where a path was not found this may be why
    }
  },

  checkOutput,
  writeWhole,
  wholeNumber,
  positiveNumber,
  pathOf,

  /**
   * Adds options that several commands have: spelt and read alike in all of them, each told in the command's own words.
   * @param {Command} command @param {Partial<Record<keyof typeof shared, { about: string, standard?: number, usual?: string }>>} wanted  by name;
   *   usual: the default, where it is no number or settled by the report (cli/options.js)
   */
  addOptions(command, wanted) {
    for (const [name, { about, standard, usual }] of Object.entries(wanted)) {
      const { flags, more = "", read } = shared[/** @type {keyof typeof shared} */ (name)];
      const option = new Option(flags, `${about}${more}${usual === undefined ? "" : ` (default: ${usual})`}`);
      if (read) option.argParser(read);
      if (standard !== undefined) option.default(standard);
      command.addOption(option);
    }
    return command;
  },

  /** @param {Command} command @param {string} whose */
  addModuleOption: (command, whose = "the process runs") =>
    context.addOptions(command, { module: { about: `the WASM that ${whose}: tells stack, allocator and version exactly` } }),

  /**
   * The options of what is listed, line by line, each told in the command's own words.
   * @param {Command} command @param {Record<"depth" | "top" | "minSize" | "json", string>} about @param {{ depth: number, top: number }} standard
   */
  addListOptions: (command, about, standard) => context.addOptions(command, {
    depth: { about: about.depth, standard: standard.depth },
    top: { about: about.top, standard: standard.top },
    minSize: { about: about.minSize, standard: 1 },
    json: { about: about.json },
  }),

  /** The limits of a list, as numbers. @param {CommandOptions} options */
  listLimits: ({ depth: steps, top, minSize = 0 }) => ({ depth: context.asNumber(steps), top: context.asNumber(top), minSize }),

  /** The options of a report, as in Lua. @param {Command} command */
  addReportOptions: (command) => context.addOptions(
    command.option("--target <path>", "only what is held by this, a path as the report gives it", pathOf), {
      depth: { about: "steps below the root", usual: "3" },
      top: { about: "lines that are printed", usual: "20" },
      minSize: { about: "smallest line that is printed", usual: "1" },
      children: { about: "lines that one table may have", usual: "256" },
      lines: { about: "lines that the report may have", usual: "320, or all where --depth or --children is more than its default" },
      json: { about: "the report as one JSON object" },
    }),

  /** A limit as a number. @param {number | false | "inf" | undefined} value */
  asNumber: (value) => (typeof value === "number" ? value : Infinity),

  /** @param {CommandOptions} options @returns {ReportOptions} */
  reportOptions({ target, depth: steps, top, minSize, children, lines }) {
    const all = { target, depth: steps, top, min_size: minSize, children, lines };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  },
};

/** @typedef {typeof context} Context */
