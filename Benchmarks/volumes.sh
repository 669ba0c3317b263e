# One volume on two agents, without builds around it: how long until a generation that another agent has can be mounted here, beside
# rsync over TLS, which brings the same change to another folder. Both agents are processes of their own with the real store and the real
# protocol; see docs/performance.md.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

volumes_agents=''

# start_agent NAME IN OUT DATA: as a process whose commands go to descriptor IN and whose answers come from OUT.
start_agent() {
    local name=$1 folder=$work/volumes
    rm -f "$folder/$name.in" "$folder/$name.out"
    mkfifo "$folder/$name.in" "$folder/$name.out"
    "$FARM_PROGRAMS/volume-benchmark" agent "$name" "$folder/setup" "$folder/$4" \
        <"$folder/$name.in" >"$folder/$name.out" 2>>"$folder/$name.log" \
        5>&- 6<&- 7>&- 8<&- &
    eval "${name}_process=$!"
    volumes_agents="$volumes_agents $!"
    eval "exec $2>'$folder/$name.in' $3<'$folder/$name.out'"
}

start_holder() {
    start_agent holder 7 8 holder
    read -r holder_address <&8 || fail "the holder did not start: $(tail -3 "$work/volumes/holder.log")"
}

stop_holder() {
    exec 7>&- 8<&-
    wait "$holder_process" || true
}

# start_receiver DATA: with what it had, or with nothing.
start_receiver() {
    start_agent receiver 5 6 "$1"
    read -r _ <&6 || fail "the receiver did not start: $(tail -3 "$work/volumes/receiver.log")"
}

stop_receiver() {
    exec 5>&- 6<&-
    wait "$receiver_process" || true
}

# Ends what is left; run.sh calls it at its end.
stop_volumes() {
    local process
    [ -n "$volumes_agents" ] || return 0
    exec 7>&- 8<&- 5>&- 6<&-
    for process in $volumes_agents; do
        kill -TERM "$process" 2>/dev/null || true
        wait "$process" || true
    done
    volumes_agents=''
}

# The answer is in $reply.
reply=
tell_holder() {
    echo "$*" >&7
    read -r reply <&8 || fail "holder: $*: $(tail -3 "$work/volumes/holder.log")"
}
tell_receiver() {
    echo "$*" >&5
    read -r reply <&6 || fail "receiver: $*: $(tail -3 "$work/volumes/receiver.log")"
}

# Bytes in both directions on the connections to the holder, within TCP.
wire_bytes() {
    ss -tinH state established "( dport = :${holder_address##*:} )" |
        awk -v RS='[ \t\n]+' -F: '/^bytes_(sent|received):/ { all += $2 } END { printf "%.0f", all }'
}

# volumes_choose ID CASE COUNT [alone]: a new volume with the data of a case, at the holder, and unless it is alone as rsync's source.
volumes_choose() {
    volumes_id=$1 volumes_case=$2 volumes_count=$3 volumes_alone=${4:-}
    tell_holder volume "$1"
    tell_receiver volume "$1"
    say "volumes: making $3 of $2"
    if [ -z "$volumes_alone" ]; then
        mkdir -p "$work/rsync/$1-source" "$work/rsync/$1-destination"
        rm -f "$work/rsync/source"
        ln -s "$1-source" "$work/rsync/source"
        rsync_destination=$work/rsync/$1-destination
        "$FARM_PROGRAMS/volume-benchmark" make "$2" "$work/rsync/source/" "$3"
    fi
    tell_holder make "$2" "$3"
    generation=${reply% *}
}

# The volume and rsync's copies of it go, where the disk would not hold them and what follows.
volumes_forget_all() {
    tell_holder drop
    tell_receiver drop
    rm -rf --one-file-system "$work/rsync/$volumes_id-source" "$work/rsync/$volumes_id-destination"
}

# volumes_change ROUND [ROW [COUNT]]: the change of a round on both sides; COUNT: only among so many of the files.
volumes_change() {
    tell_holder change "$volumes_case" "${3:-$volumes_count}" "$1"
    generation=${reply% *}
    [ -z "${2:-}" ] || note volumes "$2: publishing" farm s "${reply#* }"
    [ -n "$volumes_alone" ] ||
        "$FARM_PROGRAMS/volume-benchmark" change "$volumes_case" "$work/rsync/source/" "$volumes_count" "$1"
}

# volumes_need ROW: the receiver needs the newest generation. Nothing is noted for an empty ROW.
volumes_need() {
    local before after wall cpu peak more received reached
    sync
    tell_receiver calm
    if awk -v waited="${reply% *}" 'BEGIN { exit waited < 5 }'; then
        say "volumes: waited ${reply% *} s until the file system made files as quickly as usual (${reply#* } s each now)"
    fi
    tell_holder usage
    before="$(wire_bytes) $reply"
    tell_receiver need "$generation" "$holder_address"
    read -r wall cpu peak more received reached <<<"$reply"
    tell_holder usage
    after="$(wire_bytes) $reply"
    [ "$reached" = "$generation" ] || fail "$1: generation $reached instead of $generation: $(tail -3 "$work/volumes/receiver.log")"
    [ -n "$1" ] || return 0
    note volumes "$1" farm s "$wall"
    note volumes "$1: receiver's processor" farm s "$cpu"
    note volumes "$1: sender's processor" farm s "$(awk -v all="$before $after" 'BEGIN { split(all, v); print v[6] - v[2] }')"
    note volumes "$1: receiver's memory" farm MB "$(awk -v peak="$peak" 'BEGIN { print peak / 1e6 }')"
    note volumes "$1: receiver's memory, more" farm MB "$(awk -v more="$more" 'BEGIN { print more / 1e6 }')"
    note volumes "$1: sender's memory" farm MB "$(awk -v all="$before $after" 'BEGIN { split(all, v); print v[7] / 1e6 }')"
    note volumes "$1: sender's memory, more" farm MB "$(awk -v all="$before $after" 'BEGIN { split(all, v); print v[8] / 1e6 }')"
    note volumes "$1: wire" farm MB "$(awk -v all="$before $after" 'BEGIN { split(all, v); print (v[5] - v[1]) / 1e6 }')"
}

volumes_rsync() {
    local wall cpu peak sender before after
    : >"$work/rsync/sender"
    before=$(stunnel_processor)
    sync
    rm -f "$work/rsync/receiver"
    "$FARM_PROGRAMS/volume-benchmark" measure "$work/rsync/receiver" \
        env RSYNC_SSL_TYPE=openssl "RSYNC_SSL_CA_CERT=$work/rsync/certificate.pem" LC_ALL=C \
        rsync-ssl -aHAX --delete --stats --no-human-readable "rsync://localhost:$rsync_port/data/" "$rsync_destination/" \
        >"$work/last.log" 2>&1 || { cat "$work/last.log" >&2; fail "rsync failed"; }
    read -r wall cpu peak <"$work/rsync/receiver"
    until [ -s "$work/rsync/sender" ]; do sleep 0.05; done
    after=$(stunnel_processor)
    [ -n "$1" ] || return 0
    sender=$(awk '{ cpu += $2; if ($3 > peak) peak = $3 } END { print cpu, peak / 1e6 }' "$work/rsync/sender")
    note volumes "$1" rsync s "$wall"
    note volumes "$1: receiver's processor" rsync s "$cpu"
    note volumes "$1: sender's processor" rsync s "$(awk -v a="$before" -v b="$after" -v c="${sender% *}" 'BEGIN { print b - a + c }')"
    note volumes "$1: receiver's memory" rsync MB "$(awk -v peak="$peak" 'BEGIN { print peak / 1e6 }')"
    note volumes "$1: sender's memory" rsync MB "${sender#* }"
    note volumes "$1: wire" rsync MB "$(rsync_megabytes)"
}

# The proxy's own time; its rsync is measured by itself.
stunnel_processor() {
    awk -v tick="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / tick }' "/proc/$rsync_process/stat"
}

# Both sides have the same, as rsync sees it with checksums; the times of folders are not compared.
volumes_compare() {
    local path different
    tell_receiver mount
    path=$reply
    different=$(rsync -aHAXnicO --delete "$work/rsync/source/" "$path/" | head -5)
    tell_receiver release
    [ -z "$different" ] || fail "$volumes_id: the receiver has other files than rsync's source: $different"
}

# volumes_rounds ROW ROUNDS
volumes_rounds() {
    local round
    for ((round = 1; round <= $2; round++)); do
        volumes_change "$round" "$1"
        volumes_need "$1"
        volumes_rsync "$1"
    done
}

# Without a common generation: the holder's journal is gone, so that only a comparison can tell what has changed.
volumes_forget() {
    stop_holder
    rm -f "$work"/volumes/holder/*/*.journal
    start_holder
    tell_holder volume "$volumes_id"
}

volumes_row() { case " ${volumes_rows:-all} " in *" all "* | *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# The receiver has nothing: a new agent each time, since removing 60,000 files would be felt by the next round.
volumes_empty() {
    local round rounds=1 row=''
    if volumes_row empty; then rounds=$runs row="empty destination"; fi
    for ((round = 1; round <= rounds; round++)); do
        if [ "$round" -gt 1 ]; then
            stop_receiver
            start_receiver "receiver-$round"
            tell_receiver volume "$volumes_id"
            rsync_destination=$work/rsync/$volumes_id-destination-$round
            mkdir "$rsync_destination"
        fi
        volumes_need "$row"
        volumes_rsync "$row"
    done
}

# volumes_growth COUNT ROW AMONG: rounds that change 600 files among the first AMONG of COUNT.
volumes_growth() {
    local round
    for ((round = 1; round <= runs; round++)); do
        volumes_change "$((change + round))" "$2" "$3"
        volumes_need "$2"
    done
    change=$((change + 100))
}

# Both processes anew, so that what they had done before is not in their memory.
volumes_restart() {
    stop_holder
    stop_receiver
    start_holder
    start_receiver "$1"
    tell_holder volume "$volumes_id"
    tell_receiver volume "$volumes_id"
}

measure_volumes() {
    local files=$((600 * scale)) objects=$((20 * scale)) blocks=$((5243 * scale)) huge=$((24415 * scale)) flat=$((10000 * scale))
    local round count change=0
    mkdir -p "$work/volumes"
    "$FARM_PROGRAMS/volume-benchmark" setup "$work/volumes/setup"
    rsync_wrapper="$FARM_PROGRAMS/volume-benchmark"
    start_rsync
    rm -rf "$work/rsync/source"
    start_holder
    start_receiver receiver
    if volumes_row files || volumes_row empty || volumes_row comparison; then
        volumes_choose files files "$files"
        volumes_empty
        if volumes_row files; then
            for ((round = 1; round <= runs; round++)); do
                volumes_change "$((++change))" "1% changed"
                volumes_need "1% changed"
                volumes_rsync "1% changed"
            done
            for ((round = 1; round <= runs; round++)); do
                volumes_need "nothing changed"
                volumes_rsync "nothing changed"
            done
        fi
        volumes_compare
        if volumes_row comparison; then
            for ((round = 1; round <= runs; round++)); do
                volumes_change "$((++change))"
                volumes_forget
                volumes_need "1% changed, by comparison"
                volumes_rsync "1% changed, by comparison"
            done
            volumes_compare
        fi
    fi
    if volumes_row objects; then
        volumes_choose objects objects "$objects"
        volumes_need ''
        volumes_rsync ''
        volumes_rounds "objects, 10% edited" "$runs"
        volumes_compare
    fi
    if volumes_row big; then
        volumes_choose big big "$blocks"
        volumes_need ''
        volumes_rsync ''
        volumes_rounds "big file, 1% of blocks" "$runs"
        volumes_compare
        volumes_forget_all
    fi
    # No peer from here on: what is asked is what it takes here. Growth before the others, which leave much to remove.
    if volumes_row growth; then
        # Rounds of their own for each, which are other contents: what one brought would be found here by the next. Hundreds change the same
        # files.
        change=100
        for count in $((files / 10)) "$files" $((files * 10)); do
            volumes_choose "growth-$count" files "$count" alone
            volumes_need ''
            volumes_growth "$count" "the same 600 changed of $count" "$((files / 10))"
            [ "$count" = $((files / 10)) ] || volumes_growth "$count" "600 of $count, spread" "$count"
        done
    fi
    if volumes_row flat; then
        volumes_choose flat flat "$flat" alone
        volumes_restart receiver
        volumes_need "$flat files in one folder"
        for ((round = 1; round <= runs; round++)); do
            volumes_change "$round" "the same, 1% changed"
            volumes_need "the same, 1% changed"
        done
    fi
    if volumes_row huge; then
        volumes_choose huge big "$huge" alone
        volumes_restart receiver
        volumes_need "file of 10 GB, whole"
        volumes_change 1 "file of 10 GB, 1% of blocks"
        volumes_restart receiver
        volumes_need "file of 10 GB, 1% of blocks"
        volumes_forget_all
    fi
    stop_volumes
    stop_rsync
}
