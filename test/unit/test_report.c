/*
** Reports of one heap: whatever the depth, the room for lines, the seed of the
** hashes and the addresses, they say the same.
*/
#include "audit.h"
#include "check.h"
#include "loans.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS    60
#define PATIENCE 40000

/* ---- the room for lines ---- */

static unsigned long lines_compared, keys_missing, walks;
/* Every line of a report that folds says what the same line says in the report of everything. Only
** the key of a line that was folded at first may be among the folded bytes of its parent: when what
** holds the line was folded as well, nobody knows any more whether the key was its own. */
static void compare_trees(const global_State *g, const tree *all, const tree *some) {
  for (uint32_t i = 0; i < some->used; i++) {
    const tree_node *n = &some->nodes[i];
    if (!n->in_use || n->object == NULL || n->parent == TREE_NONE) continue;
    const tree_node *whole = &all->nodes[tree_find(all, n->object)];
    size_t below = n->total_bytes - n->own_bytes,
           whole_below = whole->total_bytes - whole->own_bytes;
    lines_compared++;
    CHECK(below == whole_below, "a line says %zu bytes are below, %zu are", below, whole_below);
    CHECK(n->own_bytes <= whole->own_bytes &&
              n->own_bytes >= walk_object_bytes(g, (GCObject *)n->object),
          "a line says %zu own bytes, it has %zu", n->own_bytes, whole->own_bytes);
    keys_missing += n->own_bytes < whole->own_bytes;
  }
}

static void note_reference(void *context, label_kind kind, uintptr_t place, GCObject *key,
                           GCObject *value) {
  (void)kind, (void)place, (void)key;
  if (value) *(int *)context = 1;
}

/* A userdata that can't be queued, and holds something. */
static void find_unlinked(void *context, GCObject *object) {
  if (layout_kind(object) == KIND_USERDATA && layout_link(object) == NULL)
    layout_each_in_userdata(gco2u(object), note_reference, context);
}

/* A bounded tree and a growing one of that depth against one without a depth. */
static void compare_walks(lua_State *L, uint32_t nodes, uint32_t depth) {
  tree all, some;
  walk_books books;
  void *room = malloc(tree_memory_bytes(nodes, 8));
  CHECK(tree_init_growing(&all, TREE_UNLIMITED), "no memory");
  CHECK(walk_process(L, &all, &books) == WALK_OK, "no memory");
  tree_sum(&all);
  tree_init_bounded(&some, room, nodes, 8, depth);
  CHECK(walk_process(L, &some, &books) == WALK_OK, "no memory");
  tree_sum(&some);
  compare_trees(G(L), &all, &some);
  CHECK(tree_init_growing(&some, depth), "no memory");
  CHECK(walk_process(L, &some, &books) == WALK_OK, "no memory");
  tree_sum(&some);
  compare_trees(G(L), &all, &some);
  tree_release(&some);
  tree_release(&all);
  free(room);
}

static int only_with_unlinked;

static void probe_depths(heap *h, lua_State *L) {
  int unlinked = 0;
  if (check_failed() || h->parsing) return;
  walk_each_object(L, find_unlinked, &unlinked);
  if (unlinked != only_with_unlinked) return;
  dice d = dice_of(walks++);
  uint32_t depth = (uint32_t)dice_roll(&d, 4);
  compare_walks(L, 64u + (uint32_t)dice_roll(&d, 600), depth);
}

static void compare_depths(int with_unlinked) {
  only_with_unlinked = with_unlinked;
  lines_compared = keys_missing = walks = 0;
  unsigned long programs = check_setting("PROGRAMS", 1000) / 4;
  unsigned long first = check_setting("SEED", 1) + 3000000;
  for (unsigned long seed = first; seed < first + programs && !check_failed(); seed++) {
    heap h;
    heap_open(&h, (unsigned int)seed);
    heap_run(&h,
             "io = nil package.loaded.io = nil local r = debug.getregistry() for k, v in pairs(r) "
             "do if type(v) == 'userdata' then r[k] = nil end end"); /* its files are userdata */
    lua_gc(h.L, LUA_GCCOLLECT, 0);
    lua_gc(h.L, LUA_GCCOLLECT, 0);
    h.probe = probe_depths;
    h.patience = PATIENCE;
    heap_stop_often(&h, 500, seed);
    heap_run_program(&h, seed, STEPS);
    heap_close(&h);
    if (check_failed()) check_note("the program of seed %lu", seed);
  }
  check_note("%lu walks, %lu lines compared, %lu without their keys", walks, lines_compared,
             keys_missing);
  CHECK(keys_missing < lines_compared / 1000 + 10, "%lu of %lu lines lack their keys", keys_missing,
        lines_compared);
  CHECK(check_failed() || lines_compared > programs, "too little was compared");
  CHECK(loans_open() == 0, "%zu loans are open", loans_open());
}

static void test_depths(void) { compare_depths(0); }
static void test_depths_with_unlinked(void) { compare_depths(1); }

/* ---- seeds and addresses ---- */

static const char *const printing =
    "local m, options = require('membuddy'), ... local lines = {} "
    "local before = print print = function(line) lines[#lines + 1] = line end "
    "m.print(options) print = before return table.concat(lines, '\\n')";

/* The report of a program's heap; owned. */
static char *report_of(const char *code, const char *options, unsigned int seed, size_t shift) {
  heap h;
  char *text = NULL;
  heap_open(&h, seed);
  void *other_addresses = malloc(shift);
  if (heap_run(&h, code)) {
    lua_gc(h.L, LUA_GCCOLLECT, 0);
    CHECK(luaL_loadstring(h.L, printing) == LUA_OK, "%s", lua_tostring(h.L, -1));
    CHECK(luaL_loadstring(h.L, options) == LUA_OK, "%s", lua_tostring(h.L, -1));
    CHECK(lua_pcall(h.L, 0, 1, 0) == LUA_OK && lua_pcall(h.L, 1, 1, 0) == LUA_OK, "%s",
          lua_tostring(h.L, -1));
    if (lua_isstring(h.L, -1)) {
      size_t length = lua_rawlen(h.L, -1) + 1;
      text = malloc(length);
      memcpy(text, lua_tostring(h.L, -1), length);
    }
  }
  free(other_addresses);
  heap_close(&h);
  return text;
}

static void report_difference(const char *a, const char *b, unsigned int seed) {
  size_t at = 0, line = 0;
  for (; a[at] && a[at] == b[at]; at++)
    if (a[at] == '\n') line = at + 1;
  int a_length = (int)strcspn(a + line, "\n"), b_length = (int)strcspn(b + line, "\n");
  CHECK(0, "with seed %u it says '%.*s' in the place of '%.*s'", seed, b_length, b + line, a_length,
        a + line);
}

static void same_for_all(const char *code, const char *options, unsigned int seed_step) {
  char *first = report_of(code, options, 1, 16);
  for (unsigned int round = 1; round < 12 && first && !check_failed(); round++) {
    char *text = report_of(code, options, 1 + round * seed_step, round * 1000);
    if (text && strcmp(first, text) != 0) report_difference(first, text, 1 + round * seed_step);
    free(text);
  }
  free(first);
}

static const char *const small_heap =
    "Balances = {} for i = 1, 100 do Balances['account ' .. i] = tostring(i) end "
    "Inbox = {} for i = 1, 20 do Inbox[i] = {Tags = {'a' .. i}, Data = string.rep('d', i)} end "
    "Handlers = {list = {}} for i = 1, 30 do Handlers.list[i] = {name = 'h' .. i, "
    "handle = function() return i, Inbox end, pattern = {Action = 'A' .. i}} end "
    "Handlers.list[3].parent = Handlers Waiting = coroutine.create(function() local t = {} "
    "coroutine.yield() return t end) coroutine.resume(Waiting)";

static const char *const wide_heap =
    "Orders = {} for i = 1, 3000 do Orders['order ' .. 10000 + i] = {owner = 'owner ' .. i, "
    "items = {i, i + 1}} end "
    "Balances = {} for i = 1, 2000 do Balances['account ' .. 10000 + i] = 'x' .. 10000 + i end";
/* Strings that several tables hold: who comes first must not depend on where an entry lies. */
static const char *const shared_strings =
    "Names = {} for i = 1, 60 do local name = string.rep('shared ', 10) .. i "
    "Names['a' .. i] = name Names['b' .. i] = name Names['c' .. i] = {name} end "
    "One, Two, Three = {Names.a1}, {Names.a1}, {{Names.a1}}";
static const char *const shared_tables =
    "local shared = {} for i = 1, 20 do shared[i] = {i, string.rep('s', i)} end "
    "First, Second, Third = {}, {}, {} for i = 1, 20 do First['x' .. i] = shared[i] "
    "Second['x' .. i] = shared[i] Third['y' .. i] = {shared[i]} end";
static const char *const cyclic = "Nodes = {} for i = 1, 100 do Nodes['n' .. i] = {root = Nodes} "
                                  "Nodes['n' .. i].self = Nodes['n' .. i] end";

/* Keys that read alike, as they are cut, and numbers in the hash, whose places strings take. */
static const char *const alike = "T = {} for i = 11, 50 do T[string.rep('x', 64) .. i] = "
                                 "{['k' .. i] = {}} T[1000 * i] = {['n' .. i] = {}} end";

static void same_in_many_heaps(unsigned int seed_step) {
  same_for_all(small_heap, "return {top = false}", seed_step);
  same_for_all(small_heap, "return {top = false, depth = 6, children = false}", seed_step);
  same_for_all(small_heap, "return {top = false, retained = true}", seed_step);
  same_for_all(wide_heap, "return {top = false}", seed_step);
  same_for_all(wide_heap, "return {target = Orders, top = false}", seed_step);
  same_for_all(shared_strings, "return {top = false, children = false}", seed_step);
  same_for_all(shared_tables, "return {top = false, children = false}", seed_step);
  same_for_all(cyclic, "return {top = false}", seed_step);
}

static void test_addresses(void) { same_in_many_heaps(0); }
/* What several paths of one length hold counts for the one that is met first, and tables are walked
** in the order of their nodes (see README): Lua's own libraries share names, these don't. */
static void test_seeds(void) {
  same_for_all(small_heap, "return {target = Balances, top = false}", 2654435761u);
  same_for_all(small_heap, "return {target = Inbox, top = false}", 2654435761u);
}
static void keeps_first(const char *code, const char *third, const char *fourth) {
  char *text = report_of(code, "return {target = T, children = 3, top = false}", 1, 16);
  CHECK(text && strstr(text, third) && !strstr(text, fourth), "%s", text ? text : "no report");
  free(text);
}

static void test_ties(void) {
  keeps_first("T = {} for i = 1, 20 do T[i] = {i} end", "T/3: ", "T/4: ");
  keeps_first("T = {} for i = -3, 20 do T[1000 * i] = {i} end", "T/-1000: ", "T/0: ");
  keeps_first("T = {} for i = 11, 30 do T['k' .. i] = {i} end", "T/k13: ", "T/k14: ");
  keeps_first("T = {} for i, k in ipairs({'', '\\1', '\\1\\1', '/'}) do "
              "T[k] = string.rep(i, 4 - #k) end",
              "T/\\x01\\x01: ", "T/\\/: ");
  same_for_all(alike, "return {target = T, children = 8, top = false}", 2654435761u);
  same_for_all(alike, "return {target = T, children = 60, top = false}", 2654435761u);
}
/* What 5.3 alone keeps: see `layout_each_touched_upvalue`. */
static const char *const touch =
    "local function make() local closure local thread = coroutine.create(function() "
    "local value = {string.rep('t', 5000)} closure = function() return value end "
    "coroutine.yield() end) coroutine.resume(thread) return closure end "
    "native.advance(7) local closure = make() native.thread(1, 2, 3, 4, 5, 6, 7, 8, 9) "
    "native.advance(1) closure = nil ";

static void test_late_roots(void) {
  heap h;
  heap_open(&h, 1);
  heap_run(&h, "m = require('membuddy') collectgarbage('stop') "
               "function leave(text, finalize) "
               "setmetatable({text:rep(5000)}, {__gc = finalize or function() end}) end");
  heap_run(&h, "leave('r')");
  heap_run(&h, "assert(m.profile().totalSizes['[resurrected]/1/1'] > 5000) collectgarbage()");
  heap_run(&h, "leave('f') "
               "leave('g', function() seen = m.profile().totalSizes['[finalizers]'] end)");
  heap_run(&h, "collectgarbage() assert(seen > 5000) collectgarbage('restart')");
  lua_getglobal(h.L, "native");
  lua_getfield(h.L, -1, "has_generations");
  int is_kept = !lua_toboolean(h.L, -1);
  char code[800];
  snprintf(code, sizeof code,
           "%s local bytes = require('membuddy').profile().totalSizes['[touched upvalues]/1/1'] "
           "assert((bytes or 0) > 5000 == %s, bytes)",
           touch, is_kept ? "true" : "false");
  heap_run(&h, code);
  heap_close(&h);
}

/* The one child of thousands that turns out to be large tells how many entries it holds, and its
** siblings how many they are. */
static void test_count_of_admitted(void) {
  static const struct {
    const char *large, *told;
  } cases[] = {
      {"{s, s .. 2, s .. 3}", "T/1000/[3 more]"},
      {"setmetatable({s, s .. 2, s .. 3}, {})", "T/1000/[4 more]"},
      {"(function() local a, b = s, s .. 2 return function() return a, b end end)()",
       "T/1000/[2 more]"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char code[400];
    snprintf(code, sizeof code,
             "T = {} for i = 1, 2000 do T[i] = {1, 2, 'own ' .. i} end "
             "local s = string.rep('s', 5000) T[1000] = load('local s = ... return %s', '=x')(s)",
             cases[i].large);
    char *text = report_of(code, "return {target = T, depth = 2, top = false}", 1, 16);
    CHECK(text && strstr(text, cases[i].told), "%s", text ? text : "no report");
    free(text);
  }
}

/* Modules whose tables are small and whose functions are not, beside thousands of values that are
** larger than the tables: what has a name has its node from the first walk on. */
static void test_named(void) {
  heap h;
  tree t;
  walk_books books;
  uint64_t room[TREE_ROOM(TREE_REPORT_NODES, TREE_REPORT_CYCLES)];
  heap_open(&h, 1);
  heap_run(
      &h,
      "Data, Modules = {}, {all = {}} "
      "for i = 1, 3000 do Data[i] = {(i .. ' '):rep(300), {}} end "
      "for i = 1, 40 do Modules.all[i] = {run = load('local a = {} '..('a[#a + 1] = #a '):rep(500)"
      "..' return a', 'm' .. i)} end");
  tree_init_bounded(&t, room, TREE_REPORT_NODES, TREE_REPORT_CYCLES, TREE_REPORT_DEPTH);
  CHECK(walk_process(h.L, &t, &books) == WALK_OK, "no memory");
  CHECK(t.threshold_bytes > 200, "the data of %zu bytes had nodes", t.threshold_bytes);
  CHECK(t.wanted_count == 0, "%u entries are large that had no node", t.wanted_count);
  heap_close(&h);
}

/* What userdata without a link hold counts below them at any depth: a chain of them (5.3) that is
** not all lines, and a thread with an open cell. */
static void test_unlinked(void) {
  heap h;
  heap_open(&h, 1);
  heap_run(&h, "local out, err, input = io.stdout, io.stderr, io.stdin io, package.loaded.io = nil "
               "local thread = coroutine.create(function() local kept = {} "
               "local f = function() return kept end coroutine.yield(f) end) "
               "coroutine.resume(thread) debug.setmetatable(err, nil) "
               "debug.setuservalue(input, thread) debug.setuservalue(out, err) "
               "debug.setuservalue(err, {{}, {{}}}) Many = {[('k'):rep(5000)] = out, {input}} "
               "for i = 2, 400 do Many[i] = {i .. '', {}, {}} end");
  for (uint32_t depth = 1; depth <= TREE_REPORT_DEPTH; depth++)
    for (uint32_t nodes = 64; nodes < 200; nodes += 4) compare_walks(h.L, nodes, depth);
  heap_close(&h);
}

/* A child of a large table that turns out to be large has its line wherever its entry stands: the
** value of a key that has one as well, values whose weak keys come alive late, a metatable. */
static void test_labels_of_admitted(void) {
  static const char *const programs[] = {
      "for i = 1, 20 do T[{text(i, 2500)}] = {text(100 + i, 3200)} end return 40",
      ("setmetatable(T, {__mode = 'k'}) Keys = {{{{}}}} for i = 1, 20 do local key = {} "
       "Keys[1][1][1][i], T[key] = key, {text(i, 3200)} end return 20"),
      "setmetatable(T, {text(1, 3200)}) return 1"};
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
    char code[1200];
    heap h;
    heap_open(&h, 1);
    snprintf(code, sizeof code,
             "function text(i, bytes) return ('%%08d'):format(i) .. ('x'):rep(bytes - 8) end "
             "T = {} for i = 1, 3000 do T['a' .. i] = text(i, 1000) end "
             "local wanted, found = (function() %s end)(), 0 "
             "for path, bytes in pairs(require('membuddy').profile({lines = 320}).totalSizes) do "
             "if bytes > 2500 and path:find('^_G/T/%%[[^/]*$') and not path:find(' more]') then "
             "found = found + 1 end end "
             "assert(found == wanted, found .. ' lines')",
             programs[i]);
    heap_run(&h, code);
    heap_close(&h);
  }
}

/* A userdata that the walk passes through is a step of the path to what it holds. */
static void test_path_through_userdata(void) {
  heap h;
  heap_open(&h, 1);
  heap_run(&h, "local m, value = require('membuddy'), native.userdata(8, 0) "
               "Kept = {list = {value, {}}} debug.setmetatable(value, {{}}) "
               "local function check(path, ...) local target = m.profile((...), {}).target "
               "assert(target == path, target) end "
               "check('_G/Kept/list/1/[metatable]', debug.getmetatable(value)) "
               "check('_G/Kept/list/1/[metatable]/1', debug.getmetatable(value)[1]) "
               "check('_G/Kept/list/2', Kept.list[2]) "
               "local inner = native.userdata(8, 1) native.setuservalue(inner, 1, {}) "
               "Outer = {native.userdata(8, 1)} native.setuservalue(Outer[1], 1, inner) "
               "check('_G/Outer/1/[uservalue 1]/[uservalue 1]', debug.getuservalue(inner, 1))");
  heap_close(&h);
}

/* A compiled chunk may call a variable what it likes. */
static void test_hostile_name(void) {
  heap h;
  heap_open(&h, 1);
  heap_run(&h,
           "local m = require('membuddy') "
           "local code = string.dump(function() local abcdefgh = {1, {}} "
           "return require('membuddy').profile(abcdefgh) end):gsub('abcdefgh', '\\27[31m/\\\\x') "
           "local results = load(code, 'x', 'b')() "
           "assert(results.target == '\\\\x1B[31m\\\\/\\\\\\\\x', results.target) "
           "print = function() end m.print(results)");
  heap_close(&h);
}

/* Lua 5.3 tells whoever allocates that a finalizer failed: the caller has the results for all
** that. */
static void test_failing_finalizer(void) {
  heap h;
  heap_open(&h, 1);
  heap_run(&h, "local m, ran, results = require('membuddy'), 0 "
               "collectgarbage('setstepmul', 1000000) collectgarbage('stop') "
               "for i = 1, 100 do setmetatable({}, {__gc = function() ran = ran + 1 "
               "error('failed') end}) end "
               "collectgarbage('restart') "
               "for i = 1, 20 do if ran == 0 then results = m.profile() end end "
               "collectgarbage('stop') "
               "assert(ran > 0 and results.unaccounted == 0)");
  heap_close(&h);
}

/* Of the prototype of a function without constants: its source, the names and the one inside. */
static void test_count(void) {
  char *text = report_of("f = load('return function(name) return function() end end', '=x')()",
                         "return {target = f, children = 1, top = false}", 1, 16);
  CHECK(text && strstr(text, "/[2 more]"), "%s", text ? text : "no report");
  free(text);
}

static const test tests[] = {
    {"what is below a line depends neither on the depth nor on the room for lines", test_depths},
    {"the same for what userdata without user values hold", test_depths_with_unlinked},
    {"a report does not depend on addresses", test_addresses},
    {"a report of what is held once does not depend on the seed of hashes", test_seeds},
    {"what only a finalizer or a mark phase that was broken off keeps has a root of its own",
     test_late_roots},
    {"a child that gets its line late tells how many entries it holds", test_count_of_admitted},
    {"a child that gets its line late gets it whatever stands before it in its table",
     test_labels_of_admitted},
    {"the name of a variable is written as a key that reads so", test_hostile_name},
    {"a finalizer that fails costs no report", test_failing_finalizer},
    {"the path to what userdata hold leads through them", test_path_through_userdata},
    {"what userdata hold is below them at any depth, in a chain and with open cells too",
     test_unlinked},
    {"what has a name is walked once, however much data there is", test_named},
    {"what holds nothing is not counted among those without a line", test_count},
    {"of entries of one size those have lines whose keys come first", test_ties},
};
CHECK_MAIN(tests)
