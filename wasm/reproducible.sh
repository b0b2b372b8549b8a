#!/usr/bin/env bash
# Builds the given products in two folders of different length and compares the bytes of each. What was downloaded is
# shared; nothing that was built is.
#   reproducible.sh FILE...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
work=build/reproducible
trap 'rm -rf "$root/$work"' EXIT

build_in() { # FOLDER FILE...
  local folder=$1
  shift
  mkdir -p "$folder/build"
  cp -a "$work/sources/." "$folder/"
  ln -s "$root/node_modules" "$folder/node_modules"
  for downloaded in toolchain lua-5.4.7 lua-5.3.6 specimens node; do
    [ ! -e "build/$downloaded" ] || ln -s "$root/build/$downloaded" "$folder/build/$downloaded"
  done
  make -C "$folder" "$@" >"$folder/log" 2>&1 || { tail -n 20 "$folder/log" >&2; exit 1; }
}

rm -rf "$work"
mkdir -p "$work/sources"
cp -a Makefile package.json package-lock.json scripts src wasm test "$work/sources/"
build_in "$work/a" "$@"
build_in "$work/a-folder-with-a-much-longer-name" "$@"
(cd "$work/a" && sha256sum "$@") >"$work/sums"
cat "$work/sums"
(cd "$work/a-folder-with-a-much-longer-name" && sha256sum --check --quiet "$root/$work/sums")
echo "$# products, built twice: the same bytes"
