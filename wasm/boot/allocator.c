#include "allocator.h"

#include <stdlib.h>

void *allocator_lua(void *user_data, void *block, size_t old_bytes, size_t new_bytes) {
  (void)user_data, (void)old_bytes;
  if (new_bytes == 0) {
    free(block);
    return NULL;
  }
  return realloc(block, new_bytes);
}
