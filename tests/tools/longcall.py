#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""longcall.py SOURCE HOST PATH FILE BYTES_PER_S: gets http://HOST/PATH into FILE, no faster than that, with a receive buffer
too small to hide a pause. Until it gets SIGTERM, or all has come; then prints the longest pause, in milliseconds."""
import signal
import socket
import sys
import time


def main():
    source, host, path, name, rate = sys.argv[1:6]
    chunk = int(rate) // 50
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 10)
    sock.settimeout(10)
    sock.bind((source, 0))
    sock.connect((host, 80))
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    data, gap, last = b"", 0.0, time.monotonic()
    while b"\r\n\r\n" not in data:
        data += sock.recv(chunk)
    data = data.split(b"\r\n\r\n", 1)[1]
    sock.settimeout(0.2)
    with open(name, "wb", buffering=0) as out:
        out.write(data)
        while not stop:
            try:
                data = sock.recv(chunk)
            except TimeoutError:
                continue
            if not data:
                break
            out.write(data)
            now = time.monotonic()
            gap, last = max(gap, now - last), now
            time.sleep(0.02)
    print(round(max(gap, time.monotonic() - last) * 1000))


if __name__ == "__main__":
    main()
