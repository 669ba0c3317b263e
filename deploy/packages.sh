#!/bin/sh
# Installs what Farm needs from Debian: 'build' to compile it, 'run' for an agent, 'test' for everything that the tests use.
set -eu

build="libnghttp2-dev libssl-dev libsqlite3-dev librsync-dev libarchive-dev libzstd-dev pkg-config"
run="crun runc ca-certificates mmdebstrap"
test="git busybox-static skopeo umoci jq curl openssl python3 sqlite3 iproute2 tar xz-utils zstd gzip bzip2 procps"

wanted=
for set in "$@"; do
    case $set in
    build) wanted="$wanted $build" ;;
    run) wanted="$wanted $run" ;;
    test) wanted="$wanted $build $run $test" ;;
    *) echo "packages.sh: unknown set '$set': there are build, run and test" >&2; exit 2 ;;
    esac
done
[ -n "$wanted" ] || { echo "usage: packages.sh build|run|test ..." >&2; exit 2; }

missing=
for package in $wanted; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || { echo "packages.sh: run as root, or: apt-get install$missing" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
echo "installing$missing" >&2
apt-get update -qq >&2
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $missing >&2
