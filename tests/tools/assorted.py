#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections to an echo service with all that a socket can be told to put into its packets, and datagrams in fragments.

Prints what was `echoed` and what was `sent` only, as one JSON object; exits with 1 if what should have come back did not.
"""
import argparse
import json
import socket
import struct
import sys

TCP_MD5SIG, TCP_FASTOPEN_CONNECT = 14, 30          # linux/tcp.h
IPV6_HOPOPTS, IPV6_DSTOPTS, IPV6_TCLASS = 54, 59, 67  # linux/in6.h
MESSAGE = bytes(range(256)) * 20

ROUTER_ALERT = b"\x94\x04\x00\x00"                 # RFC 2113
RECORD_ROUTE = b"\x07\x07\x04\x00\x00\x00\x00\x00"  # RFC 791 3.1
TIMESTAMP = b"\x44\x08\x05\x00\x00\x00\x00\x00"
PADN = b"\x00\x00\x01\x04\x00\x00\x00\x00"          # a header of eight bytes, nothing but PadN
UNKNOWN = b"\x00\x00\x1e\x04abcd"                   # an option for experiments (RFC 4727), to be skipped


def signature(family, host):
    address = socket.getaddrinfo(host, 0, family, socket.SOCK_STREAM)[0][4][0]
    wire = socket.inet_pton(family, address)
    end = struct.pack("=HH", family, 0) + (wire if family == socket.AF_INET else struct.pack("=I", 0) + wire)
    return end.ljust(128, b"\0") + struct.pack("=BBHI", 0, 0, 3, 0) + b"key".ljust(80, b"\0")


def variations(family, host, routed):
    """(name, options of the socket, whether an answer has to come)."""
    ip, v6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
    tcp = socket.IPPROTO_TCP
    yield "plain", [], True
    for size in 88, 536, 1221, 1400:
        yield f"mss {size}", [(tcp, socket.TCP_MAXSEG, size)], True
    for tos in 0x28, 0x88, 0xb8, 0xfc:
        option = (ip, socket.IP_TOS, tos) if family == socket.AF_INET else (v6, IPV6_TCLASS, tos)
        yield f"tos {tos}", [option], True
    yield "fast open", [(tcp, TCP_FASTOPEN_CONNECT, 1)], True
    yield "fast open again", [(tcp, TCP_FASTOPEN_CONNECT, 1)], True
    yield "a narrow window", [(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)], True
    yield "signed", [(tcp, TCP_MD5SIG, signature(family, host))], False
    if family == socket.AF_INET:
        yield "router alert", [(ip, socket.IP_OPTIONS, ROUTER_ALERT)], True
        if not routed:
            yield "record route", [(ip, socket.IP_OPTIONS, RECORD_ROUTE)], True
            yield "timestamp", [(ip, socket.IP_OPTIONS, TIMESTAMP)], True
    else:
        yield "hop by hop", [(v6, IPV6_HOPOPTS, PADN)], True
        yield "destination options", [(v6, IPV6_DSTOPTS, PADN)], True
        yield "an unknown option", [(v6, IPV6_DSTOPTS, UNKNOWN)], True
        yield "both", [(v6, IPV6_HOPOPTS, UNKNOWN), (v6, IPV6_DSTOPTS, PADN)], True


def echoed(sock):
    sock.sendall(MESSAGE)
    sock.send(b"!", socket.MSG_OOB)  # an urgent byte is not in the stream
    sock.sendall(MESSAGE)
    left = 2 * len(MESSAGE)
    while left and (data := sock.recv(left)):
        left -= len(data)
    return not left


def connection(family, end, options, answered):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(5 if answered else 0.2)
        for option in options:
            sock.setsockopt(*option)
        sock.connect(end)
        return echoed(sock)


def datagrams(family, end):
    """Of sizes around those at which they are cut to pieces."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        for size in 0, 1, 1000, 1451, 1452, 1453, 1472, 1473, 3000, 8000, 20000, 65000:
            try:
                sock.sendto(b"u" * size, end)
            except ConnectionRefusedError:
                pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routed", action="store_true", help="without options that routers write into")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    args = parser.parse_args()
    family, _, _, _, end = socket.getaddrinfo(args.host, args.port, type=socket.SOCK_STREAM)[0]
    result = {"echoed": 0, "sent": 0, "failed": []}
    for name, options, answered in variations(family, args.host, args.routed):
        try:
            came = connection(family, end, options, answered)
        except OSError as error:
            came, name = False, f"{name}: {error}"
        if came:
            result["echoed"] += 1
        elif answered:
            result["failed"].append(name)
        else:
            result["sent"] += 1
    datagrams(family, end)
    print(json.dumps(result))
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
