#include "modules.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lauxlib.h"

#include "buffers.h"
#include "bundle.h"

/* Writes the source of a module; wasm-merge puts the function in its place. */
__attribute__((import_module("bundle"), import_name("bundle_write"))) void
bundle_write(void *to, uint32_t module);

static const struct bundle_module *find_module_exactly(const char *name, const char *suffix) {
  size_t name_bytes = strlen(name);
  for (size_t i = 0; i < bundle_module_count; i++) {
    const char *candidate = bundle_modules[i].name;
    if (strncmp(candidate, name, name_bytes) == 0 && strcmp(candidate + name_bytes, suffix) == 0)
      return &bundle_modules[i];
  }
  return NULL;
}

static const struct bundle_module *find_module(const char *name) {
  const struct bundle_module *module = find_module_exactly(name, "");
  return module != NULL ? module : find_module_exactly(name, ".init");
}

/* A chunk is called by the name that was asked for: errors say [string ".process"]:123. */
static void load_module(lua_State *L, const struct bundle_module *module, const char *name) {
  char *source = buffers_allocate(L, NULL, 0, module->bytes + BUNDLE_PIECE_BYTES - 1);
  if (source == NULL) luaL_error(L, "not enough memory");
  bundle_write(source, (uint32_t)(module - bundle_modules));
  int status = luaL_loadbuffer(L, source, module->bytes, name);
  free(source);
  if (status == LUA_ERRMEM) lua_error(L);
  if (status != LUA_OK) luaL_error(L, "error loading module %s: %s", name, lua_tostring(L, -1));
}

void modules_load(lua_State *L, const char *name) {
  const struct bundle_module *module = find_module(name);
  if (module == NULL) luaL_error(L, "module %s not found", name);
  load_module(L, module, name);
}

/* The library as well: a program, or apm, may have taken it out of package.loaded. */
static int search_modules(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const struct bundle_module *module = find_module(name);
  if (strcmp(name, "membuddy") == 0)
    lua_pushcfunction(L, luaopen_membuddy);
  else if (module == NULL)
    lua_pushfstring(L, "module %s not found", name);
  else
    load_module(L, module, name);
  return 1;
}

void modules_install_searcher(lua_State *L) {
  enum { our_place = 2 };
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= our_place; i--) {
    lua_geti(L, -1, i);
    lua_seti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search_modules);
  lua_seti(L, -2, our_place);
  lua_pop(L, 2);
}
