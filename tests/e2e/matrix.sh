#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The list of tcp.sh with other clients and other servers. (rp_filter is 1 in all of them.)

# shellcheck source-path=SCRIPTDIR source=../variants.sh
. "$(dirname "$0")/../variants.sh"

ts=net.ipv4.tcp_timestamps=0 sack=net.ipv4.tcp_sack=0 scale=net.ipv4.tcp_window_scaling=0

variant 'tcp_loose 0' TCP_LOOSE=0
variant 'INPUT policy drop' ADMIN_RULES=1
variant 'INPUT policy drop and tcp_loose 0' ADMIN_RULES=1 TCP_LOOSE=0
variant 'no timestamps' CLIENT_SYSCTL=$ts
variant 'no SACK' CLIENT_SYSCTL=$sack
variant 'no window scaling' CLIENT_SYSCTL=$scale
variant 'no options at all' CLIENT_SYSCTL="$ts $sack $scale"
variants_end
