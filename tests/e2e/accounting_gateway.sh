# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# The same as accounting.sh in a gateway: every SYN that is sent to a server behind it is received, and has one reason.
# beside others
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"
# shellcheck source=../accounts.sh
. "$(dirname "$0")/../accounts.sh"

# protect COOKIES [MORE]: the server's port 80, by both families; a new daemon knows of nothing that was sent before.
protect()
{
    sent_is_past
    daemon_start "$(protected "$@")" || exit 1
}
protected()
{
    gateway_config "$(service web4 "$SRV4" 80 "limit = 128; cookies = \"$1\";"),
        $(service web6 "$SRV6" 80 "limit = 128; cookies = \"$1\";")" "$QUICK on_exit = \"pass\"; queues = { shards = 1; }; ${2:-}"
}
world() # NAT
{
    gateway_up "$1"
    senders_up
    nginx_flooded
}
refusing() { stat_is ".services[] | select(.address == \"$SRV4\") | .state == \"refusing\""; }
not_refusing() { stat_is ".services[] | select(.address == \"$SRV4\") | .state != \"refusing\""; }
both_served() { [ "$(requests 20 3 "$SRV4")$(requests 20 3 "$SRV6")" = 2020 ]; }

# Peace, a flood of each family, peace again; lists and the configuration change while it is on.
world none
protect auto
check "peace: clients are served" both_served
accounted peace
for to in "$SRV4" "$SRV6"; do
    name="a flood to $to"
    PPS=8000 flood_begin 1000000 "$to"
    check "$name: the service arms" wait_until 5 stat_is "any(.services[]; .address == \"$to\" and .armed)"
    check "$name: clients are served" test "$(requests 20 3 "$to")" -eq 20
    if [ "$to" = "$SRV4" ]; then
        ctl allow add 11.0.0.0/17 >/dev/null # of few: they fill the backlog
        ctl deny add 11.128.0.0/10 >/dev/null
    fi
    config_write "$(protected auto 'reflection = { unanswered_per_s = 3000; };')"
    check "$name: a reload" ctl reload
    [ "$to" != "$SRV4" ] || check "$name: about some the lists decide" wait_until 5 any_of syn_denied syn_allowed
    flood_cut
    accounted "$name, lists, a reload"
done
check "peace again" wait_until 15 peaceful
check "peace again: clients are served" both_served
accounted "peace again"
check "a flood: a clean stop" daemon_stop

# A daemon after it begins with nothing; in mid-flood.
flood_begin 1000000 "$SRV4"
daemon_start "$(protected auto)" || exit 1
check "started in a flood: it has heard of it" wait_until 10 counted syn_received 1000
flood_cut
check "started in a flood: what it has received has one reason each" wait_until 10 syns_add_up
check "started in a flood: a clean stop" daemon_stop

# More than is queued, what a daemon that stands still has no room for, and odd sources.
protect always
check "spill: clients are served" wait_until 20 both_served # once that flood has left room for them
spoofing_allowed
flood 500 "$SRV4" -s 224.1.2.3
PPS=150000 flood 150000 "$SRV4"
check "spill: more came than is queued" test "$(syns_queued)" -lt 140000
accounted spill
kill -STOP "$DAEMON_PID"
PPS=100000 flood 120000 "$SRV6"
kill -CONT "$DAEMON_PID"
accounted "spill, a daemon that stands still"
check "spill: what found no room is counted" any_of syn_overrun
check "spill: a clean stop" daemon_stop

# Before the queue.
if xdp_works; then
    protect always '
        accelerator = "xdp"; xdp = { mode = "generic"; interfaces = [ "eth0", "eth1" ]; sample_per_s = 100; };'
    check "XDP: clients are served" both_served
    check "XDP: it answers" wait_until 10 xdp_on_both
    flood 20000 "$SRV4"
    flood 10000 "$SRV6"
    check "XDP: it has answered" stat_is '.accelerator.answered > 10000'
    accounted XDP
    check "XDP: a clean stop" daemon_stop
else
    skip "XDP: every SYN sent is received, and has one reason" "no XDP here"
fi

# The server goes and comes back, under a flood.
protect auto
check "a server that goes: clients are served" both_served
PPS=8000 flood_begin 1000000 "$SRV4"
check "a server that goes: the service arms" wait_until 5 armed 80
kill "$NGINX_PID"
wait "$NGINX_PID"
check "a server that goes: that is noticed" wait_until 5 refusing
nginx_start 128
check "a server that comes back: so is that" wait_until 5 not_refusing
check "a server that comes back: clients are served" test "$(requests 20 3 "$SRV4")" -eq 20
flood_cut
accounted "a server that goes, and comes back"
check "a server that goes: a clean stop" daemon_stop

# What clients call is the gateway, and what the server sees is the gateway.
world both
protect auto
check "NAT: clients are served" both_served
PPS=8000 flood_begin 1000000 "$SRV4"
check "NAT: the service arms" wait_until 5 armed 80
check "NAT: clients are served, flooded" both_served
flood_cut
accounted NAT
check "NAT: a clean stop" daemon_stop
