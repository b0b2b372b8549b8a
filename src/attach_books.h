/*
** attach_books: the books of the whole process (attach.c), for those who need
** them beside a walk of their own.
*/
#ifndef MEMBUDDY_ATTACH_BOOKS_H
#define MEMBUDDY_ATTACH_BOOKS_H

#include "walk.h"

/* Read once: nobody else writes into this copy. NULL without memory. */
const walk_books *attach_know_books(lua_State *L);

#endif
