/* What an object is called, and which object a name means: a target is named by its path
** outside, where inside a program gives the value itself. */
#include "attach.h"
#include "attach_books.h"
#include "path.h"
#include "walk.h"

static char *text(void) { return (char *)attach_text(); }
static lua_State *state_at(uintptr_t address) { return (lua_State *)address; }
static GCObject *object_at(uintptr_t address) { return (GCObject *)address; }

static uint32_t put(const char *name) {
  size_t bytes = strlen(name);
  memcpy(text(), name, bytes);
  return (uint32_t)bytes;
}

ATTACH_EXPORT uint32_t attach_global_label(uintptr_t state, uintptr_t object) {
  GCObject *globals = walk_globals(state_at(state));
  if (globals == NULL) return 0;
  if (globals == object_at(object)) return put("_G");
  label place = walk_find_label(globals, object_at(object));
  if (place.kind != LABEL_NODE && place.kind != LABEL_INDEX) return 0;
  return (uint32_t)path_label(text(), place, globals);
}

static uint32_t parent_label_bytes;

ATTACH_EXPORT uintptr_t attach_parent(uintptr_t state, uintptr_t object) {
  GCObject *parent;
  const char *root;
  parent_label_bytes = 0;
  attach_settle();
  if (walk_find_parent(state_at(state), object_at(object), &parent, &root) != WALK_OK) return 0;
  if (parent == NULL)
    parent_label_bytes = put(root ? root : "...");
  else
    parent_label_bytes =
        (uint32_t)path_label(text(), walk_find_label(parent, object_at(object)), parent);
  return (uintptr_t)parent;
}
ATTACH_EXPORT uint32_t attach_parent_label(void) { return parent_label_bytes; }

/* ---- from names to objects ---- */

typedef struct {
  const GCObject *from;
  const char *name;
  size_t name_bytes;
  uint32_t count; /* of entries that are called so */
  GCObject *first;
} step;

static void match(void *context, label_kind kind, uintptr_t place, GCObject *key, GCObject *value) {
  step *s = context;
  char name[PATH_LABEL_BYTES];
  size_t bytes = path_label(name, make_label(kind, place), s->from);
  if (bytes != s->name_bytes || memcmp(name, s->name, bytes) != 0) return;
  if (kind == LABEL_UPVALUE && !LAYOUT_CELLS_ARE_OBJECTS && key)
    value = layout_cell_value((const UpVal *)key);
  if (s->count++ == 0) s->first = value;
}

static GCObject *root_called(lua_State *L, const char *name, size_t bytes) {
  static const char *const names[] = {"_G", "[registry]", "[main thread]"};
  GCObject *const roots[] = {walk_globals(L), walk_registry(L), obj2gco(G(L)->mainthread)};
  for (int i = 0; i < 3; i++)
    if (strlen(names[i]) == bytes && memcmp(names[i], name, bytes) == 0) return roots[i];
  return NULL;
}

static uint32_t step_count;

ATTACH_EXPORT uintptr_t attach_step(uintptr_t state, uintptr_t object, uint32_t bytes) {
  char name[PATH_LABEL_BYTES];
  step_count = 0;
  if (bytes > sizeof name) return 0;
  memcpy(name, text(), bytes);
  step s = {object_at(object), name, bytes, 0, NULL};
  if (object)
    walk_each_reference(object_at(object), match, &s);
  else if ((s.first = root_called(state_at(state), name, bytes)) != NULL)
    s.count = 1;
  step_count = s.count;
  return (uintptr_t)s.first;
}
ATTACH_EXPORT uint32_t attach_step_count(void) { return step_count; }
