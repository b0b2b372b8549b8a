#include "dominators.h"

#include <string.h>

#include "borrow.h"

/* All arrays but `number` are indexed by depth-first number: parents have smaller ones. */
typedef struct {
  const dominators_graph *graph;
  uint32_t *number;   /* of a node; DOMINATORS_UNREACHED */
  uint32_t *node;     /* of a number */
  uint32_t *ancestor; /* parent in the search; later compressed */
  uint32_t *label;
  uint32_t *semi;
  uint32_t *idom;
  uint32_t *first_predecessor; /* node_count + 1 places */
  uint32_t *predecessors;
  uint32_t reached;
} search;

/* ---- depth-first numbers ---- */

/* `idom` holds the parents, `semi` the cursors, `label` the stack meanwhile. */
static void number_nodes(search *s) {
  const dominators_graph *g = s->graph;
  uint32_t *parents = s->idom, *cursor = s->semi, *stack = s->label, height = 0;
  memset(s->number, 0xFF, g->node_count * sizeof(uint32_t));
  s->number[0] = 0;
  s->node[0] = 0;
  parents[0] = 0;
  cursor[0] = g->first[0];
  s->reached = 1;
  stack[height++] = 0;
  while (height > 0) {
    uint32_t at = stack[height - 1];
    if (cursor[at] == g->first[s->node[at] + 1]) {
      height--;
      continue;
    }
    uint32_t next = g->successors[cursor[at]++];
    if (s->number[next] != DOMINATORS_UNREACHED) continue;
    uint32_t number = s->reached++;
    s->number[next] = number;
    s->node[number] = next;
    parents[number] = at;
    cursor[number] = g->first[next];
    stack[height++] = number;
  }
}

static void list_predecessors(search *s) {
  const dominators_graph *g = s->graph;
  uint32_t *first = s->first_predecessor;
  memset(first, 0, (g->node_count + 1) * sizeof(uint32_t));
  for (uint32_t from = 0; from < s->reached; from++)
    for (uint32_t e = g->first[s->node[from]]; e < g->first[s->node[from] + 1]; e++)
      first[s->number[g->successors[e]] + 1]++;
  for (uint32_t i = 0; i < s->reached; i++) first[i + 1] += first[i];
  uint32_t *next = s->semi; /* not needed yet */
  memcpy(next, first, s->reached * sizeof(uint32_t));
  for (uint32_t from = 0; from < s->reached; from++)
    for (uint32_t e = g->first[s->node[from]]; e < g->first[s->node[from] + 1]; e++)
      s->predecessors[next[s->number[g->successors[e]]]++] = from;
}

/* ---- semidominators ---- */

/* The node of smallest semidominator on the way up from `v` through nodes from `linked` on, with
** path compression; `stack` has room for any path. */
static uint32_t smallest_above(search *s, uint32_t v, uint32_t linked, uint32_t *stack) {
  if (s->ancestor[v] < linked) return s->label[v];
  uint32_t height = 0, top = v;
  for (; s->ancestor[top] >= linked; top = s->ancestor[top]) stack[height++] = top;
  uint32_t above = top;
  while (height > 0) {
    uint32_t below = stack[--height];
    if (s->semi[s->label[above]] < s->semi[s->label[below]]) s->label[below] = s->label[above];
    s->ancestor[below] = s->ancestor[above];
    above = below;
  }
  return s->label[v];
}

static void find_semidominators(search *s, uint32_t *stack) {
  for (uint32_t i = 0; i < s->reached; i++)
    s->ancestor[i] = s->idom[i], s->semi[i] = s->label[i] = i;
  for (uint32_t w = s->reached; w-- > 1;) {
    uint32_t semi = s->idom[w];
    for (uint32_t e = s->first_predecessor[w]; e < s->first_predecessor[w + 1]; e++) {
      uint32_t candidate = s->semi[smallest_above(s, s->predecessors[e], w + 1, stack)];
      if (candidate < semi) semi = candidate;
    }
    s->semi[w] = semi;
  }
}

static void find_dominators(search *s) {
  for (uint32_t w = 1; w < s->reached; w++) {
    uint32_t candidate = s->idom[w];
    while (candidate > s->semi[w]) candidate = s->idom[candidate];
    s->idom[w] = candidate;
  }
}

/* ---- the whole ---- */

static void sum_up(const search *s, size_t *bytes, uint32_t *idom) {
  for (uint32_t w = s->reached; w-- > 1;) bytes[s->node[s->idom[w]]] += bytes[s->node[w]];
  if (idom == NULL) return;
  memset(idom, 0xFF, s->graph->node_count * sizeof(uint32_t));
  for (uint32_t w = 0; w < s->reached; w++) idom[s->node[w]] = s->node[s->idom[w]];
}

int dominators_sum(const dominators_graph *graph, size_t *bytes, uint32_t *idom) {
  size_t nodes = graph->node_count, edges = graph->first[nodes];
  uint32_t *room = borrow((8 * nodes + 1 + edges) * sizeof(uint32_t));
  if (room == NULL) return 0;
  search s = {graph,
              room,
              room + nodes,
              room + 2 * nodes,
              room + 3 * nodes,
              room + 4 * nodes,
              room + 5 * nodes,
              room + 6 * nodes,
              room + 8 * nodes + 1,
              0};
  uint32_t *stack = room + 7 * nodes + 1;
  number_nodes(&s);
  list_predecessors(&s);
  find_semidominators(&s, stack);
  find_dominators(&s);
  sum_up(&s, bytes, idom);
  borrow_return(room);
  return 1;
}
