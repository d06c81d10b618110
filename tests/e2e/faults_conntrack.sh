# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# Faults of conntrack under load: its table is flushed, and is full.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../faults.sh
. "$(dirname "$0")/../faults.sh"

# What was handed over was translated by its entry, and that cannot be had again: its two ends count differently.
stands_still() { same_size "$WORK/long.$1" && ! transfer_goes_on "$1" 2; } # NAME
same_size() { local size; size=$(stat -c %s "$1"); sleep 0.5; [ "$(stat -c %s "$1")" -eq "$size" ]; } # FILE
flushed()
{
    in_daemon conntrack -F 2>/dev/null
    check "$PLACE: conntrack flushed: the handed-over transfer stands still, as was said" wait_until 5 stands_still handed
    transfer_drop handed
}

# Full for a second and a half. Filling takes longer than that, and hurts nobody.
fill()
{
    : >"$WORK/filler"
    ip netns exec "$DAEMON_NS" python3 "$TESTS/tools/fillconntrack.py" >"$WORK/filler" &
    FILLER_PID=$!
    check "$PLACE: conntrack's table is full" wait_until 30 grep -q full "$WORK/filler"
}
emptied()
{
    sleep 1.5
    kill "$FILLER_PID"
    wait "$FILLER_PID" 2>/dev/null
    in_daemon conntrack -D -p udp -d 198.19.0.1 >/dev/null 2>&1 # an eighth: that is room enough, and soon done
}

# To lower the limit is the same to new connections; but it is the whole machine's, unless it can be set in a namespace.
max_set() { in_daemon sh -c "echo $1 >/proc/sys/net/netfilter/nf_conntrack_max" 2>/dev/null; } # ENTRIES
max_now() { in_daemon cat /proc/sys/net/netfilter/nf_conntrack_max; }
lowered()
{
    local before
    before=$(max_now)
    max_set 1 || return 1
    sleep 1.5
    max_set "$before"
}

for place in host gateway; do
    faults_world "$place"
    faults_begin
    fill
    fault "conntrack full for 1.5 s" 750 4000 emptied
    in_daemon conntrack -D -p udp >/dev/null 2>&1 # the rest
    if max_set "$(max_now)"; then fault "nf_conntrack_max lowered for 1.5 s" 750 4000 lowered
    else skip "$place: nf_conntrack_max lowered" "only the first namespace can set it: make check-vm does"; fi
    fault "conntrack flushed" 25 2000 flushed
    faults_end
    nothing_left
done
