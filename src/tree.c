#include "tree.h"

#include <assert.h>
#include <string.h>

#include "borrow.h"

#define SMALLEST_CAPACITY 64u
#define LONGEST_CYCLE     4096u /* steps; a longer way back is not looked for */

/* ---- memory ---- */

/* A node may be found by three objects; and sorting takes two ranks a node. */
static uint32_t index_capacity_for(uint32_t node_capacity) {
  uint32_t capacity = SMALLEST_CAPACITY;
  while (capacity < 4 * node_capacity) capacity *= 2;
  return capacity;
}

size_t tree_memory_bytes(uint32_t node_capacity, uint32_t cycle_capacity) {
  return node_capacity * (sizeof(tree_node) + sizeof(uint32_t)) +
         cycle_capacity * sizeof(tree_cycle) + index_capacity_for(node_capacity) * sizeof(uint32_t);
}

void tree_init_bounded(tree *t, void *memory, uint32_t node_capacity, uint32_t cycle_capacity,
                       uint32_t max_depth) {
  memset(t, 0, sizeof *t);
  t->bounded = 1;
  t->max_depth = max_depth;
  t->capacity = node_capacity;
  t->cycle_capacity = cycle_capacity;
  t->index_capacity = index_capacity_for(node_capacity);
  t->index = memory;
  t->nodes = (tree_node *)(t->index + t->index_capacity);
  t->cycles = (tree_cycle *)(t->nodes + node_capacity);
  t->order = (uint32_t *)(t->cycles + cycle_capacity);
  memset(t->index, 0xFF, t->index_capacity * sizeof(uint32_t));
}

void tree_release(tree *t) {
  if (t->bounded) return;
  borrow_return(t->nodes);
  borrow_return(t->index);
  borrow_return(t->cycles);
  borrow_return(t->order);
  memset(t, 0, sizeof *t);
}

/* ---- object -> node ---- */

/* The upper bits are good for a hash. */
static uint64_t mixed(const void *object) {
  return (uint64_t)(uintptr_t)object * UINT64_C(0x9E3779B97F4A7C15);
}

static uint32_t tree_index_start(const tree *t, const void *object) {
  return (uint32_t)(mixed(object) >> 32) & (t->index_capacity - 1);
}

static void tree_index_insert(tree *t, const void *object, uint32_t node) {
  if (object == NULL) return;
  uint32_t at = tree_index_start(t, object);
  assert(3 * t->capacity < t->index_capacity); /* a free place ends every search */
  while (t->index[at] != TREE_NONE) at = (at + 1) & (t->index_capacity - 1);
  t->index[at] = node;
}

static void index_rebuild(tree *t) {
  memset(t->index, 0xFF, t->index_capacity * sizeof(uint32_t));
  for (uint32_t i = 0; i < t->used; i++) {
    const tree_node *n = &t->nodes[i];
    if (!n->in_use) continue;
    tree_index_insert(t, n->object, i);
    for (int alias = 0; alias < TREE_ALIASES; alias++) tree_index_insert(t, n->aliases[alias], i);
  }
}

static int has_alias(const tree_node *n, const void *object) {
  int found = 0;
  for (int alias = 0; alias < TREE_ALIASES; alias++) found |= n->aliases[alias] == object;
  return found;
}

uint32_t tree_find(const tree *t, const void *object) {
  uint32_t found = TREE_NONE;
  for (uint32_t at = tree_index_start(t, object);; at = (at + 1) & (t->index_capacity - 1)) {
    uint32_t node = t->index[at];
    if (node == TREE_NONE) return found;
    if (t->nodes[node].object == object) return node;
    if (has_alias(&t->nodes[node], object)) found = node;
  }
}

int tree_add_alias(tree *t, uint32_t node, const void *object) {
  const void **aliases = t->nodes[node].aliases;
  int alias = 0;
  while (alias < TREE_ALIASES && aliases[alias]) alias++;
  if (alias == TREE_ALIASES) return 0;
  aliases[alias] = object;
  tree_index_insert(t, object, node);
  return 1;
}

/* ---- growing ---- */

static int grow(tree *t) {
  uint32_t capacity = t->capacity ? t->capacity * 2 : SMALLEST_CAPACITY;
  uint32_t index_capacity = index_capacity_for(capacity);
  tree_node *nodes = borrow_more(t->nodes, capacity * sizeof(tree_node));
  if (nodes == NULL) return 0;
  t->nodes = nodes;
  uint32_t *order = borrow_more(t->order, capacity * sizeof(uint32_t));
  if (order == NULL) return 0;
  t->order = order;
  uint32_t *index = borrow_more(t->index, index_capacity * sizeof(uint32_t));
  if (index == NULL) return 0;
  t->index = index;
  t->index_capacity = index_capacity;
  t->capacity = capacity;
  index_rebuild(t);
  return 1;
}

int tree_init_growing(tree *t, uint32_t max_depth) {
  memset(t, 0, sizeof *t);
  t->max_depth = max_depth;
  if (grow(t)) return 1;
  tree_release(t);
  return 0;
}

static int grow_cycles(tree *t) {
  uint32_t capacity = t->cycle_capacity ? t->cycle_capacity * 2 : SMALLEST_CAPACITY;
  tree_cycle *cycles = borrow_more(t->cycles, capacity * sizeof(tree_cycle));
  if (cycles == NULL) return 0;
  t->cycles = cycles;
  t->cycle_capacity = capacity;
  return 1;
}

/* ---- sums and order ---- */

static size_t bytes_without_children(const tree_node *n) {
  return n->own_bytes + n->below_bytes + n->folded_bytes;
}

/* And no root: those are never folded. */
static int is_entry(const tree_node *n) { return n->in_use && n->parent != TREE_NONE; }

/* A growing tree folds nothing on the way, so there parents stand before children. The slots of a
** bounded one are used again; it is shallow, and each node counts for all that it stands below. */
void tree_sum(tree *t) {
  for (uint32_t i = 0; i < t->used; i++)
    t->nodes[i].total_bytes = bytes_without_children(&t->nodes[i]);
  for (uint32_t i = t->used; i-- > 0;) {
    const tree_node *n = &t->nodes[i];
    if (!is_entry(n)) continue;
    size_t bytes = t->bounded ? bytes_without_children(n) : n->total_bytes;
    uint32_t above = n->parent;
    do {
      t->nodes[above].total_bytes += bytes;
      above = t->nodes[above].parent;
    } while (t->bounded && above != TREE_NONE);
  }
}

/* A number that is the larger, the earlier a node stands: most bytes first, then the one that was
** there first. */
#define RANK_NODE_BITS 28
#define RANK_NODES     (UINT32_C(1) << RANK_NODE_BITS)

static uint64_t rank_of(const tree *t, uint32_t node) {
  return (uint64_t)t->nodes[node].total_bytes << RANK_NODE_BITS | (RANK_NODES - 1 - node);
}
static uint32_t node_of_rank(uint64_t rank) {
  return RANK_NODES - 1 - (uint32_t)(rank & (RANK_NODES - 1));
}

/* The ranks of all nodes, `t->count`: in the memory of the index, which is rebuilt afterwards if it
** is needed. */
static uint64_t *list_ranks(tree *t) {
  uint64_t *ranks = (uint64_t *)(void *)t->index;
  uint32_t count = 0;
  for (uint32_t i = 0; i < t->used; i++)
    if (t->nodes[i].in_use) ranks[count++] = rank_of(t, i);
  return ranks;
}

/* Of two nodes with as many bytes the one nearer to its root goes first, then names decide. */
static int goes_first(const tree *t, tree_compare compare, uint64_t a, uint64_t b) {
  if (a >> RANK_NODE_BITS != b >> RANK_NODE_BITS) return a > b;
  uint32_t x = node_of_rank(a), y = node_of_rank(b);
  if (t->nodes[x].depth != t->nodes[y].depth) return t->nodes[x].depth < t->nodes[y].depth;
  return compare(t, x, y) <= 0;
}

/* Merges the sorted `from[low..middle)` and `from[middle..high)`. */
static void merge(const tree *t, tree_compare compare, const uint64_t *from, uint32_t low,
                  uint32_t middle, uint32_t high, uint64_t *to) {
  uint32_t left = low, right = middle;
  if (middle >= high || goes_first(t, compare, from[middle - 1], from[middle])) {
    memcpy(to + low, from + low, (high - low) * sizeof *to);
    return;
  }
  while (low < high) {
    int takes_left =
        right == high || (left < middle && goes_first(t, compare, from[left], from[right]));
    to[low++] = from[takes_left ? left++ : right++];
  }
}

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Merges in rounds, to and fro; what is alike stays in the order of the nodes. Returns the number
** of nodes, which are in `order`. */
static uint32_t sort_nodes(tree *t, tree_compare compare) {
  uint32_t count = t->count;
  uint64_t *from = list_ranks(t), *to = from + count;
  for (uint32_t width = 1; width < count; width *= 2) {
    for (uint32_t low = 0; low < count; low += 2 * width)
      merge(t, compare, from, low, smaller(low + width, count), smaller(low + 2 * width, count),
            to);
    uint64_t *sorted = to;
    to = from;
    from = sorted;
  }
  for (uint32_t i = 0; i < count; i++) t->order[i] = node_of_rank(from[i]);
  return count;
}

/* The rank that so many others are before.
** After C. A. R. Hoare, "Algorithm 65: find", Communications of the ACM 4, 1961. */
static uint64_t find_rank(uint64_t *ranks, int before, int count) {
  for (int low = 0, high = count - 1; low < high;) {
    uint64_t pivot = ranks[low + (high - low) / 2];
    int left = low, right = high;
    do {
      while (ranks[left] > pivot) left++;
      while (ranks[right] < pivot) right--;
      if (left > right) break;
      uint64_t larger = ranks[right];
      ranks[right--] = ranks[left];
      ranks[left++] = larger;
    } while (left <= right);
    if (before > right) low = left;
    if (before < left) high = right;
  }
  return ranks[before];
}

/* ---- folding ---- */

/* Of nodes that are gone; folding many drops their cycles once. What a cycle leads back to stays as
** long as what it comes from, which stands below. */
static void drop_stale_cycles(tree *t) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < t->cycle_count; i++)
    if (t->nodes[t->cycles[i].from].in_use) t->cycles[kept++] = t->cycles[i];
  t->cycle_count = kept;
}

/* Leaves index and cycles stale. */
static void fold_node(tree *t, uint32_t node) {
  tree_node *n = &t->nodes[node], *parent = &t->nodes[n->parent];
  assert(is_entry(n) && n->child_count == 0);
  parent->folded_bytes += bytes_without_children(n);
  parent->folded_count++;
  parent->child_count--;
  n->in_use = 0;
  t->count--;
}

/* Whether the entries of a parent are names rather than data, as all above it are, and there is
** room for such. */
static int has_names(const tree *t, uint32_t parent) {
  if (t->is_crowded) return 0;
  for (; parent != TREE_NONE; parent = t->nodes[parent].parent)
    if (tree_has_many(t, parent)) return 0;
  return 1;
}

static int folds(const tree *t, uint32_t node, uint32_t kept) {
  const tree_node *n = &t->nodes[node];
  if (!is_entry(n) || n->child_count > 0 || node == kept || tree_wants(t, n->object)) return 0;
  return !n->is_holder || !has_names(t, n->parent);
}

/* Folds all nodes but the `left` largest, of more, and `kept`: a node when its children are
** gone. */
static void fold_smaller(tree *t, uint32_t left, uint32_t kept) {
  uint64_t largest_small = find_rank(list_ranks(t), (int)left, (int)t->count);
  for (uint32_t i = 0; i < t->used; i++) {
    for (uint32_t node = i; rank_of(t, node) <= largest_small && folds(t, node, kept);) {
      size_t bytes = t->nodes[node].total_bytes;
      if (bytes > t->threshold_bytes) t->threshold_bytes = bytes;
      fold_node(t, node);
      node = t->nodes[node].parent;
    }
  }
}

/* Folds the smaller half of the nodes, but for holders with names; where that makes too little
** room, more of the others; where that does too, those as well, from now on. */
static void make_room(tree *t, uint32_t kept) {
  uint32_t enough = t->capacity - t->capacity / 8;
  tree_sum(t);
  fold_smaller(t, t->capacity / 2, kept);
  if (t->count > enough && !t->is_crowded) {
    fold_smaller(t, t->capacity / 4, kept);
    t->is_crowded = t->count > enough;
    if (t->is_crowded) fold_smaller(t, t->capacity / 2, kept);
  }
  t->next_free = 0;
  drop_stale_cycles(t);
  index_rebuild(t);
}

/* Parents stand before children: everything below a dropped node is dropped too, and folded
** first. */
static void fold_small_children(tree *t, uint32_t max_children, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    tree_node *n = &t->nodes[t->order[i]];
    n->shown_children = n->is_dropped = 0;
    if (n->parent == TREE_NONE) continue;
    tree_node *parent = &t->nodes[n->parent];
    n->is_dropped = parent->is_dropped || parent->shown_children == max_children;
    parent->shown_children += !n->is_dropped;
  }
  for (uint32_t i = count; i-- > 0;)
    if (t->nodes[t->order[i]].is_dropped) fold_node(t, t->order[i]);
}

static void fold_small_lines(tree *t, uint32_t max_lines, uint32_t count) {
  uint32_t lines = 0;
  for (uint32_t i = 0; i < count; i++)
    if (t->nodes[t->order[i]].in_use) lines += tree_lines_of(&t->nodes[t->order[i]]);
  for (uint32_t i = count; i-- > 0 && lines > max_lines;) {
    tree_node *n = &t->nodes[t->order[i]];
    if (!is_entry(n) || n->child_count > 0) continue;
    tree_node *parent = &t->nodes[n->parent];
    lines -= tree_lines_of(n) + tree_lines_of(parent);
    fold_node(t, t->order[i]);
    lines += tree_lines_of(parent);
  }
}

const uint32_t *tree_select(tree *t, uint32_t max_children, uint32_t max_lines,
                            tree_compare compare) {
  tree_sum(t);
  uint32_t count = sort_nodes(t, compare), left = 0;
  fold_small_children(t, max_children, count);
  fold_small_lines(t, max_lines, count);
  drop_stale_cycles(t);
  for (uint32_t i = 0; i < count; i++)
    if (t->nodes[t->order[i]].in_use) t->order[left++] = t->order[i];
  return t->order;
}

/* ---- adding ---- */

/* Where a tree grows, entries leave room for the roots, which can't be refused. */
static uint32_t free_slot(tree *t, uint32_t parent) {
  uint32_t reserve = t->bounded || parent == TREE_NONE ? 0 : TREE_ROOTS;
  if (t->count + reserve >= t->capacity) {
    if (t->bounded)
      make_room(t, parent);
    else if (!grow(t))
      return t->failed = 1, TREE_NONE;
  }
  if (t->used < t->capacity) return t->used++;
  while (t->next_free < t->used && t->nodes[t->next_free].in_use) t->next_free++;
  return t->next_free < t->used ? t->next_free : TREE_NONE;
}

static uint32_t new_node(tree *t, uint32_t parent, uint8_t label_kind, uintptr_t place,
                         const void *object, size_t own_bytes) {
  uint32_t node = free_slot(t, parent);
  if (node == TREE_NONE) return TREE_NONE;
  tree_node *n = &t->nodes[node];
  n->object = object;
  for (int alias = 0; alias < TREE_ALIASES; alias++) n->aliases[alias] = NULL;
  n->place = place;
  n->own_bytes = own_bytes;
  n->below_bytes = n->folded_bytes = 0;
  n->folded_count = n->child_count = n->depth = 0;
  n->parent = parent;
  n->label_kind = label_kind;
  n->is_holder = 0;
  n->in_use = 1;
  if (parent != TREE_NONE) {
    n->depth = t->nodes[parent].depth + 1;
    t->nodes[parent].child_count++;
  }
  t->count++;
  tree_index_insert(t, object, node);
  return node;
}

uint32_t tree_add_root(tree *t, const void *object, uint8_t label_kind, uintptr_t place,
                       size_t own_bytes) {
  return new_node(t, TREE_NONE, label_kind, place, object, own_bytes);
}

uint32_t tree_add_large(tree *t, uint32_t parent, uint8_t label_kind, uintptr_t place,
                        const void *object, size_t own_bytes) {
  uint32_t node = new_node(t, parent, label_kind, place, object, own_bytes);
  return node == TREE_NONE ? tree_refuse(t, parent, own_bytes) : node;
}

uint32_t tree_add_holder(tree *t, uint32_t parent, uint8_t label_kind, uintptr_t place,
                         const void *object, size_t own_bytes) {
  if (own_bytes <= t->threshold_bytes && !tree_wants(t, object) && !has_names(t, parent))
    return tree_refuse(t, parent, own_bytes);
  uint32_t node = tree_add_large(t, parent, label_kind, place, object, own_bytes);
  if (node != TREE_NONE) t->nodes[node].is_holder = 1;
  return node;
}

uint32_t tree_admit(tree *t, uint32_t parent, uint8_t label_kind, uintptr_t place,
                    const void *object, size_t own_bytes, size_t content_bytes,
                    uint32_t content_count) {
  size_t bytes = own_bytes + content_bytes;
  if (!tree_is_admitted(t, bytes)) return TREE_NONE;
  uint32_t node = tree_add_large(t, parent, label_kind, place, object, own_bytes);
  if (node != TREE_NONE) {
    tree_charge(t, node, content_bytes);
    t->nodes[node].folded_count = content_count;
  } else {
    bytes = own_bytes; /* it was counted a second time */
  }
  assert(t->nodes[parent].folded_bytes >= bytes && t->nodes[parent].folded_count > 0);
  t->nodes[parent].folded_bytes -= bytes;
  t->nodes[parent].folded_count--;
  return node;
}

/* ---- entries that turn out to be large ---- */

#define SUSPECT_WAYS    4u
#define FAR_LARGER      4u    /* times the smallest entry that has a node */
#define SMALLEST_WANTED 1024u /* bytes */

void tree_suspect(tree *t, const void *object, size_t bytes) {
  uint32_t number = (uint32_t)(mixed(object) >> 40) % (TREE_SUSPECTS / SUSPECT_WAYS);
  tree_suspicion *set = &t->suspects[number * SUSPECT_WAYS], *lightest = set;
  if (!t->bounded) return;
  for (uint32_t i = 0; i < SUSPECT_WAYS; i++) {
    if (set[i].object == object) {
      set[i].bytes += bytes;
      return;
    }
    if (set[i].bytes < lightest->bytes) lightest = &set[i];
  }
  lightest->object = object;
  lightest->inherited_bytes = lightest->bytes;
  lightest->bytes += bytes;
}

static int is_far_larger(const tree *t, const tree_suspicion *s) {
  size_t bytes = s->bytes - s->inherited_bytes;
  return s->object && bytes > FAR_LARGER * t->threshold_bytes && bytes > SMALLEST_WANTED;
}

static void want(tree *t, const tree_suspicion *s) {
  uint32_t room = t->capacity / 8; /* the roots, and parents, need the rest */
  if (t->wanted_count < TREE_WANTED && t->wanted_count < room)
    t->wanted[t->wanted_count++] = s->object;
}

int tree_start_again(tree *t) {
  if (!t->bounded || t->wanted_count > 0) return 0;
  for (uint32_t i = 0; i < TREE_SUSPECTS; i++)
    if (is_far_larger(t, &t->suspects[i])) want(t, &t->suspects[i]);
  if (t->wanted_count == 0) return 0;
  t->used = t->count = t->cycle_count = t->cycles_dropped = 0;
  t->threshold_bytes = 0;
  index_rebuild(t);
  return 1;
}

/* ---- cycles ---- */

static int is_on_path(const tree *t, uint32_t from, uint32_t to) {
  uint32_t depth = t->nodes[to].depth;
  for (uint32_t steps = 0; steps < LONGEST_CYCLE; steps++) {
    if (from == to) return 1;
    if (t->nodes[from].depth <= depth) return 0; /* a root at the latest */
    from = t->nodes[from].parent;
  }
  return 0;
}

void tree_note_cycle(tree *t, uint32_t from, uint8_t label_kind, uintptr_t place, uint32_t to) {
  if (!is_on_path(t, from, to)) return;
  if (t->cycle_count == t->cycle_capacity && (t->bounded || !grow_cycles(t))) {
    t->cycles_dropped++;
    if (!t->bounded) t->failed = 1;
    return;
  }
  tree_cycle cycle = {place, from, to, label_kind};
  t->cycles[t->cycle_count++] = cycle;
}
