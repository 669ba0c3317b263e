# A cache of 60,000 files (1 GB) that was last used on one agent and is needed on the other: what the next build's whole wall time is.
# The peer is rsync over TLS, which brings the same change to another folder: only that, without a build around it.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

volume_empty_runs=3 # each moves 1 GB

volume_build() {
    local dockerfile=$1 agent=$2
    shift 2
    farm_build --no-cache --project "$volume_project" --metadata-file "$work/metadata.json" --require "name=$agent" \
        -f "$benchmarks/volume/$dockerfile.Dockerfile" "$@" "$benchmarks/volume"
}

# Until the coordinator knows that this agent holds the volume's newest generation and that it is newer than $volume_generation.
volume_published() {
    local generation='' deadline=$((SECONDS + 120))
    until [ -n "$generation" ]; do
        [ "$SECONDS" -lt "$deadline" ] || fail "the volume's new generation was not announced within 2 minutes"
        generation=$("$FARM_PROGRAMS/farm" volumes --json | jq -r --arg project "$volume_project" --arg agent "$1" \
            --argjson last "$volume_generation" '.[] | select(.project == $project and .generation > $last) | .generation as $head
                | select(any(.holders[]; .agent == $agent and .generation == $head)) | $head')
        [ -n "$generation" ] || sleep 0.1
    done
    volume_generation=$generation
}

# Times a use of the volume on an agent, which must see a file that the last change made.
volume_use() {
    clock volume "$1" farm volume_build use "$2" --build-arg "EXPECTED=$3"
    note volume "$1" farm MB "$(farm_volume_megabytes "$work/metadata.json")"
}

rsync_use() {
    clock volume "$1" rsync rsync_pull
    note volume "$1" rsync MB "$(rsync_megabytes)"
}

measure_volume() {
    local run here there
    [ "$runs" -le 26 ] || fail "volume: at most 26 runs"
    start_rsync
    busybox sh "$benchmarks/volume/fill.sh" "$work/rsync/source"
    for ((run = 1; run <= volume_empty_runs; run++)); do
        volume_project=volume-$run volume_generation=0
        say "volume: filling"
        timed volume_build fill agent-1
        volume_published agent-1
        volume_use "empty destination" agent-2 folder-599
        # Another one rather than an emptied one: removing so many files may take longer than making them.
        rsync_destination=$work/rsync/destination-$run
        mkdir "$rsync_destination"
        rsync_use "empty destination"
    done
    for ((run = 1; run <= runs; run++)); do
        here=agent-$((run % 2 + 1)) there=agent-$(((run + 1) % 2 + 1))
        timed volume_build change "$here" --build-arg "ROUND=$run"
        volume_published "$here"
        busybox sh "$benchmarks/volume/change.sh" "$work/rsync/source" "$run"
        volume_use "1% changed, 1% added" "$there" "folder-599/new-$run"
        volume_use "nothing changed" "$there" "folder-599/new-$run"
        rsync_use "1% changed, 1% added"
        rsync_use "nothing changed"
    done
    stop_rsync
}
