#include "dominators.h"

#include <string.h>

#include "borrow.h"

#define NOTHING UINT32_MAX

/* A node as the search knows it. Its place is its depth-first number: parents have smaller ones. */
typedef struct {
  uint32_t node;
  uint32_t ancestor; /* parent in the search; later compressed */
  uint32_t label;
  uint32_t semi;
  uint32_t idom;
  uint32_t predecessors; /* where its own begin, and those of the place before end */
  uint32_t below;        /* on a path that is being compressed */
} place;

typedef struct {
  const dominators_graph *graph;
  place *places;
  uint32_t *number; /* of a node: its place, or DOMINATORS_UNREACHED */
  uint32_t *predecessors;
  uint32_t reached;
} search;

/* ---- depth-first numbers ---- */

static uint32_t add_place(search *s, uint32_t node, uint32_t parent) {
  uint32_t number = s->reached++;
  place *p = &s->places[number];
  p->node = node;
  p->ancestor = p->idom = parent;
  p->semi = s->graph->first[node]; /* a cursor meanwhile */
  p->label = number;
  p->predecessors = 0;
  s->number[node] = number;
  return number;
}

static void number_nodes(search *s) {
  const dominators_graph *g = s->graph;
  memset(s->number, 0xFF, g->node_count * sizeof(uint32_t));
  uint32_t at = add_place(s, 0, NOTHING);
  while (at != NOTHING) {
    place *p = &s->places[at];
    if (p->semi == g->first[p->node + 1]) {
      p->semi = at;
      at = p->ancestor;
      continue;
    }
    uint32_t next = g->successors[p->semi++];
    if (s->number[next] == DOMINATORS_UNREACHED) at = add_place(s, next, at);
  }
}

/* Counts them, or puts them at their places: each list from its end. */
static void take_predecessors(search *s, int counting) {
  const dominators_graph *g = s->graph;
  for (uint32_t from = 0; from < s->reached; from++) {
    uint32_t node = s->places[from].node;
    for (uint32_t e = g->first[node]; e < g->first[node + 1]; e++) {
      place *to = &s->places[s->number[g->successors[e]]];
      if (counting)
        to->predecessors++;
      else
        s->predecessors[--to->predecessors] = from;
    }
  }
}

static void list_predecessors(search *s) {
  uint32_t end = 0;
  take_predecessors(s, 1);
  for (uint32_t i = 0; i < s->reached; i++) {
    end += s->places[i].predecessors;
    s->places[i].predecessors = end;
  }
  s->places[s->reached].predecessors = end;
  take_predecessors(s, 0);
}

/* ---- semidominators ---- */

/* The place of smallest semidominator on the way up from `v` through places from `linked` on, with
** path compression. */
static uint32_t smallest_above(place *places, uint32_t v, uint32_t linked) {
  uint32_t above = v, below = NOTHING;
  while (places[above].ancestor >= linked) {
    places[above].below = below;
    below = above;
    above = places[above].ancestor;
  }
  while (below != NOTHING) {
    const place *a = &places[above];
    place *b = &places[below];
    if (places[a->label].semi < places[b->label].semi) b->label = a->label;
    b->ancestor = a->ancestor;
    above = below;
    below = b->below;
  }
  return places[v].label;
}

static void find_semidominators(search *s) {
  s->places[0].ancestor = s->places[0].idom = 0;
  for (uint32_t w = s->reached; w-- > 1;) {
    place *p = &s->places[w];
    uint32_t semi = p->idom;
    for (uint32_t e = p->predecessors; e < p[1].predecessors; e++) {
      uint32_t candidate = s->places[smallest_above(s->places, s->predecessors[e], w + 1)].semi;
      if (candidate < semi) semi = candidate;
    }
    p->semi = semi;
  }
}

static void find_dominators(search *s) {
  for (uint32_t w = 1; w < s->reached; w++) {
    place *p = &s->places[w];
    while (p->idom > p->semi) p->idom = s->places[p->idom].idom;
  }
}

/* ---- the whole ---- */

static void sum_up(const search *s, size_t *bytes, uint32_t *idom) {
  const place *places = s->places;
  for (uint32_t w = s->reached; w-- > 1;)
    bytes[places[places[w].idom].node] += bytes[places[w].node];
  if (idom == NULL) return;
  memset(idom, 0xFF, s->graph->node_count * sizeof(uint32_t));
  for (uint32_t w = 0; w < s->reached; w++) idom[places[w].node] = places[places[w].idom].node;
}

int dominators_sum(const dominators_graph *graph, size_t *bytes, uint32_t *idom) {
  size_t nodes = graph->node_count, edges = graph->first[nodes];
  place *places = borrow((nodes + 1) * sizeof(place) + (nodes + edges) * sizeof(uint32_t));
  if (places == NULL) return 0;
  uint32_t *number = (uint32_t *)(places + nodes + 1);
  search s = {graph, places, number, number + nodes, 0};
  number_nodes(&s);
  list_predecessors(&s);
  find_semidominators(&s);
  find_dominators(&s);
  sum_up(&s, bytes, idom);
  borrow_return(places);
  return 1;
}
