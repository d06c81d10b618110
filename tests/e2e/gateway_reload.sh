# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# A gateway's configuration is read again: under a flood nothing breaks, what was found and learned is kept, and each key
# does what it says. And what a host may not be like.
# beside others
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

RATE=5000
ECHO_AT=7007 # of peer.py

# ---- words

reload()
{
    config_write "$1"
    ctl reload >"$WORK/answer" 2>&1 && return
    cat "$WORK/answer" >&2
    return 1
}
refuses_to_reload() # CONFIG PATTERN
{
    config_write "$1"
    ! ctl reload >"$WORK/answer" 2>&1 && grep -Eq "$2" "$WORK/answer" && return
    cat "$WORK/answer" >&2
    return 1
}
stat_says() { [ "$(stat_get "$1" 2>/dev/null)" = "$2" ]; }

# at_is ADDRESS PORT FIELD VALUE: of the one service there. nobody_at ADDRESS PORT: there is none.
at_is()
{
    ctl services --json | says_true --arg at "$1" --arg value "$4" \
        "[.services[] | select(.address == \$at and .port == $2) | .$3 | tostring] == [\$value]"
}
nobody_at()
{
    # shellcheck disable=SC2016 # the variable is jq's
    ctl services --json | says_true --arg at "$1" --argjson port "$2" \
        '[.services[] | select(.address == $at and .port == $port)] == []'
}

# A connection by the name of NAME: idle from now on, until it speaks.
hold() # NAME PORT
{
    rm -f "$WORK/$1.go"
    peer hold --port "$2" --patience 4 --until "$WORK/$1.go" >"$WORK/$1.held" 2>&1 &
    wait_until 5 grep -q held "$WORK/$1.held"
}
speaks() # NAME WORD: what its client sees then
{
    touch "$WORK/$1.go"
    wait_until 8 grep -q "$2" "$WORK/$1.held" && return
    cat "$WORK/$1.held" >&2
    return 1
}
known() { wait_until 10 handed peer echo --port "$1"; } # PORT: its server is answered for

# ---- services come and go

ATTACKED=10.77.3.3 OTHER=10.77.3.4 ATTACKED6=fd77:3::3

# networks NET4 NET6 [MORE_SERVICES]
networks()
{
    gateway_config "$(service net4 "$1" 80 'limit = 128;'), $(service net6 "$2" 80 'limit = 128;') ${3:-}" "$QUICK"
}
WITH_ECHO=", $(service echo $REAL4 $ECHO_AT 'cookies = "always";')"

still_armed() { check "$1: the server under attack stays armed" at_is $ATTACKED 80 armed true; } # NAME
named() { at_is $OTHER 80 name named && at_is $OTHER 80 limit 77; }
found() { at_is "$1" 80 state watching; } # ADDRESS

under_load()
{
    local server
    gateway_up none
    more_servers 3 4
    NGINX_AT='10.77.3.2 10.77.3.3 10.77.3.4 fd77:3::2 fd77:3::3 fd77:3::4' nginx_start 128
    peer_server
    HOST=$REAL4
    daemon_start "$(networks $NET4 $NET6 "$WITH_ECHO")" || return
    check "load: echo is answered for" known $ECHO_AT
    check "load: a connection is handed over" handed hold one $ECHO_AT
    for server in $ATTACKED $OTHER $ATTACKED6; do
        check "load: $server serves" fetch "$(client_address 9 "$server")" "$server"
        check "load: $server is found" wait_until 3 found "$server"
    done
    flood_start $RATE 60 $ATTACKED 80
    check "load: it is armed" wait_until 3 at_is $ATTACKED 80 armed true
    crowd_start -p 6 --sources 2000 $ATTACKED $OTHER $ATTACKED6

    check "a service is added" reload "$(networks $NET4 $NET6 "$WITH_ECHO, $(service named $OTHER 80 'limit = 77;'), $(service more $NET4 8080)")"
    check "added: a found server has its own name now" named
    check "added: and is answered for, as before" at_is $OTHER 80 state watching
    check "added: another port of the network is there" at_is $NET4 8080 state network
    still_armed "added"

    check "a service is removed" reload "$(networks $NET4 $NET6 "$WITH_ECHO")"
    check "removed: the server is the network's again" at_is $OTHER 80 name net4
    check "removed: and still found" at_is $OTHER 80 state watching
    check "removed: the port of the network is not there" nobody_at $NET4 8080
    still_armed "removed"

    check "the networks are narrowed" reload "$(networks 10.77.3.2/31 fd77:3::2/127 "$WITH_ECHO")"
    check "narrowed: a server outside is none of ours" nobody_at $OTHER 80
    check "narrowed: an IPv6 server within is" at_is $ATTACKED6 80 state watching
    still_armed "narrowed"

    check "a service with handed-over connections is removed" reload "$(networks 10.77.3.2/31 fd77:3::2/127)"
    check "without echo: it is not there" nobody_at $REAL4 $ECHO_AT
    check "without echo: its clients reach it" peer echo
    still_armed "without echo"

    check "all is as before" reload "$(networks $NET4 $NET6 "$WITH_ECHO")"
    check "as before: the server is found again" wait_until 5 found $OTHER
    check "as before: echo is answered for" known $ECHO_AT
    still_armed "as before"
    another_mode

    check "load: the flood is still on" alive "$FLOOD_PID"
    check "load: the handed-over connection lives" speaks one alive
    crowd_end
    check "load: no client has noticed anything" crowd_is '.ok > 100 and .failed == 0'
    flood_stop
    check "load: the server was armed once" test "$(log_lines "$ATTACKED:80) armed")" -eq 1
    check "load: no handover failed" test "$(counter handover_failed)" -eq 0
    check "load: then it is disarmed" wait_until 15 at_is $ATTACKED 80 armed false
    check "load: a clean stop" daemon_stop
}
has_table() { in_gw nft list tables | grep -qx "table inet $1"; }
without_table() { ! has_table "$1"; }
not() { ! "$@"; }

another_mode()
{
    check "another mode: refused" refuses_to_reload \
        "policy = \"observe\"; deny = [ \"192.0.2.0/24\" ]; services = ( $(service web any 80) );" '^error: .*mode'
    check "another mode: the policy is as before" stat_says .policy enforce
    check "another mode: the lists are" not grep -qF 192.0.2.0/24 <(ctl deny list)
    check "another mode: the services are" nobody_at any 80
    still_armed "another mode"
}

# ---- on_exit

# on_exit VALUE [MORE]
on_exit() { gateway_config "$(service web "$REAL4" 80), $(service web6 "$REAL6" 80)" "on_exit = \"$1\"; ${2:-}"; }
dropped() # SRC DST: not even a RST
{
    local code=0
    in_cli curl -s -o /dev/null --connect-timeout 1 -m 1 --interface "$1" "http://$(url_host "$2")/" || code=$?
    [ $code -eq 28 ]
}
killed() { daemon_kill; wait_until 1 table_gone; }

ends()
{
    local name='on_exit'
    gateway_up none && nginx_start
    daemon_start "$(on_exit pass)" || return
    check "$name: with \"pass\" nothing is closed" without_table synmoat_closed
    check "$name: \"drop\" by a reload" reload "$(on_exit drop "allow = [ \"10.78.200.1\", \"fd78::c801\" ];")"
    check "$name: it is closed" has_table synmoat_closed
    check "$name: who is let past by hand" ctl allow add 10.78.200.2
    check "$name: all are served" fetch 10.78.5.1 "$REAL4"
    check "$name: killed" killed
    check "$name: SYNs are dropped" dropped 10.78.5.2 "$REAL4"
    check "$name: IPv6 SYNs are" dropped fd78::502 "$REAL6"
    check "$name: an allowed source passes" fetch 10.78.200.1 "$REAL4"
    check "$name: an allowed IPv6 source does" fetch fd78::c801 "$REAL6"
    check "$name: so does who was allowed by hand" fetch 10.78.200.2 "$REAL4"

    daemon_start "$(on_exit drop)" || return
    check "$name: started again: all are served" fetch 10.78.5.3 "$REAL4"
    check "$name: \"pass\" by a reload" reload "$(on_exit pass)"
    check "$name: killed, too" killed
    check "$name: SYNs pass" fetch 10.78.5.4 "$REAL4"
    check "$name: IPv6 SYNs do" fetch fd78::504 "$REAL6"

    daemon_start "$(on_exit drop-armed)" || return
    check "$name: \"drop\" by a second reload" reload "$(on_exit drop)"
    check "$name: \"drop-armed\" by a third" reload "$(on_exit drop-armed)"
    check "$name: a clean stop with nothing to close" daemon_stop
    check "$name: leaves nothing" without_table synmoat_closed
    check "$name: and says nothing of it" not log_says synmoat_closed
    check "$name: SYNs pass then" fetch 10.78.5.5 "$REAL4"
}

# ---- strays

strays() { gateway_config "$(service echo "$REAL4" $ECHO 'cookies = "always";')" "on_exit = \"pass\"; gateway = { $1 };"; }
grace_is_over() { ! in_gw nft list chain inet synmoat unproven | grep -q 'limit rate'; }

# Connections from before the daemon, which nobody has tracked.
idle_ones()
{
    local name
    gateway_up none && echo_up
    HOST=$REAL4
    for name in {a..d}; do hold "$name" $ECHO || fail "strays: connection $name is held"; done
    daemon_start "$(strays '')" || return
    check "strays: new ones are handed over" known $ECHO
    check "strays: within the grace they pass" speaks a alive
    check "strays: a short grace" reload "$(strays 'grace_s = 2;')"
    check "strays: is over soon" wait_until 4 grace_is_over
    check "strays: then they are dropped" speaks b 'timed out'
    check "strays: \"reset\"" reload "$(strays 'grace_s = 2; strays = "reset";')"
    check "strays: then they are reset" speaks c 'reset by peer'
    check "strays: a long grace" reload "$(strays 'grace_s = 3600; strays = "reset";')"
    check "strays: they pass again" speaks d alive
    check "strays: a clean stop" daemon_stop
}

# ---- the policy

observed() { gateway_config "$(service echo "$REAL4" $ECHO 'cookies = "always";')" "on_exit = \"drop\"; policy = \"$1\";"; }

policies()
{
    local before
    gateway_up none && echo_up
    HOST=$REAL4
    daemon_start "$(observed enforce)" || return
    check "policy: the server is answered for" known $ECHO
    check "policy: a connection is handed over" handed hold one $ECHO
    check "policy: observe" reload "$(observed observe)"
    before=$(counter handed_over)
    check "policy: observe: clients are served" five_echoes
    check "policy: observe: by the server itself" test "$(counter handed_over)" -eq "$before"
    check "policy: enforce" reload "$(observed enforce)"
    check "policy: enforce: clients are handed over" known $ECHO
    check "policy: the connection from before lives" speaks one alive
    check "policy: observe again" reload "$(observed observe)"
    check "policy: observe: killed" killed
    check "policy: observe: nobody is dropped, whatever on_exit says" peer echo --port $ECHO
}
five_echoes() { local _; for _ in {1..5}; do peer echo --port $ECHO || return; done; }

# ---- the secret

secret() { gateway_config "$(service echo "$REAL4" $ECHO 'cookies = "always";')" "on_exit = \"pass\"; gateway = { $1 };"; }
epoch() { ctl secret show-epoch --json | jq -r ".$1"; }
checked() # WHAT LEVEL
{
    # shellcheck disable=SC2016 # the variables are jq's
    ctl check --json | says_true --arg what "$1" --arg level "$2" \
        '[.checks[] | select(.what == $what) | .level] | index([$level]) != null'
}

secrets()
{
    local own
    gateway_up none && echo_up
    HOST=$REAL4
    in_gw sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
    (umask 077; echo "0 $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" >"$WORK/secret")
    unit_owns "$WORK/secret"
    daemon_start "$(secret '')" || return
    check "secret: at first it is our own" test "$(epoch shared)" = false
    own=$(epoch fingerprint)
    check "secret: own: clients are handed over" known $ECHO
    check "secret: shared" reload "$(secret "secret_file = \"$WORK/secret\";")"
    check "secret: shared: it is" test "$(epoch shared)" = true
    check "secret: shared: another than before" test "$(epoch fingerprint)" != "$own"
    check "secret: shared: clients are handed over" known $ECHO
    check "secret: shared: a grace is warned of" checked strays warning
    check "secret: shared: without grace" reload "$(secret "secret_file = \"$WORK/secret\"; grace_s = 0;")"
    check "secret: shared: without grace there is no warning" wait_until 3 checked strays ok
    own=$(epoch fingerprint)
    check "secret: one that is not there" refuses_to_reload "$(secret "secret_file = \"$WORK/none\";")" "$WORK/none"
    check "secret: changes nothing" test "$(epoch fingerprint)" = "$own"
    check "secret: own again" reload "$(secret '')"
    check "secret: own again: it is" test "$(epoch shared)" = false
    check "secret: own again: another than the shared one" test "$(epoch fingerprint)" != "$own"
    check "secret: own again: clients are handed over" known $ECHO
    check "secret: a clean stop" daemon_stop
}

# ---- what a host may not be like

PLAIN=$(gateway_config "$(service web $REAL4 80)" 'on_exit = "pass";')
refuses() # WORD CMD...: exit code 1, and the word is said
{
    local code=0
    in_gw timeout 5 "${@:2}" >"$WORK/said" 2>&1 || code=$?
    [ $code -eq 1 ] && grep -qF -- "$1" "$WORK/said" && return
    echo "exit code $code" | cat - "$WORK/said" >&2
    return 1
}
faults() # WORD
{
    local code=0
    ctl check >"$WORK/said" 2>&1 || code=$?
    [ $code -eq 1 ] && grep -F -- "$1" "$WORK/said" | grep -q fault && return
    echo "exit code $code" | cat - "$WORK/said" >&2
    return 1
}

# strange NAME WORD: it has become so while the daemon runs.
strange()
{
    check "$1: check finds it" faults "$2"
    check "$1: -t refuses it" refuses "$2" "$SYNMOATD" -t -c "$WORK/synmoat.conf"
    check "$1: a reload works" reload "$PLAIN"
    check "$1: a clean stop" daemon_stop
    check "$1: a start is refused" refuses "$2" "$SYNMOATD" -c "$WORK/synmoat.conf"
    check "$1: and leaves nothing" table_gone
}

hosts()
{
    gateway_up none && nginx_start
    daemon_start "$PLAIN" || return
    in_gw nft 'table inet zoned { chain in { type filter hook prerouting priority raw; iifname "eth0" ct zone set 5; }; }'
    strange "a conntrack zone" zoned
    in_gw nft delete table inet zoned
    check "no conntrack zone any more: -t accepts it" in_gw "$SYNMOATD" -t -c "$WORK/synmoat.conf"

    daemon_start "$PLAIN" || return
    if ip -n "$GW" link add vrf-blue type vrf table 10 2>/dev/null; then
        strange "a VRF" vrf-blue
        ip -n "$GW" link del vrf-blue
    else
        skip "a VRF" "the kernel has none"
        check "no VRF: a clean stop" daemon_stop
    fi

    in_gw sysctl -qw net.ipv4.ip_forward=0
    check "no forwarding: -t accepts it" in_gw "$SYNMOATD" -t -c "$WORK/synmoat.conf"
    check "no forwarding: a start works" daemon_start "$PLAIN"
    check "no forwarding: it is said" log_says net.ipv4.ip_forward
    check "no forwarding: check finds it" faults net.ipv4.ip_forward
    in_gw sysctl -qw net.ipv4.ip_forward=1
    check "forwarding: check is content" checked host ok
    check "forwarding: clients are served" fetch 10.78.6.1 "$REAL4"
    check "forwarding: a clean stop" daemon_stop
}

under_load
ends
idle_ones
policies
secrets
hosts
