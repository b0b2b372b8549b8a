/*
** ahead: brings the objects of a list into the cache before the list leads to
** them.
**
** A list links objects in the order in which they were made, and mostly they lie
** in memory in that order too. So where the next ones lie is guessed from the
** last: as far on as these were apart. The links alone make every object wait
** for the one before. A wrong guess costs one read.
*/
#ifndef MEMBUDDY_AHEAD_H
#define MEMBUDDY_AHEAD_H

#include "layout.h"

#define OBJECTS_AHEAD 16u

typedef struct {
  uintptr_t from, distance; /* of as many objects */
  unsigned left;            /* of them */
  unsigned char read;       /* so that nobody leaves the reads out */
} look_ahead;

#ifdef __wasm__ /* has no instruction for it */
LAYOUT_INLINE void touch(look_ahead *ahead, uintptr_t address) {
  if (address >> 16 < __builtin_wasm_memory_size(0)) ahead->read ^= *(const unsigned char *)address;
}
#else
LAYOUT_INLINE void touch(look_ahead *ahead, uintptr_t address) {
  (void)ahead;
  __builtin_prefetch((const void *)address);
}
#endif

LAYOUT_INLINE void look_ahead_of(look_ahead *ahead, const GCObject *object) {
  uintptr_t address = (uintptr_t)object;
  if (ahead->left-- == 0) {
    ahead->distance = address - ahead->from;
    ahead->from = address;
    ahead->left = OBJECTS_AHEAD - 1;
  }
  touch(ahead, address + ahead->distance);
}

LAYOUT_INLINE void end_looking_ahead(const look_ahead *ahead) {
  volatile unsigned char read = ahead->read;
  (void)read;
}

#endif
