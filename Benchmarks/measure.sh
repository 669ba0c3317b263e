# Taking values, and making medians and a table of them.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

# Notes one value: case, row, who ("farm" or the peer's name), unit, value.
note() {
    printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$values"
    say "$1: $2: $3 $5 $4"
}

# Runs a command with its output in $work/last.log, and sets $elapsed to its wall time in seconds. What others wrote before is on the
# disk first, so that nobody pays for writing back another's pages.
elapsed=
timed() {
    local start end
    sync
    start=${EPOCHREALTIME/[^0-9]/}
    if ! "$@" >"$work/last.log" 2>&1; then
        tail -40 "$work/last.log" >&2
        tail -n 15 "$work"/farm/*.log >&2
        fail "failed: $*"
    fi
    end=${EPOCHREALTIME/[^0-9]/}
    elapsed=$(awk -v us=$((end - start)) 'BEGIN { printf "%.3f", us / 1e6 }')
}

# Runs a command and notes its wall time: case, row, who, command…
clock() {
    local case=$1 row=$2 who=$3
    shift 3
    timed "$@"
    note "$case" "$row" "$who" s "$elapsed"
}

# The values as JSON: machine, and for each row median, least and most of each side and their ratio.
summarize() {
    jq -R -s --arg date "$(date -u +%Y-%m-%d)" --arg kernel "$(uname -r)" --arg processors "$(nproc)" \
        --arg filesystem "$(stat -f -c %T "$work")" --arg load "$(cat /proc/loadavg)" '
        def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
        def statistics: {median: median, least: min, most: max, values: .};
        [split("\n")[] | select(. != "") | split("\t")
            | {case: .[0], row: .[1], who: .[2], unit: .[3], value: (.[4] | tonumber)}] as $values
        | [$values[] | [.case, .row, .unit]] as $keys
        | {date: $date, kernel: $kernel, processors: ($processors | tonumber), filesystem: $filesystem,
            load: ($load | split(" ")[:3] | map(tonumber)),
            rows: [(reduce $keys[] as $key ([]; if index([$key]) then . else . + [$key] end))[] as [$case, $row, $unit]
                | [$values[] | select(.case == $case and .row == $row and .unit == $unit)] as $mine
                | ([$mine[] | select(.who == "farm") | .value] | if . == [] then null else statistics end) as $farm
                | ([$mine[] | select(.who != "farm") | .value] | if . == [] then null else statistics end) as $peer
                | {case: $case, row: $row, unit: $unit, farm: $farm,
                    peer: ($peer | if . then . + {name: ([$mine[] | select(.who != "farm") | .who][0])} else null end),
                    ratio: (if $farm and $peer and $peer.median > 0 then $farm.median / $peer.median else null end)}]}' "$1"
}

print_table() {
    jq -r '
        def number($unit): if $unit == "MB" then . * 10 | round / 10 else . * 1000 | round / 1000 end | tostring;
        def cell($unit): if . then "\(.median | number($unit)) (\(.least | number($unit)) to \(.most | number($unit)))" else "-" end;
        ["case", "row", "unit", "farm", "peer", "", "ratio"],
        (.rows[] | [.case, .row, .unit, (.unit as $unit | .farm | cell($unit)), (.peer.name // "-"),
            (.unit as $unit | .peer | cell($unit)), (if .ratio then .ratio * 100 | round / 100 | tostring else "-" end)])
        | @tsv' "$1" | while IFS=$'\t' read -r case row unit farm peer value ratio; do
        printf '%-8s %-28s %-3s %-26s %-9s %-26s %s\n' "$case" "$row" "$unit" "$farm" "$peer" "$value" "$ratio"
    done
}
