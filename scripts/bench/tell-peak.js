/** Preloaded into a program that is measured: at its end it tells, on stream 3, the most memory that it had resident. */
import { writeSync } from "node:fs";

process.on("exit", () => writeSync(3, String(process.resourceUsage().maxRSS * 1024)));
