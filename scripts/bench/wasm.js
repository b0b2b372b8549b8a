const customSection = 0;
const headerBytes = 8; // magic number and version

/**
 * The size of a module without names of functions and other sections that no engine needs.
 * @param {Uint8Array} wasm
 */
export function bytesWithoutCustomSections(wasm) {
  let total = headerBytes;
  for (let at = headerBytes; at < wasm.length; ) {
    const id = wasm[at];
    let end = at + 1;
    let length = 0;
    for (let scale = 1, byte = 0x80; byte >= 0x80; scale *= 128) {
      byte = wasm[end++];
      length += (byte & 0x7f) * scale;
    }
    end += length;
    if (id !== customSection) total += end - at;
    at = end;
  }
  return total;
}
