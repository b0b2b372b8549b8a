#!/usr/bin/env bash
# Links one image, in four steps:
#   1. emcc        objects to WebAssembly (its JavaScript is thrown away: the loader has its own)
#   2. wasm-opt    optimises; Asyncify, so that the process can wait for the host; optimises what Asyncify made
#   3. wasm-opt    64 bits: an indirect function table with 32-bit indices, which is what the loader calls with
#   4. wasm-merge  adds aos's sources, as code that writes them
# Function names stay in the image: tools and stack traces need them.
#   EMCC=... WASM_OPT=... LLVM_NM=... link.sh BITS STACK_BYTES INITIAL_BYTES MAXIMUM_BYTES SOURCES.wat OUTPUT.wasm \
#     OBJECT... PROFILER.a
set -euo pipefail
bits=$1 stack_bytes=$2 initial_bytes=$3 maximum_bytes=$4 sources=$5 output=$6 archive=${*: -1}
objects=("${@:7:$#-7}")

# 32 bits address no more than this, in the loader too.
most_bytes_of_32=4294901760
[ "$bits" = 64 ] || [ "$maximum_bytes" -le "$most_bytes_of_32" ] || maximum_bytes=$most_bytes_of_32

listed() { local IFS=,; echo "$*"; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
wasm_merge=$(dirname "$(readlink -f "$WASM_OPT")")/wasm-merge # they come together, in Binaryen
work=$output.work.$$
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir -p "$work"

# What the loader calls. Nothing else need be exported: it takes the rest of its wrappers for granted and unused.
exports=(_main _malloc _free _fflush _sbrk _setThrew _emscripten_stack_init _emscripten_stack_get_free
  _emscripten_stack_get_base _emscripten_stack_get_end _emscripten_stack_get_current
  __emscripten_stack_alloc __emscripten_stack_restore)
width=() features=(--enable-sign-ext --enable-mutable-globals)
last_passes=()
if [ "$bits" = 64 ]; then
  width=(--target=wasm64 -Wno-experimental)
  features+=(--enable-memory64)
  last_passes=(--table64-lowering)
fi

# The stack comes first in memory: what overflows it traps, instead of writing over static data.
"$EMCC" -O2 -Wall -Wextra -Werror "${width[@]}" -I"$here/../src" \
  -DIMAGE_INITIAL_BYTES="${initial_bytes}ull" -DIMAGE_MAXIMUM_BYTES="${maximum_bytes}ull" \
  -c "$here/limits.c" -o "$work/limits.o"

link() { # FLAG...
  "$EMCC" "${width[@]}" "$@" -O1 -g2 "${objects[@]}" "$archive" "$work/limits.o" -lm -o "$work/linked.js" \
    -sSTACK_SIZE="$stack_bytes" -sINITIAL_MEMORY="$initial_bytes" -sMAXIMUM_MEMORY="$maximum_bytes" \
    -nostdlib++ -sAUTO_NATIVE_LIBRARIES=0 -sALLOW_MEMORY_GROWTH=1 -Wl,--stack-first -sSUPPORT_LONGJMP=emscripten -sASSERTIONS=0 -sMODULARIZE=1 \
    -sFORCE_FILESYSTEM=1 -sEXPORTED_FUNCTIONS="$(listed "${exports[@]}")" \
    --js-library "$here/host_imports.js"
}

# No instruction that the published images do without (image.mk): by the Safari's version Emscripten takes the library
# that has none, although wasm64 is younger. A later Emscripten may have no such library, and Binaryen does not lower
# bulk memory for wasm64: then the image has it, too.
if ! link -mno-bulk-memory -mno-nontrapping-fptoint -sMIN_SAFARI_VERSION=140100 -Wno-compatibility 2>"$work/log"; then
  link
  echo "link.sh: $output has bulk memory, as this Emscripten's library: it does not load in the formats that meter" >&2
  features+=(--enable-bulk-memory --enable-nontrapping-float-to-int --enable-reference-types --enable-multivalue)
fi

# Asyncify instruments whatever may be on the stack while the process waits, and takes every call through a pointer for
# one that may. These call through pointers and never wait: the allocator, the C library's streams, freeing, throwing,
# and the profiler, but for its border (src/sources.mk). Without the list every function that allocates would be
# slower and its frames larger. The first two see to the unwinding themselves (suspend.c).
waits=(env.__asyncjs__weavedrive_open env.__asyncjs__weavedrive_read env.invoke_vjj env.invoke_vii)
never_wait=(suspend_open_untouched suspend_read_untouched
  luaM_malloc_ luaM_realloc_ luaM_saferealloc_ luaM_shrinkvector_ luaM_free_ tryagain freeobj luaD_throw
  fclose fflush __toread __uflow __overflow __fseeko_unlocked __ftello_unlocked __fwritex
  __vfprintf_internal printf_core pop_arg)
"$LLVM_NM" --defined-only "$archive" >"$work/symbols"
mapfile -t core < <(awk -v may_wait="^(${MEMBUDDY_MAY_WAIT:-})[.]o:" \
  '/\.o:$/ { is_core = $0 !~ may_wait } is_core && $2 ~ /^[Tt]$/ { print $3 }' "$work/symbols")
# a name that something else bears as well would take that out of Asyncify's hands
twins=$("$LLVM_NM" --defined-only "${objects[@]}" | awk '$2 ~ /^[Tt]$/ { print $3 }' |
  grep -Fx -f <(printf '%s\n' "${core[@]}") | sort -u | tr '\n' ' ' || true)
if [ -n "$twins" ]; then
  echo "link.sh: functions of the profiler share names with others of the image: $twins; rename them" >&2
  exit 1
fi
# What the profiler's border calls is no part of it: inlined, Asyncify would take it for one.
apart=(--no-inline='luaM_*' --no-inline='function_*')
"$WASM_OPT" "${features[@]}" -g "$work/linked.wasm" "${apart[@]}" -O3 \
  --asyncify --pass-arg=asyncify-imports@"$(listed "${waits[@]}")" \
  --pass-arg=asyncify-removelist@"$(listed "${never_wait[@]}" "${core[@]}")" \
  -O3 "${last_passes[@]}" -o "$work/optimised.wasm" \
  2> >(grep -v 'removelist contained a non-existing' >&2) # inlined, or of the other Lua

"$wasm_merge" "${features[@]}" --enable-multimemory -g "$work/optimised.wasm" image "$sources" bundle -o "$work/image.wasm"

mv "$work/image.wasm" "$output"
