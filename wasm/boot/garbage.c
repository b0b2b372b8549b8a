#define garbage_c
#include "garbage.h"

#include "lprefix.h"

#include "lua.h"

#include "lgc.h"

void garbage_collect(void *state) {
  if (state) luaC_fullgc(state, 1);
}
