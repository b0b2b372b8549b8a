/*
** snapshot: the graph in the format of Chrome's heap snapshots, for its DevTools and whoever reads
** the same files.
**
**   {"snapshot":{"meta":{...},"node_count":N,"edge_count":E,...},
**   "nodes":[type,name,id,self_size,edge_count,trace_node_id,detachedness, ...],
**   "edges":[type,name_or_index,to_node, ...],   grouped by owner; to_node is 7 x the node's number
**   ...,"strings":["", ...]}
**
** DevTools reads the sections in this order, and of numbers nothing but digits below 2^32. Nodes
** have the numbers of the graph; behind them stand the blocks that are no objects, and the garbage,
** so that the sizes sum to what Lua counts. Its dominators are ours: weak references are edges that
** it does not follow, and the value of an ephemeron hangs on table and key by two edges whose names
** say so. None of our node types is one whose size it gives to another node.
**
** Strings need no table of their own: first come the fixed ones, then one for each node that is a
** string or a prototype, in the order of nodes, then those made for one edge each, in the order of
** edges: the edges are walked once more for them.
**
** Memory: 0.4 bytes a node, 8 a weak table, 4 a node and an entry where keys are weak.
*/
#include "attach_books.h"
#include "attach_graph.h"
#include "attach_text.h"

#include "borrow.h"
#include "path.h"

#define FIELD_COUNT    7u
#define LONGEST_SOURCE 80u
/* What one step does: short enough for a host that wants to be interrupted. */
#define STEP_BYTES (1024.0 * 1024)
#define STEP_NODES 100000u

/* As `node_types` and `edge_types` of the header have them. */
enum { NODE_STRING = 2, NODE_OBJECT, NODE_CODE, NODE_CLOSURE, NODE_NATIVE = 8, NODE_SYNTHETIC };
enum { EDGE_CONTEXT, EDGE_ELEMENT, EDGE_PROPERTY, EDGE_INTERNAL, EDGE_WEAK = 6 };

static const char header[] =
    "{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\","
    "\"edge_count\",\"trace_node_id\",\"detachedness\"],\"node_types\":[[\"hidden\",\"array\","
    "\"string\",\"object\",\"code\",\"closure\",\"regexp\",\"number\",\"native\",\"synthetic\","
    "\"concatenated string\",\"sliced string\",\"symbol\",\"bigint\",\"object shape\"],\"string\","
    "\"number\",\"number\",\"number\",\"number\",\"number\"],\"edge_fields\":[\"type\","
    "\"name_or_index\",\"to_node\"],\"edge_types\":[[\"context\",\"element\",\"property\","
    "\"internal\",\"hidden\",\"shortcut\",\"weak\"],\"string_or_number\",\"node\"],"
    "\"trace_function_info_fields\":[\"function_id\",\"name\",\"script_name\",\"script_id\","
    "\"line\",\"column\"],\"trace_node_fields\":[\"id\",\"function_info_index\",\"count\",\"size\","
    "\"children\"],\"sample_fields\":[\"timestamp_us\",\"last_assigned_id\"],\"location_fields\":["
    "\"object_index\",\"script_id\",\"line\",\"column\"]},\"node_count\":";

#define FIXED_STRINGS(X)                                                                           \
  X(EMPTY, "")                                                                                     \
  X(GLOBALS, "_G")                                                                                 \
  X(TABLE, "table")                                                                                \
  X(WEAK_TABLE, "weak table")                                                                      \
  X(FIELDS, "Object") /* DevTools groups these by the names of their properties */                 \
  X(FUNCTION, "function")                                                                          \
  X(C_FUNCTION, "C function")                                                                      \
  X(UPVALUE, "upvalue")                                                                            \
  X(THREAD, "thread")                                                                              \
  X(USERDATA, "userdata")                                                                          \
  X(STATE, "[state]")                                                                              \
  X(STRING_TABLE, "[string table]")                                                                \
  X(GARBAGE, "[garbage]")                                                                          \
  X(KEY, "[key]")                                                                                  \
  X(VALUE, "[value]")                                                                              \
  X(METATABLE, "[metatable]")                                                                      \
  X(OPEN_UPVALUE, "[open upvalue]")                                                                \
  X(CONSTANT, "[constant]")                                                                        \
  X(SOURCE, "[source]")                                                                            \
  X(NAMES, "[names]")                                                                              \
  X(PROTO, "[proto]")                                                                              \
  X(LIGHT_USERDATA_KEY, "[lightuserdata]")                                                         \
  X(TABLE_KEY, "[table]")                                                                          \
  X(FUNCTION_KEY, "[function]")                                                                    \
  X(USERDATA_KEY, "[userdata]")                                                                    \
  X(THREAD_KEY, "[thread]")

#define FIXED_NUMBER(name, text) FIXED_##name,
#define FIXED_TEXT(name, text)   text,
enum { FIXED_STRINGS(FIXED_NUMBER) FIXED_COUNT };
static const char *const fixed_strings[] = {FIXED_STRINGS(FIXED_TEXT)};

typedef enum { STAGE_HEADER, STAGE_NODES, STAGE_EDGES, STAGE_NAMES, STAGE_MADE, STAGE_DONE } stage;

typedef struct {
  uint64_t bits;
  uint32_t before; /* bits in the words before */
} ranked_word;

typedef struct {
  uint32_t node;
  uint32_t edge_count; /* beside those of the graph */
} weak_table;

static struct {
  const attached_graph *whole;
  const graph *g;
  stage stage;
  uint32_t next; /* node of this stage */
  int is_first;  /* of a section */

  ranked_word *named; /* nodes that have a string of their own */
  uint32_t named_count;
  uint64_t *makers; /* nodes that have edges whose names are made */
  uint32_t made_count;

  weak_table *weak; /* by node */
  uint32_t weak_count, weak_capacity, weak_next;
  uint32_t *late_tables; /* of ephemerons' values: in the order of their keys' edges */
  uint32_t late_next;

  const Table *metatable; /* the last one that was asked for its name */
  uint32_t metatable_name;
} s;

static size_t words_of(uint32_t bits) { return (size_t)bits / 64 + 1; }

/* ---- strings of nodes ---- */

static uint32_t count_bits(uint64_t bits) { return (uint32_t)__builtin_popcountll(bits); }

static int has_name(uint32_t node) { return (s.named[node / 64].bits >> (node % 64)) & 1; }
static uint32_t name_of_node(uint32_t node) {
  const ranked_word *word = &s.named[node / 64];
  uint64_t before = word->bits & (((uint64_t)1 << (node % 64)) - 1);
  return FIXED_COUNT + word->before + count_bits(before);
}
static uint32_t name_of_object(const GCObject *object, uint32_t otherwise) {
  uint32_t node = object ? graph_find(s.g, object) : GRAPH_NONE;
  return node != GRAPH_NONE && has_name(node) ? name_of_node(node) : otherwise;
}

static void rank_names(void) {
  size_t words = words_of(s.g->node_count);
  memset(s.named, 0, words * sizeof *s.named);
  for (uint32_t node = 1; node < s.g->node_count; node++)
    if (s.whole->kinds[node] == KIND_STRING || s.whole->kinds[node] == KIND_PROTO)
      s.named[node / 64].bits |= (uint64_t)1 << (node % 64);
  for (size_t word = 0; word < words; word++) {
    s.named[word].before = s.named_count;
    s.named_count += count_bits(s.named[word].bits);
  }
}

static void begin_string(void) {
  text_write(s.is_first ? "\"" : ",\n\"");
  s.is_first = 0;
}
static void end_string(void) { text_write("\""); }

static void write_name_of_node(uint32_t node) {
  GCObject *object = graph_object(s.g, node);
  begin_string();
  if (layout_is_string(object)) {
    text_write_escaped(getstr(gco2ts(object)), layout_string_length(gco2ts(object)),
                       ATTACH_LONGEST_STRING);
  } else {
    size_t bytes;
    const char *source = path_source(gco2p(object)->source, &bytes);
    text_write_escaped(source, bytes, LONGEST_SOURCE);
    text_write(":");
    text_write_number((uint32_t)gco2p(object)->linedefined);
  }
  end_string();
}

/* ---- type and name of a node ---- */

typedef struct {
  unsigned type;
  uint32_t name;
} node_look;

static node_look look(unsigned type, uint32_t name) {
  node_look made = {type, name};
  return made;
}

/* The name that a metatable gives to its objects, as `luaL_newmetatable` writes it there. */
static uint32_t class_name(const Table *metatable, uint32_t otherwise) {
  if (metatable == NULL) return otherwise;
  if (metatable != s.metatable) {
    const TValue *name = layout_field(metatable, "__name");
    s.metatable = metatable;
    s.metatable_name = name_of_object(name ? object_of(name) : NULL, FIXED_EMPTY);
  }
  return s.metatable_name == FIXED_EMPTY ? otherwise : s.metatable_name;
}

static int has_fields(const Table *table) {
  if (layout_has_no_nodes(table)) return 0;
  for (const Node *node = gnode(table, 0), *end = node + sizenode(table); node < end; node++) {
    if (layout_is_empty(gval(node)) || !iscollectable(gval(node))) continue;
    const GCObject *key = layout_node_key(node);
    if (key && layout_is_string(key)) return 1;
  }
  return 0;
}

static node_look look_of_table(GCObject *object) {
  const Table *table = gco2t(object);
  if (object == walk_globals(s.g->L)) return look(NODE_OBJECT, FIXED_GLOBALS);
  if (layout_weakness(G(s.g->L), table)) return look(NODE_OBJECT, FIXED_WEAK_TABLE);
  uint32_t name = has_fields(table) ? FIXED_FIELDS : FIXED_TABLE;
  return look(NODE_OBJECT, class_name(table->metatable, name));
}

static node_look look_of_function(GCObject *object) {
  if (!layout_is_lua_function(object)) return look(NODE_CLOSURE, FIXED_C_FUNCTION);
  Proto *proto = gco2lcl(object)->p;
  return look(NODE_CLOSURE, name_of_object(proto ? obj2gco(proto) : NULL, FIXED_FUNCTION));
}

static node_look look_of_node(uint32_t node) {
  GCObject *object = graph_object(s.g, node);
  switch (s.whole->kinds[node]) {
  case KIND_TABLE: return look_of_table(object);
  case KIND_STRING: return look(NODE_STRING, name_of_node(node));
  case KIND_FUNCTION: return look_of_function(object);
  case KIND_PROTO: return look(NODE_CODE, name_of_node(node));
  case KIND_UPVALUE: return look(NODE_OBJECT, FIXED_UPVALUE);
  case KIND_THREAD: return look(NODE_OBJECT, FIXED_THREAD);
  default: return look(NODE_NATIVE, class_name(gco2u(object)->metatable, FIXED_USERDATA));
  }
}

/* ---- nodes ---- */

/* What is no object, behind the nodes of the graph. */
typedef enum { BLOCK_STATE, BLOCK_STRING_TABLE, BLOCK_GARBAGE, BLOCK_COUNT } block;

static uint32_t name_of_block(block which) { return FIXED_STATE + (uint32_t)which; }

static uint32_t bytes_of_block(block which) {
  const walk_books *books = attach_know_books(s.g->L);
  switch (which) {
  case BLOCK_STATE: return (uint32_t)books->kinds[KIND_STATE].bytes;
  case BLOCK_STRING_TABLE: return (uint32_t)books->kinds[KIND_STRING_TABLE].bytes;
  default: return books->garbage.bytes < UINT32_MAX ? (uint32_t)books->garbage.bytes : UINT32_MAX;
  }
}

/* Odd, for even ones are not V8's own; the same as long as an object stays where it is. No two
** begin in the same 8 bytes, and none in the first 32. */
static uint32_t id_of_node(uint32_t node) {
  if (node == 0) return 1;
  const GCObject *object = graph_object(s.g, node);
  uintptr_t address = object ? (uintptr_t)object : (uintptr_t)graph_cell(s.g, node);
  return (uint32_t)(address >> 2) | 1u;
}
static uint32_t id_of_block(block which) { return 3 + 2 * (uint32_t)which; }

static void write_fields(const uint32_t *fields, unsigned count, const char *rest) {
  char *at = text_room();
  for (unsigned i = 0; i < count; i++) {
    if (!s.is_first) *at++ = ',';
    s.is_first = 0;
    at = text_put_number(at, fields[i]);
  }
  while (*rest) *at++ = *rest++;
  text_done(at);
}

static void write_node_fields(node_look seen, uint32_t id, uint32_t bytes, uint32_t edge_count) {
  const uint32_t fields[] = {seen.type, seen.name, id, bytes, edge_count};
  write_fields(fields, sizeof fields / sizeof *fields, ",0,0\n");
}

/* NULL where `node` is none. Nodes are asked for in their order. */
static const weak_table *find_weak_table(uint32_t node) {
  while (s.weak_next < s.weak_count && s.weak[s.weak_next].node < node) s.weak_next++;
  const weak_table *weak = s.weak + s.weak_next;
  return s.weak_next < s.weak_count && weak->node == node ? weak : NULL;
}

/* Edges that the graph does not have. */
static uint32_t count_more_edges(uint32_t node) {
  const weak_table *weak = find_weak_table(node);
  return node == 0 ? BLOCK_COUNT : weak ? weak->edge_count : 0;
}

static void write_node(uint32_t node) {
  node_look seen = node == 0 ? look(NODE_SYNTHETIC, FIXED_EMPTY) : look_of_node(node);
  uint32_t edge_count = s.g->first[node + 1] - s.g->first[node] + count_more_edges(node);
  write_node_fields(seen, id_of_node(node), s.whole->own[node], edge_count);
}

static void write_blocks(void) {
  for (unsigned i = 0; i < BLOCK_COUNT; i++)
    write_node_fields(look(NODE_NATIVE, name_of_block((block)i)), id_of_block((block)i),
                      bytes_of_block((block)i), 0);
}

/* ---- names of edges ---- */

/* A number as it is, or a string of the file, or one that is made for this edge alone. */
typedef enum { NAME_GIVEN, NAME_OF_LABEL, NAME_OF_PAIR } naming;

typedef struct {
  unsigned type;
  naming naming;
  uint32_t given;             /* NAME_GIVEN */
  label place;                /* NAME_OF_LABEL */
  uint32_t table, key, value; /* NAME_OF_PAIR: an ephemeron's nodes */
} edge_look;

static edge_look given(unsigned type, uint32_t name) {
  edge_look made = {type, NAME_GIVEN, name, {LABEL_UNKNOWN, 0}, 0, 0, 0};
  return made;
}
static edge_look made_of_label(unsigned type, label place) {
  edge_look made = {type, NAME_OF_LABEL, 0, place, 0, 0, 0};
  return made;
}
static edge_look made_of_pair(uint32_t table, uint32_t key, uint32_t value) {
  edge_look made = {EDGE_INTERNAL, NAME_OF_PAIR, 0, {LABEL_UNKNOWN, 0}, table, key, value};
  return made;
}

static edge_look look_of_integer(lua_Integer key, label place) {
  if (key >= 0 && key <= (lua_Integer)UINT32_MAX) return given(EDGE_ELEMENT, (uint32_t)key);
  return made_of_label(EDGE_PROPERTY, place);
}

static edge_look look_of_entry(label place) {
  TValue key;
  layout_copy_node_key((const Node *)place.place, &key);
  switch (layout_type(&key)) {
  case LUA_TSTRING: return given(EDGE_PROPERTY, name_of_object(gcvalue(&key), FIXED_VALUE));
  case LUA_TLIGHTUSERDATA: return given(EDGE_INTERNAL, FIXED_LIGHT_USERDATA_KEY);
  case LUA_TTABLE: return given(EDGE_INTERNAL, FIXED_TABLE_KEY);
  case LUA_TFUNCTION: return given(EDGE_INTERNAL, FIXED_FUNCTION_KEY);
  case LUA_TUSERDATA: return given(EDGE_INTERNAL, FIXED_USERDATA_KEY);
  case LUA_TTHREAD: return given(EDGE_INTERNAL, FIXED_THREAD_KEY);
  default: break;
  }
  if (ttisinteger(&key)) return look_of_integer(ivalue(&key), place);
  return made_of_label(EDGE_PROPERTY, place);
}

static edge_look look_of_upvalue(uint32_t from, label place) {
  GCObject *object = graph_object(s.g, from);
  if (s.whole->kinds[from] == KIND_UPVALUE) return given(EDGE_INTERNAL, FIXED_VALUE);
  if (s.whole->kinds[from] == KIND_THREAD) return given(EDGE_INTERNAL, FIXED_OPEN_UPVALUE);
  const TString *name = path_upvalue_name(place, object);
  uint32_t string = name_of_object(name ? obj2gco(name) : NULL, FIXED_EMPTY);
  return string == FIXED_EMPTY ? made_of_label(EDGE_CONTEXT, place) : given(EDGE_CONTEXT, string);
}

static edge_look look_of_edge(uint32_t from, label place, int is_key, uint32_t to) {
  if (is_key) return given(EDGE_INTERNAL, FIXED_KEY);
  switch (place.kind) {
  case LABEL_INDEX: return given(EDGE_ELEMENT, (uint32_t)place.place);
  case LABEL_NODE: return look_of_entry(place);
  case LABEL_METATABLE: return given(EDGE_INTERNAL, FIXED_METATABLE);
  case LABEL_UPVALUE: return look_of_upvalue(from, place);
  case LABEL_CONSTANT: return given(EDGE_INTERNAL, FIXED_CONSTANT);
  case LABEL_SOURCE: return given(EDGE_INTERNAL, FIXED_SOURCE);
  case LABEL_NAME: return given(EDGE_INTERNAL, FIXED_NAMES);
  case LABEL_PROTO: return given(EDGE_INTERNAL, FIXED_PROTO);
  case LABEL_UNKNOWN: return made_of_pair(s.late_tables[s.late_next++], from, to);
  default: return made_of_label(EDGE_INTERNAL, place);
  }
}

/* ---- edges, for whoever wants them ---- */

typedef void (*edge_consumer)(void *context, uint32_t from, const edge_look *seen, uint32_t to);

typedef struct {
  edge_consumer consume;
  void *context;
  uint32_t from;
  int weakness; /* of `from`, a table */
} edge_walk;

static void consume(const edge_walk *walk, edge_look seen, uint32_t to) {
  walk->consume(walk->context, walk->from, &seen, to);
}

static void visit_edge(void *context, label place, int is_key, uint32_t to) {
  const edge_walk *walk = context;
  consume(walk, look_of_edge(walk->from, place, is_key, to), to);
}

static edge_look weakly(edge_look seen, label place) {
  if (seen.type == EDGE_ELEMENT)
    return made_of_label(EDGE_WEAK, place); /* no number has the type */
  seen.type = EDGE_WEAK;
  return seen;
}

/* The edges of a weak table that the graph does not have: they keep nothing alive. */
static void visit_weak_entry(void *context, label_kind kind, uintptr_t place, GCObject *key,
                             GCObject *value) {
  const edge_walk *walk = context;
  int key_is_weak = (walk->weakness & WEAK_KEYS) && !layout_is_plain(key);
  int value_is_weak = (walk->weakness & WEAK_VALUES) && !layout_is_plain(value);
  uint32_t from = key_is_weak ? graph_find(s.g, key) : GRAPH_NONE;
  uint32_t to = value ? graph_find(s.g, value) : GRAPH_NONE;
  label entry = make_label(kind, place);
  if (from != GRAPH_NONE) consume(walk, given(EDGE_WEAK, FIXED_KEY), from);
  if (to == GRAPH_NONE) return;
  if (value_is_weak)
    consume(walk, weakly(look_of_edge(walk->from, entry, 0, to), entry), to);
  else if (from != GRAPH_NONE && walk->weakness == WEAK_KEYS)
    consume(walk, made_of_pair(walk->from, from, to), to);
}

static void each_weak_edge(uint32_t node, edge_consumer consumer, void *context) {
  const Table *table = gco2t(graph_object(s.g, node));
  edge_walk walk = {consumer, context, node, layout_weakness(G(s.g->L), table)};
  walk_each_entry(table, visit_weak_entry, &walk);
}

static void each_block_edge(edge_consumer consumer, void *context) {
  for (unsigned i = 0; i < BLOCK_COUNT; i++) {
    edge_look seen = given(EDGE_INTERNAL, name_of_block((block)i));
    consumer(context, 0, &seen, s.g->node_count + i);
  }
}

static void each_edge(uint32_t node, edge_consumer consumer, void *context) {
  edge_walk walk = {consumer, context, node, 0};
  graph_each_edge(s.g, node, visit_edge, &walk);
  if (node == 0) each_block_edge(consumer, context);
  if (find_weak_table(node)) each_weak_edge(node, consumer, context);
}

static void write_edge(void *context, uint32_t from, const edge_look *seen, uint32_t to) {
  (void)context;
  uint32_t name = seen->given;
  if (seen->naming != NAME_GIVEN) {
    name = FIXED_COUNT + s.named_count + s.made_count++;
    s.makers[from / 64] |= (uint64_t)1 << (from % 64);
  }
  const uint32_t fields[] = {seen->type, name, to * FIELD_COUNT};
  write_fields(fields, sizeof fields / sizeof *fields, "\n");
}

/* DevTools understands this form, whose numbers are ids. */
static void write_pair(const edge_look *seen) {
  text_write("1 / part of key (key @");
  text_write_number(id_of_node(seen->key));
  text_write(") -> value (value @");
  text_write_number(id_of_node(seen->value));
  text_write(") pair in WeakMap (table @");
  text_write_number(id_of_node(seen->table));
  text_write(")");
}

static void write_made_name(void *context, uint32_t from, const edge_look *seen, uint32_t to) {
  char label_text[PATH_LABEL_BYTES];
  (void)context, (void)to;
  if (seen->naming == NAME_GIVEN) return;
  begin_string();
  if (seen->naming == NAME_OF_PAIR)
    write_pair(seen);
  else
    text_write_escaped(label_text,
                       path_label(label_text, seen->place, from ? graph_object(s.g, from) : NULL),
                       sizeof label_text);
  end_string();
}

/* ---- weak tables ---- */

static void count_edge(void *context, uint32_t from, const edge_look *seen, uint32_t to) {
  uint32_t *count = context;
  (void)from, (void)seen, (void)to;
  ++*count;
}

static int note_weak_table(uint32_t node) {
  if (s.weak_count == s.weak_capacity) {
    uint32_t capacity = s.weak_capacity ? 2 * s.weak_capacity : 64;
    weak_table *more = borrow_more(s.weak, capacity * sizeof *more);
    if (more == NULL) return 0;
    s.weak = more;
    s.weak_capacity = capacity;
  }
  weak_table *weak = &s.weak[s.weak_count++];
  weak->node = node;
  weak->edge_count = 0;
  each_weak_edge(node, count_edge, &weak->edge_count);
  return 1;
}

static int find_weak_tables(void) {
  for (uint32_t node = 1; node < s.g->node_count; node++) {
    if (s.whole->kinds[node] != KIND_TABLE) continue;
    const Table *table = gco2t(graph_object(s.g, node));
    if (table->metatable && layout_weakness(G(s.g->L), table) && !note_weak_table(node)) return 0;
  }
  return 1;
}

/* By node: how many late edges it has; then where the next one is noted. */
static void count_pair(void *places, uint32_t from, const edge_look *seen, uint32_t to) {
  (void)from, (void)to;
  if (seen->naming == NAME_OF_PAIR) ((uint32_t *)places)[seen->key]++;
}
static void note_pair(void *places, uint32_t from, const edge_look *seen, uint32_t to) {
  (void)from, (void)to;
  if (seen->naming == NAME_OF_PAIR) s.late_tables[((uint32_t *)places)[seen->key]++] = seen->table;
}

static void each_late_edge(edge_consumer consumer, uint32_t *places) {
  for (uint32_t i = 0; i < s.g->ephemeron_count; i++)
    each_weak_edge(s.g->ephemerons[i], consumer, places);
}

/* The graph knows a late edge by its key alone; the order is the graph's own. */
static int find_late_tables(void) {
  if (s.g->ephemeron_count == 0) return 1;
  uint32_t *places = borrow(s.g->node_count * sizeof *places), count = 0;
  if (places == NULL) return 0;
  memset(places, 0, s.g->node_count * sizeof *places);
  each_late_edge(count_pair, places);
  for (uint32_t node = 0; node < s.g->node_count; node++) {
    uint32_t own = places[node];
    places[node] = count;
    count += own;
  }
  s.late_tables = borrow((count + (size_t)1) * sizeof *s.late_tables);
  if (s.late_tables) each_late_edge(note_pair, places);
  borrow_return(places);
  return s.late_tables != NULL;
}

/* ---- sections ---- */

static uint32_t count_all_edges(void) {
  uint32_t count = s.g->edge_count + BLOCK_COUNT;
  for (uint32_t i = 0; i < s.weak_count; i++) count += s.weak[i].edge_count;
  return count;
}

static void write_header(void) {
  text_write(header);
  text_write_number(s.g->node_count + BLOCK_COUNT);
  text_write(",\"edge_count\":");
  text_write_number(count_all_edges());
  text_write(",\"trace_function_count\":0},\n\"nodes\":[");
}

static void write_fixed_strings(void) {
  for (unsigned i = 0; i < FIXED_COUNT; i++) {
    begin_string();
    text_write(fixed_strings[i]);
    end_string();
  }
}

/* What follows the last node of a stage, and begins the next. */
static void end_stage(void) {
  s.next = 0;
  s.weak_next = s.late_next = 0;
  if (s.stage == STAGE_NODES) write_blocks();
  s.is_first |= s.stage != STAGE_NAMES;
  switch (s.stage) {
  case STAGE_HEADER: write_header(); break;
  case STAGE_NODES: text_write("],\n\"edges\":["); break;
  case STAGE_EDGES:
    text_write("],\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n"
               "\"locations\":[],\n\"strings\":[");
    write_fixed_strings();
    break;
  case STAGE_MADE: text_write("]}\n"); break;
  default: break;
  }
  s.stage++;
}

static void do_node(uint32_t node) {
  switch (s.stage) {
  case STAGE_NODES: write_node(node); break;
  case STAGE_EDGES: each_edge(node, write_edge, NULL); break;
  case STAGE_NAMES:
    if (has_name(node)) write_name_of_node(node);
    break;
  case STAGE_MADE:
    if ((s.makers[node / 64] >> (node % 64)) & 1) each_edge(node, write_made_name, NULL);
    break;
  default: break;
  }
}

static int prepare(void) {
  size_t words = words_of(s.g->node_count);
  s.named = borrow(words * sizeof *s.named);
  s.makers = borrow(words * sizeof *s.makers);
  if (!text_begin() || s.named == NULL || s.makers == NULL) return 0;
  memset(s.makers, 0, words * sizeof *s.makers);
  rank_names();
  return find_weak_tables() && find_late_tables();
}

/* ---- what the host calls ---- */

ATTACH_EXPORT void attach_end_snapshot(void) {
  borrow_return(s.late_tables);
  borrow_return(s.weak);
  text_end();
  borrow_return(s.makers);
  borrow_return(s.named);
  memset(&s, 0, sizeof s);
}

ATTACH_EXPORT int attach_begin_snapshot(void) {
  attach_end_snapshot();
  s.whole = attach_the_graph();
  s.g = &s.whole->g;
  if (prepare()) return ATTACH_SOUND;
  attach_end_snapshot();
  return ATTACH_NO_MEMORY;
}

ATTACH_EXPORT double attach_step_snapshot(void) {
  double enough = text_bytes() + STEP_BYTES;
  uint32_t last = s.stage == STAGE_HEADER ? 0 : s.g->node_count;
  for (uint32_t i = 0; s.next < last && i < STEP_NODES && text_bytes() < enough; i++)
    do_node(s.next++);
  if (s.next >= last && s.stage != STAGE_DONE) end_stage();
  if (s.stage == STAGE_DONE) text_flush();
  return s.stage == STAGE_DONE ? 1
                               : ((double)s.stage + (double)s.next / s.g->node_count) / STAGE_DONE;
}
