#include "dominators.h"

#include <string.h>

#include "borrow.h"

/*
** All arrays but `number` are indexed by depth-first number: parents have smaller ones. Edges to
** larger numbers come from ancestors and need no path compression: only the smallest of them
** counts, and only the others are listed.
*/
typedef struct {
  const dominators_graph *graph;
  uint32_t *number; /* of a node; DOMINATORS_UNREACHED */
  uint32_t *node;   /* of a number */
  uint32_t *parent; /* in the search; later the immediate dominator */
  union {
    uint32_t *ancestor; /* parent, compressed */
    uint32_t *far;      /* later, of a dominator found: one above it */
  };
  union {
    uint32_t *lowest; /* smallest semidominator on the way up to the ancestor */
    uint32_t *level;  /* later, of a dominator found: steps from the root */
  };
  uint32_t *first; /* where its predecessors begin; node_count + 1 places */
  uint32_t *semi;  /* stands where its predecessors ended, once they were read */
  uint32_t *predecessors;
  uint32_t reached;
} search;

/* ---- depth-first numbers ---- */

static uint32_t add_node(search *s, uint32_t node, uint32_t parent) {
  uint32_t number = s->reached++;
  s->number[node] = number;
  s->node[number] = node;
  s->parent[number] = s->lowest[number] = parent;
  return number;
}

static void note_edge(search *s, uint32_t from, uint32_t to) {
  if (to < from)
    s->first[to]++; /* back or across */
  else if (from < s->lowest[to])
    s->lowest[to] = from;
}

/* Follows the edges of `at` that are left, to the first that leads on to a new node: yields
** that, or `at` at the end. `ancestor` holds where each node's search goes on. */
static inline uint32_t go_down(search *s, uint32_t at) {
  const uint32_t *first = s->graph->first, *successors = s->graph->successors;
  for (uint32_t e = s->ancestor[at], end = first[s->node[at] + 1]; e < end; e++) {
    uint32_t next = successors[e], number = s->number[next];
    if (number != DOMINATORS_UNREACHED) {
      note_edge(s, at, number);
      continue;
    }
    number = add_node(s, next, at);
    if (first[next] == first[next + 1]) continue;
    s->ancestor[number] = first[next];
    s->ancestor[at] = e + 1;
    return number;
  }
  s->ancestor[at] = first[s->node[at] + 1];
  return at;
}

/* Long loops work in pieces: an engine that compiles better while it runs needs a call to change
** over at. */
#define STEPS_A_CALL 4096u
#if defined(__GNUC__)
#define PIECE static __attribute__((noinline))
#else
#define PIECE static
#endif

/* `*at`: where the search stands. Returns 0 when it is done. */
PIECE int number_some(search *s, uint32_t *at) {
  uint32_t here = *at;
  for (uint32_t step = 0; step < STEPS_A_CALL; step++) {
    uint32_t next = go_down(s, here);
    if (next == here && here == 0) return 0;
    here = next == here ? s->parent[here] : next;
  }
  *at = here;
  return 1;
}

/* `first` becomes the number of predecessors. */
static void number_nodes(search *s) {
  uint32_t at = add_node(s, 0, 0);
  s->ancestor[at] = s->graph->first[0];
  while (number_some(s, &at)) continue;
}

/* `first` becomes where they end. */
static uint32_t sum_counts(uint32_t *first, uint32_t count) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < count; i++) first[i] = sum += first[i];
  return first[count] = sum;
}

static int list_predecessors(search *s) {
  const dominators_graph *g = s->graph;
  uint32_t count = sum_counts(s->first, s->reached);
  s->predecessors = borrow((count + (size_t)1) * sizeof(uint32_t));
  if (s->predecessors == NULL) return 0;
  for (uint32_t from = s->reached; count > 0 && from-- > 0;) /* placed from the end on */
    for (uint32_t e = g->first[s->node[from]]; e < g->first[s->node[from] + 1]; e++) {
      uint32_t to = s->number[g->successors[e]];
      if (to < from) s->predecessors[--s->first[to]] = from;
    }
  return 1;
}

/* ---- semidominators ---- */

/* The smallest semidominator on the way up from `v` through nodes above `w`, with path
** compression; `stack` has room for any path. */
static uint32_t lowest_above(search *s, uint32_t v, uint32_t w, uint32_t *stack) {
  if (s->ancestor[v] <= w) return s->lowest[v];
  uint32_t height = 0, top = v;
  for (; s->ancestor[top] > w; top = s->ancestor[top]) stack[height++] = top;
  uint32_t lowest = s->lowest[top], ancestor = s->ancestor[top];
  while (height > 0) {
    uint32_t below = stack[--height];
    if (lowest < s->lowest[below])
      s->lowest[below] = lowest;
    else
      lowest = s->lowest[below];
    s->ancestor[below] = ancestor;
  }
  return lowest;
}

/* From the last one before `end` down to `begin`. */
PIECE void find_some_semidominators(search *s, uint32_t begin, uint32_t end) {
  uint32_t *stack = s->number; /* not needed any more */
  for (uint32_t w = end; w-- > begin;) {
    uint32_t semi = s->lowest[w];
    for (uint32_t p = s->first[w]; p < s->first[w + 1]; p++) {
      uint32_t candidate = lowest_above(s, s->predecessors[p], w, stack);
      if (candidate < semi) semi = candidate;
    }
    s->semi[w] = s->lowest[w] = semi;
    s->ancestor[w] = s->parent[w];
  }
}

static void find_semidominators(search *s) {
  for (uint32_t end = s->reached; end > 1;) {
    uint32_t begin = end > STEPS_A_CALL ? end - STEPS_A_CALL : 1;
    find_some_semidominators(s, begin, end);
    end = begin;
  }
}

/* ---- dominators ---- */

/* Many may look for theirs on one long way up, such as what a list holds that others hold as well.
** So each knows a far dominator too, and a way takes the logarithm of its length.
** After E. W. Myers, "An applicative random-access stack", Inf. Process. Lett. 17, 1983. */
static inline uint32_t next_above(const search *s, uint32_t at, uint32_t end) {
  return s->far[at] > end ? s->far[at] : s->parent[at];
}

static inline void add_far(search *s, uint32_t w, uint32_t above) {
  uint32_t far = s->far[above], further = s->far[far];
  int is_as_far = s->level[above] - s->level[far] == s->level[far] - s->level[further];
  s->far[w] = is_as_far ? further : above;
  s->level[w] = s->level[above] + 1;
}

/* From `begin` on; yields where it stopped. */
PIECE uint32_t find_some_dominators(search *s, uint32_t begin) {
  uint32_t end = s->reached - begin < STEPS_A_CALL ? s->reached : begin + STEPS_A_CALL, w = begin;
  for (; w < end; w++) {
    uint32_t candidate = s->parent[w];
    while (candidate > s->semi[w]) candidate = next_above(s, candidate, s->semi[w]);
    s->parent[w] = candidate;
    add_far(s, w, candidate);
  }
  return w;
}

static void find_dominators(search *s) {
  s->far[0] = s->level[0] = 0;
  for (uint32_t w = 1; w < s->reached;) w = find_some_dominators(s, w);
}

/* ---- the whole ---- */

PIECE uint32_t tell_some_dominators(const search *s, uint32_t begin, uint32_t *idom) {
  uint32_t end = s->reached - begin < STEPS_A_CALL ? s->reached : begin + STEPS_A_CALL, w = begin;
  for (; w < end; w++) idom[s->node[w]] = s->node[s->parent[w]];
  return w;
}

static void tell(const search *s, size_t *bytes, uint32_t *idom) {
  for (uint32_t w = s->reached; bytes && w-- > 1;)
    bytes[s->node[s->parent[w]]] += bytes[s->node[w]];
  if (idom == NULL) return;
  memset(idom, 0xFF, s->graph->node_count * sizeof(uint32_t));
  for (uint32_t w = 0; w < s->reached;) w = tell_some_dominators(s, w, idom);
}

static int search_graph(search *s) {
  size_t nodes = s->graph->node_count;
  memset(s->number, 0xFF, nodes * sizeof(uint32_t));
  memset(s->first, 0, (nodes + 1) * sizeof(uint32_t));
  number_nodes(s);
  if (!list_predecessors(s)) return 0;
  find_semidominators(s);
  find_dominators(s);
  borrow_return(s->predecessors);
  return 1;
}

int dominators_sum(const dominators_graph *graph, size_t *bytes, uint32_t *idom) {
  size_t nodes = graph->node_count;
  uint32_t *room = borrow(((idom ? 5 : 6) * nodes + 1) * sizeof(uint32_t));
  if (room == NULL) return 0;
  search s = {.graph = graph,
              .first = room,
              .semi = room + 1,
              .node = room + nodes + 1,
              .parent = room + 2 * nodes + 1,
              .ancestor = room + 3 * nodes + 1,
              .lowest = room + 4 * nodes + 1,
              .number = idom ? idom : room + 5 * nodes + 1};
  int searched = search_graph(&s);
  if (searched) tell(&s, bytes, idom);
  borrow_return(room);
  return searched;
}
