/*
** retained: what would be freed if an object of a report went away.
**
** Takes the nodes of a report and yields the bytes that each of their objects
** dominates in the graph of all references. Live is what `walk` says; an
** ephemeron's value counts as held by its key, weak ends hold nothing, and an
** object that waits for its finalizer counts as freed.
**
** Memory: about 80 bytes an object and 8 a reference, borrowed while it runs;
** figures by `npm run bench`. For one value `walk_retained` needs none.
*/
#ifndef MEMBUDDY_RETAINED_H
#define MEMBUDDY_RETAINED_H

#include "tree.h"
#include "walk.h"

/* Retained bytes by node of `t`; a line that has no object of its own retains its own bytes.
** `*bytes` is a loan that the caller returns; NULL after a failure. Changes nothing. */
walk_status retained_of_tree(lua_State *L, const tree *t, size_t **bytes);

#endif
