/*
** layout of Lua 5.3 (read in 5.3.4 and 5.3.6, whose structs are alike).
** Included by layout.h alone.
**
** What differs from 5.4: the main thread is on no list; an upvalue is a block
** that its closures count references to, and no object; line information is
** an int an instruction; a userdata has one user value and never a `gclist`.
*/
/* The registry's name for the metatable of luaL_Buffer's boxes. */
#define LAYOUT_BUFFER_BOX  "LUABOX"
#define LAYOUT_LUA_VERSION 503
/* A userdata has one value, wanted or not. */
#define lua_newuserdatauv(L, bytes, values) lua_newuserdata(L, bytes)

#define LAYOUT_ASSERT(type, bytes64, bytes32)                                                      \
  _Static_assert(sizeof(type) == (sizeof(void *) == 8 ? (bytes64) : (bytes32)),                    \
                 #type " changed: re-read lobject.h, lstate.h and lfunc.h of this version")
#if defined(__wasm__) || defined(__x86_64__)
LAYOUT_ASSERT(TValue, 16, 16);
LAYOUT_ASSERT(Node, 32, 32);
LAYOUT_ASSERT(Table, 56, 32);
LAYOUT_ASSERT(Proto, 120, 80);
LAYOUT_ASSERT(UpVal, 32, 24);
LAYOUT_ASSERT(lua_State, 208, 120);
LAYOUT_ASSERT(CallInfo, 72, 36);
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
#define LAYOUT_LATER_KINDS [LUA_TPROTO] = KIND_PROTO, KIND_UNKNOWN

#define LAYOUT_SHORT_STRING LUA_TSHRSTR
#define LAYOUT_LUA_FUNCTION LUA_TLCL
LAYOUT_INLINE int layout_is_string(const GCObject *o) { return (o->tt & 0x0F) == LUA_TSTRING; }
LAYOUT_INLINE int layout_is_lua_function(const GCObject *o) {
  return (o->tt & 0x3F & ~LAYOUT_SPARE_TT_BITS) == LUA_TLCL;
}
LAYOUT_INLINE int layout_is_mode_string(const TValue *value) { return ttisstring(value); }

LAYOUT_HELPER size_t layout_array_count(const Table *table) { return table->sizearray; }

LAYOUT_INLINE int layout_has_no_nodes(const Table *table) { return table->lastfree == NULL; }
LAYOUT_INLINE int layout_is_empty(const TValue *value) { return ttisnil(value); }
LAYOUT_INLINE GCObject *layout_node_key(const Node *node) { return object_of(gkey(node)); }
LAYOUT_INLINE int layout_node_key_is(const Node *node, const TString *key) {
  return ttisshrstring(gkey(node)) && tsvalue(gkey(node)) == key;
}
LAYOUT_INLINE void layout_copy_node_key(const Node *node, TValue *key) {
  key->value_ = gkey(node)->value_;
  key->tt_ = gkey(node)->tt_;
}

/* Without the variant. */
LAYOUT_INLINE int layout_type(const TValue *value) { return ttnov(value); }
LAYOUT_INLINE int layout_is_false(const TValue *value) { return l_isfalse(value); }

LAYOUT_INLINE void layout_each_line_block(const Proto *proto, block_visitor visit, void *context) {
  visit(context, proto->lineinfo, (size_t)proto->sizelineinfo * sizeof *proto->lineinfo);
}

LAYOUT_INLINE int layout_absolute_lines(const Proto *proto) { return (void)proto, 0; }

LAYOUT_INLINE StkId layout_stack(lua_State *thread) { return thread->stack; }
LAYOUT_INLINE size_t layout_stack_used(lua_State *thread) {
  return (size_t)(thread->top - thread->stack);
}
LAYOUT_INLINE void layout_cut_stack(lua_State *thread, size_t used) {
  thread->top = thread->stack + used;
}
LAYOUT_INLINE const TValue *layout_stack_slot(lua_State *thread, size_t index) {
  return thread->stack + index;
}
LAYOUT_INLINE size_t layout_stack_bytes(lua_State *thread) {
  return thread->stack ? (size_t)thread->stacksize * sizeof(TValue) : 0;
}
/* A frame of C has no base: there stands that of whoever had this CallInfo before. */
LAYOUT_INLINE size_t layout_frame_base(lua_State *thread, const CallInfo *info) {
  return (size_t)((isLua(info) ? info->u.l.base : info->func + 1) - thread->stack);
}

/* The function's slot. Not always the one before the base: extra arguments lie between them. */
LAYOUT_INLINE const TValue *layout_frame_slot(const CallInfo *info) { return info->func; }

/* The object at an index of the stack; NULL for a value that holds no memory. */
LAYOUT_HELPER GCObject *layout_object_at(lua_State *L, int index) {
  lua_pushvalue(L, index);
  GCObject *object = object_of(L->top - 1);
  lua_pop(L, 1);
  return object;
}

LAYOUT_INLINE size_t layout_userdata_bytes(const Udata *userdata) { return sizeudata(userdata); }
/* The user value of a userdata, which never has a `gclist` in this version. */
LAYOUT_INLINE GCObject *layout_only_uservalue(const Udata *userdata) {
  return userdata->ttuv_ & BIT_ISCOLLECTABLE ? userdata->user_.gc : NULL;
}
LAYOUT_INLINE const void *layout_userdata_payload(const Udata *userdata) {
  return getudatamem(userdata);
}

LAYOUT_INLINE void layout_each_in_userdata(const Udata *userdata, reference_visitor visit,
                                           void *context) {
  if (userdata->metatable) visit(context, LABEL_METATABLE, 0, NULL, obj2gco(userdata->metatable));
  if (userdata->ttuv_ & BIT_ISCOLLECTABLE)
    visit(context, LABEL_USERVALUE, 1, NULL, userdata->user_.gc);
}

/* An upvalue's cell stands in the place of the key: it belongs to the reference. */
LAYOUT_INLINE void layout_each_in_lua_closure(const LClosure *closure, reference_visitor visit,
                                              void *context) {
  if (closure->p) visit(context, LABEL_PROTO, (uintptr_t)closure->p, NULL, obj2gco(closure->p));
  for (int i = 0; i < closure->nupvalues; i++) {
    UpVal *cell = closure->upvals[i];
    if (cell) visit(context, LABEL_UPVALUE, (uintptr_t)i + 1, (GCObject *)cell, object_of(cell->v));
  }
}
/* Open cells whose closures died are reachable from here alone. */
LAYOUT_INLINE void layout_each_open_upvalue(lua_State *thread, reference_visitor visit,
                                            void *context) {
  for (UpVal *cell = thread->openupval; cell; cell = cell->u.open.next)
    visit(context, LABEL_UPVALUE, 0, (GCObject *)cell, NULL);
}
LAYOUT_INLINE void layout_each_in_upvalue(const GCObject *object, reference_visitor visit,
                                          void *context) {
  (void)object, (void)visit, (void)context;
}

/* The field through which the collector links gray objects; NULL where an object has none. */
LAYOUT_HELPER GCObject **layout_link(GCObject *object) {
  switch (object->tt & 0x0F) {
  case LUA_TTABLE: return &gco2t(object)->gclist;
  case LUA_TFUNCTION: return &((LClosure *)object)->gclist;
  case LUA_TPROTO: return &gco2p(object)->gclist;
  case LUA_TTHREAD: return &gco2th(object)->gclist;
  default: return NULL;
  }
}

/* A cell has no mark byte; its counter of references never reaches the highest bit. */
#define LAYOUT_CELLS_ARE_OBJECTS     0
#define LAYOUT_MAIN_THREAD_IS_LISTED 0
#define LAYOUT_CELL_MARK             (~(~(lu_mem)0 >> 1))
LAYOUT_INLINE int layout_claim_cell(UpVal *cell) {
  if (cell->refcount & LAYOUT_CELL_MARK) return 0;
  cell->refcount |= LAYOUT_CELL_MARK;
  return 1;
}
LAYOUT_INLINE const TValue *layout_cell_slot(const UpVal *cell) { return cell->v; }
LAYOUT_INLINE GCObject *layout_cell_value(const UpVal *cell) { return object_of(cell->v); }
LAYOUT_INLINE void layout_release_cell(UpVal *cell) { cell->refcount &= ~LAYOUT_CELL_MARK; }
LAYOUT_INLINE int layout_cell_is_claimed(const UpVal *cell) {
  return (cell->refcount & LAYOUT_CELL_MARK) != 0;
}
/* The count of a cell's holders, a word that can bear something else meanwhile. */
LAYOUT_INLINE uintptr_t layout_cell_word(const UpVal *cell) {
  return (uintptr_t)(cell->refcount & ~LAYOUT_CELL_MARK);
}
LAYOUT_INLINE void layout_set_cell_word(UpVal *cell, uintptr_t word) {
  cell->refcount = (cell->refcount & LAYOUT_CELL_MARK) | (lu_mem)word;
}

/* A state without a version is one that is not built yet: for that nothing is collected when memory
** runs out, see `luaM_realloc_`. */
typedef struct {
  lu_byte is_running;
  const lua_Number *version;
} layout_collector;
LAYOUT_INLINE layout_collector layout_stop_collector(global_State *g) {
  layout_collector before = {g->gcrunning, g->version};
  g->gcrunning = 0;
  g->version = NULL;
  return before;
}
LAYOUT_INLINE void layout_restart_collector(global_State *g, layout_collector before) {
  g->gcrunning = before.is_running;
  g->version = before.version;
}

/* String keys of removed entries that the collector keeps for one more cycle: none, in this
** version. */
LAYOUT_INLINE void layout_each_removed_key(const Table *table, reference_visitor visit,
                                           void *context) {
  (void)table, (void)visit, (void)context;
}

/* Values that open upvalues of dead threads keep for one more cycle: a mark phase that was broken
** off leaves its `touched` behind, and the next one heeds it (`remarkupvals` in lgc.c). */
LAYOUT_INLINE void layout_each_touched_upvalue(const global_State *g, reference_visitor visit,
                                               void *context) {
  for (lua_State *thread = g->twups; thread; thread = thread->twups) {
    if (thread->marked & LAYOUT_MARK_BIT) continue;
    for (const UpVal *cell = thread->openupval; cell; cell = cell->u.open.next) {
      GCObject *value = object_of(cell->v);
      if (cell->u.open.touched && value) visit(context, LABEL_UPVALUE, 0, NULL, value);
    }
  }
}
