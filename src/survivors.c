#include "survivors.h"

#include <assert.h>

#include "borrow.h"

enum { ALIVE = 1, CONDEMNED_VALUE = 2 };
enum { OF_TABLE, OF_HOLDER, PARTS };

/* ---- entries that live by two ends ---- */

static void count_entry(void *context, graph *g, const graph_condition *condition) {
  survivors *s = context;
  (void)g, (void)condition;
  s->entry_capacity++;
}

/* What links entries: a place, and the part in which the node takes part in it. */
static void link_entry(survivors *s, uint32_t node, uint32_t place, uint32_t part) {
  s->entries[place].next[part] = s->heads[node];
  s->heads[node] = place * PARTS + part;
}

static void add_survivors_entry(void *context, graph *g, const graph_condition *condition) {
  survivors *s = context;
  uint32_t place = s->entry_count, holder = graph_find(g, condition->holder);
  survivors_entry entry = {
      condition->table, holder, graph_find(g, condition->held), {0, 0}, condition->is_key};
  if (entry.holder == GRAPH_NONE) return;
  assert(entry.held != GRAPH_NONE); /* the graph has it, by this very condition */
  s->entries[place] = entry;
  s->entry_count++;
  link_entry(s, entry.table, place, OF_TABLE);
  if (!entry.is_key) link_entry(s, entry.holder, place, OF_HOLDER);
}

int survivors_open(graph *g, survivors *s) {
  size_t count = g->node_count;
  assert(g->own_ends);
  memset(s, 0, sizeof *s);
  s->g = g;
  graph_each_condition(g, count_entry, s);
  s->states = borrow(count);
  s->stack = borrow(count * sizeof *s->stack);
  s->heads = borrow(count * sizeof *s->heads);
  s->entries = borrow((s->entry_capacity + (size_t)1) * sizeof *s->entries);
  if (!s->states || !s->stack || !s->heads || !s->entries) return survivors_close(s), 0;
  memset(s->heads, 0xFF, count * sizeof *s->heads);
  graph_each_condition(g, add_survivors_entry, s);
  return 1;
}

void survivors_close(survivors *s) {
  borrow_return(s->entries);
  borrow_return(s->heads);
  borrow_return(s->stack);
  borrow_return(s->states);
}

/* ---- what lives ---- */

static int survives(const survivors *s, uint32_t node) { return s->states[node] & ALIVE; }

static void revive(survivors *s, uint32_t node) {
  if (survives(s, node) || node == s->gone) return;
  s->states[node] |= ALIVE;
  s->stack[s->stack_count++] = node;
}

static int entry_holds(const survivors *s, const survivors_entry *entry) {
  return survives(s, entry->table) && (entry->is_key ? !(s->states[entry->holder] & CONDEMNED_VALUE)
                                                     : survives(s, entry->holder));
}

static void visit_survivor(survivors *s, uint32_t node) {
  const graph *g = s->g;
  for (uint32_t e = g->first[node]; e < g->own_ends[node]; e++) revive(s, g->successors[e]);
  for (uint32_t link = s->heads[node]; link != GRAPH_NONE;) {
    const survivors_entry *entry = &s->entries[link / PARTS];
    if (entry_holds(s, entry)) revive(s, entry->held);
    link = entry->next[link % PARTS];
  }
}

/* Keys that lived to keep their values alive, in vain: they go with the next collection. */
static int condemn_values(survivors *s) {
  int found = 0;
  for (uint32_t i = 0; i < s->entry_count; i++) {
    if (!s->entries[i].is_key || s->states[s->entries[i].holder]) continue;
    s->states[s->entries[i].holder] = CONDEMNED_VALUE;
    found = 1;
  }
  return found;
}

size_t survivors_freed_bytes(survivors *s, uint32_t node) {
  size_t bytes = 0;
  s->gone = node;
  memset(s->states, 0, s->g->node_count);
  for (;;) {
    revive(s, 0);
    while (s->stack_count > 0) visit_survivor(s, s->stack[--s->stack_count]);
    if (!condemn_values(s)) break;
    for (uint32_t i = 0; i < s->g->node_count; i++) s->states[i] &= CONDEMNED_VALUE;
  }
  for (uint32_t i = 0; i < s->g->node_count; i++)
    if (!survives(s, i)) bytes += graph_bytes(s->g, i);
  return bytes;
}
