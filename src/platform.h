/*
** platform: what the process stands in: linear memory, cut into static data,
** C stack and heap, and the chunks into which the C library's allocator has
** cut the heap.
**
**   0             reserved
**   stack_low     C stack, grows down
**   stack_high
**   static_begin  data, and what starts as zeros
**   static_end    alignment
**   heap_begin    the allocator's
**   heap_end      grown, not asked for yet
**   memory_bytes
**
** The stack may also stand behind the static data; the regions never overlap.
** Nothing here allocates, calls Lua or writes anything. On a machine that is
** no WASM process every question is answered with "unknown".
*/
#ifndef MEMBUDDY_PLATFORM_H
#define MEMBUDDY_PLATFORM_H

#include <stddef.h>

#define PLATFORM_PAGE_BYTES 65536u /* a linear memory grows by whole pages */

enum platform_status {
  PLATFORM_KNOWN,
  PLATFORM_UNKNOWN /* not a WASM process, or the heap is not cut the way this file knows */
};

struct platform_memory {
  size_t memory_bytes;         /* linear memory as it is: what the host copies at every message */
  size_t memory_maximum_bytes; /* 0: the image does not say */
  size_t static_begin, static_end;
  size_t stack_low, stack_high;
  size_t stack_pointer; /* at the call */
  size_t stack_deepest; /* lowest address ever written: a new process's stack is all zeros */
  size_t heap_begin, heap_end;
  size_t asyncify_bytes; /* allocated only while the process waits for the host; 0: unknown */
};

/* The regions as they are; all fields are 0 after PLATFORM_UNKNOWN. */
enum platform_status platform_memory(struct platform_memory *memory);

/* Bytes behind the heap that the process has grown already; SIZE_MAX where unknown. Pages that a
** host added do not count: not all hosts add them, and what is decided by this shall not hang on
** the host. */
size_t platform_room_bytes(void);

/*
** Calls `visit` for every chunk of the heap, in order of address, without gaps. `payload` is what
** malloc returned, or would; `chunk_bytes` counts the allocator's header too. After
** PLATFORM_UNKNOWN the visits so far mean nothing.
*/
typedef void (*platform_visit)(void *context, const void *payload, size_t chunk_bytes,
                               int is_in_use);

enum platform_status platform_each_chunk(platform_visit visit, void *context);

/* Bytes of the chunk that holds this block of malloc's, header included; 0 where unknown. The block
** is `bytes` long at least; 0: it may be none. */
size_t platform_chunk_bytes(const void *block, size_t bytes);

/* The sum of that over all blocks of Lua's, where somebody went over them already; else 0. */
size_t platform_lua_chunk_bytes(void);

/* Bytes of C stack left below the caller; SIZE_MAX where unknown. */
size_t platform_stack_left_bytes(void);

/*
** What an image may say about itself, because nothing inside WebAssembly can find it out. Weak: an
** image that was not built by MemBuddy lacks it.
*/
struct membuddy_image_limits {
  size_t memory_maximum_bytes;
  size_t asyncify_bytes;
};

extern const struct membuddy_image_limits membuddy_image_limits;

#endif
