#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bindqueue.py [--log] NUMBER: binds the NFQUEUE (the NFLOG group), as another program would, and gives no packet in it a
verdict."""
import signal
import socket
import struct
import sys

NETLINK_NETFILTER = 12
QUEUE_CONFIG = 3 << 8 | 2   # NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG
LOG_CONFIG = 4 << 8 | 1     # NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG; its command's number is the same
CMD, PARAMS = 1, 2          # NFQA_CFG_CMD, NFQA_CFG_PARAMS
BIND, COPY_PACKET = 1, 2
REQUEST, ACK = 1, 4


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def configure(sock, number, what, kind=QUEUE_CONFIG):
    body = struct.pack("=BBH", 0, 0, socket.htons(number)) + what
    sock.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST | ACK, 1, 0) + body)
    error, = struct.unpack_from("=i", sock.recv(4096), 16)
    if error:
        sys.exit(f"bindqueue.py: queue {number}: error {-error}")


def main():
    number = int(sys.argv[-1])
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    sock.bind((0, 0))
    if sys.argv[1] == "--log":
        configure(sock, number, attribute(CMD, struct.pack("B", BIND)), LOG_CONFIG)
        signal.pause()
    configure(sock, number, attribute(CMD, struct.pack(">BBH", BIND, 0, 0)))
    configure(sock, number, attribute(PARAMS, struct.pack(">IB", 0xffff, COPY_PACKET)))
    signal.pause()


main()
