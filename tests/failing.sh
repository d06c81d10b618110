# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh disable=SC2153
#
# What happens when something fails, on a host and in a gateway: a queue is full or has nobody who listens, the daemon is
# gone, conntrack's table is full, the kernel refuses. Open or closed, as the config says, and all is well afterwards.
# Sourced after lib.sh and gateway.sh.

HOST4=$SRV4 HOST6=$SRV6
FAULTS=$WORK/faults
: >"$FAULTS"
mkdir "$WORK/www"
head -c 12M /dev/urandom >"$WORK/www/big"

# ---- the two places

# world host|gateway: the server's kernel has its own answer to a flood, so that who gets there is served.
world()
{
    PLACE=$1
    if [ "$1" = host ]; then
        DAEMON_NS=$SRV SRV4=$HOST4 SRV6=$HOST6
        topo_up
    else
        DAEMON_NS=$GW
        gateway_up none
    fi
    in_srv sysctl -qw net.ipv4.tcp_syncookies=1 net.ipv4.tcp_synack_retries=1
    # shellcheck disable=SC2046
    NGINX_LISTEN=$(printf 'listen %s; listen [::]:%s; ' 81 81 82 82) nginx_start 511
}

# services COOKIES [MORE]: a config; COOKIES is for `web`, `other` never gets any.
services()
{
    local more="queues = { first = 100; shards = 1; }; backlog = { handshake_timeout_s = 3; }; ${2:-}"
    if [ "$PLACE" = host ]; then
        echo "services = ( $(service web any 80 "cookies = \"$1\";"), $(service other any 81 'cookies = "never";') ); $more"
    else
        gateway_config "$(service web "$SRV4" 80 "cookies = \"$1\";"), $(service web6 "$SRV6" 80 "cookies = \"$1\";"),
            $(service other "$SRV4" 81 'cookies = "never";'), $(service other6 "$SRV6" 81 'cookies = "never";')" "$more"
    fi
}

# What the server answers has to be known before its clients can be handed over.
handed() # DST
{
    local before
    before=$(counter handed_over)
    requests 1 2 "$1" >/dev/null # whoever is served has been handed over, or will not be
    counted handed_over $((before + 1))
}
known() { wait_until 10 handed "$SRV4" && wait_until 10 handed "$SRV6"; }
began() # CONFIG
{
    daemon_start "$1" || exit 1
    PORT=81 requests 2 2 "$SRV4" >/dev/null
}

# ---- what a client sees

# connect_time DST PORT: 0.000000 if nobody answered the SYN, or somebody with a RST.
connect_time()
{
    in_cli curl -s -o /dev/null --connect-timeout 1.3 -m 1.4 --interface "$(fresh "$1")" -w '%{time_connect}' \
        "http://$(url_host "$1"):$2/"
}
# An address that nobody has seen.
fresh() # DST
{
    local number
    number=$(cat "$WORK/fresh" 2>/dev/null || echo 40000)
    echo $((number + 1)) >"$WORK/fresh"
    client_address "$number" "$1"
}
connects() { [ "$(connect_time "$1" "$2")" != 0.000000 ]; } # DST PORT
dropped() # DST PORT: without an answer, not even a RST
{
    local code=0
    connect_time "$1" "$2" >"$WORK/connect_time" || code=$?
    [ $code -eq 28 ] && [ "$(cat "$WORK/connect_time")" = 0.000000 ]
}
all_served() { [ "$(requests 20 3 "$SRV4")" -eq 20 ] && [ "$(PORT=81 requests 10 3 "$SRV4")" -eq 10 ]; }

# verdict pass|drop NAME DST PORT
verdict()
{
    case $1 in
    pass) check "$2 passes" connects "$3" "$4" ;;
    drop) check "$2 is dropped" dropped "$3" "$4" ;;
    esac
}

download_start() # NAME [curl options]
{
    in_cli curl -sf -m 40 --limit-rate "${RATE:-2500k}" -o "$WORK/$1" "${@:2}" "http://$(url_host "$SRV4")/big" &
    printf -v "PID_$1" %s $!
    wait_until 5 test -s "$WORK/$1"
}
download_whole() # NAME
{
    local pid=PID_$1
    wait "${!pid}" && cmp "$WORK/www/big" "$WORK/$1"
}

# ---- the kernel's queues

queues() { in_daemon cat /proc/net/netfilter/nfnetlink_queue; } # number, portid, length, ...
# The queue of armed services is shorter: the third of services(), which has one shard.
queue_is_full() { queues | awk '$3 >= ($1 == 102 ? 8192 : 32768) { full++ } END { exit full < '"${1:-1}"' }'; } # [HOW_MANY]
queues_empty() { queues | awk '$3 > 0 { left = 1 } END { exit left }'; }
fill_queue() { flood_start 200000 10 "$SRV4" "$1" -n 33500; flood_wait; } # PORT
fill_armed_queue() { flood_start 12000 10 "$SRV4" "$1" -n 8700; flood_wait; } # no faster than it is queued

# ---- a queue is full

# overload VALUE|- FATE_OF_WEB FATE_OF_OTHER [FORMER]: "-" is the default, nothing said. With FORMER, that is the value at
# the start, and VALUE comes by a reload.
overload()
{
    local name="$PLACE, on_overload $1${4:+ after $4}"
    [ "$1" = - ] && name="$PLACE, on_overload as it is${4:+ after $4}"
    began "$(overloaded "${4:-$1}")"
    if [ -n "${4:-}" ]; then
        check "$name: a reload" reloaded "$1"
        check "$name: which does not want a restart" test "$(log_lines 'at a restart')" -eq 0
    fi
    check "$name: the service is armed" known
    kill -STOP "$DAEMON_PID"
    fill_queue 81
    check "$name: a queue is full" queue_is_full
    verdict "$3" "$name: a SYN to an unarmed service" "$SRV4" 81
    fill_armed_queue 80
    check "$name: the queue of armed services is full" queue_is_full 2
    verdict "$2" "$name: a SYN to an armed service" "$SRV4" 80
    check "$name: a port that is not protected is served" connects "$SRV4" 82
    kill -CONT "$DAEMON_PID"
    check "$name: every packet gets its verdict" wait_until 20 queues_empty
    check "$name: afterwards all are served" wait_until 10 all_served
    check "$name: a clean stop" daemon_stop
    reopen
}

overloaded() { services always "$([ "$1" = - ] || echo "on_overload = \"$1\";")"; } # VALUE|-
reloaded() { config_write "$(overloaded "$1")" && ctl reload >/dev/null; }

# ---- a queue has nobody who listens

faults_launch() # CONFIG: with netlink sockets that fail as $FAULTS says
{
    faults_file "$FAULTS"
    config_write "$1"
    # The library is not the sanitizer's, and comes before it.
    daemon_launch env NETLINK_FAULTS="$FAULTS" LD_PRELOAD="$TOOLS/netlink_faults.so" \
        ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" "$SYNMOATD" -c "$WORK/synmoat.conf" || exit 1
    PORT=81 requests 2 2 "$SRV4" >/dev/null
}
faults() { local count; read -r count <"$FAULTS.count" && echo "$count" || echo 0; } 2>/dev/null
no_queues() { [ -z "$(queues)" ]; }

# unheard VALUE|- FATE_OF_WEB FATE_OF_OTHER: the rules are there, and the queues' sockets are not.
unheard()
{
    local name="$PLACE, no listener, on_overload $1"
    [ "$1" = - ] && name="$PLACE, no listener, on_overload as it is"
    faults_launch "$(services always "$([ "$1" = - ] || echo "on_overload = \"$1\";")")"
    check "$name: the service is armed" known
    echo "queue receive UNBIND 1" >"$FAULTS"
    check "$name: the queues are gone, the rules are not" wait_until 5 no_queues
    check "$name: the rules are still there" table_exists
    verdict "$2" "$name: a SYN to an armed service" "$SRV4" 80
    verdict "$2" "$name: an IPv6 SYN to an armed service" "$SRV6" 80
    verdict "$3" "$name: a SYN to an unarmed service" "$SRV4" 81
    check "$name: a port that is not protected is served" connects "$SRV4" 82
    daemon_kill
    reopen
    began "$(services always)"
    check "$name: afterwards all are served" wait_until 10 all_served
    check "$name: a clean stop" daemon_stop
    reopen
}

# ---- the daemon is gone

closed() { in_daemon nft list tables | awk '$3 == "synmoat_closed" { found = 1 } END { exit !found }'; }
open() { ! closed; }
reopen() { open || in_daemon nft delete table inet synmoat_closed; }

# killed VALUE|- FATE_OF_WEB FATE_OF_OTHER: kill -9 in the middle of a flood
killed()
{
    local name="$PLACE, on_exit $1" before
    [ "$1" = - ] && name="$PLACE, on_exit as it is"
    began "$(services auto "$([ "$1" = - ] || echo "on_exit = \"$1\";")")"
    check "$name: all are served" all_served
    download_start direct --interface 10.78.100.1
    flood_start 5000 60 "$SRV4" 80
    check "$name: a flood arms the service" wait_until 5 armed 80
    check "$name: clients are handed over" wait_until 10 handed "$SRV4"
    before=$(counter handed_over)
    download_start handed --interface 10.78.100.2
    check "$name: so is a download" wait_until 1 counted handed_over $((before + 1))

    daemon_kill
    check "$name: killed: the rules are gone within 1 s" wait_until 1 table_gone
    case $2 in pass) check "$name: killed: nothing is closed" open ;; *) check "$name: killed: it is closed" closed ;; esac
    verdict "$2" "$name: killed: a SYN to the armed service" "$SRV4" 80
    verdict "$3" "$name: killed: a SYN to an unarmed service" "$SRV4" 81
    verdict "$3" "$name: killed: an IPv6 SYN to an unarmed service" "$SRV6" 81
    check "$name: killed: a port that is not protected is served" connects "$SRV4" 82
    check "$name: killed: a connection from before the attack lives on" download_whole direct
    check "$name: killed: a handed-over connection lives on" download_whole handed
    flood_stop

    began "$(services always "$([ "$1" = - ] || echo "on_exit = \"$1\";")")"
    check "$name: started again: clients are handed over" known
    check "$name: started again: all are served" all_served
    case $2$3 in
    passpass)
        check "$name: a clean stop" daemon_stop
        ;;
    *) stays_closed "$name" "$2" "$3" ;;
    esac
}

# The daemon runs, and `web` is armed.
stays_closed() # NAME FATE_OF_WEB FATE_OF_OTHER
{
    check "$1: closed while the daemon runs" closed
    in_daemon nft flush ruleset
    check "$1: closed again when somebody flushed all rules" wait_until 3 closed
    check "$1: and all are served" all_served
    in_daemon nft delete table inet synmoat_closed
    check "$1: closed again when somebody deleted the table" wait_until 3 closed

    check "$1: a clean stop" daemon_stop
    check "$1: which says what it leaves closed" log_says synmoat_closed
    check "$1: stopped: the table stays" closed
    verdict "$2" "$1: stopped: a SYN to the armed service" "$SRV4" 80
    verdict "$2" "$1: stopped: an IPv6 SYN to the armed service" "$SRV6" 80
    verdict "$3" "$1: stopped: a SYN to an unarmed service" "$SRV4" 81
    in_daemon nft delete table inet synmoat_closed
    check "$1: without the table all are served" all_served
}

# What goes past the daemon, or through it without a cookie, while the table that closes is there.
ALLOWED=10.78.200.1
speaks_signed() # and so does the client: TCP-MD5
{
    cat >"$WORK/signed.py" <<-'END'
	import socket, struct, sys
	def keyed(sock, peer):
	    name = struct.pack("=HH4s120x", socket.AF_INET, 0, socket.inet_aton(peer))
	    sock.setsockopt(socket.IPPROTO_TCP, 14, name + struct.pack("=BBHI80s", 0, 0, 6, 0, b"secret"))  # TCP_MD5SIG
	role, server, client = sys.argv[1:]
	sock = socket.socket()
	sock.settimeout(5)
	if role == "server":
	    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	    sock.bind((server, 179))
	    keyed(sock, client)
	    sock.listen(8)
	    sock.settimeout(None)
	    while True:
	        sock.accept()[0].sendall(b"signed")
	sock.bind((client, 0))
	keyed(sock, server)
	sock.connect((server, 179))
	sys.exit(sock.recv(6) != b"signed")
	END
    ip netns exec "$SRV" python3 "$WORK/signed.py" server "$SRV4" "$CLI4" &
    wait_until 5 listening 179
}

signed() { in_cli python3 "$WORK/signed.py" client "$SRV4" "$CLI4"; }

exempt()
{
    local name="$PLACE, closed while the daemon lives" address=any
    [ "$PLACE" = gateway ] && address=$SRV4
    speaks_signed
    began "$(services auto "on_exit = \"drop\"; allow = [\"$ALLOWED\"];" |
        sed "s/services = ( /&$(service signed "$address" 179 'cookies = "always";'), /")"
    check "$name: it is" closed
    check "$name: a SYN that nobody stops passes" fetch 10.78.200.2 "$SRV4"
    flood_start 5000 60 "$SRV4" 80
    check "$name: a flood arms the service" wait_until 5 armed 80
    check "$name: an allowed source passes" fetch "$ALLOWED" "$SRV4"
    check "$name: it is counted as allowed" wait_until 2 counted syn_allowed 1
    check "$name: a proven source passes" fetch 10.78.200.2 "$SRV4"
    check "$name: it is counted as direct" wait_until 2 counted syn_direct 1
    check "$name: a signed connection comes about" signed
    [ "$PLACE" = gateway ] || # which knows of no server's keys
        check "$name: its SYN passes, and is counted" counted syn_signed 1
    check "$name: others are handed over" wait_until 10 handed "$SRV4"
    flood_stop
    check "$name: a clean stop" daemon_stop
    in_daemon nft delete table inet synmoat_closed
}

# ---- conntrack's table is full

tracked() { in_daemon conntrack -C; }
table_fill()
{
    : >"$WORK/filler"
    ip netns exec "$DAEMON_NS" python3 "$TESTS/tools/fillconntrack.py" >"$WORK/filler" &
    FILLER_PID=$!
}
table_is_full() { grep -q full "$WORK/filler"; }
table_empty()
{
    kill "$FILLER_PID"
    wait "$FILLER_PID" 2>/dev/null
    in_daemon conntrack -D -p udp >/dev/null 2>&1
}

conntrack_full()
{
    local name="$PLACE, conntrack table full" before
    if [ "$(in_daemon sysctl -n net.netfilter.nf_conntrack_max)" -gt 600000 ]; then
        skip "$name" "nf_conntrack_max is more than this test fills"
        return
    fi
    in_daemon conntrack -F >/dev/null 2>&1 # what expires makes room
    began "$(services always)"
    check "$name: the service is armed" known
    RATE=1M download_start full --interface 10.78.100.3
    table_fill
    check "$name: it is" wait_until 30 table_is_full
    check "$name: no new client is served" test "$(requests 5 2 "$SRV4")" -eq 0
    check "$name: which is retried, or counted" stat_is '.counters | .handover_retried + .handover_failed + .conntrack_error > 0'
    check "$name: the daemon lives" alive "$DAEMON_PID"
    table_empty
    check "$name: with room again all are served" wait_until 10 all_served
    check "$name: a connection from before lives on" download_whole full

    before=$(settled tracked)
    flood_start 20000 10 "$SRV4" 80 -n 20000
    flood_wait
    settled counter syn_challenged >/dev/null
    check "$name: cookies take no room in it" test "$(tracked)" -lt $((before + 100))
    check "$name: and they were sent" counted syn_challenged 15000
    check "$name: every packet gets its verdict" wait_until 20 queues_empty
    check "$name: a clean stop" daemon_stop
    reopen
}

# ---- netlink sockets fail

# faulty NAME FAULT [COMMAND]: all is done with the fault, and afterwards all is well.
faulty()
{
    local before
    before=$(faults)
    echo "$2" >"$FAULTS"
    "${@:3}"
    check "$1: it came to that" test "$(faults)" -gt "$before"
    : >"$FAULTS"
    check "$1: the daemon lives" alive "$DAEMON_PID"
    check "$1: afterwards all are served" wait_until 15 all_served
    check "$1: afterwards every packet has its verdict" wait_until 15 queues_empty
}
served_in_spite() { check "$1: 40 of 40 are served" test "$(requests 40 4 "$SRV4")" -eq 40; } # NAME

# One handover in three fails: its client gets a RST at once, or is handed over at the second attempt.
end_in_time() # NAME
{
    local before
    before=$(counter conntrack_error)
    requests 40 5 "$SRV4" >/dev/null
    check "$1: counted" counted conntrack_error $((before + 1))
    check "$1: no client waits for nothing" test "$(grep -vc '^200 \|^000 [0-4]\.' "$WORK/requests")" -eq 0
}

resets() { in_cli nft -j list table inet resets | jq '[.. | .counter?.packets? // empty] | add'; }

arming_refused() # NAME
{
    ctl arm web >/dev/null 2>&1
    check "$1: it is said" wait_until 5 log_says 'rules not changed'
    check "$1: it is an event, once" test "$(ctl events --last 256 --json |
        jq '[.events[] | select(.event == "rules-refused" and .level == "error" and (.fields.error | length > 0))] | length')" -eq 1
    check "$1: nothing is armed" unarmed 80
    check "$1: SYNs pass" test "$(requests 5 3 "$SRV4")" -eq 5
    : >"$FAULTS"
    check "$1: it is tried again" wait_until 5 armed 80
    check "$1: that it works again is an event" told rules-accepted
    check "$1: and works" wait_until 10 handed "$SRV4"
}

diag_refused() { check "$1: it is said" wait_until 5 log_says sock_diag; } # NAME

events_refused()
{
    in_daemon nft delete table inet synmoat_keep
    check "$1: 40 of 40 are served" test "$(requests 40 4 "$SRV4")" -eq 40
    check "$1: what others deleted is made again" wait_until 5 keeper_exists
}
keeper_exists() { in_daemon nft list tables | awk '$3 == "synmoat_keep" { found = 1 } END { exit !found }'; }

netlink_faults()
{
    local error name
    faults_launch "$(services always)"
    check "$PLACE, netlink: the service is armed" known
    for error in ENOBUFS EINTR EAGAIN ENOMEM; do
        name="$PLACE, netlink: receiving packets, $error"
        faulty "$name" "queue receive $error 5" served_in_spite "$name"
    done
    in_cli nft 'table inet resets { chain in { type filter hook input priority 0; tcp sport 80 tcp flags rst counter; }; }'
    for error in ENOBUFS EINTR; do
        name="$PLACE, netlink: sending verdicts, $error"
        faulty "$name" "queue send $error 3" served_in_spite "$name"
        name="$PLACE, netlink: asking conntrack, $error"
        faulty "$name" "conntrack send $error 4" end_in_time "$name"
    done
    check "$name: clients that could not be handed over got a RST" test "$(resets)" -gt 0
    name="$PLACE, netlink: hearing of conntrack, ENOBUFS"
    faulty "$name" "conntrack receive ENOBUFS 5" served_in_spite "$name"
    name="$PLACE, netlink: hearing of nftables, ENOBUFS"
    faulty "$name" "events receive ENOBUFS 2" events_refused "$name"
    if [ "$PLACE" = host ]; then
        name="host, netlink: sock_diag, ENOBUFS"
        faulty "$name" "diag send ENOBUFS 1" diag_refused "$name"
    fi
    check "$PLACE, netlink: a clean stop" daemon_stop
    reopen

    name="$PLACE, netlink: rules refused at arming"
    faults_launch "$(services auto)"
    requests 2 2 "$SRV4" >/dev/null
    faulty "$name" "nftables send ENOMEM 1" arming_refused "$name"
    check "$name: a clean stop" daemon_stop
    reopen
}
