# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
#
# Two gateways between clients and a server, beyond what lib.sh has. Sourced instead of it.
#
#                        ┌──────── smgwa ────────┐
#   ┌──── smcli ────┐    │ c 10.79.1.11          │    ┌──── smsrv ────┐
#   │ c0            ├─┬──┤   fd79:1::11          ├─┬──┤ s0            │
#   │ 10.79.1.2/24  │ │  │ s 10.79.2.11          │ │  │ 10.79.2.2/24  │
#   │ fd79:1::2/64  │ │  │   fd79:2::11          │ │  │ fd79:2::2/64  │
#   └───────────────┘ │  └── sync 10.79.3.11 ────┘ │  │ and .3        │
#                     │             │              │  └───────────────┘
#              brc in │             │              │ brs in
#                smsw │  ┌── sync 10.79.3.12 ────┐ │ smsw
#                     └──┤ smgwb: as A, with .12 ├─┘
#                        └───────────────────────┘
#
# Client and server know one gateway, 10.79.1.1 and 10.79.2.1 (fd79:1::1 and fd79:2::1): whichever is active has these
# addresses. What comes to them on the client's side, ports 7001 to 7010, has DNAT to the server's second address.
. "$TESTS_DIR/lib.sh"

A=smgwa-$$ B=smgwb-$$ SW=smsw-$$
NAMESPACES=("$SRV" "$CLI" "$A" "$B" "$SW")
S4=10.79.2.2 S6=fd79:2::2 V4=10.79.1.1 V6=fd79:1::1 N4=10.79.2.3 N6=fd79:2::3
C4=10.79.1.2 C6=fd79:1::2
PATHS=("$S4" "$S6" "$V4" "$V6")
CONF=$(dirname "$TESTS")/conf
ALL_PORTS='[7001, 7002, 7003, 7004, 7005, 7006, 7007, 7008, 7009, 7010]'
LEARNED_PORTS=(7001 7002 7007 7010) # sink, source, echo, herald: those used here
declare -A SYNMOATD_PID=() CONNTRACKD_PID=() # of gateway a, b
declare -A HOLDERS_PID=() # of crowds, by name

# ---- topology

side() { [ "$1" = "$A" ] && echo a || echo b; }
host() { [ "$1" = "$A" ] && echo 11 || echo 12; }
in_gw() { ip netns exec "$@"; }

plug() # NS DEV BRIDGE
{
    ip link add "$2" netns "$1" type veth peer name "$1-$2" netns "$SW" || exit 1
    ip -n "$SW" link set "$1-$2" master "$3" up
    ip -n "$1" link set "$2" up
}

address() { ip -n "$1" addr add "10.79.$3.$4/24" dev "$2"; ip -n "$1" addr add "fd79:$3::$4/64" dev "$2" nodad; }

gateways_up()
{
    local ns
    namespaces_up "${NAMESPACES[@]}"
    for ns in brc brs; do
        ip -n "$SW" link add "$ns" type bridge mcast_snooping 0
        ip -n "$SW" link set "$ns" up
    done
    plug "$CLI" c0 brc
    plug "$SRV" s0 brs
    address "$CLI" c0 1 2
    address "$SRV" s0 2 2
    address "$SRV" s0 2 3
    ip link add sync netns "$A" type veth peer name sync netns "$B"
    for ns in "$A" "$B"; do
        mkdir -p "$WORK/$(side "$ns")"
        unit_owns "$WORK/$(side "$ns")"
        plug "$ns" c brc
        plug "$ns" s brs
        gateway_links "$ns"
        in_gw "$ns" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
            net.netfilter.nf_conntrack_tcp_loose=0 net.netfilter.nf_conntrack_tcp_be_liberal=0 \
            net.ipv6.conf.{c,s}.keep_addr_on_down=1
        gateway_rules "$ns"
    done
    ip -n "$CLI" route add default via 10.79.1.1
    ip -n "$CLI" route add default via fd79:1::1
    ip -n "$SRV" route add default via 10.79.2.1
    ip -n "$SRV" route add default via fd79:2::1
}

gateway_links() # NS
{
    address "$1" c 1 "$(host "$1")"
    address "$1" s 2 "$(host "$1")"
    ip -n "$1" addr add "10.79.3.$(host "$1")/24" dev sync
    ip -n "$1" link set sync up
}

# What an administrator has there: DNAT, and nothing is forwarded that conntrack does not know.
gateway_rules() # NS
{
    in_gw "$1" nft -f - <<-END
	table inet admin {
	    chain forward {
	        type filter hook forward priority filter;
	        ct state invalid counter drop;
	    }
	    chain to_server {
	        type nat hook prerouting priority dstnat;
	        ip daddr $V4 tcp dport 7001-7010 dnat ip to $N4
	        ip6 daddr $V6 tcp dport 7001-7010 dnat ip6 to $N6
	    }
	}
	END
}

# The addresses move to NS; neighbours are told, not asked.
move_to() # NS
{
    local other=$A n
    [ "$1" = "$A" ] && other=$B
    for n in 1 2; do
        ip -n "$other" addr del "10.79.$n.1/24" dev "$(dev_of $n)" 2>/dev/null
        ip -n "$other" addr del "fd79:$n::1/64" dev "$(dev_of $n)" 2>/dev/null
        address "$1" "$(dev_of $n)" $n 1
    done
    neighbours_at "$1"
}
dev_of() { [ "$1" = 1 ] && echo c || echo s; }
mac_of() { ip -n "$1" -br link show dev "$2" | awk '{ print $3 }'; }

neighbours_at() # NS
{
    neighbour "$CLI" c0 1 "$(mac_of "$1" c)"
    neighbour "$SRV" s0 2 "$(mac_of "$1" s)"
}
neighbour() # NS DEV SUBNET MAC
{
    ip -n "$1" neigh replace "10.79.$3.1" lladdr "$4" dev "$2" nud permanent
    ip -n "$1" neigh replace "fd79:$3::1" lladdr "$4" dev "$2" nud permanent
}

# Its power fails: nothing comes out of it any more, nothing is told to anybody.
cut_off() { local link; for link in c s sync; do ip -n "$1" link set "$link" down; done; }
plug_in()
{
    local link
    for link in c s sync; do ip -n "$1" link set "$link" up; done
    # IPv6 routes went with the links; the addresses of before are kept
    wait_until 5 links_up "$1"
}
links_up() { [ "$(ip -n "$1" -br link | grep -cE '^(c|s|sync)@.* UP ')" -eq 3 ]; }

# ---- what runs on a gateway

# secret_make FILE
secret_make()
{
    (umask 077; echo "0 $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" >"$1")
    unit_owns "$1" "$(dirname "$1")"
}

# gateway_config STRAYS [SECRET_FILE]
gateway_config()
{
    local path services=''
    for path in "${PATHS[@]}"; do
        services+="{ name = \"to-${path//:/-}\"; address = \"$path\"; ports = $ALL_PORTS; cookies = \"always\"; },"
    done
    cat <<-END
	mode = "gateway";
	services = ( ${services%,} );
	gateway = { secret_file = "${2:-$WORK/secret}"; strays = "$1"; grace_s = 0; };
	END
}

synmoatd_start() # NS CONFIG
{
    local side
    side=$(side "$1")
    DAEMON_NS=$1 WORK=$WORK/$side daemon_start "$2" || return 1
    SYNMOATD_PID[$side]=$DAEMON_PID
}
synmoatd_kill() # NS
{
    local pid=${SYNMOATD_PID[$(side "$1")]}
    kill -9 "$pid"; wait "$pid" 2>/dev/null
}
gw_ctl() { local ns=$1; shift; DAEMON_NS=$ns WORK=$WORK/$(side "$ns") ctl "$@"; }
gw_counter() { gw_ctl "$1" status --json | jq -r ".counters.$2"; }
gw_counted() { [ "$(gw_counter "$1" "$2")" -ge "$3" ]; } # NS COUNTER AT_LEAST
checked() # NS LEVEL: what `check` says of replication
{
    # shellcheck disable=SC2016 # the variable is jq's
    gw_ctl "$1" check --json | says_true --arg level "$2" \
        '[.checks[] | select(.what == "replication")] | length == 1 and .[0].level == $level'
}

# The example as it is, but for the lines that it says to edit, and the places of its files.
conntrackd_config() # NS
{
    local side peer=12
    side=$(side "$1")
    [ "$side" = b ] && peer=11
    sed -E "s|^(\s*IPv4_address) .*# HERE.*|\1 10.79.3.$(host "$1")|
        s|^(\s*IPv4_Destination_Address) .*# HERE.*|\1 10.79.3.$peer|
        s|^(\s*Interface) .*# HERE.*|\1 sync|
        s|^(\s*LockFile) .*|\1 $WORK/$side/ct.lock|
        s|^(\s*Path) .*|\1 $WORK/$side/ct.ctl|
        s|^(\s*)Syslog on|\1Systemd off\n\1Syslog off\n\1LogFile $WORK/$side/ct.log|
        ${CONNTRACKD_EDIT:-}" "$CONF/conntrackd.conf" >"$WORK/$side/ct.conf"
}

conntrackd_start() # NS
{
    local side
    side=$(side "$1")
    conntrackd_config "$1"
    rm -f "$WORK/$side/ct.lock" # of one that was killed
    ip netns exec "$1" conntrackd -C "$WORK/$side/ct.conf" >>"$WORK/$side/ct.out" 2>&1 &
    CONNTRACKD_PID[$side]=$!
    wait_until 5 ctd "$1" -s runtime || { cat "$WORK/$side/ct.out" >&2; return 1; }
}
conntrackd_kill()
{
    local side
    side=$(side "$1")
    kill -9 "${CONNTRACKD_PID[$side]}"; wait "${CONNTRACKD_PID[$side]}" 2>/dev/null
    rm -f "$WORK/$side/ct.lock" "$WORK/$side/ct.ctl"
}
ctd() { local ns=$1; shift; in_gw "$ns" conntrackd -C "$WORK/$(side "$ns")/ct.conf" "$@" >/dev/null 2>&1; } # NS OPTION...
# What NS has been told of by the other: connections in state ESTABLISHED.
told() { in_gw "$1" conntrackd -C "$WORK/$(side "$1")/ct.conf" -e 2>/dev/null | grep -c ESTABLISHED; }
told_enough() { [ "$(told "$1")" -ge "$2" ]; } # NS AT_LEAST

notify() # NS STATE: as keepalived would call it
{
    in_gw "$1" env SYNMOAT_CONNTRACKD_CONF="$WORK/$(side "$1")/ct.conf" \
        SYNMOAT_LOGGER="tee -a $WORK/$(side "$1")/notify.log" \
        "$CONF/keepalived/synmoat-notify" "$2" "$V4" "$V6" >/dev/null
}

# Established connections, as the kernel has them; and those that have an offset.
established()
{
    local f
    for f in ipv4 ipv6; do in_gw "$1" conntrack -L -f "$f" -p tcp --state ESTABLISHED 2>/dev/null; done | wc -l
}
offsets() { in_gw "$1" python3 "$TESTS/tools/offsets.py" --json; }
with_offset() { offsets "$1" | jq .with_offset; }
has_offsets() { [ "$(with_offset "$1")" -ge "$2" ]; } # NS AT_LEAST

# ---- the server and its clients

peer_start()
{
    ip netns exec "$SRV" python3 "$TESTS/peer.py" serve >"$WORK/peer.log" 2>&1 &
    wait_until 5 grep -q serving "$WORK/peer.log"
}
peer() { in_cli python3 "$TESTS/peer.py" "$@"; }

# A server's first connection goes to it without a cookie, to see what it answers; then it is answered for.
learn() # NS
{
    local path port
    for path in "${PATHS[@]}"; do
        for port in "${LEARNED_PORTS[@]}"; do
            in_cli timeout 3 bash -c ": </dev/tcp/$path/$port" 2>/dev/null || return 1
        done
    done
    wait_until 3 answered_for "$1"
}
answered_for()
{
    gw_ctl "$1" status --json | says_true --argjson ports "$(printf '%s\n' "${LEARNED_PORTS[@]}" | jq -s .)" \
        --argjson paths "${#PATHS[@]}" \
        '[.services[] | select(.armed and (.port | IN($ports[])))] | length == ($ports | length) * $paths'
}

# crowd_of NAME COUNT: connections over all paths, running until $WORK/NAME.end exists, the silent ones spoken to when
# $WORK/NAME.say does. $WORK/NAME.out tells how they fared.
crowd_of()
{
    ip netns exec "$CLI" python3 "$TESTS/tools/holders.py" --count "$2" --say "$WORK/$1.say" --until "$WORK/$1.end" \
        "${@:3}" "${PATHS[@]}" >"$WORK/$1.out" 2>&1 &
    HOLDERS_PID[$1]=$!
    wait_until 30 grep -q "^held" "$WORK/$1.out" || { cat "$WORK/$1.out" >&2; return 1; }
}
crowd_done() { touch "$WORK/$1.say" "$WORK/$1.end"; wait "${HOLDERS_PID[$1]}"; }

what_they_said() # NS...: for a failure
{
    local ns
    for ns; do
        tail -n 15 "$WORK/$(side "$ns")"/{daemon,notify}.log "$WORK/$(side "$ns")/ct.out" 2>/dev/null | sed 's/^/    | /' >&2
    done
}
