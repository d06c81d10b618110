# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# All 2^32 cookies for a connection: exactly 256 are right. About 140 s of CPU time.
. "$(dirname "$0")/../lib.sh"

HALF=2147483648

# right: how many of all, by two processes
right()
{
    "$TOOLS/guesses" 0 $HALF >"$WORK/lower" &
    local lower=$!
    "$TOOLS/guesses" $HALF $HALF >"$WORK/upper"
    wait "$lower"
    echo $(($(<"$WORK/lower") + $(<"$WORK/upper")))
}

check "256 of all 2^32 cookies are right: a guess is once in 2^24" test "$(right)" -eq 256
