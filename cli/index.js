/** MemBuddy from outside: `import { attach, diff } from "membuddy"`, for Node.js 18 and later and for pages. */

/**
 * @typedef {import("./account.js").Account} Account
 * @typedef {import("./attach.js").AttachOptions} AttachOptions
 * @typedef {import("./attach.js").Progress} Progress
 * @typedef {import("./diff.js").Diff} Diff
 * @typedef {import("./diff.js").Summary} Summary
 * @typedef {import("./export/index.js").ExportOptions} ExportOptions
 * @typedef {import("./export/index.js").FormatName} FormatName
 * @typedef {import("./export/index.js").Sink} Sink
 * @typedef {import("./graph.js").Graph} Graph
 * @typedef {import("./heap.js").Image} Image
 * @typedef {import("./input.js").Input} Input
 * @typedef {import("./options.js").ReportOptions} ReportOptions
 * @typedef {import("./results.js").Books} Books
 * @typedef {import("./results.js").Kinds} Kinds
 * @typedef {import("./results.js").Results} Results
 */
export { attach } from "./attach.js";
export { diff, summarize } from "./diff.js";
export { MembuddyError } from "./errors.js";
export { Heap } from "./heap.js";
export { formatSize } from "./print.js";
export { version } from "./version.js";
