/*
** linear_memory: what the bytes of a linear memory tell by themselves.
**
** Two things do: the heap, which dlmalloc (the allocator of every aos image)
** cuts into chunks with a header before each, and a C stack, which a new
** process leaves all zeros below the deepest call there was.
**
**   chunk:  [previous size, if the previous is free][size | flags][payload ...........] next chunk
**   heap:   chunk, chunk, ... , top chunk (free), foot: [-][bytes to the heap's end]
**
** Flags: 1 the previous chunk is in use, 2 this one is. A header is believed
** only if its neighbour agrees, and nothing outside of the given bounds is
** read, whatever the headers say: the profiler outside a process walks
** strangers' memories with this very code.
*/
#ifndef MEMBUDDY_LINEAR_MEMORY_H
#define MEMBUDDY_LINEAR_MEMORY_H

#include <stddef.h>

/* `payload` is what malloc returned, or would; `chunk_bytes` counts the header too. */
typedef void (*linear_visit)(void *context, const void *payload, size_t chunk_bytes, int is_in_use);

/* Calls `visit` for every chunk between two addresses, in order, the foot counted to the top chunk.
** True when the chunks lead from one to the other without a gap; else the visits mean nothing. */
int linear_each_chunk(size_t begin, size_t end, linear_visit visit, void *context);

/* What the headers say of one block, unchecked: bytes of its chunk. */
size_t linear_chunk_bytes(const void *payload);

/* The lowest address of a stack that was ever written; `high` if none was. */
size_t linear_deepest_written(size_t low, size_t high);

#endif
