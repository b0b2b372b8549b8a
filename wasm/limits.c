/* What the image says about itself to the profiler, which cannot see it from inside. */
#include "boot/asyncify_bytes.h"
#include "platform.h"

#if !defined(IMAGE_MAXIMUM_BYTES)
#define IMAGE_MAXIMUM_BYTES 0 /* unknown; link.sh says it */
#endif

const struct membuddy_image_limits membuddy_image_limits = {
    .memory_maximum_bytes = IMAGE_MAXIMUM_BYTES,
    .asyncify_bytes = IMAGE_ASYNCIFY_BYTES,
};
