# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# As a service: what the service manager is told, a watchdog that a stuck shard misses, and a user who is not root.
PRIVILEGES=root # each daemon here is told what it may
. "$(dirname "$0")/../lib.sh"

UNIT=$TESTS/../systemd/synmoat.service
FAST=$TESTS/../systemd/fast.conf
USER_ID=64321 # has no name, and no group but its own
WEB='services = ( { name = "web"; address = "any"; ports = [80]; } ); backlog = { hold_s = 1; handshake_timeout_s = 3; };'
WATCHDOG_MS=1000
CAPABILITIES=-all,+net_admin,+net_raw
AS_SERVICE=(setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --no-new-privs
    --inh-caps="$CAPABILITIES" --ambient-caps="$CAPABILITIES" --bounding-set="$CAPABILITIES")

# ---- the unit

fails() { ! "$@" >/dev/null 2>&1; }
no_more_than() { awk -v is="$1" -v most="$2" 'BEGIN { exit !(is != "" && is <= most) }'; }
exposure() { systemd-analyze security --offline=true --no-pager "$1" | sed -n 's/.*Overall exposure.*: \([0-9.]*\) .*/\1/p'; } # UNIT
# unit_in DIR [DROP_IN]: as installed, with the programs where they are here, and without the manual pages that are not.
unit_in()
{
    mkdir -p "$1/synmoat.service.d"
    [ $# -lt 2 ] || cp "$2" "$1/synmoat.service.d/"
    sed -e "s|/usr/sbin/synmoatd|$SYNMOATD|" -e "s|/usr/bin/synmoatctl|$SYNMOATCTL|" -e '/^Documentation=/d' "$UNIT" \
        >"$1/synmoat.service"
}
verified() # UNIT
{
    systemd-analyze verify --man=no "$1" >"$WORK/verified" 2>&1 && ! grep synmoat "$WORK/verified" >&2
}
user_made()
{
    mkdir -p "$WORK/root/etc" "$WORK/root/usr/lib/sysusers.d" &&
        cp "$TESTS/../systemd/sysusers.conf" "$WORK/root/usr/lib/sysusers.d/synmoat.conf" &&
        systemd-sysusers --root="$WORK/root" synmoat.conf >"$WORK/sysusers.log" 2>&1 &&
        grep -q '^synmoat:.*:/var/lib/synmoat:.*nologin$' "$WORK/root/etc/passwd" &&
        grep -q '^synmoat:' "$WORK/root/etc/group"
}

unit_in "$WORK/alone"
unit_in "$WORK/fast" "$FAST"
ALONE=$(exposure "$WORK/alone/synmoat.service") WITH_FAST=$(exposure "$WORK/fast/synmoat.service")
check "the unit's exposure is 1.5 or less" no_more_than "$ALONE" 1.5
check "with the drop-in it is 1.8 or less" no_more_than "$WITH_FAST" 1.8
check "which is more than without: it was read" fails no_more_than "$WITH_FAST" "$ALONE"
check "the unit has no mistakes" verified "$WORK/alone/synmoat.service"
check "nor has the drop-in" verified "$WORK/fast/synmoat.service"
check "sysusers makes user and group" user_made

# ---- a service manager's ear

told() { grep -q " $1" "$WORK/notified"; } # START OF A MESSAGE
tellings() { grep -c " $1" "$WORK/notified"; }
told_times() { [ "$(tellings "$1")" -ge "$2" ]; } # START_OF_A_MESSAGE AT_LEAST
last_told() { grep " $1" "$WORK/notified" | tail -n 1 | cut -d' ' -f2-; }
# shellcheck disable=SC2053 # a pattern it is
last_is() { [[ $(last_told "${1%%=*}=") == $1 ]]; } # PATTERN
signs() { tellings WATCHDOG=1; }
sign_comes() { wait_until 10 told_times WATCHDOG=1 $(($(signs) + 1)); }
# How long the manager waited for a sign since its READY, at most.
longest_wait_ms()
{
    awk '/READY=1/ && !last { last = $1 } /WATCHDOG=1/ { if ($1 - last > most) most = $1 - last; last = $1 }
        END { print last ? most : "" }' "$WORK/notified"
}

# seldom_told START: about once a second at most.
seldom_told()
{
    awk -v start="$1" 'index($2, start) == 1 { if (!n++) first = $1; last = $1 }
        END { exit !n || n > (last - first) / 1000 + 2 }' "$WORK/notified"
}

ear_start()
{
    [ -z "${EAR_PID:-}" ] || kill "$EAR_PID"
    rm -f "$WORK/notify.sock"
    : >"$WORK/notified"
    in_srv python3 "$TESTS/tools/notified.py" "$WORK/notify.sock" >>"$WORK/notified" &
    EAR_PID=$!
    wait_until 5 test -S "$WORK/notify.sock"
}

# service_launch CMD...: as the manager would, in a directory where only the service may write, and with that file open.
# shellcheck disable=SC2016
service_launch()
{
    rm -rf "$WORK/run"
    install -d -o $USER_ID -g $USER_ID "$WORK/run"
    daemon_launch env NOTIFY_SOCKET="$WORK/notify.sock" WATCHDOG_USEC=${WATCHDOG_MS}000 \
        sh -c 'exec "$@" </proc/net/netfilter/nfnetlink_queue' sh "$@" "$SYNMOATD" -c "$WORK/synmoat.conf"
}
# service_config TEXT [MORE_OF_CONTROL]
service_config() { config_write "$1"$'\n'"control = { socket = \"$WORK/run/ctl.sock\"; ${2:-} };"; }
service_start() { service_config "$@"; ear_start; service_launch "${AS_SERVICE[@]}"; }
ctl() { in_daemon "$SYNMOATCTL" -s "$WORK/run/ctl.sock" "$@"; }
ctl_as_service() { in_daemon "${AS_SERVICE[@]}" "$SYNMOATCTL" -s "$WORK/run/ctl.sock" "$@"; }

# shard_tid NUMBER
shard_tid() { grep -lx "synmoat/$1" /proc/"$DAEMON_PID"/task/*/comm | cut -d/ -f5; }

# hold TID, let_go: one thread stands still meanwhile.
hold()
{
    rm -f "$WORK/hold"
    mkfifo "$WORK/hold"
    "$TOOLS/holdthread" "$1" <"$WORK/hold" >"$WORK/held" &
    HOLDER_PID=$!
    exec 7>"$WORK/hold"
    wait_until 5 grep -q held "$WORK/held"
}
let_go() { exec 7>&-; wait "$HOLDER_PID"; }

# Two signs may still come, of what was done before; without the fault there would be six.
signs_cease()
{
    local before
    before=$(signs)
    sleep "$(awk "BEGIN { print 2 * $WATCHDOG_MS / 1000 }")"
    [ "$(signs)" -le $((before + 2)) ]
}

# missed_by NAME TID
missed_by()
{
    sign_comes
    check "$1: it can be held" hold "$2"
    check "$1: the manager hears no more signs of life" signs_cease
    let_go
    check "$1: let go, it is alive again" sign_comes
}

# ---- what is told

topo_up
nginx_start 128
service_start "$WEB" || exit 1
check "it is not root" test "$(awk '/^Uid:/ { print $2 $3 $4 $5 }' "/proc/$DAEMON_PID/status")" = $USER_ID$USER_ID$USER_ID$USER_ID
check "READY: told" wait_until 5 told READY=1
check "READY: it protects by then" table_exists
check "STATUS: in peace" wait_until 5 last_is 'STATUS=1 service watched, none armed'
check "WATCHDOG: signs of life in peace" wait_until 10 told_times WATCHDOG=1 5
flood_start 5000 20 "$SRV4" 80
check "STATUS: a service is armed" wait_until 10 last_is 'STATUS=1 of 1 services armed, *[1-9]* SYN/s'
check "as a user: clients are handed over" test "$(requests 20 5 "$SRV4")" -eq 20
check "as a user: no handover failed" stat_is '.counters.handed_over == 20'
check "WATCHDOG: signs of life in a flood" sign_comes
check "WATCHDOG: the manager never waited long" no_more_than "$(longest_wait_ms)" $((2 * WATCHDOG_MS))
flood_stop
check "STATUS: peace again" wait_until 15 last_is 'STATUS=1 service watched, none armed'
check "STATUS: about once a second at most" seldom_told STATUS=
check "READY: told once so far" test "$(tellings READY=1)" -eq 1

# ---- reload

kill -HUP "$DAEMON_PID"
check "SIGHUP: RELOADING, then READY" wait_until 5 told_times READY=1 2
check "SIGHUP: in this order" test "$(awk '/READY=1|RELOADING=1|MONOTONIC/ { sub(/=.*/, "", $2); print $2 }' "$WORK/notified" | xargs)" = \
    "READY RELOADING MONOTONIC_USEC READY"
check "ExecReload: the service's own user may ask for it" ctl_as_service reload
check "ExecReload: READY again" wait_until 5 told_times READY=1 3
service_config $'policy = "enforce";\nservices = 5;'
check "ExecReload: fails when the file has an error" fails ctl_as_service reload
check "ExecReload: READY all the same" wait_until 5 told_times READY=1 4
check "STATUS: what the file's error is" wait_until 5 last_is "STATUS=1 service watched, none armed; reload refused: *.conf:2: *"
service_config "policy = \"observe\"; $WEB"
check "ExecReload: a good file again" ctl_as_service reload
check "STATUS: the error is gone" wait_until 5 last_is 'STATUS=1 service watched, none armed (observe)'
service_config "$WEB"
ctl reload >/dev/null

# ---- the watchdog

missed_by "a stuck shard" "$(shard_tid 0)"
missed_by "a stuck main thread" "$DAEMON_PID"

# What the kernel drops while nobody reads, counted in a file that only root may open.
# shellcheck disable=SC2016 # the variables are awk's
drops() { in_daemon awk '{ sum += $6 + $7 } END { print sum + 0 }' /proc/net/netfilter/nfnetlink_queue; }
something_dropped() { [ "$(drops)" -gt 0 ]; }
drops_known() { stat_is ".counters.queue_dropped == $(drops)"; }
service_config "on_overload = \"drop\"; $WEB"
ctl reload >/dev/null
hold "$(shard_tid 0)"
flood_start 60000 60 "$SRV4" 80
check "a stuck shard: its queue runs over" wait_until 60 something_dropped
flood_stop
let_go
check "as a user: what a queue dropped is known" wait_until 10 drops_known

# ---- the rest of what it may

changed_all() { { ctl deny add 192.0.2.0/24 && ctl allow add 198.51.100.0/24 && ctl secret rotate && ctl check; } >/dev/null; }
check "as a user: every kind of order" changed_all
check "STOPPING: not told so far" fails told STOPPING=1
check "a clean stop" daemon_stop
check "STOPPING: told" told STOPPING=1

# ---- a secret that gateways share

SHARED="mode = \"gateway\"; gateway = { secret_file = \"$WORK/state/secret\"; };
    services = ( { name = \"web\"; address = \"192.0.2.1\"; ports = [80]; limit = 100; } );"
own() { chown "$USER_ID" "$WORK/state/secret"; }
secrets() { grep -c '^[0-9]' "$WORK/state/secret"; }
install -d -m 0700 -o "$USER_ID" "$WORK/state"
(umask 077; echo "0 00112233445566778899aabbccddeeff" >"$WORK/state/secret")
service_config "$SHARED"
check "a secret of root's: refused" fails "${AS_SERVICE[@]}" "$SYNMOATD" -t -c "$WORK/synmoat.conf"
check "a secret of root's: it says what to do" grep -q "chown $USER_ID $WORK/state/secret" \
    <("${AS_SERVICE[@]}" "$SYNMOATD" -t -c "$WORK/synmoat.conf" 2>&1)
own
service_start "$SHARED" || exit 1
check "a secret of its own: changed" ctl secret rotate
check "a secret of its own: one more is in the file" test "$(secrets)" -eq 2
check "a secret of its own: a clean stop" daemon_stop

# ---- what must not be called READY

# never_ready CONFIG [MORE_OF_CONTROL]: it gives up.
never_ready()
{
    local code=0
    service_config "$@"
    : >"$WORK/notified"
    timeout 10 ip netns exec "$SRV" "${AS_SERVICE[@]}" env NOTIFY_SOCKET="$WORK/notify.sock" \
        "$SYNMOATD" -c "$WORK/synmoat.conf" >"$WORK/refused.log" 2>&1 || code=$?
    [ $code -eq 1 ] && ! told READY=1
}
in_srv nft add table inet synmoat
check "without its rules it is not ready" never_ready "$WEB"
in_srv nft delete table inet synmoat
mkdir "$WORK/run/ctl.sock"
check "without its control socket it is not ready" never_ready "$WEB"
check "without its control socket it leaves no rules" table_gone
rmdir "$WORK/run/ctl.sock"

# ---- a group that operators are in

checked() { ctl check | grep -q "^$1 *control: .*$2"; } # LEVEL TEXT
service_start "$WEB" 'group = "games";' || exit 1
check "a group that it is not in: it protects all the same" table_exists
check "a group that it is not in: the manager hears READY" wait_until 5 told READY=1
check "a group that it is not in: the socket stays its own, and closed to others" \
    test "$(stat -c %u:%g:%a "$WORK/run/ctl.sock")" = $USER_ID:$USER_ID:660
check "a group that it is not in: an event says what to do" says_true '[.events[] | select(.event == "control-group"
    and .level == "warning" and .fields.group == "games" and (.text | contains("Group=games")))] | length == 1' \
    <(ctl events --last 256 --json)
check "a group that it is not in: so does check" checked warning 'systemctl edit synmoat: \[Service\] Group=games'
check "a group that it is not in: a clean stop" daemon_stop
AS_SERVICE[4]=games
service_start "$WEB" 'group = "games";' || exit 1
check "a group that it runs in: the socket is the group's" test "$(stat -c %U:%G "$WORK/run/ctl.sock")" = UNKNOWN:games
check "a group that it runs in: check says who may" checked ok 'root and group games may change'
check "a group that it runs in: nothing to warn of" fails log_says 'cannot give control socket'
check "a group that it runs in: a clean stop" daemon_stop

# ---- system calls

# What the unit's SystemCallFilter= lines leave, as systemd lists it.
group_calls() # GROUP: recursively
{
    local line
    systemd-analyze syscall-filter "$1" | sed -n 's/^ \+\([@a-z0-9_-]\+\)$/\1/p' | while read -r line; do
        case $line in
            @*) group_calls "$line" ;;
            *) echo "$line" ;;
        esac
    done
}
allowed_calls()
{
    sort -u <(group_calls @system-service) <(group_calls @default) |
        comm -23 - <(sort -u <(group_calls @privileged) <(group_calls @resources))
}
used_calls() { awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { print $NF }' "$WORK/calls" | sort -u; }
filter_is_known() { [ "$(grep '^SystemCallFilter=' "$UNIT" | xargs)" = 'SystemCallFilter=@system-service SystemCallFilter=~@privileged @resources' ]; }

# -D: strace is a child of the daemon, not the other way round. From exec on, all of it counts.
traced()
{
    install -o "$USER_ID" /dev/null "$WORK/calls"
    AS_SERVICE+=(strace -D -f -c -o "$WORK/calls")
    service_start "$WEB" || exit 1
    flood_start 2000 10 "$SRV4" 80
    wait_until 10 armed 80
    requests 5 10 "$SRV4" >/dev/null
    ctl reload >/dev/null && changed_all
    flood_stop
    check "traced: a clean stop" daemon_stop
    wait_until 10 test -s "$WORK/calls"
    check "traced: the filter of the unit is the one that is compared here" filter_is_known
    check "traced: much was seen" test "$(used_calls | wc -l)" -gt 30
    check "the unit allows every system call" test -z "$(comm -23 <(used_calls) <(allowed_calls))"
}
# What a sanitizer calls besides is not for the unit to allow.
[ "$SYNMOATD" != "$BUILD/synmoatd" ] || traced

# ---- a shard that turns round and round, and serves nobody

: >"$WORK/faults"
AS_SERVICE=()
service_config "$WEB"
ear_start
service_launch env NETLINK_FAULTS="$WORK/faults" LD_PRELOAD="$TOOLS/netlink_faults.so" \
    ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" || exit 1
check "a shard that cannot read a queue: alive before" sign_comes
echo "queue receive ENOMEM 1" >"$WORK/faults"
check "a shard that cannot read a queue: the manager hears no more signs of life" signs_cease
check "a shard that cannot read a queue: the rest goes on" stat_is '.uptime_s > 0'
: >"$WORK/faults"
check "a shard that cannot read a queue: it can again" sign_comes
check "a shard that cannot read a queue: a clean stop" daemon_stop
