/**
 * Puts a report into the page that `build.js` made: text that no parser of HTML can take for markup.
 * Runs in Node and in a page.
 */

const marks = { title: "@title@", data: "@data@" };

/** A character as JSON writes it in ASCII. @param {string} character */
const escaped = (character) => [...Array(character.length).keys()].map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`).join("");

/** JSON without a character that means something to HTML, ends a line or turns the direction of writing. @param {unknown} data */
const safeJson = (data) => JSON.stringify(data).replace(/[<>&\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);

/** @param {string} text */
export const safeText = (text) =>
  text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "\ufffd");

/** @param {string} page @param {import("./report-data.js").ReportData} data */
export function embed(page, data) {
  const title = page.indexOf(marks.title), at = page.indexOf(marks.data, title);
  if (title < 0 || at < 0) throw new Error("The page of reports is damaged; build it again with: make html");
  return page.slice(0, title) + safeText(`${data.title} \u00b7 MemBuddy`) + page.slice(title + marks.title.length, at) +
    safeJson(data) + page.slice(at + marks.data.length);
}
