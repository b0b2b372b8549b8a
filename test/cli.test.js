/**
 * The command `membuddy`, as a user has it: from the packed npm package, in a folder of its own, without the checkout.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, closeSync, copyFileSync, existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { buildSync } from "esbuild";
import { bytesOf, context } from "../cli/context.js";
import { formatSize } from "../cli/print.js";
import { columns } from "../cli/report.js";
import { version } from "../cli/version.js";
import { ourImages } from "./support/images.js";
import { spawnProcess } from "./support/process.js";
import { twoHeaps } from "./support/two_heaps.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "membuddy-cli-"));
const installed = path.join(folder, "node_modules/membuddy");
const bin = path.join(installed, "cli/bin.js");
const inFolder = (/** @type {string} */ name) => path.join(folder, name);
const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
after(() => rmSync(folder, { recursive: true }));

/** Unpacks what `npm publish` would send, and gives it its runtime dependencies, no others. */
function install() {
  const packed = JSON.parse(execFileSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", inFolder(packed[0].filename), "-C", installed, "--strip-components=1"]);
  const wanted = Object.keys(manifest.dependencies);
  for (let name = wanted.shift(); name !== undefined; name = wanted.shift()) {
    const to = inFolder(`node_modules/${name}`), from = path.join(root, "node_modules", name);
    if (existsSync(to)) continue;
    mkdirSync(path.dirname(to), { recursive: true });
    symlinkSync(from, to);
    wanted.push(...Object.keys(JSON.parse(readFileSync(path.join(from, "package.json"), "utf8")).dependencies ?? {}));
  }
}

/** @param {string[]} commandLine @param {{ input?: Uint8Array }} [options] */
function run(commandLine, { input } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--preserve-symlinks", bin, ...commandLine], { cwd: folder, input, encoding: "utf8", maxBuffer: 2 ** 28 });
  return { status, stdout, stderr };
}

/** @param {string[]} commandLine @param {{ input?: Uint8Array }} [options] what it says on the standard output, when all is well */
function say(commandLine, options) {
  const { status, stdout, stderr } = run(commandLine, options);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** @param {Record<string, number>} sizes */
const sumOf = (sizes) => Object.values(sizes).reduce((sum, bytes) => sum + bytes, 0);

before(() => {
  install();
  say(["sample", "-o", "sample.dat"]);
});

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

test("the standard input is read once; what is no object says so", () => {
  const input = readFileSync(inFolder("sample.dat"));
  const again = run(["diff", "-", "-"], { input });
  assert.deepEqual([again.status, again.stderr], [1, "membuddy: the standard input was read already, which goes once; name a file for the other\n"]);
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

test("a sample is compressed where its name ends in .gz, in whatever letters, and told of where it has a name", () => {
  const packed = run(["sample", "-o", "small.DAT.GZ"]), raw = readFileSync(inFolder("sample.dat"));
  assert.match(packed.stderr, /^small\.DAT\.GZ: [\d,]+ bytes, the memory of a small token process\. Try: membuddy small\.DAT\.GZ\n$/);
  assert.deepEqual([...readFileSync(inFolder("small.DAT.GZ")).subarray(0, 2)], [0x1f, 0x8b]);
  assert.ok(gunzipSync(readFileSync(inFolder("small.DAT.GZ"))).equals(raw));
  const { stdout, stderr } = spawnSync(process.execPath, ["--preserve-symlinks", bin, "sample", "-o", "-"], { maxBuffer: 2 ** 28 });
  assert.ok(stdout.equals(raw) && stderr.length === 0);
});

test("what is told to try after a sample can be pasted, also where its name has a space and a quote", () => {
  const name = "a user's sample.dat", [, tried] = /Try: membuddy (.*)\n$/.exec(run(["sample", "-o", name]).stderr) ?? [];
  assert.equal(execFileSync("bash", ["-c", `printf %s ${tried}`], { encoding: "utf8" }), name);
});

test("serve says its address, answers there, and is done when it is ended", async () => {
  const child = spawn(process.execPath, ["--preserve-symlinks", bin, "serve"], { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  const address = String(await new Promise((resolve) => child.stdout.once("data", resolve)));
  assert.match(address, /^http:\/\/127\.0\.0\.1:\d+\/\n$/);
  assert.match(await (await fetch(address.trim())).text(), /<title>MemBuddy/);
  child.kill("SIGTERM");
  assert.equal(await new Promise((resolve) => child.on("exit", resolve)), 0);
});

test("serve says that a port is taken, and what to do", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (other.address());
  const { status, stderr } = run(["serve", "--port", String(port)]);
  other.close();
  assert.equal(status, 1);
  assert.equal(stderr, `membuddy: port ${port} of 127.0.0.1 cannot be had: something else listens on it; name another with --port, or none for any that is free\n`);
});

test("the columns of why stand below one another, however wide the letters of a name are", async () => {
  const process = await spawnProcess(ourImages[1].file);
  await process.eval("Data = { ['余额'] = { ['a\u0301'] = { ab = {} } } } return 1");
  writeFileSync(inFolder("wide.dat"), new Uint8Array(/** @type {Uint8Array} */ (process.memory)));
  const chain = say(["why", "wide.dat", "Data/余额/a\u0301/ab"]).trimEnd().split("\n").slice(-4);
  assert.deepEqual(chain.map((line) => line.split(/(?=cut here)/)[0]), ["     Data  ", "     余额  ", "     a\u0301     ", "     ab    "]);
});

test("serve --open gives its address to the browser, and serves where there is none", { skip: process.platform !== "linux" && "other systems have no xdg-open" }, async () => {
  mkdirSync(inFolder("programs"));
  const told = inFolder("opened"), readTold = () => (existsSync(told) ? readFileSync(told, "utf8") : "");
  /** @type {string} */ let address = "";
  for (const [hasBrowser, ...options] of /** @type {[boolean, ...string[]][]} */ ([[false, "--open"], [true], [true, "--open"]])) {
    if (hasBrowser) writeFileSync(inFolder("programs/xdg-open"), `#!/bin/sh\necho "$@" >> "${told}"\n`, { mode: 0o755 });
    const child = spawn(process.execPath, ["--preserve-symlinks", bin, "serve", ...options], { cwd: folder, stdio: ["ignore", "pipe", "ignore"], env: { ...process.env, PATH: inFolder("programs") } });
    address = String(await new Promise((resolve) => child.stdout.once("data", resolve)));
    assert.equal((await fetch(address.trim())).status, 200);
    while (hasBrowser && options.length > 0 && !readTold().includes(address)) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGINT");
    assert.equal(await new Promise((resolve) => child.on("exit", resolve)), 0);
  }
  assert.equal(readTold(), address, "the last alone");
});

test("the paths in the help of tree and why are some of the sample", () => {
  const examples = ["tree", "why"].flatMap((command) => [...say([command, "--help"]).matchAll(/^ {2}membuddy (.+)$/gm)].map((match) => match[1]));
  assert.ok(examples.length >= 5);
  for (const example of examples) say(example.replace("state.dat", "sample.dat").replaceAll('"', "").match(/\S+( \w+\])?/g) ?? []);
});

describe("membuddy FILE", () => {
  test("the account, the kinds and the largest by path, and nothing beside", () => {
    const { status, stdout, stderr } = run(["sample.dat", "--top", "5"]);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    assert.match(stdout, /Every byte of the memory[^]*Kinds of live objects[^]*Largest by path[^]*_G\/Inbox|_G\/package/);
    assert.match(stdout, /unaccounted: 0 bytes/);
    assert.ok(!stdout.includes("\x1b"));
    assert.equal(stdout.split("Largest by path")[1].trimEnd().split("\n").length, 1 + 1 + 5 + 1);
  });

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

  test("the same memory gives the same bytes: raw, gzip, from a pipe", () => {
    const memory = readFileSync(inFolder("sample.dat"));
    writeFileSync(inFolder("sample.gz"), gzipSync(memory));
    const expected = say(["sample.dat", "--json"]);
    assert.equal(say(["sample.gz", "--json"]), expected);
    assert.equal(say(["-", "--json"], { input: memory }), expected);
  });

  test("what comes through a pipe goes to its place, and is collected nowhere else", { skip: !existsSync("/dev/zero") && "there is no /dev/zero" }, () => {
    const program = `import { attach } from ${JSON.stringify(path.join(installed, "cli/index.js"))};
      await attach("-").catch(({ message }) => console.log(process.resourceUsage().maxRSS, message));`;
    const { stdout } = spawnSync("bash", ["-c", `head -c 256M /dev/zero | "$0" --preserve-symlinks --input-type=module -e '${program}'`, process.execPath], { encoding: "utf8" });
    const [, kilobytes, message] = /^(\d+) (.*)\n$/.exec(stdout) ?? [];
    assert.match(message, /no Lua in these 268,435,456 bytes: .*every byte of it is zero$/);
    assert.ok(Number(kilobytes) < 200 * 1024, `${kilobytes} KB`);
  });

  test("the module of two memories may come through a pipe, once", () => {
    const module = path.join(root, "dist/membuddy-lua54-wasm64.wasm"), words = ["diff", "sample.dat", "sample.dat", "--json", "--module"];
    const expected = say([...words, module]);
    assert.equal(say([...words, "-"], { input: readFileSync(module) }), expected);
    const named = spawnSync("bash", ["-c", `"$0" --preserve-symlinks "$1" ${words.join(" ")} <(cat "$2")`, process.execPath, bin, module], { cwd: folder, encoding: "utf8", timeout: 60000 });
    assert.equal(named.stdout, expected, named.stderr);
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

for (const words of ["sample.dat --json --depth inf", "export sample.dat --format json --min-size 0 --depth all -o -"])
  test(`a reader who stops reading is no error: ${words}`, async () => {
    const child = spawn("bash", ["-o", "pipefail", "-c", `"$0" --preserve-symlinks "$1" ${words} | head -c 10 >/dev/null`, process.execPath, bin], { cwd: folder });
    let said = "";
    child.stderr.on("data", (piece) => { said += piece; });
    const code = await new Promise((resolve) => child.on("close", resolve));
    assert.deepEqual({ code, said }, { code: 0, said: "" });
  });

describe("files are there whole or not at all", () => {
  const writer = `
    import { writeWhole } from ${JSON.stringify(path.join(root, "cli/files.js"))};
    await writeWhole(process.argv[1], async (file) => {
      file.write("half");
      console.log("writing");
      if (process.argv[2] === "fail") throw new Error("broken");
      if (process.argv[2] === "busy") return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
      await new Promise((resolve) => setTimeout(resolve, 30000));
    });`;
  const names = () => readdirSync(folder).filter((name) => name.startsWith("out"));

  for (const [signal, how, meanwhile] of /** @type {const} */ ([
    ["SIGINT", "wait", ""], ["SIGTERM", "wait", ""], ["SIGINT", "busy", ", where nothing else could run"], ["SIGTERM", "busy", ", where nothing else could run"]]))
    test(`${signal} leaves nothing, and what was there before${meanwhile}`, async () => {
      writeFileSync(inFolder("out.dat"), "before");
      const child = spawn(process.execPath, ["--input-type=module", "-e", writer, inFolder("out.dat"), how], { stdio: ["ignore", "pipe", "inherit"] });
      await new Promise((resolve) => child.stdout.once("data", resolve));
      child.kill(signal);
      const code = await new Promise((resolve) => child.on("close", resolve));
      assert.equal(code, signal === "SIGINT" ? 130 : 143);
      assert.deepEqual(names(), ["out.dat"]);
      assert.equal(readFileSync(inFolder("out.dat"), "utf8"), "before");
    });

  test("an error leaves nothing", () => {
    const { status } = spawnSync(process.execPath, ["--input-type=module", "-e", writer, inFolder("out.new"), "fail"]);
    assert.equal(status, 1);
    assert.deepEqual(names(), ["out.dat"]);
  });
});

describe("what stands at the place of a result", () => {
  /** @param {string[]} commandLine @param {RegExp} message @param {{ input?: Uint8Array }} [options] */
  function assertRefused(commandLine, message, options) {
    const names = readdirSync(folder);
    const { status, stdout, stderr } = run(commandLine, options);
    assert.deepEqual({ status, stdout }, { status: 1, stdout: "" });
    assert.match(stderr, message);
    assert.equal(stderr.split("\n").length, 2, stderr);
    assert.deepEqual(readdirSync(folder), names);
  }
  const asJson = ["export", "sample.dat", "--format", "json", "-o"];
  /** @type {string} */
  let expected;
  before(() => { expected = say([...asJson, "-"]); });

  test("is not the memory that is read, by whatever name", () => {
    const memory = readFileSync(inFolder("sample.dat"));
    linkSync(inFolder("sample.dat"), inFolder("hard.json"));
    symlinkSync("sample.dat", inFolder("soft.json"));
    writeFileSync(inFolder("older.dat"), memory);
    for (const name of ["sample.dat", "./sample.dat", "hard.json", "soft.json"]) assertRefused([...asJson, name], / is read for the result, which would replace it; name another file/);
    assertRefused(["export", "sample.dat", "--format", "html", "--with", "older.dat", "-o", "older.dat"], /older\.dat is read for the result/);
    copyFileSync(path.join(root, "dist/membuddy-lua54-wasm64.wasm"), inFolder("image.wasm"));
    assertRefused([...asJson, "image.wasm", "--module", "image.wasm"], /^membuddy: image\.wasm is read for the result/);
    assert.ok(readFileSync(inFolder("sample.dat")).equals(memory) && readFileSync(inFolder("older.dat")).equals(memory));
  });

  test("is no directory, and neither is the standard input", () => {
    const { status, stderr } = spawnSync("bash", ["-c", '"$0" --preserve-symlinks "$1" - < .', process.execPath, bin], { cwd: folder, encoding: "utf8" });
    assert.deepEqual({ status, stderr }, { status: 1, stderr: "membuddy: the standard input is a directory; name a file\n" });
    mkdirSync(inFolder("d.json"));
    for (const name of [".", "d.json", "d.json/"]) assertRefused([...asJson, name], /^membuddy: .* is a directory; name the file to write\n$/);
    assertRefused(["sample", "-o", "d.json"], /is a directory/);
  });

  test("has a name", () => {
    for (const command of [asJson, ["sample", "-o"]]) assertRefused([...command, ""], /^membuddy: the name of the output is empty; name the file to write\n$/);
  });

  test("may have the longest name that there is", () => {
    const name = `${"n".repeat(250)}.json`;
    assert.deepEqual(run([...asJson, name]), { status: 0, stdout: "", stderr: "" });
    rmSync(inFolder(name));
  });

  test("is asked about before what is read, which says itself why it cannot be", () => {
    writeFileSync(inFolder("there.json"), "before");
    symlinkSync("endless.dat", inFolder("endless.dat"));
    for (const name of ["endless.dat", "n".repeat(300)]) assertRefused(["export", name, "-o", "there.json"], /^membuddy: .* cannot be read: (too many symbolic links|name too long)/);
    assert.equal(readFileSync(inFolder("there.json"), "utf8"), "before");
  });

  test("is told of when it may not become so large", { skip: process.platform === "win32" && "there is no ulimit" }, () => {
    const names = readdirSync(folder);
    const { status, stderr } = spawnSync("sh", ["-c", 'ulimit -f 20; exec "$0" --preserve-symlinks "$@"', process.execPath, bin, "export", "sample.dat", "-o", "large.heapsnapshot"], { cwd: folder, encoding: "utf8" });
    assert.equal(status, 1);
    assert.match(stderr, /^membuddy: large\.heapsnapshot could not be written to its end: file too large; nothing is left of it\n$/);
    assert.deepEqual(readdirSync(folder), names);
  });

  test("is followed where it is a link, to a file or to nothing yet", () => {
    mkdirSync(inFolder("behind"));
    writeFileSync(inFolder("behind/there.json"), "before");
    symlinkSync("behind/there.json", inFolder("to-there.json"));
    symlinkSync("behind/none.json", inFolder("to-none.json"));
    for (const name of ["there", "none"]) {
      say([...asJson, `to-${name}.json`]);
      assert.ok(lstatSync(inFolder(`to-${name}.json`)).isSymbolicLink());
      assert.equal(readFileSync(inFolder(`behind/${name}.json`), "utf8"), expected);
    }
    assert.deepEqual(readdirSync(inFolder("behind")), ["none.json", "there.json"]);
  });

  test("is where a link leads from its own folder, by whatever way one came there", () => {
    mkdirSync(inFolder("high/deep"), { recursive: true });
    symlinkSync("high/deep", inFolder("way"));
    symlinkSync("../up.json", inFolder("high/deep/link.json"));
    say([...asJson, "way/link.json"]);
    assert.equal(readFileSync(inFolder("high/up.json"), "utf8"), expected);
  });

  test("keeps its mode", () => {
    writeFileSync(inFolder("mode.json"), "");
    chmodSync(inFolder("mode.json"), 0o640);
    say([...asJson, "mode.json"]);
    assert.equal(statSync(inFolder("mode.json")).mode & 0o7777, 0o640);
    assert.equal(readFileSync(inFolder("mode.json"), "utf8"), expected);
  });

  test("is written to where it is a pipe", () => {
    const read = "mkfifo pipe.json && (cat pipe.json > piped & \"$0\" --preserve-symlinks \"$1\" export sample.dat -o pipe.json; code=$?; wait; exit $code)";
    const { status, stderr } = spawnSync("bash", ["-c", read, process.execPath, bin], { cwd: folder, encoding: "utf8", timeout: 60000 });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    assert.equal(readFileSync(inFolder("piped"), "utf8"), expected);
    assert.ok(lstatSync(inFolder("pipe.json")).isFIFO());
  });

  test("is written to where it is a device", (context) => {
    if (spawnSync("mknod", ["null.json", "c", "1", "3"], { cwd: folder }).status !== 0) return context.skip("only root makes devices");
    const { status, stderr } = run([...asJson, "null.json"]);
    assert.ok(lstatSync(inFolder("null.json")).isCharacterDevice());
    if (/EACCES|EPERM/.test(stderr)) return context.skip("devices cannot be opened in this folder");
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
  });

  test("is told of when it is full", { skip: !existsSync("/dev/full") && "there is no /dev/full" }, () =>
    assertRefused([...asJson, "/dev/full"], /^membuddy: \/dev\/full could not be written to its end: no space left on device\n$/));

  test("is the standard output, by its name as well", () => {
    const append = "echo first > all; { \"$0\" --preserve-symlinks \"$1\" export sample.dat --format json -o /proc/self/fd/1; echo last; } >> all";
    assert.equal(spawnSync("bash", ["-c", append, process.execPath, bin], { cwd: folder }).status, 0);
    assert.equal(readFileSync(inFolder("all"), "utf8"), `first\n${expected}last\n`);
    assert.equal(Buffer.from(say(["sample", "-o", "-"])).length > 0, true);
  });
});

describe("a standard output that is full is told in one line", { skip: !existsSync("/dev/full") && "there is no /dev/full" }, () => {
  for (const words of ["", "--help", "--version", "why --help", "sample.dat", "sample.dat --json", "tree sample.dat", "why sample.dat Inbox", "diff sample.dat sample.dat", "sample -o -", "serve"])
    test(`membuddy ${words}`, () => {
      const { status, stderr } = spawnSync("bash", ["-c", `exec "$0" --preserve-symlinks "$1" ${words} > /dev/full`, process.execPath, bin], { cwd: folder, encoding: "utf8", timeout: 60000 });
      assert.equal(status, 1);
      assert.match(stderr, /^membuddy: the standard output could not be written to its end: no space left on device\n$/);
    });
});

test("a standard error that is full changes no exit code", { skip: !existsSync("/dev/full") && "there is no /dev/full" }, () => {
  for (const [words, code] of [["sample -o told.dat", 0], ["nothing.dat", 1], ["sample.dat --dept 2", 2]])
    assert.equal(spawnSync("bash", ["-c", `"$0" --preserve-symlinks "$1" ${words} 2> /dev/full`, process.execPath, bin], { cwd: folder }).status, code, String(words));
});

describe("progress", () => {
  /** The sample, through a pipe, with a standard error that is taken for a terminal. @param {"pipe" | number} stderr */
  function readSlowly(stderr) {
    const asTerminal = `process.stderr.isTTY = true;
      process.on("worker", (worker) => worker.on("exit", () => console.log("no more progress")));
      import(${JSON.stringify(pathToFileURL(bin).href)});`;
    return spawn(process.execPath, ["--preserve-symlinks", "-e", asTerminal, bin, "-"], { cwd: folder, stdio: ["pipe", "pipe", stderr], timeout: 60000 });
  }

  /** Waits for it, or for the end of the command. @param {ReturnType<typeof readSlowly>} child @param {() => boolean} isSo */
  async function until(child, isSo) {
    while (!isSo() && child.exitCode === null && child.signalCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(isSo(), "the command ended before");
  }

  test("that Ctrl-C ends leaves the terminal in no other mode", async () => {
    const child = readSlowly("pipe");
    let shown = "";
    child.stderr?.on("data", (piece) => { shown += piece; });
    await until(child, () => shown.includes("reading"));
    child.kill("SIGINT");
    await once(child, "close");
    assert.doesNotMatch(shown, /\x1b\[\?/);
  });

  test("that cannot be drawn takes no result away", { skip: !existsSync("/dev/full") && "there is no /dev/full" }, async () => {
    const full = openSync("/dev/full", "w"), child = readSlowly(full);
    closeSync(full);
    let result = "";
    child.stdout?.on("data", (piece) => { result += piece; });
    await until(child, () => result.includes("no more progress"));
    child.stdin?.end(readFileSync(inFolder("sample.dat")));
    assert.deepEqual(await once(child, "close"), [0, null]);
    assert.match(result, /Largest by path/);
  });
});

test("bytes are read as they are written, and rounded to whole ones", () => {
  assert.deepEqual(["0", "1500", "4k", "1.5m", "1 GB", "2KiB", "3Gi", "7 b", "1.5"].map(bytesOf), [0, 1500, 4096, 1.5 * 2 ** 20, 2 ** 30, 2048, 3 * 2 ** 30, 7, 2]);
  for (const text of ["", "k", "-1", "1e3", "0x10", "4t", "4i", "4 iB", "1.", ".5"]) assert.throws(() => bytesOf(text), /a number of bytes is needed/, text);
});

test("a broken gzip in a named pipe is refused while its writer still holds it", () => {
  const hold = 'mkfifo broken.gz && exec 3<>broken.gz && printf "\\x1f\\x8b\\x08\\0garbagegarbage" >&3 && "$0" --preserve-symlinks "$1" broken.gz 3>&-';
  const { status, stderr } = spawnSync("bash", ["-c", hold, process.execPath, bin], { cwd: folder, encoding: "utf8", timeout: 60000 });
  assert.equal(status, 1);
  assert.match(stderr, /^membuddy: broken\.gz is a gzip file that cannot be read to its end /);
});

test("what is no memory is told from its first bytes, of a pipe that has no end too", () => {
  for (const [begin, kind] of [['{"Messages":[', "JSON, it seems"], ["2026-11-30 a line of a log", "text, it seems"]]) {
    const hold = 'mkfifo "$3" && exec 3<>"$3" && printf %s "$2" >&3 && "$0" --preserve-symlinks "$1" "$3" 3>&-';
    const { status, stderr } = spawnSync("bash", ["-c", hold, process.execPath, bin, begin, `${begin.length}.pipe`], { cwd: folder, encoding: "utf8", timeout: 10000 });
    assert.deepEqual([status, stderr], [1, `membuddy: ${begin.length}.pipe is ${kind}; a process's linear memory was expected, raw or gzip\n`]);
  }
});

test("a slow reader gets every byte, once", () => {
  const { status } = spawnSync("bash", ["-o", "pipefail", "-c", '"$0" --preserve-symlinks "$1" sample.dat --json --depth 8 | (sleep 1; cat) > slow.json', process.execPath, bin], { cwd: folder });
  assert.equal(status, 0);
  assert.equal(readFileSync(inFolder("slow.json"), "utf8"), say(["sample.dat", "--json", "--depth", "8"]));
  assert.ok(statSync(inFolder("slow.json")).size > 2 ** 17); // more than a pipe holds
});

test("what is no terminal gets no colours, whatever is asked for", () => {
  const { stdout } = spawnSync(process.execPath, ["--preserve-symlinks", bin, "sample.dat"], { cwd: folder, encoding: "utf8", env: { ...process.env, FORCE_COLOR: "1" } });
  assert.ok(stdout.length > 1000 && !stdout.includes("\x1b"));
});

test("a report may have as many lines as a process has objects", () => {
  const rows = Array.from({ length: 300000 }, (_, row) => [String(row), "path"]);
  assert.equal(columns(rows, ["right", "left"])[7], "     7  path");
});

test("a result that is no text any more, being too long, is refused in a sentence", () => {
  const paths = Array(4).fill("x".repeat(2 ** 27));
  assert.throws(() => context.asJson(paths), { name: "MembuddyError", message: /^the result as JSON is longer than a text can be \(.*\); ask for less / });
});

describe("progress", () => {
  const hasScript = spawnSync("script", ["-qec", "true", "/dev/null"]).status === 0;
  const slow = `(cat sample.dat | head -c 100000; sleep 1.6; tail -c +100001 sample.dat) | "${process.execPath}" --preserve-symlinks "${bin}" - --top 1`;

  test("is told on a terminal after a second, and wiped", { skip: !hasScript && "there is no `script` that makes a terminal" }, () => {
    const { stdout } = spawnSync("script", ["-qec", slow, "/dev/null"], { cwd: folder, encoding: "utf8" });
    assert.match(stdout, /reading \.\.\. 1 s/);
    assert.match(stdout, /unaccounted/);
  });

  test("is not told elsewhere", () => {
    const { stderr } = spawnSync("bash", ["-c", slow], { cwd: folder, encoding: "utf8" });
    assert.equal(stderr, "");
  });
});

describe("import { attach } from \"membuddy\"", () => {
  test("works in a program that knows only the package", () => {
    writeFileSync(inFolder("program.mjs"), `
      import { readFileSync } from "node:fs";
      import { attach, formatSize } from "membuddy";
      const heap = await attach(readFileSync("sample.dat"));
      console.log(formatSize(heap.profile().totalSize), heap.books().unaccounted, heap.print({ top: 1 }).split("\\n")[0]);`);
    const text = execFileSync(process.execPath, ["--preserve-symlinks", "--no-warnings", "program.mjs"], { cwd: folder, encoding: "utf8" });
    assert.match(text, /^[\d.]+ KB 0 MemBuddy 1/);
  });

  test("a walker that could not be loaded is asked for again", () => {
    writeFileSync(inFolder("again.mjs"), `
      import { renameSync } from "node:fs";
      import { attach } from "membuddy";
      const walker = "node_modules/membuddy/dist/attach-lua54-wasm64.wasm";
      renameSync(walker, "away.wasm");
      await attach("sample.dat").catch(({ message }) => console.log(message));
      renameSync("away.wasm", walker);
      console.log((await attach("sample.dat")).image.lua);`);
    const text = execFileSync(process.execPath, ["--preserve-symlinks", "--no-warnings", "again.mjs"], { cwd: folder, encoding: "utf8" });
    assert.match(text, /^the walker lua54-wasm64 cannot be loaded: .*\n5\.4\n$/);
  });

  for (const format of /** @type {const} */ (["esm", "cjs"]))
    test(`says in a bundle (${format}) what is not beside it, and works where it is told`, () => {
      writeFileSync(inFolder("service.js"), `
        import { readFile } from "node:fs/promises";
        import { attach } from "membuddy";
        (async () => {
          await attach("sample.dat").catch((error) => console.log(String(error)));
          const heap = await attach("sample.dat", { loadWalker: (name) => readFile(\`node_modules/membuddy/dist/attach-\${name}.wasm\`) });
          await heap.export("html").catch((error) => console.log(String(error)));
          console.log(heap.books().unaccounted, (await heap.export("pprof")).length > 1000);
        })();`);
      const bundle = inFolder({ esm: "bundle.mjs", cjs: "bundle.cjs" }[format]);
      buildSync({ absWorkingDir: folder, entryPoints: ["service.js"], bundle: true, platform: "node", format, outfile: bundle, preserveSymlinks: true, logLevel: "silent" });
      const text = execFileSync(process.execPath, ["--no-warnings", bundle], { cwd: folder, encoding: "utf8" });
      assert.match(text, /^MembuddyError: the walker lua54-wasm64 cannot be loaded: .*; in a checkout, `make` makes it, and in a bundle `loadWalker` says where it is\nMembuddyError: the page of reports is not there \(.*\n0 true\n$/);
    });

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
