#!/bin/bash
# Measures Farm against a peer in the same run: BuildKit (Debian's dockerd) for builds, rsync over TLS for volumes.
#
#   Benchmarks/run.sh [CASE ...] [--json FILE] [--runs N] [--scale PERCENT] [--rows "ROW ..."]
#
# CASE: steps, cached, context, volume, volumes, agents, transport (default: all). --runs: how often each row is measured (default 5).
# --scale and --rows are for volumes: how much of the data (default 100), and which of empty, files, comparison, objects, big, growth,
# flat, huge (default: all). A table goes to standard output, with medians and (fastest to slowest), what happens to standard error.
# --json writes every single value too.
#
# Needs root, Swift and about 70 GB under /var/tmp (or $TMPDIR). Starts its own daemons on loopback, in a folder of its own, and ends
# them; installs the peers with apt where they are missing. What the rows mean: docs/performance.md.
set -euo pipefail
benchmarks=$(cd "$(dirname "$0")" && pwd)
cd "$benchmarks/.."

usage() { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
fail() { echo "run.sh: $*" >&2; exit 1; }
say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

all_cases="steps cached context volume volumes agents transport"
cases='' json='' runs=5 scale=100 volumes_rows=all
while [ $# -gt 0 ]; do
    case $1 in
    steps | cached | context | volume | volumes | agents | transport) cases="$cases $1"; shift ;;
    --json) [ $# -ge 2 ] || usage; json=$(realpath -m -- "$2"); shift 2 ;;
    --runs) [ $# -ge 2 ] || usage; runs=$2; shift 2 ;;
    --scale) [ $# -ge 2 ] || usage; scale=$2; shift 2 ;;
    --rows) [ $# -ge 2 ] || usage; volumes_rows=$2; shift 2 ;;
    *) usage ;;
    esac
done
case $runs in '' | *[!0-9]* | 0*) usage ;; esac
case $scale in '' | *[!0-9]* | 0*) usage ;; esac
[ "$(id -u)" = 0 ] || fail "run it as root: agents mount file systems and run containers"
command -v swift >/dev/null || fail "Swift 6.2 or newer must be on the PATH"
cases=${cases:-$all_cases}

# shellcheck source=Benchmarks/packages.sh
. "$benchmarks/packages.sh"
# shellcheck source=Benchmarks/measure.sh
. "$benchmarks/measure.sh"
# shellcheck source=Benchmarks/data.sh
. "$benchmarks/data.sh"
# shellcheck source=Benchmarks/farm.sh
. "$benchmarks/farm.sh"
# shellcheck source=Benchmarks/buildkit.sh
. "$benchmarks/buildkit.sh"
# shellcheck source=Benchmarks/rsync.sh
. "$benchmarks/rsync.sh"
# shellcheck source=Benchmarks/steps.sh
. "$benchmarks/steps.sh"
# shellcheck source=Benchmarks/context.sh
. "$benchmarks/context.sh"
# shellcheck source=Benchmarks/volume.sh
. "$benchmarks/volume.sh"
# shellcheck source=Benchmarks/volumes.sh
. "$benchmarks/volumes.sh"
# shellcheck source=Benchmarks/agents.sh
. "$benchmarks/agents.sh"
# shellcheck source=Benchmarks/transport.sh
. "$benchmarks/transport.sh"

install_packages
if [ -z "${FARM_PROGRAMS:-}" ]; then
    say "building the release programs"
    swift build -c release --static-swift-stdlib >&2
    FARM_PROGRAMS=$(swift build -c release --static-swift-stdlib --show-bin-path)
fi

work=$(mktemp -d "${TMPDIR:-/var/tmp}/farm-benchmark-XXXXXX")
values=$work/values.tsv
: >"$values"
finish() {
    trap '' INT TERM
    stop_transport
    stop_volumes
    stop_rsync
    stop_buildkit
    stop_farm
    # Nothing is mounted there when all ended well; a mount that was left would make rm reach into it.
    awk -v under="$work/" 'index($2, under) == 1 { print $2 }' /proc/self/mounts | sort -r | while IFS= read -r mount; do
        echo "run.sh: was left mounted: $mount" >&2
        umount -l "$mount"
    done
    rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

case " $cases " in *" steps "* | *" cached "* | *" context "* | *" volume "*)
    start_farm
    import_busybox_farm
    ;;
esac
case $cases in *steps* | *cached* | *context*) start_buildkit; import_busybox_buildkit ;; esac
case " $cases " in *" steps "* | *" cached "*) measure_steps ;; esac
case " $cases " in *" context "*) measure_context ;; esac
case " $cases " in *" volume "*) measure_volume ;; esac
case " $cases " in *" volumes "*) measure_volumes ;; esac
case " $cases " in *" agents "*) measure_agents ;; esac
case " $cases " in *" transport "*) measure_transport ;; esac

summarize "$values" >"$work/summary.json"
print_table "$work/summary.json"
if [ -n "$json" ]; then cp "$work/summary.json" "$json"; fi
