#!/usr/bin/env bash
# Provides the library through which aos's command line sends its messages (npm's @permaweb/aoconnect, in one file)
# under build/aoconnect, for the tests alone. Pinned here: what toolchain.lock says decides whether the toolchain is made anew.
set -euo pipefail
# shellcheck source=scripts/npm.sh
. "$(dirname "$0")/npm.sh"

locked_npm() { echo "0.0.98 sha512-5xwl7uZyISuedrvSI2x4nyEW6fNNRWrra5o7ZuUjwIoMAYkZblqG9HWfojzNuTx7rcKyfLplDIDI9ISowbh2tA=="; }

directory=$root/build/aoconnect
[ -e "$directory/browser.js" ] && exit
one_at_a_time "$root/build/aoconnect.lock"
[ -e "$directory/browser.js" ] && exit
package=$root/build/aoconnect.tgz new=$directory.new
npm_download @permaweb/aoconnect "" "$package"
rm -rf "$new"
mkdir -p "$new"
tar -xzf "$package" -C "$new" --strip-components=2 --no-same-owner package/dist/browser.js
echo '{ "type": "module" }' >"$new/package.json"
rm -rf "$directory"
mv "$new" "$directory"
rm -f "$package"
