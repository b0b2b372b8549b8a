/*
** path: where an object stands, in words.
**
** A path is the chain of labels from a root, joined by `/`. A string key is
** itself, cut after 64 bytes and without anything that a terminal, a parser or
** a reader could mistake: `/` becomes `\/`, `\` becomes `\\`, control and
** invalid bytes become `\xNN`. Everything that is not a key of that kind stands in brackets. No
** address is ever printed, so the same heap gives the same paths.
*/
#ifndef MEMBUDDY_PATH_H
#define MEMBUDDY_PATH_H

#include "layout.h"
#include "tree.h"

/* Longest text of one label: 64 escaped bytes, an ellipsis, brackets, a line number, a zero. */
#define PATH_LABEL_BYTES 320

/* Longest name of a root: what is longer is cut. */
#define PATH_LONGEST_ROOT (PATH_LABEL_BYTES - 32u)

/* Writes the label of a reference that `from` holds (may be NULL), with a zero behind it. Returns
** its length in bytes. */
size_t path_label(char text[PATH_LABEL_BYTES], label place, const GCObject *from);

/* To be called before labels are asked for where a program ran since: frames may be gone. */
void path_forget_frames(void);

/* The label of a node's own step, as `path_label`. */
size_t path_node_label(char text[PATH_LABEL_BYTES], const tree *t, uint32_t node);

/* Writes the name of a variable as a string key that reads so, and returns it. */
const char *path_name(char text[PATH_LABEL_BYTES], const char *name);

/* Whether another reference of the same object may have the same label. A string key is told
** apart by what it is, unless something else might read so, or it was cut. */
int path_may_repeat(label_kind kind, const char *text, size_t bytes);

/* The label of the line that stands for so many entries without one. */
size_t path_folded_label(char text[PATH_LABEL_BYTES], uint32_t count);

/* Bytes of the UTF-8 character at `text`; 0 where there is none that may be printed. */
size_t path_printable_character(const unsigned char *text, size_t left);

/* A chunk's name as its author gave it: the first line, without Lua's mark of where it is from; `?`
** where it has none. */
const char *path_source(const TString *source, size_t *bytes);

/* The name of the upvalue that a reference of a function stands for; NULL where there is none. */
const TString *path_upvalue_name(label place, const GCObject *function);

/* An order of nodes by name that depends on nothing else: a `tree_compare`. Integers go by value,
** strings byte by byte, all else by its text. Of two whose last steps are alike the steps before
** decide, as far as PATH_LONGEST_TIE steps. */
#define PATH_LONGEST_TIE 64
int path_compare(const tree *t, uint32_t a, uint32_t b);

#endif
