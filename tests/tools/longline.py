#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A long line between two network namespaces: a TUN device in each, and packets that take their time between them.

Not every kernel has netem. Both devices have the same name; addresses and routes are the caller's. Runs until killed,
and its devices go with it.
"""
import argparse
import collections
import ctypes
import fcntl
import os
import select
import struct
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
BATCH = 64  # packets read from one end before the other has its turn

libc = ctypes.CDLL(None, use_errno=True)


def device_open(namespace, name):
    with open(f"/run/netns/{namespace}", "rb") as ns:
        if libc.setns(ns.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def packets_take(fd, other, due, line):
    try:
        for _ in range(BATCH):
            line.append((due, other, os.read(fd, 65536)))
    except OSError:
        pass  # no more for now, or the device is still down


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay-ms", type=float, default=100, help="each way")
    parser.add_argument("name", help="of the devices")
    parser.add_argument("namespaces", nargs=2)
    args = parser.parse_args()

    ends = [device_open(namespace, args.name) for namespace in args.namespaces]
    line = collections.deque()
    while True:
        wait = max(line[0][0] - time.monotonic(), 0) if line else None
        readable = select.select(ends, [], [], wait)[0]
        due = time.monotonic() + args.delay_ms / 1000
        for fd in readable:
            packets_take(fd, ends[1 - ends.index(fd)], due, line)
        while line and line[0][0] <= time.monotonic():
            _, to, packet = line.popleft()
            try:
                os.write(to, packet)
            except OSError:
                pass  # lost, as on any line


main()
