/*
** The modules of aos. Their sources are constants in the image's code, not in linear memory.
** The table and the code are made by wasm/bundle.js.
*/
#ifndef bundle_h
#define bundle_h

#include <stddef.h>
#include <stdint.h>

struct bundle_module {
  const char *name;
  uint32_t bytes;
};

/* A source is written in pieces of this many bytes: what takes it has room for whole ones. */
#define BUNDLE_PIECE_BYTES 256u

extern const struct bundle_module bundle_modules[];
extern const size_t bundle_module_count;

#endif
