# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The test bench: three network namespaces, real programs, no sleeps-and-hope.
#
#   ┌───────── smcli ─────────┐                    ┌─────── smsrv ────────┐
#   │ real clients            │                    │ server and synmoatd  │
#   │ c0   10.77.1.2/24       ├────────────────────┤ eth0  10.77.1.1/24   │
#   │      fd77:1::2/64       │                    │       fd77:1::1/64   │
#   │ lo   10.78.0.0/16       │                    │ 10.78.0.0/16 and     │
#   │      fd78::/64          │                    │ fd78::/64 via c0     │
#   │      (all of it, local) │                    │                      │
#   └─────────────────────────┘                    │                      │
#   ┌───────── smatk ─────────┐                    │                      │
#   │ attacker, spoofing      │                    │                      │
#   │ a0   10.77.2.2/24       ├────────────────────┤ eth1  10.77.2.1/24   │
#   │      fd77:2::2/64       │                    │       fd77:2::1/64   │
#   └─────────────────────────┘                    │ default route via a0 │
#                                                  └──────────────────────┘
#
# Answers to spoofed sources follow the default route to the attacker, who drops them silently.
# A script sources this file, calls topo_up, and names what it saw with check, pass, fail or skip.

set -u

# What tests/deps installs, not what else is there by the same name: to start python3 by a version manager's shim takes
# ten times as long.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=$(dirname "$TESTS")/build
# A script that another one runs takes the program itself, not what as_unit() has made of it.
SYNMOATD=$(realpath -m "${AS_ROOT:-${SYNMOATD:-$BUILD/synmoatd}}")
SYNMOATCTL=$(realpath -m "${SYNMOATCTL:-$BUILD/synmoatctl}")
TOOLS=$(realpath -m "${TOOLS:-$BUILD/tests}")
RESULTS=${RESULTS:-/dev/null}
read -ra UNDER <<<"${SYNMOATD_UNDER:-}" # e.g. "valgrind --leak-check=full"
# What synmoatd runs as: unit (a user who is not root, with what systemd/ grants and no more) or root.
PRIVILEGES=${PRIVILEGES:-unit}
[ ${#UNDER[@]} -eq 0 ] || PRIVILEGES=root
UNIT_USER=64321 # has no name, and no group but its own

SRV=smsrv-$$ CLI=smcli-$$ ATK=smatk-$$
DAEMON_NS=$SRV                  # where synmoatd runs
NAMESPACES=("$SRV" "$CLI" "$ATK") # that topo_down takes away
SRV4=10.77.1.1 SRV6=fd77:1::1
CLI4=10.77.1.2 CLI6=fd77:1::2
WORK=$(mktemp -d /tmp/synmoat.XXXXXX)
DAEMON_PID='' NGINX_PID='' FLOOD_PID='' CROWD_PID='' FAILED=0
export SRV CLI ATK DAEMON_NS SRV4 SRV6 CLI4 CLI6 WORK NGINX_PID
chmod 755 "$WORK"
: >"$WORK/daemon.log"

# unit_capabilities FILE...: those that units grant, as setpriv takes them.
unit_capabilities()
{
    sed -n 's/^CapabilityBoundingSet=//p' "$@" | tr ' ' '\n' | sed 's/^CAP_/,+/' | tr '[:upper:]' '[:lower:]' |
        tr -d '\n' | sed 's/^/-all/'
}

# as_unit [GROUP]: SYNMOATD is from now on one that the service manager would have started as systemd/synmoat.service and
# its drop-in say, in that group.
as_unit()
{
    local capabilities group=${1:-$UNIT_USER}
    capabilities=$(unit_capabilities "$TESTS/../systemd/synmoat.service" "$TESTS/../systemd/fast.conf")
    SYNMOATD=$WORK/as-unit/synmoatd
    mkdir -p "$WORK/as-unit"
    ln -sf "$SYNMOATCTL" "$WORK/as-unit/synmoatctl"
    cat >"$SYNMOATD" <<-END
	#!/bin/sh
	exec setpriv --reuid $UNIT_USER --regid $group --clear-groups --no-new-privs --bounding-set=$capabilities \
	    --inh-caps=$capabilities --ambient-caps=$capabilities "$AS_ROOT" "\$@" </proc/net/netfilter/nfnetlink_queue
	END
    chmod 755 "$SYNMOATD"
}

AS_ROOT=$SYNMOATD # what an operator types: root looks at a host with -k
export AS_ROOT
[ "$PRIVILEGES" = root ] || as_unit
# unit_group GROUP: for what comes, the unit has this Group=.
unit_group() { [ "$PRIVILEGES" = root ] || as_unit "$1"; }

# unit_owns PATH...: as a RuntimeDirectory= or StateDirectory= is its, or a secret that it is to read.
unit_owns() { [ "$PRIVILEGES" = root ] || chown "$UNIT_USER:$UNIT_USER" "$@"; }
unit_owns "$WORK" # its sockets are there

# faults_file FILE: no faults as yet, for netlink_faults.so in the daemon, which counts in FILE.count.
faults_file()
{
    : | tee "$1" >"$1.count"
    unit_owns "$1.count"
}

# ---- results

_result() { echo "$1 $2" >>"$RESULTS"; }
pass() { _result pass "$1"; echo "ok - $1"; }
skip() { _result skip "$1"; echo "ok - $1 # SKIP ${2:-}"; }
fail() { _result fail "$1"; FAILED=$((FAILED + 1)); echo "not ok - $1${2:+ # $2}"; }

# check NAME CMD...: the exit code decides; a failure shows the command and the end of the daemon's log.
check()
{
    local name=$1; shift
    if "$@"; then
        pass "$name"
    else
        fail "$name" "$*"
        sed 's/^/    | /' <(tail -n 30 "$WORK/daemon.log") >&2
    fi
}

# exits CODE CMD...: what it said is in $WORK/stdout and $WORK/stderr.
exits()
{
    local code=$1 got=0; shift
    "$@" >"$WORK/stdout" 2>"$WORK/stderr" || got=$?
    [ "$got" -eq "$code" ] && return
    echo "exit code $got" | cat - "$WORK/stdout" "$WORK/stderr" >&2
    return 1
}

_finish()
{
    local status=$?
    trap - EXIT
    topo_down
    [ -z "${KEEP_WORK:-}" ] && rm -rf "$WORK"
    [ "$FAILED" -gt 0 ] && status=1
    exit "$status"
}
trap _finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_until SECONDS CMD...: poll every 50 ms; 1 when the limit passes first. A machine, or a command, that is too slow for
# five polls a second is given up to three times as long.
wait_until()
{
    local begun=${EPOCHREALTIME/[.,]/} limit us polls=0
    limit=$(printf %.0f "${1}e6"); shift
    until "$@"; do
        us=$((${EPOCHREALTIME/[.,]/} - begun)) polls=$((polls + 1))
        ((us < limit || (us < 3 * limit && polls < limit / 200000))) || return 1
        sleep 0.05
    done
}

# settled CMD...: prints what CMD prints, once it has been the same for half a second (10 s limit).
settled()
{
    local now before='' same=0 tries
    for ((tries = 0; tries < 100 && same < 5; tries++)); do
        now=$("$@")
        if [ "$now" = "$before" ]; then same=$((same + 1)); else same=0; fi
        before=$now
        sleep 0.1
    done
    echo "$now"
}

is_v6() { [[ $1 == *:* ]]; }
url_host() { if is_v6 "$1"; then echo "[$1]"; else echo "$1"; fi; }
now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
alive() { kill -0 "$1" 2>/dev/null; }
gone() { ! alive "$1"; }

# ---- topology

in_srv() { ip netns exec "$SRV" "$@"; }
in_cli() { ip netns exec "$CLI" "$@"; }
in_atk() { ip netns exec "$ATK" "$@"; }
in_daemon() { ip netns exec "$DAEMON_NS" "$@"; }

# Neighbours are written down, not asked for: an unanswered ARP would look like a lost SYN.
_end() # NS DEV SUBNET HOST PEER
{
    ip -n "$1" addr add "10.77.$3.$4/24" dev "$2"
    ip -n "$1" addr add "fd77:$3::$4/64" dev "$2" nodad
    ip -n "$1" link set "$2" up
    ip -n "$1" neigh add "10.77.$3.$5" lladdr "02:00:00:00:0$3:0$5" dev "$2" nud permanent
    ip -n "$1" neigh add "fd77:$3::$5" lladdr "02:00:00:00:0$3:0$5" dev "$2" nud permanent
}

_link() # NS DEV OTHER_NS OTHER_DEV SUBNET
{
    ip link add "$2" netns "$1" mtu 1500 address "02:00:00:00:0$5:01" type veth \
        peer name "$4" netns "$3" mtu 1500 address "02:00:00:00:0$5:02"
    _end "$1" "$2" "$5" 1 2
    _end "$3" "$4" "$5" 2 1
}

# namespaces_up NS...: new ones; those of an earlier call, and all that ran in them, are gone then.
namespaces_up()
{
    local ns
    topo_down
    for ns; do
        ip netns add "$ns" || exit 1
        ip netns exec "$ns" sysctl -qw net.ipv6.conf.{all,default}.accept_dad=0 \
            net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
        ip -n "$ns" link set lo up
    done
}

_server_sysctls()
{
    in_srv sysctl -qw net.ipv4.conf.{all,default}.rp_filter=1 net.ipv4.tcp_syncookies=0
    [ "$(in_srv sysctl -n net.ipv4.tcp_max_syn_backlog)" -ge 1024 ] ||
        in_srv sysctl -qw net.ipv4.tcp_max_syn_backlog=1024
}

# The client has many addresses, and NS, to whom it is linked, knows the way to them; what NS does not know goes to the
# attacker.
_client_addresses() # NS
{
    in_cli sysctl -qw net.ipv4.ip_nonlocal_bind=1 net.ipv6.ip_nonlocal_bind=1
    ip -n "$CLI" route add local 10.78.0.0/16 dev lo
    ip -n "$CLI" route add local fd78::/64 dev lo
    ip -n "$1" route add 10.78.0.0/16 via 10.77.1.2
    ip -n "$1" route add fd78::/64 via fd77:1::2
    ip -n "$1" route add default via 10.77.2.2
    ip -n "$1" route add default via fd77:2::2
}

topo_up()
{
    namespaces_up "$SRV" "$CLI" "$ATK"
    _server_sysctls
    _link "$SRV" eth0 "$CLI" c0 1
    _link "$SRV" eth1 "$ATK" a0 2
    _client_addresses "$SRV"
    wait_until 5 _links_up "$SRV" 2 || { echo "topo_up: links do not come up" >&2; exit 1; }
}

topo_down()
{
    local ns
    for ns in "${NAMESPACES[@]}"; do
        ip netns pids "$ns" | xargs -r kill -9
        ip netns del "$ns"
    done
    wait
} 2>/dev/null # "no such namespace", and the shell's own "Killed" notices

_links_up() { [ "$(ip -n "$1" -br link | grep -c '^eth.* UP ')" -eq "$2" ]; } # NS COUNT

# ---- the daemon

_ready_or_dead() { grep -qw ready "$WORK/daemon.log" || gone "$DAEMON_PID"; }

# daemon_launch CMD...: runs CMD in the daemon's namespace and waits for its word `ready`.
daemon_launch()
{
    : >"$WORK/daemon.log" # at once, lest the last daemon's word be taken for this one's
    ip netns exec "$DAEMON_NS" "$@" >>"$WORK/daemon.log" 2>&1 &
    DAEMON_PID=$!
    wait_until 10 _ready_or_dead && alive "$DAEMON_PID" && return
    echo "synmoatd did not get ready:" >&2
    sed 's/^/    | /' "$WORK/daemon.log" >&2
    return 1
}

config_write() # TEXT
{
    echo "$1" >"$WORK/synmoat.conf"
    grep -Eq '^[[:space:]]*control' "$WORK/synmoat.conf" ||
        echo "control = { socket = \"$WORK/ctl.sock\"; };" >>"$WORK/synmoat.conf"
    # ACCELERATOR=auto: any test with the XDP tier before the queue, on the interfaces that SYNs come in by
    grep -Eq '^[[:space:]]*accelerator' "$WORK/synmoat.conf" ||
        echo "accelerator = \"${ACCELERATOR:-off}\"; xdp = { interfaces = [ \"eth0\", \"eth1\" ]; sample_per_s = 1; };" >>"$WORK/synmoat.conf"
}

daemon_start() # [CONFIG_TEXT]
{
    config_write "${1:-}"
    daemon_launch "${UNDER[@]}" "$SYNMOATD" -c "$WORK/synmoat.conf"
}

# service NAME ADDRESS PORTS [MORE]: one entry of `services`.
service() { echo "{ name = \"$1\"; address = \"$2\"; ports = [$3]; ${4:-} }"; }

table_exists() { in_daemon nft list tables | awk '$3 == "synmoat" { found = 1 } END { exit !found }'; }
table_gone() { ! table_exists; }

# daemon_stop: SIGTERM; returns the daemon's exit code, 124 when it did not end, 125 when its table stayed.
daemon_stop()
{
    local code=0
    kill -TERM "$DAEMON_PID"
    wait_until 10 gone "$DAEMON_PID" || { kill -9 "$DAEMON_PID"; code=124; }
    wait "$DAEMON_PID" || code=$?
    table_gone || { echo "table synmoat is still there" >&2; code=125; }
    return "$code"
}

daemon_kill() { kill -9 "$DAEMON_PID"; wait "$DAEMON_PID" 2>/dev/null; }

ctl() { in_daemon "$SYNMOATCTL" -s "$WORK/ctl.sock" "$@"; }
# as_nobody WORDS..., as_member WORDS...: synmoatctl by who may not do anything, or is in the group games, from where he can
# run it.
as_nobody() { _ctl_with --clear-groups "$@"; }
as_member() { _ctl_with --groups=games "$@"; }
_ctl_with()
{
    local groups=$1; shift
    [ -x "$WORK/synmoatctl" ] || install -m 755 "$SYNMOATCTL" "$WORK/synmoatctl"
    in_srv setpriv --reuid nobody --regid nogroup "$groups" "$WORK/synmoatctl" -s "$WORK/ctl.sock" "$@"
}
stat_get() { ctl status --json | jq -r "$1"; }
stat_is() { [ "$(stat_get "$1" 2>/dev/null)" = true ]; } # JQ_EXPR that says true or false
counter() { stat_get ".counters.$1"; }
counted() { [ "$(counter "$1")" -ge "$2" ]; } # COUNTER AT_LEAST
sanitized() { ldd "$AS_ROOT" | grep -q libasan; } # what memory it has, and its speed, are not its own then
log_says() { grep -q -- "$1" "$WORK/daemon.log"; }
log_lines() { grep -c -- "$1" "$WORK/daemon.log"; }
# told EVENT [JQ_EXPR]: among the last events is one such, of which that is true.
told() { ctl events --last 256 --json | says_true "[.events[] | select(.event == \"$1\") | ${2:-true}] | any"; }

# says_true [jq options] FILTER [FILE]: nothing at all is not true, as it is to jq -e.
says_true() { [ "$(jq "$@")" = true ]; }

service_is() # PORT FIELD VALUE
{
    stat_is "[.services[] | select(.port == $1)] | length > 0 and all(.[]; (.$2 | tostring) == \"$3\")"
}
armed() { stat_is "any(.services[]; .port == $1 and .armed)"; } # PORT
unarmed() { service_is "$1" armed false; }

# explained SRC WORD [DST:PORT]: what a SYN from there would meet now; to port 80 if nothing else is said.
explained()
{
    local at=${3:-}
    [ -n "$at" ] || at=$SRV4:80
    if is_v6 "$1" && [ -z "${3:-}" ]; then at="[$SRV6]:80"; fi
    # shellcheck disable=SC2016 # the variable is jq's
    ctl explain "$1" "$at" --json 2>/dev/null |
        says_true --arg word "$2" '.verdicts | length == 1 and .[0].outcome == $word'
}

# The packets that the kernel has put into the daemon's queues for SYNs so far, as the kernel counts them: of three per
# shard, the first and the last.
syns_queued()
{
    # number, portid, length, mode, range, dropped, dropped to the socket, sequence (nfnetlink_queue.c, seq_show)
    in_daemon cat /proc/net/netfilter/nfnetlink_queue |
        awk -v shards="$(stat_get .shards)" '$1 < 16384 + shards || $1 >= 16384 + 2 * shards { sum += $8 }
                                             END { print sum + 0 }'
}

# ---- the server and its legitimate clients

_nginx_listens() # BACKLOG
{
    local address
    for address in ${NGINX_AT:-0.0.0.0 ::}; do
        if is_v6 "$address"; then echo "listen [$address]:80 ipv6only=on backlog=$1;"
        else echo "listen $address:80 backlog=$1;"; fi
    done
}

# nginx_start [BACKLOG]: $WORK/www on port 80, v4 and v6, or at the addresses NGINX_AT, each with a backlog of its own;
# NGINX_LISTEN adds listen lines.
nginx_start()
{
    local backlog=${1:-511}
    mkdir -p "$WORK/www" "$WORK/nginx"
    [ -e "$WORK/www/index.html" ] || echo 'A real page from a real server.' >"$WORK/www/index.html"
    cat >"$WORK/nginx.conf" <<-END
	user root;
	daemon off;
	worker_processes 1;
	worker_rlimit_nofile 65536;
	pid $WORK/nginx/pid;
	error_log $WORK/nginx/error.log;
	events { worker_connections 32768; }
	http {
	    access_log off;
	    keepalive_timeout 65;
	    client_body_temp_path $WORK/nginx/body;
	    proxy_temp_path $WORK/nginx/proxy;
	    fastcgi_temp_path $WORK/nginx/fastcgi;
	    uwsgi_temp_path $WORK/nginx/uwsgi;
	    scgi_temp_path $WORK/nginx/scgi;
	    server {
	        $(_nginx_listens "$backlog")
	        ${NGINX_LISTEN:-}
	        root $WORK/www;
	    }
	}
	END
    ip netns exec "$SRV" nginx -e "$WORK/nginx/error.log" -c "$WORK/nginx.conf" &
    NGINX_PID=$!
    wait_until 5 listening 80 || { cat "$WORK/nginx/error.log" >&2; exit 1; }
}

listening() { in_srv ss -Hltn "sport = $1" | grep -q .; } # PORT

# client_address INDEX v4|v6 destination
client_address()
{
    if is_v6 "$2"; then printf 'fd78::%x\n' "$1"
    else printf '10.78.%d.%d\n' $(($1 >> 8 & 255)) $(($1 & 255)); fi
}

# requests N TIMEOUT_S DST [BASE]: N curls, each from a new address; prints how many got a 200.
# Without BASE the addresses go on where the last call ended. PORT and PARALLEL come from the environment;
# $WORK/requests holds a line "CODE SECONDS" for each.
requests()
{
    local n=$1 limit=$2 dst=$3 base i
    base=${4:-$(cat "$WORK/next_client" 2>/dev/null || echo 1)}
    echo $((base + n)) >"$WORK/next_client"
    for ((i = base; i < base + n; i++)); do client_address "$i" "$dst"; done |
        in_cli xargs -P "${PARALLEL:-20}" -I{} curl -s -o /dev/null -w '%{http_code} %{time_total}\n' \
            --connect-timeout "$limit" --max-time "$limit" --interface {} \
            "http://$(url_host "$dst"):${PORT:-80}/" >"$WORK/requests" 2>/dev/null
    grep -c '^200 ' "$WORK/requests"
}

# fetch SRC DST [LIMIT_S]: one page, PORT from the environment; the exit code says whether it came.
fetch()
{
    in_cli curl -sf -o /dev/null --connect-timeout "${3:-5}" --max-time "${3:-5}" --interface "$1" \
        "http://$(url_host "$2"):${PORT:-80}/"
}
refused() { ! fetch "$1" "$2" 1; } # SRC DST: no page within a second

# crowd_start [clients.py options] DST...: clients, until crowd_end; then $WORK/crowd tells how they fared.
crowd_start()
{
    touch "$WORK/crowd_on"
    ip netns exec "$CLI" python3 "$TESTS/tools/clients.py" --while-file "$WORK/crowd_on" "$@" >"$WORK/crowd" &
    CROWD_PID=$!
}
crowd_end() { rm -f "$WORK/crowd_on"; crowd_wait; }
crowd_wait() { wait "$CROWD_PID"; }
crowd_is() # JQ_EXPR
{
    says_true "$1" "$WORK/crowd" && return
    cat "$WORK/crowd" >&2
    return 1
}

# silent SRC: a client host that leaves SYN-ACKs it did not ask for without an answer, as behind a stateful firewall.
silent()
{
    local family=ip
    is_v6 "$1" && family=ip6
    in_cli nft "table inet silent { chain out {
        type filter hook output priority 0; $family saddr $1 tcp flags rst drop; }; }"
}

# ---- the attacker

# SYNs in the name of a real client's address come in where the attacker is.
spoofing_allowed() { in_daemon sysctl -qw net.ipv4.conf.{all,eth1}.rp_filter=0; }

# flood_start RATE SECONDS DST PORT [synflood options]
flood_start()
{
    local rate=$1 seconds=$2 dst=$3 port=$4; shift 4
    ip netns exec "$ATK" "$TOOLS/synflood" -i a0 -m 02:00:00:00:02:01 \
        -r "$rate" -t "$seconds" "$@" "$dst" "$port" >"$WORK/flood.log" 2>&1 &
    FLOOD_PID=$!
}
flood_wait() { wait "$FLOOD_PID"; }
flood_stop() { kill "$FLOOD_PID" 2>/dev/null; wait "$FLOOD_PID" 2>/dev/null; }
