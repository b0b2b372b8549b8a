#!/usr/bin/env bash
# Formats C files in place, or says which lines are not formatted. The output of clang-format differs between
# versions, so only the pinned one's word counts.
#   format.sh [--check] FILE...
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

wanted_major=19
mode=(-i)
[ "${1:-}" != --check ] || { mode=(--dry-run -Werror); shift; }
clang_format=$root/build/toolchain/bin/clang-format
major=$("$clang_format" --version 2>/dev/null | sed -nE 's/.*version ([0-9]+).*/\1/p') || true
if [ "${major:-}" != "$wanted_major" ]; then
  say "skipped: clang-format $wanted_major is needed, the Emscripten SDK in use brings ${major:-none}" \
    "(TOOLCHAIN=private brings it)"
  exit 0
fi
[ $# -gt 0 ] || exit 0
cd "$root"
if ! "$clang_format" "${mode[@]}" "$@" 2>"$root/build/format.log"; then
  sed -nE 's/^(.*:[0-9]+):[0-9]+: error: .*/\1/p' "$root/build/format.log" | sort -u -t: -k1,1 | head -n 20 >&2
  fail "these files are not formatted as .clang-format says, from these lines on; run: make format"
fi
# Comments are left as they are, since clang-format breaks those of this style; so their width is looked at here.
wide=$(grep -nE '^.{101}' "$@" /dev/null | cut -d: -f1,2 | head -n 20) || true
if [ -n "$wide" ]; then
  echo "$wide" >&2
  fail "these lines have more than 100 columns"
fi
