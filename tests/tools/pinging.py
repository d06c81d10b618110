#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""pinging.py HOST PORT SPORT FILE [idle]: one connection to an echo server, from port SPORT. Says "up"; while FILE exists
it asks every few milliseconds, or never if idle; then once more, and says "alive". pinging.py serve PORT: the server, who
waits as long as it takes."""
import os
import random
import socket
import sys
import threading
import time


def ping(sock):
    sock.sendall(b"ping\n")
    answer = b""
    while len(answer) < 5:
        part = sock.recv(5 - len(answer))
        if not part:
            sys.exit("the connection has ended")
        answer += part


def echo(sock):
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def serve(port):
    listener = socket.create_server(("", port))
    while True:
        threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()


def main():
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    host, port, sport, stop = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    idle = sys.argv[5:] == ["idle"]
    sock = socket.create_connection((host, port), timeout=5, source_address=("", sport))
    ping(sock)
    print("up", flush=True)
    while os.path.exists(stop):
        if not idle:
            ping(sock)
        time.sleep(random.uniform(0.005, 0.015))
    ping(sock)
    print("alive", flush=True)


if __name__ == "__main__":
    main()
