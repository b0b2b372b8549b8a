#include "lua_functions.h"

#include <string.h>

#include "account.h"
#include "borrow.h"
#include "lua_options.h"
#include "lua_print.h"
#include "lua_results.h"
#include "lua_support.h"
#include "membuddy.h"
#include "path.h"
#include "retained.h"
#include "tree.h"
#include "walk.h"

/* A tree for a default report lies on the C stack when that leaves the rest of the program this
** much room. */
#define STACK_RESERVE_BYTES 32768u
#define STACK_TREE_BYTES    TREE_MEMORY_BYTES(TREE_REPORT_NODES, TREE_REPORT_CYCLES)
/* What the checks need, and the largest block of it: the string table, when it doubles. */
#define CHECKS_NEED_BYTES       262144u
#define CHECKS_NEED_BLOCK_BYTES 65536u
#define LONGEST_CHAIN           16 /* steps of a target's name; each takes a walk */
#define MOST_ARGUMENTS          3  /* that a function looks at: function_without_checks */

static int call_at_rest(lua_State *L, lua_CFunction function, int arguments) {
  path_forget_frames();
  lua_pushcfunction(L, function);
  for (int i = 1; i <= arguments; i++) lua_pushvalue(L, i);
  layout_rest rest = layout_begin_rest(L);
  int status = lua_pcall(L, arguments, 1, 0);
  layout_end_rest(L, &rest);
  return status;
}

/* Where memory runs out nothing may be collected in the middle of a call, but between two. */
int function_call_at_rest(lua_State *L, lua_CFunction function) {
  if (lua_gettop(L) > MOST_ARGUMENTS) lua_settop(L, MOST_ARGUMENTS);
  int arguments = lua_gettop(L);
  int status = call_at_rest(L, function, arguments);
  if (status == LUA_OK || !support_is_no_memory(L)) return status;
  lua_pop(L, 1);
  layout_collect_in_emergency(L);
  return call_at_rest(L, function, arguments);
}

/* ---- targets ---- */

/* What a value is called that is not accepted. */
static const char *value_name(lua_State *L, int index) {
  switch (lua_type(L, index)) {
  case LUA_TNIL:
  case LUA_TNONE: return "nil";
  case LUA_TFUNCTION: return "a C function without upvalues";
  case LUA_TLIGHTUSERDATA: return "a light userdata";
  default: return lua_pushfstring(L, "a %s", luaL_typename(L, index));
  }
}

static GCObject *check_target(lua_State *L, int index) {
  GCObject *object = layout_object_at(L, index);
  if (object == NULL)
    support_refuse(L,
                   "the target is %s, which holds no memory; accepted: a table, string, function, "
                   "coroutine or userdata",
                   value_name(L, index));
  return object;
}

/* Whether there is a table at `index`; all but that and nil is refused. */
static int has_table(lua_State *L, int index, const char *what) {
  if (lua_isnil(L, index)) return 0;
  if (!lua_istable(L, index))
    support_refuse(L, "the %s are %s; accepted: a table", what, value_name(L, index));
  return 1;
}

static const char *global_name(lua_State *L, const GCObject *object, char text[PATH_LABEL_BYTES]) {
  GCObject *globals = walk_globals(L);
  if (globals == NULL) return NULL;
  if (object == globals) return "_G";
  label place = walk_find_label(globals, object);
  if (place.kind != LABEL_NODE && place.kind != LABEL_INDEX) return NULL;
  path_label(text, place, globals);
  return text;
}

/* The local variable of the function that called, or its upvalue, that holds the object at
** `index`. */
static const char *caller_name(lua_State *L, int index, const GCObject *object) {
  lua_Debug caller;
  const char *name, *found = NULL;
  if (!lua_getstack(L, CALLER_LEVEL, &caller)) return NULL;
  for (int i = 1; (name = lua_getlocal(L, &caller, i)) != NULL; i++, lua_pop(L, 1))
    if (*name != '(' && lua_rawequal(L, -1, index)) found = name;
  if (found) return found;
  lua_getinfo(L, "f", &caller);
  GCObject *function = layout_object_at(L, -1);
  lua_pop(L, 1);
  const TString *upvalue =
      function ? path_upvalue_name(walk_find_label(function, object), function) : NULL;
  return upvalue ? getstr(upvalue) : NULL;
}

/* Our own frames hold every target, on a short path: what they hold is looked at where nothing else
** holds it. */
static walk_status find_parent(lua_State *L, const GCObject *object, GCObject **parent,
                               const char **root) {
  lua_Debug ours;
  size_t used = layout_stack_used(L);
  lua_getstack(L, CALLER_LEVEL - 1, &ours);
  layout_cut_stack(L, layout_frame_base(L, ours.i_ci) - 1);
  walk_status status = walk_find_parent(L, object, parent, root);
  layout_cut_stack(L, used);
  if (status != WALK_OK || *parent || *root) return status;
  return walk_find_parent(L, object, parent, root);
}

/* Pushes the shortest path to an object, found from its end. */
static void push_shortest_path(lua_State *L, const GCObject *object) {
  char text[PATH_LABEL_BYTES];
  const char *root = NULL;
  lua_pushliteral(L, "");
  for (int steps = 0; object && steps < LONGEST_CHAIN; steps++) {
    GCObject *parent;
    if (find_parent(L, object, &parent, &root) != WALK_OK) support_raise_no_memory(L);
    if (parent) {
      path_label(text, walk_find_label(parent, object), parent);
      lua_pushfstring(L, "/%s%s", text, lua_tostring(L, -1));
    }
    object = parent;
  }
  lua_pushfstring(L, "%s%s", root ? root : "...", lua_tostring(L, -1));
}

/* Cuts the name on top to what stands at the head of a path: its end tells most. */
static void shorten_name(lua_State *L) {
  size_t length;
  const char *name = lua_tolstring(L, -1, &length), *end = name + length;
  if (length <= PATH_LONGEST_ROOT) return;
  const char *cut = memchr(end - (PATH_LONGEST_ROOT - 3), '/', PATH_LONGEST_ROOT - 3);
  if (cut == NULL) cut = end;
  lua_pushfstring(L, "...%s", cut);
}

/* Pushes the name of the variable or the path that holds the target at `index`. */
static const char *push_target_name(lua_State *L, int index, const GCObject *object) {
  char text[PATH_LABEL_BYTES];
  const char *name = global_name(L, object, text);
  int top = lua_gettop(L) + 1;
  if (name == NULL) {
    name = caller_name(L, index, object);
    if (name) name = path_name(text, name);
  }
  if (name)
    lua_pushstring(L, name);
  else
    push_shortest_path(L, object);
  shorten_name(L);
  lua_copy(L, -1, top);
  lua_settop(L, top);
  return lua_tostring(L, top);
}

/* ---- profile ---- */

typedef struct {
  GCObject *target; /* NULL: the whole process */
  size_t *retained; /* a loan */
  report r;
  walk_books met; /* of a target */
  tree t;
} job;

static walk_status walk_job(lua_State *L, job *j) {
  report *r = &j->r;
  r->covered = &r->books;
  if (j->target == NULL) return walk_process(L, &j->t, &r->books);
  size_t exclusive_bytes = 0;
  r->covered = &j->met;
  walk_status status = walk_target(L, j->target, r->target_name, &j->t, &j->met);
  if (status == WALK_OK) status = walk_exclusive(L, j->target, &exclusive_bytes);
  if (status == WALK_OK) status = walk_read_books(L, NULL, &r->books);
  if (j->met.live_bytes > exclusive_bytes) r->shared_bytes = j->met.live_bytes - exclusive_bytes;
  return status;
}

static int push_results(lua_State *L) {
  results_push(L, lua_touserdata(L, 1));
  return 1;
}

/* Walks, builds the results and gives all loans back, whatever happens. Pushes the results. */
static void run_job(lua_State *L, job *j) {
  walk_status status = walk_job(L, j);
  int failed = 0;
  if (status == WALK_OK && j->r.options.retained)
    status = retained_of_tree(L, &j->r.books, &j->t, &j->retained);
  j->r.retained_bytes = j->retained;
  int no_memory = status != WALK_OK || j->t.failed;
  if (!no_memory) {
    lua_pushcfunction(L, push_results);
    lua_pushlightuserdata(L, &j->r);
    failed = lua_pcall(L, 1, 1, 0) != LUA_OK;
  }
  borrow_return(j->retained);
  tree_release(&j->t);
  if (no_memory) support_raise_no_memory(L);
  if (failed) lua_error(L);
}

static void run_growing(lua_State *L, job *j) {
  if (!tree_init_growing(&j->t, j->r.options.depth)) support_raise_no_memory(L);
  run_job(L, j);
}

/* The memory of the tree is on the C stack: it can't leak. */
static void run_on_stack(lua_State *L, job *j) {
  uint64_t room[TREE_ROOM(TREE_REPORT_NODES, TREE_REPORT_CYCLES)];
  tree_init_bounded(&j->t, room, TREE_REPORT_NODES, j->r.options.cycles ? TREE_REPORT_CYCLES : 0,
                    j->r.options.depth);
  run_job(L, j);
}

/* Pushes the results. */
static void profile(lua_State *L, const report_options *options) {
  job j;
  int index = options->target;
  memset(&j, 0, sizeof j);
  j.r.options = *options;
  options_settle(&j.r.options);
  j.r.t = &j.t;
  if (index) {
    j.target = check_target(L, index);
    j.r.target_name = push_target_name(L, index, j.target);
  }
  support_check_stack(L, 16);
  int fits = j.r.options.depth <= TREE_REPORT_DEPTH && j.r.options.lines <= TREE_REPORT_LINES;
  if (fits && platform_stack_left_bytes() > STACK_TREE_BYTES + STACK_RESERVE_BYTES)
    run_on_stack(L, &j);
  else
    run_growing(L, &j);
  if (index) lua_remove(L, -2);
}

int function_profile(lua_State *L) {
  report_options options;
  options_default(&options);
  lua_settop(L, lua_gettop(L) > 2 ? 2 : lua_gettop(L));
  int count = lua_gettop(L);
  if (count == 1 && lua_istable(L, 1) && options_are(L, 1)) {
    options_read(L, 1, &options);
  } else if (count > 0) {
    if (count == 2 && has_table(L, 2, "options")) options_read(L, 2, &options);
    if (options.target)
      support_refuse(L, "two targets, the first argument and option 'target'; accepted: one of "
                        "them");
    options.target = 1;
  }
  profile(L, &options);
  return 1;
}

/* ---- print ---- */

static int are_results(lua_State *L, int index) {
  int has_sizes = support_push_field(L, index, "sizes") == LUA_TTABLE;
  support_push_field(L, index, "type");
  int is_named = support_is_text(L, -1, RESULTS_TYPE);
  lua_pop(L, 2);
  return is_named || has_sizes;
}

/* Puts the program's `print` before the lines: what it does is not our business. */
static void add_print(lua_State *L) {
  if (support_push_global(L, "print") != LUA_TFUNCTION)
    support_refuse(L, "the global 'print' is a %s value; a function is needed",
                   luaL_typename(L, -1));
  support_set_entry(L, PRINT_LINES, PRINT_FUNCTION);
}

/* Reading the checks takes memory; a report that does not ask for them shall not make the process
** grow. */
static void add_checks(lua_State *L, int are_wanted) {
  if (are_wanted == OPTION_IF_ROOM &&
      !account_has_room(CHECKS_NEED_BYTES, CHECKS_NEED_BLOCK_BYTES)) {
    are_wanted = 0;
    lua_pushliteral(L, "Checks: left out, so that the process need not grow; option checks = true "
                       "makes them");
    support_set_entry(L, PRINT_LINES, (lua_Integer)lua_rawlen(L, PRINT_LINES) + 1);
  }
  if (!are_wanted) return;
  lua_pushliteral(L, "lines");
  support_set_entry(L, PRINT_LINES, PRINT_REQUEST);
}

int function_print_lines(lua_State *L) {
  report_options options;
  options_default(&options);
  int whole_process = 0;
  lua_settop(L, 2);
  int has_first = has_table(L, 1, "results or options"), has_second = has_table(L, 2, "options");
  if (has_first && are_results(L, 1)) {
    if (has_second) options_read(L, 2, &options);
    lua_pushvalue(L, 1);
  } else {
    if (has_first && has_second)
      support_refuse(L, "the first argument is no results of profile(); accepted: results and "
                        "options, or options alone");
    if (has_first || has_second) options_read(L, has_second ? 2 : 1, &options);
    whole_process = options.target == 0;
    profile(L, &options);
  }
  print_push_lines(L, &options);
  add_print(L);
  add_checks(L, whole_process ? options.checks : 0);
  return 1;
}

/* ---- checks ---- */

int function_without_checks(lua_State *L) {
  int is_no_memory = support_is_no_memory(L), is_text = lua_type(L, 3) == LUA_TSTRING;
  if (support_is_text(L, 2, "lines")) { /* no memory, or a changed Lua */
    const char *why = lua_tostring(L, 3);
    lua_createtable(L, 1, 0);
    lua_pushfstring(L, "Checks: none, since %s", why ? why : "of an error that is no text");
    support_set_entry(L, 4, 1);
    return 1;
  }
  if (is_no_memory && support_is_text(L, 2, "checks")) {
    lua_newtable(L);
    return 1;
  }
  if (is_text && !is_no_memory) { /* what is no text is a hook's, say */
    luaL_where(L, CALLER_LEVEL);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

/* ---- figures ---- */

int function_format_size(lua_State *L) {
  int is_number;
  lua_Number bytes = lua_tonumberx(L, 1, &is_number);
  if (!is_number)
    support_refuse_argument(L, "format_size",
                            lua_pushfstring(L, "number expected, got %s", luaL_typename(L, 1)));
  print_push_size(L, bytes, lua_toboolean(L, 2));
  return 1;
}

int function_sizeof(lua_State *L) {
  if (lua_isnone(L, 1)) support_refuse_argument(L, "sizeof", "value expected");
  GCObject *object = layout_object_at(L, 1);
  support_push_number(L, object ? walk_object_bytes(G(L), object) : 0);
  return 1;
}

int function_retained(lua_State *L) {
  size_t bytes;
  if (lua_isnone(L, 1)) support_refuse_argument(L, "retained", "value expected");
  if (walk_retained(L, check_target(L, 1), &bytes, NULL) != WALK_OK) support_raise_no_memory(L);
  support_push_number(L, bytes);
  return 1;
}

int function_kinds(lua_State *L) {
  walk_books books;
  GCObject *target = lua_isnone(L, 1) ? NULL : check_target(L, 1);
  if (walk_read_books(L, target, &books) != WALK_OK) support_raise_no_memory(L);
  results_push_kinds(L, books.kinds);
  return 1;
}

static const named_number lua_numbers[] = {
    NAMED_NUMBER("luaSize", account, books.lua_bytes),
    NAMED_NUMBER("unaccounted", account, books.unaccounted),
};
/* Lua's own, what else is known of a process, and what takes a look at the chunks of its heap. */
enum { LUA_PARTS = 3, MEMORY_PARTS = 7, ALL_PARTS = 10 };
static const named_number parts[ALL_PARTS] = {
    NAMED_NUMBER("live", account, live_bytes),
    NAMED_NUMBER("garbage", account, garbage_bytes),
    NAMED_NUMBER("runtime", account, runtime_bytes),
    NAMED_NUMBER("free", account, free_bytes),
    NAMED_NUMBER("static", account, static_bytes),
    NAMED_NUMBER("stack", account, stack_bytes),
    NAMED_NUMBER("gaps", account, gap_bytes),
    NAMED_NUMBER("slack", account, slack_bytes),
    NAMED_NUMBER("buffers", account, buffer_bytes),
    NAMED_NUMBER("other", account, other_bytes),
};
/* Where that look fails. */
static const named_number unknown_part[] = {NAMED_NUMBER("unknown", account, unknown_bytes)};
static const named_number memory_numbers[] = {
    NAMED_NUMBER("memory", account, memory.memory_bytes),
    NAMED_NUMBER("pages", account, page_count),
    NAMED_NUMBER("stackHighWater", account, stack_high_water_bytes),
    NAMED_NUMBER("asyncify", account, memory.asyncify_bytes),
};
static const named_number maximum_numbers[] = {
    NAMED_NUMBER("maximum", account, memory.memory_maximum_bytes),
    NAMED_NUMBER("headroom", account, headroom_bytes),
};
static const named_number chunk_numbers[] = {
    NAMED_NUMBER("largestFree", account, largest_free_bytes),
    NAMED_NUMBER("freeChunks", account, free_count),
};
#define SET_NUMBERS(L, a, numbers)                                                                 \
  support_set_numbers(L, a, numbers, sizeof numbers / sizeof *numbers)

int function_account(lua_State *L) {
  account a;
  if (account_read(L, &a) != WALK_OK) support_raise_no_memory(L);
  lua_createtable(L, 0, 16);
  SET_NUMBERS(L, &a, lua_numbers);
  if (a.memory_is_known) SET_NUMBERS(L, &a, memory_numbers);
  if (a.memory.memory_maximum_bytes > 0) SET_NUMBERS(L, &a, maximum_numbers);
  if (a.chunks_are_known) SET_NUMBERS(L, &a, chunk_numbers);
  lua_createtable(L, 0, ALL_PARTS);
  support_set_numbers(L, &a, parts,
                      a.chunks_are_known  ? ALL_PARTS
                      : a.memory_is_known ? MEMORY_PARTS
                                          : LUA_PARTS);
  if (a.memory_is_known && !a.chunks_are_known) SET_NUMBERS(L, &a, unknown_part);
  lua_setfield(L, -2, "parts");
  return 1;
}

/* ---- the library ---- */

const luaL_Reg function_table[FUNCTION_COUNT] = {
    {"profile", function_profile},
    {"sizeof", function_sizeof},
    {"format_size", function_format_size},
    {"account", function_account},
    {"kinds", function_kinds},
    {"retained", function_retained},
};

/* A function with the library on top, and a request, as upvalues. */
static void set_checks(lua_State *L, const char *name) {
  lua_pushvalue(L, -1);
  lua_pushstring(L, name);
  lua_pushcclosure(L, border_checks, 2);
  lua_setfield(L, -2, name);
}

int function_open(lua_State *L) {
  lua_createtable(L, 0, 14); /* one place for the mark */
  for (int i = 0; i < FUNCTION_COUNT; i++) {
    lua_pushinteger(L, i);
    lua_pushcclosure(L, border_function, 1);
    lua_setfield(L, -2, function_table[i].name);
  }
  set_checks(L, "checks");
  set_checks(L, "mark");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, border_print, 1);
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
