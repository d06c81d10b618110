#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""besiege.py SOCKET SECONDS: a thousand clients of the control socket that it should survive, all the time.

Each says nothing, or a byte a second, or 100 MB without a newline in all, or asks for a long answer and never reads it, or
follows the events and never reads them. Whoever is turned away comes again. Says "on" when a thousand have been there, in the end
how many there were, and how many bytes without a newline it got rid of."""
import contextlib
import resource
import socket
import sys
import time

PATH, SECONDS = sys.argv[1], float(sys.argv[2])
COUNT = 1000
FLOOD = b"x" * 65536
KINDS = ("silent", "slow", "endless", "unread", "follower", "explainer")
ASKS = {"unread": b"metrics json\n", "follower": b"events --last 256 --follow\n", "explainer": b"sources --top 1000 json\n"}


class Client:
    def __init__(self, kind):
        self.kind = kind
        self.said = 0.0
        self.socket = None

    def come(self):
        self.leave()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.socket.connect(PATH)
            if self.kind in ASKS:
                self.socket.send(ASKS[self.kind])

    def leave(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def act(self, now):
        """Returns how many bytes were sent; raises OSError when turned away."""
        if self.kind == "endless":
            return self.socket.send(FLOOD)
        if self.kind == "slow" and now - self.said >= 1:
            self.said = now
            return self.socket.send(b"s")
        if self.kind == "silent" and self.said < now - 6:  # longer than it waits for a word
            self.said = now
            self.come()
        return 0


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    clients = [Client(KINDS[number % len(KINDS)]) for number in range(COUNT)]
    came = sent = 0
    for client in clients:
        with contextlib.suppress(OSError):
            client.come()
        came += 1
    print("on", flush=True)
    end = time.monotonic() + SECONDS
    while (now := time.monotonic()) < end or (sent < 100 << 20 and now < end + 30):
        for client in clients:
            try:
                sent += client.act(now)
            except BlockingIOError:
                pass
            except OSError:
                with contextlib.suppress(OSError):
                    client.come()
                came += 1
        time.sleep(0.01)
    print("came", came, flush=True)
    print("sent", sent, flush=True)


main()
