/**
 * What a process put into its keys, for the eye: in the terminal and on the page it is written alike.
 */

/**
 * Characters that would not be seen, or would turn round what follows them: invisible and bidirectional marks, line
 * separators, tags, variation selectors, lone surrogates.
 */
const unseen = /[\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u034f\u115f\u1160\u3164\uffa0\ufe00-\ufe0f]/gu;

/** @param {string} character */
export const asNumber = (character) => `\\u{${/** @type {number} */ (character.codePointAt(0)).toString(16)}}`;

/** Each of them as its number: `\u{202e}`. @param {string} text */
export const showUnseen = (text) => text.replace(unseen, asNumber);

/** A path as it was before: a backslash of a key is two in a path, so that none stands before a `u`. @param {string} path */
export const readUnseen = (path) => path.replace(/\\(?:u\{0*([\da-f]{1,6})\}|[^])/gi, (written, digits) => {
  const code = digits === undefined ? 0 : parseInt(digits, 16);
  const character = code > 0x10ffff ? "" : String.fromCodePoint(code);
  return showUnseen(character) === character ? written : character;
});
