/**
 * Puts a report into the page that `build.js` made: text that no parser of HTML can take for markup.
 * Runs in Node and in a page.
 */

const marks = { title: "@title@", data: "@data@" };

/** JSON without a character that means something to HTML or ends a line of JavaScript. @param {unknown} data */
export const safeJson = (data) =>
  JSON.stringify(data).replace(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** @param {string} text */
export const safeText = (text) =>
  text.replace(/[^\t\n\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]|[<>&"']/g, (character) =>
    (/[<>&"']/.test(character) ? `&#${character.charCodeAt(0)};` : "\ufffd"));

/** @param {string} page @param {import("./report-data.js").ReportData} data */
export function embed(page, data) {
  const title = page.indexOf(marks.title), at = page.indexOf(marks.data, title);
  if (title < 0 || at < 0) throw new Error("The page of reports is damaged; build it again with: make html");
  return page.slice(0, title) + safeText(`${data.title} \u00b7 MemBuddy`) + page.slice(title + marks.title.length, at) +
    safeJson(data) + page.slice(at + marks.data.length);
}
