/*
** Memory that runs out: every allocation of every call fails in turn, Lua's
** and the profiler's own. Each time the call works or says "not enough
** memory", every loan is back, the collector goes on as before, and the books
** balance.
*/
#include "audit.h"
#include "check.h"
#include "loans.h"
#include "membuddy.h"

#include <limits.h>

typedef struct {
  const char *name;
  const char *code; /* NULL: luaopen_membuddy itself */
} trial;

/* The checks go without what they lack the memory for. */
static int is_forgiving(const trial *t) { return strstr(t->name, "checks") != NULL; }

/* `mark` runs in Lua, and Lua 5.4 collects nothing for a stack that grows (luaD_reallocstack):
** where one request alone is refused the stack is large enough beforehand. */
static void make_stack(lua_State *thread, const trial *t) {
  if (LAYOUT_LUA_VERSION == 504 && strstr(t->name, "mark"))
    CHECK(lua_checkstack(thread, 200), "no stack");
}

static const char *const preparation =
    "membuddy = require('membuddy')\n"
    "lines = 0 function print() lines = lines + 1 end\n"
    "Colors = {red = 'r', green = 'g', blue = 'b', gray = 'y', reset = '.'}\n"
    "target = {name = 'target', {}, {}, function() return target end}\n"
    "target.target = target target.deep = {{{{{{1}}}}}}\n"
    "weak = setmetatable({[target] = {}}, {__mode = 'k'})\n"
    "for i = 1, 12 do _G['variable ' .. i] = {i, {i}, name = 'n' .. i} end\n"
    "local hidden = {} for i = 1, 68 do hidden = {hidden} end chain = hidden\n"
    "bottom = chain while bottom[1] do bottom = bottom[1] end hold = {bottom} bottom = nil\n"
    "results = membuddy.profile() targeted = membuddy.profile(target)\n";

static const trial trials[] = {
    {"profile()", "return membuddy.profile()"},
    {"profile of depth 1", "return membuddy.profile({depth = 1})"},
    {"profile without limits", "return membuddy.profile({depth = 'inf', children = false})"},
    {"profile with retained sizes", "return membuddy.profile({retained = true, depth = 2})"},
    {"profile of a target", "return membuddy.profile(target, {depth = 2})"},
    {"profile of a target with retained sizes",
     "return membuddy.profile({target = target, retained = true})"},
    {"profile of a target far away", "return (membuddy.profile(hold[1]))"},
    {"print()", "membuddy.print({checks = false})"},
    {"print of results", "membuddy.print(results)"},
    {"print of a target's results", "membuddy.print(targeted, {top = 3})"},
    {"print of everything", "membuddy.print({top = false, depth = 4, checks = false})"},
    {"print() with its checks", "membuddy.print()"},
    {"checks()", "return membuddy.checks()"},
    {"mark()", "return membuddy.mark()"},
    {"account()", "return membuddy.account()"},
    {"kinds()", "return membuddy.kinds()"},
    {"retained(value)", "return membuddy.retained(target)"},
    {"sizeof(value)", "return membuddy.sizeof(target)"},
    {"format_size(bytes)", "return membuddy.format_size(1288490, true)"},
    {"an option that is wrong", "return select(2, pcall(membuddy.profile, {depth = -1}))"},
    {"luaopen_membuddy", NULL},
};
#define TRIALS (sizeof trials / sizeof *trials)

static int collector_state(const global_State *g) {
#if LAYOUT_LUA_VERSION == 503
  return g->gcrunning;
#else
  return g->gcstp;
#endif
}

static void push_trial(lua_State *L, const trial *t) {
  if (t->code == NULL)
    lua_pushcfunction(L, luaopen_membuddy);
  else
    CHECK(luaL_loadbuffer(L, t->code, strlen(t->code), "=trial") == LUA_OK, "%s",
          lua_tostring(L, -1));
}

/* In a thread of its own, whose stack is small: growing it is an allocation too. */
static int call_in_thread(lua_State *L, int function) {
  lua_State *thread = lua_newthread(L);
  lua_pushvalue(L, function);
  lua_xmove(L, thread, 1);
  return lua_pcall(thread, 0, 1, 0);
}

static void check_outcome(heap *h, const trial *t, int status, unsigned long n, const char *what) {
  lua_State *thread = lua_tothread(h->L, -1);
  const char *message = status == LUA_OK ? "" : lua_tostring(thread, -1);
  CHECK(status == LUA_OK || (message && strcmp(message, "not enough memory") == 0),
        "%s, %s %lu refused: '%s'", t->name, what, n, message ? message : "no text");
  CHECK(loans_open() == 0, "%s, %s %lu refused: %zu loans are open", t->name, what, n,
        loans_open());
}

static void check_state(heap *h, const trial *t, int collector, unsigned long n) {
  CHECK(collector_state(G(h->L)) == collector, "%s, %lu: the collector is in another mode", t->name,
        n);
  audit_blocks(h, h->L);
  audit_walk(h, h->L, n);
  if (check_failed()) check_note("%s, with refusal %lu", t->name, n);
}

static unsigned long refusals;

/* All requests from the n-th on are refused. */
static void refuse_lua(heap *h, const trial *t, unsigned long count) {
  int collector = collector_state(G(h->L));
  for (unsigned long n = 1; !check_failed(); n++) {
    int top = lua_gettop(h->L);
    lua_State *thread = lua_newthread(h->L);
    lua_pushvalue(h->L, 1);
    lua_xmove(h->L, thread, 1);
    if (count == 1) make_stack(thread, t);
    recorder_fail(&h->blocks, n, count);
    int status = lua_pcall(thread, 0, 1, 0);
    unsigned long failed = h->blocks.failed;
    recorder_fail(&h->blocks, 0, 0);
    check_outcome(h, t, status, n, "allocation");
    CHECK(count > 1 || status == LUA_OK, "%s, only allocation %lu refused: the call failed",
          t->name, n);
    lua_settop(h->L, top);
    refusals += failed > 0;
    if (failed == 0) break;
    if (n < 20 || n % 4 == 0) check_state(h, t, collector, n);
    if (n % 64 == 0) lua_gc(h->L, LUA_GCCOLLECT, 0);
  }
}

/* Whether the collector stands in the middle of a mark phase, so that a walk needs notes. Where it
** can't have them, what is garbage is collected, and it needs none. */
static int is_marking;

static void bring_into_mark_phase(lua_State *L) {
  lua_gc(L, LUA_GCRESTART, 0);
  heap_advance(L, GCSpropagate);
  lua_gc(L, LUA_GCSTOP, 0); /* stays there until it's told to go on */
}

static void refuse_some_loans(heap *h, const trial *t, void (*refuse)(unsigned long)) {
  if (!is_marking) lua_gc(h->L, LUA_GCSTOP, 0); /* what a call takes would begin a mark phase */
  int collector = collector_state(G(h->L));
  for (unsigned long n = 1; !check_failed(); n++) {
    int top = lua_gettop(h->L);
    if (is_marking) bring_into_mark_phase(h->L);
    refuse(n);
    int status = call_in_thread(h->L, 1);
    int refused = loans_requests() >= n;
    loans_refuse(0);
    check_outcome(h, t, status, n, "loan");
    int may_work = is_forgiving(t) || is_marking || refuse == loans_refuse_one; /* asks again */
    CHECK(!refused || status != LUA_OK || may_work, "%s works without its loan %lu", t->name, n);
    lua_settop(h->L, top);
    refusals += (unsigned long)refused;
    if (!refused) break;
    check_state(h, t, collector, n);
  }
}

static void refuse_loans(heap *h, const trial *t) { refuse_some_loans(h, t, loans_refuse); }
static void refuse_one_loan(heap *h, const trial *t) { refuse_some_loans(h, t, loans_refuse_one); }

typedef void (*refuser)(heap *h, const trial *t);

static void try_all(refuser refuse) {
  for (size_t i = 0; i < TRIALS; i++) {
    heap h;
    heap_open(&h, 11);
    if (heap_run(&h, preparation)) {
      push_trial(h.L, &trials[i]);
      lua_gc(h.L, LUA_GCCOLLECT, 0);
      if (is_marking) bring_into_mark_phase(h.L);
      refuse(&h, &trials[i]);
    }
    heap_close(&h);
  }
  check_note("%lu requests refused", refusals);
  CHECK(refusals > 0, "nothing was refused");
  refusals = 0;
}

static void refuse_all_from(heap *h, const trial *t) { refuse_lua(h, t, ULONG_MAX); }
static void refuse_one(heap *h, const trial *t) { refuse_lua(h, t, 1); }

static void test_lua(void) { try_all(refuse_all_from); }
static void test_one(void) { try_all(refuse_one); }
static void test_loans(void) { try_all(refuse_loans); }
static void test_one_loan(void) { try_all(refuse_one_loan); }
static void test_loans_while_marking(void) {
  is_marking = 1;
  try_all(refuse_loans);
  is_marking = 0;
}

/* Collections in the middle of a call would free what it has in hand: keys of values that died go
** with the second one. */
static const char *const dying =
    "W = setmetatable({}, {__mode = 'v'})\n"
    "for i = 1, 40 do W[{['child' .. i .. ('y'):rep(100)] = {('x'):rep(1000) .. i}}] = {} end";

static void refuse_every_other(heap *h, const trial *t) {
  for (unsigned long n = 1, failed = 1; failed > 0 && !check_failed(); n += 7) {
    int top = lua_gettop(h->L);
    lua_gc(h->L, LUA_GCSTOP, 0);
    heap_run(h, dying);
    lua_State *thread = lua_newthread(h->L);
    lua_pushvalue(h->L, 1);
    lua_xmove(h->L, thread, 1);
    recorder_fail_others(&h->blocks, n);
    int status = lua_pcall(thread, 0, 1, 0);
    failed = h->blocks.failed;
    recorder_fail(&h->blocks, 0, 0);
    lua_gc(h->L, LUA_GCRESTART, 0);
    check_outcome(h, t, status, n, "every other allocation from");
    lua_settop(h->L, top);
    refusals += failed;
    audit_blocks(h, h->L);
    audit_walk(h, h->L, n);
    lua_gc(h->L, LUA_GCCOLLECT, 0);
  }
}
static void test_every_other(void) { try_all(refuse_every_other); }

static void test_lua_generational(void) {
#if LAYOUT_LUA_VERSION >= 504
  heap h;
  heap_open(&h, 12);
  lua_gc(h.L, LUA_GCGEN, 0, 0);
  if (heap_run(&h, preparation)) {
    push_trial(h.L, &trials[0]);
    refuse_lua(&h, &trials[0], ULONG_MAX);
    refuse_loans(&h, &trials[0]);
  }
  heap_close(&h);
#endif
}

/* A program runs a default report when it has no memory to spare. */
static void test_default_borrows_nothing(void) {
  heap h;
  heap_open(&h, 13);
  heap_run(&h, preparation);
  lua_gc(h.L, LUA_GCCOLLECT, 0);
  lua_gc(h.L, LUA_GCSTOP, 0);
  loans_refuse(1);
  heap_run(&h, "membuddy.profile() membuddy.print() membuddy.kinds() membuddy.account() "
               "membuddy.retained(target) membuddy.profile(target)");
  CHECK(loans_requests() == 0, "%lu loans were asked for", loans_requests());
  loans_refuse(0);
  heap_close(&h);
}

/* Bytes that no collection frees: each halves the call frames that a stack keeps for later. */
static size_t bytes_after_collections(heap *h) {
  size_t before;
  do {
    before = h->blocks.bytes;
    lua_gc(h->L, LUA_GCCOLLECT, 0);
    lua_gc(h->L, LUA_GCCOLLECT, 0);
  } while (h->blocks.bytes < before);
  return h->blocks.bytes;
}

static void test_leaves_nothing(void) {
  heap h;
  heap_open(&h, 14);
  heap_run(&h, preparation);
  heap_run(&h, "membuddy.print() membuddy.print() results = nil targeted = nil");
  size_t before = bytes_after_collections(&h);
  heap_run(&h, "membuddy.print()");
  size_t after = bytes_after_collections(&h);
  CHECK(after == before, "%zu bytes are left, %zu before", after, before);
  heap_close(&h);
}

static const test tests[] = {
    {"a report at default options borrows nothing while the collector does not mark",
     test_default_borrows_nothing},
    {"a default report leaves not one byte after a collection", test_leaves_nothing},
    {"when Lua's memory ends at any allocation, a call says so and harms nothing", test_lua},
    {"when a single allocation fails, Lua makes room and the call works", test_one},
    {"when every other allocation fails, a call frees nothing that it has in hand",
     test_every_other},
    {"when any loan is refused, a call says so and harms nothing", test_loans},
    {"when a single loan is refused, a call says so and harms nothing", test_one_loan},
    {"when any loan is refused in the middle of a mark phase, a call says so and harms nothing",
     test_loans_while_marking},
    {"memory may end in the generational mode as well", test_lua_generational},
};
CHECK_MAIN(tests)
