# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# ACKs that nobody asked for: a million with guessed cookies, among which the right ones are found; and a right one, repeated.
. "$(dirname "$0")/../lib.sh"

GUESSES=1000000
! sanitized || GUESSES=100000
PORT_COUNTED=7000

by_hand() # SOURCE SPORT COMMAND...
{
    local source=$1 sport=$2; shift 2
    in_atk python3 "$TESTS/tools/handshake.py" -i a0 -m 02:00:00:00:02:01 --source "$source" --sport "$sport" \
        "$SRV4" $PORT_COUNTED "$@"
}
had() { cat "$WORK/had"; }
had_is() { [ "$(had)" -eq "$1" ]; }
now_is() { [ "$(counter "$1")" -eq "$2" ]; } # COUNTER VALUE
connected() { in_srv ss -Htn state established "sport = $PORT_COUNTED" | wc -l; }
held() { in_srv ss -Htn state syn-recv "sport = $PORT_COUNTED" | wc -l; }
nobody_left() { [ "$(connected)" -eq 0 ]; }
close_all() { touch "$WORK/close"; wait_until 5 nobody_left; rm "$WORK/close"; }

# ---- guesses

# 2^-24 each: 0.06 of a million are right on average, more than 3 with a probability of 5e-7. Those that are known to be right
# show that none is lost among them.
guesses()
{
    local valid before
    valid=$(counter ack_cookie_valid) before=$(had)
    ip netns exec "$ATK" "$TOOLS/synflood" -i a0 -m 02:00:00:00:02:01 -A -r 120000 -t 60 "$SRV4" $PORT_COUNTED >/dev/null & FLOOD_PID=$!
    check "guesses: they come in" wait_until 10 counted ack_cookie_invalid 50000
    check "guesses: 16 handshakes are answered among them" test "$(by_hand 11.1.1.1 40000 prove 16)" -eq 16
    check "guesses: and lead to connections" wait_until 10 had_is $((before + 16))
    check "guesses: a client is served" test "$(PORT=80 requests 10 5 "$SRV4")" -eq 10
    check "guesses: $GUESSES were looked at" wait_until 60 counted ack_cookie_invalid $GUESSES
    flood_stop
    settled counter ack_cookie_invalid >/dev/null
    valid=$(($(counter ack_cookie_valid) - valid))
    echo "# $(counter ack_cookie_invalid) guesses wrong, $((valid - 26)) right beside the 16 and 10 clients"
    check "guesses: of the others at most 3 were right" test "$valid" -ge 16 -a "$valid" -le 29
    check "guesses: the server has had no more than 3 of them" test "$(had)" -le $((before + 19))
    check "guesses: nothing of them is half-open in the kernel" test "$(held)" -le 3
    close_all
}

# ---- the same again

# shaken SOURCE SPORT: ISN and COOKIE are set.
shaken()
{
    local json
    json=$(by_hand "$1" "$2" shake) || return
    ISN=$(jq .isn <<<"$json") COOKIE=$(jq .cookie <<<"$json")
}
settled_had() { settled had >/dev/null; settled had; }

# repeated NAME SPORT CPU...: a thousand, from each CPU.
repeated()
{
    local name=$1 sport=$2 before valid; shift 2
    before=$(had) valid=$(counter ack_cookie_valid)
    check "$name: a SYN is answered" shaken 11.2.2.2 "$sport"
    by_hand 11.2.2.2 "$sport" ack 1000 "$ISN" "$COOKIE" "$@"
    check "$name: 1,000 times the same ACK is one connection" wait_until 10 had_is $((before + 1))
    check "$name: and stays one" test "$(settled_had)" -eq $((before + 1))
    check "$name: which lives" test "$(connected)" -eq 1
    check "$name: by a cookie, which counted once" test "$(counter ack_cookie_valid)" -eq $((valid + 1))
    by_hand 11.2.2.2 "$sport" ack 1000 "$ISN" "$COOKIE" "$@"
    check "$name: another 1,000 later are none" test "$(settled_had)" -eq $((before + 1))
    check "$name: and it lives on" test "$(connected)" -eq 1
}

# It is as with the kernel's own cookies: until its epoch is over it opens a connection again, one at a time, to who was
# the source of the first.
after_the_end()
{
    local before
    close_all
    before=$(had)
    by_hand 11.2.2.2 41000 ack 1000 "$ISN" "$COOKIE" 0
    check "after its end: 1,000 times the same ACK is one connection at most" test "$(settled_had)" -le $((before + 1))
    echo "# after its end: $(($(had) - before)) connection"
    close_all
    ctl secret rotate >/dev/null
    ctl secret rotate >/dev/null
    before=$(had)
    by_hand 11.2.2.2 41000 ack 1000 "$ISN" "$COOKIE" 0
    check "when its epoch is over: none" test "$(settled_had)" -eq "$before"
    check "when its epoch is over: nothing is half-open" test "$(held)" -eq 0
}

from_elsewhere()
{
    local before valid
    before=$(had) valid=$(counter ack_cookie_valid)
    check "elsewhere: a SYN is answered" shaken 11.2.2.2 42000
    by_hand 11.2.2.2 42001 ack 1000 "$ISN" "$COOKIE" 0
    by_hand 11.2.2.3 42000 ack 1000 "$ISN" "$COOKIE" 0
    by_hand 11.2.2.2 42000 ack 1000 $((ISN ^ 1)) "$COOKIE" 0
    check "elsewhere: no other port, address or ISN has a connection by it" test "$(settled_had)" -eq "$before"
    check "elsewhere: none was valid" test "$(counter ack_cookie_valid)" -eq "$valid"
    by_hand 11.2.2.2 42000 ack 1 "$ISN" "$COOKIE" 0
    check "elsewhere: its own has" wait_until 5 had_is $((before + 1))
    close_all
}

topo_up
in_srv sysctl -qw net.ipv4.conf.{all,eth1}.rp_filter=0
nginx_start 511
ip netns exec "$SRV" python3 "$TESTS/tools/accepting.py" $PORT_COUNTED "$WORK/had" "$WORK/close" &
wait_until 5 listening $PORT_COUNTED
daemon_start "services = ( $(service counted any "80, $PORT_COUNTED" 'cookies = "always";') );" || exit 1
check "both services are armed" wait_until 5 armed $PORT_COUNTED
check "both services have answered" test "$(by_hand 11.3.3.3 40000 prove 3)$(PORT=80 requests 2 5 "$SRV4")" = 32
close_all
repeated "in a row" 41000 0
after_the_end
repeated "on all CPUs at once" 41001 $(seq 0 "$(($(nproc) - 1))")
close_all
from_elsewhere
guesses
check "a clean stop" daemon_stop
