/**
 * Runs every suite and sums up: the native test programs (build/native/*\/test_*, built by test/native.mk) and the
 * node:test files (test/*.test.js) under each wanted version of Node.js. JOBS at once, which is make's
 * `jobs`, or as many as there are processors.
 *
 *   [JOBS=N] node test.js NODE-MAJOR...
 *
 * Its last line is `N passed, N failed, N skipped`, which also stands in build/test/summary; what each suite said is in
 * build/test/*.log. The exit code is 0 only if something passed and nothing failed.
 */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const logDirectory = path.join(root, 'build/test');
const suiteLimitMs = Number(process.env.TEST_LIMIT_S ?? 1800) * 1000;
const jobs = Number(process.env.JOBS) || os.cpus().length || 1;
/** Where each block was taken from, in so many frames: a fifth of the time of tests that take them by the million. */
const environment = { ASAN_OPTIONS: 'malloc_context_size=4', ...process.env };
const nodeFlags = ['--experimental-wasm-memory64', '--test-reporter=tap'];

/**
 * @typedef {{name: string, program: string, arguments: string[], log: string, tap?: string}} Suite
 * @typedef {{passed: number, failed: number, skips: string[], failures: string[]}} Tally
 * @typedef {Tally & {suite: Suite, elapsedMs: number}} Outcome
 */

/** @param {string} directory @param {(name: string) => boolean} wanted */
function entries(directory, wanted) {
  const full = path.join(root, directory);
  return fs.existsSync(full) ? fs.readdirSync(full).filter(wanted).sort() : [];
}

/** @param {string} file */
function isProgram(file) {
  const status = fs.statSync(path.join(root, file));
  return status.isFile() && (status.mode & 0o111) !== 0;
}

/** @returns {Suite[]} what NATIVE_TESTS lists, else every program that is there */
function nativeSuites() {
  const found = entries('build/native', () => true)
    .flatMap((variant) => entries(`build/native/${variant}`, (name) => /^test_\w+$/.test(name))
      .map((name) => `build/native/${variant}/${name}`))
    .filter(isProgram);
  const listed = (process.env.NATIVE_TESTS ?? '').split(' ').filter(Boolean);
  return (listed.length > 0 ? listed : found).map((file) => {
    const name = file.split('/').slice(-2).join(' ');
    return { name, program: path.join(root, file), arguments: [], log: `${name.replace(' ', '-')}.log` };
  });
}

/**
 * A suite whose claims don't hang on the version of Node.js is called NAME.once.test.js: it runs under the one in the
 * middle alone.
 * @param {string} major @param {number} index @param {string[]} majors @returns {Suite[]}
 */
function nodeSuites(major, index, majors) {
  const isMiddle = index === Math.floor(majors.length / 2);
  const files = entries('test', (name) => name.endsWith('.test.js') && (isMiddle || !name.endsWith('.once.test.js')));
  if (files.length === 0) return [];
  const node = execFileSync(path.join(root, 'scripts/node.sh'), [major], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return files.map((file) => {
    const base = `node${major}-${file.replace('.test.js', '')}`;
    const tap = path.join(logDirectory, `${base}.tap`);
    return { name: `node${major} ${file}`, program: node.trim(), log: `${base}.log`, tap,
      arguments: [...nodeFlags, `--test-reporter-destination=${tap}`, path.join(root, 'test', file)] };
  });
}

/**
 * Counts the leaves of a TAP text, which native programs speak as well: a group is the sum of what stands indented before
 * it.
 * @param {string} text @returns {Tally}
 */
function tallyTap(text) {
  const tally = { passed: 0, failed: 0, skips: /** @type {string[]} */ ([]), failures: /** @type {string[]} */ ([]) };
  const lines = text.split('\n');
  let planIndent = -1;
  lines.forEach((line, index) => {
    const plan = /^( *)1\.\.([1-9]\d*)$/.exec(line);
    const point = /^( *)(not )?ok \d+(?: - (.*))?$/.exec(line);
    if (plan) planIndent = plan[1].length;
    if (!point) return;
    const isGroup = planIndent === point[1].length + 4;
    planIndent = -1;
    const [claim, directive] = (point[3] ?? '').split(/ # (?=SKIP|TODO)/i);
    if (isGroup) return;
    if (/^(SKIP|TODO)/i.test(directive ?? '')) tally.skips.push(`${claim}: ${directive.slice(5).trim() || 'no reason given'}`);
    else if (point[2]) tally.failures.push([claim, ...explanation(lines, index)].join('\n'));
    else tally.passed += 1;
  });
  tally.failed = tally.failures.length;
  return tally;
}

/** @param {string[]} lines @param {number} index the YAML block that follows a failed point, without its noise */
function explanation(lines, index) {
  if (!/^ *---$/.test(lines[index + 1] ?? '')) return [];
  const end = lines.findIndex((line, at) => at > index && /^ *\.\.\.$/.test(line));
  return lines.slice(index + 2, end).filter((line) => !/^ *(duration_ms|failureType|code|name):/.test(line));
}

/** @param {Suite} suite @returns {Promise<{how: string, output: string, elapsedMs: number}>} */
function execute(suite) {
  const log = fs.openSync(path.join(logDirectory, suite.log), 'w');
  const started = Date.now();
  return new Promise((resolve) => {
    const child = spawn(suite.program, suite.arguments, { cwd: root, env: environment, stdio: ['ignore', log, log] });
    const timer = setTimeout(() => child.kill('SIGKILL'), suiteLimitMs);
    let isOver = false; // what can't be started says so, and closes after that
    const finish = (/** @type {string} */ how) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      fs.closeSync(log);
      const elapsedMs = Date.now() - started;
      const late = elapsedMs >= suiteLimitMs ? ` after ${suiteLimitMs / 1000} s, the limit (TEST_LIMIT_S)` : '';
      resolve({ how: how && how + late, output: fs.readFileSync(path.join(logDirectory, suite.log), 'utf8'), elapsedMs });
    };
    child.on('error', (error) => finish(`could not be started: ${error.message}`));
    child.on('close', (code, signal) => finish(signal ? `was ended by ${signal}` : code ? `ended with exit code ${code}` : ''));
  });
}

/** @param {Suite} suite @returns {Promise<Outcome>} */
async function run(suite) {
  const { how, output, elapsedMs } = await execute(suite);
  const text = !suite.tap ? output : fs.existsSync(suite.tap) ? fs.readFileSync(suite.tap, 'utf8') : '';
  const brokeOff = !(suite.tap ? /^1\.\.\d+$/m : /^\d+ passed, \d+ failed, \d+ skipped$/m).test(text); // with whatever code
  const tally = tallyTap(text);
  const ranNothing = tally.passed + tally.failed + tally.skips.length === 0;
  if (tally.failed === 0 && (how || brokeOff || ranNothing)) { // a crash, or a suite that claims nothing, is a failure
    tally.failed = 1;
    tally.failures.push(`the suite ${how || (ranNothing ? 'made no claim' : 'broke off')}; its last words:\n${output.trimEnd().split('\n').slice(-25).join('\n')}`);
  }
  return { ...tally, suite, elapsedMs };
}

/** @param {Outcome} outcome */
function show({ suite, passed, failed, skips, failures, elapsedMs }) {
  const counts = `${passed} passed, ${failed} failed, ${skips.length} skipped`;
  console.log(`${failed ? 'FAIL' : 'ok  '}  ${suite.name.padEnd(44)} ${counts.padEnd(36)} ${(elapsedMs / 1000).toFixed(1)} s`);
  for (const failure of failures) console.log(failure.replace(/^/gm, '        '));
  if (failed) console.log(`        the whole log: build/test/${suite.log}`);
}

/** @param {Suite[]} suites @returns {Promise<Outcome[]>} */
async function runAll(suites) {
  /** @type {Outcome[]} */
  const outcomes = [];
  const waiting = [...suites];
  const worker = async () => {
    for (let suite = waiting.shift(); suite; suite = waiting.shift()) {
      const outcome = await run(suite);
      outcomes.push(outcome);
      show(outcome);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return outcomes;
}

/** @param {Outcome[]} outcomes */
function sumUp(outcomes) {
  const skips = outcomes.flatMap((outcome) => outcome.skips.map((skip) => `${outcome.suite.name}: ${skip}`));
  const failing = outcomes.filter((outcome) => outcome.failed > 0).map((outcome) => outcome.suite.name);
  const sum = (/** @type {(outcome: Outcome) => number} */ of) => outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const failed = sum((outcome) => outcome.failed);
  const passed = sum((outcome) => outcome.passed);
  const lines = [`${outcomes.length} suites run`];
  if (skips.length) lines.push('skipped:', ...skips.map((skip) => `  ${skip}`));
  if (failing.length) lines.push('failed:', ...failing.map((name) => `  ${name}`));
  if (passed + failed === 0) lines.push('no test was found: that is a failure');
  const isGood = failed === 0 && passed > 0;
  lines.push(`${passed} passed, ${isGood ? 0 : Math.max(failed, 1)} failed, ${skips.length} skipped`);
  return { isGood, text: `${lines.join('\n')}\n` };
}

fs.rmSync(logDirectory, { recursive: true, force: true });
fs.mkdirSync(logDirectory, { recursive: true });
const suites = [...nativeSuites(), ...process.argv.slice(2).flatMap(nodeSuites)];
const { isGood, text } = sumUp(await runAll(suites));
fs.writeFileSync(path.join(logDirectory, 'summary'), text);
process.stdout.write(text);
process.exitCode = isGood ? 0 : 1;
