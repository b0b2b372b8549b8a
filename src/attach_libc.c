/* What the compiler and our own files ask a C library for: the module is alone in a stranger's
** memory. Numbers are written by the host, which knows how. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

__attribute__((import_module("env"), import_name("write_number"))) uint32_t
attach_write_number(char *text, double value);

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  return __builtin_memcpy(to, from, bytes); /* an instruction: -mbulk-memory */
}
void *memmove(void *to, const void *from, size_t bytes) {
  return __builtin_memmove(to, from, bytes);
}
void *memset(void *to, int byte, size_t bytes) { return __builtin_memset(to, byte, bytes); }

int memcmp(const void *a, const void *b, size_t bytes) {
  const unsigned char *x = a, *y = b;
  for (; bytes > 0; bytes--, x++, y++)
    if (*x != *y) return *x - *y;
  return 0;
}
void *memchr(const void *text, int byte, size_t bytes) {
  const unsigned char *at = text;
  for (; bytes > 0; bytes--, at++)
    if (*at == (unsigned char)byte) return (void *)at;
  return NULL;
}
size_t strlen(const char *text) {
  const char *end = text;
  while (*end) end++;
  return (size_t)(end - text);
}
int strcmp(const char *a, const char *b) {
  for (; *a && *a == *b; a++) b++;
  return (unsigned char)*a - (unsigned char)*b;
}
char *strchr(const char *text, int byte) {
  for (;; text++) {
    if (*text == (char)byte) return (char *)text;
    if (*text == '\0') return NULL;
  }
}
size_t strspn(const char *text, const char *accepted) {
  size_t length = 0;
  while (text[length] && strchr(accepted, text[length])) length++;
  return length;
}

static size_t write_integer(char *text, long long value) {
  char digits[20];
  size_t count = 0, length = 0;
  unsigned long long left = value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value;
  do digits[count++] = (char)('0' + left % 10);
  while (left /= 10);
  if (value < 0) text[length++] = '-';
  while (count > 0) text[length++] = digits[--count];
  text[length] = '\0';
  return length;
}

/* Lua's own formats of numbers, alone: LUA_INTEGER_FMT and LUA_NUMBER_FMT. */
int snprintf(char *text, size_t room, const char *format, ...) {
  va_list arguments;
  size_t length;
  (void)room;
  va_start(arguments, format);
  if (strchr(format, 'g')) {
    length = attach_write_number(text, va_arg(arguments, double));
    text[length] = '\0';
  } else {
    length = write_integer(text, va_arg(arguments, long long));
  }
  va_end(arguments);
  return (int)length;
}
