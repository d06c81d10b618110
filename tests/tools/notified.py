#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""notified.py SOCKET: a service manager's ear. Prints what is sent to SOCKET, as $NOTIFY_SOCKET, one line for each
assignment: "MILLISECONDS NAME=VALUE", in CLOCK_MONOTONIC. Until it is ended."""
import os
import socket
import sys
import time

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
    ear.bind(sys.argv[1])
    os.chmod(sys.argv[1], 0o666)
    while True:
        message = ear.recv(65536).decode()
        now = time.monotonic_ns() // 1000000
        for line in message.splitlines():
            print(now, line, flush=True)
