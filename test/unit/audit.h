/*
** audit: what every walk must leave and every block must bear.
**
** It claims each block of the recorder for what the machine has, once: by the
** walk's own list, and for the buffers of lauxlib by the boxes that hold them.
** What is left are the buffers of parsers that are reading. Then it walks and
** adds up in several ways that must agree.
*/
#ifndef AUDIT_H
#define AUDIT_H

#include "heap.h"
#include "tree_sums.h"
#include "walk.h"

typedef struct {
  size_t blocks;          /* claimed */
  size_t unclaimed_count; /* parsers' buffers */
  size_t unclaimed_bytes;
} audit_claims;

/* Claims all blocks; checks that none is unknown, claimed twice, or of another size, and that all
** are claimed unless a parser reads. */
audit_claims audit_blocks(heap *h, lua_State *L);
/* Walks into a tree of a random kind; checks the sums. Returns the books. */
walk_books audit_walk(heap *h, lua_State *L, unsigned long seed);
/* Checks that no object bears a mark of ours. */
void audit_marks(lua_State *L);

#endif
