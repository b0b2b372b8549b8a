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

#define SLOWEST    40.0  /* times a full collection */
#define SLOWEST_MS 250.0 /* always allowed: small heaps are all noise */

static double collection_ms;

static int is_slow(double ms) { return ms > SLOWEST_MS && ms > SLOWEST * collection_ms; }

static const char *const calls[] = {
    "m.profile()",
    "m.account() m.kinds()",
    "m.profile({retained = true})",
    "m.print()",
    "m.profile({children = 2000, lines = 5000})",
    "m.profile({depth = 20})",
    "m.profile({children = false, depth = 2})",
    "m.profile(_G)",
    "local k, v = next(_G) m.retained(m) m.retained(_G) m.profile({target = string})"};
#define CALLS       (sizeof calls / sizeof *calls)
#define LARGE       400000 /* blocks of a heap for which only these many are made */
#define LARGE_CALLS 3

static void time_calls(heap *h) {
  size_t large = h->blocks.count > LARGE ? LARGE_CALLS : CALLS;
  for (size_t i = 0; i < large && !check_failed(); i++) {
    char code[300];
    snprintf(code, sizeof code,
             "local m = debug.getregistry()['membuddy of the test'] local print = print "
             "_G.print = function() end local ok, e = pcall(function() %s end) _G.print = print "
             "if not ok then error(e, 0) end",
             calls[i]);
    double before_ms = check_now_ms();
    heap_run(h, code);
    double ms = check_now_ms() - before_ms;
    CHECK(!is_slow(ms), "%s takes %.0f ms, a collection %.0f ms", calls[i], ms, collection_ms);
  }
}

static void time_walk(heap *h) {
  double before_ms = check_now_ms();
  walk_books books;
  tree t;
  tree_init_growing(&t, 3);
  CHECK(walk_process(h->L, &t, &books) == WALK_OK, "no memory");
  tree_release(&t);
  double ms = check_now_ms() - before_ms;
  CHECK(!is_slow(ms), "a walk takes %.0f ms, a collection %.0f ms", ms, collection_ms);
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

static int run_heap(lua_Integer index, const char *only) {
  heap h;
  char name[200];
  heap_open(&h, (unsigned int)index * 40503u);
  h.probe = probe;
  lua_getglobal(h.L, "require");
  lua_pushliteral(h.L, "membuddy");
  lua_call(h.L, 1, 1);
  lua_setfield(h.L, LUA_REGISTRYINDEX, "membuddy of the test");
  int found = 0;
  if (heap_load_file(&h, "hostile.lua")) {
    lua_getglobal(h.L, "native");
    lua_call(h.L, 1, 1);
    if (lua_rawgeti(h.L, -1, index) == LUA_TTABLE) {
      found = 1;
      lua_getfield(h.L, -1, "name");
      snprintf(name, sizeof name, "%s: measured exactly and in time", lua_tostring(h.L, -1));
      lua_getfield(h.L, -2, "build");
      lua_replace(h.L, 1);
      lua_settop(h.L, 1);
    }
  }
  if (found && (only == NULL || strstr(name, only))) {
    check_begin(name);
    CHECK(lua_pcall(h.L, 0, 0, 0) == LUA_OK, "%s", lua_tostring(h.L, -1));
    audit_blocks(&h, h.L);
    audit_walk(&h, h.L, (unsigned long)index);
    double before_ms = check_now_ms();
    lua_gc(h.L, LUA_GCCOLLECT, 0);
    collection_ms = check_now_ms() - before_ms;
    time_walk(&h);
    time_calls(&h);
    CHECK(loans_open() == 0, "%zu loans are open", loans_open());
    check_note("a collection takes %.0f ms", collection_ms);
    h.probe = NULL;
    heap_close(&h);
    check_end();
  } else {
    heap_close(&h);
  }
  return found;
}

int main(int argc, char **argv) {
  for (lua_Integer index = 1; run_heap(index, argc > 1 ? argv[1] : NULL);) index++;
  return check_close();
}
