/*
** What a value retains is what goes when it goes: random graphs of objects of
** every kind, in which one object after the other is removed from everywhere;
** then Lua collects until nothing more goes, and the recorder tells how many
** bytes went.
**
** And the dominator tree, which gives the figure of every object at once, says
** the same as asking for one object at a time.
*/
#include "audit.h"
#include "borrow.h"
#include "check.h"
#include "loans.h"
#include "path.h"
#include "retained.h"

#include <stdio.h>

#define MOST_OBJECTS 40
#define SLOTS        4
#define REMOVALS     6

/* ---- graphs ---- */

typedef enum {
  TABLE,
  LUA_FUNCTION,
  C_FUNCTION,
  USERDATA,
  THREAD,
  TABLE_WITH_METATABLE,
  STRONG_KINDS,
  WEAK_TABLE = STRONG_KINDS,
  GRAPH_KINDS
} graph_kind;

/* At these places of the main stack. */
enum { ROOT = 1, HANDLES, MAKE_FUNCTION, MODES, BASE = MODES };

typedef struct {
  heap h;
  dice d;
  int count;
  int has_weak;
  graph_kind kinds[MOST_OBJECTS + 1];
} random_graph;

/* `handles` holds all objects weakly, so that they can be found as long as they live. */
static const char *const graph_code =
    "local modes = {} for i, m in ipairs({'k', 'v', 'kv'}) do modes[i] = {__mode = m} end "
    "return {}, setmetatable({}, {__mode = 'v'}), "
    "function() local a, b, c, d return function() return a, b, c, d end end, modes";

static int unused_function(lua_State *L) {
  (void)L;
  return 0;
}

static void push_new(random_graph *g, graph_kind kind) {
  lua_State *L = g->h.L;
  switch (kind) {
  case LUA_FUNCTION:
    lua_pushvalue(L, MAKE_FUNCTION);
    lua_call(L, 0, 1);
    break;
  case C_FUNCTION:
    for (int i = 0; i < SLOTS; i++) lua_pushnil(L);
    lua_pushcclosure(L, unused_function, SLOTS);
    break;
  case USERDATA:
#if LAYOUT_LUA_VERSION == 503
    lua_newuserdata(L, dice_roll(&g->d, 50));
#else
    lua_newuserdatauv(L, dice_roll(&g->d, 50), (int)dice_roll(&g->d, SLOTS + 1));
#endif
    break;
  case THREAD: {
    lua_State *thread = lua_newthread(L);
    for (int i = 0; i < SLOTS; i++) lua_pushnil(thread);
    break;
  }
  case WEAK_TABLE:
    lua_createtable(L, SLOTS, SLOTS);
    lua_rawgeti(L, MODES, 1 + (lua_Integer)dice_roll(&g->d, 3));
    lua_setmetatable(L, -2);
    break;
  default: lua_createtable(L, SLOTS, 0); break;
  }
}

static int push_object(random_graph *g, int object) {
  lua_rawgeti(g->h.L, HANDLES, object);
  if (!lua_isnil(g->h.L, -1)) return 1;
  lua_pop(g->h.L, 1);
  return 0;
}

/* Puts the value on top into a slot of the object below it; pops the value. */
static void set_slot(random_graph *g, graph_kind kind, int slot) {
  lua_State *L = g->h.L;
  switch (kind) {
  case LUA_FUNCTION:
  case C_FUNCTION:
    if (lua_setupvalue(L, -2, slot) == NULL) lua_pop(L, 1);
    break;
  case USERDATA:
#if LAYOUT_LUA_VERSION == 503
    lua_setuservalue(L, -2);
#else
    lua_setiuservalue(L, -2, slot);
#endif
    break;
  case THREAD: {
    lua_State *thread = lua_tothread(L, -2);
    lua_xmove(L, thread, 1);
    lua_replace(thread, slot);
    break;
  }
  default: lua_rawseti(L, -2, slot); break;
  }
}

static void push_slot(random_graph *g, graph_kind kind, int slot) {
  lua_State *L = g->h.L;
  switch (kind) {
  case LUA_FUNCTION:
  case C_FUNCTION:
    if (lua_getupvalue(L, -1, slot) == NULL) lua_pushnil(L);
    break;
  case USERDATA:
#if LAYOUT_LUA_VERSION == 503
    lua_getuservalue(L, -1);
#else
    lua_getiuservalue(L, -1, slot);
#endif
    break;
  case THREAD: {
    lua_State *thread = lua_tothread(L, -1);
    lua_pushvalue(thread, slot);
    lua_xmove(thread, L, 1);
    break;
  }
  default: lua_rawgeti(L, -1, slot); break;
  }
}

/* A text of its own, in a slot: what has no references is retained as well. */
static void push_text(random_graph *g) {
  char text[128];
  memset(text, 'a' + (int)dice_roll(&g->d, 26), sizeof text);
  lua_pushfstring(g->h.L, "%d ", (int)dice_roll(&g->d, 1000000));
  lua_pushlstring(g->h.L, text, 1 + dice_roll(&g->d, sizeof text));
  lua_concat(g->h.L, 2);
}

static void add_weak_entry(random_graph *g, int other) {
  lua_State *L = g->h.L;
  if (!push_object(g, 1 + (int)dice_roll(&g->d, (unsigned long)g->count))) return;
  lua_rawgeti(L, HANDLES, other);
  if (dice_roll(&g->d, 3) == 0) { /* a text in the place of the key or the value */
    push_text(g);
    lua_replace(L, dice_roll(&g->d, 2) ? -2 : -3);
  }
  lua_rawset(L, -3);
}

static void add_edge(random_graph *g, int object, int other) {
  lua_State *L = g->h.L;
  graph_kind kind = g->kinds[object];
  if (!push_object(g, object)) return;
  if (kind == WEAK_TABLE) {
    add_weak_entry(g, other);
  } else if (kind == TABLE_WITH_METATABLE && g->kinds[other] == TABLE && dice_roll(&g->d, 3) == 0) {
    lua_rawgeti(L, HANDLES, other);
    lua_setmetatable(L, -2);
  } else {
    if (dice_roll(&g->d, 6) == 0)
      push_text(g);
    else
      lua_rawgeti(L, HANDLES, other);
    set_slot(g, kind, 1 + (int)dice_roll(&g->d, SLOTS));
  }
  lua_pop(L, 1);
}

/* Two functions that share an upvalue. */
static void join_upvalues(random_graph *g) {
  int a = 1 + (int)dice_roll(&g->d, (unsigned long)g->count);
  int b = 1 + (int)dice_roll(&g->d, (unsigned long)g->count);
  if (g->kinds[a] != LUA_FUNCTION || g->kinds[b] != LUA_FUNCTION) return;
  lua_rawgeti(g->h.L, HANDLES, a);
  lua_rawgeti(g->h.L, HANDLES, b);
  lua_upvaluejoin(g->h.L, -2, 1 + (int)dice_roll(&g->d, SLOTS), -1,
                  1 + (int)dice_roll(&g->d, SLOTS));
  lua_pop(g->h.L, 2);
}

static void open_graph(random_graph *g, unsigned long seed, int has_weak) {
  heap_open(&g->h, (unsigned int)seed);
  lua_State *L = g->h.L;
  g->d = dice_of(seed);
  g->has_weak = has_weak;
  g->count = 2 + (int)dice_roll(&g->d, MOST_OBJECTS - 1);
  CHECK(luaL_loadstring(L, graph_code) == LUA_OK, "%s", lua_tostring(L, -1));
  lua_call(L, 0, BASE);
  lua_checkstack(L, MOST_OBJECTS + 20);
  for (int i = 1; i <= g->count; i++) { /* all are on the stack, so none dies meanwhile */
    g->kinds[i] = (graph_kind)dice_roll(&g->d, has_weak ? GRAPH_KINDS : STRONG_KINDS);
    push_new(g, g->kinds[i]);
    lua_pushvalue(L, -1);
    lua_rawseti(L, HANDLES, i);
  }
  for (int edges = (int)dice_roll(&g->d, 4 * (unsigned long)g->count); edges > 0; edges--)
    add_edge(g, 1 + (int)dice_roll(&g->d, (unsigned long)g->count),
             1 + (int)dice_roll(&g->d, (unsigned long)g->count));
  for (int joins = (int)dice_roll(&g->d, 4); joins > 0; joins--) join_upvalues(g);
  for (int roots = 1 + (int)dice_roll(&g->d, 3); roots > 0; roots--) {
    lua_rawgeti(L, HANDLES, 1 + (lua_Integer)dice_roll(&g->d, (unsigned long)g->count));
    lua_rawseti(L, ROOT, roots);
  }
  lua_gc(L, LUA_GCCOLLECT, 0); /* cuts down the stacks of all threads while all live */
  lua_settop(L, BASE);
}

/* ---- removing ---- */

static void remove_from_slots(random_graph *g, int holder, const void *object) {
  lua_State *L = g->h.L;
  if (!push_object(g, holder)) return;
  for (int slot = 1; slot <= SLOTS; slot++) {
    push_slot(g, g->kinds[holder], slot);
    int is_it = lua_topointer(L, -1) == object && object;
    lua_pop(L, 1);
    if (!is_it) continue;
    lua_pushnil(L);
    set_slot(g, g->kinds[holder], slot);
  }
  if (g->kinds[holder] == TABLE_WITH_METATABLE && lua_getmetatable(L, -1)) {
    int is_it = lua_topointer(L, -1) == object;
    lua_pop(L, 1);
    if (is_it) {
      lua_pushnil(L);
      lua_setmetatable(L, -2);
    }
  }
  lua_pop(L, 1);
}

#if LAYOUT_LUA_VERSION == 503
static void clear_value(TValue *value) { setnilvalue(value); }
static void make_value_false(TValue *value) { setbvalue(value, 0); }
static void make_key_false(Node *node) { node->i_key.nk.tt_ = LUA_TBOOLEAN; }
#else
static void clear_value(TValue *value) { setempty(value); }
static void make_value_false(TValue *value) { setbfvalue(value); }
static void make_key_false(Node *node) { node->u.key_tt = LUA_VFALSE; }
#endif

typedef struct {
  Table *table;
  int weakness;
  const GCObject *object;
} removal;

/* What stands beside it stays, unless it is of the weak: `false` takes its place in the node. */
static void remove_from_entry(void *context, label_kind kind, uintptr_t place, GCObject *key,
                              GCObject *value) {
  const removal *r = context;
  if (kind == LABEL_INDEX) {
    if (value == r->object) clear_value(&r->table->array[place - 1]);
    return;
  }
  Node *node = (Node *)place;
  if (key == r->object && r->weakness & WEAK_KEYS) {
    clear_value(gval(node));
  } else if (value == r->object && r->weakness & WEAK_VALUES) {
    clear_value(gval(node));
  } else {
    if (key == r->object) make_key_false(node);
    if (value == r->object) make_value_false(gval(node));
  }
}

static void remove_from_entries(random_graph *g, int holder, const GCObject *object) {
  if (!push_object(g, holder)) return;
  Table *table = gco2t(layout_object_at(g->h.L, -1));
  removal r = {table, layout_weakness(G(g->h.L), table), object};
  layout_each_entry(table, remove_from_entry, &r);
  lua_pop(g->h.L, 1);
}

static void remove_everywhere(random_graph *g, const GCObject *removed, const void *object) {
  for (int i = 1; i <= 3; i++) {
    lua_rawgeti(g->h.L, ROOT, i);
    if (lua_topointer(g->h.L, -1) == object) {
      lua_pushnil(g->h.L);
      lua_rawseti(g->h.L, ROOT, i);
    }
    lua_pop(g->h.L, 1);
  }
  for (int i = 1; i <= g->count; i++)
    if (g->kinds[i] == WEAK_TABLE)
      remove_from_entries(g, i, removed);
    else
      remove_from_slots(g, i, object);
}

/* Collects until nothing more goes. */
static void settle(random_graph *g) {
  size_t blocks;
  do {
    blocks = g->h.blocks.count;
    lua_gc(g->h.L, LUA_GCCOLLECT, 0);
  } while (g->h.blocks.count < blocks);
}

/* Bytes that collections free; they may cut down the main thread besides. */
static size_t collect_bytes(random_graph *g) {
  recorder *blocks = &g->h.blocks;
  size_t freed = 0, infos = 0;
  for (const CallInfo *info = g->h.L->base_ci.next; info; info = info->next) infos++;
  recorder_listen(blocks);
  settle(g);
  recorder_stop_listening(blocks);
  for (const CallInfo *info = g->h.L->base_ci.next; info; info = info->next) infos--;
  for (size_t i = 0; i < blocks->change_count; i++)
    if (blocks->changes[i].new_bytes == 0) freed += blocks->changes[i].old_bytes;
  return freed - infos * sizeof(CallInfo);
}

static unsigned long compared, bytes_compared;

static size_t retained_bytes_of(heap *h, GCObject *object) {
  size_t bytes = 0;
  walk_books books;
  CHECK(walk_retained(h->L, object, &bytes, &books) == WALK_OK, "no memory");
  CHECK(books.unaccounted == 0, "%td bytes are unaccounted for", books.unaccounted);
  return bytes;
}

static void remove_one(random_graph *g) {
  lua_State *L = g->h.L;
  int object = 1 + (int)dice_roll(&g->d, (unsigned long)g->count);
  lua_gc(L, LUA_GCCOLLECT, 0); /* after it, weak tables may keep what later ones free */
  if (!push_object(g, object)) return;
  size_t early = retained_bytes_of(&g->h, layout_object_at(L, -1));
  lua_pop(L, 1);
  settle(g);
  if (!push_object(g, object)) return;
  const GCObject *removed = layout_object_at(L, -1);
  size_t expected = retained_bytes_of(&g->h, layout_object_at(L, -1));
  CHECK(early == expected, "object %d, kind %d: %zu bytes are retained, %zu were before", object,
        (int)g->kinds[object], expected, early);
  const void *pointer = lua_topointer(L, -1);
  lua_pop(L, 1);
  remove_everywhere(g, removed, pointer);
  size_t freed = collect_bytes(g);
  if (push_object(g, object)) {
    CHECK(0, "object %d, kind %d is still there", object, (int)g->kinds[object]);
    lua_pop(L, 1);
  }
  CHECK(freed == expected, "object %d, kind %d: %zu bytes went, %zu are retained", object,
        (int)g->kinds[object], freed, expected);
  compared++;
  bytes_compared += freed;
}

static void remove_in_graphs(unsigned long first, int has_weak) {
  unsigned long graphs = check_setting("PROGRAMS", 1000), seed = first + check_setting("SEED", 1);
  compared = bytes_compared = 0;
  for (unsigned long last = seed + graphs; seed < last && !check_failed(); seed++) {
    random_graph g;
    open_graph(&g, seed, has_weak);
    for (int i = 0; i < REMOVALS && !check_failed(); i++) remove_one(&g);
    if (check_failed()) check_note("the graph of seed %lu", seed);
    heap_close(&g.h);
  }
  check_note("%lu graphs, %lu removals, %lu bytes freed", graphs, compared, bytes_compared);
  CHECK(check_failed() || compared > graphs, "only %lu removals", compared);
}

static void test_removals(void) { remove_in_graphs(0, 0); }
static void test_removals_weak(void) { remove_in_graphs(7000000, 1); }

/* ---- the dominator tree ---- */

static unsigned long nodes_compared;

/* Every object of which `d` (NULL: all) says so. */
static void compare_tree(heap *h, dice *d) {
  tree t;
  walk_books books;
  size_t *bytes;
  char path[PATH_LABEL_BYTES];
  tree_init_growing(&t, TREE_UNLIMITED);
  path_forget_frames();
  CHECK(walk_process(h->L, &t, &books) == WALK_OK && !t.failed, "no memory");
  if (CHECK(retained_of_tree(h->L, &books, &t, &bytes) == WALK_OK, "no memory")) {
    for (uint32_t i = 0; i < t.used && !check_failed(); i++) {
      const tree_node *n = &t.nodes[i];
      if (!n->in_use || n->object == NULL || (d && dice_roll(d, 4))) continue;
      size_t expected = retained_bytes_of(h, (GCObject *)n->object);
      size_t length = path_node_label(path, &t, i);
      CHECK(bytes[i] == expected, "'%.*s' at depth %u: the tree says %zu bytes, alone %zu",
            (int)length, path, n->depth, bytes[i], expected);
      nodes_compared++;
    }
    borrow_return(bytes);
  }
  tree_release(&t);
}

static void compare_trees(unsigned long first, int has_weak) {
  unsigned long graphs = 1 + check_setting("PROGRAMS", 1000) / (has_weak ? 2 : 40);
  unsigned long seed = first + check_setting("SEED", 1);
  nodes_compared = 0;
  for (unsigned long last = seed + graphs; seed < last && !check_failed(); seed++) {
    random_graph g;
    open_graph(&g, seed, has_weak);
    for (unsigned long collections = dice_roll(&g.d, 3); collections > 0; collections--)
      lua_gc(g.h.L, LUA_GCCOLLECT, 0);
    compare_tree(&g.h, &g.d);
    if (check_failed()) check_note("the graph of seed %lu", seed);
    heap_close(&g.h);
  }
  check_note("%lu graphs, %lu objects", graphs, nodes_compared);
  CHECK(loans_open() == 0, "%zu loans are open", loans_open());
}

static void test_trees(void) { compare_trees(0, 0); }
static void test_trees_weak(void) { compare_trees(7000000, 1); }

/* What waits for its finalizer is no part of the graph, and a walk needs notes while the collector
** marks. */
static void refuse_loans(const char *code) {
  heap h;
  tree t;
  walk_books books;
  size_t *bytes;
  int refused = 1;
  heap_open(&h, 8);
  heap_run(&h, "setmetatable({{1, 2, 3}}, {__gc = function() end}) collectgarbage('stop')");
  heap_run(&h, code);
  lua_gc(h.L, LUA_GCRESTART, 0);
  heap_advance(h.L, GCSpropagate);
  lua_gc(h.L, LUA_GCSTOP, 0);
  for (unsigned long n = 1; refused && !check_failed(); n++) {
    tree_init_growing(&t, TREE_UNLIMITED);
    CHECK(walk_process(h.L, &t, &books) == WALK_OK, "no memory");
    loans_refuse(n);
    walk_status status = retained_of_tree(h.L, &books, &t, &bytes);
    refused = loans_requests() >= n;
    loans_refuse(0);
    CHECK((status == WALK_OK) == !refused, "it works without loan %lu", n);
    for (uint32_t i = 0; status == WALK_OK && i < t.used; i++)
      CHECK(bytes[i] < books.lua_bytes, "a line retains %zu bytes", bytes[i]);
    borrow_return(bytes);
    tree_release(&t);
    CHECK(loans_open() == 0, "loan %lu refused: %zu loans are open", n, loans_open());
  }
  audit_walk(&h, h.L, 0);
  heap_close(&h);
}
static void test_refused(void) {
  refuse_loans("");
  refuse_loans("w = setmetatable({[{'a key'}] = {}}, {__mode = 'v'})");
}

/* ---- one heap at a time ---- */

static size_t retained_global(heap *h, const char *name) {
  size_t bytes = 0;
  walk_books books;
  lua_getglobal(h->L, name);
  GCObject *object = layout_object_at(h->L, -1);
  lua_pop(h->L, 1);
  CHECK(walk_retained(h->L, object, &bytes, &books) == WALK_OK, "no memory");
  return bytes;
}

static size_t size_of_global(heap *h, const char *expression) {
  lua_getglobal(h->L, "membuddy");
  lua_getfield(h->L, -1, "sizeof");
  char code[200];
  snprintf(code, sizeof code, "return %s", expression);
  CHECK(luaL_dostring(h->L, code) == LUA_OK, "%s", lua_tostring(h->L, -1));
  lua_call(h->L, 1, 1);
  size_t bytes = (size_t)lua_tointeger(h->L, -1);
  lua_pop(h->L, 2);
  return bytes;
}

static void test_heap(const char *code, const char *const *parts) {
  heap h;
  size_t expected = 0;
  heap_open(&h, 5);
  if (heap_run(&h, "membuddy = require('membuddy')") && heap_run(&h, code)) {
    for (; *parts; parts++) expected += size_of_global(&h, *parts);
    size_t bytes = retained_global(&h, "x");
    CHECK(bytes == expected, "x retains %zu bytes, not %zu", bytes, expected);
    compare_tree(&h, NULL);
  }
  heap_close(&h);
}

static void test_weak_value(void) {
  const char *const parts[] = {"x", NULL};
  test_heap("held = {} x = setmetatable({held, [2] = held}, {__mode = 'v'}) "
            "meta = getmetatable(x)",
            parts);
}
static void test_ephemeron_key(void) {
  const char *const parts[] = {"x", "e[x]", "e[x][1]", NULL};
  test_heap("e = setmetatable({}, {__mode = 'k'}) x = {} e[x] = {{1, 2, 3}}", parts);
}
static void test_ephemeron_table(void) {
  const char *const parts[] = {"x", "x[k]", NULL};
  test_heap("k = {} mode = {__mode = 'k'} x = setmetatable({}, mode) x[k] = {1}", parts);
}
/* What has no user values can't be queued. Each is the value of one entry and the key of the next:
** whatever the order of the table, some entries come before their keys are known to live. */
static void push_link(heap *h) {
#if LAYOUT_LUA_VERSION == 503
  lua_newuserdata(h->L, 24);
#else
  lua_newuserdatauv(h->L, 24, 0);
#endif
}
static void test_ephemeron_chain(void) {
  const int links = 20;
  heap h;
  heap_open(&h, 7);
  heap_run(&h, "e = setmetatable({}, {__mode = 'k'})");
  lua_getglobal(h.L, "e");
  push_link(&h);
  lua_pushvalue(h.L, -1);
  lua_setglobal(h.L, "x");
  size_t link_bytes = walk_object_bytes(G(h.L), layout_object_at(h.L, -1));
  for (int i = 1; i < links; i++) {
    push_link(&h);
    lua_pushvalue(h.L, -1);
    lua_insert(h.L, -3);
    lua_rawset(h.L, 1);
  }
  lua_settop(h.L, 0);
  size_t bytes = retained_global(&h, "x"), expected = (size_t)links * link_bytes;
  CHECK(bytes == expected, "x retains %zu bytes, not %zu", bytes, expected);
  heap_close(&h);
}
static void test_string_key(void) {
  const char *const parts[] = {"x", "'the key of what goes'", NULL};
  test_heap("c = setmetatable({}, {__mode = 'v'}) x = {} c['the key of ' .. 'what goes'] = x",
            parts);
}
static void test_key_of_lost_value(void) {
  const char *const parts[] = {"x", "x[1]", "(next(c))", NULL};
  test_heap("c = setmetatable({}, {__mode = 'v'}) x = {{}} c[{x}] = x[1]", parts);
}
static void test_key_that_keeps_value(void) {
  const char *const parts[] = {"x", "(next(x))", "(next(x))[1]", NULL};
  test_heap("mode = {__mode = 'v'} x = setmetatable({}, mode) local k = {{}} x[k] = k[1]", parts);
}
static void test_globals(void) {
  heap h;
  heap_open(&h, 6);
  heap_run(&h, "x = coroutine.running() y = _G");
  CHECK(retained_global(&h, "x") > 0, "the main thread retains nothing");
  CHECK(retained_global(&h, "y") > 1000, "the globals retain next to nothing");
  audit_walk(&h, h.L, 0);
  heap_close(&h);
}
static void test_forgotten_main_thread(void) {
  heap h;
  heap_open(&h, 9);
  lua_State *main_thread = h.L;
  heap_run(&h, "debug.getregistry()[1] = nil shared = {{}}");
  lua_getglobal(main_thread, "shared");
  lua_rawgeti(main_thread, -1, 1);
  h.L = lua_newthread(main_thread);
  compare_tree(&h, NULL);
  h.L = main_thread;
  heap_close(&h);
}

static const test tests[] = {
    {"a table of weak values does not retain them", test_weak_value},
    {"the key of an ephemeron retains its value", test_ephemeron_key},
    {"a table of weak keys retains the values of keys that others hold", test_ephemeron_table},
    {"a chain of ephemerons goes on through userdata", test_ephemeron_chain},
    {"a weak value retains the string that is its key", test_string_key},
    {"a weak value's key goes with it, although it refers to it", test_key_of_lost_value},
    {"a key that keeps its own weak value alive is retained by the table",
     test_key_that_keeps_value},
    {"the main thread and the globals may be asked for", test_globals},
    {"the main thread holds what it holds, whoever runs and whatever the registry lacks",
     test_forgotten_main_thread},
    {"when any loan is refused in the middle of a mark phase, there is no figure", test_refused},
    {"what a value retains is what goes when it goes, over random graphs", test_removals},
    {"the same with weak tables and ephemerons among them", test_removals_weak},
    {"the dominator tree says of every object what it says of one, over random graphs", test_trees},
    {"the same with weak tables and ephemerons among them, for the tree", test_trees_weak},
};
CHECK_MAIN(tests)
