#include "retained.h"

#include "borrow.h"
#include "dominators.h"

/* A growing array of a loan. */
typedef struct {
  void *items;
  size_t count, capacity, item_bytes;
} list;

/* Node 0 is the root above all roots. An upvalue's cell is a node like an object; its address
** bears a mark in the lowest bit, since in 5.3 it has no header that tells what it is. */
typedef struct {
  lua_State *L;
  global_State *g;
  list objects;    /* uintptr_t, by node */
  list first;      /* uint32_t, by node: where its successors begin */
  list successors; /* uint32_t */
  list parents;    /* uint32_t, by node: through whom it was found; itself: in doubt */
  list later;      /* conditions */
  uint32_t *index; /* address -> node, open addressing */
  size_t index_capacity;
  int failed;
  int unsettled;    /* collections would free more: all is in doubt */
  int weakness;     /* of the table in hand */
  uint32_t in_hand; /* node */
} graph;

/* What an entry of a weak table says. `held` lives as long as the table and `holder` do; the edge
** that is found late says so of the holder alone. Where `held` is 0, the entry's key is taken to
** live as long as the table; that is right while `holder`, the value, lives. */
typedef struct {
  uintptr_t holder, held;
  uint32_t table;
  int done;
} condition;

#define CELL    1u
#define NO_NODE UINT32_MAX

static int append(graph *g, list *l, const void *item) {
  if (l->count == l->capacity) {
    size_t capacity = l->capacity ? l->capacity + l->capacity / 2 : 1024;
    void *items = borrow_more(l->items, capacity * l->item_bytes);
    if (items == NULL) return g->failed = 1, 0;
    l->items = items;
    l->capacity = capacity;
  }
  memcpy((char *)l->items + l->count++ * l->item_bytes, item, l->item_bytes);
  return 1;
}

static uintptr_t address_of_node(const graph *g, uint32_t node) {
  return ((const uintptr_t *)g->objects.items)[node];
}

/* ---- address -> node ---- */

static size_t index_start(const graph *g, uintptr_t address) {
  return (size_t)(((uint64_t)address * UINT64_C(0x9E3779B97F4A7C15)) >> 24) &
         (g->index_capacity - 1);
}

static uint32_t find_node(const graph *g, uintptr_t address) {
  for (size_t at = index_start(g, address);; at = (at + 1) & (g->index_capacity - 1)) {
    uint32_t node = g->index[at];
    if (node == NO_NODE || address_of_node(g, node) == address) return node;
  }
}

static void index_insert(graph *g, uint32_t node) {
  size_t at = index_start(g, address_of_node(g, node));
  while (g->index[at] != NO_NODE) at = (at + 1) & (g->index_capacity - 1);
  g->index[at] = node;
}

static int grow_index(graph *g) {
  size_t capacity = g->index_capacity ? 2 * g->index_capacity : 4096;
  uint32_t *index = borrow(capacity * sizeof *index);
  if (index == NULL) return g->failed = 1, 0;
  memset(index, 0xFF, capacity * sizeof *index);
  borrow_return(g->index);
  g->index = index;
  g->index_capacity = capacity;
  for (uint32_t node = 1; node < g->objects.count; node++) index_insert(g, node);
  return 1;
}

static uint32_t node_of(graph *g, uintptr_t address) {
  uint32_t node = g->index_capacity ? find_node(g, address) : NO_NODE;
  if (node != NO_NODE || g->failed) return node;
  if (3 * (g->objects.count + 1) > 2 * g->index_capacity && !grow_index(g)) return NO_NODE;
  if (!append(g, &g->objects, &address) || !append(g, &g->parents, &g->in_hand)) return NO_NODE;
  node = (uint32_t)g->objects.count - 1;
  index_insert(g, node);
  return node;
}

/* ---- edges ---- */

static void add_edge(graph *g, uintptr_t to) {
  uint32_t node = node_of(g, to);
  if (node != NO_NODE) append(g, &g->successors, &node);
}
static void add_object(graph *g, const GCObject *object) {
  if (object) add_edge(g, (uintptr_t)object);
}

static void add_condition(graph *g, const GCObject *holder, const GCObject *held) {
  condition c = {(uintptr_t)holder, (uintptr_t)held, g->in_hand, 0};
  append(g, &g->later, &c);
}

static void add_table_entry(graph *g, GCObject *key, GCObject *value) {
  int key_is_weak = (g->weakness & WEAK_KEYS) && !layout_is_plain(key);
  int value_is_weak = (g->weakness & WEAK_VALUES) && !layout_is_plain(value);
  if (key_is_weak || value_is_weak) {
    if (!value_is_weak && value) add_condition(g, key, value);
    if (!key_is_weak && key) add_condition(g, value, layout_is_plain(key) ? key : NULL);
    value = NULL;
    if (key_is_weak || layout_is_plain(key)) key = NULL;
  }
  add_object(g, key);
  add_object(g, value);
}

static void add_reference(void *context, label_kind kind, uintptr_t place, GCObject *key,
                          GCObject *value) {
  graph *g = context;
  (void)place;
  if (kind == LABEL_UPVALUE && key)
    add_edge(g, (uintptr_t)key | CELL); /* the cell holds the value */
  else if (kind == LABEL_NODE || kind == LABEL_INDEX)
    add_table_entry(g, key, value);
  else
    add_object(g, value);
}

static void add_successors(graph *g, uint32_t node) {
  uint32_t first = (uint32_t)g->successors.count;
  if (!append(g, &g->first, &first)) return;
  uintptr_t address = address_of_node(g, node);
  g->in_hand = node;
  if (address & CELL) {
    add_object(g, layout_cell_value((const UpVal *)(address & ~(uintptr_t)CELL)));
    return;
  }
  GCObject *object = (GCObject *)address;
  g->weakness = layout_kind(object) == KIND_TABLE ? layout_weakness(g->g, gco2t(object)) : 0;
  walk_each_reference(object, add_reference, g);
}

/* Visits what has been found so far, and what an entry holds once its holder was. */
static void visit_found(graph *g) {
  size_t visited = g->first.count, edges;
  do {
    for (; visited < g->objects.count && !g->failed; visited++)
      add_successors(g, (uint32_t)visited);
    edges = 0;
    condition *later = g->later.items;
    for (size_t i = 0; i < g->later.count; i++) {
      if (later[i].done || !later[i].held) continue;
      g->in_hand = find_node(g, later[i].holder);
      if (g->in_hand == NO_NODE) continue;
      later[i].done = 1;
      edges++;
      node_of(g, later[i].held);
    }
  } while (edges > 0 && !g->failed);
}

static void doubt(const graph *g, uint32_t node) {
  uint32_t *parents = g->parents.items;
  while (parents[node] != node) {
    uint32_t above = parents[node];
    parents[node] = node;
    node = above;
  }
}

/*
** A condition has two ends, and a dominator tree can't express that something lives only while both
** do. So the graph knows one of them. It is exact for an object without which the other end is
** still found, by the very way by which it was found: all objects on those ways are in doubt.
*/
static void doubt_conditions(graph *g) {
  const condition *later = g->later.items;
  for (size_t i = 0; i < g->later.count; i++) {
    uint32_t node = later[i].held ? later[i].table : find_node(g, later[i].holder);
    if (node == NO_NODE)
      g->unsettled = 1;
    else if (later[i].done || !later[i].held)
      doubt(g, node);
  }
}

static void add_roots(graph *g) {
  uintptr_t root = 0;
  uint32_t first = 0;
  append(g, &g->objects, &root);
  append(g, &g->parents, &first);
  append(g, &g->first, &first);
  add_object(g, obj2gco(g->g->mainthread));
  add_object(g, object_of(&g->g->l_registry));
  add_object(g, obj2gco(g->L));
  for (int i = 0; i < LUA_NUMTAGS; i++)
    if (g->g->mt[i]) add_object(g, obj2gco(g->g->mt[i]));
  for (const GCObject *o = g->g->tobefnz; o; o = o->next) add_object(g, o);
  for (const GCObject *o = g->g->fixedgc; o; o = o->next) add_object(g, o);
}

/* ---- the graph in one piece ---- */

/* Late edges start at nodes whose successors lie in the middle: everything behind moves up. */
static uint32_t *place_late_edges(graph *g, uint32_t *first, size_t node_count) {
  const condition *later = g->later.items;
  const uint32_t *old = g->successors.items;
  size_t old_count = g->successors.count, added = 0;
  uint32_t *room = borrow((node_count + 1) * sizeof *room);
  if (room == NULL) return NULL;
  memset(room, 0, (node_count + 1) * sizeof *room);
  for (size_t i = 0; i < g->later.count; i++)
    if (later[i].done) room[find_node(g, later[i].holder)]++, added++;
  uint32_t *merged = borrow((old_count + added + 1) * sizeof *merged);
  if (merged) {
    size_t at = 0;
    for (size_t node = 0; node < node_count; node++) {
      size_t begin = first[node], count = first[node + 1] - begin;
      first[node] = (uint32_t)at;
      memcpy(merged + at, old + begin, count * sizeof *old);
      at += count;
      uint32_t late = room[node];
      room[node] = (uint32_t)at;
      at += late;
    }
    first[node_count] = (uint32_t)at;
    for (size_t i = 0; i < g->later.count; i++)
      if (later[i].done)
        merged[room[find_node(g, later[i].holder)]++] = find_node(g, later[i].held);
  }
  borrow_return(room);
  return merged;
}

static size_t bytes_of_node(const graph *g, uint32_t node) {
  uintptr_t address = address_of_node(g, node);
  if (node == 0) return 0;
  if (address & CELL) return sizeof(UpVal);
  return walk_object_bytes(g->g, (GCObject *)address);
}

static size_t *sum_nodes(graph *g) {
  size_t node_count = g->first.count;
  uint32_t end = (uint32_t)g->successors.count;
  if (!append(g, &g->first, &end)) return NULL;
  size_t *bytes = borrow(node_count * sizeof *bytes);
  uint32_t *successors = bytes ? place_late_edges(g, g->first.items, node_count) : NULL;
  dominators_graph input = {g->first.items, successors, (uint32_t)node_count};
  if (bytes)
    for (uint32_t node = 0; node < node_count; node++) bytes[node] = bytes_of_node(g, node);
  int summed = successors && dominators_sum(&input, bytes, NULL);
  borrow_return(successors);
  if (summed) return bytes;
  borrow_return(bytes);
  return NULL;
}

/* ---- the whole ---- */

static int retained_of_line(const graph *g, const tree_node *n, const size_t *sums, size_t *bytes) {
  walk_books unused;
  *bytes = n->own_bytes;
  if (!n->in_use || n->object == NULL) return 1;
  uint32_t node = find_node(g, (uintptr_t)n->object);
  if (g->unsettled || node == NO_NODE || ((const uint32_t *)g->parents.items)[node] == node)
    return walk_retained(g->L, (GCObject *)n->object, bytes, &unused) == WALK_OK;
  *bytes = sums[node];
  return 1;
}

static size_t *pick(const graph *g, const tree *t, const size_t *sums) {
  size_t *bytes = borrow((t->used + 1) * sizeof *bytes);
  for (uint32_t i = 0; bytes && i < t->used; i++) {
    if (retained_of_line(g, &t->nodes[i], sums, &bytes[i])) continue;
    borrow_return(bytes);
    bytes = NULL;
  }
  return bytes;
}

walk_status retained_of_tree(lua_State *L, const tree *t, size_t **bytes) {
  graph g;
  memset(&g, 0, sizeof g);
  g.L = L;
  g.g = G(L);
  g.objects.item_bytes = sizeof(uintptr_t);
  g.first.item_bytes = g.successors.item_bytes = g.parents.item_bytes = sizeof(uint32_t);
  g.later.item_bytes = sizeof(condition);
  *bytes = NULL;
  add_roots(&g);
  if (!g.failed) visit_found(&g);
  if (!g.failed) doubt_conditions(&g);
  size_t *sums = g.failed ? NULL : sum_nodes(&g);
  if (sums) *bytes = pick(&g, t, sums);
  borrow_return(sums);
  borrow_return(g.index);
  borrow_return(g.objects.items);
  borrow_return(g.first.items);
  borrow_return(g.successors.items);
  borrow_return(g.parents.items);
  borrow_return(g.later.items);
  return *bytes ? WALK_OK : WALK_NO_MEMORY;
}
