#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""xtrule.py TABLE CHAIN TARGET REVISION INFO: appends a rule to a chain of family inet that has a target of xtables, as
iptables-nft would. INFO is the target's struct, in hexadecimal."""
import socket
import struct
import sys

NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES, NFPROTO_INET = 12, 10, 1
BATCH_BEGIN, BATCH_END, NEWRULE = 16, 17, NFNL_SUBSYS_NFTABLES << 8 | 6
REQUEST, ACK, CREATE, APPEND = 0x1, 0x4, 0x400, 0x800
NESTED = 0x8000


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def text(kind, value):
    return attribute(kind, value.encode() + b"\0")


def message(kind, flags, family, resource, body=b""):
    return struct.pack("=IHHIIBBH", 20 + len(body), kind, REQUEST | flags, 1, 0, family, 0,
                       socket.htons(resource)) + body


def main():
    table, chain, target, revision, info = sys.argv[1:]
    data = text(1, target) + attribute(2, struct.pack(">I", int(revision))) + attribute(3, bytes.fromhex(info))
    expression = text(1, "target") + attribute(2 | NESTED, data)
    rule = text(1, table) + text(2, chain) + attribute(4 | NESTED, attribute(1 | NESTED, expression))
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    sock.bind((0, 0))
    sock.send(message(BATCH_BEGIN, 0, 0, NFNL_SUBSYS_NFTABLES) +
              message(NEWRULE, ACK | CREATE | APPEND, NFPROTO_INET, 0, rule) +
              message(BATCH_END, 0, 0, NFNL_SUBSYS_NFTABLES))
    error, = struct.unpack_from("=i", sock.recv(4096), 16)
    if error:
        sys.exit(f"xtrule.py: error {-error}")


main()
