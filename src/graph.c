#include "graph.h"

#include <assert.h>

#include "borrow.h"

/* Of the place of a cell, where that is no object. */
#define CELL (LAYOUT_CELLS_ARE_OBJECTS ? 0u : 1u)

/* Where size counts, one loop over tables serves all, through a pointer; elsewhere the graph has
** its own. */
#ifdef __OPTIMIZE_SIZE__
#define IN_LOOP    static
#define each_entry walk_each_entry
#else
#define IN_LOOP    LAYOUT_INLINE
#define each_entry layout_each_entry
#endif

/* ---- places ---- */

#if defined(__wasm__) && UINTPTR_MAX > UINT32_MAX
#define PLACE_SHIFT 2
#else
#define PLACE_SHIFT 0
#endif

static graph_place place_of(const void *address, unsigned int flag) {
  return (graph_place)((uintptr_t)address >> PLACE_SHIFT) | flag;
}
static void *address_at(graph_place place) {
  return (void *)((uintptr_t)(place & ~(graph_place)CELL) << PLACE_SHIFT);
}

GCObject *graph_object(const graph *g, uint32_t node) {
  graph_place place = g->places[node];
  return place & CELL ? NULL : address_at(place);
}

UpVal *graph_cell(const graph *g, uint32_t node) {
  graph_place place = g->places[node];
  return place & CELL ? address_at(place) : NULL;
}

/* ---- numbers in the place of links ---- */

/* A link of 64 bits has room for the number and, above it, for the place it led to. */
#if defined(__wasm__) && UINTPTR_MAX > UINT32_MAX
static uintptr_t word_for(graph *g, uint32_t node, graph_place saved) {
  (void)g;
  return (uintptr_t)saved << 32 | node;
}
static graph_place saved_of(const graph *g, uintptr_t word) {
  (void)g;
  return (graph_place)(word >> 32);
}
#define SAVED_BYTES 0u
#else
static uintptr_t word_for(graph *g, uint32_t node, graph_place saved) {
  g->saved[node] = saved;
  return node;
}
static graph_place saved_of(const graph *g, uintptr_t word) { return g->saved[(uint32_t)word]; }
#define SAVED_BYTES sizeof(graph_place)
#endif

static uint32_t number_of(const GCObject *object) { return (uint32_t)(uintptr_t)object->next; }
IN_LOOP int has_number(const GCObject *object) { return object->marked & LAYOUT_MARK_BIT; }

uint32_t graph_find(const graph *g, const GCObject *object) {
  (void)g;
  return has_number(object) ? number_of(object) : GRAPH_NONE;
}

GCObject *graph_next(const graph *g, const GCObject *object) {
  return has_number(object) ? address_at(saved_of(g, (uintptr_t)object->next)) : object->next;
}

static uint32_t new_graph_node(graph *g, graph_place place, uint32_t parent) {
  uint32_t node = g->node_count++;
  g->places[node] = place;
  g->parents[node] = parent;
  return node;
}

IN_LOOP uint32_t node_of_object(graph *g, GCObject *object, uint32_t parent) {
  if (has_number(object)) return number_of(object);
  if (g->node_count == g->node_limit) return g->failed = 1, 0;
  uint32_t node = new_graph_node(g, place_of(object, 0), parent);
  object->marked |= LAYOUT_MARK_BIT;
  object->next = (GCObject *)word_for(g, node, place_of(object->next, 0));
  return node;
}

uint32_t graph_add(graph *g, GCObject *object, uint32_t parent) {
  return node_of_object(g, object, parent);
}

static uint32_t node_of_cell(graph *g, UpVal *cell, uint32_t parent) {
  if (LAYOUT_CELLS_ARE_OBJECTS) return node_of_object(g, (GCObject *)cell, parent);
  if (layout_cell_is_claimed(cell)) return (uint32_t)layout_cell_word(cell);
  if (g->node_count == g->node_limit) return g->failed = 1, 0;
  uint32_t node = new_graph_node(g, place_of(cell, CELL), parent);
  layout_set_cell_word(cell, word_for(g, node, (graph_place)layout_cell_word(cell)));
  layout_claim_cell(cell);
  return node;
}

void graph_restore(const graph *g, GCObject *object) {
  object->next = graph_next(g, object);
  object->marked &= (lu_byte)~LAYOUT_MARK_BIT;
}

static void restore(graph *g, uint32_t node) {
  UpVal *cell = graph_cell(g, node);
  if (cell == NULL) {
    graph_restore(g, graph_object(g, node));
    return;
  }
  layout_release_cell(cell);
  layout_set_cell_word(cell, saved_of(g, layout_cell_word(cell)));
}

/* ---- edges ---- */

static void make_edge_room(graph *g, size_t capacity) {
  uint32_t *more = borrow_more(g->successors, capacity * sizeof *more);
  if (more == NULL || capacity >= UINT32_MAX) {
    g->failed = 1;
    if (more) g->successors = more;
    return;
  }
  g->successors = more;
  g->edge_capacity = (uint32_t)capacity;
}

static LAYOUT_APART void grow_successors(graph *g) {
  make_edge_room(g, g->edge_capacity + (size_t)g->edge_capacity / 8 + 4096);
}

static inline void append_edge(graph *g, uint32_t to) {
  if (g->edge_count == g->edge_capacity) grow_successors(g);
  if (!g->failed) g->successors[g->edge_count++] = to;
}

typedef struct {
  graph *g;
  uint32_t from;
  int weakness;        /* of the table in hand */
  graph_visitor visit; /* NULL: the graph is being built */
  void *context;
} edges;

IN_LOOP void visit_node(edges *e, label_kind kind, uintptr_t place, int is_key, uint32_t to) {
  if (e->visit)
    e->visit(e->context, make_label(kind, place), is_key, to);
  else
    append_edge(e->g, to);
}

IN_LOOP void visit_object(edges *e, label_kind kind, uintptr_t place, int is_key,
                          GCObject *object) {
  if (object) visit_node(e, kind, place, is_key, node_of_object(e->g, object, e->from));
}

/* Which strings an entry keeps whose ends are both weak is known when all else is. */
int graph_has_waiting(const graph *g, int weakness) {
  return weakness == (WEAK_KEYS | WEAK_VALUES) && !g->is_settled;
}

static void visit_waiting(edges *e, label_kind kind, uintptr_t place, int is_key,
                          GCObject *object) {
  if (object == NULL || !layout_is_string(object)) return;
  if (e->visit == NULL)
    append_edge(e->g, GRAPH_NONE);
  else if (has_number(object))
    visit_node(e, kind, place, is_key, number_of(object));
}

/* What depends on two ends comes later: see `read_condition`. */
static LAYOUT_APART void visit_weak_entry(edges e, label_kind kind, uintptr_t place, GCObject *key,
                                          GCObject *value) {
  if (graph_has_waiting(e.g, e.weakness)) {
    visit_waiting(&e, kind, place, 1, key);
    visit_waiting(&e, kind, place, 0, value);
    return;
  }
  int key_is_weak = (e.weakness & WEAK_KEYS) && !layout_is_plain(key);
  int value_is_weak = (e.weakness & WEAK_VALUES) && !layout_is_plain(value);
  int value_is_late = key_is_weak && (e.weakness == WEAK_KEYS || e.g->is_settled);
  if (!key_is_weak && !(value_is_weak && e.g->is_settled)) visit_object(&e, kind, place, 1, key);
  if (!value_is_weak && !value_is_late) visit_object(&e, kind, place, 0, value);
}

IN_LOOP void visit_entry(void *context, label_kind kind, uintptr_t place, GCObject *key,
                         GCObject *value) {
  edges *e = context;
  if (e->weakness) {
    visit_weak_entry(*e, kind, place, key, value);
    return;
  }
  visit_object(e, kind, place, 1, key);
  visit_object(e, kind, place, 0, value);
}

static void visit_reference(void *context, label_kind kind, uintptr_t place, GCObject *key,
                            GCObject *value) {
  edges *e = context;
  if (kind == LABEL_UPVALUE && key) /* the cell holds the value */
    visit_node(e, kind, place, 0, node_of_cell(e->g, (UpVal *)key, e->from));
  else
    visit_object(e, kind, place, 0, value);
}

static void visit_root(edges *e, const char *name, GCObject *object) {
  visit_object(e, LABEL_ROOT, (uintptr_t)name, 0, object);
}

static void visit_root_list(edges *e, const char *name, GCObject *list) {
  for (GCObject *o = list, *next; o; o = next) {
    next = graph_next(e->g, o);
    visit_root(e, name, o);
  }
}

static void each_root(edges *e) {
  global_State *g = G(e->g->L);
  visit_root(e, "[main thread]", obj2gco(g->mainthread));
  visit_root(e, "[registry]", object_of(&g->l_registry));
  visit_root(e, "[running coroutine]", obj2gco(e->g->L));
  for (int i = 0; i < LUA_NUMTAGS; i++)
    if (g->mt[i]) visit_root(e, "[type metatables]", obj2gco(g->mt[i]));
  visit_root_list(e, "[finalizers]", g->tobefnz);
  visit_root_list(e, "[state]", g->fixedgc);
}

/* Of what is no table. */
static LAYOUT_APART void each_other_edge(graph *g, uint32_t node, graph_visitor visit,
                                         void *context) {
  edges e = {g, node, 0, visit, context};
  UpVal *cell = graph_cell(g, node);
  if (node == 0)
    each_root(&e);
  else if (cell)
    visit_object(&e, LABEL_UPVALUE, 0, 0, layout_cell_value(cell));
  else
    walk_each_reference(graph_object(g, node), visit_reference, &e);
}

/* All but those of ephemerons. Most nodes are tables and strings: one loop for the former. */
IN_LOOP void each_own_edge(graph *g, uint32_t node, graph_visitor visit, void *context) {
  GCObject *object = graph_object(g, node);
  if (object && layout_is_string(object)) return;
  if (object == NULL || !layout_is_table(object)) {
    each_other_edge(g, node, visit, context);
    return;
  }
  edges e = {g, node, 0, visit, context};
  const Table *table = gco2t(object);
  if (table->metatable) {
    e.weakness = layout_weakness(G(g->L), table);
    visit_object(&e, LABEL_METATABLE, 0, 0, obj2gco(table->metatable));
  }
  each_entry(table, visit_entry, &e);
}

/* ---- entries that live by two ends ---- */

static int has_conditions(const graph *g, GCObject *object) {
  if (!layout_is_table(object) || gco2t(object)->metatable == NULL) return 0;
  int weakness = layout_weakness(G(g->L), gco2t(object));
  return g->is_settled ? weakness != 0 : (weakness & WEAK_KEYS) != 0;
}

static void note_ephemeron(graph *g, uint32_t node) {
  if (g->ephemeron_count == g->ephemeron_capacity) {
    uint32_t capacity = g->ephemeron_capacity ? 2 * g->ephemeron_capacity : 64;
    uint32_t *more = borrow_more(g->ephemerons, capacity * sizeof *more);
    if (more == NULL) {
      g->failed = 1;
      return;
    }
    g->ephemerons = more;
    g->ephemeron_capacity = capacity;
  }
  g->ephemerons[g->ephemeron_count++] = node;
}

/* An edge to what a condition holds. */
typedef void (*late_visitor)(graph *g, uint32_t from, uint32_t to, uint32_t *context);

typedef struct {
  graph *g;
  graph_condition entry;
  int weakness; /* of the table */
  graph_condition_visitor visit;
  void *context;
} conditions;

static void read_condition(void *context, label_kind kind, uintptr_t place, GCObject *key,
                           GCObject *value) {
  conditions *c = context;
  int key_is_weak = (c->weakness & WEAK_KEYS) && !layout_is_plain(key);
  int value_is_weak = (c->weakness & WEAK_VALUES) && !layout_is_plain(value);
  (void)kind, (void)place;
  if (key_is_weak == value_is_weak || key == NULL || value == NULL) return;
  c->entry.holder = key_is_weak ? key : value;
  c->entry.held = key_is_weak ? value : key;
  c->entry.is_key = value_is_weak && !layout_is_plain(key);
  c->visit(c->context, c->g, &c->entry);
}

void graph_each_condition(graph *g, graph_condition_visitor visit, void *context) {
  for (uint32_t i = 0; i < g->ephemeron_count && !g->failed; i++) {
    const Table *table = gco2t(graph_object(g, g->ephemerons[i]));
    int weakness = layout_weakness(G(g->L), table);
    conditions c = {g, {g->ephemerons[i], 0, NULL, NULL}, weakness, visit, context};
    if (!graph_has_waiting(g, weakness)) walk_each_entry(table, read_condition, &c);
  }
}

typedef struct {
  late_visitor visit;
  uint32_t *context;
} late_edges;

static void visit_late(void *context, graph *g, const graph_condition *entry) {
  const late_edges *late = context;
  uint32_t from = entry->is_key ? entry->table : graph_find(g, entry->holder);
  if (from == GRAPH_NONE || (entry->is_key && walk_is_condemned(entry->holder))) return;
  uint32_t to = node_of_object(g, entry->held, entry->table);
  if (late->visit && !g->failed) late->visit(g, from, to, late->context);
}

static void each_late_edge(graph *g, late_visitor visit, uint32_t *context) {
  late_edges late = {visit, context};
  for (uint32_t node = g->node_count; visit && node-- > g->first_late_root;)
    if (g->parents[node] == 0) visit(g, 0, node, context); /* placed from the end on */
  graph_each_condition(g, visit_late, &late);
}

static void count_late_edge(graph *g, uint32_t from, uint32_t to, uint32_t *count) {
  (void)g, (void)from, (void)to;
  ++*count;
}
static void count_late_edge_of_node(graph *g, uint32_t from, uint32_t to, uint32_t *counts) {
  (void)g, (void)to;
  counts[from]++;
}
static void place_late_edge(graph *g, uint32_t from, uint32_t to, uint32_t *ends) {
  g->successors[--ends[from]] = to;
}

/* ---- building ---- */

/* Visits what was found, breadth first; a piece of it, so that an engine that compiles better while
** it runs has a call to change over at. */
#define NODES_A_CALL 4096u
static LAYOUT_APART uint32_t visit_some(graph *g, uint32_t visited) {
  uint32_t end = g->node_count - visited < NODES_A_CALL ? g->node_count : visited + NODES_A_CALL;
  for (; visited < end && !g->failed; visited++) {
    GCObject *object = graph_object(g, visited);
    g->first[visited] = g->edge_count;
    if (g->bytes) g->bytes[visited] = graph_bytes(g, visited); /* while it is in the cache */
    each_own_edge(g, visited, NULL, NULL);
    if (object && has_conditions(g, object)) note_ephemeron(g, visited);
  }
  return visited;
}

void graph_visit(graph *g) {
  while (g->visited < g->node_count && !g->failed) {
    while (g->visited < g->node_count && !g->failed) g->visited = visit_some(g, g->visited);
    each_late_edge(g, NULL, NULL);
  }
  g->first[g->node_count] = g->edge_count;
}

static void find_all_nodes(graph *g) {
  const GCObject *globals = walk_globals(g->L);
  new_graph_node(g, 0, 0);
  if (globals) node_of_object(g, (GCObject *)globals, 0); /* its paths come first */
  graph_visit(g);
  g->first_late_root = g->first_resurrected = g->node_count;
}

/* Moves every node's edges up by the number of late ones before them; `late` holds the number of
** each node, and gets the end of the places for them. */
static void spread_edges(graph *g, uint32_t *late, uint32_t late_count) {
  uint32_t end = g->edge_count, shift = late_count;
  g->first[g->node_count] = g->edge_count = end + late_count;
  for (uint32_t node = g->node_count; node-- > 0;) {
    uint32_t begin = g->first[node], count = end - begin;
    shift -= late[node];
    memmove(g->successors + begin + shift, g->successors + begin, count * sizeof *g->successors);
    g->first[node] = begin + shift;
    late[node] += begin + shift + count;
    end = begin;
  }
  assert(shift == 0 && end == 0);
}

static void add_late_edges(graph *g) {
  uint32_t late_count = 0;
  each_late_edge(g, count_late_edge, &late_count);
  if (!g->failed) make_edge_room(g, (size_t)g->edge_count + late_count + 1); /* and no more */
  if (g->failed || late_count == 0) return;
  uint32_t *late = borrow(g->node_count * sizeof *late);
  if (late == NULL) {
    g->failed = 1;
    return;
  }
  memset(late, 0, g->node_count * sizeof *late);
  each_late_edge(g, count_late_edge_of_node, late);
  spread_edges(g, late, late_count);
  each_late_edge(g, place_late_edge, late);
  if (g->is_settled)
    g->own_ends = late;
  else
    borrow_return(late);
}

/* Objects and cells, and the root above all roots. */
static uint32_t count_nodes(const walk_books *books) {
  size_t count = 1;
  for (int kind = 0; kind < KIND_STATE; kind++) count += books->kinds[kind].count;
  return (uint32_t)count;
}

walk_status graph_build(lua_State *L, const walk_books *books, graph_finder find_last, graph *g) {
  uint32_t node_limit = count_nodes(books);
  memset(g, 0, sizeof *g);
  g->L = L;
  g->is_settled = find_last == NULL;
  g->node_limit = node_limit;
  g->first_late_root = g->first_resurrected = GRAPH_NONE;
  g->places = borrow(node_limit * sizeof *g->places);
  g->saved = borrow(node_limit * SAVED_BYTES);
  g->parents = borrow(node_limit * sizeof *g->parents);
  g->first = borrow((node_limit + (size_t)1) * sizeof *g->first);
  g->bytes = g->is_settled ? borrow(node_limit * sizeof *g->bytes) : NULL;
  g->failed = !(g->places && g->saved && g->parents && g->first) || (g->is_settled && !g->bytes);
  if (!g->failed) find_all_nodes(g);
  if (!g->failed && find_last) find_last(g);
  if (!g->failed) add_late_edges(g);
  if (!g->failed) return WALK_OK;
  graph_release(g);
  return WALK_NO_MEMORY;
}

void graph_release(graph *g) {
  for (uint32_t node = 1; node < g->node_count; node++) restore(g, node);
  borrow_return(g->successors);
  borrow_return(g->own_ends);
  borrow_return(g->ephemerons);
  borrow_return(g->bytes);
  borrow_return(g->first);
  borrow_return(g->parents);
  borrow_return(g->saved);
  borrow_return(g->places);
  memset(g, 0, sizeof *g);
}

/* ---- reading ---- */

size_t graph_bytes(const graph *g, uint32_t node) {
  GCObject *object = graph_object(g, node);
  if (object) return walk_object_bytes(G(g->L), object);
  return node == 0 ? 0 : sizeof(UpVal);
}

typedef struct {
  graph_visitor visit;
  void *context;
  uint32_t count;
} counted;

static void visit_and_count(void *context, label place, int is_key, uint32_t to) {
  counted *c = context;
  c->count++;
  c->visit(c->context, place, is_key, to);
}

/* Late edges: of a root they tell which, of an entry nothing. */
static label late_label(const graph *g, uint32_t from, uint32_t to) {
  if (from != 0) return make_label(LABEL_UNKNOWN, 0);
  const char *name = to < g->first_resurrected ? "[touched upvalues]" : "[resurrected]";
  return make_label(LABEL_ROOT, (uintptr_t)name);
}

void graph_each_edge(const graph *g, uint32_t node, graph_visitor visit, void *context) {
  counted c = {visit, context, 0};
  each_own_edge((graph *)g, node, visit_and_count, &c); /* finds nothing new any more */
  for (uint32_t e = g->first[node] + c.count; e < g->first[node + 1]; e++)
    visit(context, late_label(g, node, g->successors[e]), 0, g->successors[e]);
}
