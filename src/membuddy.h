/*
** MemBuddy: tells where every byte of a Lua process went.
**
** This is all that a program which embeds it needs: link the library of the
** same Lua version and width, and open it as any other:
**
**   luaL_requiref(L, "membuddy", luaopen_membuddy, 0);
**
** The interface that Lua programs see is described in docs/lua.md.
*/
#ifndef MEMBUDDY_H
#define MEMBUDDY_H

#include "lua.h"

#define MEMBUDDY_VERSION "1.0.0"

/* Pushes the library's table. Raises "not enough memory" like any library. */
LUAMOD_API int luaopen_membuddy(lua_State *L);

#endif
