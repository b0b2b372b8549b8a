/**
 * The account: every byte of the memory in one part, as a bar and as a list.
 */
import { element } from "./dom.js";
import { formatBytes, formatShare } from "./words.js";

/** @typedef {{ name: string, bytes: number, before?: number, meaning?: string }} Part */

/** @param {Part[]} parts */
export function accountBar(parts) {
  const whole = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const bar = element("div", { class: "bar", "aria-hidden": "true" }, ...parts.map((part, index) => segment(part, index, whole)));
  const list = element("ul", { class: "parts" }, ...parts.map((part, index) => entry(part, index, whole)));
  const both = [bar, list];
  /** @param {Event} event @param {boolean} isOn */
  const point = ({ target }, isOn) => {
    const part = /** @type {any} */ (target)?.closest?.("[data-part]")?.dataset.part;
    for (const place of both)
      for (const node of place.children) node.classList.toggle("pointed", isOn && /** @type {any} */ (node).dataset.part === part);
    for (const place of both) place.classList.toggle("pointing", isOn && part !== undefined);
  };
  for (const place of both) {
    place.addEventListener("pointerover", (event) => point(event, true));
    place.addEventListener("pointerout", (event) => point(event, false));
  }
  return element("div", { class: "account" }, bar, list);
}

/** @param {Part} part @param {number} index @param {number} whole */
function segment({ name, bytes }, index, whole) {
  const node = element("div", { class: `part ${partClass(name)}`, "data-part": index, title: `${name}: ${formatBytes(bytes)}` });
  node.style.flexGrow = String(whole ? bytes / whole : 0);
  node.hidden = bytes === 0;
  return node;
}

/** @param {Part} part @param {number} index @param {number} whole */
function entry({ name, bytes, meaning }, index, whole) {
  return element("li", { "data-part": index, class: bytes === 0 ? "zero" : "" },
    element("span", { class: `swatch ${partClass(name)}` }), element("span", { class: "name" }, name),
    element("span", { class: "figure" }, formatBytes(bytes)), element("span", { class: "share" }, formatShare(bytes, whole)),
    element("span", { class: "meaning" }, meaning ?? ""));
}

/** @param {string} name */
const partClass = (name) => `part-${name.toLowerCase().replace(/[^a-z]+/g, "-")}`;
