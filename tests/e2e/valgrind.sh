# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# 10,000 handovers under valgrind: no leak, no use of what was never written. An error makes the stop unclean.
CONNECTIONS=10000 SYNMOATD_UNDER="valgrind --quiet --leak-check=full --error-exitcode=99" \
    exec bash "$(dirname "$0")/mass.sh"
