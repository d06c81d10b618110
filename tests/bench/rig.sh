# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
#
# The bench's rig for floods that outrun everything: lib.sh's topology, with who works on which CPU written down. Sourced
# after lib.sh.
#
#   CPU 0, outside: torrent, which takes whatever nobody else wants; before it the sink (a0), the clients and their link (c0),
#                   as real-time threads: what comes back is counted, and clients time what the server does, not what
#                   the generator leaves them.
#   CPU 1, inside:  what the server's host does: its links (eth0, eth1), the server, synmoatd. Nothing has a priority.
#
# A veth's receiver runs on the CPU of its sender unless it is told otherwise; so each link's NAPI is a thread of its own
# (/sys/class/net/*/threaded), which a CPU can be given, and which contends with programs as ksoftirqd does under a flood.
# Receive packet steering would not do: XDP programs run before it. Each link has one queue, with GRO, as a NIC's queue has.
# With one CPU nothing can be kept apart: then the numbers say little, and the bench says that.

OUTSIDE=0 INSIDE=1
MAC=02:00:00:00:02:01 # eth1
RIG_LINKS=("$SRV eth0 $INSIDE" "$SRV eth1 $INSIDE" "$ATK a0 $OUTSIDE" "$CLI c0 $OUTSIDE")
[ "$(nproc)" -ge 2 ] && PINNED=1 || PINNED=
ENDS=()         # pids of xdpend
INSIDE_NAPI=()  # pids of the threads of eth0 and eth1

on_cpu() { [ -z "$PINNED" ] || taskset -acp "$1" "$2" >/dev/null 2>&1; } # CPU PID
outside() { if [ -n "$PINNED" ]; then chrt -f 40 taskset -c $OUTSIDE "$@"; else "$@"; fi; }

napi_threads() { pgrep '^napi/' | sort; }

# One queue, and a thread for it on its CPU.
_rig_link() # NS DEVICE CPU
{
    local before thread
    ip netns exec "$1" ethtool -L "$2" rx 1 tx 1 2>/dev/null
    before=$(napi_threads)
    ip netns exec "$1" ethtool -K "$2" gro on
    [ -n "$PINNED" ] || return 0
    ip netns exec "$1" bash -c "echo 1 >/sys/class/net/$2/threaded" || return
    for thread in $(comm -13 <(echo "$before") <(napi_threads)); do
        on_cpu "$3" "$thread"
        if [ "$3" = $OUTSIDE ]; then chrt -f -p 50 "$thread"; else INSIDE_NAPI+=("$thread"); fi
    done
}

# A new host for each mode: nothing of the last one's half-open connections, conntrack entries or programs is left.
rig_up()
{
    local link
    topo_up
    ENDS=() INSIDE_NAPI=()
    for link in "${RIG_LINKS[@]}"; do
        # shellcheck disable=SC2086
        _rig_link $link || return
    done
    in_srv sysctl -qw net.ipv4.tcp_syncookies=1 # as every host has it that nobody has touched
    nginx_start
    pin "$NGINX_PID" && pin "$(pgrep -P "$NGINX_PID")"
}

pin() { on_cpu $INSIDE "$1"; } # PID, with all its threads

# xdpend_start NS DEVICE pass|drop: until the namespace goes.
xdpend_start()
{
    : >"$WORK/xdpend"
    ip netns exec "$1" "$TOOLS/xdpend" "$2" "$3" >"$WORK/xdpend" &
    ENDS+=($!)
    wait_until 5 grep -q ready "$WORK/xdpend"
}

# ---- the flood

# torrent_start SECONDS [torrent options] DST PORT...: it has begun when this returns.
torrent_start()
{
    local seconds=$1 pinned=(); shift
    [ -z "$PINNED" ] || pinned=(taskset -c "$OUTSIDE")
    : >"$WORK/torrent"
    ip netns exec "$ATK" nice -n 19 "${pinned[@]}" "$TOOLS/torrent" -i a0 -m $MAC -t "$seconds" "$@" >"$WORK/torrent" &
    TORRENT_PID=$!
    wait_until 5 grep -q ready "$WORK/torrent"
}
torrent_wait() { wait "$TORRENT_PID"; }
torrent_stop() { kill -TERM "$TORRENT_PID" 2>/dev/null; torrent_wait; }
torrent_get() { tail -n 1 "$WORK/torrent" | jq "$1"; }

# ---- what the host's side counts

eth1() { ip -n "$SRV" -s -j link show eth1 | jq ".[0].stats64.$1"; } # EXPR

# TcpExt counter of the server's host.
tcp_ext() # NAME
{
    # shellcheck disable=SC2016 # the variables are awk's
    in_srv awk -v name="$1" '$1 == "TcpExt:" && !column { for (i = 2; i <= NF; i++) if ($i == name) column = i; next }
        $1 == "TcpExt:" { print $column }' /proc/net/netstat
}

# SYNs that SYNPROXY has seen (hexadecimal, a line for each CPU, a header: nf_synproxy_core.c).
synproxy_syns()
{
    local sum=0 entries syns _
    while read -r entries syns _; do
        [ "$entries" = entries ] || sum=$((sum + 16#$syns))
    done < <(in_srv cat /proc/net/stat/synproxy)
    echo "$sum"
}

# Nanoseconds that the host's threads have run so far: its links', the server's, synmoatd's, and ksoftirqd. What others do on
# that CPU is not in it, nor is the way in and out of idle.
inside_ns()
{
    local pid
    for pid in "${INSIDE_NAPI[@]}" $(pgrep -P "$NGINX_PID") $DAEMON_PID $(pgrep -x "ksoftirqd/$INSIDE"); do
        cat "/proc/$pid/task"/*/schedstat
    done 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# Jiffies that the host's CPU has been idle.
idle_ticks() { awk -v cpu="cpu${PINNED:+$INSIDE}" '$1 == cpu { print $5 + $6 }' /proc/stat; }

# busy_during SECONDS: parts of the host's CPU that were busy meanwhile.
busy_during()
{
    local idle start
    start=${EPOCHREALTIME/[.,]/}
    idle=$(idle_ticks)
    sleep "$1"
    awk -v idle=$(($(idle_ticks) - idle)) -v us=$((${EPOCHREALTIME/[.,]/} - start)) -v hz="$(getconf CLK_TCK)" \
        -v cpus="$(if [ -n "$PINNED" ]; then echo 1; else nproc; fi)" 'BEGIN { printf "%.5f\n", cpus - idle / hz / (us / 1e6) }'
}
