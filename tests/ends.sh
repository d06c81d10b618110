# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=lib.sh
#
# The two ends of TCP connections under test (peer.py), and what becomes of them. Sourced after lib.sh.
#
#   BULK_MB=300         size of the big transfers
#   NODAEMON=           1: without synmoatd, which proves the tests themselves
#
# $HOST is whom clients call, $CLIENT how the server sees them.

NODAEMON=${NODAEMON:-}
PRIME='' NOT_PRIMING='tcp sport != 1100-1199 tcp dport != 1100-1199' # peer.py's PRIME_PORTS
MB=1000000
BULK=$((${BULK_MB:-300} * MB))
export BULK NOT_PRIMING

# peer SCENARIO [OPTION...]: one client scenario towards $HOST.
peer() { in_cli timeout 150 "$TESTS/peer.py" "$1" "$HOST" ${PRIME:+--prime} "${@:2}"; }

peer_server()
{
    : >"$WORK/peer.log"
    in_srv "$TESTS/peer.py" serve --device eth0 >>"$WORK/peer.log" 2>&1 &
    wait_until 10 logged serving
}

logged() { grep -qxF "$*" "$WORK/peer.log"; }
server_says() { wait_until 10 logged "$@"; }

# handed_over COUNT CMD...: CMD succeeds, and so many connections were handed over meanwhile. handed CMD...: one.
# Peers make another connection first, unless the daemon is on the server's host: behind a gateway nobody is answered for
# who has not answered himself.
handed_since() { [ "$(counter handed_over)" -ge "$1" ]; }

handed_over()
{
    local due=$1 PRIME=; shift
    [ "$DAEMON_NS" = "$SRV" ] || PRIME=1
    [ -z "$NODAEMON" ] || { "$@"; return; }
    due=$((due + $(counter handed_over))) && "$@" && wait_until 1 handed_since "$due"
}
handed() { handed_over 1 "$@"; }

# both BYTES [OPTION...]: up and down at once; each end saw the right checksum.
both()
{
    local sum
    sum=$(peer both --bytes "$@") && server_says end duplex "$CLIENT" "$sum"
}

# with_daemon CMD...: unless there is to be none.
with_daemon() { [ -n "$NODAEMON" ] || "$@"; }
