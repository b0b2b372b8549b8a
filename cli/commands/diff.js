/** `membuddy diff`: what grew, appeared and went between two memories, by kind and by path. */
import { diff, summarize, tellingPaths } from "../diff.js";
import { counted, grouped, shownName } from "../errors.js";
import { formatSize } from "../print.js";
import { columns } from "../report.js";

/**
 * @typedef {import("../context.js").Context} Context
 * @typedef {import("../diff.js").Diff} Diff
 */

/** @param {number} bytes */
const signedSize = (bytes) => (bytes === 0 ? "" : `${bytes > 0 ? "+" : "-"}${formatSize(Math.abs(bytes))}`);
/** @param {number} count */
const signedCount = (count) => (count === 0 ? "" : `${count > 0 ? "+" : "-"}${grouped(Math.abs(count))}`);

/** @param {Diff} found */
function totalRows({ a, b, change }) {
  const sizes = /** @type {const} */ ([["memory", "linear memory"], ["luaSize", "Lua"], ["live", "of it, live"], ["garbage", "of it, garbage"]]);
  return [
    ...sizes.map(([name, title]) => [title, formatSize(a[name]), formatSize(b[name]), signedSize(change[name])]),
    ["live objects", grouped(a.objects), grouped(b.objects), signedCount(change.objects)],
  ];
}

/** @param {Diff["kinds"]} kinds */
function kindRows(kinds) {
  return Object.entries(kinds)
    .filter(([, { count, bytes }]) => count !== 0 || bytes !== 0)
    .sort(([, x], [, y]) => Math.abs(y.bytes) - Math.abs(x.bytes))
    .map(([name, { count, bytes }]) => [signedSize(bytes), signedCount(count), name.replace("_", " ")]);
}

/** @param {Diff["kinds"]} kinds @param {Context} context */
function kindLines(kinds, { colours }) {
  const rows = kindRows(kinds);
  return rows.length === 0 ? [] : ["", colours.bold("Kinds of live objects"), ...columns([["bytes", "count", "kind"], ...rows], ["right", "right", "left"])];
}

/** @param {Diff["paths"]} paths @param {{ top: number, minSize: number }} options @param {Context} context */
function pathLines(paths, { top, minSize }, { colours }) {
  if (paths.length === 0) return [];
  const telling = tellingPaths(paths).filter(({ total }) => Math.abs(total) >= minSize);
  const shown = telling.slice(0, top);
  const colourOf = { grew: colours.red, appeared: colours.red, shrank: colours.green, went: colours.green, changed: colours.gray };
  const [head, ...lines] = columns([["total", "own", "objects", "", "path"], ...shown.map(({ path, change, total, own, objects }) =>
    [signedSize(total), signedSize(own), signedCount(objects), change, path])], ["right", "right", "right", "left", "left"]);
  return [
    "", colours.bold("By path") + colours.gray(" (total: with everything below; numbers in paths read [n])"),
    colours.gray(head), ...lines.map((line, index) => colourOf[shown[index].change](line)),
    ...(telling.length > shown.length ? [colours.gray(`... and ${counted(telling.length - shown.length, "other")}`)] : []),
    ...(telling.length === 0 ? [colours.gray(counted(paths.length, "smaller change"))] : []),
  ];
}

/** @param {Diff} found @param {{ top: number, minSize: number }} options @param {Context} context */
function lines(found, options, context) {
  const { colours } = context;
  const totals = columns([["", "before", "after", "change"], ...totalRows(found)], ["left", "right", "right", "right"]);
  const changes = [...kindLines(found.kinds, context), ...pathLines(found.paths, options, context)];
  const isSame = changes.length === 0 && Object.values(found.change).every((change) => change === 0);
  return [`${colours.bold(shownName(found.a.name))} -> ${colours.bold(shownName(found.b.name))}`, "", ...totals, ...changes, ...(isSame ? ["", "nothing changed"] : [])];
}

const help = `
Objects are compared by their paths, never by address: what moved in memory is the same, what stands at an old address
is not. Entries that shift in a list are one line, as Inbox/[n].

Examples:
  membuddy diff before.dat after.dat
  membuddy diff before.dat after.dat --top 50 --min-size 4k
  membuddy diff before.dat after.dat --json > change.json
`;

/** @param {import("commander").Command} program @param {Context} context */
export function register(program, context) {
  const command = program.command("diff")
    .description("what grew, appeared and went from one memory to another, by kind and by path")
    .argument("<a>", "the memory before")
    .argument("<b>", "the memory after, of this process or of another")
    .addHelpText("after", help);
  context.addListOptions(command, {
    depth: "steps of a path that are told apart", top: "lines that are printed", minSize: "smallest change", json: "one JSON object, with all changes",
  }, { depth: 8, top: 20 });
  context.addModuleOption(command, "both run");
  command.action(async (a, b, options) => {
    const { depth, ...limits } = context.listLimits(options), { module } = options;
    const before = await context.withHeap(a, { module }, (heap) => summarize(heap, { depth }));
    const after = await context.withHeap(b, { module }, (heap) => summarize(heap, { depth }));
    const found = diff(before, after);
    context.print(options.json ? context.asJson(found) : context.asText(lines(found, limits, context)));
  });
}
