/**
 * What aos's command line sends. Its own code that reads blueprints is not to be had by package name: `@permaweb/aos`
 * ends at 1.2.18, without blueprints and with another form of Eval. As published it does this with a blueprint
 * (src/commands/blueprints.js, src/evaluate.js, src/services/connect.js and mainnet.js of aos): the file's text, as it
 * is, becomes the data of one message with the tag Action = Eval; aoconnect's `message` signs and sends it, or, for a
 * process on HyperBEAM, its `request` does with data-protocol ao, variant ao.N.1 and type Message. The first is driven
 * here: the real aoconnect, with a signer of ours and a messenger unit of ours on this machine.
 */
import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { processId } from "./process.js";

const library = new URL("../../build/test-tools/aoconnect/browser.js", import.meta.url);

/** @typedef {{ target: string, tags: { name: string, value: string }[], data: string }} Item */

// Written for browsers: what it looks for while it loads, and Node.js 18 or 20 does not have.
const browser = { navigator: { language: "en", userAgent: "" }, crypto: webcrypto };

/** @returns {Promise<any>} */
async function aoconnect() {
  const lacking = Object.entries(browser).filter(([name]) => !(name in globalThis));
  Object.assign(globalThis, Object.fromEntries(lacking));
  try {
    return await import(library.href);
  } finally {
    for (const [name] of lacking) Reflect.deleteProperty(globalThis, name);
  }
}

/** @param {(body: string) => void} receive */
async function messengerUnit(receive) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    receive(Buffer.concat(chunks).toString());
    response.setHeader("content-type", "application/json").end(JSON.stringify({ id: "M".repeat(43) }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { server, url: `http://127.0.0.1:${address.port}` };
}

/** Instead of a signature: the item as it would be signed. @param {Function} create */
async function signer(create) {
  const item = await create({ publicKey: Buffer.alloc(512), type: 1, alg: "rsa", passthrough: true });
  return { id: "I".repeat(43), raw: Buffer.from(JSON.stringify(item)) };
}

/** The message in which a text arrives, sent as the command line does. @param {string} data @returns {Promise<Item>} */
export async function sentByCommandLine(data) {
  const { connect } = await aoconnect();
  /** @type {string[]} */
  const received = [];
  const { server, url } = await messengerUnit((body) => received.push(body));
  try {
    const { message } = connect({ MODE: "legacy", MU_URL: url, CU_URL: url, GATEWAY_URL: url });
    await message({ process: processId, signer, tags: [{ name: "Action", value: "Eval" }], data });
  } finally {
    server.closeAllConnections?.();
    server.close();
  }
  return JSON.parse(received[0]);
}

/** The fields that a process on HyperBEAM is sent, after the published source. @param {string} data @returns {Item} */
export const sentToHyperBeam = (data) => ({
  target: processId,
  tags: Object.entries({ Type: "Message", Action: "Eval", "Data-Protocol": "ao", Variant: "ao.N.1" }).map(([name, value]) => ({ name, value })),
  data,
});

/** What `.load-blueprint NAME` takes out of a folder of the installed package. @param {string} name */
export const blueprintText = (name) => readFile(fileURLToPath(new URL(`../../dist/blueprints/${name}.lua`, import.meta.url)), "utf8");
