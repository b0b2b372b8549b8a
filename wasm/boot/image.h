/*
** What the parts of the boot program share: how a function becomes an export of the image, how a
** host function becomes an import of it.
*/
#ifndef image_h
#define image_h

#include "lua.h"

#define IMAGE_EXPORT(name)      __attribute__((export_name(#name), used))
#define IMAGE_HOST_IMPORT(name) __attribute__((import_module("env"), import_name(#name)))

/* What Lua does before it says "not enough memory": no finalizer runs. */
void image_collect_garbage(void);

/* Registers bit32 where the Lua version lacks it: aos's cryptography needs it. */
void image_open_bit32(lua_State *L);

#endif
