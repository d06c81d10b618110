# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# A path narrower than either end knows: the server has to hear of it, whoever says so, and whatever was translated.
#
#   smfar ── 1500 ── smcli ── 1500 ── smgw ── 1500 ── smsrv
#              ^       a router  ^              ^
#              |                 |              3. narrow behind the gateway, which says so to the client
#              |                 1. narrow: the gateway says so
#              2. narrow: the router says so
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"

FAR=smfar-$$
NAMESPACES+=("$FAR")
BIG=$((50 * MB))
DIRECT=8080 # the port that is never answered for; 80 always is

family() # 4|6 none|dnat|masq|both
{
    F=$1
    if [ "$F" = 4 ]; then DST=$SRV4 REAL=$REAL4 FAR_END=10.79.0.2 SEEN=$INNER4 NARROW=1400
    else DST=$SRV6 REAL=$REAL6 FAR_END=fd79::2 SEEN=$INNER6 NARROW=1280; fi
    # whom the server answers to
    case $2 in none | dnat) SEEN=$FAR_END ;; esac
}

in_far() { ip netns exec "$FAR" "$@"; }

far_up() # none|dnat|masq|both
{
    gateway_up "$1"
    in_cli sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ip netns add "$FAR" || exit 1
    in_far sysctl -qw net.ipv6.conf.{all,default}.accept_dad=0
    ip link add c1 netns "$CLI" type veth peer name f0 netns "$FAR"
    ip -n "$CLI" addr add 10.79.0.1/24 dev c1
    ip -n "$CLI" addr add fd79::1/64 dev c1 nodad
    ip -n "$FAR" addr add 10.79.0.2/24 dev f0
    ip -n "$FAR" addr add fd79::2/64 dev f0 nodad
    ip -n "$CLI" link set c1 up
    ip -n "$FAR" link set f0 up
    ip -n "$FAR" route add default via 10.79.0.1
    ip -n "$FAR" route add default via fd79::1
    ip -n "$GW" route add 10.79.0.0/24 via "$CLI4"
    ip -n "$GW" route add fd79::/64 via "$CLI6"

    mkdir -p "$WORK/www"
    head -c $BIG /dev/urandom >"$WORK/www/big"
    NGINX_LISTEN="listen $DIRECT; listen [::]:$DIRECT;" nginx_start 511
    family 4 "$1"
    wait_until 5 page 80
}

# narrow gateway|router|behind|nowhere: one of the three links, for this family.
narrow()
{
    local mtu=1500 lock='' inner=''
    [ "$1" = gateway ] && mtu=$NARROW
    ip -n "$GW" link set eth0 mtu $mtu && ip -n "$CLI" link set c0 mtu $mtu || return
    [ "$1" = router ] && lock="mtu lock $NARROW"
    [ "$1" = behind ] && inner="mtu lock $NARROW"
    # shellcheck disable=SC2086
    ip -n "$CLI" route replace "$FAR_END" dev c1 $lock && ip -n "$GW" route replace "$REAL" dev eth2 $inner
}

# Nobody remembers.
forget()
{
    local ns
    for ns in "$SRV" "$GW" "$CLI" "$FAR"; do
        ip -n "$ns" -4 route flush cache
        ip -n "$ns" -6 route flush cache
    done
}

curl_far() { in_far curl -sf --connect-timeout 3 --max-time 20 "$@"; }
page() { curl_far -o /dev/null "http://$(url_host "$DST"):$1/"; } # PORT
page_twice() { page 80 && page 80; }
path_mtu() { ip -n "$SRV" route get "$SEEN" | grep -o 'mtu [0-9]*'; }
path_mtu_is() { [ "$(path_mtu)" = "mtu $1" ]; }

# download PORT: the milliseconds that it took, in $MS; whole, and the server knows the path afterwards.
download()
{
    local took
    forget
    page "$1" || return # the gateway may look whether the server answers
    took=$(curl_far -w '%{time_total}' -o "$WORK/got" "http://$(url_host "$DST"):$1/big") &&
        cmp "$WORK/www/big" "$WORK/got" && path_mtu_is "$NARROW" || return
    MS=$(awk "BEGIN { printf \"%d\", $took * 1000 + 1 }")
}

# as_fast_as_direct: the better of a few downloads each, in turns.
as_fast_as_direct()
{
    local direct=999999 handed=999999 round
    for round in {1..20}; do
        download $DIRECT || return
        [ "$MS" -ge "$direct" ] || direct=$MS
        handed download 80 || return
        [ "$MS" -ge "$handed" ] || handed=$MS
        [ "$round" -ge 2 ] && [ $((handed * 2)) -le $((direct * 3)) ] && break
    done
    echo "# direct $direct ms, handed over $handed ms"
    [ $((handed * 2)) -le $((direct * 3)) ]
}

# What the client sends does not fit: the gateway says so to the client.
upload()
{
    forget
    HOST=$DST
    page 80 && in_far timeout 60 "$TESTS/peer.py" push "$HOST" --bytes $BIG ${PRIME:+--prime} &&
        in_far ip route get "$DST" | grep -q "mtu $NARROW"
}

config()
{
    local always
    always="80, $(seq -s, 7001 7010)"
    gateway_config "$(service web4 "$SRV4" "$always" 'cookies = "always";'),
        $(service web6 "$SRV6" "$always" 'cookies = "always";'),
        $(service direct4 "$SRV4" $DIRECT 'cookies = "never";'),
        $(service direct6 "$SRV6" $DIRECT 'cookies = "never";')"
}

for nat in none dnat masq both; do
    far_up $nat
    peer_server || exit 1
    with_daemon daemon_start "$(config)" || exit 1
    for f in 4 6; do
        family $f $nat
        name="IPv$f, NAT $nat"
        narrow nowhere
        check "$name: the server is answered for" wait_until 5 handed page_twice
        narrow gateway
        check "$name: MTU $NARROW at the gateway: 50 MB come as fast as without a handover" as_fast_as_direct
        narrow router
        check "$name: MTU $NARROW beyond a router: 50 MB come as fast as without a handover" as_fast_as_direct
        narrow behind
        check "$name: MTU $NARROW behind the gateway: 50 MB go" handed upload
    done
    with_daemon check "NAT $nat: no handover failed" test "$(with_daemon counter handover_failed)" = 0
    with_daemon check "NAT $nat: a clean stop" daemon_stop
done
