/*
** layout: the only reader of the virtual machine's structs.
**
** It answers four questions about a heap at rest and changes nothing in it:
** how many bytes an object holds (the header and the blocks that belong to
** it alone), what it refers to and under which label, where the roots are,
** and what the machine itself says the total is. One file per Lua version
** stands behind this header; nothing outside knows which one it is.
**
** Invariant: every byte that the machine counts belongs to exactly one
** object, to the state block, to the string table, or (5.3) to an upvalue
** cell that its holders share. Summed once each, they meet the total.
**
** Does not include: what the allocator adds to a block, buffers that C
** libraries take outside the collector's count, and a parser's buffers while
** a chunk is being read.
*/
#ifndef MEMBUDDY_LAYOUT_H
#define MEMBUDDY_LAYOUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lprefix.h"

#include "lua.h"

#include "lfunc.h"
#include "lgc.h"
#include "lobject.h"
#include "lopcodes.h"
#include "lstate.h"
#include "lstring.h"
#include "ltable.h"
#include "ltm.h"

/* What one step of a path is made of; `place` says which one of its kind. */
typedef enum {
  LABEL_ROOT,      /* place: const char *, static */
  LABEL_INDEX,     /* place: index in a table's array part */
  LABEL_NODE,      /* place: const Node * of a table */
  LABEL_METATABLE, /* place: unused */
  LABEL_UPVALUE,   /* place: index, from 1; 0: an open cell of a thread, or a cell's own value */
  LABEL_CONSTANT,  /* place: unused; constants of one prototype share a line */
  LABEL_SOURCE,    /* place: unused */
  LABEL_NAME,      /* place: unused; names of locals and upvalues, for debugging */
  LABEL_PROTO,     /* place: const Proto * */
  LABEL_USERVALUE, /* place: index, from 1 */
  LABEL_SLOT,      /* place: index in a thread's stack, from 1 */
  LABEL_UNKNOWN    /* place: unused; no reference was found, or a graph keeps none */
} label_kind;

typedef struct {
  label_kind kind;
  uintptr_t place;
} label;

/* The kinds that a tally tells apart; the order is the order of print. */
typedef enum {
  KIND_TABLE,
  KIND_STRING,
  KIND_FUNCTION,
  KIND_PROTO,
  KIND_UPVALUE,
  KIND_THREAD,
  KIND_USERDATA,
  KIND_STATE,
  KIND_STRING_TABLE,
  KIND_UNKNOWN, /* no object of a sound heap */
  KIND_COUNT
} object_kind;

/*
** One reference: `key` is the string or object under which a table holds the
** value (NULL when the key owns no memory), `value` the object referred to
** (NULL when the value owns none). Both borrowed from the heap. Where a function
** or a thread holds an upvalue, `key` is its cell: an `UpVal`, which is no object
** in 5.3.
*/
typedef void (*reference_visitor)(void *context, label_kind kind, uintptr_t place, GCObject *key,
                                  GCObject *value);

/* One block that Lua asked its allocator for. */
typedef void (*block_visitor)(void *context, const void *block, size_t bytes);

#if defined(__GNUC__)
#define LAYOUT_INLINE static inline __attribute__((always_inline, unused))
#define LAYOUT_HELPER static inline __attribute__((unused))
#define LAYOUT_APART  __attribute__((noinline))
#define LAYOUT_LOOP   static __attribute__((noinline, unused)) /* stands once in a unit */
#else
#define LAYOUT_INLINE static inline
#define LAYOUT_HELPER static inline
#define LAYOUT_APART
#define LAYOUT_LOOP static
#endif

/* Bit 7 of `marked` belongs to nobody in a release build of any supported version. */
#define LAYOUT_MARK_BIT 0x80u
/* An object's own `tt` never uses these bits: variants stop at bit 5, and only strings use bit 4.
 */
#define LAYOUT_SPARE_TT_BITS 0xD0u

#define WEAK_KEYS   1
#define WEAK_VALUES 2

LAYOUT_INLINE label make_label(label_kind kind, uintptr_t place) {
  label made = {kind, place};
  return made;
}

LAYOUT_INLINE GCObject *object_of(const TValue *value) {
  return iscollectable(value) ? gcvalue(value) : NULL;
}

#if LUA_VERSION_NUM == 503
#include "layout_53.h"
#elif LUA_VERSION_NUM == 504
#include "layout_54.h"
#else
#error "MemBuddy reads the heaps of Lua 5.3 and 5.4; add a layout file for this version"
#endif
_Static_assert(sizeof(lua_Integer) == 8 && sizeof(lua_Number) == 8,
               "a size fits Lua's numbers: not as LUA_32BITS makes them");

/* The parts that read the same in both versions. */

LAYOUT_HELPER object_kind layout_kind(const GCObject *object) {
  static const lu_byte kinds[16] = {KIND_UNKNOWN,
                                    KIND_UNKNOWN,
                                    KIND_UNKNOWN,
                                    KIND_UNKNOWN,
                                    [LUA_TSTRING] = KIND_STRING,
                                    [LUA_TTABLE] = KIND_TABLE,
                                    [LUA_TFUNCTION] = KIND_FUNCTION,
                                    [LUA_TUSERDATA] = KIND_USERDATA,
                                    [LUA_TTHREAD] = KIND_THREAD,
                                    LAYOUT_LATER_KINDS,
                                    KIND_UNKNOWN,
                                    KIND_UNKNOWN,
                                    KIND_UNKNOWN,
                                    KIND_UNKNOWN,
                                    KIND_UNKNOWN};
  return (object_kind)kinds[object->tt & 0x0F];
}

LAYOUT_INLINE int layout_is_table(const GCObject *object) {
  return (object->tt & 0x0F) == LUA_TTABLE;
}

/* Nothing is special about it: a table without a metatable or a Lua function, and no spare bit of
** `tt` set. */
LAYOUT_INLINE int layout_is_unremarkable(GCObject *object) {
  return object->tt == LUA_TTABLE ? gco2t(object)->metatable == NULL
                                  : object->tt == LAYOUT_LUA_FUNCTION;
}

/* The variant decides: in the middle of 5.4 `shrlen` of a long string means nothing. */
LAYOUT_HELPER size_t layout_string_length(const TString *string) {
  return string->tt == LAYOUT_SHORT_STRING ? (size_t)string->shrlen : string->u.lnglen;
}
LAYOUT_HELPER size_t layout_string_bytes(const TString *string) {
  return sizelstring(layout_string_length(string));
}

/* Strings are values: no weak table loses them. */
LAYOUT_HELPER int layout_is_plain(const GCObject *object) {
  return object == NULL || layout_is_string(object);
}

/* What the machine counts, in bytes, at this instant. */
LAYOUT_HELPER size_t layout_total_bytes(const global_State *g) { return (size_t)gettotalbytes(g); }

LAYOUT_HELPER size_t layout_string_table_bytes(const global_State *g) {
  return (size_t)g->strt.size * sizeof(TString *);
}

/* The pointers behind which the collector keeps its gray objects: see `gray.c`. */
#define LAYOUT_GRAY_LISTS 5
LAYOUT_HELPER void layout_gray_lists(global_State *g, GCObject *heads[LAYOUT_GRAY_LISTS]) {
  heads[0] = g->gray;
  heads[1] = g->grayagain;
  heads[2] = g->weak;
  heads[3] = g->ephemeron;
  heads[4] = g->allweak;
}

/* True while the gray lists mean something: while the collector marks, and between the
** collections of the generational mode. Elsewhere every `gclist` is free. */
LAYOUT_HELPER int layout_gray_lists_in_use(const global_State *g) { return keepinvariant(g); }

/* What rests while results are built from addresses in the heap: the collector, in emergencies too,
** when memory runs out; and the program's hooks, which may change what is in somebody's hands. */
typedef struct {
  layout_collector collector;
  l_mem debt;
  size_t total_bytes;
  lu_byte allows_hooks;
} layout_rest;

LAYOUT_HELPER layout_rest layout_begin_rest(lua_State *L) {
  global_State *g = G(L);
  layout_rest rest = {layout_stop_collector(g), g->GCdebt, layout_total_bytes(g), L->allowhook};
  L->allowhook = 0;
  return rest;
}

/* The collector's pace is as if it had run: a collector that rests forgets what it owes for what is
** allocated meanwhile. (As `luaE_setdebt`; the total stays.) */
LAYOUT_HELPER void layout_end_rest(lua_State *L, const layout_rest *rest) {
  global_State *g = G(L);
  l_mem debt = rest->debt + (l_mem)(layout_total_bytes(g) - rest->total_bytes);
  g->totalbytes += g->GCdebt - debt;
  g->GCdebt = debt;
  L->allowhook = rest->allows_hooks;
  layout_restart_collector(g, rest->collector);
}

/* What Lua does when memory runs out: everything that is not used goes, no finalizer is called. */
LAYOUT_INLINE void layout_collect_in_emergency(lua_State *L) { luaC_fullgc(L, 1); }

#define LAYOUT_OBJECT_LISTS 4
LAYOUT_HELPER void layout_object_lists(global_State *g, GCObject *heads[LAYOUT_OBJECT_LISTS]) {
  heads[0] = g->allgc;
  heads[1] = g->finobj;
  heads[2] = g->tobefnz;
  heads[3] = g->fixedgc;
}

/* The entry of a string key, without the cache and the calls that a real look-up may make. */
LAYOUT_HELPER const TValue *layout_short_string_entry(const Table *table, const TString *key) {
  const Node *node = gnode(table, lmod(key->hash, sizenode(table)));
  for (;;) {
    if (layout_node_key_is(node, key)) return gval(node);
    int step = gnext(node);
    if (step == 0) return NULL;
    node += step;
  }
}

/* Which ends of a table's entries do not keep their objects alive: WEAK_KEYS | WEAK_VALUES. */
LAYOUT_HELPER int layout_weakness(const global_State *g, const Table *table) {
  const Table *metatable = table->metatable;
  if (metatable == NULL || (metatable->flags & (1u << TM_MODE))) return 0;
  const TValue *mode = layout_short_string_entry(metatable, g->tmname[TM_MODE]);
  if (mode == NULL || !layout_is_mode_string(mode)) return 0;
  const char *text = getstr(tsvalue(mode));
  return (strchr(text, 'k') ? WEAK_KEYS : 0) | (strchr(text, 'v') ? WEAK_VALUES : 0);
}

/* A field of a table by its name, without metamethods; NULL when absent. */
LAYOUT_HELPER const TValue *layout_field(const Table *table, const char *name) {
  size_t length = strlen(name);
  for (unsigned int i = 0; i < (unsigned int)sizenode(table); i++) {
    const Node *node = gnode(table, i);
    if (layout_is_empty(gval(node))) continue; /* its key may be gone */
    GCObject *key = layout_node_key(node);
    if (key == NULL || !layout_is_string(key)) continue;
    const TString *string = gco2ts(key);
    if (layout_string_length(string) == length && memcmp(getstr(string), name, length) == 0)
      return gval(node);
  }
  return NULL;
}

LAYOUT_INLINE void layout_each_metatable(const Table *metatable, reference_visitor visit,
                                         void *context) {
  if (metatable) visit(context, LABEL_METATABLE, 0, NULL, obj2gco((Table *)metatable));
}

/* The values of an array that are objects; it may be NULL when it has none. */
LAYOUT_LOOP void layout_each_value(const TValue *values, size_t count, label_kind kind,
                                   reference_visitor visit, void *context) {
  for (size_t i = 0; i < count; i++) {
    GCObject *value = object_of(values + i);
    if (value) visit(context, kind, (uintptr_t)i + 1, NULL, value);
  }
}

/* A table's slots: those of its array, then its nodes. */
LAYOUT_INLINE size_t layout_slot_count(const Table *table) {
  return layout_array_count(table) + (layout_has_no_nodes(table) ? 0 : (size_t)sizenode(table));
}
/* NULL for a slot of the array, which has `array_count`. */
LAYOUT_INLINE const Node *layout_slot_node(const Table *table, size_t array_count, size_t slot) {
  return slot < array_count ? NULL : gnode(table, slot - array_count);
}

/* Every entry of a table but those without any object. */
LAYOUT_INLINE void layout_each_entry(const Table *table, reference_visitor visit, void *context) {
  size_t array_count = layout_array_count(table), slot_count = layout_slot_count(table);
  for (size_t slot = 0; slot < slot_count; slot++) {
    const Node *node = layout_slot_node(table, array_count, slot);
    const TValue *value = node ? gval(node) : &table->array[slot];
    GCObject *key = node && !layout_is_empty(value) ? layout_node_key(node) : NULL;
    GCObject *object = object_of(value);
    if (key || object)
      visit(context, node ? LABEL_NODE : LABEL_INDEX, node ? (uintptr_t)node : slot + 1, key,
            object);
  }
}

LAYOUT_INLINE void layout_each_in_c_closure(const CClosure *closure, reference_visitor visit,
                                            void *context) {
  layout_each_value(closure->upvalue, closure->nupvalues, LABEL_UPVALUE, visit, context);
}

/* The strings that stand `offset` bytes into each item of an array, which may be NULL when it has
** none. */
LAYOUT_LOOP void layout_each_string(const void *items, int count, size_t item_bytes, size_t offset,
                                    label_kind kind, reference_visitor visit, void *context) {
  for (const char *item = items; count > 0; count--, item += item_bytes) {
    TString *string = *(TString *const *)(const void *)(item + offset);
    if (string) visit(context, kind, 0, NULL, obj2gco(string));
  }
}

LAYOUT_INLINE void layout_each_in_proto(const Proto *proto, reference_visitor visit,
                                        void *context) {
  layout_each_string(&proto->source, 1, 0, 0, LABEL_SOURCE, visit, context);
  layout_each_value(proto->k, (size_t)proto->sizek, LABEL_CONSTANT, visit, context);
  layout_each_string(proto->upvalues, proto->sizeupvalues, sizeof(Upvaldesc),
                     offsetof(Upvaldesc, name), LABEL_NAME, visit, context);
  layout_each_string(proto->locvars, proto->sizelocvars, sizeof(LocVar), offsetof(LocVar, varname),
                     LABEL_NAME, visit, context);
  for (int i = 0; i < proto->sizep; i++)
    if (proto->p[i])
      visit(context, LABEL_PROTO, (uintptr_t)proto->p[i], NULL, obj2gco(proto->p[i]));
}

/* The live part of a thread's stack, as the collector sees it: up to `top`. */
LAYOUT_INLINE void layout_each_in_thread(lua_State *thread, reference_visitor visit,
                                         void *context) {
  if (layout_stack(thread) == NULL) return;
  layout_each_value(layout_stack_slot(thread, 0), layout_stack_used(thread), LABEL_SLOT, visit,
                    context);
  layout_each_open_upvalue(thread, visit, context);
}

/* Everything that an object other than a table refers to. */
LAYOUT_INLINE void layout_each_other_reference(GCObject *object, reference_visitor visit,
                                               void *context) {
  switch (layout_kind(object)) {
  case KIND_FUNCTION:
    if (layout_is_lua_function(object))
      layout_each_in_lua_closure(gco2lcl(object), visit, context);
    else
      layout_each_in_c_closure(gco2ccl(object), visit, context);
    break;
  case KIND_PROTO: layout_each_in_proto(gco2p(object), visit, context); break;
  case KIND_THREAD: layout_each_in_thread(gco2th(object), visit, context); break;
  case KIND_USERDATA: layout_each_in_userdata(gco2u(object), visit, context); break;
  case KIND_UPVALUE: layout_each_in_upvalue(object, visit, context); break;
  default: break;
  }
}

/*
** The blocks of an object: what Lua asked its allocator for on its behalf, with address and size
** in bytes. This is the one place that knows; every other figure is a sum over it. A block of
** size 0 is none. Does not include upvalue cells of 5.3: see `layout_claim_cell`.
*/
LAYOUT_INLINE void layout_each_table_block(const Table *table, block_visitor visit, void *context) {
  /* [Table] [array: n x TValue] [nodes: 2^k x Node]   no nodes when they are the shared dummy */
  visit(context, table, sizeof *table);
  visit(context, table->array, layout_array_count(table) * sizeof(TValue));
  if (!layout_has_no_nodes(table))
    visit(context, table->node, (size_t)sizenode(table) * sizeof(Node));
}

LAYOUT_INLINE void layout_each_proto_block(const Proto *proto, block_visitor visit, void *context) {
  /* [Proto] [code] [k] [p] [lineinfo] [abslineinfo, 5.4] [locvars] [upvalues] */
  visit(context, proto, sizeof *proto);
  visit(context, proto->code, (size_t)proto->sizecode * sizeof *proto->code);
  visit(context, proto->k, (size_t)proto->sizek * sizeof *proto->k);
  visit(context, proto->p, (size_t)proto->sizep * sizeof *proto->p);
  layout_each_line_block(proto, visit, context);
  visit(context, proto->locvars, (size_t)proto->sizelocvars * sizeof *proto->locvars);
  visit(context, proto->upvalues, (size_t)proto->sizeupvalues * sizeof *proto->upvalues);
}

LAYOUT_INLINE void layout_each_thread_block(const global_State *g, lua_State *thread,
                                            block_visitor visit, void *context) {
  /* [extra space, lua_State; the main thread's lie in the state block] [stack] [call infos] */
  if (thread != g->mainthread)
    visit(context, (const char *)thread - offsetof(layout_thread_block, thread),
          sizeof(layout_thread_block));
  if (layout_stack(thread) == NULL) return; /* none was to be had: the list is not set either */
  visit(context, layout_stack(thread), layout_stack_bytes(thread));
  /* the list, not `nci`: that counter is 16 bits wide and wraps */
  for (const CallInfo *info = thread->base_ci.next; info; info = info->next)
    visit(context, info, sizeof *info);
}

LAYOUT_INLINE size_t layout_lua_function_bytes(const LClosure *closure) {
  return (size_t)sizeLclosure(closure->nupvalues);
}

LAYOUT_INLINE void layout_each_block(const global_State *g, GCObject *object, block_visitor visit,
                                     void *context) {
  switch (layout_kind(object)) {
  case KIND_TABLE: layout_each_table_block(gco2t(object), visit, context); break;
  case KIND_STRING: visit(context, object, layout_string_bytes(gco2ts(object))); break;
  case KIND_FUNCTION:
    visit(context, object,
          layout_is_lua_function(object) ? layout_lua_function_bytes(gco2lcl(object))
                                         : (size_t)sizeCclosure(gco2ccl(object)->nupvalues));
    break;
  case KIND_PROTO: layout_each_proto_block(gco2p(object), visit, context); break;
  case KIND_THREAD: layout_each_thread_block(g, gco2th(object), visit, context); break;
  case KIND_USERDATA: visit(context, object, layout_userdata_bytes(gco2u(object))); break;
  case KIND_UPVALUE: visit(context, object, sizeof(UpVal)); break;
  default: break;
  }
}

/* The blocks that belong to no object: the state with the main thread, and the string table. */
LAYOUT_INLINE void layout_each_runtime_block(const global_State *g, block_visitor visit,
                                             void *context) {
  visit(context,
        (const char *)g->mainthread - offsetof(layout_state_block, main) -
            offsetof(layout_thread_block, thread),
        sizeof(layout_state_block));
  visit(context, g->strt.hash, layout_string_table_bytes(g));
}

LAYOUT_INLINE void layout_add_block(void *context, const void *block, size_t bytes) {
  (void)block;
  *(size_t *)context += bytes;
}

LAYOUT_INLINE size_t layout_table_bytes(const Table *table) {
  size_t bytes = 0;
  layout_each_table_block(table, layout_add_block, &bytes);
  return bytes;
}

#endif
