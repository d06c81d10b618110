#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whether the unit tests notice when one of the core's decisions is made otherwise: see mutants.py.
set -u
cd "$(dirname "$0")/../.." || exit 1
RESULTS=${RESULTS:-/dev/null}
said=$(mktemp)
trap 'rm -f "$said"' EXIT
nice tests/long/mutants.py | tee "$said"
code=${PIPESTATUS[0]}
word=fail
[ "$code" -eq 0 ] && word=pass
echo "$word $(tail -n 1 "$said")" >>"$RESULTS"
[ "$word" = pass ] && echo "ok - $(tail -n 1 "$said")" || echo "not ok - $(tail -n 1 "$said")"
exit "$code"
