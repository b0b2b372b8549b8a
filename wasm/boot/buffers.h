/*
** Memory for the texts that Lua's libraries build (luaL_Buffer), which they take from the allocator
** themselves: Lua collects before it refuses an object, but not before it refuses a buffer. Here
** both do, and the sources of modules.
**
** This header is included before Lua's auxiliary library, whose allocator this becomes.
*/
#ifndef buffers_h
#define buffers_h

#include <stddef.h>

/* A lua_Alloc; its user data is the Lua state that asks. */
void *buffers_allocate(void *state, void *block, size_t old_bytes, size_t new_bytes);

#if !defined(buffers_c)
#define lua_getallocf(L, data) (*(data) = (L), buffers_allocate)
#endif

#endif
