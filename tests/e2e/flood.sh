# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# A real nginx, real curls, and 20,000 spoofed SYN/s.
. "$(dirname "$0")/../lib.sh"

RATE=20000
# Every client is a source of its own, and so a stranger.
QUICK='backlog = { handshake_timeout_s = 3; hold_s = 1; }; sources = { prefix_v6 = 128; };'

backlog_full() { [ "$(in_srv ss -Hnt state syn-recv | wc -l)" -ge 128 ]; }
peaceful() { stat_is '(.armed or any(.services[]; .armed)) | not'; }
past_ms() { [ "$(now_ms)" -ge "$1" ]; }
log_has_keys()
{
    local line key
    line=$(grep -- "$1" "$WORK/daemon.log"); shift
    for key; do [[ $line == *" $key="* ]] || return 1; done
}
syns_add_up()
{
    stat_is '.counters | .syn_received > 0 and .syn_received == ([to_entries[] | select(.key | startswith("syn_"))
                         | select(.key != "syn_received").value] | add)'
}

# download_start NAME DST: 15 s of a slow, honest download; download_check NAME says whether it came whole.
download_start()
{
    in_cli curl -s --limit-rate 1M -o "$WORK/$1" "http://$(url_host "$2")/slow" &
    printf -v "PID_$1" %d $!
    wait_until 5 test -s "$WORK/$1"
}
download_check()
{
    local pid=PID_$1
    wait "${!pid}" && cmp "$WORK/www/slow" "$WORK/$1"
}

server_up()
{
    topo_up
    mkdir -p "$WORK/www"
    head -c 15M /dev/urandom >"$WORK/www/slow"
    NGINX_LISTEN='listen 8080; listen [::]:8080;' nginx_start 128
}

# Half-open connections fill the backlog before the first legitimate request is counted.
flood_does_harm() # NAME DST N
{
    local got
    flood_start $RATE 60 "$2" 80
    wait_until 5 backlog_full || fail "$1: the flood fills the backlog"
    got=$(PARALLEL=50 requests "$3" 1.5 "$2")
    flood_stop
    check "$1: fewer than a third of $3 requests finish" test "$got" -lt $(($3 / 3))
}

flood_is_survived() # NAME DST
{
    local name=$1 dst=$2 start got=0 other i

    download_start before_daemon "$dst"
    daemon_start "$QUICK" || return
    download_start before_flood "$dst"

    flood_start $RATE 10 "$dst" 80
    start=$(now_ms)
    check "$name: the service arms within 1 s" wait_until 1 armed 80
    for i in 0 1 2 3; do
        wait_until 10 past_ms $((start + i * 2500))
        got=$((got + $(requests 50 1.5 "$dst")))
    done
    other=$(PORT=8080 requests 20 1.5 "$dst")
    check "$name: the flood is still on after the last request" alive "$FLOOD_PID"
    check "$name: 200 of 200 requests finish" test "$got" -eq 200
    check "$name: a service that is not attacked serves on" test "$other" -eq 20
    check "$name: a service that is not attacked stays unarmed" unarmed 8080
    flood_wait
    check "$name: the service disarms by itself" wait_until 10 peaceful

    check "$name: a connection older than the daemon lives on" download_check before_daemon
    check "$name: a connection older than the flood lives on" download_check before_flood
    check "$name: arming is logged once" test "$(log_lines ' armed')" -eq 1
    check "$name: arming is logged with its numbers" log_has_keys ' armed' rate half_open threshold sources top
    check "$name: disarming is logged once" test "$(log_lines ' disarmed')" -eq 1
    check "$name: challenged clients were handed over" test "$(counter handed_over)" -ge 100
    check "$name: no handover failed" test "$(counter handover_failed)" -eq 0
    check "$name: every SYN has exactly one outcome" wait_until 5 syns_add_up
    check "$name: a clean stop" daemon_stop
}

for family in IPv4 IPv6; do
    dst=$SRV4; [ $family = IPv6 ] && dst=$SRV6

    server_up
    flood_does_harm "$family without synmoatd" "$dst" 200
    server_up
    flood_is_survived "$family" "$dst"
done

server_up
daemon_start "policy = \"observe\"; $QUICK" || exit 1
flood_does_harm "observe" "$SRV4" 60
check "observe: says what it would have challenged" test "$(counter syn_challenged)" -gt 0
check "observe: hands nothing over" test "$(counter handed_over)" -eq 0
check "observe: every SYN has exactly one outcome" wait_until 5 syns_add_up
check "observe: a clean stop" daemon_stop

# One source that never answers: a bystander in whose name the SYNs come.
server_up
daemon_start 'services = ( { name = "web"; address = "any"; ports = [80]; cookies = "always"; } );
    reflection = { unanswered_per_s = 500; };' || exit 1
check "reflection: clients are served" test "$(requests 20 3 "$SRV4")" -eq 20
flood_start $RATE 3 "$SRV4" 80 -s 11.22.33.44
flood_wait
settled counter syn_received >/dev/null
check "reflection: a bystander gets no more than the cap, and a second's worth" \
    test "$(counter syn_challenged)" -le $((500 * 5 + 100))
check "reflection: what he was spared is counted" test "$(counter syn_capped)" -gt $((RATE * 2))
check "reflection: others are served on" test "$(requests 50 3 "$SRV4")" -eq 50
check "reflection: every SYN has exactly one outcome" wait_until 5 syns_add_up
check "reflection: a clean stop" daemon_stop
