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
**
** A loader that takes a memory into a new instance grows that by a fifth at least, and a message
** that was broken off leaves what it grew. So there may be pages that the process never asked for,
** which it finds when it does: how it grows is the same wherever it goes on.
*/
#include <stddef.h>
#include <stdint.h>

#include <emscripten/heap.h>

#include "image.h"
#include "memory.h"

enum { page_bytes = 65536, growth_divisor = 32 };

IMAGE_HOST_IMPORT(emscripten_resize_heap) int host_refresh_views(size_t memory_bytes);

/* In the place of the C library's, for sbrk and the profiler. */
size_t emscripten_get_heap_size(void) { return image_own_pages * page_bytes; }

static int grow(size_t pages) {
  size_t wanted = image_own_pages + pages, there = __builtin_wasm_memory_size(0);
  if (wanted > there) {
    if (__builtin_wasm_memory_grow(0, wanted - there) == SIZE_MAX) return 0;
    host_refresh_views(wanted * page_bytes);
  }
  image_own_pages = wanted;
  return 1;
}

int emscripten_resize_heap(size_t requested_bytes) {
  if (requested_bytes > SIZE_MAX - page_bytes) return 0;
  size_t wanted_pages = (requested_bytes + page_bytes - 1) / page_bytes;
  if (wanted_pages <= image_own_pages) return 1;
  size_t needed = wanted_pages - image_own_pages;
  size_t comfortable = image_own_pages / growth_divisor;
  while (comfortable > needed && !grow(comfortable)) comfortable /= 2;
  return comfortable > needed || grow(needed);
}
