#include "graph_late.h"

/* ---- roots that come last ---- */

static void visit_touched_value(void *context, label_kind kind, uintptr_t place, GCObject *key,
                                GCObject *value) {
  (void)kind, (void)place, (void)key;
  graph_add(context, value, 0);
}

static void add_finalizable(graph *g) {
  g->first_resurrected = g->node_count;
  for (GCObject *o = G(g->L)->finobj, *next; o && !g->failed; o = next) {
    next = graph_next(g, o);
    graph_add(g, o, 0);
  }
}

/* ---- strings that wait ---- */

typedef struct {
  graph *g;
  uint32_t table;
  uint32_t at; /* the edge that waits for its string */
} waiting_strings;

static int lives(const graph *g, const GCObject *object) {
  return layout_is_plain(object) || graph_find(g, object) != GRAPH_NONE;
}

/* The rules are those of `visit_all_weak` in walk_weak.h. */
static void find_waiting(void *context, label_kind kind, uintptr_t place, GCObject *key,
                         GCObject *value) {
  const waiting_strings *w = context;
  int is_resurrected = w->table >= w->g->first_resurrected;
  (void)kind, (void)place;
  if (key && layout_is_string(key) && (is_resurrected || lives(w->g, value)))
    graph_add(w->g, key, w->table);
  if (value && layout_is_string(value) && (!is_resurrected || lives(w->g, key)))
    graph_add(w->g, value, w->table);
}

/* A string that only a removed entry still has: no reference of the table. */
static void find_removed(void *context, label_kind kind, uintptr_t place, GCObject *key,
                         GCObject *value) {
  (void)kind, (void)place, (void)value;
  graph_add(context, key, 0);
}

static void place_waiting(void *context, label_kind kind, uintptr_t place, GCObject *key,
                          GCObject *value) {
  waiting_strings *w = context;
  const GCObject *ends[2] = {key, value};
  (void)kind, (void)place;
  for (int i = 0; i < 2; i++)
    if (ends[i] && layout_is_string(ends[i])) w->g->successors[w->at++] = graph_find(w->g, ends[i]);
}

/* Of the tables that were noted from `begin` on. Returns whether there are any. */
static int each_waiting(graph *g, uint32_t begin, reference_visitor visit) {
  int found = 0;
  for (uint32_t i = begin; i < g->ephemeron_count && !g->failed; i++) {
    uint32_t node = g->ephemerons[i];
    const Table *table = gco2t(graph_object(g, node));
    if (!graph_has_waiting(g, layout_weakness(G(g->L), table))) continue;
    waiting_strings w = {g, node, g->first[node] + 1}; /* the metatable comes first */
    walk_each_entry(table, visit, &w);
    if (visit == find_waiting && node >= g->first_resurrected)
      layout_each_removed_key(table, find_removed, g);
    found = 1;
  }
  return found;
}

static void drop_unplaced_edges(graph *g) {
  uint32_t begin = 0, left = 0;
  for (uint32_t node = 0; node < g->node_count; node++) {
    uint32_t end = g->first[node + 1];
    g->first[node] = left;
    for (; begin < end; begin++)
      if (g->successors[begin] != GRAPH_NONE) g->successors[left++] = g->successors[begin];
  }
  g->first[g->node_count] = g->edge_count = left;
}

/* ---- the whole ---- */

/* In the order of the collector: what it clears before it looks at finalizers stays cleared. */
void graph_find_last(graph *g) {
  layout_each_touched_upvalue(G(g->L), visit_touched_value, g);
  graph_visit(g);
  each_waiting(g, 0, find_waiting);
  graph_visit(g);
  uint32_t settled = g->ephemeron_count;
  add_finalizable(g);
  graph_visit(g);
  each_waiting(g, settled, find_waiting);
  graph_visit(g);
  if (!g->failed && each_waiting(g, 0, place_waiting)) drop_unplaced_edges(g);
}
