#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# synmoatd -k and synmoatctl check: every line in its good and in its bad state, made for real; that nothing changes by
# being looked at; and synmoatctl config show.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

host_up()
{
    namespaces_up "$SRV"
    in_srv sysctl -qw net.ipv4.tcp_syncookies=1
}

preflight() { in_srv "${BY[@]}" "$AS_ROOT" -c "$WORK/synmoat.conf" -k >"$WORK/said" 2>"$WORK/errors"; }
BY=() # what runs it

# says CODE LEVEL WHAT [TEXT]: the pre-flight ends so, and has such a line, with the text in it.
says()
{
    local code=0
    preflight || code=$?
    [ "$code" -eq "$1" ] && told "${@:2}" && return
    { echo "exit code $code"; cat "$WORK/said" "$WORK/errors"; } >&2
    return 1
}
told() { grep -- "^$1 *$2: " "$WORK/said" | grep -qF -- "${3:-}"; }            # LEVEL WHAT [TEXT]
silent() { preflight; [ -s "$WORK/said" ] && ! grep -q -- "$1: .*$2" "$WORK/said"; } # WHAT TEXT

listen_up() # PORT BACKLOG
{
    ip netns exec "$SRV" python3 -c 'import signal, socket, sys
s = socket.socket(); s.bind(("", int(sys.argv[1]))); s.listen(int(sys.argv[2])); signal.pause()' "$@" &
    wait_until 10 listening "$1"
}
bound() { in_srv grep -q "^ *$1 " /proc/net/netfilter/nfnetlink_queue; }
# shellcheck disable=SC2016 # awk's own
bound_group() { in_srv awk '{ print $1 }' /proc/net/netfilter/nfnetlink_log | grep -qx "$1"; }
bind_up() # NUMBER
{
    ip netns exec "$SRV" "$TESTS/tools/bindqueue.py" "$1" &
    BINDER=$!
    wait_until 10 bound "$1"
}

# ---- a host as it should be

host_up
config_write 'queues = { shards = 1; first = 100; };'
listen_up 80 128
check "a good host: no fault, and which file counts" says 0 ok config "$WORK/synmoat.conf"
check "a good host: capabilities" told ok capabilities CAP_NET_ADMIN
check "a good host: kernel" told ok kernel nftables
check "a good host: host" told ok host VRF
check "a good host: conntrack" told ok conntrack
check "a good host: syncookies" told ok syncookies
check "a good host: listeners" told ok listeners '1 to protect'
check "a good host: rules" told ok rules
check "a good host: queues" told ok queues '100 to 102'
check "a good host: but no daemon" told warning daemon 'systemctl start synmoat'
check "a good host: that is the only warning" grep -qx '1 warning, 0 faults' "$WORK/said"
check "a good host: nothing on standard error" test ! -s "$WORK/errors"

# ---- the configuration

config_write 'services = ( { name = "web"; ports = [80]; }, { name = "x"; address = "192.0.2.1"; ports = [81]; } );'
check "a good configuration: how many services" says 0 ok config '2 services'
config_write $'\nbacklog = { arm_percent = 0; };'
check "a bad configuration: the line, and what is allowed" says 1 fault config ':2: backlog.arm_percent is 0: allowed'
check "a bad configuration: the host is looked at all the same" told ok syncookies
config_write ''
in_srv "$AS_ROOT" -c "$WORK/none.conf" -k >"$WORK/said" 2>&1
check "a configuration that is not there" told fault config "$WORK/none.conf"
usage() { local code=0; in_srv "$AS_ROOT" "$@" >/dev/null 2>&1 || code=$?; [ $code -eq 2 ]; }
preflight_json() { in_srv "$AS_ROOT" -c "$WORK/synmoat.conf" -k -j | says_true "$1"; }
check "JSON" preflight_json '.checks | length > 8 and all(.[]; has("level") and has("what") and has("text"))'
check "-j without -k is a mistake" usage -j

# ---- who runs it

BY=(setpriv --bounding-set -all --inh-caps -all)
check "without capabilities" says 1 fault capabilities 'no CAP_NET_ADMIN and CAP_NET_RAW: run it as root'
check "without capabilities: what cannot be seen is not praised" silent '\(rules\|kernel\|host\)' .
BY=(setpriv --bounding-set '-all,+net_admin' --inh-caps -all)
check "without CAP_NET_RAW" says 1 fault capabilities 'no CAP_NET_RAW:'
BY=(setpriv --bounding-set '-all,+net_raw' --inh-caps -all)
check "without CAP_NET_ADMIN" says 1 fault capabilities 'no CAP_NET_ADMIN:'
BY=()

# ---- the kernel

# lacks FAULT LEVEL TEXT: a kernel that answers so.
lacks()
{
    local result=0
    echo "$1 1" >"$WORK/faults"
    BY=(env NETLINK_FAULTS="$WORK/faults" LD_PRELOAD="$TOOLS/netlink_faults.so" ASAN_OPTIONS=verify_asan_link_order=0)
    says 1 "$2" kernel "$3" || result=1
    BY=()
    return $result
}
check "a kernel without nftables" lacks 'nftables send EOPNOTSUPP' fault CONFIG_NF_TABLES_INET
check "a kernel without a queue rule" lacks 'nftables send ENOENT' fault CONFIG_NFT_QUEUE
check "a kernel without ct in nftables" told fault kernel CONFIG_NFT_CT
check "a kernel without fib in nftables" told fault kernel CONFIG_NFT_FIB_INET
check "a kernel without log in nftables" told warning kernel CONFIG_NFT_LOG
check "a kernel without packet queues" lacks 'queue send EINVAL' fault CONFIG_NETFILTER_NETLINK_QUEUE
check "a kernel without ctnetlink" lacks 'conntrack send EINVAL' fault CONFIG_NF_CT_NETLINK
check "a kernel without sock_diag" lacks 'diag send ENOENT' fault CONFIG_INET_DIAG

# ---- sysctls

sysctl_says() # NAME VALUE LEVEL WHAT [TEXT]
{
    local before result=0
    before=$(in_srv sysctl -n "$1")
    in_srv sysctl -qw "$1=$2"
    says 0 "${@:3}" || result=1
    in_srv sysctl -qw "$1=$before"
    return $result
}
check "syncookies off" sysctl_says net.ipv4.tcp_syncookies 0 warning syncookies 'net.ipv4.tcp_syncookies = 1'
check "syncookies always" sysctl_says net.ipv4.tcp_syncookies 2 warning syncookies 'net.ipv4.tcp_syncookies = 1'
check "reset on overflow" sysctl_says net.ipv4.tcp_abort_on_overflow 1 warning overflow 'tcp_abort_on_overflow = 0'
check "no reset on overflow" silent overflow .
check "a small somaxconn" sysctl_says net.core.somaxconn 64 warning listeners 'net.core.somaxconn = 64'
in_srv sysctl -qw net.ipv4.tcp_max_syn_backlog=64
check "a small SYN backlog does not matter with syncookies" silent listeners tcp_max_syn_backlog
check "a small SYN backlog matters without" sysctl_says net.ipv4.tcp_syncookies 0 warning listeners \
    'net.ipv4.tcp_max_syn_backlog = 64'
in_srv sysctl -qw net.ipv4.tcp_max_syn_backlog=1024

# ---- a gateway

gateway='mode = "gateway"; services = ( { name = "web"; address = "192.0.2.0/24"; ports = [80]; } );'
config_write "$gateway"
check "a gateway that does not forward" says 1 fault host 'net.ipv4.ip_forward = 1'
in_srv sysctl -qw net.ipv4.ip_forward=1
check "a gateway that forwards" says 0 ok host forwards
check "a gateway: its own listeners do not matter" silent listeners .
(umask 077; echo "0 $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" >"$WORK/secret")
config_write "$gateway gateway = { secret_file = \"$WORK/secret\"; };"
in_srv sysctl -qw net.netfilter.nf_conntrack_tcp_loose=1
check "gateways that share a secret: it is good" says 0 ok secret "$WORK/secret"
check "gateways that share a secret: conntrack is loose" told warning strays 'nf_conntrack_tcp_loose = 0'
in_srv sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
check "gateways that share a secret: conntrack is not loose" silent strays .
chmod 644 "$WORK/secret"
check "gateways that share a secret: others can read it" says 1 fault secret "$WORK/secret"
in_srv sysctl -qw net.ipv4.ip_forward=0

# ---- listeners

config_write 'queues = { shards = 1; first = 100; };'
listen_up 7000 5
check "a tiny backlog" says 0 warning listeners '7000 (5)'
check "a tiny backlog: others are not named" silent listeners '80 ('
config_write 'services = ( { name = "web"; ports = [80]; } );'
check "a tiny backlog of a port that is not protected" says 0 ok listeners
config_write 'services = ( { name = "none"; ports = [4444]; } );'
check "a service that nobody listens for" says 0 warning listeners 'no server listens'
config_write 'services = ( { name = "slow"; ports = [7000]; } );'
check "an accept queue with room" silent accept .
for _ in 1 2 3 4 5 6 7; do
    ip netns exec "$SRV" timeout 20 bash -c 'exec 3<>/dev/tcp/127.0.0.1/7000; sleep 20' 2>/dev/null &
done
check "an accept queue that is full" wait_until 10 says 0 warning accept '7000 (5)'

# ---- queues

host_up
config_write 'queues = { shards = 1; first = 100; };'
bind_up 103
check "a queue behind ours is another's business" says 0 ok queues
kill "$BINDER"
bind_up 101
check "one of our queues is taken" says 1 fault queues '1 of 100 to 102, queue 101'
check "one of our queues is taken: what to change" told fault queues queues.first
config_write 'queues = { shards = 1; first = 200; };'
check "one of our queues is taken: that helps" says 0 ok queues '200 to 202'
kill "$BINDER"
ip netns exec "$SRV" "$TESTS/tools/bindqueue.py" --log 202 &
BINDER=$!
wait_until 10 bound_group 202
check "our NFLOG group is taken" says 0 warning queues '1 of the NFLOG groups 202 to 202'
config_write 'queues = { shards = 1; first = 200; spill = "off"; };'
check "no NFLOG group is wanted" silent queues NFLOG
kill "$BINDER"

# ---- rules of others

# rules_say LEVEL TEXT RULES [CODE]: as the only ones.
rules_say()
{
    in_srv nft flush ruleset
    in_srv nft -f - <<<"table inet other { $3 }" || return 1
    says "${4:-0}" "$1" rules "$2"
}
hook() { echo "chain c { type filter hook $1 priority $2; $3 };"; } # HOOK PRIORITY RULES
config_write 'services = ( { name = "web"; ports = [80, 443]; } ); queues = { shards = 1; first = 100; };'
check "rules that do not matter" rules_say ok none \
    "$(hook prerouting raw 'udp dport 53 notrack; tcp dport 22 notrack; meta mark set mark & 0x03c00000 | 0x7;
                            ct mark set ct mark or 0x1; tcp dport 22 meta mark set 0x400000;')"
check "notrack of a protected port" rules_say warning 'inet other c: notrack' "$(hook prerouting raw 'tcp dport 443 notrack;')"
check "notrack of a range" rules_say warning notrack "$(hook prerouting raw 'tcp dport 400-500 notrack;')"
check "notrack of a range beside" rules_say ok none "$(hook prerouting raw 'tcp dport 81-442 notrack;')"
check "notrack of a set" rules_say warning notrack "$(hook prerouting raw 'tcp dport { 22, 80 } notrack;')"
check "notrack of all" rules_say warning notrack "$(hook prerouting raw 'notrack;')"
check "the mark is set" rules_say warning 'bits of the mark' "$(hook prerouting mangle 'tcp dport 80 meta mark set 1;')"
check "the mark is restored" rules_say warning 'bits of the mark' "$(hook prerouting mangle 'meta mark set ct mark;')"
check "the connection's mark is set" rules_say warning 'bits of the mark' "$(hook input 0 'ct mark set 1;')"
check "a limit before us" rules_say warning 'limit comes before' \
    "$(hook prerouting -400 'tcp flags syn limit rate over 5/second drop;')"
check "a limit behind us" rules_say ok none "$(hook prerouting -200 'tcp flags syn limit rate over 5/second drop;')"
out='ct state established,related accept; oif lo accept;'
check "OUTPUT drops" rules_say warning 'chain inet other c drops' "$(hook output 0 "policy drop; $out")"
advice=$(sed -n "s/.*nft '\(.*\)'.*/\1/p" "$WORK/said")
in_srv nft "$advice"
check "OUTPUT drops: what is advised helps" says 0 ok rules
check "OUTPUT drops by its last rule" rules_say warning 'chain inet other c drops' "$(hook output 0 "$out counter drop;")"
check "OUTPUT drops, but not servers' answers" rules_say ok none "$(hook output 0 "policy drop; $out tcp sport 80 accept;")"
check "OUTPUT drops, but not what is untracked" rules_say ok none \
    "$(hook output 0 'policy drop; ct state established,untracked accept;')"
synproxy='synproxy mss 1460 wscale 7 timestamp sack-perm'
if in_srv nft -c "table inet x { $(hook input 0 "tcp dport 80 $synproxy;") }" 2>/dev/null; then
    check "synproxy" rules_say fault synproxy "$(hook input 0 "tcp dport 80 ct state invalid,untracked $synproxy;")" 1
    check "synproxy of another port" rules_say ok none "$(hook input 0 "tcp dport 22 $synproxy;")"
else
    skip "synproxy" "this kernel's nftables has none"
fi
if in_srv nft -c "table inet x { $(hook input 0 'queue num 101;') }" 2>/dev/null; then
    check "a rule leads to our queue" rules_say fault 'queue of ours' "$(hook input 0 'queue num 98-100;')" 1
    check "a rule leads to another queue" rules_say ok none "$(hook input 0 'queue num 103;')"
else
    skip "a rule leads to our queue" "this kernel's nftables has no queue"
fi

# xt_says NAME LEVEL TEXT CODE TARGET REVISION INFO: the same of targets of xtables, which iptables-nft brings in.
xt_says()
{
    in_srv nft flush ruleset
    in_srv nft "table inet other { $(hook output mangle '') }"
    if in_srv "$TESTS/tools/xtrule.py" other c "${@:5}" 2>/dev/null; then
        check "iptables-nft: $1" says "$4" "$2" rules "$3"
    else
        skip "iptables-nft: $1" "this kernel's nftables takes no target $5"
    fi
}
hex() { printf '%02x' "$@"; } # BYTES, of numbers in this host's order: little-endian
xt_says "a rule leads to our queue" fault 'queue of ours' 1 NFQUEUE 3 "$(hex 100 0 1 0 0 0)"
xt_says "a rule leads to one of our queues" fault 'queue of ours' 1 NFQUEUE 3 "$(hex 98 0 3 0 0 0)"
xt_says "a rule leads to another queue" ok none 0 NFQUEUE 3 "$(hex 103 0 1 0 0 0)"
xt_says "the mark is set" warning 'bits of the mark' 0 MARK 2 "$(hex 1 0 0 0 255 255 255 255)"
xt_says "the mark is set beside our bits" ok none 0 MARK 2 "$(hex 1 0 0 0 255 0 0 0)"
xt_says "the mark is restored" warning 'bits of the mark' 0 CONNMARK 1 "$(hex 255 255 255 255 255 255 255 255 255 255 255 255 2 0 0 0)"
in_srv nft flush ruleset

# ---- iptables-legacy: whoever asks for a table has it
ask_table='import ctypes, socket
asked = ctypes.create_string_buffer(b"raw", 84) # IPT_SO_GET_INFO, struct ipt_getinfo
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)
ctypes.CDLL(None).getsockopt(sock.fileno(), socket.IPPROTO_IP, 64, asked, ctypes.byref(ctypes.c_uint(84)))'
check "iptables-legacy is not in use" silent iptables .
if in_srv python3 -c "$ask_table" && in_srv grep -q . /proc/net/ip_tables_names; then
    check "iptables-legacy is in use" says 0 warning iptables iptables-legacy-save
else
    skip "iptables-legacy is in use" "no table of it can be had here"
fi


# ---- looking changes nothing

host_up
config_write 'queues = { shards = 1; first = 100; };'
listen_up 80 128
in_srv nft 'table inet other { chain c { type filter hook input priority 0; ip saddr 192.0.2.1 counter; }; }'
bind_up 77
# shellcheck disable=SC2016 # for the inner shell
ALL='nft -a list ruleset; cat /proc/net/netfilter/nfnetlink_queue /proc/net/netfilter/nf_log; ss -Hltnwx;
     sysctl -a 2>/dev/null | grep -E "netfilter|tcp_|ip_forward"; ls "$WORK"; cat /proc/net/ip_tables_names'
state() { in_srv env WORK="$WORK" bash -c "$ALL" | grep -v random; }
state >"$WORK.before"
ip netns exec "$SRV" stdbuf -oL nft monitor >>"$WORK.seen" 2>/dev/null &
MONITOR=$!
heard() { in_srv nft add table inet heard"$1" && grep -q "heard$1" "$WORK.seen"; }
wait_until 10 heard 1 # it listens
in_srv nft delete table inet heard1
wait_until 10 grep -q 'delete.*heard1' "$WORK.seen"
: >"$WORK.seen"
preflight
touch "$WORK/said" "$WORK/errors"
check "looking: nft monitor hears nothing of it" wait_until 10 heard 2
check "looking: nothing else was heard" test "$(grep -cv 'heard2\|generation' "$WORK.seen")" -eq 0
in_srv nft delete table inet heard2
kill "$MONITOR"
state >"$WORK.after"
check "looking: rules, queues, sockets, sysctls and files are as before" diff "$WORK.before" "$WORK.after"
rm -f "$WORK".{before,after,seen}

# ---- beside a daemon that runs

topo_up
in_srv sysctl -qw net.ipv4.tcp_syncookies=1
listen_up 80 128
daemon_start 'queues = { shards = 1; first = 100; };' || exit 1
check "a daemon runs: it is told" says 0 warning daemon 'a synmoatd runs'
check "a daemon runs: its queues are no fault" told ok queues 'of the synmoatd that runs'

# A hook that came and went would take the packets with it that wait.
# shellcheck disable=SC2016 # awk's
waiting() { [ "$(in_srv awk '{ sum += $3 } END { print sum }' /proc/net/netfilter/nfnetlink_queue)" -ge 1 ]; }
kill -STOP "$DAEMON_PID"
ip netns exec "$CLI" timeout 30 bash -c "exec 3<>/dev/tcp/$SRV4/80" 2>/dev/null &
CLIENT=$!
wait_until 10 waiting
still_waiting() { waiting && preflight && waiting; }
check "a daemon runs: packets in its queues go on waiting" still_waiting
kill -CONT "$DAEMON_PID"
check "a daemon runs: and the client behind them is served" wait $CLIENT

answers() # CODE LEVEL WHAT [TEXT]: synmoatctl check
{
    local code=0
    ctl check >"$WORK/said" 2>"$WORK/errors" || code=$?
    [ "$code" -eq "$1" ] && told "${@:2}" && return
    { echo "exit code $code"; cat "$WORK/said" "$WORK/errors"; } >&2
    return 1
}
check "the daemon is asked: no fault" answers 0 ok services 'all of them'
check "the daemon is asked: it tells of the host, too" told ok kernel nftables
check "the daemon is asked: capabilities" told ok capabilities CAP_NET_RAW
check "the daemon is asked: rules" told ok rules
by_the_daemon() { ! grep -Eq '^[a-z]+ *(config|daemon|queues): ' "$WORK/said" && [ ! -s "$WORK/errors" ]; }
check "the daemon is asked: not as a pre-flight" by_the_daemon
in_srv nft "table inet other { $(hook output 0 'policy drop; ct state established accept;') }"
check "the daemon is asked: what has changed since" answers 0 warning rules 'inet other c drops'
in_srv nft delete table inet other

# ---- config show

show() { ctl config show >"$WORK/shown.conf"; }
show_takes() { show && takes "$WORK/shown.conf"; }
takes() { in_srv "$AS_ROOT" -t -c "$1" >/dev/null; }
full_config='policy = "observe"; allow = [ "192.0.2.0/24" ]; backlog = { arm_percent = 95; hold_s = 1; };
    services = ( { name = "web"; ports = [80, 443]; limit = 99; }, { name = "six"; address = "2001:db8::1"; ports = [81]; } );
    queues = { shards = 1; first = 100; };'
show_json() { ctl config show --json | says_true "$1"; }
check "config show: without a file's word for it" show
check "config show: the defaults" grep -q 'half_open_limit = 64;' "$WORK/shown.conf"
check "config show: JSON" show_json '.format == 1 and .config.services == null and .config.backlog.arm_percent == 50'
check "config show: synmoatd takes it" takes "$WORK/shown.conf"
ctl allow add 198.51.100.1 >/dev/null
show_lacks() { show && ! grep -qF "$1" "$WORK/shown.conf"; }
check "config show: not what was added at run time" show_lacks 198.51.100.1
daemon_stop
daemon_start "$full_config" || exit 1
check "config show: JSON of what is set" show_json \
    '.config | .policy == "observe" and .backlog.crowd_percent == 95 and (.services | length == 2 and .[0].limit == 99)'
check "config show: synmoatd takes what is set" show_takes
daemon_stop
cp "$WORK/shown.conf" "$WORK/first.conf"
daemon_launch "$SYNMOATD" -c "$WORK/first.conf" || exit 1
show_same() { show && diff "$WORK/first.conf" "$WORK/shown.conf"; }
check "config show: a daemon started with it shows the same" show_same

# ---- rules that take long to be read: as long nobody looks after the services

python3 -c 'print("table inet many { chain many {"); [print("counter " * 110) for _ in range(6000)]; print("}; }")' |
    in_srv nft -f -
ctl check >"$WORK/said"
check "too many rules of others: a daemon that protects does not read them all" told warning rules 'too many to be read'
check "too many rules of others: nor does it know of zones then" test -z "$(grep zones "$WORK/said")"
in_srv "$AS_ROOT" -c "$WORK/first.conf" -k >"$WORK/said"
check "too many rules of others: the pre-flight reads them all" told ok rules
in_srv nft delete table inet many
check "a clean stop" daemon_stop

# ---- no daemon to be asked

ITS_PATH=$PATH
answers_without() # CODE [ARG...]
{
    local code=0
    in_srv env -i PATH="$ITS_PATH" "$SYNMOATCTL" -s "$WORK/ctl.sock" check "${@:2}" >"$WORK/said" 2>"$WORK/errors" || code=$?
    [ "$code" -eq "$1" ] || { echo "exit code $code" >&2; return 1; }
}
check "no daemon: the exit code says so" answers_without 3
check "no daemon: the host is looked at" told ok syncookies
check "no daemon: it is a line, too" told warning daemon 'nothing is protected'
check "no daemon: who looked" grep -q "$(dirname "$SYNMOATCTL")/synmoatd -k" "$WORK/errors"
json_without() { answers_without 3 --json && says_true '.checks | any(.what == "daemon")' "$WORK/said"; }
check "no daemon: JSON" json_without
mkdir -p "$WORK/usr/bin" "$WORK/usr/sbin"
cp "$SYNMOATCTL" "$WORK/usr/bin/"
cp "$SYNMOATD" "$WORK/usr/sbin/"
installed() # PATH CODE WORD: run from there, with such a PATH; the word is said on standard error
{
    local ITS_PATH=$1 SYNMOATCTL=$WORK/usr/bin/synmoatctl
    answers_without "$2" && grep -qF -- "$3" "$WORK/errors"
}
check "no daemon: installed, it is found in sbin" installed "$PATH" 3 "$WORK/usr/bin/../sbin/synmoatd -k"
rm "$WORK/usr/sbin/synmoatd"
check "no daemon: else in the PATH" installed "$(dirname "$SYNMOATD"):$PATH" 3 'what synmoatd -k says'
check "no daemon: else in the PATH: it answers" told ok syncookies
check "no daemon, and no synmoatd: it says so" installed "$WORK" 3 'cannot run synmoatd'
bind_up 16384
check "no daemon, and a fault: the exit code says so" answers_without 1
check "no daemon, and a fault: which" told fault queues 16384
