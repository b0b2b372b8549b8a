/* What only the linking tells: limits, for the profiler, which cannot see them from inside, and the
** pages to begin with. */
#include "boot/asyncify_bytes.h"
#include "boot/memory.h"
#include "platform.h"

/* link.sh says them */
#if !defined(IMAGE_MAXIMUM_BYTES)
#define IMAGE_MAXIMUM_BYTES 0
#define IMAGE_INITIAL_BYTES 0
#endif

const struct membuddy_image_limits membuddy_image_limits = {
    .memory_maximum_bytes = IMAGE_MAXIMUM_BYTES,
    .asyncify_bytes = IMAGE_ASYNCIFY_BYTES,
};

size_t image_own_pages = IMAGE_INITIAL_BYTES / PLATFORM_PAGE_BYTES;
