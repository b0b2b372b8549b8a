/*
** The border: how a Lua program reaches the library, and the only file whose
** functions may be on the stack while something else of the program runs (its
** `print`, and finalizers before or after a call).
*/
#include "membuddy.h"

#include "lauxlib.h"

#include "lua_functions.h"

/* Every function but `print`: its upvalue says which. */
static int border(lua_State *L) {
  lua_CFunction function = lua_tocfunction(L, lua_upvalueindex(1));
  return function_call_at_rest(L, function) == LUA_OK ? 1 : lua_error(L);
}

/* The program's `print` is called in the open: it may do anything. */
static int border_print(lua_State *L) {
  if (function_call_at_rest(L, function_print_lines) != LUA_OK) return lua_error(L);
  int lines = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, lines);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, lines, 0);
    lua_rawgeti(L, lines, i);
    lua_call(L, 1, 0);
  }
  return 0;
}

LUAMOD_API int luaopen_membuddy(lua_State *L) {
  lua_settop(L, 0);
  lua_pushcfunction(L, border);
  lua_pushcfunction(L, border_print);
  return function_call_at_rest(L, function_open) == LUA_OK ? 1 : lua_error(L);
}
