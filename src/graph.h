/*
** graph: everything that lives, as numbers.
**
** Takes a state at rest and yields its live objects as nodes of a graph, in
** breadth-first order, which is that of paths: node 0 stands above all roots,
** the parent of a node is the one that reached it first. Live is what `walk`
** says; what only a finalizer would bring back, or a collection that was broken
** off, comes last, and not in a settled graph. Weak references are no edges; an
** ephemeron's value is held by its key. An upvalue's cell is a node.
**
** While a graph stands, the number of a node is kept in the object itself, in
** its link of the list of all objects (in the count of a cell that has no such
** link): no table of addresses is needed, and neither Lua nor a walk may run.
** `graph_release` puts every word back.
**
** Memory: 12 bytes a node and 4 an edge, borrowed; 4 more a node in 32 bits, 12 more outside WASM;
** another 4 a node where `own_ends` is kept, and a size_t where `bytes` are.
*/
#ifndef MEMBUDDY_GRAPH_H
#define MEMBUDDY_GRAPH_H

#include "layout.h"
#include "walk.h"

#define GRAPH_NONE UINT32_MAX

/* An address, and a bit that says whether a cell is there. In WASM half a word is enough: up to
** 16 GB. */
#if defined(__wasm__)
typedef uint32_t graph_place;
#else
typedef uintptr_t graph_place;
#endif

typedef struct {
  lua_State *L;
  uint32_t node_count, edge_count;
  graph_place *places; /* by node; 0 for the root above all roots */
  graph_place *saved;  /* the words in whose place numbers stand, where they find no room there */
  uint32_t *parents;   /* who reached it first; a root's is 0 */
  uint32_t *first;     /* where a node's successors begin; node_count + 1 entries */
  uint32_t *own_ends;  /* where conditions' begin; NULL: there are none, or nobody asks */
  size_t *bytes;       /* own ones of each node, for the owner to sum up; NULL: nobody asks */
  uint32_t *successors;
  uint32_t node_limit, edge_capacity;
  uint32_t first_late_root;   /* from here on a root is what nothing else keeps */
  uint32_t first_resurrected; /* and from here on only for its finalizer */
  uint32_t *ephemerons;       /* nodes of tables with entries that live by two ends */
  uint32_t ephemeron_count, ephemeron_capacity;
  uint32_t visited; /* nodes whose edges are known */
  int is_settled;
  int failed;
} graph;

/* Builds the graph of what lives; `books` tell how much that is at most. `find_last` adds what only
** the next collection still leaves (`graph_find_last`); where it is NULL the graph is settled: what
** dead entries of weak tables hold counts as gone, and `own_ends` and `bytes` are kept. After
** WALK_NO_MEMORY nothing is changed and nothing is to be released. */
typedef void (*graph_finder)(graph *g);
walk_status graph_build(lua_State *L, const walk_books *books, graph_finder find_last, graph *g);
void graph_release(graph *g);
/* Puts the link of one object back, as often as is liked: nobody finds its node any more. */
void graph_restore(const graph *g, GCObject *object);

/* The node of an object; GRAPH_NONE when it does not live. */
uint32_t graph_find(const graph *g, const GCObject *object);

/* The object of a node; NULL for a cell of Lua 5.3, which is none, and for node 0. */
GCObject *graph_object(const graph *g, uint32_t node);
/* The cell of a node that is one; else NULL. */
UpVal *graph_cell(const graph *g, uint32_t node);

/* For those who find more: the node of an object, made for `parent` where it has none; what lies
** behind all that were made; the next object of the list of all; and whether the strings of a table
** wait, with edges to GRAPH_NONE in the places of their entries. */
uint32_t graph_add(graph *g, GCObject *object, uint32_t parent);
void graph_visit(graph *g);
GCObject *graph_next(const graph *g, const GCObject *object);
int graph_has_waiting(const graph *g, int weakness);

/* Own bytes of a node. */
size_t graph_bytes(const graph *g, uint32_t node);

/* An entry of a weak table, one end of which is weak. `held` lives while both table and `holder`
** do; the graph has it as an edge of the holder alone. But the key of a weak value, where it is an
** object (`is_key`), may keep that value alive: it is an edge of the table, until the value turns
** out to be dead all the same. Strings in its place are held by the value. */
typedef struct {
  uint32_t table;
  int is_key;
  GCObject *holder, *held;
} graph_condition;
typedef void (*graph_condition_visitor)(void *context, graph *g, const graph_condition *entry);
void graph_each_condition(graph *g, graph_condition_visitor visit, void *context);

/* Every edge of a node, in the order of `successors`. A table entry gives one edge for its key and
** one for its value, with the same label. */
typedef void (*graph_visitor)(void *context, label place, int is_key, uint32_t to);
void graph_each_edge(const graph *g, uint32_t node, graph_visitor visit, void *context);

#endif
