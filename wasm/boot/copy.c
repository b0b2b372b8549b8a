/*
** Copies of memory. The images do without bulk memory (image.mk), and without it the C library
** copies byte by byte what is not aligned alike, and asks the host for what is long. In WebAssembly
** a word may lie anywhere.
*/
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { word_bytes = 8, words_at_once = 4 };

typedef uint64_t __attribute__((aligned(1), may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  char *target = to;
  const char *source = from;
  if (bytes < word_bytes) {
    while (bytes-- > 0) *target++ = *source++;
    return to;
  }
  /* the last word, which may overlap the one before */
  word last = *(const word *)(source + bytes - word_bytes);
  *(word *)(target + bytes - word_bytes) = last;
  for (; bytes >= words_at_once * word_bytes; bytes -= words_at_once * word_bytes) {
    const word *s = (const word *)source;
    word *t = (word *)target;
    word a = s[0], b = s[1], c = s[2], d = s[3];
    t[0] = a, t[1] = b, t[2] = c, t[3] = d;
    source += words_at_once * word_bytes;
    target += words_at_once * word_bytes;
  }
  for (; bytes > word_bytes; bytes -= word_bytes) {
    *(word *)target = *(const word *)source;
    source += word_bytes;
    target += word_bytes;
  }
  return to;
}
