/*
** layout of Lua 5.4 (read in 5.4.7; the structs of 5.4.3 to 5.4.8 are alike).
** Included by layout.h alone.
**
** What differs from 5.3: the main thread is the last object of `allgc`; an
** upvalue is an object of its own; the array's size hides behind `alimit`;
** line information is one byte an instruction plus absolute marks; a userdata
** has any number of user values, and no `gclist` when it has none.
*/
/* The registry's name for the metatable of luaL_Buffer's boxes. */
#define LAYOUT_BUFFER_BOX  "_UBOX*"
#define LAYOUT_LUA_VERSION 504

#define LAYOUT_ASSERT(type, bytes64, bytes32)                                                      \
  _Static_assert(sizeof(type) == (sizeof(void *) == 8 ? (bytes64) : (bytes32)),                    \
                 #type " changed: re-read lobject.h, lstate.h and lfunc.h of this version")
#if defined(__wasm__) || defined(__x86_64__)
LAYOUT_ASSERT(TValue, 16, 16);
LAYOUT_ASSERT(Node, 24, 24);
LAYOUT_ASSERT(Table, 56, 32);
LAYOUT_ASSERT(Proto, 128, 84);
LAYOUT_ASSERT(UpVal, 40, 32);
LAYOUT_ASSERT(lua_State, 200, 116);
LAYOUT_ASSERT(CallInfo, 64, 36);
#endif
#undef LAYOUT_ASSERT

/* As in lstate.c, where they are private: a thread lies behind its extra space, the main thread
** and the global state in one block. */
typedef struct {
  lu_byte extra[LUA_EXTRASPACE];
  lua_State thread;
} layout_thread_block;
typedef struct {
  layout_thread_block main;
  global_State global;
} layout_state_block;

LAYOUT_INLINE size_t layout_state_bytes(void) { return sizeof(layout_state_block); }

/* By tag: the two behind the thread. */
#define LAYOUT_LATER_KINDS [LUA_TUPVAL] = KIND_UPVALUE, [LUA_TPROTO] = KIND_PROTO

#define LAYOUT_SHORT_STRING LUA_VSHRSTR
#define LAYOUT_LUA_FUNCTION LUA_VLCL
LAYOUT_INLINE int layout_is_string(const GCObject *o) { return (o->tt & 0x0F) == LUA_TSTRING; }
LAYOUT_INLINE int layout_is_lua_function(const GCObject *o) {
  return (o->tt & 0x3F & ~LAYOUT_SPARE_TT_BITS) == LUA_VLCL;
}
LAYOUT_INLINE int layout_is_mode_string(const TValue *value) { return ttisshrstring(value); }

/* `alimit` may be a hint for `#`; then the array ends at the next power of two. */
static LAYOUT_APART size_t layout_next_power(unsigned int limit) {
  limit |= limit >> 1;
  limit |= limit >> 2;
  limit |= limit >> 4;
  limit |= limit >> 8;
  limit |= limit >> 16;
  return (size_t)limit + 1;
}
LAYOUT_INLINE size_t layout_array_count(const Table *table) {
  unsigned int limit = table->alimit;
  return isrealasize(table) || (limit & (limit - 1)) == 0 ? limit : layout_next_power(limit);
}

LAYOUT_INLINE int layout_has_no_nodes(const Table *table) { return isdummy(table); }
LAYOUT_INLINE int layout_is_empty(const TValue *value) { return isempty(value); }
LAYOUT_INLINE GCObject *layout_node_key(const Node *node) { return gckeyN(node); }
LAYOUT_INLINE int layout_node_key_is(const Node *node, const TString *key) {
  return keyisshrstr(node) && gckey(node) == obj2gco((TString *)key);
}
LAYOUT_INLINE void layout_copy_node_key(const Node *node, TValue *key) {
  key->value_ = node->u.key_val;
  key->tt_ = node->u.key_tt;
}

/* Without the variant. */
LAYOUT_INLINE int layout_type(const TValue *value) { return ttype(value); }
LAYOUT_INLINE int layout_is_false(const TValue *value) { return ttisfalse(value); }

LAYOUT_INLINE void layout_each_line_block(const Proto *proto, block_visitor visit, void *context) {
  visit(context, proto->lineinfo, (size_t)proto->sizelineinfo * sizeof *proto->lineinfo);
  visit(context, proto->abslineinfo, (size_t)proto->sizeabslineinfo * sizeof *proto->abslineinfo);
}

LAYOUT_INLINE int layout_absolute_lines(const Proto *proto) { return proto->sizeabslineinfo; }

LAYOUT_INLINE StkId layout_stack(lua_State *thread) { return thread->stack.p; }
LAYOUT_INLINE size_t layout_stack_used(lua_State *thread) {
  return (size_t)(thread->top.p - thread->stack.p);
}
LAYOUT_INLINE void layout_cut_stack(lua_State *thread, size_t used) {
  thread->top.p = thread->stack.p + used;
}
LAYOUT_INLINE const TValue *layout_stack_slot(lua_State *thread, size_t index) {
  return s2v(thread->stack.p + index);
}
LAYOUT_INLINE size_t layout_stack_bytes(lua_State *thread) {
  return thread->stack.p ? (size_t)(stacksize(thread) + EXTRA_STACK) * sizeof(StackValue) : 0;
}
LAYOUT_INLINE size_t layout_frame_base(lua_State *thread, const CallInfo *info) {
  return (size_t)(info->func.p + 1 - thread->stack.p);
}

LAYOUT_INLINE const TValue *layout_frame_slot(const CallInfo *info) { return s2v(info->func.p); }

/* The object at an index of the stack; NULL for a value that holds no memory. */
LAYOUT_HELPER GCObject *layout_object_at(lua_State *L, int index) {
  lua_pushvalue(L, index);
  GCObject *object = object_of(s2v(L->top.p - 1));
  lua_pop(L, 1);
  return object;
}

LAYOUT_INLINE size_t layout_userdata_bytes(const Udata *userdata) {
  return sizeudata(userdata->nuvalue, userdata->len);
}
/* The user value of a userdata that has no `gclist`: none, in this version. */
LAYOUT_INLINE GCObject *layout_only_uservalue(const Udata *userdata) {
  (void)userdata;
  return NULL;
}
LAYOUT_INLINE const void *layout_userdata_payload(const Udata *userdata) {
  return getudatamem((Udata *)userdata);
}

LAYOUT_INLINE void layout_each_in_userdata(const Udata *userdata, reference_visitor visit,
                                           void *context) {
  if (userdata->metatable) visit(context, LABEL_METATABLE, 0, NULL, obj2gco(userdata->metatable));
  for (int i = 0; i < userdata->nuvalue; i++) {
    GCObject *value = object_of(&userdata->uv[i].uv);
    if (value) visit(context, LABEL_USERVALUE, (uintptr_t)i + 1, NULL, value);
  }
}

/* An upvalue's cell stands in the place of the key: it belongs to the reference. */
LAYOUT_INLINE void layout_each_in_lua_closure(const LClosure *closure, reference_visitor visit,
                                              void *context) {
  if (closure->p) visit(context, LABEL_PROTO, (uintptr_t)closure->p, NULL, obj2gco(closure->p));
  for (int i = 0; i < closure->nupvalues; i++) {
    UpVal *cell = closure->upvals[i];
    if (cell) visit(context, LABEL_UPVALUE, (uintptr_t)i + 1, obj2gco(cell), object_of(cell->v.p));
  }
}
LAYOUT_INLINE void layout_each_open_upvalue(lua_State *thread, reference_visitor visit,
                                            void *context) {
  for (UpVal *cell = thread->openupval; cell; cell = cell->u.open.next)
    visit(context, LABEL_UPVALUE, 0, obj2gco(cell), object_of(cell->v.p));
}
LAYOUT_INLINE void layout_each_in_upvalue(const GCObject *object, reference_visitor visit,
                                          void *context) {
  GCObject *value = object_of(gco2upv((GCObject *)object)->v.p);
  if (value) visit(context, LABEL_UPVALUE, 0, NULL, value);
}

/* The field through which the collector links gray objects; NULL where an object has none. */
LAYOUT_HELPER GCObject **layout_link(GCObject *object) {
  switch (object->tt & 0x0F) {
  case LUA_TTABLE: return &gco2t(object)->gclist;
  case LUA_TFUNCTION: return &((LClosure *)object)->gclist;
  case LUA_TPROTO: return &gco2p(object)->gclist;
  case LUA_TTHREAD: return &gco2th(object)->gclist;
  case LUA_TUSERDATA: return gco2u(object)->nuvalue ? &gco2u(object)->gclist : NULL;
  default: return NULL;
  }
}

/* Upvalue cells are objects here: marked, listed and swept like all others. */
#define LAYOUT_CELLS_ARE_OBJECTS     1
#define LAYOUT_MAIN_THREAD_IS_LISTED 1
LAYOUT_INLINE int layout_claim_cell(UpVal *cell) {
  if (cell->marked & LAYOUT_MARK_BIT) return 0;
  cell->marked |= LAYOUT_MARK_BIT;
  return 1;
}
LAYOUT_INLINE const TValue *layout_cell_slot(const UpVal *cell) { return cell->v.p; }
LAYOUT_INLINE GCObject *layout_cell_value(const UpVal *cell) { return object_of(cell->v.p); }
LAYOUT_INLINE void layout_release_cell(UpVal *cell) { cell->marked &= (lu_byte)~LAYOUT_MARK_BIT; }
LAYOUT_INLINE int layout_cell_is_claimed(const UpVal *cell) {
  return cell->marked & LAYOUT_MARK_BIT;
}
/* No cell is without a header here: its link serves as any object's. */
LAYOUT_INLINE uintptr_t layout_cell_word(const UpVal *cell) { return (uintptr_t)cell->next; }
LAYOUT_INLINE void layout_set_cell_word(UpVal *cell, uintptr_t word) {
  cell->next = (GCObject *)word;
}

typedef struct {
  lu_byte stop, stop_emergencies;
} layout_collector;
LAYOUT_INLINE layout_collector layout_stop_collector(global_State *g) {
  layout_collector before = {g->gcstp, g->gcstopem};
  g->gcstp |= GCSTPUSR;
  g->gcstopem = 1;
  return before;
}
LAYOUT_INLINE void layout_restart_collector(global_State *g, layout_collector before) {
  g->gcstp = before.stop;
  g->gcstopem = before.stop_emergencies;
}

/* String keys of removed entries that the collector keeps for one more cycle, when it meets a table
** whose keys and values are weak for the first time through finalizers. */
LAYOUT_INLINE void layout_each_removed_key(const Table *table, reference_visitor visit,
                                           void *context) {
  if (layout_has_no_nodes(table)) return;
  for (const Node *node = gnode(table, 0), *end = node + sizenode(table); node < end; node++) {
    GCObject *key = gckeyN(node);
    if (isempty(gval(node)) && key && layout_is_string(key))
      visit(context, LABEL_NODE, (uintptr_t)node, key, NULL);
  }
}

/* Values that open upvalues of dead threads keep for one more cycle: none, in this version. */
LAYOUT_INLINE void layout_each_touched_upvalue(const global_State *g, reference_visitor visit,
                                               void *context) {
  (void)g, (void)visit, (void)context;
}
