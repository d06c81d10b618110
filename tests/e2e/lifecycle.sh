# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Start, check, reload, stop: what an admin does, and what must not be noticed by anybody's clients.
# beside others
. "$(dirname "$0")/../lib.sh"

ALWAYS='services = ( { name = "web"; address = "any"; ports = [80]; cookies = "always"; } );'

# config_refused LINE TEXT: -t must name the file and the line, and exit 1.
config_refused()
{
    local code=0
    echo "$2" >"$WORK/bad.conf"
    "$SYNMOATD" -t -c "$WORK/bad.conf" >"$WORK/bad.log" 2>&1 || code=$?
    [ $code -eq 1 ] && grep -q "$WORK/bad.conf:$1: ." "$WORK/bad.log" && return
    cat "$WORK/bad.log" >&2
    return 1
}

# refused_beside CONFIG_FILE: a second daemon must give up, and say why.
refused_beside()
{
    local code=0
    timeout 5 ip netns exec "$SRV" "$SYNMOATD" -c "$1" >"$WORK/second.log" 2>&1 || code=$?
    [ $code -ne 0 ] && [ $code -lt 124 ] &&
        grep -Eiq 'already|another|second|running' "$WORK/second.log" && return
    cat "$WORK/second.log" >&2
    return 1
}

reload() { config_write "$1"; kill -HUP "$DAEMON_PID"; }
listed() { stat_is "any(.services[]; .port == $1)"; } # PORT
stat_says() { [ "$(stat_get "$1" 2>/dev/null)" = "$2" ]; }

loop_start()
{
    touch "$WORK/loop"
    in_cli python3 "$TESTS/tools/clients.py" -p 8 --while-file "$WORK/loop" "$SRV4" "$SRV6" >"$WORK/clients" &
    LOOP_PID=$!
}
loop_clean()
{
    rm -f "$WORK/loop"
    wait "$LOOP_PID"
    says_true '.ok > 100 and .failed == 0 and .slow == 0' "$WORK/clients" && return
    cat "$WORK/clients" >&2
    return 1
}
# Enough connections in each state of the daemon: a hundred, as the server counts them.
accepted() { in_srv nstat -asz TcpPassiveOpens | awk '/^Tcp/ { print $2 }'; }
accepted_is() { [ "$(accepted)" -ge "$1" ]; }
hundred_more() { wait_until 10 accepted_is $(($(accepted) + 100)); }

# ---- the command line

check "-V prints the version" grep -Eq '[0-9]+\.[0-9]+' <("$SYNMOATD" -V 2>&1)
config_write "$ALWAYS"
check "-t accepts a good config" "$SYNMOATD" -t -c "$WORK/synmoat.conf"
check "-t says so" grep -q 'configuration OK' <("$SYNMOATD" -t -c "$WORK/synmoat.conf" 2>&1)
check "-t names the line of a wrong value" config_refused 2 $'# a comment\nmode = "bridge";'
check "-t names the line of a number out of range" config_refused 3 $'backlog = {\n\n arm_percent = 500; };'
check "-t names the line of a wrong type" config_refused 2 $'\nservices = "web";'
check "-t names the line of an unknown key" config_refused 2 $'\npolcy = "observe";'
check "-t names the line of a syntax error" config_refused 2 $'mode = "host";\n} ;'
check "-t refuses a file that is not there" test "$("$SYNMOATD" -t -c "$WORK/none" >/dev/null 2>&1; echo $?)" -eq 1

# ---- no config file at all

topo_up
mkdir "$WORK/www"
head -c 20M /dev/urandom >"$WORK/www/slow"
NGINX_LISTEN='listen 8080; listen 127.0.0.1:9090;' nginx_start 511

# In a mount namespace of its own, where /etc/synmoat and /run are empty.
# shellcheck disable=SC2016
daemon_launch unshare -m sh -c '
    mount -t tmpfs none /run
    [ ! -d /etc/synmoat ] || mount -t tmpfs none /etc/synmoat
    exec "$0"' "$SYNMOATD" || exit 1
nsenter -m -n -t "$DAEMON_PID" "$SYNMOATCTL" status --json >"$WORK/status"
ports=$(jq -r '[.services[].port] | unique | @text' "$WORK/status")
check "without a config file, what listens on a real address is protected, and only that" test "$ports" = '[80,8080]'
check "without a config file, clients are served" test "$(requests 20 3 "$SRV4")" -eq 20
check "without a config file, a clean stop" daemon_stop

# ---- a second instance

daemon_start "$ALWAYS" || exit 1
sed 's/ctl.sock/other.sock/' "$WORK/synmoat.conf" >"$WORK/other.conf"
check "a second instance is refused" refused_beside "$WORK/synmoat.conf"
check "a second instance with another socket is refused" refused_beside "$WORK/other.conf"
check "and it is told what is in its way" grep -q 'queue [0-9]*: another process has it: is another synmoatd running' "$WORK/second.log"
check "the first instance goes on" alive "$DAEMON_PID"
check "the first instance still answers" stat_says .mode host
check "the first instance still has its rules" table_exists
check "the first instance still serves" test "$(requests 20 3 "$SRV4")" -eq 20

# ---- reload

reload "policy = \"observe\"; services = ( { name = \"web\"; address = \"any\"; ports = [80, 8080]; } );"
check "SIGHUP: a changed policy takes effect" wait_until 5 stat_says .policy observe
check "SIGHUP: a new service takes effect" wait_until 5 listed 8080
reload $'policy = "enforce";\nservices = 5;'
check "SIGHUP with a broken config is said in the log" wait_until 5 log_says "$WORK/synmoat.conf:2: "
check "SIGHUP with a broken config changes nothing" stat_says .policy observe
check "SIGHUP with a broken config keeps every service" listed 8080
check "SIGHUP with a broken config ends nothing" alive "$DAEMON_PID"
reload "$ALWAYS"
check "SIGHUP with a good config works again" wait_until 5 stat_says .policy enforce

# ---- stop

check "clients are handed over" test "$(requests 20 3 "$SRV4")" -eq 20
in_cli curl -s --limit-rate 4M -o "$WORK/slow" "http://$SRV4/slow" &
slow_pid=$!
wait_until 5 test -s "$WORK/slow"
check "SIGTERM ends it with exit code 0, rules gone" daemon_stop
check "its control socket is gone" test ! -e "$WORK/ctl.sock"
wait "$slow_pid"
check "a handed-over connection lives on after a clean stop" cmp "$WORK/www/slow" "$WORK/slow"

# ---- nobody notices

loop_through()
{
    hundred_more
    daemon_start "$1" && hundred_more || return
    reload "$1"; hundred_more
    reload "policy = \"observe\"; $1"; wait_until 5 stat_says .policy observe; hundred_more
    reload "$1"; wait_until 5 stat_says .policy enforce; hundred_more
    daemon_stop && hundred_more
}

loop_start
check "in peace: start, reload and stop work under load" loop_through ''
check "in peace: no connection is lost or delayed by start, reload or stop" loop_clean
loop_start
check "with cookies: start, reload and stop work under load" loop_through "$ALWAYS"
check "with cookies: no connection is lost or delayed by start, reload or stop" loop_clean
