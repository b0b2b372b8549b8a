/*
** lua_options: what a caller asks of a report, read from a Lua table.
**
** Tables are read raw, so that no metamethod runs. Anything unknown or of the
** wrong type is an error that names the option, its value, and what is
** accepted; nothing has happened then.
*/
#ifndef MEMBUDDY_LUA_OPTIONS_H
#define MEMBUDDY_LUA_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "lua.h"

#include "tree.h"

#define OPTION_ALL     UINT32_MAX /* no limit */
#define OPTION_IF_ROOM 2          /* where the process need not grow for it */

typedef struct {
  uint32_t depth;
  uint32_t top;
  uint32_t children;
  uint32_t lines;
  lua_Number min_size; /* bytes */
  lua_Number budget;   /* bytes of Lua memory that a walk may take; ours takes none */
  int cycles;
  int no_header;
  int retained;
  int checks; /* 0, 1, or OPTION_IF_ROOM */
  int target; /* its place on the stack; 0: none */
} report_options;

/* How many lines a report has unless somebody asks for more. */
#define OPTION_DEFAULT_DEPTH    TREE_REPORT_DEPTH
#define OPTION_DEFAULT_CHILDREN 256u
#define OPTION_DEFAULT_LINES    TREE_REPORT_LINES

/* The options when none are given. */
void options_default(report_options *options);

/* True if every key of the table at `index` is the name of an option. */
int options_are(lua_State *L, int index);

/* Reads the table at `index`; pushes the target if it names one, and says where it stands. Raises a
** Lua error. Indices count from the bottom of the stack. */
void options_read(lua_State *L, int index, report_options *options);

/* Settles what depends on several options: how many lines the report may have. */
void options_settle(report_options *options);

#endif
