#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""late.py HOST PORT SPORT FILE: half a handshake; says "answered"; the other half, with data, when FILE exists. Then
peer.py's echo must come back, in numbers that this client understands. The kernel's RSTs from SPORT must be dropped."""
import argparse
import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
import peer   # noqa: E402

PUSH = 8
BITS = 0xffffffff


def main():
    host, port, sport, go = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    client = peer.RawClient(argparse.Namespace(host=host, port=port, sport=sport, patience=10, prime=False))
    isn = random.getrandbits(32)
    client.send(peer.SYN, isn, 0, struct.pack("!BBH", 2, 4, 1460))
    cookie, _ = client.recv(peer.SYN | peer.ACK)
    peer.log("answered")
    peer.wait_for(go)
    client.deadline = time.monotonic() + 10
    client.send(peer.ACK, (isn + 1) & BITS, (cookie + 1) & BITS)
    data, header = b"ping", struct.pack("!HHIIBBHHH", sport, port, (isn + 1) & BITS, (cookie + 1) & BITS, 5 << 4,
                                        peer.ACK | PUSH, 65535, 0, 0)
    check = peer.internet_sum(client.pseudo + struct.pack("!HH", 6, len(header + data)) + header + data)
    client.sock.send(header[:16] + struct.pack("!H", check) + header[18:] + data)
    seq, ack = client.recv(peer.ACK | PUSH)
    peer.expect((seq, ack) == ((cookie + 1) & BITS, (isn + 5) & BITS), "the echo is off by", seq - cookie - 1)
    peer.log("echoed")


if __name__ == "__main__":
    try:
        main()
    except (OSError, peer.Unexpected) as error:
        sys.exit(f"late: {error or type(error).__name__}")
