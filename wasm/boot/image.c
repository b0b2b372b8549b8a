/*
** An aos process in WebAssembly: one Lua state in one linear memory.
**
** The loader calls `handle(message, environment)` with two JSON texts and reads the JSON text that
** comes back; the Lua half of aos, which stands in the image as data (modules.h), defines the
** global Lua function `handle` that does the work. Lua starts at the first message, because the
** loader never calls `main`.
**
** The one invariant: `handle` always answers with JSON. Whatever fails (also when no memory is left
** to say so) becomes {"ok":false,"response":"why"}, Lua unwinds, and the next message finds a
** process that works.
*/
#include <string.h>

#include "lauxlib.h"
#include "lualib.h"

#include "allocator.h"
#include "arguments.h"
#include "garbage.h"
#include "image.h"
#include "modules.h"

const char *image_handle(const char *message, const char *environment);

enum { failure_reason_bytes = 1024 };

static lua_State *wasm_lua_state; /* NULL until Lua has started */
static char failure_answer[2 * failure_reason_bytes + 64];

void image_collect_garbage(void) { garbage_collect(wasm_lua_state); }

/* ---- starting ---- */

/* Lua 5.4 seeds math.random with clock and address; two machines must build the same heap. */
static void fix_random_seed(lua_State *L) {
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "randomseed");
  lua_pushinteger(L, 0);
  lua_call(L, 1, 0);
  lua_pop(L, 1);
}

static int boot(lua_State *L) {
  luaL_openlibs(L);
  image_open_bit32(L);
  luaL_requiref(L, "membuddy", luaopen_membuddy,
                0); /* answered from memory: no file system is asked */
  fix_random_seed(L);
  lua_settop(L, 0);
  modules_install_searcher(L);
  modules_load(L, "__lua_webassembly__");
  lua_call(L, 0, 0);
  return 0;
}

/* ---- answering ---- */

static char *append_text(char *end, const char *text) {
  size_t length = strlen(text);
  memcpy(end, text, length);
  return end + length;
}

/* Quotes and backslashes escaped, control bytes as blanks: always valid JSON, without memory. */
static char *append_escaped(char *end, const char *text) {
  for (int taken = 0; text[taken] != '\0' && taken < failure_reason_bytes; taken++) {
    unsigned char byte = (unsigned char)text[taken];
    if (byte == '"' || byte == '\\') *end++ = '\\';
    *end++ = byte < ' ' ? ' ' : (char)byte;
  }
  return end;
}

static const char *answer_failure(const char *reason) {
  char *end = append_text(failure_answer, "{\"ok\":false,\"response\":\"");
  end = append_escaped(end, reason != NULL ? reason : "(the error is not a text)");
  end = append_text(end, "\"}");
  *end = '\0';
  return failure_answer;
}

static const char *answer_lua_error(lua_State *L) {
  const char *reason = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  const char *answer = answer_failure(reason);
  lua_settop(L, 0);
  return answer;
}

/* Lua function (message, environment as light userdata): gives `handle` and both texts. The
** loader's copies of them go before the work begins. */
static int take_message(lua_State *L) {
  if (lua_getglobal(L, "handle") != LUA_TFUNCTION)
    return luaL_error(
        L, "the process has no global function 'handle' (it is a %s): it cannot take messages",
        luaL_typename(L, -1));
  lua_pushstring(L, lua_touserdata(L, 1));
  lua_pushstring(L, lua_touserdata(L, 2));
  arguments_release();
  return 3;
}

/* `handle` itself is called from no Lua function, as in the official images: tracebacks of aos end
** where they end there. */
static int run_message(lua_State *L, const char *message, const char *environment) {
  lua_pushcfunction(L, take_message);
  lua_pushlightuserdata(L, (void *)message);
  lua_pushlightuserdata(L, (void *)environment);
  int status = lua_pcall(L, 2, 3, 0);
  return status == LUA_OK ? lua_pcall(L, 2, 1, 0) : status;
}

/* ---- what the loader calls ---- */

int main(void) {
  if (wasm_lua_state != NULL) return 0;
  lua_State *L = lua_newstate(allocator_lua, NULL);
  if (L == NULL) {
    answer_failure("not enough memory");
    return 1;
  }
  lua_pushcfunction(L, boot);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    answer_lua_error(L);
    lua_close(L);
    return 1;
  }
  wasm_lua_state = L;
  return 0;
}

static const char *answer(const char *message, const char *environment) {
  if (arguments_lost()) return answer_failure("not enough memory");
  if (main() != 0) return failure_answer;
  lua_State *L = wasm_lua_state;
  lua_settop(L, 0);
  int status = run_message(L, message, environment);
  if (status != LUA_OK) {
    const char *failure = answer_lua_error(L);
    /* Lua 5.4 collects nothing before it refuses a larger stack, which the next message needs. */
    if (status == LUA_ERRMEM) image_collect_garbage();
    return failure;
  }
  if (lua_type(L, -1) != LUA_TSTRING)
    return answer_failure("the global function 'handle' did not return a text");
  const char *text = lua_tostring(L, -1);
  lua_settop(L, 0); /* the text stays: nothing is collected before the loader has read it */
  return text;
}

/* `handle` (stack.S). */
const char *image_handle(const char *message, const char *environment) {
  const char *text = answer(message, environment);
  arguments_release();
  return text;
}

/* The loader's invoke_* call back through these; the index is a plain 32-bit number in both
** widths. */
#if defined(__wasm64__)
IMAGE_EXPORT(dynCall_vjj) void dynCall_vjj(int function, void *first, void *second) {
#else
IMAGE_EXPORT(dynCall_vii) void dynCall_vii(int function, void *first, void *second) {
#endif
  ((void (*)(void *, void *))(size_t)(unsigned int)function)(first, second);
}
