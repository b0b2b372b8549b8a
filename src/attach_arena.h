/*
** arena: where the profiler outside a process borrows memory (see borrow.h).
*/
#ifndef MEMBUDDY_ATTACH_ARENA_H
#define MEMBUDDY_ATTACH_ARENA_H

#include <stdint.h>

/* Everything that was borrowed before is gone. */
void arena_start(uintptr_t address);
/* The most that was on loan at one time. */
double arena_peak_bytes(void);

#endif
