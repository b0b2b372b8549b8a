#include "attach_check.h"

#include "borrow.h"
#include "walk.h"

#define SMALLEST_ADDRESS  8u
#define LARGEST_LSIZENODE 28

typedef struct {
  size_t bytes;        /* of the memory */
  uint32_t *is_object; /* a bit for every word */
  uint32_t *is_cell;   /* the same of upvalues' cells that are no objects */
  size_t block_bytes;  /* of all blocks so far */
  check_problem *problem;
  const GCObject *in_hand;
} checker;

/* ---- finding ---- */

static int lies_within(uintptr_t address, size_t length, size_t bytes) {
  return address >= SMALLEST_ADDRESS && address % sizeof(void *) == 0 && length <= bytes &&
         address <= bytes - length;
}

static LAYOUT_APART int is_main_thread(uintptr_t address, size_t bytes) {
  const lua_State *L = (const lua_State *)address;
  uintptr_t state = (uintptr_t)L->l_G;
  return lies_within(state, sizeof(global_State), bytes) &&
         ((const global_State *)state)->mainthread == L;
}

/* Long loops work in pieces: an engine that compiles better while it runs needs a call to change
** over at. */
#define WORDS_A_CALL   32768u
#define OBJECTS_A_CALL 4096u

/* The first of the words from `from` on where a thread's header may be; `end` if there is none. */
static LAYOUT_APART uintptr_t find_thread(uintptr_t from, uintptr_t end) {
  while (from < end && ((const GCObject *)from)->tt != LUA_TTHREAD) from += sizeof(void *);
  return from;
}

uintptr_t check_find_state(uintptr_t from, size_t bytes) {
  if (from < SMALLEST_ADDRESS) from = SMALLEST_ADDRESS;
  from = (from + sizeof(void *) - 1) & ~(uintptr_t)(sizeof(void *) - 1);
  while (lies_within(from, sizeof(lua_State), bytes)) {
    uintptr_t last = bytes - sizeof(lua_State), piece = WORDS_A_CALL * sizeof(void *);
    uintptr_t end = last - from < piece ? last + 1 : from + piece;
    from = find_thread(from, end);
    if (from >= end) continue;
    if (is_main_thread(from, bytes)) return from;
    from += sizeof(void *);
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

static void check_range(const checker *c, const void *block, size_t length) {
  uintptr_t address = (uintptr_t)block;
  if (length == 0) return;
  if (address < SMALLEST_ADDRESS || length > c->bytes || address > c->bytes - length)
    refuse(c, ATTACH_BAD_BLOCK, c->in_hand, (double)length);
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
static void check_object(const checker *c, const void *object) {
  if (!is_object(c, object)) refuse(c, ATTACH_BAD_POINTER, c->in_hand, (double)(uintptr_t)object);
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

static void enter(checker *c, const GCObject *object) {
  c->in_hand = object;
  if (!lies_within((uintptr_t)object, 16, c->bytes)) refuse(c, ATTACH_NO_OBJECT, object, 0);
  if (*word_of(c->is_object, object) & bit_of(object)) refuse(c, ATTACH_ENDLESS, object, 0);
  if ((object->tt & LAYOUT_SPARE_TT_BITS & ~0x10u) || (object->marked & LAYOUT_MARK_BIT) ||
      !lies_within((uintptr_t)object, header_bytes(object), c->bytes))
    refuse(c, ATTACH_NO_OBJECT, object, object->tt);
  *word_of(c->is_object, object) |= bit_of(object);
}

/* ---- blocks ---- */

LAYOUT_INLINE void check_block(void *context, const void *block, size_t bytes) {
  checker *c = context;
  check_range(c, block, bytes);
  c->block_bytes += bytes;
}

static void check_count(const checker *c, double count) {
  if (count < 0 || count > (double)c->bytes) refuse(c, ATTACH_BAD_BLOCK, c->in_hand, count);
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
  if (!found && layout_stack(thread))
    refuse(c, ATTACH_BAD_POINTER, thread, (double)(uintptr_t)thread->ci);
}

static void check_stack(const checker *c, lua_State *thread) {
  check_frames(c, thread);
  if (layout_stack(thread) == NULL) return;
  check_pointer(c, layout_stack(thread), sizeof(TValue));
  check_range(c, layout_stack(thread), layout_stack_bytes(thread));
  if (layout_stack_used(thread) > layout_stack_bytes(thread) / sizeof(TValue))
    refuse(c, ATTACH_BAD_BLOCK, thread, (double)layout_stack_used(thread));
}

static void check_proto(const checker *c, const Proto *proto) {
  check_count(c, proto->sizecode);
  check_count(c, proto->sizek);
  check_count(c, proto->sizep);
  check_count(c, proto->sizelocvars);
  check_count(c, proto->sizeupvalues);
  check_count(c, proto->sizelineinfo);
}

static LAYOUT_APART void check_blocks(checker *c, const global_State *g, GCObject *object) {
  if (layout_kind(object) == KIND_PROTO) check_proto(c, gco2p(object));
  if (layout_kind(object) == KIND_THREAD) check_stack(c, gco2th(object));
  layout_each_block(g, object, check_block, c);
}

/* ---- references ---- */

/* Each cell is a block, however many hold it. */
static void check_cell(checker *c, const UpVal *cell) {
  check_pointer(c, cell, sizeof *cell);
  if (is_object(c, cell)) refuse(c, ATTACH_BAD_POINTER, c->in_hand, (double)(uintptr_t)cell);
  if (*word_of(c->is_cell, cell) & bit_of(cell)) return;
  *word_of(c->is_cell, cell) |= bit_of(cell);
  c->block_bytes += sizeof *cell;
  check_pointer(c, layout_cell_slot(cell), sizeof(TValue));
  if (layout_cell_is_claimed(cell)) refuse(c, ATTACH_NO_OBJECT, cell, 0);
  const GCObject *held = layout_cell_value(cell);
  if (held) check_object(c, held);
}

LAYOUT_INLINE void check_entry(void *context, label_kind kind, uintptr_t place, GCObject *key,
                               GCObject *value) {
  (void)kind, (void)place;
  if (key) check_object(context, key);
  if (value) check_object(context, value);
}

static void check_reference(void *context, label_kind kind, uintptr_t place, GCObject *key,
                            GCObject *value) {
  if (key && kind == LABEL_UPVALUE && !LAYOUT_CELLS_ARE_OBJECTS)
    check_cell(context, (const UpVal *)key);
  else
    check_entry(context, kind, place, key, value);
}

/* The list of open upvalues, before anything follows it. */
static void check_open_upvalues(const checker *c, const lua_State *thread) {
  size_t most = c->bytes / sizeof(UpVal), count = 0;
  for (const UpVal *cell = thread->openupval; cell; cell = cell->u.open.next) {
    check_pointer(c, cell, sizeof *cell);
    if (++count > most) refuse(c, ATTACH_ENDLESS, thread, 0);
  }
}

/* A frame that says it is Lua's has a Lua function in its first slot: names of locals are read
** through it. */
static void check_frame_functions(const checker *c, lua_State *thread) {
  size_t slots = layout_stack_bytes(thread) / sizeof(TValue);
  const CallInfo *info = &thread->base_ci;
  while (info != thread->ci) { /* what lies beyond is kept for later calls */
    info = info->next;
    if (!isLua(info)) continue;
    size_t base = layout_frame_base(thread, info);
    if (base == 0 || base > slots) refuse(c, ATTACH_BAD_POINTER, thread, (double)base);
    const GCObject *function = object_of(layout_stack_slot(thread, base - 1));
    if (function == NULL || !is_object(c, function) || !layout_is_lua_function(function))
      refuse(c, ATTACH_BAD_POINTER, thread, (double)(uintptr_t)function);
  }
}

static void check_references(checker *c, GCObject *object) {
  if (layout_kind(object) == KIND_THREAD) {
    check_open_upvalues(c, gco2th(object));
    if (layout_stack(gco2th(object))) check_frame_functions(c, gco2th(object));
  }
  walk_each_reference(object, check_reference, c);
}

/* ---- one object, when all are known ---- */

static LAYOUT_APART void check_other(checker *c, const global_State *g, GCObject *object) {
  check_blocks(c, g, object);
  check_references(c, object);
}

static void check_metatable(const checker *c, const Table *metatable) {
  if (!is_object(c, metatable) || !layout_is_table(obj2gco((Table *)metatable)))
    refuse(c, ATTACH_BAD_POINTER, c->in_hand, (double)(uintptr_t)metatable);
}

LAYOUT_INLINE void check_table(checker *c, const Table *table) {
  if (table->lsizenode > LARGEST_LSIZENODE) refuse(c, ATTACH_BAD_BLOCK, table, table->lsizenode);
  check_pointer(c, table->node, sizeof(Node));
  layout_each_table_block(table, check_block, c);
  if (table->metatable) check_metatable(c, table->metatable);
  layout_each_entry(table, check_entry, c);
}

/* Most objects are strings and tables. */
LAYOUT_INLINE void check_one(checker *c, const global_State *g, GCObject *object) {
  c->in_hand = object;
  if (layout_is_string(object))
    check_block(c, object, layout_string_bytes(gco2ts(object)));
  else if (layout_is_table(object))
    check_table(c, gco2t(object));
  else
    check_other(c, g, object);
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
  if (layout_total_bytes(g) > c->bytes)
    refuse(c, ATTACH_BAD_BLOCK, g, (double)layout_total_bytes(g));
  check_count(c, g->strt.size);
  layout_each_runtime_block(g, check_block, c);
  for (int i = 0; i < TM_N; i++) check_object(c, g->tmname[i]);
  for (int i = 0; i < LUA_NUMTAGS; i++)
    if (g->mt[i]) check_object(c, g->mt[i]);
  const GCObject *registry = object_of(&g->l_registry);
  if (registry) check_object(c, registry);
  size_t count = 0;
  for (const lua_State *thread = g->twups; thread; thread = thread->twups) {
    check_object(c, thread);
    if (thread == thread->twups || ++count > c->bytes / sizeof(lua_State)) break;
  }
}

/* What Lua counts is the sum of its blocks, live and garbage. */
static void check_balance(const checker *c, lua_State *L) {
  double difference = (double)layout_total_bytes(G(L)) - (double)c->block_bytes;
  if (difference != 0) refuse(c, ATTACH_UNBALANCED, L, difference);
}

void check_state(lua_State *L, size_t bytes, check_problem *problem) {
  checker c = {.bytes = bytes, .problem = problem};
  problem->verdict = ATTACH_NO_MEMORY;
  c.is_object = borrow(bitmap_bytes(bytes));
  c.is_cell = LAYOUT_CELLS_ARE_OBJECTS ? NULL : borrow(bitmap_bytes(bytes));
  if (c.is_object == NULL || (!LAYOUT_CELLS_ARE_OBJECTS && c.is_cell == NULL)) return;
  memset(c.is_object, 0, bitmap_bytes(bytes));
  if (c.is_cell) memset(c.is_cell, 0, bitmap_bytes(bytes));
  problem->verdict = ATTACH_SOUND;
  enter_all(&c, L);
  check_global_state(&c, L);
  check_all(&c, L);
  check_gray_lists(&c, G(L));
  check_balance(&c, L);
  borrow_return(c.is_cell);
  borrow_return(c.is_object);
}
