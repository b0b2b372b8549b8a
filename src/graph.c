#include "graph.h"

#include "borrow.h"

#define CELL 1u

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

static uint32_t number_of(const GCObject *object) { return (uint32_t)(uintptr_t)object->next; }

uint32_t graph_find(const graph *g, const GCObject *object) {
  (void)g;
  return object->marked & LAYOUT_MARK_BIT ? number_of(object) : GRAPH_NONE;
}

static uint32_t new_node(graph *g, graph_place place, graph_place saved, uint32_t parent) {
  uint32_t node = g->node_count++;
  g->places[node] = place;
  g->saved[node] = saved;
  g->parents[node] = parent;
  return node;
}

static uint32_t node_of_object(graph *g, GCObject *object, uint32_t parent) {
  if (object->marked & LAYOUT_MARK_BIT) return number_of(object);
  if (g->node_count == g->node_limit) return g->failed = 1, 0;
  uint32_t node = new_node(g, place_of(object, 0), place_of(object->next, 0), parent);
  object->marked |= LAYOUT_MARK_BIT;
  object->next = (GCObject *)(uintptr_t)node;
  return node;
}

static uint32_t node_of_cell(graph *g, UpVal *cell, uint32_t parent) {
  if (LAYOUT_CELLS_ARE_OBJECTS) return node_of_object(g, (GCObject *)cell, parent);
  if (layout_cell_is_claimed(cell)) return (uint32_t)layout_cell_word(cell);
  if (g->node_count == g->node_limit) return g->failed = 1, 0;
  uint32_t node = new_node(g, place_of(cell, CELL), (graph_place)layout_cell_word(cell), parent);
  layout_set_cell_word(cell, node);
  layout_claim_cell(cell);
  return node;
}

static void restore(graph *g, uint32_t node) {
  UpVal *cell = graph_cell(g, node);
  if (cell) {
    layout_release_cell(cell);
    layout_set_cell_word(cell, g->saved[node]);
    return;
  }
  GCObject *object = graph_object(g, node);
  object->marked &= (lu_byte)~LAYOUT_MARK_BIT;
  object->next = address_at(g->saved[node]);
}

/* ---- edges ---- */

typedef struct {
  graph *g;
  uint32_t from;
  int weakness; /* of the table in hand */
  graph_visitor visit;
  void *context;
} edges;

static void visit_object(edges *e, label_kind kind, uintptr_t place, int is_key, GCObject *object) {
  uint32_t to = object ? node_of_object(e->g, object, e->from) : 0;
  if (object) e->visit(e->context, make_label(kind, place), is_key, to);
}

/* The value of an ephemeron is an edge of its key: see `each_late_edge`. */
static void visit_entry(edges *e, label_kind kind, uintptr_t place, GCObject *key,
                        GCObject *value) {
  if (e->weakness == WEAK_KEYS && !layout_is_plain(key)) return;
  if (!(e->weakness & WEAK_KEYS) || layout_is_plain(key)) visit_object(e, kind, place, 1, key);
  if (!(e->weakness & WEAK_VALUES) || layout_is_plain(value))
    visit_object(e, kind, place, 0, value);
}

static void visit_reference(void *context, label_kind kind, uintptr_t place, GCObject *key,
                            GCObject *value) {
  edges *e = context;
  if (kind == LABEL_UPVALUE && key) /* the cell holds the value */
    e->visit(e->context, make_label(kind, place), 0, node_of_cell(e->g, (UpVal *)key, e->from));
  else if (kind == LABEL_NODE || kind == LABEL_INDEX)
    visit_entry(e, kind, place, key, value);
  else
    visit_object(e, kind, place, 0, value);
}

static int weakness_of(const graph *g, GCObject *object) {
  return layout_is_table(object) ? layout_weakness(G(g->L), gco2t(object)) : 0;
}

static void each_root(edges *e) {
  global_State *g = G(e->g->L);
  visit_object(e, LABEL_ROOT, (uintptr_t)"[main thread]", 0, obj2gco(g->mainthread));
  visit_object(e, LABEL_ROOT, (uintptr_t)"[registry]", 0, object_of(&g->l_registry));
  visit_object(e, LABEL_ROOT, (uintptr_t)"[running coroutine]", 0, obj2gco(e->g->L));
  for (int i = 0; i < LUA_NUMTAGS; i++)
    if (g->mt[i]) visit_object(e, LABEL_ROOT, (uintptr_t)"[type metatables]", 0, obj2gco(g->mt[i]));
  for (GCObject *o = g->tobefnz; o;) {
    GCObject *next = o->marked & LAYOUT_MARK_BIT ? address_at(e->g->saved[number_of(o)]) : o->next;
    visit_object(e, LABEL_ROOT, (uintptr_t)"[finalizers]", 0, o);
    o = next;
  }
  for (GCObject *o = g->fixedgc; o;) {
    GCObject *next = o->marked & LAYOUT_MARK_BIT ? address_at(e->g->saved[number_of(o)]) : o->next;
    visit_object(e, LABEL_ROOT, (uintptr_t)"[state]", 0, o);
    o = next;
  }
}

/* All but those of ephemerons. */
static void each_own_edge(graph *g, uint32_t node, graph_visitor visit, void *context) {
  edges e = {g, node, 0, visit, context};
  if (node == 0) {
    each_root(&e);
    return;
  }
  UpVal *cell = graph_cell(g, node);
  if (cell) {
    visit_object(&e, LABEL_UPVALUE, 0, 0, layout_cell_value(cell));
    return;
  }
  GCObject *object = graph_object(g, node);
  e.weakness = weakness_of(g, object);
  walk_each_reference(object, visit_reference, &e);
}

/* ---- ephemerons ---- */

/* An edge from a live key to its value. */
typedef void (*late_visitor)(graph *g, uint32_t from, uint32_t to, uint32_t *room);

typedef struct {
  graph *g;
  uint32_t table;
  late_visitor visit;
  uint32_t *room;
} late_edges;

static void visit_late(void *context, label_kind kind, uintptr_t place, GCObject *key,
                       GCObject *value) {
  const late_edges *late = context;
  (void)kind, (void)place;
  if (layout_is_plain(key) || value == NULL) return;
  uint32_t from = graph_find(late->g, key);
  if (from == GRAPH_NONE) return;
  uint32_t to = node_of_object(late->g, value, late->table);
  if (late->visit && !late->g->failed) late->visit(late->g, from, to, late->room);
}

static void each_late_edge(graph *g, late_visitor visit, uint32_t *room) {
  for (uint32_t i = 0; i < g->ephemeron_count && !g->failed; i++) {
    late_edges late = {g, g->ephemerons[i], visit, room};
    walk_each_entry(gco2t(graph_object(g, g->ephemerons[i])), visit_late, &late);
  }
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

/* ---- building ---- */

static void count_edge(void *context, label place, int is_key, uint32_t to) {
  uint32_t *count = context;
  (void)place, (void)is_key, (void)to;
  ++*count;
}

/* Visits what was found, breadth first; `first` holds the number of edges of each node. */
static void find_nodes(graph *g, uint32_t visited) {
  for (; visited < g->node_count && !g->failed; visited++) {
    GCObject *object = graph_object(g, visited);
    g->first[visited] = 0;
    each_own_edge(g, visited, count_edge, &g->first[visited]);
    if (object && weakness_of(g, object) == WEAK_KEYS) note_ephemeron(g, visited);
  }
}

static void find_all_nodes(graph *g) {
  const GCObject *globals = walk_globals(g->L);
  new_node(g, 0, 0, 0);
  if (globals) node_of_object(g, (GCObject *)globals, 0); /* its paths come first */
  uint32_t visited = 0;
  while (visited < g->node_count && !g->failed) {
    find_nodes(g, visited);
    visited = g->node_count;
    each_late_edge(g, NULL, NULL);
  }
}

static void count_late_edge(graph *g, uint32_t from, uint32_t to, uint32_t *room) {
  (void)to, (void)room;
  g->first[from]++;
}

static void place_late_edge(graph *g, uint32_t from, uint32_t to, uint32_t *room) {
  g->successors[room[from]++] = to;
}

static void place_edge(void *context, label place, int is_key, uint32_t to) {
  uint32_t **at = context;
  (void)place, (void)is_key;
  *(*at)++ = to;
}

/* From counts to places. */
static void sum_counts(graph *g) {
  uint32_t sum = 0;
  for (uint32_t node = 0; node <= g->node_count; node++) {
    uint32_t count = node < g->node_count ? g->first[node] : 0;
    g->first[node] = sum;
    sum += count;
  }
  g->edge_count = sum;
}

/* `ends` (may be NULL where there are no late edges) gets where each node's own edges end. */
static void place_own_edges(graph *g, uint32_t *ends) {
  for (uint32_t node = 0; node < g->node_count; node++) {
    uint32_t *at = g->successors + g->first[node];
    each_own_edge(g, node, place_edge, &at);
    if (ends) ends[node] = (uint32_t)(at - g->successors);
  }
}

static int place_edges(graph *g) {
  each_late_edge(g, count_late_edge, NULL);
  sum_counts(g);
  g->successors = borrow((g->edge_count + 1) * sizeof *g->successors);
  uint32_t *ends = g->ephemeron_count ? borrow(g->node_count * sizeof *ends) : NULL;
  int placed = g->successors != NULL && (g->ephemeron_count == 0 || ends != NULL);
  if (placed) {
    place_own_edges(g, ends);
    each_late_edge(g, place_late_edge, ends);
  }
  borrow_return(ends);
  return placed;
}

walk_status graph_build(lua_State *L, uint32_t node_limit, graph *g) {
  memset(g, 0, sizeof *g);
  g->L = L;
  g->node_limit = node_limit;
  g->places = borrow(node_limit * sizeof *g->places);
  g->saved = borrow(node_limit * sizeof *g->saved);
  g->parents = borrow(node_limit * sizeof *g->parents);
  g->first = borrow((node_limit + (size_t)1) * sizeof *g->first);
  g->failed = !(g->places && g->saved && g->parents && g->first);
  if (!g->failed) find_all_nodes(g);
  if (!g->failed && place_edges(g)) return WALK_OK;
  graph_release(g);
  return WALK_NO_MEMORY;
}

void graph_release(graph *g) {
  for (uint32_t node = 1; node < g->node_count; node++) restore(g, node);
  borrow_return(g->successors);
  borrow_return(g->ephemerons);
  borrow_return(g->first);
  borrow_return(g->parents);
  borrow_return(g->saved);
  borrow_return(g->places);
  memset(g, 0, sizeof *g);
}

/* ---- reading ---- */

size_t graph_bytes(const graph *g, uint32_t node) {
  GCObject *object = node == 0 ? NULL : graph_object(g, node);
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

void graph_each_edge(const graph *g, uint32_t node, graph_visitor visit, void *context) {
  counted c = {visit, context, 0};
  each_own_edge((graph *)g, node, visit_and_count, &c); /* finds nothing new any more */
  for (uint32_t e = g->first[node] + c.count; e < g->first[node + 1]; e++)
    visit(context, make_label(LABEL_UNKNOWN, 0), 0, g->successors[e]);
}

typedef struct {
  uint32_t node;
  const char *name;
} root_search;

static void match_root(void *context, label place, int is_key, uint32_t to) {
  root_search *search = context;
  (void)is_key;
  if (to == search->node && search->name == NULL) search->name = (const char *)place.place;
}

const char *graph_root_name(const graph *g, uint32_t node) {
  root_search search = {node, NULL};
  if (node != 0 && graph_object(g, node) == walk_globals(g->L)) return "_G";
  graph_each_edge(g, 0, match_root, &search);
  return search.name;
}
