#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# TCP as its two ends see it. Every connection here, unless its test says otherwise, is answered with a cookie and
# handed over; what the ends notice of that must be nothing. The ends are tests/peer.py.
#
# Environment, for the variants of matrix.sh:
#   BULK_MB=300 NODAEMON=   as in ends.sh
#   FAMILIES="4 6"
#   TCP_LOOSE=1         nf_conntrack_tcp_loose where the daemon is
#   ADMIN_RULES=        1: the admin has an INPUT chain of his own, or FORWARD chain on a gateway, policy drop
#   GATEWAY=            1: the daemon is on a gateway before the server
#   NAT=none            dnat, masq or both, on the gateway
#   CLIENT_SYSCTL=      e.g. "net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0"
#   ONLY=               a regular expression: only the tests whose name matches
# beside others

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"
GATEWAY=${GATEWAY:-} NAT=${NAT:-none}
# shellcheck source=../gateway.sh
[ -z "$GATEWAY" ] || . "$(dirname "$0")/../gateway.sh"

FAMILIES=${FAMILIES:-4 6} ONLY=${ONLY:-}
ADMIN_RULES=${ADMIN_RULES:-} CLIENT_SYSCTL=${CLIENT_SYSCTL:-}
CLOSED=7098 LONE=7099 # ports; those of the behaviours are in peer.py
ONCE='limit rate 1/day burst 1 packets'
SYN='tcp flags & (syn | ack) == syn'
SYNACK='tcp flags & (syn | ack) == syn | ack'
OUR_SYNACK=$SYNACK # the server's own
[ -n "$GATEWAY" ] || OUR_SYNACK="ct direction reply ct state established $SYNACK"
THIRD_ACK='tcp flags & (syn | fin | rst | ack) == ack tcp dport 7001-7099'
FIN='tcp flags & fin == fin'
# Where clients' packets come in: to the daemon's host, and, the same unless that is a gateway, to the server.
AT_SRV='ingress device eth0 priority 0' AT_CLI='ingress device c0 priority 0'

# ---- the two ends

# far_peer SCENARIO [OPTION...]: the same as peer from behind a narrow link.
far_peer() { in_atk timeout 150 "$TESTS/peer.py" "$1" "$HOST" ${PRIME:+--prime} --source "$FAR" "${@:2}"; }

# family 4|6: who is who in it.
family()
{
    F=$1
    if [ "$F" = 4 ]; then HOST=$SRV4 CLIENT=$CLI4 BANNED=10.78.66.6 FAR=10.79.0.2 FAR_MTU=1400 INNER=${INNER4:-}
    else HOST=$SRV6 CLIENT=$CLI6 BANNED=fd78::666 FAR=fd79::2 FAR_MTU=1280 INNER=${INNER6:-}; fi
    # as the server sees them
    case $NAT in masq | both) CLIENT=$INNER FAR_SEEN=$INNER ;; *) FAR_SEEN=$FAR ;; esac
}

# ---- what a test is

# plain NAME CMD..., each NAME CMD...: a check per family; each asks for a handover too.
plain()
{
    local f name
    [[ $1 =~ $ONLY ]] || return
    for f in $FAMILIES; do
        family "$f"
        name="IPv$F: $1"
        : >"$WORK/peer.log"
        check "$name" "${@:2}"
    done
}
each() { plain "$1" handed "${@:2}"; }

# dropping srv|daemon|cli HOOK MATCH CMD...: CMD while the packets that match are lost at HOOK, or meet another $VERDICT
# there; then $LOST is their number.
dropping()
{
    local side=in_$1 hook=$2 match=$3 status; shift 3
    "$side" nft "add table inet lossy; add chain inet lossy drops { type filter hook $hook; }" || return
    "$side" nft "add rule inet lossy drops $NOT_PRIMING $match counter ${VERDICT:-drop}" || return
    "$@"
    status=$?
    LOST=$("$side" nft -j list table inet lossy | jq '[.. | .counter?.packets? // empty] | add')
    "$side" nft delete table inet lossy
    return "$status"
}

# losing srv|daemon|cli HOOK MATCH CMD...: the same, and at least one packet must have been lost.
losing()
{
    dropping "$@" || return
    [ "$LOST" -gt 0 ] || { echo "nothing was lost at $2: $3" >&2; return 1; }
}

# lossy CMD...: CMD while one packet in 200 is lost each way, packet by packet: no segmentation offload.
lossy()
{
    local match='meta l4proto tcp numgen random mod 1000 < 5' status
    offload off
    dropping daemon "$AT_SRV" "$match" dropping cli "$AT_CLI" "$match" "$@"
    status=$?
    offload on
    return "$status"
}
offload()
{
    in_srv ethtool -K eth0 tso "$1" gso "$1" >/dev/null
    in_cli ethtool -K c0 tso "$1" gso "$1" >/dev/null
}

# with daemon|cli SYSCTL=VALUE CMD...
with()
{
    local side=in_$1 set=$2 old status; shift 2
    old=$("$side" sysctl -n "${set%%=*}")
    "$side" sysctl -qw "$set"
    "$@"
    status=$?
    "$side" sysctl -qw "${set%%=*}=$old"
    return "$status"
}

# ---- byte for byte

halfclose_mirror()
{
    local sum
    sum=$(peer halfclose-mirror --bytes "$BULK") && server_says end mute "$CLIENT" "$sum"
}

tcp_counter() { "in_$1" nstat -asz "TcpExt$2" | awk 'END { print $2 }'; } # srv|cli NAME

# selective srv|cli CMD...: the sender repairs by SACK: it believes the blocks, and recovers from far more losses
# by them than by time-outs.
selective()
{
    local side=$1 recovered discarded timeouts; shift
    [ "$(in_cli sysctl -n net.ipv4.tcp_sack)" = 1 ] || { "$@"; return; }
    recovered=$(tcp_counter "$side" TCPSackRecovery)
    discarded=$(tcp_counter "$side" TCPSACKDiscard)
    timeouts=$(tcp_counter "$side" TCPTimeouts)
    "$@" || return
    recovered=$(($(tcp_counter "$side" TCPSackRecovery) - recovered))
    discarded=$(($(tcp_counter "$side" TCPSACKDiscard) - discarded))
    timeouts=$(($(tcp_counter "$side" TCPTimeouts) - timeouts))
    echo "# recovered by SACK $recovered, SACK blocks refused $discarded, time-outs $timeouts"
    [ "$recovered" -gt 0 ] && [ "$discarded" -le "$((recovered / 10))" ] && [ "$timeouts" -le "$((recovered / 2))" ]
}

bulk_tests()
{
    each "an upload with loss is byte-exact and repaired by SACK" lossy selective cli peer push --bytes "$BULK"
    each "a download with loss is byte-exact and repaired by SACK" lossy selective srv peer pull --bytes "$BULK"
    each "up and down at once with loss is byte-exact" lossy both "$BULK"
    each "after the client's half-close everything still comes" peer halfclose --bytes "$BULK"
    each "after the server's half-close everything still goes" halfclose_mirror
}

# ---- beginnings

before_the_answer() { losing srv 'input priority -1' "$SYN $ONCE" peer "$@"; }

opening_tests()
{
    each "the server speaks first, from a listener bound to its device" peer banner
    each "data rides on the third ACK" peer ack-with-data --bytes 1000
    each "a large request begins on the third ACK" peer ack-with-data --bytes 50000
    each "a large request follows the third ACK at once" peer echo --bytes 50000
    each "data that comes before the server's answer is held and kept in order" before_the_answer echo --bytes 50000
    each "the same with data on the third ACK" before_the_answer ack-with-data --bytes 50000
}

loss_tests()
{
    each "our SYN-ACK is lost: the client asks again" losing cli "$AT_CLI" "$SYNACK $ONCE" peer echo
    each "the third ACK is lost: the data opens" losing daemon "$AT_SRV" "$THIRD_ACK $ONCE" peer echo
    each "the third ACK is lost with its data: its repetition opens" \
        losing daemon "$AT_SRV" "$THIRD_ACK $ONCE" peer ack-with-data --bytes 50000
    each "the server misses its SYN: it is repeated though the client waits in silence" before_the_answer banner
    each "the server's SYN-ACK is lost: it comes again" losing srv 'output priority -199' "$OUR_SYNACK $ONCE" peer banner
    [ -z "$GATEWAY" ] || each "our ACK to the server is lost: it comes again" \
        losing srv "$AT_SRV" "$THIRD_ACK $ONCE" peer banner
}

# ---- refusals

# The listener goes between the SYN-ACK and the ACK of a client that has no kernel: its RSTs must not come from there.
refused_late()
{
    local pid port=$((25000 + F)) status
    ip netns exec "$SRV" "$TESTS/peer.py" listen "$LONE" >"$WORK/lone.log" 2>&1 &
    pid=$!
    disown "$pid"
    in_cli nft "add table inet mute; add chain inet mute out { type filter hook output priority 0; }"
    in_cli nft "add rule inet mute out tcp sport $port tcp flags rst drop"
    wait_until 15 handed peer echo --port "$LONE" 2>"$WORK/lone.err" &&
        peer refused-late --port "$LONE" --sport "$port" --kill "$pid" --patience 3
    status=$?
    in_cli nft delete table inet mute
    kill -9 "$pid" 2>/dev/null
    return "$status"
}

# A gateway has to find out first, and again, that there is a server.
silenced()
{
    [ -z "$GATEWAY" ] || wait_until 10 handed peer echo || return
    PRIME=$GATEWAY losing srv 'input priority -1' "$SYN" peer silenced --patience 20
}

stays_out()
{
    peer banned --source "$BANNED" --patience 3 && ! grep -q " $BANNED" "$WORK/peer.log"
}

refusal_tests()
{
    plain "a closed port is a reset at once" peer refused --port "$CLOSED" --patience 3
    plain "a listener that closed before the third ACK came is a reset at once" refused_late
    VERDICT='reject with tcp reset' plain "an admin's REJECT is a reset in the end" silenced
    with_daemon plain "a silent server is a reset in the end" silenced
    [ -z "$ADMIN_RULES" ] || plain "a client whom the admin bans on its interface stays out" stays_out
}

# ---- endings

# Ports 201x0+family, so that each test finds its own sockets again.
has_state() { in_"$1" ss -Htan state "$2" "( sport = :$3 or dport = :$3 )" | grep -q .; } # srv|cli STATE PORT

client_closes_first()
{
    peer close-first --sport $((20100 + F)) && wait_until 5 has_state cli time-wait $((20100 + F)) &&
        ! has_state srv time-wait $((20100 + F))
}
server_closes_first()
{
    peer close-last --sport $((20110 + F)) && wait_until 5 has_state srv time-wait $((20110 + F)) &&
        ! has_state cli time-wait $((20110 + F))
}

# Each end's first FIN is lost, so each is in FIN_WAIT1 when the other's second one comes: both end in TIME_WAIT.
both_close()
{
    losing srv "$AT_SRV" "$FIN $ONCE" losing cli "$AT_CLI" "$FIN $ONCE" peer close-together --sport $((20120 + F)) &&
        wait_until 5 has_state cli time-wait $((20120 + F)) && wait_until 5 has_state srv time-wait $((20120 + F))
}

reset_reaches_server() { peer reset-by-client && server_says reset echo "$CLIENT"; }

# The kernel lets a client reuse its own TIME_WAIT only after a second, and only with timestamps.
reuse_own()
{
    with cli net.ipv4.tcp_tw_reuse=1 with cli net.ipv4.tcp_tw_reuse_delay=1 \
        peer reuse --first client --rounds 20 --sport $((20200 + F))
}

closing_tests()
{
    each "the client closes first" client_closes_first
    each "the server closes first" server_closes_first
    each "both close at the same moment" both_close
    each "the server's reset reaches the client" peer reset-by-server
    each "the client's reset reaches the server" reset_reaches_server
    plain "the port is reused while the server holds TIME_WAIT" \
        handed_over 20 peer reuse --first server --rounds 20 --sport $((20210 + F))
    [[ $CLIENT_SYSCTL == *timestamps=0* ]] ||
        plain "the port is reused while the client held TIME_WAIT" handed_over 20 reuse_own
}

# ---- long lives

# hold NAME [OPTION...]: an open connection, silent until `released NAME` asks whether it still carries data.
# hold_to_hear: the same, but then it is the server who speaks first.
hold() { _hold hold "$1" --bytes 50000 "${@:2}"; }
hold_to_hear() { _hold hold-to-hear "$1"; }
_hold()
{
    local out=$WORK/$2.held
    : >"$out"
    peer "$1" --until "$WORK/$2.go" "${@:3}" >"$out" 2>&1 &
    wait_until 10 grep -q held "$out" || { cat "$out" >&2; return 1; }
}
released()
{
    touch "$WORK/$1.go"
    wait_until 35 grep -q alive "$WORK/$1.held" || { cat "$WORK/$1.held" >&2; return 1; }
}

# holds NAME: both kinds in each family, for `live_on NAME`.
holds() { local f; for f in $FAMILIES; do family "$f"; hold "$1$F"; hold_to_hear "$1-hear$F"; done; }
live_on() { released "$1$F" && released "$1-hear$F"; }

outlive_disarming()
{
    handed hold standing"$F" && handed hold_to_hear standing-hear"$F" && reload never &&
        wait_until 5 stat_is "$ALL_DISARMED" && live_on standing
}
rearmed() { rearm && "$@"; }
ALL_DISARMED='[.services[].armed | not] | all'

idle() { with daemon net.netfilter.nf_conntrack_tcp_timeout_established=3 peer idle --seconds 7; }

# ---- fidelity

# traits srv|cli PORT: what the kernel there thinks was agreed on.
traits()
{
    in_"$1" ss -Htni state established "( sport = :$2 or dport = :$2 )" |
        grep -owE 'ts|sack|ecn|(wscale|mss|advmss|pmtu):[0-9,]+' | sort | xargs
}

# portrait NAME PORT: what both ends of one open connection think, in $WORK/NAME.
portrait()
{
    hold "$1" --sport "$2" && echo "client $(traits cli "$2")" >"$WORK/$1" &&
        echo "server $(traits srv "$2")" >>"$WORK/$1" && released "$1"
}

as_direct()
{
    portrait "handed$F" $((20310 + F)) && grep -q mss "$WORK/handed$F" && diff "$WORK/direct$F" "$WORK/handed$F"
}

# ---- a narrow path

# The client's namespace becomes a router, and the attacker's a client behind it: f0 and its peer say MTU 1500, the
# route between them does not. The server must hear of it by ICMP.
far_up()
{
    in_cli sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ip link add c1 netns "$CLI" type veth peer name f0 netns "$ATK"
    ip -n "$CLI" addr add 10.79.0.1/24 dev c1
    ip -n "$CLI" addr add fd79::1/64 dev c1 nodad
    ip -n "$ATK" addr add 10.79.0.2/24 dev f0
    ip -n "$ATK" addr add fd79::2/64 dev f0 nodad
    ip -n "$CLI" link set c1 up
    ip -n "$ATK" link set f0 up
    ip -n "$CLI" route add 10.79.0.2 dev c1 mtu lock 1400
    ip -n "$CLI" route add fd79::2 dev c1 mtu lock 1280
    ip -n "$DAEMON_NS" route add 10.79.0.0/24 via "$CLI4"
    ip -n "$DAEMON_NS" route add fd79::/64 via "$CLI6"
    ip -n "$ATK" route add 10.77.0.0/16 via 10.79.0.1
    ip -n "$ATK" route add fd77::/16 via fd79::1
    wait_until 5 far_reached
}
far_reached() { family 4; far_peer echo 2>/dev/null; }

path_mtu() { ip -n "$SRV" route get "$FAR_SEEN" | grep -o 'mtu [0-9]*'; }

narrow_path()
{
    far_peer pull --bytes $((50 * MB)) --patience 10 && [ "$(path_mtu)" = "mtu $FAR_MTU" ]
}

narrow_tests()
{
    far_up
    each "a download through a narrower link finishes" narrow_path
}

# ---- clients of few words

without() { with cli "net.ipv4.tcp_$1=0" "${@:2}"; }

modest_tests()
{
    each "a client without timestamps" without timestamps both $((20 * MB))
    each "a client without SACK" without sack both $((20 * MB))
    each "a client without window scaling" without window_scaling both $((20 * MB))
    each "a client without any of them" \
        without timestamps without sack without window_scaling both $((20 * MB))
}

# ---- the stage

admin_rules()
{
    local hook=input
    [ -z "$GATEWAY" ] || hook=forward
    in_daemon nft -f - <<-END
	table inet admin {
	    chain $hook {
	        type filter hook $hook priority 0; policy drop;
	        iifname "lo" accept
	        iifname "eth0" ip saddr 10.78.66.6 drop
	        iifname "eth0" ip6 saddr fd78::666 drop
	        ct state invalid drop
	        ct state established,related accept
	        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
	        iifname "eth0" tcp dport 7001-7099 accept
	    }
	}
	END
}

config() # always|never
{
    local ports more="cookies = \"$1\";"
    ports=$(seq -s, 7001 7010),$CLOSED,$LONE
    if [ -n "$GATEWAY" ]; then
        gateway_config "$(service peer "$SRV4" "$ports" "$more"), $(service peer6 "$SRV6" "$ports" "$more")"
    else
        echo "mode = \"host\"; services = ( $(service peer any "$ports" "$more") );"
    fi
}

# Whatever the daemon wants to learn from first connections, it learns here.
warm_up() { local f; for f in $FAMILIES; do family "$f"; peer knock; wait_until 10 handed_over 10 peer knock || return; done; }

reload() { config_write "$(config "$1")" && kill -HUP "$DAEMON_PID"; } # always|never
rearm() { reload always && warm_up; }

stage()
{
    local f set
    if [ -n "$GATEWAY" ]; then gateway_up "$NAT"; else topo_up; fi
    for set in $CLIENT_SYSCTL; do in_cli sysctl -qw "$set"; in_atk sysctl -qw "$set"; done
    in_daemon sysctl -qw "net.netfilter.nf_conntrack_tcp_loose=${TCP_LOOSE:-1}"
    [ -z "$ADMIN_RULES" ] || admin_rules
    peer_server || exit 1
    for f in $FAMILIES; do family "$f"; portrait "direct$F" $((20300 + F)) || exit 1; done
    holds older
    [ -n "$NODAEMON" ] || daemon_start "$(config never)" || exit 1
    holds unarmed
    with_daemon check "a reload arms the services" rearm
    plain "idle connections older than the daemon live on, even if older than conntrack" live_on older
    plain "idle connections older than the arming live on" live_on unarmed
}

xdp_has_answered()
{
    if stat_is 'any(.accelerator.interfaces[]?; .state == "generic" or .state == "native")'; then
        check "XDP has answered" stat_is '.accelerator.answered > 0'
    else
        skip "XDP has answered" "no XDP here"
    fi
}

stage
each "both ends agree on the same as without a handover" as_direct
opening_tests
loss_tests
refusal_tests
[ -z "$GATEWAY" ] || with_daemon check "servers that refused are answered for again" warm_up
[ "${ACCELERATOR:-off}" = off ] || xdp_has_answered
closing_tests
each "an idle connection lives by its keepalives" idle
modest_tests
narrow_tests
bulk_tests
with_daemon plain "handed-over connections outlive the disarming" rearmed outlive_disarming
with_daemon check "the daemon stops cleanly" daemon_stop
