/*
** attach_graph: the graph that stands (attach_graph.c), for those who write it out. There is one at
** most, from `attach_graph` to `attach_end_graph`.
*/
#ifndef MEMBUDDY_ATTACH_GRAPH_H
#define MEMBUDDY_ATTACH_GRAPH_H

#include "attach.h"
#include "graph.h"
#include "walk.h"

/* By node; see `attach_graph_array`. */
typedef struct {
  graph g;
  double *retained;
  uint32_t *own, *dominators;
  uint8_t *kinds;
  uint32_t *child_first, *children, *sorted; /* made on demand, as are */
  uint32_t *referrer_first, *referrers;
  int is_there;
} attached_graph;

/* Borrowed until `attach_end_graph`. */
const attached_graph *attach_the_graph(void);
/* Every edge of a node, and beside them what paths say in addition: that node 0 holds `_G`, and a
** table its ephemerons' values. */
void attach_each_step(uint32_t from, graph_visitor visit, void *context);

/* Text for the host, which takes all of it at once. */
__attribute__((import_module("env"), import_name("write"))) void attach_write(const void *bytes,
                                                                              size_t count);

#endif
