#define buffers_c
#include "buffers.h"

#include "lprefix.h"

#include "lua.h"

#include "lgc.h"

#include "allocator.h"

void *buffers_allocate(void *state, void *block, size_t old_bytes, size_t new_bytes) {
  void *made = allocator_lua(NULL, block, old_bytes, new_bytes);
  if (made != NULL || new_bytes == 0) return made;
  luaC_fullgc(state, 1); /* as luaM_realloc_ does: no finalizer runs */
  return allocator_lua(NULL, block, old_bytes, new_bytes);
}
