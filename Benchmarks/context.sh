# COPY . of 50,000 files (443 MB): all of them new, none changed, one changed.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

context_first_runs=3 # each makes 443 MB anew, and some 2 GB in the stores

measure_context() {
    local run context='' who changed
    for ((run = 1; run <= context_first_runs; run++)); do
        say "context: making 50,000 files"
        context=$work/context-$run
        make_tree "$context" "$run"
        printf 'FROM busybox\nCOPY . /source\n' >"$context/Dockerfile"
        for who in farm buildkit; do clock context "50,000 files, all new" $who ${who}_build "$context"; done
    done
    for ((run = 1; run <= runs; run++)); do
        for who in farm buildkit; do clock context "none changed" $who ${who}_build "$context"; done
    done
    for ((run = 1; run <= runs; run++)); do
        changed=$(printf '%s/part-%02d/folder-%02d/file-07' "$context" "$run" "$run")
        echo "change $run of $RANDOM" >>"$changed"
        for who in farm buildkit; do clock context "one changed" $who ${who}_build "$context"; done
    done
}
