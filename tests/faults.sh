# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=lib.sh disable=SC2034,SC2119,SC2120,SC2153
#
# Faults under load: 20,000 SYN/s of a flood, 500 legitimate connections a second, each from a source of its own, and a
# long transfer through each path: one that the server accepted in peace, one that was handed over by a cookie. What may
# fail is said before, with the fault. Sourced after lib.sh and gateway.sh.
#
#   faults_world host|gateway       namespaces, a server on port 80
#   faults_begin [CONFIG_MORE]      the daemon, and the load
#   fault NAME MAY_FAIL RECOVERS_MS CMD...
#                                   CMD is the fault, and what mends it. Returns when it has recovered, or should have
#   faults_end                      the load ends: what became of it is checked, for each fault
#   nothing_left                    after the daemon's end: no rule, queue, program, socket
#
# MAY_FAIL is how many connections may fail: of those that began between half a second before the fault (the SYN is older
# than what became of it) and RECOVERS_MS after; `all` of these, or a number. Later ones must not fail. It has recovered at
# the first moment after which nobody who comes within 500 ms waits for as long as a lost SYN takes. (Less than that, and
# on a busy machine less than more, says more about what else runs there.)

HOST4=$SRV4
FLOOD_RATE=20000
VISIT_EVERY_US=2000
BEFORE_MS=500
WINDOW_MS=500
QUICK_MS=900       # a client that was served within is content
VISIT_LIMIT_MS=10000 # SYNs are repeated after 1 s, 3 s and 7 s
TRANSFERS=()
FAULTS_OF_WORLD=()

uptime_ms() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }
up_since() { [ "$(uptime_ms)" -ge "$1" ]; } # MS

# ---- the two places

faults_world()
{
    PLACE=$1
    if [ "$1" = host ]; then
        DAEMON_NS=$SRV SRV4=$HOST4
        topo_up
    else
        DAEMON_NS=$GW
        gateway_up none
    fi
    in_srv sysctl -qw net.ipv4.tcp_syncookies=1 # as everywhere: without the daemon it is this that answers
    mkdir -p "$WORK/www"
    [ -e "$WORK/www/long" ] || head -c 64M /dev/urandom >"$WORK/www/long"
    nginx_start 511
}

# What the daemon runs with; MORE are other keys.
faults_config() # [MORE]
{
    local more="backlog = { handshake_timeout_s = 3; }; $*"
    if [ "$PLACE" = host ]; then echo "services = ( $(service web any 80) ); $more"
    else gateway_config "$(service web "$SRV4" 80)" "$more"; fi
}

# ---- the load

# transfer_begin NAME: a quarter of a megabyte a second, for four minutes at least.
transfer_begin()
{
    : >"$WORK/long.$1"
    ip netns exec "$CLI" "$TESTS/tools/longcall.py" "$(client_address $((64002 + ${#TRANSFERS[@]})) "$SRV4")" \
        "$SRV4" /long "$WORK/long.$1" 250000 >"$WORK/pause.$1" &
    printf -v "TRANSFER_$1" %s $!
    TRANSFERS+=("$1")
    wait_until 5 test -s "$WORK/long.$1"
}
longer_than() { [ "$(stat -c %s "$1")" -gt "$2" ]; } # FILE BYTES
transfer_goes_on() { wait_until "${2:-8}" longer_than "$WORK/long.$1" "$(stat -c %s "$WORK/long.$1")"; } # NAME [SECONDS]
transfer_drop() # NAME: no more is asked of it
{
    local pid=TRANSFER_$1 kept=() other
    kill "${!pid}"
    wait "${!pid}"
    for other in "${TRANSFERS[@]}"; do [ "$other" = "$1" ] || kept+=("$other"); done
    TRANSFERS=("${kept[@]}")
} 2>/dev/null
# It is cut off here, and what came of it is what the server has.
transfer_whole() # NAME
{
    local pid=TRANSFER_$1
    transfer_goes_on "$1" && kill "${!pid}" || return 1
    wait "${!pid}" || return 1
    echo "# $PLACE: the $1 transfer: the longest pause was $(cat "$WORK/pause.$1") ms"
    cmp -n "$(stat -c %s "$WORK/long.$1")" "$WORK/www/long" "$WORK/long.$1"
}

handed_more() { [ "$(counter handed_over)" -gt "$1" ]; } # THAN
learned() { requests 1 1 "$SRV4" >/dev/null; handed_more 0; } # the first one shows what the server answers

load_begin()
{
    local before
    transfer_begin direct
    flood_start $FLOOD_RATE 250 "$SRV4" 80
    check "$PLACE: the flood arms the service" wait_until 5 armed 80
    check "$PLACE: clients are handed over" wait_until 10 learned
    before=$(counter handed_over)
    transfer_begin handed
    check "$PLACE: so is a transfer" wait_until 2 handed_more "$before"
    touch "$WORK/visits_on"
    : >"$WORK/visits"
    ip netns exec "$CLI" "$TOOLS/visitors" -i $VISIT_EVERY_US -l $VISIT_LIMIT_MS -s 2000:60000 \
        -o "$WORK/visits" -w "$WORK/visits_on" "$SRV4" 80 >"$WORK/visitors" &
    VISITORS_PID=$!
    VISITS_MS=$(uptime_ms)
    for QUICK_MS in 900 2000 4000; do
        wait_until 8 calm_since "$VISITS_MS" && break
        echo "# $PLACE: this machine is busy: even without a fault some wait for more than $QUICK_MS ms"
    done
    check "$PLACE: before any fault all are served" calm_since "$VISITS_MS"
}

# What became of those who came between two moments; the recovery is counted from FAULT on. -1: it has not recovered.
visits_told() # FAULT RECOVERS END: prints TRIED FAILED SLOW FAILED_LATER RECOVERY
{
    sort -n "$WORK/visits" | awk -v fault="$1" -v recovers="$2" -v end="$3" -v quick=$QUICK_MS -v window=$WINDOW_MS -v before=$BEFORE_MS \
        -v least=$((WINDOW_MS * 900 / VISIT_EVERY_US)) '
        $1 < fault - before || $1 >= end { next }
        { tried++; failed += $2 == "-"; slow += $2 != "-" && $2 > quick; later += $2 == "-" && $1 >= fault + recovers }
        $1 < fault { next }
        from == "" { from = fault }
        $2 == "-" || $2 > quick { if (!done) { from = $1 + 1; calm = 0 } next }
        { calm++; if ($1 >= from + window && calm >= least) done = 1 }
        END { print tried + 0, failed + 0, slow + 0, later + 0, done ? int(from - fault) : -1 }'
}
calm_since() # MS: by what is known already
{
    local told
    read -ra told < <(visits_told "$1" 0 $(($(uptime_ms) - QUICK_MS)))
    [ "${told[4]:--1}" -ge 0 ]
}

faults_begin()
{
    TRANSFERS=() FAULTS_OF_WORLD=()
    daemon_start "$(faults_config "$@")" || exit 1
    load_begin
}

# ---- faults

fault()
{
    local name="$PLACE: $1" may_fail=$2 recovers_ms=$3 begun transfer; shift 3
    begun=$(uptime_ms)
    check "$name" "$@"
    wait_until $((recovers_ms / 1000 + 2)) calm_since "$begun"
    for transfer in "${TRANSFERS[@]}"; do
        check "$name: the $transfer transfer goes on" transfer_goes_on "$transfer"
    done
    check "$name: the daemon lives" alive "$DAEMON_PID"
    wait_until 20 calm_since "$(uptime_ms)" # who hangs is not known before; and the next fault is to be seen alone
    FAULTS_OF_WORLD+=("$begun $recovers_ms $may_fail $(uptime_ms) $name")
}

fault_judge() # BEGUN RECOVERS_MS MAY_FAIL END NAME
{
    local begun=$1 recovers=$2 may_fail=$3 end=$4 tried failed slow later recovery; shift 4
    read -r tried failed slow later recovery < <(visits_told "$begun" "$recovers" "$end")
    echo "# $*: failed $failed of $tried, slow $slow, recovery $recovery ms; stated: $may_fail may fail, recovery in $recovers ms"
    [ "$may_fail" = all ] && may_fail=$tried
    check "$*: no more connections failed than was stated" test "$failed" -le "$may_fail"
    check "$*: none that began later" test "$later" -eq 0
    check "$*: it recovered in time" test "$recovery" -ge 0 -a "$recovery" -le "$recovers"
}

faults_load_off()
{
    check "$PLACE: the flood is still on" alive "$FLOOD_PID"
    rm -f "$WORK/visits_on"
    wait "$VISITORS_PID"
    flood_stop
}

faults_end()
{
    local transfer told
    faults_load_off
    for told in "${FAULTS_OF_WORLD[@]}"; do
        # shellcheck disable=SC2086 # words
        fault_judge $told
    done
    for transfer in "${TRANSFERS[@]}"; do
        check "$PLACE: the $transfer transfer came as it was sent" transfer_whole "$transfer"
    done
}

# ---- what is left behind

no_table_of_ours() { ! in_daemon nft list tables | grep -q ' synmoat'; }
no_table_but_closed() { ! in_daemon nft list tables | grep ' synmoat' | grep -qv ' synmoat_closed$'; }
no_bindings() { [ -z "$(in_daemon cat /proc/net/netfilter/nfnetlink_queue /proc/net/netfilter/nfnetlink_log)" ]; }
no_program() { ! in_daemon ip -d link | grep -qw xdp; }
no_socket() { [ ! -e "$WORK/ctl.sock" ] && ! in_daemon ss -Hxl | grep -q "$WORK"; }
# Once no handed-over connection is left: else the keeper stays. A gateway says that it leaves armed services closed.
nothing_left()
{
    in_daemon conntrack -F >/dev/null 2>&1
    check "$PLACE: a clean stop" daemon_stop
    if log_says 'table inet synmoat_closed does that'; then
        check "$PLACE: no table is left but that which closes" no_table_but_closed
        in_daemon nft delete table inet synmoat_closed
    fi
    check "$PLACE: no table is left" no_table_of_ours
    check "$PLACE: no queue is left" no_bindings
    check "$PLACE: no program is left" no_program
    check "$PLACE: no socket is left" no_socket
}
