/*
** account: every byte of the linear memory, each in one part.
**
** Lua's own figure is cut into live objects, garbage and runtime blocks; the
** allocator's chunks add what Lua does not count: slack round its blocks,
** buffers of C libraries, holes; the image adds static data, stack and what
** lies between the regions. The parts sum to the size of the memory.
**
** Outside a WASM process, or where the heap is not cut the way `platform.h`
** knows, only Lua's parts are known.
*/
#ifndef MEMBUDDY_ACCOUNT_H
#define MEMBUDDY_ACCOUNT_H

#include "platform.h"
#include "walk.h"

typedef struct {
  /* parts, in bytes */
  size_t live_bytes;    /* live objects */
  size_t garbage_bytes; /* what a collection would free now */
  size_t runtime_bytes; /* state block and string table */
  size_t slack_bytes;   /* chunks of Lua's blocks, less what Lua asked for */
  size_t buffer_bytes;  /* boxes of luaL_Buffer: taken from the allocator, not counted by Lua */
  size_t other_bytes;   /* all other chunks in use: C library, host's messages */
  size_t free_bytes;    /* free chunks, and memory that was grown but not asked for yet */
  size_t static_bytes;
  size_t stack_bytes;
  size_t unknown_bytes; /* all that the heap holds beside Lua, where its chunks are not known */
  size_t gap_bytes;     /* reserved addresses at the bottom, alignment between regions */

  /* and what explains them */
  walk_books books;
  struct platform_memory memory;
  size_t largest_free_bytes; /* largest free chunk */
  size_t free_count;         /* free chunks */
  size_t page_count;
  size_t stack_high_water_bytes;
  size_t headroom_bytes; /* until the memory's maximum; 0 where that is unknown */
  int memory_is_known, chunks_are_known;
} account;

/* Walks the whole process and reads the account; the figures mean nothing after WALK_NO_MEMORY. */
walk_status account_read(lua_State *L, account *a);
/* The same with the books that are in `a`, all of whose other fields are 0. */
void account_read_rest(lua_State *L, account *a);

/* True when so many bytes can be had without growing the linear memory, one block of `block_bytes`
** among them, or outside a WASM process. */
int account_has_room(size_t bytes, size_t block_bytes);

#endif
