/* Checks that a tree's bytes are all there; returns them. */
#ifndef TREE_SUMS_H
#define TREE_SUMS_H

#include "tree.h"

size_t audit_tree(tree *t);

#endif
