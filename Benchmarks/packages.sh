# Installs the peers and what the measurements themselves use; the product and its tests need none of these.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

install_packages() {
    local package packages="jq procps" missing=''
    case " $cases " in *" steps "* | *" cached "* | *" context "* | *" volume "*) packages="$packages busybox-static openssl docker.io" ;; esac
    case " $cases " in *" volume "* | *" volumes "*) packages="$packages openssl rsync stunnel4" ;; esac
    case " $cases " in *" transport "*) packages="$packages nghttp2-client nginx-light curl python3" ;; esac
    deploy/packages.sh build run
    for package in $packages; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "installing$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    # shellcheck disable=SC2086 # a list of words
    apt-get install -y -qq --no-install-recommends $missing >&2
}
