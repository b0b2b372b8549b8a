/**
 * Targets by path. Inside a process a program gives the value; outside it is named as a report names it. The name that
 * its report then bears is that which Lua finds, of a global variable, else the shortest path; or, where namesakes share
 * that, the path that was asked for.
 */
import { MembuddyError } from "./errors.js";
import { Graph, isNoObject, nothingAt, splitPath } from "./graph.js";
import { lineFigure, Names } from "./results.js";
import { findObject } from "./why.js";

/** @typedef {import("./module.js").Walker} Walker */

const longestName = 288; // bytes; PATH_LONGEST_ROOT in src/path.h
const mostSteps = 16; // LONGEST_CHAIN in src/lua_functions.c

/** Whether a report may have a line of this name where no single entry has it: a number, a root, what is no key. @param {string} step */
const mayBeLine = (step) => step.startsWith("[") || /#\d+$/.test(step);

/**
 * Follows the labels of a path, as long as each is that of one entry alone.
 * @param {Walker} walker @param {number} state @param {string[]} steps
 * @returns {{ object?: number, mayBeLine: boolean }} object 0: the path leads to what owns no memory; undefined: nowhere, but
 *   for a line of the report
 */
function follow({ call, put }, state, steps) {
  let object = 0;
  for (const [index, step] of steps.entries()) {
    object = call.attach_step(state, object, put(step));
    const count = call.attach_step_count();
    if (count !== 1) return { mayBeLine: count > 1 || mayBeLine(step) };
    if (object === 0) return { object: index === steps.length - 1 ? object : undefined, mayBeLine: false };
  }
  return { object, mayBeLine: false };
}

/** The line that the steps lead to, of a report that the walker holds: what is not on the way needs no name. @param {Walker} walker @param {number} count @param {string[]} steps */
function findLine({ call, text }, count, steps) {
  /** @type {number[]} */ const found = [];
  const names = steps.map(() => new Names());
  for (let line = 0; line < count; line++) {
    const parent = call.attach_line(line, lineFigure.parent), level = parent < 0 ? 0 : found.indexOf(parent) + 1;
    if ((parent >= 0 && level === 0) || level === steps.length) continue;
    const name = names[level].free(text(call.attach_line_label(line)));
    if (call.attach_line(line, lineFigure.total) > 0) names[level].sizes.set(name, 0); // else it is no line, and the name is free
    if (name === steps[level]) found[level] ??= line;
  }
  return found[steps.length - 1];
}

/** The way that numbers namesakes: the lines of a report. @param {Walker} walker @param {number} state @param {string[]} steps */
function lookUp(walker, state, steps) {
  const { call } = walker;
  const count = call.attach_profile(state, 0, steps.length - 1, -1, -1, 0, 0);
  if (count < 0) throw new MembuddyError("not enough memory to look for the target");
  try {
    const line = findLine(walker, count, steps);
    return line === undefined ? undefined : call.attach_line(line, lineFigure.object);
  } finally {
    call.attach_end_profile();
  }
}

/** What only a path of `tree` and `why` leads to: a key, the value behind an upvalue's cell. It is called as they call it. @param {Walker} walker @param {number} state @param {string} path */
function findInGraph(walker, state, path) {
  const graph = new Graph(walker, state);
  try {
    const node = findObject(graph, path), isCell = graph.kindName(node) === "upvalue"; // of a number, say
    return { object: isCell ? 0 : walker.call.attach_object_of(node), name: shorten(graph.path(node)) };
  } finally {
    graph.end();
  }
}

/** Where a path leads from a root, and from `_G`: one entry after the other. @param {Walker} walker @param {number} state @param {string} path */
function followWays(walker, state, path) {
  const steps = splitPath(path);
  return [steps, ["_G", ...steps]].map((way) => ({ way, ...follow(walker, state, way) }));
}

/**
 * What a path of a report leads to: one entry after the other, else by its lines; object 0, or nothing: to none.
 * @param {Walker} walker @param {number} state @param {string} path
 * @returns {{ object?: number, path: string } | undefined} with the path from its root
 */
function findReported(walker, state, path) {
  const ways = followWays(walker, state, path), followed = ways.find(({ object }) => object !== undefined);
  if (followed) return { object: followed.object, path: followed.way.join("/") };
  for (const { way, mayBeLine } of ways) {
    const object = mayBeLine ? lookUp(walker, state, way) : undefined;
    if (object !== undefined) return { object, path: way.join("/") };
  }
  return undefined;
}

/** @param {Walker} walker @param {number} state @param {number} object @param {string} path  that led to it */
function shortestPath({ call, text }, state, object, path) {
  const steps = [];
  for (let at = object; ; ) {
    const parent = call.attach_parent(state, at);
    const label = text(call.attach_parent_label());
    if (parent === 0 && isNoObject(label)) return path; // the head of several roots says not which
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

/** Whether a name is that of this object and of no other; one that begins with `...` is for the eye alone. @param {Walker} walker @param {number} state @param {string} name @param {number} object */
const isNameOf = (walker, state, name, object) =>
  name.startsWith(".../") || followWays(walker, state, name).find((way) => way.object !== undefined)?.object === object;

/** @param {Walker} walker @param {number} state @param {number} object @param {string} path */
function nameOf(walker, state, object, path) {
  const length = walker.call.attach_global_label(state, object);
  const name = length > 0 ? walker.text(length) : shortestPath(walker, state, object, path);
  return shorten(isNameOf(walker, state, name, object) ? name : path);
}

/**
 * The object that a path names: from `_G`, where nothing else is said.
 * @param {Walker} walker @param {number} state @param {string} path
 * @returns {{ object: number, name: string }}
 */
export function findTarget(walker, state, path) {
  if (isNoObject(path)) throw nothingAt(path);
  const found = findReported(walker, state, path);
  if (found?.object) return { object: found.object, name: nameOf(walker, state, found.object, found.path) };
  const target = findInGraph(walker, state, path);
  if (target.object === 0)
    throw new MembuddyError(`membuddy: the target '${path}' holds no memory of its own; accepted: a table, string, function, coroutine or userdata`);
  return target;
}
