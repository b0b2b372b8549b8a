/* Reads the process's own memory through the linker's symbols. */
#include "platform.h"

#include "linear_memory.h"

#include <emscripten/heap.h>
#include <emscripten/stack.h>

extern char __global_base, __data_end, __heap_base, __stack_low, __stack_high;
extern const struct membuddy_image_limits membuddy_image_limits __attribute__((weak));

static size_t address_of(const void *pointer) { return (size_t)pointer; }

static size_t heap_end(void) { return *emscripten_get_sbrk_ptr(); }

enum platform_status platform_memory(struct platform_memory *memory) {
  memory->memory_bytes = __builtin_wasm_memory_size(0) * (size_t)PLATFORM_PAGE_BYTES;
  memory->static_begin = address_of(&__global_base);
  memory->static_end = address_of(&__data_end);
  memory->stack_low = address_of(&__stack_low);
  memory->stack_high = address_of(&__stack_high);
  memory->stack_pointer = emscripten_stack_get_current();
  memory->stack_deepest = linear_deepest_written(memory->stack_low, memory->stack_high);
  memory->heap_begin = address_of(&__heap_base);
  memory->heap_end = heap_end();
  const struct membuddy_image_limits *limits = &membuddy_image_limits;
  memory->memory_maximum_bytes = limits != NULL ? limits->memory_maximum_bytes : 0;
  memory->asyncify_bytes = limits != NULL ? limits->asyncify_bytes : 0;
  return PLATFORM_KNOWN;
}

size_t platform_room_bytes(void) { return emscripten_get_heap_size() - heap_end(); }

enum platform_status platform_each_chunk(platform_visit visit, void *context) {
  int is_known = linear_each_chunk(address_of(&__heap_base), heap_end(), visit, context);
  return is_known ? PLATFORM_KNOWN : PLATFORM_UNKNOWN;
}

size_t platform_chunk_bytes(const void *block, size_t bytes) {
  int may_be_none = bytes == 0;
  if (may_be_none &&
      (address_of(block) <= address_of(&__heap_base) || address_of(block) >= heap_end()))
    return 0;
  return linear_chunk_bytes(block);
}

size_t platform_lua_chunk_bytes(void) { return 0; }

size_t platform_stack_left_bytes(void) {
  return emscripten_stack_get_current() - address_of(&__stack_low);
}
