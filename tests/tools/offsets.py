#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The sequence offsets of conntrack entries, which conntrack(8) does not show.

One line per TCP entry that has an offset or the mark of a handed-over connection; with --json only how many there are:
{"with_offset": N, "marked_without": N}. In the network namespace it runs in.
"""
import argparse
import json
import socket
import struct

NETLINK_NETFILTER = 12
CT_GET = 1 << 8 | 1                 # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
REQUEST_DUMP = 0x1 | 0x300
DONE, ERROR = 3, 2
# enum ctattr_type and below it, linux/netfilter/nfnetlink_conntrack.h
TUPLE_ORIG, TIMEOUT, MARK, SEQ_ADJ_REPLY, OFFSET_AFTER = 1, 7, 8, 16, 3
MARK_KIND_BITS, MARK_HANDED_OVER = 0xf << 22, 7 << 22   # daemon/edge/marks.h


def attributes(data):
    """Of one nest: {type: payload}."""
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & 0x3fff] = data[at + 4:at + length]
        at += (length + 3) & ~3
    return found


def number(data):
    return int.from_bytes(data or b"", "big")


def entries():
    """(family, attributes) of all."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    sock.bind((0, 0))
    sock.send(struct.pack("=IHHIIBBH", 20, CT_GET, REQUEST_DUMP, 1, 0, socket.AF_UNSPEC, 0, 0))
    while True:
        data, at = sock.recv(1 << 18), 0
        while at + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if kind == DONE:
                return
            if kind == ERROR:
                raise OSError(-struct.unpack_from("=i", data, at + 16)[0], "ctnetlink")
            yield data[at + 16], attributes(data[at + 20:at + length])
            at += (length + 3) & ~3


def tuple_text(family, data):
    parts = attributes(data)
    address, protocol = attributes(parts[1]), attributes(parts[2])
    ends = (address[1], address[2]) if family == socket.AF_INET else (address[3], address[4])
    source, destination = (socket.inet_ntop(family, end) for end in ends)
    return f"[{source}]:{number(protocol.get(2))} > [{destination}]:{number(protocol.get(3))}", number(protocol[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    count = {"with_offset": 0, "marked_without": 0}
    for family, entry in entries():
        text, protocol = tuple_text(family, entry[TUPLE_ORIG])
        offset = number(attributes(entry.get(SEQ_ADJ_REPLY, b"")).get(OFFSET_AFTER))
        marked = number(entry.get(MARK)) & MARK_KIND_BITS == MARK_HANDED_OVER
        if protocol != socket.IPPROTO_TCP or not (offset or marked):
            continue
        count["with_offset" if offset else "marked_without"] += 1
        if not args.json:
            print(f"{text} offset {offset} mark {number(entry.get(MARK)):#010x} for {number(entry.get(TIMEOUT))} s")
    if args.json:
        print(json.dumps(count))


if __name__ == "__main__":
    main()
