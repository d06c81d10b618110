#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source-path=SCRIPTDIR source=lib.sh
# A SYN flood against a real nginx, without synmoatd and with it. Under a minute; run by `sudo make demo`.
. "$(dirname "$0")/lib.sh"

RATE=20000
N=100

backlog_full() { [ "$(in_srv ss -Hnt state syn-recv | wc -l)" -ge 128 ]; }
armed() { stat_is .armed; }
peaceful() { stat_is '.armed | not'; }

row() # WHAT
{
    local finished median
    finished=$(PARALLEL=25 requests $N 1.5 "$SRV4")
    median=$(awk '$1 == 200 { print $2 * 1000 }' "$WORK/requests" | sort -n |
        awk '{ t[NR] = $1 } END { if (NR) printf "%.1f ms", t[int((NR + 1) / 2)]; else print "-" }')
    printf '  %-42s %4d of %d %12s\n' "$1" "$finished" $N "$median"
}

topo_up
nginx_start 128

echo
printf '  %-42s %11s %12s\n' "legitimate requests (nginx, curl)" "finished" "median"
printf '  %s\n' "-------------------------------------------------------------------"
row "before the flood"

flood_start $RATE 30 "$SRV4" 80
wait_until 5 backlog_full
row "flood of $RATE SYN/s, without synmoatd"

daemon_start 'backlog = { handshake_timeout_s = 3; hold_s = 1; };' || exit 1
wait_until 5 armed
row "flood of $RATE SYN/s, with synmoatd"
flood_stop

wait_until 15 peaceful
row "after the flood, synmoatd watching"

echo
echo "  what synmoatd said:"
grep -E ' (dis)?armed' "$WORK/daemon.log" | sed 's/^/    /'
echo
daemon_stop
