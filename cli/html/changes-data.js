/**
 * A comparison (cli/diff.js) as the page shows it: the largest changes, whatever their number.
 */

import { tellingPaths } from "../diff.js";

/** @typedef {import("./changes.js").Changes} Changes */

const mostPaths = 400;
const longestPath = 1000;

/**
 * @param {import("../diff.js").Diff} diff
 * @param {{ before: string, after: string }} names
 * @returns {Changes}
 */
export function changesData({ a, b, kinds, paths }, names) {
  const telling = tellingPaths(paths);
  return {
    ...names,
    totals: [
      { name: "Memory", before: a.memory, after: b.memory }, { name: "Live", before: a.live, after: b.live },
      { name: "Garbage", before: a.garbage, after: b.garbage },
    ],
    kinds: Object.entries(kinds).filter(([, kind]) => kind.a.count + kind.b.count > 0)
      .map(([kind, { a: from, b: to }]) => ({ kind, countBefore: from.count, count: to.count, bytesBefore: from.bytes, bytes: to.bytes })),
    paths: telling.slice(0, mostPaths).map(({ path, change, a: from, b: to, total, objects }) => ({
      path: path.length > longestPath ? `${path.slice(0, longestPath)}…` : path, state: change, change: total, objects,
      before: change === "appeared" ? null : from.total, after: change === "went" ? null : to.total,
    })),
    otherPaths: Math.max(0, telling.length - mostPaths),
  };
}
