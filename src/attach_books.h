/*
** attach_books: the books of the whole process and its blocks (attach.c), for
** those who need them beside a walk of their own.
*/
#ifndef MEMBUDDY_ATTACH_BOOKS_H
#define MEMBUDDY_ATTACH_BOOKS_H

#include "attach_check.h"
#include "walk.h"

/* Both are read once: nobody else writes into this copy. NULL without memory. */
const walk_books *attach_know_books(lua_State *L);
const checked_blocks *attach_know_blocks(lua_State *L);

/* Retained sizes leave numbers in the place of links: a copy that is thrown away then need not be
** as it was. Whoever walks, or follows a link, calls this first. */
void attach_settle(void);
/* For whoever follows one list alone. */
void attach_settle_list(GCObject *list);

#endif
