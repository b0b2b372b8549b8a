/*
** The border: how a Lua program reaches the library, and the only file whose
** functions may be on the stack while something else of the program runs (its
** `print`, and finalizers before or after a call).
*/
#include "membuddy.h"

#include <string.h>

#include "lauxlib.h"

#include "checks_source.h" /* made of checks.lua by scripts/pack-lua.js */
#include "lua_functions.h"
#include "lua_support.h"

/* Lua's collector works where something is made, and finalizers with it. */
static int make_something(lua_State *L) {
  lua_pushliteral(L, "");
  return 0;
}

/* Leaves the result of a function on top. The collector works then for what the function made; a
** finalizer that fails, of which 5.3 tells whoever makes something, costs no result. */
static void call_function(lua_State *L, lua_CFunction function) {
  if (function_call_at_rest(L, function) != LUA_OK) lua_error(L);
  lua_pushcfunction(L, make_something);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* Every function but `print`: its upvalue says which. */
static int border(lua_State *L) {
  call_function(L, lua_tocfunction(L, lua_upvalueindex(1)));
  return 1;
}

/* ---- the checks: a Lua program on top of these functions, read when it is wanted ---- */

typedef struct {
  size_t next;
  char piece[PACKED_LONGEST_PIECE];
} unpacking;

/* A byte from 0x80 on stands for a pair of bytes. Returns the length of what it stands for. */
static size_t unpack(char *to, unsigned char byte) {
  if (byte < 0x80) {
    *to = (char)byte;
    return 1;
  }
  const unsigned char *pair = packed_pairs[byte - 0x80];
  size_t length = unpack(to, pair[0]);
  return length + unpack(to + length, pair[1]);
}

static const char *read_piece(lua_State *L, void *data, size_t *length) {
  unpacking *u = data;
  (void)L;
  if (u->next == sizeof packed_text) return NULL;
  *length = unpack(u->piece, packed_text[u->next++]);
  return u->piece;
}

/* Runs the program with this library (the first upvalue), a request, the value at `argument`, and
** Lua's libraries. Leaves its result, or the error; returns the status. */
static int run_checks(lua_State *L, const char *request, int argument) {
  unpacking u = {0, {0}};
  int status = lua_load(L, read_piece, &u, "=membuddy.checks", "t");
  if (status != LUA_OK) return status;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushstring(L, request);
  lua_pushvalue(L, argument);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  return lua_pcall(L, 4, 1, 0);
}

/* The second upvalue is the request. Without the memory for `checks`: an empty list, and the error;
** wrong options are refused. */
static int border_checks(lua_State *L) {
  const char *request = lua_tostring(L, lua_upvalueindex(2));
  lua_settop(L, 1);
  if (run_checks(L, request, 1) == LUA_OK) return 1;
  int is_no_memory = support_is_no_memory(L);
  if (is_no_memory && strcmp(request, "checks") == 0) {
    lua_newtable(L);
    lua_insert(L, -2);
    return 2;
  }
  if (is_no_memory || lua_type(L, -1) != LUA_TSTRING) return lua_error(L); /* a hook's, say */
  luaL_where(L, 1);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

/* ---- print ---- */

/* The program's `print` is called in the open: it may do anything. */
static void print_lines(lua_State *L, int lines, int print) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, lines);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_pushvalue(L, print);
    lua_rawgeti(L, lines, i);
    lua_call(L, 1, 0);
  }
}

static int border_print(lua_State *L) {
  call_function(L, function_print_lines);
  int lines = lua_gettop(L);
  lua_rawgeti(L, lines, PRINT_WANTS_CHECKS);
  int are_wanted = lua_toboolean(L, -1);
  /* Before a line is written: aos keeps what it prints, which is no growth of the program's. */
  if (are_wanted && run_checks(L, "lines", lines) != LUA_OK) { /* no memory, or a changed Lua */
    lua_createtable(L, 1, 0);
    const char *why = lua_tostring(L, -2);
    lua_pushfstring(L, "Checks: none, since %s", why ? why : "of an error that is no text");
    lua_rawseti(L, -2, 1);
  }
  int findings = lua_gettop(L), print = findings + 1;
  lua_rawgeti(L, lines, PRINT_FUNCTION);
  print_lines(L, lines, print);
  if (are_wanted) print_lines(L, findings, print);
  return 0;
}

LUAMOD_API int luaopen_membuddy(lua_State *L) {
  lua_settop(L, 0);
  lua_pushcfunction(L, border);
  lua_pushcfunction(L, border_print);
  lua_pushcfunction(L, border_checks);
  call_function(L, function_open);
  return 1;
}
