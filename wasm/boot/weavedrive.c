#define weavedrive_c
#include "weavedrive.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#include "suspend.h"

enum { most_host_files = 4096, bits_per_word = 32 };

static unsigned
    host_file_bits[most_host_files / bits_per_word]; /* which descriptors the host serves */

static bool is_host_file(int descriptor) {
  return descriptor >= 0 && descriptor < most_host_files &&
         (host_file_bits[descriptor / bits_per_word] >> (descriptor % bits_per_word) & 1u) != 0;
}

static void set_host_file(int descriptor, bool is_host) {
  unsigned bit = 1u << (descriptor % bits_per_word);
  unsigned *word = &host_file_bits[descriptor / bits_per_word];
  *word = is_host ? *word | bit : *word & ~bit;
}

/* The host's names are absolute. Relative ones and Lua's own library folder come from `require`
** looking for a module: a missing module is found missing at once, not after eight round trips
** through the host. */
static bool is_host_name(const char *name) {
  return name[0] == '/' && strncmp(name, "/usr/", 5) != 0;
}

static FILE *fail(int error) {
  errno = error;
  return NULL;
}

FILE *weavedrive_fopen(const char *name, const char *mode) {
  if (!is_host_name(name)) return fail(ENOENT);
  int descriptor = suspend_open(name, mode);
  if (descriptor == suspend_no_memory) return fail(ENOMEM);
  if (descriptor == 0) return fail(ENOENT);
  FILE *file = descriptor < most_host_files ? fdopen(descriptor, mode) : fail(EMFILE);
  if (file == NULL)
    close(descriptor);
  else
    set_host_file(descriptor, true);
  return file;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* What reading by line or by number has fetched already stands in the stream's buffer and comes
** first. Where the host can't be asked, that is an error of the stream: less than was wanted would
** be taken for the file's end. The host's read knows no end of file for headers of blocks and
** transactions; aos asks for exact sizes. */
size_t weavedrive_fread(void *to, size_t item_bytes, size_t items, FILE *file) {
  int descriptor = fileno(file);
  if (!is_host_file(descriptor)) return fread(to, item_bytes, items, file);
  size_t wanted_bytes = item_bytes * items;
  if (wanted_bytes == 0) return 0;
  size_t bytes = fread(to, 1, smaller(wanted_bytes, __freadahead(file)), file);
  if (bytes < wanted_bytes) {
    int read_bytes = suspend_read(descriptor, (char *)to + bytes, wanted_bytes - bytes);
    if (read_bytes == suspend_no_memory) {
      __fseterr(file);
      errno = ENOMEM;
    } else {
      bytes += (size_t)read_bytes;
    }
  }
  return bytes / item_bytes;
}

/* Closing needs no round trip: the C library's close is the host's. */
int weavedrive_fclose(FILE *file) {
  int descriptor = fileno(file);
  if (is_host_file(descriptor)) set_host_file(descriptor, false);
  return fclose(file);
}
