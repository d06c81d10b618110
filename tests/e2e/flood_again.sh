#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A second flood within a minute: of the first one the kernel still holds what half a backlog has room for
# (reqsk_timer_handler() in net/ipv4/inet_connection_sock.c), and what we let pass until the service arms has to find room
# beside that, and so have the clients that are handed over.

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

refused_room() { in_srv nstat -asz TcpExtTCPReqQFullDrop | awk 'END { print $2 }'; }
kernel_holds() { [ "$(in_srv ss -Hnt state syn-recv | wc -l)" -ge "$1" ]; } # AT_LEAST
# visit SECONDS DST: 1000 clients per second; prints how many were served.
visit() { in_cli "$TOOLS/visitors" -n $((1000 * $1)) -i 1000 -l 3500 -s 4096:500 "$2" 80 | jq .served; }

flooded() # NAME DST
{
    local room got armings
    visit 2 "$2" >/dev/null # clients are known, and nearly all finish: so it looks like a crowd at first
    room=$(refused_room) armings=$(log_lines ' armed')
    flood_start $RATE 4 "$2" 80
    got=$(visit 3 "$2")
    flood_wait
    room=$(($(refused_room) - room))
    echo "# $1: $((3000 - got)) of 3000 clients failed; $room SYNs found the kernel's backlog full"
    check "$1: the service has armed" test "$(log_lines ' armed')" -gt "$armings"
    check "$1: no more than one in ten clients fails" test "$got" -ge 2700
    check "$1: there is room in the kernel's backlog" test "$room" -lt 300
    check "$1: the service disarms by itself" wait_until 20 stat_is 'all(.services[]; .state == "watching")'
}

topo_up
nginx_start 1024
daemon_start 'services = ( { name = "web"; address = "any"; ports = [80]; } ); backlog = { handshake_timeout_s = 3; hold_s = 1; };' || exit 1
flooded "the first flood" $SRV6
check "the kernel has not forgotten it" kernel_holds 300
flooded "the second flood" $SRV6
check "its event tells what the kernel held besides" told armed '.fields.backlog - .fields.half_open > 250' # not the first one's

check "a clean stop" daemon_stop
