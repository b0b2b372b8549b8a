/** The module in pure Lua in published images: how much it explains, how far it is off, what it leaves behind. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ourImages } from "./support/images.js";
import { errorsOfPaths, loadPure, shareOf } from "./support/pure.js";
import { spawnProcess } from "./support/process.js";
import { countingModule, reportBelow, stepsOf } from "./support/steps.js";

/** @typedef {import("./support/process.js").Process} Process */

const specimen = (/** @type {string} */ name) => fileURLToPath(new URL(`../build/specimens/${name}.wasm`, import.meta.url));

for (const name of ["aos2_0_6", "aos2_0_4_32", "aos2_0_1", "sqlite"]) {
  describe(`pure Lua in ${name}`, async () => {
    const process = await spawnProcess(specimen(name));
    await loadPure(process);

    test("97 percent of what Lua counts are explained, and nothing is left behind", async () => {
      const pages = process.memoryBytes;
      const { explained, leftBytes } = await shareOf(process);
      assert.ok(explained >= 97 && explained <= 101, `${explained} percent`);
      assert.ok(leftBytes <= 0, `${leftBytes} bytes are left`);
      assert.equal(process.memoryBytes, pages);
    });

    test("the 100 largest paths are as large as they are seen from outside", async () => {
      const { errors, live } = await errorsOfPaths(process);
      assert.ok(errors.length >= 90, `only ${errors.length} of 100 paths are there`);
      const { path, error } = errors[errors.length - 1];
      assert.ok(errors[errors.length >> 1].error <= 0.02, `the median is off by ${errors[errors.length >> 1].error}`);
      assert.ok(error <= 0.15, `${path} is off by ${error}`);
      assert.ok(Math.abs(live - 1) <= 0.02, `of what lives it finds ${live}`);
    });
  });
}

for (const image of ourImages) {
  test(`${image.name}: of single objects and of code it computes what the library reads, of waiting coroutines but for a tenth`, async () => {
    const process = await spawnProcess(image.file, { carryMemory: false });
    await process.eval("Native, package.loaded.membuddy, package.preload.membuddy = require('membuddy') return 1");
    await process.eval("debug, utf8 = true, 0 return 1"); // which the module does not take for the libraries
    await loadPure(process);
    await process.eval("debug, utf8 = package.loaded.debug, package.loaded.utf8 return 1");
    assert.equal(await process.eval(`
      local pure, native, problems = package.loaded.membuddy, Native, {}
      local function compare(what, computed, read, part)
        if math.abs(computed - read) > (part or 0) * read then
          problems[#problems + 1] = what .. ": " .. computed .. ", not " .. read
        end
      end
      local function compare_kinds(what, target, options)
        local read = native.profile(target, options).kinds
        for kind, computed in pairs(pure.profile(target, options).kinds) do
          compare(what .. ", count of " .. kind, computed.count, read[kind].count)
          compare(what .. ", bytes of " .. kind, computed.bytes, read[kind].bytes)
        end
      end
      local a, b, c = {}, {}, {}
      local function wait(first, ...) local own = ... coroutine.yield(own) return first end
      local function hand_on(left, ...) if left == 0 then coroutine.yield() end return 1 + hand_on(left - 1, ...) end
      local function recurse(left) if left == 0 then coroutine.yield() end return 1 + recurse(left - 1) end
      local coroutines = { fresh = coroutine.create(print), waiting = coroutine.create(wait), varied = coroutine.create(wait),
        deep = coroutine.create(recurse), many = coroutine.create(hand_on) }
      coroutine.resume(coroutines.waiting, 1)
      coroutine.resume(coroutines.varied, 1, 2, 3, 4, 5, 6, 7)
      coroutine.resume(coroutines.deep, 20)
      coroutine.resume(coroutines.many, 30, table.unpack({}, 1, 30))
      collectgarbage() -- which makes stacks smaller
      collectgarbage()
      for name, value in pairs(coroutines) do compare(name, pure.sizeof(value), native.sizeof(value), name == "fresh" and 0.25 or 0.1) end
      local appended, cleared, emptied, holes, first = {}, {}, {}, {}, {}
      local few, far = { [-1] = 1, [0] = 1, [0.5] = 1, [1.5] = 1, x = 1 }, { [506] = 1, [1000] = 1 } -- beside an array part
      for i = 1, 100 do
        appended[i], cleared[i], emptied[i], holes[i], first[i], few[i], far[i] = i, i, i, i, i, i, i
      end
      for i = 1, 100 do
        cleared[i], emptied[i], first[i] = i == 100 and i or nil, nil, i < 90 and i or nil
        if i % 50 > 10 then few[i], far[i] = nil, nil end
      end
      for i = 2, 100, 2 do holes[i] = nil end
      holes[50.5], holes[-1], holes[0], holes[1 << 40] = 1, 1, 1, 1
      for name, value in pairs({ empty = {}, list = { 1, 2, 3, 4, 5 }, names = { a = 1, b = 2, c = 3 }, both = { 1, 2, 3, x = 1 },
        name = { a = 1 }, emptied = emptied, text = "text", long = ("l"):rep(500), without = function() end, with = function() return a, b, c end,
        c = print, iterator = ("x"):gmatch("."), file = io and io.stdout }) do
        compare(name, pure.sizeof(value), native.sizeof(value))
      end
      local list = { a = 1, b = 2, c = 3, d = 4, e = 5, table.unpack(appended, 1, 64) }
      list[65], list[66], list[67], list[10] = 65, 66, 67, nil -- behind the array part's end there was room in the hash
      compare("a list whose end is hashed", pure.sizeof(list), native.sizeof(list), 0.05)
      local hashed, long = {}, ("l"):rep(100)
      for _, count in ipairs({ 1, 2, 3, 31, 32, 33, 100 }) do
        hashed[count] = {}
        for i = 1, count do hashed[count]["key " .. i], hashed[count][i + 0.5] = i, true end
      end
      collectgarbage("stop") -- what was taken away is not seen
      local weak_keys, weak_values, both_weak = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "v" }), setmetatable({}, { __mode = "kv" })
      for i, weak in ipairs({ weak_keys, weak_values, both_weak }) do
        weak[appended], weak["text " .. i], weak[i], weak[{ i }] = { i }, "value " .. i, { { i } }, appended
      end
      local shapes = { { appended, cleared, emptied, first, few, far }, { holes, { holes } }, hashed, { nil, nil, 3 }, { 1, nil, 3, nil, nil, 6 }, { [3] = 3, [2] = 2 },
        { weak_keys }, { weak_values, { both_weak } }, { { x = { {}, { {} }, { y = {} } } } }, io and io.stdout or false,
        print, false, 1.5, long, { [long] = long } }
      local later, ephemerons = {}, setmetatable({ [("a"):rep(43)] = {} }, { __mode = "k" })
      ephemerons[later], later.own = ("of a key that is found later"):rep(9), {}
      ephemerons[later.own] = {} -- found in one more look, which counts no address again
      compare_kinds("ephemerons", { ephemerons, { { later } } })
      for depth = 0, 3 do compare_kinds("shapes to depth " .. depth, shapes, { depth = depth }) end
      compare_kinds("shapes, each deeper", { { { { shapes } } } })
      collectgarbage("restart")
      local names, lines = {}, {}
      for i = 1, 190 do names[i] = "v" .. i end
      for i = 1, 400 do lines[i] = "a = a + " .. i .. ("\\n"):rep(i % 90 == 0 and 300 or 1) end
      for name, text in pairs({
        constants = "local a = nil a = true a = false a = 1.5 a = 70000000 a = -0.0 a = 'short' a = '" .. ("s"):rep(40)
          .. "' a = '" .. ("s"):rep(41) .. "'",
        long = "local a, b, c = '" .. ("a"):rep(300) .. "', '" .. ("b"):rep(300) .. "', '" .. ("a"):rep(300) .. "'",
        nested = "local a, b = ... return function(c, ...) local d = a return function() b = d return function() end end end",
        names = "local " .. table.concat(names, ",") .. " return function() return " .. table.concat(names, ",", 1, 150) .. " end",
        long_names = "local " .. ("n"):rep(130) .. ", " .. ("m"):rep(300) .. " = 1",
        lines = "local a = 1 " .. table.concat(lines) .. " return a",
        loops = "for i = 1, 3 do for k, v in next, {} do local x = v end end",
      }) do
        local f = assert(load(text, "=" .. name))
        compare_kinds(name, f)
        compare_kinds(name .. ", called", { f, { f() } })
      end
      local computed, read = pure.kinds(), native.kinds()
      compare("state", computed.state.bytes, read.state.bytes)
      compare("names that the state keeps", pure.profile().sizes["[state]"], native.profile().sizes["[state]"], 0.05)
      if io and _VERSION == "Lua 5.3" then
        debug.setuservalue(io.stdout, { ("u"):rep(1000) })
        compare_kinds("uservalue", { io.stdout })
        debug.setuservalue(io.stdout, nil)
      end
      compare("upvalue", computed.upvalue.bytes / computed.upvalue.count, read.upvalue.bytes / read.upvalue.count)
      compare("the module", pure.retained(pure), native.retained(pure), 0.1) -- its call holds none of it
      local _, by_pure = pcall(pure.profile, later)
      local _, by_native = pcall(native.profile, later)
      if by_pure.target ~= by_native.target then problems[#problems + 1] = by_pure.target .. ", not " .. by_native.target end
      return table.concat(problems, "\\n")`), "");
  });
}

/** As many as a process in use has. The memory stays in the instance: copying 110 MB a message would take minutes. */
const used = [
  { name: "8 thousand objects", mostPeakBytes: 64, build: (/** @type {Process} */ process) =>
    process.eval(`Specimen = {} for i = 1, 4000 do Specimen[i] = { i, "s" .. i } end`) },
  { name: "100 thousand objects", mostPeakBytes: 64, build: (/** @type {Process} */ process) =>
    process.eval(`Specimen = {} for i = 1, 50000 do Specimen[i] = { i, "s" .. i } end`) },
  { name: "1,000 unhandled messages", mostPeakBytes: 100, build: async (/** @type {Process} */ process) => {
    for (let i = 0; i < 1000; i++) {
      const sender = `SENDER-${String(i % 50).padStart(36, "0")}`;
      await process.send({ From: sender, Owner: sender, Id: `MESSAGE-${String(i).padStart(35, "0")}`, Tags: [{ name: "Action", value: "Nothing" }], Data: `${i}` });
    }
  } },
  { name: "100 thousand balances", mostPeakBytes: 64, build: (/** @type {Process} */ process) =>
    process.eval(`Balances = {} for i = 1, 100000 do Balances[string.format("%043d", i)] = tostring(i * 1000003) end`) },
  { name: "1,000 waiting handlers", mostPeakBytes: 100, build: async (/** @type {Process} */ process) => {
    for (let i = 0; i < 1000; i++) await process.evalResult(`return Receive({ Action = "Never-${i}" })`);
  } },
];
// The first coroutine that waits shares the code of Eval with the message that asks.
const ofThisMoment = /^\[|^_G\/(?:os\/time|Handlers(?:\/list|\/coroutines(?:\/1(?:\/.*)?)?)?$)|^_G\/ao(?:\/outbox.*)?$/;

for (const { name, build, mostPeakBytes } of used) {
  test(`aos 2.0.6 with ${name}: 95 percent explained, at most ${mostPeakBytes} bytes an object at the peak, no page grown, nothing left, the largest paths as from outside`, async () => {
    const process = await spawnProcess(specimen("aos2_0_6"), { carryMemory: false, loader: { UNSAFE_MEMORY: true } });
    await loadPure(process);
    await build(process);
    const pages = process.memoryBytes;
    const { explained, leftBytes, peakBytes } = await shareOf(process);
    assert.ok(explained >= 95 && explained <= 101, `${explained} percent`);
    assert.ok(leftBytes <= 0, `${leftBytes} bytes are left`);
    assert.ok(peakBytes <= mostPeakBytes, `${peakBytes} bytes an object`);
    assert.ok(process.memoryBytes - pages <= 0, `${process.memoryBytes - pages} bytes of pages more`);
    const { errors } = await errorsOfPaths(process, ofThisMoment);
    assert.equal(errors.length, 100, "paths that are there");
    assert.ok(errors[50].error <= 0.02, `the median is off by ${errors[50].error}`);
    assert.ok(errors[99].error <= 0.15, `${errors[99].path} is off by ${errors[99].error}`);
  });
}

test("a budget stops the walk, and the report says so", async () => {
  const process = await spawnProcess(specimen("aos2_0_6"));
  await loadPure(process);
  const text = await process.eval(`local r = package.loaded.membuddy.profile({ budget = 20000 })
    local lines, saved = {}, print
    print = function(line) lines[#lines + 1] = line end
    package.loaded.membuddy.print(r)
    print = saved
    return tostring(r.stopped) .. " " .. table.concat(lines, "\\n")`);
  assert.match(text, /^true /);
  assert.match(text, /Stopped early/);
  assert.equal(await process.eval(`
    local profile, budget = package.loaded.membuddy.profile, 100000
    while profile({ budget = budget }).stopped do budget = budget * 2 end
    return tostring(profile({ budget = budget, retained = true }).stopped)`), "true", "in what a line retains too");
});

for (const [name, file] of [["aos 2.0.6", specimen("aos2_0_6")], [ourImages[0].name, ourImages[0].file]]) {
  test(`${name}: what lines retain takes the memory of a few walks, not of one a line; a collector that the program stopped is left alone`, async () => {
    const process = await spawnProcess(file, { carryMemory: false, loader: { UNSAFE_MEMORY: true } });
    await process.eval("package.preload.membuddy, package.loaded.membuddy = nil return 1");
    await loadPure(process);
    const [lines, most, resting] = (await process.eval(`
      local profile, count, lines = package.loaded.membuddy.profile, collectgarbage, 0
      local function peak()
        count() count()
        local before, most = count("count"), 0
        debug.sethook(function() most = math.max(most, count("count")) end, "", 1000)
        local results = profile({ retained = true, lines = 100, cycles = false })
        debug.sethook()
        lines = 0
        for _ in pairs(results.retained) do lines = lines + 1 end
        return most / before
      end
      local working = peak()
      count("stop")
      local resting = peak()
      count("restart")
      return table.concat({ lines, working, resting }, " ")`)).split(" ").map(Number);
    assert.ok(lines >= 50, `${lines} lines`);
    assert.ok(most < 6, `at the peak ${most} times what there was`);
    assert.ok(resting > 12, `at the peak ${resting} times what there was`);
  });
}

test("what lines retain is asked only of those that a printed report shows", async () => {
  const process = await spawnProcess(specimen("aos2_0_6"), { carryMemory: false });
  await loadPure(process);
  const [shown, same, ofAll, ofShown, ofLarge, others] = (await process.eval(`
    local membuddy, saved, text, shown, same, others = package.loaded.membuddy, print, {}, 0, 0, 0
    local function instructions(work, ...)
      local count = 0
      debug.sethook(function() count = count + 1 end, "", 1000)
      local results = work(...)
      debug.sethook()
      return count, results
    end
    Kept = {}
    for i = 1, 60 do Kept[i] = { ("k"):rep(100 + i) } end
    local options = { target = Kept, retained = true, lines = 50, top = 6, min_size = 100, cycles = false }
    local of_all, results = instructions(membuddy.profile, options)
    print = function(line) text[#text + 1] = line:gsub("\\27%[%d+m", "") end
    local of_shown = instructions(membuddy.print, options)
    local shown_text = text
    text, options.top, options.min_size = {}, false, results.totalSizes[results.target .. "/57"]
    local of_large = instructions(membuddy.print, options)
    print, text = saved, shown_text
    for path in pairs(results.retained) do
      if not results.totalSizes[path] then others = others + 1 end
    end
    for _, line in ipairs(text) do
      local path, retained = line:match("^ +(%S+): .*, retained (.+)$")
      if path then
        shown = shown + 1
        if membuddy.format_size(results.retained[path], false) == retained then same = same + 1 end
      end
    end
    return table.concat({ shown, same, of_all, of_shown, of_large, others }, " ")`)).split(" ").map(Number);
  assert.deepEqual([shown, same], [5, 5], "one of the six sums up others");
  assert.equal(others, 0, "what is summed up has no object that retains");
  assert.ok(ofLarge < ofAll / 4, `${ofLarge} thousand instructions for the largest lines, ${ofAll} for all`);
  assert.ok(ofShown < ofAll / 4, `${ofShown} thousand instructions, ${ofAll} for all lines`);
});

test("a target that a private entry or the metatable of a type holds is named after that", async () => {
  const process = await spawnProcess(specimen("aos2_0_6"), { carryMemory: false });
  await loadPure(process);
  await process.eval(`local private = setmetatable({}, { __mode = "k" })
    function Peek(object) private[object] = private[object] or { "secret" } return private[object] end
    return 1`);
  assert.equal(await process.eval(`
    local key, profile = {}, package.loaded.membuddy.profile
    return profile(Peek(key)).target .. " " .. profile(debug.getmetatable("")).target`),
    "_G/Peek/[upvalue private]/[table] [type metatables]");
});

test("a finalizer that fails costs no report, though reports have the collector work", async () => {
  const process = await spawnProcess(specimen("aos2_0_6"), { carryMemory: false });
  await loadPure(process);
  assert.equal(await process.eval(`
    local failing, setmetatable, pcall = { __gc = function() Ran = true error("a finalizer failed") end }, setmetatable, pcall
    local profile, problem = package.loaded.membuddy.profile, nil
    local function leave_behind() for _ = 1, 10 do setmetatable({}, failing) end end
    for _ = 1, 20 do
      pcall(leave_behind) -- where the collector works, Lua 5.3 raises it here too
      local ok, results = pcall(profile)
      problem = problem or not ok and results
    end
    failing.__gc = nil
    return tostring(problem) .. " " .. tostring(Ran)`), "false true");
});

test("30 thousand records in records, and as many whose keys are records: a report takes no scan a record", async () => {
  const process = await spawnProcess(countingModule(specimen("aos2_0_6")), { carryMemory: false, loader: { UNSAFE_MEMORY: true } });
  await loadPure(process);
  const steps = async (/** @type {string} */ entry) => {
    await process.eval(`Specimen = {} for i = 1, 30000 do ${entry} end collectgarbage() collectgarbage() return 1`);
    return stepsOf(() => process.eval("return package.loaded.membuddy.profile().totalSize"));
  };
  const flat = await steps("Specimen[i] = { { i } }");
  for (const entry of ["Specimen[i] = { { { { { i } } } } }", "Specimen[{ { i } }] = { { i } }"]) {
    const nested = await steps(entry);
    assert.ok(nested < 4 * flat, `${entry}: ${nested} steps, of flat ones ${flat}`);
  }
});

// Lua walks down a stack to look at one frame of it.
test("a report below four times the frames takes about four times the work", async () => {
  const process = await spawnProcess(countingModule(specimen("aos2_0_6")), { carryMemory: false, loader: { UNSAFE_MEMORY: true } });
  await loadPure(process);
  const steps = (/** @type {number} */ frames) => stepsOf(() => process.eval(reportBelow(frames, "package.loaded.membuddy")));
  const [fewer, more] = [await steps(10000), await steps(40000)];
  assert.ok(more < 6 * fewer, `${more} steps, below a quarter of the frames ${fewer}`);
});

// Lua 5.4 copies the name of a chunk, which may be its text, whenever it is asked for it.
test("2,000 functions without upvalues in one chunk that is named by its text: a report does not copy that for each", async () => {
  const image = ourImages.find(({ lua, bits }) => lua === "5.4" && bits === 64);
  assert.ok(image);
  const process = await spawnProcess(image.file, { carryMemory: false });
  await process.eval("package.preload.membuddy, package.loaded.membuddy = nil return 1");
  await loadPure(process);
  await process.eval(`local text = { "Specimen = {}" }
    for i = 1, 2000 do text[i + 1] = "Specimen[" .. i .. "] = function(a) return a * " .. i .. " end" end
    load(table.concat(text, "\\n"))() return 1`);
  const { objects, peakBytes } = await shareOf(process);
  assert.ok(objects * peakBytes < 8 << 20, `${objects * peakBytes} bytes at the peak`);
});

// Lua 5.3 finds an integer in a table by its low bits.
test("four times as many chunks with the same code: a report takes about four times the work", async () => {
  const process = await spawnProcess(countingModule(specimen("aos2_0_6")), { carryMemory: false, loader: { UNSAFE_MEMORY: true } });
  await loadPure(process);
  const steps = async (/** @type {number} */ chunks) => {
    await process.eval(`Specimen = {} for i = 1, ${chunks} do Specimen[i] = load("return 1", "=c" .. i) end
      collectgarbage() collectgarbage() return 1`);
    return stepsOf(() => process.eval("return package.loaded.membuddy.profile().totalSize"));
  };
  const [fewer, more] = [await steps(4000), await steps(16000)];
  assert.ok(more < 5 * fewer, `${more} steps, of a quarter of the chunks ${fewer}`);
});
