/*
** dominators: who alone keeps what alive.
**
** Takes a directed graph as successor lists, whose node 0 is the root, and
** yields for every node its immediate dominator: the nearest node that every
** path from the root passes. What a node dominates is what would go if it
** went. The algorithm is SemiNCA: L. Georgiadis, R. Tarjan, R. Werneck,
** "Finding Dominators in Practice", JGAA 10(1), 2006, section 2.2, with links
** that make long ways short.
**
** It knows nothing of heaps. Memory beside its input, borrowed while it runs:
** 24 bytes a node (20 where the caller gives room for the dominators) and 4
** for each edge that leads back or across in a depth-first search. No
** recursion.
*/
#ifndef MEMBUDDY_DOMINATORS_H
#define MEMBUDDY_DOMINATORS_H

#include <stddef.h>
#include <stdint.h>

#define DOMINATORS_UNREACHED UINT32_MAX

/* `first[node]` to `first[node + 1]` are the places of a node's successors in `successors`;
** borrowed. */
typedef struct {
  const uint32_t *first;
  const uint32_t *successors;
  uint32_t node_count;
} dominators_graph;

/* Sums `bytes[node]` (may be NULL) over what each node dominates, itself included, in place. Nodes
** that the root does not reach keep their own. `idom` (node_count entries, may be NULL) receives
** the immediate dominators; the root's own is itself. Returns 0 when there is no memory: the bytes
** are as they were, `idom` holds nothing of use. */
int dominators_sum(const dominators_graph *graph, size_t *bytes, uint32_t *idom);

#endif
