# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../tools/gateways.sh
# keepalived moves the addresses by itself when the active gateway dies, with the configuration and the script that we
# ship, and no connection is lost, nor reset because a packet was faster than the script.
# beside others
TESTS_DIR=$(cd "$(dirname "$0")/.." && pwd)
. "$TESTS_DIR/tools/gateways.sh"

BULK_MB=${BULK_MB:-50}

# The example as it is, but for names and addresses; scripts under /tmp are not secure enough for keepalived's own check.
keepalived_config() # NS
{
    local side priority=100
    side=$(side "$1")
    [ "$side" = b ] && priority=90
    cat >"$WORK/$side/notify" <<-END
	#!/bin/sh
	# slow, as on a loaded host: what comes in between meets the gate
	sleep 0.3
	export SYNMOAT_CONNTRACKD_CONF=$WORK/$side/ct.conf SYNMOAT_LOGGER='tee -a $WORK/$side/notify.log'
	exec $CONF/keepalived/synmoat-notify "\$@"
	END
    chmod 755 "$WORK/$side/notify"
    sed -E "/enable_script_security/d
        s|/etc/keepalived/synmoat-notify|$WORK/$side/notify|
        s|(interface) eth0|\1 c|; s|(interface) eth1|\1 s|
        s|priority 100.*|priority $priority|
        s|192\.0\.2\.254|10.79.1.1|; s|2001:db8:1::254|fd79:1::1|
        s|198\.51\.100\.254|10.79.2.1|; s|2001:db8:2::254|fd79:2::1|" \
        "$CONF/keepalived/keepalived.conf" >"$WORK/$side/keepalived.conf"
}

keepalived_start() # NS
{
    local side
    side=$(side "$1")
    keepalived_config "$1"
    ip netns exec "$1" keepalived --dont-fork --log-console --vrrp -f "$WORK/$side/keepalived.conf" \
        -p "$WORK/$side/keepalived.pid" -r "$WORK/$side/vrrp.pid" >>"$WORK/$side/keepalived.log" 2>&1 &
}

has_address() { ip -n "$1" -br addr show | grep -qw 10.79.1.1/24 && ip -n "$1" -br addr show | grep -q fd79:2::1/64; }
is_now() { [ "$(tail -n 1 "$WORK/$(side "$1")/notify.log" 2>/dev/null)" = "$2" ]; } # NS STATE
gated() { in_gw "$1" nft list table inet synmoat_gate >/dev/null 2>&1; }
ungated() { ! gated "$1"; }

gateways_up
peer_start
secret_make "$WORK/secret"
config=$(gateway_config reset)
for gw in "$A" "$B"; do
    synmoatd_start "$gw" "$config" && conntrackd_start "$gw" || exit 1
done
keepalived_start "$A"
check "the first one has the addresses" wait_until 20 is_now "$A" primary
keepalived_start "$B"
check "the second one waits" wait_until 20 is_now "$B" backup
check "the first one has kept them" has_address "$A"
check "the second one's gate is closed" gated "$B"
check "the first one's is open" ungated "$A"
check "the server is learned of" learn "$A"

ip netns exec "$SRV" tc qdisc add dev s0 root tbf rate 60mbit burst 128k latency 50ms
crowd_of crowd 40 || exit 1
peer pull "$S4" --bytes $((BULK_MB << 20)) >"$WORK/pull" 2>&1 &
pull=$!
check "the second one is told of them" wait_until 10 told_enough "$B" 41
was=$(gw_counter "$A" handed_over)
check "most of them were handed over" test "$was" -ge 37

cut_off "$A"
check "the first one dies: the second one takes the addresses" wait_until 20 has_address "$B"
touch "$WORK/crowd.say"
check "its script is called" wait_until 20 is_now "$B" primary
check "its gate is open" ungated "$B"
check "the download goes on, byte for byte" wait "$pull"
check "all connections go on, byte for byte" crowd_done crowd
tail -n 1 "$WORK/crowd.out" | sed 's/^/# /'

plug_in "$A"
check "the first one comes back, and waits" wait_until 20 is_now "$A" backup
check "the second one keeps the addresses" has_address "$B"
[ "$FAILED" -eq 0 ] || { what_they_said "$A" "$B"; tail -n 40 "$WORK"/?/keepalived.log "$WORK/pull" "$WORK/crowd.out"; }
