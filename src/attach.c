#include "attach.h"

#include "attach_arena.h"
#include "attach_check.h"
#include "attach_graph.h"
#include "borrow.h"
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
static const lua_State *books_of; /* whose books those are; NULL: a target's, or nobody's */

static lua_State *state_at(uintptr_t address) { return (lua_State *)address; }
static GCObject *object_at(uintptr_t address) { return (GCObject *)address; }
static uint32_t limit_of(double number) {
  return number >= 0 && number < (double)UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* ---- life ---- */

ATTACH_EXPORT void attach_start(uintptr_t bytes, uintptr_t arena) {
  subject_bytes = bytes;
  books_of = NULL;
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

static walk_status read_books(lua_State *L, walk_books *into) {
  tree t;
  size_t room[TREE_MEMORY_BYTES(TREE_ROOTS, 0) / sizeof(size_t) + 1];
  tree_init_bounded(&t, room, TREE_ROOTS, 0, 0);
  return walk_process(L, &t, into);
}

ATTACH_EXPORT int attach_read_books(uintptr_t state) {
  books_of = NULL;
  if (read_books(state_at(state), &books) != WALK_OK) return ATTACH_NO_MEMORY;
  books_of = state_at(state);
  return ATTACH_SOUND;
}

int attach_know_books(uintptr_t state) {
  return books_of == state_at(state) || attach_read_books(state) == ATTACH_SOUND;
}

const walk_books *attach_the_books(void) { return &books; }

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
  books_of = NULL;
  if (target == NULL) return walk_process(L, &report.t, &books);
  walk_books met;
  walk_status status = walk_target(L, target, "", &report.t, &met);
  if (status == WALK_OK) memcpy(books.kinds, met.kinds, sizeof met.kinds);
  return status;
}

/* The books may be those of a target by now. */
static walk_status read_retained(lua_State *L) {
  walk_books all;
  walk_status status = read_books(L, &all);
  if (status != WALK_OK) return status;
  return retained_of_tree(L, &all, &report.t, &report.retained);
}

ATTACH_EXPORT int attach_profile(uintptr_t state, uintptr_t object, double depth, double children,
                                 double lines, int cycles, int retained) {
  lua_State *L = state_at(state);
  attach_end_profile();
  if (!make_tree(limit_of(depth), limit_of(lines), cycles)) return -1;
  walk_status status = walk_into(L, object ? object_at(object) : NULL);
  if (status == WALK_OK && retained) status = read_retained(L);
  report.lines = borrow(report.t.used * sizeof *report.lines);
  if (status != WALK_OK || report.t.failed || report.lines == NULL) {
    attach_end_profile();
    return -1;
  }
  report.order = tree_select(&report.t, limit_of(children), limit_of(lines), path_compare);
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
