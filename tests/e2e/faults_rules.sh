# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh disable=SC2119
# Somebody else flushes, deletes or changes nftables rules under load: it is noticed, made good again, and told.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../faults.sh
. "$(dirname "$0")/../faults.sh"

table_is() { [ "$(in_daemon nft -s list table inet "$1" 2>/dev/null)" = "$2" ]; } # TABLE TEXT
restored() { stat_get .rules_restored; }
restored_more() { [ "$(restored)" -gt "$1" ]; } # THAN
refused_nft() { ! in_daemon nft "$@" 2>/dev/null; }

# spoilt TABLE NFT_COMMAND...: the table is soon as it was, and that is counted.
spoilt()
{
    local table=$1 before text; shift
    before=$(restored)
    text=$(in_daemon nft -s list table inet "$table")
    in_daemon nft "$@" || return 1
    wait_until 1 restored_more "$before" && wait_until 1 table_is "$table" "$text"
}
keeper_rule() { in_daemon nft -a list table inet synmoat_keep | sed -n 's/.*counter.*handle //p'; }
keeper_chain() { in_daemon nft list table inet synmoat_keep | awk '$1 == "chain" { print $2 }'; }
ours_untouched()
{
    refused_nft delete table inet synmoat && refused_nft flush table inet synmoat &&
        refused_nft flush chain inet synmoat syn && refused_nft delete set inet synmoat flows_v4 &&
        refused_nft add element inet synmoat armed_port '{ 1 }'
}

# flushed: all of nftables, ten times.
flushed() { for _ in 1 2 3 4 5 6 7 8 9 10; do spoilt synmoat_keep flush ruleset || return 1; done; }
# others_busy: somebody changes his own rules as fast as he can, thousands of times within three seconds.
wakes() { awk '/ctxt_switches/ { sum += $2 } END { print sum }' "/proc/$DAEMON_PID/task/$DAEMON_PID/status"; } # the main thread's
others_busy()
{
    local before
    before=$(wakes)
    timeout 3 yes 'add table inet busy; add chain inet busy c; delete table inet busy' | in_daemon nft -i >/dev/null 2>&1
    WAKES=$(($(wakes) - before))
}
spoilt_bit_by_bit()
{
    spoilt synmoat_keep delete table inet synmoat_keep &&
        spoilt synmoat_keep flush table inet synmoat_keep &&
        spoilt synmoat_keep flush chain inet synmoat_keep "$(keeper_chain)" &&
        spoilt synmoat_keep delete rule inet synmoat_keep "$(keeper_chain)" handle "$(keeper_rule)" &&
        spoilt synmoat_keep add rule inet synmoat_keep "$(keeper_chain)" drop
}
closed_bit_by_bit()
{
    local allow='add element inet synmoat_closed allow_v4 { 192.0.2.0/24 }'
    spoilt synmoat_closed delete table inet synmoat_closed &&
        spoilt synmoat_closed flush table inet synmoat_closed &&
        spoilt synmoat_closed flush chain inet synmoat_closed nobody_decided &&
        spoilt synmoat_closed "$allow" &&
        spoilt synmoat_closed add rule inet synmoat_closed incoming drop
}

faults_world host
faults_begin
check "host: nobody else can touch table synmoat" ours_untouched
fault "nft flush ruleset, ten times" 0 10000 flushed
check "host: it is an event" told rules-restored '.fields.table == "synmoat_keep"'
fault "the keeper's table, chain, rule" 0 10000 spoilt_bit_by_bit
check "host: which is not said each time" test "$(log_lines 'somebody has changed')" -le 3
before=$(restored)
fault "others change their own rules without end" 0 10000 others_busy
check "host: which is none of our business" test "$(restored)" -eq "$before"
check "host: and keeps nobody busy" test "$WAKES" -lt 2000
faults_end
nothing_left

# Nothing is armed, and nothing of ours but the keeper has conntrack registered for what an earlier daemon handed over.
faults_world host
faults_begin
faults_load_off
daemon_kill
daemon_start "$(faults_config)" || exit 1
check "host: a keeper from before is made again" spoilt synmoat_keep flush ruleset
check "host: no service is armed" unarmed 80
check "host: what was handed over before comes as it was sent" transfer_whole handed
nothing_left

faults_world gateway
faults_begin 'on_exit = "drop";'
fault "nft flush ruleset" 0 10000 spoilt synmoat_closed flush ruleset
check "gateway: it is an event" told rules-restored '.fields.table == "synmoat_closed"'
fault "the table that closes, bit by bit" 0 10000 closed_bit_by_bit
faults_end
nothing_left
