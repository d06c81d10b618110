# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# beside others
# The first five minutes: a host with sshd and nginx, synmoatd started as it comes, without a configuration, and a flood.
# Who opened a connection before that, and who opens one at any time, notices nothing.
. "$(dirname "$0")/../lib.sh"

RATE=3000   # of each of two floods
BACKLOG=128 # of sshd, whatever it asks for (OpenSSH, sshd.c); of nginx as it is told

# ---- a host as an admin finds it

# Its own /etc and /run, since everything is under its default path, and there is nothing of synmoat's yet.
MOUNTS="mount --bind $WORK/etc /etc && mount --bind $WORK/run /run"

sshd_start()
{
    local ssh=$WORK/ssh
    mkdir -p "$ssh" && chmod 700 "$ssh"
    ssh-keygen -q -t ed25519 -N '' -f "$ssh/host" && ssh-keygen -q -t ed25519 -N '' -f "$ssh/key" || return
    cp "$ssh/key.pub" "$ssh/authorized"
    cat >"$ssh/config" <<-END
	ListenAddress 0.0.0.0
	ListenAddress ::
	HostKey $ssh/host
	AuthorizedKeysFile $ssh/authorized
	PidFile none
	UsePAM no
	PasswordAuthentication no
	PermitRootLogin prohibit-password
	StrictModes no
	END
    mkdir -p "$WORK/run/sshd" && chmod 755 "$WORK/run/sshd"
    in_srv unshare -m bash -c "$MOUNTS && exec /usr/sbin/sshd -D -e -f '$ssh/config'" >"$ssh/log" 2>&1 &
    wait_until 5 listening 22
}

host_up()
{
    mkdir -p "$WORK"/{etc,run}
    cp -a /etc/. "$WORK/etc"
    rm -rf "$WORK/etc/synmoat"
    mkdir "$WORK/run/synmoat"
    unit_owns "$WORK/run/synmoat"
    topo_up
    in_srv sysctl -qw net.ipv4.tcp_syncookies=1 # the kernel's default, for when synmoatd is gone
    nginx_start $BACKLOG
    sshd_start || { cat "$WORK/ssh/log" >&2; exit 1; }
}

# ---- its clients

# ssh_to DST [ssh options] COMMAND: as the only user that is surely there.
ssh_to()
{
    local dst=$1; shift
    in_cli ssh -F none -i "$WORK/ssh/key" -o UserKnownHostsFile="$WORK/ssh/known" -o StrictHostKeyChecking=accept-new \
        -o BatchMode=yes -o ConnectTimeout=5 -o LogLevel=ERROR -l root "${@:1:$#-1}" "$dst" "${*: -1}"
}
logs_in() # DST [ssh options]
{
    local dst=$1; shift
    [ "$(ssh_to "$dst" "$@" 'echo in' </dev/null)" = in ]
}
greeted() # DST
{
    in_cli timeout 5 bash -c "exec 3<>/dev/tcp/$1/22 && read -r line <&3 && [[ \$line == SSH-2.0-* ]]"
}

served() # WHEN
{
    local dst
    for dst in $SRV4 $SRV6; do
        check "$1: sshd greets at $dst" greeted "$dst"
        check "$1: ssh logs in at $dst" logs_in "$dst"
        check "$1: nginx serves a page at $dst" in_cli curl -sf -o /dev/null -m 5 "http://$(url_host "$dst")/"
    done
}

# Connections that were there before synmoatd, and answer line by line: a login, and a browser's to nginx.
old_connections_open()
{
    mkfifo "$WORK"/{login,page}.{said,heard}
    # shellcheck disable=SC2016 # the other shell's
    ssh_to "$SRV4" 'while read -r line; do echo "heard $line"; done' \
        <"$WORK/login.said" >"$WORK/login.heard" 2>/dev/null &
    exec 5>"$WORK/login.said" 6<"$WORK/login.heard"
    in_cli socat - "TCP:$SRV4:80" <"$WORK/page.said" >"$WORK/page.heard" &
    exec 7>"$WORK/page.said" 8<"$WORK/page.heard"
}
old_login_answers()
{
    local word=$RANDOM line
    echo $word >&5
    read -r -t 5 -u 6 line && [ "$line" = "heard $word" ]
}
old_page_comes()
{
    local line
    printf 'GET / HTTP/1.1\r\nHost: old\r\n\r\n' >&7
    while read -r -t 5 -u 8 line; do [[ $line != 'A real page'* ]] || return 0; done
    return 1
}
old_connections_live() # WHEN
{
    check "$1: a login from before answers" old_login_answers
    check "$1: a browser's connection from before serves" old_page_comes
}

# ---- synmoatd, as it comes: no -c, no file, its default socket

plain_start() { daemon_launch unshare -m bash -c "$MOUNTS && exec '$SYNMOATD'"; }
ctl() { nsenter -t "$DAEMON_PID" -m -n "$SYNMOATCTL" "$@"; }

status_in_ten_lines() { ctl status >"$WORK/status" && [ "$(wc -l <"$WORK/status")" -le 10 ]; }
told() # PORT STATE: by status, with what arms it
{
    grep -Eq "^  [^ ]+ any:$1: $2,.* half-open [0-9]+ of $BACKLOG \(arms at 64, disarms below 32\)" "$WORK/status"
}

host_up
served before
old_connections_open
old_connections_live before

check "it starts without a configuration" plain_start || exit 1
check "started: status tells all in ten lines" status_in_ten_lines
check "what it protects: sshd, with its thresholds" told 22 watching
check "what it protects: nginx, with its thresholds" told 80 watching
check "and nothing else" test "$(grep -c '^  ' "$WORK/status")" -eq 2
old_connections_live started
served started
ctl status | sed 's/^/# /'
check "started: nothing is armed" stat_is '.armed | not'
check "started: each SYN of theirs was passed on" stat_is '.counters | .syn_accepted >= 6 and .syn_challenged == 0'
check "started: check finds no fault" ctl check >"$WORK/check"

flood_start $RATE 60 "$SRV4" 80
WEB_FLOOD=$FLOOD_PID
flood_start $RATE 60 "$SRV4" 22
check "a flood: sshd is armed" wait_until 5 armed 22
check "a flood: nginx is armed" wait_until 5 armed 80
served "a flood"
check "a flood: ssh logs in from where nobody came before" logs_in "$SRV4" -b 10.78.0.1
check "a flood: nginx serves where nobody came before" fetch 10.78.0.2 "$SRV4"
check "a flood: those were handed over" stat_is '.counters | .handed_over >= 2 and .handover_failed == 0'
old_connections_live "a flood"
check "a flood: status tells all in ten lines" status_in_ten_lines
sed 's/^/# /' "$WORK/status"
check "a flood: it says that sshd is armed" told 22 armed
check "a flood: it says that nginx is armed" told 80 armed

check "a stop in the middle of it is clean" daemon_stop
old_connections_live stopped
served stopped
both_on() { alive "$FLOOD_PID" && alive "$WEB_FLOOD"; }
check "the floods were on all the time" both_on
