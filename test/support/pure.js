/** The module in pure Lua inside of a process, and how its figures compare with the exact ones from outside. */
import { readFile } from "node:fs/promises";
import { attach } from "../../cli/index.js";

const pieceBytes = 16384; // large messages end some published images

/** Without comments and indentation. */
async function pureSource() {
  const source = await readFile(new URL("../../src/membuddy.lua", import.meta.url), "utf8");
  return source.replace(/^\s+/gm, "").replace(/^--.*\n/gm, "");
}

/** As dist/membuddy.lua loads it: without debug information. @param {{ eval: (code: string) => Promise<string> }} process */
export async function loadPure(process) {
  const source = await pureSource();
  for (let at = 0; at < source.length; at += pieceBytes)
    await process.eval(`PureText = (PureText or "") .. [====[\n${source.slice(at, at + pieceBytes)}]====] return 1`);
  await process.eval(`local text = PureText PureText = nil
    package.loaded.membuddy = load(string.dump(assert(load(text, "=membuddy")), true), "=membuddy")() return 1`);
}

/**
 * @typedef {object} Share
 * @property {number} explained percent of what Lua counts @property {number} objects
 * @property {number} peakBytes that Lua had more while it worked, at most, an object @property {number} leftBytes after collection
 */

/** A report on a heap without garbage. The peak is looked for after every hundred instructions of Lua. @param {{ eval: (code: string) => Promise<string> }} process @returns {Promise<Share>} */
export async function shareOf(process) {
  const text = await process.eval(`
    local membuddy, count = package.loaded.membuddy, collectgarbage
    local before, peak, left, results
    local function look() peak = math.max(peak, count("count") * 1024) end
    local function settle() for _ = 1, 8 do collectgarbage() end end -- each frees half of the frames that wait
    for _ = 1, 2 do -- the first call makes the strings and the stack that the second needs
      settle()
      before = count("count") * 1024
      peak = before
      count("stop")
      debug.sethook(look, "", 100)
      results = membuddy.profile()
      debug.sethook()
      look()
      count("restart")
      results = { explained = results.explained, objects = results.objects }
      settle()
      left = count("count") * 1024
    end
    return table.concat({ "share", results.explained, results.objects, (peak - before) / results.objects, left - before }, " ")`);
  const [explained, objects, peakBytes, leftBytes] = text.split(" ").slice(1).map(Number);
  return { explained, objects, peakBytes, leftBytes };
}

/** What the message that asks has under way: it is over when the memory is read from outside. */
const ofTheMoment = /^(?:\[|_G\/(?:Inbox|Handlers|Errors|Outbox|os\/time)(?:\/|$)|_G\/ao(?:\/outbox.*)?$)/;

const count = 100;

/**
 * Errors of the 100 largest paths, as shares, smallest first; and what is found of all that lives.
 * @param {Awaited<ReturnType<typeof import("./process.js").spawnProcess>>} process
 * @param {RegExp} [leftOut] paths that are not compared
 */
export async function errorsOfPaths(process, leftOut = ofTheMoment) {
  const text = await process.eval(`
    collectgarbage() collectgarbage()
    local results, lines = package.loaded.membuddy.profile({ lines = false, children = false }), {}
    for path, bytes in pairs(results.totalSizes) do lines[#lines + 1] = { bytes, path } end
    table.sort(lines, function(a, b) return a[1] > b[1] end)
    for i, line in ipairs(lines) do lines[i] = i <= 2000 and line[1] .. " " .. line[2] or nil end -- the answer is live, too
    return results.totalSize .. "\\n" .. table.concat(lines, "\\n")`);
  const [total, ...lines] = text.split("\n");
  const computed = new Map(lines.map((line) => {
    const space = line.indexOf(" ");
    return [line.slice(space + 1), Number(line.slice(0, space))];
  }));
  const heap = await attach(/** @type {Uint8Array} */ (process.memory));
  try {
    const exact = heap.profile({ lines: false, children: false }); // all: of equals each would show others
    const largest = Object.entries(exact.totalSizes).filter(([path]) => !leftOut.test(path))
      .sort(([, a], [, b]) => b - a).slice(0, count);
    const errors = largest.flatMap(([path, bytes]) => {
      const found = computed.get(path);
      return found === undefined ? [] : [{ path, error: Math.abs(found - bytes) / bytes }];
    }).sort((a, b) => a.error - b.error);
    return { errors, live: Number(total) / exact.totalSize };
  } finally {
    heap.close();
  }
}
