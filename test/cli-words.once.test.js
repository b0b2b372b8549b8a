/**
 * What the command `membuddy` says: figures, words, help, errors, types. Where they come from is no matter of Node.js.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { before, describe, test } from "node:test";
import { bytesOf, context } from "../cli/context.js";
import { formatSize } from "../cli/print.js";
import { columns } from "../cli/report.js";
import { version } from "../cli/version.js";
import { ourImages } from "./support/images.js";
import { folder, inFolder, installPackage, installed, manifest, root, run, say } from "./support/package.js";
import { spawnProcess } from "./support/process.js";
import { twoHeaps } from "./support/two_heaps.js";

/** @param {Record<string, number>} sizes */
const sumOf = (sizes) => Object.values(sizes).reduce((sum, bytes) => sum + bytes, 0);

before(installPackage);

test("without arguments it says what it is, and the three commands that it names work", () => {
  const text = say([]);
  assert.match(text, /^MemBuddy 1\.\d+\.\d+ tells/);
  const commands = [...text.matchAll(/^ {2}membuddy (.*?)(?: {2,}.*)?$/gm)].map((match) => match[1].split(" "));
  assert.equal(commands.length, 3);
  for (const command of commands) assert.ok(say(command).length > 0 || command[0] === "sample", command.join(" "));
});

test("every link of the texts that come with the package leads to a file of it", () => {
  const texts = ["README.md", ...readdirSync(path.join(installed, "docs")).map((name) => `docs/${name}`)];
  const links = texts.flatMap((text) => [...readFileSync(path.join(installed, text), "utf8").matchAll(/\]\(([^)\s#:]+)(?:#[^)\s]*)?\)/g)]
    .map(([, target]) => path.posix.join(path.posix.dirname(text), target)));
  assert.ok(links.includes("docs/command.md"));
  assert.deepEqual([...new Set(links)].filter((file) => !existsSync(path.join(installed, file))), []);
});

test("the version is that of the package and of the library", () => {
  assert.equal(say(["--version"]), `${version}\n`);
  assert.equal(manifest.version, version);
  assert.ok(readFileSync(path.join(root, "src/membuddy.h"), "utf8").includes(`#define MEMBUDDY_VERSION "${version}"`));
});

test("of the page's sources the package has those that the command reads: dist/html has the others, bundled", () => {
  assert.deepEqual(readdirSync(path.join(installed, "cli/html")).sort(), ["changes-data.js", "embed.js", "report-data.js", "tree-data.js", "words.js"]);
});

test("every command has help with an example", () => {
  const commands = [...say(["--help"]).matchAll(/^ {2}([a-z]+)\b.*(?:\[options\]|\[command\])/gm)].map((match) => match[1]);
  assert.ok(commands.includes("sample"));
  for (const command of commands.filter((name) => name !== "help")) assert.match(say([command, "--help"]), /Examples?:\s+(#.*\s+)?membuddy/, command);
  assert.match(say(["--help"]), /Examples:[^]*Exit codes:/);
});

test("help tells a default behind what is accepted, and none where there is none", () => {
  assert.match(say(["export", "--help"]), /: 1500, 4k, 1\.5m\s+\(default:\s+a\s+ten\s+thousandth [^)]*\)\s+--depth [^(]*; all\s+\(default:\s+64,\s+in html 250\)/);
  assert.doesNotMatch(say(["serve", "--help"]), /default/);
  const ofReport = say(["--help"]).replace(/\s+/g, " ");
  for (const [flag, usual] of Object.entries({ depth: "3", top: "20", "min-size": "1", children: "256", lines: "320, or all" }))
    assert.match(ofReport, new RegExp(`--${flag} <[^(]*\\(default: ${usual}\\b`), flag);
});

test("help of a command comes by its name, too", () => {
  assert.equal(say(["help", "tree"]), say(["tree", "--help"]));
  assert.equal(say(["help"]), say(["--help"]));
});

test("what is no object says so", () => {
  for (const [line, instead] of [["[state]", "below it, such as \\[state\\]#1"], ["[string table]", ", such as _G/Inbox or Inbox"]])
    for (const command of [["why", "sample.dat", line], ["tree", "sample.dat", line], ["sample.dat", "--target", line]])
      assert.match(run(command).stderr, new RegExp(`is a line of the report, but no object; accepted: the path of one ?${instead}\\n$`));
  for (const command of [["why", "sample.dat", "[state]#1"], ["tree", "sample.dat", "[state]#1"], ["sample.dat", "--target", "[state]#1"]]) say(command);
});

test("tree and why take every path that tree prints, and those that the report has for them", () => {
  const { lines } = JSON.parse(say(["tree", "sample.dat", "--json", "--depth", "2", "--top", "all"]));
  const roots = lines.map((/** @type {any} */ line) => line.path).filter((/** @type {string} */ path) => /^\[(state|type metatables)\]/.test(path));
  assert.ok(roots.length > 20 && roots.every((/** @type {string} */ path) => /#\d+$/.test(path)));
  for (const path of [roots[0], roots.at(-1), "[type metatables]/string"]) {
    const name = path.replace("/string", "#1");
    assert.equal(JSON.parse(say(["tree", "sample.dat", path, "--json"])).lines[0].path, name);
    assert.equal(JSON.parse(say(["why", "sample.dat", path, "--json"])).chains[0].path, name);
  }
  assert.equal(say(["tree", "sample.dat", lines[0].path]), say(["tree", "sample.dat"]));
  for (const words of [["why", "sample.dat", lines[0].path], ["sample.dat", "--target", lines[0].path]]) assert.match(run(words).stderr, /^membuddy: '\[process\]' is the whole in `tree`, but no object; accepted: /);
  const proto = "_G/Dump/[proto .dump:487]/[constant]";
  for (const command of ["tree", "why"]) {
    assert.match(run([command, "sample.dat", proto]).stderr, /^membuddy: '.*\[constant\]' is a sum of several objects; accepted: .*\[constant\]#1\n$/);
    assert.match(run([command, "sample.dat", "_G/loadfile"]).stderr, /holds no memory of its own, only its key does; .* such as '_G\/loadfile \(key\)'\n$/);
    say([command, "sample.dat", `${proto}#1`]);
    say([command, "sample.dat", "_G/loadfile (key)"]);
  }
  assert.match(run(["tree", "sample.dat", "[type metatables]/number"]).stderr, /nothing at the path/);
});

test("tree has live objects, a report Lua's own blocks as well, an export the garbage, too", () => {
  const { account: { parts }, totalSize, luaSize } = JSON.parse(say(["sample.dat", "--json"]));
  assert.equal(JSON.parse(say(["tree", "sample.dat", "--json"])).totalSize, parts.live);
  assert.equal(totalSize, parts.live + parts.runtime);
  assert.equal(JSON.parse(say(["export", "sample.dat", "--format", "json", "-o", "-"])).totalBytes, luaSize);
  assert.ok(luaSize === totalSize + parts.garbage && parts.garbage > 0);
});

test("tree tells what is not shown behind the last line of its object, where that has lines", () => {
  const words = ["tree", "sample.dat", "_G", "--depth", "2", "--top", "3"], { lines, totalSize } = JSON.parse(say([...words, "--json"]));
  const texts = say(words).trimEnd().split("\n").slice(1).map((line) => ({ indent: line.slice(33).search(/\S/), text: line.slice(33).trim(), bytes: line.slice(0, 10).trim(), share: line.slice(12, 19).trim(), own: line.slice(21, 31).trim() }));
  /** @type {any[]} */ const expected = [], /** @type {any[]} */ open = [];
  const close = (/** @type {number} */ depth) => { while (open.length > 0 && open.at(-1).indent > 2 * depth) expected.push(open.pop()); };
  for (const [index, { depth, name, text, kind, retained, share, own, others }] of lines.entries()) {
    close(depth);
    expected.push({ indent: 2 * depth, text: `${name}  ${text || kind}`, bytes: formatSize(retained), share: `${(100 * retained / totalSize).toFixed(1)} %`, own: formatSize(own) });
    assert.equal(share, retained / totalSize);
    if (others?.count > 0 && lines[index + 1]?.depth > depth) open.push({ indent: 2 * depth + 2, text: `${others.count} more`, bytes: formatSize(others.retained), share: "", own: "" });
  }
  close(-1);
  assert.deepEqual(texts, expected);
  assert.ok(texts.filter(({ text }) => text.endsWith(" more")).length > 2);
  const all = JSON.parse(say(["tree", "sample.dat", "--depth", "0", "--json"])).lines;
  assert.equal(all.length, 1);
  assert.match(say(["tree", "sample.dat", "--depth", "0"]), new RegExp(`\\n.*  \\[process\\]\\n +${formatSize(all[0].retained)} +${all[0].others.count} more\\n$`)); // else nothing were told
});

test("why tells in the terminal what it tells as JSON", () => {
  const what = (/** @type {any} */ { kind, text }) => (kind === "table" || text === "" ? kind : text);
  const effect = (/** @type {any} */ { frees, references }) =>
    (frees === null ? "a root" : `cut here: frees ${frees > 0 ? formatSize(frees) : `nothing, ${references} ${references === 1 ? "reference" : "references"} to it`}`);
  const sharing = new Set();
  for (const path of ["math/random/[upvalue chance]", "Inbox/1/Owner", "Inbox/1", "Inbox/1/Id", "print", "_G", "[registry]"]) {
    const found = JSON.parse(say(["why", "sample.dat", path, "--json"]));
    const [head, title, chain, others] = say(["why", "sample.dat", path]).trimEnd().split("\n\n");
    const kept = found.shared > 0 && found.held === found.retained + found.shared ? `\nIt holds ${formatSize(found.held)}; others hold as well, and would keep: ${formatSize(found.shared)}` : "";
    assert.equal(head, `${found.path}: ${what(found)}, ${formatSize(found.own)}, retains ${formatSize(found.retained)}; references to it: ${found.references}${kept}`);
    const { totalSize, shared } = JSON.parse(say(["sample.dat", "--target", path, "--json"]));
    assert.deepEqual([found.held, found.shared], [totalSize, shared], path);
    sharing.add(kept !== "");
    const [{ path: way, steps }] = found.chains;
    assert.equal(title, `1 shortest chain of ${steps.length} step${steps.length === 1 ? "" : "s"} from a root:`);
    assert.deepEqual(chain.split("\n").map((line) => line.trim().split(/ {2,}/)),
      [[`1. ${way}`], ...steps.map((/** @type {any} */ step) => [step.name, effect(step), `${what(step)}, retains ${formatSize(step.retained)}`])]);
    const told = found.others.map((/** @type {any} */ other) => `     ${other.path}/${other.label}`);
    assert.deepEqual((others ?? "").split("\n").slice(1, 1 + told.length), told);
  }
  assert.equal(sharing.size, 2, "some hold what others hold, some do not");
  assert.match(say(["why", "sample.dat", "Inbox/1"]), /^.*\nIt holds \S+ KB; others hold as well, and would keep: /);
  assert.doesNotMatch(say(["why", "sample.dat", "[registry]"]), /It holds/, "what it retains has names of its own");
});

test("why tells how many references on longer ways it leaves out", () => {
  const { others, otherCount } = JSON.parse(say(["why", "sample.dat", "_G", "--chains", "2", "--json"]));
  assert.ok(others.length === 2 && otherCount > 3);
  assert.ok(say(["why", "sample.dat", "_G", "--chains", "2"]).endsWith(`\n     ... and ${otherCount - 2} others\n`));
  assert.doesNotMatch(say(["why", "sample.dat", "_G", "--chains", String(otherCount)]), /others?\n$/);
});

test("the columns of why stand below one another, however wide the letters of a name are", async () => {
  const process = await spawnProcess(ourImages[1].file);
  await process.eval("Data = { ['余额'] = { ['a\u0301'] = { ab = {} } } } return 1");
  writeFileSync(inFolder("wide.dat"), new Uint8Array(/** @type {Uint8Array} */ (process.memory)));
  const chain = say(["why", "wide.dat", "Data/余额/a\u0301/ab"]).trimEnd().split("\n").slice(-4);
  assert.deepEqual(chain.map((line) => line.split(/(?=cut here)/)[0]), ["     Data  ", "     余额  ", "     a\u0301     ", "     ab    "]);
});

test("the paths in the help of tree and why are some of the sample", () => {
  const examples = ["tree", "why"].flatMap((command) => [...say([command, "--help"]).matchAll(/^ {2}membuddy (.+)$/gm)].map((match) => match[1]));
  assert.ok(examples.length >= 5);
  for (const example of examples) say(example.replace("state.dat", "sample.dat").replaceAll('"', "").match(/\S+( \w+\])?/g) ?? []);
});

describe("membuddy FILE", () => {
  test("lines of kinds and paths are in order, and what is left out is told with its bytes", () => {
    const { sizes, totalSizes, kinds } = JSON.parse(say(["sample.dat", "--json"])), text = say(["sample.dat", "--top", "7"]);
    const [kindLines, pathLines] = [/Kinds of live objects\n.*\n([^]*?)\n\n/, /Largest by path.*\n.*\n([^]*)/].map((part) => (part.exec(text)?.[1] ?? "").trimEnd().split("\n"));
    const largest = Object.entries(kinds).filter(([, { count }]) => count > 0).sort(([, a], [, b]) => b.bytes - a.bytes);
    assert.deepEqual(kindLines.map((line) => line.trim().split(/ {2,}/)), largest.map(([kind, { bytes, count }]) => [bytes, count].map((figure) => figure.toLocaleString("en-US")).concat(kind.replace("_", " "))));
    const paths = Object.keys(sizes).map((path) => ({ path, total: totalSizes[path] ?? sizes[path] })).sort((a, b) => b.total - a.total || (a.path < b.path ? -1 : 1));
    assert.deepEqual(pathLines.slice(0, 7).map((line) => [line.slice(0, 9).trim(), line.trim().split(/ {2,}/).at(-1)]), paths.slice(0, 7).map(({ path, total }) => [formatSize(total), path]));
    const others = paths.slice(7).map(({ path }) => sizes[path]);
    assert.equal(pathLines[7], `... and ${others.length} others, totalling ${formatSize(others.reduce((sum, bytes) => sum + bytes, 0))}`);
    assert.ok(Math.min(...paths.map(({ total }) => total)) > 0);
  });

  test("where every line is smaller than asked for, it says how many those are", () => {
    const count = Object.keys(JSON.parse(say(["sample.dat", "--json"])).sizes).length;
    assert.ok(say(["sample.dat", "--min-size", "1g"]).endsWith(`  path\n${count} smaller lines\n`));
    assert.ok(!say(["sample.dat", "--top", "0"]).includes("smaller line"));
  });

  test("as JSON: one object whose sums meet", () => {
    const report = JSON.parse(say(["sample.dat", "--json"]));
    const bytes = readFileSync(inFolder("sample.dat")).length;
    assert.equal(sumOf(report.sizes), report.totalSize);
    assert.equal(report.totalSize + report.garbage, report.luaSize);
    assert.equal(report.unaccounted, 0);
    assert.equal(sumOf(report.account.parts), bytes);
    assert.deepEqual(report.image, { lua: "5.4", bits: 64, bytes });
    assert.ok(report.retained["_G/Inbox"] > 0);
  });

  test("the module says which image it is", () => {
    const module = path.join(root, "dist/membuddy-lua54-wasm64.wasm");
    const { image, account } = JSON.parse(say(["sample.dat", "--json", "--module", module]));
    assert.equal(image.hasMemBuddy, true);
    assert.match(say(["sample.dat", "--module", module]), /^sample\.dat: MemBuddy's aos image, Lua 5\.4, 64 bits, [\d,]+ bytes\n/);
    assert.ok(account.parts.stack > 0 && account.maximum > 0 && account.headroom > 0);
  });

  test("another heap in the memory is told, though not looked at", async () => {
    const memory = readFileSync(inFolder("sample.dat"));
    writeFileSync(inFolder("two.dat"), await twoHeaps(memory, memory));
    const { otherHeaps, luaSize } = JSON.parse(say(["two.dat", "--json"]));
    assert.deepEqual(otherHeaps.map((/** @type {any} */ heap) => heap.luaSize), [luaSize]);
    const note = (/** @type {string} */ where) => `Not looked at: another sound Lua heap in ${where} \\(${formatSize(luaSize)} at 0x[0-9a-f]+\\); --module tells which is the process's\n`;
    const report = run(["two.dat"]);
    assert.match(report.stdout, new RegExp(`\n${note("this memory")}`));
    assert.equal(report.stderr, "");
    assert.equal(JSON.parse(say(["sample.dat", "--json"])).otherHeaps, undefined);
    for (const [command, status] of /** @type {[string[], number][]} */ ([
      [["tree", "two.dat"], 0], [["tree", "two.dat", "--json"], 0], [["why", "two.dat", "Inbox"], 0], [["diff", "two.dat", "sample.dat"], 0],
      [["export", "two.dat", "-o", "two.json"], 0], [["export", "sample.dat", "--with", "two.dat", "-o", "two.html"], 0], [["why", "two.dat", "Elsewhere"], 1],
    ])) {
      const { status: code, stderr } = run(command);
      assert.equal(code, status, stderr);
      assert.match(stderr, new RegExp(`^${note("two.dat")}${status === 0 ? "$" : "membuddy: there is nothing at the path 'Elsewhere'"}`), command.join(" "));
    }
  });

  test("options are those of Lua", () => {
    const { sizes, target } = JSON.parse(say(["sample.dat", "--json", "--target", "_G/Inbox", "--depth", "1", "--children", "4"]));
    assert.equal(target, "Inbox");
    assert.equal(Object.keys(sizes).filter((name) => /^Inbox\/\d+$/.test(name)).length, 4);
    const all = say(["sample.dat", "--top", "all", "--min-size", "4k"]);
    assert.doesNotMatch(all.split("Largest by path")[1], /^ *\d+ bytes/m);
    assert.match(all, /_G\/Balances/);
  });
});

describe("what goes wrong is told in one line on the standard error", () => {
  /** @type {[string[], number, RegExp][]} */
  const failures = [
    [["https://cu.example/state/PID"], 1, /^membuddy: https:.*PID cannot be read: an address is no file; fetch it, and give what came\n$/],
    [["diff", "sample.dat", "sample.dat", "--module", path.join(root, "package.json")], 1, /^membuddy: .*package\.json can't be read: this is no WebAssembly module.*\n$/],
    [["nothing.dat"], 1, /^membuddy: nothing\.dat cannot be read: there is no such file\n$/],
    [[path.join(root, "package.json")], 1, /^membuddy: .*JSON.*\n$/],
    [["sample.dat", "--target", "_G/Handlers/..."], 1, /^membuddy: '_G\/Handlers\/\.\.\.' is a sum of several objects; accepted: the path of one, such as _G\/Handlers\n$/],
    [["tree", "sample.dat", "Inbox/[60 more]"], 1, /^membuddy: 'Inbox\/\[60 more\]' is a sum.* such as Inbox\n$/],
    [["sample.dat", "--target", "_G/Nothing"], 1, /^membuddy: there is nothing at the path '_G\/Nothing'.*\n$/],
    [["sample", "-o", "no/such/folder/x.dat"], 1, /^membuddy: no\/such\/folder\/x\.dat cannot be written: there is no folder no\/such\/folder\n$/],
    [["sample", "-o", "sample.dat/x"], 1, /^membuddy: sample\.dat\/x cannot be written: not a directory\n$/],
    [["sample", "-o", "new/"], 1, /^membuddy: new\/ is a directory; name the file to write\n$/],
    [["export", "nothing.dat", "-o", "no/such/x.json"], 1, /^membuddy: no\/such\/x\.json cannot be written: there is no folder no\/such\n$/], // before it is read
    [["sample.dat", "--module", path.join(root, "package.json")], 1, /^membuddy: .*package\.json can't be read: this is no WebAssembly module.*\n$/],
    [["sample.dat", "--module", path.join(root, "dist/attach-lua54-wasm64.wasm")], 1, /^membuddy: .*attach-lua54-wasm64\.wasm has no function `handle`: it is no image.*\n$/],
    [["diff", "sample.dat", "nothing.dat", "--module", path.join(root, "dist/membuddy-lua53-wasm64.wasm")], 1, /^membuddy: sample\.dat is of another module than MemBuddy's aos image: the module's constants do not stand in it; .*\n$/],
    [["sample.dat", "--dept", "2"], 2, /unknown option '--dept'/],
    [["sample.dat", "--depth", "-3"], 2, /a whole number from 0, or all, is needed/],
    [["why", "sample.dat", "Inbox", "--chains", "x"], 2, /a whole number from 1 is needed/],
    [["why", "sample.dat", "Inbox", "--chains", "0"], 2, /a whole number from 1 is needed/],
    [["sample.dat", "--min-size", "lots"], 2, /a number of bytes/],
    [["sample"], 2, /required option/],
    [["exprt", "sample.dat"], 2, /^error: 'exprt' is no command.*commands: diff, export/],
    [["help", "exprt"], 2, /^error: 'exprt' is no command; commands: diff, export.*\n\(.*\)\n$/],
    [["sample.dat", "--target", ""], 2, /--target.*a path, as a report gives it, is needed/],
    [["sample.dat", "--target", "/"], 2, /--target.*a path, as a report gives it, is needed/],
    [["why", "sample.dat", ""], 2, /'path'.*a path, as a report gives it, is needed/],
    [["why", "sample.dat", "/"], 2, /'path'.*a path, as a report gives it, is needed/],
    [["tree", "sample.dat", "\\"], 2, /'path'.*a path, as a report gives it, is needed/],
    [["why", "sample.dat", "Inbox", "3"], 2, /^error: too many arguments for 'why'/],
    [["tree", "sample.dat", "_G", "Inbox"], 2, /^error: too many arguments for 'tree'/],
    [["diff", "sample.dat", "sample.dat", "sample.dat"], 2, /^error: too many arguments for 'diff'/],
    [["export", "sample.dat", "sample.dat", "-o", "x.json"], 2, /^error: too many arguments for 'export'/],
    [["sample", "foo", "-o", "x"], 2, /^error: too many arguments for 'sample'/],
    [["serve", "foo"], 2, /^error: too many arguments for 'serve'/],
    [["--json", "tree", "sample.dat"], 2, /^error: --json stands before the command; the options of tree stand behind it\n/],
    [["--target", "Inbox", "tree", "sample.dat"], 2, /^error: --target stands before the command/],
    [["--depth", "1", "diff", "sample.dat", "sample.dat"], 2, /^error: --depth stands before the command/],
    [["--json"], 2, /^error: no memory is named/],
    [["serve", "--port", "99999"], 2, /^membuddy: 99999 is no port; accepted: 0 .* to 65535\n$/],
    [["export", "sample.dat", "-o", "x.foo"], 2, /^membuddy: the name x\.foo says no format; give --format.*\n$/],
    [["export", "sample.dat", "-o", "-"], 2, /^membuddy: the standard output has no name that says a format; give --format, one of heapsnapshot, .*\n$/],
    [["export", "sample.dat", "-o", "x.json", "--with", "sample.dat"], 2, /^membuddy: --with is of the format html.*\n$/],
    [["export", "sample.dat", "-o", "x.heapsnapshot", "--depth", "3"], 2, /^membuddy: a heapsnapshot has every object.*\n$/],
  ];
  for (const [commandLine, code, message] of failures)
    test(commandLine.map((word) => path.basename(word)).join(" "), () => {
      const { status, stdout, stderr } = run(commandLine);
      assert.deepEqual({ status, stdout }, { status: code, stdout: "" });
      assert.match(stderr, message);
    });
});

test("escape codes in a name reach no terminal", () => {
  const name = "\x1b]0;title\x07\x9b31m.dat", shown = "\\x1B]0;title\\x07\\x9B31m.dat";
  writeFileSync(inFolder(name), readFileSync(inFolder("sample.dat")));
  assert.ok(say([name]).startsWith(`${shown}: Lua 5.4`));
  assert.ok(say(["diff", name, "sample.dat"]).startsWith(`${shown} -> sample.dat\n`));
  for (const command of [[`${name}x`], ["sample", "-o", `no/${name}`], ["sample", "-o", name], [name, name], ["tree", name, "\x1b"], [`--${name}`], ["serve", "--port", name]]) {
    const { stderr } = run(command);
    assert.ok(!/[\0-\x09\x0b-\x1f\x7f-\x9f]/.test(stderr) && stderr.includes("\\x1B"), JSON.stringify(stderr));
  }
  rmSync(inFolder(name));
});

test("what turns the direction of text, or is not seen, is shown as its number, by which it is found; in JSON it is as it was", async () => {
  const process = await spawnProcess(ourImages[1].file), key = "\u202egpj.exe\u2067\u200f", shown = "\\u{202e}gpj.exe\\u{2067}\\u{200f}";
  await process.eval(`Data = { ["\\u{202e}gpj.exe\\u{2067}\\u{200f}"] = { { "x" } }, ["\\\\u{202e}gpj.exe"] = { {}, {} } } return 1`);
  writeFileSync(inFolder("turned.dat"), new Uint8Array(/** @type {Uint8Array} */ (process.memory)));
  const path = `_G/Data/${shown}`;
  const texts = [["turned.dat", "--target", path], ["tree", "turned.dat", path], ["why", "turned.dat", path], ["why", "turned.dat", `${path}/1`], ["diff", "sample.dat", "turned.dat", "--top", "all"]];
  for (const text of texts.map((words) => say(words))) assert.ok(text.includes(shown) && !/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(text), text.slice(0, 500));
  assert.equal(JSON.parse(say(["turned.dat", "--json", "--target", path])).target, `_G/Data/${key}`);
  assert.equal(JSON.parse(say(["why", "turned.dat", "--json", "Data/\\u{202E}gpj.exe\\u{02067}\\u{200F}"])).path, `_G/Data/${key}`);
  assert.equal(JSON.parse(say(["turned.dat", "--json", "--target", "Data/\\\\u{202e}gpj.exe"])).target, "_G/Data/\\\\u{202e}gpj.exe");
  assert.match(run(["why", "turned.dat", "Data/\\u{2f}\\u{202e}\\u{110000}"]).stderr, /nothing at the path 'Data\/\\u\{2f\}\\u\{202e\}\\u\{110000\}'/);
});

test("bytes are read as they are written, and rounded to whole ones", () => {
  assert.deepEqual(["0", "1500", "4k", "1.5m", "1 GB", "2KiB", "3Gi", "7 b", "1.5"].map(bytesOf), [0, 1500, 4096, 1.5 * 2 ** 20, 2 ** 30, 2048, 3 * 2 ** 30, 7, 2]);
  for (const text of ["", "k", "-1", "1e3", "0x10", "4t", "4i", "4 iB", "1.", ".5"]) assert.throws(() => bytesOf(text), /a number of bytes is needed/, text);
});

test("a report may have as many lines as a process has objects", () => {
  const rows = Array.from({ length: 300000 }, (_, row) => [String(row), "path"]);
  assert.equal(columns(rows, ["right", "left"])[7], "     7  path");
});

test("a result that is no text any more, being too long, is refused in a sentence", () => {
  const paths = Array(4).fill("x".repeat(2 ** 27));
  assert.throws(() => context.asJson(paths), { name: "MembuddyError", message: /^the result as JSON is longer than a text can be \(.*\); ask for less / });
});

describe("the package", () => {
  test("has types that TypeScript before 5.7 reads, whose typed arrays take no argument", () => {
    const folder = path.join(root, "dist/types"), names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".d.ts"));
    assert.ok(names.includes("graph.d.ts"));
    for (const name of names) assert.doesNotMatch(readFileSync(path.join(folder, name), "utf8"), /\b(?:(?:Uint|Int|Float)\w+|ArrayBufferView)</, name);
  });

  test("has types", () => {
    writeFileSync(inFolder("program.mts"), `
      import { attach, diff, summarize } from "membuddy";
      import type { Diff, ExportOptions, Graph, ReportOptions, Results, Sink, Summary } from "membuddy";
      const options: ReportOptions = { depth: 2, children: false, target: "Inbox" };
      const heap = await attach("sample.dat", { onProgress: ({ phase }) => phase.length });
      const results: Results = heap.profile(options);
      const bytes: number = results.sizes["_G"] + heap.kinds().table.count + heap.account().memory + heap.retained("_G/Inbox");
      const summary: Summary = summarize(heap, { depth: 2 }), change: Diff = diff(summary, summary), graph: Graph = heap.graph();
      const narrow: ExportOptions = { depth: graph.nodeCount, minSize: 0 }, sink: Sink = { write: (piece) => piece.length };
      await heap.export("json", narrow, sink);
      // @ts-expect-error a format that there is not
      await heap.export("svg");
      // @ts-expect-error an option that there is not
      heap.profile({ dept: 2 });
      // @ts-expect-error as in Lua, where all is math.huge
      heap.profile({ depth: false });
      for (const text of [heap.print(), heap.print(null), heap.print(results), heap.print(results, options), heap.print(options), heap.print(options, null), heap.print(null, options)]) text.length;
      // @ts-expect-error options twice
      heap.print(options, options);
      for (const depth of [Infinity, "inf", "infinity"] as const) heap.profile({ depth, children: Infinity });
      await attach(new SharedArrayBuffer(65536));
      await attach({ Memory: new SharedArrayBuffer(65536) });
      // @ts-expect-error no input
      await attach(7);
      export { bytes, change };`);
    writeFileSync(inFolder("inputs.mts"), `
      import { readFileSync } from "node:fs";
      import { attach } from "membuddy";
      const memory = new WebAssembly.Memory({ initial: 1 });
      for (const input of [memory, { memory }, new URL("file:///x"), new Blob([]), { Memory: new Uint8Array() }, readFileSync("x")]) await attach(input, { module: input });
      await attach("x", { loadWalker: (name) => fetch(name) });
      await attach("x", { loadWalker: async (name) => readFileSync(name) });`);
    symlinkSync(path.join(root, "node_modules/@types"), inFolder("node_modules/@types"));
    for (const surroundings of [["--lib", "es2022,dom", "--types", "node", "program.mts", "inputs.mts"], ["--lib", "es2020", "--typeRoots", "none", "program.mts"]]) {
      const { status, stdout } = spawnSync(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--target", "es2022",
        "--module", "nodenext", "--moduleResolution", "nodenext", "--skipLibCheck", "false", ...surroundings], { cwd: folder, encoding: "utf8" });
      assert.equal(status, 0, stdout);
    }
  });
});
