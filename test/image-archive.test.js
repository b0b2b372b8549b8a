/**
 * The archive is a drop-in for the official builder: it asks for nothing that a build of Lua lacks, and works in a
 * process of the official kind (wasm/dropin), where nothing of our boot program is.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ourImages } from "./support/images.js";
import { spawnProcess } from "./support/process.js";

const inRoot = (/** @type {string} */ path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const hexadecimal = (/** @type {string} */ code) => Buffer.from(code).toString("hex");

/** @param {string} archive @param {string} which */
const symbolsOf = (archive, which) =>
  execFileSync(inRoot("build/toolchain/bin/llvm-nm"), [which, "--format=just-symbols", archive], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line !== "" && !line.endsWith(":"));

// Lua's own, the C library's and the linker's. The last is weak: an image of ours says its limits there.
const isLua = /^lua[A-Z_]?[A-Za-z]*_?\w*$/;
const isLibrary = /^(mem|str)\w+$|^v?sn?printf$|^(malloc|calloc|realloc|free|qsort|abort|floor|__small_sprintf)$|^emscripten_(stack_get_current|get_sbrk_ptr|get_heap_size)$/;
const isLinker = /^__(stack_pointer|stack_low|stack_high|global_base|data_end|heap_base|indirect_function_table|memory_base|table_base)$/;
const isOurs = /^membuddy_image_limits$/;

for (const image of ourImages)
  test(`libmembuddy of ${image.name}: one entry, and nothing undefined but Lua, the C library and the linker's marks`, () => {
    const archive = inRoot(`dist/lib${image.name}.a`);
    const defined = new Set(symbolsOf(archive, "--defined-only"));
    assert.ok(defined.has("luaopen_membuddy"));
    const asked = symbolsOf(archive, "--undefined-only").filter((name) => !defined.has(name));
    assert.deepEqual(asked.filter((name) => ![isLua, isLibrary, isLinker, isOurs].some((kind) => kind.test(name))), []);
  });

// A builder that links for dynamic loading (-sMAIN_MODULE) refuses code that has a fixed place; so does a side module.
for (const image of ourImages)
  test(`libmembuddy of ${image.name} can be linked where addresses are not fixed`, async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "membuddy-"));
    const flags = ["-sSIDE_MODULE=2", "-sEXPORTED_FUNCTIONS=_luaopen_membuddy", ...(image.name.endsWith("64") ? ["-sMEMORY64=1", "-Wno-experimental"] : [])];
    try {
      execFileSync(inRoot("build/toolchain/bin/emcc"), [...flags, inRoot(`dist/lib${image.name}.a`), "-o", path.join(folder, "side.wasm")], { stdio: "pipe" });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

// The official builder's flags ask for SIMD, which the V8 of Node.js 18 can't compile with 64-bit addresses.
const lacksWideSimd = Number(process.versions.node.split(".")[0]) < 20;

for (const bits of [64, 32]) {
  const skip = bits === 64 && lacksWideSimd && "Node.js 18 can't load SIMD code with 64-bit addresses, which the official flags ask for";
  describe(`the archive in a process of the official kind, ${bits} bits`, () => {
    const spawn = async () => {
      const aos = await spawnProcess(inRoot(`build/image/dropin-wasm${bits}.wasm`), { data: hexadecimal("return 1") });
      const run = async (/** @type {string} */ code) => (await aos.send({ Data: hexadecimal(code) })).Output.data;
      return { aos, run };
    };

    test("the books balance", { skip }, async () => {
      const { run } = await spawn();
      const fill = "T = {} for i = 1, 20000 do T[i] = { i, 's' .. i } end for i = 1, 20000, 3 do T[i] = nil end";
      assert.equal(await run(`${fill} return require('membuddy').profile().unaccounted`), "0");
    });

    test("every byte of linear memory is told, between the official allocator's aligned blocks too", { skip }, async () => {
      const { aos, run } = await spawn();
      await run("T = {} for i = 1, 20000 do T[i] = { i, 's' .. i } end for i = 1, 20000, 3 do T[i] = nil end collectgarbage()");
      const sum = await run("local sum = 0 for _, bytes in pairs(require('membuddy').account().parts) do sum = sum + bytes end return sum");
      assert.equal(Number(sum), aos.memoryBytes);
    });
  });
}
