# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
#
# What the documents tell an admin to do with systemd and the journal, given on a host that has the package installed, as
# it stands in the documents that came with it. Sourced by inside.sh; the other commands are tests/e2e/documents.sh's.

# Those that came with the package, unpacked: the extractor tells a manual page by its name.
documents_of_the_package()
{
    local file name
    mkdir -p "$WORK/documents"
    for file in /usr/share/doc/synmoat/README.md* /usr/share/man/man*/synmoat*; do
        name=$(basename "$file" .gz)
        zcat -f "$file" >"$WORK/documents/$name"
    done
    (cd "$WORK/documents" && python3 "$TESTS/tools/documented.py" ./*) | sort -t$'\t' -k3,3 -u >"$WORK/commands"
}

# A service of the documents' names, and an event to be found about it. There is no node_exporter here: its timer is the
# example's.
documented_host()
{
    cp /usr/share/doc/synmoat/examples/prometheus/synmoat-textfile.{service,timer} /etc/systemd/system/ &&
        systemctl daemon-reload && systemctl start synmoat-textfile.timer || return
    reload_with 'services = ( { name = "web"; address = "any"; ports = [80]; } );' && ctl arm web && ctl auto web
}
host_as_before()
{
    systemctl stop synmoat-textfile.timer synmoat-textfile.service
    systemctl reset-failed synmoat-textfile.service 2>/dev/null # it has nowhere to write to
    rm -f /etc/systemd/system/synmoat-textfile.{service,timer}
    systemctl daemon-reload
}

# Who asks the journal for something finds it, but for what the timer says: it has not run out yet.
answered() # COMMAND
{
    bash -c "$1" >"$WORK/said" 2>&1 || { cat "$WORK/said"; return 1; }
    [[ $1 == *textfile* ]] || ! grep -q -- '-- No entries --' "$WORK/said"
}

documented_commands()
{
    local place kind command given=0
    documents_of_the_package
    check "documents: a service as theirs" documented_host
    while IFS=$'\t' read -r place kind command <&3; do
        command=${command#sudo }
        [[ $kind == line && $command =~ ^(systemctl|systemd-[a-z]+|journalctl)($|\ ) ]] || continue
        check "${place#./}: $command" wait_until "$LONG" answered "$command"
        given=$((given + 1))
        [[ $command != 'systemctl stop synmoat' ]] || systemctl start synmoat
    done 3<"$WORK/commands"
    check "documents: there are such commands" test $given -ge 5
    host_as_before
    check "documents: the service is up after them" wait_until "$LONG" up
    check "documents: sshd and nginx are served" served # from which a new daemon learns
}
