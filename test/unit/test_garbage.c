/*
** Garbage is what a full collection frees now, block by block.
**
** The walk is compiled into this file so that its marks can be seen before it
** takes them back: an object without one is garbage. Then Lua collects, and
** the recorder tells which blocks went. Apart from garbage a collection only
** shrinks what belongs to no object: the string table, and stacks and call
** infos of live threads.
*/
#include "walk.c" /* NOLINT: its marks are what this test is about */

#include <stdlib.h>

#include "audit.h"
#include "check.h"

#define STEPS            40
#define MOST_COLLECTIONS 4 /* in one program: each takes away what the next could find */

/* ---- lists of blocks ---- */

typedef struct {
  const char *address;
  size_t bytes;
} plain_block;

typedef struct {
  plain_block *items;
  size_t count, capacity, bytes;
} block_list;

static void add_block(void *context, const void *block, size_t bytes) {
  block_list *l = context;
  if (bytes == 0) return;
  if (l->count == l->capacity) {
    l->capacity = l->capacity ? 2 * l->capacity : 1024;
    l->items = realloc(l->items, l->capacity * sizeof *l->items);
  }
  plain_block added = {block, bytes};
  l->items[l->count++] = added;
  l->bytes += bytes;
}

static int compare_blocks(const void *a, const void *b) {
  const plain_block *x = a, *y = b;
  return (x->address > y->address) - (x->address < y->address);
}

static void sort_blocks(block_list *l) {
  if (l->count) qsort(l->items, l->count, sizeof *l->items, compare_blocks);
}

static int has_block(const block_list *l, const char *address) {
  plain_block wanted = {address, 0};
  return l->count > 0 &&
         bsearch(&wanted, l->items, l->count, sizeof *l->items, compare_blocks) != NULL;
}

static void clear(block_list *l) { l->count = l->bytes = 0; }

/* Kept from probe to probe. */
static block_list dead, dead_cells, shrinking;

/* ---- what the walk says ---- */

static void list_dead(void *context, GCObject *object) {
  if (!is_marked(object)) layout_each_block(context, object, add_block, &dead);
}

/* Call infos and stacks of threads that live: the collector cuts them down. */
static void list_shrinking(void *context, GCObject *object) {
  (void)context;
  if (!is_marked(object) || layout_kind(object) != KIND_THREAD) return;
  lua_State *thread = gco2th(object);
  add_block(&shrinking, layout_stack(thread), layout_stack_bytes(thread));
  for (const CallInfo *info = thread->base_ci.next; info; info = info->next)
    add_block(&shrinking, info, sizeof *info);
}

/* An upvalue's cell in 5.3 is a block that several closures may hold, and an open one its thread.
 */
#if LAYOUT_CELLS_ARE_OBJECTS
static void list_dead_cells(void *context, GCObject *object) { (void)context, (void)object; }
#else
static void list_dead_cell(UpVal *cell) {
  if (cell && !(cell->refcount & LAYOUT_CELL_MARK)) add_block(&dead_cells, cell, sizeof *cell);
}
static void list_dead_cells(void *context, GCObject *object) {
  (void)context;
  if (is_marked(object)) return;
  if (object->tt == LUA_TLCL)
    for (int i = 0; i < gco2lcl(object)->nupvalues; i++) list_dead_cell(gco2lcl(object)->upvals[i]);
  else if (layout_kind(object) == KIND_THREAD)
    for (UpVal *cell = gco2th(object)->openupval; cell; cell = cell->u.open.next)
      list_dead_cell(cell);
}
#endif
static void add_dead_cells_once(void) {
  sort_blocks(&dead_cells);
  for (size_t i = 0; i < dead_cells.count; i++)
    if (i == 0 || dead_cells.items[i].address != dead_cells.items[i - 1].address)
      add_block(&dead, dead_cells.items[i].address, dead_cells.items[i].bytes);
}

/* 5.3: a closure that died in the middle of a mark phase left its mark on an open upvalue of a
** thread that died as well: the next collection keeps the value once more. */
#if LAYOUT_LUA_VERSION == 503
static int keeps_touched(const global_State *g) {
  for (lua_State *thread = g->twups; thread; thread = thread->twups)
    for (UpVal *cell = thread->openupval; cell; cell = cell->u.open.next) {
      GCObject *value = object_of(cell->v);
      if (cell->u.open.touched && value && !is_marked(value)) return 1;
    }
  return 0;
}
#else
static int keeps_touched(const global_State *g) { return (void)g, 0; }
#endif

static int is_exact; /* of the last look */

/* `walk_process`, with a look at the marks before they go. */
static walk_books look(lua_State *L) {
  walker w;
  walk_books books;
  tree t;
  tree_init_growing(&t, 2);
  CHECK(begin_walk(&w, L, &t) == WALK_OK, "no memory");
  walk_main_roots(&w);
  walk_resurrected(&w);
  add_runtime(&w);
  leave_queue(&w);
  clear(&dead);
  clear(&dead_cells);
  clear(&shrinking);
  walk_each_object(L, list_dead_cells, NULL);
  add_dead_cells_once();
  walk_each_object(L, list_dead, G(L));
  walk_each_object(L, list_shrinking, NULL);
  add_block(&shrinking, G(L)->strt.hash, layout_string_table_bytes(G(L)));
  is_exact = !keeps_touched(G(L));
  end_walk(&w, &books);
  tree_release(&t);
  sort_blocks(&dead);
  sort_blocks(&shrinking);
  CHECK(dead.bytes == books.garbage.bytes, "blocks of %zu bytes bear no mark, garbage is %zu",
        dead.bytes, books.garbage.bytes);
  return books;
}

/* ---- what the collector says ---- */

static unsigned long collections, dead_blocks, collections_with_pending, collections_generational;
static unsigned long rounds_left;
static const char *state_before;
static unsigned long check_exact;

static void compare(const heap *h) {
  size_t freed = 0;
  for (size_t i = 0; i < h->blocks.change_count; i++) {
    const block_change *change = &h->blocks.changes[i];
    if (has_block(&shrinking, change->address)) continue;
    if (!CHECK(change->new_bytes == 0, "a block of %zu bytes was resized to %zu", change->old_bytes,
               change->new_bytes))
      return;
    if (has_block(&dead, change->address))
      freed++;
    else if (!CHECK(0, "a block of %zu bytes was freed and was no garbage, in state '%s'",
                    change->old_bytes, state_before))
      return;
  }
  CHECK(freed == dead.count, "%zu of %zu blocks of garbage were not freed, in state '%s'",
        dead.count - freed, dead.count, state_before);
  dead_blocks += freed;
}

/* Finalizers run behind the sweep: those of the tests begin with `native.finalizing`, which ends
** the listening, since from then on it is the program that changes the heap. */
static void collect(lua_State *L) {
  recorder *blocks = &heap_of(L)->blocks;
  recorder_listen(blocks);
  lua_gc(L, LUA_GCCOLLECT, 0);
  recorder_stop_listening(blocks);
}

static int collector_is_busy(const global_State *g) {
#if LAYOUT_LUA_VERSION == 503
  return !g->gcrunning;
#else
  return (g->gcstp & GCSTPGC) != 0;
#endif
}

static void probe_garbage(heap *h, lua_State *L) {
  global_State *g = G(L);
  if (check_failed() || rounds_left == 0 || collector_is_busy(g)) return;
  if (h->parsing > 0) return; /* a collection would not see the parser's buffers, nor do we */
  rounds_left--;
  if (g->tobefnz) { /* a collection would call these first, and collect what is left of them */
    lua_gc(L, LUA_GCCOLLECT, 0);
    collections_with_pending++;
  }
  state_before = heap_gc_state_name(g->gcstate);
  collections++;
  collections_generational += heap_is_generational(g) != 0;
  look(L);
  collect(L);
  if (is_exact) compare(h);
}

/* ---- one heap at a time ---- */

static void probe_exactly(heap *h, lua_State *L) {
  state_before = heap_gc_state_name(G(L)->gcstate);
  look(L);
  collect(L);
  compare(h);
  check_exact++;
}

/* Runs a program that builds a heap and calls `native.walk()`. */
static void test_heap(const char *text) {
  heap h;
  heap_open(&h, 7);
  h.probe = probe_exactly;
  check_exact = 0;
  heap_run(&h, text);
  CHECK(check_exact > 0, "nothing was compared");
  heap_close(&h);
}

static void test_resurrected_weak(void) {
  test_heap("local function dead() local weak = setmetatable({}, {__mode = 'kv'}) "
            "weak['a key that ' .. 'was removed'] = {} weak['a key that ' .. 'was removed'] = nil "
            "return setmetatable({weak}, {__gc = function() native.finalizing() end}) end "
            "dead() native.walk()");
}

static void test_touched(void) {
  test_heap("local function make() local closure local thread = coroutine.create(function() "
            "local value = {} closure = function() return value end coroutine.yield() end) "
            "coroutine.resume(thread) return closure end "
            "native.advance(7) local closure = make() native.thread(1, 2, 3, 4, 5, 6, 7, 8, 9) "
            "native.advance(1) closure = nil native.walk()");
}

static void run_program(unsigned long seed) {
  heap h;
  heap_open(&h, (unsigned int)seed * 3266489917u);
  h.probe = probe_garbage;
  rounds_left = MOST_COLLECTIONS;
  heap_stop_often(&h, 600 + seed % 1000, seed);
  heap_run_program(&h, seed, STEPS);
  rounds_left += 1;
  heap_call_probe(&h, h.L);
  heap_close(&h);
  if (check_failed()) check_note("the program of seed %lu", seed);
}

static void test_random_programs(void) {
  unsigned long programs = check_setting("PROGRAMS", 1000);
  unsigned long first = check_setting("SEED", 1) + 1000000;
  for (unsigned long seed = first; seed < first + programs && !check_failed(); seed++)
    run_program(seed);
  check_note("%lu programs, %lu collections (%lu generational, %lu with finalizers pending), "
             "%lu blocks freed",
             programs, collections, collections_generational, collections_with_pending,
             dead_blocks);
  CHECK(dead_blocks > programs, "too little garbage");
}

static void test_weak_globals(void) {
  test_heap("local held = {} setmetatable(_G, {__mode = 'kv'}) _G['a name of its own'] = held "
            "_G['another name'] = {} native.walk() return held");
}

static void test_ephemeral_globals(void) {
  test_heap("setmetatable(_G, {__mode = 'k'}) local a, b, c = {}, {}, {} _G[c] = {1} _G[b] = c "
            "_G[a] = b _G[{}] = {} a, b, c = nil, nil, nil Start = next(_G) "
            "for k in pairs(_G) do if type(k) == 'table' then native.walk() break end end");
}

static void test_weak_registry(void) {
  test_heap(
      "local registry, held = debug.getregistry(), {} setmetatable(registry, {__mode = 'kv'}) "
      "registry['a name of its own'] = held registry[{}] = 'a text of its own' "
      "native.walk() return held");
}

static const test tests[] = {
    {"garbage is block by block what a full collection frees, in random programs",
     test_random_programs},
    {"the removed key of a weak table that a finalizer brings back is no garbage yet",
     test_resurrected_weak},
    {"globals that are weak keep what they keep", test_weak_globals},
    {"globals that are ephemerons keep what they keep", test_ephemeral_globals},
    {"a registry that is weak keeps what it keeps", test_weak_registry},
    {"what a closure of a dead coroutine left marked is no garbage yet", test_touched},
};
CHECK_MAIN(tests)
