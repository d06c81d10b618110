# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# A crowd of real clients, and a server that does not keep up: they fill the backlog, and no service is armed for it.
# beside others
. "$(dirname "$0")/../lib.sh"

N=2000

# watch_start, watch_end: many a status, from beginning to end; seen JQ_EXPR asks about the array of all of them.
watch_start()
{
    touch "$WORK/watch_on"
    while [ -e "$WORK/watch_on" ]; do
        ctl status --json
        sleep 0.05
    done >"$WORK/watch" &
    WATCH_PID=$!
}
watch_end() { rm -f "$WORK/watch_on"; wait "$WATCH_PID"; }
seen() { says_true -s "$1" "$WORK/watch"; }
never_armed()
{
    check "$1: no service is armed at any time" seen 'length > 20 and all(.[]; .armed or any(.services[]; .armed) | not)'
    check "$1: nor does the log say so" test "$(log_lines ') armed')" -eq 0
}
logged() { [ "$(log_lines "class=\"$1\"")" -ge "$2" ]; } # CLASS AT_LEAST

# ---- many real clients, far away

# A second line between client and server, 300 ms long, for the addresses that clients.py takes: 10.78.128.0/17.
FAR4=10.76.0.1
longline_up()
{
    python3 "$TESTS/tools/longline.py" --delay-ms 300 far0 "$SRV" "$CLI" &
    wait_until 5 longline_linked
}
longline_linked()
{
    ip -n "$SRV" link set far0 up && ip -n "$CLI" link set far0 up &&
        ip -n "$SRV" addr replace $FAR4/32 dev far0 && ip -n "$SRV" route replace 10.78.128.0/17 dev far0 &&
        ip -n "$CLI" route replace $FAR4 dev far0
} 2>/dev/null

# 480 at a time: each is half-open for half of its life, so that some 240 are; more than the 120 that a flood may reach.
flash_crowd()
{
    topo_up
    nginx_start 1024
    if [ ! -c /dev/net/tun ] || ! longline_up; then
        skip "flash crowd: $N clients and no service armed" "no TUN device here"
        return
    fi
    daemon_start 'services = ( { name = "web"; ports = [80]; limit = 600; } );
        backlog = { arm_percent = 20; disarm_percent = 10; crowd_percent = 85; };' || exit 1
    watch_start
    crowd_start -n $N -p 480 --ramp 6 --sources $N $FAR4
    crowd_wait
    watch_end
    check "flash crowd: $N of $N clients are served" crowd_is ".ok == $N and .failed == 0"
    check "flash crowd: their half-open connections pass the threshold" \
        seen 'map(.services[0] | .half_open - .arm_at) | max >= 0'
    never_armed "flash crowd"
    check "flash crowd: status says so" seen 'any(.[].services[]; .character == "flash crowd")'
    check "flash crowd: the log says so" logged "flash crowd" 1
    check "flash crowd: nobody was challenged" stat_is '.counters | .syn_challenged + .syn_source_challenged == 0'
    check "flash crowd: then the service is calm again" wait_until 30 service_is 80 character calm
    check "flash crowd: a clean stop" daemon_stop
}

# ---- a server that does not accept

WAITING=200
slow_backend()
{
    local server
    topo_up
    ip netns exec "$SRV" python3 "$TESTS/tools/slowserver.py" --backlog 32 80 &
    server=$!
    wait_until 5 listening 80 || fail "the slow server listens"
    daemon_start 'backlog = { handshake_timeout_s = 5; };' || exit 1
    watch_start
    # They do not give up: their SYNs come again after 1, 3 and 7 s.
    crowd_start -n $WAITING -p $WAITING -l 40 --sources $WAITING "$SRV4"
    check "slow backend: status says so" wait_until 10 service_is 80 character "slow backend"
    check "slow backend: the log says so" wait_until 3 logged "slow backend" 1
    check "slow backend: the log says what would not help" \
        grep -Eq 'class="slow backend".*would not help|would not help.*class="slow backend"' "$WORK/daemon.log"
    check "slow backend: it is an event, but no attack" told pressed \
        '.fields | .class == "slow backend" and .reason == "slow backend" and .completed_percent >= 0'
    check "slow backend: no service is armed while it is stuck" unarmed 80
    kill -USR1 $server
    crowd_wait
    check "slow backend: when it accepts, $WAITING of $WAITING clients are served" \
        crowd_is ".ok == $WAITING and .failed == 0"
    check "slow backend: then the service is calm again" wait_until 30 service_is 80 character calm
    check "slow backend: that is an event" wait_until 2 told relieved '.fields.class == "slow backend"'
    watch_end
    never_armed "slow backend"
    check "slow backend: the log tells begin and end" wait_until 5 logged "slow backend" 2
    check "slow backend: a clean stop" daemon_stop
}

flash_crowd
slow_backend
