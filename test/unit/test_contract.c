/*
** Runs test/heaps/contract.lua: every claim in a state of its own, then the
** books of that state.
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

static int run_claim(lua_Integer index, const char *only) {
  heap h;
  char name[256];
  static char why[256];
  heap_open(&h, (unsigned int)index * 7919u);
  if (!push_claims(&h) || lua_rawgeti(h.L, -1, index) != LUA_TTABLE) {
    heap_close(&h);
    return 0;
  }
  lua_getfield(h.L, -1, "name");
  snprintf(name, sizeof name, "%s", lua_tostring(h.L, -1));
  lua_getfield(h.L, -2, "run");
  if (only == NULL || strstr(name, only)) {
    check_begin(name);
    lua_getfield(h.L, -3, "open");
    if (lua_isstring(h.L, -1)) {
      snprintf(why, sizeof why, "%s", lua_tostring(h.L, -1));
      check_is_open(why);
    }
    lua_pop(h.L, 1);
    int status = lua_pcall(h.L, 0, 0, 0);
    CHECK(status == LUA_OK, "%s", lua_tostring(h.L, -1));
    audit_blocks(&h, h.L);
    audit_walk(&h, h.L, 0);
    CHECK(loans_open() == 0, "%zu loans are open", loans_open());
    heap_close(&h);
    check_end();
    return 1;
  }
  heap_close(&h);
  return 1;
}

int main(int argc, char **argv) {
  for (lua_Integer index = 1; run_claim(index, argc > 1 ? argv[1] : NULL);) index++;
  return check_close();
}
