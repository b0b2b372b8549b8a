/**
 * Spawns a real aos process in our image, under the loader that compute units use, sends it what a token process
 * receives, and lets it print where its memory went: by path, by the names of known leaks, and every byte of the linear
 * memory.
 *
 *   node --experimental-wasm-memory64 scripts/demo.js [IMAGE]
 */
import { fileURLToPath } from "node:url";
import { address, owner, spawnProcess, tagged } from "../test/support/process.js";

const image = process.argv[2] ?? fileURLToPath(new URL("../dist/membuddy-lua54-wasm64.wasm", import.meta.url));
const holders = 2000;
const unread = 300;
const waiting = 40;

const program = `
  Balances = Balances or {}
  Handlers.add("credit", "Credit-Notice", function(message)
    Balances[message.Sender] = tostring((tonumber(Balances[message.Sender]) or 0) + tonumber(message.Quantity))
  end)
  Handlers.add("order", "Order", function(message)
    local payment = Receive({ Action = "Payment", Order = message.Order })
    message.reply({ Data = "shipped " .. message.Order .. ", paid by " .. payment.From })
  end)`;

const report = `require("membuddy").print({ checks = true })`;

const everyByte = `
  local account = require("membuddy").account()
  local parts = {}
  for name, bytes in pairs(account.parts) do parts[#parts + 1] = { name = name, bytes = bytes } end
  table.sort(parts, function(a, b) return a.bytes > b.bytes or a.bytes == b.bytes and a.name < b.name end)
  return require("json").encode({ parts = parts, memory = account.memory, pages = account.pages, maximum = account.maximum })`;

/** @param {number} bytes */
const grouped = (bytes) => bytes.toLocaleString("en-US").padStart(13);

/** @param {import("../test/support/process.js").Process} token */
async function live(token) {
  await token.eval(program);
  for (let i = 1; i <= holders; i++)
    await token.send({ Tags: tagged({ Action: "Credit-Notice", Sender: address("HOLDER", i), Quantity: String(i * 1000) }) });
  for (let i = 1; i <= unread; i++)
    await token.send({ From: owner, Tags: tagged({ Action: "Newsletter" }), Data: `Issue ${i}: ${"news ".repeat(20)}` });
  for (let i = 1; i <= waiting; i++) await token.send({ Tags: tagged({ Action: "Order", Order: String(i) }) });
}

const showsColours = process.stdout.isTTY && !process.env.NO_COLOR;
/** @param {string} text */
const shown = (text) => (showsColours ? text : text.replace(/\x1b\[[\d;]*m/g, ""));

/** @param {import("../test/support/process.js").Process} token @param {number} bytesBefore  of linear memory, before the report */
async function printEveryByte(token, bytesBefore) {
  const account = JSON.parse(await token.eval(everyByte));
  let sum = 0;
  console.log("\nLinear memory, every byte of it:");
  for (const { name, bytes } of account.parts) {
    sum += bytes;
    console.log(`${grouped(bytes)}  ${name}`);
  }
  const verdict = sum === token.memoryBytes ? "= memory.byteLength, to the byte" : `but memory.byteLength is ${token.memoryBytes}`;
  console.log(`${grouped(sum)}  in all, ${verdict} (${account.pages} pages)`);
  if (sum !== token.memoryBytes) process.exitCode = 1;
  const pages = (token.memoryBytes - bytesBefore) / 65536;
  if (pages > 0) console.log(`${grouped(pages)}  pages of it came with these reports: for the checks, which were asked for, and for aos's print`);
}

// The memory stays in the instance: to copy it with each of these messages takes minutes in an image of 100 MB.
const token = await spawnProcess(image, { carryMemory: false, loader: { UNSAFE_MEMORY: true } });
const freshBytes = token.memoryBytes;
await live(token);
console.log(`A token process: ${holders} holders credited, ${unread} messages unread in the Inbox, ${waiting} orders waiting for their payment.`);
console.log(`Its linear memory: ${grouped(freshBytes).trim()} bytes when fresh, ${grouped(token.memoryBytes).trim()} now.\n\n> ${report}`);
const usedBytes = token.memoryBytes;
console.log(shown(await token.eval(report)));
await printEveryByte(token, usedBytes);
