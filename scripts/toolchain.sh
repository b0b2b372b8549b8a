#!/usr/bin/env bash
# Provides the C to WebAssembly toolchain under build/toolchain/bin: emcc, emar, wasm-opt, llvm-nm ...
#   TOOLCHAIN=auto     (default) an Emscripten SDK on PATH that is new enough, else a private one
#   TOOLCHAIN=sdk      only the one on PATH
#   TOOLCHAIN=private  only the private one: the pinned packages, which our reproducible bytes are promised for
# The private toolchain is unpacked from Debian packages (toolchain.lock) without root and without touching the
# machine: its programs get the unpacked C library as interpreter, so the machine's own may be older. Every step
# leaves a stamp: an interrupted run goes on where it stopped.
#   toolchain.sh --lock   prints a toolchain.lock for the packages that Debian serves today
set -euo pipefail
# shellcheck source=scripts/debian.sh
. "$(dirname "$0")/debian.sh"

prefix=$(realpath -m "$root/build/toolchain") # a second work tree may link to the first one's
unpacked=$prefix/root
emscripten=$unpacked/usr/share/emscripten
mode=${TOOLCHAIN:-auto}
oldest_emscripten=3.1.59 # wasm64 as ao-loader knows it
newest_emscripten=3.1.73 # since then Binaryen cannot lower a table alone (its pull request 7131); a trial tells
advice="put an Emscripten SDK, $oldest_emscripten to $newest_emscripten (emcc and wasm-opt), on PATH and run again"
ready_mark="$prefix $(cat "$0" "$lock_file" | sha256sum | cut -c 1-16)"
PATH=$(tr : '\n' <<<"$PATH" | grep -vxF "$prefix/bin" | paste -sd :) # env.sh puts it there: ours is no SDK on PATH

# Tests, documentation and the prebuilt libraries that nothing here links: 1.5 GB of 2.2.
not_unpacked=('./usr/share/doc/*' './usr/share/man/*' './usr/share/lintian/*' './usr/share/emscripten/test/*'
  './usr/share/emscripten/docs/*' './usr/share/emscripten/media/*' './usr/share/emscripten/ChangeLog.*'
  './usr/share/emscripten/cache/sysroot/lib/*/lto*' './usr/share/emscripten/cache/sysroot/lib/*/pic*'
  './usr/share/emscripten/cache/sysroot/lib/*/*-mt[.-]*' './usr/share/emscripten/cache/sysroot/lib/*/*-ww[.-]*'
  './usr/share/emscripten/cache/sysroot/lib/*/*asan*' './usr/share/emscripten/cache/sysroot/lib/*/lib[cuGwmes]*an_*'
  './usr/share/emscripten/cache/sysroot/lib/*/libwasmfs*' './usr/share/emscripten/cache/sysroot/lib/*/libwebgpu*'
   './usr/share/emscripten/cache/sysroot/lib/*/lib*-except.a'
  './usr/lib/llvm-19/lib/clang/19/lib/linux/*i386*' './usr/lib/*-linux-gnu/gconv/*'
  './usr/lib/llvm-19/build/*' './usr/lib/llvm-19/share/*')

leans_on() { # KIND: the program of the machine that it is nothing without
  case $1 in
    sdk) sed -n "s/^exec '\(.*\)' .*/\1/p" "$prefix/bin/emcc" ;;
    private) sed -n "s/^NODE_JS = '\(.*\)'$/\1/p" "$prefix/emscripten.config" ;;
  esac
}

mark_of() { # KIND; an SDK may be brought to another version where it stands
  local version=''
  [ "$1" = private ] || version=$(tr -d '"\n' 2>/dev/null <"$(dirname "$(readlink -f "$(leans_on sdk)")")/emscripten-version.txt") || true
  echo "$ready_mark${version:+ $version}"
}

# ready holds: sdk or private, where, and what it was made from (a moved clone or a changed lock is redone).
is_ready() {
  local kind mark
  read -r kind mark 2>/dev/null <"$prefix/ready" || return 1
  { [ "$mode" = auto ] || [ "$mode" = "$kind" ]; } && [ -x "$prefix/bin/emcc" ] && [ -x "$(leans_on "$kind")" ] &&
    [ "$mark" = "$(mark_of "$kind")" ]
}

write_program() { # NAME LINE...
  printf '%s\n' '#!/bin/sh' "${@:2}" | write_file "$prefix/bin/$1"
  chmod +x "$prefix/bin/$1"
}

# --- an SDK on PATH ---------------------------------------------------------------------------------------------

version_at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Only a trial tells whether an SDK can make what the loader takes, a 64-bit memory with a 32-bit table: a
# distribution's may have a frozen cache without wasm64, and a newer Binaryen lowers the memory with the table.
makes_wasm64() { # EMCC WASM_OPT
  local trial result=0
  trial=$(mktemp -d)
  echo 'int main(void) { return 0; }' >"$trial/trial.c"
  { "$1" -O1 --target=wasm64 -sDEFAULT_TO_CXX=0 "$trial/trial.c" -o "$trial/trial.js" &&
    "$2" --table64-lowering --all-features "$trial/trial.wasm" -S -o "$trial/low.wat" &&
    grep -q '^ (memory [^ ]* i64 ' "$trial/low.wat"; } >"$trial/log" 2>&1 || result=1
  [ "$result" = 0 ] || tail -n 5 "$trial/log" >&2
  rm -rf "$trial"
  return $result
}

# Sets sdk_emcc and sdk_binaryen (the directory of wasm-opt and wasm-merge), or says why not.
find_sdk() {
  local version directory
  sdk_emcc=$(command -v emcc) || { say "no emcc on PATH"; return 1; }
  version=$("$sdk_emcc" --version 2>/dev/null | sed -nE '1s/.* ([0-9]+\.[0-9]+\.[0-9]+).*/\1/p') || version=''
  version_at_least "${version:-0}" "$oldest_emscripten" ||
    { say "$sdk_emcc is version ${version:-unknown}, $oldest_emscripten or newer is needed"; return 1; }
  for directory in "$(dirname "$(readlink -f "$sdk_emcc")")/../bin" "$(dirname "$(command -v wasm-opt || echo /)")"; do
    [ ! -x "$directory/wasm-opt" ] || [ ! -x "$directory/wasm-merge" ] || break
    directory=''
  done
  [ -n "$directory" ] || { say "$sdk_emcc comes without wasm-opt and wasm-merge"; return 1; }
  sdk_binaryen=$(realpath "$directory")
  say "trying $sdk_emcc $version (its first wasm64 link may take a minute)"
  makes_wasm64 "$sdk_emcc" "$sdk_binaryen/wasm-opt" ||
    { say "$sdk_emcc cannot link wasm64 with a 32-bit table, as the loader wants it ($newest_emscripten is the last that can)"; return 1; }
}

use_sdk() {
  local name program
  for name in emcc emar emranlib; do write_program "$name" "exec '$(dirname "$sdk_emcc")/$name' \"\$@\""; done
  for name in wasm-opt wasm-merge; do write_program "$name" "exec '$sdk_binaryen/$name' \"\$@\""; done
  program=$(dirname "$(readlink -f "$sdk_emcc")")/emnm # a link to it would not find its other half
  [ -x "$program" ] || program=$(command -v llvm-nm || fail "$sdk_emcc comes without emnm, and PATH has no llvm-nm")
  write_program llvm-nm "exec '$program' \"\$@\""
  for name in clang-format clang; do # the machine's
    program=$(command -v "$name-19" || command -v "$name" || true)
    [ -z "$program" ] || write_program "$name" "exec '$program' \"\$@\""
  done
}

# --- the private toolchain --------------------------------------------------------------------------------------

locked_packages() { awk -v a="$architecture" '/^(compiler|support) / && $2 == a { print $3 }' "$lock_file"; }

served_packages() { # -> "package version sha256" as the signed index has them
  # shellcheck disable=SC2046
  debian_apt apt-cache --no-all-versions show $(locked_packages) |
    awk '/^Package: / { p = $2 } /^Version: / { v = $2 } /^SHA256: / { print p, v, $2 }'
}

print_lock() {
  local package version sha256
  grep -E '^#' "$lock_file" || true
  for architecture in amd64 arm64; do
    apt_state=$root/build/apt-$architecture
    debian_update "$advice"
    served_packages | while read -r package version sha256; do
      printf '%s %s %s %s %s\n' "$(locked_debian "$package" | cut -d ' ' -f 1)" "$architecture" "$package" "$version" "$sha256"
    done
  done
  awk '$1 != "compiler" && $1 != "support" && !/^#/' "$lock_file"
}

# A locked version with other bytes is an error. A later version of a compiler package is taken on the word of
# the archive's signature, and said: then the bytes of our images may differ from the published ones.
check_served() { # PACKAGE VERSION SHA256
  local kind locked_version locked_sha256
  read -r kind locked_version locked_sha256 < <(locked_debian "$1")
  if [ "$2" = "$locked_version" ]; then
    [ "$3" = "$locked_sha256" ] || fail "the archive's index gives $1 $2 the checksum $3, toolchain.lock has $locked_sha256"
  elif [ "$kind" = compiler ]; then
    say "NOTICE: Debian serves $1 $2, toolchain.lock has $locked_version: signed by the archive and accepted, but" \
      "reproducible bytes are only promised for the locked version"
  else
    say "note: Debian serves $1 $2, toolchain.lock has $locked_version; it does not shape our bytes"
  fi
}

unpack() { # FILE.deb
  local excludes=("${not_unpacked[@]/#/--exclude=}")
  dpkg-deb --fsys-tarfile "$1" | tar -x -C "$unpacked" --no-same-owner --no-same-permissions "${excludes[@]}"
}

installed_mark() { echo "$2 $3 ${not_unpacked[*]}"; } # PACKAGE VERSION SHA256: what its stamp says

missing_packages() { # PACKAGE VERSION SHA256 lines in, those not unpacked yet out
  local package version sha256
  while read -r package version sha256; do
    [ "$(cat "$prefix/stamps/$package" 2>/dev/null)" = "$(installed_mark "$package" "$version" "$sha256")" ] ||
      echo "$package $version $sha256"
  done
}

# A moved clone, or a change of this script, needs no network. A later lock may want other versions than were served.
is_unpacked() {
  [ "$prefix/served" -nt "$lock_file" ] && [ -z "$(missing_packages <"$prefix/served")" ] &&
    [ "$(cut -d ' ' -f 1 "$prefix/served" | sort)" = "$(locked_packages | sort)" ]
}

download_packages() { # FILE of PACKAGE VERSION SHA256 lines
  local wanted
  mapfile -t wanted < <(awk '{ print $1 "=" $2 }' "$1")
  (cd "$prefix/debs" && debian_apt apt-get -q download "${wanted[@]}") >&2 ||
    fail "the packages could not be downloaded (apt's words above); run again to go on from here, or $advice"
}

install_package() { # PACKAGE VERSION SHA256
  local deb
  deb=$(find "$prefix/debs" -name "$1_${2/:/%3a}_*.deb") # not one of another version, which an interrupted run left
  [ "$(sha256_of "$deb")" = "$3" ] || { rm -f "$deb"; fail "$1 $2 arrived with a wrong checksum; run again"; }
  unpack "$deb"
  installed_mark "$@" | write_file "$prefix/stamps/$1"
  rm -f "$deb"
}

install_packages() {
  local package version sha256 directory step=0 steps
  mkdir -p "$prefix"/{debs,stamps} "$unpacked/usr"/{bin,lib,lib64,sbin}
  for directory in bin lib lib64 sbin; do ln -sfn "usr/$directory" "$unpacked/$directory"; done
  served_packages >"$prefix/served"
  [ "$(wc -l <"$prefix/served")" -eq "$(locked_packages | wc -l)" ] ||
    fail "the archive lacks a package that toolchain.lock names: $(
      comm -3 <(locked_packages | sort) <(cut -d ' ' -f 1 "$prefix/served" | sort) | xargs)"
  missing_packages <"$prefix/served" >"$prefix/missing"
  steps=$(wc -l <"$prefix/missing")
  [ "$steps" -gt 0 ] || return 0
  while read -r package version sha256; do check_served "$package" "$version" "$sha256"; done <"$prefix/missing"
  download_packages "$prefix/missing"
  while read -r package version sha256 <&3; do
    step=$((step + 1))
    say "[$step/$steps] unpacking $package $version"
    install_package "$package" "$version" "$sha256"
  done 3<"$prefix/missing"
}

case $architecture in
  amd64) libraries=$unpacked/usr/lib/x86_64-linux-gnu interpreter=$libraries/ld-linux-x86-64.so.2 ;;
  arm64) libraries=$unpacked/usr/lib/aarch64-linux-gnu interpreter=$libraries/ld-linux-aarch64.so.1 ;;
esac
run_patchelf() { "$interpreter" --library-path "$libraries" "$unpacked/usr/bin/patchelf" "$@"; }

# The programs must load the unpacked libraries, not the machine's: libraries of theirs that say themselves where to
# look (LLVM's) as well, for the program's word is not asked then. A renamed copy is patched, so that an interruption
# cannot leave half a program. patchelf breaks Python; that is started through the interpreter instead.
places=${libraries:-}:${libraries:-}/binaryen:$unpacked/usr/lib/llvm-19/lib

patch_file() { # FILE OPTION...
  [ "$(run_patchelf --print-rpath "$1")" != "$places" ] || return 0
  run_patchelf "${@:2}" --force-rpath --set-rpath "$places" --output "$1.tmp" "$1"
  chmod +x "$1.tmp"
  mv "$1.tmp" "$1"
}

patch_programs() {
  local file
  say "making the programs run on the unpacked C library"
  for file in "$unpacked"/usr/bin/wasm* "$unpacked"/usr/lib/llvm-19/bin/*; do
    # what has no interpreter is a script, or nothing to load
    [ -L "$file" ] || ! run_patchelf --print-interpreter "$file" >/dev/null 2>&1 || patch_file "$file" --set-interpreter "$interpreter"
  done
  for file in "$libraries"/lib{LLVM,clang-cpp}.so.*; do [ -L "$file" ] || patch_file "$file"; done
}

# What the machine happens to have another one need not have.
check_libraries() {
  local program strays
  strays=$(for program in "$unpacked"/usr/bin/wasm-{opt,merge} "$unpacked"/usr/lib/llvm-19/bin/{clang,wasm-ld,llvm-nm,llvm-ar,clang-format}; do
    "$interpreter" --list "$program"
  done | awk -v ours="$unpacked/" '$2 == "=>" && index($3, ours) != 1 { print $1 }' | sort -u | xargs)
  [ -z "$strays" ] || fail "programs of the private toolchain load $strays from the machine; toolchain.lock lacks their packages"
}

write_emscripten_config() {
  local node
  node=$(command -v node) || fail "node is not on PATH; install Node.js 18 to 22 and run again"
  [ ! -d "$emscripten/cache" ] || { rm -rf "$prefix/cache"; mv "$emscripten/cache" "$prefix/cache"; }
  rm -f "$prefix/cache/sanity.txt" # after a move of the clone emcc would throw all its libraries away
  ln -sfn ../nodejs "$emscripten/node_modules" # acorn is imported as an ES module, NODE_PATH does not reach it
  write_file "$prefix/emscripten.config" <<CONFIG
EMSCRIPTEN_ROOT = '$emscripten'
LLVM_ROOT = '$unpacked/usr/bin'
BINARYEN_ROOT = '$unpacked/usr'
NODE_JS = '$node'
CACHE = '$prefix/cache'
FROZEN_CACHE = False
LLVM_ADD_VERSION = '19'
CLANG_ADD_VERSION = '19'
CONFIG
}

write_private_programs() {
  local name
  ln -sfn root/usr/lib "$prefix/lib" # where Python looks for its library, seen from bin/
  write_program python3 'unset EM_CACHE EM_LLVM_ROOT EM_BINARYEN_ROOT EM_NODE_JS' \
    "exec '$interpreter' --argv0 '$prefix/bin/python3' --library-path '$libraries' '$unpacked/usr/bin/python3.13' -Es \"\$@\""
  for name in emcc emar emranlib; do
    write_program "$name" "export EM_CONFIG='$prefix/emscripten.config' EMSDK_PYTHON='$prefix/bin/python3'" \
      'unset EMCC_CFLAGS _EMCC_CCACHE PYTHON' \
      "exec '$prefix/bin/python3' '$emscripten/$name.py' \"\$@\""
  done
  for name in wasm-opt wasm-merge wasm-dis; do ln -sfn "../root/usr/bin/$name" "$prefix/bin/$name"; done
  for name in clang clang-format llvm-nm llvm-symbolizer; do
    ln -sfn "../root/usr/lib/llvm-19/bin/$name" "$prefix/bin/$name"
  done
}

# emcc would build its C library at the first link, in the middle of the first image; here the progress is shown. The
# cache has a lock and renames, so an interruption costs at most one library. For wasm32 the package brings them.
build_system_libraries() {
  local names=(libc libcompiler_rt libdlmalloc libnoexit libstubs libsockets libbulkmemory libal libhtml5 libGL-getprocaddr)
  say "building Emscripten's C library for wasm64 (a minute, once)"
  echo '{"type": "commonjs"}' | write_file "$prefix/package.json" # or ours would make modules of Emscripten's scripts
  EM_CONFIG=$prefix/emscripten.config EMSDK_PYTHON=$prefix/bin/python3 \
    "$prefix/bin/python3" "$emscripten/embuilder.py" --wasm64 build "${names[@]}" 2>&1 | tee "$prefix/embuilder.log" |
    sed -unE "s|.*generating system library: .*/(.*\.a)\.\.\. .*|${0##*/}: building \1|p" >&2 ||
    { cat "$prefix/embuilder.log" >&2; fail "Emscripten could not build its C library (its words above)"; }
}

install_private() {
  require_apt "$advice"
  [ -n "${libraries:-}" ] || fail "the private toolchain is for amd64 and arm64, this machine is $architecture; $advice"
  [[ $prefix != *[[:space:]:\'\"]* ]] || fail "the path '$prefix' holds a space, a colon or a quote, which make and emcc cannot take; move the clone"
  is_unpacked || { debian_update "$advice"; install_packages; }
  begin
  patch_programs
  check_libraries
  write_emscripten_config
  write_private_programs
  build_system_libraries
  makes_wasm64 "$prefix/bin/emcc" "$prefix/bin/wasm-opt" || fail "the private toolchain cannot make a small wasm64 program (its words above)"
}

# --- for shells and Makefiles -----------------------------------------------------------------------------------

write_env() {
  write_file "$prefix/env.sh" <<ENV
# Written by scripts/toolchain.sh
export PATH='$prefix/bin':"\$PATH"
export EMCC='$prefix/bin/emcc' EMAR='$prefix/bin/emar' WASM_OPT='$prefix/bin/wasm-opt'
export CLANG='$prefix/bin/clang' CLANG_FORMAT='$prefix/bin/clang-format'
export LLVM_NM='$prefix/bin/llvm-nm'
export ASAN_SYMBOLIZER_PATH='$prefix/bin/llvm-symbolizer'
ENV
}

# What is compiled anew with another compiler depends on this file, so it keeps its date while the versions stay.
write_version() { # KIND
  local version
  version="$1 $("$prefix/bin/emcc" --version | sed -n 1p), $("$prefix/bin/wasm-opt" --version)"
  [ "$(cat "$prefix/version" 2>/dev/null)" = "$version" ] || echo "$version" | write_file "$prefix/version"
}

begin() { rm -rf "${prefix:?}/ready" "$prefix/bin"; } # programs of another kind or time must not stay

main() {
  case ${1:-}:$mode in
    --lock:*) print_lock; return ;;
    :auto | :sdk | :private) ;;
    *) fail "TOOLCHAIN='$mode' ${1:+and argument '$1' }not understood; TOOLCHAIN is auto, sdk or private, the only argument is --lock" ;;
  esac
  is_ready && return
  one_at_a_time "$prefix/lock"
  is_ready && return # the other run has done it
  local kind=private
  if [ "$mode" != private ] && find_sdk; then kind=sdk; begin; use_sdk
  elif [ "$mode" = sdk ]; then fail "TOOLCHAIN=sdk, but PATH has no usable Emscripten SDK (reason above); use TOOLCHAIN=private"
  else install_private; fi
  write_env
  write_version "$kind"
  echo "$kind $(mark_of "$kind")" | write_file "$prefix/ready"
  say "ready: $("$prefix/bin/emcc" --version | sed -n 1p)"
}

main "$@"
