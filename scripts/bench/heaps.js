/** The heaps that a report is measured on. */
import { ask } from "./specimen.js";

/**
 * @typedef {import("./specimen.js").Specimen} Specimen
 * @typedef {object} Heap
 * @property {string} name
 * @property {(specimen: Specimen) => Promise<unknown>} build
 */

/** 0.01: every heap a hundredth of its size, to try the bench itself. */
export const scale = Number(process.env.SCALE ?? 1);
if (!(scale > 0 && scale <= 1))
  throw new Error(`SCALE=${process.env.SCALE} is not a share of the full size; give a number above 0 up to 1`);

/** @param {number} count */
export const scaled = (count) => Math.max(8, Math.round(count * scale));

/** @param {number} count */
const inWords = (count) =>
  count >= 1e6 ? `${count / 1e6} million` : count >= 1e3 ? `${count / 1e3} thousand` : String(count);

/**
 * @param {number} count
 * @param {string} what
 * @param {(count: number) => string} lua
 * @returns {Heap}
 */
function heap(count, what, lua) {
  const size = scaled(count);
  return { name: `${inWords(size)} ${what}`, build: (specimen) => ask(specimen, lua(size)) };
}

/** An array of `{i, "s"..i}`: half of its objects are tables, half strings. @param {number} objectCount */
export const objectsHeap = (objectCount) =>
  heap(objectCount, "objects", (count) => `Specimen = {} for i = 1, ${count / 2} do Specimen[i] = {i, "s" .. i} end`);

/** @param {number} first @param {number} last */
export const creditBalances = (first, last) => `
  Balances = Balances or {}
  for i = ${first}, ${last} do Balances[string.format("%043d", i)] = tostring(i * 1000003) end`;

const sentMessages = 20;

// What only one message has, it has in strings of its own; the rest of a copy is shared as Lua shares short strings.
const copyLastMessage = (/** @type {number} */ count) => `
  local function copy(value)
    if type(value) == "string" and #value > 40 then return (value .. "."):sub(1, -2) end
    if type(value) ~= "table" then return value end
    local fields = {}
    for key, field in pairs(value) do fields[key] = copy(field) end
    return fields
  end
  local message = Inbox[#Inbox]
  for i = #Inbox + 1, ${count} do
    local one = copy(message)
    one.Id = string.format("%043d", i)
    Inbox[i] = one
  end
  return #Inbox`;

/** @param {Specimen} specimen @param {number} count */
async function fillInbox(specimen, count) {
  for (let i = 0; i < Math.min(sentMessages, count); i++) {
    const id = `MESSAGE-${String(i).padStart(35, "0")}`;
    await specimen.send({ Id: id, Tags: [{ name: "Action", value: "Unknown" }], Data: `message ${i}` });
  }
  const kept = await ask(specimen, copyLastMessage(count));
  if (kept !== count) throw new Error(`${count} messages were sent or copied, ${kept} are in the Inbox`);
}

/** @type {Heap} */
const inboxHeap = {
  name: `${inWords(scaled(1e4))} Inbox messages (${sentMessages} sent, the rest copies)`,
  build: (specimen) => fillInbox(specimen, scaled(1e4)),
};

export const smallHeap = objectsHeap(8e3);
export const middleHeap = objectsHeap(2e5);
export const largeHeap = objectsHeap(2e6);

/** @type {Heap[]} */
export const heaps = [
  smallHeap,
  middleHeap,
  largeHeap,
  heap(1e6, "tables deep, a list", (count) => `for i = 1, ${count} do Specimen = {next = Specimen} end`),
  heap(1e5, "balances", (count) => creditBalances(1, count)),
  inboxHeap,
  heap(2e4, "closures", (count) => `
    Specimen = {}
    for i = 1, ${count} do
      local calls = i
      Specimen[i] = function() calls = calls + 1 return calls end
    end`),
  heap(2e3, "coroutines", (count) => `
    Specimen = {}
    for i = 1, ${count} do
      Specimen[i] = coroutine.create(function() local held = {i} coroutine.yield() return held end)
      coroutine.resume(Specimen[i])
    end`),
];
