#!/usr/bin/env bash
# Links one image, in four steps:
#   1. emcc        objects to WebAssembly (its JavaScript is thrown away: the loader has its own)
#   2. wasm-merge  adds aos's sources as a data segment that is no part of linear memory
#   3. wasm-opt    optimises; Asyncify, so that the process can wait for the host; optimises what Asyncify made
#   4. wasm-opt    64 bits: an indirect function table with 32-bit indices, which is what the loader calls with
# Function names stay in the image: tools and stack traces need them.
#   EMCC=... WASM_OPT=... link.sh BITS STACK_BYTES INITIAL_BYTES MAXIMUM_BYTES SOURCES.wat OUTPUT.wasm OBJECT...
set -euo pipefail
bits=$1 stack_bytes=$2 initial_bytes=$3 maximum_bytes=$4 sources=$5 output=$6
shift 6

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
wasm_merge=$(dirname "$(readlink -f "$WASM_OPT")")/wasm-merge # they come together, in Binaryen
work=$output.work
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir -p "$work"

# What the loader calls. Nothing else need be exported: it takes the rest of its wrappers for granted and unused.
exports=(_main _malloc _free _fflush _sbrk _setThrew _emscripten_stack_init _emscripten_stack_get_free
  _emscripten_stack_get_base _emscripten_stack_get_end _emscripten_stack_get_current
  __emscripten_stack_alloc __emscripten_stack_restore)
width=() features=(--enable-bulk-memory --enable-simd --enable-sign-ext --enable-mutable-globals
  --enable-nontrapping-float-to-int --enable-reference-types --enable-multivalue)
last_passes=()
if [ "$bits" = 64 ]; then
  width=(-sMEMORY64=1 -Wno-experimental)
  features+=(--enable-memory64)
  last_passes=(--table64-lowering)
fi

# The stack comes first in memory: what overflows it traps, instead of writing over static data.
"$EMCC" -O2 -Wall -Wextra -Werror "${width[@]}" -I"$here/../src" -DIMAGE_MAXIMUM_BYTES="${maximum_bytes}ull" \
  -c "$here/limits.c" -o "$work/limits.o"

"$EMCC" "${width[@]}" -O1 -g2 "$@" "$work/limits.o" -lm -o "$work/linked.js" \
  -sSTACK_SIZE="$stack_bytes" -sINITIAL_MEMORY="$initial_bytes" -sMAXIMUM_MEMORY="$maximum_bytes" \
  -nostdlib++ -sAUTO_NATIVE_LIBRARIES=0 -sALLOW_MEMORY_GROWTH=1 -Wl,--stack-first -sSUPPORT_LONGJMP=emscripten -sASSERTIONS=0 -sMODULARIZE=1 \
  -sDETERMINISTIC=1 -sFORCE_FILESYSTEM=1 -sEXPORTED_FUNCTIONS="$(IFS=, && echo "${exports[*]}")" \
  --js-library "$here/host_imports.js"

"$wasm_merge" "${features[@]}" --enable-multimemory -g "$work/linked.wasm" image "$sources" bundle -o "$work/merged.wasm"

waits=env.__asyncjs__weavedrive_open,env.__asyncjs__weavedrive_read,env.invoke_vjj,env.invoke_vii
"$WASM_OPT" "${features[@]}" -g "$work/merged.wasm" -O3 \
  --asyncify --pass-arg=asyncify-imports@"$waits" \
  --pass-arg=asyncify-removelist@suspend_open_untouched,suspend_read_untouched \
  -O3 "${last_passes[@]}" -o "$work/image.wasm"

mv "$work/image.wasm" "$output"
