#include "arguments.h"

#include <stdint.h>
#include <stdlib.h>

struct argument {
  struct argument *next;
  char text[];
};

static struct argument *arguments;

/* Where there is no memory, however long the text: what JavaScript writes there is dropped without
** a word. It takes 32-bit pointers for signed numbers, so this one lies 2 GiB below address 0. */
#if defined(__wasm64__)
#define LOST_TEXT ((char *)((uintptr_t)1 << 52))
#else
#define LOST_TEXT ((char *)((uintptr_t)1 << 31))
#endif

/* `_emscripten_stack_alloc` (stack.S). */
void *image_allocate_argument(size_t bytes) {
  struct argument *argument = malloc(sizeof *argument + bytes);
  if (argument == NULL) return LOST_TEXT;
  argument->next = arguments;
  arguments = argument;
  return argument->text;
}

bool arguments_lost(const char *text) { return text == LOST_TEXT; }

void arguments_release(void) {
  while (arguments != NULL) {
    struct argument *next = arguments->next;
    free(arguments);
    arguments = next;
  }
}
