/**
 * A process whose memory can be kept at an instant of our choice: `os.clock()` asks the host for the time, which copies
 * the memory before it answers. Nothing in Lua's heap changes between that and the next call in the same line, so what
 * `profile` finds there is what the copy holds.
 */
import { spawnProcess } from "./process.js";

const mostKept = 4;
const firstTick = 1001; // os.clock counts from its first reading

/** @typedef {Awaited<ReturnType<typeof spawnProcess>> & { copies: Map<number, Uint8Array>, clock: () => number }} WatchedProcess */

/**
 * @param {string} image @param {Parameters<typeof spawnProcess>[1]} [options]
 * @returns {Promise<WatchedProcess>}
 */
export async function spawnWatched(image, options) {
  /** @type {WebAssembly.Memory | undefined} */
  let memory;
  const instantiate = WebAssembly.instantiate;
  // the loader keeps its instance to itself
  WebAssembly.instantiate = /** @type {any} */ (async (/** @type {any} */ source, /** @type {any} */ imports) => {
    const made = /** @type {any} */ (await instantiate(source, imports));
    memory ??= (made.instance ?? made).exports.memory;
    return made;
  });
  try {
    const process = await spawnProcess(image, options);
    if (memory === undefined) throw new Error(`${image} was not instantiated by WebAssembly.instantiate`);
    const copies = new Map();
    let tick = firstTick - 1;
    const clock = () => {
      tick += 1;
      copies.set(tick, new Uint8Array(/** @type {WebAssembly.Memory} */ (memory).buffer).slice());
      copies.delete(tick - mostKept);
      return tick;
    };
    Date.now = clock;
    await process.eval(onMainThread);
    return Object.assign(process, { copies, clock });
  } finally {
    WebAssembly.instantiate = instantiate;
  }
}

/** Lua's empty table is JSON's empty array. @param {any} value @returns {any} */
function withoutArrays(value) {
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutArrays(inner)]));
}

/** Messages with this action are answered on the main thread, not in a coroutine, as a memory between messages has it. */
const onMainThread = `
  local aos, json = handle, require("json")
  function handle(message, environment)
    local body = json.decode(message).Data
    if type(body) ~= "string" or body:sub(1, 9) ~= "--instant" then return aos(message, environment) end
    local ok, answer = pcall(load(body))
    return json.encode({ ok = ok, response = { Output = { data = ok and answer or tostring(answer) }, Messages = {}, Spawns = {}, Assignments = {} } })
  end`;

/**
 * A report from inside, and the memory at that instant. The first call makes every string, frame and slot that the second
 * needs; the collector rests between them. Every object that the second has on its stack, a local variable holds as well.
 * @param {WatchedProcess} process @param {string} name  of a function of the library
 * @param {string} [options]  Lua @param {string} [before]  Lua that runs before, for the state of the collector
 * @returns {Promise<{ results: any, printed: string, memory: Uint8Array }>}
 */
export async function askAtInstant(process, name, options = "nil", before = "") {
  Date.now = process.clock; // whoever was asked last had put its own there
  const text = await process.eval(`--instant
    local clock, call, options = os.clock, require("membuddy").${name}, ${options}
    collectgarbage() ${before} collectgarbage("stop")
    local tick, first = clock(), call(options) -- what it made stays, for the second to find
    local results
    tick = clock() results = call(options)
    collectgarbage("restart")
    local lines, aos_print = {}, print
    print = function(line) lines[#lines + 1] = line .. "\\n" end
    if type(results) == "table" and results.sizes then require("membuddy").print(results) end
    print = aos_print
    return "answer:" .. require("json").encode({ tick = math.floor(tick * 1000 + 0.5), results = results, printed = table.concat(lines) })`);
  if (!text.startsWith("answer:")) throw new Error(text);
  const answer = JSON.parse(text.slice("answer:".length));
  const tick = firstTick + answer.tick;
  const memory = process.copies.get(tick);
  if (memory === undefined) throw new Error(`no copy was kept at tick ${tick}; there are ${[...process.copies.keys()].join(", ")}`);
  return { results: withoutArrays(answer.results), printed: answer.printed, memory };
}
