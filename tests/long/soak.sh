# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Time: floods come and go at random while clients connect, someone reloads, asks and listens, secrets change each 64 s.
# What the daemon holds and how long clients wait is the same in the end as in the beginning, and every SYN is accounted
# for all along.
#
#   SOAK_S=1800        seconds; for three days 259200
#   SOAK_SEED=         of the floods and of what else happens; printed
#   SOAK_PER_S=1000    connections that clients begin
#   SOAK_WINDOW_S=10   clients are measured by the window, and so is the daemon, before each
#   SOAK_CSV=          what was measured; build/soak/SEED.csv
#   ACCELERATOR=auto   floods are answered before the queue, where there is XDP
#
# A window is `quiet` if no service is armed and no flood is on, `flood`, or `after` a flood until the service disarms. No
# client may fail in a window that is quiet. In the first one of a flood SYNs may be lost until the service arms, and
# come again after 1 s, and 3 s: clients wait no longer. So of its clients 2 % may fail, and 0.1 % of those of the others;
# but for windows in which the machine had far more to do than this. The tables are small, so that they are full soon; that of
# the sources the more where XDP answers, which tells of few of them.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"
# shellcheck source=../accounts.sh
. "$(dirname "$0")/../accounts.sh"

SOAK_S=${SOAK_S:-1800} SOAK_SEED=${SOAK_SEED:-$RANDOM} SOAK_PER_S=${SOAK_PER_S:-1000} SOAK_WINDOW_S=${SOAK_WINDOW_S:-10}
SOAK_CSV=$(realpath -m "${SOAK_CSV:-$BUILD/soak/$SOAK_SEED.csv}")
mkdir -p "$(dirname "$SOAK_CSV")"
echo "# soak of $SOAK_S s, SOAK_SEED=$SOAK_SEED, $SOAK_CSV"
RANDOM=$SOAK_SEED

# ---- what is measured

of_status() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$DAEMON_PID/status"; }
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$DAEMON_PID/stat"; }
fds() { find "/proc/$DAEMON_PID/fd" -type l | wc -l; }
# shellcheck disable=SC2016 # awk's own
waiting() { in_srv awk '{ sum += $3 } END { print sum + 0 }' /proc/net/netfilter/nfnetlink_queue; }
# Of the connections that the rules know, and of those whose handshake is watched.
set_sizes() { in_srv nft -j list table inet synmoat 2>/dev/null | jq '[.nftables[].set? // empty | .elem // [] | length] | add'; }

columns="at_s phase rss_kb anon_kb fds threads cpu_ticks conntrack set_elements waiting syn_received half_open sources load tried served connect_p50 connect_p99"
measure() # PHASE: one line but for the clients
{
    local numbers
    numbers=$(stat_get '"\(.counters.syn_received) \([.services[].half_open] | add) \(.tables.sources.entries // .sources.entries // 0)"')
    echo "$((($(now_ms) - BEGAN_MS) / 1000)) $1 $(of_status VmRSS) $(of_status RssAnon) $(fds) $(of_status Threads) $(cpu_ticks)" \
        "$(in_srv conntrack -C) $(set_sizes) $(waiting) $numbers"
}

# window PHASE DST: clients for that long; a line of the table.
window()
{
    local before
    before=$(measure "$1")
    in_cli "$TOOLS/visitors" -n $((SOAK_PER_S * SOAK_WINDOW_S)) -i $((1000000 / SOAK_PER_S)) -l 3500 -s 4096:500 "$2" 80 \
        >"$WORK/visitors"
    echo "$before $(cut -d' ' -f1 /proc/loadavg) $(jq -r '"\(.tried) \(.served) \(.connect_p50) \(.connect_p99)"' "$WORK/visitors")" |
        tr ' ' ',' >>"$SOAK_CSV"
}

# ---- what happens meanwhile

# Someone at the control socket: reloads, asks, follows for a while and goes, and breaks off in the middle of a line.
operator()
{
    local follower
    RANDOM=$((SOAK_SEED + 1))
    while [ -e "$WORK/soaking" ]; do
        case $((RANDOM % 8)) in
            0) ctl reload ;;
            1) ctl status --json ;;
            2) ctl services ;;
            3) ctl sources ;;
            4) ctl metrics ;;
            5) ctl explain 10.78.16.1 "$SRV4:80" ;;
            6) ctl deny add 203.0.113.$((RANDOM % 256)); ctl deny del 203.0.113.$((RANDOM % 256)) ;;
            7) timeout $((RANDOM % 5 + 1)) ip netns exec "$SRV" "$SYNMOATCTL" -s "$WORK/ctl.sock" events --follow &
                follower=$!
                echo -n 'stat' | timeout 1 socat - "UNIX:$WORK/ctl.sock"
                [ $((RANDOM % 2)) -eq 0 ] || wait "$follower" ;;
        esac
        sleep 0.$((RANDOM % 9 + 1))
    done >"$WORK/operator.log" 2>&1
    wait
}

# A flood of a kind, a strength and a length by chance.
flood_by_chance() # WINDOWS
{
    local dst=$SRV4 seconds=$(($1 * SOAK_WINDOW_S)) options=()
    PPS=$((5000 + RANDOM % 30 * 1000))
    [ $((RANDOM % 2)) -eq 0 ] || dst=$SRV6
    case $((RANDOM % 4)) in
        0) options=(-s "random:$((RANDOM % 1000 + 1))") ;;
        1) [ "$dst" = "$SRV6" ] || options=(-s 11.22.33.44) ;;
        2) [ "$dst" = "$SRV6" ] || options=(-s "$(client_address $((4096 + RANDOM % 500)) "$dst")") ;; # a real client's
    esac
    echo "# at $((($(now_ms) - BEGAN_MS) / 1000)) s: $PPS SYN/s to $dst for $seconds s ${options[*]}"
    FLOOD_SECONDS=$((seconds + 60)) flood_begin $((PPS * seconds)) "$dst" "${options[@]}"
}

over() { [ $((($(now_ms) - BEGAN_MS) / 1000)) -ge "$SOAK_S" ]; }
nobody_armed() { stat_is 'all(.services[]; .state == "watching")'; }

# A while without a flood, and then one; between windows nothing is sent, and every SYN has its reason.
cycle()
{
    local i phase=flood windows
    windows=$((RANDOM % 3 + 2))
    for ((i = 0; i < windows; i++)); do
        accounts_hold
        window quiet "$([ $((i % 2)) -eq 0 ] && echo "$SRV4" || echo "$SRV6")"
    done
    windows=$((RANDOM % 2 + 1))
    flood_by_chance "$windows"
    phase=begin
    while alive "$FLOOD_PID"; do
        window "$phase" "$([ $((RANDOM % 2)) -eq 0 ] && echo "$SRV4" || echo "$SRV6")"
        phase=flood
    done
    flood_end
    window after "$SRV4"
    wait_until 30 nobody_armed || fail "disarmed within 30 s after a flood"
}

judged() { python3 "$TESTS/tools/soaked.py" "$SOAK_CSV" >"$WORK/judged"; }

accounts_hold()
{
    LOOKS=$((LOOKS + 1))
    wait_until 5 adds_up && return
    UNACCOUNTED=$((UNACCOUNTED + 1))
    sed "s/^/# at $((($(now_ms) - BEGAN_MS) / 1000)) s: /" "$WORK/differs"
}

# ---- the soak

topo_up
senders_up
spoofing_allowed
nginx_start 1024
# What conntrack remembers of connections that are over is a matter of its own, and shall not outlast a window.
in_srv sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_time_wait=5 net.netfilter.nf_conntrack_tcp_timeout_close=5 \
    net.netfilter.nf_conntrack_tcp_timeout_syn_sent=5 net.netfilter.nf_conntrack_tcp_timeout_syn_recv=5 \
    net.netfilter.nf_conntrack_tcp_timeout_fin_wait=5 net.netfilter.nf_conntrack_tcp_timeout_last_ack=5
SOURCES=65536
[ "${ACCELERATOR:-off}" = off ] || SOURCES=8192
sent_is_past
daemon_start 'services = ( { name = "web"; address = "any"; ports = [80]; } );
    backlog = { handshake_timeout_s = 3; hold_s = 2; }; tables = { half_open = 16384; sources = '$SOURCES'; };' || exit 1
BEGAN_MS=$(now_ms) LOOKS=0 UNACCOUNTED=0
echo "${columns// /,}" >"$SOAK_CSV"
touch "$WORK/soaking"
operator &
OPERATOR_PID=$!
check "before the first flood clients are served" test "$(requests 20 3 "$SRV4")" -eq 20
until over; do cycle; done
rm "$WORK/soaking"
check "the operator comes to an end" wait_until 20 gone "$OPERATOR_PID"
accounts_hold
check "the operator was answered" grep -q reloaded "$WORK/operator.log"
check "every SYN sent was received and has one reason, at each of $LOOKS looks" test "$UNACCOUNTED" -eq 0
check "what was measured is judged" judged
while IFS=$'\t' read -r verdict name; do
    if [ "$verdict" = ok ]; then pass "$name"; else fail "$name"; fi
done <"$WORK/judged"
check "a clean stop" daemon_stop
check "nothing is left but the keeper of what was handed over" test -z "$(in_srv nft list tables | grep -v synmoat_keep)"
check "no queue is left" test -z "$(in_srv cat /proc/net/netfilter/nfnetlink_queue)"
check "no program is left" test -z "$(in_srv ip -d link | grep -w prog/xdp)"
