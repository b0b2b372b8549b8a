#include "tree_sums.h"

#include "check.h"

size_t audit_tree(tree *t) {
  size_t told = 0, roots = 0;
  tree_sum(t);
  for (uint32_t i = 0; i < t->used; i++) {
    const tree_node *n = &t->nodes[i];
    if (!n->in_use) continue;
    told += n->own_bytes + n->below_bytes + n->folded_bytes;
    if (n->parent == TREE_NONE) roots += n->total_bytes;
  }
  CHECK(told == roots, "the lines add up to %zu bytes, the roots to %zu", told, roots);
  return told;
}
