/**
 * Memory of our images: a process that runs out of it gets the Lua error "not enough memory" and lives; linear memory
 * grows by what is needed.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { driveWith } from "./support/drive.js";
import { bytesOf, ourImages } from "./support/images.js";
import { spawnProcess } from "./support/process.js";
import { memoryLimits, withMemoryMaximum } from "./support/wasm.js";

const pageBytes = 65536;
const pagesToEat = 48; // above what the image starts with: 3 MiB

/** Ways to eat all memory there is. @type {Record<string, string>} */
const eaters = {
  "a growing array": "local t = {} for i = 1, 1e9 do t[i] = i end",
  "a growing hash": "local t = {} for i = 1, 1e9 do t['k' .. i] = true end",
  "small tables": "local t = {} for i = 1, 1e9 do t[i] = { i } end",
  closures: "local t = {} for i = 1, 1e9 do t[i] = function() return i end end",
  coroutines: "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print) end",
  "a doubling string": "local s = 'x' while true do s = s .. s end",
  "one huge string": "return #('x'):rep(1 << 30)",
  "strings of every length": "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(i) end",
  "table.concat": "local t = {} for i = 1, 20 do t[i] = ('x'):rep(1 << 18) end return #table.concat(t)",
  "string.gsub": "return #(('x'):rep(1 << 18):gsub('x', ('y'):rep(64)))",
  "string.format": "local s = ('x'):rep(1 << 19) while true do s = string.format('%s%s', s, s) end",
  "a source that is compiled": "local t = {} for i = 1, 200000 do t[i] = 'a' .. i .. ' = ' .. i .. ' ' end return #t .. tostring(load(table.concat(t)))",
  "a deep Lua stack": "local function f(n) return 1 + f(n + 1) end return f(1)",
  userdata: "local t = {} for i = 1, 1e9 do t[i] = io.tmpfile and newproxy or setmetatable({}, { __gc = function() end }) end",
  "JSON that is decoded": "return #require('json').decode('[' .. ('[1,2,3],'):rep(60000) .. '0]')",
  "JSON that is encoded": "local t = {} for i = 1, 60000 do t[i] = i end while true do t = { require('json').encode(t) } end",
  "numbered texts, caught by pcall": "local s = ('x'):rep(1000) local ok, e = pcall(function() local t = {} for i = 1, 1e9 do t[i] = s .. i end end) return e",
  "the answer of the message": "Waste = ('\\\\'):rep(700000) return Waste .. Waste",
};

for (const image of ourImages) {
  const wasm = bytesOf(image);
  const { initialPages } = memoryLimits(wasm);
  const small = withMemoryMaximum(wasm, initialPages + pagesToEat);

  /** @param {Promise<any>} answer @returns {Promise<string>} what went wrong, wherever it stands */
  const failureOf = (answer) =>
    answer.then(
      (result) => String(result.Error ?? `answered ${JSON.stringify(result.Output).slice(0, 80)}`),
      (reason) => String(reason?.message ?? reason),
    );

  describe(`${image.name}, out of memory`, () => {
    for (const [way, code] of Object.entries(eaters))
      test(`${way}: "not enough memory", and the next message works`, async () => {
        const process = await spawnProcess(small, { carryMemory: false });
        assert.match(await failureOf(process.evalResult(code)), /not enough memory/);
        assert.equal(await process.eval("Waste = nil collectgarbage() return #Inbox .. ' alive'"), "1 alive");
        assert.match(await failureOf(process.evalResult(code)), /not enough memory/, "the second time");
        assert.equal(await process.eval("Waste = nil collectgarbage() return 'alive'"), "alive");
      });

    test("it is caught by pcall, and what it ate can be used again", async () => {
      const process = await spawnProcess(small, { carryMemory: false });
      const eat = "local ok, e = pcall(function() local t = {} for i = 1, 1e9 do t[i] = { i } end end) return tostring(e)";
      for (let i = 0; i < 3; i++) assert.match(await process.eval(eat), /not enough memory/);
      assert.equal(await process.eval("local s = ('x'):rep(500000) return #s"), "500000");
    });

    test("garbage goes before a text that a library builds is refused, as it does for an object", async () => {
      const process = await spawnProcess(small, { carryMemory: false });
      assert.equal(await process.eval(`
        local kept, piece, parts = {}, 400000, {}
        for i = 1, 1000 do parts[i] = "part" end
        while piece > 64 do if not pcall(function() kept[#kept + 1] = ("x"):rep(piece) .. #kept end) then piece = piece // 2 end end
        collectgarbage("stop")
        kept[1] = nil
        local ok, text = pcall(table.concat, parts, ("-"):rep(50))
        collectgarbage("restart")
        kept = nil
        return tostring(ok) .. " " .. #text`), "true 53950");
    });

    test("garbage goes before a module of aos is refused", async () => {
      const process = await spawnProcess(small, { carryMemory: false });
      assert.equal(await process.eval(`
        local kept, piece = {}, 400000
        package.loaded[".dump"] = nil
        while piece > 64 do if not pcall(function() kept[#kept + 1] = ("x"):rep(piece) .. #kept end) then piece = piece // 2 end end
        collectgarbage("stop")
        kept[1] = nil
        local ok, module = pcall(require, ".dump")
        collectgarbage("restart")
        kept = nil
        return tostring(ok) .. " " .. type(module)`), "true function");
    });

    test("a file that no memory is left to wait for is an error, and neither empty nor missing", async () => {
      const loader = { WeaveDrive: driveWith({ "/data/file": "text" }) };
      const process = await spawnProcess(small, { carryMemory: false, loader });
      await process.eval(`
        function Full(ask, ...)
          local kept, piece = {}, 400000
          collectgarbage()
          while piece > 20000 do if not pcall(function() kept[#kept + 1] = ("x"):rep(piece) end) then piece = piece // 2 collectgarbage() end end
          kept[#kept] = nil
          local answer, why = ask(...)
          kept = nil
          return tostring(answer) .. " " .. tostring(why)
        end`);
      assert.equal(await process.eval("return Full(io.open, '/data/file')"), "nil /data/file: Out of memory");
      await process.eval("File = io.open('/data/file')");
      assert.equal(await process.eval("return Full(File.read, File, 'a')"), "nil Out of memory");
      assert.equal(await process.eval("return File:read('a')"), "text");
    });

    test("garbage goes before a file is refused", async () => {
      const loader = { WeaveDrive: driveWith({ "/data/file": "text" }) };
      const process = await spawnProcess(small, { carryMemory: false, loader });
      assert.equal(await process.eval(`
        local kept, piece = {}, 400000
        while piece > 20000 do if not pcall(function() kept[#kept + 1] = ("x"):rep(piece) .. #kept end) then piece = piece // 2 end end
        collectgarbage("stop")
        kept = nil
        local file, why = io.open("/data/file")
        collectgarbage("restart")
        return file and file:read("a") or why`), "text");
    });

    test("a message too large for what is left is refused, and the next one is answered", async () => {
      const process = await spawnProcess(small, { carryMemory: false });
      const message = { Tags: [{ name: "Action", value: "Long" }], Data: "x".repeat((initialPages + pagesToEat) * pageBytes) };
      for (let i = 0; i < 3; i++) assert.match(await failureOf(process.send(message)), /not enough memory/);
      assert.equal(await process.eval("return 'alive'"), "alive");
    });

    test("a message that only just does not fit is refused, and the next one is answered", async () => {
      const process = await spawnProcess(small, { carryMemory: false });
      for (let kib = 200; kib < 3200; kib += 150) {
        const message = { Tags: [{ name: "Action", value: "Fill" }], Data: "x".repeat(kib * 1024) };
        const outcome = await failureOf(process.send(message));
        assert.match(outcome, /not enough memory|answered/, `${kib} KiB`);
        assert.equal(await process.eval("Inbox = {} collectgarbage() return 'alive'"), "alive");
      }
    });

    test("a text that does not fit is sent behind the memory, wherever that ends", async () => {
      const module = await WebAssembly.compile(/** @type {any} */ (small));
      /** @type {Record<string, Record<string, any>>} */
      const imports = {};
      for (const { module: from, name } of WebAssembly.Module.imports(module)) (imports[from] ??= {})[name] = () => 0;
      const { exports } = await WebAssembly.instantiate(module, imports);
      const { memory } = /** @type {{ memory: WebAssembly.Memory }} */ (exports);
      const allocate = /** @type {(bytes: any) => number | bigint} */ (exports._emscripten_stack_alloc);
      const is64 = memoryLimits(wasm).is64, tooMuch = (initialPages + pagesToEat) * pageBytes;
      const place = Number(allocate(is64 ? BigInt(tooMuch) : tooMuch)), end = memory.buffer.byteLength;
      assert.ok(place >= end, `${place}, before ${end}`);
      assert.ok(is64 || place + tooMuch < 2 ** 32, "the loader's numbers begin anew there");
      if (!is64) assert.throws(() => allocate(2 ** 32 - end), WebAssembly.RuntimeError);
    });

    test("a process that is full takes memory up to its maximum, to the page", async () => {
      const process = await spawnProcess(small, { carryMemory: false });
      await failureOf(process.evalResult("local list while true do list = { list } end"));
      await process.eval("return 1");
      assert.equal(process.memoryBytes, (initialPages + pagesToEat) * pageBytes);
    });
  });

  describe(`${image.name}, growing`, () => {
    test("linear memory grows with the heap, not by fifths", async () => {
      const process = await spawnProcess(wasm, { carryMemory: false });
      for (let step = 0; step < 20; step++) {
        await process.eval("Held = Held or {} for i = 1, 20000 do Held[#Held + 1] = { #Held } end collectgarbage()");
        const heapBytes = Number(await process.eval("return collectgarbage('count') * 1024"));
        assert.ok(process.memoryBytes < 1.3 * heapBytes + initialPages * pageBytes + 2 ** 21, `${process.memoryBytes} for ${heapBytes}`);
      }
    });

    test("the last pages before the maximum are not taken one by one", async () => {
      const process = await spawnProcess(withMemoryMaximum(wasm, 1664), { carryMemory: false });
      await process.eval("Large = ('x'):rep(48 << 20)");
      const { grow } = WebAssembly.Memory.prototype, pagesBefore = process.memoryBytes / pageBytes;
      let steps = 0;
      WebAssembly.Memory.prototype.grow = function (/** @type {any} */ pages) {
        steps += 1; // the loader, asked for fresh views
        return grow.call(this, pages);
      };
      const eat = "local list pcall(function() while true do list = { list } end end) list = nil return 1";
      await process.eval(eat).finally(() => (WebAssembly.Memory.prototype.grow = grow));
      assert.equal(process.memoryBytes, 1664 * pageBytes);
      assert.ok(1664 - pagesBefore > 32, `only ${1664 - pagesBefore} pages to go`);
      assert.ok(steps < 12, `${steps} steps for ${1664 - pagesBefore} pages`);
    });

    test("800 thousand balances take at most 1.2 bytes of linear memory a byte of Lua", async () => {
      const process = await spawnProcess(wasm, { carryMemory: false });
      const before = { memory: process.memoryBytes, heap: Number(await process.eval("return collectgarbage('count') * 1024")) };
      for (let step = 0; step < 8; step++)
        await process.eval(`
          Balances = Balances or {}
          local format = string.format
          for i = ${step} * 100000 + 1, ${step + 1} * 100000 do
            local x = i * 2654435761 % 4294967296
            Balances[format("%08x%08x%08x%08x%08x%03x", x, x ~ 0x5bd1e995, x * 7 % 4294967296, x * 13 % 4294967296, x * 31 % 4294967296, i % 4096)] = tostring(x % 1000000)
          end`);
      const heap = Number(await process.eval("collectgarbage() return collectgarbage('count') * 1024"));
      const ratio = (process.memoryBytes - before.memory) / (heap - before.heap);
      assert.ok(ratio <= 1.2, `${ratio.toFixed(3)}: ${process.memoryBytes} bytes of memory, ${heap} of Lua`);
    });
  });
}

test("the demo copies no linear memory: with each of its messages that would take minutes in an image of 100 MB", () => {
  const count = `let bytes = 0;
    for (const name of ["slice", "set"]) {
      const plain = Uint8Array.prototype[name];
      const counted = function (...given) {
        const size = (name === "set" ? given[0] : this).length;
        if (size >= 1 << 20) bytes += size;
        return plain.apply(this, given);
      };
      Object.defineProperty(Uint8Array.prototype, name, { value: counted });
    }
    process.on("exit", () => console.error("copied", bytes));`;
  const { status, stderr } = spawnSync(process.execPath, ["--experimental-wasm-memory64", "--no-warnings", "--import", `data:text/javascript,${encodeURIComponent(count)}`,
    fileURLToPath(new URL("../scripts/demo.js", import.meta.url))], { encoding: "utf8" });
  assert.deepEqual([status, stderr.trim()], [0, "copied 0"]);
});
