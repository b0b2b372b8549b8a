#include "path.h"

#include <assert.h>
#include <stdio.h>

#define LONGEST_KEY    64u
#define LONGEST_SOURCE 40u
#define ELLIPSIS       "\xE2\x80\xA6"

/* A text that grows; the room is always sufficient (PATH_LABEL_BYTES). */
typedef struct {
  char *text;
  size_t length;
} writer;

static void write_bytes(writer *out, const char *bytes, size_t count) {
  assert(out->length + count < PATH_LABEL_BYTES);
  memcpy(out->text + out->length, bytes, count);
  out->length += count;
}
static void write_string(writer *out, const char *string) {
  write_bytes(out, string, strlen(string));
}
static void write_integer(writer *out, lua_Integer value) {
  char digits[24], *first = digits + sizeof digits;
  lua_Unsigned left = value < 0 ? 0 - (lua_Unsigned)value : (lua_Unsigned)value;
  do *--first = (char)('0' + left % 10);
  while ((left /= 10) > 0);
  if (value < 0) *--first = '-';
  write_bytes(out, first, (size_t)(digits + sizeof digits - first));
}
/* As `tostring` writes it: a float that is a whole number shows that it is a float. */
static void write_float(writer *out, lua_Number value) {
  char digits[48];
  int length = snprintf(digits, sizeof digits, LUA_NUMBER_FMT, (LUAI_UACNUMBER)value);
  write_bytes(out, digits, (size_t)length);
  if (digits[strspn(digits, "-0123456789")] == '\0') write_string(out, ".0");
}

static size_t finish(writer *out) {
  out->text[out->length] = '\0';
  return out->length;
}

static int is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

/* Bytes of the UTF-8 character at `text`; 0 where there is none that may be printed. Overlong
** forms, surrogates and the controls U+0080 to U+009F are none. RFC 3629, section 4. */
size_t path_printable_character(const unsigned char *text, size_t left) {
  unsigned char first = text[0];
  if (first < 0x80) return first >= 0x20 && first != 0x7F;
  size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || length > left) return 0;
  for (size_t i = 1; i < length; i++)
    if (!is_continuation(text[i])) return 0;
  unsigned char second = text[1];
  if (first == 0xC2 && second < 0xA0) return 0;
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  return length;
}

/* Stands for itself in any text. */
static int is_plain(unsigned char byte) {
  return byte >= 0x20 && byte < 0x7F && byte != '/' && byte != '\\';
}

static void write_escaped(writer *out, const char *bytes, size_t length, size_t limit) {
  static const char hex[] = "0123456789ABCDEF";
  const unsigned char *text = (const unsigned char *)bytes;
  size_t at = 0;
  while (at < length) {
    if (is_plain(text[at]) && at < limit) {
      out->text[out->length++] = bytes[at++];
      continue;
    }
    size_t printable = path_printable_character(text + at, length - at);
    if (at + (printable ? printable : 1) > limit) {
      write_string(out, ELLIPSIS);
      return;
    }
    if (printable) {
      if (text[at] == '/' || text[at] == '\\') write_string(out, "\\");
      write_bytes(out, bytes + at, printable);
      at += printable;
    } else {
      char escaped[4] = {'\\', 'x', hex[text[at] >> 4], hex[text[at] & 15]};
      write_bytes(out, escaped, sizeof escaped);
      at++;
    }
  }
}

static void write_lua_string(writer *out, const TString *string, size_t limit) {
  write_escaped(out, getstr(string), layout_string_length(string), limit);
}

/* Keys that are no text themselves. */
static const char *key_name(int type) {
  switch (type) {
  case LUA_TLIGHTUSERDATA: return "[lightuserdata]";
  case LUA_TTABLE: return "[table]";
  case LUA_TFUNCTION: return "[function]";
  case LUA_TUSERDATA: return "[userdata]";
  case LUA_TTHREAD: return "[thread]";
  default: return "[dead key]";
  }
}

static void write_key(writer *out, const Node *node) {
  TValue key;
  layout_copy_node_key(node, &key);
  switch (layout_type(&key)) {
  case LUA_TSTRING: write_lua_string(out, tsvalue(&key), LONGEST_KEY); break;
  case LUA_TNUMBER:
    if (ttisinteger(&key))
      write_integer(out, ivalue(&key));
    else
      write_float(out, fltvalue(&key));
    break;
  case LUA_TBOOLEAN: write_string(out, layout_is_false(&key) ? "false" : "true"); break;
  default: write_string(out, key_name(layout_type(&key))); break;
  }
}

const TString *path_upvalue_name(label place, const GCObject *function) {
  if (place.kind != LABEL_UPVALUE || !layout_is_lua_function(function)) return NULL;
  const Proto *proto = gco2lcl((GCObject *)function)->p;
  return proto && (int)place.place <= proto->sizeupvalues ? proto->upvalues[place.place - 1].name
                                                          : NULL;
}

/* `[what name]`, or with the number in its stead. */
static void write_bracketed(writer *out, const char *what, const TString *name, uintptr_t number) {
  write_string(out, "[");
  write_string(out, what);
  write_string(out, " ");
  if (name)
    write_lua_string(out, name, LONGEST_KEY);
  else
    write_integer(out, (lua_Integer)number);
  write_string(out, "]");
}

const char *path_source(const TString *source, size_t *bytes) {
  const char *text = source ? getstr(source) : "?";
  *bytes = source ? layout_string_length(source) : 1;
  if (*bytes > 0 && (*text == '=' || *text == '@')) text++, --*bytes;
  const char *end_of_line = memchr(text, '\n', *bytes);
  if (end_of_line) *bytes = (size_t)(end_of_line - text);
  return text;
}

static void write_proto(writer *out, const Proto *proto) {
  size_t source_bytes;
  const char *source = path_source(proto->source, &source_bytes);
  write_string(out, "[proto ");
  write_escaped(out, source, source_bytes, LONGEST_SOURCE);
  write_string(out, ":");
  write_integer(out, proto->linedefined);
  write_string(out, "]");
}

/* Slots are asked for one after the other, or in pairs where they are sorted, and a coroutine may
** have any number of frames: so the search goes on from the nearer of those that it found last. */
static struct {
  const lua_State *thread;
  const CallInfo *newest, *found[2];
} last;

void path_forget_frames(void) { last.thread = NULL; }

static size_t slots_from(lua_State *thread, const CallInfo *info, size_t slot) {
  size_t base = layout_frame_base(thread, info);
  return base > slot ? base - slot : slot - base;
}

static const CallInfo *last_frame_near(lua_State *thread, size_t slot) {
  if (last.thread != thread || last.newest != thread->ci)
    last.thread = thread, last.newest = last.found[0] = last.found[1] = thread->ci;
  int is_second = slots_from(thread, last.found[1], slot) < slots_from(thread, last.found[0], slot);
  return last.found[is_second];
}

/* The frame whose registers hold the slot; NULL for what lies between frames, or a C function. */
static const CallInfo *frame_of_slot(lua_State *thread, size_t slot) {
  if (thread->ci == NULL) return NULL;
  const CallInfo *info = last_frame_near(thread, slot);
  while (info != thread->ci && layout_frame_base(thread, info->next) <= slot) info = info->next;
  while (info != &thread->base_ci && layout_frame_base(thread, info) > slot) info = info->previous;
  last.found[1] = last.found[0];
  last.found[0] = info;
  return info != &thread->base_ci && isLua(info) ? info : NULL;
}

/* The active local variable in a register; the rule is that of `luaF_getlocalname`. */
static const TString *local_name(lua_State *thread, size_t slot) {
  const CallInfo *info = frame_of_slot(thread, slot);
  if (info == NULL) return NULL;
  const Proto *proto = clLvalue(layout_frame_slot(info))->p;
  int pc = (int)(info->u.l.savedpc - proto->code) - 1;
  size_t left = slot - layout_frame_base(thread, info) + 1;
  for (int i = 0; i < proto->sizelocvars && proto->locvars[i].startpc <= pc; i++)
    if (pc < proto->locvars[i].endpc && --left == 0) return proto->locvars[i].varname;
  return NULL;
}

static void write_slot(writer *out, uintptr_t index, const GCObject *thread) {
  const TString *name = thread ? local_name(gco2th((GCObject *)thread), index - 1) : NULL;
  write_bracketed(out, name ? "local" : "stack", name, index);
}

size_t path_label(char text[PATH_LABEL_BYTES], label place, const GCObject *from) {
  writer out = {text, 0};
  switch (place.kind) {
  case LABEL_ROOT: {
    const char *name = (const char *)place.place;
    size_t length = strlen(name);
    write_bytes(&out, name, length < PATH_LONGEST_ROOT ? length : PATH_LONGEST_ROOT);
    break;
  }
  case LABEL_INDEX: write_integer(&out, (lua_Integer)place.place); break;
  case LABEL_NODE: write_key(&out, (const Node *)place.place); break;
  case LABEL_METATABLE: write_string(&out, "[metatable]"); break;
  case LABEL_UPVALUE:
    write_bracketed(&out, "upvalue", from ? path_upvalue_name(place, from) : NULL, place.place);
    break;
  case LABEL_CONSTANT: write_string(&out, "[constant]"); break;
  case LABEL_SOURCE: write_string(&out, "[source]"); break;
  case LABEL_NAME: write_string(&out, "[names]"); break;
  case LABEL_PROTO: write_proto(&out, (const Proto *)place.place); break;
  case LABEL_USERVALUE: write_bracketed(&out, "uservalue", NULL, place.place); break;
  case LABEL_SLOT: write_slot(&out, place.place, from); break;
  case LABEL_UNKNOWN: write_string(&out, "[unknown]"); break;
  }
  return finish(&out);
}

const char *path_name(char text[PATH_LABEL_BYTES], const char *name) {
  writer out = {text, 0};
  write_escaped(&out, name, strlen(name), LONGEST_KEY);
  finish(&out);
  return text;
}

int path_may_repeat(label_kind kind, const char *text, size_t bytes) {
  if (kind != LABEL_NODE || bytes == 0 || (unsigned char)text[bytes - 1] >= 0x80) return 1;
  int letter = text[0] | 0x20;
  return letter < 'a' || letter > 'z' || letter == 't' || letter == 'f' || letter == 'i';
}

size_t path_folded_label(char text[PATH_LABEL_BYTES], uint32_t count) {
  writer out = {text, 0};
  write_string(&out, "[");
  write_integer(&out, (lua_Integer)count);
  write_string(&out, " more]");
  return finish(&out);
}

size_t path_node_label(char text[PATH_LABEL_BYTES], const tree *t, uint32_t node) {
  const tree_node *n = &t->nodes[node];
  const GCObject *from = n->parent == TREE_NONE ? NULL : t->nodes[n->parent].object;
  return path_label(text, make_label((label_kind)n->label_kind, n->place), from);
}

/* ---- order ---- */

/* How a node compares with others: by the key that names it (nil where something else does), then
** by text. */
typedef struct {
  TValue key;
  const char *text;
  size_t text_bytes;
  char room[PATH_LABEL_BYTES];
} sort_key;

static void read_sort_key(sort_key *s, const tree *t, uint32_t node) {
  const tree_node *n = &t->nodes[node];
  setnilvalue(&s->key);
  if (n->label_kind == LABEL_NODE) layout_copy_node_key((const Node *)n->place, &s->key);
  if (n->label_kind == LABEL_INDEX) setivalue(&s->key, (lua_Integer)n->place);
  s->text = s->room;
  s->text_bytes = 0;
  if (ttisstring(&s->key)) {
    s->text = getstr(tsvalue(&s->key));
    s->text_bytes = layout_string_length(tsvalue(&s->key));
  } else if (!ttisinteger(&s->key)) {
    s->text_bytes = path_node_label(s->room, t, node); /* objects read alike, whichever they are */
  }
}

static int compare_places(uintptr_t a, uintptr_t b) { return (a > b) - (a < b); }

static int compare_labels(const tree *t, uint32_t a, uint32_t b) {
  sort_key x, y;
  if (t->nodes[a].label_kind == LABEL_INDEX && t->nodes[b].label_kind == LABEL_INDEX)
    return compare_places(t->nodes[a].place, t->nodes[b].place);
  read_sort_key(&x, t, a);
  read_sort_key(&y, t, b);
  if (x.key.tt_ != y.key.tt_) return x.key.tt_ - y.key.tt_;
  if (ttisinteger(&x.key))
    return (ivalue(&x.key) > ivalue(&y.key)) - (ivalue(&x.key) < ivalue(&y.key));
  size_t shared_bytes = x.text_bytes < y.text_bytes ? x.text_bytes : y.text_bytes;
  int order = memcmp(x.text, y.text, shared_bytes);
  return order ? order : (x.text_bytes > y.text_bytes) - (x.text_bytes < y.text_bytes);
}

int path_compare(const tree *t, uint32_t a, uint32_t b) {
  int order = 0;
  for (int step = 0; order == 0 && a != b && step < PATH_LONGEST_TIE; step++) {
    order = compare_labels(t, a, b);
    a = t->nodes[a].parent;
    b = t->nodes[b].parent;
  }
  return order;
}
