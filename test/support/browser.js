/**
 * A real browser: CHROMIUM=path, the machine's Chromium or Chrome, else the one that scripts/test-tools.sh fetches. Suites
 * that need it skip with the reason where there is none.
 */
import { accessSync, constants } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** @param {string} file */
function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const fetched = fileURLToPath(new URL("../../build/test-tools/browser/chromium", import.meta.url));
const program = [process.env.CHROMIUM ?? "", ...(process.env.PATH ?? "").split(path.delimiter)
  .flatMap((folder) => names.map((name) => path.join(folder, name))), fetched].find((file) => file !== "" && isProgram(file));

/** False where there is a browser, else why a test is skipped: the `skip` of node:test. */
export const noBrowser = program ? false : "no Chromium, neither from scripts/test-tools.sh nor on PATH nor as CHROMIUM=path";

/** Whether the browser brings DevTools: the fetched one is a headless shell, which has none. */
export const hasDevtools = program !== undefined && program !== fetched;

/** Without the sandbox where the user is root, and where the browser brings none: Chromium does not start there otherwise. */
export const startBrowser = () => chromium.launch({
  executablePath: program, args: process.getuid?.() === 0 || program === fetched ? ["--no-sandbox"] : [],
});
