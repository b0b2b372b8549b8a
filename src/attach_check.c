#include "attach_check.h"

#include "borrow.h"
#include "linear_memory.h"
#include "walk.h"

#define SMALLEST_ADDRESS  8u
#define LARGEST_LSIZENODE 28

typedef struct {
  size_t bytes;        /* of the memory */
  uint32_t *is_object; /* a bit for every word */
  uint32_t *is_cell;   /* the same of upvalues' cells that are no objects */
  size_t loose_cells;  /* open ones that no thread lists so far */
  size_t bytes_left;   /* of what Lua says it took, for the blocks to come */
  lu_byte dead_bits;   /* of `marked`: the sweep in hand will free it */
  checked_blocks *blocks;
  check_problem *problem;
  const GCObject *in_hand;
  const Table *known_metatable; /* the last one */
} checker;

/* ---- finding ---- */

static int lies_within(uintptr_t address, size_t length, size_t bytes) {
  return address >= SMALLEST_ADDRESS && address % sizeof(void *) == 0 && length <= bytes &&
         address <= bytes - length;
}

LAYOUT_INLINE int is_main_thread(uintptr_t address, size_t bytes) {
  const lua_State *L = (const lua_State *)address;
  if (((const GCObject *)address)->tt != LUA_TTHREAD) return 0;
  uintptr_t state = (uintptr_t)L->l_G;
  return lies_within(state, sizeof(global_State), bytes) &&
         ((const global_State *)state)->mainthread == L;
}

/* Long loops work in pieces: an engine that compiles better while it runs needs a call to change
** over at. */
#define WORDS_A_CALL   32768u
#define OBJECTS_A_CALL 4096u

/* The first of the words from `from` on where a main thread is; `end` if there is none. */
static LAYOUT_APART uintptr_t find_thread(uintptr_t from, uintptr_t end, size_t bytes) {
  while (from < end && !is_main_thread(from, bytes)) from += sizeof(void *);
  return from;
}

uintptr_t check_find_state(uintptr_t from, size_t bytes) {
  if (from < SMALLEST_ADDRESS) from = SMALLEST_ADDRESS;
  from = (from + sizeof(void *) - 1) & ~(uintptr_t)(sizeof(void *) - 1);
  while (lies_within(from, sizeof(lua_State), bytes)) {
    uintptr_t last = bytes - sizeof(lua_State), piece = WORDS_A_CALL * sizeof(void *);
    uintptr_t end = last - from < piece ? last + 1 : from + piece;
    from = find_thread(from, end, bytes);
    if (from < end) return from;
  }
  return 0;
}

/* ---- verdicts ---- */

static void refuse(const checker *c, attach_verdict verdict, const void *address, double value) {
  c->problem->verdict = verdict;
  c->problem->address = (uintptr_t)address;
  c->problem->value = value;
  __builtin_trap();
}

static void check_pointer(const checker *c, const void *pointer, size_t length) {
  if (!lies_within((uintptr_t)pointer, length, c->bytes))
    refuse(c, ATTACH_BAD_POINTER, c->in_hand, (double)(uintptr_t)pointer);
}

/* ---- which addresses are objects ---- */

static size_t bitmap_bytes(size_t bytes) {
  return (bytes / sizeof(void *) / 32 + 1) * sizeof(uint32_t);
}
static uint32_t *word_of(uint32_t *bitmap, const void *object) {
  return &bitmap[(uintptr_t)object / sizeof(void *) / 32];
}
static uint32_t bit_of(const void *object) {
  return UINT32_C(1) << ((uintptr_t)object / sizeof(void *) % 32);
}
static int is_object(const checker *c, const void *object) {
  return lies_within((uintptr_t)object, 16, c->bytes) &&
         (*word_of(c->is_object, object) & bit_of(object));
}
/* While the collector sweeps: what the dead refer to may be gone already, and nothing that lives
** refers to them. */
static int is_dead(const checker *c, const GCObject *object) {
  return object->marked & c->dead_bits;
}
static void check_object(const checker *c, const GCObject *object) {
  if (!is_object(c, object) || is_dead(c, object))
    refuse(c, ATTACH_BAD_POINTER, c->in_hand, (double)(uintptr_t)object);
}
static void check_kind(const checker *c, const GCObject *object, object_kind kind) {
  check_object(c, object);
  if (layout_kind(object) != kind)
    refuse(c, ATTACH_BAD_POINTER, c->in_hand, (double)(uintptr_t)object);
}
/* What a value may be. */
static void check_value(const checker *c, const GCObject *object) {
  check_object(c, object);
  object_kind kind = layout_kind(object);
  if (kind == KIND_PROTO || kind == KIND_UPVALUE)
    refuse(c, ATTACH_BAD_POINTER, c->in_hand, (double)(uintptr_t)object);
}
/* Of a value with this tag. Those of prototypes and cells lie behind those of values. */
static void check_tagged(const checker *c, int tag, const GCObject *object) {
  check_object(c, object);
  if ((tag & 0x0F) >= LUA_NUMTAGS || (tag ^ object->tt) & ~(BIT_ISCOLLECTABLE | LAYOUT_MARK_BIT))
    refuse(c, ATTACH_BAD_POINTER, c->in_hand, (double)(uintptr_t)object);
}

/* The object in hand may stand in its own block. */
static void forget(const checker *c, const void *object) {
  *word_of(c->is_object, object) &= ~bit_of(object);
}
static void remember(const checker *c, const void *object) {
  *word_of(c->is_object, object) |= bit_of(object);
}

static int has_object_within(const checker *c, uintptr_t address, size_t bytes) {
  const uint32_t *first = word_of(c->is_object, (const void *)address);
  const uint32_t *last = word_of(c->is_object, (const void *)(address + bytes - 1));
  uint32_t from_first = ~(bit_of((const void *)address) - 1);
  uint32_t to_last = 2 * bit_of((const void *)(address + bytes - 1)) - 1;
  if (first == last) return (*first & from_first & to_last) != 0;
  uint32_t met = (*first & from_first) | (*last & to_last);
  while (++first < last) met |= *first;
  return met != 0;
}

static size_t header_bytes(const GCObject *object) {
  switch (layout_kind(object)) {
  case KIND_TABLE: return sizeof(Table);
  case KIND_STRING: return sizeof(TString);
  case KIND_FUNCTION: return offsetof(LClosure, upvals);
  case KIND_PROTO: return sizeof(Proto);
  case KIND_THREAD: return sizeof(lua_State);
  case KIND_USERDATA: return offsetof(Udata, metatable) + sizeof(void *);
  case KIND_UPVALUE: return sizeof(UpVal);
  default: return SIZE_MAX;
  }
}

/* Bits that no object of its kind has: strings have two forms, and functions. */
static int unknown_bits(const GCObject *object) {
  object_kind kind = layout_kind(object);
  return object->tt & 0xF0 & ~(kind == KIND_STRING ? 0x10 : kind == KIND_FUNCTION ? 0x20 : 0);
}

static void enter(checker *c, const GCObject *object) {
  c->in_hand = object;
  if (!lies_within((uintptr_t)object, 16, c->bytes)) refuse(c, ATTACH_NO_OBJECT, object, 0);
  if (*word_of(c->is_object, object) & bit_of(object)) refuse(c, ATTACH_ENDLESS, object, 0);
  if (unknown_bits(object) || (object->marked & LAYOUT_MARK_BIT) ||
      !lies_within((uintptr_t)object, header_bytes(object), c->bytes))
    refuse(c, ATTACH_NO_OBJECT, object, object->tt);
  remember(c, object);
}

/* ---- blocks ---- */

int check_is_block(const checked_blocks *blocks, const void *payload) {
  return (*word_of(blocks->begins, payload) & bit_of(payload)) != 0;
}

/* What the account asks of every block: nobody need go over them again. */
LAYOUT_INLINE void note_block(checked_blocks *blocks, const void *block, size_t bytes) {
  size_t chunk_bytes = linear_chunk_bytes(block);
  *word_of(blocks->begins, block) |= bit_of(block);
  blocks->count++;
  blocks->chunk_bytes += chunk_bytes;
  if (chunk_bytes < bytes + sizeof(size_t) || (uintptr_t)block % sizeof(size_t)) blocks->misfits++;
}

/* Marks and numbers are written into objects, so none may stand in another's block; and no more
** blocks are looked at than Lua can have, however large each claims to be. */
LAYOUT_INLINE void check_block(void *context, const void *block, size_t bytes) {
  checker *c = context;
  uintptr_t address = (uintptr_t)block;
  if (bytes == 0) return;
  if (address < SMALLEST_ADDRESS || bytes > c->bytes_left || address > c->bytes - bytes ||
      has_object_within(c, address, bytes))
    refuse(c, ATTACH_BAD_BLOCK, c->in_hand, (double)bytes);
  c->bytes_left -= bytes;
  note_block(c->blocks, block, bytes);
}

static void check_count(const checker *c, double count, size_t item_bytes) {
  if (count < 0 || count > (double)(c->bytes / item_bytes))
    refuse(c, ATTACH_BAD_BLOCK, c->in_hand, count);
}

/* The chain of frames both ways, before anything follows it. */
static void check_frames(const checker *c, lua_State *thread) {
  size_t most = c->bytes / sizeof(CallInfo), count = 0;
  int found = thread->ci == &thread->base_ci;
  const CallInfo *previous = &thread->base_ci;
  for (const CallInfo *info = previous->next; info; previous = info, info = info->next) {
    check_pointer(c, info, sizeof *info);
    if (++count > most) refuse(c, ATTACH_ENDLESS, thread, 0);
    if (info->previous != previous) refuse(c, ATTACH_BAD_POINTER, thread, (double)(uintptr_t)info);
    found |= info == thread->ci;
  }
  if (!found) refuse(c, ATTACH_BAD_POINTER, thread, (double)(uintptr_t)thread->ci);
}

static void check_stack(const checker *c, lua_State *thread) {
  if (layout_stack(thread) == NULL) return; /* its frames are not set then */
  check_frames(c, thread);
  check_pointer(c, layout_stack(thread), sizeof(TValue));
  if (layout_stack_used(thread) > layout_stack_bytes(thread) / sizeof(TValue))
    refuse(c, ATTACH_BAD_BLOCK, thread, (double)layout_stack_used(thread));
}

static void check_proto(const checker *c, const Proto *proto) {
  check_count(c, proto->sizecode, sizeof *proto->code);
  check_count(c, proto->sizek, sizeof *proto->k);
  check_count(c, proto->sizep, sizeof *proto->p);
  check_count(c, proto->sizelocvars, sizeof *proto->locvars);
  check_count(c, proto->sizeupvalues, sizeof *proto->upvalues);
  check_count(c, proto->sizelineinfo, sizeof *proto->lineinfo);
  check_count(c, layout_absolute_lines(proto), 2 * sizeof(int)); /* [pc][line] */
}

static LAYOUT_APART void check_blocks(checker *c, const global_State *g, GCObject *object) {
  if (layout_kind(object) == KIND_USERDATA) check_count(c, (double)gco2u(object)->len, 1);
  if (layout_kind(object) == KIND_PROTO) check_proto(c, gco2p(object));
  if (layout_kind(object) == KIND_THREAD) check_stack(c, gco2th(object));
  layout_each_block(g, object, check_block, c);
}

/* ---- cells of upvalues ---- */

/* A closed cell refers to its own value, an open one to a slot of the one thread that lists it.
** Where cells have no list of all, this alone shows that one is where a pointer says. */
static void check_slot(checker *c, const UpVal *cell) {
  check_pointer(c, layout_cell_slot(cell), sizeof(TValue));
  if (layout_cell_slot(cell) != &cell->u.value) c->loose_cells++;
}

static void check_listed_cell(checker *c, lua_State *thread, const UpVal *cell) {
  uintptr_t offset = (uintptr_t)layout_cell_slot(cell) - (uintptr_t)layout_stack(thread);
  int is_known = !LAYOUT_CELLS_ARE_OBJECTS || is_object(c, cell);
  if (offset >= layout_stack_bytes(thread) || !is_known)
    refuse(c, ATTACH_BAD_POINTER, thread, (double)(uintptr_t)cell);
  c->loose_cells--;
}

/* One that is no object: a block, however many hold it. */
static void check_cell(checker *c, const UpVal *cell) {
  check_pointer(c, cell, sizeof *cell);
  uint32_t *word = word_of(c->is_cell, cell), bit = bit_of(cell);
  if (*word & bit) return;
  *word |= bit;
  check_block(c, cell, sizeof *cell);
  if (layout_cell_is_claimed(cell)) refuse(c, ATTACH_NO_OBJECT, cell, 0);
  check_slot(c, cell);
}

static void check_cell_of(void *context, label_kind kind, uintptr_t place, GCObject *key,
                          GCObject *value) {
  (void)place, (void)value;
  if (key && kind == LABEL_UPVALUE) check_cell(context, (const UpVal *)key);
}

/* The list of open upvalues, before anything follows it. */
static void check_open_upvalues(checker *c, lua_State *thread) {
  size_t most = c->bytes / sizeof(UpVal), count = 0;
  for (const UpVal *cell = thread->openupval; cell; cell = cell->u.open.next) {
    check_pointer(c, cell, sizeof *cell);
    if (++count > most) refuse(c, ATTACH_ENDLESS, thread, 0);
    check_listed_cell(c, thread, cell);
  }
}

/* ---- references ---- */

static void check_reference(void *context, label_kind kind, uintptr_t place, GCObject *key,
                            GCObject *value) {
  const checker *c = context;
  (void)place;
  switch (kind) {
  case LABEL_METATABLE: check_kind(c, value, KIND_TABLE); break;
  case LABEL_PROTO: check_kind(c, value, KIND_PROTO); break;
  case LABEL_SOURCE:
  case LABEL_NAME: check_kind(c, value, KIND_STRING); break;
  case LABEL_UPVALUE:
    if (key && LAYOUT_CELLS_ARE_OBJECTS)
      check_kind(c, key, KIND_UPVALUE);
    else if (key)
      check_cell(context, (const UpVal *)key);
    if (value == NULL && key) value = layout_cell_value((const UpVal *)key);
    if (value) check_value(c, value);
    break;
  default: check_value(c, value); break;
  }
}

/* A frame that says it is Lua's has a slot with a Lua function, and its registers behind it: names
** of locals are read through them. */
static void check_frame_functions(const checker *c, lua_State *thread) {
  size_t bytes = layout_stack_bytes(thread);
  const CallInfo *info = &thread->base_ci;
  while (info != thread->ci) { /* what lies beyond is kept for later calls */
    info = info->next;
    if (!isLua(info)) continue;
    const TValue *slot = layout_frame_slot(info);
    uintptr_t offset = (uintptr_t)slot - (uintptr_t)layout_stack(thread);
    size_t base = layout_frame_base(thread, info);
    if (offset >= bytes || offset % sizeof(TValue) != 0 || base <= offset / sizeof(TValue) ||
        base > bytes / sizeof(TValue))
      refuse(c, ATTACH_BAD_POINTER, thread, (double)(uintptr_t)slot);
    const GCObject *function = object_of(slot);
    if (function == NULL || !is_object(c, function) || !layout_is_lua_function(function))
      refuse(c, ATTACH_BAD_POINTER, thread, (double)(uintptr_t)function);
  }
}

static void check_references(checker *c, GCObject *object) {
  if (layout_kind(object) == KIND_THREAD && layout_stack(gco2th(object)))
    check_frame_functions(c, gco2th(object));
  walk_each_reference(object, check_reference, c);
}

/* ---- tables ---- */

static void check_entry(void *context, label_kind kind, uintptr_t place, GCObject *key,
                        GCObject *value) {
  const checker *c = context;
  const Node *node = kind == LABEL_NODE ? (const Node *)place : NULL;
  const Table *table = gco2t((GCObject *)c->in_hand);
  TValue key_copy;
  if (value) check_tagged(c, (node ? gval(node) : &table->array[place - 1])->tt_, value);
  if (key == NULL) return;
  layout_copy_node_key(node, &key_copy);
  check_tagged(c, key_copy.tt_, key);
}

/* Tables without nodes share one that stands for an empty one: it is no block, but looked into. */
static int is_dummy(const Table *table) {
  TValue key;
  layout_copy_node_key(table->node, &key);
  return table->lsizenode == 0 && ttisnil(&key) && object_of(gval(table->node)) == NULL &&
         gnext(table->node) == 0;
}

static void check_sizes(const checker *c, const Table *table) {
  if (table->lsizenode > LARGEST_LSIZENODE) refuse(c, ATTACH_BAD_BLOCK, table, table->lsizenode);
  check_count(c, sizenode(table), sizeof(Node)); /* whose bytes may be 0 in 32 bits */
  check_count(c, (double)layout_array_count(table), sizeof(TValue));
  check_pointer(c, table->node, sizeof(Node));
  if (layout_has_no_nodes(table) && !is_dummy(table))
    refuse(c, ATTACH_BAD_POINTER, table, (double)(uintptr_t)table->node);
}

/* What `__mode` is looked for along. That it is not there is noted as Lua notes it, and nobody
** looks again: many tables may have this one, and its entries stand in one chain. */
static void check_metatable(checker *c, const global_State *g, Table *metatable) {
  if (metatable == c->known_metatable) return;
  check_kind(c, obj2gco(metatable), KIND_TABLE);
  if (metatable->flags & (1u << TM_MODE)) return;
  check_sizes(c, metatable);
  const Node *node = gnode(metatable, lmod(g->tmname[TM_MODE]->hash, sizenode(metatable)));
  for (int left = sizenode(metatable); gnext(node) != 0; left--) {
    node += gnext(node);
    check_pointer(c, node, sizeof *node);
    if (left == 0) refuse(c, ATTACH_ENDLESS, metatable, 0);
  }
  if (layout_short_string_entry(metatable, g->tmname[TM_MODE]) == NULL)
    metatable->flags |= 1u << TM_MODE;
  c->known_metatable = metatable;
}

/* ---- one object, when all are known ---- */

static LAYOUT_APART void check_other(checker *c, const global_State *g, GCObject *object) {
  check_blocks(c, g, object);
  remember(c, object);
  if (layout_kind(object) == KIND_THREAD) check_open_upvalues(c, gco2th(object));
  if (layout_kind(object) == KIND_UPVALUE) check_slot(c, (const UpVal *)object);
  if (!is_dead(c, object))
    check_references(c, object);
  else if (!LAYOUT_CELLS_ARE_OBJECTS)
    walk_each_reference(object, check_cell_of, c);
}

LAYOUT_INLINE void check_table(checker *c, const global_State *g, const Table *table) {
  check_sizes(c, table);
  layout_each_table_block(table, check_block, c);
  remember(c, table);
  if (is_dead(c, c->in_hand)) return;
  if (table->metatable) {
    check_metatable(c, g, table->metatable);
    layout_each_removed_key(table, check_entry, c);
  }
  layout_each_entry(table, check_entry, c);
}

/* Most objects are strings and tables. */
LAYOUT_INLINE void check_one(checker *c, const global_State *g, GCObject *object) {
  c->in_hand = object;
  forget(c, object);
  if (layout_is_string(object)) {
    /* first its length: with the header it may begin anew at 0 */
    check_count(c, (double)layout_string_length(gco2ts(object)), 1);
    check_block(c, object, layout_string_bytes(gco2ts(object)));
    remember(c, object);
  } else if (layout_is_table(object)) {
    check_table(c, g, gco2t(object));
  } else {
    check_other(c, g, object);
  }
}

/* ---- the state ---- */

static LAYOUT_APART GCObject *enter_some(checker *c, GCObject *o) {
  for (uint32_t i = 0; o && i < OBJECTS_A_CALL; i++, o = o->next) enter(c, o);
  return o;
}

static LAYOUT_APART GCObject *check_some(checker *c, const global_State *g, GCObject *o) {
  for (uint32_t i = 0; o && i < OBJECTS_A_CALL; i++, o = o->next) check_one(c, g, o);
  return o;
}

static void enter_all(checker *c, lua_State *L) {
  GCObject *heads[LAYOUT_OBJECT_LISTS];
  layout_object_lists(G(L), heads);
  if (!LAYOUT_MAIN_THREAD_IS_LISTED) enter(c, obj2gco(L));
  for (int i = 0; i < LAYOUT_OBJECT_LISTS; i++)
    for (GCObject *o = heads[i]; o;) o = enter_some(c, o);
  if (!is_object(c, L)) refuse(c, ATTACH_NO_OBJECT, L, 0);
}

static void check_all(checker *c, lua_State *L) {
  GCObject *heads[LAYOUT_OBJECT_LISTS];
  layout_object_lists(G(L), heads);
  if (!LAYOUT_MAIN_THREAD_IS_LISTED) check_one(c, G(L), obj2gco(L));
  for (int i = 0; i < LAYOUT_OBJECT_LISTS; i++)
    for (GCObject *o = heads[i]; o;) o = check_some(c, G(L), o);
}

static void check_gray_lists(checker *c, global_State *g) {
  GCObject *heads[LAYOUT_GRAY_LISTS];
  size_t count = 0;
  if (!layout_gray_lists_in_use(g)) return;
  layout_gray_lists(g, heads);
  for (int i = 0; i < LAYOUT_GRAY_LISTS; i++)
    for (GCObject *o = heads[i]; o; o = *layout_link(o)) {
      check_object(c, o);
      if (layout_link(o) == NULL) refuse(c, ATTACH_BAD_POINTER, o, 0);
      if (++count > c->bytes / sizeof(Table)) refuse(c, ATTACH_ENDLESS, o, 0);
    }
}

static void check_global_state(checker *c, lua_State *L) {
  const global_State *g = G(L);
  c->in_hand = obj2gco(L);
  c->dead_bits = issweepphase(g) ? (lu_byte)otherwhite(g) : 0;
  c->bytes_left = layout_total_bytes(g);
  if (c->bytes_left > c->bytes) refuse(c, ATTACH_BAD_BLOCK, g, (double)c->bytes_left);
  check_count(c, g->strt.size, sizeof *g->strt.hash);
  forget(c, L);
  layout_each_runtime_block(g, check_block, c);
  remember(c, L);
  for (int i = 0; i < TM_N; i++) check_kind(c, obj2gco(g->tmname[i]), KIND_STRING);
  for (int i = 0; i < LUA_NUMTAGS; i++)
    if (g->mt[i]) check_kind(c, obj2gco(g->mt[i]), KIND_TABLE);
  const GCObject *registry = object_of(&g->l_registry);
  check_kind(c, registry, KIND_TABLE);
  size_t count = 0;
  for (const lua_State *thread = g->twups; thread; thread = thread->twups) {
    check_kind(c, obj2gco((lua_State *)thread), KIND_THREAD);
    if (++count > c->bytes / sizeof(lua_State)) refuse(c, ATTACH_ENDLESS, thread, 0);
  }
}

/* What Lua counts is the sum of its blocks, live and garbage. */
static void check_balance(const checker *c, lua_State *L) {
  if (c->bytes_left != 0) refuse(c, ATTACH_UNBALANCED, L, (double)c->bytes_left);
}

static void check_whole(checker *c, lua_State *L) {
  memset(c->is_object, 0, bitmap_bytes(c->bytes));
  if (c->is_cell) memset(c->is_cell, 0, bitmap_bytes(c->bytes));
  memset(c->blocks->begins, 0, bitmap_bytes(c->bytes));
  c->problem->verdict = ATTACH_SOUND;
  enter_all(c, L);
  check_global_state(c, L);
  check_all(c, L);
  if (c->loose_cells != 0) refuse(c, ATTACH_BAD_POINTER, L, 0);
  check_gray_lists(c, G(L));
  check_balance(c, L);
}

void check_state(lua_State *L, size_t bytes, check_problem *problem, checked_blocks *blocks) {
  checker c = {.bytes = bytes, .problem = problem, .blocks = blocks};
  problem->verdict = ATTACH_NO_MEMORY;
  *blocks = (checked_blocks){.begins = borrow(bitmap_bytes(bytes))};
  c.is_object = borrow(bitmap_bytes(bytes));
  c.is_cell = LAYOUT_CELLS_ARE_OBJECTS ? NULL : borrow(bitmap_bytes(bytes));
  if (blocks->begins && c.is_object && (LAYOUT_CELLS_ARE_OBJECTS || c.is_cell)) check_whole(&c, L);
  borrow_return(c.is_cell);
  borrow_return(c.is_object);
  if (problem->verdict != ATTACH_SOUND) borrow_return(blocks->begins);
}
