/*
** lua_print: results as text, line by line.
**
** Takes the table that `profile` gave, perhaps long ago and edited since: it is
** checked before a line is made of it, and nothing in it reaches a terminal as
** a control character. Yields an array of strings; nothing is printed here.
** Colours come from the global table `Colors` where there is one.
*/
#ifndef MEMBUDDY_LUA_PRINT_H
#define MEMBUDDY_LUA_PRINT_H

#include "lua_options.h"

/* Pushes a number of bytes in words: "0 bytes", "1.23 KB", "4.00 MB", "1.50 GB". */
void print_push_size(lua_State *L, lua_Number bytes, int coloured);

/* Makes an array of the lines that tell the results on top, and leaves nothing else on the stack.
** Raises an error when they are no longer what `profile` gave. */
enum { PRINT_LINES = 1 };
void print_push_lines(lua_State *L, const report_options *options);

#endif
