/* Loans from the memory behind the subject's: a stack of blocks, since loans are mostly given
** back in the order of a stack; what is given back in the middle is reused when everything above
** it is gone. The C library is left out: no allocator of its own may live in a stranger's
** memory. */
#include "attach_arena.h"

#include <string.h>

#include "borrow.h"
#include "platform.h"

typedef struct block {
  struct block *below;
  size_t bytes;
  size_t in_use;
  size_t padding;
} block;

#define GROWTH_PAGES 256u

static uintptr_t begin, end; /* of the arena: what is taken */
static uintptr_t last;       /* address that is there: the one behind it may be no number */
static uintptr_t highest;
static block *top;

void arena_start(uintptr_t address) {
  begin = end = highest = (address + 15) & ~(uintptr_t)15;
  last = (uintptr_t)__builtin_wasm_memory_size(0) * PLATFORM_PAGE_BYTES - 1;
  top = NULL;
}

double arena_peak_bytes(void) { return (double)(highest - begin); }

static int grow(uintptr_t pages) {
  if (__builtin_wasm_memory_grow(0, pages) == (uintptr_t)-1) return 0;
  last += pages * PLATFORM_PAGE_BYTES;
  return 1;
}

static size_t rounded(size_t bytes) { return (bytes + 15) & ~(size_t)15; }

/* Moves the end to `bytes` behind `from`. In large steps, since each costs the host a collection;
** what is not touched is not there. */
static int reach(uintptr_t from, size_t bytes) {
  if (bytes > SIZE_MAX / 2 || rounded(bytes) > UINTPTR_MAX - from) return 0;
  uintptr_t address = from + rounded(bytes);
  if (address - 1 > last) {
    uintptr_t pages = (address - 1 - last - 1) / PLATFORM_PAGE_BYTES + 1;
    if (!grow(pages + GROWTH_PAGES) && !grow(pages)) return 0;
  }
  end = address;
  if (end > highest) highest = end;
  return 1;
}

void *borrow(size_t bytes) {
  block *b = (block *)end;
  if (bytes > SIZE_MAX / 2 || !reach(end, sizeof(block) + bytes)) return NULL;
  b->below = top;
  b->bytes = rounded(bytes);
  b->in_use = 1;
  top = b;
  return b + 1;
}

void *borrow_more(void *loan, size_t bytes) {
  block *b = loan ? (block *)loan - 1 : NULL;
  if (b && b == top) {
    if (!reach((uintptr_t)loan, bytes)) return NULL;
    b->bytes = rounded(bytes);
    return loan;
  }
  void *more = borrow(bytes);
  if (more && b) memcpy(more, loan, b->bytes < bytes ? b->bytes : bytes);
  if (more) borrow_return(loan);
  return more;
}

void borrow_return(void *loan) {
  if (loan == NULL) return;
  ((block *)loan - 1)->in_use = 0;
  for (; top && !top->in_use; top = top->below) end = (uintptr_t)top;
}
