# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=lib.sh
#
# A flood, its harm without synmoatd, and its end with it. Sourced after lib.sh; the topology and $FLOODED, the daemon's
# configuration, are the script's. The server: nginx_flooded.

RATE=20000
# Every client is a source of its own, and so a stranger.
# shellcheck disable=SC2034 # the script's
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

nginx_flooded()
{
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
    daemon_start "$FLOODED" || return
    download_start before_flood "$dst"

    flood_start $RATE 60 "$dst" 80
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
    flood_stop
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
