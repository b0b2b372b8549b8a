#include "lua_options.h"

#include <string.h>

#include "lua_support.h"

typedef enum { OPTION_DEPTH, OPTION_LIMIT, OPTION_BYTES, OPTION_FLAG, OPTION_TARGET } option_type;

static const struct {
  char name[10];
  uint8_t type;
  uint8_t field; /* where it is read to */
} known_options[] = {
    {"target", OPTION_TARGET, 0},
    {"depth", OPTION_DEPTH, offsetof(report_options, depth)},
    {"max_depth", OPTION_DEPTH, offsetof(report_options, depth)},
    {"min_size", OPTION_BYTES, offsetof(report_options, min_size)},
    {"top", OPTION_LIMIT, offsetof(report_options, top)},
    {"children", OPTION_LIMIT, offsetof(report_options, children)},
    {"lines", OPTION_LIMIT, offsetof(report_options, lines)},
    {"cycles", OPTION_FLAG, offsetof(report_options, cycles)},
    {"no_header", OPTION_FLAG, offsetof(report_options, no_header)},
    {"retained", OPTION_FLAG, offsetof(report_options, retained)},
    {"budget", OPTION_BYTES, offsetof(report_options, budget)},
    {"checks", OPTION_FLAG, offsetof(report_options, checks)},
};
#define KNOWN_COUNT (sizeof known_options / sizeof *known_options)

static const char *const accepted[] = {
    [OPTION_DEPTH] = "a whole number from 0, math.huge, \"inf\" or \"infinity\"",
    [OPTION_LIMIT] = "a whole number from 0, or false for all",
    [OPTION_BYTES] = "a number of bytes from 0",
    [OPTION_FLAG] = "true or false",
};

/* In the place of a limit whose default depends on others. */
#define NOT_SAID (OPTION_ALL - 1)

/* A whole number from 0; one that does not fit means "all". */
static int read_count(lua_State *L, uint32_t *count) {
  int is_whole;
  lua_Integer number = lua_tointegerx(L, -1, &is_whole);
  if (lua_type(L, -1) != LUA_TNUMBER) return 0;
  *count = OPTION_ALL;
  if (lua_tonumber(L, -1) >= (lua_Number)NOT_SAID) return 1;
  *count = (uint32_t)number;
  return is_whole && number >= 0;
}

static int read_bytes(lua_State *L, lua_Number *bytes) {
  if (lua_type(L, -1) != LUA_TNUMBER) return 0;
  *bytes = lua_tonumber(L, -1);
  return *bytes >= 0;
}

static int read_all(uint32_t *count) {
  *count = OPTION_ALL;
  return 1;
}

static int is_infinite(lua_State *L) {
  return support_is_text(L, -1, "inf") || support_is_text(L, -1, "infinity");
}

/* Reads the value on top into an option; 0 when it is not accepted. */
static int read_option(lua_State *L, option_type type, void *field) {
  int is_boolean = lua_isboolean(L, -1), is_true = lua_toboolean(L, -1);
  switch (type) {
  case OPTION_DEPTH: return is_infinite(L) ? read_all(field) : read_count(L, field);
  case OPTION_LIMIT: return is_boolean && !is_true ? read_all(field) : read_count(L, field);
  case OPTION_BYTES: return read_bytes(L, field);
  case OPTION_FLAG: *(int *)field = is_true; return is_boolean;
  default: return 1; /* the target may be anything */
  }
}

void options_default(report_options *options) {
  static const report_options defaults = {
      .depth = OPTION_DEFAULT_DEPTH,
      .top = 20,
      .children = OPTION_DEFAULT_CHILDREN,
      .lines = NOT_SAID,
      .min_size = 1,
      .cycles = 1,
      .checks = OPTION_IF_ROOM,
  };
  *options = defaults;
}

static size_t find_option(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TSTRING) return KNOWN_COUNT;
  const char *name = lua_tostring(L, index);
  size_t i = 0;
  while (i < KNOWN_COUNT && strcmp(known_options[i].name, name) != 0) i++;
  return strlen(name) == lua_rawlen(L, index) ? i : KNOWN_COUNT;
}

/* Pushes a key that is none of an option; returns 0 and pushes nothing when all are. */
static int push_unknown(lua_State *L, int index) {
  for (lua_pushnil(L); lua_next(L, index);) {
    lua_pop(L, 1);
    if (find_option(L, -1) == KNOWN_COUNT) return 1;
  }
  return 0;
}

int options_are(lua_State *L, int index) {
  if (!push_unknown(L, index)) return 1;
  lua_pop(L, 1);
  return 0;
}

/* The key on top is none of an option. */
static void refuse_unknown(lua_State *L) {
  for (size_t i = 0; i < KNOWN_COUNT; i++) {
    lua_pushstring(L, i == 0 ? "" : ", ");
    lua_pushstring(L, known_options[i].name);
  }
  lua_concat(L, 2 * KNOWN_COUNT);
  const char *all = lua_tostring(L, -1); /* showing the name pushes */
  support_refuse(L, "unknown option '%s'; accepted: %s", support_show_name(L, -2), all);
}

void options_read(lua_State *L, int index, report_options *options) {
  support_check_stack(L, 2 * KNOWN_COUNT + 6);
  if (push_unknown(L, index)) refuse_unknown(L);
  for (size_t i = 0; i < KNOWN_COUNT; i++) {
    option_type type = (option_type)known_options[i].type;
    if (support_push_field(L, index, known_options[i].name) != LUA_TNIL &&
        !read_option(L, type, (char *)options + known_options[i].field))
      support_refuse(L, "option '%s' is %s; accepted: %s", known_options[i].name,
                     support_show(L, -1), accepted[type]);
    lua_pop(L, 1);
  }
  if (support_push_field(L, index, "target") != LUA_TNIL)
    options->target = lua_gettop(L);
  else
    lua_pop(L, 1);
}

void options_settle(report_options *options) {
  if (options->lines != NOT_SAID) return;
  int asks_for_more =
      options->depth > OPTION_DEFAULT_DEPTH || options->children > OPTION_DEFAULT_CHILDREN;
  options->lines = asks_for_more ? OPTION_ALL : OPTION_DEFAULT_LINES;
}
