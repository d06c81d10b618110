# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh disable=SC2034,SC2153
#
# A fault that needs the first network namespace: nf_conntrack_max, which no other can set, is lowered below what there is.
# Sourced by inside.sh; how it is judged, and the faults that need no more than a namespace, are tests/faults.sh's.
# shellcheck source=../faults.sh
. "$TESTS/faults.sh"

# As tests/faults.sh says of them, for a machine that takes ten times as long.
VISIT_EVERY_US=200000
BEFORE_MS=2000
WINDOW_MS=4000
VISIT_LIMIT_MS=20000
MENDED_MS=20000 # within which all is to be well once the limit is back

visits_begin()
{
    touch "$WORK/visits_on"
    : >"$WORK/visits"
    ip netns exec "$CLI" "$TOOLS/visitors" -i $VISIT_EVERY_US -l $VISIT_LIMIT_MS -s 2000:60000 \
        -o "$WORK/visits" -w "$WORK/visits_on" "$SRV4" 80 >"$WORK/visitors" &
    VISITORS_PID=$!
    VISITS_MS=$(uptime_ms)
}

client_is() { ip -n "$CLI" route replace 10.77.1.0/24 dev c0 proto kernel scope link src "$1"; } # ADDRESS: who does not say

entries_max() { sysctl -qw net.netfilter.nf_conntrack_max="$1"; }
entries() { sysctl -n net.netfilter.nf_conntrack_count; }
# What found no room: nf_conntrack_in() (net/netfilter/nf_conntrack_core.c) counts it with what it drops.
without_room() { conntrack -S | sed -n 's/.* drop=\([0-9]*\) .*/\1/p' | awk '{ sum += $1 } END { print sum + 0 }'; }
more_without_room() { [ "$(without_room)" -gt "$1" ]; } # THAN
conntrack_is() # LEVEL: to synmoatctl check
{
    ctl check --json >"$WORK/checked"
    # shellcheck disable=SC2016 # the variable is jq's
    says_true --arg level "$1" '[.checks[] | select(.what == "conntrack") | .level] == [$level]' "$WORK/checked"
}
handed_one()
{
    local before
    before=$(counter handed_over)
    requests 1 "$LONG" "$SRV4" >/dev/null
    handed_more "$before"
}
accounted() { wait_until "$LONG" syns_add_up || { ctl status --json | jq -c .counters; false; }; }
same_daemon() { is_active && [ "$(unit MainPID)" = "$PID" ] && [ "$(unit NRestarts)" = "$RESTARTS" ]; }

# For two seconds, or for as long as it takes to look at it.
lowered_for_a_while() # NAME
{
    local max lost end
    max=$(sysctl -n net.netfilter.nf_conntrack_max)
    lost=$(without_room)
    check "$1: there is more than one entry" test "$(entries)" -gt 1
    end=$(($(now_ms) + 2000))
    entries_max 1 || fail "$1: it is lowered"
    check "$1: new connections find no room" wait_until "$LONG" more_without_room "$lost"
    check "$1: the connection handed over before lives on meanwhile" talk
    check "$1: synmoatctl check warns" conntrack_is warning
    check "$1: synmoatctl status answers" stat_is '.counters.handed_over > 0'
    wait_until "$LONG" past_ms "$end"
    entries_max "$max"
}

conntrack_lowered()
{
    local name="nf_conntrack_max lowered" before begun mended may_fail
    remember
    flood_start "$FLOOD_PPS" 600 "$SRV4" 80
    check "$name: a flood arms nginx" wait_until "$LONG" armed 80
    check "$name: clients are handed over" wait_until "$LONG" handed_one
    before=$(counter handed_over)
    client_is "$(client_address 60002 "$SRV4")" # of whom nothing is known, so that it is asked for a cookie
    talk_begin
    check "$name: so is a connection that is to last" talk
    check "$name: the daemon counts it" counted handed_over $((before + 1))
    client_is "$CLI4"
    visits_begin
    for QUICK_MS in 900 2000 5000; do
        talk # nginx ends what says nothing for 75 s
        wait_until 20 calm_since "$VISITS_MS" && break
    done
    check "$name: before, all are served" calm_since "$VISITS_MS"

    begun=$(uptime_ms)
    lowered_for_a_while "$name"
    mended=$(($(uptime_ms) - begun))
    # Those who came meanwhile, or were under way.
    may_fail=$(((mended + BEFORE_MS) * 1000 / VISIT_EVERY_US + 1))
    wait_until "$LONG" calm_since "$begun"
    wait_until "$LONG" calm_since "$(uptime_ms)" # who hangs is not known until then
    check "$name: the connection handed over before lives on" talk
    check "$name: the flood is still on" alive "$FLOOD_PID"
    rm -f "$WORK/visits_on"
    wait "$VISITORS_PID"
    echo "# $name for $mended ms; clients came every $((VISIT_EVERY_US / 1000)) ms, and were quick in $QUICK_MS ms: $(cat "$WORK/visitors")"
    fault_judge "$begun" $((mended + MENDED_MS)) "$may_fail" "$(uptime_ms)" "$name"
    flood_stop

    check "$name: sshd and nginx are served" served
    check "$name: the daemon is the same process" same_daemon
    check "$name: synmoatctl check finds room again" wait_until "$LONG" conntrack_is ok
    check "$name: when the flood is over nginx is disarmed" wait_until "$LONG" peaceful
    check "$name: every SYN has exactly one outcome" accounted
    talk_end
}
