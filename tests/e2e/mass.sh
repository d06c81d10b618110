# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Many clients, each handed over: none may be lost.
. "$(dirname "$0")/../lib.sh"

N=${CONNECTIONS:-20000} # fewer under valgrind

clients() { in_cli python3 "$TESTS/tools/clients.py" "$@" | tee "$WORK/clients"; }
# shellcheck disable=SC2016 # the variable is jq's
all_ok() { says_true --argjson n "$1" '.ok == $n and .failed == 0' "$WORK/clients"; }
handed_over_since() { [ "$(settled counter handed_over)" -ge $(($1 + $2)) ]; }

topo_up
nginx_start 4096
daemon_start 'services = ( { name = "web"; address = "any"; ports = [80]; cookies = "always"; } );' || exit 1

# The first client of a service may be the one it is learned from.
check "the first clients are served" test "$(requests 5 3 "$SRV4")$(requests 5 3 "$SRV6")" = 55

before=$(counter handed_over)
clients -n 200 --at-once --rounds 20 "$SRV4" "$SRV6"
check "200 connections open at once all ping-pong to their end" all_ok 200
check "200 connections at once were all handed over" handed_over_since "$before" 200

before=$(counter handed_over)
clients -n "$N" "$SRV4" "$SRV6"
check "$N connections have 0 failures" all_ok "$N"
check "$N connections were all handed over" handed_over_since "$before" "$N"

check "no handover failed" test "$(counter handover_failed)" -eq 0
check "no packet was lost in the queue" test "$(counter queue_dropped)" -eq 0
check "a clean stop" daemon_stop
