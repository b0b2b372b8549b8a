/*
** aos's own Lua, as the image carries it.
**
** The sources stand in a data segment that is not part of linear memory (bundle.js makes it): no
** process holds a copy. A module is read out when it is first required, loaded, and its text freed;
** what stays are its prototypes.
*/
#ifndef modules_h
#define modules_h

#include "lua.h"

/* Puts the image's modules second among package.searchers, where the official images have them. */
void modules_install_searcher(lua_State *L);

/* Pushes the loaded chunk of the module, or raises an error that names it. */
void modules_load(lua_State *L, const char *name);

#endif
