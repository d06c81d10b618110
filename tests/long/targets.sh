# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# What takes long and has a target of its own in the Makefile: LONG_TARGETS there. Each says what it says in build/long.
. "$(dirname "$0")/../lib.sh"

made() # TARGET
{
    local log=$BUILD/long/$1.log
    make -C "$(dirname "$TESTS")" --no-print-directory "$1" >"$log" 2>&1 && return
    tail -n 30 "$log" >&2
    return 1
}

mkdir -p "$BUILD/long"
for target in ${LONG_TARGETS:-}; do
    check "make $target" made "$target"
done
