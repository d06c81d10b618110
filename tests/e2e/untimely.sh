# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# A first ACK, or data behind it, that finds no connection at the server. The kernel's RST to data is not to leave while the
# handshake is fresh, for it may be by mistake (ruleset_parts.c, rules_fresh()), but later, when the client has sent it
# again. The RST to a first ACK is to leave at once: a client who waits for the server to speak sends nothing more.
# beside others
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"

SPORT=20300
at() { local name=$1$2; echo "${!name}"; } # NAME FAMILY

mute() { in_cli nft "table inet mute { chain out { type filter hook output priority 0; tcp sport $SPORT-$((SPORT + 99)) tcp flags rst drop; }; }"; }

# reset_after [DATA]: the milliseconds from the first ACK to the RST that a copy of it meets, or the data in its place.
reset_after() { SPORT=$((SPORT + 1)) && peer untimely --port $ECHO --sport $SPORT --patience 5 --data "${1:-}" >"$WORK/after"; }
reset_in_time() # AT_LEAST AT_MOST [DATA], in ms
{
    local after
    reset_after "${3:-}" || return
    after=$(cat "$WORK/after")
    [ "$after" -ge "$1" ] && [ "$after" -le "$2" ] && return
    echo "the RST came after $after ms" >&2
    return 1
}
held_back() { [ "$(in_daemon nft -j list chain inet synmoat hush | jq '[.. | .counter?.packets? // empty] | add')" -ge "$1" ]; }

# The set's second is rounded up to its next clean-up at the latest: two. And data is noted for another, once more.
untimely() # NAME CONFIG
{
    local f
    mute && echo_up
    HOST=$SRV4 && check "$1: without synmoatd a RST comes at once" reset_in_time 0 600
    HOST=$SRV4 && check "$1: without synmoatd also to data" reset_in_time 0 600 late
    [ -z "$NODAEMON" ] || return
    daemon_start "$2" || exit 1
    for f in 4 6; do
        HOST=$(at SRV $f)
        [[ $1 != *"handed over"* ]] || check "IPv$f, $1: the server is answered for" wait_until 10 handed peer echo --port $ECHO
        check "IPv$f, $1: a RST to a first ACK leaves at once" reset_in_time 0 600
        check "IPv$f, $1: none to data leaves while the handshake is fresh, but later" reset_in_time 700 3600 late
    done
    check "$1: what did not leave is counted" held_back 2
    check "$1: a clean stop" daemon_stop
}

on_host() { DAEMON_NS=$SRV && topo_up; }
behind() { gateway_config "$(service echo4 "$SRV4" $ECHO "cookies = \"$1\";"), $(service echo6 "$SRV6" $ECHO "cookies = \"$1\";")"; }

on_host && untimely "in peace" "services = ( { name = \"echo\"; ports = [$ECHO]; } );"
on_host && untimely "handed over" "services = ( { name = \"echo\"; ports = [$ECHO]; cookies = \"always\"; } );"
DAEMON_NS=$GW
gateway_up none && untimely "gateway, in peace" "$(behind auto)"
gateway_up both && untimely "gateway with NAT, handed over" "$(behind always)"
