# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# In peace every packet passes as it came: byte for byte, none lost, none twice, and in order, but that what waits in the queue, a
# SYN or the first ACK, may be overtaken by what follows. Two taps, rules that log packets
# whole, are before and behind the daemon's rules, on the way in and on the way out; on a gateway its interfaces are compared as well.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"

# What a socket can be told to do does not end there: what the kernel does of itself, by sysctl.
HABITS=(tcp_timestamps=1 tcp_timestamps=0 tcp_sack=0 tcp_window_scaling=0 tcp_ecn=1)
# of the taps; the daemon's hooks are from -310 to -140 and at 150 (edge/ruleset.c)
declare -A GROUPS_OF=([in_before]=71 [in_behind]=72 [out_before]=73 [out_behind]=74)

# Both ends on one CPU: a flow that goes through two is swapped by the kernel, with us or without.
in_cli() { ip netns exec "$CLI" taskset -c 0 "$@"; }
in_srv() { ip netns exec "$SRV" taskset -c 0 "$@"; }

# Segments leave as they will be on the wire.
wire_sized() # NS DEV...
{
    local ns=$1 dev; shift
    for dev; do ip netns exec "$ns" ethtool -K "$dev" tso off gso off gro off tx off rx off >/dev/null; done
}

taps_up()
{
    in_daemon nft -f - <<-END
	table inet taps {
	    chain in_before { type filter hook prerouting priority -350; iifname "eth*" meta l4proto { tcp, udp } counter log group 71 snaplen 65535; }
	    chain in_behind { type filter hook prerouting priority 300; iifname "eth*" meta l4proto { tcp, udp } counter log group 72 snaplen 65535; }
	    chain out_before { type filter hook postrouting priority 140; oifname "eth*" meta l4proto { tcp, udp } counter log group 73 snaplen 65535; }
	    chain out_behind { type filter hook postrouting priority 160; oifname "eth*" meta l4proto { tcp, udp } counter log group 74 snaplen 65535; }
	}
	END
}

# capture NAME tcpdump-options...: into $WORK/NAME.pcap, until captures_end.
CAPTURES=()
capture()
{
    local name=$1; shift
    ip netns exec "$DAEMON_NS" tcpdump -U -s 0 -B 65536 -w "$WORK/$name.pcap" "$@" 2>"$WORK/$name.log" &
    CAPTURES+=($!)
    wait_until 5 grep -q 'listening' "$WORK/$name.log"
}
captures_start()
{
    local tap
    CAPTURES=()
    in_daemon nft flush table inet taps 2>/dev/null
    in_daemon nft delete table inet taps 2>/dev/null
    for tap in "${!GROUPS_OF[@]}"; do capture "$tap" -i "nflog:${GROUPS_OF[$tap]}"; done
    taps_up
}
tapped() { in_daemon nft list chain inet taps "$1" | grep -o 'packets [0-9]*' | cut -d' ' -f2; }
caught() { "$TESTS/tools/unchanged.py" --count "$WORK/$1.pcap"; }
all_caught() { local tap; for tap in "${!GROUPS_OF[@]}"; do [ "$(caught "$tap")" -eq "$(tapped "$tap")" ] || return; done; }
captures_end()
{
    wait_until 10 all_caught || { echo "taps have lost packets" >&2; return 1; }
    kill "${CAPTURES[@]}"
    wait "${CAPTURES[@]}"
    return 0
}

# unchanged NAME BEFORE BEHIND [unchanged.py options]
unchanged()
{
    "$TESTS/tools/unchanged.py" "${@:4}" "$WORK/$2.pcap" "$WORK/$3.pcap" >"$WORK/compared"
    local same=$?
    sed "s/^/# $1: /" "$WORK/compared"
    return $same
}
enough() { says_true ".packets >= $1" "$WORK/compared"; }

# all_sorts [--routed]: of connections, datagrams and bulk; all of it answered as it should.
all_sorts()
{
    local habit host code=0
    for habit in "${HABITS[@]}"; do
        in_cli sysctl -qw "net.ipv4.$habit"
        for host in "$SRV4" "$SRV6"; do
            in_cli "$TESTS/tools/assorted.py" "$@" "$host" 7007 >"$WORK/assorted" || { code=1; sed "s/^/$habit: /" "$WORK/assorted" >&2; }
        done
        in_cli sysctl -qw net.ipv4.tcp_timestamps=1 net.ipv4.tcp_sack=1 net.ipv4.tcp_window_scaling=1 net.ipv4.tcp_ecn=2
    done
    for HOST in "$SRV4" "$SRV6"; do
        peer push --bytes 1000000 && peer pull --bytes 1000000 && peer ack-with-data && peer halfclose || code=1
    done
    return $code
}

peaceful() { stat_is '(.armed or any(.services[]; .armed)) | not'; }

# RSTs that a server sends to a connection that has just begun, and the daemon does not let pass: ruleset_parts.c.
hushed() { in_daemon nft list chain inet synmoat hush 2>/dev/null | grep -o 'packets [0-9]*' | cut -d' ' -f2; }

# compared NAME [TINY [OPTION]]: what the taps have seen, of which so many fragments may be lost.
compared()
{
    check "$1: the taps have lost nothing" captures_end
    check "$1: nothing is changed, lost or doubled on the way in" unchanged "$1, in" in_before in_behind ${3:+"$3"}
    check "$1: there was much to compare" enough 1000
    check "$1: no fragment is lost but those that hide TCP's flags" says_true ".tiny <= ${2:-0} and .resets <= $(hushed)" "$WORK/compared"
    check "$1: nothing is changed, lost or doubled on the way out" unchanged "$1, out" out_before out_behind --unsummed
    check "$1: no reset is lost but those that came too early" says_true ".resets <= $(hushed) and .tiny == 0" "$WORK/compared"
    check "$1: it was peace" peaceful
}

# ---- a host

DAEMON_NS=$SRV SRV4=10.77.1.1 SRV6=fd77:1::1
topo_up
wire_sized "$SRV" eth0 eth1
wire_sized "$CLI" c0
in_srv sysctl -qw net.ipv4.tcp_fastopen=1027
in_cli sysctl -qw net.ipv4.tcp_fastopen=1
peer_server || exit 1
daemon_start "services = ( $(service peer any "$(seq -s, 7001 7010)") );" || exit 1
captures_start
check "host: all sorts of connections work" all_sorts
compared "host"
check "host: the daemon has seen their handshakes" stat_is '.counters | .syn_accepted >= 100 and .half_open_completed >= 100'

# The same, with somebody who changes packets between the taps.
captures_start
in_srv nft 'table inet tamper { chain in { type filter hook prerouting priority 0; tcp flags syn tcp option maxseg size set 1000; }; }'
peer knock >/dev/null
captures_end
unchanged "an option changed" in_before in_behind 2>/dev/null
check "a changed option is found out" says_true '.missing > 0 and .missing == .extra' "$WORK/compared"
in_srv nft delete table inet tamper

captures_start
in_srv nft 'table inet tamper { chain in { type filter hook prerouting priority 0; tcp dport 7007 tcp flags & (syn | ack) == ack limit rate 1/hour burst 1 packets drop; }; }'
peer echo >/dev/null
captures_end
unchanged "a packet dropped" in_before in_behind 2>/dev/null
check "a lost packet is found out" says_true '.missing == 1 and .extra == 0' "$WORK/compared"
in_srv nft delete table inet tamper

# Packets as they should not be.
config_write "services = ( $(service peer any "$(seq -s, 7001 7010)" 'cookies = "never";') );"
ctl reload >/dev/null
captures_start
ip netns exec "$ATK" "$TOOLS/malformed" -i a0 -m 02:00:00:00:02:01 -n 10000 -r 10000 7007 "$SRV4" "$SRV6" >/dev/null
compared "malformed" 200 --any-order # of one connection there are only those of the land attack, queued or not
check "malformed: a clean stop" daemon_stop

# ---- a gateway

HABITS=(tcp_timestamps=1 tcp_sack=0 tcp_ecn=1)

DAEMON_NS=$GW
gateway_up none
wire_sized "$GW" eth0 eth1 eth2
wire_sized "$CLI" c0
wire_sized "$SRV" eth0
in_srv sysctl -qw net.ipv4.tcp_fastopen=1027
in_cli sysctl -qw net.ipv4.tcp_fastopen=1
peer_server || exit 1
daemon_start "$(gateway_config "$(service four "$REAL4" "$(seq -s, 7001 7010)"), $(service six "$REAL6" "$(seq -s, 7001 7010)")")" || exit 1
captures_start
WHO="(host $CLI4 or host $CLI6) and not (icmp6 and ip6[40] >= 133)"
capture outer_in -i eth0 -Q in "$WHO"
capture inner_out -i eth2 -Q out "$WHO"
capture inner_in -i eth2 -Q in "$WHO"
capture outer_out -i eth0 -Q out "$WHO"
check "gateway: all sorts of connections work" all_sorts --routed
compared "gateway"
# The taps tell of the order.
check "gateway: to servers, all goes through as it came" unchanged "gateway, to servers" outer_in inner_out --hop --any-order
check "gateway: to clients, all goes through as it came" unchanged "gateway, to clients" inner_in outer_out --hop --any-order
check "gateway: a clean stop" daemon_stop
