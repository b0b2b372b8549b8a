#include "lua_print.h"

#include <stdio.h>
#include <string.h>

#include "lauxlib.h"

#include "lua_results.h"
#include "lua_support.h"
#include "membuddy.h"

/* ---- colours and sizes ---- */

/* Pushes the escape sequence of a colour, or "". Raw: `Colors` may be anybody's. */
static void push_colour(lua_State *L, const char *name) {
  if (support_push_global(L, "Colors") == LUA_TTABLE) {
    int found = support_push_field(L, -1, name);
    lua_remove(L, -2);
    if (found == LUA_TSTRING) return;
  }
  lua_pop(L, 1);
  lua_pushliteral(L, "");
}

/* Puts the colour round the string on top. */
static void colour_top(lua_State *L, const char *name) {
  push_colour(L, name);
  lua_insert(L, -2);
  push_colour(L, "reset");
  lua_concat(L, 3);
}

void print_push_size(lua_State *L, lua_Number bytes, int coloured) {
  static const char *const units[] = {"bytes", "KB", "MB", "GB"};
  char number[320]; /* the largest double has 309 digits */
  size_t unit = 0;
  /* 1023.995 would print as 1024.00 */
  for (; (bytes < 0 ? -bytes : bytes) >= (unit ? 1023.995 : 1023.5) && unit < 3; unit++)
    bytes /= 1024;
  snprintf(number, sizeof number, unit == 0 ? "%.0f" : "%.2f", (double)bytes);
  lua_pushstring(L, number);
  if (coloured) colour_top(L, unit == 0 ? "green" : "red");
  lua_pushliteral(L, " ");
  lua_pushstring(L, units[unit]);
  if (coloured) colour_top(L, "gray");
  lua_concat(L, 3);
}

/* ---- lines ---- */

/* Places on the stack, of what the lines are made from. */
enum { AT_RESULTS = PRINT_LINES + 1, AT_SIZES, AT_TOTALS, AT_CYCLES, AT_RETAINED };

/* Makes the string on top the next line, and pops it. */
static void print_top(lua_State *L) {
  support_set_entry(L, PRINT_LINES, (lua_Integer)lua_rawlen(L, PRINT_LINES) + 1);
}

static void print_coloured(lua_State *L, const char *text, const char *colour) {
  lua_pushstring(L, text);
  colour_top(L, colour);
  print_top(L);
}

/* ---- results that somebody may have edited ---- */

static void refuse_results(lua_State *L, const char *field, const char *found,
                           const char *expected) {
  support_refuse(L, "these results were changed: '%s' is %s; expected %s", field, found, expected);
}

static void push_typed_field(lua_State *L, const char *name, int type, const char *expected) {
  if (support_push_field(L, AT_RESULTS, name) != type)
    refuse_results(L, name, luaL_typename(L, -1), expected);
}

static void push_table_field(lua_State *L, const char *name) {
  push_typed_field(L, name, LUA_TTABLE, "a table");
}

static lua_Number number_field(lua_State *L, const char *name) {
  push_typed_field(L, name, LUA_TNUMBER, "a number");
  lua_Number number = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return number;
}

/* U+0080 to U+009F too, which begin with 0xC2; behind the last byte stands a zero. */
static int has_control(const char *text, size_t length) {
  const unsigned char *bytes = (const unsigned char *)text;
  for (size_t i = 0; i < length; i++)
    if (bytes[i] < 0x20 || bytes[i] == 0x7F || (bytes[i] == 0xC2 && (bytes[i + 1] & 0xE0) == 0x80))
      return 1;
  return 0;
}

/* A path, at `index`, or a table with one; what somebody else wrote may not reach a terminal. */
static void check_path(lua_State *L, const char *name, const char *what, int index) {
  if (has_control(lua_tostring(L, index), lua_rawlen(L, index)))
    refuse_results(L, name, what, "paths as profile wrote them");
}

/* Checks a table of paths: string keys, values of one type. Returns their number and their sum. */
static size_t check_paths(lua_State *L, int table, const char *name, int value_type,
                          lua_Number *sum) {
  size_t count = 0;
  static const char what[] = "a table with control characters in a path";
  *sum = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1), count++) {
    if (lua_type(L, -2) != LUA_TSTRING)
      refuse_results(L, name, "a table with other keys than paths", "paths only");
    check_path(L, name, what, -2);
    const char *type = luaL_typename(L, -1); /* showing the name pushes */
    if (lua_type(L, -1) != value_type)
      support_refuse(L, "these results were changed: '%s' of '%s' is a %s; expected a %s", name,
                     support_show_name(L, -2), type, lua_typename(L, value_type));
    if (value_type == LUA_TNUMBER)
      *sum += lua_tonumber(L, -1);
    else
      check_path(L, name, what, -1);
  }
  return count;
}

/* ---- sizes ---- */

/* A line; its strings are borrowed from the results. */
typedef struct {
  const char *path;
  const char *target;     /* of a circular reference */
  lua_Number shown_bytes; /* with everything below */
  lua_Number own_bytes;
} line;

/* Largest first, then by path. */
static int comes_before(const line *a, const line *b) {
  if (a->shown_bytes != b->shown_bytes) return a->shown_bytes > b->shown_bytes;
  return strcmp(a->path, b->path) < 0;
}

/* Lines wait in a heap: whoever prints twenty of a hundred thousand need not sort the rest. */
typedef struct {
  const line **heap;
  size_t count;
} line_heap;

static void sink(const line_heap *lines, size_t at) {
  const line **heap = lines->heap, *moved = heap[at];
  for (size_t child; (child = 2 * at + 1) < lines->count; at = child) {
    if (child + 1 < lines->count && comes_before(heap[child + 1], heap[child])) child++;
    if (!comes_before(heap[child], moved)) break;
    heap[at] = heap[child];
  }
  heap[at] = moved;
}

/* Takes out the line that comes before all others. */
static const line *take_first(line_heap *lines) {
  const line *first = lines->heap[0];
  lines->heap[0] = lines->heap[--lines->count];
  sink(lines, 0);
  return first;
}

/* Pushes a userdata with the lines of a table of paths whose sizes (of `totals`, if they are there;
** else their own) are at least `min_size`. A path that refers to another has no size. */
static line_heap push_lines(lua_State *L, int paths, int totals, size_t count,
                            lua_Number min_size) {
  line_heap lines = {lua_newuserdatauv(L, (count + 1) * (sizeof(line) + sizeof(line *)), 0), 0};
  line *l = (line *)(lines.heap + count + 1);
  for (lua_pushnil(L); lua_next(L, paths); lua_pop(L, 2)) {
    l->path = lua_tostring(L, -2);
    l->target = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    l->own_bytes = l->shown_bytes = l->target ? 0 : lua_tonumber(L, -1);
    lua_pushvalue(L, -2);
    lua_rawget(L, totals);
    if (lua_type(L, -1) == LUA_TNUMBER) l->shown_bytes = lua_tonumber(L, -1);
    if (l->shown_bytes >= min_size) lines.heap[lines.count++] = l++;
  }
  for (size_t at = lines.count / 2; at-- > 0;) sink(&lines, at);
  return lines;
}

/* Pushes a path; its last step, where it is a sum of others, in another colour. */
static void push_coloured_path(lua_State *L, const char *path) {
  const char *sum = strstr(path, "/...");
  size_t length = strlen(path);
  if (sum && sum[4] == '\0') length -= 4;
  lua_pushlstring(L, path, length);
  colour_top(L, "blue");
  lua_pushstring(L, path + length);
  if (path[length]) colour_top(L, "green");
  lua_concat(L, 2);
}

/* Adds to the line on top what its path retains, if the results say so. */
static void add_retained(lua_State *L, const line *l) {
  if (l->target || !lua_istable(L, AT_RETAINED)) return;
  int is_known = support_push_field(L, AT_RETAINED, l->path) == LUA_TNUMBER;
  lua_Number bytes = lua_tonumber(L, -1);
  lua_pop(L, 1);
  if (!is_known) return;
  lua_pushliteral(L, ", retained ");
  print_push_size(L, bytes, 1);
  lua_concat(L, 3);
}

static void print_line(lua_State *L, const line *l) {
  lua_pushliteral(L, "    ");
  push_coloured_path(L, l->path);
  lua_pushliteral(L, ": ");
  if (l->target)
    push_coloured_path(L, l->target);
  else
    print_push_size(L, l->shown_bytes, 1);
  lua_concat(L, 4);
  add_retained(L, l);
  print_top(L);
}

static void print_rest(lua_State *L, size_t count, const char *what, lua_Number bytes) {
  lua_pushfstring(L, "... and %I other %s", (LUAI_UACINT)count, what);
  colour_top(L, "gray");
  if (bytes >= 0) {
    lua_pushliteral(L, ", totalling ");
    colour_top(L, "gray");
    print_push_size(L, bytes, 1);
    lua_concat(L, 3);
  }
  print_top(L);
}

/* A part of the report, and where the tables stand that it is made from. */
typedef struct {
  const char *title;
  const char *what; /* its lines are, when some are left out */
  int paths, totals;
  int has_sizes;
} section;

/* `others` are paths that have no line. */
static void print_section(lua_State *L, const section *s, size_t count, size_t others,
                          lua_Number min_size, size_t room) {
  line_heap lines = push_lines(L, s->paths, s->totals, count, min_size);
  print_coloured(L, s->title, "gray");
  for (; lines.count > 0 && room > 0; room--) print_line(L, take_first(&lines));
  lua_Number rest = 0; /* own bytes: totals would count what lies below twice */
  for (size_t i = 0; i < lines.count; i++) rest += lines.heap[i]->own_bytes;
  others += lines.count;
  if (others > 0) print_rest(L, others, s->what, s->has_sizes ? rest : -1);
  lua_pop(L, 1);
}

/* ---- the whole ---- */

static void print_amount(lua_State *L, const char *what, lua_Number bytes, const char *behind) {
  lua_pushstring(L, what);
  colour_top(L, "gray");
  print_push_size(L, bytes, 1);
  lua_pushstring(L, behind);
  lua_concat(L, 3);
}

static void print_header(lua_State *L) {
  print_coloured(L, "MemBuddy " MEMBUDDY_VERSION, "blue");
  lua_Number lua_bytes = number_field(L, "luaSize");
  lua_Number garbage = number_field(L, "garbage");
  lua_Number unaccounted = number_field(L, "unaccounted");
  print_amount(L, "Lua memory: ", lua_bytes, " = ");
  print_amount(L, "live ", lua_bytes - garbage - unaccounted, " + ");
  print_amount(L, "garbage ", garbage, "; ");
  print_amount(L, "unaccounted: ", unaccounted, "");
  lua_concat(L, 4);
  print_top(L);
  if (support_push_field(L, AT_RESULTS, "target") == LUA_TSTRING) {
    check_path(L, "target", "a path with control characters", -1);
    lua_pushliteral(L, "Held by ");
    lua_insert(L, -2);
    print_amount(L, "; others hold as well: ", number_field(L, "shared"), "");
    lua_concat(L, 3);
    print_top(L);
  } else {
    lua_pop(L, 1);
  }
}

static void check_type(lua_State *L) {
  support_push_field(L, AT_RESULTS, "type");
  if (!support_is_text(L, -1, RESULTS_TYPE))
    refuse_results(L, "type", support_show(L, -1), "'" RESULTS_TYPE "'");
  lua_pop(L, 1);
}

/* 0 where there is none. */
static size_t optional_count(lua_State *L, const char *name) {
  support_push_field(L, AT_RESULTS, name);
  lua_Integer count = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return count > 0 ? (size_t)count : 0;
}

static void refuse_sum(lua_State *L, lua_Number sum, lua_Number total) {
  char text[160];
  snprintf(text, sizeof text, "%.0f bytes; expected 'totalSize', which is %.0f", (double)sum,
           (double)total);
  support_refuse(L, "these results were changed: their sizes add up to %s", text);
}

void print_push_lines(lua_State *L, const report_options *options) {
  static const section sizes = {"Sizes:", "references", AT_SIZES, AT_TOTALS, 1};
  static const section cycles = {"Circular references:", "circular references", AT_CYCLES,
                                 AT_CYCLES, 0};
  lua_Number sum, unused, total;
  support_check_stack(L, 24);
  lua_insert(L, 1);
  lua_newtable(L);
  lua_insert(L, PRINT_LINES);
  lua_settop(L, AT_RESULTS);
  check_type(L);
  push_table_field(L, "sizes");
  push_table_field(L, "totalSizes");
  push_table_field(L, "circular");
  size_t count = check_paths(L, AT_SIZES, "sizes", LUA_TNUMBER, &sum);
  check_paths(L, AT_TOTALS, "totalSizes", LUA_TNUMBER, &unused);
  size_t cycle_count = check_paths(L, AT_CYCLES, "circular", LUA_TSTRING, &unused);
  total = number_field(L, "totalSize");
  if (sum != total) refuse_sum(L, sum, total);
  support_push_field(L, AT_RESULTS, "retained");
  if (!options->no_header) print_header(L);
  print_amount(L, "Total size: ", total, "");
  print_top(L);
  print_section(L, &sizes, count, 0, options->min_size, options->top);
  size_t other_cycles = optional_count(L, "otherCycles");
  if (options->cycles && cycle_count > 0)
    print_section(L, &cycles, cycle_count, other_cycles, 0, options->top);
  lua_settop(L, PRINT_LINES);
}
