/*
** survivors: what would still live if one object went.
**
** Takes a settled graph and yields, for one of its nodes at a time, the bytes
** that go with it: what `walk_retained` says, but for the price of a look at
** every edge, one more for each collection that would free more. For what
** dominators can't tell, since an entry of a weak table lives by two ends.
**
** Memory: 9 bytes a node and 24 an entry that lives by two ends, borrowed.
*/
#ifndef MEMBUDDY_SURVIVORS_H
#define MEMBUDDY_SURVIVORS_H

#include "graph.h"

typedef struct {
  uint32_t table, holder, held; /* nodes: see `graph_condition` */
  uint32_t next[2];             /* of the entries of its table, and of those of its holder */
  int is_key;
} survivors_entry;

typedef struct {
  graph *g;
  uint32_t gone;   /* the node that went */
  uint8_t *states; /* by node */
  uint32_t *stack; /* nodes to visit */
  uint32_t *heads; /* by node: its first entry, in either part */
  survivors_entry *entries;
  uint32_t stack_count, entry_count, entry_capacity;
} survivors;

/* `g`, which has `own_ends`, is borrowed until `survivors_close`. Returns 0 when there is no
** memory: there is nothing to close then. */
int survivors_open(graph *g, survivors *s);
/* Bytes that would be freed, in the end, if the object of `node` went; not 0, the root. */
size_t survivors_freed_bytes(survivors *s, uint32_t node);
void survivors_close(survivors *s);

#endif
