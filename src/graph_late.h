/*
** graph_late: what the next collection would not free, although nothing but
** itself keeps it.
**
** A value that an open upvalue of a dead coroutine was given while the collector
** marked; what finalizers need that are still to be called; and strings in
** tables whose keys and values are weak, which live by what stands beside them.
** A graph for exports has all of these, so that its bytes are those of the
** books; a settled graph has none.
*/
#ifndef MEMBUDDY_GRAPH_LATE_H
#define MEMBUDDY_GRAPH_LATE_H

#include "graph.h"

/* For `graph_build`: finds them, when all else is found. */
void graph_find_last(graph *g);

#endif
