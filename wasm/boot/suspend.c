#include "suspend.h"

#include <stdbool.h>
#include <stdlib.h>

#include <emscripten/heap.h>

#include "asyncify_bytes.h"
#include "image.h"

enum { buffer_bytes = IMAGE_ASYNCIFY_BYTES };

/* [current][end][the loader's id of the call][frames ...]: the loader writes the header, Asyncify
** the frames. */
struct unwind_buffer {
  char *current;
  char *end;
};

IMAGE_HOST_IMPORT(__asyncjs__weavedrive_open) int host_open(const char *name, const char *mode);
IMAGE_HOST_IMPORT(__asyncjs__weavedrive_read) int host_read(int descriptor, void *to, size_t bytes);

static struct unwind_buffer *prepared;   /* waits for the loader to ask */
static struct unwind_buffer *handed_out; /* the loader's now, and freed by the loader */
static bool is_rewinding;                /* the same call comes again, to fetch its answer */

/* The loader's way to memory, and the C library's. */
void *malloc(size_t bytes) {
  if (prepared == NULL || bytes <= buffer_bytes) return emscripten_builtin_malloc(bytes);
  handed_out = prepared;
  prepared = NULL;
  return handed_out;
}

static bool begin(void) {
  if (is_rewinding) return true;
  prepared = malloc(buffer_bytes);
  if (prepared == NULL) {
    image_collect_garbage();
    prepared = malloc(buffer_bytes);
  }
  return prepared != NULL;
}

static void end(void) {
  if (handed_out != NULL) handed_out->end = (char *)handed_out + buffer_bytes;
  is_rewinding = handed_out != NULL;
  handed_out = NULL;
  free(prepared); /* not asked for: the host answered at once, or this was the answer */
  prepared = NULL;
}

/* These two stand on Asyncify's list of functions to leave alone (link.sh): they see the loader's
** header before any frame is written, and run again from their first line when the answer is
** there. */
int suspend_open_untouched(const char *name, const char *mode) {
  if (!begin()) return suspend_no_memory;
  int descriptor = host_open(name, mode);
  end();
  return descriptor > 0 ? descriptor : 0;
}

int suspend_read_untouched(int descriptor, void *to, size_t bytes) {
  if (!begin()) return suspend_no_memory;
  int read_bytes = host_read(descriptor, to, bytes);
  end();
  return read_bytes > 0 ? read_bytes : 0;
}

/* Asyncify takes every indirect call for one that may unwind, and a direct one to the above for
** one that does not. */
static int (*volatile call_open)(const char *, const char *) = suspend_open_untouched;
static int (*volatile call_read)(int, void *, size_t) = suspend_read_untouched;

int suspend_open(const char *name, const char *mode) { return call_open(name, mode); }

int suspend_read(int descriptor, void *to, size_t bytes) {
  return call_read(descriptor, to, bytes);
}
