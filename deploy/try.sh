#!/bin/bash
# A look at Farm on this machine: installs what is missing, builds, starts a coordinator and two agents, builds an example on the first
# agent and then on the second, and shows that the cache followed.
#
#   deploy/try.sh [--stay] [--data DIR]
#
# --stay leaves the cluster up until Ctrl-C. Everything lies under DIR (default: a new folder under /var/tmp, removed at the end).
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
stay= data=
while [ $# -gt 0 ]; do
    case $1 in
    --stay) stay=yes; shift ;;
    --data) [ $# -ge 2 ] || usage; data=$2; shift 2 ;;
    *) usage ;;
    esac
done
[ "$(id -u)" = 0 ] || { echo "try.sh: run it as root: agents mount file systems and run containers" >&2; exit 1; }
command -v swift >/dev/null || { echo "try.sh: Swift 6.2 or newer must be on the PATH" >&2; exit 1; }

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

say "Installing packages"
deploy/packages.sh build run

say "Building (a few minutes the first time)"
swift build -c release --static-swift-stdlib
bin=$(swift build -c release --static-swift-stdlib --show-bin-path)
farm=$bin/farm

temporary=
if [ -z "$data" ]; then
    data=$(mktemp -d /var/tmp/farm-try-XXXXXX)
    temporary=yes
fi
mkdir -p "$data"
dev=
finish() {
    if [ -n "$dev" ] && kill -0 "$dev" 2>/dev/null; then
        kill -TERM "$dev"
        wait "$dev" || true
    fi
    if [ -n "$temporary" ]; then rm -rf --one-file-system "$data"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

say "Starting a coordinator and two agents"
"$farm" dev --agents 2 --data "$data/farm" >"$data/ready" 2>"$data/dev.log" &
dev=$!
while ! grep -q '^ready: ' "$data/ready"; do
    kill -0 "$dev" 2>/dev/null || { cat "$data/dev.log" >&2; exit 1; }
    sleep 0.1
done
cat "$data/ready"
export FARM_CONFIG=$data/farm/client.yaml
"$farm" agents

if ! "$farm" image list | grep -q '^debian:bookworm '; then
    say "Making a Debian base image"
    deploy/base-image.sh "$data/debian.tar"
    "$farm" image import debian:bookworm "$data/debian.tar"
    rm -f "$data/debian.tar"
fi

say "Building examples/cpp-ccache on agent-1: the caches of apt and ccache are empty"
"$farm" submit --require name=agent-1 --no-cache examples/cpp-ccache

say "Building it on agent-2, every step anew: the caches follow"
digest=$("$farm" submit --require name=agent-2 --no-cache -t example/primes:latest -o "type=docker,dest=$data/primes.tar" \
    --metadata-file "$data/metadata.json" examples/cpp-ccache)
echo "$digest"
build=$(sed -n 's/.*"farm.build.ref" *: *"\([^"]*\)".*/\1/p' "$data/metadata.json")
"$farm" show "$build"

say "The volumes, and who holds them"
"$farm" volumes

say "The status page"
sed -n 's/^status page: /  /p' "$data/dev.log"
echo "  (the cluster's own certificate authority: $data/farm/client/authority.pem)"
if [ -n "$stay" ]; then
    temporary=
    echo
    echo "The cluster stays up until Ctrl-C. In another terminal:"
    echo "  export FARM_CONFIG=$FARM_CONFIG PATH=$bin:\$PATH"
    echo "  farm submit examples/python-service"
    wait "$dev"
fi
