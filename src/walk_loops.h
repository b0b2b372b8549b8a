/*
** walk_loops: the loops that a walk spends its time in. Included by walk.c alone.
**
** The same as walk_references.h and walk_visit.h do, of what most of a heap is
** made of: tables without a metatable, Lua functions, prototypes, strings. They
** may leave out what such objects never have, and nothing else.
*/
#ifndef MEMBUDDY_WALK_LOOPS_H
#define MEMBUDDY_WALK_LOOPS_H

#include "walk_visit.h"

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

/* `value`: that of the entry whose key the object is; else NULL. */
static LAYOUT_APART void discover_part(walker *w, GCObject *object, const GCObject *value) {
  if (layout_is_string(object))
    found_name(w, claim_new_string(w, object), value);
  else
    discover_other(w, object);
}

LAYOUT_INLINE void visit_entry_deep(void *context, label_kind kind, uintptr_t place, GCObject *key,
                                    GCObject *value) {
  (void)kind, (void)place;
  if (key && !is_marked(key)) discover_part(context, key, value);
  if (value) discover_deep(context, value);
}

/* What most of a heap is made of. */
static LAYOUT_APART void visit_entries_deep(walker *w, const Table *table) {
  layout_each_entry(table, visit_entry_deep, w);
}

/* Most of what a prototype refers to are names that others have as well. */
LAYOUT_INLINE void visit_part_deep(void *context, label_kind kind, uintptr_t place, GCObject *key,
                                   GCObject *value) {
  (void)kind, (void)place, (void)key;
  if (!is_marked(value)) discover_part(context, value, NULL);
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
  if (value && !is_marked(value)) discover_part(w, value, NULL);
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
static LAYOUT_APART int stays_with_owners(const walker *w) {
  if (w->parked > 0 || w->first_depth != w->depth) return 0;
  for (int depth = 0; depth <= w->depth; depth++)
    if (w->first[depth] != w->owners[depth].object) return 0;
  return 1;
}

/* Where nobody but the owners in hand queued anything, the level to come is a part of this one: a
** list is a single level. */
static int goes_on(walker *w) {
  if (w->level_left > 0) return 1;
  if (w->next_level_work == 0 || w->next_level_other > 0 || !stays_with_owners(w)) return 0;
  w->level++;
  w->level_left = w->next_level_work;
  w->next_level_work = 0;
  return 1;
}

/* A run of objects that nothing is special about: most of what stands in a queue. */
static void visit_plain_run(walker *w) {
  uint32_t parent = w->has_line_below ? w->owners[w->depth].node : TREE_NONE;
  w->node = TREE_NONE;
  assert(w->parked_work == MARKING); /* what is parked has a role */
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

#endif
