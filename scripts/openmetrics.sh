#!/usr/bin/env bash
# Provides Prometheus's own parser of OpenMetrics (the Python client library, Debian's package, pinned) under
# build/openmetrics, for the tests alone. Where it cannot be had, the test of the format is skipped and says so.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

package=python3-prometheus-client version=0.16.0-0.1
checksum=5cce797776781a193b2745df7ca65b51960f7bcf6783d75cd926950418155a4e
directory=$root/build/openmetrics

[ -e "$directory/prometheus_client/openmetrics/parser.py" ] && exit
work=$directory.new
rm -rf "$work"
mkdir -p "$work"
cd "$work"
apt-get download -qq "$package=$version" >/dev/null 2>&1 || { say "$package $version cannot be downloaded: the test of OpenMetrics will be skipped"; exit 0; }
echo "$checksum  $(ls ./*.deb)" | sha256sum --check --quiet || fail "$package arrived with a wrong checksum; run again"
dpkg -x ./*.deb unpacked
rm -rf "$directory"
mv unpacked/usr/lib/python3/dist-packages "$directory"
rm -rf "$work"
