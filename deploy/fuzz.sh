#!/bin/bash
# Lets libFuzzer look for bytes of a peer, or of a damaged disk, that volumes do not stand.
#
#   deploy/fuzz.sh [SECONDS] [TARGET ...]
#
# SECONDS: for each target (default 60). TARGET: whole, delta, change, … (default: all, see Tests/TreeSyncTests/FuzzTarget.swift). Starts with
# Tests/TreeSyncTests/Corpus; what is found goes to .build/fuzz-corpus/TARGET, and an input that fails to .build/fuzz-failures, as
# the tests take it: put it into Corpus/ as TARGET-NAME once it is mended.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=60
case ${1:-} in '' | *[!0-9]*) ;; *) seconds=$1; shift ;; esac
targets=${*:-$(sed -n 's/^    case \(whole, .*\)$/\1/p' Tests/TreeSyncTests/FuzzTarget.swift | tr -d ,)}

# A build of its own: everything is instrumented. Not optimized, so that every check of Swift and of this code is there.
export FARM_FUZZ=1
swift build --scratch-path .build/fuzz --product TreeSyncFuzz --sanitize fuzzer -Xswiftc -parse-as-library

# In memory where that can be: inputs make and remove many files.
TMPDIR=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/farm-fuzz-XXXXXX")
export TMPDIR
trap 'rm -rf --one-file-system "$TMPDIR"' EXIT
mkdir -p .build/fuzz-failures
status=0
for target in $targets; do
    corpus=.build/fuzz-corpus/$target
    mkdir -p "$corpus"
    for seed in Tests/TreeSyncTests/Corpus/"$target"-*; do
        # Inputs have neither the digest at the end nor the frame: what is in the tests' corpus is without the frame, but with the digest.
        [ -e "$seed" ] || continue
        case $target in
        whole | delta | change | digests | index) head -c -32 "$seed" >"$corpus/$(basename "$seed")" ;;
        *) cp "$seed" "$corpus/" ;;
        esac
    done
    echo "== $target"
    FARM_FUZZ_TARGET=$target FARM_FUZZ_EXAMPLE="$corpus/example" .build/fuzz/debug/TreeSyncFuzz "$corpus" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
        -artifact_prefix=".build/fuzz-failures/$target-" || status=1
done
exit $status
