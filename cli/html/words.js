/**
 * How the page writes figures and what a process put into its keys.
 */
import { sizeParts } from "../size.js";
import { asNumber, showUnseen } from "../unseen.js";

/** As `membuddy.format_size` does, and a change with a sign: "0 bytes", "1.23 KB". @param {number} bytes */
export function formatBytes(bytes) {
  const { number, unit } = sizeParts(Math.abs(bytes));
  return `${bytes < 0 ? "\u2212" : ""}${number} ${unit}`;
}

/** @param {number} bytes with a sign in front, as a change has */
export const formatChange = (bytes) => (bytes > 0 ? `+${formatBytes(bytes)}` : formatBytes(bytes));

/** Thousands apart, the same in every locale. @param {number} count */
export const formatCount = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** @param {number} part @param {number} whole */
export function formatShare(part, whole) {
  if (!(whole > 0) || part === 0) return "0 %";
  const percent = (100 * part) / whole;
  if (Math.abs(percent) < 0.01) return percent < 0 ? "> \u22120.01 %" : "< 0.01 %";
  return `${percent.toFixed(Math.abs(percent) < 1 ? 2 : 1).replace("-", "\u2212")} %`;
}

/** Without controls, and what else would not be seen. @param {string} text @param {number} [longest] */
export function visible(text, longest = 1000) {
  const shown = showUnseen(text).replace(/\p{Cc}/gu, asNumber);
  return shown.length > longest ? `${shown.slice(0, longest).replace(/[\ud800-\udbff]$/, "")}…` : shown;
}
