# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Who is challenged, who is let past, who is refused; and whether `explain` says so.
# beside others
. "$(dirname "$0")/../lib.sh"

SERVICES='services = ( { name = "web"; ports = [80]; }, { name = "other"; ports = [8080]; } );'

server_up()
{
    topo_up
    rm -f "$WORK/next_client"
    NGINX_LISTEN='listen 8080; listen [::]:8080;' nginx_start 511
}
now_is() { [ "$(counter "$1")" -eq "$2" ]; }           # COUNTER VALUE
syns_are() { [ "$(settled syns_queued)" -eq "$1" ]; } # none was queued since it was $1
served_from() # SRC DST N: as many pages, one after the other
{
    local i
    for ((i = 0; i < $3; i++)); do fetch "$1" "$2" || return; done
}

# ---- one source that holds too many half-open connections

# About LIMIT of 500 SYNs in its name pass; the rest is challenged, and nobody else is.
LIMIT=64
lone_source() # NAME DST SRC OTHER
{
    local name=$1 dst=$2 src=$3 before held challenged accepted valid

    silent "$src"
    before=$(counter syn_received)
    held=$(stat_get .tables.half_open.entries)
    challenged=$(counter syn_source_challenged)
    flood_start 5000 10 "$dst" 80 -s "$src" -n 500
    flood_wait
    check "$name: its SYNs beyond the limit are challenged" \
        wait_until 5 counted syn_source_challenged $((challenged + 500 - LIMIT - 10))
    check "$name: the service is wary" wait_until 3 service_is 80 state wary
    check "$name: the service is not armed" unarmed 80
    check "$name: explain says that it is challenged" explained "$src" syn_source_challenged
    check "$name: explain says that others are not" explained "$4" syn_accepted
    # A few may pass while the rules for cookies are being made.
    check "$name: it holds hardly more than its limit" \
        test $(($(stat_get .tables.half_open.entries) - held)) -le $((LIMIT + 8))
    check "$name: each of its SYNs was seen" wait_until 5 counted syn_received $((before + 500))

    accepted=$(counter syn_accepted) challenged=$(counter syn_source_challenged) valid=$(counter ack_cookie_valid)
    check "$name: others are served" test "$(requests 20 3 "$dst")" -eq 20
    check "$name: others go direct" counted syn_accepted $((accepted + 20))
    check "$name: none of the others is challenged" now_is syn_source_challenged "$challenged"
    check "$name: none of the others needs a cookie" now_is ack_cookie_valid "$valid"
    check "$name: a real client at that very address is served" fetch "$src" "$dst"
    check "$name: it came in by a cookie" wait_until 2 counted ack_cookie_valid $((valid + 1))
}

one_source_is_challenged()
{
    server_up
    spoofing_allowed
    # Of IPv6 all clients of the bench are in one /64.
    daemon_start "$SERVICES backlog = { handshake_timeout_s = 10; };
        sources = { half_open_limit = $LIMIT; prefix_v6 = 128; };" || exit 1
    check "one source: clients are served before" test "$(requests 5 3 "$SRV4")$(requests 5 3 "$SRV6")" = 55
    lone_source "one source, IPv4" "$SRV4" 10.78.1.1 10.78.1.2
    lone_source "one source, IPv6" "$SRV6" fd78::101 fd78::102
    check "one source: nobody is challenged on the service's account" now_is syn_challenged 0
    check "one source: the service was never armed" test "$(log_lines ') armed')" -eq 0
    check "one source: it is over when its half-open connections are" wait_until 30 service_is 80 state watching
    check "one source: a clean stop" daemon_stop
}

# ---- an attack from everywhere: known users, listed ones, strangers

USER=10.78.2.1 STRANGER=10.78.2.2
ALLOWED=10.78.3.1 BOTH=10.78.3.200 DENIED=10.78.4.1 # BOTH: in both lists
LISTS='allow = [ "10.78.3.0/24" ]; deny = [ "10.78.3.128/25", "10.78.4.0/24" ];'

# connect_us SRC: the median of 20 connects, in microseconds.
connect_us()
{
    local i
    for ((i = 0; i < 20; i++)); do
        in_cli curl -sf -o /dev/null -m 5 --interface "$1" -w '%{time_connect}\n' "http://$SRV4/" || echo 5
    done | sort -n | awk '{ t[NR] = $1 } END { printf "%.0f", (t[10] + t[11]) / 2 * 1e6 }'
}

explained_as_listed() # NAME
{
    check "$1: explain says allowed" explained $ALLOWED syn_allowed
    check "$1: explain says denied" explained $DENIED syn_denied
    check "$1: explain says allowed of who is in both lists" explained $BOTH syn_allowed
}

explains_why()
{
    ctl explain "$1" --json | says_true '.policy == "enforce" and all(.verdicts[]; .why | length > 10)'
}

returning_user() # MEDIAN_IN_PEACE_US
{
    local peace=$1 direct valid attack
    check "attack: explain says direct of a user who came before" wait_until 15 explained $USER syn_direct
    direct=$(counter syn_direct) valid=$(counter ack_cookie_valid)
    attack=$(connect_us $USER)
    check "attack: his SYNs go direct" counted syn_direct $((direct + 20))
    check "attack: none of them is challenged" now_is ack_cookie_valid "$valid"
    check "attack: he connects about as fast as in peace" test "$attack" -le $((peace * 5 + 50000))
}

attack_from_everywhere()
{
    local peace valid allowed handed

    server_up
    daemon_start "$SERVICES $LISTS backlog = { handshake_timeout_s = 3; hold_s = 1; };" || exit 1
    check "peace: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
    check "peace: explain says accepted" explained $STRANGER syn_accepted
    peace=$(connect_us $USER)
    check "peace: explain says accepted of who came before" explained $USER syn_accepted
    explained_as_listed peace

    flood_start 5000 40 "$SRV4" 80
    check "attack: the attacked service arms" wait_until 3 armed 80
    check "attack: explain says challenged of a stranger" explained $STRANGER syn_challenged
    check "attack: explain tells of each service" test \
        "$(ctl explain $STRANGER --json | jq -c '[.source, (.verdicts | map(.endpoint + " " + .outcome) | sort)]')" = \
        "[\"$STRANGER\",[\"any:80 syn_challenged\",\"any:8080 syn_accepted\"]]"
    check "attack: explain says why" explains_why $STRANGER
    check "attack: explain says it in words, too" grep -qw syn_challenged <(ctl explain $STRANGER "$SRV4:80")
    explained_as_listed attack
    returning_user "$peace"

    valid=$(counter ack_cookie_valid) allowed=$(counter syn_allowed)
    check "attack: an allowed client is served" served_from $ALLOWED "$SRV4" 10
    check "attack: its SYNs are counted as allowed" wait_until 3 counted syn_allowed $((allowed + 10))
    check "attack: none of them is challenged" now_is ack_cookie_valid "$valid"
    handed=$(counter handed_over)
    check "attack: strangers are served" test "$(requests 10 3 "$SRV4")" -eq 10
    check "attack: strangers are handed over" wait_until 3 counted handed_over $((handed + 10))
    check "attack: the other service serves on" test "$(PORT=8080 requests 10 3 "$SRV4")" -eq 10
    check "attack: the other service stays unarmed" unarmed 8080
    check "attack: it is still on" alive "$FLOOD_PID"
    flood_stop

    # By hand, so that no SYN but the clients' own is around.
    check "armed by hand: the service is armed" ctl arm web
    check "armed by hand: and stays so" wait_until 3 armed 80
    lists_are_the_kernels
    check "attack: a clean stop" daemon_stop
}

# What is on a list is not even asked about.
lists_are_the_kernels()
{
    local queued allowed denied
    queued=$(settled syns_queued) allowed=$(counter syn_allowed) denied=$(counter syn_denied)
    check "allow: such a client is served" served_from $ALLOWED "$SRV4" 10
    check "allow: its SYNs are counted" wait_until 3 counted syn_allowed $((allowed + 10))
    check "allow: it wins over deny" served_from $BOTH "$SRV4" 3
    check "deny: such a client is not served" refused $DENIED "$SRV4"
    PORT=8080 check "deny: nor by another service" refused $DENIED "$SRV4"
    check "deny: its SYNs are counted" wait_until 3 counted syn_denied $((denied + 2))
    check "allow and deny: none of these SYNs was queued" syns_are "$queued"
    check "allow and deny: others are" fetch $STRANGER "$SRV4"
    check "allow and deny: so that the count is right" test "$(settled syns_queued)" -gt "$queued"
}

# ---- lists that change while the daemon runs

list_has() { ctl "$1" list | grep -qF -- "$2"; } # allow|deny CIDR
list_lacks() { ! list_has "$@"; }
ctl_refuses() { local code=0; ctl "$@" >/dev/null 2>"$WORK/refusal" || code=$?; [ $code -eq 1 ]; }

live_lists()
{
    local download
    server_up
    head -c 12M /dev/urandom >"$WORK/www/slow"
    daemon_start "$SERVICES" || exit 1

    in_cli curl -sf -m 30 --limit-rate 1M --interface 10.78.5.1 -o "$WORK/slow" "http://$SRV4/slow" &
    download=$!
    wait_until 5 test -s "$WORK/slow"
    check "live: deny add is taken" ctl deny add 10.78.5.0/24
    check "live: deny list shows it" list_has deny 10.78.5.0/24
    check "live: it holds at once" refused 10.78.5.1 "$SRV4"
    check "live: explain says so" explained 10.78.5.1 syn_denied
    check "live: a connection older than that goes on" alive $download
    check "live: others are served" fetch 10.78.6.1 "$SRV4"
    check "live: allow add is taken" ctl allow add 10.78.5.7
    check "live: allow list shows it" list_has allow 10.78.5.7
    check "live: an allowed address within a denied network is served" fetch 10.78.5.7 "$SRV4"
    check "live: explain says allowed" explained 10.78.5.7 syn_allowed
    check "live: allow del is taken" ctl allow del 10.78.5.7
    check "live: allow list no longer shows it" list_lacks allow 10.78.5.7
    check "live: then it is denied again" refused 10.78.5.7 "$SRV4"
    check "live: deny del is taken" ctl deny del 10.78.5.0/24
    check "live: deny list no longer shows it" list_lacks deny 10.78.5.0/24
    check "live: then all are served" fetch 10.78.5.1 "$SRV4"

    check "live, IPv6: deny add is taken" ctl deny add fd78::500/120
    check "live, IPv6: it holds at once" refused fd78::501 "$SRV6"
    check "live, IPv6: others are served" fetch fd78::601 "$SRV6"
    check "live, IPv6: deny del is taken" ctl deny del fd78::500/120
    check "live, IPv6: then all are served" fetch fd78::501 "$SRV6"

    check "live: what is no network is refused" ctl_refuses deny add 10.78.5.0/33
    check "live: what is not in the list cannot be deleted" ctl_refuses deny del 10.78.9.0/24
    wait $download
    check "live: and comes to its end, byte for byte" cmp "$WORK/www/slow" "$WORK/slow"
    check "live: a clean stop" daemon_stop
}

# ---- observe: all is counted, nothing is done

observe()
{
    server_up
    spoofing_allowed
    daemon_start "policy = \"observe\"; $SERVICES $LISTS" || exit 1
    check "observe: clients are served" test "$(requests 5 3 "$SRV4")" -eq 5
    check "observe: a denied client is served" fetch $DENIED "$SRV4"
    check "observe: its SYN is counted as denied" wait_until 3 counted syn_denied 1
    check "observe: an allowed client is served" fetch $ALLOWED "$SRV4"
    check "observe: its SYN is counted as allowed" wait_until 3 counted syn_allowed 1
    silent 10.78.1.1
    flood_start 5000 10 "$SRV4" 80 -s 10.78.1.1 -n 200
    flood_wait
    check "observe: who holds too many would have been challenged" \
        wait_until 5 counted syn_source_challenged 100
    check "observe: he is served" fetch 10.78.1.1 "$SRV4"
    check "observe: nobody got a cookie" now_is ack_cookie_valid 0
    check "observe: nobody was handed over" now_is handed_over 0
    check "observe: a clean stop" daemon_stop
}

one_source_is_challenged
attack_from_everywhere
live_lists
observe
