/**
 * The server of `membuddy serve`: a page where memories are dropped and read, with the same modules in the browser. It gives
 * files out and takes none in.
 */
import { spawn } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { createServer } from "node:http";
import { MembuddyError, messageOf } from "./errors.js";

const site = new URL("../dist/html/site/", import.meta.url);
const loopback = "127.0.0.1";
const localNames = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** @type {Record<string, string>} */
const types = { html: "text/html", js: "text/javascript", css: "text/css", wasm: "application/wasm", txt: "text/plain" };
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; worker-src 'self'; " +
  "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Every file that may be asked for, by its address. @returns {Promise<Map<string, { type: string, bytes: Uint8Array }>>} */
async function readSite() {
  const names = await readdir(site).catch((error) => {
    throw new MembuddyError(`the page is not there (${messageOf(error)}); in a checkout, \`make html\` builds it`, { cause: error });
  });
  const files = await Promise.all(names.sort().map(async (name) => /** @type {const} */ ([`/${name}`, {
    type: `${types[name.split(".").pop() ?? ""] ?? "application/octet-stream"}; charset=utf-8`, bytes: await readFile(new URL(name, site)),
  }])));
  const all = new Map(files);
  const index = all.get("/index.html");
  return index ? all.set("/", index) : all;
}

/** The host's name in an address, without its port. @param {string} [host] */
const nameOf = (host = "") => host.replace(/:\d+$/, "").toLowerCase();

/**
 * A server that offers the page; not listening yet. Other sites' pages reach it under no name of theirs.
 * @returns {Promise<import("node:http").Server>}
 */
export async function makeServer() {
  const files = await readSite();
  return createServer((request, response) => {
    const file = files.get((request.url ?? "/").split("?")[0]); // not by way of URL, which throws for "//"
    const isRead = request.method === "GET" || request.method === "HEAD";
    const status = !localNames.has(nameOf(request.headers.host)) ? 403 : !isRead ? 405 : file ? 200 : 404;
    const isFound = status === 200 && file;
    response.writeHead(status, {
      "Content-Type": isFound ? file.type.replace(/(wasm|octet-stream); .*/, "$1") : "text/plain; charset=utf-8",
      "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
      "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
      ...(status === 405 && { Allow: "GET, HEAD" }),
    });
    response.end(isFound ? file.bytes : `${status}\n`); // to a HEAD Node.js sends no body
  });
}

/** @type {Record<string, string>} why a port is not given, by Node.js's code */
const refusals = { EADDRINUSE: "something else listens on it", EACCES: "the system does not allow it" };

/** @param {import("node:http").Server} server @param {number} port 0: any free one @returns {Promise<string>} its address */
export function listen(server, port) {
  return new Promise((resolve, reject) => {
    server.once("error", (/** @type {NodeJS.ErrnoException} */ error) => reject(new MembuddyError(
      `port ${port} of ${loopback} cannot be had: ${refusals[error.code ?? ""] ?? messageOf(error)}; name another with --port, or none for any that is free`, { cause: error })));
    server.listen(port, loopback, () => resolve(`http://${loopback}:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}/`));
  });
}

/** In the user's browser, where there is one: else the address is enough. @param {string} address */
export function openBrowser(address) {
  const [program, ...before] = { darwin: ["open"], win32: ["cmd", "/c", "start", ""] }[/** @type {string} */ (process.platform)] ?? ["xdg-open"];
  spawn(program, [...before, address], { stdio: "ignore", detached: true }).on("error", () => {}).unref();
}

/** Resolves when a signal has ended the server. @param {import("node:http").Server} server */
export const ended = (server) => new Promise((resolve) => {
  const end = () => {
    server.close(resolve); // which gives nothing back in Node.js 18
    server.closeAllConnections?.();
  };
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.once(signal, end);
});
