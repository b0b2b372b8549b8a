/*
** walk_queue: the state of a walk, its marks, and the queue of what it has
** found and not visited yet. Included by walk.c alone.
**
** The queue is breadth first, linked through the `gclist` words of the objects
** themselves, and each is told apart by bits of its own `tt` (`role_of`).
**
** How one word an object is enough: a breadth-first queue keeps the objects
** of one owner together on every level, in the order of their owners. So an
** owner that has been visited stands in the queue again, before its own, as a
** separator, and names the node of the tree that the next objects belong to
** (the first of a level is noted instead: a list is all firsts).
**
** Invariant: no object stands in the queue twice, and none without a mark.
*/
#ifndef MEMBUDDY_WALK_QUEUE_H
#define MEMBUDDY_WALK_QUEUE_H

#include <assert.h>

#include "gray.h"
#include "walk.h"

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

/* What a tree needs that nobody reads: those, the two of `add_runtime`, and one to spare. */
#define FEWEST_NODES (ROOT_COUNT + 3)
_Static_assert(FEWEST_NODES <= TREE_ROOTS, "a tree has room for all roots of a walk");

#define DEEPEST_OWNER 3 /* of a bounded tree; a growing one needs a single owner */

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
  size_t parked;          /* weak tables in the level to come that will be looked at again */
  size_t level;           /* its number, from the first root on */
  int next_level_is_open; /* the separators of the owners in hand stand there */
  int depth;              /* of owners[] */

  /* the visit in hand */
  GCObject *in_hand;  /* NULL: a root that is no object */
  uint32_t node;      /* of the object whose references are visited; TREE_NONE: deeper */
  GCObject *passed;   /* the userdata that holds what is found now and can't be queued, else NULL */
  uint32_t unlinked;  /* its node, else TREE_NONE */
  size_t found_bytes; /* charged to the owner when the visit ends */
  uint32_t found_count;
  uint32_t folded_below;   /* node that the object in hand is folded into, until it queues
                           ** something and so becomes an owner; else TREE_NONE */
  const GCObject *watched; /* somebody asks who holds it: see `note_holder` */
  kind_tally kinds[KIND_COUNT];
  const GCObject *blocked; /* marked, but not live for all that */
  size_t own_cell_bytes;   /* of those found: the open cells of the thread in hand */
  size_t shared_bytes[SHARED_LABELS];
  int has_line_below; /* the owner: what it queued may have lines of its own */
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
  if (object == w->watched) note_holder(w);
  return claim_of_kind(w, object, layout_kind(object), walk_object_bytes(w->g, object));
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
  TO_VISIT_WITH_NODE, /* it had one when it was queued */
  TO_VISIT_WITH_KEY,  /* perhaps a node, and the bytes of its key are its line's */
  /* no role: of what is dead (see `keeps_key`) and stands there only if somebody asks what it would
  ** keep alive; nothing has a line then */
  CONDEMNED = TO_VISIT_WITH_KEY
};

_Static_assert(TO_VISIT_WITH_KEY < 8, "a role has three bits: see LAYOUT_SPARE_TT_BITS");

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
  assert(link == layout_link(object));
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
  assert(is_marked(object));
  assert(role_of(object) == TO_VISIT || (w->strict && role_of(object) == CONDEMNED));
  if (!w->next_level_is_open) queue_separators(w);
  push(w, object, link);
  w->next_level_work++;
}

#endif
