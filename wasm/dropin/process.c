/*
** A process of the official builder's kind, without aos: Lua as it comes, the archive of the
** profiler as a library, and the official allocator's override (every block aligned to 16 bytes by
** memalign). Built by wasm/dropin/build.sh.
*/
#include <emscripten.h>
#include <malloc.h>
#include <string.h>

#include "lauxlib.h"
#include "lualib.h"

int luaopen_membuddy(lua_State *L);

static lua_State *state;

/* The message's Data is Lua, in hexadecimal so that no JSON need be understood here. */
static const char program[] = "function handle(message)\n"
                              "  local code = message:match('\"Data\":\"(%x*)\"'):gsub('%x%x', "
                              "function(h) return string.char(tonumber(h, 16)) end)\n"
                              "  local ok, text = pcall(load(code))\n"
                              "  return "
                              "('{\"ok\":true,\"response\":{\"Output\":{\"data\":%q}}}'):format("
                              "tostring(text)):gsub('\\\\\\n', '\\\\n')\n"
                              "end\n";

void *malloc(size_t bytes) { return memalign(16, bytes); }

void *realloc(void *block, size_t bytes) {
  void *moved = memalign(16, bytes);
  if (moved == NULL) return NULL;
  size_t had = block != NULL ? malloc_usable_size(block) : 0;
  memcpy(moved, block, had < bytes ? had : bytes);
  free(block);
  return moved;
}

int main(void) {
  if (state != NULL) return 0;
  state = luaL_newstate();
  luaL_openlibs(state);
  luaL_getsubtable(state, LUA_REGISTRYINDEX, "_PRELOAD");
  lua_pushcfunction(state, luaopen_membuddy);
  lua_setfield(state, -2, "membuddy");
  return luaL_dostring(state, program);
}

EMSCRIPTEN_KEEPALIVE const char *handle(const char *message, const char *environment) {
  if (state == NULL && main() != 0) return lua_tostring(state, -1);
  lua_settop(state, 0);
  lua_getglobal(state, "handle");
  lua_pushstring(state, message);
  lua_pushstring(state, environment);
  lua_pcall(state, 2, 1, 0);
  return lua_tostring(state, -1);
}

#if defined(__wasm64__)
EMSCRIPTEN_KEEPALIVE void dynCall_vjj(int function, void *first, void *second) {
  ((void (*)(void *, void *))(size_t)function)(first, second);
}
#endif
