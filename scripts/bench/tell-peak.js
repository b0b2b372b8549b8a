/**
 * Preloaded into a program that is measured: at its end it tells, on stream 3, the most memory that it had resident. That
 * is its own high-water mark (`VmHWM`), which begins anew with the program; `ru_maxrss` begins with the size that the
 * program which started it had at that moment. Where there is no /proc, only the latter is known.
 */
import { existsSync, readFileSync, writeSync } from "node:fs";

const status = "/proc/self/status";

function peakBytes() {
  if (!existsSync(status)) return process.resourceUsage().maxRSS * 1024;
  const [, kilobytes] = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(status, "latin1")) ?? [];
  return Number(kilobytes) * 1024;
}

process.on("exit", () => writeSync(3, String(peakBytes())));
