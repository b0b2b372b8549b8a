/*
** lua_support: what the Lua side of the library shares.
*/
#ifndef MEMBUDDY_LUA_SUPPORT_H
#define MEMBUDDY_LUA_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "lua.h"

/* Where the program stands on the stack of calls; between stands the border (lua_membuddy.c). */
#define CALLER_LEVEL 2

/* Raises the text on top with this before it, and before that where in the program it came from.
** Does not return. */
int support_raise(lua_State *L, const char *before);

/* The same with our name, and a text that a format and its arguments tell. */
#define support_refuse(L, ...) (lua_pushfstring(L, __VA_ARGS__), support_raise(L, "membuddy: "))

/* The same of the first argument of a function, in the words of Lua's own. */
int support_refuse_argument(lua_State *L, const char *function, const char *problem);

/* Whether the value at `index` is this string. Makes nothing. */
int support_is_text(lua_State *L, int index, const char *text);

/* Raises what Lua raises when its allocator has nothing left. */
int support_raise_no_memory(lua_State *L);
/* Whether the error on top is that one. */
int support_is_no_memory(lua_State *L);
/* Makes room for so many values on the stack, or raises that error. */
void support_check_stack(lua_State *L, int slots);

/* Pushes a field of the table at `index` without metamethods; returns its type. */
int support_push_field(lua_State *L, int index, const char *name);

/* The same of a global; nil where a program put something else in the place of the globals. */
int support_push_global(lua_State *L, const char *name);

/* The value at `index` as an error shows it, a string in quotes; a number becomes a string there.
** Leaves strings on the stack: an error follows. */
const char *support_show(lua_State *L, int index);
/* The same of a name, which has its quotes already. */
const char *support_show_name(lua_State *L, int index);

/* Sets t[number] of the table at `index`, which is none from the top, to the value on top, and pops
** that. The image's Lua calls `lua_rawseti` for the registry alone, and has it without the rest. */
void support_set_entry(lua_State *L, int index, lua_Integer number);

/* Pushes a count or a number of bytes. */
void support_push_number(lua_State *L, size_t number);

/* A field of a Lua table, and the size_t of a struct that it shows: counted in words. */
typedef struct {
  char name[15];
  uint8_t word;
} named_number;
#define NAMED_NUMBER(name, type, field) {name, offsetof(type, field) / sizeof(size_t)}

/* Sets `count` fields of the table on top from the struct. */
void support_set_numbers(lua_State *L, const void *structure, const named_number *numbers,
                         size_t count);

#endif
