#include "recorder.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096u
#define WORD           sizeof(void *)

void recorder_init(recorder *r) {
  memset(r, 0, sizeof *r);
  r->capacity = FIRST_CAPACITY;
  r->blocks = calloc(r->capacity, sizeof *r->blocks);
}

void recorder_release(recorder *r) {
  free(r->blocks);
  free(r->changes);
  memset(r, 0, sizeof *r);
}

/* ---- the table ---- */

static size_t start_of(const recorder *r, const void *address) {
  return (size_t)(((uint64_t)(uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15)) >> 32) &
         (r->capacity - 1);
}

recorded_block *recorder_find(const recorder *r, const void *address) {
  for (size_t at = start_of(r, address);; at = (at + 1) & (r->capacity - 1)) {
    if (r->blocks[at].address == address) return &r->blocks[at];
    if (r->blocks[at].address == NULL) return NULL;
  }
}

static recorded_block *place_for(recorder *r, const void *address) {
  size_t at = start_of(r, address);
  while (r->blocks[at].address) at = (at + 1) & (r->capacity - 1);
  return &r->blocks[at];
}

static void grow(recorder *r) {
  recorded_block *old = r->blocks;
  size_t old_capacity = r->capacity;
  r->capacity *= 2;
  r->blocks = calloc(r->capacity, sizeof *r->blocks);
  for (size_t i = 0; i < old_capacity; i++)
    if (old[i].address) *place_for(r, old[i].address) = old[i];
  free(old);
}

static recorded_block *add(recorder *r, char *address, size_t bytes) {
  if (2 * (r->count + 1) > r->capacity) grow(r);
  recorded_block *block = place_for(r, address);
  memset(block, 0, sizeof *block);
  block->address = address;
  block->bytes = bytes;
  block->serial = ++r->serial;
  block->copy = SIZE_MAX;
  r->count++;
  r->bytes += bytes;
  return block;
}

/* Closes the gap, so that no search stops at it. */
static void drop(recorder *r, recorded_block *block) {
  size_t gap = (size_t)(block - r->blocks), mask = r->capacity - 1;
  r->count--;
  r->bytes -= block->bytes;
  for (size_t at = (gap + 1) & mask; r->blocks[at].address; at = (at + 1) & mask) {
    size_t start = start_of(r, r->blocks[at].address);
    if (((at - start) & mask) < ((at - gap) & mask)) continue;
    r->blocks[gap] = r->blocks[at];
    gap = at;
  }
  r->blocks[gap].address = NULL;
}

/* ---- the allocator ---- */

static void note_change(recorder *r, const recorded_block *block, size_t new_bytes) {
  if (!r->listening || block->serial > r->listen_serial) return;
  if (r->change_count == r->change_capacity) {
    r->change_capacity = r->change_capacity ? 2 * r->change_capacity : 1024;
    r->changes = realloc(r->changes, r->change_capacity * sizeof *r->changes);
  }
  block_change change = {block->address, block->bytes, new_bytes};
  r->changes[r->change_count++] = change;
}

static int is_to_fail(recorder *r) {
  r->requests++;
  if (r->requests == r->stop_at) r->stopped = 1;
  if (r->fail_from == 0 || r->requests < r->fail_from ||
      r->requests - r->fail_from >= r->fail_count ||
      (r->fails_others && (r->requests - r->fail_from) % 2 != 0))
    return 0;
  r->failed++;
  return 1;
}

static void *resize(recorder *r, recorded_block *block, size_t new_bytes) {
  uint64_t serial = block->serial;
  note_change(r, block, new_bytes);
  char *old = block->address,
       *moved = malloc(new_bytes); /* always moves: nobody may rely on less */
  memcpy(moved, old, block->bytes < new_bytes ? block->bytes : new_bytes);
  drop(r, block);
  free(old);
  add(r, moved, new_bytes)->serial = serial;
  return moved;
}

void *recorder_allocate(void *context, void *old, size_t old_bytes, size_t new_bytes) {
  recorder *r = context;
  recorded_block *block = old ? recorder_find(r, old) : NULL;
  if (old && (block == NULL || block->bytes != old_bytes)) r->wrong_sizes++;
  if (new_bytes == 0) {
    if (block == NULL) return NULL;
    note_change(r, block, 0);
    drop(r, block);
    free(old);
    return NULL;
  }
  if ((block == NULL || new_bytes > block->bytes) && is_to_fail(r)) return NULL;
  if (block) return resize(r, block, new_bytes);
  return add(r, malloc(new_bytes), new_bytes)->address;
}

void recorder_fail(recorder *r, unsigned long from, unsigned long count) {
  r->fail_from = from ? r->requests + from : 0;
  r->fail_count = count;
  r->failed = 0;
  r->fails_others = 0;
}
void recorder_fail_others(recorder *r, unsigned long from) {
  recorder_fail(r, from, (unsigned long)-1);
  r->fails_others = 1;
}

void recorder_listen(recorder *r) {
  r->listening = 1;
  r->listen_serial = r->serial;
  r->change_count = 0;
}

void recorder_stop_listening(recorder *r) { r->listening = 0; }

/* ---- claims ---- */

void recorder_begin_claim(recorder *r) { r->claim++; }

claim_result recorder_claim(recorder *r, const void *address, size_t bytes) {
  recorded_block *block = recorder_find(r, address);
  if (block == NULL) return CLAIM_UNKNOWN;
  if (block->claim == r->claim) return CLAIM_TWICE;
  block->claim = r->claim;
  return block->bytes == bytes ? CLAIM_OK : CLAIM_WRONG_SIZE;
}

size_t recorder_unclaimed(const recorder *r, size_t *bytes) {
  size_t count = 0;
  *bytes = 0;
  for (size_t i = 0; i < r->capacity; i++) {
    const recorded_block *block = &r->blocks[i];
    if (block->address == NULL || block->claim == r->claim) continue;
    count++;
    *bytes += block->bytes;
  }
  return count;
}

/* ---- copies ---- */

void recorder_copy(recorder *r, block_copies *copies) {
  if (copies->room_bytes < r->bytes + 1) {
    free(copies->bytes);
    copies->room_bytes = r->bytes + r->bytes / 2 + 1;
    copies->bytes = malloc(copies->room_bytes);
  }
  size_t at = 0;
  for (size_t i = 0; i < r->capacity; i++) {
    recorded_block *block = &r->blocks[i];
    if (block->address == NULL) continue;
    block->copy = at;
    memcpy(copies->bytes + at, block->address, block->bytes);
    at += block->bytes;
  }
}

static size_t next_difference(const char *a, const char *b, size_t from, size_t bytes) {
  if (from >= bytes || memcmp(a + from, b + from, bytes - from) == 0) return bytes;
  while (a[from] == b[from]) from++;
  return from / WORD * WORD;
}

char *recorder_next_difference(const recorder *r, const block_copies *copies, copy_cursor *cursor,
                               const char **before) {
  for (; cursor->place < r->capacity; cursor->place++, cursor->offset = 0) {
    const recorded_block *block = &r->blocks[cursor->place];
    if (block->address == NULL || block->copy == SIZE_MAX) continue;
    size_t at =
        next_difference(block->address, copies->bytes + block->copy, cursor->offset, block->bytes);
    if (at >= block->bytes) continue;
    cursor->offset = at + WORD;
    *before = copies->bytes + block->copy + at;
    return block->address + at;
  }
  return NULL;
}
