# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# A gateway before a server: a flood, connections older than the daemon and such as outlive it.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

at() { local name=$1$2; echo "${!name}"; } # NAME FAMILY

# Nothing is dropped when the daemon is gone.
OPEN='on_exit = "pass";'

# The tables that the daemon has made.
tables() { in_gw nft list tables | awk '$3 ~ /^synmoat/ { print $3 }' | xargs; }
tables_are() { [ "$(tables)" = "$*" ] || { echo "tables: $(tables)" >&2; return 1; }; }

# ---- a flood

flooded_gateway()
{
    local name=IPv$1 dst
    dst=$(at REAL "$1")
    FLOODED=$(gateway_config "$(service web "$dst" 80 'limit = 128;'), $(service other "$dst" 8080 'limit = 128;')" \
        "$QUICK $OPEN")

    gateway_up none && nginx_flooded
    flood_does_harm "$name without synmoatd" "$dst" 200
    [ -z "$NODAEMON" ] || return
    gateway_up none && nginx_flooded
    what_has_ended_is_forgotten
    flood_is_survived "$name" "$dst"
    check "$name: nothing is left" tables_are ''
}

# By conntrack, soon.
what_has_ended_is_forgotten()
{
    in_gw sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_{fin_wait,close_wait,last_ack,time_wait,close}=1
}

# A flood is all that the gateway has ever seen of the server.
flooded_at_once()
{
    gateway_up none && nginx_flooded
    daemon_start "$(gateway_config "$(service web "$SRV4" 80 'limit = 128;')" "$QUICK")" || return
    flood_start $RATE 20 "$SRV4" 80
    check "a flood before all else: the service arms within 1 s" wait_until 1 armed 80
    check "a flood before all else: 50 of 50 requests finish" test "$(requests 50 3 "$SRV4")" -eq 50
    check "a flood before all else: it is still on" alive "$FLOOD_PID"
    flood_stop
    check "a flood before all else: a clean stop" daemon_stop
}

# The server's backlog is full before the daemon comes, so that it answers no SYN that the daemon has seen.
flooded_before() # FAMILY
{
    local dst
    dst=$(at REAL "$1")
    gateway_up none && nginx_flooded
    flood_start $RATE 60 "$dst" 80
    wait_until 5 backlog_full || fail "IPv$1, a flood before the start: it fills the backlog"
    daemon_start "$(gateway_config "$(service web "$dst" 80 'limit = 128;')" "$QUICK")" || return
    check "IPv$1, a flood before the start: the service arms" wait_until 10 armed 80
    check "IPv$1, a flood before the start: it is served again" wait_until 20 all_served "$dst"
    check "IPv$1, a flood before the start: it is still on" alive "$FLOOD_PID"
    flood_stop
    check "IPv$1, a flood before the start: a clean stop" daemon_stop
}
all_served() { [ "$(requests 20 1.5 "$1")" -eq 20 ]; }

# ---- a connection that is idle while the gateway starts and arms

hold()
{
    rm -f "$WORK/go"
    peer hold --port $ECHO --until "$WORK/go" >"$WORK/held" 2>&1 &
    wait_until 5 grep -q held "$WORK/held"
}
released() # WORD: what the client sees then
{
    touch "$WORK/go"
    wait_until 10 grep -q "$1" "$WORK/held" && return
    cat "$WORK/held" >&2
    return 1
}

# kept NAME ADDRESS WORD [CONFIG]: idle since before the daemon, and it has never been tracked.
kept()
{
    HOST=$2
    gateway_up none && echo_up
    hold || { fail "$1: a connection is held"; return; }
    if [ -z "$NODAEMON" ]; then
        daemon_start "$(gateway_config "$(service echo "$2" $ECHO 'cookies = "always";')" "$OPEN ${4:-}")" ||
            return
        check "$1: new ones are handed over" wait_until 10 handed peer echo --port $ECHO
    fi
    check "$1" released "$3"
    with_daemon check "$1: a clean stop" daemon_stop
}

older_connections()
{
    local f dst
    for f in 4 6; do
        dst=$(at REAL $f)
        kept "IPv$f: an idle connection older than the daemon lives on" "$dst" alive
        [ -n "$NODAEMON" ] || kept "IPv$f: one that nobody knows is reset, where so configured" "$dst" \
            'reset by peer' 'gateway = { strays = "reset"; grace_s = 0; };'
        with_daemon outlived "IPv$f" "$dst"
    done
}

# outlived NAME ADDRESS: a handed-over connection lives on without the daemon, by the table that it leaves.
outlived()
{
    local config
    config=$(gateway_config "$(service echo "$2" $ECHO 'cookies = "always";')" "$OPEN")
    HOST=$2
    gateway_up none && echo_up
    what_has_ended_is_forgotten
    daemon_start "$config" || return
    check "$1: the server is answered for" wait_until 10 handed peer echo --port $ECHO
    check "$1: a connection is handed over" handed hold
    check "$1: a clean stop while it lives" daemon_stop
    check "$1: what keeps conntrack going is left, no more" tables_are synmoat_keep
    check "$1: it lives on" released alive
    daemon_start "$config" || return
    check "$1: it ends" wait_until 10 no_connection
    check "$1: a clean stop" daemon_stop
    check "$1: nothing is left" tables_are ''
}
no_connection() { [ -z "$(in_gw conntrack -L 2>/dev/null)" ]; }

for f in 4 6; do flooded_gateway $f; done
with_daemon flooded_at_once
for f in 4 6; do with_daemon flooded_before $f; done
older_connections
