#include "arguments.h"

#include <stdint.h>
#include <stdlib.h>

struct argument {
  struct argument *next;
  char text[];
};

static struct argument *arguments;

static bool is_text_lost;

/* The end of memory: what JavaScript writes there is dropped without a word. In 32 bits its numbers
** begin anew behind 4 GiB, where a longer text would run over what stands at address 0; so the call
** ends, before anything has happened. */
static char *lose_text(size_t bytes) {
  enum { page_bytes = 65536 };
  uintptr_t end = (uintptr_t)__builtin_wasm_memory_size(0) * page_bytes;
  if (bytes > UINTPTR_MAX - end) __builtin_trap();
  is_text_lost = true;
  return (char *)end;
}

/* `_emscripten_stack_alloc` (stack.S). */
void *image_allocate_argument(size_t bytes) {
  struct argument *argument = malloc(sizeof *argument + bytes);
  if (argument == NULL) return lose_text(bytes);
  argument->next = arguments;
  arguments = argument;
  return argument->text;
}

bool arguments_lost(void) { return is_text_lost; }

void arguments_release(void) {
  is_text_lost = false;
  while (arguments != NULL) {
    struct argument *next = arguments->next;
    free(arguments);
    arguments = next;
  }
}
