#include "lua_options.h"

#include <math.h>
#include <string.h>

#include "lauxlib.h"

typedef void (*option_reader)(lua_State *L, const char *name, void *field);

static int refuse(lua_State *L, const char *name, const char *accepted) {
  const char *value;
  switch (lua_type(L, -1)) {
  case LUA_TNUMBER:
  case LUA_TSTRING: value = lua_tostring(L, -1); break;
  case LUA_TBOOLEAN: value = lua_toboolean(L, -1) ? "true" : "false"; break;
  default: value = luaL_typename(L, -1); break;
  }
  if (strlen(value) > 64) value = "a long string";
  return luaL_error(L, "membuddy: option '%s' is %s; accepted: %s", name, value, accepted);
}

/* A whole number from 0 that fits; a larger one means "all". */
static int read_count(lua_State *L, uint32_t *count) {
  if (lua_type(L, -1) != LUA_TNUMBER) return 0;
  lua_Number number = lua_tonumber(L, -1);
  if (!(number >= 0) || (number != floor(number) && !isinf(number))) return 0;
  *count = number >= (lua_Number)OPTION_ALL ? OPTION_ALL : (uint32_t)number;
  return 1;
}

static void read_depth(lua_State *L, const char *name, void *field) {
  uint32_t *depth = field;
  if (lua_type(L, -1) == LUA_TSTRING) {
    const char *text = lua_tostring(L, -1);
    if (strcmp(text, "inf") == 0 || strcmp(text, "infinity") == 0) {
      *depth = OPTION_ALL;
      return;
    }
  }
  if (!read_count(L, depth))
    refuse(L, name, "a whole number from 0, math.huge, \"inf\" or \"infinity\"");
}

static void read_limit(lua_State *L, const char *name, void *field) {
  uint32_t *limit = field;
  if (lua_isboolean(L, -1) && !lua_toboolean(L, -1))
    *limit = OPTION_ALL;
  else if (!read_count(L, limit))
    refuse(L, name, "a whole number from 0, or false for all");
}

static void read_bytes(lua_State *L, const char *name, void *field) {
  lua_Number *bytes = field;
  if (lua_type(L, -1) != LUA_TNUMBER || !(lua_tonumber(L, -1) >= 0))
    refuse(L, name, "a number of bytes from 0");
  *bytes = lua_tonumber(L, -1);
}

static void read_flag(lua_State *L, const char *name, void *field) {
  if (!lua_isboolean(L, -1)) refuse(L, name, "true or false");
  *(int *)field = lua_toboolean(L, -1);
}

static const struct {
  const char *name;
  option_reader read; /* NULL: the target */
  size_t field;
} known_options[] = {
    {"target", NULL, 0},
    {"depth", read_depth, offsetof(report_options, depth)},
    {"max_depth", read_depth, offsetof(report_options, depth)},
    {"min_size", read_bytes, offsetof(report_options, min_size)},
    {"top", read_limit, offsetof(report_options, top)},
    {"children", read_limit, offsetof(report_options, children)},
    {"lines", read_limit, offsetof(report_options, lines)},
    {"cycles", read_flag, offsetof(report_options, cycles)},
    {"no_header", read_flag, offsetof(report_options, no_header)},
    {"retained", read_flag, offsetof(report_options, retained)},
};
#define KNOWN_COUNT (sizeof known_options / sizeof *known_options)

void options_default(report_options *options) {
  memset(options, 0, sizeof *options);
  options->depth = OPTION_DEFAULT_DEPTH;
  options->top = 20;
  options->children = OPTION_DEFAULT_CHILDREN;
  options->lines = OPTION_ALL - 1; /* not said */
  options->min_size = 1;
  options->cycles = 1;
}

static size_t find_option(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TSTRING) return KNOWN_COUNT;
  const char *name = lua_tostring(L, index);
  size_t i = 0;
  while (i < KNOWN_COUNT && strcmp(known_options[i].name, name) != 0) i++;
  return i;
}

int options_are(lua_State *L, int index) {
  index = lua_absindex(L, index);
  for (lua_pushnil(L); lua_next(L, index);) {
    lua_pop(L, 1);
    if (find_option(L, -1) == KNOWN_COUNT) {
      lua_pop(L, 1);
      return 0;
    }
  }
  return 1;
}

static void refuse_unknown(lua_State *L, int index) {
  luaL_Buffer names;
  const char *key =
      lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : luaL_typename(L, index);
  if (strlen(key) > 64) key = "a long string";
  lua_pushstring(L, key);
  luaL_buffinit(L, &names);
  for (size_t i = 0; i < KNOWN_COUNT; i++) {
    if (i > 0) luaL_addstring(&names, ", ");
    luaL_addstring(&names, known_options[i].name);
  }
  luaL_pushresult(&names);
  luaL_error(L, "membuddy: unknown option '%s'; accepted: %s", lua_tostring(L, -2),
             lua_tostring(L, -1));
}

void options_read(lua_State *L, int index, report_options *options) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 6, "membuddy");
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
    if (find_option(L, -2) == KNOWN_COUNT) refuse_unknown(L, -2);
  for (size_t i = 0; i < KNOWN_COUNT; i++) {
    if (known_options[i].read == NULL) continue;
    lua_pushstring(L, known_options[i].name);
    lua_rawget(L, index);
    if (!lua_isnil(L, -1))
      known_options[i].read(L, known_options[i].name, (char *)options + known_options[i].field);
    lua_pop(L, 1);
  }
  lua_pushliteral(L, "target");
  lua_rawget(L, index);
  options->has_target = !lua_isnil(L, -1);
  if (!options->has_target) lua_pop(L, 1);
}

void options_settle(report_options *options) {
  if (options->lines != OPTION_ALL - 1) return;
  int asks_for_more =
      options->depth > OPTION_DEFAULT_DEPTH || options->children > OPTION_DEFAULT_CHILDREN;
  options->lines = asks_for_more ? OPTION_ALL : OPTION_DEFAULT_LINES;
}
