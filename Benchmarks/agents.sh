# A real coordinator with 100, 300 and 1,000 agents that run nothing, and 200 builds at once; see docs/performance.md.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

measure_agents() {
    mkdir -p "$work/agents"
    "$FARM_PROGRAMS/farm-load" --coordinator "$FARM_PROGRAMS/farm-coordinator" --folder "$work/agents" --json "$work/agents.json" >&2 ||
        fail "farm-load saw errors"
    while IFS=$'\t' read -r row unit value; do
        note agents "$row" farm "$unit" "$value"
    done < <(jq -r '.figures[] | . as $f | "\(.agents) agents: " as $name
        | ["joined", "s", $f.joining], ["heartbeats alone", "cpu", $f.idleProcessor], ["200 builds", "cpu", $f.processor],
            ["load generator", "cpu", $f.ownProcessor], ["memory, peak", "MB", $f.peakMemory / 1e6],
            ["submit, median", "ms", $f.submit.median * 1e3], ["submit, 99%", "ms", $f.submit.percentile99 * 1e3],
            ["a line, median", "ms", $f.line.median * 1e3], ["a line, 99%", "ms", $f.line.percentile99 * 1e3],
            ["heartbeats missed", "n", $f.heartbeatsMissed], ["errors", "n", $f.errors]
        | [$name + .[0], .[1], (.[2] | tostring)] | @tsv' "$work/agents.json")
}
