/*
** check: whether a stranger's memory holds a heap that can be walked.
**
** Every object that is in a list, every block that it says it has, and every
** reference is checked against the bounds and against the objects that exist.
** What passes can be walked without a doubt: no loop in it is endless, nothing
** leads out of it.
*/
#ifndef MEMBUDDY_ATTACH_CHECK_H
#define MEMBUDDY_ATTACH_CHECK_H

#include "attach.h"
#include "layout.h"

typedef struct {
  attach_verdict verdict;
  uintptr_t address;
  double value;
} check_problem;

/* The blocks of Lua's that a check went over. */
typedef struct {
  uint32_t *begins; /* borrowed: a bit for every word of the memory, set where one begins */
  size_t count;
  size_t chunk_bytes; /* of the allocator's chunks, if each block is the payload of one */
  size_t misfits;     /* blocks that are none: larger than what stands before them says, or askew */
} checked_blocks;

/* Whether a block begins there. */
int check_is_block(const checked_blocks *blocks, const void *payload);

/* The first address from `from` on where a main thread may be, in a memory of `bytes`; 0: none. */
uintptr_t check_find_state(uintptr_t from, size_t bytes);

/* Borrows a bit for every word of the memory while it runs, two where cells are no objects, and one
** more for `blocks`, which are the caller's when all is sound. Stops at the first problem: traps,
** so that no loop need be left one by one; the host reads `problem` then. */
void check_state(lua_State *L, size_t bytes, check_problem *problem, checked_blocks *blocks);

#endif
