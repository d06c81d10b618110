# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Floods in the name of somebody who is trusted: a proven source, an allowed one. And what is sent to those who never asked:
# never more than came, nor more than the cap, and nothing to an address that is no host's.
. "$(dirname "$0")/../lib.sh"

VICTIM=10.78.7.1
CAP=2000

# ---- a proven source

proven_source()
{
    local before got=0 _
    spoofing_allowed
    silent $VICTIM
    daemon_start "services = ( $(service web any 80) );" || exit 1
    check "proven: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
    flood_start 20000 60 "$SRV4" 80
    check "proven: a flood arms the service" wait_until 5 armed 80
    check "proven: he is served, and so proven" fetch $VICTIM "$SRV4"
    check "proven: then he may pass" wait_until 3 explained $VICTIM syn_direct
    before=$(counter syn_direct)
    ip netns exec "$ATK" "$TOOLS/synflood" -i a0 -m 02:00:00:00:02:01 -r 5000 -t 30 -s $VICTIM "$SRV4" 80 >/dev/null &
    SPOOF=$!
    check "proven: SYNs in his name use that up" wait_until 5 not_direct
    for _ in {1..10}; do fetch $VICTIM "$SRV4" && got=$((got + 1)); done
    check "proven: 10 of his 10 connections are served meanwhile" test $got -eq 10
    check "proven: and others'" test "$(requests 20 5 "$SRV4")" -eq 20
    check "proven: no more than 8 of the SYNs in his name got past" test $(($(counter syn_direct) - before)) -le 8
    check "proven: nor has the kernel more half-open" test "$(in_srv ss -Htn state syn-recv "dst $VICTIM" | wc -l)" -le 9
    check "proven: they are still sent" alive $SPOOF
    kill $SPOOF
    flood_stop
    check "proven: he is not banned" test -z "$(ctl ban list | grep -F $VICTIM)"
    check "proven: a clean stop" daemon_stop
}
not_direct() { explained $VICTIM syn_source_challenged || explained $VICTIM syn_challenged; }

# ---- an allowed source

allowed_source()
{
    in_srv sysctl -qw net.ipv4.tcp_syncookies=1 # as it is by default
    daemon_start "services = ( $(service web any 80) ); allow = [ \"11.9.0.0/16\" ];" || exit 1
    check "allowed: there is nothing to say in peace" check_says_nothing
    check "allowed: nor to alert for" pressed_is 0
    flood_start 5000 40 "$SRV4" 80 -s 11.9.1.1
    check "allowed: that SYNs in his name fill the backlog is told" wait_until 10 told allowed-press '.fields.service == "web"'
    check "allowed: it is in check, too" check_says
    check "allowed: and in the metrics" wait_until 3 pressed_is 1
    check "allowed: others are served, by the kernel's own cookies" test "$(requests 20 5 "$SRV4")" -eq 20
    check "allowed: none of his SYNs was looked at" stat_is '.counters | .syn_allowed > 5000 and .syn_received - .syn_allowed < 200'
    check "allowed: it is told once" test "$(log_lines 'are of allowed sources')" -eq 1
    # Off the list he is like anybody else.
    config_write "services = ( $(service web any 80) );"
    check "allowed: he is taken off the list" ctl reload
    check "allowed: then he alone gets cookies" wait_until 5 explained 11.9.1.1 syn_source_challenged
    check "allowed: nor does he press any longer" wait_until 10 pressed_is 0
    check "allowed: and others are served" test "$(requests 20 5 "$SRV4")" -eq 20
    flood_stop
    check "allowed: a clean stop" daemon_stop
    in_srv sysctl -qw net.ipv4.tcp_syncookies=0
}
check_says() { ctl check --json 2>/dev/null | says_true '[.checks[] | select(.what == "allow" and .level == "fault")] | any'; }
check_says_nothing() { ! check_says; }
pressed_is() { ctl metrics | grep -qx "synmoat_service_allowed_press{service=\"web\",.*} $1"; }

# ---- reflection

# What comes back to the attacker from port 80, in IP packets and bytes, and how many of these not to one station alone.
count_replies()
{
    # Before IP, which would leave out those to the station that the SYNs say they are from.
    in_atk nft 'table netdev replies {
        counter answers { }
        counter several { }
        chain in { type filter hook ingress device a0 priority 0;
            tcp sport 80 counter name answers
            tcp sport 80 meta pkttype { broadcast, multicast } counter name several; }; }'
}
replies() { in_atk nft -j list counter netdev replies "$1" | jq ".nftables[1].counter.$2"; } # COUNTER packets|bytes

# exchanged RATE SECONDS [synflood options]: OUT and IN are packets, IN_BYTES their bytes.
exchanged()
{
    local rate=$1 seconds=$2; shift 2
    IN=$(replies answers packets) IN_BYTES=$(replies answers bytes)
    flood_start "$rate" "$seconds" "$SRV4" 80 "$@"
    flood_wait
    OUT=$(sed -n 's/^sent \([0-9]*\) .*/\1/p' "$WORK/flood.log")
    IN=$(($(settled replies answers packets) - IN)) IN_BYTES=$(($(replies answers bytes) - IN_BYTES))
}

# replied ADDRESS...: how many replies there are to a hundred SYNs from each, or with -d to each.
replied()
{
    local before to=()
    before=$(settled replies answers packets)
    if [ "$1" = -d ]; then to=(to); shift; fi
    for address; do
        if [ ${#to[@]} -gt 0 ]; then flood_start 5000 5 "$address" 80 -n 100
        else flood_start 5000 5 "$SRV4" 80 -n 100 -s "$address"; fi
        flood_wait
    done
    echo $(($(settled replies answers packets) - before))
}

# In a SYN without options there is no MSS, which the answer has: 4 bytes.
reflection() # NAME
{
    local name=$1 options size most
    daemon_start "services = ( $(service web any 80 'cookies = "always";') );
        reflection = { unanswered_per_s = $CAP; };" || exit 1
    check "$name: armed" wait_until 5 armed 80
    check "$name: the server has answered" test "$(requests 2 5 "$SRV4")" -eq 2
    [ "$name" = queue ] || check "$name: it is XDP that answers" wait_until 5 stat_is '.accelerator.state == "attached"'
    for options in full:60 mss:44 none:44; do
        size=${options#*:} options=${options%:*}
        exchanged 150000 1 -o "$options"
        echo "# $name, options $options: $IN replies to $OUT SYNs, of $((IN_BYTES / (IN > 0 ? IN : 1))) bytes"
        check "$name, options $options: there are replies" test "$IN" -gt 1000
        check "$name, options $options: not more than SYNs" test "$IN" -le "$OUT"
        check "$name, options $options: of no more than $size bytes" test "$IN_BYTES" -le $((IN * size))
    done
    exchanged 20000 3 -s 11.5.5.5
    echo "# $name: $IN replies to one address in 3 s, of $OUT SYNs"
    check "$name: one network gets no more than the cap" test "$IN" -le $((CAP * 5)) -a "$OUT" -ge 20000
    check "$name: and what the cap allows" test "$IN" -ge $((CAP / 8))

    check "$name: 200 go to addresses as hosts have" test "$(replied 11.6.6.6 11.7.7.7)" -eq 200
    check "$name: nothing goes to no host's address" \
        test "$(replied 0.0.0.0 127.0.0.1 127.9.9.9 224.0.0.1 239.1.2.3 255.255.255.255)" -eq 0
    check "$name: nothing comes from no host's address" \
        test "$(replied -d 224.0.0.1 255.255.255.255 10.77.2.255 127.0.0.1 0.0.0.0)" -eq 0
    # What the routing table alone tells from a host's address. XDP does not look there: it sends these back to the station
    # that sent them, one for one.
    most=0
    [ "$name" != XDP ] || most=400
    check "$name: no more than $most go to this host's networks' own addresses" \
        test "$(replied 10.77.2.255 10.77.2.0 10.77.2.1 10.77.1.1)" -le $most
    check "$name: no reply was to more than one station" test "$(replies several packets)" -eq 0
    check "$name: a clean stop" daemon_stop
}

topo_up
nginx_start 128
if [ -z "${ONLY:-}" ]; then
proven_source
allowed_source
fi
topo_up
nginx_start 128
count_replies
reflection "queue"
ACCELERATOR=auto reflection "XDP"
