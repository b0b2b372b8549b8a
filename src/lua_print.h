/*
** lua_print: results as text, through the program's own `print`.
**
** One call a line, since aos's `print` takes one argument and keeps lines.
** Colours come from the global table `Colors` where there is one.
*/
#ifndef MEMBUDDY_LUA_PRINT_H
#define MEMBUDDY_LUA_PRINT_H

#include "lua_options.h"

/* Pushes a number of bytes in words: "0 bytes", "1.23 KB", "4.00 MB", "1.50 GB". */
void print_push_size(lua_State *L, lua_Number bytes, int coloured);

/* Prints the results at `index`. Raises an error when they are no longer what `profile` gave, when
** there is no `print`, and what `print` raises. */
void print_results(lua_State *L, int index, const report_options *options);

#endif
