# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The list of tcp.sh again and again, under other circumstances, with smaller transfers. PARALLEL variants run side by
# side, each in namespaces of its own; most of their time is waiting for TCP's timers.

set -u

TCP_LIST=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/e2e/tcp.sh
VARIANTS=$(mktemp -d /tmp/synmoat-variants.XXXXXX)
trap 'rm -rf "$VARIANTS"' EXIT
names=()

# variant NAME VARIABLE=VALUE...: tcp.sh with these, in the background.
variant()
{
    local name=$1; shift
    [ "$(jobs -rp | wc -l)" -lt "${PARALLEL:-7}" ] || wait -n
    names+=("$name")
    env BULK_MB=20 "$@" RESULTS="$VARIANTS/$name.results" timeout -k 10 "${VARIANT_S:-240}" \
        bash "$TCP_LIST" >"$VARIANTS/$name.out" 2>&1 &
}

# _report NAME: its lines, under its name. A list that died without a word is a failure too.
_report()
{
    [ -s "$VARIANTS/$1.results" ] || echo "fail the list did not run" >"$VARIANTS/$1.results"
    sed "s/^\([a-z]*\) /\1 $1: /" "$VARIANTS/$1.results" >>"${RESULTS:-/dev/null}"
    sed "s/ok - /&$1: /" "$VARIANTS/$1.out"
    ! grep -q '^fail ' "$VARIANTS/$1.results"
}

# variants_end: waits for all, and tells.
variants_end()
{
    local name status=0
    wait
    for name in "${names[@]}"; do _report "$name" || status=1; done
    exit "$status"
}
