# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# kill -9 in the middle of a handed-over download, in a namespace where synmoatd is conntrack's only user.
# beside others
. "$(dirname "$0")/../lib.sh"

ALWAYS='services = ( { name = "web"; address = "any"; ports = [80]; cookies = "always"; } );'

larger_than() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt "$2" ]; }
same_sum() { [ "$(sha256sum <"$1")" = "$(sha256sum <"$2")" ]; }
handed_over() { [ "$(counter handed_over)" -ge "$1" ]; }

# download_start DST: 200 MB in some 4 s; returns when a fifth is here.
download_start()
{
    rm -f "$WORK/big"
    in_cli curl -s --limit-rate 50M -o "$WORK/big" "http://$(url_host "$1")/big" &
    DOWNLOAD_PID=$!
    wait_until 20 larger_than "$WORK/big" 40000000
}
download_whole() { wait "$DOWNLOAD_PID" && same_sum "$WORK/www/big" "$WORK/big"; }

topo_up
mkdir "$WORK/www"
head -c 200M /dev/urandom >"$WORK/www/big"
nginx_start 511

for dst in "$SRV4" "$SRV6"; do
    family=IPv4; is_v6 "$dst" && family=IPv6

    daemon_start "$ALWAYS" || exit 1
    check "$family: clients are handed over" test "$(requests 5 3 "$dst")" -eq 5
    before=$(counter handed_over)
    download_start "$dst"
    check "$family: the download was handed over" handed_over $((before + 1))

    daemon_kill
    check "$family: the rules are gone within 1 s of kill -9" wait_until 1 table_gone
    check "$family: the download is still on" alive "$DOWNLOAD_PID"
    check "$family: new connections work without the daemon" test "$(requests 20 3 "$dst")" -eq 20
    check "$family: the download finishes, byte for byte" download_whole

    daemon_start "$ALWAYS" || exit 1
    download_start "$dst"
    daemon_kill
    check "$family: a restart after a crash works" daemon_start "$ALWAYS"
    check "$family: new connections work after the restart" test "$(requests 20 3 "$dst")" -eq 20
    check "$family: they are handed over" handed_over 10
    check "$family: a download from before crash and restart finishes, byte for byte" download_whole
    check "$family: a clean stop after it" daemon_stop
done
