#include "walk.h"

#include "gray.h"

enum {
  ROOT_GLOBALS,
  ROOT_REGISTRY,
  ROOT_MAIN_THREAD,
  ROOT_COROUTINE,
  ROOT_METATABLES,
  ROOT_FINALIZERS,
  ROOT_TOUCHED,
  ROOT_RESURRECTED,
  ROOT_BLOCKED, /* of `walk_retained`: no line of any report */
  ROOT_COUNT
};
static const char *const root_names[ROOT_COUNT] = {"_G",
                                                   "[registry]",
                                                   "[main thread]",
                                                   "[running coroutine]",
                                                   "[type metatables]",
                                                   "[finalizers]",
                                                   "[touched upvalues]",
                                                   "[resurrected]",
                                                   ""};

#define FEW_SLOTS     16u /* of a weak table's array, or of its hash */
#define MANY_LEVELS   64u
#define MANY_LOOKS    16u /* through a table for the labels of its children */
#define DEEPEST_OWNER 3   /* of a bounded tree; a growing one needs a single owner */
/* This file is compiled for speed; most of it need not be. */
#if defined(__clang__)
#define SMALL_CODE_BEGINS                                                                          \
  _Pragma("clang attribute push(__attribute__((minsize)), apply_to = function)")
#define SMALL_CODE_ENDS _Pragma("clang attribute pop")
#else
#define SMALL_CODE_BEGINS
#define SMALL_CODE_ENDS
#endif
SMALL_CODE_BEGINS

/* Labels whose entries share one line: constants, sources, names. */
#define FIRST_SHARED_LABEL LABEL_CONSTANT
#define SHARED_LABELS      3

/* The tree of the walk reaches the owners up to here; deeper objects only add to a sum. */
typedef struct {
  GCObject *object; /* the separator */
  uint32_t node;    /* of the tree: the owner's, or its nearest ancestor's that has one */
  int has_node;     /* the owner itself has one */
} owner;

/* What the queue holds for a root in the place of an owner; Lua never sees it. */
typedef struct {
  Table separator;
  GCObject *object; /* what it stands for; NULL: a list */
  uint32_t node;
} root;

/* What is used most stands first: its offsets are shortest. */
typedef struct {
  lua_State *L;
  global_State *g;
  tree *t;

  /* the queue, and what stands at its end */
  GCObject *head;
  GCObject **end; /* the word that will hold what is queued next */
  size_t level_left;
  size_t next_level_work, next_level_other; /* to visit; separators and second looks */
  size_t parked; /* weak tables in the level to come that will be looked at again */
  size_t level;  /* its number, from the first root on */
  int next_level_is_open;
  int depth; /* of owners[] */

  /* the visit in hand */
  GCObject *in_hand;  /* NULL: a root that is no object */
  uint32_t node;      /* of the object whose references are visited; TREE_NONE: deeper */
  GCObject *passed;   /* the userdata that holds what is found now and can't be queued, else NULL */
  uint32_t unlinked;  /* its node, else TREE_NONE */
  size_t found_bytes; /* charged to the owner when the visit ends */
  uint32_t found_count;
  uint32_t folded_below;   /* node that the object in hand is folded into, until it queues
                           ** something and so becomes an owner; else TREE_NONE */
  const GCObject *watched; /* somebody asks who holds it */
  kind_tally kinds[KIND_COUNT];
  const GCObject *blocked; /* marked, but not live for all that */
  size_t own_cell_bytes;   /* of those found: the open cells of the thread in hand */
  size_t shared_bytes[SHARED_LABELS];
  int has_line_below; /* the owner: what it queued may have lines of its own */
  int weakness;       /* of the table in hand */
  int pending;        /* an entry waits for its key */
  int keep_parked;    /* weak tables settle once more later */
  int strict;         /* what later collections would free does not live: see `walk_retained` */
  int condemned;      /* values of weak values died, whose keys are objects */
  int finalizing;     /* the roots of the main phase are done */
  enum { MARKING, CONVERGING, SETTLING, CONDEMNING } parked_work; /* done with parked tables */

  /* where the look for the label of a folded child goes on, and how many slots it has seen */
  const Table *folded_in;
  size_t folded_slot, folded_looks;

  GCObject *watched_parent;
  const char *watched_root;

  int separator_depth; /* of separators[]; -1: none queued yet */
  int first_depth;     /* of first[] */
  int outer_depth;     /* of the owner before the one in hand */
  owner outer;
  owner owners[DEEPEST_OWNER + 1];         /* of the object in hand */
  GCObject *separators[DEEPEST_OWNER + 1]; /* last ones queued on the level to come */
  GCObject *first[DEEPEST_OWNER + 1];      /* owners that stand before all of that level */
  root roots[ROOT_COUNT];

  gray_lists gray; /* kept from one walk to the next */
} walker;

/* ---- marks ---- */

LAYOUT_INLINE int is_marked(const GCObject *object) { return object->marked & LAYOUT_MARK_BIT; }

LAYOUT_INLINE void tally(walker *w, object_kind kind, size_t bytes) {
  w->kinds[kind].count++;
  w->kinds[kind].bytes += bytes;
}

static void note_holder(walker *w) {
  w->watched_parent = w->passed ? w->passed : w->in_hand;
  w->watched_root = w->watched_parent ? NULL : (const char *)w->t->nodes[w->owners[0].node].place;
}

/* Own bytes of an object, which is seen for the first time: marks it. No object has 0 bytes. */
LAYOUT_INLINE size_t claim_of_kind(walker *w, GCObject *object, object_kind kind, size_t bytes) {
  object->marked |= LAYOUT_MARK_BIT;
  tally(w, kind, bytes);
  return bytes;
}
LAYOUT_INLINE size_t claim_new_string(walker *w, GCObject *object) {
  return claim_of_kind(w, object, KIND_STRING, layout_string_bytes(gco2ts(object)));
}
static size_t claim_new(walker *w, GCObject *object) {
  object_kind kind = layout_kind(object);
  if (object == w->watched) note_holder(w);
  return claim_of_kind(w, object, kind,
                       kind == KIND_STRING ? layout_string_bytes(gco2ts(object))
                                           : walk_object_bytes(w->g, object));
}
/* The same of any object, 0 when it was seen before. */
static size_t claim(walker *w, GCObject *object) {
  return is_marked(object) ? 0 : claim_new(w, object);
}

/* ---- the queue ---- */

/* What an object stands in the queue for: to be visited, to name the owner of what follows (and of
** which depth), or to be looked at again. Kept in the bits of `tt` that no queued object uses. */
enum {
  TO_VISIT = 0,
  FIRST_SEPARATOR = 1,
  TO_REVISIT = FIRST_SEPARATOR + DEEPEST_OWNER + 1,
  TO_VISIT_WITH_NODE,           /* it had one when it was queued */
  TO_VISIT_WITH_KEY,            /* perhaps a node, and the bytes of its key are its line's */
  CONDEMNED = TO_VISIT_WITH_KEY /* of what is dead and so never stands there: see `keeps_key` */
};

static void set_role(GCObject *object, int role) {
  object->tt |= (lu_byte)(((role & 1) << 4) | ((role & 6) << 5));
}
LAYOUT_INLINE int role_of(const GCObject *object) {
  return ((object->tt >> 4) & 1) | ((object->tt >> 5) & 6);
}
static void clear_role(GCObject *object) { object->tt &= (lu_byte)~LAYOUT_SPARE_TT_BITS; }

/* `link` is the object's: the caller may know better than a switch where it is. */
LAYOUT_INLINE void push(walker *w, GCObject *object, GCObject **link) {
  *w->end = object;
  *link = NULL;
  w->end = link;
}
/* The same of what is not to be visited. */
static void push_other(walker *w, GCObject *object, int role) {
  push(w, object, layout_link(object));
  set_role(object, role);
  w->next_level_other++;
}

LAYOUT_INLINE GCObject *pop_linked(walker *w, GCObject **link) {
  GCObject *object = w->head;
  w->head = *link;
  *link = NULL;
  if (w->head == NULL) w->end = &w->head;
  return object;
}
static GCObject *pop(walker *w) { return pop_linked(w, layout_link(w->head)); }

static void push_separator(walker *w, int depth) {
  GCObject *object = w->owners[depth].object;
  push_other(w, object, FIRST_SEPARATOR + depth);
  w->separators[depth] = object;
  w->separator_depth = depth;
}

static int count_standing_separators(const walker *w) {
  int same = 0;
  while (same <= w->depth && same <= w->separator_depth &&
         w->separators[same] == w->owners[same].object)
    same++;
  return same;
}

static void step_into(walker *w, GCObject *object, uint32_t node, int has_node);

/* Of the level to come nothing is known yet. */
static void begin_next_level(walker *w) {
  w->next_level_work = w->next_level_other = w->parked = 0;
  w->separator_depth = w->first_depth = -1;
  w->next_level_is_open = 0;
}

/* The owners of what is queued first on a level are only noted. */
static void note_first_owners(walker *w) {
  for (int depth = 0; depth <= w->depth; depth++)
    w->first[depth] = w->separators[depth] = w->owners[depth].object;
  w->first_depth = w->separator_depth = w->depth;
}

static void queue_separators(walker *w) {
  if (w->folded_below != TREE_NONE) {
    step_into(w, w->in_hand, w->folded_below, 0);
    w->folded_below = TREE_NONE;
  }
  if (w->separator_depth < 0) note_first_owners(w);
  for (int depth = count_standing_separators(w); depth <= w->depth; depth++)
    push_separator(w, depth);
  w->next_level_is_open = 1;
}

LAYOUT_INLINE void enqueue(walker *w, GCObject *object, GCObject **link) {
  if (!w->next_level_is_open) queue_separators(w);
  push(w, object, link);
  w->next_level_work++;
}

/* ---- references ---- */

static void visit_deep(void *context, label_kind kind, uintptr_t place, GCObject *key,
                       GCObject *value);
static void visit_in_tree(void *context, label_kind kind, uintptr_t place, GCObject *key,
                          GCObject *value);

/* Cells may be no objects (5.3), so they are claimed in their own way. */
LAYOUT_INLINE size_t claim_cell(walker *w, GCObject *cell) {
  if (!layout_claim_cell((UpVal *)cell)) return 0;
  tally(w, KIND_UPVALUE, sizeof(UpVal));
  return sizeof(UpVal);
}

/* What stands in the place of a key and has no references of its own: its bytes belong to the
** entry. 0 when there is no such thing, or it is known already. */
static size_t claim_plain_key(walker *w, label_kind kind, GCObject *key) {
  if (kind == LABEL_UPVALUE) return claim_cell(w, key);
  return layout_is_string(key) ? claim(w, key) : 0;
}

LAYOUT_INLINE void found_new(walker *w, size_t bytes) {
  w->found_bytes += bytes;
  w->found_count++;
}

/* What a userdata that can't be queued holds stands in the queue below the owner of the userdata;
** by this its node is found. A node that has no room for it leaves it to that owner. */
static void find_by_userdata(walker *w, GCObject *object) {
  if (w->unlinked != TREE_NONE && tree_add_alias(w->t, w->unlinked, object))
    set_role(object, TO_VISIT_WITH_NODE);
}

/* Below the depth of the tree: only sums. A userdata without a `gclist` can't be queued, so it is
** visited here. */
static void discover_other(walker *w, GCObject *object) {
  GCObject *outer = w->passed;
  while (object && !is_marked(object)) {
    found_new(w, claim_new(w, object));
    GCObject **link = layout_link(object);
    if (link) {
      enqueue(w, object, link);
      find_by_userdata(w, object);
      break;
    }
    if (layout_kind(object) != KIND_USERDATA) break;
    /* a chain of userdata may be as long as the heap is large: no recursion */
    const Udata *userdata = gco2u(object);
    w->passed = object;
    if (userdata->metatable) discover_other(w, obj2gco(userdata->metatable));
    object = layout_only_uservalue(userdata);
  }
  w->passed = outer;
}

/* A cell or a string that names a value makes one entry with it, unless somebody else has that. */
LAYOUT_INLINE void found_name(walker *w, size_t bytes, const GCObject *value) {
  w->found_bytes += bytes;
  if (bytes > 0 && !(value && !is_marked(value))) w->found_count++;
}

static void visit_deep(void *context, label_kind kind, uintptr_t place, GCObject *key,
                       GCObject *value) {
  walker *w = context;
  if (key && (kind == LABEL_UPVALUE || layout_is_string(key))) {
    size_t bytes = claim_plain_key(w, kind, key);
    found_name(w, bytes, value);
    /* open cells belong to their thread: their values lie in its slots */
    if (kind == LABEL_UPVALUE && place == 0) w->own_cell_bytes += bytes;
  } else {
    discover_other(w, key);
  }
  discover_other(w, value);
}
static uint32_t add_entry(walker *w, label_kind kind, uintptr_t place, const GCObject *object,
                          size_t bytes) {
  return tree_add(w->t, w->node, (uint8_t)kind, place, object, bytes);
}

static uint32_t add_holder(walker *w, label_kind kind, uintptr_t place, const GCObject *object,
                           size_t bytes) {
  return tree_add_holder(w->t, w->node, (uint8_t)kind, place, object, bytes);
}

static void discover_in_tree(walker *w, label_kind kind, uintptr_t place, GCObject *object,
                             size_t key_bytes);

/* Below the depth of the tree: what is found belongs to the userdata's node, if it has one. */
static void visit_userdata_deep(walker *w, const Udata *userdata, uint32_t node) {
  size_t outer_bytes = w->found_bytes;
  w->unlinked = node;
  if (userdata->metatable) discover_other(w, obj2gco(userdata->metatable));
  discover_other(w, layout_only_uservalue(userdata));
  w->unlinked = TREE_NONE;
  if (node == TREE_NONE) return;
  tree_charge(w->t, node, w->found_bytes - outer_bytes);
  w->found_bytes = outer_bytes;
}

static void visit_of_userdata(walker *w, label_kind kind, GCObject *object) {
  if (object == NULL) return;
  int is_new = !is_marked(object) && layout_link(object) != NULL;
  discover_in_tree(w, kind, 1, object, 0);
  if (is_new) find_by_userdata(w, object);
}

/* The references of a userdata that just got its own node (or none: in a chain they belong to the
** one above then). A chain may be as long as the heap is large: no recursion. */
static void visit_userdata(walker *w, GCObject *object, uint32_t node) {
  uint32_t outer = w->node, above = TREE_NONE;
  for (;; above = w->node) {
    const Udata *userdata = gco2u(object);
    w->passed = object;
    if (node == TREE_NONE || w->t->nodes[node].depth >= w->t->max_depth) {
      visit_userdata_deep(w, userdata, node == TREE_NONE ? above : node);
      break;
    }
    w->node = w->unlinked = node;
    visit_of_userdata(w, LABEL_METATABLE,
                      userdata->metatable ? obj2gco(userdata->metatable) : NULL);
    object = layout_only_uservalue(userdata);
    if (object == NULL || is_marked(object) || layout_kind(object) != KIND_USERDATA) {
      visit_of_userdata(w, LABEL_USERVALUE, object);
      break;
    }
    node = add_holder(w, LABEL_USERVALUE, 1, object, claim_new(w, object));
  }
  w->node = outer;
  w->passed = NULL;
  w->unlinked = TREE_NONE;
}

/* An object that was claimed before: all there is to tell is a cycle. */
static void meet_again(walker *w, label_kind kind, uintptr_t place, const GCObject *object,
                       size_t key_bytes) {
  if (key_bytes) add_entry(w, kind, place, NULL, key_bytes);
  uint32_t known = layout_is_string(object) ? TREE_NONE : tree_find(w->t, object);
  if (known != TREE_NONE) tree_note_cycle(w->t, w->node, (uint8_t)kind, place, known);
}

LAYOUT_INLINE void set_line_role(GCObject *object, uint32_t node, size_t key_bytes) {
  if (key_bytes > 0)
    set_role(object, TO_VISIT_WITH_KEY);
  else if (node != TREE_NONE)
    set_role(object, TO_VISIT_WITH_NODE);
}

static void discover_in_tree(walker *w, label_kind kind, uintptr_t place, GCObject *object,
                             size_t key_bytes) {
  if (is_marked(object)) {
    meet_again(w, kind, place, object, key_bytes);
    return;
  }
  size_t bytes = claim_new(w, object) + key_bytes;
  if (layout_is_string(object)) {
    add_entry(w, kind, place, object, bytes);
    return;
  }
  uint32_t node = add_holder(w, kind, place, object, bytes);
  GCObject **link = layout_link(object);
  if (link == NULL) {
    visit_userdata(w, object, node);
    return;
  }
  enqueue(w, object, link);
  set_line_role(object, node, key_bytes);
}

static void visit_in_tree(void *context, label_kind kind, uintptr_t place, GCObject *key,
                          GCObject *value) {
  walker *w = context;
  if (kind >= FIRST_SHARED_LABEL && kind < FIRST_SHARED_LABEL + SHARED_LABELS &&
      layout_is_string(value)) {
    w->shared_bytes[kind - FIRST_SHARED_LABEL] += claim(w, value);
    return;
  }
  size_t key_bytes = 0;
  if (key) {
    if (kind == LABEL_UPVALUE || layout_is_string(key))
      key_bytes = claim_plain_key(w, kind, key);
    else
      discover_in_tree(w, kind, place, key, 0);
  }
  if (kind == LABEL_UPVALUE && place == 0) { /* an open cell in its own thread */
    w->t->nodes[w->node].own_bytes += key_bytes;
    return;
  }
  if (value)
    discover_in_tree(w, kind, place, value, key_bytes);
  else if (key_bytes)
    add_entry(w, kind, place, NULL, key_bytes);
}

/* A reference of any object: a line of the tree, or deeper. */
static void visit(void *context, label_kind kind, uintptr_t place, GCObject *key, GCObject *value) {
  const walker *w = context;
  if (w->node != TREE_NONE)
    visit_in_tree(context, kind, place, key, value);
  else
    visit_deep(context, kind, place, key, value);
}

static void add_shared_entries(walker *w) {
  for (int i = 0; i < SHARED_LABELS; i++) {
    if (w->shared_bytes[i] == 0) continue;
    size_t bytes = w->shared_bytes[i];
    w->shared_bytes[i] = 0;
    add_entry(w, (label_kind)(FIRST_SHARED_LABEL + i), 0, NULL, bytes);
  }
}

/* ---- weak tables ---- */

static int is_alive(const walker *w, const GCObject *object) {
  return layout_is_plain(object) || (is_marked(object) && object != w->blocked);
}

/* The collector keeps the key of a weak value that died for one more collection. When strict, it
** goes with the value. It may be an object that keeps the value alive, though: so it lives until
** the value turns out to be dead all the same, and is condemned for the walks to come. */
static int keeps_key(walker *w, const GCObject *key, GCObject *value) {
  if (!w->strict || is_alive(w, value)) return 1;
  if (layout_is_plain(key) || walk_is_condemned(value)) return 0;
  if (w->parked_work != CONDEMNING) return 1;
  set_role(value, CONDEMNED);
  return w->condemned = 1, 0;
}

static void visit_weak_value(walker *w, label_kind kind, uintptr_t place, GCObject *key,
                             GCObject *value) {
  if (layout_is_plain(value))
    visit(w, kind, place, key, value);
  else if (key && keeps_key(w, key, value))
    visit(w, kind, place, key, NULL);
}

/* A value lives once its key does. */
static void visit_ephemeron(walker *w, label_kind kind, uintptr_t place, GCObject *key,
                            GCObject *value) {
  if (is_alive(w, key))
    visit(w, kind, place, key, value);
  else if (value)
    w->pending = 1;
}

/* Both ends weak: the collector keeps string values, and in the end the string keys of entries
** that survived. Entries that only a finalizer brings back lose a dead value's key first. When
** strict, a string value goes with its key. Two strings are told at once: they have one line. */
static void visit_all_weak(walker *w, label_kind kind, uintptr_t place, GCObject *key,
                           GCObject *value) {
  int settling = w->parked_work == SETTLING, keys_first = w->finalizing || w->strict;
  if (!key || !layout_is_plain(key) || !(w->finalizing || is_alive(w, value))) {
    if (keys_first && !is_alive(w, key)) return;
    key = NULL;
  }
  if (value && !layout_is_plain(value)) value = NULL;
  if (settling == (keys_first || !value)) visit(w, kind, place, key, value);
}

static void visit_weak(void *context, label_kind kind, uintptr_t place, GCObject *key,
                       GCObject *value) {
  walker *w = context;
  switch (w->weakness) {
  case WEAK_KEYS: visit_ephemeron(w, kind, place, key, value); break;
  case WEAK_VALUES: visit_weak_value(w, kind, place, key, value); break;
  default: visit_all_weak(w, kind, place, key, value); break;
  }
}

static void each_weak_entry(walker *w, const Table *table, int weakness) {
  w->weakness = weakness;
  walk_each_entry(table, visit_weak, w);
}

static int may_be_weak(const GCObject *object) {
  return layout_kind(object) == KIND_TABLE && gco2t((GCObject *)object)->metatable != NULL;
}

/* True when the table has to be looked at again. */
static int visit_weak_table(walker *w, Table *table, int weakness) {
  w->pending = 0;
  visit(w, LABEL_METATABLE, 0, NULL, obj2gco(table->metatable));
  each_weak_entry(w, table, weakness);
  return w->pending || w->keep_parked || weakness == (WEAK_KEYS | WEAK_VALUES);
}

/* ---- one object ---- */

/* The object in hand is the innermost owner, or (deeper) belongs to it. */
static void park(walker *w, GCObject *object, int is_owner) {
  queue_separators(w);
  if (!is_owner) push_other(w, object, TO_REVISIT);
  w->parked++;
}

static int has_parked_work(const walker *w, int weakness) {
  switch (w->parked_work) {
  case CONVERGING: return weakness == WEAK_KEYS || w->keep_parked;
  case SETTLING: return weakness & WEAK_VALUES;
  case CONDEMNING: return weakness == WEAK_VALUES;
  default: return 0;
  }
}

static int is_new_string(const GCObject *object) {
  return object && layout_is_plain(object) && !is_marked(object);
}

static void note_unsettled(void *context, label_kind kind, uintptr_t place, GCObject *key,
                           GCObject *value) {
  walker *w = context;
  (void)kind, (void)place;
  switch (w->weakness) {
  case WEAK_KEYS: w->pending |= value && !(is_alive(w, key) && is_marked(value)); break;
  case WEAK_VALUES: w->pending |= !is_alive(w, value) || (key && !is_marked(key)); break;
  default: w->pending |= is_new_string(key) || is_new_string(value); break;
  }
}

/* Looking at few slots costs no more than to wait, at many only where the heap is deep: then each
** time that the levels have doubled. */
static int is_worth_a_look(const walker *w, const Table *table) {
  if (layout_array_count(table) <= FEW_SLOTS && (size_t)sizenode(table) <= FEW_SLOTS) return 1;
  return w->level >= MANY_LEVELS && (w->level & (w->level - 1)) == 0;
}

/* True when no further look at a weak table will find anything, whatever lives in the end. Most
** tables that wait do so from level to level in vain: those are let go. */
static int is_settled(walker *w, const Table *table, int weakness) {
  if (!is_worth_a_look(w, table)) return 0;
  w->weakness = weakness;
  w->pending = 0;
  walk_each_entry(table, note_unsettled, w);
  return !w->pending;
}

static void revisit(walker *w, GCObject *object, int weakness, int is_owner) {
  w->in_hand = object;
  if (has_parked_work(w, weakness)) {
    each_weak_entry(w, gco2t(object), weakness);
    if (w->finalizing && w->parked_work == SETTLING)
      layout_each_removed_key(gco2t(object), visit, w);
    if (w->parked_work == SETTLING && !w->keep_parked) return;
  } else if (!w->finalizing && is_settled(w, gco2t(object), weakness)) {
    return;
  }
  park(w, object, is_owner);
}

static void visit_entries_deep(walker *w, const Table *table);
static void visit_entries_in_tree(walker *w, const Table *table);
static void visit_proto_deep(walker *w, const Proto *proto);
static void visit_closure_deep(walker *w, const LClosure *closure);

static void visit_strong_references(walker *w, GCObject *object) {
  /* the loops for the most usual objects don't look for the one that is watched */
  object_kind kind = w->watched ? KIND_UNKNOWN : layout_kind(object);
  int is_deep = w->node == TREE_NONE;
  if (kind == KIND_TABLE) {
    layout_each_metatable(gco2t(object)->metatable, visit, w);
    if (is_deep)
      visit_entries_deep(w, gco2t(object));
    else
      visit_entries_in_tree(w, gco2t(object));
  } else if (is_deep && kind == KIND_PROTO) {
    visit_proto_deep(w, gco2p(object));
  } else if (is_deep && kind == KIND_FUNCTION && layout_is_lua_function(object)) {
    visit_closure_deep(w, gco2lcl(object));
  } else {
    walk_each_reference(object, visit, w);
    if (!is_deep) add_shared_entries(w);
  }
}

static void visit_references(walker *w, GCObject *object, int is_owner) {
  int weakness = may_be_weak(object) ? layout_weakness(w->g, gco2t(object)) : 0;
  w->in_hand = object;
  if (weakness == 0)
    visit_strong_references(w, object);
  else if (visit_weak_table(w, gco2t(object), weakness))
    park(w, object, is_owner);
}

/* What the visit found without giving it a node goes to the owner in hand. One that was folded may
** turn out to be large. */
static void charge_found(walker *w) {
  const owner *innermost = &w->owners[w->depth];
  if (w->found_bytes) {
    tree_charge(w->t, innermost->node, w->found_bytes);
    if (!innermost->has_node) tree_suspect(w->t, innermost->object, w->found_bytes);
  }
  w->found_bytes = 0;
  w->found_count = 0;
}

static void set_owner(walker *w, int depth, const owner *entered) {
  w->owners[depth] = *entered;
  w->depth = depth;
  w->next_level_is_open = 0;
}

static void step_into(walker *w, GCObject *object, uint32_t node, int has_node) {
  w->outer = w->owners[w->depth];
  w->outer_depth = w->depth;
  owner entered = {object, node, has_node};
  set_owner(w, w->t->bounded ? w->depth + 1 : 1, &entered);
}
static void leave_owner(walker *w) { set_owner(w, w->outer_depth, &w->outer); }

static int has_lines_below(const walker *w, uint32_t node) {
  return w->t->nodes[node].depth < w->t->max_depth;
}

static int is_alias(const walker *w, uint32_t node, const GCObject *object) {
  return w->t->nodes[node].object != object;
}

/* An alias at a node that has lines below it: none of these is the object's. */
static int is_folded_below(const walker *w, uint32_t node, const GCObject *object) {
  return is_alias(w, node, object) && has_lines_below(w, node);
}

static void visit_with_node(walker *w, GCObject *object, uint32_t node) {
  step_into(w, object, node, 1);
  w->node = has_lines_below(w, node) ? node : TREE_NONE;
  w->own_cell_bytes = 0;
  visit_references(w, object, 1);
  if (!is_alias(w, node, object)) { /* an alias's cells are below the node */
    w->t->nodes[node].own_bytes += w->own_cell_bytes;
    w->found_bytes -= w->own_cell_bytes;
  }
  charge_found(w);
  leave_owner(w);
}

/* The label of a child of a table. Children stand in the queue in the order of their entries, but
** for values of weak keys, so one look through the table and a little more serves them all; it is
** given up for what the table does not hold itself, as a userdata's. LABEL_UNKNOWN then. */
static label label_of_folded(walker *w, const Table *table, const GCObject *child) {
  size_t array_count = layout_array_count(table);
  size_t slot_count = array_count + (layout_has_no_nodes(table) ? 0 : (size_t)sizenode(table));
  if (w->folded_in != table) w->folded_slot = w->folded_looks = 0;
  w->folded_in = table;
  if (table->metatable && obj2gco(table->metatable) == child) return make_label(LABEL_METATABLE, 0);
  for (size_t left = slot_count; left > 0 && w->folded_looks < MANY_LOOKS * slot_count; left--) {
    size_t slot = w->folded_slot;
    const Node *node = slot < array_count ? NULL : gnode(table, slot - array_count);
    const TValue *value = node ? gval(node) : &table->array[slot];
    if (object_of(value) == child || (node && layout_node_key(node) == child))
      return node ? make_label(LABEL_NODE, (uintptr_t)node) : make_label(LABEL_INDEX, slot + 1);
    w->folded_slot = slot + 1 < slot_count ? slot + 1 : 0;
    w->folded_looks++;
  }
  return make_label(LABEL_UNKNOWN, 0);
}

static label label_of_child(walker *w, uint32_t parent, const GCObject *child) {
  GCObject *from = (GCObject *)w->t->nodes[parent].object;
  if (from == NULL) return make_label(LABEL_UNKNOWN, 0);
  return layout_is_table(from) ? label_of_folded(w, gco2t(from), child)
                               : walk_find_label(from, child);
}

/* Of the key that names an entry. */
static size_t key_bytes_of(label place) {
  if (place.kind == LABEL_UPVALUE) return sizeof(UpVal);
  const GCObject *key =
      place.kind == LABEL_NODE ? layout_node_key((const Node *)place.place) : NULL;
  return key && layout_is_string(key) ? layout_string_bytes(gco2ts((GCObject *)key)) : 0;
}

/* Lets the tree think again about a child that was folded; what it holds is counted by now. Returns
** whether it has a node. */
static int admit_folded(walker *w, GCObject *object, uint32_t parent, size_t own_bytes,
                        int has_key) {
  if (!tree_is_admitted(w->t, own_bytes + w->found_bytes)) return 0;
  label place = label_of_child(w, parent, object);
  if (place.kind == LABEL_UNKNOWN) return 0;
  own_bytes += (has_key ? key_bytes_of(place) : 0) + w->own_cell_bytes;
  return tree_admit(w->t, parent, (uint8_t)place.kind, place.place, object, own_bytes,
                    w->found_bytes - w->own_cell_bytes, w->found_count) != TREE_NONE;
}

/* After the visit of a child that was folded into `parent`. */
static void leave_folded(walker *w, GCObject *object, uint32_t parent, int has_key) {
  int is_owner = w->folded_below == TREE_NONE;
  w->folded_below = TREE_NONE;
  if (w->found_bytes > 0) {
    size_t own_bytes = walk_object_bytes(w->g, object), bytes = own_bytes + w->found_bytes;
    tree_charge(w->t, parent, w->found_bytes);
    if (!admit_folded(w, object, parent, own_bytes, has_key) && is_owner)
      tree_suspect(w->t, object, bytes);
    w->found_bytes = w->found_count = 0;
  }
  if (is_owner) leave_owner(w);
}

/* A child that was folded into `parent`, the node of the owner. It becomes an owner only if it
** queues something. */
static void visit_folded(walker *w, GCObject *object, uint32_t parent, int has_key) {
  w->node = TREE_NONE;
  w->folded_below = parent;
  w->next_level_is_open = 0;
  w->own_cell_bytes = 0;
  visit_references(w, object, 1);
  leave_folded(w, object, parent, has_key);
}

/* Every object below an owner with lines of its own is one of those lines, or was folded. */
static void visit_queued(walker *w, GCObject *object, int role) {
  uint32_t node = role == TO_VISIT ? TREE_NONE : tree_find(w->t, object);
  if (!w->has_line_below) {
    w->node = TREE_NONE;
    visit_references(w, object, 0);
  } else if (node == TREE_NONE) {
    visit_folded(w, object, w->owners[w->depth].node, role == TO_VISIT_WITH_KEY);
  } else if (is_folded_below(w, node, object)) {
    visit_folded(w, object, node, 0);
  } else {
    visit_with_node(w, object, node);
  }
}

/* ---- levels ---- */

static void see_lines_below(walker *w) {
  const owner *innermost = &w->owners[w->depth];
  w->has_line_below = innermost->has_node && has_lines_below(w, innermost->node);
}

static void enter_owner(walker *w, GCObject *object, int depth) {
  charge_found(w);
  const root *r = depth == 0 ? (const root *)(const void *)object : NULL;
  owner entered = {object, r ? r->node : tree_find(w->t, object), 1};
  if (entered.node == TREE_NONE) {
    entered.node = w->owners[depth - 1].node;
    entered.has_node = 0;
  } else if (!r && is_folded_below(w, entered.node, object)) {
    entered.has_node = 0;
  }
  set_owner(w, depth, &entered);
  see_lines_below(w);
  if (r) object = r->object;
  int weakness = object && may_be_weak(object) ? layout_weakness(w->g, gco2t(object)) : 0;
  if (weakness == 0 || (weakness == WEAK_VALUES && !w->keep_parked)) return;
  w->node = w->has_line_below ? entered.node : TREE_NONE;
  revisit(w, object, weakness, 1);
  charge_found(w);
}

/* ---- the loops that a walk spends its time in ---- */

SMALL_CODE_ENDS

/* Most of what refers to others: tables and Lua functions. */
LAYOUT_INLINE int is_usual(const GCObject *object) {
  return layout_is_table(object) || layout_is_lua_function(object);
}
LAYOUT_INLINE size_t usual_bytes(GCObject *object) {
  return layout_is_table(object) ? layout_table_bytes(gco2t(object))
                                 : layout_lua_function_bytes(gco2lcl(object));
}
LAYOUT_INLINE GCObject **usual_link(GCObject *object) {
  return layout_is_table(object) ? &gco2t(object)->gclist : &gco2lcl(object)->gclist;
}
LAYOUT_INLINE size_t claim_usual(walker *w, GCObject *object) {
  object_kind kind = layout_is_table(object) ? KIND_TABLE : KIND_FUNCTION;
  return claim_of_kind(w, object, kind, usual_bytes(object));
}

/* They and strings are taken in the loop. */
LAYOUT_INLINE void discover_deep(walker *w, GCObject *object) {
  if (is_marked(object)) return;
  if (layout_is_string(object)) {
    found_new(w, claim_new_string(w, object));
  } else if (is_usual(object)) {
    found_new(w, claim_usual(w, object));
    enqueue(w, object, usual_link(object));
  } else {
    discover_other(w, object);
  }
}

static LAYOUT_APART void discover_key(walker *w, GCObject *key, const GCObject *value) {
  if (layout_is_string(key))
    found_name(w, claim_new_string(w, key), value);
  else
    discover_other(w, key);
}

LAYOUT_INLINE void visit_entry_deep(void *context, label_kind kind, uintptr_t place, GCObject *key,
                                    GCObject *value) {
  (void)kind, (void)place;
  if (key && !is_marked(key)) discover_key(context, key, value);
  if (value) discover_deep(context, value);
}

/* What most of a heap is made of. */
static LAYOUT_APART void visit_entries_deep(walker *w, const Table *table) {
  layout_each_entry(table, visit_entry_deep, w);
}

static LAYOUT_APART void discover_part(walker *w, GCObject *object) {
  if (layout_is_string(object))
    found_new(w, claim_new_string(w, object));
  else
    discover_other(w, object);
}

/* Most of what a prototype refers to are names that others have as well. */
LAYOUT_INLINE void visit_part_deep(void *context, label_kind kind, uintptr_t place, GCObject *key,
                                   GCObject *value) {
  (void)kind, (void)place, (void)key;
  if (!is_marked(value)) discover_part(context, value);
}

static LAYOUT_APART void visit_proto_deep(walker *w, const Proto *proto) {
  layout_each_in_proto(proto, visit_part_deep, w);
}

/* Most of what a closure refers to others have as well. */
LAYOUT_INLINE void visit_captured_deep(void *context, label_kind kind, uintptr_t place,
                                       GCObject *key, GCObject *value) {
  walker *w = context;
  (void)kind, (void)place;
  if (key) found_name(w, claim_cell(w, key), value);
  if (value && !is_marked(value)) discover_part(w, value);
}

static LAYOUT_APART void visit_closure_deep(walker *w, const LClosure *closure) {
  layout_each_in_lua_closure(closure, visit_captured_deep, w);
}

/* Most entries of a large table are too small for a node. */
LAYOUT_INLINE int is_small(const walker *w, size_t bytes) {
  return bytes <= w->t->threshold_bytes && w->t->wanted_count == 0;
}

LAYOUT_INLINE uint32_t add_usual(walker *w, label_kind kind, uintptr_t place,
                                 const GCObject *object, size_t bytes) {
  if (is_small(w, bytes) && tree_has_many(w->t, w->node)) return tree_refuse(w->t, w->node, bytes);
  return add_holder(w, kind, place, object, bytes);
}

LAYOUT_INLINE void add_string(walker *w, label_kind kind, uintptr_t place, const GCObject *object,
                              size_t bytes) {
  if (is_small(w, bytes))
    tree_refuse(w->t, w->node, bytes);
  else
    add_entry(w, kind, place, object, bytes);
}

/* They and strings are taken in the loop. */
LAYOUT_INLINE void discover_entry(walker *w, label_kind kind, uintptr_t place, GCObject *object,
                                  size_t key_bytes) {
  if (is_marked(object)) {
    meet_again(w, kind, place, object, key_bytes);
  } else if (layout_is_string(object)) {
    add_string(w, kind, place, object, claim_new_string(w, object) + key_bytes);
  } else if (is_usual(object)) {
    size_t bytes = claim_usual(w, object);
    uint32_t node = add_usual(w, kind, place, object, bytes + key_bytes);
    enqueue(w, object, usual_link(object));
    set_line_role(object, node, key_bytes);
  } else {
    discover_in_tree(w, kind, place, object, key_bytes);
  }
}

/* The same of an entry of a table, in a loop. */
LAYOUT_INLINE void visit_entry_in_tree(void *context, label_kind kind, uintptr_t place,
                                       GCObject *key, GCObject *value) {
  walker *w = context;
  size_t key_bytes = 0;
  if (key && !layout_is_string(key))
    discover_in_tree(w, kind, place, key, 0);
  else if (key && !is_marked(key))
    key_bytes = claim_new_string(w, key);
  if (value)
    discover_entry(w, kind, place, value, key_bytes);
  else if (key_bytes)
    add_entry(w, kind, place, NULL, key_bytes);
}

static LAYOUT_APART void visit_entries_in_tree(walker *w, const Table *table) {
  layout_each_entry(table, visit_entry_in_tree, w);
}

LAYOUT_INLINE void visit_plain_deep(walker *w, GCObject *object) {
  if (layout_is_table(object))
    visit_entries_deep(w, gco2t(object));
  else
    visit_closure_deep(w, gco2lcl(object));
}

/* The same of a plain child, in a loop: what it found stays with what its siblings found, unless
** that makes it a line. */
LAYOUT_INLINE void visit_plain_folded(walker *w, GCObject *object, uint32_t parent) {
  size_t siblings_bytes = w->found_bytes;
  uint32_t siblings_count = w->found_count;
  w->folded_below = parent;
  w->next_level_is_open = 0;
  visit_plain_deep(w, object);
  size_t bytes = w->found_bytes - siblings_bytes;
  if (bytes == 0 ||
      (w->folded_below != TREE_NONE && !tree_is_admitted(w->t, usual_bytes(object) + bytes)))
    return;
  tree_charge(w->t, parent, siblings_bytes);
  w->found_bytes = bytes;
  w->found_count -= siblings_count;
  w->own_cell_bytes = 0;
  leave_folded(w, w->in_hand, parent, 0);
}

/* True when the level to come begins with the owners in hand, as in a list: nobody else queued
** anything meanwhile, so what is known of them still holds. */
static int stays_with_owners(const walker *w) {
  if (w->parked > 0 || w->first_depth != w->depth) return 0;
  for (int depth = 0; depth <= w->depth; depth++)
    if (w->first[depth] != w->owners[depth].object) return 0;
  return 1;
}

/* Where nobody but the owners in hand queued anything, the level to come is a part of this one: a
** list is a single level. */
static int goes_on(walker *w) {
  if (w->level_left > 0) return 1;
  if (w->next_level_work == 0 || w->next_level_other > 0) return 0;
  if (w->parked_work != MARKING || !stays_with_owners(w)) return 0;
  w->level++;
  w->level_left = w->next_level_work;
  w->next_level_work = 0;
  return 1;
}

/* A run of objects that nothing is special about: most of what stands in a queue. */
static void visit_plain_run(walker *w) {
  uint32_t parent = w->has_line_below ? w->owners[w->depth].node : TREE_NONE;
  w->node = TREE_NONE;
  do {
    GCObject *object = w->in_hand = pop_linked(w, usual_link(w->head));
    if (parent == TREE_NONE)
      visit_plain_deep(w, object);
    else
      visit_plain_folded(w, object, parent);
    w->level_left--;
  } while (goes_on(w) && layout_is_unremarkable(w->head));
  w->folded_below = TREE_NONE;
  if (parent != TREE_NONE) charge_found(w);
}

SMALL_CODE_BEGINS

static void visit_next(walker *w) {
  GCObject *object = pop(w);
  int role = role_of(object);
  w->level_left--;
  if (role == TO_VISIT) {
    visit_queued(w, object, TO_VISIT);
    return;
  }
  if (!w->strict || role != CONDEMNED) clear_role(object); /* no lines then, so no keys of lines */
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

static walk_status end_walk(walker *w, walk_books *books) {
  leave_queue(w);
  books->garbage = walk_take_marks_back(w->g);
  memcpy(books->kinds, w->kinds, sizeof books->kinds);
  books->lua_bytes = layout_total_bytes(w->g);
  books->live_bytes = live_bytes(w);
  books->unaccounted = (ptrdiff_t)(books->lua_bytes - books->live_bytes - books->garbage.bytes);
  gray_restore(&w->gray);
  return WALK_OK;
}

/* True when the tree, now that it knows everything, wants lines for other entries: then all marks
** and lines are taken back. */
static int starts_again(walker *w) {
  if (!tree_start_again(w->t)) return 0;
  leave_queue(w);
  walk_take_marks_back(w->g);
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

static void block(GCObject *object, const GCObject *target) {
  if (object && object != target) object->marked |= LAYOUT_MARK_BIT;
}

static void block_value(void *context, label_kind kind, uintptr_t place, GCObject *key,
                        GCObject *value) {
  (void)kind, (void)place, (void)key;
  if (value && !layout_is_string(value)) block(value, context);
}

static GCObject *table_field(GCObject *table, const char *name) {
  const TValue *value = table ? layout_field(gco2t(table), name) : NULL;
  GCObject *object = value ? object_of(value) : NULL;
  return object && layout_kind(object) == KIND_TABLE ? object : NULL;
}

/* What has a name of its own is not part of what the target holds; but where the target is what
** gives the names, that is all it holds. */
static void block_named(walker *w, GCObject *target) {
  GCObject *globals = walk_globals(w->L), *registry = walk_registry(w->L);
  GCObject *loaded = table_field(table_field(globals, "package"), "loaded");
  if (globals && target != globals) {
    walk_each_entry(gco2t(globals), block_value, target);
    if (loaded && target != loaded) walk_each_entry(gco2t(loaded), block_value, target);
  }
  block(globals, target);
  block(registry, target);
  block(obj2gco(w->g->mainthread), target);
}

walk_status walk_target(lua_State *L, GCObject *target, const char *name, tree *t,
                        walk_books *met) {
  walker w;
  if (begin_walk(&w, L, t) != WALK_OK) return WALK_NO_MEMORY;
  do {
    block_named(&w, target);
    walk_root_object(&w, ROOT_GLOBALS, target, name);
    visit_parked(&w, SETTLING);
  } while (starts_again(&w));
  return end_walk(&w, met);
}

/* ---- what goes with an object ---- */

typedef struct {
  walker w;
  tree t;
  uint64_t room[TREE_ROOM(ROOT_COUNT + 3, 0)];
  GCObject *object;
  int condemned; /* there are condemned values */
} retention;

static void mark_without(retention *r, lua_State *L) {
  tree_init_bounded(&r->t, r->room, ROOT_COUNT + 3, 0, 0);
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
  walk_take_marks_back(r->w.g);
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
  walk_books unused;
  if (begin_without(&r, L, NULL) != WALK_OK) return WALK_NO_MEMORY;
  return end_walk(&r.w, &unused);
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
  walk_books unused;
  if (begin_without(&r, L, object) != WALK_OK) return WALK_NO_MEMORY;
  size_t without_bytes = live_bytes(&r.w);
  pardon(&r);
  for (mark_with(&r); condemns(&r); mark_with(&r)) mark_without(&r, L);
  *retained_bytes = live_bytes(&r.w) - without_bytes;
  pardon(&r);
  if (books) mark_leniently(&r.w);
  return end_walk(&r.w, books ? books : &unused);
}

walk_status walk_exclusive(lua_State *L, GCObject *target, size_t *bytes) {
  retention r;
  walk_books unused;
  if (begin_without(&r, L, target) != WALK_OK) return WALK_NO_MEMORY;
  size_t without_bytes = live_bytes(&r.w);
  leave_queue(&r.w);
  pardon(&r);
  block_named(&r.w, target);
  r.w.strict = r.w.keep_parked = 0;
  mark_with(&r);
  *bytes = live_bytes(&r.w) - without_bytes;
  return end_walk(&r.w, &unused);
}

walk_status walk_find_parent(lua_State *L, const GCObject *object, GCObject **parent,
                             const char **root) {
  walker w;
  tree t;
  walk_books unused;
  uint64_t room[TREE_ROOM(ROOT_COUNT + 3, 0)];
  tree_init_bounded(&t, room, ROOT_COUNT + 3, 0, 0);
  if (begin_walk(&w, L, &t) != WALK_OK) return WALK_NO_MEMORY;
  w.watched = object;
  walk_main_roots(&w);
  walk_resurrected(&w);
  *parent = w.watched_parent;
  *root = w.watched_root;
  return end_walk(&w, &unused);
}

SMALL_CODE_ENDS
