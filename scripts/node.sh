#!/usr/bin/env bash
# Prints the path of a Node.js of the wanted major version: the machine's own if it is that, else the pinned one of
# toolchain.lock, fetched through npm into build/node (Linux on x64 or arm64).
#   node.sh MAJOR
#   node.sh supported   the machine's own if it is one of 18 to 22 (later ones cannot grow a wasm64 memory under
#                       ao-loader), else 22
set -euo pipefail
# shellcheck source=scripts/npm.sh
. "$(dirname "$0")/npm.sh"

major=${1:?usage: node.sh MAJOR|supported}
own=$(command -v node) || fail "node is not on PATH; install Node.js 18 to 22 (with npm)"
read -r own_major package < <("$own" -p '[process.versions.node.split(".")[0], `node-${process.platform}-${process.arch}`].join(" ")')
if [ "$major" = supported ]; then
  major=22
  [ "$own_major" -lt 18 ] || [ "$own_major" -gt 22 ] || major=$own_major
fi
[ "$own_major" != "$major" ] || { echo "$own"; exit 0; }

read -r version _ < <(locked_npm "$package" "$major.") || fail "no $package of version $major is pinned in toolchain.lock; install Node.js $major and put it first on PATH"
node=$root/build/node/$version/bin/node
if [ ! -x "$node" ]; then
  one_at_a_time "$root/build/node/lock"
  if [ ! -x "$node" ]; then
    tarball=$root/build/node/$package-$version.tgz
    npm_download "$package" "$version" "$tarball"
    rm -rf "$root/build/node/new"
    mkdir -p "$root/build/node/new" "$root/build/node/$version"
    tar -xzf "$tarball" -C "$root/build/node/new" --strip-components=1 --no-same-owner package/bin/node
    rm -rf "$root/build/node/$version/bin"
    mv "$root/build/node/new/bin" "$root/build/node/$version/bin"
    rm -rf "$tarball" "$root/build/node/new"
  fi
fi
echo "$node"
