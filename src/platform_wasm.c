/*
** Reads the process's own memory through the linker's symbols, and the heap through the headers
*that dlmalloc (the
** allocator of every aos image) puts before each block:
**
**   chunk:  [previous size, if the previous is free][size | flags][payload ...........] next chunk
**   heap:   chunk, chunk, ... , top chunk (free), foot: [-][bytes to the heap's end]
**
** Flags: 1 the previous chunk is in use, 2 this one is. The walk believes a header only if its
*neighbour agrees.
*/
#include "platform.h"

#include <stdint.h>

#include <emscripten/heap.h>
#include <emscripten/stack.h>

extern char __global_base, __data_end, __heap_base, __stack_low, __stack_high;
extern const struct membuddy_image_limits membuddy_image_limits __attribute__((weak));

enum {
  page_bytes = 65536,
  word_bytes = sizeof(size_t),
  smallest_chunk_bytes = 4 * word_bytes,
  header_bytes =
      2 * word_bytes, /* from a chunk to its payload; the first word belongs to the chunk before */
  longest_foot_bytes = 128,
  previous_in_use = 1,
  this_in_use = 2,
  flags = 7,
  stack_guard_bytes = 16 /* the loader writes marks at the stack's low end */
};

/* ---- regions ---- */

static size_t address_of(const void *pointer) { return (size_t)pointer; }

static size_t deepest_written(size_t low, size_t high) {
  const uint64_t *word = (const uint64_t *)((low + stack_guard_bytes + 7) & ~(size_t)7);
  while (address_of(word) < high && *word == 0) word++;
  return address_of(word) < high ? address_of(word) : high;
}

static size_t heap_end(void) { return *emscripten_get_sbrk_ptr(); }

enum platform_status platform_memory(struct platform_memory *memory) {
  memory->memory_bytes = __builtin_wasm_memory_size(0) * (size_t)page_bytes;
  memory->static_begin = address_of(&__global_base);
  memory->static_end = address_of(&__data_end);
  memory->stack_low = address_of(&__stack_low);
  memory->stack_high = address_of(&__stack_high);
  memory->stack_pointer = emscripten_stack_get_current();
  memory->stack_deepest = deepest_written(memory->stack_low, memory->stack_high);
  memory->heap_begin = address_of(&__heap_base);
  memory->heap_end = heap_end();
  const struct membuddy_image_limits *limits = &membuddy_image_limits;
  memory->memory_maximum_bytes = limits != NULL ? limits->memory_maximum_bytes : 0;
  memory->asyncify_bytes = limits != NULL ? limits->asyncify_bytes : 0;
  return PLATFORM_KNOWN;
}

/* ---- chunks ---- */

static size_t word_at(size_t address) { return *(const size_t *)address; }

static size_t head_of(size_t chunk) { return word_at(chunk + word_bytes); }

static size_t size_of(size_t chunk) { return head_of(chunk) & ~(size_t)flags; }

/* Payloads are aligned to 8 bytes, or to 16 in builds that say so: then the first chunk begins
 * later. */
static size_t first_chunk(size_t begin) {
  size_t chunk = (begin + word_bytes - 1) & ~(size_t)(word_bytes - 1);
  return head_of(chunk) != 0 ? chunk : chunk + word_bytes;
}

/* The foot behind the top chunk holds nothing but the way to the heap's end. */
static int is_foot(size_t chunk, size_t end) {
  return end - chunk <= longest_foot_bytes && head_of(chunk) == end - chunk;
}

static int fits(size_t chunk, size_t end) {
  size_t bytes = size_of(chunk);
  return bytes >= smallest_chunk_bytes && bytes < end - chunk - header_bytes;
}

static int neighbour_agrees(size_t chunk, size_t next) {
  int is_in_use = (head_of(chunk) & this_in_use) != 0;
  if (is_in_use) return (head_of(next) & previous_in_use) != 0;
  return (head_of(next) & previous_in_use) == 0 && word_at(next) == size_of(chunk);
}

static void show(size_t chunk, size_t bytes, platform_visit visit, void *context) {
  visit(context, (const void *)(chunk + header_bytes), bytes, (head_of(chunk) & this_in_use) != 0);
}

enum platform_status platform_each_chunk(platform_visit visit, void *context) {
  size_t end = heap_end();
  size_t chunk = address_of(&__heap_base);
  if (end - chunk < smallest_chunk_bytes + longest_foot_bytes) return PLATFORM_UNKNOWN;
  chunk = first_chunk(chunk);
  while (fits(chunk, end)) {
    size_t next = chunk + size_of(chunk);
    if (is_foot(next, end)) {
      show(chunk, end - chunk, visit, context);
      return PLATFORM_KNOWN;
    }
    if (!neighbour_agrees(chunk, next)) break;
    show(chunk, next - chunk, visit, context);
    chunk = next;
  }
  return PLATFORM_UNKNOWN;
}

size_t platform_chunk_bytes(const void *payload) {
  return size_of(address_of(payload) - header_bytes);
}

size_t platform_stack_left_bytes(void) {
  return emscripten_stack_get_current() - address_of(&__stack_low);
}
