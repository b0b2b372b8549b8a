/*
** Runs test/heaps/contract.lua over both backends that live in a process, the
** library and the module in pure Lua: every claim in a state of its own, then
** the books of that state. What pure Lua cannot hold stands in
** test/heaps/pure_limits.lua.
*/
#include "audit.h"
#include "check.h"
#include "loans.h"

#include <stdio.h>

/* Pushes the list of claims; 0 where the file can't be run. */
static int push_claims(heap *h) {
  if (!heap_load_file(h, "contract.lua")) return 0;
  if (lua_pcall(h->L, 0, 1, 0) == LUA_OK) return 1;
  check_begin("the contract can be read");
  CHECK(0, "%s", lua_tostring(h->L, -1));
  check_end();
  return 0;
}

/* The value that a file of test/heaps returns, on top; 0 where it can't be run. */
static int push_file_value(heap *h, const char *name) {
  return heap_load_file(h, name) && lua_pcall(h->L, 0, 1, 0) == LUA_OK;
}

/* Puts the module in pure Lua in the place of the library. */
static int use_pure_module(heap *h) {
  luaL_getsubtable(h->L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(h->L);
  lua_setfield(h->L, -2, "membuddy");
  int loaded = push_file_value(h, "../../src/membuddy.lua");
  if (loaded) lua_setfield(h->L, -2, "membuddy");
  lua_settop(h->L, 0);
  return loaded;
}

/* Notes why the claim of this name can't hold in pure Lua, if it can't. */
static void note_limit(heap *h, const char *claim) {
  static char why[256];
  if (!push_file_value(h, "pure_limits.lua")) return;
  if (lua_getfield(h->L, -1, claim) == LUA_TSTRING) {
    snprintf(why, sizeof why, "%s", lua_tostring(h->L, -1));
    check_is_open(why);
  }
  lua_pop(h->L, 2);
}

/* The claim, its table is on top, in a test of its own. */
static void check_claim(heap *h, const char *name, int pure) {
  static char why[256], title[300];
  snprintf(title, sizeof title, "%s%s", pure ? "pure Lua: " : "", name);
  check_begin(title);
  lua_getfield(h->L, -1, "open");
  if (lua_isstring(h->L, -1)) {
    snprintf(why, sizeof why, "%s", lua_tostring(h->L, -1));
    check_is_open(why);
  }
  lua_pop(h->L, 1);
  if (pure) note_limit(h, name);
  lua_getfield(h->L, -1, "run");
  int status = lua_pcall(h->L, 0, 0, 0);
  CHECK(status == LUA_OK, "%s", lua_tostring(h->L, -1));
  audit_blocks(h, h->L);
  audit_walk(h, h->L, 0);
  CHECK(loans_open() == 0, "%zu loans are open", loans_open());
}

/* Returns 0 when there is no such claim. */
static int run_claim(lua_Integer index, const char *only, int pure) {
  heap h;
  char name[256];
  heap_open(&h, (unsigned int)index * 7919u);
  int found = (!pure || use_pure_module(&h)) && push_claims(&h) &&
              lua_rawgeti(h.L, -1, index) == LUA_TTABLE;
  if (found) {
    lua_getfield(h.L, -1, "name");
    snprintf(name, sizeof name, "%s", lua_tostring(h.L, -1));
    lua_pop(h.L, 1);
    if (only == NULL || strstr(name, only)) {
      check_claim(&h, name, pure);
      heap_close(&h);
      check_end();
      return 1;
    }
  }
  heap_close(&h);
  return found;
}

int main(int argc, char **argv) {
  const char *only = argc > 1 ? argv[1] : NULL;
  for (int pure = 0; pure <= 1; pure++)
    for (lua_Integer index = 1; run_claim(index, only, pure);) index++;
  return check_close();
}
