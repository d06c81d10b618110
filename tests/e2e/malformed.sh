# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# A million packets as nobody should send them (tests/tools/malformed.c), of both families: in peace, with services armed, with
# the XDP tier before the queue, and on a gateway. MALFORMED is how many in all, PACE how many per second at most.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

MALFORMED=${MALFORMED:-1000000} PACE=${PACE:-60000} ONLY=${ONLY:-}
SENT=0

WEB='name = "web"; ports = [80];'
SHUT='on_overload = "drop-armed";' # else a host passes what it has no time for
XDP='accelerator = "xdp"; xdp = { interfaces = [ "eth0", "eth1" ]; mode = "generic"; sample_per_s = 500; };'

# What nobody may be answered at: no host's address, everybody's. What a host says to its neighbours of itself is no answer.
NOBODY='dst host 0.0.0.0 or dst net 127.0.0.0/8 or dst net 224.0.0.0/4 or dst host 255.255.255.255
        or dst host ::1 or dst net ff00::/8 or ether multicast'
# The XDP program does not know this, of its network; what it sends goes to one neighbour.
BROADCAST='dst host 10.77.2.255'
# The kernel answers SYNs of the unspecified IPv6 address; we do not.
OURS='ip6[6] = 6 and ip6[53] & 0x12 = 0x12 and (dst host :: or dst net ::ffff:0:0/96)'
ANSWERS='tcp or icmp or (icmp6 and ip6[40] < 128)'

# whom_not CONFIG: besides.
whom_not()
{
    [[ $1 == *accelerator* ]] || echo "$BROADCAST or"
    [[ $1 == *always* ]] && echo "(src host $SRV6 and $OURS) or"
    echo "$NOBODY"
}

listened() { grep -q '^tcpdump: listening' "$WORK/nobody.log"; }
nobody_start()
{
    ip netns exec "$ATK" tcpdump -i a0 -Q in -U -w "$WORK/nobody.pcap" "($ANSWERS) and ($1)" 2>"$WORK/nobody.log" &
    NOBODY_PID=$!
    wait_until 5 listened
}
# A segment to everybody, in the end, shows that it would have been seen.
nobody_answered()
{
    in_daemon "$TOOLS/malformed" -i eth1 -m ff:ff:ff:ff:ff:ff -n 1 -k stray 80 10.77.2.2 >/dev/null
    wait_until 5 everybody_told
    kill "$NOBODY_PID"
    wait "$NOBODY_PID"
    everybody_told && [ "$(nobody_seen | wc -l)" -eq 1 ] && return
    nobody_seen | head -n 20 >&2
    return 1
}
everybody_told() { nobody_seen | grep -q '> ff:ff:ff:ff:ff:ff,'; }
nobody_seen() { tcpdump -nner "$WORK/nobody.pcap" 2>/dev/null; }

# Of the daemon's queues, as the kernel counts them: what waits for a verdict, and what never got into a queue.
queues() { in_daemon awk "\$1 >= 16384 { sum += $1 } END { print sum + 0 }" /proc/net/netfilter/nfnetlink_queue; }
# shellcheck disable=SC2016 # the variables are awk's
nothing_waits() { [ "$(queues '$3')" -eq 0 ]; }
# All SYNs that have been in a queue, and had to be, are received.
syns_are_received() { stat_is ".counters | .syn_received + .queue_dropped >= $(syns_queued) and .syn_received <= $(syns_queued)"; }

# No oops since this script has begun, by the seconds of uptime that each line of the kernel's log begins with.
read -r BEGUN _ </proc/uptime
kernel_is_well()
{
    ! dmesg | sed -n 's/^\[ *\([0-9.]*\)\] /\1 /p' | awk -v begun="$BEGUN" '$1 >= begun' |
        grep -E 'BUG:|Oops:|Call Trace|KASAN|UBSAN' >&2
}
sane() { ! grep -E 'Sanitizer|runtime error|assert' "$WORK/daemon.log"; }

# Who is attacked answers for its own: half-open connections of sources that there could be end at once. Else the server would
# be full of them, which is another test's matter.
sources_answer()
{
    ip -n "$ATK" route add local 11.0.0.0/8 dev lo
    ip -n "$ATK" route add local fd99::/16 dev lo
}

serve()
{
    mkdir -p "$WORK/www"
    head -c 6M /dev/urandom >"$WORK/www/slow"
    in_srv sysctl -qw net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535 net.ipv4.tcp_syncookies=1
    nginx_start 65535
}

# survived NAME COUNT CONFIG: COUNT of them, while clients come and a download is under way.
survived()
{
    local name=$1 count=$2 config=$3 pid
    sources_answer
    serve
    daemon_start "$config" || return
    pid=$DAEMON_PID
    fetch "$CLI4" "$SRV4" && fetch "$CLI6" "$SRV6"
    [[ $config != *always* ]] || check "$name: it is armed" wait_until 2 armed 80
    [[ $config != *accelerator* ]] || check "$name: the program is there" wait_until 2 stat_is '.accelerator.interfaces | any(.state == "generic")'
    nobody_start "$(whom_not "$config")"
    download_start long4 "$SRV4"
    download_start long6 "$SRV6"
    crowd_start --parallel 4 "$SRV4" "$SRV6"
    ip netns exec "$ATK" "$TOOLS/malformed" -i a0 -m 02:00:00:00:02:01 -n "$count" -r "$PACE" -s "$count" \
        80 "$SRV4" "$SRV6" >"$WORK/malformed.log" 2>&1
    crowd_end
    sed "s/^/# $name: /" <(tail -n 1 "$WORK/malformed.log")
    check "$name: all were sent" grep -q "^sent $count " "$WORK/malformed.log"
    SENT=$((SENT + $(sed -n 's/^sent \([0-9]*\).*/\1/p' "$WORK/malformed.log")))
    check "$name: the daemon lives" alive "$pid"
    check "$name: clients were served all the while" crowd_is '.failed == 0 and .ok > 5'
    check "$name: clients are served afterwards" test "$(requests 20 2 "$SRV4")$(requests 20 2 "$SRV6")" = 2020
    check "$name: nobody was answered who cannot be there" nobody_answered
    check "$name: a long IPv4 download is whole" download_check long4
    check "$name: a long IPv6 download is whole" download_check long6
    check "$name: nothing waits for a verdict" wait_until 5 nothing_waits
    check "$name: every SYN has exactly one outcome" wait_until 5 syns_add_up
    check "$name: no verdict was refused" stat_is '.counters.verdict_error == 0'
    check "$name: malformed SYNs are counted" counted syn_malformed $((count / 1000))
    check "$name: nothing is complained of" test "$(log_lines warning:)" -eq 0
    check "$name: no sanitizer has a word to say" sane
    ctl status --json | jq -c '.counters | with_entries(select(.value > 0))' | sed "s/^/# $name: /"
    # shellcheck disable=SC2016
    echo "# $name: $(jq -c . "$WORK/crowd") queued $(queues '$8') dropped $(queues '($6 + $7)')"
}

topo_srv() { DAEMON_NS=$SRV SRV4=10.77.1.1 SRV6=fd77:1::1; topo_up; }

topo_srv
survived "peace" $((MALFORMED * 4 / 10)) "services = ( { $WEB cookies = \"never\"; } );" &&
    check "peace: what was queued was received" wait_until 5 syns_are_received
check "peace: it never armed" unarmed 80
check "peace: a clean stop" daemon_stop

topo_srv
survived "armed" $((MALFORMED * 4 / 10)) "$SHUT services = ( { $WEB cookies = \"always\"; } );"
check "armed: none of their SYNs got past" stat_is '.counters.syn_accepted == 0'
check "armed: malformed segments are counted" counted packet_malformed 1
check "armed: a clean stop" daemon_stop

topo_srv
if in_srv "$AS_ROOT" -k -c <(echo "$XDP") 2>/dev/null | grep -q 'accelerator: XDP'; then
    survived "XDP" $((MALFORMED / 10)) "$XDP $SHUT services = ( { $WEB cookies = \"always\"; } );"
    check "XDP: the program has answered" stat_is '.accelerator.answered > 0'
    check "XDP: a clean stop" daemon_stop
else
    skip "XDP" "no XDP tier here"
fi

DAEMON_NS=$GW
gateway_up none
PACE=$((PACE / 2)) survived "gateway" $((MALFORMED / 10)) "$(gateway_config "$(service web "$SRV4" 80 'cookies = "always";'), $(service web6 "$SRV6" 80 'cookies = "always";')")"
check "gateway: a clean stop" daemon_stop

if dmesg >/dev/null 2>&1; then check "the kernel has had no trouble" kernel_is_well
else skip "the kernel has had no trouble" "its log cannot be read"; fi
[ "$SENT" -eq 0 ] || echo "# sent in all: $SENT"
