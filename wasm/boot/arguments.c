#include "arguments.h"

#include <stdint.h>
#include <stdlib.h>

struct argument {
  struct argument *next;
  char text[];
};

static struct argument *arguments;

/* Behind every memory: what JavaScript writes there is dropped without a word. */
#define LOST_TEXT ((char *)(UINTPTR_MAX & ~(uintptr_t)0xFFFF))

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
