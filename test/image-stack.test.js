/**
 * The deepest recursion that Lua allows, in every way we know, ends in a Lua error (or works) on the stack that the image
 * has, and the process lives. The size in wasm/image.mk comes from here: `deepest` is what each image was seen to use.
 *
 * Two stacks are at stake: C's, in linear memory, and V8's, which the loader's host sizes (984 KB by default).
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { driveWith } from "./support/drive.js";
import { bytesOf, ourImages } from "./support/images.js";
import { spawnProcess } from "./support/process.js";
import { stackBytes } from "./support/wasm.js";

const wordBytes = 4;
const markBytes = 16; // the loader's, at the stack's low end
const leastRoom = 1.3; // stack to what was used

/**
 * Lua's ways into itself: what `body` does, it does again inside. `Deep(n)` is the recursion, at most n levels deep.
 * @type {Record<string, string>}
 */
const recursions = {
  pcall: "local ok, e = pcall(Deep) return e",
  "pcall as a tail call": "return pcall(Deep)",
  "pcall that raises again": "local _, e = pcall(Deep) error(e, 0)",
  xpcall: "local ok, e = xpcall(Deep, debug.traceback) return e",
  "error handlers that fail": "return xpcall(error, function() return Deep() end)",
  "coroutine.wrap": "return coroutine.wrap(Deep)()",
  "coroutine.resume": "return coroutine.resume(coroutine.create(Deep))",
  "pcall of coroutines": "return select(2, pcall(coroutine.wrap(Deep)))",
  gsub: "return (string.gsub('x', 'x', Deep))",
  "gsub with a table": "return (string.gsub('x', 'x', setmetatable({}, { __index = Deep })))",
  "gsub, and long patterns": "pcall(string.find, ('a'):rep(3000), ('a?'):rep(3000) .. 'b') return (string.gsub('x', 'x', Deep))",
  "gsub, and long numbers": "string.format('%99.14f', 1e300) tonumber('1' .. ('0'):rep(900) .. '.5e-300') return (string.gsub('x', 'x', Deep))",
  "gsub, and deep sources": "load('return ' .. ('('):rep(1000)) return (string.gsub('x', 'x', Deep))",
  "gsub, and tracebacks": "debug.traceback() return (string.gsub('x', 'x', Deep))",
  "gsub in coroutines": "return (string.gsub('x', 'x', function() return coroutine.wrap(Deep)() end))",
  "gsub in sort": "table.sort({ 3, 2, 1 }, function() return (string.gsub('x', 'x', Deep)) end)",
  sort: "table.sort({ 3, 2, 1 }, function(a, b) Deep() return a < b end)",
  tostring: "return tostring(setmetatable({}, { __tostring = Deep }))",
  "format with %s": "return string.format('%-10s%99.14f', setmetatable({}, { __tostring = Deep }), 1e300)",
  concat: "return table.concat(setmetatable({}, { __index = Deep, __len = function() return 3 end }))",
  "concat in gsub": "return (string.gsub('x', 'x', function() return table.concat(setmetatable({}, { __index = Deep, __len = function() return 1 end })) end))",
  pack: "return string.pack('s', setmetatable({}, { __index = Deep }).x)",
  unpack: "return table.unpack(setmetatable({}, { __index = Deep }), 1, 2)",
  __index: "return setmetatable({}, { __index = Deep }).x",
  __newindex: "setmetatable({}, { __newindex = Deep }).x = 1",
  __concat: "return setmetatable({}, { __concat = Deep }) .. 'x'",
  __lt: "local t = setmetatable({}, { __lt = Deep }) return t < t",
  __eq: "local m = { __eq = Deep } return setmetatable({}, m) == setmetatable({}, m)",
  __len: "return #setmetatable({}, { __len = Deep })",
  __call: "return setmetatable({}, { __call = Deep })() .. ''",
  __pairs: "return pairs(setmetatable({}, { __pairs = Deep }))",
  __gc: "setmetatable({}, { __gc = Deep }) collectgarbage()",
  "to-be-closed variables": "Close = Close or load('local x <close> = setmetatable({}, { __close = Deep })') or pcall return Close(Deep)",
  "load with a reader": "local n = 0 load(function() n = n + 1 if n == 1 then Deep() return 'return 1' end end)",
  require: "package.loaded.deep = nil return require('deep')",
  "the profiler's print": "local print_was = print print = function() Deep() end local ok, e = pcall(require('membuddy').print) print = print_was if not ok then error(e, 0) end",
};

/** Sources that nest deeper than the parser goes. @type {Record<string, string>} */
const sources = {
  parentheses: "'return ' .. ('('):rep(N) .. '1' .. (')'):rep(N)",
  tables: "'return ' .. ('{'):rep(N) .. ('}'):rep(N)",
  functions: "('return function() '):rep(N) .. ('end '):rep(N)",
  blocks: "('do '):rep(N) .. ('end '):rep(N)",
  conditions: "('if x then '):rep(N) .. ('end '):rep(N)",
  loops: "('for i = 1, 2 do '):rep(N) .. ('end '):rep(N)",
  concatenations: "'return ' .. ('1 .. '):rep(N) .. '1'",
  powers: "'return ' .. ('2^'):rep(N) .. '1'",
  negations: "'return ' .. ('- '):rep(N) .. '1'",
  calls: "'return ' .. ('f('):rep(N) .. (')'):rep(N)",
  indices: "'return ' .. ('a['):rep(N) .. '1' .. (']'):rep(N)",
  assignments: "('a,'):rep(N) .. 'a = 1'",
};

/** Deep, but not into C. @type {Record<string, string>} */
const others = {
  "Lua functions": "local function f() return 1 + f() end return Outcome(f)",
  "a pattern of many optional items": "return Outcome(string.find, ('a'):rep(300000), ('a?'):rep(100000) .. 'b')",
  "a pattern of many lazy items": "return Outcome(string.find, ('a'):rep(300000), ('.-'):rep(100000) .. 'b')",
  "JSON that nests": "return Outcome(require('json').decode, ('['):rep(20000))",
  "more results than the stack holds": "return Outcome(table.unpack, {}, 1, 1e7)",
  "a function of nested functions, dumped": "return type(load(string.dump(load(('return function() '):rep(60) .. ('end '):rep(60)))))",
};

/** @param {string} body */
const recursionIn = (body) => `
  Levels, Limit = 0, Limit or math.huge
  function Deep() Levels = Levels + 1 if Levels >= Limit then return Bottom() end ${body} end
  package.preload.deep = function() return Deep() end
  local ok, e = pcall(Deep)
  return Levels .. " " .. tostring(e)`;

/** @param {Uint8Array | null} memory @param {number} stack */
function deepestUse(memory, stack) {
  const words = new Uint32Array(memory?.buffer ?? new ArrayBuffer(0), 0, stack / wordBytes);
  const first = words.findIndex((word, i) => i * wordBytes >= markBytes && word !== 0);
  return stack - first * wordBytes;
}

for (const image of ourImages) {
  const wasm = bytesOf(image);
  const stack = stackBytes(wasm);
  let deepest = 0;

  /** Runs it in a process of its own; gives what came back, once the process has shown that it lives. @param {string} code */
  async function outcomeOf(code, options = {}) {
    const process = await spawnProcess(wasm, options);
    const outcome = await process.eval(code).catch((error) => {
      // only __gc: an error in a finalizer reaches whoever collects, in Lua 5.3
      if (/C stack overflow/.test(error.message)) return "raised C stack overflow";
      throw error;
    });
    assert.equal(await process.eval("return 'alive'"), "alive");
    deepest = Math.max(deepest, deepestUse(process.memory, stack));
    return outcome;
  }

  describe(`${image.name}, the deepest recursion`, () => {
    for (const [way, body] of Object.entries(recursions))
      test(`${way} ends in a Lua error`, async () => {
        const outcome = await outcomeOf(recursionIn(body));
        assert.match(outcome, /overflow|error in error handling|^\d+ /);
      });

    for (const [kind, source] of Object.entries(sources))
      test(`a source of nested ${kind} ends in a Lua error`, async () => {
        const levels = await outcomeOf(`for _, N in ipairs({ 100, 150, 180, 190, 195, 199, 200, 201, 10000 }) do Last, Why = load(${source}) end return tostring(Why)`);
        assert.match(levels, /overflow|too many|limit is 200/);
      });

    for (const [way, code] of Object.entries(others)) test(`${way}: a Lua error, or it works`, async () => void (await outcomeOf(`function Outcome(...) return tostring(select(2, pcall(...))) end ${code}`)));

    test("the host is waited for at the bottom of the deepest recursion", async () => {
      const loader = { WeaveDrive: driveWith({ "/data/file": "text" }) };
      const bottom = "Limit = 185 function Bottom() local f = io.open('/data/file') local t = f:read('a') f:close() Read = t end";
      for (const way of ["gsub", "load with a reader", "sort", "pcall", "coroutine.wrap", "concat", "__index"])
        assert.equal((await outcomeOf(`${bottom} pcall(load([==[${recursionIn(recursions[way])}]==])) return Read`, { loader })), "text", way);
    });

    test("messages that the host breaks off take nothing of the stack along", async () => {
      const process = await spawnProcess(wasm);
      const { memory } = process;
      const breakOff = async () => {
        const { now } = Date;
        process.memory = memory; // as a compute unit does
        try {
          Date.now = () => { throw new Error("the host breaks off") };
          await assert.rejects(process.eval("return os.clock()"), /breaks off/);
        } finally {
          Date.now = now;
        }
      };
      const used = async () => {
        await breakOff();
        process.memory = memory;
        assert.equal(await process.eval("return 'alive'"), "alive");
        return deepestUse(process.memory, stack);
      };
      const before = await used();
      for (let i = 0; i < 400; i++) await breakOff();
      assert.equal(await used(), before);
    });

    after(() => console.log(`${image.name}: stack ${stack}, deepest use ${deepest}, ${(stack / deepest).toFixed(2)} x`));
    test("used less than the stack by a good margin", () =>
      assert.ok(stack >= leastRoom * deepest, `the stack has ${stack} bytes, ${deepest} were used: raise it in wasm/image.mk`));
  });
}
