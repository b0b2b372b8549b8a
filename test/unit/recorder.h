/*
** recorder: an allocator that keeps the list of its blocks.
**
** It is Lua's allocator in the tests: it knows address, size and age of every
** block, may be told to fail, copies all blocks to compare them later, and
** notes which of the blocks that existed at an instant were freed since. It
** also checks Lua: the size that Lua says of an old block must be right.
*/
#ifndef RECORDER_H
#define RECORDER_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  char *address; /* NULL: an empty place of the table */
  size_t bytes;
  uint64_t serial; /* of the allocation */
  uint64_t claim;  /* the claim in which somebody said whose it is */
  size_t copy;     /* where its bytes are in the copy; SIZE_MAX: it has none */
} recorded_block;

typedef struct {
  char *address;
  size_t old_bytes, new_bytes; /* 0 new bytes: freed */
} block_change;

typedef struct {
  recorded_block *blocks; /* owned: open addressing */
  size_t capacity, count, bytes;
  uint64_t serial, claim;
  unsigned long wrong_sizes; /* times that Lua was wrong about a block: 0 in a sound machine */

  /* failing */
  unsigned long requests;   /* allocations and growths so far */
  unsigned long fail_from;  /* the request that fails; 0: none */
  unsigned long fail_count; /* how many from there on */
  unsigned long failed;     /* how many did fail */
  int fails_others;         /* every other one of those */

  /* a request at which `on_stop` is set */
  unsigned long stop_at;
  int stopped;

  /* changes of blocks no younger than `listen_serial` */
  int listening;
  uint64_t listen_serial;
  block_change *changes; /* owned */
  size_t change_count, change_capacity;
} recorder;

void recorder_init(recorder *r);
void recorder_release(recorder *r);
/* A lua_Alloc; the context is a recorder. */
void *recorder_allocate(void *context, void *block, size_t old_bytes, size_t new_bytes);

/* The block at an address; NULL where there is none. Valid until the next allocation. */
recorded_block *recorder_find(const recorder *r, const void *address);

/* Every claim begins with all blocks unclaimed. */
void recorder_begin_claim(recorder *r);
typedef enum { CLAIM_OK, CLAIM_UNKNOWN, CLAIM_TWICE, CLAIM_WRONG_SIZE } claim_result;
claim_result recorder_claim(recorder *r, const void *address, size_t bytes);
/* What nobody claimed. */
size_t recorder_unclaimed(const recorder *r, size_t *bytes);

/* Fails `count` requests from the `from`th on, counted from now; 0: none fails. */
void recorder_fail(recorder *r, unsigned long from, unsigned long count);
/* The `from`th request, counted from now, and every other one after it fails: what is asked for
** again is there. */
void recorder_fail_others(recorder *r, unsigned long from);

/* Listens to what happens to the blocks that exist now. */
void recorder_listen(recorder *r);
void recorder_stop_listening(recorder *r);

/* A copy of all blocks; each takes the place of the one before in `copies` (all zeros at first). */
typedef struct {
  char *bytes; /* owned */
  size_t room_bytes;
} block_copies;
void recorder_copy(recorder *r, block_copies *copies);
/* The next word, from `cursor` on (all zeros at first), that differs from the copy: returns it,
** `*before` points to what it was, and the cursor stands behind it; NULL at the end. */
typedef struct {
  size_t place;  /* in the recorder's table */
  size_t offset; /* in the block */
} copy_cursor;
char *recorder_next_difference(const recorder *r, const block_copies *copies, copy_cursor *cursor,
                               const char **before);

#endif
