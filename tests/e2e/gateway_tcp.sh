#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The list of tcp.sh through a gateway. (rp_filter is 1 in all of them.)

# shellcheck source-path=SCRIPTDIR source=../variants.sh
. "$(dirname "$0")/../variants.sh"

variant 'gateway' GATEWAY=1
variant 'gateway, FORWARD policy drop and tcp_loose 0' GATEWAY=1 ADMIN_RULES=1 TCP_LOOSE=0
variant 'DNAT' GATEWAY=1 NAT=dnat
variant 'MASQUERADE' GATEWAY=1 NAT=masq
variant 'DNAT and MASQUERADE' GATEWAY=1 NAT=both
variant 'DNAT and MASQUERADE, no options at all' GATEWAY=1 NAT=both \
    CLIENT_SYSCTL='net.ipv4.tcp_timestamps=0 net.ipv4.tcp_sack=0 net.ipv4.tcp_window_scaling=0'
# While strays pass, and who was sent a cookie is not known.
variant 'gateway, XDP answers' GATEWAY=1 ACCELERATOR=auto ONLY='third ACK'
variants_end
