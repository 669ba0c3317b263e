# rsync's daemon behind stunnel on loopback: what the other machine would pull a folder from.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

rsync_process=
rsync_port=
rsync_destination=
# A program that measures what it runs, for who wants to know what the sender costs.
rsync_wrapper=

start_rsync() {
    local attempt program=/usr/bin/rsync arguments="rsync --daemon --config=$work/rsync/daemon.conf"
    if [ -n "$rsync_wrapper" ]; then
        program=$rsync_wrapper
        arguments="volume-benchmark measure $work/rsync/sender $arguments"
    fi
    say "starting rsync behind stunnel"
    mkdir -p "$work/rsync/source"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -keyout "$work/rsync/key.pem" -out "$work/rsync/certificate.pem" 2>/dev/null
    printf 'use chroot = no\nuid = root\ngid = root\n[data]\npath = %s\nread only = yes\n' "$work/rsync/source" >"$work/rsync/daemon.conf"
    for attempt in 1 2 3 4 5; do
        rsync_port=$((20000 + RANDOM % 12000))
        cat >"$work/rsync/stunnel.conf" <<EOF
foreground = yes
pid =
syslog = no
[data]
accept = 127.0.0.1:$rsync_port
cert = $work/rsync/certificate.pem
key = $work/rsync/key.pem
sslVersionMin = TLSv1.3
exec = $program
execArgs = $arguments
EOF
        stunnel4 "$work/rsync/stunnel.conf" >"$work/rsync/stunnel.log" 2>&1 &
        rsync_process=$!
        until grep -q 'Configuration successful' "$work/rsync/stunnel.log" 2>/dev/null; do
            kill -0 "$rsync_process" 2>/dev/null || continue 2
            sleep 0.1
        done
        sleep 0.2
        if kill -0 "$rsync_process" 2>/dev/null; then return 0; fi
        say "port $rsync_port is taken (attempt $attempt)"
    done
    fail "stunnel did not start: $(cat "$work/rsync/stunnel.log")"
}

stop_rsync() {
    [ -n "$rsync_process" ] || return 0
    kill -TERM "$rsync_process" 2>/dev/null || true
    wait "$rsync_process" || true
    rsync_process=
}

# Pulls the source into the destination.
rsync_pull() {
    RSYNC_SSL_TYPE=openssl RSYNC_SSL_CA_CERT=$work/rsync/certificate.pem LC_ALL=C rsync-ssl -aHAX --delete --stats --no-human-readable \
        "rsync://localhost:$rsync_port/data/" "$rsync_destination/"
}

# Bytes that the last pull moved in both directions, within TLS, in MB.
rsync_megabytes() { awk '/^Total bytes (sent|received): / { all += $NF } END { print all / 1e6 }' "$work/last.log"; }
