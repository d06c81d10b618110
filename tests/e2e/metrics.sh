# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# All numbers: over the control socket, over HTTP, and whatever is made of them.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

CONF=$TESTS/../conf
PORT_HTTP=9464
WEB='services = ( { name = "web"; address = "any"; ports = [80]; } );'

metrics() { ctl metrics --json; }
# sum_of NAME [JQ_CONDITION_ON_LABELS]: of its samples; nothing when there are none.
sum_of()
{
    metrics | jq -r --arg name "$1" "[.metrics[].samples[] | select(.name == \$name)
        | select(.labels | ${2:-true}).value] | select(length > 0) | add"
}
is_at_least() { [ "$(sum_of "$1" "${3:-true}")" -ge "$2" ]; } # NAME VALUE [JQ_CONDITION]
wellformed() { [ -z "$(promtool check metrics 2>&1)" ]; }    # on stdin; promtool is silent when all is well
names_told() { ctl metrics | sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' | sort; }

# ---- what is told

# Both name the same outcomes; those that are no label's value have a metric of their own.
same_as_status()
{
    local status own='{syn_received: "synmoat_syns_received_total", stray_reset: "synmoat_strays_reset_total",
        source_banned: "synmoat_sources_banned_total", source_evicted: "synmoat_sources_evicted_total",
        options_learned: "synmoat_options_learned_total", icmp_translated: "synmoat_icmp_translated_total",
        queue_dropped: "synmoat_kernel_queue_dropped_total"}'
    status=$(ctl status --json)
    metrics | says_true --argjson status "$status" "$own as \$own | [.metrics[].samples[]] as \$all
        | \$status.counters | length > 30 and ([to_entries[] | . as \$counter
            | [\$all[] | select(.labels.outcome == \$counter.key or .name == \$own[\$counter.key]).value]
            | length > 0 and add == \$counter.value] | all)"
}

services_same()
{
    local status
    status=$(ctl status --json)
    # shellcheck disable=SC2016 # the variables are jq's
    metrics | says_true --argjson status "$status" '[.metrics[].samples[]] as $all | $status.services
        | length > 0 and all(.[]; . as $service | {
            synmoat_service_half_open_limit: .limit, synmoat_service_arm_threshold: .arm_at,
            synmoat_service_disarm_threshold: .disarm_at, synmoat_service_armed: (if .armed then 1 else 0 end)
        } | to_entries | all(.[]; . as $number | any($all[]; .name == $number.key and .value == $number.value
            and .labels == {service: $service.name, address: $service.address, port: ($service.port | tostring)})))
        and all(.[]; . as $service | [$all[] | select(.name == "synmoat_service_state" and .value == 1
            and .labels.service == $service.name).labels.state] == [$service.state])'
}

syns_sum_up() { [ "$(sum_of synmoat_syns_total)" -eq "$(sum_of synmoat_syns_received_total)" ]; }
handovers_timed()
{
    [ "$(sum_of synmoat_handover_duration_seconds_count)" -eq "$(counter handed_over)" ] &&
        [ "$(sum_of synmoat_handover_duration_seconds_bucket '.le == "+Inf"')" -eq "$(counter handed_over)" ]
}
buckets_ascend()
{
    metrics | says_true '[.metrics[].samples[] | select(.name | endswith("_bucket")).value]
        | length == 14 and . == sort'
}
took_some_time() { metrics | says_true 'any(.metrics[].samples[]; (.name | endswith("duration_seconds_sum")) and .value > 0)'; }

# only_grew BEFORE AFTER: files; each counter is still there and not less.
only_grew()
{
    local counters='[.metrics[] | select(.type != "gauge").samples[] | {key: "\(.name) \(.labels)", value: .value}]
        | from_entries'
    says_true -s "(.[0] | $counters) as \$before | (.[1] | $counters) as \$after | (\$before | length) > 40
        and (\$before | to_entries | all(.value <= \$after[.key]))" "$1" "$2"
}

flooded()
{
    daemon_start "$WEB $QUICK" || exit 1
    check "in peace the metrics are well-formed" wellformed < <(ctl metrics)
    flood_start $RATE 3 "$SRV4" 80
    check "a flood arms the service" wait_until 5 armed 80
    check "the metrics say so" wait_until 1 is_at_least synmoat_service_armed 1 '.service == "web"'
    check "and of which character it is" is_at_least synmoat_service_character 1 '.character == "random-source flood"'
    check "clients are served" test "$(requests 50 3 "$SRV4")" -eq 50
    flood_wait
    check "in a flood the metrics are well-formed" wellformed < <(ctl metrics)
    settled counter syn_received >/dev/null
    check "each counter is that of status" wait_until 5 same_as_status
    check "each service is as in status" wait_until 5 services_same
    check "the outcomes of SYNs sum up" wait_until 5 syns_sum_up
    check "handovers happened" test "$(counter handed_over)" -ge 40
    check "each handover is timed" wait_until 5 handovers_timed
    check "the buckets are cumulative" buckets_ascend
    check "handovers take time" took_some_time
    check "conntrack's entries are counted" is_at_least synmoat_kernel_conntrack_entries 1
    check "conntrack has a limit" is_at_least synmoat_kernel_conntrack_entries_limit 1024

    metrics >"$WORK/before"
    check "arm" ctl arm web
    check "armed by hand" wait_until 3 armed 80
    check "clients are served on" test "$(requests 10 3 "$SRV4")" -eq 10
    check "reload" ctl reload
    check "auto" ctl auto web
    check "over all that one that counts has grown" wait_until 2 syns_grew # what is asked twice within 250 ms is the same
    metrics >"$WORK/after"
    check "and counters only grow" only_grew "$WORK/before" "$WORK/after"
}

syns_grew()
{
    [ "$(sum_of synmoat_syns_received_total)" -gt \
        "$(jq '[.metrics[].samples[] | select(.name == "synmoat_syns_received_total").value] | add' "$WORK/before")" ]
}

# ---- what is made of them

# names_used FILE...: metrics of ours, without what a histogram adds.
names_used() { grep -oh 'synmoat_[a-z_]*' "$@" | sed -E 's/_(bucket|sum|count)$//' | sort -u; }
# Of those used; synmoat_up is not told by the daemon, but by synmoat-textfile of it.
missing() { comm -23 <(names_used "$@" | grep -vx synmoat_up) <(names_told); }
man_missing() { comm -13 <(grep -oh 'synmoat_[a-z_]*' "$TESTS/../man/synmoatctl.1" | sort -u) <(names_told); }

# The dashboard's expressions as rules, which promtool checks.
dashboard_rules()
{
    jq -r '{groups: [{name: "dashboard", rules: [[.panels[].targets[]?.expr] | to_entries[] | {
        record: "panel:\(.key)", expr: (.value | gsub("\\$__rate_interval"; "1m") | gsub("\\$[a-z]+"; ".*"))}]}]}' \
        "$CONF/grafana/synmoat.json" >"$WORK/dashboard.json"
    [ "$(jq '.groups[0].rules | length' "$WORK/dashboard.json")" -gt 20 ] &&
        promtool check rules "$WORK/dashboard.json" >&2
}

made_of_them()
{
    check "the alert rules are well-formed" promtool check rules --lint=all --lint-fatal "$CONF/prometheus/synmoat.rules.yml"
    check "the alerts fire when they should" promtool test rules "$TESTS/synmoat.rules.test.yml"
    check "the alerts are of metrics that are told" test -z "$(missing "$CONF/prometheus/synmoat.rules.yml")"
    check "the dashboard is of metrics that are told" test -z "$(missing "$CONF/grafana/synmoat.json")"
    check "the dashboard's expressions are well-formed" dashboard_rules
    check "the manual lists every metric" test -z "$(man_missing)"
    check "the manual lists no other" test -z "$(missing "$TESTS/../man/synmoatctl.1")"

    mkdir -p "$WORK/textfile" "$WORK/bin"
    ln -sf "$SYNMOATCTL" "$WORK/bin/synmoatctl"
    check "the textfile is written" textfile
    check "and it is well-formed" wellformed <"$WORK/textfile/synmoat.prom"
    check "and it tells that the daemon answers" grep -qx "synmoat_up 1" "$WORK/textfile/synmoat.prom"
    check "and readable for others" test "$(stat -c %a "$WORK/textfile/synmoat.prom")" = 644
    check "a clean stop" daemon_stop
    check "without a daemon it fails" fails textfile
    check "and leaves no old numbers" test "$(grep -v '^#' "$WORK/textfile/synmoat.prom")" = "synmoat_up 0"
    check "and nothing else" test "$(ls -A "$WORK/textfile")" = synmoat.prom
}
fails() { ! "$@" 2>/dev/null; }
textfile() { PATH=$WORK/bin:$PATH in_daemon "$CONF/prometheus/synmoat-textfile" "$WORK/textfile" -s "$WORK/ctl.sock"; }

# ---- HTTP

http() { in_srv curl -s -g --max-time 3 "$@"; }
status_of() { http -o /dev/null -w '%{http_code}' "$@"; }
answers_with() { [ "$(status_of "${@:2}")" = "$1" ]; } # CODE CURL_ARGS...
page() { http "$URL"; }
unreachable() { ! in_cli curl -s -o /dev/null --connect-timeout 1 "http://$SRV4:$PORT_HTTP/metrics"; }
page_names() { page | sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' | sort; }

served_at() # ADDRESS
{
    local name="HTTP at $1"
    URL=http://$1:$PORT_HTTP/metrics
    daemon_start "$WEB metrics = { listen = \"$1:$PORT_HTTP\"; };" || exit 1
    check "$name: the page is there" answers_with 200 "$URL"
    check "$name: it says of what format it is" test \
        "$(http -o /dev/null -w '%{content_type}' "$URL")" = 'text/plain; version=0.0.4; charset=utf-8'
    check "$name: it is well-formed" wellformed < <(page)
    check "$name: it tells what synmoatctl tells" diff <(names_told) <(page_names)
    check "$name: HEAD is answered without a page" test "$(http -I "$URL" | grep -c '^# ')" -eq 0
    check "$name: nothing else is there" answers_with 404 "http://$1:$PORT_HTTP/"
    check "$name: nothing can be posted" answers_with 405 -d x=1 "$URL"
    check "$name: nothing can be deleted" answers_with 405 -X DELETE "$URL"
    check "$name: localhost is a name for it" answers_with 200 -H "Host: localhost:$PORT_HTTP" "$URL"
    check "$name: another name is refused" answers_with 403 -H 'Host: attacker.example' "$URL"
    check "$name: nor one that begins like it" answers_with 403 -H 'Host: 127.0.0.1.attacker.example' "$URL"
    check "$name: others do not reach it" unreachable
    check "$name: a clean stop" daemon_stop
}

# 60 pages, one after the other, while numbers change: they tell as many different ones as were gathered.
few_gathered()
{
    local start told
    start=$(now_ms)
    in_srv curl -s --max-time 20 "$URL?[1-60]" >"$WORK/pages" # http() takes no ranges
    told=$((($(now_ms) - start) / 250 + 2))
    [ "$(grep -c '^synmoat_syns_received_total ' "$WORK/pages")" -eq 60 ] &&
        [ "$(grep '^synmoat_syns_received_total ' "$WORK/pages" | sort -u | wc -l)" -le $told ] && [ $told -lt 60 ]
}

answers_quickly()
{
    local i
    for ((i = 0; i < 20; i++)); do timeout 1 "$SYNMOATCTL" -s "$WORK/ctl.sock" status >/dev/null || return; done
}
hostile_says() { grep -q "^$1" "$WORK/hostile"; }

often()
{
    URL=http://127.0.0.1:$PORT_HTTP/metrics
    daemon_start "$WEB metrics = { listen = \"127.0.0.1:$PORT_HTTP\"; }; $QUICK" || exit 1
    flood_start $RATE 10 "$SRV4" 80
    check "pages: a flood arms the service" wait_until 5 armed 80
    check "pages: many are had, and few are gathered" few_gathered
    flood_stop
    check "pages: a clean stop" daemon_stop
}

# idle_start COUNT: connections that ask nothing; "on" to $WORK/idle.
idle_start()
{
    ip netns exec "$SRV" python3 -c 'import socket, sys, time
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
print("on", flush=True)
time.sleep(60)' $PORT_HTTP "$1" >"$WORK/idle" &
    IDLE_PID=$!
    wait_until 10 grep -q on "$WORK/idle"
}

# As many idle connections as there are places, twice: they would be closed after 5 s, curl waits for 3.
idle()
{
    URL=http://127.0.0.1:$PORT_HTTP/metrics
    check "idle: 33 connections are there" idle_start 33
    check "idle: the page is had at once" answers_with 200 "$URL"
    check "idle: and again" answers_with 200 "$URL"
    kill "$IDLE_PID"
    wait "$IDLE_PID" 2>/dev/null
}

hostile()
{
    local pid
    daemon_start "$WEB metrics = { listen = \"127.0.0.1:$PORT_HTTP\"; }; $QUICK" || exit 1
    idle
    ip netns exec "$SRV" python3 "$TESTS/tools/hostile.py" 127.0.0.1 $PORT_HTTP >"$WORK/hostile" &
    pid=$!
    check "hostile clients are there" wait_until 10 hostile_says on
    check "hostile clients: synmoatctl is answered" answers_quickly
    flood_start $RATE 10 "$SRV4" 80
    check "hostile clients: a flood arms the service" wait_until 5 armed 80
    check "hostile clients: and its clients are served" test "$(requests 20 6 "$SRV4")" -eq 20
    flood_stop
    check "hostile clients: synmoatctl is answered on" answers_quickly
    wait $pid
    check "hostile clients: they tried hard" test "$(sed -n 's/^made //p' "$WORK/hostile")" -ge 1000
    check "hostile clients: afterwards the page is there" wait_until 12 answers_with 200 "$URL"
    check "hostile clients: there is no thread but the shards' and the main one" threads_are $(($(stat_get .shards) + 1))
}
threads_are() { [ "$(find "/proc/$DAEMON_PID/task" -mindepth 1 -maxdepth 1 | wc -l)" -eq "$1" ]; }

# What takes a restart.
at_restart()
{
    config_write "$WEB metrics = { listen = \"127.0.0.1:9465\"; };"
    check "restart: a reload with another address" ctl reload
    check "restart: it does not count yet" answers_with 200 "$URL"
    check "restart: the log says so" log_says 'at a restart only: .*metrics'
    check "restart: a clean stop" daemon_stop
    check "restart: the port is free again" fails answers_with 200 "$URL"
    in_srv sysctl -qw net.ipv4.ip_unprivileged_port_start=80 # it has no CAP_NET_BIND_SERVICE
    daemon_start "$WEB metrics = { listen = \"127.0.0.1:80\"; };" 2>/dev/null
    check "a port that is taken: no start" gone "$DAEMON_PID"
    check "a port that is taken: the log says so" log_says 'metrics.listen: port 80: Address already in use'
    check "a port that is taken: no rules are left" table_gone
}

# ---- what the kernel drops

queue_fills() { in_daemon cat /proc/net/netfilter/nfnetlink_queue | awk '$3 >= 32768 { full = 1 } END { exit !full }'; }

kernel_drops()
{
    daemon_start "$WEB on_overload = \"drop\"; queues = { shards = 1; };" || exit 1
    check "queue: nothing is dropped in peace" test "$(sum_of synmoat_kernel_queue_dropped_total)" -eq 0
    kill -STOP "$DAEMON_PID"
    flood_start 200000 10 "$SRV4" 80 -n 40000
    flood_wait
    check "queue: it is full" queue_fills
    kill -CONT "$DAEMON_PID"
    check "queue: the kernel's drops are counted" wait_until 10 is_at_least synmoat_kernel_queue_dropped_total 1000 \
        '.queue == "16384" and .reason == "queue_full"'
    check "queue: as in status" wait_until 5 same_as_status
    check "queue: a clean stop" daemon_stop

    daemon_start "$WEB policy = \"observe\";" || exit 1
    local before
    before=$(sum_of synmoat_kernel_listen_drops_total)
    flood_start $RATE 2 "$SRV4" 80
    check "listener: without cookies it drops" wait_until 5 is_at_least synmoat_kernel_listen_drops_total \
        $((before + 1000))
    flood_wait
    check "listener: and its SYN backlog was full" is_at_least synmoat_kernel_request_queue_full_drops_total 1000
    check "listener: as the kernel counts" wait_until 5 listen_drops_same
    check "listener: the metrics say what the policy is" is_at_least synmoat_info 1 '.policy == "observe"'
    check "listener: a clean stop" daemon_stop
}
listen_drops_same()
{
    [ "$(sum_of synmoat_kernel_listen_drops_total)" -eq \
        "$(in_srv nstat -asz TcpExtListenDrops | awk '$1 == "TcpExtListenDrops" { print $2 }')" ]
}

server_up() { topo_up; nginx_flooded; } # what a flood has left in the kernel is not for the next

server_up
flooded
made_of_them
served_at 127.0.0.1
served_at '[::1]'
server_up
often
server_up
hostile
at_restart
kernel_drops
