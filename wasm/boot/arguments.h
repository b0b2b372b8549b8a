/*
** The texts that the loader passes to `handle`.
**
** The loader puts every text argument on the C stack, whatever its length: it asks
** `_emscripten_stack_alloc` for the room. A message of several megabytes would need a stack of that
** size for ever, and a longer one would run over its end. So this image answers that request from
** the heap; the texts go as soon as Lua has its own copies.
*/
#ifndef arguments_h
#define arguments_h

#include <stdbool.h>

/* True where no memory was left to take a text of this call over. */
bool arguments_lost(void);

/* Frees the texts of this call; harmless to call again. */
void arguments_release(void);

#endif
