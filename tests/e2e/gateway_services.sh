# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# A gateway before many servers: networks, what port scanners see, ports that close, and limits that are learned.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

at() { local name=$1$2; echo "${!name}"; } # NAME FAMILY

# host_of FAMILY NUMBER: a server's address.
host_of() { if [ "$1" = 4 ]; then echo "10.77.3.$2"; else echo "fd77:3::$2"; fi; }

# fetched SOURCE ADDRESS: two pages; at the first the gateway may look whether the server answers.
fetched() { fetch "$1" "$2" && fetch "$1" "$2"; }

# at_is ADDRESS PORT FIELD VALUE: of the one service there.
at_is()
{
    ctl services --json | says_true --arg at "$1" --arg value "$4" \
        "[.services[] | select(.address == \$at and .port == $2) | .$3 | tostring] == [\$value]"
}

# ---- networks

# Servers 2 to 4 of the network, each with a backlog of its own. Port 81 is closed, 82 silent.
network_up()
{
    gateway_up none
    more_servers 3 4
    NGINX_AT='10.77.3.2 10.77.3.3 10.77.3.4 fd77:3::2 fd77:3::3 fd77:3::4' nginx_start 128
    in_srv nft 'table inet quiet { chain in { type filter hook input priority 0; tcp dport 82 drop; }; }'
    network 'limit = 128;' "$QUICK"
}

# network MORE_OF_SERVICE MORE: the daemon for both networks.
network()
{
    with_daemon daemon_start "$(gateway_config \
        "$(service net4 $NET4 '80, 81, 82' "$1"), $(service net6 $NET6 '80, 81, 82' "$1")" "${2:-}")"
}

# scan FAMILY NUMBER...: what a port scanner sees, a line "ADDRESS PORT STATE" each.
scan()
{
    local f=$1 n to=(); shift
    for n; do to+=("$(host_of "$f" "$n")"); done
    [ "$f" = 4 ] || set -- -6
    [ "$f" = 6 ] || set --
    in_cli nmap "$@" -sS -n -Pn -p 80,81,82 --max-retries 3 --min-rtt-timeout 300ms --max-rtt-timeout 1s \
        -oG - "${to[@]}" | awk '/Ports:/ { for (i = 4; i <= NF; i++)
            if (split($i, port, "/") > 2) print $2, port[1], port[2] }' | sort
}
scanned_right() { diff <(expected "$1") <(scan "$@"); } # FAMILY NUMBER...
expected()
{
    local n
    for n in 2 3 4; do
        printf '%s %s\n' "$(host_of "$1" $n)" '80 open' "$(host_of "$1" $n)" '81 closed' "$(host_of "$1" $n)" '82 filtered'
    done
}

found() { at_is "$1" 80 state watching; } # ADDRESS

networks()
{
    local f name attacked
    network_up
    for f in 4 6; do
        name=IPv$f attacked=$(host_of $f 3)
        check "$name: a port scan sees what is open, closed and filtered" scanned_right $f 2 3 4
        for n in 2 3 4; do
            check "$name: server $n of the network serves" fetch "$(client_address "$n" "$attacked")" "$(host_of $f $n)"
            with_daemon check "$name: server $n of the network is found" wait_until 3 found "$(host_of $f $n)"
        done
        with_daemon check "$name: the network is a service" at_is "$(at NET $f)" 80 state network

        flood_start $RATE 40 "$attacked" 80
        with_daemon check "$name: the server that is attacked is armed within 1 s" wait_until 1 at_is "$attacked" 80 armed true
        with_daemon check "$name: 50 of 50 requests to it finish" test "$(requests 50 3 "$attacked")" -eq 50
        check "$name: so do 50 of 50 to another" test "$(requests 50 3 "$(host_of $f 4)")" -eq 50
        with_daemon check "$name: a port scan during the flood sees the same" scanned_right $f 2 3 4
        with_daemon check "$name: SYN with FIN reaches nobody" none_arrives "$attacked"
        with_daemon check "$name: other servers of the network are not armed" others_unarmed "$attacked"
        check "$name: the flood is still on" alive "$FLOOD_PID"
        flood_stop
        with_daemon check "$name: then nobody is armed" wait_until 15 peaceful
    done
    with_daemon check "network: every SYN has exactly one outcome" wait_until 5 syns_add_up
    with_daemon check "network: a clean stop" daemon_stop

    with_daemon network 'cookies = "always";'
    for f in 4 6; do
        name="IPv$f: always"
        for n in 2 3 4; do
            check "$name: server $n is answered for" wait_until 5 handed fetched "$(client_address "$n" "$(host_of $f 2)")" \
                "$(host_of $f $n)"
        done
        check "$name: a port scan sees what is open, closed and filtered" scanned_right $f 2 3 4
        with_daemon check "$name: nobody else was found" found_are 3 "$(host_of $f '')"
    done
    with_daemon check "always: a clean stop" daemon_stop
}
# To some systems a SYN with FIN is a SYN.
none_arrives() # ADDRESS
{
    local arrived v6=()
    is_v6 "$1" && v6=(-6)
    in_srv nft 'table inet odd { chain in { type filter hook input priority 0; tcp flags & (syn | fin) == syn | fin counter; }; }'
    in_cli nmap "${v6[@]}" -n -Pn -sS --scanflags SYNFIN -p 80 --max-retries 2 "$1" >/dev/null
    arrived=$(in_srv nft -j list table inet odd | jq '[.. | .counter?.packets? // empty] | add')
    in_srv nft delete table inet odd
    [ "$arrived" -eq 0 ]
}
others_unarmed() # ADDRESS
{
    # shellcheck disable=SC2016 # the variable is jq's
    ctl services --json | says_true --arg at "$1" '[.services[] | select(.address != $at) | .armed] | length > 3 and (any | not)'
}
found_are() # COUNT PREFIX
{
    ctl services --json | says_true --arg in "$2" \
        "[.services[] | select((.address | startswith(\$in)) and .state != \"network\")] | length == $1"
}

# ---- a port that closes, and opens again

closes_and_opens()
{
    local f dst name
    gateway_up none
    for f in 4 6; do
        name="IPv$f: a port that closes" dst=$(at REAL $f)
        HOST=$dst
        echo_up
        with_daemon daemon_start "$(gateway_config "$(service echo "$dst" $ECHO 'cookies = "always";')")"
        check "$name: it is answered for while open" wait_until 10 handed peer echo --port $ECHO
        echo_down
        check "$name: a few seconds later that is known" wait_until 10 known_as_refusing "$dst"
        check "$name: from then on it is refused" stays_refused
        echo_up
        check "$name: it is answered for when open again" wait_until 10 handed peer echo --port $ECHO
        with_daemon check "$name: and 20 of 20 are handed over" handed_over 20 twenty_echoes
        with_daemon check "$name: a clean stop" daemon_stop
        echo_down
    done
}
known_as_refusing()
{
    peer refused --port $ECHO --patience 3 2>/dev/null # until it is known, whoever is answered for is reset
    [ -n "$NODAEMON" ] || at_is "$1" $ECHO state refusing
}
stays_refused() { local _; for _ in {1..20}; do peer refused --port $ECHO --patience 3 || return; done; }
twenty_echoes() { local _; for _ in {1..20}; do peer echo --port $ECHO || return; done; }

# ---- a limit that is learned

# Clients who take their time: each is half-open for half of its life of 1.6 s or more, so that some 350 are.
learns_its_limit()
{
    gateway_up none
    nginx_start 1024
    if [ ! -c /dev/net/tun ] || ! longline_up; then skip "a limit is learned" "no TUN device here"; return; fi
    daemon_start "$(gateway_config "$(service web "$SRV4" 80 'cookies = "never"; limit = "auto";')")" || return
    check "a limit is learned: at first it is the default" at_is "$SRV4" 80 limit 256
    crowd_start -p 700 --ramp 3 -l 20 --sources 4000 "$SRV4"
    check "a limit is learned: it grows with a crowd that is served" wait_until 30 learned_more
    crowd_end
    check "a limit is learned: all are served" crowd_is '.ok > 256 and .failed == 0'
    check "a limit is learned: but it is not beyond the crowd" stat_is '.services[0].limit <= 700'
    check "a limit is learned: a clean stop" daemon_stop
}
learned_more() { stat_is '.services[0].limit > 256'; }

# The addresses that clients.py takes, 10.78.128.0/17, are 800 ms away, there and back.
longline_up()
{
    python3 "$TESTS/tools/longline.py" --delay-ms 400 far0 "$GW" "$CLI" &
    wait_until 5 longline_linked
}
longline_linked()
{
    ip -n "$GW" link set far0 up && ip -n "$CLI" link set far0 up &&
        ip -n "$GW" route replace 10.78.128.0/17 dev far0 &&
        ip -n "$CLI" route replace "$SRV4" dev far0
} 2>/dev/null

networks
closes_and_opens
with_daemon learns_its_limit
