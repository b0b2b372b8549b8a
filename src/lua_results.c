#include "lua_results.h"

#include <string.h>

#include "lua_support.h"
#include "path.h"

/* Places of the tables on the stack while results are built. */
enum { NAMESAKES = 1, RESULTS, SIZES, TOTALS, RETAINED, CIRCULAR, CYCLES };

static void set_number(lua_State *L, const char *name, size_t number) {
  support_push_number(L, number);
  lua_setfield(L, -2, name);
}

void results_push_kinds(lua_State *L, const kind_tally kinds[KIND_COUNT]) {
  static const char names[KIND_UNKNOWN][13] = {"table",    "string",  "function",
                                               "proto",    "upvalue", "thread",
                                               "userdata", "state",   "string_table"};
  lua_createtable(L, 0, KIND_UNKNOWN);
  for (int kind = 0; kind < KIND_UNKNOWN; kind++) {
    lua_createtable(L, 0, 2);
    set_number(L, "count", kinds[kind].count);
    set_number(L, "bytes", kinds[kind].bytes);
    lua_setfield(L, -2, names[kind]);
  }
}

static size_t count_objects(const kind_tally kinds[KIND_COUNT]) {
  size_t count = 0;
  for (int kind = 0; kind < KIND_STATE; kind++) count += kinds[kind].count;
  return count;
}

/* ---- paths ---- */

/* Longer paths are put together by Lua. */
#define SHORT_PATH_BYTES 512

/* Pushes a path: that of the line above (NULL: none) and one more step, which ends with a zero. */
static void push_path(lua_State *L, const TString *above, const char *step, size_t step_length) {
  char text[SHORT_PATH_BYTES];
  size_t above_length = above ? layout_string_length(above) + 1 : 0,
         length = above_length + step_length;
  if (length > sizeof text) {
    lua_pushfstring(L, "%s/%s", getstr(above), step);
    return;
  }
  if (above) {
    memcpy(text, getstr(above), above_length);
    text[above_length - 1] = '/';
  }
  memcpy(text + above_length, step, step_length);
  lua_pushlstring(L, text, length);
}

static int is_taken(lua_State *L) {
  lua_pushvalue(L, -1);
  int taken = lua_rawget(L, SIZES) != LUA_TNIL;
  lua_pop(L, 1);
  return taken;
}

/* Different keys can read alike (1 and "1"; any two tables; even the lines that MemBuddy adds):
** from the second on they get a number. The last one given is kept by path. */
static void number_namesake(lua_State *L) {
  if (!is_taken(L)) return;
  lua_pushvalue(L, -1);
  lua_rawget(L, NAMESAKES);
  lua_Integer number = lua_isnil(L, -1) ? 1 : lua_tointeger(L, -1);
  do {
    lua_pop(L, 1);
    lua_pushfstring(L, "%s#%I", lua_tostring(L, -1), (LUAI_UACINT)++number);
  } while (is_taken(L));
  lua_insert(L, -2);
  lua_pushinteger(L, number);
  lua_rawset(L, NAMESAKES);
}

/* Leaves the path on top where it is. */
static void set_size(lua_State *L, int table, size_t bytes) {
  lua_pushvalue(L, -1);
  support_push_number(L, bytes);
  lua_rawset(L, table);
}

/* Pops the path: the table holds it. */
static void set_last_size(lua_State *L, size_t bytes) {
  support_push_number(L, bytes);
  lua_rawset(L, SIZES);
}

/* Comes before the lines of entries, which may be called so: those get a number then. */
static void add_sum_line(lua_State *L, const tree_node *n, const char *what, size_t what_length,
                         size_t bytes) {
  push_path(L, n->path, what, what_length);
  set_last_size(L, bytes);
}

/* The lines of a node, whose parent has its own already. The collector rests, so the path stays
** where it is. */
static void add_lines(lua_State *L, const report *r, uint32_t node) {
  char text[PATH_LABEL_BYTES];
  tree_node *n = &r->t->nodes[node];
  const TString *above = n->parent == TREE_NONE ? NULL : r->t->nodes[n->parent].path;
  size_t length = path_node_label(text, r->t, node);
  push_path(L, above, text, length);
  if (path_may_repeat((label_kind)n->label_kind, text, length)) number_namesake(L);
  n->path = layout_object_at(L, -1);
  if (n->total_bytes > 0) {
    set_size(L, TOTALS, n->total_bytes);
    if (r->retained_bytes) set_size(L, RETAINED, r->retained_bytes[node]);
    set_last_size(L, n->own_bytes);
  } else {
    lua_pop(L, 1);
  }
  if (n->below_bytes > 0) add_sum_line(L, n, "...", 3, n->below_bytes);
  if (n->folded_bytes > 0)
    add_sum_line(L, n, text, path_folded_label(text, n->folded_count), n->folded_bytes);
}

static void add_cycle(lua_State *L, const tree *t, const tree_cycle *cycle) {
  char text[PATH_LABEL_BYTES];
  const tree_node *from = &t->nodes[cycle->from];
  label place = make_label((label_kind)cycle->label_kind, cycle->place);
  push_path(L, from->path, text, path_label(text, place, from->object));
  lua_pushstring(L, getstr((const TString *)t->nodes[cycle->to].path));
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -2);
  lua_rawset(L, CIRCULAR);
  lua_rawset(L, CYCLES);
}

/* ---- the whole ---- */

static void set_value(lua_State *L, const char *name, int index) {
  lua_pushvalue(L, index);
  lua_setfield(L, RESULTS, name);
}

static const named_number numbers[] = {
    NAMED_NUMBER("totalSize", report, total_bytes),
    NAMED_NUMBER("objects", report, object_count),
    NAMED_NUMBER("luaSize", report, books.lua_bytes),
    NAMED_NUMBER("garbage", report, books.garbage.bytes),
    NAMED_NUMBER("unaccounted", report, books.unaccounted),
};

static void add_fields(lua_State *L, const report *r) {
  lua_pushvalue(L, RESULTS);
  support_set_numbers(L, r, numbers, sizeof numbers / sizeof *numbers);
  lua_pushliteral(L, RESULTS_TYPE);
  lua_setfield(L, -2, "type");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "exact");
  lua_pushliteral(L, "native");
  lua_setfield(L, -2, "backend");
  if (r->target_name) {
    lua_pushstring(L, r->target_name);
    lua_setfield(L, -2, "target");
    set_number(L, "shared", r->shared_bytes);
  }
  if (r->options.cycles && r->t->cycles_dropped > 0)
    set_number(L, "otherCycles", r->t->cycles_dropped);
  results_push_kinds(L, r->covered->kinds);
  lua_setfield(L, -2, "kinds");
  lua_pop(L, 1);
  set_value(L, "sizes", SIZES);
  set_value(L, "totalSizes", TOTALS);
  if (r->retained_bytes) set_value(L, "retained", RETAINED);
  set_value(L, "circular", CIRCULAR);
  set_value(L, "cycles", CYCLES);
}

void results_push(lua_State *L, report *r) {
  tree *t = r->t;
  const uint32_t *order = tree_select(t, r->options.children, r->options.lines, path_compare);
  int lines = 0;
  r->object_count = count_objects(r->covered->kinds);
  for (uint32_t i = 0; i < t->count; i++) {
    const tree_node *n = &t->nodes[order[i]];
    lines += (int)tree_lines_of(n);
    if (n->parent == TREE_NONE) r->total_bytes += n->total_bytes;
  }
  lua_settop(L, 0);
  lua_newtable(L);
  lua_createtable(L, 0, 16);
  lua_createtable(L, 0, lines);
  lua_createtable(L, 0, (int)t->count);
  lua_createtable(L, 0, r->retained_bytes ? (int)t->count : 0);
  /* Two tables of them: aos shows what holds one twice as a circular reference, and no more. */
  lua_createtable(L, 0, (int)t->cycle_count);
  lua_createtable(L, 0, (int)t->cycle_count);
  for (uint32_t i = 0; i < t->count; i++) add_lines(L, r, order[i]);
  for (uint32_t i = 0; i < t->cycle_count; i++) add_cycle(L, t, &t->cycles[i]);
  add_fields(L, r);
  lua_settop(L, RESULTS);
}
