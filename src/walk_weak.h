/*
** walk_weak: what entries of weak tables keep, decided as the collector decides
** it. Included by walk.c alone.
**
** What an entry keeps may hang on what is found later. So a weak table is parked
** in the level to come, and looked at again: for values whose keys have come to
** live, until a whole round finds none (CONVERGING); for what is known once all
** else is, which keys and values of the dead are strings (SETTLING); and, when
** strict, for values that keep their own keys alive in vain (CONDEMNING).
*/
#ifndef MEMBUDDY_WALK_WEAK_H
#define MEMBUDDY_WALK_WEAK_H

#include "walk_references.h"

#define FEW_SLOTS   16u /* of a weak table's array, or of its hash */
#define MANY_LEVELS 64u

/* A look at the entries of a weak table. */
typedef struct {
  walker *w;
  int weakness;
  int is_pending; /* an entry may keep more later */
} weak_look;

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
static void visit_ephemeron(weak_look *look, label_kind kind, uintptr_t place, GCObject *key,
                            GCObject *value) {
  if (is_alive(look->w, key))
    visit(look->w, kind, place, key, value);
  else if (value)
    look->is_pending = 1;
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
  weak_look *look = context;
  switch (look->weakness) {
  case WEAK_KEYS: visit_ephemeron(look, kind, place, key, value); break;
  case WEAK_VALUES: visit_weak_value(look->w, kind, place, key, value); break;
  default: visit_all_weak(look->w, kind, place, key, value); break;
  }
}

/* True when an entry may keep more later. */
static int each_weak_entry(walker *w, const Table *table, int weakness, reference_visitor visitor) {
  weak_look look = {w, weakness, 0};
  walk_each_entry(table, visitor, &look);
  return look.is_pending;
}

static int may_be_weak(const GCObject *object) {
  return layout_kind(object) == KIND_TABLE && gco2t((GCObject *)object)->metatable != NULL;
}

/* True when the table has to be looked at again. */
static int visit_weak_table(walker *w, Table *table, int weakness) {
  visit(w, LABEL_METATABLE, 0, NULL, obj2gco(table->metatable));
  int is_pending = each_weak_entry(w, table, weakness, visit_weak);
  return is_pending || w->keep_parked || weakness == (WEAK_KEYS | WEAK_VALUES);
}

/* ---- looking again ---- */

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
  weak_look *look = context;
  const walker *w = look->w;
  (void)kind, (void)place;
  switch (look->weakness) {
  case WEAK_KEYS: look->is_pending |= value && !(is_alive(w, key) && is_marked(value)); break;
  case WEAK_VALUES: look->is_pending |= !is_alive(w, value) || (key && !is_marked(key)); break;
  default: look->is_pending |= is_new_string(key) || is_new_string(value); break;
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
  return is_worth_a_look(w, table) && !each_weak_entry(w, table, weakness, note_unsettled);
}

static void revisit(walker *w, GCObject *object, int weakness, int is_owner) {
  w->in_hand = object;
  if (has_parked_work(w, weakness)) {
    each_weak_entry(w, gco2t(object), weakness, visit_weak);
    if (w->finalizing && w->parked_work == SETTLING)
      layout_each_removed_key(gco2t(object), visit, w);
    if (w->parked_work == SETTLING && !w->keep_parked) return;
  } else if (!w->finalizing && is_settled(w, gco2t(object), weakness)) {
    return;
  }
  park(w, object, is_owner);
}

#endif
