/*
** The books balance: every block of the allocator is claimed exactly once, in
** random programs, in every state of the collector, at any allocation. And the
** graph for exports has the very bytes that the books call live.
*/
#include "graph_late.c" /* NOLINT: the archive lacks it, only graphs for exports need it */

#include <stdlib.h>

#include "audit.h"
#include "check.h"
#include "loans.h"

#define STEPS                 50
#define LONGEST_STOP_DISTANCE 400
#define PATIENCE              60000 /* blocks seen by all walks of a program together */

#define GRAPH_EVERY 4 /* walks */

static unsigned long walks, walks_in_state[2][HEAP_GC_STATES], blocks_claimed;
static unsigned long walks_in_parser, walks_in_coroutine, edges_told;

/* ---- the graph for exports ---- */

typedef struct {
  const graph *g;
  uint32_t at;      /* the next edge */
  uint8_t *reached; /* by node: an edge leads there */
} told_edges;

static int is_late_root(label place) {
  return place.kind == LABEL_ROOT && strcmp((const char *)place.place, "[resurrected]") == 0;
}

static void compare_edge(void *context, label place, int is_key, uint32_t to) {
  told_edges *told = context;
  (void)is_key;
  if (!CHECK(to < told->g->node_count && told->g->successors[told->at] == to,
             "an edge to %u is told, not to %u", to, told->g->successors[told->at]))
    return;
  CHECK(!is_late_root(place) || tofinalize(graph_object(told->g, to)),
        "node %u is called resurrected and has no finalizer", to);
  told->reached[to] = 1;
  told->at++;
}

static size_t check_edges(const graph *g) {
  told_edges told = {g, 0, calloc(g->node_count, 1)};
  size_t bytes = 0, reached = 1;
  for (uint32_t node = 0; node < g->node_count && !check_failed(); node++) {
    bytes += graph_bytes(g, node);
    graph_each_edge(g, node, compare_edge, &told);
    CHECK(told.at == g->first[node + 1], "node %u has %u edges, %u are told", node,
          g->first[node + 1] - g->first[node], told.at - g->first[node]);
  }
  for (uint32_t node = 1; node < g->node_count; node++) reached += told.reached[node];
  CHECK(check_failed() || reached == g->node_count, "edges lead to %zu nodes of %u", reached,
        g->node_count);
  edges_told += told.at;
  free(told.reached);
  return bytes;
}

/* Its nodes are the live objects, each behind an edge, and its edges are told as it has them. */
static void check_graph(lua_State *L, const walk_books *books) {
  graph g;
  size_t bytes = books->kinds[KIND_STATE].bytes + books->kinds[KIND_STRING_TABLE].bytes;
  if (!CHECK(graph_build(L, books, graph_find_last, &g) == WALK_OK, "no memory")) return;
  bytes += check_edges(&g);
  graph_release(&g);
  CHECK(check_failed() || bytes == books->live_bytes, "the graph has %zu bytes, %zu are live",
        bytes, books->live_bytes);
  audit_marks(L);
}

/* ---- random programs ---- */

static void probe_books(heap *h, lua_State *L) {
  const global_State *g = G(L);
  if (check_failed()) return;
  walks_in_state[heap_is_generational(g)][g->gcstate]++;
  walks_in_parser += h->parsing > 0;
  walks_in_coroutine += L != g->mainthread;
  audit_claims claims = audit_blocks(h, L);
  blocks_claimed += claims.blocks;
  walk_books books = audit_walk(h, L, walks++);
  if (walks % GRAPH_EVERY == 0 && !check_failed()) check_graph(L, &books);
}

static void run_program(unsigned long seed) {
  heap h;
  heap_open(&h, (unsigned int)seed * 2654435761u);
  h.probe = probe_books;
  h.patience = check_setting("PATIENCE", PATIENCE);
  heap_stop_often(&h, 50 + seed * 37 % LONGEST_STOP_DISTANCE, seed);
  heap_run_program(&h, seed, STEPS);
  heap_call_probe(&h, h.L);
  heap_close(&h);
  if (check_failed()) check_note("the program of seed %lu", seed);
}

static void test_random_programs(void) {
  unsigned long programs = check_setting("PROGRAMS", 1000), first = check_setting("SEED", 1);
  for (unsigned long seed = first; seed < first + programs && !check_failed(); seed++)
    run_program(seed);
  check_note("%lu programs, %lu walks, %lu blocks claimed; %lu in a parser, %lu in a coroutine; "
             "%lu edges told",
             programs, walks, blocks_claimed, walks_in_parser, walks_in_coroutine, edges_told);
  CHECK(walks_in_parser > 0 && walks_in_coroutine > 0, "no walk in a parser or a coroutine");
  CHECK(loans_open() == 0, "%zu loans were not returned", loans_open());
}

static void test_states(void) {
  for (int state = 0; state < HEAP_GC_STATES; state++) {
    if (!heap_gc_state_is_visible(state)) continue;
    check_note("walks in state '%s': %lu incremental, %lu generational", heap_gc_state_name(state),
               walks_in_state[0][state], walks_in_state[1][state]);
    CHECK(walks_in_state[0][state] > 0, "no walk in state '%s'", heap_gc_state_name(state));
  }
  CHECK(LAYOUT_LUA_VERSION == 503 || walks_in_state[1][GCSpropagate] > 0,
        "no walk in the generational mode");
}

static void test_new_state(void) {
  heap h;
  heap_open(&h, 0);
  audit_blocks(&h, h.L);
  audit_walk(&h, h.L, 1);
  heap_close(&h);
}

/* The parser's own buffers are in nobody's books while it reads: they alone. */
typedef struct {
  const char *text;
  int pieces;
  size_t most_unclaimed;
} reading;

static const char *read_piece(lua_State *L, void *context, size_t *length) {
  reading *r = context;
  heap *h = heap_of(L);
  audit_claims claims = audit_blocks(h, L);
  walk_books books = audit_walk(h, L, 0);
  CHECK(books.unaccounted == (ptrdiff_t)claims.unclaimed_bytes,
        "%td bytes unaccounted for, not %zu", books.unaccounted, claims.unclaimed_bytes);
  if (claims.unclaimed_bytes > r->most_unclaimed) r->most_unclaimed = claims.unclaimed_bytes;
  r->pieces++;
  *length = *r->text != '\0';
  return *length ? r->text++ : NULL;
}

static void test_parser(void) {
  heap h;
  reading r = {"local a, b = 'text', {} goto done ::done:: return function() return a, b end", 0,
               0};
  heap_open(&h, 0);
  h.parsing = 1;
  CHECK(lua_load(h.L, read_piece, &r, "=pieces", "t") == LUA_OK, "%s", lua_tostring(h.L, -1));
  h.parsing = 0;
  CHECK(r.most_unclaimed > 0 && r.pieces > 50, "no buffer of the parser was seen");
  audit_blocks(&h, h.L);
  audit_walk(&h, h.L, 0);
  heap_close(&h);
}

static int build_buffer(lua_State *L) {
  heap *h = heap_of(L);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  size_t lua_bytes = 0;
  for (int i = 0; i < 20000; i++) luaL_addchar(&buffer, 'x');
  walk_books books = audit_walk(h, L, 0);
  lua_bytes = books.lua_bytes;
  audit_blocks(h, L);
  CHECK(h->blocks.bytes >= lua_bytes + 20000, "the buffer is not off the books");
  luaL_pushresult(&buffer);
  return 0;
}

static void test_buffers(void) {
  heap h;
  heap_open(&h, 0);
  lua_pushcfunction(h.L, build_buffer);
  CHECK(lua_pcall(h.L, 0, 0, 0) == LUA_OK, "%s", lua_tostring(h.L, -1));
  heap_close(&h);
}

static void test_call_infos(void) {
  heap h;
  heap_open(&h, 0);
  heap_run(&h, "pcall(function() local function down() return 1 + down() end down() end)");
  audit_blocks(&h, h.L);
  audit_walk(&h, h.L, 0);
  heap_close(&h);
}

/* Lua leaves such a coroutine to the collector with half of its fields unset. */
static void test_thread_without_stack(void) {
  heap h;
  heap_open(&h, 0);
  heap_run(&h, "function create() return coroutine.create(print) end");
  lua_getglobal(h.L, "create");
  recorder_fail(&h.blocks, 2, ULONG_MAX); /* the first is the coroutine itself */
  int status = lua_pcall(h.L, 0, 1, 0);
  recorder_fail(&h.blocks, 0, 0);
  CHECK(status == LUA_ERRMEM, "the coroutine was made");
  audit_blocks(&h, h.L);
  walk_books books = audit_walk(&h, h.L, 0);
  CHECK(books.garbage.bytes >= sizeof(lua_State), "no coroutine was left behind");
  heap_close(&h);
}

static const test tests[] = {
    {"a new state has no byte that nobody claims", test_new_state},
    {"a parser that reads has its buffers off the books, and nothing else", test_parser},
    {"a luaL_Buffer's box is found where it lies, off the books", test_buffers},
    {"two hundred thousand call infos are all counted", test_call_infos},
    {"a coroutine that found no memory for its stack is a block alone", test_thread_without_stack},
    {"every block is claimed once, and the graph has all that lives, in random programs",
     test_random_programs},
    {"there was a walk in every state of the collector that a program can see", test_states},
};
CHECK_MAIN(tests)
