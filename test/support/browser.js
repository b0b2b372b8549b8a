/**
 * A real browser, where this machine has one: Debian's chromium, Chrome, or CHROMIUM=path. Suites that need it skip
 * with the reason where there is none.
 */
import { accessSync, constants } from "node:fs";
import path from "node:path";
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

/** @returns {string | undefined} */
export const browserProgram = () => [process.env.CHROMIUM ?? "", ...(process.env.PATH ?? "").split(path.delimiter)
  .flatMap((folder) => names.map((name) => path.join(folder, name)))].find((file) => file !== "" && isProgram(file));

/** False where there is a browser, else why a test is skipped: the `skip` of node:test. */
export const noBrowser = browserProgram() ? false : "no Chromium on PATH (apt-get install chromium, or CHROMIUM=path)";

/** Without the sandbox only where the user is root: Chromium does not start there otherwise. */
export const startBrowser = () => chromium.launch({
  executablePath: browserProgram(), args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
