# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# What cookies are made with is in no core dump, no log, no answer and in no file that others may read; and the search that
# says so does find it where it is.
# beside others
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"

SECRETS=$WORK/private/secrets

found() { python3 "$TESTS/tools/findsecret.py" "$SECRETS" "$@" 2>"$WORK/where" || cat "$WORK/where" >&2; }
# finds JQ_EXPR PID|FILE...
finds()
{
    local expression=$1; shift
    found "$@" >"$WORK/found"
    says_true "$expression" "$WORK/found" && return
    cat "$WORK/found" "$WORK/where" >&2
    return 1
}

secret_line() { echo "$1 $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"; } # EPOCH

# Every request there is, as the daemon tells them; each argument is one that is fit for some.
ask_everything()
{
    local words
    ctl help --json | jq -r '.requests | keys[]' | grep -v '^reload' | while read -r words; do
        # shellcheck disable=SC2086 # the words of the verb
        for _ in "" json; do
            timeout 5 "$SYNMOATCTL" -s "$WORK/ctl.sock" $words $_
            timeout 5 "$SYNMOATCTL" -s "$WORK/ctl.sock" $words 10.78.1.1 $_
            timeout 5 "$SYNMOATCTL" -s "$WORK/ctl.sock" $words web $_
        done
    done >"$WORK/answers" 2>&1
    [ "$(wc -l <"$WORK/answers")" -gt 200 ]
}

readable_by_others() { find "$WORK" -type f -perm /077 ! -name 'core*' ! -name synmoat.conf; }

# A dump is written where the process was: we are not the ones to say how this machine does that.
dumps_are_files() { [[ $(</proc/sys/kernel/core_pattern) != */* && $(</proc/sys/kernel/core_pattern) != "|"* ]]; }
there_is_a_core() { compgen -G "$WORK/core*" >/dev/null; }

# shellcheck disable=SC2016 # its own variables
with_dumps() { daemon_launch sh -c 'cd "$1" && ulimit -c unlimited && exec "$2" -c "$1/synmoat.conf"' sh "$WORK" "$SYNMOATD"; }

in_use()
{
    check "$1: the server has answered" test "$(requests 1 5 "$SRV4")" -eq 1
    check "$1: it is armed" wait_until 5 armed 80
    check "$1: and clients are served" test "$(requests 20 5 "$SRV4")" -eq 20
    check "$1: by cookies" wait_until 3 counted ack_cookie_valid 15
}

if sanitized; then
    skip "what is in memory" "the sanitizer keeps copies of the stack"
    exit 0
fi
gateway_up none
nginx_start 511
mkdir -m 700 "$WORK/private"
(umask 077; { secret_line 0; secret_line 1; } >"$SECRETS")
unit_owns "$WORK/private" "$SECRETS"
ACCELERATOR=auto # its map has the secret, too
config_write "$(gateway_config "$(service web "$SRV4" 80 'cookies = "always";')")
    gateway = { secret_file = \"$SECRETS\"; grace_s = 0; };
    control = { socket = \"$WORK/ctl.sock\"; };"
with_dumps || exit 1
in_use "shared secret"
check "the search finds it in the file" finds '.dumped >= 2' "$SECRETS"
check "memory: it is in what is never dumped" finds '.hidden >= 6' "$DAEMON_PID"
check "memory: and nowhere else" finds '.dumped == 0' "$DAEMON_PID"
check "memory: what holds it cannot be swapped out" grep -Eq '^VmLck:[[:space:]]+[1-9]' "/proc/$DAEMON_PID/status"
check "all requests are made" ask_everything
check "it is rotated in its file" ctl secret rotate
check "it is read again" ctl reload
check "which is still for its owner alone" test "$(stat -c %a "$SECRETS")" = 600
check "memory: nowhere else then" finds '.hidden >= 6 and .dumped == 0' "$DAEMON_PID"
check "the log has nothing of it" finds '.dumped == 0' "$WORK/daemon.log"
check "the answers have nothing of it" finds '.dumped == 0' "$WORK/answers"
# shellcheck disable=SC2046 # names without blanks
check "no file that others may read has it" finds '.dumped == 0' "$WORK/daemon.log" $(readable_by_others)

if dumps_are_files; then
    kill -ABRT "$DAEMON_PID"
    wait "$DAEMON_PID" 2>/dev/null
    check "a core was dumped" wait_until 5 there_is_a_core
    check "it has what is needed to find a fault" grep -qa "$WORK/ctl.sock" "$WORK"/core*
    check "and nothing of the secret" finds '.dumped == 0' "$WORK"/core*
else
    skip "a core dump" "core_pattern leads elsewhere"
    daemon_kill
fi

# A process that takes no such care, for comparison: it has the secret in memory that a dump has.
python3 -c '
import sys, time
secret = bytes.fromhex(open(sys.argv[1]).readlines()[-1].split()[1])
print("on", flush=True)
time.sleep(60)' "$SECRETS" >"$WORK/careless" & CARELESS=$!
wait_until 5 grep -q on "$WORK/careless"
check "a process without such care is found out" finds '.dumped > 0' "$CARELESS"
kill "$CARELESS"

# Where no memory may be locked it says so, and works.
daemon_launch prlimit --memlock=0 setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock "$SYNMOATD" -c "$WORK/synmoat.conf" || exit 1
check "no memory may be locked: one warning" test "$(log_lines 'may be swapped out')" -eq 1
in_use "no memory may be locked"
check "no memory may be locked: it is in no dump all the same" finds '.hidden >= 6 and .dumped == 0' "$DAEMON_PID"
check "a clean stop" daemon_stop
