// What the loader offers beyond Emscripten's own library, and the writer of aos's sources that wasm-merge puts in.
// Only the names count: the glue that is made from this file is thrown away, the loader has its own.
addToLibrary({
  __asyncjs__weavedrive_open: (name, mode) => 0,
  __asyncjs__weavedrive_read: (descriptor, to, bytes) => 0,
  bundle_write: (to, module) => {},
});
