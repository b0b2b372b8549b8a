/*
** What a node dominates is what would go if it went: sums and immediate
** dominators against a naive twin that takes each node away in turn and looks
** at what the root still reaches.
*/
#include "check.h"
#include "dominators.h"
#include "loans.h"

#include <stdlib.h>
#include <string.h>

#define MOST_NODES 24u
#define MOST_EDGES 96u

typedef struct {
  uint32_t node_count;
  uint32_t first[MOST_NODES + 1];
  uint32_t successors[MOST_EDGES];
  size_t bytes[MOST_NODES];
} small_graph;

/* ---- the naive twin ---- */

/* Marks what node 0 reaches without passing `removed`. */
static void reach(const small_graph *g, uint32_t removed, uint8_t *reached) {
  uint32_t stack[MOST_NODES], height = 0;
  memset(reached, 0, MOST_NODES);
  if (removed == 0) return;
  reached[0] = 1;
  stack[height++] = 0;
  while (height > 0) {
    uint32_t node = stack[--height];
    for (uint32_t e = g->first[node]; e < g->first[node + 1]; e++) {
      uint32_t next = g->successors[e];
      if (next == removed || reached[next]) continue;
      reached[next] = 1;
      stack[height++] = next;
    }
  }
}

#define NOBODY UINT32_MAX

static int dominates[MOST_NODES][MOST_NODES];

/* The dominators of a node form a chain: the nearest is the one that most others dominate. */
static uint32_t naive_idom(const small_graph *g, uint32_t node) {
  uint32_t best = 0;
  for (uint32_t d = 0; d < g->node_count; d++)
    if (d != node && dominates[d][node] && dominates[best][d]) best = d;
  return best;
}

static void compare(const small_graph *g, unsigned long round) {
  uint8_t all[MOST_NODES], without[MOST_NODES];
  uint32_t idom[MOST_NODES];
  size_t sums[MOST_NODES];
  dominators_graph input = {g->first, g->successors, g->node_count};
  memcpy(sums, g->bytes, sizeof sums);
  CHECK(dominators_sum(&input, sums, idom), "no memory");
  reach(g, NOBODY, all);
  for (uint32_t node = 0; node < g->node_count; node++) {
    reach(g, node, without);
    size_t expected = all[node] ? 0 : g->bytes[node];
    for (uint32_t other = 0; other < g->node_count; other++) {
      dominates[node][other] = all[other] && !without[other];
      if (dominates[node][other]) expected += g->bytes[other];
    }
    CHECK(sums[node] == expected, "graph %lu: node %u sums to %zu, not %zu", round, node,
          sums[node], expected);
  }
  for (uint32_t node = 0; node < g->node_count; node++) {
    uint32_t expected = all[node] ? naive_idom(g, node) : DOMINATORS_UNREACHED;
    CHECK(idom[node] == expected, "graph %lu: the dominator of %u is %u, not %u", round, node,
          idom[node], expected);
  }
}

/* ---- random graphs ---- */

/* Self loops, edges twice, and nodes that nothing reaches are all among them. */
static void make_random(small_graph *g, dice *d) {
  g->node_count = 1 + (uint32_t)dice_roll(d, MOST_NODES);
  uint32_t edges = (uint32_t)dice_roll(d, 4 * g->node_count), at = 0;
  uint32_t locality = 1 + (uint32_t)dice_roll(d, MOST_NODES);
  for (uint32_t node = 0; node < g->node_count; node++) {
    g->first[node] = at;
    g->bytes[node] = 1 + dice_roll(d, 1000);
    uint32_t degree = (uint32_t)dice_roll(d, 2 * edges / g->node_count + 2);
    for (uint32_t e = 0; e < degree && at < MOST_EDGES; e++) {
      uint32_t near = (node + (uint32_t)dice_roll(d, locality)) % g->node_count;
      g->successors[at++] = dice_roll(d, 3) ? near : (uint32_t)dice_roll(d, g->node_count);
    }
  }
  g->first[g->node_count] = at;
}

static void test_random(void) {
  unsigned long graphs = check_setting("PROGRAMS", 1000) * 20, seed = check_setting("SEED", 1);
  dice d = dice_of(seed);
  small_graph g;
  for (unsigned long round = 0; round < graphs && !check_failed(); round++) {
    make_random(&g, &d);
    compare(&g, round);
  }
  check_note("%lu graphs", graphs);
}

static void test_each_tiny_graph(void) {
  small_graph g = {.node_count = 3};
  for (uint32_t edges = 0; edges < 1u << 9; edges++) {
    uint32_t at = 0;
    for (uint32_t node = 0; node < 3; node++) {
      g.first[node] = at;
      g.bytes[node] = (size_t)1 << node;
      for (uint32_t next = 0; next < 3; next++)
        if (edges >> (3 * node + next) & 1) g.successors[at++] = next;
    }
    g.first[3] = at;
    compare(&g, edges);
  }
}

/* ---- large graphs ---- */

#define LONG 1000000u

typedef struct {
  uint32_t *first, *successors;
  size_t *bytes;
} large_graph;

static void open_large(large_graph *g, size_t edges) {
  g->first = malloc((LONG + 1) * sizeof *g->first);
  g->successors = malloc(edges * sizeof *g->successors);
  g->bytes = malloc(LONG * sizeof *g->bytes);
  for (size_t i = 0; i < LONG; i++) g->bytes[i] = 1;
}

static void close_large(large_graph *g) {
  free(g->first);
  free(g->successors);
  free(g->bytes);
}

static void sum_large(large_graph *g) {
  dominators_graph input = {g->first, g->successors, LONG};
  CHECK(dominators_sum(&input, g->bytes, NULL), "no memory");
}

static void test_chain(void) {
  large_graph g;
  open_large(&g, LONG);
  for (uint32_t i = 0; i < LONG; i++) g.first[i] = i, g.successors[i] = i + 1;
  g.first[LONG] = LONG - 1;
  sum_large(&g);
  for (uint32_t i = 0; i < LONG && !check_failed(); i++)
    CHECK(g.bytes[i] == LONG - i, "node %u of the chain holds %zu", i, g.bytes[i]);
  close_large(&g);
}

/* Every node also refers to the first one, and to the one before. */
static void test_chain_with_ways_back(void) {
  large_graph g;
  open_large(&g, 3 * (size_t)LONG);
  uint32_t at = 0;
  for (uint32_t i = 0; i < LONG; i++) {
    g.first[i] = at;
    g.successors[at++] = 0;
    if (i > 0) g.successors[at++] = i - 1;
    if (i + 1 < LONG) g.successors[at++] = i + 1;
  }
  g.first[LONG] = at;
  sum_large(&g);
  for (uint32_t i = 0; i < LONG && !check_failed(); i++)
    CHECK(g.bytes[i] == LONG - i, "node %u of the chain holds %zu", i, g.bytes[i]);
  close_large(&g);
}

/* Every node but the last refers to the next and to the one behind it: nobody dominates but the
** root. */
static void test_ladder(void) {
  large_graph g;
  open_large(&g, 2 * (size_t)LONG);
  uint32_t at = 0;
  for (uint32_t i = 0; i < LONG; i++) {
    g.first[i] = at;
    if (i + 1 < LONG) g.successors[at++] = i + 1;
    if (i + 2 < LONG) g.successors[at++] = i + 2;
  }
  g.first[LONG] = at;
  sum_large(&g);
  CHECK(g.bytes[0] == LONG, "the root holds %zu", g.bytes[0]);
  CHECK(g.bytes[1] == 1 && g.bytes[LONG / 2] == 1, "a step holds more than itself");
  close_large(&g);
}

static void test_star(void) {
  large_graph g;
  open_large(&g, LONG);
  g.first[0] = 0;
  for (uint32_t i = 1; i < LONG; i++) g.first[i] = LONG - 1, g.successors[i - 1] = i;
  g.first[LONG] = LONG - 1;
  sum_large(&g);
  CHECK(g.bytes[0] == LONG && g.bytes[LONG - 1] == 1, "the star's centre holds %zu", g.bytes[0]);
  close_large(&g);
}

static void test_refused(void) {
  uint32_t first[] = {0, 1, 1}, successors[] = {1};
  size_t bytes[] = {5, 7};
  dominators_graph input = {first, successors, 2};
  for (unsigned long from = 1; from <= 2; from++) {
    loans_refuse(from);
    CHECK(!dominators_sum(&input, bytes, NULL), "it works without loan %lu", from);
    loans_refuse(0);
    CHECK(bytes[0] == 5 && bytes[1] == 7, "the bytes were changed");
    CHECK(loans_open() == 0, "%zu loans are open", loans_open());
  }
}

static void test_memory(void) {
  large_graph g;
  open_large(&g, LONG);
  for (uint32_t i = 0; i < LONG; i++) g.first[i] = i, g.successors[i] = i + 1;
  g.first[LONG] = LONG - 1;
  loans_refuse(0);
  sum_large(&g);
  size_t promised = 24 * (size_t)LONG + 4 * (size_t)g.first[LONG] + 4096;
  CHECK(loans_peak_bytes() <= promised, "%zu bytes were borrowed, the header promises %zu",
        loans_peak_bytes(), promised);
  close_large(&g);
}

static const test tests[] = {
    {"every graph of three nodes has the dominators that taking nodes away shows",
     test_each_tiny_graph},
    {"random graphs have the dominators that taking nodes away shows", test_random},
    {"a chain of a million nodes is summed without recursion", test_chain},
    {"ways back change nothing in a chain of a million nodes", test_chain_with_ways_back},
    {"in a ladder of a million steps nobody but the root dominates", test_ladder},
    {"the centre of a star of a million nodes dominates them all", test_star},
    {"without memory nothing is changed and nothing leaks", test_refused},
    {"it borrows no more than its header says", test_memory},
};
CHECK_MAIN(tests)
