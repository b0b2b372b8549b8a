/**
 * What runs in an exported file: the report is in the page.
 */
import { renderReport } from "./report.js";

const place = /** @type {HTMLElement} */ (document.querySelector("main"));
renderReport(place, JSON.parse(/** @type {HTMLElement} */ (document.getElementById("report")).textContent ?? ""));
