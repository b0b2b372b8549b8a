#!/usr/bin/env node
import { main } from "./main.js";

process.stderr.on("error", () => {}); // nobody reads it: the exit code tells
process.exitCode = await main(process.argv.slice(2));
