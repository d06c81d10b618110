#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The list of tcp.sh again, under other circumstances, with smaller transfers. PARALLEL variants run side by side,
# each in namespaces of its own; most of their time is waiting for TCP's timers. (rp_filter is 1 in all of them.)

set -u

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /tmp/synmoat-matrix.XXXXXX)
trap 'rm -rf "$work"' EXIT
names=()

# variant NAME VARIABLE=VALUE...: tcp.sh with these, in the background.
variant()
{
    local name=$1; shift
    [ "$(jobs -rp | wc -l)" -lt "${PARALLEL:-7}" ] || wait -n
    names+=("$name")
    env BULK_MB=20 "$@" RESULTS="$work/$name.results" timeout -k 10 240 bash "$here/tcp.sh" >"$work/$name.out" 2>&1 &
}

# report NAME: its lines, under its name. A list that died without a word is a failure too.
report()
{
    [ -s "$work/$1.results" ] || echo "fail the list did not run" >"$work/$1.results"
    sed "s/^\([a-z]*\) /\1 $1: /" "$work/$1.results" >>"${RESULTS:-/dev/null}"
    sed "s/ok - /&$1: /" "$work/$1.out"
    grep -q '^fail ' "$work/$1.results" && status=1
}

ts=net.ipv4.tcp_timestamps=0 sack=net.ipv4.tcp_sack=0 scale=net.ipv4.tcp_window_scaling=0

variant 'tcp_loose 0' TCP_LOOSE=0
variant 'INPUT policy drop' ADMIN_RULES=1
variant 'INPUT policy drop and tcp_loose 0' ADMIN_RULES=1 TCP_LOOSE=0
variant 'no timestamps' CLIENT_SYSCTL=$ts
variant 'no SACK' CLIENT_SYSCTL=$sack
variant 'no window scaling' CLIENT_SYSCTL=$scale
variant 'no options at all' CLIENT_SYSCTL="$ts $sack $scale"
wait

status=0
for name in "${names[@]}"; do report "$name"; done
exit "$status"
