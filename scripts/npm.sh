# shellcheck shell=bash
# One file out of the npm registry, through the ordinary client, without its dependencies. Sourced.
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

integrity_of() { node -p '"sha512-" + crypto.createHash("sha512").update(fs.readFileSync(process.argv[1])).digest("base64")' "$1"; }

locked_npm() { awk -v p="$1" -v v="$2" '$1 == "npm" && $2 == p && index($3, v) == 1 { print $3, $4; exit }' "$lock_file"; }

# Leaves the tarball of PACKAGE, at the version that toolchain.lock has and that starts with VERSION, as FILE.
npm_download() { # PACKAGE VERSION FILE
  local version integrity work=$3.download
  read -r version integrity < <(locked_npm "$1" "$2") || fail "toolchain.lock has no npm package $1 $2"
  [ -f "$3" ] && [ "$(integrity_of "$3")" = "$integrity" ] && return
  say "downloading $1 $version from the npm registry"
  rm -rf "$work"
  mkdir -p "$work"
  (cd "$work" && npm pack --loglevel=error --pack-destination=. "$1@$version" >/dev/null) ||
    fail "npm could not download $1@$version (its words above); check the network and run again"
  [ "$(integrity_of "$work"/*.tgz)" = "$integrity" ] || fail "$1@$version arrived with a wrong checksum; run again"
  mv "$work"/*.tgz "$3"
  rm -rf "$work"
}
