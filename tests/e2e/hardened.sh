#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the compiler and the linker did to make an attack on the programs themselves harder; and that the same tree makes
# the same programs, wherever it is.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

TREE=$(dirname "$TESTS")
if [ "$AS_ROOT" != "$BUILD/synmoatd" ]; then
    skip "the programs' hardening" "$AS_ROOT is built for other purposes"
    exit 0
fi

headers() { readelf -hW "$1"; }
segments() { readelf -lW "$1"; }
dynamic() { readelf -dW "$1"; }
imports() { nm -D --undefined-only "$1" | awk '{ sub("@.*", "", $2); print $2 }'; }

is_pie() { headers "$1" | grep -q 'Type: *DYN' && dynamic "$1" | grep -q 'FLAGS_1.*PIE'; }
is_relro() { segments "$1" | grep -q GNU_RELRO && dynamic "$1" | grep -q 'FLAGS.*NOW'; }
stack_is_data() { segments "$1" | grep 'GNU_STACK' | grep -q ' RW '; }
# Nothing is both writable and executable.
write_or_execute() { ! segments "$1" | grep -qE ' RWE '; }
stack_guarded() { imports "$1" | grep -qx __stack_chk_fail; }
# Of those that have a checked twin, many are checked (not all can be: the size must be known).
strings_checked() { [ "$(imports "$1" | grep -c '^__.*_chk$')" -ge 5 ]; }
no_own_library_path() { ! dynamic "$1" | grep -qE 'RPATH|RUNPATH'; }
shadow_stack() { readelf -nW "$1" | grep -q 'x86 feature:.*SHSTK'; }
# Indirect jumps land on marked places only: each object file says that it has them. The C library's start files do not
# say so in Debian 12, and therefore neither does the whole.
object_files() { find "$BUILD"/*.o "$BUILD"/core "$BUILD"/edge "$BUILD"/face "$BUILD"/ctl -name '*.o'; }
jumps_marked()
{
    local object count=0
    while read -r object; do
        readelf -nW "$object" | grep -q 'x86 feature:.*IBT' || { echo "$object" >&2; return 1; }
        count=$((count + 1))
    done < <(object_files)
    [ "$count" -gt 50 ]
}

for program in "$AS_ROOT" "$SYNMOATCTL"; do
    name=$(basename "$program")
    check "$name: position-independent" is_pie "$program"
    check "$name: full RELRO" is_relro "$program"
    check "$name: no code on the stack" stack_is_data "$program"
    check "$name: nothing is writable and executable" write_or_execute "$program"
    check "$name: a guard on each stack frame that needs it" stack_guarded "$program"
    check "$name: checked string functions" strings_checked "$program"
    check "$name: libraries from the system's own places alone" no_own_library_path "$program"
    if [ "$(uname -m)" = x86_64 ]; then check "$name: fit for a shadow stack" shadow_stack "$program"; fi
done
if [ "$(uname -m)" = x86_64 ]; then check "indirect jumps land on marked places" jumps_marked; fi

# The tests of these tests: a program built without all that.
echo 'int main(void) { return 0; }' | cc -x c -O0 -no-pie -fno-stack-protector -fcf-protection=none -Wl,-z,norelro,-z,lazy,-z,execstack,-rpath,/tmp \
    -o "$WORK/plain" - 2>/dev/null
check "a program without is built" test -x "$WORK/plain"
for property in is_pie is_relro stack_is_data write_or_execute stack_guarded strings_checked no_own_library_path shadow_stack; do
    not() { ! "$@"; }
    check "a program without: $property says so" not "$property" "$WORK/plain"
done

# ---- the same programs elsewhere, at another time, by another name

mkdir "$WORK/elsewhere"
tar -c -C "$TREE" --exclude-vcs --exclude=./build . | tar -x -C "$WORK/elsewhere"
check "built elsewhere" env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL LC_ALL=C TZ=Pacific/Kiritimati \
    make -s -C "$WORK/elsewhere" -j"$(nproc)" all
for program in synmoatd synmoatctl; do
    check "$program: the same bytes" cmp "$BUILD/$program" "$WORK/elsewhere/build/$program"
done
