#!/usr/bin/env bash
# Links the image without the profiler, by the very rules that link it with: in a folder of links to the repository,
# whose src/ has an empty library in the place of ours.
#   without.sh FOLDER IMAGE    the image's file in the folder
set -euo pipefail
folder=$1 image=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

link_all() { # FOLDER FILE...
  local into=$1
  shift
  mkdir -p "$into"
  for file in "$@"; do ln -sfn "$file" "$into/${file##*/}"; done
}

link_all "$folder" "$root"/{Makefile,package.json,package-lock.json,node_modules,scripts,test,wasm}
link_all "$folder/build" "$root"/build/{toolchain,lua-5.4.7,lua-5.3.6,specimens,node,image}
link_all "$folder/src" "$root/src/platform.h" "$root"/scripts/bench/without/*
unset MAKEFLAGS MFLAGS MAKELEVEL # of the make that may have started us
make --no-print-directory -C "$folder" "$image"
