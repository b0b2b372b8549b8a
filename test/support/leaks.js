/** The leaks of aos, made with real messages, and what the checks must say about them, whatever the backend. */
import assert from "node:assert/strict";
import { owner } from "./process.js";

const stranger = "STRANGER-ADDRESS-43-CHARACTERS-LONG-0123456";

export const unhandledCount = 40, waitingCount = 5, failedCount = 4, removedCount = 4990, duplicateCount = 50;

/** @typedef {import("./process.js").Process} Process */
/** @typedef {{ name: string, found: boolean, count: number, bytes: number, text: string, advice: string, error?: string } & Record<string, any>} Check */

/** @param {Process} process @param {string} action @param {object} [fields] */
export const fromStranger = (process, action, fields = {}) =>
  process.send({ From: stranger, Owner: stranger, Tags: [{ name: "Action", value: action }], ...fields });

/** @param {Process} process what is no Eval of ours: its failure is part of the scene */
async function evalThatFails(process) {
  const result = await process.evalResult("error('no such luck')");
  assert.ok(result.Error, "the Eval fails");
}

/** @param {Process} process */
export async function leak(process) {
  for (let i = 0; i < unhandledCount; i++) await fromStranger(process, i % 4 === 0 ? "Rare" : "Often", { Data: "x".repeat(300) });
  for (let i = 0; i < waitingCount; i++) await process.evalResult(`local answer = Handlers.receive({ Action = "Never" }) print(answer.Id)`);
  for (let i = 0; i < failedCount; i++) await evalThatFails(process);
  await process.eval(`Sparse = {} for i = 1, 5000 do Sparse["key " .. i] = i end for i = 1, ${removedCount} do Sparse["key " .. i] = nil end`);
  await process.eval(`Duplicates = {} for i = 1, ${duplicateCount} do Duplicates[i] = ("z"):rep(500) end`);
  await process.eval(`Handlers.add("keep", Handlers.utils.hasMatchingTag("Action", "Keep"), function(msg) Kept = function() return msg.Data end end)`);
  await fromStranger(process, "Keep", { Data: "kept" });
}

/** @param {Process} process @returns {Promise<Map<string, Check>>} */
export async function checksOf(process) {
  const list = JSON.parse(await process.eval(`return require("json").encode(require("membuddy").checks())`));
  return new Map(list.map((/** @type {Check} */ check) => [check.name, check]));
}

/** @param {Map<string, Check>} checks @param {string} name */
function found(checks, name) {
  const check = checks.get(name);
  assert.ok(check, `there is a check ${name}`);
  assert.equal(check.error, undefined, `${name} succeeds`);
  assert.ok(check.found && check.bytes > 0, `${name} found something: ${JSON.stringify(check)}`);
  assert.match(check.text, /\w/);
  assert.match(check.advice, /\w/);
  return check;
}

/** The claims on `leak`. @param {Map<string, Check>} checks @param {{ exact: boolean, canTell: boolean }} backend */
export function assertLeaks(checks, { exact, canTell }) {
  const inbox = found(checks, "inbox");
  assert.equal(inbox.count, unhandledCount + 1, "with the spawn message");
  assert.equal(inbox.cap, 10000);
  assert.equal(inbox.room, 10000 - inbox.count);
  assert.deepEqual(inbox.senders[0], { name: stranger, count: unhandledCount });
  assert.deepEqual(inbox.actions[0], { name: "Often", count: unhandledCount * 3 / 4 });
  assert.ok(inbox.bytes > unhandledCount * 1000 && inbox.bytes < unhandledCount * 4000, `${inbox.bytes} bytes of Inbox`);
  const once = found(checks, "once_handlers");
  assert.equal(once.count, waitingCount);
  assert.deepEqual(once.waits, [{ name: "Action = Never", count: waitingCount }]);
  const waiting = found(checks, "coroutines");
  assert.equal(waiting.count, waitingCount);
  assert.match(waiting.places[0].name, /aos"?\]?:1$/);
  assert.ok(waiting.bytes > waitingCount * 2500 && waiting.bytes < waitingCount * 10000, `${waiting.bytes} bytes of coroutines`);
  const errors = found(checks, "errors");
  assert.equal(errors.count, failedCount);
  assert.match(errors.text, /no such luck|aos/);
  const duplicates = found(checks, "duplicate_strings");
  assert.ok(duplicates.bytes >= (duplicateCount - 1) * 500, `${duplicates.bytes} bytes of duplicates`);
  if (canTell) assert.equal(duplicates.count, duplicateCount - 1 + unhandledCount - 1, "of the strings and of the messages' data");
  else assert.ok(duplicates.count >= duplicateCount - 1 + unhandledCount - 1);
  if (exact) {
    const sparse = found(checks, "sparse_tables");
    assert.equal(sparse.tables[0].name, "Sparse");
    assert.ok(sparse.tables[0].bytes > 8000 * 24 && sparse.tables[0].bytes < 8192 * 40);
  }
  const held = found(checks, "held_messages");
  assert.equal(held.count, 1);
  assert.equal(held.holder, "Kept");
}

/** Claims of a process that nobody used yet. @param {Map<string, Check>} checks */
export function assertQuiet(checks) {
  for (const [name, check] of checks) {
    assert.equal(check.error, undefined, `${name} succeeds`);
    if (check.count === 0) assert.match(check.text, /^[^:;]*[a-z0-9)]$/, "a sentence without an example");
    if (name !== "sources") assert.equal(check.found, false, `${name} found ${check.text}`);
  }
  assert.deepEqual([...checks.keys()], ["inbox", "once_handlers", "coroutines", "errors", "sources", "duplicate_strings", "sparse_tables",
    "held_messages", "growth"]);
}

/** Wrong options of checks() are refused with one sentence, which says where the call was. @param {Process} process */
export async function assertRefusals(process) {
  const text = await process.eval(`
    local messages = {}
    for _, options in ipairs({ { objets = 5 }, { objects = 0 }, { objects = "9" }, { objects = 1.5 }, { ["a\\27[2J"] = 1 }, 5 }) do
      messages[#messages + 1] = select(2, pcall(load("require('membuddy').checks(...)", "=caller"), options))
    end
    local membuddy, lists = require("membuddy"), {}
    table.insert(lists, membuddy.checks({ objects = 100 }))
    table.insert(lists, membuddy.checks())
    messages[#messages + 1] = #lists[1] .. " " .. #lists[2] .. " " .. select("#", membuddy.mark())
    return table.concat(messages, "\\n")`);
  assert.deepEqual(text.split("\n"), [
    "caller:1: membuddy: unknown option 'objets' of checks; accepted: objects",
    ...["0", "9", "1.5"].map((value) => `caller:1: membuddy: option 'objects' of checks is ${value}; accepted: a whole number above 0`),
    "caller:1: membuddy: unknown option 'a?[2J' of checks; accepted: objects",
    "caller:1: membuddy: the options of checks are a number; accepted: a table",
    "9 9 1", // and one value a call
  ]);
}

/** What looks like a leak and is none; `leak` is not needed before. @param {Process} process */
export async function assertNoFalseAlarms(process) {
  await fromStranger(process, "Seen");
  await process.eval(`
    Document = ("once upon a time "):rep(2000)
    Orders, Even = {}, {} for i = 1001, 2000 do Orders[i] = true end for i = 2, 1200, 2 do Even[i] = true end
    local message = Inbox[#Inbox] Last = function() return message.Data end
    Handlers.add("_once_upon", function() return false end, print)
    debug = true`);
  const checks = await checksOf(process);
  await process.eval(`debug = package.loaded.debug`);
  assertQuiet(checks);
  assert.doesNotMatch(checks.get("sources")?.text ?? "", /Document/);
  await process.eval(`Handlers.once("wait-for-price", { Action = "Price" }, print)`);
  assert.equal(found(await checksOf(process), "once_handlers").count, 1, "whatever its name");
}

/** Where only a part was looked at a finding says so, and only there, in the line and as `partial`. @param {Process} process */
export async function assertParts(process) {
  const named = ["sources", "duplicate_strings", "sparse_tables", "held_messages"];
  const look = async (/** @type {string} */ code, objects = 100000) => {
    await process.eval(`Many = {} ${code}`);
    const list = JSON.parse(await process.eval(`return require("json").encode(require("membuddy").checks({ objects = ${objects} }))`));
    for (const { name, partial } of list) if (!named.includes(name)) assert.equal(partial, undefined, name);
    return named.filter((name) => list.find((/** @type {Check} */ check) => check.name === name).partial).join(" ");
  };
  const text = `("p"):rep(200)`, emptied = `(function() local t = {} for i = 1, 300 do t[i] = i end for i = 1, 300 do t[i] = nil end return t end)()`;
  const holder = `(function() local message = { Id = "i", From = "f", Tags = {}, Timestamp = 1 } return function() return message end end)()`;
  const grouped = (/** @type {number} */ count, /** @type {string} */ value) => `for i = 1, ${count} do local group = i // 50 Many[group] = Many[group] or {} table.insert(Many[group], ${value}) end`;
  const whole = await look("");
  assert.equal(whole, "sources", "all else was looked at");
  assert.equal(await look("", 20), named.join(" "), "20 objects are not all");
  assert.equal(await look("for i = 1, 64 do Many[i] = {} end"), whole);
  assert.equal(await look("for i = 1, 65 do Many[i] = {} end"), named.join(" "), "64 of a table's");
  assert.equal(await look("for i = 1, 100 do Many[i] = Handlers Many[-i] = print end"), whole, "what was met, or holds nothing, is not left out");
  assert.equal(await look("for i = 1, 200000 do Many[i] = i end"), named.join(" "), "200000 entries");
  assert.equal(await look(`for i = 1, 50 do Many[i] = ${text} .. i end`), whole);
  assert.equal(await look(`for i = 1, 251 do Many[i] = ${text} .. i end`), "sources duplicate_strings", "250 long strings");
  assert.equal(await look(`for i = 1, 1001 do Many[i] = ${text} end`), "sources duplicate_strings", "1000 references to them");
  assert.equal(await look(grouped(199, emptied)), whole);
  assert.equal(await look(grouped(210, emptied)), "sources sparse_tables", "200 tables");
  assert.equal(await look(grouped(200, holder)), whole);
  assert.equal(await look(grouped(201, holder)), "sources held_messages", "200 messages");
  const lines = async (/** @type {string} */ code) => {
    await process.eval(`Many = {} ${code} for name in pairs(Colors) do Colors[name] = "" end`);
    return await process.eval(`require("membuddy").print({ checks = true, top = 1 })`);
  };
  assert.match(await lines(`for i = 1, 1500 do Many[i] = ${text} end`), /\n {4}duplicate_strings: at least 9\d\d, \d/);
  assert.match(await lines(`for i = 1, 200 do Handlers.once("wait " .. i, "Never", print) end`), /\n {4}once_handlers: 200, [^\n]*; they wait for Action = Never \(200\)\./);
  assert.match(await lines(`Handlers.once("wait", "Never", print)`), /\n {4}once_handlers: 201, [^\n]*; of the first 200 they wait for Action = Never \(200\)\./);
}

/** From a mark on, what grew is told, and nothing where nothing grew. @param {Process} process */
export async function assertGrowth(process) {
  await process.eval(`for i = 1, 200 do _G["Filler" .. i] = ("f"):rep(4000) .. i end require("membuddy").mark() return "marked"`);
  for (let i = 0; i < 2; i++) await process.eval("return 1");
  await process.eval(`Filler199 = Filler199 .. ("more"):rep(20)`);
  const quiet = (await checksOf(process)).get("growth");
  assert.equal(quiet?.found, false, quiet?.text);
  for (const { name, bytes } of quiet?.paths ?? []) assert.ok(bytes < 300, `${name} did not grow by ${bytes} bytes`);
  await process.eval(`require("membuddy").mark() return "marked"`);
  await process.eval(`Grown = {} for i = 1, 1000 do Grown[i] = { i } end`);
  const failed = await process.eval(`
    local membuddy = require("membuddy")
    local profile = membuddy.profile
    membuddy.profile = function() error("no profile", 0) end
    local _, reason = pcall(function() local marked = membuddy.mark() return marked end)
    membuddy.profile = profile
    return reason`);
  assert.match(failed, /^\[string "aos"\]:\d+: no profile$/); // where the caller stands; and the mark before is kept
  const growth = found(await checksOf(process), "growth");
  assert.ok(growth.count > 950, `${growth.count} objects more`);
  assert.equal(growth.paths[0].name, "_G/Grown");
  assert.ok(growth.bytes > 60 * 1000 && growth.bytes < 200 * 1000, `${growth.bytes} bytes more`);
}

export { owner, stranger };
