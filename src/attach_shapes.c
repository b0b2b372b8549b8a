/*
** Shapes: the objects of a graph, grouped by paths that stay the same when entries shift.
**
** An object's shape is its shortest path with every number in it as `[n]`: all messages of an
** inbox have one, whatever is first today. A key belongs to the shape that it names, an
** upvalue's cell and its value are one, and what lies deeper than asked for belongs to the shape
** above. The bytes of all shapes add up to those of the graph.
*/
#include "attach_graph.h"
#include "borrow.h"
#include "path.h"

#define NO_SHAPE UINT32_MAX

/* Two steps from the same shape are one when this is the same: a text's hash is taken for it where
** neither an address nor a number can tell. */
typedef struct {
  uintptr_t kind; /* which of these it is */
  uint64_t value;
} step_identity;

enum { STEP_NUMBER, STEP_STRING, STEP_TEXT };

typedef struct {
  step_identity step;
  uint32_t parent, depth;
  uint32_t from; /* a node that has such a step */
  label place;
} shape;

static struct {
  const attached_graph *whole;
  uint32_t deepest;
  shape *shapes;
  double *own; /* by shape, made last */
  uint32_t *objects, *parents;
  uint32_t count, capacity;
  uint32_t *of_node;
  uint32_t *index; /* of shapes, by hash */
  size_t index_capacity;
  uint32_t from; /* the node in hand */
  int failed;
} all;

/* ---- steps ---- */

static uint64_t hash_of_text(const char *text, size_t bytes) {
  uint64_t hash = UINT64_C(0xCBF29CE484222325); /* FNV-1a */
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ (unsigned char)text[i]) * 0x100000001B3u;
  return hash;
}

static step_identity identity_of(label place) {
  char text[PATH_LABEL_BYTES];
  TValue key;
  setnilvalue(&key);
  if (place.kind == LABEL_NODE) layout_copy_node_key((const Node *)place.place, &key);
  if (place.kind == LABEL_INDEX || ttisnumber(&key)) return (step_identity){STEP_NUMBER, 0};
  if (ttisstring(&key)) return (step_identity){STEP_STRING, (uintptr_t)gcvalue(&key)};
  size_t bytes = path_label(text, place, graph_object(&all.whole->g, all.from));
  return (step_identity){STEP_TEXT, hash_of_text(text, bytes)};
}

/* ---- the shapes found ---- */

static size_t place_of_hash(uint32_t parent, step_identity step) {
  uint64_t hash = (step.value ^ (uint64_t)step.kind << 61 ^ (uint64_t)parent << 29) *
                  UINT64_C(0x9E3779B97F4A7C15);
  return (size_t)(hash >> 20) & (all.index_capacity - 1);
}

static uint32_t *slot_of(uint32_t parent, step_identity step) {
  for (size_t at = place_of_hash(parent, step);; at = (at + 1) & (all.index_capacity - 1)) {
    const shape *s = all.index[at] == NO_SHAPE ? NULL : &all.shapes[all.index[at]];
    if (s == NULL ||
        (s->parent == parent && s->step.kind == step.kind && s->step.value == step.value))
      return &all.index[at];
  }
}

static int grow(void) {
  uint32_t capacity = all.capacity ? 2 * all.capacity : 1024;
  shape *shapes = borrow_more(all.shapes, capacity * sizeof *shapes);
  uint32_t *index = shapes ? borrow_more(all.index, 2 * capacity * sizeof *index) : NULL;
  if (shapes) all.shapes = shapes;
  if (index == NULL) return 0;
  all.index = index;
  all.capacity = capacity;
  all.index_capacity = 2 * (size_t)capacity;
  memset(index, 0xFF, all.index_capacity * sizeof *index);
  for (uint32_t i = 1; i < all.count; i++) *slot_of(all.shapes[i].parent, all.shapes[i].step) = i;
  return 1;
}

static uint32_t shape_of_step(uint32_t parent, label place) {
  step_identity step = identity_of(place);
  uint32_t *slot = slot_of(parent, step);
  if (*slot != NO_SHAPE) return *slot;
  if (all.count == all.capacity) {
    if (!grow()) return all.failed = 1, parent;
    slot = slot_of(parent, step);
  }
  all.shapes[all.count] = (shape){step, parent, all.shapes[parent].depth + 1, all.from, place};
  return *slot = all.count++;
}

/* ---- nodes ---- */

static int is_cell_of_value(label place) {
  return place.kind == LABEL_UPVALUE && place.place == 0 &&
         all.whole->kinds[all.from] == KIND_UPVALUE;
}

static void take_step(void *context, label place, int is_key, uint32_t to) {
  (void)context, (void)is_key;
  if (all.failed || all.of_node[to] != NO_SHAPE || all.whole->g.parents[to] != all.from) return;
  uint32_t above = all.of_node[all.from];
  all.of_node[to] = is_cell_of_value(place) ? above : shape_of_step(above, place);
}

/* A parent has a smaller number than its children: theirs is known, once all before them were
** looked at. */
static void find_shapes(void) {
  const graph *g = &all.whole->g;
  for (uint32_t node = 0; node < g->node_count && !all.failed; node++) {
    if (all.of_node[node] == NO_SHAPE) all.of_node[node] = all.of_node[g->parents[node]];
    all.from = node;
    if (g->first[node] < g->first[node + 1] && all.shapes[all.of_node[node]].depth < all.deepest)
      attach_each_step(node, take_step, NULL);
  }
}

static int add_up(void) {
  all.own = borrow(all.count * sizeof *all.own);
  all.objects = borrow(all.count * sizeof *all.objects);
  all.parents = borrow(all.count * sizeof *all.parents);
  if (!(all.own && all.objects && all.parents)) return 0;
  memset(all.own, 0, all.count * sizeof *all.own);
  memset(all.objects, 0, all.count * sizeof *all.objects);
  for (uint32_t i = 0; i < all.count; i++) all.parents[i] = all.shapes[i].parent;
  for (uint32_t node = 1; node < all.whole->g.node_count; node++) {
    uint32_t own_bytes = all.whole->own[node]; /* as many as 32 bits say */
    all.own[all.of_node[node]] += own_bytes < UINT32_MAX ? own_bytes : attach_own_bytes(node);
    all.objects[all.of_node[node]]++;
  }
  return 1;
}

/* ---- the whole ---- */

ATTACH_EXPORT void attach_end_shapes(void) {
  borrow_return(all.parents);
  borrow_return(all.objects);
  borrow_return(all.own);
  borrow_return(all.index);
  borrow_return(all.shapes);
  borrow_return(all.of_node);
  memset(&all, 0, sizeof all);
}

ATTACH_EXPORT double attach_shapes(double depth) {
  attach_end_shapes();
  all.whole = attach_the_graph();
  all.deepest = depth < UINT32_MAX ? (uint32_t)depth : UINT32_MAX;
  size_t bytes = all.whole->g.node_count * sizeof *all.of_node;
  all.of_node = borrow(bytes);
  if (all.of_node && grow()) {
    memset(all.of_node, 0xFF, bytes);
    all.shapes[0] = (shape){{STEP_TEXT, 0}, 0, 0, 0, {LABEL_UNKNOWN, 0}};
    all.of_node[0] = 0;
    all.count = 1;
    find_shapes();
    if (!all.failed && add_up()) return (double)all.count;
  }
  attach_end_shapes();
  return -1;
}

ATTACH_EXPORT uintptr_t attach_shape_array(int which) {
  const void *const arrays[] = {
      [ATTACH_SHAPE_PARENTS] = all.parents,
      [ATTACH_SHAPE_OBJECTS] = all.objects,
      [ATTACH_SHAPE_OWN] = all.own,
  };
  return (uintptr_t)arrays[which];
}

ATTACH_EXPORT uint32_t attach_shape_label(uint32_t i) {
  const shape *s = &all.shapes[i];
  char *text = (char *)attach_text();
  if (i == 0) return 0;
  if (s->step.kind != STEP_NUMBER)
    return (uint32_t)path_label(text, s->place,
                                s->from ? graph_object(&all.whole->g, s->from) : NULL);
  memcpy(text, "[n]", 3);
  return 3;
}
