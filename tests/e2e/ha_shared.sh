# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../tools/gateways.sh
# Gateways that share a secret and nothing else: a SYN answered by one, its ACK handed over by the other (ECMP, anycast),
# also when the epoch, or the secret itself, changes in between. And who may not have such a secret.
# beside others
TESTS_DIR=$(cd "$(dirname "$0")/.." && pwd)
. "$TESTS_DIR/tools/gateways.sh"

PATHS=("$S4" "$S6") # the addresses are each gateway's own: no DNAT here
LEARNED_PORTS=(7007)

# ---- routes

# via NS: all packets, both ways.
via()
{
    local hop
    hop=$(host "$1")
    ip -n "$CLI" route replace default via "10.79.1.$hop"
    ip -n "$CLI" route replace default via "fd79:1::$hop"
    ip -n "$SRV" route replace default via "10.79.2.$hop"
    ip -n "$SRV" route replace default via "fd79:2::$hop"
}

# A second address of the client is routed via A, all of it, for A to see that the server still answers: it would let a
# SYN a second pass to see that, and in a split that one's answer goes past it.
OTHER4=10.79.1.3 OTHER6=fd79:1::3
steady_start()
{
    local f
    address "$CLI" c0 1 3
    ip -n "$CLI" addr change "$OTHER6/64" dev c0 nodad preferred_lft 0 # nobody's choice
    for f in -4 -6; do ip -n "$CLI" "$f" rule add from "$(other $f)" lookup 101; done
    ip -n "$CLI" route add default via 10.79.1.11 table 101
    ip -n "$CLI" route add default via fd79:1::11 table 101
    ip -n "$SRV" route add "$OTHER4" via 10.79.2.11
    ip -n "$SRV" route add "$OTHER6" via fd79:2::11
    touch "$WORK/steady"
    ip netns exec "$CLI" python3 "$TESTS/tools/steady.py" 7007 "$WORK/steady" "$OTHER4" "$S4" "$OTHER6" "$S6" \
        >"$WORK/steady.log" 2>&1 &
    STEADY_PID=$!
    wait_until 5 grep -q steady "$WORK/steady.log"
}
other() { [ "$1" = -4 ] && echo "$OTHER4" || echo "$OTHER6"; }
steady_stop() { rm -f "$WORK/steady"; wait "$STEADY_PID"; }

# split: the client's SYNs go to A, all the rest to B, which is where the server answers to.
split()
{
    local f
    via "$B"
    for f in -4 -6; do ip -n "$CLI" "$f" rule add fwmark 1 lookup 100; done
    ip -n "$CLI" route add default via 10.79.1.11 table 100
    ip -n "$CLI" route add default via fd79:1::11 table 100
    in_cli nft 'table inet split { chain out {
        type route hook output priority mangle; tcp flags & (syn | ack) == syn meta mark set 1; }; }'
}
together() # NS
{
    local f
    in_cli nft delete table inet split
    for f in -4 -6; do ip -n "$CLI" "$f" rule del fwmark 1; ip -n "$CLI" "$f" route flush table 100; done
    via "$1"
}

# ---- secrets

start_both() # a configuration each: the files are copies, as on two hosts
{
    local gw
    for gw in "$A" "$B"; do
        synmoatd_start "$gw" "$(gateway_config drop "$WORK/$(side "$gw")/secret")" || exit 1
    done
}
copy_secret() { (umask 077; cp "$WORK/a/secret" "$WORK/b/secret"); unit_owns "$WORK/b" "$WORK/b/secret"; }
epoch_of() { gw_ctl "$1" secret show-epoch --json | jq -r ".$2"; } # NS FIELD
in_epoch() { [ "$(epoch_of "$1" epoch)" -ge "$2" ]; } # NS EPOCH
same_fingerprint() { [ "$(epoch_of "$A" "epoch, .fingerprint" | paste -s)" = "$(epoch_of "$B" "epoch, .fingerprint" | paste -s)" ]; }
a_line() { echo "$1 $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"; } # EPOCH

# cross N HOST: what A's cookies are worth at B: N connections are served, each after a handover there.
cross()
{
    local n=$1 was
    was=$(gw_counter "$B" handed_over)
    for ((; n > 0; n--)); do peer echo "$2" --bytes 3000 --patience 10 || return 1; done
    [ $(($(gw_counter "$B" handed_over) - was)) -ge "$1" ] && return
    echo "handed over at B: $(($(gw_counter "$B" handed_over) - was)) of $1" >&2
    return 1
}
taught() { via "$1" && learn "$1"; }

different_fingerprint() { [ "$(epoch_of "$A" fingerprint)" != "$(epoch_of "$B" fingerprint)" ]; }
rotated() { gw_ctl "$A" secret rotate >/dev/null; }
same_next() { [ "$(epoch_of "$A" next_from)" = "$(epoch_of "$B" next_from)" ]; }
refuses() # CONFIG_FILE WORD: and says why
{
    ! in_gw "$B" "$SYNMOATD" -t -c "$1" >"$WORK/said" 2>&1 && grep -qF "$2" "$WORK/said" && return
    cat "$WORK/said" >&2
    return 1
}
unserved() { ! peer echo "$1" --patience 4 >/dev/null 2>&1; }

# begun SPORT HOST NAME: a handshake that A answers now, and whose ACK B gets when $WORK/NAME exists. Not the one a second
# that passes: so says the server's log.
begun() { wait_until 15 crossing_start "$2" "$1" "$3"; }
crossing_start() # HOST SPORT NAME
{
    local pid
    ip netns exec "$CLI" python3 "$TESTS/tools/late.py" "$1" 7007 "$2" "$WORK/$3" >"$WORK/$3.out" 2>&1 &
    pid=$!
    wait_until 3 grep -q answered "$WORK/$3.out" && return
    kill "$pid"
    wait "$pid"
    return 1
} 2>/dev/null

# ---- the tests

gateways_up
peer_start
secret_make "$WORK/a/secret"
epoch=$(($(date +%s) / 64))
if [ $((64 - $(date +%s) % 64)) -lt 25 ]; then epoch=$((epoch + 1)); fi # room for what comes before
a_line $((epoch + 1)) >>"$WORK/a/secret"
copy_secret
start_both
check "the epoch of the first secret is there" wait_until 30 in_epoch "$A" "$epoch"
check "both have the same fingerprint" same_fingerprint
first=$(epoch_of "$A" fingerprint)
check "show-epoch tells of the next secret" test "$(epoch_of "$A" next_from)" = $((epoch + 1))
check "A learns what the server answers" taught "$A"
check "B learns what the server answers" taught "$B"
steady_start
split
check "IPv4: SYNs answered by A are handed over at B" cross 10 "$S4"
check "IPv6: SYNs answered by A are handed over at B" cross 10 "$S6"
check "a transfer over such a connection, byte for byte" peer echo "$S4" --bytes 1000000

# A handshake over the change of the epoch and of the secret. The kernel of the client must not reset it.
in_cli nft 'table inet quiet { chain out { type filter hook output priority 0;
    tcp sport 40004-40006 tcp flags rst drop; }; }'
check "IPv4: a handshake begins" begun 40004 "$S4" four
check "IPv6: a handshake begins" begun 40006 "$S6" six

# Meanwhile: who may have a secret.
chmod 644 "$WORK/b/secret"
gateway_config drop "$WORK/b/secret" >"$WORK/t.conf"
check "-t refuses a secret that others can read" refuses "$WORK/t.conf" "$WORK/b/secret"
rm -f "$WORK/none"
gateway_config drop "$WORK/none" >"$WORK/t.conf"
check "-t refuses a secret that is not there" refuses "$WORK/t.conf" "$WORK/none"
echo nonsense >"$WORK/b/nonsense"
chmod 600 "$WORK/b/nonsense"
gateway_config drop "$WORK/b/nonsense" >"$WORK/t.conf"
check "-t refuses a file that holds no secret" refuses "$WORK/t.conf" "$WORK/b/nonsense"
chmod 600 "$WORK/b/secret"

check "the next epoch comes" wait_until 95 in_epoch "$A" $((epoch + 1))
check "both have the same fingerprint again" wait_until 3 same_fingerprint
check "another one than before" test "$(epoch_of "$A" fingerprint)" != "$first"
was=$(gw_counter "$B" handed_over)
touch "$WORK/four" "$WORK/six"
check "both handshakes are handed over at B" wait_until 5 gw_counted "$B" handed_over $((was + 2))
check "IPv4: that connection works" wait_until 5 grep -q echoed "$WORK/four.out"
check "IPv6: that connection works" wait_until 5 grep -q echoed "$WORK/six.out"
check "IPv4: cookies of the new secret are handed over at B" cross 5 "$S4"
check "IPv6: cookies of the new secret are handed over at B" cross 5 "$S6"

check "secret rotate" rotated
check "secret rotate: it says from when on" test "$(epoch_of "$A" next_from)" -gt "$(epoch_of "$A" epoch)"
check "secret rotate: the file stays ours alone" test "$(stat -c %a "$WORK/a/secret")" = 600
copy_secret
kill -HUP "${SYNMOATD_PID[b]}"
check "secret rotate: a copy and a reload tell the other" wait_until 5 same_next
check "secret rotate: nothing changes before" same_fingerprint

# Another secret is worth nothing.
secret_make "$WORK/b/secret"
kill -HUP "${SYNMOATD_PID[b]}"
check "another file has another fingerprint" wait_until 5 different_fingerprint
was=$(gw_counter "$B" handed_over)
check "cookies of another secret are not honoured" unserved "$S4"
check "nothing of it is handed over" test "$(gw_counter "$B" handed_over)" -eq "$was"
steady_stop
together "$B"
check "B's own are" wait_until 10 cross 1 "$S4"
[ "$FAILED" -eq 0 ] || what_they_said "$A" "$B"
