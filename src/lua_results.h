/*
** lua_results: a report as the Lua table that `profile` returns.
**
** Takes a tree that was told everything, and what was asked of it; yields the
** table, with a path for each line. What reads alike gets a number (`name#2`),
** so no two lines share a path.
** Invariant: the sum of `sizes` is `totalSize`, whatever was folded.
*/
#ifndef MEMBUDDY_LUA_RESULTS_H
#define MEMBUDDY_LUA_RESULTS_H

#include "lua_options.h"
#include "tree.h"
#include "walk.h"

#define RESULTS_TYPE "membuddy-results"

typedef struct {
  tree *t;
  report_options options;
  walk_books books;          /* of the whole process */
  const walk_books *covered; /* what the report covers, as live */
  const char *target_name;   /* NULL: the whole process */
  size_t shared_bytes;       /* of a target: what others hold as well */
  size_t total_bytes;        /* of the lines */
  size_t object_count;
  const size_t *retained_bytes; /* by node of the tree; NULL when not asked for */
} report;

/* Cuts the tree to the options and pushes the results. Raises only what Lua's allocator raises;
** the collector must be stopped, since labels are read from the heap. */
void results_push(lua_State *L, report *r);

/* Pushes {kind = {count =, bytes =}}. */
void results_push_kinds(lua_State *L, const kind_tally kinds[KIND_COUNT]);

#endif
