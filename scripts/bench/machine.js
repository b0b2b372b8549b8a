/** Where the figures come from. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import os from "node:os";
import { basename } from "node:path";
import { image } from "./specimen.js";

function system() {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"));
    if (name) return `${name[1]}, Linux ${os.release()}`;
  } catch {
    // not a Linux that tells
  }
  return `${os.type()} ${os.release()}`;
}

function imageLine() {
  const wasm = readFileSync(image);
  return `${basename(image)}: ${wasm.length} bytes, sha256 ${createHash("sha256").update(wasm).digest("hex").slice(0, 16)}`;
}

/** Called before the first job: the load is that of others. */
export function describeMachine() {
  const processors = os.cpus();
  return [
    `${processors[0]?.model.trim() ?? "unknown processor"}, ${processors.length} cores, ${(os.totalmem() / 2 ** 30).toFixed(0)} GB`,
    `${system()}, Node.js ${process.versions.node} (V8 ${process.versions.v8})`,
    `load average before the run: ${os.loadavg()[0].toFixed(2)}`,
    imageLine(),
  ];
}
