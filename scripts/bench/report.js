/** Rows with a verdict, and tables in Markdown. */

/**
 * @typedef {object} Row
 * @property {string} figure
 * @property {string} measured
 * @property {string} atLeast
 * @property {string} aim
 * @property {string} verdict
 *
 * @typedef {object} Claim
 * @property {string} figure
 * @property {number} value
 * @property {(value: number) => string} show
 * @property {number} [atLeast] what is required; absent: told for information
 * @property {number} [aim]
 * @property {string} [aimText] an aim that is no number
 * @property {boolean} [moreIsBetter]
 * @property {string} [detail]
 * @property {string} [verdict] for a claim that is more than one comparison
 *
 * @typedef {{ title: string, head: string[], lines: string[][] }} Table
 */

/** @param {number} value */
export const ratio = (value) => `${value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(2)} x`;

/** @param {number} bytes */
export const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;

/** @param {Claim} claim */
function judge({ value, atLeast, aim, moreIsBetter }) {
  if (atLeast === undefined) return "";
  const meets = (/** @type {number} */ limit) => (moreIsBetter ? value >= limit : value <= limit);
  if (!meets(atLeast)) return "**missed**";
  return aim !== undefined && meets(aim) ? "ok, aim met" : "ok";
}

/** @param {Claim} claim @returns {Row} */
export function row(claim) {
  const { figure, value, show, atLeast, aim, detail } = claim;
  const limit = (/** @type {number | undefined} */ number) => (number === undefined ? "" : show(number));
  return {
    figure,
    measured: show(value) + (detail ? ` (${detail})` : ""),
    atLeast: limit(atLeast),
    aim: claim.aimText ?? limit(aim),
    verdict: claim.verdict ?? judge(claim),
  };
}

/** @param {string} figure @param {string} reason @returns {Row} */
export const failedRow = (figure, reason) => ({
  figure,
  measured: reason.trim().split("\n")[0],
  atLeast: "",
  aim: "",
  verdict: "**not measured**",
});

/** @param {string[]} head @param {string[][]} lines */
function markdownTable(head, lines) {
  const cells = [head, ...lines].map((line) => line.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((line) => line[column].length)));
  const text = cells.map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`);
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [text[0], rule, ...text.slice(1)].join("\n");
}

/** @param {Row[]} rows */
function mainTable(rows) {
  const lines = rows.map(({ figure, measured, atLeast, aim, verdict }) => [figure, measured, atLeast, aim, verdict]);
  return markdownTable(["figure", "measured", "at least", "aim", ""], lines);
}

/**
 * @param {{ command: string, machine: string[], rows: Row[], tables: Table[], notes: string[] }} results
 */
export function markdown({ command, machine, rows, tables, notes }) {
  const parts = [
    "# What MemBuddy costs",
    `Written by \`${command}\`. Times are medians.`,
    machine.map((line) => `- ${line}`).join("\n"),
    mainTable(rows),
    ...tables.flatMap(({ title, head, lines }) => [`## ${title}`, markdownTable(head, lines)]),
    "## How it is measured",
    notes.map((note) => `- ${note}`).join("\n"),
  ];
  return `${parts.join("\n\n")}\n`;
}
