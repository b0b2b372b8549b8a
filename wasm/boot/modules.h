/*
** aos's own Lua, as the image carries it.
**
** The sources stand in the image's code (bundle.js makes it), not in linear memory: no process
** holds a copy. A module's is written out when it is first required, loaded, and freed; what stays
** are its prototypes.
*/
#ifndef modules_h
#define modules_h

#include "lua.h"

/* The library, in the archive that the image is linked from. */
int luaopen_membuddy(lua_State *L);

/* Puts the image's modules second among package.searchers, where the official images have them;
** and the library, which a program may have taken out of package.loaded. */
void modules_install_searcher(lua_State *L);

/* Pushes the loaded chunk of the module, or raises an error that names it. */
void modules_load(lua_State *L, const char *name);

#endif
