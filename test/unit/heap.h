/*
** heap: a Lua state in the hands of a test.
**
** Its allocator is a recorder, its hash seed is given, and besides Lua's own
** libraries and `membuddy` it has the library `native`, with which a Lua
** program makes what it could not make itself, moves the collector, and calls
** the test back: `native.walk()`. The test is also called back at allocations
** of its choice, as soon as Lua code runs after them.
*/
#ifndef HEAP_H
#define HEAP_H

#include "layout.h"

#include "lauxlib.h"
#include "lualib.h"

#include "recorder.h"

typedef struct heap heap;
typedef void (*heap_probe)(heap *h, lua_State *L);

struct heap {
  recorder blocks; /* first: the allocator's context is the heap */
  lua_State *L;
  heap_probe probe; /* NULL: nobody is called */
  void *context;    /* the test's */
  int probing;
  int parsing;     /* parsers under way */
  size_t patience; /* blocks that may still be probed: large heaps are seen less often */
  unsigned long stop_distance; /* allocations to the next stop, at most; 0: no stops */
  uint64_t stop_seed;
};

/* A state with all libraries; ends the program where there is no memory. */
void heap_open(heap *h, unsigned int seed);
void heap_close(heap *h);

/* The heap of a state. */
heap *heap_of(lua_State *L);

/* Calls the probe of the test, unless it is being called already. */
void heap_call_probe(heap *h, lua_State *L);
/* Calls it as well at allocations from 1 to `distance` apart. */
void heap_stop_often(heap *h, unsigned long distance, uint64_t seed);

/* Runs Lua text; the test that runs fails where it raises an error. Returns 0 then. */
int heap_run(heap *h, const char *text);
/* A function of a file under test/heaps, on top of the stack. */
int heap_load_file(heap *h, const char *name);

/* Runs the random program of a seed (test/heaps/programs.lua), whose pool is then on the stack. */
int heap_run_program(heap *h, unsigned long seed, unsigned long steps);

/* The collector's state in words. */
#define HEAP_GC_STATES 9
const char *heap_gc_state_name(int state);
/* True if a program can see the collector in this state. */
int heap_gc_state_is_visible(int state);
int heap_is_generational(const global_State *g);
/* Moves the collector to a state, unless it is stopped or generational. */
void heap_advance(lua_State *L, int state);

#endif
