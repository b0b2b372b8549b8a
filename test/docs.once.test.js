/**
 * README.md and docs/ against what is there: every link leads somewhere, every chapter can be reached, and the references
 * name every option, field, function and flag. Names are taken from the code and from a real memory, not from a list here.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { formats } from "../cli/export/index.js";
import * as membuddy from "../cli/index.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (/** @type {string} */ file) => readFileSync(path.join(root, file), "utf8");
const chapters = readdirSync(path.join(root, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`).sort();
const texts = ["README.md", "CONTRIBUTING.md", ...chapters];
const [lua, javascript, command] = ["lua", "javascript", "command"].map((name) => read(`docs/${name}.md`));

/** Without code, in which nothing is a link. @param {string} text */
const prose = (text) => text.replace(/^ {4}.*$/gm, "").replace(/`[^`\n]*`/g, "");

/** @param {string} file @returns {{ file: string, anchor?: string }[]} what a text links to, within the repository */
function links(file) {
  return [...prose(read(file)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, address]) => address)
    .filter((address) => !/^[a-z]+:/.test(address))
    .map((address) => {
      const [target, anchor] = address.split("#");
      return { file: target === "" ? file : path.posix.join(path.posix.dirname(file), target), anchor };
    });
}

/** As the forges make them of headings. @param {string} file */
const anchors = (file) => [...read(file).matchAll(/^#+ (.*)$/gm)]
  .map(([, heading]) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-"));

/** @param {string} text @param {Iterable<string>} names those that it does not have in code */
function missing(text, names) {
  const code = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span).join("\n");
  return [...names].filter((name) => !new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(code));
}

/** @param {string[]} commandLine */
const help = (...commandLine) => execFileSync(process.execPath, [path.join(root, "cli/bin.js"), ...commandLine, "--help"], { encoding: "utf8" });

/** The flags that a command tells of, its help aside. @param {string} text */
const flags = (text) => new Set([...text.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag).filter((flag) => flag !== "--help"));

describe("links", () => {
  for (const file of texts) {
    test(`${file}: every link within the repository leads to a file, and to a heading of it`, () => {
      for (const link of links(file)) {
        assert.ok(existsSync(path.join(root, link.file)), `${link.file} is not there`);
        if (link.anchor !== undefined) assert.ok(anchors(link.file).includes(link.anchor), `${link.file} has no heading #${link.anchor}`);
      }
    });
  }

  test("README.md leads to every chapter", () => {
    const reached = new Set(links("README.md").map(({ file }) => file));
    assert.deepEqual(chapters.filter((chapter) => !reached.has(chapter)), []);
  });
});

/** What stands indented in a text, block by block, with all that stands before it. @param {string} text */
const blocks = (text) => [...text.matchAll(/^ {4}.*(?:\n+ {4}.*)*/gm)]
  .map(({ 0: block, index }) => ({ lines: block.replace(/^ {4}/gm, ""), above: text.slice(0, index) }));

/** The command that prints a block: it stands on top of it, or is the last one above it. @param {{ lines: string, above: string }} block */
function shownCommand({ lines, above }) {
  const ofSample = /membuddy ((?:tree |why )?sample\.dat\b[^#\n]*)/.source;
  const [, onTop] = new RegExp(`^\\$ ${ofSample}\\n`).exec(lines) ?? [];
  if (onTop !== undefined) return { words: onTop, told: lines.slice(lines.indexOf("\n") + 1) };
  return lines.startsWith("sample.dat: ") ? { words: [...above.matchAll(new RegExp(ofSample, "g"))].at(-1)?.[1] ?? "", told: lines } : undefined;
}

/** Whether a text tells what was printed; a line of three dots stands for any. @param {string} told @param {string} printed */
function tells(told, printed) {
  const pieces = `${told}\n`.split(/^\.\.\.\n/m);
  let at = 0;
  const isThere = pieces.every((piece, index) => {
    const found = index === 0 ? 0 : index === pieces.length - 1 ? printed.length - piece.length : printed.indexOf(piece, at);
    const fits = found >= at && printed.startsWith(piece, found);
    at = found + piece.length;
    return fits;
  });
  return isThere && (pieces.length > 1 || at === printed.length);
}

/** Why the sample has other figures than the texts show, if it may: another compiler, Lua or aos makes another image. */
function otherSample() {
  const changed = ["LUA_DIR", "AOS_PROCESS"].filter((name) => process.env[name]);
  if (changed.length > 0) return `${changed.join(" and ")} made another sample`;
  const [, pinned] = /^compiler \S+ emscripten (\d[\d.]*)/m.exec(read("scripts/toolchain.lock")) ?? [], [used] = read("build/toolchain/version").split("\n");
  return used.startsWith("private ") && pinned && used.includes(` ${pinned} `) ? false : `the sample is of another toolchain than the pinned one: ${used}`;
}
const isOther = otherSample();

describe("what the texts show of the sample is what is printed of it", () => {
  /** @type {string} */ let folder;
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), "membuddy-docs-"));
    symlinkSync(path.join(root, "dist"), path.join(folder, "dist"));
    say("sample", "-o", "sample.dat");
  });
  after(() => rmSync(folder, { recursive: true }));

  /** @param {string[]} words */
  const say = (...words) => execFileSync(process.execPath, [path.join(root, "cli/bin.js"), ...words], { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

  const shown = texts.flatMap((file) => blocks(read(file)).flatMap((block) => ({ file, ...shownCommand(block) })))
    .filter(({ told }) => told !== undefined);
  for (const { file, words = "", told = "" } of shown)
    test(`${file}: membuddy ${words.trim()}`, { skip: isOther }, () => {
      const printed = say(...words.trim().split(/ +/));
      assert.ok(tells(told, printed), `${file} has other lines; paste these (what is left out there is a line of three dots):\n${printed}`);
    });

  test("docs/javascript.md: heap.print", { skip: isOther }, async () => {
    const heap = await membuddy.attach(path.join(root, "dist/sample.dat.gz")), printed = heap.print({ target: "_G/Inbox", depth: 1, top: 3 });
    assert.ok(javascript.includes('console.log(heap.print({ target: "_G/Inbox", depth: 1, top: 3 }));'));
    assert.ok(blocks(javascript).some(({ lines }) => `${lines}\n` === printed), `docs/javascript.md has other lines; paste these:\n${printed}`);
    heap.close();
  });

  test("they show something, and a figure that is another is noticed", () => {
    assert.deepEqual(shown.map(({ file }) => file).filter((file, index, files) => files[index - 1] !== file), ["README.md", "docs/command.md"]);
    assert.ok(shown.length >= 4);
    assert.deepEqual([tells("a\n...\nd", "a\nb\nc\nd\n"), tells("a\n...", "a\nb\n"), tells("a\nb", "a\nb\n")], [true, true, true]);
    assert.deepEqual([tells("a\n...\nd", "a\nb\nc\ne\n"), tells("a", "a\nb\n"), tells("b\n...", "a\nb\n"), tells("a\n...\nc\n...\nd", "a\nb\nd\n")], [false, false, false, false]);
  });
});

describe("README.md", () => {
  test("its map has every folder of the top level", () => {
    const map = read("README.md").split(/^## /m).find((chapter) => chapter.startsWith("Folders")) ?? "";
    const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
    const ours = folders.filter((name) => name === ".ci" || !name.startsWith(".")); // editors have theirs
    assert.deepEqual(ours.filter((name) => !map.includes(`\n    ${name}/`)), []);
  });

  test("it says why of every package that package.json names", () => {
    const { dependencies, devDependencies } = JSON.parse(read("package.json"));
    const names = Object.keys({ ...dependencies, ...devDependencies }).map((name) => (name.startsWith("@types/") ? "@types/" : name));
    const reasons = read("README.md").split(/^## /m).find((chapter) => chapter.startsWith("Dependencies")) ?? "";
    assert.deepEqual(names.filter((name) => !reasons.includes(`\`${name}`)), []);
  });
});

test("every target of make that a text names is one", () => {
  const list = execFileSync("make", ["--no-print-directory", "help"], { cwd: root, encoding: "utf8", env: { ...process.env, MAKEFLAGS: "" } });
  const targets = new Set([...list.matchAll(/^ {2}make (\S+)/gm)].map(([, name]) => name));
  const named = texts.flatMap((file) => [...read(file).matchAll(/(?:`|^ {4})make ([a-z-]+)/gm)].map(([, name]) => name));
  assert.ok(named.length > 5, "the texts name targets");
  assert.deepEqual(named.filter((name) => !targets.has(name)), []);
});

describe("docs/lua.md", () => {
  const options = [...read("src/lua_options.c").matchAll(/^ {4}\{"(\w+)", OPTION_/gm)].map(([, name]) => name);

  test("it has every option of a report", () => {
    const table = lua.split(/^## /m).find((chapter) => chapter.startsWith("Options")) ?? "";
    assert.ok(options.includes("target") && options.length >= 12, `found in src/lua_options.c: ${options}`);
    assert.deepEqual(missing(table, options), []);
  });

  test("it has every function of the library", () => {
    const source = read("src/lua_functions.c");
    const functions = [...source.matchAll(/\{"(\w+)", function_/g), ...source.matchAll(/set_checks\(L, "(\w+)"/g)].map(([, name]) => name);
    assert.ok(functions.includes("profile") && functions.includes("mark"), `found in src/lua_functions.c: ${functions}`);
    assert.deepEqual(missing(lua, [...functions, "print", "print_results"]), []);
  });

  test("it has every check", () => {
    const checks = [...read("src/checks.lua").matchAll(/^checks\[\d+\] = \{ "(\w+)"/gm)].map(([, name]) => name);
    assert.equal(checks.length, 9);
    assert.deepEqual(missing(lua, checks), []);
  });

  test("it has every field that results can have", () => {
    const inC = read("src/lua_results.c").matchAll(/(?:set_number|set_value|lua_setfield|NAMED_NUMBER)\((?:L, (?:-2, )?)?"(\w+)"/g);
    const names = [...inC, ...read("src/membuddy.lua").matchAll(/\bresults\.(\w+)\b/g)].map(([, name]) => name);
    for (const name of ["totalSize", "otherCycles", "stopped"]) assert.ok(names.includes(name), `${name} is found in the code`);
    assert.deepEqual(missing(lua, new Set(names)), []);
  });

  test("it has every field of results and account of a real memory, and every kind", async () => {
    const heap = await membuddy.attach(path.join(root, "dist/sample.dat.gz"), { module: path.join(root, "dist/membuddy-lua54-wasm64.wasm") });
    const whole = heap.profile({ retained: true }), target = heap.profile({ target: "_G/Inbox" }), account = heap.account();
    const names = [whole, target, account, whole.kinds, account.known].flatMap((record) => Object.keys(record));
    assert.deepEqual(missing(lua, new Set(names)), []);
    assert.deepEqual(missing(read("docs/numbers.md"), Object.keys(account.parts)), []);
    heap.close();
  });
});

describe("docs/javascript.md", () => {
  test("it has everything that the package exports", () => {
    assert.deepEqual(missing(javascript, Object.keys(membuddy)), []);
  });

  test("it has every member of a heap and of its graph", async () => {
    const heap = await membuddy.attach(path.join(root, "dist/sample.dat.gz")), graph = heap.graph();
    const members = [heap, graph].flatMap((object) => [...Object.keys(object), ...Object.getOwnPropertyNames(Object.getPrototypeOf(object))]);
    assert.ok(members.includes("profile") && members.includes("dominators"));
    assert.deepEqual(missing(javascript, members.filter((name) => name !== "constructor")), []);
    heap.close();
  });
});

test("docs/formats.md has every format with the endings of its files", () => {
  const told = [...read("docs/formats.md").matchAll(/^\| `(\w+)` \| ([^|]+) \|/gm)].map(([, name, endings]) => [name, [...endings.matchAll(/`([^`]+)`/g)].map(([, ending]) => ending)]);
  assert.deepEqual(told, Object.entries(formats).map(([name, { endings }]) => [name, endings]));
});

describe("docs/command.md", () => {
  const commands = readdirSync(path.join(root, "cli/commands")).map((name) => name.replace(/\.js$/, ""));
  const sections = new Map(command.split(/^## membuddy /m).slice(1).map((section) => [section.split(/\s/)[0], section]));

  /** @param {string} name of the section @param {Set<string>} known */
  function assertTold(name, known) {
    const told = [...(sections.get(name) ?? "").matchAll(/^\| .*?`(--[a-z-]+)/gm)].map(([, flag]) => flag);
    assert.deepEqual(told.sort(), [...known].sort());
  }

  test("it has every flag of a report, and none that is not there", () => {
    const known = flags(help());
    assert.ok(known.delete("--version") && command.includes("`--version`"));
    assertTold("FILE", known);
  });

  for (const name of commands)
    test(`it has every flag of ${name}, and none that is not there`, () => assertTold(name, flags(help(name))));
});
