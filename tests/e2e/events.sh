# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# What happens, and who hears of it: by `events`, by the socket, in the journal, by mail and by HTTP.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../flooding.sh
. "$(dirname "$0")/../flooding.sh"

REPO=$TESTS/..
CONFIG='backlog = { handshake_timeout_s = 1; hold_s = 0; }; services = ( { name = "web"; ports = [80]; } );'
SOCKET=$WORK/ctl.sock
PID_stalled='' PID_more1='' PID_more2=''

# follow NAME CMD...: CMD's answer goes to $WORK/NAME until it ends; its pid to $PID_NAME.
follow()
{
    local name=$1; shift
    ip netns exec "$SRV" "$@" >"$WORK/$name" 2>"$WORK/$name.err" &
    printf -v "PID_$name" %d $!
}
ended() # NAME CODE
{
    local pid=PID_$1 code=0
    wait_until 5 gone "${!pid}" || return
    wait "${!pid}" || code=$?
    [ "$code" -eq "$2" ] || { echo "$1 ended with $code" >&2; return 1; }
}
heard() { grep -q "$2" "$WORK/$1"; } # NAME PATTERN
# objects NAME JQ_EXPR, of the list of all that came
objects() { says_true -s "$2" "$WORK/$1"; }
happened() { grep -q " $1: " "$WORK/text"; } # EVENT
numbered() { objects "$1" 'length > 0 and ([.[].number] == [range(.[0].number; .[0].number + length)])'; }

# ---- the catalog

kinds() { sed -n 's/^\tEVENT([A-Z_]*, "\([a-z-]*\)", "\([0-9a-f]\{32\}\)", EVENT_\([A-Z]*\),.*/\1 \2 \3/p' "$REPO/daemon/face/event.h"; }
ids() { kinds | cut -d' ' -f2 | sort; }
catalog_ids() { sed -n 's/^-- //p' "$REPO/systemd/synmoat.catalog" | sort; }
fields() { grep -oE 'event, "[a-z_0-9]+"' "$REPO"/daemon/*.c | cut -d'"' -f2 | sort -u; }
catalog_fields() { grep -oE '@SYNMOAT_[A-Z_0-9]+@' "$REPO/systemd/synmoat.catalog" | sed 's/@SYNMOAT_//; s/@//' | tr '[:upper:]' '[:lower:]' | sort -u; }
catalog_is_taken()
{
    local root=$WORK/root
    mkdir -p "$root/usr/lib/systemd/catalog" "$root/var/lib/systemd/catalog"
    cp "$REPO/systemd/synmoat.catalog" "$root/usr/lib/systemd/catalog/"
    journalctl --update-catalog --root="$root" || return
    diff <(journalctl --root="$root" --list-catalog | cut -d' ' -f1 | sort) <(ids)
}
# Each kind is a row of synmoatd(8), with its message id and level.
manual_has_all()
{
    local name id level
    while read -r name id level; do
        grep -A3 -E "^\.It Li $name\$" "$REPO/man/synmoatd.8" | tr '\n' ' ' |
            grep -qi "[.]It Li $name [.]Em $level [.]Li $id" || { echo "synmoatd(8): $name" >&2; return 1; }
    done < <(kinds)
    [ "$(kinds | wc -l)" -ge 25 ]
}

check "catalog: an entry for each kind of event, and no other" diff <(ids) <(catalog_ids)
check "catalog: no kind twice" test -z "$(ids | uniq -d)"
check "catalog: it names fields that there are" test -z "$(comm -13 <(fields) <(catalog_fields))"
if command -v journalctl >/dev/null; then
    check "catalog: journalctl takes it" catalog_is_taken
else
    skip "catalog: journalctl takes it" "no journalctl"
fi
check "manual: each kind with its level and message id" manual_has_all

# ---- a flood, and its followers

topo_up
nginx_flooded
daemon_start "$CONFIG" || exit 1

follow text "$SYNMOATCTL" -s "$SOCKET" events --follow
follow json "$SYNMOATCTL" -s "$SOCKET" events --last 256 --follow --json
# socat ends half a second after its input unless told otherwise; the daemon sees a side that has been shut down.
follow plain sh -c "echo 'events --follow json' | socat -t 300 - UNIX:$SOCKET"
for who in text json plain; do
    check "$who: follows, and begins with what has been" wait_until 5 heard "$who" ready
done

flood_start $RATE 2 "$SRV4" 80
check "the begin of an attack is told" wait_until 5 happened attack-begun
flood_wait
check "the end of an attack is told" wait_until 15 happened attack-ended
check "JSON: what it was, in order" objects json '[.[] | select(.fields.service == "web") | .event]
    | index("armed") < index("attack-begun") and index("attack-begun") < index("disarmed")
        and index("disarmed") < index("attack-ended") and length >= 4'
check "JSON: the begin has its numbers" objects json '[.[] | select(.event == "attack-begun")] | length == 1 and (.[0]
    | .format == 1 and .level == "notice" and (.fields | .service == "web" and .endpoint == "any:80"
        and .class == "random-source flood" and .syn_per_s > 0 and .half_open >= .threshold and .threshold > 0
        and .sources > 0 and .reason == "armed"))'
check "JSON: the end has its numbers" objects json '[.[] | select(.event == "attack-ended")] | length == 1 and (.[0]
    | .fields | .service == "web" and .class == "random-source flood" and .syns > 1000 and .challenged > 0
        and .reason == "over" and .peak_per_s > 100 and .sources > 100 and has("lasted_s") and has("completed"))'
check "JSON: numbers without a gap, from the start" objects json '.[0].number == 1 and .[0].event == "ready"'
check "JSON: numbers without a gap" numbered json
check "socat: the same" wait_until 2 cmp "$WORK/json" "$WORK/plain"
check "text: the same events" diff <(jq -r '"\(.time) \(.event): \(.text)"' "$WORK/json") "$WORK/text"
check "they are in the log, sentence by sentence" test "$(jq -r .text "$WORK/json")" = \
    "$(sed -n 's/^synmoatd: //p' "$WORK/daemon.log")"
check "events: tells the last ones" test "$(ctl events --last 2 --json | jq -c '.format, (.events[] | .number)')" = \
    "$(echo 1; tail -n 2 "$WORK/json" | jq .number)"

# ---- orders

check "an order is told, with who gave it" ctl arm web
check "text: the order" wait_until 2 happened order
check "JSON: the order" objects json 'any(.[]; .event == "order"
    and (.fields | .order == "arm" and .uid == 0 and .pid > 0 and (.done | length > 0)))'
echo 'nonsense' >>"$WORK/synmoat.conf"
ctl reload 2>/dev/null
check "a reload that fails is told" wait_until 2 happened reload-failed
check "a reload that fails is an error" grep -q '^synmoatd: error: .*synmoat.conf:.*the old configuration stays' "$WORK/daemon.log"
sed -i '$d' "$WORK/synmoat.conf"
check "a reload succeeds" ctl reload
check "a reload is told" wait_until 2 happened reloaded

# ---- too slow, too many

many_orders() # COUNT
{
    in_srv python3 - "$SOCKET" "$1" <<-'END'
	import socket, sys
	for i in range(int(sys.argv[2])):
	    s = socket.socket(socket.AF_UNIX)
	    s.connect(sys.argv[1])
	    s.sendall(b"allow %s 192.0.2.0/24\n" % (b"del" if i % 2 else b"add"))
	    assert b"error" not in s.recv(4096)
	END
}
last_number() { tail -n 1 "$WORK/json" | jq .number; }
caught_up() { [ "$(last_number)" -ge "$1" ]; }

follow stalled "$SYNMOATCTL" -s "$SOCKET" events --follow
check "stalled: it follows" wait_until 5 heard stalled ready
kill -STOP "$PID_stalled"
due=$(($(last_number) + 1200))
check "stalled: orders are taken all the same" many_orders 1200
check "stalled: another follower has every event" wait_until 10 caught_up "$due"
check "stalled: without a gap" numbered json
check "stalled: the daemon answers" stat_is '.services | length > 0'
kill -CONT "$PID_stalled"
check "stalled: it is closed, and says so" ended stalled 3
check "stalled: in words" grep -q 'too slow' "$WORK/stalled.err"
check "the last 256 events are kept" test "$(ctl events --last 256 --json | jq '.events | length')" -eq 256

for i in {1..13}; do
    follow "more$i" "$SYNMOATCTL" -s "$SOCKET" events --last 1 --follow
    wait_until 5 test -s "$WORK/more$i" || fail "follower $((i + 3)) follows"
done
code=0
ctl events --follow >"$WORK/extra" 2>&1 || code=$?
check "the 17th follower is refused" test "$code $(cat "$WORK/extra")" = "1 error: too many followers, try again"
check "and whoever asks is answered" stat_is '.services | length > 0'
kill -INT "$PID_more1"
check "SIGINT ends a follower, which is no error" ended more1 0
check "and there is room again" wait_until 5 test "$(ctl events --follow --last 1 | head -n 1 | wc -l)" -eq 1
kill -TERM "$PID_more2"
check "SIGTERM ends a follower, which is no error" ended more2 0

# ---- ends that are none of the attack's

# Attacks that began and did not end, and the reason of the last end.
open_attacks() { objects cut '[.[] | .event | select(startswith("attack-")) | if . == "attack-begun" then 1 elif . == "attack-ended" then -1 else 0 end] | add == '"$1"; }
last_end() { objects cut '[.[] | select(.event == "attack-ended")] | last.fields | [.service, .endpoint, .reason] == '"$1"; }
follow cut "$SYNMOATCTL" -s "$SOCKET" events --last 256 --follow --json
ctl auto web >/dev/null
flood_start $RATE 60 "$SRV4" 80
check "gone: an attack has begun" wait_until 10 open_attacks 1
config_write "${CONFIG/web/other}"
sed -i 's/\[80\]/[8081]/' "$WORK/synmoat.conf"
check "gone: a reload that takes its service away" ctl reload
check "gone: the attack has ended, with it" wait_until 5 open_attacks 0
check "gone: of that service, and why" last_end '["web", "any:80", "gone"]'
config_write "$CONFIG"
check "stopping: the service is back" ctl reload
check "stopping: an attack has begun" wait_until 10 open_attacks 1

check "a clean stop" daemon_stop
check "stopping: the attack has ended before" objects cut 'map(.event) | index("stopping") > rindex("attack-ended")'
check "stopping: of that service, and why" last_end '["web", "any:80", "stopping"]'
flood_stop
check "text: the stop is told, as the last" test "$(tail -n 1 "$WORK/text" | cut -d' ' -f2)" = stopping:
check "text: the follower ends with the daemon" ended text 3
check "text: and says why" grep -q 'the daemon has closed' "$WORK/text.err"
check "JSON: the follower ends with the daemon" ended json 3
check "socat: ends with the daemon" ended plain 0

# ---- the journal

lost_is_told() { many_orders 1 && grep -qx '<4>[0-9]* lines were lost: the journal did not take them' "$WORK/journal/lines"; }
config_write "$CONFIG"
mkdir -p "$WORK/journal"
in_journal() { says_true -s "$1" "$WORK/journal/entries"; }
id_of() { kinds | sed -n "s/^$1 \([0-9a-f]*\) .*/\1/p"; }
daemon_launch unshare -m "$TESTS/tools/journald.py" "$WORK/journal" "${UNDER[@]}" "$SYNMOATD" -c "$WORK/synmoat.conf" || exit 1
flood_start $RATE 1 "$SRV4" 80
flood_wait
check "journal: the attack" wait_until 15 in_journal 'any(.[]; .SYNMOAT_EVENT == "attack-ended")'
check "journal: each entry has its message id, level and name" in_journal "$(kinds | jq -Rcn '[inputs | split(" ")
    | {key: .[0], value: [.[1], ({ERROR: "3", WARNING: "4", NOTICE: "5", INFO: "6"}[.[2]])]}] | from_entries') as \$kinds
    | all(.[]; .SYSLOG_IDENTIFIER == \"synmoatd\" and [.MESSAGE_ID, .PRIORITY] == \$kinds[.SYNMOAT_EVENT]
        and (.MESSAGE | length > 0))"
check "journal: fields" in_journal 'any(.[]; .SYNMOAT_EVENT == "attack-begun" and .SYNMOAT_SERVICE == "web"
    and .SYNMOAT_CLASS == "random-source flood" and (.SYNMOAT_SYN_PER_S | tonumber) > 0)'
check "journal: numbers without a gap" in_journal '[.[].SYNMOAT_NUMBER | tonumber] == [range(1; 1 + length)]'
check "journal: nothing is told twice" test "$(grep -c -e ready -e attack "$WORK/journal/lines")" -eq 0
kill -USR1 "$DAEMON_PID"
check "no journal: orders are taken" ctl arm web
check "no journal: a line instead" wait_until 2 grep -q '^<6>control: arm (uid=0 ' "$WORK/journal/lines"
check "no journal: a line instead, at its level" grep -q '^<5>service web (any:80) is armed by order$' "$WORK/journal/lines"
kill -STOP "$DAEMON_PID" # who stands in for journald; the daemon is its child
check "journal: one that hangs does not keep us from orders" many_orders 400
check "journal: nor from questions" stat_is '.services | length > 0'
kill -CONT "$DAEMON_PID"
check "journal: what was lost is told" wait_until 5 lost_is_told
check "journal: a clean stop" daemon_stop
check "no journal: the last word" grep -qx '<6>stopped' "$WORK/journal/lines"

# ---- the example that posts and mails

cat >"$WORK/sendmail" <<-END
	#!/bin/sh
	# The message, and a line that says how we were called.
	{ cat; echo "-- \$*"; } >>"$WORK/mails"
END
chmod +x "$WORK/sendmail"
alert_start() # [SYNMOATCTL]
{
    SYNMOAT_ALERT_URL=http://127.0.0.1:8025/hook SYNMOAT_ALERT_MAIL=ops@example.net SYNMOAT_ALERT_SENDMAIL=$WORK/sendmail \
        SYNMOAT_ALERT_STATE=$WORK/last SYNMOAT_ALERT_CTL="${1:-$SYNMOATCTL} -s $SOCKET" SYNMOAT_ALERT_RETRY_S=0.2 \
        setsid ip netns exec "$SRV" "$REPO/conf/alert/synmoat-alert" >"$WORK/alert.log" 2>&1 &
    ALERT_PID=$!
}
alert_stop() { kill -TERM -- "-$ALERT_PID"; wait "$ALERT_PID"; } 2>/dev/null
posted() { [ "$(jq -r .event "$WORK/posts" | tr '\n' ' ')" = "$1" ]; }
last_is() { ctl events --last 1 | grep -q " $1: "; }
remembered() { [ "$(cat "$WORK/last")" = "$(ctl events --last 1 --json | jq -r '.events[] | "\(.run) \(.number)"')" ]; }
attack()
{
    flood_start $RATE 1 "$SRV4" 80
    flood_wait
}

ip netns exec "$SRV" "$TESTS/tools/postbox.py" 8025 "$WORK/posts" 1 &
POSTBOX_PID=$!
wait_until 5 listening 8025
: >"$WORK/posts"; : >"$WORK/mails"
daemon_start "$CONFIG" || exit 1
ctl arm web >/dev/null; ctl auto web >/dev/null
: >"$WORK/last" # as a full disk left it: begins anew
alert_start
wait_until 5 test -s "$WORK/last"
attack
check "alert: an attack is posted, at the second try, and nothing else" wait_until 20 posted "attack-begun attack-ended "
daemon_stop
daemon_start "$CONFIG" || exit 1
attack
check "alert: it survives a restart of the daemon" wait_until 20 posted "attack-begun attack-ended attack-begun attack-ended "
wait_until 5 remembered
alert_stop
attack
check "alert: while it is away, an attack goes by" wait_until 15 last_is attack-ended
alert_start
check "alert: it makes up for that" wait_until 20 posted \
    "attack-begun attack-ended attack-begun attack-ended attack-begun attack-ended "
check "alert: each is posted once" test "$(jq -r '"\(.run) \(.number)"' "$WORK/posts" | sort | uniq -d | wc -l)" -eq 0
check "alert: as JSON" says_true -s 'all(.[]; .format == 1 and .fields.service == "web")' "$WORK/posts"
mailed() { [ "$(grep -c '^-- -i -t$' "$WORK/mails")" -eq "$1" ]; }
check "alert: each is mailed once" wait_until 5 mailed 6
check "alert: to whom it was told" test "$(grep -c '^To: ops@example.net$' "$WORK/mails")" -eq 6
check "alert: with a subject" test "$(grep -c "^Subject: \[synmoat\] $(uname -n): attack-begun web\$" "$WORK/mails")" -eq 3
check "alert: with the numbers" test "$(grep -c '^class: random-source flood$' "$WORK/mails")" -eq 6
alert_stop
{ kill "$POSTBOX_PID"; wait "$POSTBOX_PID"; } 2>/dev/null

# Without permission: each reason is said once, however often it tries.
cp "$SYNMOATCTL" "$WORK/synmoatctl" && chmod 755 "$WORK/synmoatctl"
reasons() { grep -c 'no events from synmoatd' "$WORK/alert.log"; }
tried_again() { [ "$(stat -c %Y%y "$WORK/last.why")" != "$1" ]; }
alert_start "setpriv --reuid nobody --regid nogroup --clear-groups $WORK/synmoatctl"
check "alert: it says that it has no permission" wait_until 5 grep -q 'waiting for it: .*no permission for ' "$WORK/alert.log"
for _ in 1 2 3; do wait_until 5 tried_again "$(stat -c %Y%y "$WORK/last.why")" || fail "alert: it tries again"; done
check "alert: a clean stop of the daemon" daemon_stop
check "alert: it says that there is none" wait_until 5 grep -q 'waiting for it: .*no daemon at ' "$WORK/alert.log"
check "alert: each is said once" test "$(reasons)" -eq 2
alert_stop || : # by a signal, as told
