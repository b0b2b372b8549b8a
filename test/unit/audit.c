#include "audit.h"

#include "check.h"

/* ---- blocks ---- */

typedef struct {
  heap *h;
  audit_claims claims;
  const Table *box_metatable;
} claiming;

static void claim(claiming *c, const void *address, size_t bytes) {
  static const char *const faults[] = {"", "is no block of the allocator", "was claimed before",
                                       "has another size"};
  claim_result result = recorder_claim(&c->h->blocks, address, bytes);
  c->claims.blocks++;
  CHECK(result == CLAIM_OK, "a block of %zu bytes %s", bytes, faults[result]);
}

static void claim_block(void *context, const void *block, size_t bytes) {
  if (bytes > 0) claim(context, block, bytes);
}

/* lauxlib's own words: a box is {block, size}. */
typedef struct {
  void *block;
  size_t bytes;
} buffer_box;

static void claim_box(void *context, GCObject *object) {
  claiming *c = context;
  if (layout_kind(object) != KIND_USERDATA) return;
  if (gco2u(object)->metatable != c->box_metatable) return;
  buffer_box box;
  memcpy(&box, layout_userdata_payload(gco2u(object)), sizeof box);
  if (box.block) claim(c, box.block, box.bytes);
}

static const Table *box_metatable(lua_State *L) {
  const Table *found = NULL;
  lua_checkstack(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LAYOUT_BUFFER_BOX);
  if (lua_istable(L, -1)) found = lua_topointer(L, -1);
  lua_pop(L, 1);
  return found;
}

audit_claims audit_blocks(heap *h, lua_State *L) {
  claiming c = {h, {0, 0, 0}, box_metatable(L)};
  recorder_begin_claim(&h->blocks);
  walk_each_block(L, claim_block, &c);
  if (c.box_metatable) walk_each_object(L, claim_box, &c);
  c.claims.unclaimed_count = recorder_unclaimed(&h->blocks, &c.claims.unclaimed_bytes);
  CHECK(h->parsing > 0 || c.claims.unclaimed_count == 0, "nobody has %zu blocks of %zu bytes",
        c.claims.unclaimed_count, c.claims.unclaimed_bytes);
  return c.claims;
}

/* ---- marks ---- */

static void check_no_mark(void *context, GCObject *object) {
  size_t *marks = context;
  lu_byte spare = layout_is_string(object) ? 0 : LAYOUT_SPARE_TT_BITS;
  *marks += (object->marked & LAYOUT_MARK_BIT) != 0;
  *marks += (object->tt & spare) != 0;
}

void audit_marks(lua_State *L) {
  size_t marks = 0;
  walk_each_object(L, check_no_mark, &marks);
  CHECK(marks == 0, "%zu objects still bear a mark", marks);
}

/* ---- sums ---- */

static void check_sums(const walk_books *books) {
  size_t kinds = 0;
  for (int i = 0; i < KIND_COUNT; i++) kinds += books->kinds[i].bytes;
  CHECK(kinds == books->live_bytes, "the kinds add up to %zu bytes of %zu", kinds,
        books->live_bytes);
  CHECK(books->kinds[KIND_UNKNOWN].count == 0, "%zu objects of an unknown kind",
        books->kinds[KIND_UNKNOWN].count);
}

#define MOST_NODES  96u
#define MOST_CYCLES 8u

walk_books audit_walk(heap *h, lua_State *L, unsigned long seed) {
  static uint64_t room[TREE_ROOM(MOST_NODES, MOST_CYCLES)];
  dice d = dice_of(seed);
  walk_books books;
  tree t;
  size_t unclaimed_bytes = 0;
  if (h->parsing > 0) unclaimed_bytes = audit_blocks(h, L).unclaimed_bytes;
  if (dice_roll(&d, 2))
    tree_init_growing(&t, (uint32_t)(dice_roll(&d, 4) ? dice_roll(&d, 6) : TREE_UNLIMITED));
  else
    tree_init_bounded(&t, room, 16u + (uint32_t)dice_roll(&d, MOST_NODES - 15u), MOST_CYCLES,
                      (uint32_t)dice_roll(&d, 4));
  walk_status status = walk_process(L, &t, &books);
  if (CHECK(status == WALK_OK && !t.failed, "the walk found no memory")) {
    CHECK(books.lua_bytes == (size_t)gettotalbytes(G(L)), "the machine says %zu, the books %zu",
          (size_t)gettotalbytes(G(L)), books.lua_bytes);
    CHECK(books.unaccounted == (ptrdiff_t)unclaimed_bytes, "%td bytes are unaccounted for, not %zu",
          books.unaccounted, unclaimed_bytes);
    CHECK(books.live_bytes + books.garbage.bytes + unclaimed_bytes == books.lua_bytes,
          "live %zu and garbage %zu are not %zu", books.live_bytes, books.garbage.bytes,
          books.lua_bytes);
    CHECK(audit_tree(&t) == books.live_bytes, "the tree does not hold the %zu live bytes",
          books.live_bytes);
    check_sums(&books);
  }
  tree_release(&t);
  audit_marks(L);
  return books;
}
