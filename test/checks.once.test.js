import assert from "node:assert/strict";
import { test } from "node:test";
import { ourImages } from "./support/images.js";
import { assertGrowth, assertLeaks, assertNoFalseAlarms, assertParts, assertQuiet, assertRefusals, checksOf, fromStranger, leak, unhandledCount } from "./support/leaks.js";
import { spawnProcess } from "./support/process.js";
import { countingModule, stepsOf } from "./support/steps.js";

for (const image of ourImages) {
  test(`${image.name}: a process that nobody used has no findings`, async () => {
    const process = await spawnProcess(image.file);
    assertQuiet(await checksOf(process));
    await assertRefusals(process);
  });

  test(`${image.name}: what only looks like a leak is no finding, and names of libraries may mean something else`, async () => {
    await assertNoFalseAlarms(await spawnProcess(image.file));
  });

  test(`${image.name}: what was found in a part is said to be at least that`, async () => {
    await assertParts(await spawnProcess(image.file));
  });

  test(`${image.name}: leaks of real messages are found by name, and growth from a mark on`, async () => {
    const process = await spawnProcess(image.file);
    await leak(process);
    assertLeaks(await checksOf(process), { exact: true, canTell: true });
    await assertGrowth(process);
  });
}

const [image] = ourImages;

/** @typedef {import("./support/leaks.js").Check} Check */
/** @param {import("./support/process.js").Process} process @param {string} name */
const checkOf = async (process, name) => /** @type {Check} */ ((await checksOf(process)).get(name));

test("print() ends with the checks that found something", async () => {
  const process = await spawnProcess(image.file);
  await leak(process);
  await process.eval(`local room = ("r"):rep(1000000) return #room`);
  const lines = (await process.eval(`for name in pairs(Colors) do Colors[name] = "" end require("membuddy").print({ top = 3 })`)).split("\n");
  const begin = lines.indexOf("Checks:");
  assert.ok(begin > 0, lines.join("\n"));
  assert.match(lines[begin + 1], new RegExp(`^    inbox: ${unhandledCount + 1}, \\d+\\.\\d\\d KB: messages that no handler took`));
  assert.deepEqual(lines.slice(begin + 1).map((line) => /^ {4}(\w+): /.exec(line)?.[1]),
    ["inbox", "once_handlers", "coroutines", "errors", "duplicate_strings", "sparse_tables", "held_messages"]);
  assert.ok(!(await process.eval(`require("membuddy").print({ checks = false })`)).includes("Checks:"), "they can be left out");
  assert.match(await (await spawnProcess(image.file)).eval(`for name in pairs(Colors) do Colors[name] = "" end require("membuddy").print({ checks = true })`),
    /\nChecks: nothing found$/);
  assert.ok(!(await process.eval(`require("membuddy").print({ target = Inbox })`)).includes("Checks:"), "they are about the process");
});

test("print() leaves the checks out where they would make the process grow, and says so", async () => {
  const process = await spawnProcess(image.file);
  const text = await process.eval(`local account = require("membuddy").account()
    assert(account.parts.free < 262144, account.parts.free)
    require("membuddy").print()`);
  assert.match(text.split("\n").at(-1) ?? "", /^Checks: left out.*checks = true/);
  await leak(process);
  const wanted = await process.eval(`for name in pairs(Colors) do Colors[name] = "" end require("membuddy").print({ checks = true })`);
  assert.match(wanted, /\nChecks:\n {4}inbox: /);
});

/** Bytes that the checks of a report take: the collector rests meanwhile. @param {import("./support/process.js").Process} process */
const takenByChecks = async (process) => Number(await process.eval(`local membuddy, write, lines = require("membuddy"), print, 0
  local function bytes_left_by(options)
    collectgarbage() collectgarbage() collectgarbage("stop")
    local before = collectgarbage("count")
    membuddy.print(options)
    local bytes = (collectgarbage("count") - before) * 1024
    collectgarbage("restart")
    return bytes
  end
  print = function() lines = lines + 1 end
  local report, line_count = bytes_left_by({ checks = false }), lines
  local both = bytes_left_by({ checks = true })
  print = write
  assert(lines > 2 * line_count, "no checks")
  return math.floor(both - report)`));

for (const { name, file } of ourImages) {
  test(`${name}: with hundreds of waiting handlers, print's checks take less than what must be free for them`, async () => {
    const process = await spawnProcess(file);
    for (let i = 0; i < 600; i++) await process.evalResult(`local answer = Handlers.receive({ Action = "Never" }) print(answer.Id)`);
    const taken = await takenByChecks(process);
    assert.ok(taken > 65536 && taken < 262144, `${taken} bytes`);
  });

  test(`${name}: with however many messages of as many senders too`, async () => {
    const process = await spawnProcess(file);
    await process.eval(`for i = 1, 9000 do
      Inbox[i] = { From = string.format("%043d", i), Action = string.format("%050d", i) }
    end`);
    const taken = await takenByChecks(process);
    assert.ok(taken > 65536 && taken < 262144, `${taken} bytes`);
  });
}

test("checks that a program made impossible are one line of the report, which stands", async () => {
  const process = await spawnProcess(image.file);
  const text = await process.eval(`
    local lines, kept, metatable = {}, print, debug.getmetatable("")
    print = function(line) lines[#lines + 1] = line end
    debug.setmetatable("", nil)
    require("membuddy").print({ checks = true, no_header = true, top = 1 })
    debug.setmetatable("", metatable)
    print = kept
    return table.concat(lines, "\\n")`);
  assert.match(text, /Total size: .*\n.*\n[^]*\nChecks: none, since membuddy.checks:\d+: attempt to index a string value/);
});

test("without the memory for them the checks are an empty array and the error, one line of the report, and mark() fails", async () => {
  const process = await spawnProcess(image.file);
  assert.equal(await process.eval(`
    local membuddy, kept, write, lines = require("membuddy"), package.loaded.debug, print, {}
    package.loaded.debug = setmetatable({}, { __index = function() error("not enough memory", 0) end })
    local list, reason = membuddy.checks()
    print = function(line) lines[#lines + 1] = line end
    membuddy.print({ checks = true })
    local _, refusal = pcall(membuddy.mark)
    package.loaded.debug, print = kept, write
    return #list .. " " .. reason .. "; " .. lines[#lines] .. "; " .. tostring(refusal)`),
  "0 not enough memory; Checks: none, since not enough memory; not enough memory");
});

for (const library of ["debug", "math", "string", "table"]) {
  test(`without Lua's library '${library}', which they need, the checks say so`, async () => {
    const process = await spawnProcess(image.file);
    const reason = `membuddy: checks need Lua's library '${library}', which package.loaded no longer has`;
    assert.equal(await process.eval(`
      local membuddy, kept, write, lines = require("membuddy"), package.loaded.${library}, print, {}
      package.loaded.${library} = nil
      local _, checked = pcall(membuddy.checks)
      local _, marked = pcall(membuddy.mark)
      print = function(line) lines[#lines + 1] = line end
      membuddy.print({ checks = true })
      package.loaded.${library}, print = kept, write
      return tostring(checked) .. "; " .. tostring(checked == marked) .. "; " .. lines[#lines]`),
    `${reason}; true; Checks: none, since ${reason}`);
  });
}

test("a check that fails is named in the report, and is no finding", async () => {
  const process = await spawnProcess(image.file);
  const text = await process.eval(`
    local kept = package.loaded.os
    package.loaded.os = nil
    require("membuddy").print({ checks = true })
    package.loaded.os = kept`);
  assert.match(text.split("\n").at(-1) ?? "", /^ {4}not checked: sources, duplicate_strings, sparse_tables, held_messages \(.+\)$/);
});

test("checks that nothing could be looked up for say why", async () => {
  const process = await spawnProcess(image.file);
  const text = await process.eval(`
    local kept = package.loaded.os
    package.loaded.os = setmetatable({}, { __index = function() error("not enough memory", 0) end })
    require("membuddy").print({ checks = true })
    package.loaded.os = kept`);
  assert.match(text.split("\n").at(-1) ?? "", /^ {4}not checked: sources, duplicate_strings, sparse_tables, held_messages \(not enough memory\)$/);
});

test("messages that a lasting handler holds have their bytes", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`Handlers.add("Keep", "Keep", function(msg)
    Handlers.add("for-" .. msg.Id, { Action = "N" .. msg.Id }, function() return msg.Data end)
  end)`);
  for (let i = 0; i < 5; i += 1) await fromStranger(process, "Keep", { Id: `message-${i}`, Data: "x".repeat(500) });
  const held = (await checksOf(process)).get("held_messages");
  assert.equal(held?.count, 5);
  assert.ok((held?.bytes ?? 0) > 5 * 1000, `${held?.bytes} bytes`);
});

test("names are the three most frequent, most first and ties by name, long ones cut; 20 messages are worth a line, or 32 KB", async () => {
  const process = await spawnProcess(image.file);
  const inbox = async (/** @type {string} */ code) => {
    await process.eval(`Inbox = {} ${code}`);
    return checkOf(process, "inbox");
  };
  const { actions, senders, found, text, count, bytes } = await inbox(`for i, action in ipairs({ "z", "y", "x", "w", "x", false, "v" }) do
    Inbox[i] = { From = ("f"):rep(i < 5 and 43 or 44), Action = action or nil } end Inbox[8] = "no message"`);
  assert.deepEqual(actions, [{ name: "x", count: 2 }, { name: "no action", count: 1 }, { name: "v", count: 1 }]);
  assert.deepEqual(senders, [{ name: "f".repeat(43), count: 4 }, { name: `${"f".repeat(40)}...`, count: 3 }]);
  assert.deepEqual([found, count, bytes < 3000], [false, 8, true]);
  assert.match(text, /^messages that no handler took, 9992 below the cap of 10000; actions x \(2\), no action \(1\), v \(1\); from f/);
  assert.equal((await inbox("for i = 1, 19 do Inbox[i] = {} end")).found, false);
  assert.equal((await inbox("for i = 1, 20 do Inbox[i] = {} end")).found, true);
  assert.equal((await inbox(`Inbox[1] = ("x"):rep(32768)`)).found, true);
  assert.match((await inbox("for i = 1, 10003 do Inbox[i] = 1 end")).text, /, 3 above the cap of 10000$/);
  assert.equal((await inbox(String.raw`Inbox[1] = { Action = "a\27b\127c\xC2\x9B2J" }`)).actions[0].name, "a?b?c??2J", "nothing that a terminal obeys");
});

test("handlers for one message are those that run once or are called _once_, and wait for what their patterns say; what lasting code holds is not theirs", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`
    local kept = Handlers.list
    local byModule, byHandler, byGlobal, own = ("m"):rep(100000), ("h"):rep(100000), ("g"):rep(50000), ("o"):rep(20000)
    package.loaded.kept, Kept = { f = function() return byModule end }, function() return byGlobal end
    Handlers.add("lasting", "lasting", function() return byHandler end)
    local function handle() return byModule, byHandler, byGlobal, own end
    for i, pattern in ipairs({ "Some", { V = 5, Z = 1, Y = 2, X = 3, W = 4 }, load("return true", "=patterns") }) do
      kept[#kept + 1] = { name = "_once_" .. i, pattern = pattern, handle = handle }
    end
    kept[#kept + 1] = { name = "_once_upon", pattern = "Never", handle = handle }
    kept[#kept + 1] = { name = "_boot", pattern = "Boot", handle = handle, maxRuns = 1 }
    kept[#kept + 1] = { name = "mine", pattern = "Some", handle = handle, maxRuns = 1 }
    kept[#kept + 1] = "no handler"`);
  const { count, waits, bytes } = await checkOf(process, "once_handlers");
  assert.equal(count, 4);
  assert.equal(waits[0].name, "Action = Some");
  assert.equal(waits[0].count, 2);
  assert.equal(waits.length, 3);
  assert.ok(waits.some((/** @type {{ name: string }} */ { name }) => name === "a function at patterns:0"), JSON.stringify(waits));
  assert.ok(waits.some((/** @type {{ name: string }} */ { name }) => /^(?:\w = \w, ){3}\w = \w$/.test(name) && name === name.split(", ").sort().join(", ")), "of five fields four, in order");
  assert.ok(bytes < 5000, `${bytes} bytes: the handler _once_upon lasts, and holds the same`);
  await process.eval(`for i = #Handlers.list, 1, -1 do local name = Handlers.list[i].name if name == "_once_upon" or name == "_boot" then table.remove(Handlers.list, i) end end`);
  const own = await checkOf(process, "once_handlers");
  assert.ok(own.bytes > 70000 && own.bytes < 80000, `${own.bytes} bytes, of which 50000 are a global function's as well`);
});

test("answers that one address owes are told together, and of a chunk named by its text a place keeps its line", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`function Ask(oracle) local answer = Send({ Target = oracle, Action = "Ask" }).receive() return answer end
    assert(load([[local text = "as in a module that was loaded without a name"
      Handlers.add("Ask", "Ask", function() Ask(("o"):rep(43)) end)
      Handlers.add("Wait", "Wait", function() local answer = Receive(function() return false end) return answer end)]]))()`);
  for (let i = 0; i < 6; i += 1) await fromStranger(process, i % 3 === 0 ? "Wait" : "Ask");
  const checks = await checksOf(process);
  const module = '[string "local text = "as in a module th...';
  assert.deepEqual(checks.get("once_handlers")?.waits,
    [{ name: `From = ${"o".repeat(33)}...`, count: 4 }, { name: `a function at ${module}:3`, count: 2 }]);
  assert.deepEqual(checks.get("coroutines")?.places, [{ name: '[string "aos"]:1', count: 4 }, { name: `${module}:3`, count: 2 }]);
});

test("a table is larger than it needs by what a copy of it takes less", async () => {
  const process = await spawnProcess(image.file);
  const expected = Number(await process.eval(`
    Sparse = { list = {}, names = {}, mixed = {}, small = {} }
    for i = 1, 5000 do Sparse.list[i], Sparse.names["key " .. i], Sparse.mixed[i], Sparse.mixed[i + 0.5], Sparse.mixed[-i] = i, i, i, i, i end
    for i = 1, 60 do Sparse.small[i] = i end
    Sparse.names[math.maxinteger] = 1
    Sparse.first = { table.unpack(Sparse.list, 1, 200) } for i = 65, 200 do Sparse.first[i] = nil end
    for i = 41, 4976 do Sparse.list[i], Sparse.names["key " .. i], Sparse.mixed[i], Sparse.mixed[i + 0.5], Sparse.mixed[-i] = nil, nil, nil, nil, nil end
    for i = 2, 60 do Sparse.small[i] = nil end
    local sizeof, gain = require("membuddy").sizeof, 0
    for name, t in pairs(Sparse) do
      local copy = {}
      for key, value in pairs(t) do copy[key] = value end
      if name ~= "small" then gain = gain + sizeof(t) - sizeof(copy) end
    end
    return string.format("%d", gain)`));
  const { count, bytes, tables } = await checkOf(process, "sparse_tables");
  assert.deepEqual([count, bytes], [4, expected]);
  assert.equal(tables[0].name, "Sparse/mixed");
});

test("a held message is what has all that messages have, and its holder is named by up to eight steps", async () => {
  const process = await spawnProcess(image.file);
  const holderOf = async (/** @type {string} */ code) => {
    await process.eval(`Held = nil local function holds(message) return function() return message end end
      local function message(without) local m = { Id = "i", From = "f", Tags = {}, Timestamp = 1 } if without then m[without] = nil end return m end ${code}`);
    const { count, holder } = await checkOf(process, "held_messages");
    return `${count} ${holder}`;
  };
  assert.equal(await holderOf(`Held = {} for i, name in ipairs({ "Id", "From", "Tags", "Timestamp" }) do Held[i] = holds(message(name)) end`), "0 ");
  assert.equal(await holderOf(`Held = { a = { b = holds(message()) } }`), "1 Held/a/b");
  assert.equal(await holderOf(`Held = setmetatable({}, { f = holds(message()) })`), "1 Held/[metatable]/f");
  assert.equal(await holderOf(`local inner = holds(message()) Held = function() return inner end`), "1 Held/[upvalue]");
  assert.equal(await holderOf(`local one = message() Held = { holds(one), { holds(one) } }`), "1 Held/1", "whoever else holds it");
  assert.equal(await holderOf(`Held = { holds(message()) } for i = 2, 7 do Held = { Held } end`), `1 Held/${Array(7).fill("1").join("/")}`);
  assert.equal(await holderOf(`Held = { holds(message()) } for i = 2, 9 do Held = { Held } end`), `1 .../${Array(8).fill("1").join("/")}`);
});

test("the cap of the Inbox is the one of the default handler, and of the errors the last is told", async () => {
  const process = await spawnProcess(image.file);
  assert.deepEqual(await checkOf(process, "errors").then(({ count, bytes }) => [count, bytes]), [0, 0]);
  const cap = await process.eval(`
    local function capped(cap) local maxInboxCount, other = cap, 5 local function inner() return other, maxInboxCount end return function() return inner() end end
    for _, handler in ipairs(Handlers.list) do if handler.name == "_default" then handler.handle = capped(50) end end
    Handlers.prepend("mine", "mine", capped(7))
    Errors = { "the first", "the second" }
    return require("membuddy").checks()[1].cap`); // aos makes the default handler anew with every message
  assert.equal(cap, "50");
  assert.match((await checkOf(process, "errors")).text, /; the last: the second$/);
  await process.evalResult(`Errors = {} ${"\n".repeat(11)} error("insufficient funds for order " .. ("1"):rep(90))`);
  assert.match(await process.eval(`require("membuddy").print({ checks = true, top = 0 })`), /; the last: insufficient funds for order 111[1]+\.\.\. Read them,/);
});

test("an error that is no text is passed on by checks, and told as one by print", async () => {
  const process = await spawnProcess(image.file);
  const kinds = await process.eval(`local membuddy, problem = require("membuddy"), {}
    debug.sethook(function() error(problem) end, "", 10)
    local ok, found = pcall(membuddy.checks)
    debug.sethook()
    return tostring(ok) .. " " .. tostring(found == problem)`);
  assert.equal(kinds, "false true");
});

test("coroutines that wait are told from dead ones and from those that did not start; what lasting handlers hold is not theirs", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`
    local shared = ("s"):rep(100000)
    Waits = { function() coroutine.yield() return shared end }
    Handlers.add("lasting", "lasting", function() return shared end)`);
  const check = await process.eval(`
    local list = { coroutine.create(Waits[1]), coroutine.create(Waits[1]), coroutine.create(function() end), (coroutine.running()) }
    list[5] = coroutine.create(load("coroutine.yield() return 1", "=.handlers"))
    coroutine.resume(list[1])
    coroutine.resume(list[5])
    coroutine.resume(list[3])
    local kept = Handlers.coroutines
    Handlers.coroutines = list
    local check = require("membuddy").checks()[3]
    Handlers.coroutines = kept
    return require("json").encode(check)`);
  const { count, dead, places, bytes } = JSON.parse(check);
  assert.deepEqual([count, dead, places.length], [3, 1, 3]);
  await process.evalResult(`\n\nlocal answer = ao.send({ Target = ao.id, Action = "Ask" }).receive() print(answer.Id)`);
  assert.deepEqual((await checkOf(process, "coroutines")).places, [{ name: '[string "aos"]:3', count: 1 }], "where the program asked");
  for (const place of ["not started", ".handlers:1"])
    assert.ok(places.some((/** @type {{ name: string }} */ { name }) => name === place), JSON.stringify(places));
  assert.ok(bytes < 20000, `${bytes} bytes`);
});

test("coroutines that wait elsewhere count too: in tables and closures, each once, and a line from 20 on", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`
    function Wait() coroutine.yield() end
    function Waiting() local co = coroutine.create(Wait) coroutine.resume(co) return co end
    Jobs = {}
    for i = 1, 17 do Jobs[i] = Waiting() end
    Jobs[18], Jobs[19] = Jobs[1], coroutine.create(function() end)
    coroutine.resume(Jobs[19])
    local kept = Waiting()
    function Keeper() return kept end
    Generator = coroutine.wrap(Wait)
    Generator()`);
  const few = await checkOf(process, "coroutines");
  assert.deepEqual([few.count, few.others, few.dead, few.found], [19, 19, 1, false]);
  assert.ok(few.bytes > 19 * 1000 && few.bytes < 19 * 2000, `${few.bytes} bytes`);
  await process.eval(`Keeper, Generator = nil, nil for i = 20, 21 do Jobs[i] = Waiting() end
    Ended, Deep = coroutine.create(function() end), { { Waiting() } } coroutine.resume(Ended)`);
  const more = await checkOf(process, "coroutines"); // the holder is that of the first which waits, breadth first
  assert.deepEqual([more.count, more.others, more.holder, more.found, more.partial], [20, 20, "Jobs", true, undefined]);
  assert.match(more.text, /; beside Handlers\.coroutines 20, one in Jobs$/);
  const known = JSON.parse(await process.eval(`
    Deep = nil
    table.move(Jobs, 1, 5, 1, Handlers.coroutines)
    Handlers.coroutines[6] = 0/0
    local check = require("membuddy").checks()[3]
    Handlers.coroutines = {}
    return require("json").encode(check)`));
  assert.deepEqual([known.count, known.others, known.found], [19, 14, true], "what aos waits for is told as before");
  const ofAos = JSON.parse(await process.eval(`
    for i = 1, 250 do Handlers.coroutines[i] = Waiting() end
    local check = require("membuddy").checks()[3]
    Handlers.coroutines = {}
    return require("json").encode(check)`));
  assert.deepEqual([ofAos.count, ofAos.others, ofAos.partial], [269, 19, undefined], "and takes no place of what is kept elsewhere");
  await process.eval(`Ended = nil for i = 1, 250 do Jobs[i] = Waiting() end`);
  const many = await checkOf(process, "coroutines");
  assert.deepEqual([many.count, many.partial], [200, true]);
  const part = JSON.parse(await process.eval(`Jobs = { Jobs[1] } return require("json").encode(require("membuddy").checks({ objects = 20 })[3])`));
  assert.equal(part.partial, part.others > 0 || undefined, JSON.stringify(part));
});

test("sources are the texts that name chunks, and those of loaded modules that a searcher keeps, each once", async () => {
  const process = await spawnProcess(image.file);
  const before = await checkOf(process, "sources");
  await process.eval(`
    local text = "return 1 --" .. ("c"):rep(20000)
    Chunks = { { load(text) }, { load(text) }, { load(text, "=" .. text) }, { load(text, "@" .. text) }, { load("return 1 --" .. ("s"):rep(200)) } }
    local bundle = { json = ("j"):rep(30000), ["not loaded"] = ("n"):rep(40000), utils = "short" }
    package.searchers[#package.searchers + 1] = function() return _G, bundle end
    package.searchers[#package.searchers + 1] = "no function"`);
  const after = await checkOf(process, "sources");
  assert.equal(after.count - before.count, 2);
  assert.ok(after.bytes - before.bytes > 50000 && after.bytes - before.bytes < 50200, `${after.bytes - before.bytes} bytes`);
  assert.match(after.text, /; the largest, 29\.\d\d KB, is json in package\.searchers$/);
});

test("of one table 64 children are looked into, of the globals all", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`for i = 1, 150 do _G["Extra" .. i] = { ("g"):rep(200) } end`);
  const globals = await checkOf(process, "duplicate_strings");
  assert.ok(globals.count >= 149, `${globals.count} duplicates`);
  await process.eval(`for i = 1, 150 do _G["Extra" .. i] = nil end Extra = {} for i = 1, 150 do Extra[i] = { ("t"):rep(200) } end`);
  assert.ok(globals.count - (await checkOf(process, "duplicate_strings")).count >= 149 - 64 - 5, "of records a part is enough");
  await process.eval(`Extra = {} for i = 1, 50 do Extra[i] = ("s"):rep(127) end`);
  const none = await checkOf(process, "duplicate_strings");
  assert.equal(none.found, false, "shorter ones are none");
  await process.eval(`for i, text in ipairs({ "a", "b", "b", "b", "c", "c" }) do Extra[i] = text:rep(5000) end`);
  const { count, bytes, text } = await checkOf(process, "duplicate_strings");
  assert.equal(count - none.count, 3);
  assert.ok(bytes - none.bytes > 15000 && bytes - none.bytes < 15200, `${bytes - none.bytes} bytes of copies`);
  assert.match(text, /; the most frequent, 3 times: bbb/);
});

test("what is counted is bounded: 200 names, 32 coroutines' places and 200 holders, 250 long strings, 100 sources or 1 MB of them, 200000 entries", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`for i = 1, 200 do Inbox[#Inbox + 1] = { From = "sender " .. i } end for i = 1, 9 do Inbox[#Inbox + 1] = { From = "too late" } end
    Held = {} for i = 1, 300 do
      local message, group = { Id = "i", From = "f", Tags = {}, Timestamp = 1 }, i // 50
      Held[group] = Held[group] or {}
      table.insert(Held[group], function() return message end)
    end`);
  const { senders } = await checkOf(process, "inbox");
  assert.ok(senders.every((/** @type {{ name: string }} */ { name }) => name !== "too late"), JSON.stringify(senders));
  assert.equal((await checkOf(process, "held_messages")).count, 200);
  const waiting = JSON.parse(await process.eval(`local kept, list = Handlers.coroutines, {}
    for i = 1, 210 do list[i] = coroutine.create(print) end
    Handlers.coroutines = list
    local check = require("membuddy").checks()[3]
    Handlers.coroutines = kept
    return require("json").encode(check)`));
  assert.deepEqual([waiting.count, waiting.places[0].count], [210, 32]);
  assert.match(waiting.text, /; of the first 32 at not started \(32\)$/);

  const counts = async (/** @type {string} */ code, /** @type {string} */ name) => {
    await process.eval(`Inbox, Held, Many = {}, nil, nil ${code}`);
    return (await checkOf(process, name)).count;
  };
  const copies = await counts(`Many = {} for i = 1, 300 do local text = ("s"):rep(200) .. i Many[i], Many[600 - i] = text, text:sub(1, -2) .. text:sub(-1) end`, "duplicate_strings");
  assert.ok(copies > 200 && copies <= 250, `${copies} copies`);
  const references = await counts(`Many = {} for i = 1, 1500 do Many[i] = ("s"):rep(200) end`, "duplicate_strings");
  assert.ok(references > 900 && references < 1000, `${references} copies`);
  const source = (/** @type {number} */ bytes) => `Many = {} for i = 1, 200 do local group = i // 40 Many[group] = Many[group] or {}
    table.insert(Many[group], load("-- " .. ("c"):rep(${bytes}) .. i .. "\\nreturn x")) end`;
  const few = await counts("", "sources");
  const many = (await counts(source(300), "sources")) - few;
  assert.ok(many > 50 && many <= 100, `${many} sources`);
  const large = (await counts(source(100000), "sources")) - few;
  assert.ok(large > 5 && large <= 11, `${large} large sources`);
  const strings = (/** @type {number} */ entries) => `Many = {} for i = 1, ${entries} do Many[i] = i end for i = 1, 10 do Many[#Many + 1] = ("e"):rep(500) end`;
  assert.ok(await counts(strings(100000), "duplicate_strings") >= 9);
  assert.ok(await counts(strings(200000), "duplicate_strings") < 9);
});

test("sources are worth a line from 16 KB, copies of strings from 1 KB, tables from 4 KB", async () => {
  const process = await spawnProcess(image.file);
  /** @type {[string, number, (bytes: number) => string][]} */
  const kinds = [["sources", 16384, (bytes) => `load("-- " .. ("s"):rep(${bytes}) .. "\\nreturn x")`],
    ["duplicate_strings", 1024, (bytes) => `("s"):rep(${bytes})`], ["sparse_tables", 4096, (bytes) => `emptied(${bytes} // 16)`]];
  const seen = [];
  for (const [name, least, held] of kinds) {
    const look = async (/** @type {number} */ bytes) => {
      await process.eval(`Held = nil local function emptied(slots)
          local numbers = {} for i = 1, slots do numbers[i] = i end
          local t = { table.unpack(numbers) } for i = 1, slots do t[i] = nil end
          return t
        end
        Held = { ${held(bytes)}, ${name === "duplicate_strings" ? held(bytes) : "nil"} }`);
      return checkOf(process, name);
    };
    const without = least - 2048 > 0 ? 2048 : 512;
    const wanted = least + without - (await look(without)).bytes;
    const [fewer, enough] = [await look(wanted - 16), await look(wanted)];
    seen.push([name, fewer.bytes - least, fewer.found, enough.bytes - least, enough.found]);
  }
  assert.deepEqual(seen, kinds.map(([name]) => [name, -16, false, 0, true]));
});

test("option objects says how many tables and functions are looked into", async () => {
  const process = await spawnProcess(image.file);
  assert.equal(await process.eval(`
    local message, counts = { Id = "i", From = "f", Tags = {}, Timestamp = 1 }, {}
    Held = function() return message end
    for i, objects in ipairs({ 1, 1000 }) do counts[i] = require("membuddy").checks({ objects = objects })[8].count end
    return table.concat(counts, " ")`), "0 1");
});

test("a source is found beside a function that was met before, and of sources as long the first by name is told", async () => {
  const process = await spawnProcess(image.file);
  const before = await checkOf(process, "sources");
  await process.eval(`local met, new = load("return 1 -- met" .. ("m"):rep(300)), load("return 1 -- new" .. ("n"):rep(300))
    Once, Again = { met }, { { { met, new } } }
    local bundle = {}
    for name in ("utf8 string table math package debug os io coroutine"):gmatch("%w+") do bundle[name] = ("x"):rep(200000) .. ("%-10s"):format(name) end
    package.searchers[#package.searchers + 1] = function() return bundle end`);
  const after = await checkOf(process, "sources");
  assert.equal(after.count - before.count, 2 + 9);
  assert.match(after.text, /, is coroutine in package\.searchers$/);
});

test("growth is worth a line from 4 KB, names the three paths that grew most, and tells fewer objects from more", async () => {
  const process = await spawnProcess(image.file);
  const growth = async (/** @type {string} */ code) => JSON.parse(await process.eval(`local membuddy = require("membuddy") membuddy.mark()
    local marked, profile = membuddy.marked, membuddy.profile ${code}
    local checks = membuddy.checks() membuddy.profile = profile return require("json").encode(checks[9])`));
  assert.equal((await growth("marked.totalSize = marked.totalSize - 2500")).found, false);
  const { found, paths, text, count } = await growth(`marked.totalSize, marked.objects = marked.totalSize - 6000, marked.objects + 100000
    for path, bytes in pairs(marked.sizes) do marked.sizes[path] = 0 end`);
  assert.deepEqual([found, paths.length, Object.keys(paths[0]).sort().join()], [true, 3, "bytes,name"]);
  assert.match(text, /^objects fewer than at membuddy\.mark\(\); grown: _G\/package \(\d/);
  assert.ok(count > 99000 && count < 101000, `${count} objects fewer`);
  assert.equal((await growth(`membuddy.profile = function() error("no\\27 profile", 0) end`)).error, "no? profile");
});

test("growth is named where it stands in the registry, too", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`require("membuddy").mark()`);
  await process.eval(`local registry = debug.getregistry() for i = 1, 300 do registry.nodes = { before = registry.nodes } end`);
  assert.equal((await checkOf(process, "growth")).paths[0].name, "[registry]/nodes");
});

test("what print() itself makes and aos keeps of it is no growth", async () => {
  const process = await spawnProcess(image.file);
  const printed = () => process.eval(`require("membuddy").print({ checks = true, top = 300 })`);
  await process.eval(`require("membuddy").mark()`);
  await process.eval("return 1");
  assert.match(await printed(), /Checks:.* nothing found$/);
  await process.eval(`Grown = {} for i = 1, 1000 do Grown[i] = { i } end`);
  const told = /growth.*/.exec(await printed())?.[0] ?? "";
  assert.match(told, /; grown: _G\/Grown \(/);
  assert.doesNotMatch(told, /HANDLER_PRINT_LOGS/);
});

test("Colors that are no colours are left alone", async () => {
  const process = await spawnProcess(image.file);
  assert.match(await process.eval(`for i = 1, 20 do Inbox[i] = {} end local kept = Colors
    local lines, write = {}, print
    print = function(line) lines[#lines + 1] = line end
    Colors = { blue = {}, gray = 5, reset = true }
    require("membuddy").print({ checks = true })
    Colors, print = kept, write
    return table.concat(lines, "\\n")`), /\nChecks:\n {4}inbox: /);
});

test("sources are found behind every function of a table", async () => {
  const process = await spawnProcess(image.file);
  await process.eval(`Plugins = {} for i = 1, 40 do Plugins["p" .. i] = load("-- " .. ("c"):rep(1000) .. i .. "\\nreturn x") end`);
  const { count = 0, bytes = 0 } = (await checksOf(process)).get("sources") ?? {};
  assert.ok(count >= 40 && bytes > 40 * 1000, `${count} sources, ${bytes} bytes`);
});

test("a source is found behind a global function, whatever it is called, and the globals leave room to find others", async () => {
  const process = await spawnProcess(image.file);
  const text = await process.eval(`
    local function count() return require("membuddy").checks()[5].count end
    local before, missed = count(), {}
    for _, name in ipairs({ "F", "Quote", "onTransfer", "computePrice", "Tick", "Vote", "Oracle", "settle", "Report", "Airdrop" }) do
      _G[name] = load("-- " .. ("c"):rep(20000) .. "\\nreturn x")
      if count() - before ~= 1 then missed[#missed + 1] = name end
      _G[name] = nil
    end
    for i = 1, 200 do _G["Short" .. i] = function() return missed end end
    Plugin = { load("-- " .. ("c"):rep(20000) .. "\\nreturn x") }
    return table.concat(missed, " ") .. "; " .. count() - before`);
  assert.equal(text, "; 1");
});

test("the checks call nothing of the program, and a damaged one says so instead of raising", async () => {
  const process = await spawnProcess(image.file);
  const text = await process.eval(`
    local trap = setmetatable({}, { __index = function() error("index") end, __len = function() error("length") end,
      __pairs = function() error("pairs") end, __eq = function() error("equal") end, __tostring = function() error("text") end })
    local saved = { Inbox, Errors, Handlers.list, Handlers.coroutines }
    Inbox, Errors, Handlers.list, Handlers.coroutines = trap, trap, { trap, false, { name = trap }, { name = "_once_1", pattern = trap } }, { trap }
    trap[1], trap[trap] = trap, trap
    local checks = require("membuddy").checks()
    Inbox, Errors, Handlers.list, Handlers.coroutines = table.unpack(saved)
    local names = {}
    for i, check in ipairs(checks) do names[i] = check.name .. (check.error and ": " .. check.error or "") end
    return table.concat(names, "\\n")`);
  assert.equal(text.split("\n").length, 9);
  assert.doesNotMatch(text, /: (index|length|pairs|equal|text)/);
});

test("the checks are bounded: of a heap with a million objects they look at a part, and each finding is measured, with the work of a few collections", async () => {
  const process = await spawnProcess(countingModule(image.file), { carryMemory: false });
  await process.eval(`Big = {} for i = 1, 500000 do Big[i] = { i } end`);
  await leak(process);
  const [collection, checks] = [await stepsOf(() => process.eval("collectgarbage()")), await stepsOf(() => process.eval(`local _ = require("membuddy").checks()`))];
  assert.ok(checks < 3 * collection, `${checks} steps, a collection ${collection}`);
});
