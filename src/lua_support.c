#include "lua_support.h"

#include <string.h>

#include "lauxlib.h"

#define LONGEST_SHOWN 64

int support_raise(lua_State *L, const char *before) {
  luaL_where(L, CALLER_LEVEL);
  lua_pushstring(L, before);
  lua_rotate(L, -3, -1);
  lua_concat(L, 3);
  return lua_error(L);
}

int support_refuse_argument(lua_State *L, const char *function, const char *problem) {
  lua_pushfstring(L, "bad argument #1 to '%s' (%s)", function, problem);
  return support_raise(L, "");
}

int support_is_text(lua_State *L, int index, const char *text) {
  return lua_type(L, index) == LUA_TSTRING && strcmp(lua_tostring(L, index), text) == 0;
}

#define NO_MEMORY "not enough memory" /* Lua's own words */

int support_raise_no_memory(lua_State *L) {
  lua_pushliteral(L, NO_MEMORY);
  return lua_error(L);
}

int support_is_no_memory(lua_State *L) { return support_is_text(L, -1, NO_MEMORY); }

void support_check_stack(lua_State *L, int slots) {
  if (!lua_checkstack(L, slots)) support_raise_no_memory(L);
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

/* A string up to what a terminal would not show as it is. */
static const char *shown_text(lua_State *L, int index) {
  const char *text = lua_tostring(L, index);
  size_t length = 0;
  if (lua_rawlen(L, index) > LONGEST_SHOWN) return "a long string";
  while ((unsigned char)text[length] >= 0x20 && text[length] != 0x7F) length++;
  return lua_pushlstring(L, text, length);
}

const char *support_show(lua_State *L, int index) {
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN: return lua_toboolean(L, index) ? "true" : "false";
  case LUA_TNUMBER: return lua_tostring(L, index);
  case LUA_TSTRING: return lua_pushfstring(L, "\"%s\"", shown_text(L, index));
  default: return luaL_typename(L, index);
  }
}

const char *support_show_name(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING ? shown_text(L, index) : support_show(L, index);
}

void support_set_entry(lua_State *L, int index, lua_Integer number) {
  lua_pushinteger(L, number);
  lua_insert(L, -2);
  lua_rawset(L, index);
}

void support_push_number(lua_State *L, size_t number) { lua_pushinteger(L, (lua_Integer)number); }

void support_set_numbers(lua_State *L, const void *structure, const named_number *numbers,
                         size_t count) {
  for (; count > 0; count--, numbers++) {
    support_push_number(L, ((const size_t *)structure)[numbers->word]);
    lua_setfield(L, -2, numbers->name);
  }
}
