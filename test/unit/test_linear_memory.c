/*
** Chunks of a heap cut by hand the way dlmalloc does: the walk tells them as
** they were cut, and where a header lies it says so and stays within the
** bounds. The heap fills its allocation to the byte, so that the sanitizer
** sees any read outside.
*/
#include "check.h"
#include "linear_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
  word_bytes = sizeof(size_t),
  most_chunks = 40,
  most_units = 20,
  least_chunk_bytes = 4 * word_bytes,
  foot_bytes = 9 * word_bytes,
  previous_in_use = 1,
  this_in_use = 2,
  lies = 100000
};

typedef struct {
  size_t bytes;
  int is_in_use;
} chunk;

typedef struct {
  chunk chunks[most_chunks]; /* the last one is the top, without the foot */
  int count;
  size_t padding_bytes;
  unsigned char *bytes; /* owned */
  size_t length;
} heap;

static void put(heap *h, size_t at, size_t word) { memcpy(h->bytes + at, &word, sizeof word); }

static void write_chunks(heap *h) {
  size_t at = h->padding_bytes;
  int previous = previous_in_use;
  for (int i = 0; i < h->count; i++) {
    const chunk *c = &h->chunks[i];
    put(h, at + word_bytes, c->bytes | (size_t)previous | (c->is_in_use ? this_in_use : 0));
    at += c->bytes;
    if (!c->is_in_use && i < h->count - 1)
      put(h, at, c->bytes); /* the top has no foot of its own */
    previous = c->is_in_use ? previous_in_use : 0;
  }
  put(h, at + word_bytes, foot_bytes);
}

/* Chunks of random sizes, no two free ones side by side; the top is free. */
static heap heap_of(dice *d, int count, size_t top_bytes, size_t padding_words) {
  heap h;
  memset(&h, 0, sizeof h);
  h.count = count;
  h.padding_bytes = padding_words * word_bytes;
  h.length = h.padding_bytes + top_bytes + foot_bytes;
  for (int i = 0; i < count - 1; i++) {
    chunk *c = &h.chunks[i];
    c->bytes = least_chunk_bytes + dice_roll(d, most_units) * 2 * word_bytes;
    c->is_in_use = i == count - 2 || (i > 0 && !h.chunks[i - 1].is_in_use) || dice_roll(d, 3) > 0;
    h.length += c->bytes;
  }
  h.chunks[count - 1].bytes = top_bytes;
  h.bytes = calloc(1, h.length);
  write_chunks(&h);
  return h;
}

typedef struct {
  const heap *h;
  size_t next; /* where the next chunk must begin; 0: anywhere */
  size_t sum_bytes;
  int count, differences;
} seen;

static void see(void *context, const void *payload, size_t chunk_bytes, int is_in_use) {
  seen *s = context;
  size_t at = (size_t)payload - 2 * word_bytes;
  if (s->next != 0 && at != s->next) s->differences++;
  if (s->h && s->count < s->h->count) {
    const chunk *c = &s->h->chunks[s->count];
    size_t bytes = c->bytes + (s->count == s->h->count - 1 ? foot_bytes : 0);
    if (bytes != chunk_bytes || c->is_in_use != is_in_use) s->differences++;
    if (linear_chunk_bytes(payload) != c->bytes) s->differences++;
  }
  s->next = at + chunk_bytes;
  s->sum_bytes += chunk_bytes;
  s->count++;
}

/* From a few bytes before it on: where a heap begins is rounded up. */
static int walk(const heap *h, seen *s) {
  size_t begin = (size_t)h->bytes - 3;
  return linear_each_chunk(begin, (size_t)h->bytes + h->length, see, s);
}

static void check_heap(const heap *h) {
  seen s = {h, 0, 0, 0, 0};
  CHECK(walk(h, &s), "%d chunks, the top of %zu bytes, %zu of padding: not a heap", h->count,
        h->chunks[h->count - 1].bytes, h->padding_bytes);
  CHECK(s.count == h->count && s.differences == 0, "%d chunks instead of %d, %d different", s.count,
        h->count, s.differences);
  CHECK(s.sum_bytes == h->length - h->padding_bytes, "%zu bytes instead of %zu", s.sum_bytes,
        h->length - h->padding_bytes);
}

static void chunks_as_cut(void) {
  dice d = dice_of(1);
  for (int round = 0; round < 2000; round++) {
    size_t top_bytes = least_chunk_bytes + dice_roll(&d, 50) * 2 * word_bytes;
    heap h = heap_of(&d, 8 + (int)dice_roll(&d, most_chunks - 8), top_bytes, dice_roll(&d, 3));
    check_heap(&h);
    free(h.bytes);
  }
}

static void smallest_top(void) {
  dice d = dice_of(2);
  heap h = heap_of(&d, 20, 8, 0);
  check_heap(&h);
  free(h.bytes);
}

static void lying_headers(void) {
  dice d = dice_of(check_setting("SEED", 3));
  int accepted_count = 0;
  for (int round = 0; round < lies; round++) {
    heap h = heap_of(&d, 8 + (int)dice_roll(&d, 20), 4 * least_chunk_bytes, dice_roll(&d, 3));
    for (unsigned long left = 1 + dice_roll(&d, 4); left > 0; left--)
      put(&h, dice_roll(&d, h.length / word_bytes) * word_bytes,
          dice_roll(&d, 2) ? dice_roll(&d, 4096) : (size_t)0 - dice_roll(&d, 4096));
    seen s = {NULL, 0, 0, 0, 0};
    if (walk(&h, &s)) {
      accepted_count++;
      CHECK(s.differences == 0 && s.next == (size_t)h.bytes + h.length,
            "round %d: accepted, but with %d gaps, ends %td bytes off", round, s.differences,
            (ptrdiff_t)(s.next - (size_t)h.bytes - h.length));
    }
    free(h.bytes);
    if (check_failed()) return;
  }
  CHECK(accepted_count < lies, "every lie was believed");
}

static void nothing_there(void) {
  for (size_t length = 0; length < 40 * word_bytes; length += word_bytes) {
    void *zeros = calloc(1, length + 1);
    seen s = {NULL, 0, 0, 0, 0};
    CHECK(!linear_each_chunk((size_t)zeros, (size_t)zeros + length, see, &s),
          "%zu zeros are a heap", length);
    free(zeros);
  }
}

/* A free chunk, one in use and the top; one word of it is another. */
static int is_heap_with(size_t at, size_t word) {
  heap h = {.chunks = {{64, 0}, {64, 1}, {64, 0}}, .count = 3, .length = 3 * 64 + foot_bytes};
  h.bytes = calloc(1, h.length);
  write_chunks(&h);
  put(&h, at, word);
  seen s = {NULL, 0, 0, 0, 0};
  int is_heap = walk(&h, &s);
  free(h.bytes);
  return is_heap;
}

static void neighbours(void) {
  const size_t used = 64, top = 128, end = 192 + foot_bytes;
  CHECK(is_heap_with(used, 64), "nothing was changed, and it is no heap");
  CHECK(is_heap_with(used + word_bytes, 64 | this_in_use | 4), "a flag counts as bytes");
  CHECK(!is_heap_with(used, 48), "a free chunk has another size behind it");
  CHECK(!is_heap_with(used + word_bytes, 64 | this_in_use | previous_in_use),
        "a free chunk is in use to the next");
  CHECK(!is_heap_with(top + word_bytes, 64), "a chunk in use is free to the next");
  CHECK(!is_heap_with(used + word_bytes, end - used), "a foot is as long as three chunks");
}

static void deepest_call(void) {
  uint64_t stack[64];
  size_t low = (size_t)stack, high = (size_t)(stack + 64);
  memset(stack, 0, sizeof stack);
  CHECK(linear_deepest_written(low, high) == high, "a stack of zeros was written to");
  stack[0] = stack[1] = UINT64_MAX;
  CHECK(linear_deepest_written(low, high) == high, "the loader's marks count as a call");
  stack[40] = 1;
  CHECK(linear_deepest_written(low, high) == (size_t)&stack[40], "not where it was written to");
  stack[40] = UINT64_C(1) << 32;
  CHECK(linear_deepest_written(low, high) == (size_t)&stack[40], "half a word is not seen");
  stack[2] = 1;
  CHECK(linear_deepest_written(low, high) == (size_t)&stack[2], "not right above the marks");
  CHECK(linear_deepest_written(low + 1, high) == (size_t)&stack[40], "a mark in part counts");
  CHECK(linear_deepest_written(low, low) == low, "an empty stack was written to above its end");
}

static const test tests[] = {
    {"a heap's chunks are told as they were cut", chunks_as_cut},
    {"a top chunk of two words ends a heap", smallest_top},
    {"headers that lie are seen, or lead from the first to the last without a gap", lying_headers},
    {"a chunk whose neighbour says otherwise ends the walk", neighbours},
    {"zeros are no heap", nothing_there},
    {"the lowest written word of a stack is its high-water mark", deepest_call},
};

CHECK_MAIN(tests)
