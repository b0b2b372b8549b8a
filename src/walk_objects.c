/* Everything that Lua allocated, live or not: the second pass, and what it shares with others.
** Loops call their visitors through pointers here, one copy of each; but where size does not count,
** those over all blocks are copied. */
#include "walk.h"

#ifdef __OPTIMIZE_SIZE__
#define OVER_BLOCKS static LAYOUT_APART
#else
#define OVER_BLOCKS LAYOUT_INLINE
#endif

/* ---- one object ---- */

OVER_BLOCKS void each_block(const global_State *g, GCObject *object, block_visitor visit,
                            void *context) {
  layout_each_block(g, object, visit, context);
}

/* Tables and strings, most of a heap, without calls whatever the build: every object is asked. */
size_t walk_object_bytes(const global_State *g, GCObject *object) {
  size_t bytes = 0;
  if (layout_is_table(object)) return layout_table_bytes(gco2t(object));
  if (layout_is_string(object)) return layout_string_bytes(gco2ts(object));
  each_block(g, object, layout_add_block, &bytes);
  return bytes;
}

LAYOUT_APART void walk_each_entry(const Table *table, reference_visitor visit, void *context) {
  layout_each_entry(table, visit, context);
}

void walk_each_reference(GCObject *object, reference_visitor visit, void *context) {
  if (layout_is_table(object)) {
    layout_each_metatable(gco2t(object)->metatable, visit, context);
    walk_each_entry(gco2t(object), visit, context);
  } else {
    layout_each_other_reference(object, visit, context);
  }
}

typedef struct {
  const GCObject *to;
  label place;
} label_search;

static void match_label(void *context, label_kind kind, uintptr_t place, GCObject *key,
                        GCObject *value) {
  label_search *search = context;
  if (search->place.kind != LABEL_UNKNOWN) return;
  if (value == search->to || (kind == LABEL_NODE && key == search->to)) {
    search->place.kind = kind;
    search->place.place = place;
  }
}

label walk_find_label(GCObject *from, const GCObject *to) {
  label_search search = {to, {LABEL_UNKNOWN, 0}};
  walk_each_reference(from, match_label, &search);
  return search.place;
}

/* ---- the registry ---- */

GCObject *walk_registry(lua_State *L) {
  GCObject *registry = object_of(&G(L)->l_registry);
  return registry && layout_is_table(registry) ? registry : NULL;
}

GCObject *walk_globals(lua_State *L) {
  GCObject *registry = walk_registry(L);
  if (registry == NULL || layout_array_count(gco2t(registry)) < LUA_RIDX_GLOBALS) return NULL;
  GCObject *globals = object_of(&gco2t(registry)->array[LUA_RIDX_GLOBALS - 1]);
  return globals && layout_is_table(globals) ? globals : NULL;
}

GCObject *walk_table_field(GCObject *table, const char *name) {
  const TValue *value = table ? layout_field(gco2t(table), name) : NULL;
  GCObject *object = value ? object_of(value) : NULL;
  return object && layout_is_table(object) ? object : NULL;
}

/* ---- all objects ---- */

LAYOUT_INLINE void each_object(global_State *g, object_visitor visit, void *context) {
  GCObject *heads[LAYOUT_OBJECT_LISTS];
  layout_object_lists(g, heads);
  for (int i = 0; i < LAYOUT_OBJECT_LISTS; i++)
    for (GCObject *o = heads[i]; o; o = o->next) visit(context, o);
  if (!LAYOUT_MAIN_THREAD_IS_LISTED) visit(context, obj2gco(g->mainthread));
}

OVER_BLOCKS void each_object_of(lua_State *L, object_visitor visit, void *context) {
  each_object(G(L), visit, context);
}

LAYOUT_APART void walk_each_object(lua_State *L, object_visitor visit, void *context) {
  each_object_of(L, visit, context);
}

/* ---- the second pass ---- */

/* Upvalue cells that are no objects (5.3) bear their marks out of sight of the lists: they are met
** through the closures and threads that hold them. */
LAYOUT_INLINE int holds_cells(const GCObject *object) {
  return !LAYOUT_CELLS_ARE_OBJECTS &&
         (layout_is_lua_function(object) || layout_kind(object) == KIND_THREAD);
}

static void each_cell(GCObject *object, reference_visitor visit, void *context) {
  if (layout_is_lua_function(object))
    layout_each_in_lua_closure(gco2lcl(object), visit, context);
  else
    layout_each_open_upvalue(gco2th(object), visit, context);
}

static void release_cell(void *context, label_kind kind, uintptr_t place, GCObject *key,
                         GCObject *value) {
  (void)context, (void)place, (void)value;
  if (kind == LABEL_UPVALUE) layout_release_cell((UpVal *)key);
}

typedef struct {
  const global_State *g;
  kind_tally *garbage;                   /* NULL: nobody asks */
  GCObject *live_holders, *dead_holders; /* linked by `gclist` */
  unsigned char read;                    /* ahead */
} second_pass;

/* The newest object is the first of its list, so the list mostly leads down in memory. What lies
** that way is brought into the cache in time: the links alone make each object wait for the one
** before. What is read is nobody's, but nobody shall leave the read out. */
#define BYTES_AHEAD 8192u
LAYOUT_INLINE void look_ahead(second_pass *pass, const GCObject *object) {
  uintptr_t address = (uintptr_t)object;
#ifdef __wasm__ /* has no instruction for it */
  if (address >= BYTES_AHEAD) pass->read ^= *(const unsigned char *)(address - BYTES_AHEAD);
#else
  (void)pass;
  __builtin_prefetch((const void *)(address - BYTES_AHEAD));
#endif
}

static void note_cell_holder(GCObject **list, GCObject *object) {
  *layout_link(object) = *list;
  *list = object;
}

LAYOUT_INLINE void take_mark_back(void *context, GCObject *object) {
  second_pass *pass = context;
  look_ahead(pass, object);
  if (object->marked & LAYOUT_MARK_BIT) {
    object->marked &= (lu_byte)~LAYOUT_MARK_BIT;
    if (holds_cells(object)) note_cell_holder(&pass->live_holders, object);
    return;
  }
  if (pass->garbage == NULL) return;
  pass->garbage->count++;
  pass->garbage->bytes += walk_object_bytes(pass->g, object);
  if (holds_cells(object)) note_cell_holder(&pass->dead_holders, object);
}

static void count_dead_cell(void *context, label_kind kind, uintptr_t place, GCObject *key,
                            GCObject *value) {
  second_pass *pass = context;
  (void)place, (void)value;
  if (kind != LABEL_UPVALUE || !layout_claim_cell((UpVal *)key)) return;
  pass->garbage->count++;
  pass->garbage->bytes += sizeof(UpVal);
}

static void release_cells(GCObject *holders) {
  while (holders) {
    GCObject *object = holders, **link = layout_link(object);
    holders = *link;
    *link = NULL;
    each_cell(object, release_cell, NULL);
  }
}

static void settle_cells(second_pass *pass) {
  for (GCObject *o = pass->dead_holders; o; o = *layout_link(o))
    each_cell(o, count_dead_cell, pass);
  release_cells(pass->dead_holders);
  release_cells(pass->live_holders);
}

void walk_take_marks_back(global_State *g, kind_tally *garbage) {
  second_pass pass = {g, garbage, NULL, NULL, 0};
  if (garbage) garbage->count = garbage->bytes = 0;
  each_object(g, take_mark_back, &pass);
  volatile unsigned char read = pass.read;
  (void)read;
  if (!LAYOUT_CELLS_ARE_OBJECTS) settle_cells(&pass);
}

/* ---- the same without a look at all objects ---- */

/* A userdata without a link can't wait. A chain of them may be as long as the heap is large: no
** recursion. */
static void take_mark_of(GCObject **waiting, GCObject *object) {
  while (object && object->marked & LAYOUT_MARK_BIT) {
    object->marked &= (lu_byte)~LAYOUT_MARK_BIT;
    GCObject **link = layout_link(object);
    if (link) {
      *link = *waiting;
      *waiting = object;
      return;
    }
    if (layout_kind(object) != KIND_USERDATA) return;
    if (gco2u(object)->metatable) take_mark_of(waiting, obj2gco(gco2u(object)->metatable));
    object = layout_only_uservalue(gco2u(object));
  }
}

static void take_marks_of_reference(void *waiting, label_kind kind, uintptr_t place, GCObject *key,
                                    GCObject *value) {
  (void)place;
  if (key && kind == LABEL_UPVALUE)
    layout_release_cell((UpVal *)key);
  else
    take_mark_of(waiting, key);
  take_mark_of(waiting, value);
}

void walk_take_marks_back_from(GCObject *target) {
  GCObject *waiting = NULL;
  take_mark_of(&waiting, target);
  while (waiting) {
    GCObject *object = waiting, **link = layout_link(object);
    waiting = *link;
    *link = NULL;
    walk_each_reference(object, take_marks_of_reference, &waiting);
  }
}

/* ---- all blocks ---- */

typedef struct {
  const global_State *g;
  block_visitor visit;
  void *context;
} all_blocks;

static void visit_cell_block(void *context, label_kind kind, uintptr_t place, GCObject *key,
                             GCObject *value) {
  const all_blocks *blocks = context;
  (void)place, (void)value;
  if (kind == LABEL_UPVALUE && layout_claim_cell((UpVal *)key))
    blocks->visit(blocks->context, key, sizeof(UpVal));
}

OVER_BLOCKS void visit_blocks_of(void *context, GCObject *object) {
  const all_blocks *blocks = context;
  each_block(blocks->g, object, blocks->visit, blocks->context);
  if (holds_cells(object)) each_cell(object, visit_cell_block, context);
}

static void release_cells_of(void *context, GCObject *object) {
  if (holds_cells(object)) each_cell(object, release_cell, context);
}

void walk_each_block(lua_State *L, block_visitor visit, void *context) {
  all_blocks blocks = {G(L), visit, context};
  layout_each_runtime_block(G(L), visit, context);
  each_object_of(L, visit_blocks_of, &blocks);
  if (!LAYOUT_CELLS_ARE_OBJECTS) walk_each_object(L, release_cells_of, NULL);
}
