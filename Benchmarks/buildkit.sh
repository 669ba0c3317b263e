# BuildKit, as Debian's dockerd has it, on a data folder and a socket of its own; it makes no networks and changes no packet filter.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

buildkit_process=
buildkit_left=()

start_buildkit() {
    say "starting BuildKit: $(dockerd --version)"
    export DOCKER_HOST=unix://$work/docker.sock DOCKER_BUILDKIT=1 DOCKER_CONFIG=$work/docker-client
    mkdir -p "$work/docker" "$work/docker-client"
    local path
    # What dockerd makes elsewhere, and leaves: ours to remove where it was not there before.
    for path in /etc/docker/key.json /etc/docker /run/docker; do [ -e "$path" ] || buildkit_left+=("$path"); done
    for path in /sys/fs/cgroup /sys/fs/cgroup/*/; do
        [ ! -e "${path%/}/cgroup.procs" ] || [ -e "${path%/}/docker" ] || buildkit_left+=("${path%/}/docker")
    done
    dockerd --data-root "$work/docker/data" --exec-root "$work/docker/exec" --host "$DOCKER_HOST" --pidfile "$work/docker/pid" \
        --iptables=false --ip6tables=false --bridge=none --ip-forward=false --ip-masq=false >"$work/dockerd.log" 2>&1 &
    buildkit_process=$!
    until /usr/bin/docker info >/dev/null 2>&1; do
        kill -0 "$buildkit_process" 2>/dev/null || { tail -20 "$work/dockerd.log" >&2; fail "dockerd did not start"; }
        sleep 0.2
    done
}

stop_buildkit() {
    [ -n "$buildkit_process" ] || return 0
    kill -TERM "$buildkit_process" 2>/dev/null || true
    wait "$buildkit_process" || true
    buildkit_process=
    local path
    for path in "${buildkit_left[@]}"; do
        # Of a control group only folders can be removed, the innermost first.
        case $path in
        /sys/fs/cgroup/*) [ ! -e "$path" ] || find "$path" -depth -type d -exec rmdir {} + || true ;;
        *) rm -rf --one-file-system "$path" ;;
        esac
    done
}

import_busybox_buildkit() { /usr/bin/docker import "$work/busybox.tar" busybox >&2; }

# /usr/bin: Debian's client, which speaks to BuildKit without a plug-in; another docker may come first on the PATH.
buildkit_build() { /usr/bin/docker build --network=host --progress=plain "$@"; }
