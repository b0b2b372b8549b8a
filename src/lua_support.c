#include "lua_support.h"

#include <stdarg.h>

#include "lauxlib.h"

#define LONGEST_SHOWN 64

int support_refuse(lua_State *L, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  luaL_where(L, CALLER_LEVEL);
  lua_pushliteral(L, "membuddy: ");
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 3);
  return lua_error(L);
}

int support_raise_no_memory(lua_State *L) {
  lua_pushliteral(L, "not enough memory");
  return lua_error(L);
}

int support_push_field(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  lua_pushstring(L, name);
  return lua_rawget(L, index);
}

int support_push_global(lua_State *L, const char *name) {
  if (lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS) == LUA_TTABLE)
    support_push_field(L, -1, name);
  else
    lua_pushnil(L);
  lua_remove(L, -2);
  return lua_type(L, -1);
}

const char *support_show(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TBOOLEAN) return lua_toboolean(L, index) ? "true" : "false";
  const char *text = lua_tostring(L, index);
  if (text == NULL) return luaL_typename(L, index);
  return lua_rawlen(L, index) > LONGEST_SHOWN ? "a long string" : text;
}

void support_push_number(lua_State *L, size_t number) { lua_pushinteger(L, (lua_Integer)number); }

void support_set_numbers(lua_State *L, const void *structure, const named_number *numbers,
                         size_t count) {
  for (; count > 0; count--, numbers++) {
    support_push_number(L, ((const size_t *)structure)[numbers->word]);
    lua_setfield(L, -2, numbers->name);
  }
}
