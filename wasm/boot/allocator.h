/*
** Lua's blocks. A failed allocation is NULL, which Lua makes the error "not enough memory": nothing
** traps.
*/
#ifndef allocator_h
#define allocator_h

#include <stddef.h>

/* A lua_Alloc; user_data is not used. */
void *allocator_lua(void *user_data, void *block, size_t old_bytes, size_t new_bytes);

#endif
