# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# What happens when something fails, on a host.
# beside others
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../failing.sh
. "$(dirname "$0")/../failing.sh"

world host
overload - pass pass
overload drop-armed drop pass
overload drop drop drop
overload drop-armed drop pass pass
unheard - pass pass
unheard drop drop drop
killed - pass pass
killed drop-armed drop pass
exempt
conntrack_full
netlink_faults
