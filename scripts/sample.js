/**
 * Makes the memory that `membuddy sample` gives: a token process that has lived a little in one of our images, and has
 * what real ones have: balances, unread messages, coroutines that wait, a cache that nobody empties.
 *
 *   node --experimental-wasm-memory64 scripts/sample.js IMAGE OUT.dat.gz
 */
import { renameSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { address, owner, spawnProcess, tagged } from "../test/support/process.js";

const [image, out] = process.argv.slice(2);

const program = `
  Balances = Balances or {}
  Orders = Orders or {}
  local seen = {} -- only the handler below knows it
  Handlers.add("credit", "Credit-Notice", function(message)
    Balances[message.Sender] = tostring((tonumber(Balances[message.Sender]) or 0) + tonumber(message.Quantity))
    seen[message.Id] = { from = message.Sender, quantity = message.Quantity, at = message.Timestamp }
  end)
  Handlers.add("order", "Order", function(message)
    Orders[message.Order] = { message = message, state = "waiting" }
    local payment = Receive({ Action = "Payment", Order = message.Order })
    Orders[message.Order].payment = payment
  end)
  Account = setmetatable({}, { __index = { deposit = function(self, n) self.balance = (self.balance or 0) + n end } })
  Tree = { name = "root", children = {} }
  for i = 1, 12 do Tree.children[i] = { name = "branch " .. i, parent = Tree, children = {} } end`;

const token = await spawnProcess(image);
await token.eval(program);
for (let i = 1; i <= 300; i++) await token.send({ Tags: tagged({ Action: "Credit-Notice", Sender: address("HOLDER", i % 120), Quantity: String(i * 1000) }) });
for (let i = 1; i <= 60; i++) await token.send({ From: owner, Tags: tagged({ Action: "Newsletter" }), Data: `Issue ${i}: ${"news ".repeat(20)}` });
for (let i = 1; i <= 12; i++) await token.send({ Tags: tagged({ Action: "Order", Order: String(i) }) });
const memory = /** @type {Uint8Array} */ (token.memory);
writeFileSync(`${out}.tmp`, gzipSync(new Uint8Array(memory), { level: 9 }));
renameSync(`${out}.tmp`, out);
