#include "linear_memory.h"

#include <stdint.h>

enum {
  word_bytes = sizeof(size_t),
  smallest_chunk_bytes = 8, /* the top's: an allocation may leave no more; others have 4 words */
  longest_foot_bytes = 128, /* behind the top chunk: a record of the segment, and fences */
  header_bytes =
      2 * word_bytes, /* from a chunk to its payload; the first word belongs to the chunk before */
  most_padding_words = 2, /* before the first chunk */
  previous_in_use = 1,
  this_in_use = 2,
  flags = 7,
  stack_guard_bytes = 16 /* the loader writes marks at the stack's low end */
};

static size_t word_at(size_t address) { return *(const size_t *)address; }

static size_t head_of(size_t chunk) { return word_at(chunk + word_bytes); }

static size_t size_of(size_t chunk) { return head_of(chunk) & ~(size_t)flags; }

static size_t aligned(size_t address) {
  return (address + word_bytes - 1) & ~(size_t)(word_bytes - 1);
}

/* Payloads are aligned to 8 bytes, or to 16 in builds that say so: then the first chunk begins
** later. */
static size_t first_chunk(size_t begin) {
  size_t chunk = aligned(begin);
  for (int i = 0; i < most_padding_words && head_of(chunk) == 0; i++) chunk += word_bytes;
  return chunk;
}

/* The foot behind the top chunk holds nothing but the way to the heap's end. */
static int is_foot(size_t chunk, size_t end) {
  return end - chunk <= longest_foot_bytes && head_of(chunk) == end - chunk;
}

static int fits(size_t chunk, size_t end) {
  size_t bytes = size_of(chunk);
  return bytes >= smallest_chunk_bytes && bytes < end - chunk - header_bytes;
}

static int is_in_use(size_t chunk) { return (head_of(chunk) & this_in_use) != 0; }

static int neighbour_agrees(size_t chunk, size_t next) {
  if (is_in_use(chunk)) return (head_of(next) & previous_in_use) != 0;
  return (head_of(next) & previous_in_use) == 0 && word_at(next) == size_of(chunk);
}

static void show(size_t chunk, size_t bytes, linear_visit visit, void *context) {
  visit(context, (const void *)(chunk + header_bytes), bytes, is_in_use(chunk));
}

int linear_each_chunk(size_t begin, size_t end, linear_visit visit, void *context) {
  if (end - begin < smallest_chunk_bytes + longest_foot_bytes) return 0;
  size_t chunk = first_chunk(begin);
  while (fits(chunk, end)) {
    size_t next = chunk + size_of(chunk);
    if (is_foot(next, end)) {
      show(chunk, end - chunk, visit, context);
      return 1;
    }
    if (!neighbour_agrees(chunk, next)) break;
    show(chunk, next - chunk, visit, context);
    chunk = next;
  }
  return 0;
}

size_t linear_chunk_bytes(const void *payload) { return size_of((size_t)payload - header_bytes); }

size_t linear_deepest_written(size_t low, size_t high) {
  const uint64_t *word = (const uint64_t *)((low + stack_guard_bytes + 7) & ~(size_t)7);
  while ((size_t)word < high && *word == 0) word++;
  return (size_t)word < high ? (size_t)word : high;
}
