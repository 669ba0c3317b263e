#!/bin/bash
# Installs what the tests need and runs all of them: format, build with warnings as errors, quick tests, whole clusters.
# The last line is the count.  deploy/test.sh [--quick]: without the clusters.
set -euo pipefail
cd "$(dirname "$0")/.."

quick=
case ${1:-} in
"") ;;
--quick) quick=yes ;;
*) echo "usage: deploy/test.sh [--quick]" >&2; exit 2 ;;
esac

deploy/packages.sh test

echo "== format"
swift format lint --strict --recursive Package.swift Sources agent coordinator Tests Benchmarks

echo "== build"
export FARM_WARNINGS_AS_ERRORS=1
swift build --build-tests

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=
run() {
    echo "== $1"
    shift
    if ! swift test --skip-build "$@" 2>&1 | tee -a "$log" | { grep -vE '^(◇|✔|􀟈|􁁛)' || true; }; then failed=yes; fi
}
# What only computes first and by itself: beside it, tests that wait for threads and connections would wait for processors.
pure='^(DigestsTests|BuildPlanTests|DockerfileFrontendTests|WerfConformance|GoTemplateTests|SchedulingTests|SimulationTests)\.'
run "pure modules" --filter "$pure"
# Then what looks at a clock: a cancelled process ends within two seconds, a connection lives while bytes come.
timed='^(SandboxTests|TransportTests)\.'
run "by the clock" --filter "$timed"
run "components" --skip "$pure" --skip "$timed" --skip ClusterTests
# One cluster at a time: their figures of time (a cancelled process ends within two seconds) mean nothing on an overloaded machine.
[ -n "$quick" ] || run "clusters" --no-parallel --filter ClusterTests

# A run that crashed has no line for it, and counts as one.
count() { grep -E "^$1" "$log" | grep -cv ' Test run with ' || true; }
passed=$(count '(✔|􁁛) Test ')
broken=$(count '(✘|􀢄) Test .* failed after')
[ -z "$failed" ] || [ "$broken" -gt 0 ] || broken=1
[ "$passed" -gt 0 ] || broken=1
echo "$passed passed, $broken failed"
[ -z "$failed" ] && [ "$broken" = 0 ]
