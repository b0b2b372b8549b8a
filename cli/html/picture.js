/**
 * Retained bytes as blocks: an icicle (what keeps what, row under row) or a treemap (areas). One block is the view's
 * top; a block is zoomed by a click or by the keyboard. Blocks too small to be seen are not drawn, but for
 * the active one: it is what the page tells of.
 */
import { hierarchy, partition, treemap } from "d3-hierarchy";
import { select } from "d3-selection";
import { element, foreign } from "./dom.js";
import { formatBytes, formatCount, formatShare, visible } from "./words.js";

/**
 * @typedef {{ row: number, label: string, kind: string, own: number, count: number, text: string, children: Datum[] }} Datum
 * @typedef {import("d3-hierarchy").HierarchyRectangularNode<Datum>} Block
 * @typedef {{ block: Block, left: number, top: number, width: number, height: number, isHead: boolean }} Place
 */

const narrowestDrawn = 1.5;
const narrowestWithLabel = 30;
const letter = 7.2; // pixels, about: whether a figure has room beside a label
const treemapLevels = 7;
const treemapHead = 20;

/** @param {import("./tree-data.js").TreeData} tree @returns {Block} */
function readTree(tree) {
  const data = tree.labels.map((label, row) => /** @type {Datum} */ ({
    row, label: row === 0 ? "process" : visible(label), kind: tree.kindNames[tree.kinds[row]], own: tree.own[row],
    count: tree.counts[row], text: visible(tree.texts[row]), children: [],
  }));
  tree.parents.forEach((parent, row) => parent >= 0 && data[parent].children.push(data[row]));
  return partition()(hierarchy(data[0]).sum((datum) => datum.own));
}

/** Not in pixels: paper has fewer, and asks nobody to draw anew. @param {number} part @param {number} whole */
const share = (part, whole) => `${((100 * part) / whole).toFixed(4)}%`;

/** @param {Block} block */
const isRest = (block) => block.data.count > 0;

/** @param {import("./tree-data.js").TreeData} tree */
export function makePicture(tree) {
  const root = readTree(tree);
  const whole = root.value ?? 0;
  const blocks = root.descendants().sort((a, b) => a.data.row - b.data.row);
  const rooted = new Set(tree.rooted);
  let top = root, active = root, form = "icicle";
  /** @type {Set<Block> | null} */ let matches = null;
  /** @type {Map<Block, Place>} */ let places = new Map();

  const canvas = element("div", { class: "blocks", role: "tree", "aria-label": "Retained bytes, largest first", "aria-describedby": "keys" });
  const trail = element("nav", { class: "trail", "aria-label": "Zoomed to" });
  const details = element("div", { class: "details", "aria-live": "polite" });
  const forms = element("div", { class: "forms", role: "group", "aria-label": "Picture" }, ...["icicle", "treemap"].map(formButton));

  /** @param {string} name */
  function formButton(name) {
    const button = element("button", { type: "button", "aria-pressed": String(name === form) }, name[0].toUpperCase() + name.slice(1));
    button.addEventListener("click", () => {
      form = name;
      for (const other of forms.children) other.setAttribute("aria-pressed", String(other === button));
      draw();
    });
    return button;
  }

  /** The shortest path: steps from above, up to one that begins at a root. @param {Block} block */
  function pathOf(block) {
    const steps = [block.data.label];
    for (let at = block; !rooted.has(at.data.row) && at.parent?.parent; at = at.parent) steps.unshift(at.parent.data.label);
    return steps.join("/");
  }

  // --- where blocks go

  function icicle(/** @type {number} */ width, /** @type {number} */ height) {
    const least = matchMedia("(pointer: coarse)").matches ? 36 : 28;
    const rows = Math.max(1, Math.floor(height / least));
    const scale = width / (top.x1 - top.x0 || 1);
    const found = new Map();
    const add = (/** @type {Block} */ block) => {
      const left = (block.x0 - top.x0) * scale, row = block.depth - top.depth;
      const blockWidth = (block.x1 - block.x0) * scale;
      if (row >= rows || (blockWidth < narrowestDrawn && block !== top && block !== active)) return;
      found.set(block, { block, left, top: row, width: blockWidth, height: 0, isHead: true });
      block.children?.forEach(add);
    };
    add(top);
    const used = 1 + Math.max(...[...found.keys()].map(({ depth }) => depth - top.depth));
    const rowHeight = Math.min(height / used, 1.5 * least);
    for (const place of found.values()) Object.assign(place, { top: place.top * rowHeight, height: rowHeight });
    return found;
  }

  function areas(/** @type {number} */ width, /** @type {number} */ height) {
    const isCut = (/** @type {Block} */ block) => !block.children || block.depth - top.depth >= treemapLevels;
    const shown = hierarchy(top, (block) => (isCut(block) ? null : block.children)).sum((block) => (isCut(block) ? block.value ?? 0 : block.data.own));
    const inner = (/** @type {number} */ bytes) => (/** @type {any} */ node) => (node.children ? bytes : 0);
    const layout = treemap().size([width, height]).paddingInner(2).paddingTop(inner(treemapHead)).paddingLeft(inner(3)).paddingRight(inner(3)).paddingBottom(inner(3));
    const found = new Map();
    const add = (/** @type {any} */ node) => {
      const place = { block: node.data, left: node.x0, top: node.y0, width: node.x1 - node.x0, height: node.y1 - node.y0, isHead: false };
      if (node.data !== top && node.data !== active && (place.width < 3 || place.height < 3)) return;
      found.set(node.data, place);
      place.isHead = node.children && (node.data === top || (place.width >= 44 && place.height >= 44));
      if (place.isHead) node.children.forEach(add);
    };
    add(layout(/** @type {any} */ (shown)));
    return found;
  }

  // --- drawing

  function draw() {
    const { clientWidth, clientHeight } = canvas;
    if (!clientWidth) return;
    places = form === "icicle" ? icicle(clientWidth, clientHeight) : areas(clientWidth, clientHeight);
    if (!places.has(active)) active = top;
    canvas.dataset.form = form;
    select(canvas).selectAll("div.block").data([...places.values()], (/** @type {any} */ place) => place.block.data.row)
      .join((enter) => enter.append(makeBlock))
      .order()
      .each(/** @this {any} @param {Place} place */ function (place) { dress(this, place, clientWidth, clientHeight); });
    drawTrail();
    drawDetails(active);
  }

  function makeBlock() {
    return element("div", { class: "block", role: "treeitem" }, foreign("", "label"), " ", element("span", { class: "bytes" }));
  }

  /** @param {HTMLElement} node @param {Place} place @param {number} fullWidth @param {number} fullHeight */
  function dress(node, { block, left, top: above, width, height, isHead }, fullWidth, fullHeight) {
    const { style } = node;
    style.left = share(left, fullWidth);
    style.top = share(above, fullHeight);
    style.width = share(Math.max(1, width), fullWidth);
    style.height = share(height, fullHeight);
    const hasLabel = width >= narrowestWithLabel && height >= 16;
    const isMatch = matches?.has(block);
    node.className = ["block", `kind-${block.data.kind.replace(" ", "-")}`, isHead ? "head" : "leaf", `level-${(block.depth - top.depth) % 4}`, width < narrowestWithLabel ? "narrow" : "",
      matches ? (isMatch ? "match" : hasMatchBelow(block) ? "" : "faint") : ""].join(" ");
    const [label, bytes] = /** @type {any} */ (node.children);
    const figure = formatBytes(block.value ?? 0);
    const isStacked = !isHead && height >= 36;
    const hasFigure = isStacked ? width >= letter * figure.length : width >= letter * (Math.min(block.data.label.length, 24) + figure.length) + 20;
    label.textContent = hasLabel ? block.data.label : "";
    bytes.textContent = hasLabel && hasFigure ? figure : "";
    node.setAttribute("aria-label", spoken(block));
    node.setAttribute("aria-level", String(block.depth - top.depth + 1));
    const siblings = block === top ? [block] : block.parent?.children ?? [block];
    node.setAttribute("aria-posinset", String(siblings.indexOf(block) + 1));
    node.setAttribute("aria-setsize", String(siblings.length));
    if (block.children) node.setAttribute("aria-expanded", String(block.children.some((child) => places.has(child))));
    else node.removeAttribute("aria-expanded");
    node.setAttribute("aria-selected", String(block === active));
    node.tabIndex = block === active ? 0 : -1;
    node.dataset.row = String(block.data.row);
  }

  /** @type {Set<Block>} */ let aboveMatches = new Set();
  const hasMatchBelow = (/** @type {Block} */ block) => aboveMatches.has(block);

  const spoken = (/** @type {Block} */ block) =>
    `${block.data.label} ${formatBytes(block.value ?? 0)}, ${formatShare(block.value ?? 0, whole)} of all, ` +
    (isRest(block) ? `${formatCount(block.data.count)} objects` : block.data.kind);

  function drawTrail() {
    const steps = top.ancestors().reverse();
    const kept = steps.length > 8 ? [...steps.slice(0, 2), null, ...steps.slice(-5)] : steps;
    trail.replaceChildren(element("ol", {}, ...kept.map((block) => element("li", {}, block ? trailStep(block) : "…"))));
  }
  function trailStep(/** @type {Block} */ block) {
    const button = element("button", { type: "button", "aria-current": block === top ? "location" : undefined }, foreign(block.data.label));
    button.addEventListener("click", () => zoom(block));
    return button;
  }

  function drawDetails(/** @type {Block} */ block) {
    const { data } = block;
    const figures = [
      ["retains", `${formatBytes(block.value ?? 0)} (${formatShare(block.value ?? 0, whole)})`],
      isRest(block) ? ["objects", formatCount(data.count)] : ["own", formatBytes(data.own)],
      ["kind", isRest(block) ? "entries too small for a block of their own" : data.kind],
      ...(data.text ? [["is", data.text]] : []),
    ];
    details.replaceChildren(element("div", { class: "path" }, foreign(visible(pathOf(block)))),
      element("dl", {}, ...figures.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, foreign(value))))));
  }

  // --- moving

  /** @param {Block} block @param {Block} [then] the block to be active */
  function zoom(block, then = block) {
    const hadFocus = canvas.contains(document.activeElement);
    top = block.children || block === root ? block : block.parent ?? root;
    active = then;
    canvas.classList.add("moving");
    draw();
    if (hadFocus) focusActive();
  }
  function activate(/** @type {Block | null | undefined} */ block) {
    if (!block || !places.has(block)) return;
    active = block;
    for (const node of /** @type {any} */ (canvas.children)) {
      const isActive = node.dataset.row === String(block.data.row);
      node.tabIndex = isActive ? 0 : -1;
      node.setAttribute("aria-selected", String(isActive));
    }
    drawDetails(block);
  }
  const nodeOf = (/** @type {Block} */ block) => /** @type {HTMLElement | null} */ (canvas.querySelector(`[data-row="${block.data.row}"]`));
  const focusActive = () => nodeOf(active)?.focus({ preventScroll: true });
  const blockOf = (/** @type {EventTarget | null} */ target) => {
    const node = /** @type {HTMLElement | null} */ (/** @type {any} */ (target)?.closest?.(".block"));
    return node ? blocks[Number(node.dataset.row)] : undefined;
  };
  /** The next drawn sibling, or the next drawn block of that level. */
  function beside(/** @type {Block} */ block, /** @type {number} */ step) {
    const level = [...places.keys()].filter(({ depth }) => depth === block.depth);
    return level[level.indexOf(block) + step];
  }
  function out() {
    if (top !== root) zoom(top.parent ?? root, top);
  }

  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowDown: () => activate(active.children?.find((child) => places.has(child))),
    ArrowUp: () => (active === top ? out() : activate(active.parent)),
    ArrowRight: () => activate(beside(active, 1)),
    ArrowLeft: () => activate(beside(active, -1)),
    Enter: () => (active === top ? out() : zoom(active)),
    " ": () => keys.Enter(),
    Escape: out,
    Backspace: out,
    Home: () => zoom(root),
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
    focusActive();
  });
  canvas.addEventListener("click", (event) => {
    const block = blockOf(event.target);
    if (!block) return;
    if (block === top) out();
    else zoom(block);
    focusActive();
  });
  /** @type {Block | undefined} */ let pointed;
  canvas.addEventListener("pointermove", (event) => { // not over: blocks move under a resting mouse, too
    const block = event.pointerType === "mouse" ? blockOf(event.target) : undefined;
    if (block && block !== pointed) drawDetails(block);
    pointed = block;
  });
  canvas.addEventListener("pointerleave", () => {
    pointed = undefined;
    drawDetails(active);
  });
  canvas.addEventListener("focusin", (event) => activate(blockOf(event.target)));
  canvas.addEventListener("transitionend", () => canvas.classList.remove("moving"));
  new ResizeObserver(draw).observe(canvas);

  // --- searching

  let query = "", nextMatch = 0;
  /** @type {Block[]} */ let found = [];
  /** Blocks whose label (or path, if the query has a slash) contains the query: the topmost of them count. */
  function search(/** @type {string} */ text) {
    query = text.trim().toLowerCase();
    nextMatch = 0;
    found = query ? blocks.filter(isFound) : [];
    matches = query ? new Set(found) : null;
    aboveMatches = new Set(found.flatMap((block) => block.ancestors()));
    draw();
    const topmost = found.filter((block) => !block.ancestors().slice(1).some((above) => matches?.has(above)));
    return { count: found.length, bytes: topmost.reduce((sum, block) => sum + (block.value ?? 0), 0), whole };
  }
  const isFound = (/** @type {Block} */ block) =>
    (query.includes("/") ? pathOf(block) : `${block.data.label} ${block.data.text}`).toLowerCase().includes(query);
  /** Shows one match after the other. */
  function showNext(step = 1) {
    if (!found.length) return;
    const block = found[(nextMatch + (step < 0 ? found.length - 2 : 0) + found.length) % found.length];
    nextMatch = (nextMatch + step + found.length) % found.length;
    zoom(block.parent ?? root, block);
    nodeOf(block)?.scrollIntoView({ block: "nearest" });
  }

  return {
    node: element("div", { class: "picture" }, element("div", { class: "picture-bar" }, trail, forms), canvas, details),
    search, showNext, draw,
    /** Zooms to a row of the tree. @param {number} row */
    show(row) {
      const block = blocks[row];
      zoom(block.children ? block : block.parent ?? root, block);
      focusActive();
    },
  };
}
