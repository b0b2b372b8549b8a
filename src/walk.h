/*
** walk: one pass over what lives, one pass over what is allocated.
**
** The first pass goes breadth first from the roots, in the order in which a
** path prefers them: `_G`, the registry, the main thread, the running
** coroutine, the metatables of the basic types, the finalizers. It decides
** what is live exactly as the collector does (weak tables and ephemerons
** included) and charges every object to the path that reaches it first, which
** is its shortest. The second pass takes everything that Lua allocated: what
** bears no mark is garbage, and every mark is taken back.
**
** It allocates nothing in Lua, calls nothing in Lua, and leaves every bit as
** it was, except the `gclist` words that no gray list uses: the collector
** itself never reads those, and they are NULL afterwards. The queue of the
** pass is linked through them. Objects that a gray list does use are noted
** down first and linked again afterwards; that needs memory in proportion to
** their number, but only while the collector marks. walk_queue.h tells how one
** word an object is enough.
*/
#ifndef MEMBUDDY_WALK_H
#define MEMBUDDY_WALK_H

#include "layout.h"
#include "tree.h"

typedef enum {
  WALK_OK,
  WALK_NO_MEMORY /* the list of gray objects found no room; nothing was changed */
} walk_status;

typedef struct {
  size_t count;
  size_t bytes;
} kind_tally;

/* The books of a heap, in bytes. `lua_bytes` is the machine's own figure at the instant of the
** walk; `unaccounted` what it has above (below: negative) the sum of the others. */
typedef struct {
  kind_tally kinds[KIND_COUNT]; /* live objects, state and string table included */
  kind_tally garbage;
  size_t lua_bytes;
  size_t live_bytes;
  ptrdiff_t unaccounted;
} walk_books;

/* Walks the whole process into `t`, which has room for TREE_ROOTS nodes at least. */
walk_status walk_process(lua_State *L, tree *t, walk_books *books);

/* The same for the books alone: of the process (NULL), or what a walk of the target met. */
walk_status walk_read_books(lua_State *L, GCObject *target, walk_books *books);

/* Walks what is reachable from `target` without entering what has a name of its own, into `t`;
** `met` tells what it met, which is the sum of the tree, as live; the rest means nothing. */
walk_status walk_target(lua_State *L, GCObject *target, const char *name, tree *t, walk_books *met);

/*
** Bytes that only `object` keeps alive, itself included, and the books beside: what would be left
** with the object, less what would be left without it, once collections free nothing more. (A
** single one does not do: it leaves the key of an entry whose weak value died, the string value of
** an entry whose weak key died, and what a finalizer needs. What waits for its finalizer to be
** called counts as held.) "Without" means that nothing refers to the object any more; the keys and
** values beside it in strong tables, and a mode that it gave to weak ones as their metatable, stay.
** `books`, those of the whole process, may be NULL.
*/
walk_status walk_retained(lua_State *L, GCObject *object, size_t *retained_bytes,
                          walk_books *books);

/* Bytes of what `walk_target` covers that would go with the target. What entries of weak tables
** hold that live anyway does not count, nor what has a name of its own. */
walk_status walk_exclusive(lua_State *L, GCObject *target, size_t *bytes);

/* Where collections to come will free more: condemns the dead values of weak tables whose keys they
** will free. Walks of what goes with an object and settled graphs take those keys for dead. The
** marks stay until `walk_pardon`; nothing may be collected meanwhile. */
walk_status walk_condemn(lua_State *L);
int walk_is_condemned(const GCObject *object);
void walk_pardon(lua_State *L);

/* Who holds an object on its shortest path: `*parent`, or NULL where a root holds it, whose name is
** `*root` then (static). Both NULL when it is not live, or a string that the state alone keeps. */
walk_status walk_find_parent(lua_State *L, const GCObject *object, GCObject **parent,
                             const char **root);

/* Own bytes of an object, its satellites included. */
size_t walk_object_bytes(const global_State *g, GCObject *object);

/* Every block that the machine counts, exactly once, whether its object lives or not: the sum of
** the sizes is `layout_total_bytes`. Changes nothing. */
void walk_each_block(lua_State *L, block_visitor visit, void *context);

/* Every object that Lua allocated, live or not; each exactly once. */
typedef void (*object_visitor)(void *context, GCObject *object);
void walk_each_object(lua_State *L, object_visitor visit, void *context);

/* Takes every mark back; what bore none is `garbage`, which is not measured if that is NULL. */
void walk_take_marks_back(global_State *g, kind_tally *garbage);
/* The same of what was marked from `target` on: takes the time of a walk of that alone. */
void walk_take_marks_back_from(GCObject *target);

/* `layout_each_entry` for those who are in no hurry: calls through a pointer. */
void walk_each_entry(const Table *table, reference_visitor visit, void *context);

/* Everything that the object refers to, in an order that depends on the object alone. */
void walk_each_reference(GCObject *object, reference_visitor visit, void *context);

/* The first reference from one object to another. */
label walk_find_label(GCObject *from, const GCObject *to);

/* The table of globals and the registry of a state; NULL where a program replaced them by
** something else. Borrowed. */
GCObject *walk_globals(lua_State *L);
GCObject *walk_registry(lua_State *L);
/* The table in a field of a table, which may be NULL; NULL where there is none. Borrowed. */
GCObject *walk_table_field(GCObject *table, const char *name);

#endif
