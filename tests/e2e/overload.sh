# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# More spoofed SYNs than are queued one by one. The rest is answered all the same.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

QUEUED_PER_S=16384 # per shard (daemon/edge/ruleset_spill.c), and a burst at each change of the rules
OVERLOAD_PPS=${OVERLOAD_PPS:-200000} # how many more a host bears is for the benchmark
ONE_SHARD="$QUICK queues = { shards = 1; };"

# Beyond the queue: SYNs that were received, but not through it.
spilled() { echo $(($(counter syn_received) - $(syns_queued))); }
has_spilled() { [ "$(spilled)" -ge "$1" ]; }
# The group that is bound beside the queue of the armed lane (net/netfilter/nfnetlink_log.c, seq_show).
# shellcheck disable=SC2016 # awk's own
group_bound() { in_daemon awk '$1 == 16386 { found = 1 } END { exit !found }' /proc/net/netfilter/nfnetlink_log; }
flood_overload() { flood_start "$OVERLOAD_PPS" "$2" "$1" 80 "${@:3}"; } # DST SECONDS [synflood options]

# NAME DST CONFIG
overload_is_survived()
{
    local name=$1 dst=$2 got start

    topo_up
    nginx_flooded
    daemon_start "$3" || exit 1
    download_start before "$dst"
    flood_overload "$dst" 60
    check "$name: the service arms" wait_until 3 armed 80
    check "$name: more comes than is queued" wait_until 10 has_spilled 50000
    start=$(now_ms)
    got=$(requests 200 8 "$dst")
    check "$name: 198 of 200 requests finish" test "$got" -ge 198
    check "$name: the flood is still on after the last request" alive "$FLOOD_PID"
    check "$name: no more is queued than the rule lets through" \
        test "$(syns_queued)" -le $((QUEUED_PER_S * (($(now_ms) - start) / 1000 + 15) * $(stat_get .shards)))
    flood_stop
    check "$name: a connection older than the flood lives on" download_check before
    check "$name: a connection was handed over" test "$(counter handed_over)" -ge 100
    check "$name: no cookie went unsent" test "$(counter synack_unsent)" -eq 0
    check "$name: the service disarms by itself" wait_until 15 peaceful
    check "$name: every SYN has exactly one outcome" wait_until 5 syns_add_up
    check "$name: clients are served as ever" test "$(requests 20 3 "$dst")" -eq 20
    check "$name: a clean stop" daemon_stop
}

overload_is_survived IPv4 "$SRV4" "$ONE_SHARD"
overload_is_survived IPv6 "$SRV6" "$QUICK"

# The answers go back to where the SYNs come from, and those to one network are not more than the cap allows.
topo_up
nginx_flooded
daemon_start 'services = ( { name = "web"; address = "any"; ports = [80]; cookies = "always"; } );
    queues = { shards = 1; }; reflection = { unanswered_per_s = 500; };' || exit 1
check "reflection: the group beside the queue is bound" group_bound
flood_overload "$SRV4" 3 -s 11.22.33.44
flood_wait
settled counter syn_received >/dev/null
check "reflection: more came than was queued" has_spilled 10000
check "reflection: a bystander gets no more than the cap, and a second's worth" \
    test "$(counter syn_challenged)" -le $((500 * 5 + 100))
check "reflection: every SYN has exactly one outcome" wait_until 5 syns_add_up
check "reflection: a clean stop" daemon_stop

# While the daemon does not take them, copies that do not fit are lost: and counted.
daemon_start 'services = ( { name = "web"; address = "any"; ports = [80]; cookies = "always"; } );
    on_overload = "drop"; queues = { shards = 1; };' || exit 1
kill -STOP "$DAEMON_PID"
flood_overload "$SRV4" 30 -n 200000
flood_wait
kill -CONT "$DAEMON_PID"
check "a daemon that stands still: it answers again" wait_until 10 counted syn_received 10000
check "a daemon that stands still: clients are served" wait_until 10 fetch 10.78.0.200 "$SRV4" 3
flood_overload "$SRV4" 2 # by the next copy's number it learns how many before it were lost
flood_wait
check "a daemon that stands still: what did not fit is counted" wait_until 10 counted queue_dropped 10000
settled counter syn_received >/dev/null
check "a daemon that stands still: every SYN has exactly one outcome" syns_add_up
check "a daemon that stands still: a clean stop" daemon_stop

# What spills cannot pass. So none does while cookies cannot be sent, or may not be: SYNs are queued then, and pass.
spills() { in_daemon nft list chain inet synmoat queue_syn_armed | grep -q 'goto spill'; }
spills_not() { ! spills; }
daemon_start "services = ( { name = \"web\"; address = \"any\"; ports = [80]; } ); $ONE_SHARD" || exit 1
ctl arm web >/dev/null
check "an armed service: SYNs may spill" wait_until 5 spills
forbid_cookies()
{
    in_daemon nft 'table inet filter { chain output { type filter hook output priority filter; policy drop;
        ct state established,related accept; meta l4proto icmpv6 accept; }; }'
}
forbid_cookies
check "cookies cannot be sent: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
check "cookies cannot be sent: no SYN may spill" wait_until 5 spills_not
in_daemon nft delete table inet filter
check "cookies can be sent again: SYNs may spill" wait_until 10 spills
ctl disarm web >/dev/null
check "a service that may not be answered for any more: no SYN to it may spill" wait_until 5 spills_not
check "such a service: a clean stop" daemon_stop

# Somebody else has the group: then all SYNs are queued, and it works as well, only slower.
in_daemon python3 "$TESTS/tools/bindqueue.py" --log 16386 &
OTHER_PID=$!
wait_until 5 group_bound
daemon_start "$ONE_SHARD" || exit 1
check "a group that is taken: the log says so" log_says 'NFLOG group'
flood_start $RATE 20 "$SRV4" 80
check "a group that is taken: the service arms" wait_until 5 armed 80
check "a group that is taken: clients are served" test "$(requests 50 3 "$SRV4")" -eq 50
flood_stop
check "a group that is taken: every SYN has exactly one outcome" wait_until 5 syns_add_up
check "a group that is taken: a clean stop" daemon_stop
kill "$OTHER_PID"

# That cookies cannot be sent is not missed in the midst of a flood either, when every batch is full. Last, for the backlog
# is full then.
none_passed() { stat_is '.counters | .syn_accepted + .syn_direct == 0'; }
passed_some() { stat_is '.counters | .syn_accepted + .syn_direct > 0'; }
daemon_start 'services = ( { name = "web"; address = "any"; ports = [80]; } ); on_overload = "drop-armed";
    queues = { shards = 1; spill = "off"; };' || exit 1
ctl arm web >/dev/null
wait_until 5 armed 80
flood_start 400000 30 "$SRV4" 80
check "a flood: it is challenged" wait_until 10 counted syn_challenged 10000
check "a flood: none of it passes" none_passed
forbid_cookies
check "a flood whose cookies cannot be sent any more: SYNs pass" wait_until 10 passed_some
flood_stop
in_daemon nft delete table inet filter
check "a flood whose cookies cannot be sent any more: a clean stop" daemon_stop
