/**
 * The command `membuddy` in its surroundings: files, pipes, terminals, signals, servers, programs that import it, under
 * each version of Node.js.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, closeSync, copyFileSync, existsSync, linkSync, lstatSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import path from "node:path";
import { before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { buildSync } from "esbuild";
import { bin, folder, inFolder, installPackage, installed, root, run, say } from "./support/package.js";

before(installPackage);

test("the standard input is read once", () => {
  const input = readFileSync(inFolder("sample.dat"));
  const again = run(["diff", "-", "-"], { input });
  assert.deepEqual([again.status, again.stderr], [1, "membuddy: the standard input was read already, which goes once; name a file for the other\n"]);
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

describe("membuddy FILE", () => {
  test("the account, the kinds and the largest by path, and nothing beside", () => {
    const { status, stdout, stderr } = run(["sample.dat", "--top", "5"]);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    assert.match(stdout, /Every byte of the memory[^]*Kinds of live objects[^]*Largest by path[^]*_G\/Inbox|_G\/package/);
    assert.match(stdout, /unaccounted: 0 bytes/);
    assert.ok(!stdout.includes("\x1b"));
    assert.equal(stdout.split("Largest by path")[1].trimEnd().split("\n").length, 1 + 1 + 5 + 1);
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
});
