#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source-path=SCRIPTDIR source=../lib.sh
#
# What check-vm runs inside: a package's life on a real Debian, as its admin sees it. The host itself is the server, with
# sshd and nginx as Debian sets them up; the client and the attacker of lib.sh are namespaces beside it. There is no
# hardware virtualization: everything takes ten times as long, so waits are long and floods are small.
PRIVILEGES=root # the service manager itself takes care of that
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../flooding.sh
. "$TESTS/flooding.sh"
# shellcheck source=documents.sh
. "$TESTS/vm/documents.sh"
# shellcheck source=faults.sh
. "$TESTS/vm/faults.sh"

NAMESPACES=("$CLI" "$ATK") # the server's is the host's own, and stays
RESULTS=$OUT/results
DEB=$(dirname "$TESTS")/synmoat.deb
CONF=/etc/synmoat/synmoat.conf
FLOOD_PPS=1500
RTT_MS=50
LONG=120 # seconds; for what takes a moment elsewhere

ctl() { synmoatctl "$@"; }
part() { echo "# $(cut -d. -f1 /proc/uptime) s: $1"; }
unit() { systemctl show -P "$1" synmoat.service; }
is_active() { systemctl -q is-active synmoat.service; }
module_loaded() { [ -d "/sys/module/$1" ]; }
# A page and sshd's greeting, by IPv4 and IPv6.
served()
{
    # shellcheck disable=SC2016 # the other shell's
    in_cli timeout $LONG bash -c '
        curl -sf --fail-early -o /dev/null "http://$1/" -o /dev/null "http://[$2]/" || exit
        for address; do
            read -r greeting <"/dev/tcp/$address/22" && [[ $greeting == SSH-2.0* ]] || exit
        done' - "$SRV4" "$SRV6"
}
tables_are() { [ "$(nft list tables | awk '$3 ~ /^synmoat/ { print $3 }' | sort | xargs)" = "$*" ]; }
answers() { ctl version >/dev/null 2>&1; }
up() { is_active && answers; }
reloads() { grep -c 'configuration reloaded' "$WORK/daemon.log"; }
more_reloads() { [ "$(reloads)" -gt "$1" ]; }

# reload_with TEXT: with this as the configuration, and returns once it is in force.
reload_with()
{
    local before
    before=$(reloads)
    echo "$1" >$CONF
    systemctl reload synmoat && wait_until $LONG more_reloads "$before"
}

# ---- the host, before

boot()
{
    check "the kernel is Debian's own 6.1" grep -q '^Linux version 6\.1\..*debian' /proc/version
    check "the host is up, and nothing has failed" test "$(systemctl is-system-running --wait)" = running
}

network()
{
    ip netns attach "$SRV" 1
    namespaces_up "$CLI" "$ATK"
    _link "$SRV" eth0 "$CLI" c0 1
    _link "$SRV" eth1 "$ATK" a0 2
    _client_addresses "$SRV"
    sysctl -qw net.ipv4.tcp_syncookies=0 # synmoatd alone shall stand before the flood
    wait_until $LONG _links_up "$SRV" 2
    check "sshd and nginx serve before there is synmoat" served
    check "no packet queue is in use" not module_loaded nfnetlink_queue
}
not() { ! "$@"; }

# ---- dpkg -i

quietly() { "$@" >"$WORK/said" 2>&1 || { cat "$WORK/said"; false; }; } # dpkg counts to a hundred on a terminal

installation()
{
    check "dpkg installs the package, without a network" quietly dpkg -i "$DEB"
    check "it is started" wait_until $LONG up
    up || exit 1 # what follows would only wait, and fail
    check "and enabled for the next boot" systemctl -q is-enabled synmoat.service
    journalctl -u synmoat -o cat -f -n all >"$WORK/daemon.log" 2>/dev/null &
    disown
    check "nobody had to restart it" test "$(unit NRestarts)" -eq 0
    check "the kernel loaded the modules by itself" module_loaded nft_queue
    check "the package's configuration is found right" synmoatd -t -c $CONF
}

service_unit()
{
    STATUS=$(cat "/proc/$(unit MainPID)/status")
    check "systemd is told when it is ready" test "$(unit Type)" = notify
    check "systemd watches it" test "$(unit WatchdogUSec)" != 0 -a "$(unit WatchdogUSec)" != infinity
    check "it runs as the user synmoat" test "$(stat -c %U "/proc/$(unit MainPID)")" = synmoat
    check "it has CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON and CAP_BPF" process_has CapEff 000000c000003000
    check "and cannot get any other" process_has CapBnd 000000c000003000
    check "it cannot get new privileges" process_has NoNewPrivs 1
    check "its system calls are filtered" process_has Seccomp 2
    check "systemd-analyze finds no fault with the unit" unit_is_right
    check "its exposure is 1.8 at most" exposure_at_most 1.8
    writable_to_it >"$WORK/writable"
    check "it can write to its own directories" grep -qx /run/synmoat "$WORK/writable"
    check "and, but for a /tmp that nobody else sees, nowhere else" \
        not grep -vE '^/(run/synmoat|var/lib/synmoat|tmp|var/tmp)(/|$)' "$WORK/writable"
}
# Files and directories, as the service sees them: in its mount namespace, by its user.
writable_to_it()
{
    nsenter -t "$(unit MainPID)" -m setpriv --reuid synmoat --regid synmoat --clear-groups --bounding-set=-all --inh-caps=-all \
        find / \( -path /proc -o -path /sys \) -prune -o \( -type f -o -type d \) -writable -print 2>/dev/null
}
process_has() { [[ $STATUS =~ (^|[[:space:]])$1:[[:space:]]*$2([[:space:]]|$) ]]; } # KEY VALUE
unit_is_right() { ! systemd-analyze verify --man=no synmoat.service 2>&1 | grep -i synmoat; }
exposure_at_most()
{
    systemd-analyze security --no-pager synmoat.service |
        awk -v limit="$1" '/Overall exposure level/ { seen = 1; sub(/.*: /, ""); print "# exposure " $1; over = $1 > limit }
                           END { exit !seen || over }'
}

native_queue()
{
    nft list table inet synmoat >"$WORK/table"
    check "its rules use the queue expression of nftables" grep -Eq '[[:space:]]queue .*(to|num) [0-9]' "$WORK/table"
    check "and not the xtables target" not grep -q 'xt target' "$WORK/table"
}

# ---- the first five minutes

# The first ten lines of status name the port, with what arms it.
told() { sed -n 1,10p "$WORK/status" | grep -Eq "(0\.0\.0\.0|any|\*|\[::\]):$1[ :].*arms at [0-9]"; }

first_minutes() # WHICH
{
    check "$1: it is up" wait_until $LONG up
    ctl status | tee "$WORK/status"
    check "$1: status tells in ten lines what arms sshd" told 22
    check "$1: status tells in ten lines what arms nginx" told 80
    check "$1: sshd and nginx are served, IPv4 and IPv6" served
    check "$1: what passed is counted" stat_is '.counters | .syn_accepted >= 4 and .syn_challenged == 0'
    check "$1: synmoatctl check finds no fault" no_fault
}
no_fault() { ctl check --json | says_true '.checks | length > 0 and all(.[]; .level != "fault")' || { ctl check; false; }; }

no_configuration()
{
    mv $CONF "$WORK/delivered.conf"
    systemctl restart synmoat
    first_minutes "no configuration"
}

# ---- a flood

attached() { ip -d link show | grep -qE ' xdp|prog/xdp'; }

flood()
{
    local got
    check "reload takes a right configuration over" reload_with "$QUICK"
    flood_start $FLOOD_PPS 600 "$SRV4" 80
    check "flooded: nginx is armed" wait_until $LONG armed 80
    check "flooded: sshd is not" unarmed 22
    check "flooded: the XDP program answers" wait_until $LONG stat_is '.accelerator.answered > 100'
    check "flooded: on the interface of the default route" stat_is '[.accelerator.interfaces[].name] == ["eth1"]'
    got=$(PARALLEL=4 requests 20 $LONG "$SRV4")
    check "flooded: 20 of 20 clients get their page" test "$got" -eq 20
    check "flooded: so do sshd's, and who comes by IPv6" served
    check "flooded: the flood is still on then" alive "$FLOOD_PID"
    flood_stop
    check "flooded: clients were handed over" counted handed_over 10
    check "flooded: no handover failed" test "$(counter handover_failed)" -eq 0
    check "flooded: when it is over nginx is disarmed" wait_until $LONG peaceful
    check "flooded: and no program is left" wait_until $LONG not attached
    check "flooded: every SYN has exactly one outcome" wait_until $LONG syns_add_up
    check "flooded: the log says when it was armed" log_has_keys ' armed' rate half_open threshold sources top
    check "flooded: and disarmed" wait_until $LONG log_says ' disarmed'
}

# journal MESSAGE JQ: some entry of the unit that says MESSAGE is as JQ says.
journal()
{
    # shellcheck disable=SC2016 # the variable is jq's
    journalctl -u synmoat -o json | says_true -s --arg message "$1" \
        'any(.[] | select((.MESSAGE | type) == "string" and (.MESSAGE | test($message))); '"$2"')'
}

journal_entries()
{
    check "the journal has its word that it is ready" journal ready '.PRIORITY == "6" and ._SYSTEMD_UNIT == "synmoat.service"'
    if [ ! -e /usr/lib/systemd/catalog/synmoat.catalog ]; then
        skip "the journal has events with fields" "there is no catalog in the package"
        return
    fi
    check "the journal knows that as an event" journal ready '(.MESSAGE_ID | length) == 32'
    check "the journal has the arming with its fields" journal ' armed' \
        '(.MESSAGE_ID | length) == 32 and (keys | any(startswith("SYNMOAT_")))'
    check "the catalog explains it" catalog_explains
}
catalog_explains()
{
    local id
    id=$(journalctl -u synmoat -o json | jq -rs '[.[] | select(.MESSAGE_ID) | select(.MESSAGE | test(" armed"))][0].MESSAGE_ID')
    journalctl --catalog -u synmoat "MESSAGE_ID=$id" | grep -q "Subject: "
}

# ---- what goes wrong

bad_configuration()
{
    local pid
    pid=$(unit MainPID)
    echo 'backlog = { arm_percent = 120; };' >$CONF
    check "reload with a wrong configuration fails" not systemctl reload synmoat
    check "the old one stays in force, in the same process" test "$(unit MainPID)" = "$pid"
    check "and serves" served
    check "the journal says which line is wrong" wait_until $LONG log_says "synmoat.conf:1: backlog.arm_percent is 120"
    echo "$QUICK" >$CONF
}

# Comes back by itself, as another process.
back() { [ "$(unit NRestarts)" -gt "$RESTARTS" ] && [ "$(unit MainPID)" != "$PID" ] && up; }
remember() { RESTARTS=$(unit NRestarts) PID=$(unit MainPID); }

restarts()
{
    remember
    kill -STOP "$PID"
    check "stopped by SIGSTOP: systemd's watchdog starts it again" wait_until $LONG back
    check "stopped by SIGSTOP: it protects again" wait_until $LONG table_exists
    check "stopped by SIGSTOP: sshd and nginx are served" served
    check "stopped by SIGSTOP: the journal says why" \
        journal_of_systemd "watchdog"
    remember
    kill -9 "$PID"
    check "killed: it is started again" wait_until $LONG back
    check "killed: sshd and nginx are served" served
}

# As the drop-in says how.
without_drop_in()
{
    local own=/etc/systemd/system/synmoat.service.d
    mkdir -p "$own" && ln -s /dev/null "$own/fast.conf"
    check "without fast.conf: it starts" restarted
    STATUS=$(cat "/proc/$(unit MainPID)/status")
    check "without fast.conf: it has CAP_NET_ADMIN and CAP_NET_RAW alone" process_has CapBnd 0000000000003000
    check "without fast.conf: its exposure is 1.5 at most" exposure_at_most 1.5
    check "without fast.conf: the log says that there is no XDP" wait_until $LONG log_says 'no XDP: .*CAP_BPF'
    check "without fast.conf: and that all is queued" wait_until $LONG log_says 'packet sockets are not permitted'
    check "without fast.conf: sshd and nginx are served" served
    rm -r "$own"
    check "with it again: it starts" restarted
}
restarted() { systemctl daemon-reload && systemctl restart synmoat && wait_until $LONG up; }
journal_of_systemd() { journalctl -u synmoat -o cat _PID=1 | grep -qi "$1"; }

# ---- 50 ms away

ALWAYS="$QUICK"' services = ( { name = "web"; address = "any"; ports = [80]; cookies = "always"; } );'

far_away() # add | del
{
    tc -n "$CLI" qdisc "$1" dev c0 root netem delay $((RTT_MS / 2))ms limit 10000 &&
        tc qdisc "$1" dev eth0 root netem delay $((RTT_MS / 2))ms limit 10000
}

# Round trips until the first byte of a page, the best of ten: what the emulated processor adds is not the protocol's.
round_trips()
{
    in_cli python3 "$TESTS/bench/firstbyte.py" --get --count 10 "$SRV4" 80 | sort -n |
        awk -v rtt=$((RTT_MS * 1000)) 'NR == 1 { printf "%.2f\n", $1 / rtt } END { exit NR < 10 }'
}
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && b != "" && a + 0 < b + 0) }'; }

handover_far_away()
{
    local before
    check "always: reload takes it over" reload_with "$ALWAYS"
    before=$(counter handed_over)
    check "netem makes it $RTT_MS ms" far_away add
    HANDED_OVER=$(round_trips)
    check "always: each connection was handed over" counted handed_over $((before + 10))
    far_away del
}

# nft's own example (wiki.nftables.org, "Synproxy").
synproxy_rules()
{
    sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
    nft -f - <<-'END'
	table inet firewall {
	    chain raw {
	        type filter hook prerouting priority raw
	        tcp dport 80 tcp flags & (fin|syn|rst|ack) == syn notrack
	    }
	    chain input {
	        type filter hook input priority filter
	        tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
	        ct state invalid drop
	    }
	}
	END
}

# While synmoatd is stopped.
others_far_away()
{
    local direct synproxy=''
    far_away add
    direct=$(round_trips)
    if synproxy_rules; then
        synproxy=$(round_trips)
        nft delete table inet firewall
    fi
    far_away del
    echo "# round trips to the first byte: direct $direct, handed over $HANDED_OVER, SYNPROXY ${synproxy:-not in this kernel}"
    check "$RTT_MS ms away: direct, the first byte comes after 2 round trips" less "$direct" 2.6
    check "$RTT_MS ms away: handed over, it comes after 2 round trips, too" less "$HANDED_OVER" 2.6
    if [ -n "$synproxy" ]; then
        check "$RTT_MS ms away: by SYNPROXY it takes longer" less "$HANDED_OVER" "$synproxy"
    else
        skip "$RTT_MS ms away: by SYNPROXY it takes longer" "not in this kernel"
    fi
}

# ---- stop and purge

# One connection that lives through the stop: a page for every line that it is told, and the answer's first line.
talk_begin()
{
    # shellcheck disable=SC2016 # the other shell's
    coproc TALK { exec ip netns exec "$CLI" bash -c '
        exec 5<>"/dev/tcp/$1/80"
        while read -r; do
            printf "HEAD / HTTP/1.1\r\nHost: vm\r\n\r\n" >&5
            read -r first <&5
            echo "$first"
            until read -r line <&5 && [ ${#line} -le 1 ]; do :; done # the empty one, with its CR
        done' - "$SRV4"; }
}
talk()
{
    local answer
    echo >&"${TALK[1]}" && read -r -t $LONG answer <&"${TALK[0]}" && [[ $answer == "HTTP/1.1 200"* ]]
}
talk_end() { kill "$TALK_PID"; wait "$TALK_PID"; } 2>/dev/null

stop()
{
    local before
    before=$(counter handed_over)
    talk_begin
    check "a connection that is to last is handed over" talk
    check "the daemon counts it" counted handed_over $((before + 1))
    check "stop ends it" systemctl stop synmoat
    check "stopped: it is inactive, not failed" test "$(unit ActiveState)" = inactive
    check "stopped: the keeper alone stays" tables_are synmoat_keep
    check "stopped: sshd and nginx are served" served
    check "stopped: the handed-over connection lives on" talk
}

start_again()
{
    check "started again: it is up" systemctl start synmoat
    check "started again: sshd and nginx are served" served
    check "started again: five of five clients get their page" test "$(PARALLEL=1 requests 5 $LONG "$SRV4")" -eq 5
    check "started again: clients are handed over" counted handed_over 3 # the first is the one that it learns from
    check "started again: the connection from before the stop lives on" talk
}

left_behind()
{
    find / -xdev \( -path /proc -o -path /sys -o -path "$WORK" -o -path "$(dirname "$TESTS")" -o -path /var/log/journal \) \
        -prune -o -name '*synmoat*' -print | grep -v '^/tmp/synmoat'
}

purge()
{
    local id
    remember
    id=$PID
    kill "$TALK_PID"
    conntrack -F 2>/dev/null # nothing that was handed over lives
    check "purge succeeds" quietly dpkg --purge synmoat
    check "purged: the daemon is gone" gone "$id"
    check "purged: systemd knows no such unit" test "$(unit LoadState)" = not-found
    check "purged: no table is left" tables_are
    check "purged: no packet queue is left" test ! -s /proc/net/netfilter/nfnetlink_queue
    check "purged: no file is left" nothing_left
    check "purged: sshd and nginx are served" served
    check "purged: the host is up, and nothing has failed" test "$(systemctl is-system-running)" = running
}
nothing_left() { ! left_behind | tee /dev/stderr | grep -q .; }

part "booted"; boot
part "network"; network
part "dpkg -i"; installation
part "unit"; service_unit; native_queue
part "the first five minutes"; first_minutes "as installed"; no_configuration
part "flood"; flood; journal_entries
part "conntrack"; conntrack_lowered
part "a wrong configuration"; bad_configuration
part "restarts"; restarts
part "without the drop-in"; without_drop_in
part "documents"; documented_commands
part "far away"; handover_far_away
part "stop"; stop; others_far_away; start_again
part "purge"; purge
part "done"
