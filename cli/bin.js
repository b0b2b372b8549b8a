#!/usr/bin/env node
import { main } from "./main.js";

// Whoever reads has had enough (`membuddy FILE | head`).
process.stdout.on("error", (error) => {
  if (/** @type {NodeJS.ErrnoException} */ (error).code === "EPIPE") process.exit(0);
  throw error;
});
process.exitCode = await main(process.argv.slice(2));
