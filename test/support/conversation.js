/**
 * A conversation with an aos process that touches what aos offers: the same messages to every image, and what came back.
 */
import { owner, processId } from "./process.js";

const stranger = "STRANGER-ADDRESS-43-CHARACTERS-LONG-0123456";

/** @param {string} code */
const evaluate = (code) => ({ Tags: [{ name: "Action", value: "Eval" }], Data: code });

/** @param {string} action @param {object} [more] */
const fromStranger = (action, more = {}) => ({
  From: stranger,
  Owner: stranger,
  Tags: [{ name: "Action", value: action }],
  ...more,
});

/** @type {{ says: string, message: Record<string, any> }[]} */
export const conversation = [
  { says: "an expression", message: evaluate("1 + 1") },
  { says: "a statement with a result", message: evaluate("local a = 20 return a + 1") },
  { says: "a table", message: evaluate("return { 1, 2, { name = 'x' } }") },
  { says: "printing", message: evaluate("print('one') print('two') return 'three'") },
  { says: "a syntax error", message: evaluate("return +") },
  { says: "an error with its line", message: evaluate("local a = 1\nerror('boom')") },
  { says: "an error without a place", message: evaluate("error({ code = 7 })") },
  { says: "an error inside of aos", message: evaluate("return require('json').decode('[1,')") },
  { says: "an error in a function of the process", message: evaluate("function Fails() local x = nil; return x.y end\nreturn Fails()") },
  { says: "adding a handler", message: evaluate("Handlers.add('ping', 'Ping', function(m) m.reply({ Data = 'pong', Action = 'Pong' }) end) return #Handlers.list") },
  { says: "a message that the handler answers", message: fromStranger("Ping") },
  { says: "a message for nobody", message: fromStranger("Hello", { Data: "good morning" }) },
  { says: "the Inbox", message: evaluate("return #Inbox .. ' ' .. Inbox[#Inbox].Data .. ' ' .. Inbox[#Inbox].Action") },
  { says: "an untrusted message", message: { From: stranger, Owner: owner, Tags: [{ name: "Action", value: "Ping" }] } },
  { says: "Send", message: evaluate("Send({ Target = 'T', Action = 'Greet', Data = 'hi', Extra = '1' }) return 'sent'") },
  { says: "Spawn", message: evaluate("Spawn('M', { Data = 'child', Name = 'kid' }) return 'spawned'") },
  { says: "Assign", message: evaluate("Assign({ Processes = { ao.id }, Message = 'mid' })") },
  { says: "waiting for a message", message: evaluate("Handlers.add('wait', 'Wait', function(m) local r = Receive({ Action = 'Go' }) m.reply({ Data = r.Data .. ' after ' .. m.Data }) end)") },
  { says: "a handler that waits", message: fromStranger("Wait", { Data: "waiting" }) },
  { says: "what it waits for", message: fromStranger("Go", { Data: "gone" }) },
  { says: "a handler that fails", message: evaluate("Handlers.add('bad', 'Bad', function(m) local t = nil; t.x = 1 end)") },
  { says: "its failure", message: fromStranger("Bad") },
  { says: "the process afterwards", message: evaluate("return 'alive'") },
  { says: "JSON as content", message: fromStranger("Json", { Data: '{"a":[1,2,3]}', Tags: [{ name: "Action", value: "Ping" }, { name: "Content-Type", value: "application/json" }] }) },
  { says: "random numbers", message: evaluate("local t = {} for i = 1, 8 do t[i] = math.random(1, 1000) end return table.concat(t, ' ') .. ' ' .. math.random()") },
  { says: "the time", message: { ...evaluate("return os.time()"), Timestamp: 1712345678901 } },
  { says: "bit32", message: evaluate("return bit32.band(0xff, 0x0f) .. ' ' .. bit32.bxor(1, 3) .. ' ' .. bit32.lrotate(1, 31) .. ' ' .. bit32.extract(0xabcd, 4, 8)") },
  { says: "a digest", message: evaluate("local c = require('.crypto') return c.digest.sha2_256(c.utils.stream.fromString('aos')).asHex()") },
  { says: "another digest", message: evaluate("return require('.crypto').digest.keccak256('aos').asHex() .. require('.crypto').digest.blake2b('aos').asHex()") },
  { says: "large integers", message: evaluate("local bint = require('.bint')(256) return tostring(bint('123456789012345678901234567890') * bint(97))") },
  { says: "base64", message: evaluate("return require('.base64').encode('any carnal pleasure')") },
  { says: "a missing module", message: evaluate("return (select(2, pcall(require, 'no.such.module')):match('module no.such.module not found'))") },
  { says: "a file that is not there", message: evaluate("return tostring((io.open('nothing.txt')))") },
  { says: "text that is no ASCII", message: evaluate("return 'žluťoučký 🐎 ' .. utf8.char(0x1F600)") },
  { says: "coroutines", message: evaluate("local c = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) return c(1) .. ' ' .. c(10)") },
  { says: "a spawn message again", message: { Id: processId, Tags: [{ name: "Type", value: "Process" }] } },
  { says: "the version", message: evaluate("Version()") },
];

/** The order of tags follows Lua's hashes, whose seed is another in the official images. @param {any} message */
function withSortedTags(message) {
  const byName = (/** @type {{ name: string }} */ a, /** @type {{ name: string }} */ b) => (a.name < b.name ? -1 : 1);
  return { ...message, Tags: [...message.Tags].sort(byName) };
}

/**
 * Has the conversation, and gives the answers without the memory, and without what they cost.
 * @param {{ send: (message: object) => Promise<any> }} process
 */
export async function converse(process) {
  const answers = [];
  for (const { says, message } of conversation) {
    try {
      const { Memory, GasUsed, ...answer } = await process.send(message);
      const Messages = answer.Messages?.map(withSortedTags);
      const Spawns = answer.Spawns?.map(withSortedTags);
      answers.push({ says, answer: { ...answer, Messages, Spawns } });
    } catch (error) {
      answers.push({ says, thrown: error instanceof Error ? error.message : error });
    }
  }
  return answers;
}
