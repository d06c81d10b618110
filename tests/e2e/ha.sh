# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../tools/gateways.sh
# Two gateways, one active, conntrackd between them: established connections survive the loss of the active one, its
# return and the way back, with the configurations that we ship. Over IPv4, IPv6, and DNAT of both, at the same time.
# beside others
TESTS_DIR=$(cd "$(dirname "$0")/.." && pwd)
. "$TESTS_DIR/tools/gateways.sh"

HOLD=${HOLD:-200}         # connections
BULK_MB=${BULK_MB:-50}    # the download over each path
RATE_MBIT=${RATE_MBIT:-160}

both_start() # CONFIG: everything, A active
{
    gateways_up
    secret_make "$WORK/secret"
    move_to "$A"
    peer_start
    synmoatd_start "$A" "$1" && synmoatd_start "$B" "$1" && conntrackd_start "$A" && conntrackd_start "$B" || exit 1
    notify "$A" primary
    notify "$B" backup
    learn "$A" || { echo "the server cannot be reached" >&2; what_they_said "$A"; exit 1; }
}

# The link to the clients, both directions, so that a transfer lasts.
throttle() # MBIT
{
    ip netns exec "$SRV" tc qdisc replace dev s0 root tbf rate "${1}mbit" burst 128k latency 50ms
    ip netns exec "$CLI" tc qdisc replace dev c0 root tbf rate "${1}mbit" burst 128k latency 50ms
}
unthrottle() { ip netns exec "$SRV" tc qdisc del dev s0 root; ip netns exec "$CLI" tc qdisc del dev c0 root; }

# bulk_start NAME: a download and an upload of half its size over each path.
bulk_start()
{
    local path
    BULK=()
    for path in "${PATHS[@]}"; do
        bulk_one "$1" pull "$path" "$BULK_MB"
        bulk_one "$1" push "$path" $((BULK_MB / 2))
    done
}
bulk_one() # NAME SCENARIO HOST MB
{
    peer "$2" "$3" --prime --bytes $(($4 << 20)) >"$WORK/$1.$2.$3" 2>&1 &
    BULK+=("$!:$2 $3")
}
bulk_offsets() # NS AT_LEAST
{
    [ "$(in_gw "$1" python3 "$TESTS/tools/offsets.py" | grep -cE ':700[12] offset')" -ge "$2" ]
}
bulk_finishes() # NAME: all, byte for byte
{
    local one bad=0
    for one in "${BULK[@]}"; do
        wait "${one%%:*}" && continue
        echo "${one#*:}: $(cat "$WORK/$1.${one##* }" "$WORK/$1".*."${one##* }" 2>/dev/null)" >&2
        bad=1
    done
    return $bad
}
bulk_runs() { local one; for one in "${BULK[@]}"; do alive "${one%%:*}" || return 1; done; }

# The gap of all transfers together.
watch_gap()
{
    rm -f "$WORK/gap.stop"
    ip netns exec "$CLI" python3 "$TESTS/tools/gap.py" c0 50000 "$WORK/gap.stop" >"$WORK/gap" &
    GAP_PID=$!
    wait_until 5 grep -q watching "$WORK/gap"
}
gap_said() # WHAT
{
    touch "$WORK/gap.stop"
    wait "$GAP_PID"
    echo "# longest gap at the client around the $1: $(tail -n 1 "$WORK/gap") s"
}

finished() # NAME: every connection, every byte
{
    crowd_done "$1" && return
    tail -n 1 "$WORK/$1.out" >&2
    return 1
}
commit_ms() { sed -n 's/.*commit has taken \([0-9.]*\) seconds.*/\1/p' "$WORK/$1/ct.out" | tail -n 1; }

failover() # FROM TO
{
    local began=${EPOCHREALTIME/[.,]/}
    cut_off "$1"
    notify "$2" primary || return 1
    move_to "$2"
    echo "# addresses moved $(((${EPOCHREALTIME/[.,]/} - began) / 1000)) ms after the cut, commit took $(commit_ms "$(side "$2")") s"
}

# ---- failover, reboot, failback

survives()
{
    local due=$((HOLD * 9 / 10)) bulk=$((${#PATHS[@]} * 2))
    both_start "$(gateway_config reset)"
    throttle $((RATE_MBIT / 5)) # until all is ready: however long that takes

    crowd_of first "$HOLD" || return
    bulk_start first
    check "handed over at A" wait_until 10 gw_counted "$A" handed_over "$due"
    check "handed over at A: the transfers, too" wait_until 10 bulk_offsets "$A" $((bulk - 2))
    check "A: every handed-over connection has its offset" checked "$A" ok
    check "B is told of them" wait_until 10 told_enough "$B" $((HOLD + bulk))
    check "B rehearses: it commits what it was told of" ctd "$B" -c
    check "B rehearses: every connection has its offset" checked "$B" ok
    check "B rehearses: there are as many" has_offsets "$B" $((due + bulk - 2))
    check "B rehearses: that is forgotten again later" ctd "$B" -t
    watch_gap
    check "the transfers are running at the failover" bulk_runs
    throttle "$RATE_MBIT"
    check "failover: the notify script" failover "$A" "$B"
    check "B: every connection replicated has its offset" checked "$B" ok
    check "B: so says the kernel" has_offsets "$B" $((due + bulk - 2))
    touch "$WORK/first.say"
    sleep 2
    gap_said failover
    check "failover: the transfers go on, byte for byte" bulk_finishes first

    # A second crowd over B alone, then A comes back as after a reboot.
    check "B learns what the server answers" learn "$B"
    crowd_of second 40 || return
    throttle $((RATE_MBIT / 5))
    bulk_start second
    check "handed over at B" wait_until 5 gw_counted "$B" handed_over 20
    check "handed over at B: the transfers, too" wait_until 10 bulk_offsets "$B" $((bulk - 2))
    synmoatd_kill "$A"
    conntrackd_kill "$A"
    in_gw "$A" conntrack -F 2>/dev/null
    in_gw "$A" nft delete table inet synmoat_closed 2>/dev/null
    plug_in "$A"
    check "A comes back: synmoatd" synmoatd_start "$A" "$(gateway_config reset)"
    check "A comes back: conntrackd" conntrackd_start "$A"
    check "A comes back: the notify script" notify "$A" backup
    check "A comes back: it is told of all" wait_until 10 told_enough "$A" "$(established "$B")"
    watch_gap
    check "the transfers are running at the failback" bulk_runs
    throttle "$RATE_MBIT"
    check "failback: the notify script of A" notify "$A" primary
    move_to "$A"
    check "failback: the notify script of B" notify "$B" backup
    check "A: every connection replicated has its offset" checked "$A" ok
    touch "$WORK/second.say"
    sleep 2
    gap_said failback
    check "failback: the transfers go on, byte for byte" bulk_finishes second
    check "the connections that B had are finished at A" finished second
    check "those that went to B and back are, too" finished first
    echo "# first: $(tail -n 1 "$WORK/first.out")"
    echo "# second: $(tail -n 1 "$WORK/second.out")"
}

# ---- connections that had not been replicated

# The server's connections at an address of its own, PORT.
server_has() { ip netns exec "$SRV" ss -Htn state connected exclude time-wait src "$(url_host "$1")" "sport = $2" | grep -q .; }
server_rid() { ! server_has "$S4" "$1" && ! server_has "$S6" "$1"; } # PORT
all_ended() { local name; for name; do gone "${HOLDERS_PID[$name]}" || return 1; done; }
were_reset() # NAME: all of them
{
    wait "${HOLDERS_PID[$1]}"
    tail -n 1 "$WORK/$1.out" |
        says_true '.finished == 0 and .of > 0 and ([.wrong | to_entries[] | select(.key | test("reset")) | .value] | add) == .of' &&
        return
    tail -n 1 "$WORK/$1.out" >&2
    return 1
}

strays_are_reset()
{
    both_start "$(gateway_config reset)"
    conntrackd_kill "$A"
    crowd_of client-first 12 --kind idle || return
    crowd_of server-first 12 --kind server-first || return
    check "strays: handed over" wait_until 5 gw_counted "$A" handed_over 20
    cut_off "$A"
    check "strays: the notify script" notify "$B" primary
    move_to "$B"
    check "strays: B knows none of them" test "$(told "$B")$(with_offset "$B")" = 00
    touch "$WORK/client-first.say"
    wait_until 15 all_ended client-first
    check "strays: a client that speaks is reset" were_reset client-first
    check "strays: the server holds the others" server_has "$S6" 7010
    touch "$WORK/server-first.say"
    check "strays: a server that speaks is reset, without DNAT" wait_until 15 server_rid 7010
    check "strays: new connections are served" learn "$B"
}

# ---- what the check tells

check_tells()
{
    local marked=(-p tcp -s "$C4" -d "$S4" --sport 999 --dport 7007)
    check "check: all is well" checked "$B" ok
    in_gw "$B" conntrack -I "${marked[@]}" --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 100 --mark 0x03000000 \
        >/dev/null 2>&1
    check "check: a handed-over connection without its offset is a fault" checked "$B" fault
    in_gw "$B" conntrack -D "${marked[@]}" >/dev/null 2>&1
    check "check: all is well again" checked "$B" ok
    in_gw "$B" sysctl -qw net.netfilter.nf_conntrack_tcp_loose=1
    check "check: conntrack that picks connections up is warned of" check_says "$B" strays warning
}
check_says() # NS WHAT LEVEL
{
    # shellcheck disable=SC2016 # the variables are jq's
    gw_ctl "$1" check --json |
        says_true --arg what "$2" --arg level "$3" '[.checks[] | select(.what == $what).level] == [$level]'
}

survives
[ "$FAILED" -eq 0 ] || what_they_said "$A" "$B"
strays_are_reset
check_tells
[ "$FAILED" -eq 0 ] || what_they_said "$A" "$B"
