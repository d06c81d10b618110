# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=lib.sh
#
# SYNs sent = SYNs received = the sum of the reasons. Sourced after lib.sh; all SYNs are to port 80.

# ---- what was sent, by those who sent it

# Clients count in their own namespace; floods say what they sent, and the link which of it went through.
senders_up()
{
    FLOODED_SYNS=0 LEFT_OUT=0 ON_LINK=0
    in_cli nft 'table inet sent { chain out { type filter hook output priority 300;
        tcp dport 80 tcp flags & (fin | syn | rst | ack) == syn counter; }; }'
}
on_link() { ip -n "$ATK" -s -j link show a0 | jq '.[0].stats64.tx.packets'; }
clients_sent() { in_cli nft -j list chain inet sent out | jq '[.nftables[].rule.expr[]?.counter.packets // empty] | add'; }
# What is sent from now on.
sent_is_past() { LEFT_OUT=0; LEFT_OUT=$(sent); }
sent() { echo $((FLOODED_SYNS + $(clients_sent) - LEFT_OUT)); }

# flood COUNT DST [synflood options]; flood_begin and flood_end: something may happen meanwhile; flood_cut ends it before.
flood_begin()
{
    ON_LINK=$(on_link)
    flood_start "${PPS:-20000}" "${FLOOD_SECONDS:-60}" "$2" 80 -n "$1" "${@:3}"
}
flood_end()
{
    local syns went
    flood_wait
    syns=$(sed -n 's/^sent \([0-9]*\) .*/\1/p' "$WORK/flood.log")
    went=$(($(on_link) - ON_LINK)) # now and then with a word to a router among it
    FLOODED_SYNS=$((FLOODED_SYNS + (went < syns ? went : syns)))
}
flood_cut()
{
    kill "$FLOOD_PID" 2>/dev/null
    flood_end
}
flood() { flood_begin "$@"; flood_end; }

# ---- what was received, by the daemon

# Of it all and of what was decided, at one moment.
received_and_decided() { stat_get '.counters | "\(.syn_received) \([to_entries[] | select((.key | startswith("syn_")) and .key != "syn_received").value] | add)"'; }
adds_up()
{
    local wanted is
    wanted=$(sent)
    is=$(received_and_decided)
    [ "$is" = "$wanted $wanted" ] && return
    echo "sent $wanted; received and decided: $is" >"$WORK/differs"
    return 1
}
# accounted NAME: at rest it adds up, to the last SYN.
accounted()
{
    wait_until 10 adds_up && pass "$1: every SYN sent is received, and has one reason" && echo "# $(sent) SYNs" && return
    fail "$1: every SYN sent is received, and has one reason" "$(cat "$WORK/differs")"
    stat_get '.counters | with_entries(select(.value > 0))' >&2
}

any_of() # COUNTER...: of each
{
    local counter
    for counter; do stat_is ".counters.$counter > 0" || return 1; done
}

# ---- the XDP tier, where it can be had

xdp_works()
{
    unshare -n "$AS_ROOT" -k -c <(echo 'accelerator = "xdp"; xdp = { mode = "generic"; interfaces = [ ]; };') 2>/dev/null |
        grep -q 'accelerator: XDP'
}
xdp_on_both() { stat_is '[.accelerator.interfaces[] | select(.state == "generic" or .state == "native")] | length == 2'; }
