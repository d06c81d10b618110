# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# beside others
# Every command in the documents: given as it stands there, on a host with a daemon, under its default paths.
. "$(dirname "$0")/../lib.sh"

ROOT=$(dirname "$TESTS")
cd "$ROOT" || exit
DOCUMENTS=(README.md man/* conf/synmoat.conf)
CONFIG='services = ( { name = "web"; address = "192.0.2.1"; ports = [80, 443]; }, { name = "api"; ports = [8080]; } );
rate_limit = { connections_per_s = 1; burst = 1; ban_s = 3600; };
allow = [ "10.77.1.2" ]; control = { access = "group"; };'
# A gateway's, for what is said about several of them.
SHARED='mode = "gateway"; services = ( { name = "web"; address = "198.51.100.9"; ports = [80]; } );
gateway = { secret_file = "/var/lib/synmoat/secret"; };'

# ---- a host with synmoat installed: /etc, /run, /usr/bin and /var/lib are this test's own

host_up()
{
    topo_up
    ip -n "$SRV" addr add 192.0.2.1/32 dev lo
    for source in 198.51.100.7 203.0.113.9; do
        ip -n "$CLI" addr add $source/32 dev lo
        ip -n "$SRV" route add $source/32 via $CLI4
    done
    ip -n "$CLI" route add 192.0.2.1/32 via $SRV4
    in_srv nft 'table inet filter { chain output { type filter hook output priority 0; }; }'
    NGINX_LISTEN='listen 443; listen 8080;' nginx_start 128
    mkdir -p "$WORK"/{etc,run,state}/synmoat
    cp -a /etc/. "$WORK/etc"
    mkdir -p "$WORK/etc/synmoat"
}

# host_start CONFIG: the daemon, in a mount namespace that every command then joins.
host_start()
{
    local mounts="mount --bind $WORK/etc /etc && mount --bind $WORK/run /run && mount --bind $WORK/state /var/lib"
    rm -rf "$WORK/run/synmoat"
    mkdir "$WORK/run/synmoat"
    unit_owns "$WORK/run/synmoat"
    echo "$1" >"$WORK/etc/synmoat/synmoat.conf"
    daemon_launch unshare -m bash -c "$mounts && exec '$SYNMOATD'"
}

# The example as it is, but for the three lines that it says are each gateway's own.
conntrackd_up()
{
    mkdir -p "$WORK/run/lock" "$WORK/etc/conntrackd"
    sed "s/192.0.2.1 /10.77.2.1 /; s/192.0.2.2 /10.77.2.2 /; s/eth2/eth1/" "$ROOT/conf/conntrackd.conf" \
        >"$WORK/etc/conntrackd/conntrackd.conf"
    nsenter -t "$DAEMON_PID" -m -n conntrackd >"$WORK/conntrackd.log" 2>&1 &
    wait_until 10 quietly "conntrackd -s cache"
}

# What only an installed system has, or what would go elsewhere, means the same here.
BESIDE='sudo() { "$@"; }; ssh() { shift; "$@"; }'
on_host()
{
    PATH=$(dirname "$SYNMOATD"):$(dirname "$SYNMOATCTL"):$PATH \
        timeout 30 nsenter -t "$DAEMON_PID" -m -n --wd="$ROOT" bash -c "$BESIDE; $1" >"$WORK/answer" 2>&1 </dev/null && return
    sed 's/^/    | /' "$WORK/answer" >&2
    return 1
}
quietly() { on_host "$1" 2>/dev/null; }

# ---- what has to be so for a command to make sense

banned() { quietly "synmoatctl ban list | grep -q '^$1'"; }
connects_and_is_banned() { in_cli curl -s -o /dev/null -m 2 --interface "$1" http://192.0.2.1/; banned "$1"; }
prepare()
{
    case $1 in
    *'ban lift '*) wait_until 20 connects_and_is_banned "${1##* }" ;;
    *' allow del '* | *' deny del '*) quietly "${1/ del / add }" ;;
    *'table inet synmoat_closed'*) in_srv nft add table inet synmoat_closed ;;
    *tcpdump*) (for _ in {1..100}; do fetch "$CLI4" 192.0.2.1 1; sleep 0.1; done) & ;;
    esac
}
take_back()
{
    case $1 in
    *' allow add '* | *' deny add '*) quietly "${1/ add / del }" ;;
    *' arm '* | *' disarm '*) quietly "synmoatctl auto ${1##* }" ;;
    *tcpdump*) kill $! ;;
    esac
} 2>/dev/null

# ---- each command

# What wants an installed system, with systemd, is given in one: by tests/vm/documents.sh, packages by tests/package.sh.
installed() { [[ $1 =~ ^(systemctl|journalctl|systemd-[a-z]+|apt|apt-get|dpkg|adduser)($|\ ) ]]; }

is_make() { [[ ${1#sudo } =~ ^make($|\ ) ]]; }
make_knows() { local words; read -ra words <<<"${1#sudo }"; make -C "$ROOT" -n "${words[@]:1}" >/dev/null 2>&1; }
verb_is_known() { ! quietly "$1" && ! grep -q 'unknown request' "$WORK/answer" || return 0; }

given() # PLACE COMMAND
{
    local command=$2
    command=${command//<address>/198.51.100.7} command=${command//<network>/203.0.113.0\/28}
    command=${command//<service>/web} command=${command//<file>//etc/synmoat/synmoat.conf}
    prepare "$command"
    if [[ $command == *'| grep -c '* ]]; then # which fails when it counts none
        check "$1: $2" on_host "{ $command; } | grep -x '[0-9]*'"
    elif [[ $command == *' --follow' ]]; then # until somebody ends it; timeout's SIGCONT after SIGTERM can hang a leak checker
        check "$1: $2" on_host "timeout -s KILL 1 $command; [ \$? -eq 137 ]"
    elif [[ $command == 'synmoatctl top' ]]; then # until q is pressed; what is pressed before it is up is forgotten
        check "$1: $2" on_host "while sleep 0.2; do printf q; done | TERM=xterm script -qec '$command' /dev/null"
    else
        check "$1: $2" on_host "$command"
    fi
    take_back "$command"
}

one() # PLACE KIND COMMAND
{
    local bare=${3#sudo }
    if is_make "$3"; then
        check "$1: $3" make_knows "$3"
    elif installed "$bare"; then
        return
    elif [[ $bare == synmoat-notify\ * ]]; then
        check "$1: $3 (as keepalived gives it)" grep -qE "^ *${bare#* }\)" "$ROOT/conf/keepalived/synmoat-notify"
    elif [[ $bare == *' secret '* ]]; then
        echo "$1	$3" >>"$WORK/secret"
    elif [ "$2" = line ] || [[ $bare == conntrackd\ * ]]; then
        given "$1" "$3"
    elif [[ $bare == synmoatctl\ * ]]; then
        check "$1: $3 (mentioned)" verb_is_known "${bare%% <*}"
    elif [[ $bare == synmoatd\ * ]]; then
        given "$1" "$3"
    fi
}

host_up
: >"$WORK/secret"
python3 tests/tools/documented.py "${DOCUMENTS[@]}" | sort -t$'\t' -k3,3 -u >"$WORK/commands"
check "the documents have commands" test "$(wc -l <"$WORK/commands")" -gt 50

# ---- what is named in one place has to be known in another

alerts_are_explained()
{
    local alert alerts
    read -ra alerts <<<"$(sed -n 's/.*- alert: //p' conf/prometheus/synmoat.rules.yml | xargs)"
    [ ${#alerts[@]} -gt 0 ] || return
    for alert in "${alerts[@]}"; do
        grep -Eq "^\.It Li (.* )?$alert( |\$)" man/synmoat-runbook.7 || { echo "not in the runbook: $alert"; return 1; }
    done
}
events_exist()
{
    local event events
    read -ra events <<<"$(grep -oh 'SYNMOAT_EVENT=[a-z-]*' "${DOCUMENTS[@]}" | cut -d= -f2 | sort -u | xargs)"
    [ ${#events[@]} -gt 0 ] || return
    for event in "${events[@]}"; do
        grep -qF "\"$event\"" daemon/face/event.h || { echo "no such event: $event"; return 1; }
    done
}
pages_name_each_other()
{
    local page other
    for page in man/*; do
        for other in man/*; do
            [ "$page" = "$other" ] || sed -n '/^\.Sh SEE ALSO/,$p' "$page" |
                grep -Fq ".Xr $(basename "${other%.*}") ${other##*.}" || { echo "$page: no ${other##*/}"; return 1; }
        done
    done
}
named_packages_build_it()
{
    diff <(sed -n 's/^sudo apt install gcc/gcc/p' README.md | tr ' ' '\n' | sort) \
        <(sed -n 's/^BUILD_PACKAGES := //p' Makefile | tr ' ' '\n' | grep -v '^libc6-dev$' | sort)
}
# Of what is in force; "services" and the like besides.
every_key_is_told()
{
    local key keys
    on_host "synmoatctl config show" || return
    read -ra keys <<<"$(grep -v '^ *#' "$WORK/answer" | grep -oE '\b[a-z][a-z0-9_]* =' | cut -d' ' -f1 | sort -u | xargs)"
    [ ${#keys[@]} -gt 30 ] || return
    for key in "${keys[@]}"; do
        grep -qw "$key" conf/synmoat.conf || { echo "not in conf/synmoat.conf: $key"; return 1; }
        grep -qE "^\.(It Cm|Cm) (.* )?$key( |\$)" man/synmoat.conf.5 || { echo "not in synmoat.conf(5): $key"; return 1; }
    done
}
check "the runbook explains every alert" alerts_are_explained
check "the documents' events exist" events_exist
check "the manual pages name each other" pages_name_each_other
check "the README names the packages that it takes to build" named_packages_build_it

host_start "$CONFIG" || exit 1
check "every key of the configuration is in the example and in the manual" every_key_is_told
check "conntrackd runs with the example" conntrackd_up
while IFS=$'\t' read -r place kind command <&3; do one "$place" "$kind" "$command"; done 3<"$WORK/commands"
check "and the daemon is as well as before" daemon_stop

mkdir -p "$WORK/state/synmoat"
(umask 077; echo "0 $(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')" >"$WORK/state/synmoat/secret")
unit_owns -R "$WORK/state/synmoat"
host_start "$SHARED" || exit 1
while IFS=$'\t' read -r place command <&3; do given "$place" "$command"; done 3<"$WORK/secret"
check "a gateway's daemon is as well as before" daemon_stop
