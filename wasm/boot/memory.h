#ifndef memory_h
#define memory_h

#include <stddef.h>

/* What the process grew, in pages, with those that it began with (limits.c). There may be more. */
extern size_t image_own_pages;

#endif
