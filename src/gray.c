#include "gray.h"

#include "borrow.h"

/* Counts the objects of each list, and notes them where there is room for that. */
static size_t take_lists(const gray_lists *room, GCObject *heads[LAYOUT_GRAY_LISTS],
                         size_t counts[LAYOUT_GRAY_LISTS]) {
  size_t total = 0;
  for (int i = 0; i < LAYOUT_GRAY_LISTS; i++) {
    size_t before = total;
    for (GCObject *o = heads[i]; o; o = *layout_link(o), total++)
      if (room->objects) room->objects[total] = o;
    counts[i] = total - before;
  }
  return total;
}

int gray_save(global_State *g, gray_lists *saved) {
  GCObject *heads[LAYOUT_GRAY_LISTS];
  memset(saved, 0, sizeof *saved);
  if (!layout_gray_lists_in_use(g)) return 1;
  layout_gray_lists(g, heads);
  size_t total = take_lists(saved, heads, saved->counts);
  if (total == 0) return 1;
  saved->objects = borrow(total * sizeof(GCObject *));
  if (saved->objects == NULL) return 0;
  take_lists(saved, heads, saved->counts);
  return 1;
}

void gray_restore(gray_lists *saved) {
  GCObject **object = saved->objects;
  for (int i = 0; i < LAYOUT_GRAY_LISTS; i++)
    for (size_t left = saved->counts[i]; left > 0; left--, object++)
      *layout_link(*object) = left > 1 ? object[1] : NULL;
  borrow_return(saved->objects);
}
