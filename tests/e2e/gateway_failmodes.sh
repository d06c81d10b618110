# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# What happens when something fails, in a gateway.
# beside others
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../gateway.sh
. "$(dirname "$0")/../gateway.sh"
# shellcheck source=../failing.sh
. "$(dirname "$0")/../failing.sh"

world gateway
overload - drop pass
overload pass pass pass
overload drop drop drop
overload pass pass pass drop
unheard - drop pass
unheard pass pass pass
killed - drop pass
killed drop drop drop
killed pass pass pass
exempt
conntrack_full
netlink_faults
