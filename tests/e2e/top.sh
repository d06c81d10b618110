# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# synmoatctl top in a real terminal (tmux), during a flood.
. "$(dirname "$0")/../lib.sh"

SOCKET=$WORK/ctl.sock
MANY=$(seq -s , 3001 3030) # ports, to be scrolled through
CONFIG="services = ( { name = \"web\"; ports = [80]; }, { name = \"many\"; ports = [$MANY]; } );
    backlog = { handshake_timeout_s = 3; hold_s = 1; };"
# Its own server, so that no other is met, and no file of the user's.
export TMUX_TMPDIR=$WORK
unset TMUX LINES COLUMNS NO_COLOR

TERMINAL=0 ended=0
mux() { tmux -L "t$TERMINAL" -f /dev/null "$@"; }
terminal_close() { mux kill-server 2>/dev/null; }
trap 'ended=$?; terminal_close; (exit $ended); _finish' EXIT

# terminal_open COLUMNS ROWS [NAME=VALUE...]: a shell in a terminal of this size.
terminal_open()
{
    local columns=$1 rows=$2; shift 2
    terminal_close
    TERMINAL=$((TERMINAL + 1)) # a server of its own: the last one may be about to end
    mux new-session -d -x "$columns" -y "$rows" \
        "exec env PS1='ready> ' $* ip netns exec '$SRV' bash --norc --noprofile" || exit 1
    wait_until 5 screen_says '^ready>'
}
keys() { mux send-keys "$@"; }
typed() { keys -l "$1"; keys Enter; }
screen() { mux capture-pane -p; }
screen_says() { screen | grep -qE -- "$1"; }
screen_lacks() { ! screen_says "$1"; }
row_says() { screen | sed -n "$1p" | grep -qE -- "$2"; } # ROW PATTERN
resized() { mux resize-window -x "$1" -y "$2"; }        # COLUMNS ROWS

# Runs it; the terminal's settings before and after it, and its exit code, are kept.
TOP="$SYNMOATCTL -s $SOCKET top"
top_open()
{
    rm -f "$WORK/before" "$WORK/after" "$WORK/code"
    typed "clear; stty -g >$WORK/before; $TOP --interval 0.5; echo \$? >$WORK/code; stty -g >$WORK/after"
    wait_until 10 screen_says '^synmoatd '
}
top_ended() { wait_until 5 test -s "$WORK/after" && [ "$(cat "$WORK/code")" -eq "$1" ]; } # CODE
as_it_was() { cmp "$WORK/before" "$WORK/after" && wait_until 5 screen_says '^ready>' && screen_lacks SERVICE; }
top_pid() { pgrep -x -f "$TOP --interval 0.5"; }
bar() { screen | sed -n 's/.*\(\[[^]]*\]\).*/\1/p' | head -n 1; }
bar_is_wider() { [ "$(bar | wc -m)" -gt "$1" ]; } # THAN

# ---- what is shown

# The most urgent line, and what is below it.
flood_is_shown()
{
    check "80x24: how many are armed" row_says 1 '^synmoatd [^ ]+  ARMED 1 of 31  host, enforce  up '
    check "80x24: SYNs per second and what became of them" \
        wait_until 5 row_says 2 '^SYN/s [0-9]{3,}: [0-9]+ passed, [0-9]{3,} challenged, 0 refused'
    check "80x24: the armed service first, with rate, completion, bar and character" \
        wait_until 10 row_says 5 '^web +any:80 +ARMED +[0-9]{3,} +[0-9]+% \[#+\|#+\] .*random-source'
    check "80x24: then those that nothing happens to" row_says 6 '^many +any:30[0-9]+ +watching +0 +- \[ +\| +\] 0/511'
    check "80x24: the top sources" wait_until 5 screen_says '^11\.[0-9.]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ '
    check "80x24: a place for events" screen_says '^LAST EVENTS'
    check "80x24: the keys are on the last line" row_says 24 '^q quit'
}

sizes()
{
    local width
    width=$(bar | wc -m)
    resized 60 15
    check "60x15: the keys are on the last line" wait_until 5 row_says 15 '^q quit'
    check "60x15: the armed service with its bar" wait_until 5 screen_says '^web .*ARMED.*\[#+\|#+\]'
    check "60x15: the first line is the first" row_says 1 '^synmoatd .*ARMED 1'
    resized 160 50
    check "160x50: the keys are on the last line" wait_until 5 row_says 50 '^q quit'
    check "160x50: the bar is wider" wait_until 5 bar_is_wider "$width"
    check "160x50: the armed service with everything" \
        screen_says '^web +any:80 +ARMED .*\] [0-9]+/128 +random-source flood'
    check "160x50: no line is left over from a smaller one" test "$(screen | grep -c '^q quit')" -eq 1
    resized 80 24
    check "80x24 again: the keys are on the last line" wait_until 5 row_says 24 '^q quit'
}

first_line() { screen | head -n 1; }
first_line_changed() { [ "$(first_line)" != "$1" ]; } # FROM

key_by_key()
{
    local line
    keys s
    check "s: sources by challenges" wait_until 5 screen_says '^SOURCES BY challenged'
    keys s
    check "s: and back" wait_until 5 screen_says '^SOURCES BY half-open'
    keys h
    check "h: help" wait_until 5 screen_says '^p +pause'
    check "h: in place of the services" screen_lacks '^SERVICE'
    keys h
    check "h: and back" wait_until 5 screen_says '^SERVICE'
    check "scrolling: it begins at the top" screen_says '^1 to [0-9]+ of 31 services'
    keys Down Down
    check "Down: two further" wait_until 5 screen_says '^3 to [0-9]+ of 31'
    keys Up
    check "Up: one back" wait_until 5 screen_says '^2 to [0-9]+ of 31'
    keys NPage
    check "PgDn: a page" wait_until 5 screen_lacks '^[1-5] to '
    keys End
    check "End: the last" wait_until 5 screen_says ' to 31 of 31'
    keys Home
    check "Home: the first" wait_until 5 screen_says '^1 to '
    keys p
    check "p: it pauses, and says so" wait_until 5 row_says 1 PAUSED
    line=$(first_line)
    sleep 1.2 # two intervals: nothing is to change
    check "p: and stands still" test "$(first_line)" = "$line"
    keys p
    check "p: and goes on" wait_until 5 row_says 1 'up [^P]*$'
    line=$(first_line)
    check "p: with new numbers" wait_until 5 first_line_changed "$line"
}

away_and_back()
{
    daemon_kill
    check "daemon gone: the screen says so" wait_until 5 screen_says '^no daemon at .*\(Connection refused\)'
    check "daemon gone: what is shown is called old" screen_says '^What follows is old'
    check "daemon gone: the last is still there" screen_says '^web '
    check "daemon back: it starts" daemon_launch "$SYNMOATD" -c "$WORK/synmoat.conf"
    check "daemon back: the screen goes on" wait_until 10 screen_lacks 'What follows is old|no daemon'
    check "daemon back: the flood arms it again" wait_until 10 screen_says '^web .*ARMED'
}

# ---- how it ends

endings()
{
    keys q
    check "q: it ends with 0" top_ended 0
    check "q: the terminal is as it was" as_it_was

    top_open
    kill -TERM "$(top_pid)"
    check "SIGTERM: it ends by it" top_ended 143
    check "SIGTERM: the terminal is as it was" as_it_was

    top_open
    keys C-c
    check "^C: it ends, and the shell goes on" wait_until 5 screen_says '^ready>'
    typed "stty -g >$WORK/after"
    check "^C: the terminal is as it was" wait_until 5 cmp -s "$WORK/before" "$WORK/after"

    top_open
    keys C-z
    check "^Z: the shell has the terminal" wait_until 5 screen_says 'Stopped'
    typed "fg"
    check "fg: it has it again" wait_until 5 row_says 24 '^q quit'
    keys q
    check "fg: and ends" wait_until 5 screen_lacks '^q quit'
}

# ---- without a terminal, and with others

colours() { mux capture-pane -p -e | grep -q $'\e\[[0-9;]*31m'; }
plain() { ! colours; }
bars_of_unicode() { screen_says '█+│'; }

forms()
{
    terminal_open 80 24 LC_ALL=C.UTF-8 TERM=xterm-256color
    top_open
    check "UTF-8: the bar is drawn with blocks" wait_until 5 bars_of_unicode
    check "colours: an armed service is red" wait_until 5 colours
    keys q
    check "UTF-8: it ends" top_ended 0
    typed 'export NO_COLOR=1'
    top_open
    check "NO_COLOR: nothing is red" plain
    keys q
    check "NO_COLOR: it ends" top_ended 0
    terminal_close
}

refused() # CODE PATTERN CMD...
{
    local code=$1 pattern=$2 got=0; shift 2
    "$@" >"$WORK/stdout" 2>"$WORK/stderr" || got=$?
    [ "$got" -eq "$code" ] && [ ! -s "$WORK/stdout" ] && grep -qE -- "$pattern" "$WORK/stderr" && return
    cat "$WORK/stdout" "$WORK/stderr" >&2
    return 1
}

# once COLUMNS ROWS CMD...: what it prints is no larger, and has no escape sequence.
once()
{
    local columns=$1 rows=$2; shift 2
    "$@" >"$WORK/frame" || return
    awk -v columns="$columns" -v rows="$rows" 'length($0) > columns { bad = 1 } END { exit bad || !NR || NR > rows }' \
        "$WORK/frame" && ! grep -q $'\e' "$WORK/frame" && grep -q '^web .*ARMED' "$WORK/frame"
}

without_terminal()
{
    check "no terminal: an error that names --once" refused 2 '--once prints one screen' ctl top </dev/null
    check "--json: an error that says what to ask" refused 2 'status --json' ctl --json top
    check "--interval: 0 is none" refused 2 '0.2 to 3600' ctl top --once --interval 0
    check "--interval: nor is a word" refused 2 '0.2 to 3600' ctl top --once --interval soon
    check "top: a word too many" refused 2 'one word too many' ctl top web
    check "top: no daemon from the start" refused 3 'no daemon at' in_srv "$SYNMOATCTL" -s "$WORK/nosuch" top --once
    check "--once: a frame of 80x24" once 80 24 env LC_ALL=C "$SYNMOATCTL" -s "$SOCKET" top --once
    check "--once: with rates" grep -qE '^SYN/s [0-9]{3,}:' "$WORK/frame"
    check "--once: of the size of the environment" \
        once 120 40 env LC_ALL=C COLUMNS=120 LINES=40 "$SYNMOATCTL" -s "$SOCKET" top --once --interval 0.5
    check "--once: which is used" test "$(wc -l <"$WORK/frame")" -gt 24
}

topo_up
NGINX_LISTEN=$(for port in ${MANY//,/ }; do echo "listen $port;"; done) nginx_start 128
daemon_start "$CONFIG" || exit 1
flood_start 3000 120 "$SRV4" 80
check "a flood arms the service" wait_until 10 armed 80
terminal_open 80 24 LC_ALL=C TERM=xterm
top_open
flood_is_shown
sizes
key_by_key
away_and_back
endings
forms
without_terminal
flood_stop
check "a clean stop" daemon_stop
