/**
 * The page that `membuddy export --format html` writes, and the page of `membuddy serve`, in a real browser: a process
 * that put all it could think of into its keys is what they show.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { listen, makeServer } from "../cli/serve.js";
import { summarize } from "../cli/diff.js";
import { htmlReport, lastStep } from "../cli/export/html.js";
import { changesData } from "../cli/html/changes-data.js";
import { afterDrop } from "../cli/html/dropped.js";
import { embed, safeText } from "../cli/html/embed.js";
import { kindRows, reportData } from "../cli/html/report-data.js";
import { treeData } from "../cli/html/tree-data.js";
import { formatBytes, formatShare, visible } from "../cli/html/words.js";
import { attach, diff, formatSize } from "../cli/index.js";
import { noBrowser, startBrowser } from "./support/browser.js";
import { spawnProcess } from "./support/process.js";
import { twoHeaps } from "./support/two_heaps.js";

const dist = new URL("../dist/", import.meta.url);
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const skip = noBrowser;

const plain = `Balances = {}
  for i = 1, 400 do Balances["holder-" .. i] = tostring(i * 1000) end
  Chain = nil
  for i = 1, 2000 do Chain = { next = Chain } end
  return 1`;
const hostile = `Chain = nil
  Hostile = {}
  local function put(key, bytes) Hostile[key] = { string.rep("x", bytes) } end
  put("</script><script>alert(1)</script>", 90000) put("<img src=x onerror=alert(1)>", 80000) put("<!-- ]]> &amp; \\"'\`", 70000)
  put("\\0\\27[31mred\\r\\n", 60000) put("\\xff\\xfe", 50000) put(utf8.char(0x202e) .. "gpj.exe" .. utf8.char(0x2028, 0x200b), 40000)
  put(string.rep("M", 1000000), 30000) put("__proto__", 20000) put("constructor", 19000) put("@data@", 18000) put("a/b\\\\c", 17000)
  Same = { { ("a"):rep(5000) }, { ("b"):rep(4000) }, ["1"] = { ("c"):rep(3000) }, ["2"] = { ("d"):rep(5000) } }
  return 1`;

/** @type {{ folder: string, older: string, newer: string, narrow: string, page: string, file: string }} */
let made;

/** @param {string} image @param {string[]} programs @returns {Promise<Uint8Array[]>} the memory after each */
async function memoriesOf(image, programs) {
  const subject = await spawnProcess(new URL(image, dist));
  const memories = [];
  for (const program of programs) {
    await subject.eval(program);
    memories.push(Uint8Array.from(/** @type {Uint8Array} */ (subject.memory)));
  }
  return memories;
}

before(async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "membuddy-html-"));
  const save = (/** @type {string} */ name, /** @type {Uint8Array | string} */ content) => {
    writeFileSync(path.join(folder, name), content);
    return path.join(folder, name);
  };
  const [older, newer] = await memoriesOf("membuddy-lua54-wasm64.wasm", [plain, hostile]);
  const [narrow] = await memoriesOf("membuddy-lua54-wasm32.wasm", [plain]);
  made = { folder, older: save("older.dat", older), newer: save("newer.dat", newer), narrow: save("narrow.dat.gz", gzipSync(narrow)), page: "", file: "" };
  made.page = await compared();
  made.file = save("report.html", made.page);
});
after(() => rmSync(made.folder, { recursive: true, force: true }));

async function compared() {
  return htmlReport(await attach(made.newer), { older: summarize(await attach(made.older)) });
}

/** What stands in a page's data. @param {string} page */
const dataOf = (page) => JSON.parse(/** @type {RegExpExecArray} */ (/<script type="application\/json" id="report">([^<]*)<\/script>/.exec(page))[1]);

describe("the file", () => {
  test("the same memory gives the same bytes", async () => {
    assert.ok((await compared()) === made.page);
  });

  test("nothing that a process put into its keys gets out of the data", () => {
    const scripts = made.page.match(/<\/?script/gi) ?? [];
    assert.equal(scripts.length, 4, "two elements, each with a start and an end");
    assert.ok(!/<img|[\u2028\u202e\u200b]/.test(made.page));
    assert.ok(dataOf(made.page).tree.labels.some((/** @type {string} */ label) => label.includes("alert(1)")));
  });

  test("a title gets out of nothing either", async () => {
    const page = await htmlReport(await attach(made.newer), { title: `</title><script>@data@"'&\u202e` });
    assert.equal((page.match(/<\/?script/gi) ?? []).length, 4);
    assert.equal((page.match(/<\/title/gi) ?? []).length, 1);
    assert.equal(dataOf(page).title, `</title><script>@data@"'&\u202e`);
  });

  test("it names no address of the network", () => {
    const addresses = made.page.replace(/\/\*![\s\S]*?\*\//, "").match(/https?:\/\/[^"'`]*/g) ?? [];
    assert.deepEqual(addresses.filter((address) => !address.startsWith("http://www.w3.org/")), [], "but for names of XML");
  });

  test("its picture has the limits that were asked for", async () => {
    const heap = await attach(made.newer), page = await heap.export("html", { depth: 1, minSize: 5000 });
    assert.deepEqual(dataOf(new TextDecoder().decode(page)).tree, treeData(heap.graph(), { depth: 1, minSize: 5000 }).tree);
  });

  test("every account's parts sum to the memory", () => {
    const { account, memoryBytes } = dataOf(made.page);
    assert.equal(account.reduce((/** @type {number} */ sum, /** @type {any} */ { bytes }) => sum + bytes, 0), memoryBytes);
  });

  test("it is called by the file's name, as is the older memory", () => {
    const { title, changes } = dataOf(made.page);
    assert.deepEqual([title, changes.before, changes.after], ["newer.dat", "older.dat", "newer.dat"]);
    assert.deepEqual(["a/b c.dat", "C:\\a\\b.dat", "a/", "/", "the memory"].map(lastStep), ["b c.dat", "b.dat", "a", "/", "the memory"]);
  });

  test("it says that another heap in the memory was not looked at", async () => {
    const memory = readFileSync(made.older), { others } = reportData(await attach(await twoHeaps(memory, memory)));
    assert.match(String(others), /^Not looked at: another sound Lua heap in this memory \(.* at 0x[0-9a-f]+\); --module tells which is the process's$/);
    assert.equal("others" in dataOf(made.page), false);
  });

  test("kinds and lines are those of the report, the largest first", async () => {
    const heap = await attach(made.newer), { sizes, totalSizes, retained, kinds } = heap.profile({ depth: 3, retained: true }), data = dataOf(made.page);
    const inOrder = (/** @type {number[]} */ figures) => figures.every((figure, index) => index === 0 || figures[index - 1] >= figure);
    assert.ok(inOrder(data.lines.map((/** @type {any} */ { total }) => total)) && inOrder(data.kinds.map((/** @type {any} */ { bytes }) => bytes)));
    assert.deepEqual(Object.fromEntries(data.kinds.map((/** @type {any} */ { kind, ...rest }) => [kind, rest])), Object.fromEntries(Object.entries(kinds).filter(([, { count }]) => count > 0)));
    assert.equal(data.lines.length, Object.keys(sizes).length);
    for (const { path, own, total, retained: only } of data.lines.filter((/** @type {any} */ line) => Object.hasOwn(sizes, line.path)))
      assert.deepEqual({ own, total, only }, { own: sizes[path], total: totalSizes[path] ?? sizes[path], only: retained?.[path] ?? null }, path);
    assert.ok(Math.max(...data.lines.map((/** @type {any} */ { path }) => path.length)) <= 1001);
    assert.deepEqual(kindRows({ ...kinds, userdata: { count: 0, bytes: 0 } }).map(({ kind }) => kind).includes("userdata"), false);
    const account = heap.account(), named = data.account.map((/** @type {any} */ { name }) => (name === "below the heap" ? "belowHeap" : name));
    assert.deepEqual(named.sort(), Object.keys(account.parts).filter((part) => /** @type {any} */ (account.parts)[part] !== undefined).sort());
    const { luaSize: lua, live, garbage, unaccounted } = heap.books();
    assert.deepEqual(data.books, { lua, live, garbage, unaccounted });
  });

  test("a line leads to the block of its bytes, also where names repeat and where an upvalue is between", () => {
    const { tree, lines } = dataOf(made.page), bytes = [...tree.own];
    for (let row = bytes.length - 1; row > 0; row--) bytes[tree.parents[row]] += bytes[row];
    const leading = lines.filter((/** @type {any} */ { row, path }) => row >= 0 && path !== "[type metatables]"); // a head, which has no bytes
    for (const { path, row, retained } of leading) assert.equal(bytes[row], retained, path);
    for (const path of ["_G/Same/1", "_G/Same/1#2", "_G/Same/2", "_G/Same/2#2", "_G/Same/1/1", "_G/Balances", "_G/Hostile/a\\/b\\\\c", "_G/handle/[upvalue json]"])
      assert.ok(leading.some((/** @type {any} */ line) => line.path === path), path);
  });

  test("a block says what more is known of it than its kind, and whose path is its own", async () => {
    const graph = (await attach(made.newer)).graph(), { tree, rows } = treeData(graph), { parents, dominators } = graph;
    const isOnTheWay = (/** @type {number} */ node) => {
      let at = node;
      while (at !== 0 && at !== dominators[node]) at = parents[at];
      return at !== 0;
    };
    for (const [node, row] of rows) assert.equal(tree.texts[row], node === 0 || graph.text(node) === graph.kindName(node) ? "" : graph.text(node));
    assert.deepEqual(tree.rooted, [...rows].filter(([node]) => node !== 0 && !isOnTheWay(node)).map(([, row]) => row));
    assert.ok(tree.rooted.includes(/** @type {number} */ (rows.get(1))), "_G, which the registry keeps");
  });

  test("the largest have blocks, as many and as deep as is asked for", async () => {
    const graph = (await attach(made.older)).graph(), shallow = (await attach(made.newer)).graph(), { dominators, retained } = shallow; // there is a chain of 2,000 steps in the older
    const depthsOf = (/** @type {{ tree: import("../cli/html/tree-data.js").TreeData }} */ { tree }) => {
      /** @type {number[]} */ const depths = [];
      for (const [row, parent] of tree.parents.entries()) depths[row] = row === 0 ? 0 : depths[parent] + 1;
      return depths.filter((_depth, row) => tree.counts[row] === 0);
    };
    for (const [depth, deepest] of [[0, 0], [1, 1], [3, 3], [Infinity, 250]]) assert.equal(Math.max(...depthsOf(treeData(graph, { depth, minSize: 0 }))), deepest);
    for (const most of [10, 200, 1000, 3000]) {
      const { rows } = treeData(shallow, { rows: most, children: Infinity, minSize: 0 });
      const smallest = Math.min(...[...rows.keys()].map((node) => retained[node]));
      const larger = [...dominators.keys()].filter((node) => node > 0 && rows.has(dominators[node]) && !rows.has(node) && retained[node] > smallest);
      assert.deepEqual([rows.size, larger], [most, []]);
    }
    const some = treeData(graph, { children: 20, minSize: 0 });
    for (const node of some.rows.keys()) assert.ok([...graph.children(node)].filter((child) => some.rows.has(child)).length <= 20);
    assert.ok(treeData(graph, { minSize: graph.retained[1] }).rows.has(1), "what retains just enough");
    const { tree } = treeData(graph, { rows: 1 });
    assert.equal(tree.labels[1], `[${graph.children(0).length} more]`);
  });

  test("labels have an end", async () => {
    const { tree } = treeData((await attach(made.newer)).graph(), { minSize: 0 });
    assert.ok(tree.labels.every((label) => label.length <= 241 && label.split(/(?<!\\)\//).length <= 5));
    assert.ok(tree.labels.some((label) => label.startsWith("…/")));
  });

  test("however few blocks a tree has, it loses no byte and no object", async () => {
    const heap = await attach(made.newer);
    const graph = heap.graph();
    try {
      for (const rows of [1, 10, 200, 5000]) {
        const { tree } = treeData(graph, { rows });
        const shown = tree.counts.filter((count) => count === 0).length;
        const sum = (/** @type {number[]} */ column) => column.reduce((total, value) => total + value, 0);
        assert.ok(shown <= rows, `${shown} of ${rows}`);
        assert.equal(sum(tree.own), graph.retained[0]);
        assert.equal(shown + sum(tree.counts), graph.nodeCount);
        tree.parents.forEach((parent, row) => assert.ok(parent < row, "parents come first"));
      }
    } finally {
      graph.end();
    }
  });
});

describe("in a browser", { skip }, () => {
  /** @type {import("playwright-core").Browser} */ let browser;
  before(async () => {
    if (!skip) browser = await startBrowser();
  });
  after(() => browser?.close());

  /** @param {(page: import("playwright-core").Page, problems: string[]) => Promise<void>} use @param {import("playwright-core").BrowserContextOptions} [options] @param {string} [file] */
  async function withReport(use, options = {}, file = made.file) {
    const page = await browser.newPage({ viewport: { width: 1200, height: 700 }, reducedMotion: "reduce", ...options });
    const problems = watch(page);
    await page.goto(`file://${file}`);
    await page.waitForSelector(".block");
    await use(page, problems);
    assert.deepEqual(problems, []);
    await page.close();
  }

  /** Errors, dialogs, refused or wanted resources. @param {import("playwright-core").Page} page */
  function watch(page) {
    /** @type {string[]} */ const problems = [];
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("dialog", (dialog) => void dialog.dismiss().then(() => problems.push(`dialog ${dialog.message()}`)));
    page.on("request", (request) => /^(file|data|blob):/.test(request.url()) || request.url().startsWith("http://127.0.0.1:") || problems.push(request.url()));
    return problems;
  }

  /** @param {import("playwright-core").Page} page */
  const trail = (page) => page.locator(".trail button").allInnerTexts();
  /** @param {import("playwright-core").Page} page */
  const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.tagName);

  test("hostile keys are text: no error, no dialog, no request, marks of direction shown as numbers", () => withReport(async (page) => {
    const text = await page.locator("main").innerText();
    assert.match(text, /<\/script><script>alert\(1\)|<\\\/script>/);
    assert.match(text, /\\u\{202e\}gpj\.exe/);
    assert.match(text, /\\x00\\x1B\[31mred/);
    assert.doesNotMatch(text, /M{65}/);
    assert.equal(await page.locator("main img, main script").count(), 0);
  }));

  test("by keyboard: / searches, arrows move, Enter zooms in, Escape out, Home shows all", () => withReport(async (page) => {
    await page.keyboard.press("/");
    assert.equal(await focused(page), "Search blocks and paths");
    await page.keyboard.type("Balances");
    assert.match(await page.locator("#search-result").innerText(), /match(es)?: .*(KB|MB).*%/);
    await page.keyboard.press("Enter");
    assert.ok((await page.locator(".block.match").count()) >= 1);
    await page.locator(".block[aria-selected=true]").focus();
    await page.keyboard.press("Home");
    assert.deepEqual(await trail(page), ["process"]);
    assert.match(String(await focused(page)), /^process \d/);
    await page.keyboard.press("ArrowDown");
    assert.match(String(await focused(page)), /^\[registry\] .* % of all, table$/);
    await page.keyboard.press("Enter");
    assert.deepEqual(await trail(page), ["process", "[registry]"]);
    await page.keyboard.press("ArrowDown");
    const first = await focused(page);
    await page.keyboard.press("ArrowRight");
    assert.notEqual(await focused(page), first);
    await page.keyboard.press("ArrowLeft");
    assert.equal(await focused(page), first);
    await page.keyboard.press("Escape");
    assert.deepEqual(await trail(page), ["process"]);
  }));

  test("one Tab leads into the picture and one out of it", () => withReport(async (page) => {
    await page.getByRole("button", { name: "Treemap" }).focus();
    await page.keyboard.press("Tab");
    assert.match(String(await focused(page)), /^process \d/);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.closest(".blocks")), null);
  }));

  test("blocks are as wide as what they retain, and never wider than what keeps them", () => withReport(async (page) => {
    const { tree } = dataOf(made.page);
    const bytes = [...tree.own];
    for (let row = bytes.length - 1; row > 0; row--) bytes[tree.parents[row]] += bytes[row];
    const drawn = await page.locator(".block").evaluateAll((nodes) => nodes.map((node) => ({ row: Number(/** @type {HTMLElement} */ (node).dataset.row), width: node.getBoundingClientRect().width })));
    const whole = /** @type {{ width: number }} */ (drawn.find(({ row }) => row === 0)).width;
    assert.ok(drawn.length > 10);
    for (const { row, width } of drawn) assert.ok(Math.abs(width - (whole * bytes[row]) / bytes[0]) < 0.6, `${tree.labels[row]}: ${width}`);
  }));

  test("on paper, which is narrower and for which nothing is drawn anew, no block is cut off", () => withReport(async (page) => {
    for (const form of ["Icicle", "Treemap"]) {
      await page.getByRole("button", { name: form }).click();
      const outside = await page.locator(".blocks").evaluate((blocks) => {
        blocks.style.width = blocks.style.height = "300px"; // what is seen before the observer of its size is called
        const { right, bottom } = blocks.getBoundingClientRect();
        const found = [...blocks.children].map((block) => block.getBoundingClientRect()).filter((block) => block.right > right + 1.1 || block.bottom > bottom + 1.1);
        blocks.style.width = blocks.style.height = "";
        return found.length;
      });
      assert.equal(outside, 0, form);
    }
  }));

  test("on paper a table has the rows that it shows, and says of how many; all once they were asked for", () => withReport(async (page) => {
    const said = async () => /The first 20 of \d+ rows/.exec(await page.locator("#largest").innerText())?.[0];
    const all = dataOf(made.page).lines.length;
    assert.equal(await said(), undefined, "on a screen the button says it");
    await page.emulateMedia({ media: "print" });
    assert.equal(await said(), `The first 20 of ${all} rows`);
    assert.equal(await page.getByRole("button", { name: /^Show/ }).count(), 0);
    await page.emulateMedia({ media: "screen" });
    await page.locator("#largest .more").click();
    await page.emulateMedia({ media: "print" });
    assert.deepEqual([await said(), await page.locator("#largest tbody tr:visible").count()], [undefined, all]);
  }));

  test("what the mouse points at is told of, and when it leaves what is active", () => withReport(async (page) => {
    const told = () => page.locator(".details .path").innerText();
    for (let time = 0; time < 2; time++) {
      await page.locator(".block", { hasText: "_LOADED" }).first().hover();
      assert.match(await told(), /\b_LOADED$/);
      await page.mouse.move(0, 0);
      assert.equal(await told(), "process");
    }
  }));

  test("a path of the table leads to its block, in the treemap too", () => withReport(async (page) => {
    await page.getByRole("button", { name: "Treemap" }).click();
    await page.getByRole("button", { name: "_G/Balances", exact: true }).click();
    assert.equal((await trail(page)).at(-1), "Balances");
    await page.waitForTimeout(300); // what was scrolled under the resting mouse is not told of
    assert.match(await page.locator(".details .path").innerText(), /^_G\/Balances$/);
  }));

  test("every path of the table leads to its own block, however small that is", () => withReport(async (page) => {
    const { lines } = dataOf(made.page);
    await page.locator("#largest .more").click();
    for (const form of ["Treemap", "Icicle"]) {
      await page.getByRole("button", { name: form }).click();
      const rows = await page.locator("#largest .path-link").evaluateAll((links) => links.map((link) => {
        /** @type {HTMLElement} */ (link).click();
        return Number(/** @type {HTMLElement} */ (document.querySelector(".block[aria-selected=true]")).dataset.row);
      }));
      const wanted = lines.filter((/** @type {any} */ { row }) => row >= 0).sort((/** @type {any} */ a, /** @type {any} */ b) => b.retained - a.retained);
      assert.ok(rows.length > 100);
      assert.deepEqual(rows, wanted.map((/** @type {any} */ { row }) => row));
    }
  }, { viewport: { width: 390, height: 844 } }));

  test("the changes from an older memory are told by path and by kind", () => withReport(async (page) => {
    const text = await page.locator("#changes").innerText();
    assert.match(text, /_G\/Hostile[\s\S]*appeared/);
    assert.match(text, /_G\/Chain[\s\S]*went/);
  }));

  test("where nothing changed, and where a heap was not looked at, it says so; a search that finds nothing says that", async () => {
    const memory = readFileSync(made.older), both = await attach(await twoHeaps(memory, memory)), file = path.join(made.folder, "same.html");
    writeFileSync(file, await htmlReport(both, { older: summarize(both) }));
    await withReport(async (page) => {
      assert.deepEqual(await page.locator("#changes td.none").allInnerTexts(), ["Nothing changed."]);
      assert.match((await page.locator("header .image").allInnerTexts())[1], /^Not looked at: another sound Lua heap in this memory /);
      await page.locator("#search").fill("there is no such path");
      assert.deepEqual(await page.locator("#largest td.none").allInnerTexts(), ["Nothing matches."]);
    }, {}, file);
  });

  for (const [colorScheme, rules] of /** @type {const} */ ([["light", undefined], ["dark", ["color-contrast"]]]))
    test(`axe finds nothing that keeps people out (${colorScheme})`, () => withReport(async (page) => {
      await page.evaluate(axeSource);
      const { violations } = await page.evaluate((runOnly) => /** @type {any} */ (globalThis).axe.run(document, runOnly ? { runOnly } : {}), rules);
      assert.deepEqual(violations.map((/** @type {any} */ { id, nodes }) => `${id}: ${nodes[0].html}`), []);
    }, { colorScheme }));

  test("where the system forces its colours, kinds, parts and what is pressed are still told apart", () => withReport(async (page) => {
    const colours = (/** @type {string} */ selector) => page.locator(selector).evaluateAll((nodes) => new Set(nodes.map((node) => getComputedStyle(node).backgroundColor)).size);
    for (const [selector, least] of /** @type {const} */ ([[".block", 4], [".bar .part", 5], [".legend .swatch", 5], [".forms button", 2]]))
      assert.ok((await colours(selector)) >= least, selector);
  }, { forcedColors: "active" }));

  test("on a phone nothing is wider than the screen, and figures stand under their paths", () => withReport(async (page) => {
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390);
    const cell = await page.locator("#largest tbody th").first().boundingBox();
    assert.ok(cell && cell.width > 300);
    await page.locator(".block", { hasText: "_G" }).first().tap();
    assert.equal((await trail(page)).at(-1), "_G");
  }, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }));

  test("the page of membuddy serve, opened as a file, says what it needs", async () => {
    const page = await browser.newPage();
    await page.goto(new URL("html/site/index.html", dist).href);
    assert.match(await page.locator("body").innerText(), /^MemBuddy starts here where .* a server offers this page: membuddy serve, /);
    await page.close();
  });

  describe("membuddy serve", () => {
    /** @type {import("node:http").Server} */ let server;
    /** @type {string} */ let address;
    before(async () => {
      server = await makeServer();
      address = await listen(server, 0);
    });
    after(() => {
      server.close();
      server.closeAllConnections?.();
    });

    /** @param {(page: import("playwright-core").Page) => Promise<void>} use @param {(page: import("playwright-core").Page) => Promise<void>} [prepare] */
    async function withPage(use, prepare) {
      const page = await browser.newPage();
      const problems = watch(page);
      await prepare?.(page);
      await page.goto(address);
      await use(page);
      assert.deepEqual(problems, []);
      await page.close();
    }
    /** @param {import("playwright-core").Page} page @param {string[]} files */
    async function give(page, files) {
      await page.locator("input[type=file]").first().setInputFiles(files);
      await page.waitForSelector("#kinds, .problem[role=alert]:not([hidden])");
    }

    /** As an engine without memory64: no 64-bit module is one. @param {import("playwright-core").Page} page */
    async function withoutWideMemories(page) {
      const lack = `{ const { Memory, validate } = WebAssembly;
        WebAssembly.Memory = function (options) { if (options.address || options.index) throw new TypeError("no memory64"); return new Memory(options); };
        WebAssembly.validate = (bytes) => bytes.length !== 13 && validate(bytes); }`;
      await page.addInitScript(lack);
      await page.route("**/worker.js", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, body: `${lack}\n${await response.text()}` });
      });
    }

    test("a dropped memory gives the very file that the command writes", () => withPage(async (page) => {
      await give(page, [made.newer]);
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save this report" }).click()]);
      assert.ok(readFileSync(await download.path(), "utf8") === (await htmlReport(await attach(made.newer))));
    }));

    test("what can be done with a dropped memory stands on the screen, and not on paper", () => withPage(async (page) => {
      await give(page, [made.newer]);
      const save = page.getByRole("button", { name: "Save this report" });
      assert.ok(await save.isVisible());
      await page.emulateMedia({ media: "print" });
      assert.equal(await save.isVisible(), false);
    }));

    test("gzip is unpacked, and a module beside it names the image and its stack", () => withPage(async (page) => {
      await give(page, [made.narrow, fileURLToPath(new URL("membuddy-lua54-wasm32.wasm", dist))]);
      assert.match(await page.locator("#account").innerText(), /stack high-water mark/);
    }));

    test("the module is forgotten with its memory: the next may be of another process", () => withPage(async (page) => {
      await give(page, [made.narrow, fileURLToPath(new URL("membuddy-lua54-wasm32.wasm", dist))]);
      await give(page, [made.newer]);
      await page.waitForFunction(() => /64 bits/.test(document.querySelector("main")?.innerText ?? ""));
    }));

    test("two memories are compared", () => withPage(async (page) => {
      await give(page, [made.older, made.newer]);
      assert.match(await page.locator("#changes").innerText(), /_G\/(Hostile|Chain)/);
    }));

    test("what is no memory is refused in a sentence, and the page goes on", () => withPage(async (page) => {
      await give(page, [fileURLToPath(import.meta.url)]);
      assert.match(await page.getByRole("alert").innerText(), /attach-html.*\.js is text, it seems;/);
      await give(page, [made.narrow]);
      await page.waitForSelector("#kinds");
    }));

    test("what is refused is forgotten: an older memory is compared with the one that is shown", () => withPage(async (page) => {
      await give(page, [made.newer]);
      await page.locator("input[type=file]").first().setInputFiles([fileURLToPath(import.meta.url)]);
      await page.getByRole("alert").waitFor();
      await page.locator("input[type=file]").last().setInputFiles([made.older]);
      await page.waitForSelector("#changes, .problem[role=alert]:not([hidden])");
      assert.match(await page.locator("#changes").innerText(), /_G\/(Hostile|Chain)/);
    }));

    test("a module that came first is refused with its memory, which is read without it then", () => withPage(async (page) => {
      await give(page, [fileURLToPath(new URL("membuddy-lua53-wasm64.wasm", dist))]);
      const input = page.locator("input[type=file]").first();
      await input.setInputFiles([made.newer]);
      await page.getByText(/^newer\.dat is of another module/).waitFor();
      await input.setInputFiles([made.newer]);
      await page.locator("#kinds").waitFor({ timeout: 10000 });
    }));

    test("a folder is refused", () => withPage(async (page) => {
      const session = await page.context().newCDPSession(page), data = { items: [], files: [fileURLToPath(new URL(".", import.meta.url))], dragOperationsMask: 1 };
      for (const type of /** @type {const} */ (["dragEnter", "dragOver", "drop"])) await session.send("Input.dispatchDragEvent", { type, x: 99, y: 99, data });
      await page.getByRole("alert").waitFor();
      assert.match(await page.getByRole("alert").innerText(), /^test is a folder, or cannot be read: /);
    }));

    test("a drop that is refused does not end the reading of an earlier one", () => withPage(async (page) => {
      await page.route("**/worker.js", (route) => setTimeout(() => route.continue(), 500));
      await page.locator("input[type=file]").first().setInputFiles([made.newer]);
      await page.locator("input[type=file]").first().setInputFiles([made.older, made.newer, made.narrow]);
      await page.getByText(/^3 memories were dropped/).waitFor();
      await page.locator("#kinds").waitFor({ timeout: 10000 });
    }));

    test("of two fast drops the later is shown, where the earlier is slow to look into, too", () => withPage(async (page) => {
      await page.evaluate(() => {
        const { slice } = File.prototype;
        File.prototype.slice = function (/** @type {any} */ ...range) {
          const piece = slice.apply(this, range), wait = this.name === "older.dat" ? 300 : 0;
          piece.arrayBuffer = () => new Promise((resolve) => setTimeout(resolve, wait)).then(() => Blob.prototype.arrayBuffer.call(piece));
          return piece;
        };
      });
      for (const file of [made.older, made.newer]) await page.locator("input[type=file]").first().setInputFiles([file]);
      await page.waitForTimeout(400); // until both are being read, or one was
      await page.waitForFunction(() => document.querySelector("#kinds") && !document.querySelector(".status *"));
      assert.equal(await page.locator("h1").last().innerText(), "newer.dat");
    }));

    test("where what serves the page has ended, saving and reading say so", async () => {
      const ended = await makeServer(), page = await browser.newPage();
      await page.goto(await listen(ended, 0));
      await give(page, [made.newer]);
      ended.close();
      ended.closeAllConnections?.();
      await page.getByRole("button", { name: "Save this report" }).click();
      await page.getByText(/^The report cannot be saved, since what serves this page does not answer: /).waitFor({ timeout: 5000 });
      await page.locator("input[type=file]").first().setInputFiles([made.older]);
      await page.getByText(/^The reader ended: what serves this page has ended, or /).waitFor({ timeout: 5000 });
      assert.equal(await page.locator("#kinds").count(), 1, "what was shown still is");
      await page.close();
    });

    test("a browser without 64-bit memories reads processes of 64 bits, too", () => withPage(async (page) => {
      await give(page, [made.newer]);
      assert.match(await page.locator("main").innerText(), /64 bits/);
    }, withoutWideMemories));
  });
});

describe("what was dropped on the page", () => {
  test("a module is of the memories beside it, or of the first", () => {
    const nothing = { memory: null, older: null, module: null }, one = { memory: "a", older: null, module: "m" };
    assert.deepEqual(afterDrop(nothing, ["a"], "m"), one);
    assert.deepEqual(afterDrop(afterDrop(nothing, [], "m"), ["a"], null), one);
    assert.deepEqual(afterDrop({ ...one, module: null }, [], "m"), one);
    assert.deepEqual(afterDrop(one, ["b"], null), { memory: "b", older: null, module: null });
    assert.deepEqual(afterDrop(one, ["b", "c"], "n"), { memory: "c", older: "b", module: "n" });
  });
});

test("the page writes sizes as the command does", () => {
  for (const bytes of [0, 1, 1023, 1024, 1152, 1162, 1048570, 1048575, 2 ** 20, 2 ** 30, 2 ** 40]) assert.equal(formatBytes(bytes), formatSize(bytes));
  assert.equal(formatBytes(-1152), "\u22121.12 KB");
});

test("a share has as many digits as it takes", () => {
  assert.deepEqual([[0, 7], [7, 0], [1, 3], [1, 300], [1, 3e6], [-1, 3]].map(([part, whole]) => formatShare(part, whole)), ["0 %", "0 %", "33.3 %", "0.33 %", "< 0.01 %", "\u221233.3 %"]);
});

test("what cannot be seen is shown as its number, and no character is cut in two", () => {
  assert.equal(visible("a\u0000\u202e\ud800\u034f\ufe0f\u{e0041}b\u00e9"), "a\\u{0}\\u{202e}\\u{d800}\\u{34f}\\u{fe0f}\\u{e0041}b\u00e9");
  assert.equal(visible("ab\u{1f600}", 3), "ab…");
});

test("a page's title is text, and a report's marks are no page's", () => {
  assert.equal(safeText(`<a & "b" 'c'>\u0007\u202e\ud800`), "&#60;a &#38; &#34;b&#34; &#39;c&#39;&#62;\ufffd\ufffd\ufffd");
  const data = /** @type {any} */ ({ title: "@data@ & >" });
  assert.equal(embed("<title>@title@</title>@data@", data), '<title>@data@ &#38; &#62; \u00b7 MemBuddy</title>{"title":"@data@ \\u0026 \\u003e"}');
  assert.throws(() => embed("@data@ @title@", data), /damaged/);
});

test("of the changes the largest 400 are told, and how many others there are", async () => {
  const older = await attach(made.older), newer = await attach(made.newer), names = { before: "a", after: "b" };
  const change = diff(older, newer), { kinds, paths, totals } = changesData(change, names);
  for (const { kind, count, countBefore, bytes, bytesBefore } of kinds)
    assert.deepEqual([countBefore, bytesBefore, count, bytes], [older, newer].map((heap) => /** @type {Record<string, { count: number, bytes: number }>} */ (heap.kinds())[kind]).flatMap((one) => [one.count, one.bytes]));
  assert.deepEqual(totals.map(({ before, after }) => [before, after]), [older, newer].reduce((/** @type {number[][]} */ rows, heap) => {
    const { live, garbage } = heap.books();
    return [heap.image.bytes, live, garbage].map((figure, index) => [...(rows[index] ?? []), figure]);
  }, []));
  for (const { state, before, after, change: bytes } of paths) {
    assert.deepEqual([before === null, after === null], [state === "appeared", state === "went"]);
    assert.equal((after ?? 0) - (before ?? 0), bytes);
  }
  const [largest] = change.paths, many = { ...change, paths: Array.from({ length: 405 }, () => ({ ...largest, path: `_G/${"x".repeat(2000)}`, objects: 1 })) };
  const told = changesData(many, names);
  assert.deepEqual([told.paths.length, told.otherPaths, told.paths[0].path.length], [400, 5, 1001]);
});

test("a headroom of nothing is told", async () => {
  const heap = await attach(made.newer, { module: fileURLToPath(new URL("membuddy-lua54-wasm64.wasm", dist)) }), account = heap.account();
  heap.account = () => ({ ...account, headroom: 0 });
  assert.equal(reportData(heap).facts.find(({ name }) => name === "headroom")?.value, "0 bytes");
});

describe("the server", () => {
  /** @param {import("node:http").RequestOptions} options @returns {Promise<import("node:http").IncomingMessage>} */
  const ask = (options) => new Promise((resolve, reject) => http.request(options, (response) => resolve(response.resume())).on("error", reject).end());

  test("listens on loopback only, gives out what it has, to no other name, and takes nothing", async () => {
    const server = await makeServer();
    const port = Number(new URL(await listen(server, 0)).port);
    try {
      const host = "127.0.0.1";
      assert.equal(/** @type {any} */ (server.address()).address, host);
      assert.equal((await ask({ host, port })).statusCode, 200);
      assert.equal((await ask({ host, port, path: "/attach-lua54-wasm64.wasm" })).headers["content-type"], "application/wasm");
      assert.equal((await ask({ host, port, path: "/../../package.json" })).statusCode, 404);
      assert.equal((await ask({ host, port, path: "/%2e%2e/package.json" })).statusCode, 404);
      for (const path of ["//", "//?x", "/\\", "http://[", "*"]) assert.equal((await ask({ host, port, path })).statusCode, 404, path);
      assert.equal((await ask({ host, port, path: "/?x" })).statusCode, 200);
      const refused = await ask({ host, port, method: "POST" }), head = await ask({ host, port, method: "HEAD" });
      assert.deepEqual([refused.statusCode, refused.headers.allow], [405, "GET, HEAD"]);
      assert.deepEqual([head.statusCode, head.headers["content-type"]], [200, "text/html; charset=utf-8"]);
      for (const [name, value] of Object.entries({ "content-security-policy": /^default-src 'none'; .*frame-ancestors 'none'$/, "x-content-type-options": /^nosniff$/, "cache-control": /^no-store$/,
        "referrer-policy": /^no-referrer$/, "cross-origin-resource-policy": /^same-origin$/, "cross-origin-opener-policy": /^same-origin$/ }))
        for (const { headers } of [refused, head]) assert.match(String(headers[name]), value);
      for (const name of ["LOCALHOST", `localhost:${port}`, `[::1]:${port}`]) assert.equal((await ask({ host, port, headers: { host: name } })).statusCode, 200, name);
      for (const path of ["/", "//"]) assert.equal((await ask({ host, port, path, headers: { host: "evil.example" } })).statusCode, 403);
      assert.equal(await new Promise((resolve) => http.get({ host, port, headers: { host: "evil.example" } }, (response) => resolve(text(response)))), "403\n");
      const other = await makeServer();
      await assert.rejects(listen(other, port), /port \d+ .*--port/);
    } finally {
      server.close();
      server.closeAllConnections?.();
    }
  });
});
