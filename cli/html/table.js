/**
 * A table whose columns sort, of which the first rows are shown until more are asked for.
 */
import { element } from "./dom.js";

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: Row) => number | string} value  what is sorted by
 * @property {(row: Row) => Node | string} [cell]  what is shown; the value where absent
 * @property {boolean} [isFigure]  figures stand right, and sort largest first
 * @property {string} [className]
 */

const rowsAtFirst = 20;

/**
 * @template Row
 * @param {{ caption: string, rows: Row[], columns: Column<Row>[], sortedBy: number, isLong?: boolean, nothing?: string }} options
 *   `isLong`: the first column is, and gets a line of its own on a phone; `nothing`: what is said where there are no rows at all
 */
export function sortedTable({ caption, rows, columns, sortedBy, isLong = false, nothing = "There is nothing." }) {
  let by = sortedBy, isDescending = Boolean(columns[sortedBy].isFigure), isWhole = false;
  /** @type {(row: Row) => boolean} */
  let isWanted = () => true;
  const body = element("tbody", { role: "rowgroup" });
  const count = element("button", { type: "button", class: "more" });
  const cut = element("p", { class: "cut" }); // on paper, in the place of the button
  const headings = columns.map((column, index) => heading(column, () => sortBy(index)));

  /** @param {number} index */
  function sortBy(index) {
    isDescending = by === index ? !isDescending : Boolean(columns[index].isFigure);
    by = index;
    show();
  }
  function show() {
    const wanted = rows.filter(isWanted).sort(order(columns[by].value, isDescending));
    const shown = isWhole ? wanted : wanted.slice(0, rowsAtFirst);
    body.replaceChildren(...shown.map((row) => element("tr", { role: "row" }, ...columns.map((column, index) => cell(column, row, index)))));
    headings.forEach(({ head }, index) =>
      head.setAttribute("aria-sort", index !== by ? "none" : isDescending ? "descending" : "ascending"));
    count.hidden = wanted.length <= rowsAtFirst;
    cut.textContent = shown.length < wanted.length ? `The first ${shown.length} of ${wanted.length} rows` : "";
    count.textContent = isWhole ? `Show the first ${rowsAtFirst}` : `Show all ${wanted.length}`;
    if (!shown.length) body.append(element("tr", { role: "row" }, element("td", { colspan: columns.length, role: "cell", class: "none" }, rows.length ? "Nothing matches." : nothing)));
  }
  count.addEventListener("click", () => {
    isWhole = !isWhole;
    show();
  });
  show();
  const table = element("table", { role: "table" }, element("caption", { class: "unseen" }, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...headings.map(({ head }) => head))), body);
  return {
    node: element("div", { class: isLong ? "table long" : "table" }, table, count, cut),
    /** @param {(row: Row) => boolean} test */
    filter(test) {
      isWanted = test;
      show();
    },
  };
}

/** @template Row @param {Column<Row>} column */
const classOf = ({ isFigure, className }) => [isFigure ? "figure" : "", className ?? ""].join(" ").trim() || undefined;

/** @template Row @param {Column<Row>} column @param {() => void} sort */
function heading(column, sort) {
  const button = element("button", { type: "button" }, column.title);
  button.addEventListener("click", sort);
  return { head: element("th", { scope: "col", role: "columnheader", class: classOf(column) }, button) };
}

/** @template Row @param {Column<Row>} column @param {Row} row @param {number} index */
function cell(column, row, index) {
  const content = column.cell ? column.cell(row) : String(column.value(row));
  const className = classOf(column);
  return index === 0 ? element("th", { scope: "row", role: "rowheader", class: className }, content) : element("td", { role: "cell", class: className }, content);
}

/** Stable, and by code units: the same in every locale. @template Row @param {(row: Row) => number | string} value @param {boolean} isDescending */
function order(value, isDescending) {
  const sign = isDescending ? -1 : 1;
  return (/** @type {Row} */ a, /** @type {Row} */ b) => {
    const left = value(a), right = value(b);
    return left < right ? -sign : left > right ? sign : 0;
  };
}
