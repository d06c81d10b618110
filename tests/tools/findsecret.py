#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""findsecret.py SECRETS (PID | FILE...): looks for the shared secrets of file SECRETS, and for the keys of this epoch and
those beside it, in a process's memory or in files.

Looked for are both halves of each key as they lie in memory, and all its digits as text. Prints JSON: how often they were found
in what a core dump may have ("dumped") and in what it never has ("hidden": VM_DONTDUMP, proc_pid_smaps(5)). A file is "dumped"."""
import json
import re
import sys
import time

EPOCH_S = 64
CHUNK, OVERLAP = 65536, 64
MASK = (1 << 64) - 1


def siphash(key, words):
    """SipHash-2-4 of whole words."""
    def rotated(word, bits):
        return (word << bits | word >> (64 - bits)) & MASK

    def round_():
        v[0] = (v[0] + v[1]) & MASK
        v[1] = rotated(v[1], 13) ^ v[0]
        v[0] = rotated(v[0], 32)
        v[2] = (v[2] + v[3]) & MASK
        v[3] = rotated(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & MASK
        v[3] = rotated(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & MASK
        v[1] = rotated(v[1], 17) ^ v[2]
        v[2] = rotated(v[2], 32)

    v = [key[0] ^ 0x736F6D6570736575, key[1] ^ 0x646F72616E646F6D,
         key[0] ^ 0x6C7967656E657261, key[1] ^ 0x7465646279746573]
    for word in list(words) + [len(words) * 8 << 56]:
        v[3] ^= word
        round_()
        round_()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        round_()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def needles(path):
    keys = []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                keys.append(bytes.fromhex(line.split()[1]))
    now = int(time.time()) // EPOCH_S
    for master in list(keys):
        words = [int.from_bytes(master[i:i + 8], "little") for i in (0, 8)]
        for epoch in range(now - 2, now + 2):
            keys.append(b"".join(siphash(words, [epoch, i]).to_bytes(8, "little") for i in (0, 1)))
    return {part: number for number, key in enumerate(keys)
            for part in (key[:8], key[8:], key.hex().encode(), key[:8][::-1].hex().encode())}


def areas(pid):
    """(start, end, whether a dump may have it)"""
    found = None
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as lines:
        for line in lines:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if head:
                found = int(head[1], 16), int(head[2], 16)
            elif re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                found = None
            elif line.startswith("VmFlags:") and found:
                yield *found, "dd" not in line.split()


def finds(data, wanted):
    """Where which of them is. Most of a daemon's tables is zeros."""
    for first in range(0, len(data), CHUNK):
        part = data[first:first + CHUNK + OVERLAP]
        if part.count(0) == len(part):
            continue
        for needle in wanted:
            at = part.find(needle)
            while 0 <= at < CHUNK:
                yield first + at, needle
                at = part.find(needle, at + 1)


def main():
    wanted = needles(sys.argv[1])
    count = {"dumped": 0, "hidden": 0}
    if sys.argv[2].isdigit():
        with open(f"/proc/{sys.argv[2]}/mem", "rb", buffering=0) as memory:
            for start, end, dumped in areas(sys.argv[2]):
                try:
                    memory.seek(start)
                    data = memory.read(end - start) or b""
                except (OSError, OverflowError):
                    continue  # [vvar], [vsyscall]
                for at, needle in finds(data, wanted):
                    count["dumped" if dumped else "hidden"] += 1
                    if dumped:
                        print(f"at {start + at:x} of {start:x}-{end:x}: key {wanted[needle]}", file=sys.stderr)
    else:
        for path in sys.argv[2:]:
            with open(path, "rb") as file:
                data = file.read()
            count["dumped"] += len(list(finds(data, wanted)))
    print(json.dumps(count))


main()
