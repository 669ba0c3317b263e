#!/bin/bash
# Measures how fast a coordinator is back that has many builds in its store.
#
#   Benchmarks/restart.sh [--builds N] [--runs N] [--json FILE]
#
# Fills a store by the coordinator's own code (default: 10,000 ended builds with 100 log events each, 10 under way, 20 agents with 40,000
# layers and 2,000 volumes, 10,000 packs of uploaded contexts), then starts farm-coordinator on it again and again and prints the time
# from its start to the first 200 of /readyz: after an end in order, and after kill -9. Also the processor time and the peak memory of
# it at that moment, and the times of `farm-coordinator backup` and `check`, which work on the same store while it runs.
#
# Needs Swift, curl and 3 GB under /var/tmp (or $TMPDIR); everything is on loopback. FARM_PROGRAMS names a folder of programs that are
# built already. Exit status 1 when a median is above 2 s.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
builds=10000 runs=5 json=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
    --builds) builds=$2 ;;
    --runs) runs=$2 ;;
    --json) json=$2 ;;
    *) usage ;;
    esac
    shift 2
done
case $builds$runs in *[!0-9]*) usage ;; esac
if [ -z "${FARM_PROGRAMS:-}" ]; then
    swift build -c release --product farm-coordinator >&2
    swift build -c release --product store-generator >&2
    FARM_PROGRAMS=$(swift build -c release --show-bin-path)
fi

work=$(mktemp -d "${TMPDIR:-/var/tmp}/farm-restart-XXXXXX")
process=
finish() {
    trap '' INT TERM
    if [ -n "$process" ]; then kill -KILL "$process" 2>/dev/null || true; wait "$process" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

data=$work/data
port=$((20000 + RANDOM % 20000))
"$FARM_PROGRAMS/farm-coordinator" init --data "$data" --listen "127.0.0.1:$port" --names 127.0.0.1 >/dev/null
"$FARM_PROGRAMS/store-generator" --builds "$builds" "$data" >&2
echo "database: $(du -m "$data/farm.sqlite" | cut -f1) MB" >&2

now() { date +%s%N; }

# Starts it, sets $milliseconds, $processor (milliseconds of processor time so far) and $megabytes when it is ready.
start() {
    local begin=$(now)
    "$FARM_PROGRAMS/farm-coordinator" --data "$data" --listen "127.0.0.1:$port" 2>>"$work/log" &
    process=$!
    until curl -sf -o "$work/ready" --cacert "$data/authority/authority.pem" "https://127.0.0.1:$port/readyz"; do
        kill -0 "$process" 2>/dev/null || { cat "$work/log" >&2; echo "the coordinator did not start" >&2; exit 1; }
        sleep 0.005
    done
    milliseconds=$((($(now) - begin) / 1000000))
    processor=$(awk -v hertz="$(getconf CLK_TCK)" '{ printf "%d", ($14 + $15) * 1000 / hertz }' "/proc/$process/stat")
    megabytes=$(($(awk '/^VmHWM/ { print $2 }' "/proc/$process/status") / 1024))
}

# stop SIGNAL: ends it.
stop() {
    kill "-$1" "$process"
    wait "$process" 2>/dev/null || true
    process=
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for how in TERM KILL; do
    : >"$work/$how"
    for _ in $(seq "$runs"); do
        start
        echo "$milliseconds" >>"$work/$how"
        echo "$megabytes" >>"$work/memory"
        echo "$processor" >>"$work/processor"
        stop "$how"
    done
done
# The first start of the second row followed an end in order.
start
timed() { local begin=$(now); "$@" >/dev/null 2>&1; echo $((($(now) - begin) / 1000000)); }
backup=$(timed "$FARM_PROGRAMS/farm-coordinator" backup --data "$data" --to "$work/backup")
check=$(timed "$FARM_PROGRAMS/farm-coordinator" check --data "$data")
stop TERM

ordered=$(median <"$work/TERM") killed=$(tail -n +2 "$work/KILL" | { cat; echo "$milliseconds"; } | median) memory=$(median <"$work/memory") used=$(median <"$work/processor")
printf '%-46s %8s\n' "builds" "$builds" "ready after an end in order, ms" "$ordered" "ready after kill -9, ms" "$killed" \
    "processor time when ready, ms" "$used" "peak memory when ready, MB" "$memory" "backup while it runs, ms" "$backup" "check while it runs, ms" "$check"
if [ -n "$json" ]; then
    printf '{"builds": %s, "readyAfterEndMs": %s, "readyAfterKillMs": %s, "processorMs": %s, "memoryMB": %s, "backupMs": %s, "checkMs": %s}\n' \
        "$builds" "$ordered" "$killed" "$used" "$memory" "$backup" "$check" >"$json"
fi
[ "$ordered" -le 2000 ] && [ "$killed" -le 2000 ]
