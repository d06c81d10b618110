#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The program of the XDP tier, run by the kernel on frames made up for it, beside the core: tests/tools/xdp_program.c.
# Each of its tests has a network of its own and counts as one of ours.
#

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# Without what it takes to build the program in the kernel.
builds_without()
{
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$TESTS/.." -j2 BUILD="$WORK/without" XDP=0 CFLAGS=-O0 CLANG=false LLVM_STRIP=false BPFTOOL=false >"$WORK/make" 2>&1 ||
        { tail -n 5 "$WORK/make"; return 1; }
    ldd "$WORK/without/synmoatd" | grep -q libnftnl && ! ldd "$WORK/without/synmoatd" | grep -q libbpf
}
check "make XDP=0 takes neither clang nor libbpf" builds_without
says_without()
{
    echo 'accelerator = "xdp";' >"$WORK/xdp.conf"
    "$WORK/without/synmoatd" -t -c "$WORK/xdp.conf" 2>&1 | grep -q 'built without XDP'
}
check "such a build refuses what it cannot do, and says so" says_without

if [ ! -x "$TOOLS/xdp_program" ]; then
    skip "xdp_program" "built without XDP"
    exit
fi
ran() { cat "$1"; grep -q '^[0-9]*%: Checks: [1-9]' "$1"; }
"$TOOLS/xdp_program" >"$WORK/out" 2>&1 || FAILED=1
ran "$WORK/out" || fail "xdp_program" "it ran no test"

# Loaded and attached with what the unit and its drop-in permit.
CAPABILITIES=-all,+net_admin,+net_raw,+bpf,+perfmon
as_service()
{
    in_srv env -u RESULTS CK_RUN_CASE=wire setpriv --reuid 64321 --regid 64321 --clear-groups --no-new-privs \
        --inh-caps="$CAPABILITIES" --ambient-caps="$CAPABILITIES" --bounding-set="$CAPABILITIES" \
        "$TOOLS/xdp_program" >"$WORK/user" 2>&1
}
NAMESPACES=("$SRV")
namespaces_up "$SRV"
check "a user with four capabilities loads and attaches it" as_service
check "a user with four capabilities: that has been tried" ran "$WORK/user"
