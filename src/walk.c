/* The first pass. It is one unit, since its loops are worth inlining; its parts stand in the files
** that are included here: the queue, what references lead to, weak tables, the visit of an object,
** and the loops that most of the time is spent in. Here: levels, roots, and the walks made of
** them. */
#include "walk.h"

#include "gray.h"

/* This unit is compiled for speed; most of it need not be. */
#if defined(__clang__)
#define SMALL_CODE_BEGINS                                                                          \
  _Pragma("clang attribute push(__attribute__((minsize)), apply_to = function)")
#define SMALL_CODE_ENDS _Pragma("clang attribute pop")
#else
#define SMALL_CODE_BEGINS
#define SMALL_CODE_ENDS
#endif

SMALL_CODE_BEGINS
#include "walk_visit.h"
SMALL_CODE_ENDS

#include "walk_loops.h"

SMALL_CODE_BEGINS

/* ---- levels ---- */

static void visit_next(walker *w) {
  GCObject *object = pop(w);
  int role = role_of(object);
  w->level_left--;
  if (role == TO_VISIT) {
    visit_queued(w, object, TO_VISIT);
    return;
  }
  if (!w->strict || role != CONDEMNED) clear_role(object);
  if (role >= TO_VISIT_WITH_NODE) {
    visit_queued(w, object, role);
  } else if (role == TO_REVISIT) {
    w->node = TREE_NONE;
    revisit(w, object, layout_weakness(w->g, gco2t(object)), 0);
  } else {
    enter_owner(w, object, role - FIRST_SEPARATOR);
  }
}

static void enter_owners(walker *w, GCObject *const *objects, int last_depth) {
  for (int depth = 0; depth <= last_depth; depth++) enter_owner(w, objects[depth], depth);
}

static void start_level(walker *w) {
  GCObject *first[DEEPEST_OWNER + 1]; /* entering an owner may note others */
  int first_depth = w->first_depth, stays = stays_with_owners(w);
  memcpy(first, w->first, sizeof first);
  w->level++;
  w->level_left = w->next_level_work + w->next_level_other;
  begin_next_level(w);
  if (stays)
    see_lines_below(w);
  else
    enter_owners(w, first, first_depth);
}

static void visit_level(walker *w) {
  start_level(w);
  while (w->level_left > 0)
    if (layout_is_unremarkable(w->head) && !w->watched)
      visit_plain_run(w);
    else
      visit_next(w);
  charge_found(w);
  if (w->next_level_work + w->next_level_other + w->parked == 0)
    begin_next_level(w); /* after the last of a list */
}

/* One round over the parked tables, which are alone in the queue. True if it found work: something
** that is queued now, or a userdata that can't be queued but may be a key. */
static int visit_parked(walker *w, int parked_work) {
  size_t userdata_count = w->kinds[KIND_USERDATA].count;
  w->parked_work = parked_work;
  visit_level(w);
  w->parked_work = MARKING;
  return w->next_level_work > 0 || w->kinds[KIND_USERDATA].count > userdata_count;
}

static void visit_all(walker *w) {
  do
    while (w->next_level_work > 0) visit_level(w);
  while (w->parked > 0 && visit_parked(w, CONVERGING));
}

/* ---- roots ---- */

static root *open_root(walker *w, int index, GCObject *object, const char *name) {
  root *r = &w->roots[index];
  r->separator.tt = LUA_TTABLE;
  r->object = object;
  r->node = tree_add_root(w->t, object, LABEL_ROOT, (uintptr_t)name, 0);
  owner entered = {obj2gco(&r->separator), r->node, 1};
  set_owner(w, 0, &entered);
  w->node = has_lines_below(w, r->node) ? r->node : TREE_NONE;
  w->in_hand = NULL;
  return r;
}

static void close_root(walker *w) {
  charge_found(w);
  visit_all(w);
}

static void walk_root_object(walker *w, int index, GCObject *object, const char *name) {
  if (object == NULL || is_marked(object)) return;
  const root *r = open_root(w, index, object, name); /* first: a root is its own holder */
  size_t own_bytes = claim_new(w, object);
  w->t->nodes[r->node].own_bytes = own_bytes;
  visit_references(w, object, 1);
  close_root(w);
}

static void walk_type_metatables(walker *w) {
  static const char *const names[LUA_NUMTAGS] = {"nil",      "boolean",  "lightuserdata",
                                                 "number",   "string",   "table",
                                                 "function", "userdata", "thread"};
  open_root(w, ROOT_METATABLES, NULL, root_names[ROOT_METATABLES]);
  for (int i = 0; i < LUA_NUMTAGS; i++)
    if (w->g->mt[i]) visit(w, LABEL_ROOT, (uintptr_t)names[i], NULL, obj2gco(w->g->mt[i]));
  close_root(w);
}

/* What something else keeps is not resurrected: the numbers are those of the graph's roots. */
static void walk_object_list(walker *w, int root, GCObject *list) {
  open_root(w, root, NULL, root_names[root]);
  uintptr_t index = 0;
  for (GCObject *o = list; o; o = o->next)
    if (root != ROOT_RESURRECTED || !is_marked(o)) visit(w, LABEL_INDEX, ++index, NULL, o);
  close_root(w);
}

/* Values of table entries and slots are told with their place; these are cells' alone, and an
** entry of the root each. */
static void visit_touched(void *context, label_kind kind, uintptr_t place, GCObject *key,
                          GCObject *value) {
  (void)kind, (void)place, (void)key;
  visit(context, LABEL_INDEX, 1, NULL, value);
}

static void walk_touched_upvalues(walker *w) {
  open_root(w, ROOT_TOUCHED, NULL, root_names[ROOT_TOUCHED]);
  layout_each_touched_upvalue(w->g, visit_touched, w);
  close_root(w);
}

static void walk_main_roots(walker *w) {
  if (w->blocked == NULL || w->blocked != walk_registry(w->L)) /* who else holds the globals? */
    walk_root_object(w, ROOT_GLOBALS, walk_globals(w->L), root_names[ROOT_GLOBALS]);
  GCObject *main_thread = obj2gco(w->g->mainthread);
  lu_byte was_marked = main_thread->marked & LAYOUT_MARK_BIT;
  main_thread->marked |= LAYOUT_MARK_BIT; /* a root, although the registry holds it as well */
  walk_root_object(w, ROOT_REGISTRY, walk_registry(w->L), root_names[ROOT_REGISTRY]);
  if (!was_marked) main_thread->marked &= (lu_byte)~LAYOUT_MARK_BIT;
  walk_root_object(w, ROOT_MAIN_THREAD, main_thread, root_names[ROOT_MAIN_THREAD]);
  walk_root_object(w, ROOT_COROUTINE, obj2gco(w->L), root_names[ROOT_COROUTINE]);
  walk_type_metatables(w);
  walk_object_list(w, ROOT_FINALIZERS, w->g->tobefnz);
  if (!w->strict) walk_touched_upvalues(w);
  visit_parked(w, SETTLING);
}

static void walk_resurrected(walker *w) {
  w->finalizing = 1;
  walk_object_list(w, ROOT_RESURRECTED, w->g->finobj);
  visit_parked(w, SETTLING);
}

/* The state block with the strings that the machine keeps for ever, and the string table. */
static void add_runtime(walker *w) {
  size_t state_bytes = layout_state_bytes();
  size_t table_bytes = layout_string_table_bytes(w->g);
  tally(w, KIND_STATE, state_bytes);
  tally(w, KIND_STRING_TABLE, table_bytes);
  for (GCObject *o = w->g->fixedgc; o; o = o->next) state_bytes += claim(w, o);
  tree_add_root(w->t, NULL, LABEL_ROOT, (uintptr_t)"[state]", state_bytes);
  tree_add_root(w->t, NULL, LABEL_ROOT, (uintptr_t)"[string table]", table_bytes);
}

/* ---- whole walks ---- */

static void start_walk(walker *w, lua_State *L, tree *t) {
  memset(w, 0, offsetof(walker, gray));
  w->L = L;
  w->g = G(L);
  w->t = t;
  begin_next_level(w);
  w->folded_below = w->unlinked = TREE_NONE;
  w->end = &w->head;
}

static void leave_queue(walker *w) {
  while (w->head) clear_role(pop(w));
  begin_next_level(w);
}

static size_t live_bytes(const walker *w) {
  size_t bytes = 0;
  for (int i = 0; i < KIND_COUNT; i++) bytes += w->kinds[i].bytes;
  return bytes;
}

static walk_status begin_walk(walker *w, lua_State *L, tree *t) {
  if (!gray_save(G(L), &w->gray)) return WALK_NO_MEMORY;
  start_walk(w, L, t);
  return WALK_OK;
}

static void read_met(const walker *w, walk_books *books) {
  memcpy(books->kinds, w->kinds, sizeof books->kinds);
  books->live_bytes = live_bytes(w);
}

/* `books`, if wanted, are those of a walk that marked all that lives. */
static walk_status end_walk(walker *w, walk_books *books) {
  leave_queue(w);
  walk_take_marks_back(w->g, books ? &books->garbage : NULL);
  gray_restore(&w->gray);
  if (books == NULL) return WALK_OK;
  read_met(w, books);
  books->lua_bytes = layout_total_bytes(w->g);
  books->unaccounted = (ptrdiff_t)(books->lua_bytes - books->live_bytes - books->garbage.bytes);
  return WALK_OK;
}

/* True when the tree, now that it knows everything, wants lines for other entries: then all marks
** and lines are taken back. */
static int starts_again(walker *w) {
  if (!tree_start_again(w->t)) return 0;
  leave_queue(w);
  walk_take_marks_back(w->g, NULL);
  start_walk(w, w->L, w->t);
  return 1;
}

walk_status walk_process(lua_State *L, tree *t, walk_books *books) {
  walker w;
  if (begin_walk(&w, L, t) != WALK_OK) return WALK_NO_MEMORY;
  do {
    walk_main_roots(&w);
    walk_resurrected(&w);
  } while (starts_again(&w));
  add_runtime(&w);
  return end_walk(&w, books);
}

/* ---- what one object holds ---- */

typedef struct {
  const GCObject *target;
  lu_byte mark; /* or 0: takes it back */
} blocking;

static void block(const blocking *b, GCObject *object) {
  if (object == NULL || object == b->target) return;
  object->marked = (lu_byte)((object->marked & ~LAYOUT_MARK_BIT) | b->mark);
}

static void block_value(void *context, label_kind kind, uintptr_t place, GCObject *key,
                        GCObject *value) {
  (void)kind, (void)place, (void)key;
  if (value && !layout_is_string(value)) block(context, value);
}

/* What has a name of its own is not part of what the target holds; but where the target is what
** gives the names, that is all it holds. */
static void block_named(walker *w, const GCObject *target, lu_byte mark) {
  blocking b = {target, mark};
  GCObject *globals = walk_globals(w->L), *registry = walk_registry(w->L);
  GCObject *loaded = walk_table_field(walk_table_field(globals, "package"), "loaded");
  if (globals && target != globals) {
    walk_each_entry(gco2t(globals), block_value, &b);
    if (loaded && target != loaded) walk_each_entry(gco2t(loaded), block_value, &b);
  }
  block(&b, globals);
  block(&b, registry);
  block(&b, obj2gco(w->g->mainthread));
}

/* What is a smaller share of a heap is found again faster than all objects are looked at. */
#define FEW_SHARE 4

walk_status walk_target(lua_State *L, GCObject *target, const char *name, tree *t,
                        walk_books *met) {
  walker w;
  if (begin_walk(&w, L, t) != WALK_OK) return WALK_NO_MEMORY;
  do {
    block_named(&w, target, LAYOUT_MARK_BIT);
    walk_root_object(&w, ROOT_GLOBALS, target, name);
    visit_parked(&w, SETTLING);
  } while (starts_again(&w));
  read_met(&w, met);
  if (met->live_bytes > layout_total_bytes(w.g) / FEW_SHARE) return end_walk(&w, NULL);
  leave_queue(&w);
  block_named(&w, target, 0); /* first: nothing beyond them was marked */
  walk_take_marks_back_from(target);
  gray_restore(&w.gray);
  return WALK_OK;
}

walk_status walk_read_books(lua_State *L, GCObject *target, walk_books *books) {
  tree t;
  uint64_t room[TREE_ROOM(FEWEST_NODES, 0)];
  tree_init_bounded(&t, room, FEWEST_NODES, 0, 0);
  return target ? walk_target(L, target, "", &t, books) : walk_process(L, &t, books);
}

/* ---- what goes with an object ---- */

typedef struct {
  walker w;
  tree t;
  uint64_t room[TREE_ROOM(FEWEST_NODES, 0)];
  GCObject *object;
  int condemned; /* there are condemned values */
} retention;

static void mark_without(retention *r, lua_State *L) {
  tree_init_bounded(&r->t, r->room, FEWEST_NODES, 0, 0);
  start_walk(&r->w, L, &r->t);
  r->w.keep_parked = r->w.strict = 1;
  r->w.blocked = r->object;
  if (r->object) r->object->marked |= LAYOUT_MARK_BIT;
  walk_main_roots(&r->w);
  add_runtime(&r->w);
}

static void mark_with(retention *r) {
  r->object->marked &= (lu_byte)~LAYOUT_MARK_BIT;
  r->w.blocked = NULL;
  walk_root_object(&r->w, ROOT_BLOCKED, r->object, "");
  visit_parked(&r->w, SETTLING);
}

/* True when keys lived that must not: then all marks are taken back, for another walk. */
static int condemns(retention *r) {
  r->w.condemned = 0;
  visit_parked(&r->w, CONDEMNING);
  if (!r->w.condemned) return 0;
  r->condemned = 1;
  leave_queue(&r->w);
  walk_take_marks_back(r->w.g, NULL);
  return 1;
}

int walk_is_condemned(const GCObject *object) { return role_of(object) == CONDEMNED; }

static void pardon_object(void *context, GCObject *object) {
  (void)context;
  if (walk_is_condemned(object)) clear_role(object);
}
void walk_pardon(lua_State *L) { walk_each_object(L, pardon_object, NULL); }

static void pardon(retention *r) {
  if (r->condemned) walk_pardon(r->w.L);
  r->condemned = 0;
}

/* Marks what collections would leave, in the end, without the object (NULL: with all). */
static walk_status begin_without(retention *r, lua_State *L, GCObject *object) {
  if (begin_walk(&r->w, L, &r->t) != WALK_OK) return WALK_NO_MEMORY;
  r->object = object;
  r->condemned = 0;
  do mark_without(r, L);
  while (condemns(r));
  return WALK_OK;
}

walk_status walk_condemn(lua_State *L) {
  retention r;
  if (begin_without(&r, L, NULL) != WALK_OK) return WALK_NO_MEMORY;
  return end_walk(&r.w, NULL);
}

/* What the next collection leaves, for the books. */
static void mark_leniently(walker *w) {
  w->strict = 0;
  walk_touched_upvalues(w);
  w->keep_parked = 0;
  visit_parked(w, SETTLING);
  walk_resurrected(w);
}

walk_status walk_retained(lua_State *L, GCObject *object, size_t *retained_bytes,
                          walk_books *books) {
  retention r;
  if (begin_without(&r, L, object) != WALK_OK) return WALK_NO_MEMORY;
  size_t without_bytes = live_bytes(&r.w);
  pardon(&r);
  for (mark_with(&r); condemns(&r); mark_with(&r)) mark_without(&r, L);
  *retained_bytes = live_bytes(&r.w) - without_bytes;
  pardon(&r);
  if (books) mark_leniently(&r.w);
  return end_walk(&r.w, books);
}

walk_status walk_exclusive(lua_State *L, GCObject *target, size_t *bytes) {
  retention r;
  if (begin_without(&r, L, target) != WALK_OK) return WALK_NO_MEMORY;
  size_t without_bytes = live_bytes(&r.w);
  leave_queue(&r.w);
  pardon(&r);
  block_named(&r.w, target, LAYOUT_MARK_BIT);
  r.w.strict = r.w.keep_parked = 0;
  mark_with(&r);
  *bytes = live_bytes(&r.w) - without_bytes;
  return end_walk(&r.w, NULL);
}

walk_status walk_find_parent(lua_State *L, const GCObject *object, GCObject **parent,
                             const char **root) {
  walker w;
  tree t;
  uint64_t room[TREE_ROOM(FEWEST_NODES, 0)];
  tree_init_bounded(&t, room, FEWEST_NODES, 0, 0);
  if (begin_walk(&w, L, &t) != WALK_OK) return WALK_NO_MEMORY;
  w.watched = object;
  walk_main_roots(&w);
  walk_resurrected(&w);
  *parent = w.watched_parent;
  *root = w.watched_root;
  return end_walk(&w, NULL);
}

SMALL_CODE_ENDS
