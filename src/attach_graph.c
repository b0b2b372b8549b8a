#include "attach_graph.h"

#include "attach_books.h"
#include "attach_text.h"
#include "borrow.h"
#include "dominators.h"
#include "graph_late.h"
#include "path.h"

static attached_graph whole;

const attached_graph *attach_the_graph(void) { return &whole; }

/* ---- figures ---- */

/* Strings and tables in place, since most nodes are such. */
static size_t bytes_of_node(uint32_t node, object_kind kind) {
  if (kind == KIND_STRING) return layout_string_bytes(gco2ts(graph_object(&whole.g, node)));
  if (kind != KIND_TABLE) return graph_bytes(&whole.g, node);
  return layout_table_bytes(gco2t(graph_object(&whole.g, node)));
}

static object_kind kind_of_node(uint32_t node) {
  GCObject *object = node == 0 ? NULL : graph_object(&whole.g, node);
  if (object) return layout_kind(object);
  return node == 0 ? KIND_STATE : KIND_UPVALUE;
}

/* In pieces, as graph.c does. */
#define NODES_A_CALL 4096u
static LAYOUT_APART void measure_some(uint32_t begin, uint32_t end) {
  for (uint32_t node = begin; node < end; node++) {
    object_kind kind = kind_of_node(node);
    size_t bytes = bytes_of_node(node, kind);
    whole.kinds[node] = (uint8_t)kind;
    whole.own[node] = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
    whole.retained[node] = (double)bytes;
  }
}

/* What a node dominates has any number: so each waits until all that it dominates was summed. */
#define IS_SUMMED UINT32_MAX
static LAYOUT_APART void count_some(uint32_t begin, uint32_t end, uint32_t *waits) {
  for (uint32_t node = begin; node < end; node++)
    if (node != 0 && whole.dominators[node] != DOMINATORS_UNREACHED)
      waits[whole.dominators[node]]++;
}

static LAYOUT_APART void sum_some(uint32_t begin, uint32_t end, uint32_t *waits) {
  for (uint32_t next = begin; next < end; next++)
    for (uint32_t node = next; node != 0 && waits[node] == 0;) {
      uint32_t dominator = whole.dominators[node];
      waits[node] = IS_SUMMED;
      if (dominator == DOMINATORS_UNREACHED) break;
      whole.retained[dominator] += whole.retained[node];
      waits[dominator]--;
      node = dominator;
    }
}

static int sum_nodes(void) {
  uint32_t count = whole.g.node_count, end;
  uint32_t *waits = borrow(count * sizeof *waits);
  if (waits == NULL) return 0;
  memset(waits, 0, count * sizeof *waits);
  for (uint32_t begin = 0; begin < count; begin = end) {
    end = count - begin < NODES_A_CALL ? count : begin + NODES_A_CALL;
    measure_some(begin, end);
    count_some(begin, end, waits);
  }
  for (uint32_t begin = 0; begin < count; begin = end) {
    end = count - begin < NODES_A_CALL ? count : begin + NODES_A_CALL;
    sum_some(begin, end, waits);
  }
  borrow_return(waits);
  return 1;
}

/* The dominators first: what they borrow meanwhile is most of all. */
static int make_figures(void) {
  size_t count = whole.g.node_count;
  dominators_graph input = {whole.g.first, whole.g.successors, whole.g.node_count};
  whole.dominators = borrow(count * sizeof *whole.dominators);
  if (whole.dominators == NULL || !dominators_sum(&input, NULL, whole.dominators)) return 0;
  whole.retained = borrow(count * sizeof *whole.retained);
  whole.own = borrow(count * sizeof *whole.own);
  whole.kinds = borrow(count);
  return whole.retained && whole.own && whole.kinds && sum_nodes();
}

ATTACH_EXPORT double attach_graph(uintptr_t state) {
  lua_State *L = (lua_State *)state;
  attach_end_profile();
  attach_settle();
  attach_end_graph();
  const walk_books *books = attach_know_books(L);
  if (books == NULL || graph_build(L, books, graph_find_last, &whole.g) != WALK_OK) return -1;
  whole.is_there = 1;
  if (make_figures()) return (double)whole.g.node_count;
  attach_end_graph();
  return -1;
}

ATTACH_EXPORT void attach_end_graph(void) {
  attach_end_shapes();
  borrow_return(whole.referrers);
  borrow_return(whole.referrer_first);
  borrow_return(whole.sorted);
  borrow_return(whole.children);
  borrow_return(whole.child_first);
  borrow_return(whole.kinds);
  borrow_return(whole.own);
  borrow_return(whole.retained);
  borrow_return(whole.dominators);
  if (whole.is_there) graph_release(&whole.g);
  memset(&whole, 0, sizeof whole);
}

/* ---- the other way round ---- */

/* Sums counts that stand two places further on; each group's begin is one place further on then,
** until its last member is in place. */
static void sum_counts(uint32_t *first) {
  for (uint32_t node = 0; node < whole.g.node_count; node++) first[node + 2] += first[node + 1];
}

static uint32_t *borrow_counts(void) {
  size_t bytes = (whole.g.node_count + (size_t)2) * sizeof(uint32_t);
  uint32_t *first = borrow(bytes);
  return first ? memset(first, 0, bytes) : NULL;
}

static int make_referrers(void) {
  const graph *g = &whole.g;
  uint32_t *first = whole.referrer_first = borrow_counts();
  whole.referrers = borrow((g->edge_count + (size_t)1) * sizeof *whole.referrers);
  if (first == NULL || whole.referrers == NULL) return 0;
  for (uint32_t e = 0; e < g->edge_count; e++) first[g->successors[e] + 2]++;
  sum_counts(first);
  for (uint32_t from = 0; from < g->node_count; from++)
    for (uint32_t e = g->first[from]; e < g->first[from + 1]; e++)
      whole.referrers[first[g->successors[e] + 1]++] = from;
  return 1;
}

static int is_dominated(uint32_t node) {
  return node != 0 && whole.dominators[node] != DOMINATORS_UNREACHED;
}

static int make_children(void) {
  uint32_t count = whole.g.node_count, *first = whole.child_first = borrow_counts();
  size_t bit_bytes = (count / 32 + (size_t)1) * sizeof(uint32_t);
  whole.children = borrow(count * sizeof *whole.children);
  whole.sorted = borrow(bit_bytes);
  if (!(first && whole.children && whole.sorted)) return 0;
  memset(whole.sorted, 0, bit_bytes);
  for (uint32_t node = 0; node < count; node++)
    if (is_dominated(node)) first[whole.dominators[node] + 2]++;
  sum_counts(first);
  for (uint32_t node = 0; node < count; node++)
    if (is_dominated(node)) whole.children[first[whole.dominators[node] + 1]++] = node;
  return 1;
}

static void drop(uint32_t **loan) {
  borrow_return(*loan);
  *loan = NULL;
}

/* Largest first; of the same size, the one that was found first. */
static int stands_before(uint32_t a, uint32_t b) {
  double first = whole.retained[a], second = whole.retained[b];
  return first > second || (first == second && a < b);
}

static void merge(const uint32_t *from, uint32_t *to, uint32_t begin, uint32_t middle,
                  uint32_t end) {
  uint32_t a = begin, b = middle;
  for (uint32_t at = begin; at < end; at++)
    to[at] = b == end || (a < middle && !stands_before(from[b], from[a])) ? from[a++] : from[b++];
}

static void sort_nodes(uint32_t *list, uint32_t *room, uint32_t count) {
  uint32_t *from = list, *to = room;
  for (size_t width = 1; width < count; width *= 2) {
    for (size_t begin = 0; begin < count; begin += 2 * width) {
      size_t middle = begin + width < count ? begin + width : count;
      size_t end = middle + width < count ? middle + width : count;
      merge(from, to, (uint32_t)begin, (uint32_t)middle, (uint32_t)end);
    }
    uint32_t *swapped = from;
    from = to;
    to = swapped;
  }
  if (from != list) memcpy(list, from, count * sizeof *list);
}

static int are_in_order(const uint32_t *list, uint32_t count) {
  for (uint32_t i = 1; i < count; i++)
    if (!stands_before(list[i - 1], list[i])) return 0;
  return 1;
}

ATTACH_EXPORT double attach_sort_children(uint32_t node) {
  if (attach_graph_array(ATTACH_CHILDREN) == 0) return -1;
  uint32_t *list = whole.children + whole.child_first[node], bit = 1u << (node & 31);
  uint32_t count = whole.child_first[node + 1] - whole.child_first[node];
  if (!(whole.sorted[node / 32] & bit) && !are_in_order(list, count)) {
    uint32_t *room = borrow(count * sizeof *room);
    if (room == NULL) return -1;
    sort_nodes(list, room, count);
    borrow_return(room);
  }
  whole.sorted[node / 32] |= bit;
  return (double)count;
}

ATTACH_EXPORT uintptr_t attach_graph_array(int which) {
  if ((which == ATTACH_CHILD_FIRST || which == ATTACH_CHILDREN) && whole.sorted == NULL &&
      !make_children())
    drop(&whole.sorted), drop(&whole.children), drop(&whole.child_first);
  if ((which == ATTACH_REFERRER_FIRST || which == ATTACH_REFERRERS) && whole.referrers == NULL &&
      !make_referrers())
    drop(&whole.referrers), drop(&whole.referrer_first);
  const void *const arrays[] = {
      [ATTACH_PLACES] = whole.g.places,
      [ATTACH_PARENTS] = whole.g.parents,
      [ATTACH_FIRST] = whole.g.first,
      [ATTACH_SUCCESSORS] = whole.g.successors,
      [ATTACH_DOMINATORS] = whole.dominators,
      [ATTACH_OWN] = whole.own,
      [ATTACH_RETAINED] = whole.retained,
      [ATTACH_KINDS] = whole.kinds,
      [ATTACH_CHILD_FIRST] = whole.child_first,
      [ATTACH_CHILDREN] = whole.children,
      [ATTACH_REFERRER_FIRST] = whole.referrer_first,
      [ATTACH_REFERRERS] = whole.referrers,
  };
  return (uintptr_t)arrays[which];
}

/* ---- nodes ---- */

ATTACH_EXPORT double attach_own_bytes(uint32_t node) { return (double)graph_bytes(&whole.g, node); }

ATTACH_EXPORT uint32_t attach_node_of(uintptr_t object) {
  return graph_find(&whole.g, (GCObject *)object);
}
ATTACH_EXPORT uintptr_t attach_object_of(uint32_t node) {
  if (node == 0) return 0;
  GCObject *object = graph_object(&whole.g, node);
  return object ? (uintptr_t)object : (uintptr_t)graph_cell(&whole.g, node);
}

static char *host_text(void) { return (char *)attach_text(); }

ATTACH_EXPORT uint32_t attach_node_text(uint32_t node) {
  const GCObject *object = node == 0 ? NULL : graph_object(&whole.g, node);
  if (object == NULL) return 0;
  if (layout_is_string(object)) {
    const TString *string = gco2ts((GCObject *)object);
    size_t length = layout_string_length(string);
    if (length > ATTACH_LONGEST_STRING) length = ATTACH_LONGEST_STRING;
    memcpy(host_text(), getstr(string), length);
    return (uint32_t)length;
  }
  const Proto *proto = layout_kind(object) == KIND_PROTO ? gco2p((GCObject *)object) : NULL;
  if (layout_is_lua_function(object)) proto = gco2lcl((GCObject *)object)->p;
  return proto ? (uint32_t)path_label(host_text(), make_label(LABEL_PROTO, (uintptr_t)proto), NULL)
               : 0;
}

/* ---- steps: an edge, and what the paths of a report say in addition ---- */

#define STEP_BYTES (PATH_LABEL_BYTES + 24)

static void copy_text(char *out, size_t *bytes, const char *added) {
  size_t length = strlen(added);
  memcpy(out + *bytes, added, length);
  *bytes += length;
}

#define KEY_MARK " (key)"

static size_t step_text(char out[STEP_BYTES], uint32_t from, label place, int is_key) {
  const GCObject *holder = from == 0 ? NULL : graph_object(&whole.g, from);
  size_t bytes = 0;
  if (place.kind == LABEL_UNKNOWN)
    copy_text(out, &bytes, "[value of weak key]");
  else if (place.kind == LABEL_UPVALUE && place.place == 0)
    copy_text(out, &bytes, whole.kinds[from] == KIND_THREAD ? "[open upvalue]" : "[value]");
  else
    bytes = path_label(out, place, holder);
  if (is_key) copy_text(out, &bytes, KEY_MARK);
  return bytes;
}

typedef struct {
  graph_visitor visit;
  void *context;
} step_visitor;

/* The graph's own edges lead to the values of ephemerons from their keys. */
static void visit_ephemeron(void *context, label_kind kind, uintptr_t place, GCObject *key,
                            GCObject *value) {
  const step_visitor *steps = context;
  if (key == NULL || value == NULL || layout_is_string(key)) return;
  if (graph_find(&whole.g, key) == GRAPH_NONE) return;
  steps->visit(steps->context, make_label(kind, place), 0, graph_find(&whole.g, value));
}

void attach_each_step(uint32_t from, graph_visitor visit, void *context) {
  const GCObject *globals = walk_globals(whole.g.L);
  GCObject *object = from == 0 ? NULL : graph_object(&whole.g, from);
  if (from == 0 && globals)
    visit(context, make_label(LABEL_ROOT, (uintptr_t)"_G"), 0, graph_find(&whole.g, globals));
  graph_each_edge(&whole.g, from, visit, context);
  if (object == NULL || !layout_is_table(object)) return;
  step_visitor steps = {visit, context};
  if (layout_weakness(G(whole.g.L), gco2t(object)) == WEAK_KEYS)
    walk_each_entry(gco2t(object), visit_ephemeron, &steps);
}

/* ---- the label of a step: `#n` tells it from those before it that read alike ---- */

typedef struct {
  uint32_t from, to;
  size_t bytes;
  uint32_t index, count, namesakes;
  int is_found, may_repeat;
  char text[STEP_BYTES];
} step_search;

/* Entries of a table's array come before all others. What looks like the mark of a key may be
** part of one. */
static int may_repeat(label place, int is_key, const char *text, size_t bytes) {
  if (is_key) bytes -= strlen(KEY_MARK);
  return place.kind != LABEL_INDEX &&
         (path_may_repeat(place.kind, text, bytes) || text[bytes - 1] == ')');
}

static void match_target(void *context, label place, int is_key, uint32_t to) {
  step_search *search = context;
  if (search->is_found) return;
  search->index++;
  if (to != search->to) return;
  search->is_found = 1;
  search->bytes = step_text(search->text, search->from, place, is_key);
  search->may_repeat = may_repeat(place, is_key, search->text, search->bytes);
}

/* Whether an entry of the table's array, which comes before its others, reads so. */
static uint32_t index_reads(uint32_t from, const char *text, size_t bytes) {
  GCObject *object = from == 0 ? NULL : graph_object(&whole.g, from);
  if (object == NULL || !layout_is_table(object) || bytes == 0 || text[0] == '0') return 0;
  const Table *table = gco2t(object);
  size_t index = 0, count = layout_array_count(table);
  for (size_t i = 0; i < bytes; i++) {
    if (text[i] < '0' || text[i] > '9' || index > count) return 0;
    index = index * 10 + (size_t)(text[i] - '0');
  }
  GCObject *value = index <= count ? object_of(&table->array[index - 1]) : NULL;
  if (value == NULL || graph_find(&whole.g, value) == GRAPH_NONE) return 0;
  return layout_is_plain(value) || !(layout_weakness(G(whole.g.L), table) & WEAK_VALUES);
}

static void count_namesake(void *context, label place, int is_key, uint32_t to) {
  step_search *search = context;
  char text[STEP_BYTES];
  (void)to;
  if (++search->count > search->index || place.kind == LABEL_INDEX) return;
  size_t bytes = step_text(text, search->from, place, is_key);
  if (bytes == search->bytes && memcmp(text, search->text, bytes) == 0) search->namesakes++;
}

ATTACH_EXPORT uint32_t attach_label(uint32_t from, uint32_t to) {
  step_search search;
  memset(&search, 0, offsetof(step_search, text));
  search.from = from;
  search.to = to;
  attach_each_step(from, match_target, &search);
  if (search.may_repeat) {
    search.namesakes = index_reads(from, search.text, search.bytes);
    attach_each_step(from, count_namesake, &search);
  }
  if (search.namesakes > 1) {
    copy_text(search.text, &search.bytes, "#");
    const char *end = text_put_number(search.text + search.bytes, search.namesakes);
    search.bytes = (size_t)(end - search.text);
  }
  memcpy(host_text(), search.text, search.bytes);
  return (uint32_t)search.bytes;
}

static void hand_label(void *context, label place, int is_key, uint32_t to) {
  char record[2 * sizeof to + STEP_BYTES];
  uint32_t from = *(const uint32_t *)context;
  size_t bytes = step_text(record + 2 * sizeof to, from, place, is_key);
  const char *name = record + 2 * sizeof to;
  uint32_t head[2] = {to, (uint32_t)may_repeat(place, is_key, name, bytes)};
  if (head[1]) head[1] += index_reads(from, name, bytes);
  memcpy(record, head, sizeof head);
  attach_write(record, sizeof head + bytes);
}

ATTACH_EXPORT void attach_each_label(uint32_t from) { attach_each_step(from, hand_label, &from); }

ATTACH_EXPORT uint32_t attach_path_label(uint32_t node) {
  return attach_label(whole.g.parents[node], node);
}

/* ---- following a label ---- */

typedef struct {
  uint32_t from, exact, numbered;
  const char *name;
  size_t bytes, base_bytes; /* without a number at its end */
  uint32_t namesakes_left;
} name_search;

/* Most entries of a large table are told at a glance. */
static int cannot_read(label place, int first) {
  return place.kind == LABEL_INDEX && (first < '0' || first > '9');
}

static void match_name(void *context, label place, int is_key, uint32_t to) {
  name_search *search = context;
  char text[STEP_BYTES];
  if (search->exact != GRAPH_NONE || cannot_read(place, search->name[0])) return;
  size_t bytes = step_text(text, search->from, place, is_key);
  if (bytes == search->bytes && memcmp(text, search->name, bytes) == 0) search->exact = to;
  if (bytes != search->base_bytes || memcmp(text, search->name, bytes) != 0) return;
  if (search->namesakes_left > 0 && --search->namesakes_left == 0) search->numbered = to;
}

/* What stands before `#n`, and n; all of it and 0 where there is none. */
static void split_number(name_search *search) {
  size_t at = search->bytes;
  uint32_t number = 0, place = 1;
  for (; at > 0 && search->name[at - 1] >= '0' && search->name[at - 1] <= '9'; at--, place *= 10)
    number += (uint32_t)(search->name[at - 1] - '0') * place;
  int is_numbered = at > 1 && at < search->bytes && search->name[at - 1] == '#';
  search->base_bytes = is_numbered ? at - 1 : search->bytes;
  search->namesakes_left = is_numbered ? number : 0;
}

ATTACH_EXPORT uint32_t attach_follow(uint32_t from, uint32_t bytes) {
  char name[STEP_BYTES];
  if (bytes > sizeof name) return GRAPH_NONE;
  memcpy(name, host_text(), bytes);
  name_search search = {from, GRAPH_NONE, GRAPH_NONE, name, bytes, 0, 0};
  split_number(&search);
  attach_each_step(from, match_name, &search);
  return search.exact != GRAPH_NONE ? search.exact : search.numbered;
}
