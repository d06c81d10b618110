#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares what went in with what came out: two captures of the same packets, before and behind somebody's hands.

Packets are compared from the IP header on, byte for byte; with --hop, as behind a router, except for the TTL or hop limit,
IPv4's checksum, and the number of IPv6's fragments, which conntrack puts together on the way; with --unsummed, where the
interface is still to do that, except for TCP's and UDP's checksum.

Prints one JSON object: `packets` and `flows` before; how many are `missing` behind (gone, or with other bytes), among them
`resets` without ACK and `tiny` fragments, which begin eight bytes into a TCP header; how many are `extra` there; the flows in
which the order is another (`reordered`), and of these those in which no more has happened than that SYNs, or the segments
that follow them at once, were overtaken (`overtaken`). Exits with 1 if other packets than those are missing, any is extra,
or a flow is reordered but not just overtaken, unless there is --any-order.
"""
import argparse
import collections
import json
import struct
import sys

LINK_ETHERNET, LINK_NFLOG = 1, 239
NFULA_PAYLOAD = 9     # linux/netfilter/nfnetlink_log.h
EXTENSIONS = (0, 43, 60)
FRAGMENT = 44
# What is queued as the first ACK: the kernel's own, which it sends from the CPU that the SYN-ACK came by, and data that the
# client's program sends from another just then. Neither rule sees that the other has taken it off the list.
AT_ONCE = 2


def frames(path):
    with open(path, "rb") as capture:
        magic, _, _, _, _, _, link = struct.unpack("=IHHiIII", capture.read(24))
        if magic not in (0xa1b2c3d4, 0xa1b23c4d):
            raise ValueError(f"{path}: no capture")
        while len(head := capture.read(16)) == 16:
            _, _, kept, was = struct.unpack("=IIII", head)
            if kept != was:
                raise ValueError(f"{path}: packets are cut off")
            yield link, capture.read(kept)


def payload(link, frame):
    """From the IP header on; None if it is of no IP."""
    if link == LINK_ETHERNET:
        return frame[14:] if frame[12:14] in (b"\x08\x00", b"\x86\xdd") else None
    at = 4
    while at + 4 <= len(frame):
        size, kind = struct.unpack_from("=HH", frame, at)
        if kind & 0x7fff == NFULA_PAYLOAD:
            return frame[at + 4:at + size]
        at += (size + 3) & ~3
    return None


def trimmed(ip):
    """Without what Ethernet has added to short ones."""
    if ip[0] >> 4 == 4:
        return ip[:struct.unpack_from("!H", ip, 2)[0]]
    return ip[:40 + struct.unpack_from("!H", ip, 4)[0]]


def upper(ip):
    """(protocol, where it starts, whether that can be read: not in a later fragment)."""
    if ip[0] >> 4 == 4:
        return ip[9], (ip[0] & 15) * 4, not struct.unpack_from("!H", ip, 6)[0] & 0x3fff
    protocol, at = ip[6], 40
    while protocol in EXTENSIONS and at + 8 <= len(ip):
        protocol, at = ip[at], at + 8 + ip[at + 1] * 8
    return protocol, at, protocol != FRAGMENT


def flow(ip):
    protocol, at, whole = upper(ip)
    ends = ip[12:20] if ip[0] >> 4 == 4 else ip[8:40]
    return ends, protocol, ip[at:at + 4] if whole else b""


def is_reset(ip):
    protocol, at, whole = upper(ip)
    return whole and protocol == 6 and len(ip) >= at + 20 and ip[at + 13] & 0x17 == 4


def is_tiny(ip):
    return ip[0] >> 4 == 4 and ip[9] == 6 and struct.unpack_from("!H", ip, 6)[0] & 0x1fff == 1


def without_hop(ip):
    if ip[0] >> 4 == 4:
        return ip[:8] + b"\0" + ip[9:10] + b"\0\0" + ip[12:]
    protocol, at, _ = upper(ip)
    if protocol == FRAGMENT:
        ip = ip[:at + 4] + b"\0\0\0\0" + ip[at + 8:]
    return ip[:7] + b"\0" + ip[8:]


def without_sum(ip):
    protocol, at, whole = upper(ip)
    at += {6: 16, 17: 6}.get(protocol, len(ip))
    return ip[:at] + b"\0\0" + ip[at + 2:] if whole and at + 2 <= len(ip) else ip


def flows(path, masks):
    found = collections.defaultdict(list)
    for link, frame in frames(path):
        ip = payload(link, frame)
        if not ip or len(ip) < 20 or (ip[0] >> 4 == 6 and len(ip) < 40):
            continue
        if link == LINK_ETHERNET:
            ip = trimmed(ip)
        key = flow(ip)
        for mask in masks:
            ip = mask(ip)
        found[key].append(ip)
    return found


def is_syn(ip):
    protocol, at, whole = upper(ip)
    return whole and protocol == 6 and len(ip) >= at + 20 and ip[at + 13] & 0x17 == 2


def overtaken(before, behind):
    """Whether both are the same, but for SYNs, in their order, and the first AT_ONCE others, which are further behind."""
    if list(filter(is_syn, before)) != list(filter(is_syn, behind)):
        return False
    before, behind = ([ip for ip in packets if not is_syn(ip)] for packets in (before, behind))
    for ip in before[:AT_ONCE]:
        if ip in behind:
            behind.remove(ip)
    return before[AT_ONCE:] == behind


def show(what, packets):
    for packet in list(packets)[:3]:
        print(f"{what}: {packet[:120].hex()}", file=sys.stderr)


def compare(before, behind, tell_order):
    result = collections.Counter(packets=sum(map(len, before.values())), flows=len(before),
                                 missing=0, resets=0, tiny=0, extra=0, reordered=0, overtaken=0)
    for key in before.keys() | behind.keys():
        one, other = before.get(key, []), behind.get(key, [])
        missing = collections.Counter(one) - collections.Counter(other)
        extra = collections.Counter(other) - collections.Counter(one)
        excused = {"resets": [ip for ip in missing.elements() if is_reset(ip)],
                   "tiny": [ip for ip in missing.elements() if is_tiny(ip)]}
        result["missing"] += missing.total()
        result["extra"] += extra.total()
        for name, packets in excused.items():
            result[name] += len(packets)
            one = [ip for ip in one if ip not in packets]
        show("missing", [ip for ip in missing if not is_reset(ip) and not is_tiny(ip)])
        show("extra", extra)
        if one != other and len(one) == len(other) and not extra:
            result["reordered"] += 1
            just_overtaken = overtaken(one, other)
            result["overtaken"] += just_overtaken
            if tell_order and not just_overtaken:
                print(f"came as {[one.index(ip) for ip in other][:60]}", file=sys.stderr)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hop", action="store_true", help="behind a router")
    parser.add_argument("--unsummed", action="store_true", help="before checksums are done")
    parser.add_argument("--any-order", action="store_true", help="where the kernel may swap them itself")
    parser.add_argument("--count", action="store_true", help="only say how many packets the first one has")
    parser.add_argument("before")
    parser.add_argument("behind", nargs="?")
    args = parser.parse_args()
    if args.count:
        print(sum(1 for _ in frames(args.before)))
        return 0
    masks = [without_hop] * args.hop + [without_sum] * args.unsummed
    result = compare(flows(args.before, masks), flows(args.behind, masks), not args.any_order)
    print(json.dumps(result))
    return 1 if result["missing"] > result["resets"] + result["tiny"] or result["extra"] or \
        (not args.any_order and result["reordered"] > result["overtaken"]) else 0


if __name__ == "__main__":
    sys.exit(main())
