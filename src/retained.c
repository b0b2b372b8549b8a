#include "retained.h"

#include <string.h>

#include "borrow.h"
#include "dominators.h"
#include "survivors.h"

/* In the place of a figure. */
#define IN_DOUBT SIZE_MAX
#define NOT_LIVE (SIZE_MAX - 1) /* but kept for a finalizer or one more collection */

/*
** A condition has two ends, and a dominator tree can't express that something lives only while both
** do. So the graph knows one of them. That is exact for an object without which the other end is
** still found, by the very way by which it was found: all objects on those ways are in doubt. A
** node that is its own parent is one of them.
*/
static void doubt(graph *g, uint32_t node) {
  while (g->parents[node] != node) {
    uint32_t above = g->parents[node];
    g->parents[node] = node;
    node = above;
  }
}

static void doubt_condition(void *frees_more, graph *g, const graph_condition *entry) {
  uint32_t holder = graph_find(g, entry->holder);
  if (holder == GRAPH_NONE) { /* the value of a weak entry, which is to keep its key no longer */
    if (entry->is_key) *(int *)frees_more = 1;
    return;
  }
  if (!entry->is_key) doubt(g, entry->table);
  doubt(g, holder); /* what it holds was found by the way of the table, but needs this one too */
}

static void pick(const graph *g, const tree *t, size_t *bytes) {
  for (uint32_t i = 0; i < t->used; i++) {
    const tree_node *n = &t->nodes[i];
    bytes[i] = n->own_bytes;
    if (!n->in_use || n->object == NULL) continue;
    uint32_t node = graph_find(g, n->object);
    bytes[i] = node == GRAPH_NONE ? NOT_LIVE : g->parents[node] == node ? IN_DOUBT : g->bytes[node];
  }
}

/* `*frees_more`: collections to come will free more than the next one. */
static walk_status build(lua_State *L, const walk_books *books, graph *g, int *frees_more) {
  walk_status status = graph_build(L, books, NULL, g);
  *frees_more = 0;
  if (status == WALK_OK) graph_each_condition(g, doubt_condition, frees_more);
  return status;
}

static int settle_doubts(graph *g, const tree *t, size_t *bytes) {
  uint32_t i = 0;
  survivors s;
  while (i < t->used && bytes[i] != IN_DOUBT) i++;
  if (i == t->used) return 1;
  if (!survivors_open(g, &s)) return 0;
  for (; i < t->used; i++)
    if (bytes[i] == IN_DOUBT)
      bytes[i] = survivors_freed_bytes(&s, graph_find(g, t->nodes[i].object));
  survivors_close(&s);
  return 1;
}

static int read_sums(graph *g, const tree *t, size_t *bytes) {
  dominators_graph input = {g->first, g->successors, g->node_count};
  if (!dominators_sum(&input, g->bytes, NULL)) return 0;
  pick(g, t, bytes);
  return settle_doubts(g, t, bytes);
}

/* What objects that are not in the graph hold is a walk each, which the graph must make room for;
** while values are condemned, it need not find them again. */
static walk_status walk_dead(graph *g, lua_State *L, const tree *t, size_t *bytes) {
  walk_status status = WALK_OK;
  for (uint32_t i = 0; i < t->used && status == WALK_OK; i++) {
    if (bytes[i] != NOT_LIVE) continue;
    graph_release(g);
    status = walk_retained(L, (GCObject *)t->nodes[i].object, &bytes[i], NULL);
  }
  return status;
}

static walk_status read_figures(graph *g, lua_State *L, const tree *t, size_t *bytes) {
  return read_sums(g, t, bytes) ? walk_dead(g, L, t, bytes) : WALK_NO_MEMORY;
}

static walk_status read_condemned(lua_State *L, const walk_books *books, const tree *t, graph *g,
                                  size_t *bytes) {
  int unused;
  walk_status status = walk_condemn(L);
  if (status != WALK_OK) return status;
  status = build(L, books, g, &unused);
  if (status == WALK_OK) status = read_figures(g, L, t, bytes);
  graph_release(g);
  walk_pardon(L);
  return status;
}

static walk_status read_graph(lua_State *L, const walk_books *books, const tree *t, graph *g,
                              size_t *bytes) {
  int frees_more;
  walk_status status = build(L, books, g, &frees_more);
  if (status != WALK_OK) return status;
  if (!frees_more) return read_figures(g, L, t, bytes);
  graph_release(g);
  return read_condemned(L, books, t, g, bytes);
}

walk_status retained_with_graph(lua_State *L, const walk_books *books, const tree *t, graph *g,
                                size_t **bytes) {
  memset(g, 0, sizeof *g);
  *bytes = borrow((t->used + (size_t)1) * sizeof **bytes);
  if (*bytes == NULL) return WALK_NO_MEMORY;
  walk_status status = read_graph(L, books, t, g, *bytes);
  if (status == WALK_OK) return WALK_OK;
  graph_release(g);
  borrow_return(*bytes);
  *bytes = NULL;
  return status;
}

walk_status retained_of_tree(lua_State *L, const walk_books *books, const tree *t, size_t **bytes) {
  graph g;
  walk_status status = retained_with_graph(L, books, t, &g, bytes);
  graph_release(&g);
  return status;
}
