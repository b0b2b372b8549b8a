/** `membuddy sample`: a memory to try the other commands on. It was made at build time, by a real process (scripts/sample.js). */
import { readFile } from "node:fs/promises";
import { MembuddyError, grouped, messageOf, shownName, shownWord } from "../errors.js";

const made = new URL("../../dist/sample.dat.gz", import.meta.url);

/** @param {string} output @param {import("../context.js").Context} context */
async function writeSample(output, context) {
  context.checkOutput(output);
  const compressed = await readFile(made).catch((error) => {
    throw new MembuddyError(`the sample is not there (${messageOf(error)}); in a checkout, \`make sample\` makes it`, { cause: error });
  });
  const bytes = output.toLowerCase().endsWith(".gz") ? compressed : (await import("node:zlib")).gunzipSync(compressed);
  await context.writeWhole(output, (file) => file.write(bytes));
  if (output !== "-") context.tell(`${shownName(output)}: ${grouped(bytes.length)} bytes, the memory of a small token process. Try: membuddy ${shownWord(output)}`);
}

/** @param {import("commander").Command} program @param {import("../context.js").Context} context */
export function register(program, context) {
  program.command("sample")
    .description("make the memory of a small process, to try the other commands on")
    .requiredOption("-o, --output <file>", "where to, compressed if it ends in .gz; - for the standard output")
    .addHelpText("after", "\nExample:\n  membuddy sample -o sample.dat && membuddy sample.dat")
    .action(({ output }) => writeSample(output, context));
}
