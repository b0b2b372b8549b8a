# shellcheck shell=bash
# Plain apt-get with a state of its own under build/apt: nothing is installed, nothing on the machine is
# changed, no root is needed. Sourced. apt verifies the archive's signature; what comes out of it is
# checked against the lock file of the caller.
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

architecture=$(dpkg --print-architecture 2>/dev/null || true)
suite=trixie # the first Debian release whose Emscripten knows wasm64
debian_default_mirror=http://deb.debian.org/debian
apt_state=$root/build/apt
apt_lists_fresh_minutes=60

# Every place where this machine looks for Debian's "main", one URI a line. A third party's archive may
# call its suite "stable" too, so the URI must end in /debian (or be apt's own list of mirrors).
debian_mirrors() {
  local releases='bullseye|bookworm|trixie|forky|sid|oldstable|stable|testing|unstable'
  {
    find /etc/apt/sources.list /etc/apt/sources.list.d -name '*.list' -exec cat {} + 2>/dev/null |
      sed -nE 's/^deb(-src)?[ \t]+(\[[^]]*\][ \t]*)?//p' |
      awk -v releases="^($releases)\$" '$2 ~ releases && / main( |$)/ { print $1 }'
    find /etc/apt/sources.list.d -name '*.sources' -exec sh -c 'cat "$1"; echo' _ {} \; 2>/dev/null |
      grep -v '^#' |
      awk -v RS= -v releases="(^|[ \n])($releases)([ \n]|\$)" '
        /(^|\n)Enabled: *no/ { next }
        { uris = suites = components = ""
          for (i = split($0, line, "\n"); i > 0; i--) {
            value = line[i]; sub(/^[^:]*: */, "", value)
            if (line[i] ~ /^URIs:/) uris = value
            if (line[i] ~ /^Suites:/) suites = value
            if (line[i] ~ /^Components:/) components = value
          }
          if (suites ~ releases && components ~ /(^| )main( |$)/) { split(uris, uri, " "); print uri[1] }
        }'
  } | grep -E '(/debian/?$|^mirror\+file:)' || true
}

apt_options() {
  printf '%s\n' -o "Dir::Etc::sourcelist=$apt_state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o "Dir::State=$apt_state" -o "Dir::State::lists=$apt_state/lists" -o "Dir::State::status=$apt_state/status" \
    -o "Dir::Cache=$apt_state/cache" -o "Dir::Cache::archives=$apt_state/cache/archives" \
    -o Dir::Cache::pkgcache=packages.bin -o Dir::Cache::srcpkgcache=sources.bin \
    -o "APT::Architecture=$architecture" -o "APT::Architectures::=$architecture" \
    -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Debug::NoLocking=1
}

# KIND VERSION SHA256 of a package, as the lock file has them for this architecture.
locked_debian() { # PACKAGE
  awk -v a="$architecture" -v p="$1" '($2 == a || $2 == "all") && $3 == p { print $1, $4, $5 }' "$lock_file"
}

debian_apt() { # apt-get|apt-cache ARGUMENT...
  local program=$1 options
  mapfile -t options < <(apt_options)
  "$program" "${options[@]}" "${@:2}"
}

write_sources_list() { # MIRROR
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=''
  [ -r "$keyring" ] && signed=" signed-by=$keyring"
  printf '%s\n' "deb [arch=$architecture lang=none target=Packages$signed] $1 $suite main" \
    "deb-src [lang=none target=Sources$signed] $1 $suite main" >"$apt_state/sources.list"
}

require_apt() { # WHAT-TO-DO-INSTEAD
  local program
  for program in apt-get apt-cache dpkg dpkg-deb; do
    command -v "$program" >/dev/null || fail "$program is not on this machine, so nothing can be fetched from Debian; $1"
  done
}

# The machine's own mirrors first, Debian's own name last; a mirror counts when its signed index arrives.
read_index() { # WHAT-TO-DO-INSTEAD
  local mirror log=$apt_state/update.log
  mkdir -p "$apt_state"/{lists/partial,cache/archives/partial}
  : >"$apt_state/status"
  [ -z "$(find "$apt_state/updated" -mmin "-$apt_lists_fresh_minutes" 2>/dev/null)" ] || return 0
  for mirror in $({ debian_mirrors; echo "$debian_default_mirror"; } | awk '!seen[$0]++'); do
    say "reading the index of Debian $suite from $mirror"
    write_sources_list "$mirror"
    if debian_apt apt-get -qq --error-on=any update >"$log" 2>&1; then touch "$apt_state/updated"; return 0; fi
  done
  cat "$log" >&2
  fail "no Debian mirror answered with a valid index of $suite (apt's words above); check the network and" \
    "that the package debian-archive-keyring is installed, or $1"
}

# make runs our scripts side by side: one reads the index, the other waits and finds it fresh.
debian_update() { # WHAT-TO-DO-INSTEAD
  require_apt "$1"
  mkdir -p "$apt_state"
  (flock 8 && read_index "$1") 8>"$apt_state/update.lock"
}
