#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hostile.py ADDRESS PORT: clients that an HTTP server should survive, for as long as it takes to meet them all.

Connections that never finish a request (a byte now and then), garbage, requests without end, a pipeline of requests whose
answers nobody reads, and 10,000 connections that come and go. Says "on" when they are all there."""
import contextlib
import socket
import sys
import time

ADDRESS, PORT = sys.argv[1], int(sys.argv[2])
HOLD_S = 8


def connect(limit_s=1.0):
    client = socket.create_connection((ADDRESS, PORT), limit_s)
    client.setblocking(False)
    return client


def send(client, data):
    with contextlib.suppress(OSError):
        client.send(data)


def main():
    clients = []
    for i in range(32):  # more than it serves at once; the kernel holds some of the rest
        with contextlib.suppress(OSError):
            client = connect(0.2)
            kind = i % 4
            if kind == 0:
                send(client, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ")
            elif kind == 1:
                send(client, bytes(range(256)) * 64)
            elif kind == 2:
                send(client, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
            else:
                send(client, b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n")
            clients.append(client)
    print("on", flush=True)
    end = time.monotonic() + HOLD_S
    made = 0
    while time.monotonic() < end:
        for client in clients:
            send(client, b"a")
        for _ in range(10000 // (HOLD_S * 20)):
            one = socket.socket(socket.AF_INET6 if ":" in ADDRESS else socket.AF_INET)
            one.setblocking(False)
            with contextlib.suppress(OSError):
                one.connect((ADDRESS, PORT))
            made += 1
            one.close()
        time.sleep(0.05)
    print("made", made, flush=True)


main()
