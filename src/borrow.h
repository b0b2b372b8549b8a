/*
** borrow: memory that the profiler uses for its own work.
**
** Never Lua's: what is measured must not move. A report of the whole process
** at default options borrows nothing (its work fits on the C stack, if that has
** room left); reports without a limit, retained sizes, and a walk in the middle
** of a mark phase borrow what their documentation says, and give it back before
** they return.
*/
#ifndef MEMBUDDY_BORROW_H
#define MEMBUDDY_BORROW_H

#include <stddef.h>

/* Owned by the caller until `borrow_return`; NULL when there is no memory. Not cleared. */
void *borrow(size_t bytes);
/* Moves a loan to `bytes`; NULL leaves the old one as it was. A NULL loan is a new one. */
void *borrow_more(void *loan, size_t bytes);
/* Gives a loan back; NULL is legal. */
void borrow_return(void *loan);

#endif
