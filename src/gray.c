#include "gray.h"

#include "borrow.h"

static size_t list_length(GCObject *object) {
  size_t length = 0;
  for (; object; object = *layout_link(object)) length++;
  return length;
}

int gray_save(global_State *g, gray_lists *saved) {
  memset(saved, 0, sizeof *saved);
  if (!layout_gray_lists_in_use(g)) return 1;
  GCObject *heads[LAYOUT_GRAY_LISTS];
  layout_gray_lists(g, heads);
  size_t total = 0;
  for (int i = 0; i < LAYOUT_GRAY_LISTS; i++) total += saved->counts[i] = list_length(heads[i]);
  if (total == 0) return 1;
  saved->objects = borrow(total * sizeof(GCObject *));
  if (saved->objects == NULL) return 0;
  GCObject **next = saved->objects;
  for (int i = 0; i < LAYOUT_GRAY_LISTS; i++)
    for (GCObject *o = heads[i]; o; o = *layout_link(o)) *next++ = o;
  return 1;
}

void gray_restore(gray_lists *saved) {
  GCObject **object = saved->objects;
  for (int i = 0; i < LAYOUT_GRAY_LISTS; i++)
    for (size_t left = saved->counts[i]; left > 0; left--, object++)
      *layout_link(*object) = left > 1 ? object[1] : NULL;
  borrow_return(saved->objects);
}
