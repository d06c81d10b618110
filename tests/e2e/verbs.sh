# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# What synmoatctl asks for, and who may ask.
# beside others
. "$(dirname "$0")/../lib.sh"

TWO='services = ( { name = "web"; ports = [80, 8080]; }, { name = "mail"; ports = [2525]; } );'
QUICK='backlog = { handshake_timeout_s = 2; hold_s = 1; };'

server_up()
{
    topo_up
    NGINX_LISTEN='listen 8080; listen [::]:8080; listen 2525;' nginx_start 128
}

# answers CODE PATTERN WORD...: the exit code, and what is on stdout, or on stderr if it is an error.
answers()
{
    local code=$1 pattern=$2 got=0; shift 2
    ctl "$@" >"$WORK/stdout" 2>"$WORK/stderr" || got=$?
    [ "$got" -eq "$code" ] && grep -Eq -- "$pattern" "$([ "$code" -eq 0 ] && echo "$WORK/stdout" || echo "$WORK/stderr")" &&
        return
    echo "exit code $got" | cat - "$WORK/stdout" "$WORK/stderr" >&2
    return 1
}
override_is() { service_is "$1" override "$2"; } # PORT WORD
stat_says() { [ "$(stat_get "$1")" = "$2" ]; }

# ---- arm, disarm, auto

manual()
{
    local handed
    daemon_start "$TWO $QUICK" || exit 1
    check "arm: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
    check "auto is what a service begins with" override_is 80 auto

    check "arm: a service by name" answers 0 . arm web
    check "arm: each of its ports is armed" wait_until 3 armed 80
    check "arm: the last of them, too" wait_until 3 armed 8080
    check "arm: status says by whom" override_is 8080 arm
    check "arm: no other service is armed" unarmed 2525
    handed=$(counter handed_over)
    check "arm: clients are served by cookies" test "$(requests 10 3 "$SRV4")" -eq 10
    check "arm: every one of them is handed over" wait_until 3 counted handed_over $((handed + 9))
    check "arm: no load is needed for it to last" service_is 80 state armed

    check "auto: a single port" answers 0 . auto any:8080
    check "auto: it stands down by itself" wait_until 15 unarmed 8080
    check "auto: the other port does not" armed 80

    check "disarm: a single port" answers 0 . disarm any:80
    check "disarm: it stands down" wait_until 3 unarmed 80
    check "disarm: status says by whom" override_is 80 disarm
    flood_start 2000 30 "$SRV4" 80
    check "disarm: a flood reaches the threshold" \
        wait_until 10 stat_is 'any(.services[]; .port == 80 and .half_open >= .arm_at)'
    check "disarm: the service stays unarmed" unarmed 80
    check "auto: by name" answers 0 . auto web
    check "auto: then the flood arms it" wait_until 5 armed 80
    flood_stop
    check "auto: and its end disarms it" wait_until 15 unarmed 80

    check "arm: no such service is an error that says so" answers 1 '^error: .*nosuch' arm nosuch
    check "arm: no such port is an error that says so" answers 1 '^error: .*any:81' arm any:81
    check "arm: no service named is an error that says so" answers 1 '^error: ' arm
    check "arm: a clean stop" daemon_stop
}

# ---- sources

sorted_by() # FIELD N
{
    ctl sources --top "$2" --by "${1/_/-}" --json |
        says_true --argjson n "$2" "[.sources[].$1] | length == \$n and .[0] > 0 and . == (sort | reverse)"
}
rows() { ctl sources "$@" | grep -c '^11\.'; }

sources()
{
    daemon_start "$TWO reflection = { unanswered_per_s = 0; };" || exit 1
    check "sources: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
    flood_start 5000 10 "$SRV4" 80 -s random:20 -n 200
    flood_wait
    check "sources: as many as asked for, by half-open connections" wait_until 5 sorted_by half_open 7
    check "sources: as many as asked for, as text" test "$(rows --top 3)" -eq 3
    ctl arm web >/dev/null
    wait_until 3 armed 80
    flood_start 5000 10 "$SRV4" 80 -s random:10 -n 300
    flood_wait
    check "sources: as many as asked for, by challenges" wait_until 5 sorted_by challenged 5
    check "sources: an unknown order is an error that says what is known" \
        answers 1 '^error: .*half-open.*challenged' sources --by size
    check "sources: 0 of them is an error" answers 1 '^error: ' sources --top 0
    check "sources: a clean stop" daemon_stop
}

# ---- reload

reloads()
{
    daemon_start "$TWO" || exit 1
    config_write "policy = \"observe\"; $TWO"
    check "reload: a good configuration is taken" answers 0 '^ok' reload
    check "reload: and is in force when the answer comes" stat_says .policy observe
    config_write $'policy = "enforce";\nservices = 5;'
    check "reload: a bad one is refused, with its file and line" answers 1 "^error: .*$WORK/synmoat.conf:2: " reload
    check "reload: the log says so, too" log_says "$WORK/synmoat.conf:2: "
    check "reload: nothing has changed" stat_says .policy observe
    check "reload: every service is still there" service_is 2525 name mail
    rm "$WORK/synmoat.conf"
    check "reload: a file that is gone is refused" answers 1 "^error: .*$WORK/synmoat.conf" reload
    config_write "$TWO"
    check "reload: a good one works again" answers 0 '^ok' reload
    check "reload: it is in force, too" stat_says .policy enforce
    check "reload: a clean stop" daemon_stop
}

# ---- who may

says_nothing_of() { ! ctl "$1" list | grep -qF -- "$2"; } # allow|deny CIDR

changes_nothing() # NAME USER
{
    local verb
    config_write "policy = \"observe\"; $TWO
        control = { socket = \"$WORK/ctl.sock\"; };"
    for verb in "arm web" "disarm web" "auto web" "allow add 192.0.2.0/24" "allow del 192.0.2.0/24" \
        "deny add 192.0.2.0/24" "deny del 192.0.2.0/24" "ban lift 192.0.2.1" reload; do
        # shellcheck disable=SC2086 # the words of the verb
        check "$1: may not $verb" exits 4 "$2" $verb
    done
    check "$1: nothing is armed" unarmed 80
    check "$1: no override is set" override_is 80 auto
    check "$1: nobody is denied" says_nothing_of deny 192.0.2.0/24
    check "$1: nobody is allowed" says_nothing_of allow 192.0.2.0/24
    check "$1: no other configuration is in force" stat_says .policy enforce
}

permissions()
{
    local verb
    daemon_start "$TWO" || exit 1
    check "without a group: a stranger cannot even look" exits 4 as_nobody status
    check "without a group: nor can a member of some group" exits 4 as_member status
    check "without a group: a clean stop" daemon_stop

    daemon_start "$TWO
        control = { socket = \"$WORK/ctl.sock\"; access = \"everybody\"; };" || exit 1
    check "access for everybody: a stranger may look" exits 0 as_nobody status --json
    check "access for everybody: a stranger may ask for an explanation" exits 0 as_nobody explain 192.0.2.1
    check "access for everybody: a stranger may see the lists" exits 0 as_nobody deny list
    changes_nothing "access for everybody" as_nobody
    check "access for everybody: a clean stop" daemon_stop

    unit_group games
    daemon_start "$TWO
        control = { socket = \"$WORK/ctl.sock\"; group = \"games\"; };" || exit 1
    check "with a group: a stranger cannot even look" exits 4 as_nobody status
    check "with a group: a member may look" exits 0 as_member status
    check "with a group: a member may arm" exits 0 as_member arm web
    check "with a group: and that counts" wait_until 3 armed 80
    check "with a group: a member may deny" exits 0 as_member deny add 192.0.2.0/24
    check "with a group: and that counts, too" grep -qF 192.0.2.0/24 <(ctl deny list)
    check "with a group: a member may reload" exits 0 as_member reload
    check "with a group: root may, too" exits 0 ctl disarm web
    check "with a group: a clean stop" daemon_stop
}

# ---- what nobody knows

unknown()
{
    local verb
    daemon_start "$TWO" || exit 1
    check "an unknown verb is an error" answers 1 '^error: unknown .*frobnicate' frobnicate
    for verb in status services sources explain "allow" "deny" "ban" arm disarm auto reload version help; do
        check "an unknown verb's error names $verb" grep -qw -- "$verb" "$WORK/stderr"
        check "help names $verb" grep -qw -- "$verb" <(ctl help)
    done
    check "half a verb is an error" answers 1 '^error: ' allow
    check "a word too many is an error" answers 1 '^error: ' arm web mail
    check "explain without an address is an error" answers 1 '^error: ' explain
    check "explain of no address is an error" answers 1 '^error: .*nonsense' explain nonsense
    check "unknown verbs: a clean stop" daemon_stop
}

server_up
manual
server_up # what the flood has left in the kernel is not for the others
sources
reloads
permissions
unknown
