# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Faults of what the kernel tells the daemon, under load: messages are lost, the wall clock steps, a CPU goes and comes,
# the server goes and comes back as another.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../faults.sh
. "$(dirname "$0")/../faults.sh"

UNDER=(env NETLINK_FAULTS="$WORK/faults" CLOCK_SHIFT="$WORK/shift"
    LD_PRELOAD="$TOOLS/netlink_faults.so $TOOLS/clock_shift.so" ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0"
    "${UNDER[@]}")
faults_file "$WORK/faults"
echo 0 >"$WORK/shift"
CPU=/sys/devices/system/cpu/cpu1/online
CPU_WAS=$(cat "$CPU" 2>/dev/null)
cpu_back() { [ "$CPU_WAS" != 1 ] || [ "$(cat $CPU)" = 1 ] || echo 1 >"$CPU"; }
trap 'cpu_back; _finish' EXIT

# ---- faults

lost() # FAULT...: for a second and a half
{
    local before
    before=$(faults_made)
    printf '%s\n' "$@" >"$WORK/faults"
    sleep 1.5
    : >"$WORK/faults"
    [ "$(faults_made)" -gt "$before" ]
}
faults_made() { echo $(($(cat "$WORK/faults.count" 2>/dev/null))); } # since the daemon's start

# The daemon's own time goes on as it did; what it tells has the new.
stepped() # SECONDS
{
    local before after
    echo "$1" >"$WORK/shift"
    after=$(($(date +%s) + $1))
    ctl arm web >/dev/null && ctl auto web >/dev/null
    before=$(ctl events --last 1 --json | jq '.events[0].time | sub("\\..*"; "Z") | fromdate')
    check "$PLACE: an event has the time of day, $1 s off" test $((before - after)) -ge -2 -a $((before - after)) -le 5
}

without_cpu()
{
    echo 0 >"$CPU" || return 1
    sleep 1
    cpu_back
}

# ---- the server

server_gone()
{
    kill "$NGINX_PID"
    wait "$NGINX_PID" 2>/dev/null
    ! listening 80
}
server_again() { nginx_start "$1"; } # BACKLOG
limit_is() { stat_is "[.services[] | select(.port == 80)] | length > 0 and all(.limit == $1)"; }
bounced_server() # BACKLOG
{
    server_gone || return 1
    sleep 1
    server_again "$1"
    if [ "$PLACE" = host ]; then # a gateway cannot know
        check "$PLACE: a backlog of $1 is what counts now" wait_until 3 limit_is "$1"
    fi
}

# big_files N RESULT: so many clients at once ask for four megabytes within 10 s; each has to return a cookie. RESULT has a
# line for each: curl's exit code, and how much came.
FRESH=63000
fresh_clients() { local i; for ((i = FRESH; i < FRESH + $1; i++)); do client_address $i "$SRV4"; done; } # N
big_files()
{
    fresh_clients "$1" | in_cli xargs -P "$1" -I{} curl -s -r 0-3999999 -o /dev/null -m 10 --interface {} \
        -w '%{exitcode} %{size_download}\n' "http://$SRV4/long" >"$2"
    FRESH=$((FRESH + $1))
}
results_are() # REGEX NAME COUNT
{
    [ "$(grep -c "$1" "$WORK/$2")" -eq "$3" ] && return
    sort "$WORK/$2" | uniq -c >&2
    return 1
}

# Eight fresh clients have a SYN-ACK; what they send after their SYN stays on the way until they go_on(), and is sent again.
hold_back()
{
    in_cli nft "table ip held { chain out { type filter hook output priority 0; tcp flags & (syn | ack) == ack \
        ip saddr { $(fresh_clients 8 | paste -sd,) } drop; }; }"
    big_files 8 "$WORK/before" &
    HELD_PID=$!
    check "$PLACE: clients hold a cookie" wait_until 5 all_connected
    FRESH=$((FRESH + 8))
}
all_connected() { [ "$(in_cli ss -Hnt state established | grep -cwFf <(fresh_clients 8))" -ge 8 ]; }
go_on() # served|reset: what becomes of them
{
    in_cli nft delete table ip held
    big_files 8 "$WORK/since"
    wait $HELD_PID
    check "$PLACE: 8 of 8 long answers come" results_are '^0 4000000$' since 8
    if [ "$1" = served ]; then check "$PLACE: also to those who hold a cookie" results_are '^0 4000000$' before 8
    else check "$PLACE: those who hold a cookie are reset" results_are '^56 0$' before 8; fi
}
rescaled() # FATE CMD...
{
    local fate=$1; shift
    "$@" || return 1
    sleep 0.2 # others come back meanwhile
    go_on "$fate"
}
scaling() { in_srv sysctl -qw "net.ipv4.tcp_window_scaling=$1"; } # 0|1
# The listening socket's own buffer counts for more than what the kernel would give.
receive_buffer() # BYTES
{
    sed -i "s/backlog=[0-9]*/& rcvbuf=$1/" "$WORK/nginx.conf"
    kill -HUP "$NGINX_PID"
    wait_until 3 buffer_is "$1"
}
buffer_is() { in_srv ss -Hltm 'sport = 80' | grep -q "rb$(($1 * 2)),"; } # BYTES, which the kernel doubles

# ---- on a host

faults_world host
faults_begin
# Twice a scale becomes less, and between them lie the five seconds in which none is offered.
hold_back
fault "the server scales windows less" 250 3000 rescaled reset receive_buffer 65536
LESS_MS=$(now_ms)
fault "packets and verdicts lost (ENOBUFS)" 25 2000 lost "queue receive ENOBUFS 3"
fault "conntrack's answers, nftables' events and sockets lost (ENOBUFS)" 25 2000 lost "conntrack receive ENOBUFS 3" \
    "events receive ENOBUFS 2" "diag receive ENOBUFS 2"
fault "the clock an hour ahead" 0 1000 stepped 3600
fault "the clock an hour back" 0 1000 stepped -3600
if [ "$CPU_WAS" = 1 ] && [ -w "$CPU" ]; then
    fault "a CPU offline for 1 s" 25 2000 without_cpu
else
    skip "host: a CPU offline" "$CPU cannot be written"
fi
offered_again() { [ "$(now_ms)" -ge $((LESS_MS + 6000)) ]; }
wait_until 10 offered_again
hold_back
fault "the server scales windows no more" 250 3000 rescaled reset scaling 0
hold_back
fault "the server scales windows again" 250 3000 rescaled served scaling 1
# Its connections end with it.
transfer_drop direct
transfer_drop handed
sleep 2 # those who came before are served, on a slow machine, too
fault "the server gone for 1 s, and back with another backlog" all 4000 bounced_server 200
faults_end
nothing_left

# ---- on a gateway, which shares its secret with others: that goes by the wall clock

echo 0 >"$WORK/shift"
(umask 077; echo "0 $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" >"$WORK/secret")
unit_owns "$WORK/secret"
faults_world gateway
faults_begin "gateway = { secret_file = \"$WORK/secret\"; };"
fault "a shared secret, the clock an hour ahead" 60 3000 stepped 3600
fault "a shared secret, the clock an hour back" 60 3000 stepped -3600
transfer_drop direct
transfer_drop handed
sleep 2 # those who came before are served, on a slow machine, too
fault "the server gone for 1 s, and back" all 4000 bounced_server 200
faults_end
nothing_left
