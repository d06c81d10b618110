# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Containers on a bridge of the gateway's, as container engines set them up: published ports, addresses translated.
#
#   smcli ── eth0 ┌─── smgw ───┐ br0 172.17.0.1/16 ─┬─ smct1: 172.17.0.2 fd17::2
#                 │  synmoatd  │     fd17::1/64     └─ smct2: 172.17.0.3 fd17::3
#                 └────────────┘
#
# A container's port 70xx is published as the gateway's port 80xx (smct1) or 90xx (smct2).
# beside others
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"

CT1=smct1-$$ CT2=smct2-$$
NAMESPACES+=("$CT1" "$CT2")
DUPLEX=7003 BANNER=7006 ECHO=7007 # as in peer.py
SMALL=$((20 * MB))

# family 4|6 dnat|both|none|masq: whom clients call by which ports, and what the container sees of them.
family()
{
    local f=$1 nat=$2 gw=$GW4 first=172.17.0.2 second=172.17.0.3 bridge=172.17.0.1
    CLIENT=$CLI4
    [ "$f" = 4 ] || gw=$GW6 first=fd17::2 second=fd17::3 bridge=fd17::1 CLIENT=$CLI6
    FIRST=$first TO=$first TO_SECOND=$second SHIFT=0 SHIFT_SECOND=0
    case $nat in dnat | both) TO=$gw TO_SECOND=$gw SHIFT=1000 SHIFT_SECOND=2000 ;; esac
    case $nat in masq | both) CLIENT=$bridge ;; esac
    HOST=$TO
}

containers_up()
{
    gateway_up none
    ip -n "$GW" link add br0 address 02:00:00:00:17:01 type bridge
    ip -n "$GW" addr add 172.17.0.1/16 dev br0
    ip -n "$GW" addr add fd17::1/64 dev br0 nodad
    ip -n "$GW" link set br0 up
    container "$CT1" 2
    container "$CT2" 3
    SRV=$CT1 peer_server && SRV=$CT2 peer_server && peer_in_cli || exit 1
}

container() # NS HOST
{
    ip netns add "$1" || exit 1
    ip netns exec "$1" sysctl -qw net.ipv6.conf.{all,default}.accept_dad=0
    ip -n "$1" link set lo up
    ip link add "ct$2" netns "$GW" type veth peer name eth0 netns "$1"
    ip -n "$GW" link set "ct$2" master br0 up
    ip -n "$1" addr add "172.17.0.$2/16" dev eth0
    ip -n "$1" addr add "fd17::$2/64" dev eth0 nodad
    ip -n "$1" link set eth0 up
    ip -n "$1" route add default via 172.17.0.1
    ip -n "$1" route add default via fd17::1
}

# Somebody out there, for containers to call.
peer_in_cli()
{
    in_cli "$TESTS/peer.py" listen $ECHO >"$WORK/outside.log" 2>&1 &
    wait_until 10 grep -q serving "$WORK/outside.log"
}

# engine dnat|both|none|masq: the rules of a container engine, and those of an admin who translates clients, too.
engine()
{
    local port masquerade='' publish=''
    case $1 in dnat | both)
        for port in {7001..7010}; do
            publish+="fib daddr type local tcp dport $((port + 1000)) dnat ip to 172.17.0.2:$port
                      fib daddr type local tcp dport $((port + 1000)) dnat ip6 to [fd17::2]:$port
                      fib daddr type local tcp dport $((port + 2000)) dnat ip to 172.17.0.3:$port
                      fib daddr type local tcp dport $((port + 2000)) dnat ip6 to [fd17::3]:$port
                      "
        done ;;
    esac
    case $1 in masq | both) masquerade='iifname != "br0" oifname "br0" masquerade' ;; esac
    in_gw nft -f - <<-END
	table inet engine
	delete table inet engine
	table inet engine {
	    chain publish {
	        type nat hook prerouting priority dstnat;
	        $publish
	    }
	    chain leave {
	        type nat hook postrouting priority srcnat;
	        ip saddr 172.17.0.0/16 oifname != "br0" masquerade
	        ip6 saddr fd17::/64 oifname != "br0" masquerade
	        $masquerade
	    }
	    chain forward {
	        type filter hook forward priority filter; policy drop;
	        ct state established,related accept
	        iifname "br0" accept
	        oifname "br0" tcp dport 7001-7010 accept
	    }
	}
	END
}

services() # dnat|both|none|masq
{
    case $1 in
        dnat | both)
            service published4 "$GW4" "$(seq -s, 8001 8010), $(seq -s, 9001 9010)" 'cookies = "always";'
            echo ,
            service published6 "$GW6" "$(seq -s, 8001 8010), $(seq -s, 9001 9010)" 'cookies = "always";' ;;
        *)
            service containers4 172.17.0.0/16 "$(seq -s, 7001 7010)" 'cookies = "always";'
            echo ,
            service containers6 fd17::/64 "$(seq -s, 7001 7010)" 'cookies = "always";' ;;
    esac
}

# to_first CMD [ARG...], to_second: a peer of that container.
to_first() { HOST=$TO "$1" "${@:2}"; }
to_second() { HOST=$TO_SECOND "$1" "${@:2}"; }

# Containers call each other, and the world outside.
between() { ip netns exec "$CT2" timeout 60 "$TESTS/peer.py" "$1" "$FIRST" "${@:2}"; }
outward() { ip netns exec "$CT2" timeout 60 "$TESTS/peer.py" echo "$1" --port $ECHO --bytes 100000; }

# as_published NAME FAMILY NAT
as_published()
{
    local name=$1 outside=$CLI4
    [ "$2" = 4 ] || outside=$CLI6
    family "$2" "$3"
    with_daemon check "$name: both containers are answered for" answered_for
    check "$name: $((BULK / MB)) MB up and down are byte-exact" \
        handed to_first both "$BULK" --port $((DUPLEX + SHIFT))
    check "$name: so are $((SMALL / MB)) MB of another container's" \
        handed to_second both $SMALL --port $((DUPLEX + SHIFT_SECOND))
    check "$name: a server that speaks first" handed to_first peer banner --port $((BANNER + SHIFT))
    check "$name: containers call each other" between echo --bytes 100000
    check "$name: $((SMALL / MB)) MB from one to another" between pull --bytes $SMALL
    check "$name: containers call others" outward "$outside"
}
answered_for()
{
    local port
    for port in $DUPLEX $BANNER; do
        wait_until 10 handed to_first peer knock --port $((port + SHIFT)) || return
    done
    wait_until 10 handed to_second peer knock --port $((DUPLEX + SHIFT_SECOND))
}

for nat in dnat both none masq; do
    case $nat in
        dnat) kind='published' ;;
        both) kind='published, clients translated' ;;
        none) kind='routed' ;;
        masq) kind='routed, clients translated' ;;
    esac
    containers_up
    engine $nat
    with_daemon daemon_start "$(gateway_config "$(services $nat)")" || exit 1
    for call in 0 1; do
        in_gw sysctl -qw net.bridge.bridge-nf-call-{iptables,ip6tables}=$call || exit 1
        for f in 4 6; do as_published "IPv$f, $kind, bridge-nf-call $call" $f $nat; done
    done
    with_daemon check "$kind: no handover failed" test "$(with_daemon counter handover_failed)" = 0
    with_daemon check "$kind: the daemon stops cleanly" daemon_stop
done
