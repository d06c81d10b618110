# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh disable=SC2119
# What a process can run out of, under load: its queue, which another has taken; file descriptors; memory.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../faults.sh
. "$(dirname "$0")/../faults.sh"

METRICS="metrics = { listen = \"127.0.0.1:9807\"; };"
wakes() { awk '/ctxt_switches/ { sum += $2 } END { print sum }' "/proc/$DAEMON_PID/task/$DAEMON_PID/status"; } # the main thread's
again() { daemon_launch "${UNDER[@]}" "$SYNMOATD" -c "$WORK/synmoat.conf" && wait_until 5 armed 80; }

# refused WORD CMD...: CMD, a start, fails soon, for a reason that has WORD in it, and leaves nothing behind.
refused()
{
    local word=$1 code=0; shift
    in_daemon timeout 10 "$@" "$AS_ROOT" -c "$WORK/synmoat.conf" >"$WORK/refused" 2>&1 || code=$?
    [ "$code" -eq 1 ] && grep -q "$word" "$WORK/refused" && table_gone && return
    sed 's/^/    | /' "$WORK/refused" >&2
    echo "    exit code $code" >&2
    return 1
}

# Another process has a queue of ours when systemd starts us again: it tries until that one goes.
queue_bound() { in_daemon grep -q '^16384 ' /proc/net/netfilter/nfnetlink_queue; }
queue_free() { ! in_daemon grep -q '^ *16384 ' /proc/net/netfilter/nfnetlink_queue; }
queue_taken()
{
    local taker
    daemon_kill
    wait_until 2 queue_free || return 1
    ip netns exec "$DAEMON_NS" "$TESTS/tools/bindqueue.py" 16384 &
    taker=$!
    wait_until 3 not_free && refused "16384" env && refused "16384" env || return 1
    kill "$taker" && wait "$taker"
    again
}
refused_queue() { in_daemon timeout 3 "$TESTS/tools/bindqueue.py" "$1" 2>&1 | grep -q "queue $1: error"; }
cannot_be_taken() { refused_queue 16384 && refused_queue 16388; }
not_free() { ! queue_free; }

# Its user may do that without CAP_SYS_RESOURCE, which not every root has.
limits_of_it()
{
    local as=()
    [ "$PRIVILEGES" = root ] || as=(setpriv --reuid "$UNIT_USER" --regid "$UNIT_USER" --clear-groups)
    "${as[@]}" prlimit --pid "$DAEMON_PID" "$@"
}

# ---- file descriptors

WAKES=0
descriptors() { find "/proc/$DAEMON_PID/fd" -type l | wc -l; }
# A hundred who want something, over each socket, when two descriptors are left.
no_descriptors()
{
    local before i pids=() was
    was=$(limits_of_it --nofile -o SOFT --noheadings --raw)
    limits_of_it --nofile=$(($(descriptors) + 2)): || return 1
    before=$(wakes)
    for ((i = 0; i < 50; i++)); do
        ip netns exec "$DAEMON_NS" socat -u -T 3 "UNIX-CONNECT:$WORK/ctl.sock" - >/dev/null 2>&1 &
        pids+=($!)
        ip netns exec "$DAEMON_NS" curl -s -m 3 -o /dev/null telnet://127.0.0.1:9807 &
        pids+=($!)
    done
    kill -HUP "$DAEMON_PID"
    wait "${pids[@]}"
    WAKES=$(($(wakes) - before))
    echo "# $PLACE: out of descriptors: the main thread woke $WAKES times"
    limits_of_it --nofile="$was":
    wait_until 5 ctl status >/dev/null && ctl reload >/dev/null && armed 80 &&
        in_daemon curl -sf -m 3 -o /dev/null http://127.0.0.1:9807/metrics
}

# ---- memory

# No page more than it has: what is asked of it cannot be done, or can, and that is all.
no_memory()
{
    local bytes
    bytes=$(($(awk '/^VmSize/ { print $2 }' "/proc/$DAEMON_PID/status") * 1024))
    limits_of_it --as="$bytes": || return 1
    ctl status --json >"$WORK/said" 2>&1
    ctl sources --top 256 --json >>"$WORK/said" 2>&1
    ctl reload >>"$WORK/said" 2>&1
    in_daemon curl -s -m 3 -o /dev/null http://127.0.0.1:9807/metrics
    kill -HUP "$DAEMON_PID"
    limits_of_it --as=unlimited:
    wait_until 5 ctl status >/dev/null && ctl reload >/dev/null && armed 80
}

faults_world host
# Two shards wherever: how many descriptors are too few depends on that.
config_write "$(faults_config 'tables = { half_open = 1000000; sources = 1000000; }; queues = { shards = 2; };')"
if sanitized; then # which reserves address space without end
    skip "host: out of memory" "the sanitizer has a say in that"
else
    check "host: a start without memory for the tables says so" refused 'out of memory for the tables' prlimit --as=200000000
fi
for limit in {8..24}; do # with fewer there is no program at all
    check "host: a start with $limit descriptors says what is missing" refused 'Too many open files' prlimit --nofile="$limit"
done
faults_begin "$METRICS"
check "host: nobody can take a queue that is ours" cannot_be_taken
fault "killed, its queue taken by another, and again when that one is gone" 50 10000 queue_taken
fault "out of descriptors" 0 10000 no_descriptors
check "host: out of descriptors it does not spin" test "$WAKES" -lt 5000
sanitized || fault "out of memory" 0 10000 no_memory
faults_end
nothing_left
