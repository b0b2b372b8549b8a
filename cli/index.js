/**
 * MemBuddy from outside: `import { attach } from "membuddy"`, for Node.js 18 and later and for pages.
 */
export { attach } from "./attach.js";
export { diff, summarize } from "./diff.js";
export { MembuddyError } from "./errors.js";
export { Heap } from "./heap.js";
export { formatSize } from "./print.js";
export { version } from "./version.js";
