#include "account.h"

#include <stdint.h>

typedef struct {
  size_t in_use_bytes, free_bytes, largest_free_bytes, free_count;
} chunk_sums;

static void add_chunk(void *context, const void *payload, size_t chunk_bytes, int is_in_use) {
  chunk_sums *sums = context;
  (void)payload;
  if (is_in_use) {
    sums->in_use_bytes += chunk_bytes;
    return;
  }
  sums->free_bytes += chunk_bytes;
  sums->free_count++;
  if (chunk_bytes > sums->largest_free_bytes) sums->largest_free_bytes = chunk_bytes;
}

static void add_block_chunk(void *context, const void *block, size_t bytes) {
  if (bytes > 0) *(size_t *)context += platform_chunk_bytes(block, bytes);
}

/* lauxlib keeps a buffer that outgrew the C stack in a box: a userdata of {block, size} with a
** finalizer. Its metatable stands in the registry under the name that each version gave it. */
typedef struct {
  const Table *metatable;
  size_t bytes;
} box_search;

static LAYOUT_APART void add_boxes(box_search *search, const GCObject *list) {
  for (; list; list = list->next) {
    const Udata *userdata = (const Udata *)list;
    if (layout_kind(list) != KIND_USERDATA) continue;
    if (userdata->metatable != search->metatable || userdata->len < sizeof(void *)) continue;
    const void *block;
    memcpy(&block, layout_userdata_payload(userdata), sizeof block);
    if (block) search->bytes += platform_chunk_bytes(block, 0);
  }
}

static size_t box_bytes(lua_State *L) {
  GCObject *metatable = walk_table_field(walk_registry(L), LAYOUT_BUFFER_BOX);
  if (metatable == NULL) return 0;
  box_search search = {gco2t(metatable), 0};
  add_boxes(&search, G(L)->finobj);
  add_boxes(&search, G(L)->tobefnz);
  return search.bytes;
}

static void read_lua_part(account *a) {
  const walk_books *books = &a->books;
  a->runtime_bytes = books->kinds[KIND_STATE].bytes + books->kinds[KIND_STRING_TABLE].bytes;
  a->live_bytes = books->live_bytes - a->runtime_bytes;
  a->garbage_bytes = books->garbage.bytes;
}

/* What Lua counts beside this, a parser's buffers, is in blocks of no object: other chunks. */
static size_t lua_block_bytes(const account *a) {
  return a->live_bytes + a->garbage_bytes + a->runtime_bytes;
}

static void read_chunks(lua_State *L, account *a) {
  chunk_sums sums = {0, 0, 0, 0};
  a->chunks_are_known = platform_each_chunk(add_chunk, &sums) == PLATFORM_KNOWN;
  if (!a->chunks_are_known) return;
  size_t lua_chunk_bytes = platform_lua_chunk_bytes();
  if (lua_chunk_bytes == 0) walk_each_block(L, add_block_chunk, &lua_chunk_bytes);
  a->buffer_bytes = box_bytes(L);
  a->slack_bytes = lua_chunk_bytes - lua_block_bytes(a);
  a->other_bytes = sums.in_use_bytes - lua_chunk_bytes - a->buffer_bytes;
  a->free_bytes = sums.free_bytes;
  a->free_count = sums.free_count;
  a->largest_free_bytes = sums.largest_free_bytes;
}

static void read_regions(account *a) {
  const struct platform_memory *m = &a->memory;
  size_t heap_bytes = m->heap_end - m->heap_begin;
  size_t named_bytes =
      lua_block_bytes(a) + a->slack_bytes + a->buffer_bytes + a->other_bytes + a->free_bytes;
  if (!a->chunks_are_known) {
    a->unknown_bytes = heap_bytes - named_bytes;
    named_bytes = heap_bytes;
  }
  a->static_bytes = m->static_end - m->static_begin;
  a->stack_bytes = m->stack_high - m->stack_low;
  a->free_bytes += m->memory_bytes - m->heap_end;
  a->gap_bytes = m->heap_begin - a->static_bytes - a->stack_bytes + heap_bytes - named_bytes;
}

static void read_limits(account *a) {
  const struct platform_memory *m = &a->memory;
  a->page_count = m->memory_bytes / PLATFORM_PAGE_BYTES;
  a->stack_high_water_bytes = m->stack_high - m->stack_deepest;
  if (m->memory_maximum_bytes > 0)
    a->headroom_bytes = m->memory_maximum_bytes - m->memory_bytes + a->free_bytes;
}

int account_has_room(size_t bytes, size_t block_bytes) {
  size_t beyond_bytes = platform_room_bytes();
  chunk_sums sums = {0, 0, 0, 0};
  if (beyond_bytes == SIZE_MAX) return 1;
  if (platform_each_chunk(add_chunk, &sums) != PLATFORM_KNOWN) return 0;
  return sums.free_bytes + beyond_bytes >= bytes &&
         (sums.largest_free_bytes >= block_bytes || beyond_bytes >= block_bytes);
}

void account_read_rest(lua_State *L, account *a) {
  read_lua_part(a);
  a->memory_is_known = platform_memory(&a->memory) == PLATFORM_KNOWN;
  if (!a->memory_is_known) return;
  read_chunks(L, a);
  read_regions(a);
  read_limits(a);
}

walk_status account_read(lua_State *L, account *a) {
  memset(a, 0, sizeof *a);
  walk_status status = walk_read_books(L, NULL, &a->books);
  if (status == WALK_OK) account_read_rest(L, a);
  return status;
}
