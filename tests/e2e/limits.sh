# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Sources that connect too fast are refused or banned; those in whose name others send SYNs are not.
# beside others
. "$(dirname "$0")/../lib.sh"

FAST=10.78.200.1 FAST_INDEX=51201 # as client_address() counts
VICTIM=10.78.7.1 OTHER_VICTIM=10.78.7.2
PER_S=20 BURST=20

# limits ACTION BAN_S: a configuration.
limits()
{
    echo "rate_limit = { connections_per_s = $PER_S; burst = $BURST; action = \"$1\"; ban_s = $2; };"
}

banned() { ctl ban list | grep -qwF -- "$1"; }
not_banned() { ! banned "$1"; }
refused_some() { counted ack_over_rate "$1"; }
now_is() { [ "$(counter "$1")" -eq "$2" ]; } # COUNTER VALUE

# banned_soon NAME DST SOURCE: one client connects as fast as it can, until it is banned.
banned_soon()
{
    crowd_start -p 10 -l 1 --sources 1 --base $FAST_INDEX "$2"
    check "$1: a source that connects too fast is banned" wait_until 10 banned "$3"
    crowd_end
}

# ---- bans

ban_holds()
{
    local before queued
    check "ban: explain says so" explained $FAST syn_banned
    before=$(counter syn_banned) queued=$(settled syns_queued)
    check "ban: it is not served" refused $FAST "$SRV4"
    check "ban: its SYNs are counted" wait_until 3 counted syn_banned $((before + 1))
    check "ban: they are dropped before they are queued" test "$(settled syns_queued)" -eq "$queued"
    check "ban: others are served" test "$(requests 20 3 "$SRV4")" -eq 20
    check "ban: nobody else is banned" test "$(ctl ban list | grep -o '10\.78\.[0-9.]*' | sort -u)" = $FAST
}

# Allow wins over deny, and deny over a ban; a list that is changed back leaves the ban as it was.
ban_and_lists()
{
    check "ban: a banned source can be denied" ctl deny add $FAST
    check "ban: then explain says denied" explained $FAST syn_denied
    check "ban: and it can be allowed" ctl allow add $FAST
    check "ban: then explain says allowed" explained $FAST syn_allowed
    check "ban: and it is served" fetch $FAST "$SRV4"
    ctl allow del $FAST >/dev/null && ctl deny del $FAST >/dev/null
    check "ban: without these entries it is banned still" explained $FAST syn_banned
}

bans()
{
    daemon_start "$(limits drop 60)" || exit 1
    check "ban: clients are served" test "$(requests 5 3 "$SRV4")$(requests 5 3 "$SRV6")" = 55
    banned_soon ban "$SRV4" $FAST
    ban_holds
    ban_and_lists
    check "ban: it can be lifted" ctl ban lift $FAST
    check "ban: then the list no longer shows it" not_banned $FAST
    check "ban: and it is served again" fetch $FAST "$SRV4"

    # A source of IPv6 is a /64, which holds all clients of the bench.
    banned_soon "ban, IPv6" "$SRV6" fd78::/64
    check "ban, IPv6: the whole network is not served" refused fd78::901 "$SRV6"
    check "ban, IPv6: IPv4 is" fetch 10.78.9.1 "$SRV4"
    check "ban, IPv6: it can be lifted" ctl ban lift fd78::/64
    check "ban, IPv6: then it is served again" fetch fd78::901 "$SRV6"
    check "ban: a clean stop" daemon_stop

    daemon_start "$(limits drop 5)" || exit 1
    banned_soon "short ban" "$SRV4" $FAST
    check "short ban: it expires by itself" wait_until 20 not_banned $FAST
    check "short ban: then the source is served again" fetch $FAST "$SRV4"
    check "short ban: a clean stop" daemon_stop
}

# ---- connections beyond the limit, without a ban

# A burst, then so many each second: whatever the machine's speed.
within_limit()
{
    crowd_is ".failed > 0 and .ok <= $BURST + $PER_S * (.seconds + 1) + 10"
}

over_limit() # ACTION FAILURE_REGEX
{
    local name="action $1"
    daemon_start "$(limits "$1" 0)" || exit 1
    check "$name: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
    crowd_start -n 200 -p 50 -l 1 --sources 1 --base $FAST_INDEX "$SRV4"
    check "$name: a source beyond its limit is refused" wait_until 10 refused_some 20
    check "$name: others are served meanwhile" test "$(requests 10 5 "$SRV4")" -eq 10
    crowd_wait
    check "$name: it got what the limit allows" within_limit
    check "$name: the others saw $2" crowd_is ".why | keys | length > 0 and all(.[]; test(\"^($2)\"))"
    check "$name: it is not banned" not_banned $FAST
    check "$name: later it is served again" wait_until 5 fetch $FAST "$SRV4"
    check "$name: a clean stop" daemon_stop
}

# ---- SYNs in somebody's name

# 5,000 at once, then 400 each second while he connects: twenty times what would be too fast for him.
spoofed() # NAME VICTIM
{
    local name=$1 victim=$2 got=0 handed _
    flood_start 20000 10 "$SRV4" 80 -s "$victim" -n 5000
    flood_wait
    settled counter syn_received >/dev/null
    check "$name: his address is challenged" explained "$victim" syn_source_challenged
    check "$name: he is not banned" not_banned "$victim"
    flood_start 400 20 "$SRV4" 80 -s "$victim"
    check "$name: his address stays challenged" wait_until 5 explained "$victim" syn_source_challenged
    handed=$(counter handed_over)
    for _ in {1..10}; do fetch "$victim" "$SRV4" && got=$((got + 1)); done
    check "$name: they are still sent in his name" alive "$FLOOD_PID"
    flood_stop
    check "$name: 10 of his 10 connections are served meanwhile" test $got -eq 10
    check "$name: by cookies" wait_until 3 counted handed_over $((handed + 8))
    check "$name: he is not banned after it" not_banned "$victim"
}

spoofed_sources()
{
    spoofing_allowed
    daemon_start "$(limits drop 60)" || exit 1
    check "spoofed: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
    silent $VICTIM
    spoofed "spoofed, a silent host" $VICTIM
    spoofed "spoofed, a host that answers with RST" $OTHER_VICTIM
    check "spoofed: nobody was refused" now_is ack_over_rate 0
    check "spoofed: nobody was banned" now_is syn_banned 0
    check "spoofed: a clean stop" daemon_stop
}

topo_up
nginx_start 511
bans
over_limit drop TimeoutError
over_limit reset 'ConnectionResetError|BrokenPipeError'
spoofed_sources
