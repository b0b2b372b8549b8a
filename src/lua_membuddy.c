/*
** The border: how a Lua program reaches the library, and the only file whose
** functions may be on the stack while something else of the program runs (its
** `print`, and finalizers before or after a call).
*/
#include "membuddy.h"

#include "lauxlib.h"

#include "checks_source.h" /* made of checks.lua by scripts/pack-lua.js */
#include "lua_functions.h"
#include "lua_support.h"

/* Lua's collector works where something is made, and finalizers with it. */
static int make_something(lua_State *L) {
  lua_concat(L, 0);
  return 1;
}

/* Leaves the result of a function on top. The collector works then for what the function made; a
** finalizer that fails, of which 5.3 tells whoever makes something, costs no result: its error lies
** below that, where otherwise something lies. */
static void call_function(lua_State *L, lua_CFunction function) {
  if (function_call_at_rest(L, function) != LUA_OK) lua_error(L);
  lua_pushcfunction(L, make_something);
  lua_pcall(L, 0, 1, 0);
  lua_insert(L, -2);
}

/* A program can reach the upvalue, and no more by it than another function. */
int border_function(lua_State *L) {
  size_t number = (size_t)lua_tointeger(L, lua_upvalueindex(1)) % FUNCTION_COUNT;
  call_function(L, function_table[number].func);
  return 1;
}

/* ---- the checks: a Lua program on top of these functions, read when it is wanted ---- */

typedef struct {
  size_t next;
  char piece[PACKED_LONGEST_PIECE];
} unpacking;

/* A byte from 0x80 on, or below a space (these come behind 0xFF), stands for a pair of bytes.
** Returns the length of what it stands for. */
static size_t unpack(char *to, unsigned char byte) {
  if (byte >= 0x20 && byte < 0x80) {
    *to = (char)byte;
    return 1;
  }
  const unsigned char *pair = packed_pairs[(unsigned char)(byte - 0x80)];
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

/* Runs the program with this library (the first upvalue), the request and what it is about (at 2
** and 1), and Lua's libraries. Leaves the result on top. Returns 1 if it is one for want of
** another: the error is at 3 then. */
static int run_checks(lua_State *L) {
  unpacking u;
  u.next = 0;
  int status = lua_load(L, read_piece, &u, "=membuddy.checks", "t");
  if (status == LUA_OK) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    status = lua_pcall(L, 4, 1, 0);
  }
  if (status == LUA_OK) return 0;
  lua_insert(L, 3);
  call_function(L, function_without_checks);
  return 1;
}

int border_checks(lua_State *L) {
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  int failed = run_checks(L);
  if (failed) lua_pushvalue(L, 3);
  return 1 + failed;
}

/* ---- print ---- */

/* Places on the stack while it prints; the request stands in that of the findings at first. */
enum { LINES = 1, FINDINGS, PRINT };

int border_print(lua_State *L) {
  call_function(L, function_print_lines);
  lua_insert(L, LINES);
  /* Before a line is written: aos keeps what it prints, which is no growth of the program's. */
  if (lua_rawgeti(L, LINES, PRINT_REQUEST) != LUA_TNIL) {
    lua_insert(L, FINDINGS);
    run_checks(L);
  }
  lua_copy(L, -1, FINDINGS); /* or nil */
  lua_rawgeti(L, LINES, PRINT_FUNCTION);
  lua_insert(L, PRINT);
  for (int list = LINES; list <= FINDINGS; list++) {
    for (unsigned i = 1; i <= lua_rawlen(L, list); i++) {
      lua_pushvalue(L, PRINT);
      lua_rawgeti(L, list, i);
      lua_call(L, 1, 0); /* in the open: it may do anything */
    }
  }
  return 0;
}

LUAMOD_API int luaopen_membuddy(lua_State *L) {
  call_function(L, function_open);
  return 1;
}
