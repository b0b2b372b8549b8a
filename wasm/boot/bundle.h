/*
** Where each module of aos stands in the data segment that the image carries beside linear memory.
** The table and the segment are made by wasm/bundle.js.
*/
#ifndef bundle_h
#define bundle_h

#include <stddef.h>
#include <stdint.h>

struct bundle_module {
  const char *name;
  uint32_t offset_bytes;
  uint32_t bytes;
};

extern const struct bundle_module bundle_modules[];
extern const size_t bundle_module_count;

#endif
