/**
 * Our images are aos images: the real loader takes them, a process in them answers as in the official ones, and what
 * they do better is stated here, claim by claim.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { converse } from "./support/conversation.js";
import { driveWith } from "./support/drive.js";
import { bytesOf, ourImages, stockImage, stockImage32 } from "./support/images.js";
import { spawnProcess } from "./support/process.js";
import { hasFunctionNames, memoryLimits } from "./support/wasm.js";

const KiB = 1024;
const MiB = 1024 * KiB;

/** @param {Uint8Array | null} bytes */
const hashOf = (bytes) => createHash("sha256").update(bytes ?? "no memory").digest("hex");

/** @param {Uint8Array} wasm */
const importsOf = (wasm) => WebAssembly.Module.imports(new WebAssembly.Module(new Uint8Array(wasm))).map(({ name }) => name);

/** Global names of a process, sorted. */
const globalNames = `local names = {} for name in pairs(_G) do names[#names + 1] = name end table.sort(names) return table.concat(names, " ")`;

/** A drive without files that notes what it is asked for. */
function watchedDrive() {
  /** @type {string[]} */
  const opened = [];
  const open = (/** @type {string} */ name) => opened.push(name) && 0;
  return { opened, WeaveDrive: () => ({ open }) };
}

/** By version, of the images so far. @type {Set<string>} */
const hashOrders = new Set();
const stockConversation = await converse(await spawnProcess(stockImage.file));
const stockGlobals = (await (await spawnProcess(stockImage.file)).eval(globalNames)).split(" ");

// What a fresh process may take; measured, with room for a page or two. The official image takes 105 MiB.
const freshProcessBytes = { "5.4": 1.25 * MiB, "5.3": 3.5 * MiB };

/** @type {Record<string, { more: string[], fewer: string[] }>} */ // Lua 5.4's own additions and removals, and nothing else.
const globalDifferences = { "5.4": { more: ["warn"], fewer: [] }, "5.3": { more: [], fewer: [] } };

test("the conversation with the official image has no silent parts", () => {
  assert.equal(stockConversation.length, new Set(stockConversation.map(({ says }) => says)).size);
  const failures = stockConversation.filter(({ thrown }) => thrown).map(({ says }) => says);
  assert.deepEqual(failures, ["an error without a place"]);
});

for (const image of ourImages) {
  const wasm = bytesOf(image);
  const spawn = (/** @type {object} */ options = {}) => spawnProcess(wasm, options);

  describe(image.name, () => {
    test("it answers every message as the official image does", async () => {
      const answers = await converse(await spawn());
      stockConversation.forEach((expected, i) => assert.deepEqual(answers[i], expected));
    });

    test("the loader offers every function that it imports", () => {
      const official = new Set([stockImage, stockImage32].flatMap((specimen) => importsOf(bytesOf(specimen))));
      official.add("emscripten_get_now"); // of sqlite's official image
      assert.deepEqual(importsOf(wasm).filter((name) => !official.has(name)), []);
    });

    test("no command of a process reaches the machine that it runs on", async () => {
      assert.ok(!importsOf(wasm).includes("_emscripten_system"));
      assert.equal(await (await spawn()).eval(`return tostring(os.execute()) .. " " .. tostring(os.execute("echo out"))`), "false nil");
    });

    test("its functions have names", () => assert.ok(hasFunctionNames(wasm)));

    test("it has the official image's globals", async () => {
      const { more, fewer } = globalDifferences[image.lua];
      const expected = [...stockGlobals.filter((name) => !fewer.includes(name)), ...more].sort();
      assert.deepEqual((await (await spawn()).eval(globalNames)).split(" ").sort(), expected);
    });

    test("texts of every length are copied whole, from wherever they lie", async () => {
      const copies = `
        local text = {}
        for i = 1, 400 do text[i] = string.char(33 + i % 90) end
        local whole, wrong = table.concat(text), {}
        for length = 0, 300 do
          for at = 1, 9 do
            local part = whole:sub(at, at + length - 1) .. "."
            for i = 1, length do
              if part:byte(i) ~= 33 + (at + i - 1) % 90 then wrong[#wrong + 1] = length .. " from " .. at break end
            end
            if part:byte(length + 1) ~= 46 then wrong[#wrong + 1] = "after " .. length end
          end
        end
        return table.concat(wrong, ", ")`;
      assert.equal(await (await spawn()).eval(copies), "");
    });

    test("dates are told in UTC, whatever the zone of the machine, and no host is asked", async () => {
      const zone = process.env.TZ;
      process.env.TZ = "America/New_York";
      try {
        const aos = await spawn();
        const seconds = [0, -1, 951_782_399, 951_782_400, 1_709_251_199, 4_102_444_800, -2_203_891_201, -62_135_596_800, 253_402_300_799];
        const told = seconds.map((time) => new Date(time * 1000).toISOString().slice(0, 19).replace("T", " "));
        for (const utc of ["", "!"]) {
          const dates = await aos.eval(`local t = {} for i, s in ipairs({ ${seconds} }) do t[i] = os.date("${utc}%Y-%m-%d %H:%M:%S", s) end return table.concat(t, ",")`);
          assert.equal(dates, told.join());
        }
        assert.equal(await aos.eval(`return os.date("%a %j %Z %z ", 951782400) .. tostring(os.date("*t", 1720000000).isdst)`), "Tue 060 UTC +0000 false");
      } finally {
        if (zone === undefined) delete process.env.TZ;
        else process.env.TZ = zone;
      }
      assert.deepEqual(importsOf(wasm).filter((name) => /time_js|tzset/.test(name)), []);
    });

    test("a date that cannot be told is an error in Lua", async () => {
      const aos = await spawn();
      for (const format of ["*t", "%c", "!%c"])
        assert.match(await aos.eval(`return tostring(select(2, pcall(os.date, "${format}", 1 << 60)))`), /cannot be represented/);
    });

    test("a fresh process is small", async () => {
      const process = await spawn();
      assert.ok(process.memoryBytes <= freshProcessBytes[image.lua], `${process.memoryBytes} bytes`);
    });

    test("two spawns build the same memory, byte for byte", async () => {
      const [one, other] = [await spawn(), await spawn()];
      await one.eval("T = { math.random(), {}, 'x' }");
      await other.eval("T = { math.random(), {}, 'x' }");
      assert.equal(hashOf(one.memory), hashOf(other.memory));
    });

    test("the host's clock has no say in how equal elements are sorted", async () => {
      const { now } = Date;
      /** @type {string[]} */
      const sorted = [];
      try {
        for (const time of [0, 1e9]) {
          const process = await spawn();
          Date.now = () => time;
          // the elements that the first pivot is chosen from are the smallest, so that it parts the array badly
          const order = await process.eval(`local list, ids = {}, {}
            for i = 1, 1000 do list[i] = { value = (i == 1 or i == 500 or i == 1000) and 1 or 2, id = i } end
            table.sort(list, function(a, b) return a.value < b.value end)
            for i, element in ipairs(list) do ids[i] = element.id end
            return table.concat(ids, " ")`);
          sorted.push(`${hashOf(process.memory)} ${order}`);
        }
      } finally {
        Date.now = now;
      }
      assert.equal(sorted[0], sorted[1]);
    });

    test("a process goes on in a new instance with its memory", async () => {
      const [first, second] = [await spawn(), await spawn()];
      await first.eval("Saved = 0 for i = 1, 100000 do Saved = Saved + #tostring(i) end Text = ('x'):rep(3000000)");
      second.memory = first.memory;
      assert.equal(await second.eval("return Saved + #Text"), "3488895");
    });

    test("pages that the host added are free: neither what print tells nor how memory grows hangs on them", async () => {
      const [one, other] = [await spawn(), await spawn()];
      const lastLine = "local own, last = print function print(line) last = line end require('membuddy').print() print = own return last";
      const answersAgree = async () => assert.equal(await other.eval(lastLine), await one.eval(lastLine));
      const memoriesAgree = () => {
        const [memory, longer] = [one.memory ?? [], other.memory ?? new Uint8Array()];
        assert.equal(hashOf(longer.slice(0, memory.length)), hashOf(new Uint8Array(memory)));
      };
      for (const [process, code] of /** @type {const} */ ([[one, ""], [other, "Text = ('x'):rep(3000000)"]])) {
        const { now } = Date;
        Date.now = () => { throw new Error("the host breaks off"); };
        await assert.rejects(process.eval(`${code} os.clock()`), /breaks off/).finally(() => { Date.now = now; });
      }
      await answersAgree();
      const longer = new Uint8Array(other.memoryBytes + 8 * MiB);
      longer.set(one.memory ?? []);
      other.memory = longer; // as the loader's new instances have it, which grow by a fifth at least
      await answersAgree();
      memoriesAgree();
      for (const process of [one, other]) await process.eval("Text = ('x'):rep(3000000)");
      await answersAgree();
      memoriesAgree();
      for (const process of [one, other]) assert.equal(Number(await process.eval('return require("membuddy").account().memory')), process.memoryBytes);
    });

    test("require('membuddy') is answered by the library inside, and asks no file system", async () => {
      const { opened, WeaveDrive } = watchedDrive();
      const process = await spawn({ loader: { WeaveDrive } });
      assert.equal(await process.eval("return type(require('membuddy').profile)"), "function");
      assert.equal(await process.eval("return package.loaded.membuddy == require('membuddy')"), "true");
      const again = "package.loaded.membuddy = nil local m = require('membuddy') return m.backend .. m.profile().unaccounted";
      assert.equal(await process.eval(again), "native0", "also where it was taken out, as apm.uninstall does");
      assert.deepEqual(opened, []);
    });

    test("a missing module asks no host and grows nothing", async () => {
      const { opened, WeaveDrive } = watchedDrive();
      const process = await spawn({ loader: { WeaveDrive } });
      const before = process.memoryBytes;
      const message = await process.eval("return select(2, pcall(require, 'no.such'))");
      assert.match(message, /module 'no\.such' not found:[^]*module no\.such not found[^]*no file '\.\/no\/such\.lua'/);
      assert.deepEqual(opened, []);
      assert.equal(process.memoryBytes, before);
    });

    test("hashes are the same whatever the process is spawned with", async () => {
      const keys = `local t, names = {}, {} for i = 1, 40 do t["key " .. i] = i end for name in pairs(t) do names[#names + 1] = name end return table.concat(names, " ")`;
      const orders = await Promise.all([0, 100, 5000].map(async (length) => (await spawn({ data: "x".repeat(length) })).eval(keys)));
      assert.equal(new Set(orders).size, 1);
      hashOrders.add(`${image.lua} ${orders[0]}`);
      assert.equal(new Set([...hashOrders].map((order) => order.slice(0, 3))).size, hashOrders.size, "both widths of a version have one order");
    });

    test("On-Boot = Data evaluates the spawn message", async () => {
      const process = await spawn({ tags: [{ name: "On-Boot", value: "Data" }], data: "Booted = 6 * 7 print('booting')" });
      assert.equal(process.spawnResult.Output.data, "booting");
      assert.equal(await process.eval("return Booted"), "42");
    });

    test("On-Boot = a transaction loads its data through the host", async () => {
      const loader = { WeaveDrive: driveWith({ "/data/boot-tx": "Booted = 'from the weave'" }, { readsFromStart: true }) };
      const process = await spawn({ tags: [{ name: "On-Boot", value: "boot-tx" }], loader });
      assert.equal(await process.eval("return Booted"), "from the weave");
    });

    test("files of the host are opened, read whole, by line and by number, and closed", async () => {
      const process = await spawn({ loader: { WeaveDrive: driveWith({ "/data/file": "first\nsecond\n12.5 rest" }) } });
      assert.equal(
        await process.eval(`
          local file = io.open("/data/file")
          local whole = file:read("a")
          file:seek("set", 0)
          local first, second, number = file:read("l", "l", "n")
          return table.concat({ #whole, first, second, number, tostring(file:close()), io.type(file) }, ",")`),
        "22,first,second,12.5,true,closed file",
      );
      assert.equal(await process.eval("return tostring(io.open('/data/none'))"), "nil");
    });

    test("a program in a file of the host is loaded and required", async () => {
      const files = { "/data/lib": "local name = ... return { answer = 42, name = name }" };
      const process = await spawn({ loader: { WeaveDrive: driveWith(files) } });
      assert.equal(await process.eval("return dofile('/data/lib').answer"), "42");
      assert.equal(await process.eval("package.path = '/data/?' return require('lib').name"), "lib");
    });

    test("waiting for the host costs a fraction of the loader's 40 MiB, once", async () => {
      const process = await spawn({ loader: { WeaveDrive: driveWith({ "/data/file": "text" }) } });
      const before = process.memoryBytes;
      for (let i = 0; i < 5; i++)
        assert.equal(await process.eval("local f = io.open('/data/file') local t = f:read('a') f:close() return t"), "text");
      assert.ok(process.memoryBytes - before <= 256 * KiB, `${process.memoryBytes - before} bytes`);
    });

    test("the host is waited for through pcall, coroutines, sort, gsub, metamethods, finalizers and handlers of errors", async () => {
      const process = await spawn({ loader: { WeaveDrive: driveWith({ "/data/file": "text" }) } });
      await process.eval("function Read() local f = assert(io.open('/data/file')) local t = f:read('a') f:close() return t end");
      const ways = [
        "return select(2, pcall(Read))",
        "return coroutine.wrap(function() return coroutine.wrap(Read)() end)()",
        "local r table.sort({ 2, 1 }, function(a, b) r = Read() return a < b end) return r",
        "return (('x'):gsub('x', Read))",
        "return setmetatable({}, { __index = Read }).anything",
        "return setmetatable({}, { __concat = Read }) .. ''",
        "local r setmetatable({}, { __gc = function() r = Read() end }) collectgarbage() return r",
        "return select(2, xpcall(error, Read))",
        "return select(2, pcall(load(function() local t = Read2 or 'return \"' .. Read() .. '\"' Read2 = '' return t end)))",
      ];
      for (const way of ways) assert.equal(await process.eval(way), "text", way);
    });

    test("a message larger than the C stack arrives whole, and leaves nothing on it", async () => {
      const process = await spawn();
      const text = "0123456789".repeat(600_000);
      const result = await process.send({ Tags: [{ name: "Action", value: "Long" }], Data: text });
      assert.equal(result.Error, undefined);
      assert.equal(await process.eval("return #Inbox[#Inbox].Data .. Inbox[#Inbox].Data:sub(-3)"), "6000000789");
    });

    test("text of several bytes a character arrives as it was sent", async () => {
      const process = await spawn();
      await process.send({ Tags: [{ name: "Action", value: "Text" }], Data: "č🐎\u0001\"\\\n" });
      assert.equal(await process.eval("return Inbox[#Inbox].Data"), "č🐎\u0001\"\\\n");
    });

    test("the maximum of its memory is what the build says", () => assert.equal(memoryLimits(wasm).maximumPages, 16384));
  });
}
