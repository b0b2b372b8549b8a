/*
** attach_account: the reconciled account of a stranger's memory.
**
** The very account that a process reads of itself (account.h), of figures that
** nobody vouches for: the module's own WASM says where the regions are, if the
** host has it; else the heap is found by the invariants of dlmalloc's state.
** Either way the chunks count as known only if they lead without a gap from the
** heap's first to its last, and every block of Lua is exactly one of them, in
** use and large enough.
*/
#ifndef MEMBUDDY_ATTACH_ACCOUNT_H
#define MEMBUDDY_ATTACH_ACCOUNT_H

#include "attach.h"

/*
** Reads the account of a state that `attach_check` accepted, in a memory of `memory_bytes`. The
** other addresses come from the module's WASM. Where there is none all are 0: dlmalloc's state is
** looked for then, and everything below the heap counts as static data. Where the module does not
** tell the stack, its two addresses are the same. 0, or ATTACH_NO_MEMORY.
*/
int attach_account(uintptr_t state, double memory_bytes, double allocator_state, double heap_begin,
                   double heap_end, double stack_low, double stack_high, double static_begin,
                   double static_end);

/* What `attach_account_figure` tells. */
enum {
  /* parts */
  ATTACH_LIVE,
  ATTACH_GARBAGE,
  ATTACH_RUNTIME,
  ATTACH_SLACK,
  ATTACH_BUFFERS,
  ATTACH_OTHER,
  ATTACH_UNWOUND, /* of `other`: the buffer that Asyncify unwinds a stack into, while it is in use
                   */
  ATTACH_FREE,
  ATTACH_STATIC,
  ATTACH_STACK,
  ATTACH_GAPS,
  /* and beside them */
  ATTACH_LUA_BYTES,
  ATTACH_UNACCOUNTED,
  ATTACH_LARGEST_FREE,
  ATTACH_FREE_CHUNKS,
  ATTACH_STACK_HIGH_WATER,
  ATTACH_CHUNKS_ARE_KNOWN,
  ATTACH_REGIONS_ARE_KNOWN /* what the host said of them can be right */
};

double attach_account_figure(int which);

#endif
