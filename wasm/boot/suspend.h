/*
** Calls that the host answers later.
**
** Asyncify unwinds the C stack into a buffer, returns to the host, and winds it up again when the
** answer is there. The loader allocates that buffer with `malloc`, 40 MiB of it, at every call;
** memory grown for it stays grown. Here the buffer is made before the call, as large as the deepest
** C stack needs, given to the loader when it asks for its 40 MiB, and its true end is written over
** the loader's.
*/
#ifndef suspend_h
#define suspend_h

#include <stddef.h>

/* What both give where no memory is left for the buffer; the host was not asked. */
enum { suspend_no_memory = -1 };

/* A file descriptor; 0 where the host has no such file. */
int suspend_open(const char *name, const char *mode);

/* Bytes read. */
int suspend_read(int descriptor, void *to, size_t bytes);

#endif
