/*
** The tree of a report, with hand-made nodes: nothing told to it gets lost, the
** largest stay, ties go by name, and what is no ancestor is no cycle.
*/
#include "check.h"
#include "loans.h"
#include "tree.h"
#include "tree_sums.h"

#include <stdlib.h>

enum { KEY = 1 };

/* What must hold of any tree at any time. */
static void check_shape(const tree *t) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < t->used; i++) {
    const tree_node *n = &t->nodes[i];
    if (!n->in_use) continue;
    uint32_t children = 0;
    count++;
    for (uint32_t j = 0; j < t->used; j++)
      children += t->nodes[j].in_use && t->nodes[j].parent == i;
    CHECK(children == n->child_count, "node %u has %u children, says %u", i, children,
          n->child_count);
    if (n->parent != TREE_NONE) {
      CHECK(t->nodes[n->parent].in_use, "the parent of node %u is gone", i);
      CHECK(n->depth == t->nodes[n->parent].depth + 1, "node %u has depth %u", i, n->depth);
    }
    CHECK(n->depth <= t->max_depth, "node %u lies too deep", i);
  }
  CHECK(count == t->count, "%u nodes are in use, the tree says %u", count, t->count);
  CHECK(!t->bounded || t->count <= t->capacity, "%u nodes in room for %u", t->count, t->capacity);
  for (uint32_t i = 0; i < t->cycle_count; i++)
    CHECK(t->nodes[t->cycles[i].from].in_use && t->nodes[t->cycles[i].to].in_use,
          "cycle %u has lost an end", i);
}

/* What must hold until a selection is made. */
static void check_index(const tree *t) {
  for (uint32_t i = 0; i < t->used; i++) {
    const tree_node *n = &t->nodes[i];
    CHECK(!n->in_use || !n->object || tree_find(t, n->object) == i, "node %u is not found", i);
  }
}

/* An order by name: `place` stands for the name here. */
static int by_place(const tree *t, uint32_t a, uint32_t b) {
  uintptr_t x = t->nodes[a].place, y = t->nodes[b].place;
  return (x > y) - (x < y);
}

/* ---- a tree in memory of its exact size, so that a sanitizer sees every step beside it ---- */

typedef struct {
  tree t;
  void *room;
} bounded;

static void open_bounded(bounded *b, uint32_t nodes, uint32_t cycles, uint32_t depth) {
  b->room = malloc(tree_memory_bytes(nodes, cycles));
  tree_init_bounded(&b->t, b->room, nodes, cycles, depth);
}

static void close_bounded(bounded *b) {
  tree_release(&b->t);
  free(b->room);
}

/* ---- random trees ---- */

#define OBJECTS 400
static char objects[OBJECTS];

typedef struct {
  tree *t;
  dice d;
  size_t told;
  int next_object;
} story;

static uint32_t some_node(story *s, int above_depth) {
  for (int tries = 0; tries < 20; tries++) {
    uint32_t i = (uint32_t)dice_roll(&s->d, s->t->used);
    if (s->t->nodes[i].in_use && (!above_depth || s->t->nodes[i].depth < s->t->max_depth)) return i;
  }
  return 0;
}

static void tell_entry(story *s) {
  uint32_t parent = some_node(s, 1);
  size_t bytes = 1 + dice_roll(&s->d, dice_roll(&s->d, 10) ? 50 : 5000);
  if (s->t->nodes[parent].depth >= s->t->max_depth) return;
  const void *object =
      dice_roll(&s->d, 4) && s->next_object < OBJECTS ? &objects[s->next_object++] : NULL;
  uint32_t node = dice_roll(&s->d, 2) ? tree_add(s->t, parent, KEY, s->told, object, bytes)
                                      : tree_add_holder(s->t, parent, KEY, s->told, object, bytes);
  s->told += bytes;
  if (node != TREE_NONE || object == NULL || dice_roll(&s->d, 2)) return;
  if (s->t->failed) return;
  size_t content = dice_roll(&s->d, 4) ? dice_roll(&s->d, 100) : 3000;
  tree_charge(s->t, parent, content); /* it was folded, and its content was found since */
  s->told += content;
  tree_admit(s->t, parent, KEY, s->told, object, bytes, content, content > 0);
}

static void tell_something(story *s) {
  switch (dice_roll(&s->d, 12)) {
  case 0: {
    size_t bytes = dice_roll(&s->d, 300);
    tree_charge(s->t, some_node(s, 0), bytes);
    s->told += bytes;
    break;
  }
  case 1: tree_note_cycle(s->t, some_node(s, 1), KEY, 1, some_node(s, 0)); break;
  default: tell_entry(s); break;
  }
}

static void tell_story(tree *t, unsigned long seed) {
  story s = {t, dice_of(seed), 0, 0};
  uint32_t roots = 1 + (uint32_t)dice_roll(&s.d, 3);
  for (uint32_t i = 0; i < roots; i++) {
    CHECK(tree_add_root(t, i ? NULL : &s, KEY, i, 10) != TREE_NONE, "no room for a root");
    s.told += 10;
  }
  for (int i = 0; i < 300 && !t->failed; i++) tell_something(&s);
  if (t->failed) return;
  CHECK(audit_tree(t) == s.told, "seed %lu: %zu bytes were told, %zu are left", seed, s.told,
        audit_tree(t));
  check_shape(t);
  check_index(t);
  uint32_t children = (uint32_t)dice_roll(&s.d, 8), lines = 8 + (uint32_t)dice_roll(&s.d, 30);
  tree_select(t, children, lines, by_place);
  CHECK(audit_tree(t) == s.told, "seed %lu: the selection lost bytes", seed);
  check_shape(t);
  uint32_t shown = 0;
  for (uint32_t i = 0; i < t->used; i++) {
    const tree_node *n = &t->nodes[i];
    if (!n->in_use) continue;
    shown += 1u + (n->below_bytes > 0) + (n->folded_bytes > 0);
    CHECK(n->child_count <= children, "seed %lu: %u children are left, %u are allowed", seed,
          n->child_count, children);
  }
  CHECK(shown <= lines || t->count <= 3, "seed %lu: %u lines are left, %u are allowed", seed, shown,
        lines);
}

static unsigned long stories(void) { return check_setting("PROGRAMS", 1000) * 2; }

static void test_bounded(void) {
  for (unsigned long seed = 0; seed < stories() && !check_failed(); seed++) {
    bounded b;
    open_bounded(&b, 8 + (uint32_t)(seed % 40), (uint32_t)(seed % 5), (uint32_t)(seed % 4));
    tell_story(&b.t, seed);
    close_bounded(&b);
  }
}

static void test_growing(void) {
  for (unsigned long seed = 0; seed < stories() && !check_failed(); seed++) {
    tree t;
    tree_init_growing(&t, seed % 3 ? TREE_UNLIMITED : (uint32_t)(seed % 5));
    tell_story(&t, seed);
    tree_release(&t);
  }
  CHECK(loans_open() == 0, "%zu loans are open", loans_open());
}

static void check_refused(void (*refuse)(unsigned long)) {
  unsigned long failed = 0;
  for (unsigned long n = 1; n < 60; n++) {
    tree t;
    refuse(n);
    int is_open = tree_init_growing(&t, 5);
    if (is_open) {
      uint32_t root = tree_add_root(&t, NULL, KEY, 0, 10);
      size_t told = 10;
      for (int i = 0; i < 3000 && root != TREE_NONE; i++, told += 7) {
        tree_add(&t, root, KEY, (uintptr_t)i, i < OBJECTS ? &objects[i] : NULL, 7);
        tree_note_cycle(&t, root, KEY, (uintptr_t)i, root);
      }
      CHECK(root == TREE_NONE || audit_tree(&t) == told, "loan %lu refused: bytes are lost", n);
      for (uintptr_t i = 1; i < TREE_ROOTS && root != TREE_NONE; i++)
        CHECK(tree_add_root(&t, NULL, KEY, i, 10) != TREE_NONE,
              "loan %lu refused: no room for a root", n);
    }
    CHECK(!is_open || t.failed == (loans_requests() >= n), "loan %lu refused: nobody knows", n);
    failed += !is_open || t.failed;
    if (is_open) tree_release(&t);
    loans_refuse(0);
    CHECK(loans_open() == 0, "loan %lu refused: %zu loans are open", n, loans_open());
  }
  CHECK(failed > 5, "only %lu refusals", failed);
}
static void test_all_refused(void) { check_refused(loans_refuse); }
static void test_one_refused(void) { check_refused(loans_refuse_one); }

/* ---- what stays ---- */

static void test_largest_stay(void) {
  const uint32_t capacity = 32, entries = 5000;
  for (unsigned long seed = 0; seed < 50; seed++) {
    bounded b;
    dice d = dice_of(seed);
    open_bounded(&b, capacity, 0, 1);
    uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
    size_t large = 100000;
    uint32_t large_count = 0;
    for (uint32_t i = 0; i < entries; i++) {
      int is_large = large_count < capacity / 2 - 2 && dice_roll(&d, 100) == 0;
      large_count += (uint32_t)is_large;
      tree_add(&b.t, root, KEY, i, NULL, is_large ? large + i : 1 + dice_roll(&d, 1000));
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < b.t.used; i++)
      found += b.t.nodes[i].in_use && b.t.nodes[i].own_bytes >= large;
    CHECK(found == large_count, "%u of the %u largest stayed", found, large_count);
    close_bounded(&b);
  }
}

static void test_admitted(void) {
  bounded b;
  open_bounded(&b, 16, 0, 1);
  uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
  for (uintptr_t i = 0; i < 100; i++) tree_add(&b.t, root, KEY, i, NULL, 100);
  CHECK(tree_add(&b.t, root, KEY, 1, &objects[0], 20) == TREE_NONE, "a small one got a node");
  size_t before = audit_tree(&b.t);
  tree_charge(&b.t, root, 7000);
  uint32_t node = tree_admit(&b.t, root, KEY, 1, &objects[0], 20, 7000, 3);
  CHECK(node != TREE_NONE, "it got no node although it is the largest");
  CHECK(audit_tree(&b.t) == before + 7000, "bytes were lost or made");
  CHECK(b.t.nodes[node].total_bytes == 7020, "it has %zu bytes", b.t.nodes[node].total_bytes);
  CHECK(b.t.nodes[node].folded_count == 3, "%u objects", b.t.nodes[node].folded_count);
  close_bounded(&b);
}

/* A tree of roots, which are never folded. */
static void test_not_admitted(void) {
  bounded b;
  open_bounded(&b, 16, 0, 1);
  for (uintptr_t i = 0; i < 16; i++) tree_add_root(&b.t, NULL, KEY, i, 1);
  tree_add(&b.t, 0, KEY, 1, &objects[0], 20);
  tree_charge(&b.t, 0, 7000);
  CHECK(tree_admit(&b.t, 0, KEY, 1, &objects[0], 20, 7000, 3) == TREE_NONE, "there was room");
  CHECK(audit_tree(&b.t) == 16 + 20 + 7000, "bytes were lost or made");
  CHECK(b.t.nodes[0].folded_count == 1, "it counts %u times", b.t.nodes[0].folded_count);
  close_bounded(&b);
}

static uint32_t admit_many(tree *t, uint32_t root, size_t content_bytes) {
  uint32_t admitted = 0;
  for (uintptr_t i = 0; i < 100; i++) {
    CHECK(tree_add(t, root, KEY, i, &objects[i], 100) == TREE_NONE, "there was room");
    tree_charge(t, root, content_bytes);
    admitted += tree_admit(t, root, KEY, i, &objects[i], 100, content_bytes, 1) != TREE_NONE;
  }
  return admitted;
}

static void test_alike(void) {
  bounded b;
  open_bounded(&b, 16, 0, 1);
  uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
  for (uintptr_t i = 0; i < 100; i++) tree_add(&b.t, root, KEY, i, NULL, 100);
  CHECK(admit_many(&b.t, root, 50) == 0, "entries take turns");
  CHECK(admit_many(&b.t, root, 51) > 0, "no entry got a node");
  CHECK(audit_tree(&b.t) == 1 + 300 * 100 + 100 * 50 + 100 * 51, "bytes were lost or made");
  close_bounded(&b);
}

/* Told largest first, so that the last one folded is the smallest. */
static void test_shrinking(void) {
  bounded b;
  open_bounded(&b, 16, 0, 1);
  uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
  for (uintptr_t i = 0; i < 20; i++) tree_add(&b.t, root, KEY, i, NULL, 2000 - 100 * i);
  CHECK(tree_add(&b.t, root, KEY, 20, NULL, 1300) == TREE_NONE, "%zu bytes are small",
        b.t.threshold_bytes);
  close_bounded(&b);
}

/* A table with `count` values of 1000 bytes. */
static void tell_data(tree *t, uint32_t root, uintptr_t count) {
  uint32_t data = tree_add_holder(t, root, KEY, 1, &objects[OBJECTS - 1], 1);
  for (uintptr_t i = 0; i < count; i++) tree_add_holder(t, data, KEY, i, NULL, 1000);
}

static uint32_t count_found(const tree *t, int objects_told) {
  uint32_t found = 0;
  for (int i = 0; i < objects_told; i++) found += tree_find(t, &objects[i]) != TREE_NONE;
  return found;
}

static void test_holders(void) {
  enum { NAMES = 40, MANY = 2 * TREE_NAMES, ROOM = 512 };
  bounded b;
  open_bounded(&b, ROOM, 0, 3);
  uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
  for (int i = 0; i < NAMES; i++) tree_add_holder(&b.t, root, KEY, (uintptr_t)i, &objects[i], 10);
  tree_add(&b.t, root, KEY, 0, &objects[OBJECTS - 2], 10);
  tell_data(&b.t, root, 5000);
  CHECK(tree_add_holder(&b.t, tree_find(&b.t, &objects[OBJECTS - 1]), KEY, 0, NULL, 1000) ==
            TREE_NONE,
        "data take turns");
  uint32_t module = tree_find(&b.t, &objects[0]);
  CHECK(count_found(&b.t, NAMES) == NAMES, "%u of those told before the data are left",
        count_found(&b.t, NAMES));
  CHECK(tree_find(&b.t, &objects[OBJECTS - 2]) == TREE_NONE, "what can hold nothing kept its node");
  uint32_t entry = b.t.capacity - 1;
  while (!b.t.nodes[entry].in_use || b.t.nodes[entry].depth != 2) entry--;
  CHECK(tree_add_holder(&b.t, entry, KEY, 0, NULL, 10) == TREE_NONE,
        "what is below data has names");
  if (check_failed()) return close_bounded(&b);
  for (int i = NAMES; i < 2 * NAMES; i++)
    tree_add_holder(&b.t, module, KEY, (uintptr_t)i, &objects[i], 10);
  CHECK(count_found(&b.t, 2 * NAMES) == 2 * NAMES, "%u are left of those told after it too",
        count_found(&b.t, 2 * NAMES));
  CHECK(tree_add(&b.t, module, KEY, 1, NULL, 10) == TREE_NONE, "what can hold nothing got a node");
  for (int i = 2 * NAMES; i < 2 * NAMES + MANY; i++)
    tree_add_holder(&b.t, tree_find(&b.t, &objects[1]), KEY, (uintptr_t)i, &objects[i], 10);
  uint32_t found = count_found(&b.t, 2 * NAMES + MANY);
  CHECK(found <= 2 * NAMES + TREE_NAMES + 1, "%u are left, as if many entries were names", found);
  tell_data(&b.t, root, 5000);
  found = count_found(&b.t, 2 * NAMES + MANY);
  CHECK(found <= 2 * NAMES, "%u are left where a parent turned out to have many entries", found);
  size_t told = 1 + 1000 + 2 * (1 + 5000 * 1000) + 10 * (2 * NAMES + MANY + 3);
  CHECK(audit_tree(&b.t) == told, "bytes were lost or made");
  check_shape(&b.t);
  close_bounded(&b);
}

/* As many names as leave less than an eighth of the room beside the half that is data. */
static void test_many_names(void) {
  enum { NAMES = 100, ROOM = 512 };
  bounded b;
  open_bounded(&b, ROOM, 0, 3);
  uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
  for (int i = 0; i < NAMES; i++) tree_add_holder(&b.t, root, KEY, (uintptr_t)i, &objects[i], 10);
  uint32_t module = tree_find(&b.t, &objects[0]);
  for (int i = NAMES; i < 2 * NAMES; i++)
    tree_add_holder(&b.t, module, KEY, (uintptr_t)i, &objects[i], 10);
  tell_data(&b.t, root, 5000);
  CHECK(!b.t.is_crowded, "it is crowded with %u nodes", b.t.count);
  CHECK(count_found(&b.t, 2 * NAMES) == 2 * NAMES, "%u are left", count_found(&b.t, 2 * NAMES));
  CHECK(b.t.count >= 2 * NAMES + ROOM / 4, "of %u nodes too few are data", b.t.count);
  check_shape(&b.t);
  close_bounded(&b);
}

/* More holders that have names than there is room for: none is better than another. */
static void test_crowded(void) {
  enum { ROOM = 256, EACH = TREE_NAMES };
  bounded b;
  open_bounded(&b, ROOM, 0, 3);
  uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
  size_t told = 1;
  for (uintptr_t i = 0; i < EACH; i++, told += 10)
    CHECK(tree_add_holder(&b.t, root, KEY, i, NULL, 10) != TREE_NONE, "there was no room");
  CHECK(!b.t.is_crowded, "it is crowded with %u nodes", b.t.count);
  for (uint32_t parent = 1; parent < EACH; parent++) {
    if (!b.t.nodes[parent].in_use || b.t.nodes[parent].depth != 1) continue;
    for (uintptr_t i = 0; i < 10; i++) {
      size_t bytes = b.t.count == ROOM ? 1000 : 10;
      uint32_t node = tree_add_holder(&b.t, parent, KEY, i, NULL, bytes);
      CHECK(bytes == 10 || node != TREE_NONE, "the first that finds no room has no node");
      told += bytes;
    }
  }
  CHECK(b.t.is_crowded, "it is not crowded, with %u nodes", b.t.count);
  CHECK(b.t.threshold_bytes >= 10, "entries take turns");
  CHECK(audit_tree(&b.t) == told, "bytes were lost or made");
  check_shape(&b.t);
  close_bounded(&b);
}

/* ---- what turns out to be large ---- */

static const void *object_at(uintptr_t number) { return (const void *)(8 * number); }

static void test_start_again(void) {
  bounded b;
  open_bounded(&b, 64, 1, 1);
  uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
  for (uintptr_t i = 0; i < 100; i++) tree_add(&b.t, root, KEY, i, NULL, 300);
  for (int i = 0; i < 2; i++) tree_note_cycle(&b.t, root, KEY, 0, root);
  tree_suspect(&b.t, &objects[0], 1200);
  CHECK(!tree_start_again(&b.t), "four times the smallest is far larger");
  for (int i = 0; i < 2; i++) tree_suspect(&b.t, &objects[1], 601);
  CHECK(tree_start_again(&b.t), "what adds up to more is not");
  CHECK(b.t.wanted_count == 1 && tree_wants(&b.t, &objects[1]), "%u are wanted", b.t.wanted_count);
  CHECK(b.t.count == 0 && b.t.cycle_count == 0 && b.t.cycles_dropped == 0, "it is not empty");
  CHECK(b.t.threshold_bytes == 0, "%zu bytes are small", b.t.threshold_bytes);
  CHECK(!tree_start_again(&b.t), "it starts again and again");
  close_bounded(&b);
}

/* Far more suspects than places: none becomes large by those that it took the place of. */
static void test_suspects(void) {
  bounded b;
  open_bounded(&b, 64, 0, 1);
  tree_suspect(&b.t, &objects[0], 1024);
  for (uintptr_t i = 1; i <= 20 * TREE_SUSPECTS; i++)
    tree_suspect(&b.t, object_at(i), 1000 - i % 2);
  CHECK(!tree_start_again(&b.t), "%u are wanted", b.t.wanted_count);
  tree_suspect(&b.t, &objects[1], 500000);
  for (uintptr_t i = 1; i <= 20 * TREE_SUSPECTS; i++) tree_suspect(&b.t, object_at(i), 1000);
  CHECK(tree_start_again(&b.t) && tree_wants(&b.t, &objects[1]), "many small ones drove it out");
  close_bounded(&b);
}

static void test_wanted(void) {
  for (uint32_t room = 8; room <= 2 * TREE_WANTED; room *= 2) {
    bounded b;
    open_bounded(&b, 8 * room, 0, 1);
    for (uintptr_t i = 1; i <= TREE_SUSPECTS; i++) tree_suspect(&b.t, object_at(i), 5000);
    uint32_t most = room < TREE_WANTED ? room : TREE_WANTED;
    CHECK(tree_start_again(&b.t) && b.t.wanted_count == most, "%u of %u", b.t.wanted_count, most);
    close_bounded(&b);
  }
}

/* Small ones, told in the middle of many that are larger. */
static void test_wanted_stay(void) {
  bounded b;
  open_bounded(&b, 64, 0, 1);
  for (int i = 0; i < 2; i++) tree_suspect(&b.t, &objects[i], 5000);
  CHECK(tree_start_again(&b.t), "none is wanted");
  uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
  for (uintptr_t i = 0; i < 400; i++) {
    if (i == 200) tree_add(&b.t, root, KEY, i, &objects[0], 1);
    if (i == 200) tree_add_holder(&b.t, root, KEY, i, &objects[1], 1);
    tree_add(&b.t, root, KEY, i, NULL, 300 + i);
  }
  CHECK(count_found(&b.t, 2) == 2, "%u of 2 have nodes", count_found(&b.t, 2));
  close_bounded(&b);
}

static void test_aliases(void) {
  bounded b;
  open_bounded(&b, 16, 0, 1);
  uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
  uint32_t node = tree_add(&b.t, root, KEY, 7, &objects[0], 1);
  for (int i = 1; i <= TREE_ALIASES + 1; i++) {
    int has_room = i <= TREE_ALIASES;
    CHECK(tree_add_alias(&b.t, node, &objects[i]) == has_room, "alias %d", i);
    CHECK((tree_find(&b.t, &objects[i]) == node) == has_room, "alias %d is not found", i);
  }
  CHECK(b.t.nodes[node].place == 7, "the node lost its place");
  uint32_t own = tree_add(&b.t, root, KEY, 8, &objects[1], 1);
  CHECK(tree_find(&b.t, &objects[1]) == own, "a node of its own is not found before an alias");
  close_bounded(&b);
}

static void test_children(void) {
  bounded b;
  open_bounded(&b, 64, 0, 3);
  uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
  /* 10 small children with children of their own, and 3 larger ones without */
  for (uintptr_t i = 0; i < 10; i++) {
    uint32_t child = tree_add(&b.t, root, KEY, i, NULL, 5);
    for (uintptr_t j = 0; j < 2; j++) tree_add(&b.t, child, KEY, j, NULL, 5);
  }
  for (uintptr_t i = 0; i < 3; i++) tree_add(&b.t, root, KEY, 100 + i, NULL, 1000);
  tree_select(&b.t, 3, TREE_UNLIMITED, by_place);
  for (uint32_t i = 0; i < b.t.used; i++) {
    const tree_node *n = &b.t.nodes[i];
    CHECK(!n->in_use || n->parent == TREE_NONE || n->own_bytes == 1000, "a small child stayed");
  }
  CHECK(b.t.nodes[root].child_count == 3, "%u children stayed", b.t.nodes[root].child_count);
  CHECK(b.t.nodes[root].folded_count == 10, "%u are counted as folded",
        b.t.nodes[root].folded_count);
  close_bounded(&b);
}

/* Twenty entries, and as many lines as their holder, the rest and the eight largest take. */
static void test_lines(void) {
  for (uint32_t lines = 10; lines <= 21; lines += 11) {
    bounded b;
    open_bounded(&b, 64, 0, 1);
    uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
    for (uintptr_t i = 1; i <= 20; i++) tree_add(&b.t, root, KEY, i, NULL, i);
    tree_select(&b.t, TREE_UNLIMITED, lines, by_place);
    CHECK(b.t.count == (lines == 21 ? 21 : 9), "of %u lines %u are nodes", lines, b.t.count);
    close_bounded(&b);
  }
}

static void test_ties(void) {
  for (int turn = 0; turn < 2; turn++) {
    bounded b;
    open_bounded(&b, 64, 0, 1);
    uint32_t root = tree_add_root(&b.t, NULL, KEY, 0, 1);
    for (uintptr_t i = 1; i <= 20; i++) tree_add(&b.t, root, KEY, turn ? 21 - i : i, NULL, 50);
    const uint32_t *order = tree_select(&b.t, 5, TREE_UNLIMITED, by_place);
    CHECK(b.t.count == 6, "%u nodes stayed", b.t.count);
    for (uint32_t i = 1; i < b.t.count; i++)
      CHECK(b.t.nodes[order[i]].place == i, "place %u has name %zu", i,
            (size_t)b.t.nodes[order[i]].place);
    close_bounded(&b);
  }
}

/* Larger first, then nearer to the root, then by name, then as they came. */
static int stands_before(const tree *t, uint32_t x, uint32_t y) {
  const tree_node *a = &t->nodes[x], *b = &t->nodes[y];
  if (a->total_bytes != b->total_bytes) return a->total_bytes > b->total_bytes;
  if (a->depth != b->depth) return a->depth < b->depth;
  return a->place != b->place ? a->place < b->place : x < y;
}

static void test_sorted(void) {
  tree t;
  dice d = dice_of(9);
  tree_init_growing(&t, 2);
  uint32_t root = tree_add_root(&t, NULL, KEY, 0, 1);
  uint32_t holder = tree_add(&t, root, KEY, 0, &objects[1], 1);
  for (int i = 0; i < 2000; i++)
    tree_add(&t, i % 2 ? root : holder, KEY, 500 - dice_roll(&d, 10), NULL, 1 + dice_roll(&d, 50));
  const uint32_t *order = tree_select(&t, TREE_UNLIMITED, TREE_UNLIMITED, by_place);
  CHECK(t.count == 2002, "%u lines", t.count);
  for (uint32_t i = 1; i < t.count; i++)
    CHECK(stands_before(&t, order[i - 1], order[i]), "line %u is not in its place", i);
  tree_release(&t);
}

/* ---- cycles ---- */

static void test_cycles(void) {
  bounded b;
  open_bounded(&b, 16, 8, 3);
  uint32_t root = tree_add_root(&b.t, &b, KEY, 0, 1);
  uint32_t child = tree_add(&b.t, root, KEY, 1, &objects[1], 1);
  uint32_t grandchild = tree_add(&b.t, child, KEY, 2, &objects[2], 1);
  uint32_t sibling = tree_add(&b.t, root, KEY, 3, &objects[3], 1);
  tree_note_cycle(&b.t, grandchild, KEY, 0, root);
  tree_note_cycle(&b.t, grandchild, KEY, 0, grandchild);
  CHECK(b.t.cycle_count == 2, "a way back to an ancestor is no cycle");
  tree_note_cycle(&b.t, grandchild, KEY, 0, sibling);
  tree_note_cycle(&b.t, root, KEY, 0, grandchild);
  tree_note_cycle(&b.t, sibling, KEY, 0, child);
  CHECK(b.t.cycle_count == 2, "a reference to a sibling or downwards is a cycle");
  tree_select(&b.t, 0, TREE_UNLIMITED, by_place);
  CHECK(b.t.cycle_count == 0, "cycles of folded nodes are left");
  close_bounded(&b);
}

static void test_dropped_cycles(void) {
  bounded b;
  open_bounded(&b, 16, 2, 3);
  uint32_t root = tree_add_root(&b.t, &b, KEY, 0, 1);
  for (int i = 0; i < 5; i++) tree_note_cycle(&b.t, root, KEY, 0, root);
  CHECK(b.t.cycle_count == 2 && b.t.cycles_dropped == 3, "%u kept, %u dropped", b.t.cycle_count,
        b.t.cycles_dropped);
  close_bounded(&b);
}

static void test_long_cycle(void) {
  const uint32_t length = 4000;
  tree t;
  tree_init_growing(&t, TREE_UNLIMITED);
  uint32_t at = tree_add_root(&t, &t, KEY, 0, 1);
  uint32_t root = at;
  for (uint32_t i = 0; i < length; i++) at = tree_add(&t, at, KEY, i, NULL, 1);
  tree_note_cycle(&t, at, KEY, 0, root);
  CHECK(t.cycle_count == 1, "a way back over %u steps is no cycle", length);
  tree_release(&t);
}

static void test_many_cycles(void) {
  const uint32_t children = 100000;
  tree t;
  tree_init_growing(&t, TREE_UNLIMITED);
  uint32_t root = tree_add_root(&t, &t, KEY, 0, 1);
  for (uintptr_t i = 0; i < children; i++) {
    uint32_t child = tree_add(&t, root, KEY, i, NULL, 1 + i % 100);
    tree_note_cycle(&t, child, KEY, 0, root);
  }
  double before_ms = check_now_ms();
  tree_select(&t, 256, TREE_UNLIMITED, by_place);
  CHECK(check_now_ms() - before_ms < 3000, "it takes %.0f ms", check_now_ms() - before_ms);
  CHECK(t.cycle_count == 256, "%u cycles are left", t.cycle_count);
  tree_release(&t);
}

static void test_memory(void) {
  for (uint32_t nodes = 16; nodes < 600; nodes += 3)
    for (uint32_t cycles = 0; cycles < 40; cycles += 13)
      CHECK(tree_memory_bytes(nodes, cycles) <= TREE_MEMORY_BYTES(nodes, cycles),
            "%u nodes need %zu bytes, the macro says %zu", nodes, tree_memory_bytes(nodes, cycles),
            (size_t)TREE_MEMORY_BYTES(nodes, cycles));
}

static const test tests[] = {
    {"nothing told to a bounded tree gets lost, however small it is", test_bounded},
    {"nothing told to a growing tree gets lost", test_growing},
    {"a growing tree without memory loses lines, not bytes, and leaks nothing", test_all_refused},
    {"the same where a single loan is refused", test_one_refused},
    {"the largest entries of thousands stay in a small tree", test_largest_stay},
    {"an entry that turns out to be large gets its node after all", test_admitted},
    {"an entry that turns out to be large, where nothing can be folded, counts once",
     test_not_admitted},
    {"many entries that are alike do not take turns", test_alike},
    {"what is as small as the largest that was folded gets no node", test_shrinking},
    {"what has a name keeps its node beside any amount of data, and one of many has no name",
     test_holders},
    {"names keep their nodes before half of the room is left to data", test_many_names},
    {"where names alone fill a tree they are folded as data is", test_crowded},
    {"a tree starts again, once and empty, for what adds up to far more than what has a node",
     test_start_again},
    {"of more suspects than there is room for the large one is found, and no other", test_suspects},
    {"an eighth of the nodes at most is wanted", test_wanted},
    {"what is wanted gets a node whatever its size, and keeps it", test_wanted_stay},
    {"a node is found by two other objects, until they have nodes of their own", test_aliases},
    {"the largest children stay, whether they have children or not", test_children},
    {"as many lines stay as the options allow", test_lines},
    {"of entries of one size those stay whose names come first, however they were told", test_ties},
    {"sorted is largest first, then by name", test_sorted},
    {"only a reference to an ancestor is a cycle", test_cycles},
    {"cycles for which there is no room are counted", test_dropped_cycles},
    {"a way back over four thousand steps is a cycle", test_long_cycle},
    {"a hundred thousand cycles are folded in time", test_many_cycles},
    {"a constant array for a tree is large enough", test_memory},
};
CHECK_MAIN(tests)
