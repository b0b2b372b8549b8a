#include "attach.h"

#include "attach_arena.h"
#include "attach_check.h"
#include "attach_graph.h"
#include "borrow.h"
#include "dominators.h"
#include "path.h"
#include "retained.h"
#include "tree.h"
#include "walk.h"

/* As many as a report from inside has room for: the same lines are folded (lua_functions.c). */
#define REPORT_NODES         512u
#define REPORT_CYCLES        32u
#define DEEPEST_BOUNDED_TREE 3u
#define DEFAULT_LINES        320u

static size_t subject_bytes;
static char text[ATTACH_TEXT_BYTES];
static check_problem problem;
static walk_books books;

static lua_State *state_at(uintptr_t address) { return (lua_State *)address; }
static GCObject *object_at(uintptr_t address) { return (GCObject *)address; }
static uint32_t limit_of(double number) {
  return number >= 0 && number < (double)UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* ---- life ---- */

ATTACH_EXPORT void attach_start(uintptr_t bytes, uintptr_t arena) {
  subject_bytes = bytes;
  arena_start(arena);
}
ATTACH_EXPORT uintptr_t attach_text(void) { return (uintptr_t)text; }
ATTACH_EXPORT double attach_peak_bytes(void) { return arena_peak_bytes(); }

/* ---- finding a state ---- */

ATTACH_EXPORT uintptr_t attach_find_state(uintptr_t from) {
  return check_find_state(from, subject_bytes);
}
ATTACH_EXPORT int attach_check(uintptr_t state) {
  check_state(state_at(state), subject_bytes, &problem);
  return problem.verdict;
}
ATTACH_EXPORT int attach_last_verdict(void) { return problem.verdict; }
ATTACH_EXPORT uintptr_t attach_problem_address(void) { return problem.address; }
ATTACH_EXPORT double attach_problem_value(void) { return problem.value; }

/* ---- books ---- */

ATTACH_EXPORT int attach_read_books(uintptr_t state) {
  tree t;
  size_t room[TREE_MEMORY_BYTES(TREE_ROOTS, 0) / sizeof(size_t) + 1];
  tree_init_bounded(&t, room, TREE_ROOTS, 0, 0);
  return walk_process(state_at(state), &t, &books) == WALK_OK ? ATTACH_SOUND : ATTACH_NO_MEMORY;
}

ATTACH_EXPORT double attach_book(int which) {
  switch (which) {
  case 0: return (double)books.lua_bytes;
  case 1: return (double)books.live_bytes;
  case 2: return (double)books.garbage.bytes;
  case 3: return (double)books.garbage.count;
  case 4: return (double)books.unaccounted;
  default: break;
  }
  int kind = (which - 8) / 2;
  if (kind < 0 || kind >= KIND_COUNT) return -1;
  return (double)(which % 2 == 0 ? books.kinds[kind].count : books.kinds[kind].bytes);
}

/* ---- reports ---- */

static struct {
  tree t;
  void *room; /* of a bounded tree */
  const uint32_t *order;
  uint32_t *lines; /* of nodes */
  size_t *retained;
} report;

ATTACH_EXPORT void attach_end_profile(void) {
  borrow_return(report.lines);
  borrow_return(report.retained);
  tree_release(&report.t);
  borrow_return(report.room);
  memset(&report, 0, sizeof report);
}

static int make_tree(uint32_t depth, uint32_t lines, int cycles) {
  if (depth > DEEPEST_BOUNDED_TREE || lines > DEFAULT_LINES)
    return tree_init_growing(&report.t, depth);
  uint32_t cycle_room = cycles ? REPORT_CYCLES : 0;
  report.room = borrow(tree_memory_bytes(REPORT_NODES, cycle_room));
  if (report.room == NULL) return 0;
  tree_init_bounded(&report.t, report.room, REPORT_NODES, cycle_room, depth);
  return 1;
}

static walk_status walk_into(lua_State *L, GCObject *target) {
  if (target == NULL) return walk_process(L, &report.t, &books);
  kind_tally kinds[KIND_COUNT];
  walk_status status = walk_target(L, target, "", &report.t, kinds);
  if (status == WALK_OK) memcpy(books.kinds, kinds, sizeof kinds);
  return status;
}

ATTACH_EXPORT int attach_profile(uintptr_t state, uintptr_t object, double depth, double children,
                                 double lines, int cycles, int retained) {
  lua_State *L = state_at(state);
  attach_end_profile();
  if (!make_tree(limit_of(depth), limit_of(lines), cycles)) return -1;
  walk_status status = walk_into(L, object ? object_at(object) : NULL);
  if (status == WALK_OK && retained) status = retained_of_tree(L, &report.t, &report.retained);
  report.lines = borrow(report.t.used * sizeof *report.lines);
  if (status != WALK_OK || report.t.failed || report.lines == NULL) {
    attach_end_profile();
    return -1;
  }
  report.order = tree_select(&report.t, limit_of(children), limit_of(lines), path_compare, NULL);
  for (uint32_t i = 0; i < report.t.count; i++) report.lines[report.order[i]] = i;
  return (int)report.t.count;
}

ATTACH_EXPORT double attach_line(uint32_t line, int which) {
  uint32_t node = report.order[line];
  const tree_node *n = &report.t.nodes[node];
  switch (which) {
  case 0: return n->parent == TREE_NONE ? -1 : (double)report.lines[n->parent];
  case 1: return (double)n->own_bytes;
  case 2: return (double)n->below_bytes;
  case 3: return (double)n->folded_bytes;
  case 4: return (double)n->folded_count;
  case 5: return (double)n->total_bytes;
  case 6: return report.retained ? (double)report.retained[node] : -1;
  case 7: return (double)(uintptr_t)n->object;
  case 8: return (double)n->depth;
  default: return -1;
  }
}

ATTACH_EXPORT uint32_t attach_line_label(uint32_t line) {
  const tree_node *n = &report.t.nodes[report.order[line]];
  const GCObject *from = n->parent == TREE_NONE ? NULL : report.t.nodes[n->parent].object;
  return (uint32_t)path_label(text, make_label((label_kind)n->label_kind, n->place), from);
}

ATTACH_EXPORT uint32_t attach_cycle_count(void) { return report.t.cycle_count; }
ATTACH_EXPORT double attach_cycles_dropped(void) { return (double)report.t.cycles_dropped; }
ATTACH_EXPORT uint32_t attach_cycle(uint32_t cycle, int which) {
  const tree_cycle *c = &report.t.cycles[cycle];
  return report.lines[which == 0 ? c->from : c->to];
}
ATTACH_EXPORT uint32_t attach_cycle_label(uint32_t cycle) {
  const tree_cycle *c = &report.t.cycles[cycle];
  return (uint32_t)path_label(text, make_label((label_kind)c->label_kind, c->place),
                              report.t.nodes[c->from].object);
}

ATTACH_EXPORT double attach_retained(uintptr_t state, uintptr_t object) {
  size_t bytes;
  walk_books unused;
  if (walk_retained(state_at(state), object_at(object), &bytes, &unused) != WALK_OK) return -1;
  return (double)bytes;
}

/* ---- the graph ---- */

static attached_graph whole;

const attached_graph *attach_the_graph(void) { return &whole; }
const walk_books *attach_the_books(void) { return &books; }

ATTACH_EXPORT void attach_end_graph(void) {
  borrow_return(whole.kinds);
  borrow_return(whole.own);
  borrow_return(whole.dominators);
  borrow_return(whole.retained);
  if (whole.is_there) graph_release(&whole.g);
  memset(&whole, 0, sizeof whole);
}

static uint8_t kind_of_node(uint32_t node) {
  GCObject *object = node == 0 ? NULL : graph_object(&whole.g, node);
  if (object) return (uint8_t)layout_kind(object);
  return node == 0 ? KIND_STATE : KIND_UPVALUE;
}

/* Own bytes in both arrays; then `sums` become retained bytes, and doubles in the same place. */
static int sum_nodes(void) {
  const graph *g = &whole.g;
  size_t *sums = (size_t *)whole.retained;
  dominators_graph input = {g->first, g->successors, g->node_count};
  for (uint32_t node = 0; node < g->node_count; node++)
    whole.own[node] = (uint32_t)(sums[node] = graph_bytes(g, node));
  if (!dominators_sum(&input, sums, whole.dominators)) return 0;
  for (uint32_t node = g->node_count; node-- > 0;) whole.retained[node] = (double)sums[node];
  return 1;
}

static uint32_t count_nodes(void) {
  size_t count = 1;
  for (int kind = 0; kind < KIND_STATE; kind++) count += books.kinds[kind].count;
  return (uint32_t)count;
}

ATTACH_EXPORT double attach_graph(uintptr_t state) {
  attach_end_profile();
  attach_end_graph();
  if (attach_read_books(state) != ATTACH_SOUND) return -1;
  if (graph_build(state_at(state), count_nodes(), &whole.g) != WALK_OK) return -1;
  whole.is_there = 1;
  size_t count = whole.g.node_count;
  whole.retained = borrow(count * sizeof(double));
  whole.dominators = borrow(count * sizeof(uint32_t));
  whole.own = borrow(count * sizeof(uint32_t));
  whole.kinds = borrow(count);
  if (!(whole.retained && whole.dominators && whole.own && whole.kinds) || !sum_nodes()) {
    attach_end_graph();
    return -1;
  }
  for (uint32_t node = 0; node < count; node++) whole.kinds[node] = kind_of_node(node);
  return (double)count;
}

ATTACH_EXPORT uintptr_t attach_graph_array(int which) {
  const void *const arrays[] = {whole.g.places,     whole.g.parents,  whole.g.first,
                                whole.g.successors, whole.dominators, whole.own,
                                whole.retained,     whole.kinds};
  return (uintptr_t)arrays[which];
}

ATTACH_EXPORT uint32_t attach_node_of(uintptr_t object) {
  return graph_find(&whole.g, object_at(object));
}
ATTACH_EXPORT uintptr_t attach_object_of(uint32_t node) {
  if (node == 0) return 0;
  GCObject *object = graph_object(&whole.g, node);
  return object ? (uintptr_t)object : (uintptr_t)graph_cell(&whole.g, node);
}

ATTACH_EXPORT uint32_t attach_node_text(uint32_t node) {
  const GCObject *object = node == 0 ? NULL : graph_object(&whole.g, node);
  if (object == NULL) return 0;
  if (layout_is_string(object)) {
    const TString *string = gco2ts((GCObject *)object);
    size_t length = tsslen(string) < ATTACH_LONGEST_STRING ? tsslen(string) : ATTACH_LONGEST_STRING;
    memcpy(text, getstr(string), length);
    return (uint32_t)length;
  }
  const Proto *proto = layout_kind(object) == KIND_PROTO ? gco2p((GCObject *)object) : NULL;
  if (layout_is_lua_function(object)) proto = gco2lcl((GCObject *)object)->p;
  return proto ? (uint32_t)path_label(text, make_label(LABEL_PROTO, (uintptr_t)proto), NULL) : 0;
}

/* ---- labels ---- */

typedef struct {
  uint32_t from, to; /* `to`: GRAPH_NONE where the label is looked for */
  const char *name;
  size_t name_bytes;
  size_t found_bytes;
  char label[PATH_LABEL_BYTES];
} label_search;

static size_t label_text(char out[PATH_LABEL_BYTES], uint32_t from, label place) {
  if (place.kind == LABEL_UNKNOWN) {
    static const char of_weak_key[] = "[value of weak key]";
    memcpy(out, of_weak_key, sizeof of_weak_key);
    return sizeof of_weak_key - 1;
  }
  return path_label(out, place, from == 0 ? NULL : graph_object(&whole.g, from));
}

static void match_target(void *context, label place, int is_key, uint32_t to) {
  label_search *search = context;
  if (to != search->to || search->found_bytes) return;
  search->found_bytes = label_text(search->label, search->from, place);
  if (is_key) {
    memcpy(search->label + search->found_bytes, " (key)", 6);
    search->found_bytes += 6;
  }
}

static void match_name(void *context, label place, int is_key, uint32_t to) {
  label_search *search = context;
  if (is_key || search->to != GRAPH_NONE) return;
  size_t bytes = label_text(search->label, search->from, place);
  if (bytes == search->name_bytes && memcmp(search->label, search->name, bytes) == 0)
    search->to = to;
}

ATTACH_EXPORT uint32_t attach_label(uint32_t from, uint32_t to) {
  label_search search;
  search.from = from;
  search.to = to;
  search.found_bytes = 0;
  graph_each_edge(&whole.g, from, match_target, &search);
  memcpy(text, search.label, search.found_bytes);
  return (uint32_t)search.found_bytes;
}

ATTACH_EXPORT uint32_t attach_path_label(uint32_t node) {
  uint32_t parent = whole.g.parents[node];
  if (parent != 0) return attach_label(parent, node);
  const char *name = graph_root_name(&whole.g, node);
  size_t bytes = name ? strlen(name) : 0;
  memcpy(text, name, bytes);
  return (uint32_t)bytes;
}

ATTACH_EXPORT uint32_t attach_follow(uint32_t from, uint32_t bytes) {
  label_search search;
  char name[PATH_LABEL_BYTES];
  if (bytes > sizeof name) return GRAPH_NONE;
  memcpy(name, text, bytes);
  search.from = from;
  search.to = GRAPH_NONE;
  search.name = name;
  search.name_bytes = bytes;
  graph_each_edge(&whole.g, from, match_name, &search);
  return search.to;
}
