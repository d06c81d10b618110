# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# The bench's machinery: that its numbers add up. How large they are is no matter here.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../bench/rig.sh
. "$(dirname "$0")/../bench/rig.sh"

if [ ! -x "$TOOLS/torrent" ]; then
    skip "bench: its numbers add up" "torrent is not built: XDP=0"
    exit 0
fi

# torrent_run [torrent options] DST PORT...: ARRIVED and LOST are what the far end's interface says about it, AWAY what that
# could not send back.
torrent_run()
{
    local arrived lost away
    arrived=$(eth1 rx.packets) lost=$(eth1 rx.dropped) away=$(eth1 tx.dropped)
    torrent_start 20 "$@" && torrent_wait || return
    ARRIVED=$(($(eth1 rx.packets) - arrived)) LOST=$(($(eth1 rx.dropped) - lost)) AWAY=$(($(eth1 tx.dropped) - away))
}
# A router is solicited now and then, on the same link.
all_there() { [ $((ARRIVED + LOST)) -ge "$1" ] && [ $((ARRIVED + LOST)) -le $(($1 + 5)) ]; }
sent() { torrent_get .sent; }
came_back() { torrent_get ".$1"; }

check "bench: the rig is set up" rig_up
in_srv sysctl -qw net.ipv4.tcp_syncookies=2 # always

for dst in "$SRV4" "$SRV6"; do
    family=IPv4; is_v6 "$dst" && family=IPv6
    cookies=$(tcp_ext SyncookiesSent)
    check "$family: SYNs are sent" torrent_run -r 50000 -n 30000 "$dst" 80
    cookies=$(($(tcp_ext SyncookiesSent) - cookies))
    check "$family: as many as asked for" test "$(sent)" -eq 30000
    check "$family: what was sent has arrived or is known to be lost" all_there 30000
    check "$family: the kernel takes each for a SYN and answers" test "$cookies" -eq $((30000 - LOST))
    check "$family: each answer is counted at the attacker, or known to be lost" \
        test $(($(came_back synacks) + AWAY)) -eq "$cookies"
    check "$family: nothing else came back" test $(($(came_back rsts) + $(came_back others))) -eq 0

    torrent_run -r 50000 -n 5000 "$dst" 9000-9010
    check "$family: closed ports of a range answer by RST" test $(($(came_back rsts) + AWAY)) -eq $((5000 - LOST))
    torrent_run -r 50000 -n 5000 -a "$dst" 80
    check "$family: so does a server to ACKs that answer nothing" test $(($(came_back rsts) + AWAY)) -eq $((5000 - LOST))
done

torrent_run -n 20000 "$SRV4" 80 "$SRV6" 80
check "unpaced: what was sent has arrived or is known to be lost" all_there "$(sent)"
torrent_start 1 -r 1000 "$SRV4" 80 && torrent_wait
check "a flood ends when its time is over, and keeps its pace" test "$(sent)" -le 1100

check "a daemon starts" daemon_start "services = ( $(service web any 80) ); sources = { half_open_limit = 0; };"
torrent_run -r 5000 -n 1000 -s each:100 "$SRV4" 80
settled counter syn_received >/dev/null
check "a pool's sources are as many as asked for" stat_is '.tables.sources.entries == 100'
check "a clean stop" daemon_stop

in_cli "$TOOLS/visitors" -n 20 -i 1000 -s 1:10 -k 2 "$SRV4" 80 >"$WORK/visitors"
check "visitors are served" says_true '.tried == 20 and .served == 20 and .connect_p99 > 0 and .first_p50 >= .connect_p50' \
    "$WORK/visitors"
in_cli "$TOOLS/visitors" -n 5 -i 1000 -l 200 10.77.1.99 80 >"$WORK/visitors"
check "visitors who meet nobody are not" says_true '.tried == 5 and .connected == 0 and .connect_p50 == 200' "$WORK/visitors"

topo_down
QUIET_TRIES=0 QUICK=1 ONLY=modes MODES='nfqueue drop' OUT=$WORK/bench.json "$TESTS/bench/flooded" >"$WORK/table" 2>"$WORK/said"
check "the bench runs" test $? -le 1 # 1: a target is missed
# shellcheck disable=SC2016 # the variables are jq's
check "every mode has its numbers" says_true '[.rows[] | select(.row == "saturated_arrived" and .median > 0) | .mode] | sort
    == ["drop", "nfqueue"]' "$WORK/bench.json"
check "and clients who were served" says_true '[.rows[] | select(.row == "paced_served") | .median > 0] | length == 1 and all' \
    "$WORK/bench.json"
check "nothing is lost that is not explained" says_true '[.rows[] | select(.row | endswith("_unexplained")) | .median | fabs < 100]
    | length == 4 and all' "$WORK/bench.json"
check "they are in the table" grep -q '| answered, .* the attacker | .* | 0 |' "$WORK/table"
