/* Lua 5.4 has no bit32: Lua 5.3's own lbitlib.c is built beside this file and registered here. */
#include "lauxlib.h"

#include "image.h"

int luaopen_bit32(lua_State *L);

void image_open_bit32(lua_State *L) {
  luaL_requiref(L, "bit32", luaopen_bit32, 1);
  lua_pop(L, 1);
}
