/*
** lua_functions: what the library's functions do.
**
** Each is a lua_CFunction with the arguments of the function that it stands
** for. They are called through the border (lua_membuddy.c) with the collector
** at rest, so nothing of the program runs meanwhile: they never wait, and what
** they tell does not move. What they refuse says where in the program the call
** stands.
*/
#ifndef MEMBUDDY_LUA_FUNCTIONS_H
#define MEMBUDDY_LUA_FUNCTIONS_H

#include "lua.h"

#include "lauxlib.h"

/* Calls a function with the arguments on the stack (the first three) while the collector rests;
** what is allocated meanwhile counts for its pace afterwards. Leaves the one result, or the error,
** on top; returns the status. Nothing of the program runs meanwhile: no finalizer, and no handler
** of errors. Where Lua's memory runs out garbage is collected, and the function called again. */
int function_call_at_rest(lua_State *L, lua_CFunction function);

/* The border (lua_membuddy.c), which is what a program calls. Upvalues: of `border_function` the
** place in `function_table` of what it calls; of `border_print` the library; of `border_checks` the
** library and the request. */
int border_function(lua_State *L);
int border_print(lua_State *L);
int border_checks(lua_State *L);

enum { FUNCTION_COUNT = 6 };
extern const luaL_Reg function_table[FUNCTION_COUNT];

/* The library, a table. */
int function_open(lua_State *L);

/* profile([target,] [options]) -> results */
int function_profile(lua_State *L);
/* print([results or options] [, options]) -> an array of the lines that are to be printed; beside
** them the program's print, and what the checks are asked for (nil: they shall not follow) */
int function_print_lines(lua_State *L);
enum { PRINT_FUNCTION = 0, PRINT_REQUEST = -1 };
/* What stands for the result of the checks where they failed; its arguments are what they were
** asked about, the request, and the error. Without memory `checks` gives an empty list; print has a
** line that says why. All else is raised. */
int function_without_checks(lua_State *L);
/* format_size(bytes [, colours]) -> string */
int function_format_size(lua_State *L);
/* sizeof(value) -> own bytes; 0 for a value that has none */
int function_sizeof(lua_State *L);
/* account() -> every byte of the linear memory, in parts */
int function_account(lua_State *L);
/* kinds([target]) -> count and bytes of the live objects of each kind */
int function_kinds(lua_State *L);
/* retained(value) -> bytes that only this value keeps alive */
int function_retained(lua_State *L);

#endif
