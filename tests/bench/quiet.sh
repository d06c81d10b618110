# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Others on the machine are waited out, for a while, before something is measured.

QUIET_PERCENT=20 # of all CPUs that other programs may use when a run begins
QUIET_TRIES=${QUIET_TRIES:-300}  # of 100 ms each, in all
RUNS=0 DISTURBED=0

# Percent of all CPUs that were busy in the last 100 ms. Nothing of ours runs then.
busy_percent()
{
    local user nice system idle wait irq soft steal _ before=0 before_idle=0 total i
    for i in 0 1; do
        read -r _ user nice system idle wait irq soft steal _ </proc/stat
        total=$((user + nice + system + idle + wait + irq + soft + steal))
        if [ $i = 0 ]; then before=$total before_idle=$((idle + wait)); sleep 0.1; fi
    done
    echo $((100 - 100 * (idle + wait - before_idle) / (total > before ? total - before : 1)))
}

await_quiet()
{
    RUNS=$((RUNS + 1))
    while [ "$(busy_percent)" -gt $QUIET_PERCENT ]; do
        if [ "$QUIET_TRIES" -le 0 ]; then
            DISTURBED=$((DISTURBED + 1))
            return
        fi
        QUIET_TRIES=$((QUIET_TRIES - 1))
    done
}
