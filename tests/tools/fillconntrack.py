#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fills this namespace's conntrack table with connections, says "full", and keeps it so until it is killed.

They are assured, so that none of them gives way to another (early_drop(), net/netfilter/nf_conntrack_core.c), of UDP, and
from 198.18.0.0/15. They stay for ten minutes, or until `conntrack -D -p udp`.
"""
import socket
import struct
import time

IPCTNL_MSG_CT_NEW, CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_TIMEOUT = 1 << 8, 1, 2, 3, 7
SEEN_REPLY, ASSURED, CONFIRMED = 2, 4, 8
NLM_F_REQUEST, NLM_F_CREATE, NLM_F_EXCL = 1, 0x400, 0x200
NESTED, UDP, BATCH = 0x8000, 17, 256


def attribute(kind, payload):
    data = struct.pack("=HH", 4 + len(payload), kind) + payload
    return data + bytes(-len(data) % 4)


def ends(source, destination):
    return attribute(NESTED | 1, attribute(1, source) + attribute(2, destination)) + attribute(
        NESTED | 2, attribute(1, bytes([UDP])) + attribute(2, b"\x10\x00") + attribute(3, b"\x10\x00"))


def message(number):
    source, destination = struct.pack("!I", 0xC6120000 + (number >> 3)), struct.pack("!I", 0xC6130000 + (number & 7))
    body = struct.pack("=BBH", socket.AF_INET, 0, 0)
    body += attribute(NESTED | CTA_TUPLE_ORIG, ends(source, destination))
    body += attribute(NESTED | CTA_TUPLE_REPLY, ends(destination, source))
    body += attribute(CTA_STATUS, struct.pack("!I", SEEN_REPLY | ASSURED | CONFIRMED))
    body += attribute(CTA_TIMEOUT, struct.pack("!I", 600))
    flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL
    return struct.pack("=IHHII", 16 + len(body), IPCTNL_MSG_CT_NEW, flags, number, 0) + body


def refused(netlink):
    """Whether one of the messages so far was: each refusal is an answer, and nothing else is."""
    any_answer = False
    while True:
        try:
            netlink.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return any_answer
        any_answer = True


def main():
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    netlink.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE: a refusal each
    first, said = 0, False
    while True:
        netlink.send(b"".join(message(number) for number in range(first, first + (1 if said else BATCH))))
        if not refused(netlink):
            first += 1 if said else BATCH
            continue
        if not said:
            print("full", flush=True)
            first, said = first + BATCH, True
        time.sleep(0.005)


main()
