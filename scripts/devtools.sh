#!/usr/bin/env bash
# Provides the loader of heap snapshots of Chrome's DevTools under build/devtools, for test/attach-export.once.test.js: its own
# files out of the npm package chrome-devtools-frontend, pinned in toolchain.lock. Where the package cannot be had, the
# test says so and is skipped.
set -euo pipefail
# shellcheck source=scripts/npm.sh
. "$(dirname "$0")/npm.sh"

directory=$root/build/devtools
package=chrome-devtools-frontend
wanted="$(locked_npm "$package" "") $(cksum <"$root/scripts/devtools.js")"

is_there() { [ "$(cat "$directory/.pin" 2>/dev/null)" = "$wanted" ]; }

main() {
  is_there && return
  one_at_a_time "$root/build/devtools.lock"
  is_there && return
  local archive=$root/build/$package.tgz new=$directory.new
  npm_download "$package" "" "$archive"
  rm -rf "$new"
  mkdir -p "$new/sources"
  tar -xzmf "$archive" -C "$new/sources" --strip-components=2 --no-same-owner \
    package/front_end/{core/platform,core/text_utils,models/heap_snapshot,entrypoints/heap_snapshot_worker}
  node "$root/scripts/devtools.js" "$new/sources" "$new"
  rm -rf "$new/sources"
  echo "$wanted" >"$new/.pin"
  rm -rf "$directory"
  mv "$new" "$directory"
  rm -f "$archive"
  say "the loader of Chrome's DevTools is in build/devtools"
}

main
