/*
** What the parts of the boot program share: how a function becomes an export of the image, how a
** host function becomes an import of it.
*/
#ifndef image_h
#define image_h

#include "lua.h"

#define IMAGE_EXPORT(name)      __attribute__((export_name(#name), used))
#define IMAGE_HOST_IMPORT(name) __attribute__((import_module("env"), import_name(#name)))

/* The garbage of the process goes, without a finalizer. */
void image_collect_garbage(void);

/* Registers bit32 where the Lua version lacks it: aos's cryptography needs it. */
void image_open_bit32(lua_State *L);

#endif
