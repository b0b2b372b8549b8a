#!/usr/bin/env bash
# Provides other people's programs that the tests alone need under build/test-tools, pinned in test-tools.lock:
#   aoconnect    the library through which aos's command line sends its messages
#   browser      Chromium's headless shell, with the libraries and letters that a bare machine lacks
#   devtools     the loader of heap snapshots of Chrome's DevTools: its sources, without their types
#   openmetrics  Prometheus's parser of OpenMetrics, out of its client for Python
#   pprof        what `go tool pprof` runs
# One that cannot be had (no network, no Debian, another processor) is told of, and the tests that want it are skipped;
# but for aoconnect: npm has it wherever npm works.
#   test-tools.sh [NAME]
set -euo pipefail
# shellcheck source=scripts/npm.sh
. "$(dirname "$0")/npm.sh"
# shellcheck source=scripts/debian.sh
. "$(dirname "$0")/debian.sh"

names=(aoconnect browser devtools openmetrics pprof)
# shellcheck disable=SC2034
lock_file=$root/scripts/test-tools.lock
tools=$root/build/test-tools
skipped="the tests that want it are skipped"

# --- where they come from: each leaves what it unpacks in the current directory -----------------------------------

from_npm() { # PACKAGE PATH...
  npm_download "$1" "" package.tgz
  tar -xzmf package.tgz --strip-components=1 --no-same-owner "${@:2}"
  rm package.tgz
}

# As with the toolchain, a later version is taken on the word of the archive's signature, which apt verifies.
from_debian() { # PACKAGE
  local version checksum file
  debian_update "$skipped"
  read -r _ version checksum < <(locked_debian "$1") || fail "$1 is not pinned for $architecture"
  say "downloading $1 from Debian"
  debian_apt apt-get -qq download "$1" >&2
  file=$(echo ./*.deb)
  if [ "$(dpkg-deb --field "$file" Version)" != "$version" ]; then
    say "note: Debian serves $(basename "$file"), test-tools.lock has $version"
  else
    [ "$(sha256_of "$file")" = "$checksum" ] || fail "$1 $version arrived with a wrong checksum; run again"
  fi
  dpkg-deb --extract "$file" .
  rm "$file"
}

# --- what they become ---------------------------------------------------------------------------------------------

make_aoconnect() {
  from_npm @permaweb/aoconnect package/dist/browser.js
  mv dist/browser.js .
  rmdir dist
  echo '{ "type": "module" }' >package.json
}

unpack_brotli() { # FILE.br, as FILE
  node -e 'require("stream").pipeline(fs.createReadStream(process.argv[1]), zlib.createBrotliDecompress(),
    fs.createWriteStream(process.argv[1].slice(0, -3)), (error) => { if (error) throw error; })' "$1"
  rm "$1"
}

# The package is made for a cloud that has as little as a bare machine: it brings the libraries (NSS, expat) and letters
# without which Chromium does not start, or draws nothing.
make_browser() {
  local part
  [ "$(node -p 'process.platform + process.arch')" = linuxx64 ] || fail "the browser's package is for Linux on x64 alone"
  from_npm @sparticuz/chromium package/bin
  for part in chromium al2023.tar fonts.tar; do unpack_brotli "bin/$part.br"; done
  tar -xf bin/al2023.tar --no-same-owner
  tar -xf bin/fonts.tar --no-same-owner fonts
  mv bin/chromium headless-shell
  chmod +x headless-shell
  rm -r bin
  printf '%s\n' '<?xml version="1.0"?>' '<!DOCTYPE fontconfig SYSTEM "fonts.dtd">' \
    '<fontconfig><dir prefix="relative">fonts</dir></fontconfig>' >fonts.conf
  # shellcheck disable=SC2016
  printf '%s\n' '#!/bin/sh' 'here=${0%/*}' 'export LD_LIBRARY_PATH="$here/lib" FONTCONFIG_FILE="$here/fonts.conf"' \
    'exec "$here/headless-shell" "$@"' >chromium
  chmod +x chromium
}

make_devtools() {
  from_npm chrome-devtools-frontend package/front_end/{core/platform,core/text_utils,models/heap_snapshot,entrypoints/heap_snapshot_worker}
  mv front_end sources
  node "$root/scripts/devtools.js" sources .
  rm -r sources
}

make_openmetrics() {
  from_debian python3-prometheus-client
  mv usr/lib/python3/dist-packages/prometheus_client .
  rm -r usr
}

make_pprof() {
  from_debian golang-1.24-go
  mv usr/lib/go-*/pkg/tool/*/pprof .
  rm -r usr
}

# ------------------------------------------------------------------------------------------------------------------

pin=$(cat "$0" "$lock_file" "$root/scripts/devtools.js" | cksum)
is_there() { [ "$(cat "$tools/$1/.pin" 2>/dev/null)" = "$pin" ]; } # NAME

provide() { # NAME
  local new=$tools/$1.new
  is_there "$1" && return
  one_at_a_time "$tools/$1.lock"
  is_there "$1" && return
  rm -rf "$new"
  mkdir -p "$new"
  cd "$new"
  "make_$1"
  echo "$pin" >.pin
  rm -rf "${tools:?}/$1"
  mv "$new" "$tools/$1"
}

if [ $# -gt 0 ]; then
  [[ " ${names[*]} " == *" $1 "* ]] || fail "'$1' is not known: ${names[*]}"
  provide "$1"
else
  for name in "${names[@]}"; do "$0" "$name" || say "$name is not there: $skipped"; done
fi
