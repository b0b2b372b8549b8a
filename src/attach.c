#include "attach.h"

#include "attach_arena.h"
#include "attach_books.h"
#include "attach_check.h"
#include "borrow.h"
#include "path.h"
#include "retained.h"
#include "tree.h"
#include "walk.h"

static size_t subject_bytes;
static char text[ATTACH_TEXT_BYTES];
static check_problem problem;
static walk_books books;
static const lua_State *books_of; /* whose books those are; NULL: nobody's */
static checked_blocks blocks;
static const lua_State *blocks_of; /* the same of the blocks */
static graph standing;             /* in the place of links; nodes or none */

static lua_State *state_at(uintptr_t address) { return (lua_State *)address; }
static GCObject *object_at(uintptr_t address) { return (GCObject *)address; }
static uint32_t limit_of(double number) {
  return number >= 0 && number < (double)UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* ---- life ---- */

ATTACH_EXPORT void attach_start(uintptr_t bytes, uintptr_t arena) {
  subject_bytes = bytes;
  books_of = blocks_of = NULL;
  memset(&standing, 0, sizeof standing);
  arena_start(arena);
}
ATTACH_EXPORT uintptr_t attach_text(void) { return (uintptr_t)text; }
ATTACH_EXPORT double attach_peak_bytes(void) { return arena_peak_bytes(); }
void attach_settle(void) { graph_release(&standing); }
void attach_settle_list(GCObject *list) {
  for (; list; list = list->next) graph_restore(&standing, list);
}

/* ---- finding a state ---- */

ATTACH_EXPORT uintptr_t attach_find_state(uintptr_t from) {
  return check_find_state(from, subject_bytes);
}
ATTACH_EXPORT int attach_check(uintptr_t state) {
  attach_settle();
  if (blocks_of) borrow_return(blocks.begins);
  blocks_of = NULL;
  check_state(state_at(state), subject_bytes, &problem, &blocks);
  if (problem.verdict == ATTACH_SOUND) blocks_of = state_at(state);
  return problem.verdict;
}
const checked_blocks *attach_know_blocks(lua_State *L) {
  if (blocks_of != L) attach_check((uintptr_t)L);
  return blocks_of ? &blocks : NULL;
}
ATTACH_EXPORT int attach_last_verdict(void) { return problem.verdict; }
ATTACH_EXPORT uintptr_t attach_problem_address(void) { return problem.address; }
ATTACH_EXPORT double attach_problem_value(void) { return problem.value; }

/* ---- books ---- */

/* What everything is walked for tells the books as well. */
static walk_status walk_everything(lua_State *L, tree *t) {
  walk_status status = walk_process(L, t, &books);
  books_of = status == WALK_OK ? L : NULL;
  return status;
}

const walk_books *attach_know_books(lua_State *L) {
  if (books_of != L) books_of = walk_read_books(L, NULL, &books) == WALK_OK ? L : NULL;
  return books_of ? &books : NULL;
}

ATTACH_EXPORT int attach_read_books(uintptr_t state) {
  return attach_know_books(state_at(state)) ? ATTACH_SOUND : ATTACH_NO_MEMORY;
}

ATTACH_EXPORT double attach_book(int which) {
  switch (which) {
  case ATTACH_BOOK_LUA: return (double)books.lua_bytes;
  case ATTACH_BOOK_LIVE: return (double)books.live_bytes;
  case ATTACH_BOOK_GARBAGE: return (double)books.garbage.bytes;
  case ATTACH_BOOK_GARBAGE_COUNT: return (double)books.garbage.count;
  case ATTACH_BOOK_UNACCOUNTED: return (double)books.unaccounted;
  default: break;
  }
  int kind = (which - ATTACH_BOOK_KINDS) / 2;
  if (kind < 0 || kind >= KIND_COUNT) return -1;
  return (double)(which % 2 == 0 ? books.kinds[kind].count : books.kinds[kind].bytes);
}

/* ---- reports ---- */

static struct {
  tree t;
  kind_tally met[KIND_COUNT];
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
  if (depth > TREE_REPORT_DEPTH || lines > TREE_REPORT_LINES)
    return tree_init_growing(&report.t, depth);
  uint32_t cycle_room = cycles ? TREE_REPORT_CYCLES : 0;
  report.room = borrow(tree_memory_bytes(TREE_REPORT_NODES, cycle_room));
  if (report.room == NULL) return 0;
  tree_init_bounded(&report.t, report.room, TREE_REPORT_NODES, cycle_room, depth);
  return 1;
}

static walk_status walk_into(lua_State *L, GCObject *target) {
  walk_books met;
  walk_status status =
      target ? walk_target(L, target, "", &report.t, &met) : walk_everything(L, &report.t);
  memcpy(report.met, target ? met.kinds : books.kinds, sizeof report.met);
  return status;
}

static walk_status read_retained(lua_State *L) {
  const walk_books *all = attach_know_books(L);
  return all ? retained_with_graph(L, all, &report.t, &standing, &report.retained) : WALK_NO_MEMORY;
}

ATTACH_EXPORT int attach_profile(uintptr_t state, uintptr_t object, double depth, double children,
                                 double lines, int cycles, int retained) {
  lua_State *L = state_at(state);
  attach_end_profile();
  attach_settle();
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
  case ATTACH_LINE_PARENT: return n->parent == TREE_NONE ? -1 : (double)report.lines[n->parent];
  case ATTACH_LINE_OWN: return (double)n->own_bytes;
  case ATTACH_LINE_BELOW: return (double)n->below_bytes;
  case ATTACH_LINE_FOLDED: return (double)n->folded_bytes;
  case ATTACH_LINE_FOLDED_COUNT: return (double)n->folded_count;
  case ATTACH_LINE_TOTAL: return (double)n->total_bytes;
  case ATTACH_LINE_RETAINED: return report.retained ? (double)report.retained[node] : -1;
  case ATTACH_LINE_OBJECT: return (double)(uintptr_t)n->object;
  case ATTACH_LINE_DEPTH: return (double)n->depth;
  default: return -1;
  }
}

ATTACH_EXPORT uint32_t attach_line_label(uint32_t line) {
  return (uint32_t)path_node_label(text, &report.t, report.order[line]);
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

ATTACH_EXPORT double attach_met(int kind, int which) {
  const kind_tally *met = &report.met[kind];
  return (double)(which == 0 ? met->count : met->bytes);
}

ATTACH_EXPORT double attach_exclusive(uintptr_t state, uintptr_t object) {
  size_t bytes;
  attach_settle();
  if (walk_exclusive(state_at(state), object_at(object), &bytes) != WALK_OK) return -1;
  return (double)bytes;
}

ATTACH_EXPORT double attach_retained(uintptr_t state, uintptr_t object) {
  size_t bytes;
  attach_settle();
  if (walk_retained(state_at(state), object_at(object), &bytes, NULL) != WALK_OK) return -1;
  return (double)bytes;
}
