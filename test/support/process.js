/**
 * A process as a compute unit runs it: an image in the real `@permaweb/ao-loader`, spawned, sent messages, its memory
 * carried from one message to the next.
 *
 * wasm64 images need `node --experimental-wasm-memory64` on Node 20 and 22.
 */
import { readFile } from "node:fs/promises";
import AoLoader from "@permaweb/ao-loader";
import { memoryLimits } from "./wasm.js";

/**
 * @typedef {{ name: string, value: string }} Tag
 * @typedef {Record<string, any>} Message
 * @typedef {object} Result
 * @property {ArrayBuffer | Uint8Array} Memory
 * @property {any} Output
 * @property {any[]} Messages
 * @property {any[]} Spawns
 * @property {any[]} Assignments
 * @property {any} [Error]
 * @property {number} [GasUsed] in the formats that meter
 *
 * @typedef {object} SpawnOptions
 * @property {string} [format] the loader's name of the module format; told from the image where absent
 * @property {Record<string, any>} [loader] more options for the loader, such as `WeaveDrive`
 * @property {Tag[]} [tags] tags of the process
 * @property {string} [data] data of the spawn message, for `On-Boot = Data`
 * @property {boolean} [carryMemory] false: leave the memory in the instance, as a test of long loops wants it
 */

export const formats = {
  wasm64: "wasm64-unknown-emscripten-draft_2024_02_15",
  wasm32: "wasm32-unknown-emscripten4",
};

export const owner = "OWNER-ADDRESS-43-CHARACTERS-LONG-0123456789";
export const processId = "PROCESS-ADDRESS-43-CHARACTERS-LONG-01234567";
const moduleId = "MODULE-ADDRESS-43-CHARACTERS-LONG-012345678";

/** An address of 43 characters, as Arweave's are. @param {string} what @param {number} number */
export const address = (what, number) => `${what}-${number}`.padEnd(43, "x");

/** @param {Record<string, string>} tags @returns {Tag[]} */
export const tagged = (tags) => Object.entries(tags).map(([name, value]) => ({ name, value }));

/**
 * The format under which the loader takes an image.
 * @param {Uint8Array} wasm
 * @returns {string}
 */
const formatOf = (wasm) => (memoryLimits(wasm).is64 ? formats.wasm64 : formats.wasm32);

/** One process. Messages are handled one after the other, each on the memory that the last one left. */
export class Process {
  /** @type {Uint8Array | null} */
  memory = null;
  #handle;
  #environment;
  #carryMemory;
  #messages = 0;

  /**
   * @param {Function} handle
   * @param {object} environment
   * @param {boolean} carryMemory
   */
  constructor(handle, environment, carryMemory) {
    this.#handle = handle;
    this.#environment = environment;
    this.#carryMemory = carryMemory;
  }

  /** Linear memory in bytes, after the last message. */
  get memoryBytes() {
    return this.memory === null ? 0 : this.memory.byteLength;
  }

  /**
   * Sends a message; its fields override the defaults. The result's Memory becomes the process's.
   * @param {Message} [fields]
   * @returns {Promise<Result>}
   */
  async send(fields = {}) {
    this.#messages += 1;
    const message = {
      Target: processId,
      From: owner,
      Owner: owner,
      Id: `MESSAGE-${this.#messages}`,
      Module: moduleId,
      "Block-Height": "1000",
      Timestamp: 1700000000000 + this.#messages,
      Nonce: String(this.#messages),
      Tags: [],
      ...fields,
    };
    const log = console.log;
    const random = Math.random;
    try {
      const result = await this.#handle(this.#carryMemory ? this.memory : null, message, this.#environment);
      this.memory = result.Memory;
      return result;
    } finally {
      // the loader puts its own in place, and leaves them there when a message fails
      console.log = log;
      Math.random = random;
    }
  }

  /**
   * Evaluates Lua as the owner would, and gives what was printed and returned as text. An error in Lua is thrown.
   * @param {string} code
   * @returns {Promise<string>}
   */
  async eval(code) {
    const result = await this.evalResult(code);
    if (result.Error) throw new Error(typeof result.Error === "string" ? result.Error : JSON.stringify(result.Error));
    const data = result.Output?.data;
    return typeof data === "string" ? data : String(data?.output ?? "");
  }

  /**
   * The same, with the whole result.
   * @param {string} code
   * @returns {Promise<Result>}
   */
  evalResult(code) {
    return this.send({ Tags: [{ name: "Action", value: "Eval" }], Data: code });
  }
}

/**
 * Spawns a process from an image, given as a file or as bytes.
 * @param {string | URL | Uint8Array} image
 * @param {SpawnOptions} [options]
 * @returns {Promise<Process & { spawnResult: Result }>}
 */
export async function spawnProcess(image, options = {}) {
  const wasm = image instanceof Uint8Array ? image : await readFile(image);
  const tags = [{ name: "Name", value: "specimen" }, { name: "Type", value: "Process" }, ...(options.tags ?? [])];
  const environment = {
    Process: { Id: processId, Owner: owner, Tags: tags },
    Module: { Id: moduleId, Tags: [] },
  };
  const format = options.format ?? formatOf(wasm);
  // @ts-ignore the loader's types know neither this format nor the extensions
  const handle = await AoLoader(wasm, { format, computeLimit: Number.MAX_SAFE_INTEGER, ...options.loader });
  const process = new Process(handle, environment, options.carryMemory !== false);
  const spawnResult = await process.send({ Id: processId, Tags: tags, Data: options.data ?? "" });
  return Object.assign(process, { spawnResult });
}
