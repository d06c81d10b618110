# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Every SYN received is accounted for by exactly one reason: as many as were sent, whatever became of them.
# beside others
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

# shellcheck source=../accounts.sh
. "$(dirname "$0")/../accounts.sh"

# begin CONFIG: a new daemon, which knows of nothing that was sent before.
begin()
{
    sent_is_past
    daemon_start "$1" || exit 1
}

WEB='services = ( { name = "web"; address = "any"; ports = [80]; } );'
ALWAYS='services = ( { name = "web"; address = "any"; ports = [80]; cookies = "always"; } );'
ONE='queues = { shards = 1; };'

topo_up
senders_up
nginx_flooded

# Peace, a flood, peace again; lists and bans change while it is on.
begin "$WEB $QUICK $ONE"
check "peace: clients are served" test "$(requests 20 3 "$SRV4")$(requests 20 3 "$SRV6")" = 2020
accounted peace
PPS=8000 flood_begin 64000 "$SRV4"
check "a flood: the service arms" wait_until 5 armed 80
check "a flood: clients are served" test "$(requests 20 3 "$SRV4")" -eq 20
ctl allow add 11.0.0.0/17 >/dev/null # of few: they fill the backlog
ctl deny add 11.128.0.0/10 >/dev/null
check "a flood: a reload" ctl reload
flood_end
check "a flood: about some the lists have decided" any_of syn_denied syn_allowed
accounted "a flood, lists, a reload"
check "peace again" wait_until 15 peaceful
check "peace again: clients are served" test "$(requests 20 3 "$SRV4")" -eq 20
accounted "peace again"
check "a flood: a clean stop" daemon_stop

# A daemon after it begins with nothing; in mid-flood.
flood_begin 1000000 "$SRV6"
daemon_start "$WEB $QUICK $ONE" || exit 1
check "started in a flood: it has heard of it" wait_until 10 counted syn_received 1000
flood_cut
check "started in a flood: what it has received has one reason each" wait_until 10 syns_add_up
check "started in a flood: a clean stop" daemon_stop

# One source alone makes the service wary; SYNs from where no host is are dropped; not all cookies may be sent.
begin "$ALWAYS $ONE reflection = { unanswered_per_s = 500; };"
spoofing_allowed
flood 2000 "$SRV4" -s 11.22.33.44
flood 500 "$SRV4" -s 224.1.2.3
flood 500 "$SRV4" -o ao
check "armed: the cap holds, odd sources get no cookie" any_of syn_challenged syn_capped syn_odd_source
accounted "armed: the cap, odd sources"
check "armed: a clean stop" daemon_stop

# So few that they do not arm it, although the kernel still holds of the floods before.
begin "$WEB $ONE backlog = { arm_percent = 95; }; sources = { half_open_limit = 16; };"
flood 30 "$SRV4" -s 11.22.33.44
check "wary: the service is" wait_until 5 service_is 80 state wary
flood 100 "$SRV4" -s 11.22.33.44
check "wary: that source is challenged" wait_until 5 any_of syn_source_challenged
accounted wary
check "wary: a clean stop" daemon_stop

begin "policy = \"observe\"; $WEB $QUICK $ONE deny = [ \"11.0.0.0/9\" ];"
flood 10000 "$SRV4"
accounted observe
check "observe: a clean stop" daemon_stop

# More than is queued: the rest is answered from copies.
begin "$ALWAYS $ONE"
PPS=150000 flood 150000 "$SRV4"
check "spill: more came than is queued" test "$(syns_queued)" -lt 140000
accounted spill
# What a daemon that stands still has no room for.
kill -STOP "$DAEMON_PID"
PPS=100000 flood 120000 "$SRV4"
kill -CONT "$DAEMON_PID"
accounted "spill, a daemon that stands still"
check "spill: what found no room is counted" any_of syn_overrun
check "spill: a clean stop" daemon_stop

# stands_still NAME ON_OVERLOAD COUNTER: the same with every SYN queued.
stands_still()
{
    begin "$WEB queues = { shards = 1; spill = \"off\"; }; on_overload = \"$2\"; backlog = { arm_percent = 95; };"
    kill -STOP "$DAEMON_PID"
    PPS=100000 flood 60000 "$SRV4"
    kill -CONT "$DAEMON_PID"
    accounted "$1"
    check "$1: what found no room is counted" any_of "$3"
    check "$1: a clean stop" daemon_stop
}
stands_still "a full queue, pass" pass syn_unseen
stands_still "a full queue, drop" drop syn_overrun

# Before the queue.
if xdp_works; then
    begin "accelerator = \"xdp\"; $ALWAYS $ONE deny = [ \"11.0.0.0/10\" ];
        xdp = { mode = \"generic\"; interfaces = [ \"eth0\", \"eth1\" ]; sample_per_s = 100; };"
    check "XDP: the server's answers are known" test "$(requests 4 3 "$SRV4")$(requests 4 3 "$SRV6")" = 44
    check "XDP: it answers" wait_until 10 xdp_on_both
    flood 40000 "$SRV4"
    flood 10000 "$SRV6"
    check "XDP: clients are served" test "$(requests 20 3 "$SRV4")" -eq 20
    check "XDP: it has answered" stat_is '.accelerator.answered > 10000'
    accounted XDP
    flood_begin 30000 "$SRV4"
    ctl disarm web >/dev/null
    wait_until 5 unarmed 80
    ctl auto web >/dev/null
    flood_end
    accounted "XDP, withdrawn in mid-flood"
    check "XDP: a clean stop" daemon_stop
else
    skip "XDP: every SYN sent is received, and has one reason" "no XDP here"
fi
