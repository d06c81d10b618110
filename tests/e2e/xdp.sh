# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# The XDP tier: who answers, what is counted, when the program is there and when it is not.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"

BOTH='interfaces = [ "eth0", "eth1" ];'
# xdp_config [MORE]: SAMPLE is what comes to the daemon all the same, per second and CPU; by name and in the generic way, which veth can without a program at its other end
xdp_config() { echo "accelerator = \"xdp\"; xdp = { ${INTERFACES:-$BOTH} mode = \"${MODE:-generic}\";
    sample_per_s = ${SAMPLE:-500}; }; ${1:-}"; }
WEB='services = ( { name = "web"; ports = [80]; } );'
ALWAYS='services = ( { name = "web"; ports = [80]; cookies = "always"; } );'

if ! unshare -n "$AS_ROOT" -k -c <(INTERFACES='interfaces = [ ];' xdp_config "metrics = { }; queues = { first = 20000; };") 2>/dev/null |
    grep -q 'accelerator: XDP'; then
    skip "the XDP tier" "$(unshare -n "$AS_ROOT" -k -c <(xdp_config) 2>&1 | grep 'accelerator:')"
    exit 0
fi

on_host() { DAEMON_NS=$SRV SRV4=10.77.1.1 SRV6=fd77:1::1; topo_up; }
has_program() { in_daemon ip -d link show "$1" | grep -qw 'prog/xdp'; } # DEV
no_program() { ! has_program "$1"; }
programs() { in_daemon ip -d link | grep -cw 'prog/xdp'; }
no_programs() { [ "$(programs)" -eq 0 ]; }
attached() { stat_is "[.accelerator.interfaces[] | select(.state == \"generic\" or .state == \"native\") | .name] == [$1]"; } # '"eth0"'
by_xdp() { stat_get .accelerator.answered; }
answers() { [ "$(by_xdp)" -gt "$1" ]; }
# all_served DST: a hundred of a hundred
all_served()
{
    local got
    got=$(requests 100 3 "$1")
    [ "$got" -eq 100 ] || { echo "$got of 100" >&2; stat_get '.counters | with_entries(select(.value > 0))' >&2; return 1; }
}
# within MS EVENT EVENT: the second one came so soon after the first, by what the events say of themselves
within()
{
    # shellcheck disable=SC2016 # the variables are jq's
    ctl events --last 256 --json | says_true --arg one "$2" --arg two "$3" --argjson ms "$1" '
        def ms: (.time | sub("\\..*"; "Z") | fromdate) * 1000 + (.time | capture("\\.(?<ms>[0-9]{3})").ms | tonumber);
        [.events[] | select(.event == $one)][-1] as $first | [.events[] | select(.event == $two)][-1] as $second
        | ($second | ms) - ($first | ms) | . >= 0 and . <= $ms'
}

explains() { ctl explain "$1" "$(host_of "$2"):80" | grep -q "$3"; } # SRC DST TEXT
host_of() { case $1 in *:*) echo "[$1]" ;; *) echo "$1" ;; esac; }
checks_say() { ctl check | grep -q "^$1 *accelerator: $2"; } # LEVEL TEXT

# ---- a flood

for family in 4 6; do
    dst=$SRV4; [ $family = 6 ] && dst=$SRV6
    on_host
    nginx_flooded
    dst=$SRV4; [ $family = 6 ] && dst=$SRV6
    daemon_start "$(xdp_config "$QUICK $WEB")" || exit 1
    check "IPv$family: in peace nothing is attached" no_programs
    check "IPv$family: a client comes" fetch "$(client_address 9999 "$dst")" "$dst"
    flood_start $RATE 60 "$dst" 80
    check "IPv$family: both interfaces have the program" wait_until 2 attached '"eth0", "eth1"'
    check "IPv$family: it came within 100 ms of the arming" within 100 armed xdp-on
    check "IPv$family: it answers" wait_until 5 answers $((RATE / 2))
    queued=$(syns_queued) answered=$(by_xdp)
    check "IPv$family: 100 of 100 clients are served, by cookies of the program" all_served "$dst"
    check "IPv$family: explain tells a proven source who answers" wait_until 5 \
        explains "$(client_address 9999 "$dst")" "$dst" 'XDP answers most SYNs with a cookie'
    check "IPv$family: the flood is still on" alive "$FLOOD_PID"
    answered=$(($(by_xdp) - answered)) queued=$(($(syns_queued) - queued))
    echo "# answered by XDP $answered, queued $queued"
    check "IPv$family: the queue has a sample" test "$queued" -lt "$answered" -a "$queued" -gt 0
    check "IPv$family: challenged are all that it answered" \
        stat_is '.counters.syn_challenged >= .accelerator.answered and .accelerator.answered > 0'
    check "IPv$family: the rate is that of the flood, not of the sample" \
        wait_until 3 stat_is "[.services[] | select(.port == 80) | .syn_per_s] | max > $((RATE * 3 / 4))"
    check "IPv$family: handovers do not fail" stat_is '.counters | .handed_over >= 100 and .handover_failed == 0'
    flood_stop
    check "IPv$family: it is disarmed by itself" wait_until 15 peaceful
    check "IPv$family: and the program is gone" wait_until 2 no_programs
    check "IPv$family: gone when disarmed" within 1000 disarmed xdp-off
    check "IPv$family: every SYN has exactly one outcome" wait_until 5 syns_add_up
    check "IPv$family: a clean stop" daemon_stop
done

# ---- what is counted besides

SAMPLE=1 # else it answers no test's few connections

flooded() { flood_start "$@"; flood_wait; } # as flood_start, to its end
on_host
nginx_flooded
daemon_start "$(INTERFACES='interfaces = [ "eth0", "eth1", "eth8", "eth9" ];' xdp_config "$ALWAYS")" || exit 1
check "check: armed, and not attached yet" checks_say ok 'XDP is ready for eth0, eth1, and not attached yet: of no server'
for dev in eth8 eth9; do
    check "check: an interface that is not there, $dev" checks_say warning "there is no interface $dev, which"
    check "a line of the log for it" test "$(log_lines "there is no interface $dev, which")" -eq 1
done
check "-k says so, too" grep -q 'accelerator: there is no interface eth9' <(in_srv "$AS_ROOT" -k -c "$WORK/synmoat.conf")
daemon_stop
daemon_start "$(xdp_config "$ALWAYS deny = [ \"12.1.0.0/16\", \"12.2.0.1\" ]; allow = [ \"12.2.0.0/16\" ];")" || exit 1
check "clients are served, each by a cookie" test "$(requests 20 3 "$SRV4")" -eq 20
check "IPv6 clients, too" test "$(requests 20 3 "$SRV6")" -eq 20
check "the program is there, once the server's answers are known" wait_until 2 attached '"eth0", "eth1"'
flooded 2000 1 "$SRV4" 80 -s 12.1.2.3
check "SYNs of denied sources are counted as such" wait_until 2 counted syn_denied 1900
check "an order at run time denies" ctl deny add 12.3.0.0/16
flooded 2000 1 "$SRV4" 80 -s 12.3.2.3
check "and is counted" wait_until 2 counted syn_denied 3800
check "an order at run time takes it back" ctl deny del 12.3.0.0/16
denied=$(settled counter syn_denied)
flooded 200 1 "$SRV4" 80 -s 12.3.2.3
check "and no more is denied" test "$(settled counter syn_denied)" -eq "$denied"
flooded 500 1 "$SRV4" 80 -s 12.2.0.1 -n 50 # they fill the server's backlog, if there are more
check "allowed wins over denied" wait_until 2 counted syn_allowed 50
flooded $RATE 2 "$SRV4" 80 -a
check "ACKs without a cookie are shed" wait_until 2 counted ack_shed 5000
check "clients are served meanwhile" test "$(requests 20 3 "$SRV4")" -eq 20
check "every SYN has exactly one outcome" wait_until 5 syns_add_up
check "a clean stop" daemon_stop
check "nothing stays attached" no_programs

# ---- bans

on_host
nginx_flooded
daemon_start "$(xdp_config "$ALWAYS rate_limit = { connections_per_s = 1; burst = 5; ban_s = 60; };")" || exit 1
banned() { stat_is '.bans == 1'; }
comes_too_often() { fetch 10.78.9.9 "$SRV4" 1; banned; }
check "a source that opens too many is banned" wait_until 10 comes_too_often
check "its SYNs are dropped" refused 10.78.9.9 "$SRV4"
check "and counted" wait_until 2 counted syn_banned 1
check "by the program" test "$(in_daemon nft list counters table inet synmoat | grep -A2 'banned' | grep -o 'packets [0-9]*')" = "packets 0"
check "others are served" fetch 10.78.9.10 "$SRV4"
check "a ban is lifted" ctl ban lift 10.78.9.9
check "and he is served" wait_until 5 fetch 10.78.9.9 "$SRV4"
check "a clean stop after bans" daemon_stop

# ---- connections

peers() { echo "services = ( $(service peer any "$(seq -s, 7001 7010)" "cookies = \"$1\";") );"; } # always|never|auto
reload_to() { config_write "$1" && ctl reload >/dev/null; }
warm() { peer knock && peer echo; }
mute() { in_cli nft "table inet mute { chain out { type filter hook output priority 0; tcp sport 25000-25099 tcp flags rst drop; }; }"; }
SPORT=25000 # of late(), each time another: the server still has the connections before
# late BEFORE AFTER: the SYN-ACK comes under one configuration, the ACK under another.
late()
{
    local pid status
    SPORT=$((SPORT + 1))
    reload_to "$1" && warm && wait_until 2 "$3" || return
    rm -f "$WORK/late.go"
    peer late-ack --port 7007 --sport $SPORT --until "$WORK/late.go" >"$WORK/late" 2>&1 &
    pid=$!
    wait_until 5 grep -q answered "$WORK/late" && reload_to "$2" && wait_until 2 "$4"
    status=$?
    touch "$WORK/late.go"
    wait "$pid" && grep -q served "$WORK/late" && [ $status -eq 0 ] && return
    cat "$WORK/late" >&2
    return 1
}
is_there() { has_program eth0; }
is_not_there() { no_program eth0; }
off_config() { echo "accelerator = \"off\"; $(peers always)"; }
on_config() { xdp_config "$(peers always)"; }
held_open() # NAME: an open connection, silent until let go
{
    peer hold --until "$WORK/$1.go" >"$WORK/$1" 2>&1 &
    wait_until 5 grep -q held "$WORK/$1"
}
lives_on() { touch "$WORK/$1.go"; wait_until 5 grep -q alive "$WORK/$1"; }

on_host
mute
peer_server || exit 1
daemon_start "$(xdp_config "$(peers never)")" || exit 1
for f in 4 6; do
    HOST=$SRV4; [ $f = 6 ] && HOST=$SRV6
    check "IPv$f: a connection in peace" held_open "peace$f"
done
reload_to "$(on_config)"
for f in 4 6; do
    HOST=$SRV4; [ $f = 6 ] && HOST=$SRV6
    check "IPv$f: the program answers" wait_until 5 handed warm
    before=$(by_xdp)
    for ((i = 0; i < 4; i++)); do peer knock; done
    check "IPv$f: a server that speaks first" handed peer banner
    check "IPv$f: data right behind the third ACK" handed peer echo --bytes 50000
    check "IPv$f: data on the third ACK, in many segments" handed peer ack-with-data --bytes 50000
    check "IPv$f: a half-close" handed peer halfclose --bytes 1000000
    check "IPv$f: a connection from before the arming lives on" lives_on "peace$f"
    check "IPv$f: a connection under the program" held_open "armed$f"
    check "IPv$f: a cookie of the daemon is taken when the program is there" \
        late "$(off_config)" "$(on_config)" is_not_there is_there
    check "IPv$f: a cookie of the program is taken when it is not" \
        late "$(on_config)" "$(off_config)" is_there is_not_there
    check "IPv$f: a connection lives on through all that" lives_on "armed$f"
    check "IPv$f: back" reload_to "$(on_config)"
done
check "no handover failed" stat_is '.counters.handover_failed == 0'
check "every SYN has exactly one outcome" wait_until 5 syns_add_up

# ---- interfaces

HOST=$SRV4
check "it is on both" wait_until 2 attached '"eth0", "eth1"'
INTERFACES='interfaces = [ "eth1" ];' check "a reload takes it from one" reload_to "$(INTERFACES='interfaces = [ "eth1" ];' on_config)"
check "eth1 alone" wait_until 2 attached '"eth1"'
check "there is no program on eth0" no_program eth0
check "the reason is told" told xdp-off '.fields.reason == "another configuration"'
check "clients of eth0 are served on" handed peer echo
check "a reload gives it back" reload_to "$(on_config)"
check "eth0 again" wait_until 2 has_program eth0
ip -n "$SRV" addr add 10.77.1.77/24 dev eth0
HOST=10.77.1.77
xdp_serves() { local n; n=$(by_xdp); peer knock; peer knock; peer knock; peer knock; answers "$n"; }
ip -n "$CLI" neigh add 10.77.1.77 lladdr 02:00:00:00:01:01 dev c0 nud permanent
check "an address added at run time is answered for" wait_until 5 xdp_serves
HOST=$SRV4
ip -n "$SRV" link set eth1 down
ip -n "$SRV" link set eth1 name gone
check "an interface that goes by another name is left alone" wait_until 3 attached '"eth0"'
check "no program stays there" no_program gone
ip -n "$SRV" link set gone name eth1
ip -n "$SRV" link set eth1 up
check "and has it when it is back" wait_until 3 attached '"eth0", "eth1"'
ip -n "$SRV" link del eth1
check "an interface that is gone" wait_until 3 attached '"eth0"'
ip link add eth1 netns "$SRV" type veth peer name a9 netns "$ATK"
check "one that is new" wait_until 3 attached '"eth0", "eth1"'
check "clients are served on" handed peer echo
reload_to "$(INTERFACES='interfaces = [ "eth1" ];' on_config)"
check "on eth1 alone" wait_until 2 attached '"eth1"'
ip -n "$SRV" link del eth1
check "its last interface is gone: this is told" wait_until 3 told xdp-off '.fields.reason == "eth1 is gone"'
check "that it is missing, too" told xdp-not-there '.fields.interface == "eth1" and (.fields.error | test("there is no interface"))'
reload_to "$(on_config)"
check "on eth0" wait_until 3 attached '"eth0"'

# ---- ends

daemon_kill
check "after a kill -9 nothing stays attached" wait_until 2 no_programs
daemon_start "$(on_config)" || exit 1
check "a new start" wait_until 5 handed warm
check "it is there again" wait_until 5 is_there
check "a clean stop takes it away" daemon_stop
check "nothing is left" no_programs

# ---- again and again

on_host
nginx_flooded
daemon_start "$(xdp_config "services = ( { name = \"web\"; ports = [80]; } );")" || exit 1
fetch "$CLI4" "$SRV4" # the server's answer is known
for round in 1 2 3; do
    check "armed, time $round" ctl arm web
    check "armed, time $round: it is there within a second" wait_until 2 attached '"eth0", "eth1"'
    check "armed, time $round: at once" within 1000 armed xdp-on
    check "disarmed, time $round" ctl disarm web
    check "disarmed, time $round: it is gone" wait_until 2 no_programs
done
daemon_stop

# ---- others

other_there() { grep -q there "$WORK/other"; }
on_host
nginx_flooded
ip netns exec "$SRV" "$TOOLS/xdppass" eth1 generic >"$WORK/other" 2>&1 &
OTHER=$!
disown
wait_until 2 other_there
daemon_start "$(xdp_config "$QUICK $WEB")" || exit 1
check "check: another's program, before it matters" checks_say warning 'eth1 has an XDP program of another'
check "check: on the other ours can be" checks_say ok 'XDP is ready for eth0, and detached: nothing needs it'
check "-k says so, too" grep -q 'warning accelerator: eth1 has an XDP program of another' <(in_srv "$AS_ROOT" -k -c "$WORK/synmoat.conf")
fetch "$CLI4" "$SRV4"
flood_start $RATE 60 "$SRV4" 80
check "another's program is told of" wait_until 5 told xdp-not-there '.fields.interface == "eth1"'
check "in the status" stat_is '.accelerator.interfaces | any(.name == "eth1" and .state == "another program")'
check "by check" grep -q 'warning accelerator: eth1 has an XDP program of another' <(ctl check)
check "clients are served, the flood is answered from the queue" all_served "$SRV4"
check "once" test "$(ctl events --last 256 --json | jq '[.events[] | select(.event == "xdp-not-there")] | length')" -eq 1
kill "$OTHER"
check "when he has left we take his place" wait_until 12 attached '"eth0", "eth1"'
flood_stop
daemon_kill

# ---- which interfaces

on_host
nginx_flooded
in_srv ip tuntap add tun7 mode tun
in_srv ip link set tun7 up
in_srv ip route replace default dev tun7 # IPv6's leads through eth1
in_srv ip -6 route add default dev tun7 metric 5
ANY='interfaces = [ ];' NAMED='interfaces = [ "eth0", "tun7" ];'
daemon_start "$(INTERFACES=$ANY xdp_config "$ALWAYS")" || exit 1
requests 4 3 "$SRV4" >"$WORK/warm"
check "it is where an IPv6 default route leads, and not in the tunnel" wait_until 5 attached '"eth1"'
check "of the tunnel nothing is told" test "$(log_lines tun7)" -eq 0
in_srv ip -6 route add default via fd77:1::2 metric 2048
check "a default route that comes" wait_until 3 attached '"eth1", "eth0"'
in_srv ip -6 route del default via fd77:2::2
check "and one that goes" wait_until 3 attached '"eth0"'
config_write "$(INTERFACES=$NAMED xdp_config "$ALWAYS")" && ctl reload >"$WORK/reload"
check "a tunnel that is named is told of" wait_until 5 told xdp-not-there '.fields.error | test("tun7 is no Ethernet link")'
check "once" test "$(ctl events --last 256 --json | jq '[.events[] | select(.event == "xdp-not-there")] | length')" -eq 1
check "in the status" stat_is '.accelerator.interfaces | any(.name == "tun7" and .state == "no Ethernet")'
check "by check" grep -q 'warning accelerator: tun7 is no Ethernet link' <(ctl check)
check "before a start, too" grep -q 'warning accelerator: tun7 is no Ethernet link' \
    <(in_srv "$AS_ROOT" -k -c "$WORK/synmoat.conf" 2>&1)
check "it is on the other" wait_until 2 attached '"eth0"'
check "a clean stop beside a tunnel" daemon_stop

# ---- in the drivers

on_host
nginx_flooded
for end in "$CLI c0" "$ATK a0"; do
    # shellcheck disable=SC2086 # two words
    set -- $end
    ip netns exec "$1" "$TOOLS/xdppass" "$2" native >"$WORK/end.$2" 2>&1 & # veth takes what XDP sends if both ends have one
    disown
    wait_until 2 grep -q there "$WORK/end.$2"
done
daemon_start "$(MODE=native xdp_config "$ALWAYS")" || exit 1
check "native: clients are served" test "$(requests 20 3 "$SRV4")" -eq 20
check "native: it is there" wait_until 2 stat_is '[.accelerator.interfaces[].state] == ["native", "native"]'
clients_of_xdp() { local n; n=$(by_xdp); [ "$(requests 20 3 "$1")" -eq 20 ] && wait_until 1 answers $((n + 10)); } # DST
check "native: by the program, as soon as the server's answers are known" wait_until 10 clients_of_xdp "$SRV4"
check "native: IPv6, too" wait_until 10 clients_of_xdp "$SRV6"
check "native: a clean stop" daemon_stop

# ---- without the right

few_rights() { setpriv --bounding-set=-all,+net_admin,+net_raw --inh-caps=-all "$@"; }
config_write "$(xdp_config "$ALWAYS")"
check "accelerator = xdp: no start without the capabilities" \
    grep -q 'accelerator = "xdp": the daemon has no CAP_BPF and CAP_PERFMON' <(in_srv bash -c "$(declare -f few_rights); few_rights $AS_ROOT -c $WORK/synmoat.conf" 2>&1)
tested() { in_srv setpriv --bounding-set=-all,+net_admin,+net_raw"$1" --inh-caps=-all "$AS_ROOT" -t -c "$WORK/synmoat.conf" 2>&1; } # ,+MORE
check "-t refuses it, too" grep -q 'accelerator = "xdp": the daemon has no CAP_BPF and CAP_PERFMON' <(tested "")
check "-t with them: it is fine" grep -q 'configuration OK' <(tested ,+bpf,+perfmon)
config_write "accelerator = \"auto\"; $ALWAYS"
check "-t: auto asks for nothing" grep -q 'configuration OK' <(tested "")
chown "$UNIT_USER" "$WORK"
MAY=-all,+net_admin,+net_raw
daemon_launch setpriv --reuid "$UNIT_USER" --regid "$UNIT_USER" --clear-groups --bounding-set=$MAY --inh-caps=$MAY --ambient-caps=$MAY \
    "$AS_ROOT" -c "$WORK/synmoat.conf" || exit 1
check "accelerator = auto: a start, and one line that says why" test "$(log_lines 'no XDP: the daemon has no CAP_BPF and CAP_PERFMON')" -eq 1
check "an event, too" told xdp-unavailable
check "the status has it" stat_is '.accelerator | .state == "unavailable" and (.reason | test("CAP_BPF"))'
check "check warns" grep -q 'warning accelerator: no XDP: the daemon has no CAP_BPF' <(ctl check)
config_write "$(xdp_config "services = ( { name = \"other\"; ports = [81]; } );")"
check "a reload to xdp is refused" grep -q 'no CAP_BPF and CAP_PERFMON: the old configuration stays in force' <(ctl reload 2>&1)
check "the old configuration is in force" stat_is '[.services[].name] | index("web") != null and index("other") == null'
config_write "accelerator = \"auto\"; $ALWAYS"
check "a reload to auto is taken" ctl reload
check "clients are served by cookies" test "$(requests 20 3 "$SRV4")" -eq 20
check "handed over" stat_is '.counters.handed_over >= 15'
check "a clean stop without the right" daemon_stop

# ---- VLANs

in_srv ethtool -K eth1 rxvlan on >/dev/null
if ip -n "$SRV" link add link eth1 name eth1.7 type vlan id 7 2>/dev/null; then
    in_srv ip link add eth2 type veth peer name end2
    in_srv ip link add br9 type bridge
    in_srv ip link set eth2 master br9
    in_srv ip link add link br9 name br9.7 type vlan id 7
    in_srv ethtool -K eth2 rxvlan on >/dev/null
    daemon_start "$(INTERFACES='interfaces = [ "eth0", "eth1", "eth2" ];' xdp_config "$ALWAYS")" || exit 1
    fetch "$CLI4" "$SRV4"
    check "an interface that takes tags off is left out" wait_until 5 told xdp-not-there '.fields.error | test("ethtool -K eth1 rxvlan off")'
    check "so is the port of a bridge with VLANs" wait_until 2 told xdp-not-there '.fields.error | test("ethtool -K eth2 rxvlan off")'
    check "and the other is not" wait_until 2 attached '"eth0"'
    check "a clean stop beside VLANs" daemon_stop
else
    skip "an interface that takes tags off is left out" "the kernel has no VLANs"
fi

# ---- behind us

DAEMON_NS=$GW
gateway_up dnat
nginx_flooded
peer_server || exit 1
daemon_start "$(xdp_config "$(gateway_config "$(service web "$SRV4" 80 'limit = 128;'), $(service web6 "$SRV6" 80 'limit = 128;')" "$QUICK")")" || exit 1
unset SAMPLE
for dst in "$SRV4" "$SRV6"; do
    check "gateway with DNAT, $dst: a client comes" fetch "$(client_address 9999 "$dst")" "$dst"
    flood_start $RATE 60 "$dst" 80
    check "gateway with DNAT, $dst: it is attached" wait_until 5 attached '"eth0", "eth1"'
    before=$(by_xdp)
    check "gateway with DNAT, $dst: the program answers" wait_until 5 answers $((before + RATE / 2))
    check "gateway with DNAT, $dst: 100 of 100 clients are served" all_served "$dst"
    flood_stop
    check "gateway with DNAT, $dst: disarmed" wait_until 15 peaceful
done
check "gateway with DNAT: every SYN has exactly one outcome" wait_until 5 syns_add_up
check "gateway with DNAT: no handover failed" stat_is '.counters.handover_failed == 0'
check "gateway with DNAT: a clean stop" daemon_stop
check "gateway with DNAT: nothing is left" no_programs
