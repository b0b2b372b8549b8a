#include "attach_account.h"

#include "account.h"
#include "attach_books.h"
#include "borrow.h"
#include "layout.h"
#include "linear_memory.h"
#include "walk.h"

enum {
  word_bytes = sizeof(size_t),
  word_bits = 32,
  head_bytes = 2 * word_bytes, /* from a chunk to its payload */
  maps_bytes = 8,              /* from the allocator's state to its first word */
  smallest_unwind_bytes = 1024
};

/* What this file answers as `platform.h`. */
static struct {
  struct platform_memory memory;
  size_t chunks_begin, chunks_end; /* what the allocator asked for; 0: not found */
  uint32_t *in_use;                /* a bit for every word between them: a payload begins here */
  const checked_blocks *lua_blocks;
  size_t lua_chunks;         /* of them */
  const void *unwind_buffer; /* a block that looks like one */
  size_t unwound_bytes;
  int regions_are_known;
} subject;

static account figures;

/* ---- the allocator's state ---- */

/*
** What dlmalloc writes down about itself (its struct malloc_state, with one word a box):
**
**   [smallmap, treemap: 4 bytes each]
**   [dvsize][topsize][least address][dv][top][trim][releases][magic]
**   [66 small bins][32 trees][footprint][largest][limit][flags]
**   [segment: base][size][next][flags] ...
*/
enum {
  topsize_word = 1,
  least_address_word = 2,
  top_word = 4,
  segment_base_word = 8 + 66 + 32 + 4,
  segment_size_word,
  segment_next_word,
  state_words
};

static size_t word_at(size_t address) { return *(const size_t *)address; }
static size_t state_word(size_t words, int which) { return word_at(words + which * word_bytes); }

static int is_allocator_state(size_t words) {
  size_t memory_bytes = subject.memory.memory_bytes;
  size_t top_bytes = state_word(words, topsize_word), top = state_word(words, top_word);
  if (top_bytes == 0 || top % word_bytes || top <= words || top >= memory_bytes) return 0;
  size_t base = state_word(words, segment_base_word);
  size_t bytes = state_word(words, segment_size_word);
  return base > words && base <= top && bytes <= memory_bytes - base && top_bytes < bytes &&
         top - base < bytes - top_bytes && base == state_word(words, least_address_word) &&
         state_word(words, segment_next_word) == 0 && word_at(top + word_bytes) == (top_bytes | 1);
}

/* Takes the chunks of the state at `words` (its dvsize), if it is one and `block` among them. */
static int take_chunks(size_t words, size_t block) {
  if (!is_allocator_state(words)) return 0;
  size_t begin = state_word(words, segment_base_word);
  size_t end = begin + state_word(words, segment_size_word);
  if (block < begin || block >= end) return 0;
  subject.chunks_begin = begin;
  subject.chunks_end = end;
  return 1;
}

/* The state stands in static data, so below every block; `block` lies in one of Lua's. `address` is
** where the host says that it is; 0: anywhere. */
static void find_chunks(double address, size_t block) {
  size_t bytes = state_words * word_bytes, first = 2 * maps_bytes;
  if (block < bytes || address > (double)(block - bytes)) return;
  size_t last = address > 0 ? (size_t)address + maps_bytes : block - bytes;
  if (address > 0) first = last;
  for (size_t words = first; words <= last && !take_chunks(words, block); words += word_bytes) {
  }
}

/* ---- which addresses are blocks in use ---- */

/* The bit of a payload; NULL where no chunk can have one. */
static uint32_t *bits_of(const void *payload, uint32_t *bit) {
  size_t address = (size_t)payload;
  if (address % word_bytes || address < subject.chunks_begin + head_bytes ||
      address >= subject.chunks_end)
    return NULL;
  size_t word = (address - subject.chunks_begin) / word_bytes;
  *bit = UINT32_C(1) << word % word_bits;
  return &subject.in_use[word / word_bits];
}

/* Asyncify's buffer begins with the way to its frames, which stand in it, and to its end. A payload
** ends with the first word of the chunk that follows. */
static int is_unwind_buffer(const void *payload, size_t chunk_bytes) {
  const size_t *words = payload;
  size_t begin = (size_t)payload, end = begin + chunk_bytes - word_bytes;
  return chunk_bytes >= smallest_unwind_bytes && words[0] > begin && words[0] <= words[1] &&
         words[1] <= end && end - words[1] <= 2 * head_bytes;
}

typedef struct {
  platform_visit visit;
  void *context;
} visitor;

static void note_chunk(void *context, const void *payload, size_t chunk_bytes, int is_in_use) {
  const visitor *v = context;
  uint32_t bit, *bits = bits_of(payload, &bit);
  if (bits && is_in_use && check_is_block(subject.lua_blocks, payload))
    subject.lua_chunks++;
  else if (bits && is_in_use)
    *bits |= bit;
  if (is_in_use && is_unwind_buffer(payload, chunk_bytes)) subject.unwind_buffer = payload;
  v->visit(v->context, payload, chunk_bytes, is_in_use);
}

/* ---- platform.h ---- */

enum platform_status platform_memory(struct platform_memory *memory) {
  *memory = subject.memory;
  return PLATFORM_KNOWN;
}

size_t platform_room_bytes(void) { return SIZE_MAX; } /* nobody asks outside */

static size_t bitmap_bytes(void) {
  return ((subject.chunks_end - subject.chunks_begin) / word_bytes / word_bits + 1) *
         sizeof(uint32_t);
}

enum platform_status platform_each_chunk(platform_visit visit, void *context) {
  if (subject.in_use == NULL) return PLATFORM_UNKNOWN;
  visitor v = {visit, context};
  memset(subject.in_use, 0, bitmap_bytes());
  int is_known = linear_each_chunk(subject.chunks_begin, subject.chunks_end, note_chunk, &v);
  return is_known ? PLATFORM_KNOWN : PLATFORM_UNKNOWN;
}

size_t platform_lua_chunk_bytes(void) { return subject.lua_blocks->chunk_bytes; }

/* Asked once of each block that is not Lua's: its chunk is taken. */
size_t platform_chunk_bytes(const void *block, size_t bytes) {
  uint32_t bit, *bits = bits_of(block, &bit);
  (void)bytes;
  if (bits == NULL || !(*bits & bit)) return 0;
  *bits &= ~bit;
  return linear_chunk_bytes(block);
}

/* ---- the account ---- */

static int starts_before(double begin, double end) { return begin >= 0 && begin <= end; }

/* The host's word for the regions, where they can be right. Where it says nothing, and no chunk was
** found, the heap is too small for Lua's blocks: see `read_account`. */
static int take_regions(double heap_begin, double heap_end, double stack_low, double stack_high,
                        double static_begin, double static_end) {
  struct platform_memory *m = &subject.memory;
  if (!starts_before(stack_low, stack_high) || !starts_before(static_begin, static_end) ||
      !starts_before(heap_begin, heap_end) || stack_high > heap_begin || static_end > heap_begin ||
      heap_end > (double)m->memory_bytes || (stack_low < static_end && static_begin < stack_high))
    return 0;
  if (subject.chunks_end > 0 &&
      (heap_begin > (double)subject.chunks_begin || heap_end < (double)subject.chunks_end))
    return 0;
  m->heap_begin = (size_t)heap_begin;
  m->heap_end = (size_t)heap_end;
  m->stack_low = (size_t)stack_low;
  m->stack_high = (size_t)stack_high;
  m->static_begin = (size_t)static_begin;
  m->static_end = (size_t)static_end;
  m->stack_deepest = linear_deepest_written(m->stack_low, m->stack_high);
  return 1;
}

/* Without the host's word: everything below the chunks is one region, and without chunks nothing is
** known but the length. */
static void guess_regions(void) {
  struct platform_memory *m = &subject.memory;
  m->static_end = m->heap_begin = subject.chunks_begin;
  m->heap_end = subject.chunks_end > 0 ? subject.chunks_end : m->memory_bytes;
}

/* What looked like one may have been a block of Lua's. */
static size_t unwound_bytes(void) {
  uint32_t bit, *bits = bits_of(subject.unwind_buffer, &bit);
  return bits && (*bits & bit) ? linear_chunk_bytes(subject.unwind_buffer) : 0;
}

static void read_parts(lua_State *L, const walk_books *books) {
  memset(&figures, 0, sizeof figures);
  figures.books = *books;
  account_read_rest(L, &figures);
}

/* Each of Lua's blocks is a chunk in use of its own, and fits into it. */
static int blocks_are_chunks(void) {
  const checked_blocks *blocks = subject.lua_blocks;
  return figures.chunks_are_known && subject.lua_chunks == blocks->count && blocks->misfits == 0;
}

static int read_with_chunks(lua_State *L, const walk_books *books) {
  subject.lua_blocks = attach_know_blocks(L);
  subject.in_use = subject.lua_blocks ? borrow(bitmap_bytes()) : NULL;
  if (subject.in_use == NULL) return 0;
  read_parts(L, books);
  if (blocks_are_chunks()) subject.unwound_bytes = unwound_bytes();
  borrow_return(subject.in_use);
  subject.in_use = NULL;
  return 1;
}

static int read_account(lua_State *L) {
  const walk_books *books = attach_know_books(L);
  if (books == NULL) return 0;
  if (subject.chunks_end > 0) {
    if (!read_with_chunks(L, books)) return 0;
    if (blocks_are_chunks()) return 1;
  }
  read_parts(L, books); /* platform_each_chunk knows nothing then */
  size_t heap_bytes = subject.memory.heap_end - subject.memory.heap_begin;
  if (books->lua_bytes > heap_bytes) subject.regions_are_known = 0;
  return 1;
}

ATTACH_EXPORT int attach_account(uintptr_t state, double memory_bytes, double allocator_state,
                                 double heap_begin, double heap_end, double stack_low,
                                 double stack_high, double static_begin, double static_end) {
  lua_State *L = (lua_State *)state;
  attach_settle_list(G(L)->finobj); /* these two have the boxes of buffers */
  attach_settle_list(G(L)->tobefnz);
  memset(&subject, 0, sizeof subject);
  subject.memory.memory_bytes = (size_t)memory_bytes;
  find_chunks(allocator_state, state);
  subject.regions_are_known =
      take_regions(heap_begin, heap_end, stack_low, stack_high, static_begin, static_end);
  if (!subject.regions_are_known) guess_regions();
  return read_account(L) ? ATTACH_SOUND : ATTACH_NO_MEMORY;
}

ATTACH_EXPORT double attach_account_figure(int which) {
  const account *a = &figures;
  switch (which) {
  case ATTACH_LIVE: return (double)a->live_bytes;
  case ATTACH_GARBAGE: return (double)a->garbage_bytes;
  case ATTACH_RUNTIME: return (double)a->runtime_bytes;
  case ATTACH_SLACK: return (double)a->slack_bytes;
  case ATTACH_BUFFERS: return (double)a->buffer_bytes;
  case ATTACH_OTHER: return (double)a->other_bytes;
  case ATTACH_UNWOUND: return (double)subject.unwound_bytes;
  case ATTACH_FREE: return (double)a->free_bytes;
  case ATTACH_STATIC: return (double)a->static_bytes;
  case ATTACH_STACK: return (double)a->stack_bytes;
  case ATTACH_GAPS: return (double)a->gap_bytes;
  case ATTACH_LUA_BYTES: return (double)a->books.lua_bytes;
  case ATTACH_UNACCOUNTED: return (double)a->books.unaccounted;
  case ATTACH_LARGEST_FREE: return (double)a->largest_free_bytes;
  case ATTACH_FREE_CHUNKS: return (double)a->free_count;
  case ATTACH_STACK_HIGH_WATER: return (double)a->stack_high_water_bytes;
  case ATTACH_CHUNKS_ARE_KNOWN: return a->chunks_are_known;
  case ATTACH_REGIONS_ARE_KNOWN: return subject.regions_are_known;
  default: return -1;
  }
}
