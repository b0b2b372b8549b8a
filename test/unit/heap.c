#include "heap.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "membuddy.h"

/* ---- the seed of hashes ---- */

static unsigned int hash_seed;

/* lstate.c of the tests calls this in the place of the function that mixes clock and addresses. */
unsigned int heap_hash_seed(const char *bytes, size_t length, unsigned int seed);
unsigned int heap_hash_seed(const char *bytes, size_t length, unsigned int seed) {
  (void)bytes, (void)length, (void)seed;
  return hash_seed;
}

/* ---- calling the test back ---- */

heap *heap_of(lua_State *L) {
  void *context;
  lua_getallocf(L, &context);
  return context;
}

void heap_call_probe(heap *h, lua_State *L) {
  if (h->probe == NULL || h->probing || h->blocks.count > h->patience) return;
  h->patience -= h->blocks.count;
  h->probing = 1;
  h->probe(h, L);
  h->probing = 0;
}

static void set_next_stop(heap *h) {
  dice d = dice_of(h->stop_seed++);
  h->blocks.stopped = 0;
  h->blocks.stop_at = h->blocks.requests + 1 + dice_roll(&d, h->stop_distance);
}

static void stop(lua_State *L, lua_Debug *unused) {
  (void)unused;
  heap *h = heap_of(L);
  if (!h->blocks.stopped) return;
  heap_call_probe(h, L);
  set_next_stop(h);
}

void heap_stop_often(heap *h, unsigned long distance, uint64_t seed) {
  h->stop_distance = distance;
  h->stop_seed = seed;
  set_next_stop(h);
  lua_sethook(h->L, stop, LUA_MASKCOUNT, 1); /* coroutines inherit it */
}

/* ---- the collector ---- */

#if LAYOUT_LUA_VERSION == 503
static const char *const gc_state_names[HEAP_GC_STATES] = {
    "propagate",  "atomic", "sweep all", "sweep finalizable", "sweep to be finalized", "sweep end",
    "finalizing", "pause",  NULL};
int heap_gc_state_is_visible(int state) { return state <= GCSpause; }
int heap_is_generational(const global_State *g) { return (void)g, 0; }
#else
static const char *const gc_state_names[HEAP_GC_STATES] = {
    "propagate", "enter atomic",      "atomic",
    "sweep all", "sweep finalizable", "sweep to be finalized",
    "sweep end", "finalizing",        "pause"};
int heap_gc_state_is_visible(int state) { return state != GCSatomic && state <= GCSpause; }
int heap_is_generational(const global_State *g) { return g->gckind == KGC_GEN; }
#endif

const char *heap_gc_state_name(int state) { return gc_state_names[state]; }

static int collector_rests(const global_State *g) {
#if LAYOUT_LUA_VERSION == 503
  return !g->gcrunning;
#else
  return g->gcstp != 0;
#endif
}

void heap_advance(lua_State *L, int state) {
  global_State *g = G(L);
  if (heap_is_generational(g) || collector_rests(g) || !heap_gc_state_is_visible(state)) return;
  luaC_runtilstate(L, bitmask(state));
}

/* ---- the library `native` ---- */

static int native_walk(lua_State *L) {
  heap_call_probe(heap_of(L), L);
  return 0;
}

/* Says that from here on the program changes the heap, not the collector. */
static int native_finalizing(lua_State *L) {
  recorder_stop_listening(&heap_of(L)->blocks);
  return 0;
}

static int native_parsing(lua_State *L) {
  heap_of(L)->parsing += (int)luaL_checkinteger(L, 1);
  return 0;
}

/* userdata(bytes, user values [, metatable]) */
static int native_userdata(lua_State *L) {
  size_t bytes = (size_t)luaL_checkinteger(L, 1);
  lua_settop(L, 3);
#if LAYOUT_LUA_VERSION == 503
  memset(lua_newuserdata(L, bytes), 0, bytes);
#else
  memset(lua_newuserdatauv(L, bytes, (int)luaL_checkinteger(L, 2)), 0, bytes);
#endif
  if (lua_istable(L, 3)) {
    lua_pushvalue(L, 3);
    lua_setmetatable(L, -2);
  }
  return 1;
}

/* setuservalue(userdata, index, value): 5.3 has one. */
static int native_setuservalue(lua_State *L) {
  luaL_checktype(L, 1, LUA_TUSERDATA);
  lua_settop(L, 3);
#if LAYOUT_LUA_VERSION == 503
  lua_setuservalue(L, 1);
#else
  lua_setiuservalue(L, 1, (int)luaL_checkinteger(L, 2));
#endif
  return 0;
}

static int return_first_upvalue(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  return 1;
}

/* closure(values...): a C function with these upvalues. */
static int native_closure(lua_State *L) {
  lua_pushcclosure(L, return_first_upvalue, lua_gettop(L));
  return 1;
}

/* thread(values...): a thread that was never started, with these values on its stack. */
static int native_thread(lua_State *L) {
  int count = lua_gettop(L);
  lua_State *thread = lua_newthread(L);
  lua_insert(L, 1);
  lua_xmove(L, thread, count);
  return 1;
}

/* buffer(bytes): a buffer that outgrows the C stack, with a visit of the test while it is held. */
static int native_buffer(lua_State *L) {
  lua_Integer bytes = luaL_checkinteger(L, 1);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (lua_Integer i = 0; i < bytes; i++) luaL_addchar(&buffer, 'b');
  heap_call_probe(heap_of(L), L);
  luaL_pushresult(&buffer);
  return 1;
}

static int native_advance(lua_State *L) {
  heap_advance(L, (int)luaL_checkinteger(L, 1));
  return 0;
}

static const luaL_Reg native_functions[] = {{"walk", native_walk},
                                            {"parsing", native_parsing},
                                            {"finalizing", native_finalizing},
                                            {"userdata", native_userdata},
                                            {"setuservalue", native_setuservalue},
                                            {"closure", native_closure},
                                            {"thread", native_thread},
                                            {"buffer", native_buffer},
                                            {"advance", native_advance},
                                            {NULL, NULL}};

static void push_native(lua_State *L) {
  luaL_newlib(L, native_functions);
  lua_pushboolean(L, LAYOUT_LUA_VERSION >= 504);
  lua_setfield(L, -2, "has_generations");
}

/* ---- states ---- */

static void open_libraries(heap *h) {
  luaL_openlibs(h->L);
  luaL_requiref(h->L, "membuddy", luaopen_membuddy, 0);
  lua_pop(h->L, 1);
  push_native(h->L);
  lua_setglobal(h->L, "native");
}

void heap_open(heap *h, unsigned int seed) {
  memset(h, 0, sizeof *h);
  h->patience = SIZE_MAX;
  recorder_init(&h->blocks);
  hash_seed = seed;
  h->L = lua_newstate(recorder_allocate, h);
  if (h->L == NULL) {
    fputs("no memory for a Lua state\n", stderr);
    exit(2);
  }
  open_libraries(h);
}

void heap_close(heap *h) {
  h->probe = NULL;
  lua_sethook(h->L, NULL, 0, 0);
  lua_close(h->L);
  CHECK(h->blocks.count == 0, "Lua itself left %zu blocks", h->blocks.count);
  CHECK(h->blocks.wrong_sizes == 0, "Lua was wrong about %lu blocks", h->blocks.wrong_sizes);
  recorder_release(&h->blocks);
}

/* ---- running Lua ---- */

static int call(heap *h, int arguments, int results) {
  int status = lua_pcall(h->L, arguments, results, 0);
  if (status == LUA_OK) return 1;
  CHECK(0, "a Lua program failed: %s", luaL_tolstring(h->L, -1, NULL));
  lua_settop(h->L, 0);
  return 0;
}

static int loaded(heap *h, int status) {
  if (status == LUA_OK) return 1;
  CHECK(0, "%s", lua_tostring(h->L, -1));
  lua_settop(h->L, 0);
  return 0;
}

int heap_run(heap *h, const char *text) {
  return loaded(h, luaL_loadbuffer(h->L, text, strlen(text), "=test")) && call(h, 0, 0);
}

int heap_load_file(heap *h, const char *name) {
  char path[256];
  const char *folder = getenv("TEST_HEAPS");
  snprintf(path, sizeof path, "%s/%s", folder ? folder : "test/heaps", name);
  return loaded(h, luaL_loadfile(h->L, path));
}

int heap_run_program(heap *h, unsigned long seed, unsigned long steps) {
  if (!heap_load_file(h, "programs.lua")) return 0;
  lua_getglobal(h->L, "native");
  lua_pushinteger(h->L, (lua_Integer)seed);
  lua_pushinteger(h->L, (lua_Integer)steps);
  return call(h, 3, 1);
}
