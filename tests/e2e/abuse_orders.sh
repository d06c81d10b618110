# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Each request that changes something, as the daemon itself lists them, refused to who may not make it; and clients of the
# control socket that say nothing, or too much, or never read.
# beside others
. "$(dirname "$0")/../lib.sh"

# request_of WORDS: with what the list says that it takes; who adds a request of another kind says here what that is.
request_of()
{
    local usage
    usage=$(ctl help | grep -- "^$1 ")
    usage=${usage#"$1" }
    case ${usage%%  *} in
    "" | "["*) echo "$1" ;;
    SERVICE*) echo "$1 web" ;;
    CIDR*) echo "$1 192.0.2.0/24" ;;
    SRC*) echo "$1 192.0.2.1" ;;
    *) echo "$1 ${usage%%  *}" ;;
    esac
}

# All that an order may change.
state() { ctl config show; ctl allow list; ctl deny list; ctl ban list; ctl secret show-epoch | grep -v ' left$'; services; }
services() { ctl services --json | jq -c '.services[] | {name, armed, override}'; }

refused_to_others()
{
    local changes before words
    mapfile -t changes < <(ctl help --json | jq -r '.changes[]')
    check "orders: there are some" test ${#changes[@]} -ge 10
    state >"$WORK/before"
    before=$(stat_get .orders_refused)
    for words in "${changes[@]}"; do
        # shellcheck disable=SC2046 # words
        check "a stranger: '$words' is not permitted" exits 4 as_nobody $(request_of "$words")
        check "a stranger: '$words': he is told why" grep -q "^error: not permitted: '$words' is for root" "$WORK/stderr"
    done
    check "a stranger: each was counted" test "$(stat_get .orders_refused)" -eq $((before + ${#changes[@]}))
    check "a stranger: metrics say so, too" grep -qx "synmoat_orders_refused_total $((before + ${#changes[@]}))" <(ctl metrics)
    check "a stranger: the log says so once" test "$(log_lines 'refused (uid=')" -eq 1
    check "a stranger: with his number" log_says "refused (uid=$(id -u nobody) pid="
    check "a stranger: and it is an event" told order-refused ".fields.uid == $(id -u nobody)"
    ctl help --json | jq -r '.requests | keys[] as $k | $k' | grep -vxF "$(printf '%s\n' "${changes[@]}")" >"$WORK/others"
    check "a stranger: there are requests that are not among them" test "$(wc -l <"$WORK/others")" -ge 10
    while read -r words; do
        # shellcheck disable=SC2046 # words
        check "a stranger: '$words' he may" exits 0 as_nobody $(request_of "$words") </dev/null
    done <"$WORK/others"
    check "a stranger: nothing has changed" diff "$WORK/before" <(state)
}

permitted_to_members()
{
    local words
    while read -r words; do
        # shellcheck disable=SC2046 # words
        as_member $(request_of "$words") >"$WORK/stdout" 2>"$WORK/stderr" </dev/null
        check "a member: '$words' is permitted" test $? -le 1
        check "a member: '$words': of what is wrong, that is not it" not_forbidden
    done < <(ctl help --json | jq -r '.changes[]')
    check "a member: something has changed" fails diff "$WORK/before" <(state)
}
fails() { ! "$@" >/dev/null; }
not_forbidden() { fails grep 'not permitted' "$WORK/stderr"; }

# ---- the socket

rss_kib() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$DAEMON_PID/status"; }
descriptors() { find "/proc/$DAEMON_PID/fd" -type l 2>/dev/null | wc -l; }
answered_within() # MS
{
    local began
    began=$(now_ms)
    exits 0 ctl status && [ $(($(now_ms) - began)) -le "$1" ]
}
slowest_of() # N: the longest that root waits for an answer, in ms
{
    local n=$1 most=0 began took
    for ((; n > 0; n--)); do
        began=$(now_ms)
        ctl status >/dev/null 2>&1 || { echo 99999; return; }
        took=$(($(now_ms) - began))
        [ $took -le $most ] || most=$took
    done
    echo $most
}
besieging() { grep -qx "$1" "$WORK/siege"; }

besieged()
{
    local fds rss
    answered_within 5000 || fail "in peace it is answered"
    for _ in {1..20}; do ctl metrics; ctl sources --top 1000 --json; done >/dev/null # what memory that takes is taken
    fds=$(descriptors) rss=$(rss_kib)
    in_srv setpriv --reuid nobody --regid nogroup --clear-groups python3 "$TESTS/tools/besiege.py" "$WORK/ctl.sock" 8 \
        >"$WORK/siege" 2>&1 & SIEGE=$!
    check "besieged: a thousand clients are there" wait_until 10 besieging on
    check "besieged: root is answered within 1 s, 20 times" test "$(slowest_of 20)" -le 1000
    check "besieged: it has no more descriptors than it has places" test "$(descriptors)" -le $((fds + 80))
    check "besieged: a flood arms the service" armed_by_flood
    check "besieged: and its clients are served" test "$(requests 20 5 "$SRV4")" -eq 20
    check "besieged: root is answered on" test "$(slowest_of 20)" -le 1000
    check "besieged: root may still change something" exits 0 ctl deny add 192.0.2.77
    flood_stop
    check "besieged: they are still there" alive $SIEGE
    sanitized || check "besieged: its memory has not grown" test "$(rss_kib)" -le $((rss + 16384))
    wait $SIEGE
    cat "$WORK/siege"
    check "besieged: they sent much without a newline" sent_much
    check "besieged: afterwards all descriptors are back" wait_until 10 few_descriptors $((fds + 4))
    check "besieged: afterwards a stranger is answered" wait_until 10 exits 0 as_nobody status
}
armed_by_flood() { flood_start 20000 30 "$SRV4" 80; wait_until 5 armed 80; }
few_descriptors() { [ "$(descriptors)" -le "$1" ]; }
sent_much() { [ "$(sed -n 's/^sent //p' "$WORK/siege")" -ge 104857600 ]; }

topo_up
nginx_start 511
daemon_start "services = ( $(service web any 80) );
    control = { socket = \"$WORK/ctl.sock\"; access = \"everybody\"; group = \"games\"; };" || exit 1
refused_to_others
besieged
permitted_to_members
check "a clean stop" daemon_stop
