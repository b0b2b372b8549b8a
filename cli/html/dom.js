/**
 * Elements with text in them. Text is only ever set as text: nothing from a report is read as markup.
 */

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name @param {Record<string, string | number | boolean | undefined>} [attributes] @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : String(value));
  made.append(...children);
  return made;
}

/** Text of the process's own, kept apart from the writing direction round it. @param {string} text */
export const foreign = (text, className = "foreign") => element("bdi", { class: className }, text);

/** A section with its heading. @param {string} id @param {string} title @param {string} lead @param {...Node} children */
export const section = (id, title, lead, ...children) =>
  element("section", { id, "aria-labelledby": `${id}-title` },
    element("h2", { id: `${id}-title` }, title), ...(lead ? [element("p", { class: "lead" }, lead)] : []), ...children);
