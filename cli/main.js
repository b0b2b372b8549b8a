/**
 * The command `membuddy`. Its subcommands are the files of cli/commands; each exports `register(program, context)`.
 */
import { readdirSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { context } from "./context.js";
import { MembuddyError, UsageError, shownLines, shownName } from "./errors.js";
import { bookLines, resultLines } from "./report.js";
import { version } from "./version.js";

/** @typedef {import("./context.js").CommandOptions} CommandOptions */

const exitCodes = { done: 0, failed: 1, usage: 2 };

const welcome = `MemBuddy ${version} tells where every byte of an aos process went, from its memory alone.

Three commands to try it:

  membuddy sample -o sample.dat    makes the memory of a small process
  membuddy sample.dat              what fills it
  membuddy tree sample.dat         what holds what

A memory is a state-PID.dat of a compute unit, a checkpoint (gzip), a result's Memory written to a file.
membuddy --help has the rest.
`;

const examples = `
Examples:
  membuddy state.dat                            the largest 20 lines
  membuddy checkpoint.gz --top 50 --min-size 4k gzip is recognised by content
  membuddy state.dat --target _G/Inbox          only what the Inbox holds
  membuddy state.dat --json > report.json       one object: Lua's results, account, image
  curl -s URL/state/PID | membuddy -            from a pipe

Exit codes:
  0  done
  1  it could not be done: no memory, no such path, another module, a result that cannot be written, a port that
     is taken; the last line says why
  2  the command line was not understood
`;

const folder = new URL("./commands/", import.meta.url);
const commandNames = readdirSync(folder).filter((name) => name.endsWith(".js")).map((name) => name.slice(0, -".js".length)).sort();
const listed = [...commandNames, "help"].join(", ");

/** @param {string} file @param {CommandOptions} options */
async function report(file, options) {
  const wanted = { ...context.reportOptions(options), retained: true };
  const text = await context.withHeap(file, options, (heap) => {
    const results = heap.profile(wanted);
    if (options.json) return context.asJson({ ...results, account: heap.account(), image: heap.image, ...(heap.otherHeaps.length > 0 && { otherHeaps: heap.otherHeaps }) });
    return context.asText([...bookLines(heap, context), ...resultLines(results, wanted, context)]);
  }, () => {}); // the report has a line for it, and a field
  context.print(text);
}

/** @param {string | undefined} file @param {CommandOptions} options @param {Command} program */
async function run(file, options, program) {
  if (program.args.length > 1)
    program.error(`error: '${file}' is no command, and a report is of one memory; commands: ${listed}`);
  if (file !== undefined) await report(file, options);
  else if (Object.keys(options).length > 0) program.error("error: no memory is named; accepted: a file, or - for the standard input");
  else context.print(welcome);
}

/** What stands before a command would be an option of a report, and say nothing. @param {Command} program @param {Command} command */
function refuseOptionsBefore(program, command) {
  const [before] = program.options.filter((option) => program.getOptionValue(option.attributeName()) !== undefined);
  if (before) program.error(`error: ${before.long} stands before the command; the options of ${command.name()} stand behind it`);
}

/** Commander's own gives all there is for what is no command, and does not say so. @param {Command} program @param {string | undefined} name */
function help(program, name) {
  const command = name === undefined ? program : program.commands.find((one) => one.name() === name);
  if (!command) return program.error(`error: '${name}' is no command; commands: ${listed}`);
  command.help();
}

/** Most command lines are a report's, which begins sooner without the commands. @param {string[]} commandLine */
const needsCommands = (commandLine) => commandLine.some((word) => word === "help" || word === "--help" || /^-[^-]*h/.test(word) || commandNames.includes(word));

/** @param {string[]} commandLine */
async function makeProgram(commandLine) {
  const program = new Command("membuddy")
    .description("Where every byte of an aos process went: the account of its memory, its kinds of objects, and the largest by path.")
    .version(version, "-V, --version")
    .argument("[file]", "the memory of a process, raw or gzip; - for the standard input")
    .addHelpText("after", examples)
    .showHelpAfterError("(membuddy --help tells more)")
    .enablePositionalOptions()
    .helpCommand(false)
    .allowExcessArguments()
    .exitOverride()
    .configureOutput({ writeOut: context.print, writeErr: (text) => void process.stderr.write(shownLines(text)) })
    .hook("preSubcommand", refuseOptionsBefore)
    .action(run);
  context.addModuleOption(context.addReportOptions(program));
  if (!needsCommands(commandLine)) return program;
  for (const name of commandNames) {
    const { register } = await import(new URL(`${name}.js`, folder).href);
    register(program, context);
  }
  program.command("help").argument("[command]").description("what a command does, and its options").action((name) => help(program, name));
  for (const command of program.commands) command.exitOverride().allowExcessArguments(false).showHelpAfterError(`(membuddy ${command.name()} --help tells more)`);
  return program;
}

/** @param {unknown} error */
function exitCodeOf(error) {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (error instanceof MembuddyError) process.stderr.write(`membuddy: ${shownName(error.message.replace(/^membuddy: /, ""))}\n`);
  else process.stderr.write(`membuddy: this should not have happened; please report it:\n${error instanceof Error ? error.stack : error}\n`);
  return error instanceof UsageError ? exitCodes.usage : exitCodes.failed;
}

/** @param {string[]} commandLine  without the program's name @returns {Promise<number>} the exit code */
export async function main(commandLine) {
  try {
    await (await makeProgram(commandLine)).parseAsync(commandLine, { from: "user" });
    return exitCodes.done;
  } catch (error) {
    return exitCodeOf(error);
  }
}
