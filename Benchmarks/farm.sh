# A farm of two agents in $work/farm, as a user would start it.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

farm_process=

start_farm() {
    say "starting a farm of two agents"
    XDG_CACHE_HOME=$work/cache
    FARM_CONFIG=$work/farm/client.yaml
    # Copies in the background would bring what is to be measured before it is.
    FARM_VOLUME_COPIES=1
    export XDG_CACHE_HOME FARM_CONFIG FARM_VOLUME_COPIES
    "$FARM_PROGRAMS/farm" dev --agents 2 --data "$work/farm" --listen 127.0.0.1:0 >"$work/farm.out" 2>"$work/farm.log" &
    farm_process=$!
    until grep -q '^ready: ' "$work/farm.out" 2>/dev/null; do
        kill -0 "$farm_process" 2>/dev/null || { cat "$work/farm.log" >&2; fail "farm dev did not start"; }
        sleep 0.1
    done
}

stop_farm() {
    local process
    [ -n "$farm_process" ] || return 0
    kill -TERM "$farm_process" 2>/dev/null || true
    wait "$farm_process" || true
    farm_process=
    # Should it have gone without them: its daemons, known by this run's folder.
    for process in /proc/[0-9]*; do
        process=${process#/proc/}
        if tr '\0' ' ' 2>/dev/null <"/proc/$process/cmdline" | grep -qF -- "--config $work/farm/"; then
            echo "run.sh: was left running: $process" >&2
            kill -TERM "$process" 2>/dev/null || true
            tail --pid="$process" -f /dev/null
        fi
    done
}

# Imports a root file system of busybox alone as "busybox"; keeps the archive for the peer.
import_busybox_farm() {
    busybox_archive "$work/busybox.tar"
    "$FARM_PROGRAMS/farm" image import busybox "$work/busybox.tar" >&2
}

# farm submit, with its progress in the log of the run.
farm_build() { "$FARM_PROGRAMS/farm" submit --progress plain "$@"; }

# Bytes of volumes that the build of a metadata file received, in MB.
farm_volume_megabytes() {
    local build
    build=$(jq -r '."farm.build.ref"' "$1")
    "$FARM_PROGRAMS/farm" show "$build" --json | jq '[.stages[].steps[].bytes.volumes // 0] | add / 1e6'
}
