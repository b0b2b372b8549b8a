#define buffers_c
#include "buffers.h"

#include "allocator.h"
#include "garbage.h"

void *buffers_allocate(void *state, void *block, size_t old_bytes, size_t new_bytes) {
  void *made = allocator_lua(NULL, block, old_bytes, new_bytes);
  if (made != NULL || new_bytes == 0) return made;
  garbage_collect(state);
  return allocator_lua(NULL, block, old_bytes, new_bytes);
}
