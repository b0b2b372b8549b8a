#!/usr/bin/env bash
# Provides Lua's upstream sources as build/lua-VERSION/src, pinned in toolchain.lock: the upstream tarball out of
# Debian's source package, none of Debian's patches. LUA_DIR="directory..." takes source trees of your own instead:
# the version is read from lua.h and must be one of ours; a version that LUA_DIR does not bring is downloaded.
#   lua-sources.sh [VERSION...]   all versions of toolchain.lock when none is given
set -euo pipefail
# shellcheck source=scripts/debian.sh
. "$(dirname "$0")/debian.sh"

advice="get lua-VERSION.tar.gz from https://www.lua.org/ftp/ and set LUA_DIR to the unpacked directory"

locked_versions() { awk '$1 == "lua" { print $2 }' "$lock_file"; }
supported() { locked_versions | xargs | sed 's/ / and /g'; }

header_version() { # SRC
  awk '$1 == "#define" && $2 ~ /^LUA_VERSION_(MAJOR|MINOR|RELEASE)(_N)?$/ && $3 ~ /^"?[0-9]+"?$/ {
    gsub(/"/, "", $3); part[substr($2, 13, 3)] = $3 } END { print part["MAJ"] "." part["MIN"] "." part["REL"] }' "$1/lua.h"
}

# A finished directory carries the mark of what it came from.
is_done() { [ "$(cat "$root/build/lua-$1/.source" 2>/dev/null)" = "$2" ]; }

publish() { # VERSION MARK NEW-DIRECTORY: replaces the old one only when the new one is whole
  echo "$2" >"$3/.source"
  rm -rf "$root/build/lua-$1"
  mv "$3" "$root/build/lua-$1"
  say "Lua $1 is in build/lua-$1/src"
}

take_own() { # DIRECTORY: leaves the version in own_version
  local src=$1 new=$root/build/lua-download/own mark
  [ -f "$src/lua.h" ] || src=$1/src
  [ -f "$src/lua.h" ] || fail "LUA_DIR='$1' holds neither lua.h nor src/lua.h; it must be a source tree of Lua $(supported)"
  [ -f "$src/lstate.h" ] || fail "LUA_DIR='$1' has lua.h but no lstate.h: these are installed headers, a source tree is needed"
  own_version=$(header_version "$src")
  locked_versions | grep -qx "$own_version" || fail "LUA_DIR='$1' holds Lua $own_version; supported are $(supported)"
  mark="$(realpath "$src") $(cat "$src"/*.[ch] | sha256sum | cut -c 1-16)"
  is_done "$own_version" "$mark" && return
  rm -rf "$new"
  mkdir -p "$new/src"
  cp "$src"/*.[ch] "$new/src/"
  publish "$own_version" "$mark" "$new"
}

download() { # VERSION
  local version package file sha256 work=$root/build/lua-download new
  read -r _ version package file sha256 < <(awk -v v="$1" '$1 == "lua" && $2 == v' "$lock_file")
  [ -n "$sha256" ] || fail "Lua '$1' is not in toolchain.lock; supported are $(supported)"
  is_done "$version" "$sha256" && return
  # The name of the package carries Debian's revision; any revision brings the same upstream tarball.
  mkdir -p "$work"
  if [ "$(sha256_of "$work/$file" 2>/dev/null)" != "$sha256" ]; then
    debian_update "$advice"
    say "downloading Lua $version"
    (cd "$work" && { debian_apt apt-get -qq source --download-only --tar-only "$package" ||
      debian_apt apt-get -qq source --download-only --tar-only "${package%%=*}"; }) >&2 ||
      fail "Lua $version could not be downloaded (apt's words above); or $advice"
  fi
  [ -f "$work/$file" ] || fail "Debian $suite no longer carries Lua $version; ${advice//VERSION/$version}"
  [ "$(sha256_of "$work/$file")" = "$sha256" ] || { rm -f "$work/$file"; fail "$file arrived with a wrong checksum; run again"; }
  new=$work/unpacked
  rm -rf "$new"
  mkdir -p "$new"
  tar -xzf "$work/$file" -C "$new" --strip-components=1 --no-same-owner
  [ "$(header_version "$new/src")" = "$version" ] || fail "$file holds Lua $(header_version "$new/src"), not $version"
  publish "$version" "$sha256" "$new"
}

main() {
  local version directory own=' ' versions=("$@") own_directories
  [ $# -gt 0 ] || mapfile -t versions < <(locked_versions)
  one_at_a_time "$root/build/lua-download/lock"
  read -ra own_directories <<<"${LUA_DIR:-}"
  for directory in "${own_directories[@]}"; do
    take_own "$directory"
    own+="$own_version "
  done
  for version in "${versions[@]}"; do
    [[ $own == *" $version "* ]] || download "$version"
  done
}

main "$@"
