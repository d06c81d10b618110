# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh disable=SC2119
# Faults of the daemon's process under load: killed, stopped for a while, restarted, reloaded without end.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../faults.sh
. "$(dirname "$0")/../faults.sh"

again() { daemon_launch "${UNDER[@]}" "$SYNMOATD" -c "$WORK/synmoat.conf" && wait_until 5 armed 80; }
killed() { daemon_kill; wait_until 1 table_gone && again; }
restarted() { daemon_stop && again; }

# stopped SECONDS: as by a debugger, or a host that is starved.
stopped()
{
    local until
    until=$(($(uptime_ms) + $1 * 1000))
    kill -STOP "$DAEMON_PID" && wait_until $(($1 + 5)) up_since "$until" && kill -CONT "$DAEMON_PID"
}

# reloaded: fifty times, each with other values.
reloaded()
{
    local i
    for ((i = 1; i <= 50; i++)); do
        config_write "$(faults_config "allow = [ \"192.0.2.$i\" ]; rate_limit = { connections_per_s = $((1000 + i)); };
            reflection = { unanswered_per_s = $((100000 + i)); };")" && ctl reload >/dev/null || return 1
    done
    ctl allow list --json | jq -e 'any(.. | strings; startswith("192.0.2.50"))' >/dev/null
}

# The old one stays in force, and it is said why.
unreadable()
{
    mv "$WORK/synmoat.conf" "$WORK/synmoat.conf.away"
    ! ctl reload >/dev/null 2>&1 && log_says 'the old configuration stays in force' && armed 80 &&
        echo 'services = ( {' >"$WORK/synmoat.conf" && ! ctl reload >/dev/null 2>&1 &&
        kill -HUP "$DAEMON_PID" && wait_until 2 told reload-failed && armed 80 &&
        mv "$WORK/synmoat.conf.away" "$WORK/synmoat.conf" && ctl reload >/dev/null
}

faults_world host
faults_begin
fault "kill -9" 50 10000 killed
fault "a restart" 0 10000 restarted
fault "SIGSTOP for 5 s" 250 25000 stopped 5
fault "50 reloads, each with other values" 0 10000 reloaded
fault "the configuration is away, then wrong" 0 10000 unreadable
faults_end
nothing_left

faults_world gateway
faults_begin
fault "kill -9" 50 10000 killed
fault "a restart" 0 10000 restarted
faults_end
nothing_left
