#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The section STANDARDS of synmoat(7): each of its items has a tag, and a check of that name, which tests/standards.py does. Once
# without synmoatd, where what differs must not be seen and what is kept must; then in each tier that may answer, and behind
# a gateway.
#
#   TIER=           one of bare, queue, xdp, gateway alone
#   ONLY=           tags
# beside others

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"

SOMEBODY4=10.77.1.66 SOMEBODY6=fd77:1::66 # nobody's
PORTS=$(seq -s, 7001 7011)
STRICT=7011 # where the administrator drops what is INVALID
PAGE=$TESTS/../man/synmoat.7
TIERS=(bare queue xdp gateway)

config() # MORE
{
    local more='cookies = "always";' capped='reflection = { unanswered_per_s = 300; };'
    if [ "$TIER" = gateway ]; then
        gateway_config "$(service four "$SRV4" "$PORTS" "$more"), $(service six "$SRV6" "$PORTS" "$more")" "$capped"
    else
        echo "services = ( $(service all any "$PORTS" "$more") ); $capped"
    fi
    [ "$TIER" != xdp ] || echo 'accelerator = "xdp"; xdp = { interfaces = [ "eth0" ]; mode = "generic"; sample_per_s = 1; };'
}

# What the daemon must know of a server, and that it answers.
knocked() # PORT: the first two are full after one connection each, so that each has a family of its own
{
    for HOST in "$SRV4" "$SRV6"; do
        case $1$HOST in 7002*:* | 7003*.*) continue ;; esac
        peer knock --port "$1" --patience 3 || return
    done
}
warm_up()
{
    local port
    for port in ${PORTS//,/ }; do
        knocked "$port" || return
        case $port in 7002 | 7003) continue ;; esac
        wait_until 5 handed_over 2 knocked "$port" || return
    done
    [ "$TIER" != xdp ] || wait_until 5 xdp_answers
}
xdp_answers() { knocked 7001 && stat_is '.accelerator.answered > 10'; }

bench()
{
    if [ "$TIER" = gateway ]; then gateway_up none; else topo_up; fi
    in_srv sysctl -qw net.ipv4.tcp_ecn=1 net.ipv4.tcp_fastopen=3
    ip -n "$DAEMON_NS" neigh add $SOMEBODY4 lladdr 02:00:00:00:01:02 dev eth0 nud permanent
    ip -n "$DAEMON_NS" neigh add $SOMEBODY6 lladdr 02:00:00:00:01:02 dev eth0 nud permanent
    in_daemon nft "table inet admin {
        chain in { type filter hook input priority 0; tcp dport $STRICT ct state invalid drop; }
        chain through { type filter hook forward priority 0; tcp dport $STRICT ct state invalid drop; }; }"
    for end in "$SRV eth0" "$DAEMON_NS eth0" "$CLI c0"; do # each segment as it is
        # shellcheck disable=SC2086 # two words
        ip netns exec ${end% *} ethtool -K ${end#* } tso off gso off gro off >/dev/null
    done
}

told() { grep -cE '^(not )?ok ' "$WORK/said"; }

tier()
{
    local verdict tag family why said
    # shellcheck source=../gateway.sh
    [ "$TIER" != gateway ] || . "$TESTS/gateway.sh"
    bench
    ip netns exec "$CLI" "$TESTS/standards.py" "$TIER" --server-ns "$SRV" --client $SOMEBODY4 $SOMEBODY6 --server "$SRV4" "$SRV6" \
        --ready "$WORK/ready" --go "$WORK/go" --only "${ONLY:-}" >"$WORK/said" 2>"$WORK/wrong" &
    said=$!
    wait_until 10 test -e "$WORK/ready" || { cat "$WORK/wrong" >&2; exit 1; }
    if [ "$TIER" != bare ]; then
        daemon_start "$(config)" || exit 1
        check "$TIER: every server is answered for" warm_up
    fi
    touch "$WORK/go"
    wait $said || { fail "$TIER: the checks did not end"; cat "$WORK/wrong" >&2; }
    while read -r verdict tag family why; do
        case $verdict in
        ok) pass "$TIER, $family: $tag" ;;
        *) fail "$TIER, $tag $family" "$why" ;;
        esac
    done < <(sed 's/^not ok/not_ok/' "$WORK/said")
    cut -d' ' -f2 < <(sed 's/^not ok/not_ok/' "$WORK/said") | sort -u >"${TAGS:-/dev/null}"
    [ "$TIER" = bare ] || check "$TIER: a clean stop" daemon_stop
}

tags_of_page() { sed -n 's/^\.It Bq Li \([a-z-]*\)$/\1/p' "$PAGE" | sort; }

all_tiers()
{
    local name
    for name in "${TIERS[@]}"; do
        TIER=$name TAGS=$WORK/tags.$name RESULTS=$WORK/results.$name bash "$0" >"$WORK/out.$name" 2>&1 &
    done
    wait
    for name in "${TIERS[@]}"; do
        cat "$WORK/out.$name"
        cat "$WORK/results.$name" >>"$RESULTS"
        ! grep -q '^fail ' "$WORK/results.$name" || FAILED=$((FAILED + 1))
        check "$name: every item of the page has been checked, and no other" diff <(tags_of_page) "$WORK/tags.$name"
    done
    check "no item of the page is there twice" test -z "$(tags_of_page | uniq -d)"
}

if [ -n "${TIER:-}" ]; then tier; else all_tiers; fi
