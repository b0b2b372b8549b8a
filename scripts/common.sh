# shellcheck shell=bash
# What every script here shares: where things are, how to speak, fail, wait and write. Sourced.

unset CDPATH # or cd speaks
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
lock_file=$root/scripts/toolchain.lock

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# Whoever starts second waits; the lock goes with the process, so no stale lock can remain.
one_at_a_time() { # FILE
  mkdir -p "$(dirname "$1")"
  exec 9>"$1"
  flock -n 9 && return
  say "another run is at work, waiting for it"
  flock 9
}

sha256_of() { sha256sum "$1" | cut -d ' ' -f 1; }

write_file() { # FILE, content on standard input; never half-written
  mkdir -p "$(dirname "$1")"
  cat >"$1.tmp"
  mv "$1.tmp" "$1"
}
