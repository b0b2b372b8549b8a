/*
** tree: the lines of a report, with the bytes of each.
**
** A walk tells it, parents first, which entries it found and how many bytes
** each claimed; the tree keeps a node for an entry as long as it has room.
** Bytes never get lost: what has no node of its own is counted in its parent,
** below the depth as `below_bytes`, beside its siblings as `folded_bytes`.
** Invariant: the sum of own, below and folded bytes over all nodes is the sum
** of everything told.
**
** A bounded tree lives in memory that the caller gives and grows no further:
** when it is full, the smallest childless nodes are folded into their parents,
** half of the tree at a time, and from then on nothing that small gets in.
** So any entry that ends among the largest half of the capacity has a node,
** provided it was that large when it was told of, or half as large again when
** what it holds was (see `tree_admit`).
** Holders that have names (`tree_add_holder`) keep their nodes meanwhile: a module's table is small
** and what its functions hold is not. Where they leave less than an eighth of the room, more of the
** rest goes, the largest quarter stays; where that is not enough, names are folded like all else.
**
** It knows no Lua: objects are addresses that are compared, never followed.
*/
#ifndef MEMBUDDY_TREE_H
#define MEMBUDDY_TREE_H

#include <stddef.h>
#include <stdint.h>

#define TREE_NONE      UINT32_MAX
#define TREE_UNLIMITED UINT32_MAX
#define TREE_SUSPECTS  256u /* a power of two */
#define TREE_WANTED    32u
#define TREE_ALIASES   2
#define TREE_NAMES     128u /* a parent of more entries holds data, not names */

typedef struct {
  const void *object; /* borrowed from the heap; NULL when the entry claimed no object */
  const void *aliases[TREE_ALIASES]; /* other objects whose node this is; NULL: none */
  union {
    uintptr_t place;  /* see `label` in layout.h */
    const void *path; /* in its stead, once the line is written; owned by the writer */
  };
  size_t own_bytes;    /* the entry's: its object, and the key that names it */
  size_t below_bytes;  /* deeper than the tree goes */
  size_t folded_bytes; /* of entries without a node of their own */
  size_t total_bytes;  /* with everything below; set by `tree_sum` */
  uint32_t folded_count;
  uint32_t parent; /* index, TREE_NONE for a root */
  uint32_t depth;
  uint32_t child_count;
  uint32_t shown_children; /* of `tree_select` */
  uint8_t label_kind;
  uint8_t in_use;     /* 0: a free slot */
  uint8_t is_holder;  /* may turn out to hold far more than its own bytes */
  uint8_t is_dropped; /* of `tree_select` */
} tree_node;

/* A reference from `from`, at `place`, back to `to`, which is on its own path. */
typedef struct {
  uintptr_t place;
  uint32_t from;
  uint32_t to;
  uint8_t label_kind;
} tree_cycle;

/* An entry without a node, and what it is known to hold. `inherited_bytes` of that may be those of
** suspects whose place it took. */
typedef struct {
  const void *object;
  size_t bytes;
  size_t inherited_bytes;
} tree_suspicion;

typedef struct {
  tree_node *nodes;
  uint32_t *index; /* object -> node, open addressing; scratch of sorting: aligned for uint64_t */
  tree_cycle *cycles;
  uint32_t *order; /* sorted nodes */
  uint32_t capacity, index_capacity, cycle_capacity;
  uint32_t used;      /* nodes ever handed out, in use or free */
  uint32_t next_free; /* no slot below it is free */
  uint32_t count;     /* nodes in use */
  uint32_t cycle_count;
  uint32_t max_depth;
  uint32_t cycles_dropped; /* not kept because a bounded tree had no room */
  size_t threshold_bytes;  /* entries no larger get no node any more */
  tree_suspicion suspects[TREE_SUSPECTS];
  const void *wanted[TREE_WANTED]; /* objects that get a node whatever their size */
  uint32_t wanted_count;
  int bounded;
  int is_crowded; /* a bounded tree has no room for all holders that have names */
  int failed;     /* a loan was refused: figures hold, lines are missing */
} tree;

/* Bytes of memory that a bounded tree of so many nodes needs. */
size_t tree_memory_bytes(uint32_t node_capacity, uint32_t cycle_capacity);
/* What the above is at most, for an array whose size must be a constant. */
#define TREE_MEMORY_BYTES(nodes, cycles)                                                           \
  ((nodes) * (sizeof(tree_node) + 9 * sizeof(uint32_t)) + (cycles) * sizeof(tree_cycle) +          \
   64 * sizeof(uint32_t))
/* Elements of an array of uint64_t that has room for it. */
#define TREE_ROOM(nodes, cycles) (TREE_MEMORY_BYTES(nodes, cycles) / sizeof(uint64_t) + 1)
/* A tree in borrowed `memory` (aligned for uint64_t) of `tree_memory_bytes`, of less than
** 2^28 nodes, as every tree. */
void tree_init_bounded(tree *t, void *memory, uint32_t node_capacity, uint32_t cycle_capacity,
                       uint32_t max_depth);
/* What a report of so many lines has room in, from inside and from outside: so both fold the same
** entries. Deeper ones, and longer ones, take a tree that grows. */
#define TREE_REPORT_NODES  512u
#define TREE_REPORT_CYCLES 32u
#define TREE_REPORT_DEPTH  3u
#define TREE_REPORT_LINES  320u
/* A tree that grows by loans; release it with `tree_release`. Returns 0 when the first was refused;
** there is nothing to release then. */
int tree_init_growing(tree *t, uint32_t max_depth);
void tree_release(tree *t);

/* There is always room for so many roots. */
#define TREE_ROOTS 16u
/* A root stays whatever happens. Returns its index. */
uint32_t tree_add_root(tree *t, const void *object, uint8_t label_kind, uintptr_t place,
                       size_t own_bytes);
static inline int tree_wants(const tree *t, const void *object) {
  for (uint32_t i = 0; i < t->wanted_count; i++)
    if (t->wanted[i] == object) return 1;
  return 0;
}
/* Whether an entry that was folded may have a node after all: not where it is one of many that are
** alike, which would take turns. */
static inline int tree_is_admitted(const tree *t, size_t bytes) {
  return bytes > t->threshold_bytes + t->threshold_bytes / 2;
}
/* The part of `tree_add` that is rarely needed. */
uint32_t tree_add_large(tree *t, uint32_t parent, uint8_t label_kind, uintptr_t place,
                        const void *object, size_t own_bytes);
/* Counts an entry in its parent instead of giving it a node. */
static inline uint32_t tree_refuse(tree *t, uint32_t parent, size_t bytes) {
  t->nodes[parent].folded_bytes += bytes;
  t->nodes[parent].folded_count++;
  return TREE_NONE;
}
/* An entry of `parent`, which is above the tree's depth. TREE_NONE when it gets no node: its
** bytes are counted in the parent then. */
static inline uint32_t tree_add(tree *t, uint32_t parent, uint8_t label_kind, uintptr_t place,
                                const void *object, size_t own_bytes) {
  if (own_bytes <= t->threshold_bytes && !tree_wants(t, object))
    return tree_refuse(t, parent, own_bytes);
  return tree_add_large(t, parent, label_kind, place, object, own_bytes);
}
static inline int tree_has_many(const tree *t, uint32_t node) {
  return t->nodes[node].child_count + t->nodes[node].folded_count > TREE_NAMES;
}
/* As `tree_add`, of an object that may turn out to hold far more than its own bytes. Where it has a
** name, and all above it have, it gets a node whatever its size, as long as there is room. */
uint32_t tree_add_holder(tree *t, uint32_t parent, uint8_t label_kind, uintptr_t place,
                         const void *object, size_t own_bytes);
/* Bytes found below `node` that have no node of their own. */
static inline void tree_charge(tree *t, uint32_t node, size_t bytes) {
  tree_node *n = &t->nodes[node];
  if (n->depth >= t->max_depth)
    n->below_bytes += bytes;
  else
    n->folded_bytes += bytes;
}
/* An entry that was folded into `parent` turns out to hold `content_bytes` more, which the parent
** has so far, in `content_count` entries, which nobody counted: give it a node after all, if it is
** large enough by now. TREE_NONE when it is not. */
uint32_t tree_admit(tree *t, uint32_t parent, uint8_t label_kind, uintptr_t place,
                    const void *object, size_t own_bytes, size_t content_bytes,
                    uint32_t content_count);
/* `bytes` more were found below an entry that has no node (they are counted in its parent). The
** heaviest of such entries are remembered, by the rule of A. Metwally, D. Agrawal, A. El Abbadi,
** "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005, within sets of
** four. */
void tree_suspect(tree *t, const void *object, size_t bytes);
/* After everything was told: if entries that were folded are far larger than what has a node,
** empties the tree, notes them as wanted, and returns 1: tell everything once more. Returns 1
** once at most. */
int tree_start_again(tree *t);

/* From now on `object` is found at `node` while it has no node of its own. Returns whether there
** was room for it. */
int tree_add_alias(tree *t, uint32_t node, const void *object);

/* The node of an object, its own or else the one it is an alias at; TREE_NONE when it has none. */
uint32_t tree_find(const tree *t, const void *object);
/* A reference from `from` back to `to`; kept if `to` is on the path of `from`. */
void tree_note_cycle(tree *t, uint32_t from, uint8_t label_kind, uintptr_t place, uint32_t to);

/* Sets `total_bytes` of every node. */
void tree_sum(tree *t);

/* Of a report: its own, and those that stand for what has none. */
static inline uint32_t tree_lines_of(const tree_node *n) {
  return 1u + (n->below_bytes > 0) + (n->folded_bytes > 0);
}

/* How a tie between two nodes is broken: as `strcmp`, on what is printed. */
typedef int (*tree_compare)(const tree *t, uint32_t a, uint32_t b);
/* Folds until no node has more than `max_children` children and the report no more than
** `max_lines` lines; the largest stay, ties go to the smaller name. Returns the nodes that are
** left, largest total first, so parents before children: owned by the tree, `t->count` entries. No
** object is found any more, and nothing may be added. */
const uint32_t *tree_select(tree *t, uint32_t max_children, uint32_t max_lines,
                            tree_compare compare);

#endif
