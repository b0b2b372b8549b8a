/*
** retained: what would be freed if an object of a report went away.
**
** Takes the nodes of a report and yields the bytes that each of their objects
** dominates in the graph of all references: the figure of `walk_retained`, to
** the byte, from one pass for all.
**
** Where an entry of a weak table holds something (an ephemeron's value, the
** string key of a weak value), that lives only while the table and the other
** end of the entry both do, and no tree can say so. Objects that might decide
** such a condition, which are those on the way to the table, are asked about
** one by one (survivors.h): a line costs a look at every reference then.
**
** Memory: about 45 bytes an object and 4 a reference, borrowed while it runs;
** figures by `npm run bench`. For one value `walk_retained` needs none.
*/
#ifndef MEMBUDDY_RETAINED_H
#define MEMBUDDY_RETAINED_H

#include "graph.h"
#include "tree.h"
#include "walk.h"

/* Retained bytes by node of `t`, with the books of the whole process; a line that has no object
** of its own retains its own bytes. `*bytes` is a loan that the caller returns; NULL after a
** failure. Changes nothing. */
walk_status retained_of_tree(lua_State *L, const walk_books *books, const tree *t, size_t **bytes);

/* The same, but what it numbered the objects for stays in their links: `*g` is released before
** anything else is walked, which whoever throws the heap away need not do. After a failure it is
** released. */
walk_status retained_with_graph(lua_State *L, const walk_books *books, const tree *t, graph *g,
                                size_t **bytes);

#endif
