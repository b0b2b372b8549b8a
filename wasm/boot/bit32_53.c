/* Lua 5.3, built with LUA_COMPAT_5_2, opens bit32 with the other standard libraries. */
#include "image.h"

void image_open_bit32(lua_State *L) { (void)L; }
