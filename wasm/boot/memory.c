/*
** How linear memory grows.
**
** The loader's own emscripten_resize_heap adds a fifth of the memory at each step, for ever: WASM
** memory never shrinks. Here sbrk finds this function instead, which grows by what is needed or by
** one thirty-second, whichever is more. Where the maximum is near, half of that is tried, and so
** on, down to what is needed: page by page, each step would cost the host a look at all of memory.
**
** The loader must then take fresh views. Its emscripten_resize_heap does that, and asked for the
** size that the memory has already it adds no page: its old view is detached by then, so it reckons
** from a memory of 0 bytes.
*/
#include <stddef.h>
#include <stdint.h>

#include <emscripten/heap.h>

#include "image.h"

enum { page_bytes = 65536, growth_divisor = 32 };

IMAGE_HOST_IMPORT(emscripten_resize_heap) int host_refresh_views(size_t memory_bytes);

static size_t memory_pages(void) { return __builtin_wasm_memory_size(0); }

static int grow(size_t pages) { return __builtin_wasm_memory_grow(0, pages) != SIZE_MAX; }

int emscripten_resize_heap(size_t requested_bytes) {
  if (requested_bytes > SIZE_MAX - page_bytes) return 0;
  size_t current_pages = memory_pages();
  size_t wanted_pages = (requested_bytes + page_bytes - 1) / page_bytes;
  if (wanted_pages <= current_pages) return 1;
  size_t needed = wanted_pages - current_pages;
  size_t comfortable = current_pages / growth_divisor;
  while (comfortable > needed && !grow(comfortable)) comfortable /= 2;
  if (comfortable <= needed && !grow(needed)) return 0;
  host_refresh_views(memory_pages() * page_bytes);
  return 1;
}
