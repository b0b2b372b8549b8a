/*
** gray: the collector's gray lists, noted down and put back.
**
** While the collector marks (and between the collections of the generational
** mode), the objects of five lists are linked through the very `gclist` words
** that a walk needs. They are few between the steps of an incremental cycle in
** the usual case, but may be any number. Noting them down takes one pointer
** an object; putting them back restores every link.
*/
#ifndef MEMBUDDY_GRAY_H
#define MEMBUDDY_GRAY_H

#include "layout.h"

typedef struct {
  GCObject **objects; /* owned: a loan; list after list */
  size_t counts[LAYOUT_GRAY_LISTS];
} gray_lists;

/* Returns 0 when there is no memory for the notes; nothing is changed then. */
int gray_save(global_State *g, gray_lists *saved);
/* Links every noted object as it was and returns the loan. */
void gray_restore(gray_lists *saved);

#endif
