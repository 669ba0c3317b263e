# The HTTP/2 server alone: h2load asks the coordinator's probe over TLS 1.3, and nginx for a text of the same length, with the same
# certificate; see docs/performance.md.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

transport_coordinator='' transport_nginx=''
transport_requests=${FARM_TRANSPORT_REQUESTS:-200000}

start_transport() {
    local folder=$work/transport
    mkdir -p "$folder/nginx"
    "$FARM_PROGRAMS/farm-coordinator" init --data "$folder/data" --listen 127.0.0.1:7480 --names localhost >/dev/null
    "$FARM_PROGRAMS/farm-coordinator" --data "$folder/data" --listen 127.0.0.1:0 --log-level notice 2>"$folder/coordinator.log" &
    transport_coordinator=$!
    transport_address=
    while [ -z "$transport_address" ]; do
        kill -0 "$transport_coordinator" 2>/dev/null || fail "the coordinator did not start: $(tail -3 "$folder/coordinator.log")"
        sleep 0.1
        transport_address=$(sed -n 's/.* address=\([^ ]*\).*/\1/p' "$folder/coordinator.log" | head -1)
    done
    nginx_port=$(free_port)
    cat >"$folder/nginx.conf" <<END
worker_processes auto;
daemon off;
pid $folder/nginx/pid;
error_log $folder/nginx/error.log;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path $folder/nginx; proxy_temp_path $folder/nginx; fastcgi_temp_path $folder/nginx;
    uwsgi_temp_path $folder/nginx; scgi_temp_path $folder/nginx;
    keepalive_requests 100000000;
    server {
        listen 127.0.0.1:$nginx_port ssl http2 backlog=1024;
        ssl_certificate $folder/data/certificate.pem;
        ssl_certificate_key $folder/data/key.pem;
        ssl_protocols TLSv1.3;
        location = /healthz { default_type text/plain; return 200 "ok\n"; }
    }
}
END
    nginx -c "$folder/nginx.conf" -p "$folder/nginx" 2>"$folder/nginx/start.log" &
    transport_nginx=$!
    until curl -sk --max-time 1 -o "$folder/nginx/answer" "https://localhost:$nginx_port/healthz"; do
        kill -0 "$transport_nginx" 2>/dev/null || fail "nginx did not start: $(tail -3 "$folder/nginx/start.log" "$folder/nginx/error.log")"
        sleep 0.1
    done
}

stop_transport() {
    local process
    for process in $transport_coordinator $transport_nginx; do
        kill -TERM "$process" 2>/dev/null || true
        wait "$process" || true
    done
    transport_coordinator='' transport_nginx=''
}

# Asked of the kernel, which gives it to nobody else at once.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Processor seconds of a process and its children that run.
transport_processor() {
    cat "/proc/$1/stat" $(pgrep -P "$1" | sed 's,.*,/proc/&/stat,') | awk -v tick="$(getconf CLK_TCK)" '
        { sub(/.*\) /, ""); all += $12 + $13 } END { print all / tick }'
}

# transport_ask WHO ADDRESS PROCESS
transport_ask() {
    local before after
    before=$(transport_processor "$3")
    h2load --requests "$transport_requests" --clients 100 --max-concurrent-streams 10 --threads 1 "https://$2/healthz" >"$work/last.log"
    after=$(transport_processor "$3")
    grep -q " $transport_requests succeeded, 0 failed, 0 errored" "$work/last.log" || fail "$1: $(grep requests: "$work/last.log")"
    note transport "requests a second" "$1" 1/s "$(sed -n 's/^finished in .*, \([0-9.]*\) req\/s.*/\1/p' "$work/last.log")"
    note transport "processor for 1,000 requests" "$1" s \
        "$(awk -v a="$before" -v b="$after" -v n="$transport_requests" 'BEGIN { print (b - a) * 1000 / n }')"
}

measure_transport() {
    local round
    start_transport
    for ((round = 1; round <= runs; round++)); do
        transport_ask farm "localhost:${transport_address##*:}" "$transport_coordinator"
        transport_ask nginx "localhost:$nginx_port" "$transport_nginx"
    done
    stop_transport
}
