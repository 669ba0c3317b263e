# Installs the peers and what the measurements themselves use; the product and its tests need none of these.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

install_packages() {
    local package missing=''
    deploy/packages.sh build run
    for package in busybox-static jq openssl docker.io rsync stunnel4; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "installing$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    # shellcheck disable=SC2086 # a list of words
    apt-get install -y -qq --no-install-recommends $missing >&2
}
