#include "attach_text.h"

#include <string.h>

#include "attach_graph.h"
#include "borrow.h"
#include "path.h"

#define BUFFER_BYTES (256u * 1024)

static char *buffer;
static size_t used;
static double flushed_bytes;

int text_begin(void) {
  buffer = borrow(BUFFER_BYTES);
  used = 0;
  flushed_bytes = 0;
  return buffer != NULL;
}

void text_flush(void) {
  attach_write(buffer, used);
  flushed_bytes += (double)used;
  used = 0;
}

void text_end(void) {
  borrow_return(buffer);
  buffer = NULL;
}

double text_bytes(void) { return flushed_bytes + (double)used; }

char *text_room(void) {
  if (used + TEXT_ROOM > BUFFER_BYTES) text_flush();
  return buffer + used;
}
void text_done(const char *end) { used = (size_t)(end - buffer); }

char *text_put_number(char *at, uint32_t number) {
  char digits[10];
  unsigned count = 0;
  do digits[count++] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  while (count > 0) *at++ = digits[--count];
  return at;
}

static void write_bytes(const char *bytes, size_t count) {
  while (count > 0) {
    size_t part = count < TEXT_ROOM ? count : TEXT_ROOM;
    char *at = text_room();
    memcpy(at, bytes, part);
    text_done(at + part);
    bytes += part;
    count -= part;
  }
}

void text_write(const char *words) { write_bytes(words, strlen(words)); }
void text_write_number(uint32_t number) { text_done(text_put_number(text_room(), number)); }

static char *put_byte_in_hex(char *at, const char *mark, unsigned char byte) {
  static const char hex[] = "0123456789ABCDEF";
  while (*mark) *at++ = *mark++;
  *at++ = hex[byte >> 4];
  *at++ = hex[byte & 15];
  return at;
}

/* Returns how many bytes of `text` the character stood for. */
static size_t put_character(char **at, const unsigned char *text, size_t left) {
  size_t printable = path_printable_character(text, left);
  if (printable == 0) {
    *at = put_byte_in_hex(*at, *text < 0x80 ? "\\u00" : "\\\\x", *text);
    return 1;
  }
  if (*text == '"' || *text == '\\') *(*at)++ = '\\';
  memcpy(*at, text, printable);
  *at += printable;
  return printable;
}

void text_write_escaped(const char *bytes, size_t length, size_t limit) {
  const unsigned char *text = (const unsigned char *)bytes;
  size_t end = length < limit ? length : limit, i = 0;
  while (i < end) {
    char *at = text_room(), *last = at + TEXT_ROOM - 8; /* no character takes more */
    while (i < end && at < last) i += put_character(&at, text + i, length - i);
    text_done(at);
  }
  if (i < length) text_write("\xE2\x80\xA6");
}
