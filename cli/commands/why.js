/** `membuddy why`: the shortest chains of references that keep an object alive, and what cutting one would free. */
import stringWidth from "string-width";
import { counted, grouped } from "../errors.js";
import { formatSize } from "../print.js";
import { showUnseen } from "../unseen.js";
import { why } from "../why.js";

/** @typedef {import("../context.js").Context} Context */

/** What is told of a text that is more than the name of its kind. @param {{ kind: string, text: string }} object */
const shownText = ({ kind, text }) => (kind === "table" || text === "" ? kind : text);

/** @param {import("../why.js").Step} step @param {Context} context */
function effect({ frees, references }, { colours }) {
  if (frees === null) return colours.gray("a root");
  if (frees > 0) return `cut here: frees ${colours.red(formatSize(frees))}`;
  return colours.gray(`cut here: frees nothing, ${counted(references, "reference")} to it`);
}

/** @param {import("../why.js").Chain} chain @param {number} index @param {Context} context */
function chainLines({ path, steps }, index, context) {
  const { colours } = context;
  const shown = steps.length <= 40 ? steps : [...steps.slice(0, 20), null, ...steps.slice(-20)];
  const widthOf = (/** @type {string} */ name) => stringWidth(showUnseen(name)); // as it will be written
  const width = Math.min(48, Math.max(...shown.map((step) => widthOf(step?.name ?? "") + 1)));
  const padded = (/** @type {string} */ name) => name + " ".repeat(Math.max(0, width - widthOf(name)));
  const lines = shown.map((step) => step === null ? colours.gray(`     ... ${grouped(steps.length - 40)} steps ...`)
    : `     ${colours.cyan(padded(step.name))} ${effect(step, context)}  ${colours.gray(`${shownText(step)}, retains ${formatSize(step.retained)}`)}`);
  return [`${String(index + 1).padStart(3)}. ${colours.bold(steps.length <= 40 ? path : `${grouped(steps.length)} steps`)}`, ...lines];
}

const longestPath = 32; // steps

/** @param {number} count  beyond 2^53 not exact */
const countedChains = (count) => (Number.isSafeInteger(count) ? grouped(count) : `more than ${grouped(Number.MAX_SAFE_INTEGER)}`);

/*
 * What others would keep is told where the rest is what the object retains: what it retains of things that have a name of
 * their own, as the registry does, or by entries of weak tables, is not in what it holds.
 */
/** @param {import("../why.js").Why & import("../heap.js").Holdings} found @param {Context} context */
function lines(found, context) {
  const { colours } = context;
  const { chains, chainCount, others, otherCount } = found;
  const steps = chains[0].steps.length;
  const head = `${countedChains(chainCount)} shortest ${chainCount === 1 ? "chain" : "chains"} of ${grouped(steps)} ${steps === 1 ? "step" : "steps"}`;
  return [
    `${colours.bold(found.path)}: ${shownText(found)}, ${formatSize(found.own)}, retains ${formatSize(found.retained)}; references to it: ${grouped(found.references)}`,
    ...(found.shared > 0 && found.held - found.shared === found.retained ? [`It holds ${formatSize(found.held)}; others hold as well, and would keep: ${formatSize(found.shared)}`] : []),
    "", `${head} from a root${chainCount > chains.length ? `, ${grouped(chains.length)} of them` : ""}:`, "",
    ...chains.flatMap((chain, index) => chainLines(chain, index, context)),
    ...(others.length > 0 ? ["", "Referred to on longer ways as well, by:", ...others.map(({ path, label }) => `     ${path}/${colours.cyan(label)}`)] : []),
    ...(otherCount > others.length ? [colours.gray(`     ... and ${counted(otherCount - others.length, "other")}`)] : []),
  ];
}

const help = `
A cut takes away that one reference (\`Inbox[3] = nil\`). It frees everything that is reached through it alone: all that
the object retains, or nothing while another reference leads to the object. A root cannot be cut. What a table with weak
keys holds counts for its keys: where such a table goes, more is freed (\`membuddy FILE --target PATH\` tells).

Examples:
  membuddy why state.dat Inbox/3
  membuddy why state.dat "math/random/[upvalue chance]" --chains 3
`;

/** @param {import("commander").Command} program @param {Context} context */
export function register(program, context) {
  const command = program.command("why")
    .description("why an object is alive: every shortest chain of references to it, and what cutting each would free")
    .argument("<file>", "the memory of a process")
    .argument("<path>", "the object, by a path as the report gives it", context.pathOf)
    .option("--chains <count>", "chains that are shown, and other references", context.positiveNumber, 10)
    .addHelpText("after", help);
  context.addOptions(command, { json: { about: "one JSON object" } });
  context.addModuleOption(command).action(async (file, path, options) => {
    const text = await context.withHeap(file, options, (heap) => {
      const chains = why(heap.graph(), path, { chains: options.chains, longestPath: options.json ? Infinity : longestPath });
      const found = { ...chains, ...heap.holdings(chains.node) };
      return options.json ? context.asJson({ type: "membuddy-why", ...found }) : context.asText(lines(found, context));
    });
    context.print(text);
  });
}
