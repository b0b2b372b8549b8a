/*
** Collecting in an emergency, as Lua does before it says "not enough memory".
*/
#ifndef garbage_h
#define garbage_h

/* Of a Lua state (NULL: there is none yet); no finalizer runs. */
void garbage_collect(void *state);

#endif
