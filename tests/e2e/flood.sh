# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# A real nginx, real curls, and 20,000 spoofed SYN/s.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

FLOODED=$QUICK

server_up() { topo_up; nginx_flooded; }

for family in IPv4 IPv6; do
    dst=$SRV4; [ $family = IPv6 ] && dst=$SRV6

    server_up
    flood_does_harm "$family without synmoatd" "$dst" 200
    server_up
    flood_is_survived "$family" "$dst"
done

server_up
daemon_start "policy = \"observe\"; $QUICK" || exit 1
flood_does_harm "observe" "$SRV4" 60
check "observe: says what it would have challenged" test "$(counter syn_challenged)" -gt 0
check "observe: hands nothing over" test "$(counter handed_over)" -eq 0
check "observe: every SYN has exactly one outcome" wait_until 5 syns_add_up
check "observe: a clean stop" daemon_stop

# One source that never answers: a bystander in whose name the SYNs come.
server_up
daemon_start 'services = ( { name = "web"; address = "any"; ports = [80]; cookies = "always"; } );
    reflection = { unanswered_per_s = 500; };' || exit 1
check "reflection: clients are served" test "$(requests 20 3 "$SRV4")" -eq 20
flood_start $RATE 3 "$SRV4" 80 -s 11.22.33.44
flood_wait
settled counter syn_received >/dev/null
check "reflection: a bystander gets no more than the cap, and a second's worth" \
    test "$(counter syn_challenged)" -le $((500 * 5 + 100))
check "reflection: what he was spared is counted" test "$(counter syn_capped)" -gt $((RATE * 2))
check "reflection: others are served on" test "$(requests 50 3 "$SRV4")" -eq 50
check "reflection: every SYN has exactly one outcome" wait_until 5 syns_add_up
check "reflection: a clean stop" daemon_stop
