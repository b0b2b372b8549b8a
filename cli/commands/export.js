/** `membuddy export`: a memory in the format of another tool. */
import { Option } from "commander";
import { summarize } from "../diff.js";
import { UsageError } from "../errors.js";
import { exportHeap, formatNames, formatOfPath, formats } from "../export/index.js";

/**
 * @typedef {import("../context.js").Context} Context
 * @typedef {{ format?: string, output: string, depth?: number | "inf", minSize?: number, module?: string, with?: string }} ExportArguments
 */

const examples = `
Formats, and who reads them; without --format the name of the output tells:
${formatNames.map((name) => `  ${name.padEnd(13)} ${formats[name].about} (${formats[name].endings.join(", ")})`).join("\n")}

Examples:
  membuddy export state.dat -o state.heapsnapshot             then load it in Chrome DevTools, under Memory
  membuddy export state.dat -o state.pb.gz                    then: go tool pprof -http : state.pb.gz
  membuddy export state.dat --format folded -o - | flamegraph.pl --countname bytes > state.svg
  membuddy export state.dat -o state.json --min-size 0 --depth all
  membuddy export state.dat --with yesterday.dat -o state.html    a page that also tells what changed
`;

/** @param {ExportArguments} options */
function chosenFormat({ format, output }) {
  const chosen = format ?? formatOfPath(output);
  if (chosen === undefined)
    throw new UsageError(`${output === "-" ? "the standard output has no name that says a format" : `the name ${output} says no format`}; give --format, one of ${formatNames.join(", ")}`);
  return chosen;
}

/** @param {string} input @param {ExportArguments} options @param {Context} context */
async function run(input, options, context) {
  const format = chosenFormat(options);
  if (options.with !== undefined && format !== "html") throw new UsageError(`--with is of the format html; ${format} is of one memory`);
  if (format === "heapsnapshot" && (options.minSize ?? options.depth) !== undefined)
    throw new UsageError("a heapsnapshot has every object: --min-size and --depth are of the other formats");
  context.checkOutput(options.output, [input, options.with, options.module].filter((name) => name !== undefined));
  const older = options.with === undefined ? undefined : await context.withHeap(options.with, { module: options.module }, (heap) => summarize(heap));
  const limits = { minSize: options.minSize, depth: options.depth && context.asNumber(options.depth), ...(older && { older }) };
  await context.withHeap(input, { module: options.module }, (heap) =>
    context.writeWhole(options.output, (file) => exportHeap(heap, format, file, limits)));
}

/** @param {import("commander").Command} program @param {Context} context */
export function register(program, context) {
  const command = program.command("export")
    .description("write what a memory holds in the format of another tool")
    .argument("<file>", "the memory of a process, raw or gzip; - for the standard input")
    .requiredOption("-o, --output <file>", "where to; - for the standard output")
    .addOption(new Option("--format <name>", "the format").choices(formatNames))
    .option("--with <older>", "an earlier memory, which the page tells the changes from (html)")
    .addHelpText("after", examples)
    .action((file, options) => run(file, options, context));
  context.addOptions(command, {
    minSize: { about: "what retains less is summed up", usual: "a ten thousandth of all, in html a twenty thousandth" },
    depth: { about: "what is deeper in the dominator tree is summed up", usual: "64, in html 250" },
  });
  context.addModuleOption(command);
}
