#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sequential connections: prints the microseconds from connect() to the server's first byte, one line for each.

A connection that fails is a line of standard error instead, and the exit code is 1.

With --serve it is the server, one that speaks first: it greets and closes.
"""
import argparse
import socket
import sys
import time

GET = b"GET / HTTP/1.0\r\n\r\n"
GREETING = b"220 ready\r\n"


def serve(address):
    with socket.create_server(address, backlog=128) as listener:
        while True:
            connection, _ = listener.accept()
            connection.sendall(GREETING)
            connection.close()


def first_byte_us(address, request):
    with socket.socket() as client:
        client.settimeout(5)
        start = time.perf_counter_ns()
        client.connect(address)
        if request:
            client.sendall(request)
        if not client.recv(1):
            raise ConnectionError("the server closed without a byte")
        took = time.perf_counter_ns() - start
        while client.recv(65536):
            pass
        return took / 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--get", action="store_true", help="ask for / first")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    args = parser.parse_args()

    address = (args.host, args.port)
    if args.serve:
        serve(address)
    failed = 0
    for number in range(args.count):
        try:
            print(f"{first_byte_us(address, GET if args.get else None):.1f}")
        except OSError as why:
            print(f"connection {number}: {why}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


sys.exit(main())
