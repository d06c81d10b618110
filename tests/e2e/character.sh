# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# What kind of flood it is: status and log say so, and only one that needs it arms the service.
. "$(dirname "$0")/../lib.sh"

logged() { [ "$(log_lines "class=\"$1\"")" -ge "$2" ]; } # CLASS AT_LEAST

flood_has_class() # CLASS armed|unarmed RATE [synflood options]
{
    local class=$1 posture=$2 rate=$3; shift 3
    topo_up
    nginx_start 511
    daemon_start 'backlog = { handshake_timeout_s = 3; hold_s = 1; };' || exit 1
    check "$class: in peace the service is calm" service_is 80 character calm
    check "$class: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
    flood_start "$rate" 40 "$SRV4" 80 "$@"
    check "$class: status says so" wait_until 10 service_is 80 character "$class"
    check "$class: the log says so" wait_until 5 logged "$class" 1
    check "$class: clients are served meanwhile" test "$(requests 10 3 "$SRV4")" -eq 10
    check "$class: the service is $posture" "$posture" 80
    check "$class: the flood is still on" alive "$FLOOD_PID"
    flood_stop
    check "$class: then the service is calm again" wait_until 30 service_is 80 character calm
    check "$class: the log tells begin and end" wait_until 5 logged "$class" 2
    check "$class: the log tells nothing twice" test "$(log_lines "class=\"$class\"")" -eq 2
    check "$class: a clean stop" daemon_stop
}

flood_has_class "random-source flood" armed 5000
flood_has_class "few-source flood" unarmed 2000 -s random:3 # each up to its own limit: 192 of the 255 that would arm

# ACKs with a guessed number end the entries that synmoatd keeps, but not the kernel's: its own count says so, a second
# later at the most. By then the backlog may be full, and clients have to wait until the kernel has given up the oldest.
forged_acks()
{
    local name="forged ACKs, $1" dst=$2
    topo_up
    nginx_start 128
    daemon_start 'backlog = { handshake_timeout_s = 3; hold_s = 1; };' || exit 1
    check "$name: clients are served" test "$(requests 5 3 "$dst")" -eq 5
    flood_start 4000 40 "$dst" 80 -a
    check "$name: the service is armed" wait_until 10 armed 80
    check "$name: a client is served when the backlog has room again" wait_until 20 fetch "$3" "$dst" 3
    check "$name: then all are" test "$(requests 20 3 "$dst")" -eq 20
    check "$name: the flood is still on" alive "$FLOOD_PID"
    flood_stop
    check "$name: the service disarms by itself" wait_until 30 unarmed 80
    check "$name: a clean stop" daemon_stop
}
forged_acks IPv4 "$SRV4" "$CLI4"
forged_acks IPv6 "$SRV6" "$CLI6"

# A signature is the kernel's to check, if it can: then it drops those of strangers, else it takes them for nobody's.
signed_syns()
{
    local name="signed SYNs"
    topo_up
    nginx_start 128
    daemon_start 'backlog = { handshake_timeout_s = 3; hold_s = 1; };' || exit 1
    check "$name: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
    flood_start 2000 40 "$SRV4" 80 -o ao
    check "$name: every one is seen" wait_until 10 counted syn_received 2000
    check "$name: clients are served meanwhile" test "$(requests 20 3 "$SRV4")" -eq 20
    check "$name: the flood is still on" alive "$FLOOD_PID"
    flood_stop
    check "$name: a clean stop" daemon_stop
}
signed_syns

# Sources that are proven by guessing, while nothing is armed, must not get so much of the backlog later that clients are
# left without.
proven_by_guessing()
{
    local name="guessed proof"
    topo_up
    nginx_start 128
    daemon_start 'backlog = { handshake_timeout_s = 3; hold_s = 1; };' || exit 1
    check "$name: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
    flood_start 100 1 "$SRV4" 80 -a -s each:30
    flood_wait
    flood_start 3000 40 "$SRV4" 80
    check "$name: the flood arms the service" wait_until 10 armed 80
    FLOOD_PROOF=$FLOOD_PID
    flood_start 200 40 "$SRV4" 80 -a -s each:30
    check "$name: some of them go direct" wait_until 10 counted syn_direct 1
    check "$name: a client is served" wait_until 20 fetch "$CLI4" "$SRV4" 3
    check "$name: then all are" test "$(requests 40 3 "$SRV4")" -eq 40
    check "$name: they are still at it" alive "$FLOOD_PID"
    flood_stop
    kill "$FLOOD_PROOF" 2>/dev/null
    check "$name: a clean stop" daemon_stop
}
proven_by_guessing
