/*
** walk_references: what a reference of the object in hand leads to. Included by
** walk.c alone.
**
** Whoever finds an object first claims its bytes: as a line of the tree while
** the tree goes that deep (`visit_in_tree`), else as a sum for the owner in
** hand (`visit_deep`). What has references of its own is queued; a userdata
** without a `gclist` can't be, and is visited at once.
*/
#ifndef MEMBUDDY_WALK_REFERENCES_H
#define MEMBUDDY_WALK_REFERENCES_H

#include "walk_queue.h"

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

#endif
