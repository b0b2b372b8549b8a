/*
** Heaps that try to disturb a measurement (test/heaps/hostile.lua): the books
** balance, every report comes out, and all of it in time.
**
** Time is bounded by that of a full collection of the same heap, which passes
** over the same objects: a walk that takes many times as long has a fault in
** its order, not in its constant.
*/
#include "audit.h"
#include "check.h"
#include "loans.h"

#include <stdio.h>

#define SLOWEST 150.0 /* times a full collection: a report of all lines writes each of them */
/* Always allowed: small heaps are all noise. */
#if defined(__SANITIZE_ADDRESS__)
#define SLOWEST_MS 6000.0
#else
#define SLOWEST_MS 1000.0
#endif

static double collection_ms;

static int takes_too_long(double ms) { return ms > SLOWEST_MS && ms > SLOWEST * collection_ms; }

static const char *const calls[] = {"m.profile()",
                                    "m.account() m.kinds()",
                                    "m.profile({retained = true})",
                                    "m.print()",
                                    "m.profile({children = 2000, lines = 5000})",
                                    "m.profile({depth = 20})",
                                    "m.profile({children = false, depth = 2})",
                                    "m.profile(_G)",
                                    "m.retained(m)",
                                    "m.retained(_G)",
                                    "m.profile({target = string})"};
#define CALLS       (sizeof calls / sizeof *calls)
#define LARGE       400000 /* blocks of a heap for which only these many are made */
#define LARGE_CALLS 3

/* The slowest call so far, and what it is. */
static double slowest_ms;
static char slowest[300];

static void note_time(const char *what, double ms) {
  if (ms <= slowest_ms) return;
  slowest_ms = ms;
  snprintf(slowest, sizeof slowest, "%s", what);
}

static void make_calls(heap *h) {
  size_t count = h->blocks.count > LARGE ? LARGE_CALLS : CALLS;
  for (size_t i = 0; i < count && !check_failed(); i++) {
    char code[300];
    snprintf(code, sizeof code,
             "local m = debug.getregistry()['membuddy of the test'] local print = print "
             "_G.print = function() end local ok, e = pcall(function() %s end) _G.print = print "
             "if not ok then error(e, 0) end",
             calls[i]);
    double before_ms = check_now_ms();
    heap_run(h, code);
    note_time(calls[i], check_now_ms() - before_ms);
  }
}

static void walk(heap *h) {
  walk_books books;
  tree t;
  CHECK(tree_init_growing(&t, 3), "no memory");
  double before_ms = check_now_ms();
  CHECK(walk_process(h->L, &t, &books) == WALK_OK, "no memory");
  note_time("a walk", check_now_ms() - before_ms);
  tree_release(&t);
  CHECK(books.unaccounted == 0, "%td bytes are unaccounted for", books.unaccounted);
}

/* From where the heap is built: inside handlers, hooks and deep calls. */
static void probe(heap *h, lua_State *L) {
  if (check_failed()) return;
  audit_blocks(h, L);
  audit_walk(h, L, 1);
  audit_walk(h, L, 2);
  if (!lua_checkstack(L, 10)) return;
  lua_getfield(L, LUA_REGISTRYINDEX, "membuddy of the test");
  lua_getfield(L, -1, "profile");
  lua_pushvalue(L, -2); /* the library itself is the target */
  CHECK(lua_pcall(L, 1, 1, 0) == LUA_OK || strstr(lua_tostring(L, -1), "overflow"), "%s",
        lua_tostring(L, -1));
  lua_pop(L, 2);
}

/* Pushes the function that builds a heap; 0 behind the last one. */
static int push_build(heap *h, lua_Integer index, char name[100]) {
  if (!heap_load_file(h, "hostile.lua")) return 0;
  lua_getglobal(h->L, "native");
  if (lua_pcall(h->L, 1, 1, 0) != LUA_OK || lua_rawgeti(h->L, -1, index) != LUA_TTABLE) return 0;
  lua_getfield(h->L, -1, "name");
  snprintf(name, 100, "%s", lua_tostring(h->L, -1));
  lua_getfield(h->L, -2, "build");
  lua_replace(h->L, 1);
  lua_settop(h->L, 1);
  return 1;
}

static void keep_library(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "membuddy");
  lua_call(L, 1, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "membuddy of the test");
}

static void measure(heap *h, lua_Integer index) {
  CHECK(lua_pcall(h->L, 0, 0, 0) == LUA_OK, "%s", lua_tostring(h->L, -1));
  audit_blocks(h, h->L);
  audit_walk(h, h->L, (unsigned long)index);
  double before_ms = check_now_ms();
  lua_gc(h->L, LUA_GCCOLLECT, 0);
  collection_ms = check_now_ms() - before_ms;
  slowest_ms = 0;
  walk(h);
  make_calls(h);
  CHECK(loans_open() == 0, "%zu loans are open", loans_open());
}

static int run_heap(lua_Integer index, const char *only) {
  heap h;
  char name[100], claim[150];
  heap_open(&h, (unsigned int)index * 40503u);
  keep_library(h.L);
  int found = push_build(&h, index, name);
  if (found && (only == NULL || strstr(name, only))) {
    h.probe = probe;
    snprintf(claim, sizeof claim, "%s: measured exactly", name);
    check_begin(claim);
    measure(&h, index);
    h.probe = NULL;
    heap_close(&h);
    check_end();
    snprintf(claim, sizeof claim, "%s: measured in time", name);
    check_begin(claim);
    CHECK(!takes_too_long(slowest_ms), "%s takes %.0f ms, a collection %.0f ms", slowest,
          slowest_ms, collection_ms);
    check_end();
    return 1;
  }
  heap_close(&h);
  return found;
}

int main(int argc, char **argv) {
  for (lua_Integer index = 1; run_heap(index, argc > 1 ? argv[1] : NULL);) index++;
  return check_close();
}
