#!/usr/bin/env bash
# Checks the direction in which the C core leans (layers.rules) and says which line breaks which rule, and why it stands.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

rules=$root/scripts/layers.rules
cd "$root"
broken=0
report() { printf '%s\n' "$*" >&2; broken=1; }

code_of() { # FILE: "LINE:TEXT" without comments; text that quotes them stays text
  awk '{ out = ""; line = $0
    while (line != "") {
      if (inside) { at = index(line, "*/"); if (!at) break; line = substr(line, at + 2); inside = 0; continue }
      block = index(line, "/*"); rest = index(line, "//")
      if (rest && (!block || rest < block)) { out = out substr(line, 1, rest - 1); break }
      if (!block) { out = out line; break }
      out = out substr(line, 1, block - 1); line = substr(line, block + 2); inside = 1
    }
    if (out ~ /[^ \t]/) print FNR ":" out }' "$1"
}

c_files() { find src wasm test -name '*.[ch]' 2>/dev/null | sort; }

matches_any() { # FILE GLOB...
  local glob
  # shellcheck disable=SC2053
  for glob in "${@:2}"; do [[ $1 == $glob ]] && return; done
  return 1
}

# The longest part whose name the file's starts with: layout_54.h belongs to layout.
part_of() { # BASENAME
  local name=${1%.*}
  while :; do
    [ -z "${parts[$name]+listed}" ] || { echo "$name"; return; }
    [[ $name == *_* ]] || return 0
    name=${name%_*}
  done
}

declare -A parts
read_parts() {
  local name rest
  while IFS='=' read -r name rest; do
    name=$(xargs <<<"${name#part }")
    parts[$name]=" $name $(xargs <<<"$rest") "
  done < <(grep '^part ' "$rules")
}

check_includes() { # FILE
  local part number header wanted
  part=$(part_of "${1##*/}")
  [ -n "$part" ] || { report "$1: this part is not in scripts/layers.rules; add a line 'part $(basename "${1%.*}") = ...' there that says what it may lean on"; return; }
  while IFS=: read -r number header; do
    [ -f "src/$header" ] || continue # Lua's or the system's
    wanted=$(part_of "$header")
    [[ ${parts[$part]} == *" $wanted "* ]] ||
      report "$1:$number: includes \"$header\", but '$part' may only lean on:${parts[$part]}(scripts/layers.rules)"
  done < <(code_of "$1" | sed -nE 's/^([0-9]+):[ \t]*#[ \t]*include[ \t]+"([^"]+)".*/\1:\2/p')
}

check_words() {
  local verb regex globs why file found
  while read -r verb rest; do
    regex=${rest%% in *}
    why=${rest#*: }
    globs=${rest#"$regex" in }
    read -ra globs <<<"${globs%%:*}"
    while read -r file; do
      if matches_any "$file" "${globs[@]}"; then [ "$verb" = never ] || continue
      else [ "$verb" = only ] || continue; fi
      found=$(code_of "$file" | grep -P "^[0-9]+:.*(?:$regex)" | head -n 1) || continue
      report "$file:${found%%:*}: '$(sed -E 's/^[0-9]+:[ \t]*//' <<<"$found")' is not allowed here: $why"
    done < <(c_files)
  done < <(grep -E '^(only|never) ' "$rules")
}

read_parts
while read -r file; do check_includes "$file"; done < <(find src -name '*.[ch]' | sort)
check_words
[ "$broken" = 0 ] || fail "the layers are broken (above)"
