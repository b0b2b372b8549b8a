/*
** walk_visit: the visit of one object, and to whom what it finds belongs.
** Included by walk.c alone.
**
** An owner is an object with a node of the tree, or one that was folded and
** queued something. While a visit lasts it is the innermost of `owners`, so what
** it queues stands behind its separator; what it found without a node is charged
** to it when the visit ends. A child that was folded has its second chance then
** (`admit_folded`): what it holds is known by that time.
*/
#ifndef MEMBUDDY_WALK_VISIT_H
#define MEMBUDDY_WALK_VISIT_H

#include "walk_weak.h"

#define MANY_LOOKS 16u /* through a table for the labels of its children */

/* In walk_loops.h. */
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
static LAYOUT_APART void charge_found(walker *w) {
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
  size_t slot_count = layout_slot_count(table);
  if (w->folded_in != table) w->folded_slot = w->folded_looks = 0;
  w->folded_in = table;
  if (table->metatable && obj2gco(table->metatable) == child) return make_label(LABEL_METATABLE, 0);
  for (size_t left = slot_count; left > 0 && w->folded_looks < MANY_LOOKS * slot_count; left--) {
    size_t slot = w->folded_slot;
    const Node *node = layout_slot_node(table, array_count, slot);
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

#endif
