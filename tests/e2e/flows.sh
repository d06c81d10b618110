# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# While a service is armed the rules know the connections in use, and not each of their packets is noted: a busy one stays
# known past the minute that a note lasts; one that was idle, or of which no packet is noted, is asked about once more.
# beside others
. "$(dirname "$0")/../lib.sh"

PORT=7099 BUSY=20401 IDLE=20402 PLAIN=20403
CONFIG="services = ( { name = \"echo\"; address = \"any\"; ports = [$PORT]; cookies = \"always\"; } );"

said() { grep -qx "$1" "$WORK/pinging.$2"; } # WORD SPORT
pinging() # SPORT [idle]
{
    touch "$WORK/pings.$1"
    ip netns exec "$CLI" "$TESTS/tools/pinging.py" "$SRV4" $PORT "$1" "$WORK/pings.$1" "${@:2}" >"$WORK/pinging.$1" 2>&1 &
    wait_until 10 said up "$1"
}
ends_alive() { rm "$WORK/pings.$1"; wait_until 5 said alive "$1"; } # SPORT

known() { in_daemon nft list set inet synmoat flows_v4 | grep -q " $1 \. $SRV4 "; } # SPORT
unknown() { ! known "$1"; }
all_known() { known $BUSY && known $IDLE && known $PLAIN; }
asked() { counter ack_cookie_invalid; }
# What is on its way together is asked about together.
asked_a_few_more() { [ "$(asked)" -gt "$1" ] && [ "$(asked)" -le $(($1 + 5)) ]; } # THAN

topo_up
ip netns exec "$SRV" "$TESTS/tools/pinging.py" serve $PORT &
wait_until 5 listening $PORT || exit 1
daemon_start "$CONFIG" || exit 1
check "a first client is served" pinging 20400 idle # the service is learned from it
check "it lives" ends_alive 20400

check "a busy connection begins" pinging $BUSY
check "an idle one begins" pinging $IDLE idle
in_cli sysctl -qw net.ipv4.tcp_timestamps=0
check "and a busy one without timestamps" pinging $PLAIN
check "all were handed over" wait_until 5 counted handed_over 3
check "all are known" wait_until 5 all_known
before=$(settled asked)

check "after a minute the idle one is not known any more" wait_until 80 unknown $IDLE
check "the busy one still is" known $BUSY
check "the one without timestamps is, for it was asked about once more" wait_until 5 known $PLAIN
check "and only so" wait_until 5 asked_a_few_more "$before"
before=$(settled asked)
check "the idle one lives" ends_alive $IDLE
check "it was asked about" wait_until 5 asked_a_few_more "$before"
check "it is known again" known $IDLE
check "the busy one lives" ends_alive $BUSY
check "the one without timestamps lives" ends_alive $PLAIN
check "a clean stop" daemon_stop
