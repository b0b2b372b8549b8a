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

/* Lua's own format of floats, alone: LUA_NUMBER_FMT. */
int snprintf(char *text, size_t room, const char *format, ...) {
  va_list arguments;
  (void)room, (void)format;
  va_start(arguments, format);
  uint32_t length = attach_write_number(text, va_arg(arguments, double));
  va_end(arguments);
  text[length] = '\0';
  return (int)length;
}
