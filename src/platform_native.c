/* Outside WebAssembly the profiler measures Lua alone. */
#include "platform.h"

#include <stdint.h>

enum platform_status platform_memory(struct platform_memory *memory) {
  *memory = (struct platform_memory){0};
  return PLATFORM_UNKNOWN;
}

enum platform_status platform_each_chunk(platform_visit visit, void *context) {
  (void)visit, (void)context;
  return PLATFORM_UNKNOWN;
}

size_t platform_chunk_bytes(const void *block, size_t bytes) {
  (void)block, (void)bytes;
  return 0;
}

size_t platform_lua_chunk_bytes(void) { return 0; }

size_t platform_room_bytes(void) { return SIZE_MAX; }

size_t platform_stack_left_bytes(void) { return SIZE_MAX; }
