/*
** A walk leaves the heap as it was, bit for bit. Only the `gclist` words that
** no gray list of the collector uses may become NULL: see walk.h. Which ones
** those are is found out here by other means than the walk's.
*/
#include "account.h"
#include "audit.h"
#include "check.h"
#include "loans.h"
#include "borrow.h"
#include "retained.h"

#include <stdlib.h>

#define STEPS    50
#define PATIENCE 30000

/* ---- the words that may change ---- */

typedef struct {
  char **items;
  size_t count, capacity;
} address_list;

static address_list reserved, free_links; /* kept for the next probe */

static void add_address(address_list *l, void *address) {
  if (l->count == l->capacity) {
    l->capacity = l->capacity ? 2 * l->capacity : 1024;
    l->items = realloc(l->items, l->capacity * sizeof *l->items);
  }
  l->items[l->count++] = address;
}

static int compare_addresses(const void *a, const void *b) {
  const char *x = *(char *const *)a, *y = *(char *const *)b;
  return (x > y) - (x < y);
}

static void sort(address_list *l) {
  if (l->count) qsort(l->items, l->count, sizeof *l->items, compare_addresses);
}

static int contains(const address_list *l, void *address) {
  return l->count > 0 &&
         bsearch(&address, l->items, l->count, sizeof *l->items, compare_addresses) != NULL;
}

static GCObject **link_of(GCObject *o) {
  switch (o->tt) {
  case LUA_TTABLE: return &((Table *)o)->gclist;
  case LUA_TTHREAD: return &((lua_State *)o)->gclist;
  case LUA_TFUNCTION | (0 << 4):
  case LUA_TFUNCTION | (2 << 4): return &((LClosure *)o)->gclist;
#if LAYOUT_LUA_VERSION == 504
  case LUA_TUSERDATA: return ((Udata *)o)->nuvalue ? &((Udata *)o)->gclist : NULL;
#endif
  case LUA_TPROTO: return &((Proto *)o)->gclist;
  default: return NULL;
  }
}

static void reserve_list(GCObject *o) {
  for (; o; o = *link_of(o)) add_address(&reserved, link_of(o));
}

static void free_list(GCObject *o) {
  for (; o; o = o->next) {
    GCObject **link = link_of(o);
    if (link && !contains(&reserved, link)) add_address(&free_links, link);
  }
}

static void find_free_links(global_State *g) {
  reserved.count = free_links.count = 0;
  if (g->gcstate <= GCSatomic) { /* the collector keeps its invariant: its lists are real */
    reserve_list(g->gray);
    reserve_list(g->grayagain);
    reserve_list(g->weak);
    reserve_list(g->ephemeron);
    reserve_list(g->allweak);
  }
  sort(&reserved);
  free_list(g->allgc);
  free_list(g->finobj);
  free_list(g->tobefnz);
  GCObject **main_link = &g->mainthread->gclist;
  if (!contains(&reserved, main_link)) add_address(&free_links, main_link);
  sort(&free_links);
}

/* ---- comparing ---- */

static block_copies before_walk;
static unsigned long walks, round_number, changed_links;

static void compare(heap *h, const char *what) {
  copy_cursor cursor = {0, 0};
  const char *before;
  char *word;
  while ((word = recorder_next_difference(&h->blocks, &before_walk, &cursor, &before)) != NULL) {
    changed_links++;
    if (!CHECK(contains(&free_links, word), "%s changed a word that is no free gclist", what))
      return;
    if (!CHECK(*(void **)(void *)word == NULL, "%s left a link in a gclist", what)) return;
  }
}

/* ---- what walks ---- */

typedef struct {
  lua_State *L;
  GCObject *object; /* any */
  unsigned long round;
} situation;

static void do_process(const situation *s) {
  tree t;
  walk_books books;
  tree_init_growing(&t, (uint32_t)(s->round % 5));
  CHECK(walk_process(s->L, &t, &books) == WALK_OK, "no memory");
  tree_release(&t);
}

static void do_bounded(const situation *s) {
  uint64_t room[TREE_ROOM(32, 4)];
  tree t;
  walk_books books;
  tree_init_bounded(&t, room, 32, 4, (uint32_t)(s->round % 4));
  CHECK(walk_process(s->L, &t, &books) == WALK_OK, "no memory");
}

static unsigned long targets[KIND_COUNT];

static void do_target(const situation *s) {
  uint64_t room[TREE_ROOM(32, 4)];
  tree t;
  walk_books met;
  if (s->round % 2 == 0)
    tree_init_growing(&t, (uint32_t)(s->round % 5));
  else
    tree_init_bounded(&t, room, 32, 4, (uint32_t)(s->round % 4));
  CHECK(walk_target(s->L, s->object, "it", &t, &met) == WALK_OK, "no memory");
  targets[layout_kind(s->object)]++;
  tree_release(&t);
}

static void do_exclusive(const situation *s) {
  size_t bytes;
  CHECK(walk_exclusive(s->L, s->object, &bytes) == WALK_OK, "no memory");
}

static void do_retained(const situation *s) {
  size_t bytes;
  walk_books books;
  CHECK(walk_retained(s->L, s->object, &bytes, &books) == WALK_OK, "no memory");
  CHECK(books.unaccounted == 0 || heap_of(s->L)->parsing, "%td bytes unaccounted for",
        books.unaccounted);
}

static void do_retained_tree(const situation *s) {
  tree t;
  walk_books books;
  size_t *bytes;
  tree_init_growing(&t, 2);
  CHECK(walk_process(s->L, &t, &books) == WALK_OK, "no memory");
  CHECK(retained_of_tree(s->L, &books, &t, &bytes) == WALK_OK, "no memory");
  borrow_return(bytes);
  tree_release(&t);
}

static void do_find_parent(const situation *s) {
  GCObject *parent;
  const char *root;
  CHECK(walk_find_parent(s->L, s->object, &parent, &root) == WALK_OK, "no memory");
}

static void do_account(const situation *s) {
  account a;
  CHECK(account_read(s->L, &a) == WALK_OK, "no memory");
}

static void ignore_block(void *context, const void *block, size_t bytes) {
  (void)context, (void)block, (void)bytes;
}
static void do_each_block(const situation *s) { walk_each_block(s->L, ignore_block, NULL); }

static const struct {
  const char *name;
  void (*run)(const situation *s);
} walkers[] = {
    {"walk_process", do_process},         {"walk_process with a bounded tree", do_bounded},
    {"walk_target", do_target},           {"walk_exclusive", do_exclusive},
    {"walk_retained", do_retained},       {"retained_of_tree", do_retained_tree},
    {"walk_find_parent", do_find_parent}, {"account_read", do_account},
    {"walk_each_block", do_each_block}};
#define WALKERS (sizeof walkers / sizeof *walkers)

/* Some object that is no garbage: one of the running stack, or a global variable. */
static GCObject *some_held_object(lua_State *L, dice *d) {
  Table *globals = gco2t(walk_globals(L));
  GCObject *found = obj2gco(globals);
  unsigned long left = dice_roll(d, sizenode(globals));
  for (int i = 0; i < sizenode(globals); i++) {
    const Node *node = gnode(globals, i);
    GCObject *value = object_of(gval(node));
    if (value) found = value;
    if (left-- == 0 && value) break;
  }
  size_t used = layout_stack_used(L);
  const TValue *slot = layout_stack_slot(L, dice_roll(d, used));
  return dice_roll(d, 2) && object_of(slot) ? object_of(slot) : found;
}

typedef struct {
  dice *d;
  unsigned long count;
  GCObject *chosen;
} choice;

/* Most references are to strings, which lead no further. */
static void choose(choice *c, GCObject *object) {
  if (object == NULL || (layout_is_string(object) && dice_roll(c->d, 64) > 0)) return;
  if (dice_roll(c->d, ++c->count) == 0) c->chosen = object;
}
static void choose_of_reference(void *context, label_kind kind, uintptr_t place, GCObject *key,
                                GCObject *value) {
  (void)place;
  if (kind != LABEL_UPVALUE) choose(context, key); /* a cell is nobody's target */
  choose(context, value);
}

/* What some references lead to from there: most kinds of objects are in nobody's hands. */
static GCObject *some_object(lua_State *L, dice *d) {
  GCObject *held = some_held_object(L, d);
  GCObject *starts[] = {held, walk_registry(L), obj2gco(G(L)->mainthread)};
  if (dice_roll(d, 2)) return held;
  GCObject *object = starts[dice_roll(d, 3)];
  for (unsigned long steps = dice_roll(d, 8); steps > 0; steps--) {
    choice c = {d, 0, object};
    walk_each_reference(object, choose_of_reference, &c);
    object = c.chosen;
  }
  return object;
}

/* ---- tests ---- */

static void probe_walker(heap *h, lua_State *L) {
  if (check_failed()) return;
  dice d = dice_of(round_number);
  size_t which = dice_roll(&d, WALKERS);
  situation s = {L, some_object(L, &d), round_number++};
  find_free_links(G(L));
  recorder_copy(&h->blocks, &before_walk);
  walkers[which].run(&s);
  if (walkers[which].run == do_each_block) free_links.count = 0; /* may change nothing at all */
  compare(h, walkers[which].name);
  recorder_copy(&h->blocks, &before_walk);
  free_links.count = 0;
  walkers[which].run(&s);
  compare(h, "the same once more");
  walks++;
}

static void run_program(unsigned long seed) {
  heap h;
  heap_open(&h, (unsigned int)seed * 2246822519u);
  h.probe = probe_walker;
  h.patience = PATIENCE;
  heap_stop_often(&h, 30 + seed % 300, seed);
  heap_run_program(&h, seed, STEPS);
  heap_close(&h);
  if (check_failed()) check_note("the program of seed %lu", seed);
}

static void test_random_programs(void) {
  unsigned long programs = check_setting("PROGRAMS", 600),
                first = check_setting("SEED", 1) + 500000;
  for (unsigned long seed = first; seed < first + programs && !check_failed(); seed++)
    run_program(seed);
  check_note("%lu programs, %lu walks, %lu gclist words set to NULL", programs, walks,
             changed_links);
  check_note("targets: %lu tables, %lu strings, %lu functions, %lu prototypes, %lu coroutines, "
             "%lu userdata",
             targets[KIND_TABLE], targets[KIND_STRING], targets[KIND_FUNCTION], targets[KIND_PROTO],
             targets[KIND_THREAD], targets[KIND_USERDATA]);
  CHECK(walks > programs && changed_links > 0, "too little was tried");
  CHECK(loans_open() == 0, "%zu loans were not returned", loans_open());
}

static unsigned long calls;
static void probe_all(heap *h, lua_State *L) {
  for (unsigned long i = 0; i < 2 * WALKERS; i++) {
    round_number = i * 7919 + calls;
    probe_walker(h, L);
  }
  calls++;
}

static void test_places(const char *text) {
  heap h;
  heap_open(&h, 3);
  h.probe = probe_all;
  calls = 0;
  heap_run(&h, text);
  CHECK(calls > 0, "the walk was not called");
  heap_close(&h);
}

static void test_finalizer(void) {
  test_places("setmetatable({}, {__gc = function() native.walk() end}) collectgarbage()");
}
static void test_coroutine(void) {
  test_places("local held = {} coroutine.wrap(function() local own = {held} native.walk() end)()");
}
static void test_hook(void) {
  test_places("local function hook() native.walk() end debug.sethook(hook, '', 5) "
              "local t = {} for i = 1, 10 do t[i] = {} end debug.sethook()");
}
/* Hooks of calls and returns would run while a report is built, with its objects in hand. */
static void test_hooks_of_calls(void) {
  heap h;
  heap_open(&h, 4);
  heap_run(&h, "local membuddy = require('membuddy') "
               "for _, mask in ipairs({'c', 'r', 'cr', 'crl'}) do for last = 1, 12 do "
               "  Held = {} "
               "  for i = 1, 300 do Held['key' .. i] = {i} end "
               "  local seen = 0 "
               "  debug.sethook(function() "
               "    seen = seen + 1 "
               "    if seen == last then Held = nil collectgarbage() end "
               "  end, mask) "
               "  membuddy.profile() "
               "  debug.sethook() "
               "end end "
               "local seen = 0 "
               "debug.sethook(function() seen = seen + 1 end, 'c') membuddy.kinds() math.abs(1) "
               "debug.sethook() assert(seen >= 2, 'hooks are gone for good')");
  heap_close(&h);
}
static void test_deep_pcall(void) {
  test_places("local function deep(n) if n == 0 then native.walk() else pcall(deep, n - 1) end end "
              "deep(100)");
}
static void test_marking(void) {
  test_places("local t = {} for i = 1, 500 do t[i] = {setmetatable({}, {__mode = 'k'})} end "
              "native.advance(0) collectgarbage('step', 0) native.walk()");
}

/* Every value of the global table `targets`, the prototypes of functions, and what gives names. */
static void probe_target(heap *h, situation *s, GCObject *object, const char *name) {
  s->object = object;
  for (s->round = 0; s->round < 4 && !check_failed(); s->round++) {
    find_free_links(G(s->L));
    recorder_copy(&h->blocks, &before_walk);
    do_target(s);
    compare(h, name);
  }
}

static void probe_targets(heap *h, lua_State *L) {
  situation s = {L, NULL, 0};
  const TValue *held = layout_field(gco2t(walk_globals(L)), "targets");
  const Table *list = gco2t(object_of(held));
  for (int i = 0; i < sizenode(list); i++) {
    const Node *node = gnode(list, i);
    GCObject *value = object_of(gval(node));
    if (value == NULL) continue;
    const char *name = getstr(gco2ts(layout_node_key(node)));
    probe_target(h, &s, value, name);
    if (layout_is_lua_function(value)) probe_target(h, &s, obj2gco(gco2lcl(value)->p), name);
  }
  probe_target(h, &s, walk_registry(L), "the registry");
  probe_target(h, &s, walk_globals(L), "_G");
  probe_target(h, &s, obj2gco(L), "the running coroutine");
  calls++;
}

static const char every_kind_of_target[] =
    "local native, has_ends = native, load('local x <close> = nil') ~= nil "
    "local function weak(mode, t) return setmetatable(t, {__mode = mode}) end "
    "local function userdata(values, ...) "
    "  local u = native.userdata(8, values, {__name = 'text ' .. values, {}}) "
    "  for i = 1, values do native.setuservalue(u, i, (select(i, ...))) end "
    "  return u "
    "end "
    "local function started(body, ...) "
    "  local thread = coroutine.create(body) coroutine.resume(thread, ...) return thread "
    "end "
    "local shared = {} "
    "targets = {short = 'a' .. 'short one', long = ('long'):rep(99), string_library = string, "
    "  package = package, loaded = package.loaded, main = coroutine.running(), print = print, "
    "  metatable = getmetatable(''), list = {{}, 'x' .. 1, print, {_G, package.loaded}}, "
    "  keys = {[{}] = {}, [{'k'}] = 1, ['key' .. 1] = true, [print] = {}}, "
    "  removed = {[{}] = 1, a = {}, b = {}}, none = {}, looks_at_globals = setmetatable({}, "
    "{__index = _G}), "
    "  weak_keys = weak('k', {[{}] = {{}}, [shared] = {'v'}, [print] = {}}), "
    "  weak_values = weak('v', {[{}] = {}, [shared] = shared, {}, 'one' .. 1, a = {}}), "
    "  all_weak = weak('kv', {[{}] = 'dead' .. 1, ['key of dead' .. 1] = {}, ['k' .. 2] = 'v' .. "
    "2}), "
    "  shared = shared, c_function = native.closure({}, 'up' .. 1, userdata(1, {})), "
    "  no_values = userdata(0), one_value = userdata(1, {}), three = userdata(3, {}, 'v' .. 3, "
    "userdata(0)), "
    "  dead = started(function() error({}) end), ended = started(function() return {} end), "
    "  unstarted = coroutine.create(function() return shared end), bare = native.thread({}, 'x', "
    "shared), "
    "  suspended = started(function(...) local a, b = {}, ... "
    "    started(function() targets.sees_open = function() a = b return a end end) "
    "    coroutine.yield(function() return a end, ...) end, {}, {}), "
    "  deep = started(function() local function down(n) local t = {} "
    "    if n == 0 then coroutine.yield(t) end return (down(n - 1)) end down(150) end)} "
    "targets.removed.a, targets.removed[next(targets.removed)] = nil, nil "
    "targets.chain = userdata(1, {}) "
    "for _ = 1, 300 do targets.chain = userdata(1, targets.chain) end "
    "targets.ephemerons = weak('k', {}) "
    "local key = {} targets.ephemerons[1] = key "
    "for _ = 1, 20 do local held = {} targets.ephemerons[key] = held key = held end "
    "targets.waits_for_ephemerons = {targets.ephemerons, targets.weak_keys, targets.all_weak} "
    "do local a, b = {}, 5 "
    "  targets.get, targets.set = function() return a, b end, function(x) a, b = x, targets.get "
    "end "
    "  GlobalFunction = function() return a end end "
    "if has_ends then targets.to_be_closed = started(load('local x <close> = setmetatable({}, "
    "{__close = function() end}) local y <close> = setmetatable({{}}, getmetatable(x)) "
    "coroutine.yield(x)')) end "
    "local function walk_in_all_states() for state = 0, 8 do native.advance(state) native.walk() "
    "end end "
    "walk_in_all_states() "
    "targets.normal = coroutine.running() "
    "coroutine.wrap(function() local own = {} targets.normal = coroutine.running() "
    "  coroutine.wrap(function() targets.runs = function() return own end native.walk() end)() "
    "end)() "
    "local registry, globals = debug.getregistry(), _G "
    "registry[2] = {targets = targets, package = {loaded = 'none'}, shared = shared} native.walk() "
    "registry[2] = globals "
    "if native.has_generations then collectgarbage('generational') "
    "  for i = 1, 4 do shared[i] = {targets.list} collectgarbage('step', 0) native.walk() end "
    "  collectgarbage('incremental') end "
    "local second = setmetatable({{}, weak('k', {[{}] = {}})}, {__gc = function() end}) "
    "setmetatable({second}, {__gc = function(o) targets.waits, targets.is_finalized = o[1], o "
    "native.walk() "
    "  targets.waits, targets.is_finalized = nil end}) second = nil "
    "native.advance(8) collectgarbage() "
    "targets.large = {} for i = 1, 9999 do targets.large[i] = {} end native.walk()";

static void test_targets(void) {
  heap h;
  heap_open(&h, 5);
  h.probe = probe_targets;
  h.patience = 1u << 30;
  calls = 0;
  heap_run(&h, every_kind_of_target);
  CHECK(calls > 10, "the walk was called %lu times", calls);
  heap_close(&h);
}

/* What a whole call from Lua may change besides free links: the state block, the string table, and
** the running thread's stack and call infos. All else is somebody's data. */
static int is_machinery(heap *h, lua_State *L, const char *word) {
  const char *state = (char *)G(L)->mainthread - offsetof(layout_thread_block, thread);
  if (word >= state && word < state + sizeof(layout_state_block)) return 1;
  const recorded_block *strings = recorder_find(&h->blocks, G(L)->strt.hash);
  if (word >= strings->address && word < strings->address + strings->bytes) return 1;
  const char *stack = (char *)layout_stack(L);
  if (word >= stack && word < stack + layout_stack_bytes(L)) return 1;
  for (const CallInfo *info = L->base_ci.next; info; info = info->next)
    if (word >= (const char *)info && word < (const char *)(info + 1)) return 1;
  return 0;
}

static void call_in_place(heap *h, const char *name, int has_target) {
  lua_State *L = h->L;
  lua_getglobal(L, "library");
  lua_getfield(L, -1, name);
  lua_getglobal(L, "target");
  if (!has_target) lua_pop(L, 1);
  find_free_links(G(L));
  recorder_copy(&h->blocks, &before_walk);
  lua_call(L, has_target, 1);
  copy_cursor cursor = {0, 0};
  const char *before;
  char *word;
  while ((word = recorder_next_difference(&h->blocks, &before_walk, &cursor, &before)) != NULL)
    CHECK(contains(&free_links, word) || is_machinery(h, L, word), "%s changed the heap", name);
  lua_settop(L, 0);
}

static void test_calls(void) {
  static const struct {
    const char *name;
    int has_target;
  } functions[] = {{"profile", 0}, {"profile", 1},  {"kinds", 0},
                   {"account", 0}, {"retained", 1}, {"sizeof", 1}};
  heap h;
  heap_open(&h, 4);
  if (heap_run(&h, "library = require('membuddy') target = {{}, 'a', print} collectgarbage() "
                   "for i = 1, 200 do _G['g' .. i] = {i, {}, function() return i end} end "
                   "for _ = 1, 3 do library.profile() library.profile(target) library.kinds() "
                   "library.account() end collectgarbage() collectgarbage('stop')")) {
    lua_checkstack(h.L, 1000);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
      call_in_place(&h, functions[i].name, functions[i].has_target);
  }
  heap_close(&h);
}

static const test tests[] = {
    {"a walk called from a finalizer leaves every bit as it was", test_finalizer},
    {"a walk called from a coroutine leaves every bit as it was", test_coroutine},
    {"a walk called from a hook leaves every bit as it was", test_hook},
    {"hooks of calls do not run while a report is built", test_hooks_of_calls},
    {"a walk called behind a hundred pcalls leaves every bit as it was", test_deep_pcall},
    {"a walk in the middle of a mark phase leaves the gray lists as they were", test_marking},
    {"a walk of a target leaves every bit as it was, whatever the target is", test_targets},
    {"a call of the interface changes nobody's data", test_calls},
    {"a walk leaves every bit of random programs as it was, a second one even the free links",
     test_random_programs},
};
CHECK_MAIN(tests)
