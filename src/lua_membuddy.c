/*
** The border: how a Lua program reaches the library, and the only file whose
** functions may be on the stack while something else of the program runs (its
** `print`, and finalizers before or after a call).
*/
#include "membuddy.h"

#include <string.h>

#include "lauxlib.h"

#include "layout.h"
#include "lua_functions.h"

/* Says where in the program an error came from, as the functions of Lua do. */
static int raise_with_position(lua_State *L) {
  if (lua_type(L, -1) == LUA_TSTRING && strncmp(lua_tostring(L, -1), "membuddy:", 9) == 0) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

/* Calls a function with all arguments and the collector at rest, whose pace is left alone. */
static int call_at_rest(lua_State *L, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_insert(L, 1);
  int collector = layout_stop_collector(G(L));
  int status = lua_pcall(L, lua_gettop(L) - 1, 1, 0);
  layout_restart_collector(G(L), collector);
  return status == LUA_OK ? 1 : raise_with_position(L);
}

/* Every function but `print`: its upvalue says which. */
static int border(lua_State *L) { return call_at_rest(L, lua_tocfunction(L, lua_upvalueindex(1))); }

/* The program's `print` is called in the open: it may do anything. */
static int border_print(lua_State *L) {
  call_at_rest(L, function_print_lines);
  int lines = lua_gettop(L);
  size_t count = lua_rawlen(L, lines);
  for (size_t i = 1; i <= count; i++) {
    lua_pushglobaltable(L);
    lua_pushliteral(L, "print");
    lua_rawget(L, -2);
    if (!lua_isfunction(L, -1))
      return luaL_error(L, "membuddy: the global 'print' is a %s value; a function is needed",
                        luaL_typename(L, -1));
    lua_rawgeti(L, lines, (lua_Integer)i);
    lua_call(L, 1, 0);
    lua_settop(L, lines);
  }
  return 0;
}

LUAMOD_API int luaopen_membuddy(lua_State *L) {
  static const luaL_Reg functions[] = {{"profile", function_profile},
                                       {"sizeof", function_sizeof},
                                       {"format_size", function_format_size},
                                       {"account", function_account},
                                       {"kinds", function_kinds},
                                       {"retained", function_retained}};
  lua_createtable(L, 0, 11);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    lua_pushcfunction(L, functions[i].func);
    lua_pushcclosure(L, border, 1);
    lua_setfield(L, -2, functions[i].name);
  }
  lua_pushcfunction(L, border_print);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "print");
  lua_setfield(L, -2, "print_results");
  lua_pushliteral(L, "native");
  lua_setfield(L, -2, "backend");
  lua_pushliteral(L, MEMBUDDY_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "exact");
  return 1;
}
