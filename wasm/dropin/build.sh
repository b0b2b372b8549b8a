#!/usr/bin/env bash
# Links the drop-in archive into a process of the official builder's kind, with the official builder's flags.
#   EMCC=... WASM_OPT=... build.sh BITS LUA_SOURCES ARCHIVE OUTPUT.wasm
set -euo pipefail
bits=$1 lua=$2 archive=$3 output=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$output.work.$$
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"

width=() passes=()
[ "$bits" = 32 ] || { width=(--target=wasm64 -Wno-experimental); passes=(--table64-lowering); }
mapfile -t sources < <(find "$lua" -name 'l*.c' ! -name lua.c ! -name luac.c | sort)

"$EMCC" -O3 -g2 -w "${width[@]}" -I"$lua" -DLUA_COMPAT_5_2 "${sources[@]}" "$here/process.c" "$archive" -lm -nostdlib++ \
  -sASYNCIFY=1 -sSTACK_SIZE=1048576 -sASYNCIFY_STACK_SIZE=1048576 -sALLOW_MEMORY_GROWTH=1 -sINITIAL_MEMORY=4194304 \
  -sMAXIMUM_MEMORY=268435456 -sMODULARIZE=1 -sFORCE_FILESYSTEM=1 -sSUPPORT_LONGJMP=1 \
  -sASSERTIONS=1 -msimd128 -sAUTO_NATIVE_LIBRARIES=0 \
  -sEXPORTED_FUNCTIONS=_malloc,_main,_free,_fflush -sEXPORTED_RUNTIME_METHODS=cwrap -o "$work/process.js"
"$WASM_OPT" --all-features -g "${passes[@]}" "$work/process.wasm" -o "$work/lowered.wasm"
mv "$work/lowered.wasm" "$output"
