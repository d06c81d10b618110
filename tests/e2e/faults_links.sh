# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Faults of the network's own state under load: an interface goes down and comes up, an address goes and comes; with the
# XDP program attached where there can be one.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../faults.sh
. "$(dirname "$0")/../faults.sh"

# The kernel forgets the routes with an interface or an address, and whoever brings these back brings those back.
routes_again()
{
    ip -n "$DAEMON_NS" route replace 10.78.0.0/16 via "$CLI4"
    ip -n "$DAEMON_NS" route replace default via 10.77.2.2
}
bounced() # DEV
{
    ip -n "$DAEMON_NS" link set "$1" down
    sleep 1
    ip -n "$DAEMON_NS" link set "$1" up && routes_again
}
readdressed() # ADDRESS DEV
{
    ip -n "$DAEMON_NS" addr del "$1" dev "$2"
    sleep 1
    ip -n "$DAEMON_NS" addr add "$1" dev "$2" && routes_again
}
# The flood's sources cannot be answered then, nor by the kernel: its SYNs do not pass for that.
flooder_bounced()
{
    local before
    before=$(counter syn_accepted)
    bounced eth1
    check "$PLACE: SYNs that cannot be answered do not pass" test $(($(counter syn_accepted) - before)) -lt 2000
}
# Down for a second: a SYN is sent again after one, and after three.
lossy() { echo "other receive ENOBUFS 3" >"$WORK/faults"; "$@"; : >"$WORK/faults"; }
# XDP works on, also when what the kernel says of links is lost.
links_with_xdp()
{
    local UNDER=(env NETLINK_FAULTS="$WORK/faults" LD_PRELOAD="$TOOLS/netlink_faults.so"
        ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0")
    faults_file "$WORK/faults"
    faults_begin $'\n''accelerator = "xdp"; xdp = { interfaces = [ "eth0", "eth1" ]; mode = "generic"; };'
    check "host: XDP answers" wait_until 5 attached
    fault "XDP, the clients' interface down for 1 s" 25 4000 lossy bounced eth0
    fault "XDP, the attacker's interface down for 1 s" 25 1500 lossy bounced eth1
    check "host: XDP, it came to lost messages about links" test -s "$WORK/faults.count"
    check "host: XDP answers still" wait_until 3 attached
    faults_end
    nothing_left
}
attached() { stat_is '[.accelerator.interfaces[] | select(.state == "generic" or .state == "native")] | length == 2'; }

faults_world host
if in_srv "$AS_ROOT" -k -c <(echo 'accelerator = "xdp"; xdp = { mode = "generic"; };') 2>/dev/null |
    grep -q 'accelerator: XDP'; then
    links_with_xdp
else
    skip "host: XDP" "it cannot be had here"
fi

faults_world host
faults_begin
fault "the attacker's interface, and the default route, down for 1 s" 0 1500 flooder_bounced
fault "an address gone for 1 s" 25 4000 readdressed "$SRV4/24" eth0
faults_end
nothing_left

faults_world gateway
faults_begin
fault "the servers' interface down for 1 s" 25 4000 bounced eth2
faults_end
nothing_left
