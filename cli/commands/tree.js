/** `membuddy tree`: the dominator tree in the terminal. */
import { treeLines } from "../dominator_tree.js";
import { grouped } from "../errors.js";
import { wholeName } from "../graph.js";
import { formatSize } from "../print.js";
import { findObject } from "../why.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../dominator_tree.js").TreeLine} TreeLine */

const deepestIndent = 40;

/** @param {number} depth */
const indent = (depth) => (depth <= deepestIndent ? "  ".repeat(depth) : `${"  ".repeat(deepestIndent)}(${depth}) `);

/** @param {TreeLine} line @param {Context} context */
function lineTexts(line, { colours }) {
  const figures = `${formatSize(line.retained).padStart(10)}  ${`${(100 * line.share).toFixed(1)} %`.padStart(7)}  ${formatSize(line.own).padStart(10)}  `;
  const what = line.kind === "state" ? "" : colours.gray(`  ${line.text || line.kind}`);
  const texts = [`${figures}${indent(line.depth)}${colours.cyan(line.name)}${what}`];
  if (line.others)
    texts.push(colours.gray(`${formatSize(line.others.retained).padStart(10)}${" ".repeat(23)}${indent(line.depth + 1)}${grouped(line.others.count)} more`));
  return texts;
}

/** The remainders of a node stand behind all of its lines. @param {TreeLine[]} lines @param {Context} context */
function inOrder(lines, context) {
  /** @type {string[]} */ const texts = [];
  /** @type {{ depth: number, text: string }[]} */ const open = [];
  const close = (/** @type {number} */ depth) => {
    while (open.length > 0 && open[open.length - 1].depth >= depth) texts.push(/** @type {{ text: string }} */ (open.pop()).text);
  };
  for (const [index, line] of lines.entries()) {
    close(line.depth);
    const [text, others] = lineTexts(line, context);
    texts.push(text);
    const isOpen = index === 0 || (lines[index + 1]?.depth ?? 0) > line.depth; // else it is as deep as asked for
    if (others && isOpen) open.push({ depth: line.depth, text: others });
  }
  close(0);
  return texts;
}

const help = `
What stands below a line would be freed with it. A line's name is the last step of its path; where the line above is not
the step before, because others lead there as well, its whole path; of one of more than 32 steps the middle is left out,
but with --json. Any whole path can be given to go on from there.

Examples:
  membuddy tree state.dat
  membuddy tree state.dat _G/Inbox --depth 2 --top 20
  membuddy tree state.dat --depth 6 --min-size 100k
`;

/** @param {import("commander").Command} program @param {Context} context */
export function register(program, context) {
  const command = program.command("tree")
    .description("the dominator tree: below each object, what would be freed with it")
    .argument("<file>", "the memory of a process")
    .argument("[path]", "where to begin, a path as the report gives it; otherwise above all roots", context.pathOf)
    .addHelpText("after", help);
  context.addListOptions(command, {
    depth: "steps down", top: "lines below each object", minSize: "smallest line, by what it retains", json: "one JSON object",
  }, { depth: 3, top: 10 });
  context.addModuleOption(command).action(async (file, path, options) => {
    const text = await context.withHeap(file, options, (heap) => {
      const graph = heap.graph();
      const lines = treeLines(graph, path === undefined || path === wholeName ? 0 : findObject(graph, path), { ...context.listLimits(options), isWhole: options.json });
      if (options.json) return context.asJson({ type: "membuddy-tree", image: heap.image, totalSize: graph.retained[0], lines });
      const head = context.colours.gray(`${"retained".padStart(10)}  ${"share".padStart(7)}  ${"own".padStart(10)}`);
      return context.asText([head, ...inOrder(lines, context)]);
    });
    context.print(text);
  });
}
