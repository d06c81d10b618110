# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# The control socket as man 5 synmoat-control describes it, synmoatctl's exit codes and errors, and its completion.
. "$(dirname "$0")/../lib.sh"

ROOT=$(dirname "$TESTS")
MAN=$ROOT/man/synmoat-control.5
SOCKET=$WORK/ctl.sock
SERVICES='services = ( { name = "web"; ports = [80, 8080]; }, { name = "mail"; ports = [2525]; } );'
LISTS='allow = [ "203.0.113.0/28" ]; deny = [ "198.51.100.0/24", "198.51.101.0/24" ];'

silent_on() { [ ! -s "$WORK/$1" ]; }             # stdout|stderr
says_on() { grep -qE -- "$2" "$WORK/$1"; }       # stdout|stderr PATTERN
file_says() { says_true "$2" "$1"; }             # FILE JQ_EXPR

# ---- the protocol

by_socat() { echo "$1" | socat - "UNIX:$SOCKET"; }
answers_by_socat() { by_socat "$1" | grep -qE -- "$2"; }
answers_json_by_socat() { by_socat "$1" | says_true "$2"; }
# socat's shut-down ends the line as well as a newline does.
answers_without_newline() { printf status | socat - "UNIX:$SOCKET" | grep -q ^synmoatd; }

# The program of the man page's EXAMPLES, as it stands there but for the path.
python_example()
{
    awk '/^From Python/ { found = 1 } found && /^\.Ed/ { exit } code { print } found && /^\.Bd/ { code = 1 }' "$MAN" |
        sed "s|/run/synmoat/control.sock|$SOCKET|; s|\\\\en|\\\\n|g" >"$WORK/example.py"
    [ -s "$WORK/example.py" ] && python3 "$WORK/example.py" >"$WORK/stdout"
}

too_long() { printf 'status %0600d\n' 0 | socat -t 2 - "UNIX:$SOCKET" | grep -qx "error: request longer than 512 bytes"; }

# A line of 512 bytes, all but the word of it blanks.
long_enough() { printf '%-512s\n' status | socat - "UNIX:$SOCKET" | grep -q ^synmoatd; }

protocol()
{
    check "protocol: a line by socat is answered as text" answers_by_socat status '^synmoatd [0-9]'
    check "protocol: or as JSON" answers_json_by_socat "status json" \
        '.format == 1 and (.services | length == 3) and .mode == "host"'
    check "protocol: format is the first key" answers_by_socat "version json" '^\{"format":1,'
    check "protocol: the end of input ends a line" answers_without_newline
    check "protocol: 512 bytes are a line" long_enough
    check "protocol: more are an error" too_long
    check "protocol: an error is told as text" answers_by_socat nonsense '^error: unknown request "nonsense"'
    check "protocol: or as JSON to who asked for it" answers_json_by_socat "nonsense json" \
        '.format == 1 and (.error | startswith("unknown request \"nonsense json\""))'
    ctl arm web >/dev/null
    check "protocol: a service is armed for it" wait_until 3 armed 80
    check "protocol: the python program of the man page runs" python_example
    check "protocol: it names the armed service" grep -qx "\['web', 'web'\]" "$WORK/stdout"
    ctl auto web >/dev/null
}

# ---- every key

# documented SECTION: lines "KEY TYPE[|TYPE...]".
documented()
{
    awk -v section=".Ss $1" '/^\.S[sh] / { on = $0 == section }
        on && /^\.It Cm / { key = $3; sub(/^.* Pq /, ""); gsub(/ or /, "|"); print key, $0 }' "$MAN"
    [ "$1" != status ] || documented services | grep '^services\[\]'
}

# Of the JSON on stdin, likewise, each type that a key has on a line of its own. A key below one that is documented with
# a star is that one.
found()
{
    jq -r 'def named: if . == "array" then "list" elif . == "number" then "integer" else . end;
        [paths as $path | select($path[-1] | type == "string") | getpath($path) as $value
         | ($path | map(if type == "number" then "[]" else "." + . end) | add | ltrimstr("."))
           + " " + (if ($value | type) == "number" and ($value | floor) != $value then "fraction"
                    else $value | type | named end)] | unique[]' |
        awk -v stars="$(documented "$1" | sed -n 's/\.\* .*//p')" 'BEGIN { count = split(stars, star) }
            { type = $NF; key = substr($0, 1, length($0) - length(type) - 1) }
            { for (i = 1; i <= count; i++) if (index(key, star[i] ".") == 1) key = star[i] ".*"
              print key, type }' | sort -u
}

# Every key is in the man page with this type, and every one of the man page is there.
as_documented() # SECTION JSON_FILE
{
    documented "$1" >"$WORK/documented"
    found "$1" <"$2" >"$WORK/found"
    [ -s "$WORK/found" ] && [ -s "$WORK/documented" ] || return
    awk 'NR == FNR { types[$1] = "|" $2 "|"; next }
         { seen[$1] = 1 }
         !($1 in types) { print "not documented: " $0; bad = 1; next }
         types[$1] == "|any|" || (types[$1] ~ /\|number\|/ && $2 ~ /^(integer|fraction)$/) { next }
         !index(types[$1], "|" $2 "|") { print "not of the documented type: " $0; bad = 1 }
         END { for (key in types) if (!(key in seen)) { print "not in the answer: " key; bad = 1 } exit bad }' \
        "$WORK/documented" "$WORK/found" >&2
}

# What has to be asked so that the answer of this section holds every key.
request_of() # SECTION
{
    case $1 in
        explain) echo explain 10.78.0.1 ;;
        "allow list, deny list") echo deny list ;;
        "requests that change something") echo deny add 192.0.2.0/24 ;;
        errors) echo nonsense ;;
        *) echo "$1" ;;
    esac
}

sections() { awk '/^\.Sh / { on = $2 == "ANSWERS" } on && /^\.Ss / { sub(/^\.Ss /, ""); print }' "$MAN"; }
# As the daemon's own help names them: each request has a section, and no section is of none.
section_exists() { sections | tr ',' '\n' | sed 's/^ //' | grep -qxF "$1"; }
banned() { ctl ban list | grep -qwF 10.78.60.0; }

# Something in each list: sources, a ban, an allowed and a denied network, a server that was learned from.
lists_fill()
{
    fetch 10.78.0.1 "$SRV4"
    ctl arm web >/dev/null
    wait_until 3 armed 80
    crowd_start -p 10 -l 1 --sources 1 --base 15360 "$SRV4"
    wait_until 10 banned
    crowd_end
}

keys()
{
    local section
    check "keys: there is something to tell" lists_fill
    while IFS= read -r section; do
        # shellcheck disable=SC2046 # words
        by_socat "$(request_of "$section") json" >"$WORK/answer"
        check "keys: what is documented about \"$section\" is what is told" as_documented "$section" "$WORK/answer"
        check "keys: \"$section\" begins with the format" grep -q '^{"format":1,' "$WORK/answer"
    done < <(sections)
    for section in status services sources explain "ban list" events metrics check "config show" "secret show-epoch" version help; do
        check "keys: \"$section\" has its section" section_exists "$section"
    done
    ctl deny del 192.0.2.0/24 >/dev/null
    ctl auto web >/dev/null
}

# ---- exit codes, and what is said

no_daemon() { in_srv "$SYNMOATCTL" -s "$@"; }

codes_with_daemon()
{
    check "exit 0: an answer" exits 0 ctl status
    check "exit 0: nothing on standard error" silent_on stderr
    check "exit 1: the daemon says error" exits 1 ctl arm nosuch
    check "exit 1: on standard error" says_on stderr '^error: arm: .*nosuch'
    check "exit 1: in JSON" exits 1 ctl --json arm nosuch
    check "exit 1: as JSON, on standard error, too" file_says "$WORK/stderr" '.error | startswith("arm: ")'
    check "exit 1: nothing on standard output" silent_on stdout
    check "exit 1: a command that the daemon does not know" exits 1 ctl bogus
    check "exit 1: one without what it takes" exits 1 ctl arm
    check "exit 1: the answer cannot be written" exits 1 sh -c '"$@" >/dev/full' sh "$SYNMOATCTL" -s "$SOCKET" status
    check "exit 1: nor can a long one" exits 1 sh -c '"$@" >/dev/full' sh "$SYNMOATCTL" -s "$SOCKET" metrics
    check "exit 2: no command" exits 2 ctl
    check "exit 2: with the usage" says_on stderr '^usage: synmoatctl'
    check "exit 2: an unknown option" exits 2 ctl --nonsense
    check "exit 2: a word with a blank" exits 2 ctl arm "a b"
    check "exit 2: a path that no socket can have" exits 2 no_daemon "$(printf '/%0200d' 0)" status
}

# Who answers once at $WORK/other.sock with what SHELL_COMMAND prints, whatever is asked; his pid to OTHER_PID.
other_answers() # SHELL_COMMAND
{
    rm -f "$WORK/other.sock"
    socat "UNIX-LISTEN:$WORK/other.sock" "SYSTEM:$1" 2>/dev/null &
    OTHER_PID=$!
    wait_until 5 test -S "$WORK/other.sock"
}
other_end() { kill "$OTHER_PID"; wait "$OTHER_PID"; } 2>/dev/null
ask_other() { "$SYNMOATCTL" -s "$WORK/other.sock" status; }

# What a terminal must not get: ESC, BEL, CSI of one byte in UTF-8, DEL; and a tab, which it may.
strange() { printf 'a\033]0;x\007b\302\233c\177\td\n'; }
on_terminal() { script -qec "$SYNMOATCTL -s $WORK/other.sock status" /dev/null </dev/null | tr -d '\r'; }

wrong_servers()
{
    strange >"$WORK/strange"
    other_answers "cat $WORK/strange"
    check "another's answer: on a terminal control characters are told as ?" \
        test "$(on_terminal)" = "$(printf 'a?]0;x?b\302?c?\td')"
    other_answers "cat $WORK/strange"
    check "another's answer: elsewhere it is as it came" cmp "$WORK/strange" <(ask_other)
    other_answers "head -c 70000000 /dev/zero"
    check "exit 1: an answer without end" exits 1 ask_other
    check "exit 1: it says so" says_on stderr "the answer is longer than 64 MiB"
    check "exit 1: nothing of it is shown" silent_on stdout
    other_end
}

# Those wait together.
codes_in_silence()
{
    local start pid pid_follow pid_later pid_slow code
    kill -STOP "$DAEMON_PID"
    other_answers "while echo a; do sleep 0.5; done"
    start=$(now_ms)
    "$SYNMOATCTL" -s "$SOCKET" events --follow >"$WORK/follow" 2>&1 & pid_follow=$!
    "$SYNMOATCTL" -s "$SOCKET" events --last 0 --follow >"$WORK/later" 2>&1 & pid_later=$!
    ask_other >"$WORK/slow" 2>&1 & pid_slow=$!
    check "exit 3: a daemon that is stopped" exits 3 ctl status
    check "exit 3: it says for how long it waited" says_on stderr "no answer .* within 10 s"
    check "exit 3: it waited for that long" test $(($(now_ms) - start)) -ge 9500
    for pid in "$pid_follow" "$pid_slow"; do wait_until 5 gone "$pid"; done
    code=0; wait "$pid_follow" || code=$?
    check "exit 3: a follower, when nothing comes of what has been" test $code -eq 3
    check "exit 3: it says so" grep -q "no answer .* within 10 s" "$WORK/follow"
    code=0; wait "$pid_slow" || code=$?
    check "exit 3: an answer that comes in drops" test $code -eq 3
    check "exit 3: it says so" grep -q "no answer .* within 10 s" "$WORK/slow"
    check "a follower of what is to come has time" alive "$pid_later"
    kill -INT "$pid_later"
    wait "$pid_later"
    other_end
    kill -CONT "$DAEMON_PID"
    check "exit 0: once it goes on" exits 0 ctl status
}

codes_without_answer()
{
    check "exit 3: no socket there" exits 3 no_daemon "$WORK/nosuch" status
    check "exit 3: it says what to do" says_on stderr "no daemon at $WORK/nosuch .*systemctl start synmoat"
    : >"$WORK/plain"
    check "exit 3: a plain file" exits 3 no_daemon "$WORK/plain" status
    check "exit 3: it says so" says_on stderr "$WORK/plain is no socket"
    codes_in_silence
}

codes_for_permission()
{
    check "exit 4: nobody may not even ask" exits 4 as_nobody status
    check "exit 4: it says who may" says_on stderr "as root .*or as a member of .*group games"
    config_write "$SERVICES
        control = { socket = \"$SOCKET\"; access = \"everybody\"; };"
    check "exit 4: the daemon is restarted" daemon_stop
    check "exit 4: so that everybody may ask" daemon_launch "$SYNMOATD" -c "$WORK/synmoat.conf"
    check "exit 4: nobody may ask then" exits 0 as_nobody status
    check "exit 4: but not change anything" exits 4 as_nobody arm web
    check "exit 4: it says who may" says_on stderr '^error: not permitted: .arm. is for root and for the control group'
    check "exit 4: in JSON, too" exits 4 as_nobody arm web --json
    check "exit 4: as JSON" file_says "$WORK/stderr" '.format == 1 and (.error | startswith("not permitted: "))'
    daemon_kill
    check "exit 3: a daemon that was killed" exits 3 ctl status
    check "exit 3: it says why" says_on stderr "no daemon at .*Connection refused"
}

# ---- completion

# completes LINE: the answers, sorted, on one line.
completes()
{
    # shellcheck disable=SC2016 # the other bash's
    env -i PATH="$PATH" bash --norc -c '. "$1"; COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=($2) COMP_CWORD=0
        _synmoatctl; printf "%s\n" "${COMPREPLY[@]}"' bash "$ROOT/ctl/synmoatctl.bash" "$1" 2>&1 | LC_ALL=C sort | xargs
}
offers() # WORDS LINE
{
    local got
    got=$(completes "$2")
    [ "$got" = "$1" ] && return
    echo "got: $got" >&2
    return 1
}
# Every command that the daemon's help names, one word after the other.
offers_all_verbs()
{
    local first second
    while read -r first second _; do
        [[ " $(completes "synmoatctl ") " == *" $first "* ]] || { echo "$first" >&2; return 1; }
        [[ $second =~ ^[a-z][a-z-]*$ ]] || continue
        [[ " $(completes "synmoatctl $first ") " == *" $second "* ]] || { echo "$first $second" >&2; return 1; }
    done < <(ctl help --json | jq -r '.requests | keys[]')
}

completion()
{
    local line="$SYNMOATCTL -s $SOCKET"
    check "completion: every command" offers_all_verbs
    check "completion: top, which the daemon does not know" offers top "synmoatctl to"
    check "completion: the rest of a command" offers "secret services sources status" "synmoatctl s"
    check "completion: the second word" offers "add del list" "synmoatctl deny "
    check "completion: options before the command do not count" offers "lift list" "synmoatctl --json ban "
    check "completion: what an option takes" offers "challenged half-open" "synmoatctl sources --top 5 --by "
    check "completion: no number is guessed" offers "" "synmoatctl sources --top "
    check "completion: options of top" offers "--interval --once" "synmoatctl top "
    check "completion: services by their names and endpoints" offers "any:2525 any:80 any:8080 mail web" "$line arm "
    check "completion: a service's beginning" offers web "$line disarm w"
    check "completion: behind a colon only what follows it" offers "80 8080" "$line auto any:80"
    ctl deny add 192.0.2.0/24 >/dev/null
    check "completion: what was denied by hand, and nothing else" offers 192.0.2.0/24 "$line deny del "
    check "completion: nothing was allowed by hand" offers "" "$line allow del "
    check "completion: a new network is not guessed" offers "" "$line deny add "
    check "completion: a banned source" offers "$(ctl ban list | awk 'NR > 1 { print $1 }' | xargs)" "$line ban lift "
    check "completion: that there was one" banned
    check "completion: without a daemon it is silent" offers "" "$SYNMOATCTL -s $WORK/nosuch arm "
    kill -STOP "$DAEMON_PID"
    check "completion: with one that hangs, too" offers "" "$line arm "
    kill -CONT "$DAEMON_PID"
}

topo_up
NGINX_LISTEN='listen 8080; listen [::]:8080; listen 2525;' nginx_start 128
ACCELERATOR=auto # so that there is an interface to tell of
unit_group games
daemon_start "$SERVICES $LISTS
    control = { socket = \"$SOCKET\"; group = \"games\"; };
    rate_limit = { connections_per_s = 5; burst = 10; action = \"drop\"; ban_s = 600; };" || exit 1
protocol
keys
completion
codes_with_daemon
wrong_servers
codes_without_answer
codes_for_permission
