# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# A server that has another way to its clients: what it answers does not come through the gateway. No proxy can protect
# it; then it is served as if there were none, and the log says why.
#
#   smcli ── eth0 smgw eth2 ── smsrv
#     └──── d0 10.77.4.2 ── 10.77.4.1 dsr ────┘
# beside others
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../ends.sh
. "$(dirname "$0")/../ends.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

SAID='no answer of its server comes through this host'

shortcut_up()
{
    gateway_up none
    in_srv sysctl -qw net.ipv4.conf.{all,eth0}.rp_filter=0
    in_cli sysctl -qw net.ipv4.conf.{all,c0}.rp_filter=0
    _link "$SRV" dsr "$CLI" d0 4
    in_srv sysctl -qw net.ipv4.conf.dsr.rp_filter=0
    in_cli sysctl -qw net.ipv4.conf.d0.rp_filter=0
    nginx_flooded
}

# around, through: which way the server's answers take.
around() { _default 10.77.4.2 fd77:4::2 dsr; }
through() { _default "$INNER4" "$INNER6" eth0; }
_default() # IPV4 IPV6 DEVICE
{
    ip -n "$SRV" route replace default via "$1" dev "$3"
    ip -n "$SRV" -6 route del default
    ip -n "$SRV" -6 route add default via "$2" dev "$3"
}

family() # 4|6
{
    if [ "$1" = 4 ]; then HOST=$SRV4; else HOST=$SRV6; fi
}

start() # COOKIES
{
    daemon_start "$(gateway_config "$(service web4 "$SRV4" 80 "limit = 128; cookies = \"$1\";"),
        $(service web6 "$SRV6" 80 "limit = 128; cookies = \"$1\";")" "$QUICK on_exit = \"pass\";")" || exit 1
}
state_is() # STATE
{
    # shellcheck disable=SC2016 # the variables are jq's
    ctl services --json | says_true --arg at "$HOST" --arg state "$1" \
        '[.services[] | select(.address == $at) | .state] == [$state]'
}
served() { [ "$(requests 20 3 "$HOST")" -eq 20 ]; }
served_by_cookies() { handed served; }
said_times() { [ "$(grep -F "$SAID" "$WORK/daemon.log" | grep -cF "$(url_host "$HOST"):80")" -eq "$1" ]; }

# ---- never any answer

never_through()
{
    local f name
    shortcut_up
    around
    start always
    for f in 4 6; do
        family $f
        name="IPv$f: a server that answers around us"
        check "$name is served as without us" served
        check "$name: status says so" state_is 'no answer yet'
    done
    check "answers around us: nobody is handed over" test "$(counter handed_over)" -eq 0
    check "answers around us: a clean stop" daemon_stop

    start auto
    for f in 4 6; do
        family $f
        name="IPv$f: a server that answers around us, flooded"
        flood_start 2000 4 "$HOST" 80
        check "$name: the log says why it is not armed" wait_until 5 said_times 1
        check "$name: that is an event" told asymmetric "(.level == \"warning\" and .fields.service == \"web$f\"
            and .fields.endpoint == \"$(url_host "$HOST"):80\")"
        flood_wait
        check "$name: it is not armed" unarmed 80
        check "$name: the log says so once" said_times 1
    done
    check "answers around us, flooded: every SYN has exactly one outcome" wait_until 5 syns_add_up
    check "answers around us, flooded: nobody was challenged" test "$(counter syn_challenged)" -eq 0
    check "answers around us, flooded: a clean stop" daemon_stop
}

# ---- answers that come no more

comes_no_more()
{
    local f name
    shortcut_up
    start always
    through
    for f in 4 6; do
        family $f
        check "IPv$f: answers that come no more: the server is answered for" wait_until 10 served_by_cookies
    done
    around
    for f in 4 6; do
        family $f
        name="IPv$f: answers that come no more"
        check "$name: that is found out" wait_until 60 given_up
        check "$name: the log says so once" said_times 1
        check "$name: then clients are served as without us" served
        check "$name: and nobody is handed over" none_handed served
    done
    through
    for f in 4 6; do
        family $f
        check "IPv$f: answers that come no more: when they come again, clients are handed over" \
            wait_until 10 served_by_cookies
    done
    check "answers that come no more: a clean stop" daemon_stop
}
# It takes connections that hang, and half a minute: of both families at the same time.
NUMBER=20000
given_up()
{
    local host waiting=()
    state_is 'answers elsewhere' && return
    for host in "$SRV4" "$SRV4" "$SRV4" "$SRV6" "$SRV6" "$SRV6"; do
        NUMBER=$((NUMBER + 1))
        fetch "$(client_address $NUMBER "$host")" "$host" 2 &
        waiting+=($!)
    done
    wait "${waiting[@]}"
    state_is 'answers elsewhere'
}
none_handed()
{
    local before
    before=$(counter handed_over)
    "$@" && [ "$(counter handed_over)" -eq "$before" ]
}

never_through
comes_no_more
