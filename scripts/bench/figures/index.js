/**
 * Every figure of the bench, in the order of the table.
 *
 * @typedef {object} Figure
 * @property {string} name for ONLY=
 * @property {{ label: string }[]} jobs each is measured in a Node.js of its own
 * @property {(job: any) => Promise<any>} measure what one job found, as plain data
 * @property {(measured: any[]) => import("../report.js").Row[]} rows
 * @property {(measured: any[]) => import("../report.js").Table[]} [tables]
 * @property {boolean} [needsImageWithout] the image that is linked without the profiler
 */
import { emptyEval } from "./eval.js";
import { memory } from "./memory.js";
import { peer } from "./peer.js";
import { print } from "./print.js";
import { pure } from "./pure.js";
import { rest } from "./rest.js";
import { retained } from "./retained.js";
import { size } from "./size.js";
import { outside } from "./outside.js";
import { flat } from "./flat.js";
import { images, speed } from "./speed.js";

/** @type {Figure[]} */
export const figures = [speed, flat, print, peer, pure, memory, emptyEval, size, rest, retained, images, outside];
