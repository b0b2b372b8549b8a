/**
 * Targets by path. Inside a process a program gives the value; outside it is named as a report names it. The name that
 * its report then bears is that which Lua finds: of a global variable, else the shortest path.
 */
import { MembuddyError } from "./errors.js";
import { isNoObject, nothingAt, splitPath } from "./graph.js";
import { lineFigure, readLines } from "./results.js";

/** @typedef {import("./module.js").Walker} Walker */

const longestName = 288; // bytes; PATH_LONGEST_ROOT in src/path.h
const mostSteps = 16; // LONGEST_CHAIN in src/lua_functions.c

/**
 * Follows the labels of a path, as long as each is that of one entry alone.
 * @param {Walker} walker @param {number} state @param {string[]} steps
 * @returns {{ object: number } | undefined} object 0: the path leads to what owns no memory
 */
function follow({ call, put }, state, steps) {
  let object = 0;
  for (const step of steps) {
    object = call.attach_step(state, object, put(step));
    if (call.attach_step_count() !== 1) return undefined;
    if (object === 0) return step === steps.at(-1) ? { object } : undefined;
  }
  return { object };
}

/** The way that numbers namesakes: the lines of a report. @param {Walker} walker @param {number} state @param {string[]} steps */
function lookUp(walker, state, steps) {
  const { call } = walker;
  const count = call.attach_profile(state, 0, steps.length - 1, -1, -1, 0, 0);
  if (count < 0) throw new MembuddyError("not enough memory to look for the target");
  try {
    const line = readLines(walker, count, false, undefined).paths.indexOf(steps.join("/"));
    return line < 0 ? undefined : { object: call.attach_line(line, lineFigure.object) };
  } finally {
    call.attach_end_profile();
  }
}

/** @param {Walker} walker @param {number} state @param {number} object */
function shortestPath({ call, text }, state, object) {
  const steps = [];
  for (let at = object; ; ) {
    const parent = call.attach_parent(state, at);
    const label = text(call.attach_parent_label());
    if (parent === 0 || steps.length === mostSteps) return [...steps, parent === 0 ? label : "..."].reverse().join("/");
    steps.push(label);
    at = parent;
  }
}

/** The end of a name that is too long for the head of a path. @param {string} name */
function shorten(name) {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length <= longestName) return name;
  const from = bytes.length - (longestName - 3), slash = bytes.indexOf("/".charCodeAt(0), from);
  return `...${slash < 0 ? "" : new TextDecoder().decode(bytes.subarray(slash))}`;
}

/** @param {Walker} walker @param {number} state @param {number} object */
function nameOf(walker, state, object) {
  const length = walker.call.attach_global_label(state, object);
  return shorten(length > 0 ? walker.text(length) : shortestPath(walker, state, object));
}

/**
 * The object that a path names: from `_G`, where nothing else is said.
 * @param {Walker} walker @param {number} state @param {string} path
 * @returns {{ object: number, name: string }}
 */
export function findTarget(walker, state, path) {
  if (isNoObject(path)) throw nothingAt(path);
  const steps = splitPath(path), fromGlobals = ["_G", ...steps];
  const found = follow(walker, state, steps) ?? follow(walker, state, fromGlobals) ??
    lookUp(walker, state, steps) ?? lookUp(walker, state, fromGlobals);
  if (!found) throw nothingAt(path);
  if (found.object === 0)
    throw new MembuddyError(`membuddy: the target '${path}' holds no memory of its own; accepted: a table, string, function, coroutine or userdata`);
  return { object: found.object, name: nameOf(walker, state, found.object) };
}
