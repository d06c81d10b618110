# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=lib.sh
#
# The test bench with a gateway. Sourced after lib.sh, whose words then mean the same: the daemon runs in the gateway.
#
#   ┌───────── smcli ─────────┐     ┌────────── smgw ──────────┐     ┌──── smsrv ────┐
#   │ c0   10.77.1.2/24       ├─────┤ eth0       eth2          ├─────┤ eth0          │
#   │      fd77:1::2/64       │     │ 10.77.1.1  10.77.3.1     │     │ 10.77.3.2/24  │
#   │ lo   10.78.0.0/16       │     │ fd77:1::1  fd77:3::1     │     │ fd77:3::2/64  │
#   │      fd78::/64          │     │                          │     │ default route │
#   └─────────────────────────┘     │ synmoatd                 │     │ via smgw      │
#   ┌───────── smatk ─────────┐     │                          │     └───────────────┘
#   │ a0   10.77.2.2/24       ├─────┤ eth1                     │
#   │      fd77:2::2/64       │     │ 10.77.2.1  default route │
#   └─────────────────────────┘     │ fd77:2::1  via a0        │
#                                   └──────────────────────────┘
#
# SRV4 and SRV6 are what clients call the server: with DNAT the gateway's own addresses, else REAL4 and REAL6.

GW=smgw-$$
GW4=10.77.1.1 GW6=fd77:1::1     # to clients
INNER4=10.77.3.1 INNER6=fd77:3::1 # to servers
REAL4=10.77.3.2 REAL6=fd77:3::2
NET4=10.77.3.0/24 NET6=fd77:3::/64
DAEMON_NS=$GW
NAMESPACES+=("$GW")
export GW DAEMON_NS GW4 GW6 INNER4 INNER6 REAL4 REAL6 NET4 NET6 SRV4 SRV6

in_gw() { ip netns exec "$GW" "$@"; }

# gateway_up [none|dnat|masq|both]: with DNAT every TCP port of the gateway's is the server's; with MASQUERADE the server
# knows all clients by INNER4 and INNER6.
gateway_up()
{
    local nat=${1:-none}
    # shellcheck disable=SC2153 # lib.sh's
    namespaces_up "$SRV" "$CLI" "$ATK" "$GW"
    _server_sysctls
    in_gw sysctl -qw net.ipv4.conf.{all,default}.rp_filter=1 net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    _link "$GW" eth0 "$CLI" c0 1
    _link "$GW" eth1 "$ATK" a0 2
    _link "$GW" eth2 "$SRV" eth0 3
    _client_addresses "$GW"
    _default_route "$CLI" 1
    _default_route "$ATK" 2
    _default_route "$SRV" 3
    wait_until 5 _links_up "$GW" 3 || { echo "gateway_up: links do not come up" >&2; exit 1; }

    SRV4=$REAL4 SRV6=$REAL6
    case $nat in dnat | both)
        SRV4=$GW4 SRV6=$GW6
        in_gw nft -f - <<-END
	table inet published {
	    chain in {
	        type nat hook prerouting priority dstnat;
	        ip daddr $GW4 meta l4proto tcp dnat ip to $REAL4
	        ip6 daddr $GW6 meta l4proto tcp dnat ip6 to $REAL6
	    }
	}
	END
    esac
    case $nat in masq | both) gateway_masquerades ;; esac
}

gateway_masquerades()
{
    in_gw nft 'table inet leaving { chain out { type nat hook postrouting priority srcnat; oifname eth2 masquerade; }; }'
}

_default_route() # NS SUBNET
{
    ip -n "$1" route add default via "10.77.$2.1"
    ip -n "$1" route add default via "fd77:$2::1"
}

# more_servers HOST...: the server has 10.77.3.HOST and fd77:3::HOST, too.
more_servers()
{
    local host
    for host; do
        ip -n "$SRV" addr add "10.77.3.$host/24" dev eth0
        ip -n "$SRV" addr add "fd77:3::$host/64" dev eth0 nodad
        ip -n "$GW" neigh add "10.77.3.$host" lladdr 02:00:00:00:03:02 dev eth2 nud permanent
        ip -n "$GW" neigh add "fd77:3::$host" lladdr 02:00:00:00:03:02 dev eth2 nud permanent
    done
}

# daemon_start with services behind the gateway: gateway_config SERVICES [MORE]
gateway_config() { echo "mode = \"gateway\"; services = ( $1 ); ${2:-}"; }

# echo_up, echo_down: a server on port $ECHO that comes and goes.
ECHO=7099
echo_up()
{
    ip netns exec "$SRV" "$TESTS/peer.py" listen $ECHO >>"$WORK/echo.log" 2>&1 &
    ECHO_PID=$!
    disown $ECHO_PID
    wait_until 5 listening $ECHO
}
echo_down()
{
    kill -9 "$ECHO_PID"
    wait_until 5 echo_gone
}
echo_gone() { ! listening $ECHO; }
