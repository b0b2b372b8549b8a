/*
** attach: the profiler outside the process.
**
** Runs behind the last page of a copy of a stranger's memory, as a
** position-independent module, and answers its host through plain numbers:
** figures are doubles, addresses are addresses, texts stand in one buffer.
** Nothing is believed: a state is only walked after every object, list and
** reference has been checked against the bounds of the memory. Every loop is
** bounded by what fits into it.
**
** The copy belongs to this module: marks and numbers are written into it, and
** taken back, but nobody else reads it.
*/
#ifndef MEMBUDDY_ATTACH_H
#define MEMBUDDY_ATTACH_H

#include <stdint.h>

#define ATTACH_EXPORT __attribute__((visibility("default"), used))

/* What is wrong with a state that `attach_check` refuses. */
typedef enum {
  ATTACH_SOUND,
  ATTACH_NO_OBJECT,   /* `address` is in a list of objects, and none */
  ATTACH_BAD_BLOCK,   /* the object at `address` says it has a block of `value` bytes, out of bounds
                       */
  ATTACH_BAD_POINTER, /* the object at `address` refers to `value`, where no object is */
  ATTACH_ENDLESS,     /* a list that comes to `address` does not end */
  ATTACH_NO_MEMORY,   /* to check with */
  ATTACH_UNBALANCED   /* the blocks add up to `value` bytes less than Lua says it took; one too
                       ** many is a bad block */
} attach_verdict;

/* ---- life ---- */

/* The subject is `subject_bytes` long, our own memory begins at `arena`. */
void attach_start(uintptr_t subject_bytes, uintptr_t arena);
/* Text for both directions: ATTACH_TEXT_BYTES. */
#define ATTACH_TEXT_BYTES 4096u
uintptr_t attach_text(void);
/* Bytes of memory taken for ourselves, at most so far. */
double attach_peak_bytes(void);

/* ---- finding a state ---- */

/* The first address from `from` on where a main thread may be; 0 when there is none. */
uintptr_t attach_find_state(uintptr_t from);
/* An `attach_verdict`; sound is what can be walked and balances to the byte. Traps at the first
** problem: `attach_last_verdict` tells it then (a trap with ATTACH_SOUND is a pointer that leads
** out of the memory). */
int attach_check(uintptr_t state);
int attach_last_verdict(void);
uintptr_t attach_problem_address(void);
double attach_problem_value(void);

/* ---- books ---- */

/* 0, or ATTACH_NO_MEMORY. They are read once, and known after a report of everything. */
int attach_read_books(uintptr_t state);
/* What `attach_book` tells then; in bytes, but for counts. */
enum {
  ATTACH_BOOK_LUA, /* Lua's own figure */
  ATTACH_BOOK_LIVE,
  ATTACH_BOOK_GARBAGE,
  ATTACH_BOOK_GARBAGE_COUNT,
  ATTACH_BOOK_UNACCOUNTED,
  ATTACH_BOOK_KINDS = 8 /* from here on count and bytes of each kind */
};
double attach_book(int which);

/* ---- reports: the lines of `profile` ---- */

/* Everything (object 0), or what one object holds. `limit` figures above UINT32_MAX mean none.
** Returns the number of lines, or -1 without memory. */
int attach_profile(uintptr_t state, uintptr_t object, double depth, double children, double lines,
                   int cycles, int retained);
/* What `attach_line` tells of a line, largest first; in bytes, but for counts. */
enum {
  ATTACH_LINE_PARENT, /* its line; -1: a root */
  ATTACH_LINE_OWN,
  ATTACH_LINE_BELOW,
  ATTACH_LINE_FOLDED,
  ATTACH_LINE_FOLDED_COUNT,
  ATTACH_LINE_TOTAL,
  ATTACH_LINE_RETAINED, /* -1: not asked for */
  ATTACH_LINE_OBJECT,   /* its address; 0: none */
  ATTACH_LINE_DEPTH
};
double attach_line(uint32_t line, int which);
/* Its label, without a number among namesakes; the length in the text. */
uint32_t attach_line_label(uint32_t line);
uint32_t attach_cycle_count(void);
double attach_cycles_dropped(void);
/* 0 the line that refers back, 1 the line referred to. */
uint32_t attach_cycle(uint32_t cycle, int which);
uint32_t attach_cycle_label(uint32_t cycle);
/* See `walk_exclusive`; -1 without memory. */
double attach_exclusive(uintptr_t state, uintptr_t object);
/* Bytes that only this object keeps alive; -1 without memory. */
double attach_retained(uintptr_t state, uintptr_t object);
/* Count and bytes (`which` 0 and 1) of a kind of object that the report met. */
double attach_met(int kind, int which);
void attach_end_profile(void);

/* ---- names ---- */

/* The name of a global variable that holds the object; nothing where none does. */
uint32_t attach_global_label(uintptr_t state, uintptr_t object);
/* Who holds an object on its shortest path, 0 where a root does: whose name is the label then, or
** `...` where none does, or nothing without memory. */
uintptr_t attach_parent(uintptr_t state, uintptr_t object);
uint32_t attach_parent_label(void);
/* What `object` (0: the roots `_G`, `[registry]` and `[main thread]`) refers to under the label of
** `bytes` bytes in the text, 0 where that owns no memory; and how many entries have this label. */
uintptr_t attach_step(uintptr_t state, uintptr_t object, uint32_t bytes);
uint32_t attach_step_count(void);

/* ---- the graph of everything that lives ---- */

/* Nodes, or -1 without memory. Until `attach_end_graph` nothing but this section and those below
** may be asked: nothing that walks. */
double attach_graph(uintptr_t state);
/* Where an array of them stands: of uint32_t, but for two. */
enum {
  ATTACH_PLACES, /* see graph.h, as of the next three */
  ATTACH_PARENTS,
  ATTACH_FIRST,
  ATTACH_SUCCESSORS,
  ATTACH_DOMINATORS, /* immediate ones */
  ATTACH_OWN,        /* bytes; UINT32_MAX where it is more */
  ATTACH_RETAINED,   /* bytes, double */
  ATTACH_KINDS,      /* uint8_t */
  /* made when they are asked for, 0 without memory */
  ATTACH_CHILD_FIRST, /* where a node's children in the tree of dominators begin */
  ATTACH_CHILDREN,
  ATTACH_REFERRER_FIRST, /* where the nodes that refer to it begin */
  ATTACH_REFERRERS
};
uintptr_t attach_graph_array(int which);
/* Puts the children of a node in order, largest first; their number, or -1 without memory. */
double attach_sort_children(uint32_t node);
/* Also where ATTACH_OWN has no room for them. */
double attach_own_bytes(uint32_t node);
uint32_t attach_node_of(uintptr_t object);
uintptr_t attach_object_of(uint32_t node);
/* What tells a node from others of its kind: the first ATTACH_LONGEST_STRING bytes of a string,
** as they are; `[proto SOURCE:LINE]` of a prototype or a Lua function; else nothing. */
#define ATTACH_LONGEST_STRING 1024u
uint32_t attach_node_text(uint32_t node);
/* The label under which `from` first refers to `to`; `#n` behind it where others before it read
** alike. */
uint32_t attach_label(uint32_t from, uint32_t to);
/* The labels of all references of a node, to `env.write`: of each the node referred to, and 0
** where no other reads alike, else which of those that do it is at least, both as uint32_t; then
** the label without a number. */
void attach_each_label(uint32_t from);
/* The label of a node's step on its shortest path. */
uint32_t attach_path_label(uint32_t node);
/* The node that `from` refers to under the label of `bytes` bytes in the text; GRAPH_NONE. */
uint32_t attach_follow(uint32_t from, uint32_t bytes);
void attach_end_graph(void);

/* ---- shapes of the graph: paths with `[n]` in the place of every number ---- */

/* Groups the nodes, as deep as that; the number of shapes, or -1 without memory. Shape 0 is the
** graph itself, the others stand behind the shape above them. They end with the graph. */
double attach_shapes(double depth);
/* Where an array of them stands: of uint32_t, but for one. */
enum {
  ATTACH_SHAPE_PARENTS, /* the shape above */
  ATTACH_SHAPE_OBJECTS, /* their number */
  ATTACH_SHAPE_OWN      /* bytes, double */
};
uintptr_t attach_shape_array(int which);
/* The last step of a shape. */
uint32_t attach_shape_label(uint32_t shape);
void attach_end_shapes(void);

/* ---- the graph as a heap snapshot of Chrome, handed to the host by `env.write` ---- */

/* 0, or ATTACH_NO_MEMORY. Steps follow, and the end, while the graph stands. */
int attach_begin_snapshot(void);
/* Writes the next piece; the share that is written, 1 when it is complete. */
double attach_step_snapshot(void);
void attach_end_snapshot(void);

#endif
