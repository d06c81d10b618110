#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many connections to peer.py's server that last, while the ground moves under them.

A third is idle after its first words until --say exists, a third talks all the time, and of a third the server is the
one to speak when --say exists. "held N" says that all are up; the last line is JSON: how many were "finished" with every
byte right once --until exists, what went wrong, and the longest time a talker waited for an answer.
"""
import argparse
import collections
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
import peer   # noqa: E402

KINDS = ("idle", "talking", "server-first")


class Crowd:
    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.held = 0
        self.finished = collections.Counter()
        self.wrong = collections.Counter()
        self.gap_s = 0.0

    def hold(self):
        with self.lock:
            self.held += 1

    def echoed(self, sock, number):
        message = b"%d:" % number + peer.BLOCK[number % 1000:number % 1000 + 300] + b"\n"
        began = time.monotonic()
        peer.ping(sock, message)
        with self.lock:
            self.gap_s = max(self.gap_s, time.monotonic() - began)

    def idle(self, host):
        with self.dial(host, "echo") as sock:
            peer.ping(sock)
            self.hold()
            peer.wait_for(self.args.say)
            peer.ping(sock, peer.BLOCK[:5000])
            peer.wait_for(self.args.until)

    def talking(self, host):
        number = 0
        with self.dial(host, "echo") as sock:
            peer.ping(sock)
            self.hold()
            while not os.path.exists(self.args.until):
                self.echoed(sock, number)
                number += 1
                time.sleep(0.1)

    def server_first(self, host):
        with self.dial(host, "herald") as sock:
            sock.sendall(self.args.say.encode() + b"\n")
            self.hold()
            sock.settimeout(peer.HOLD_S)
            peer.expect(peer.recv_sum(sock) == peer.stream_sum(peer.HERALD_BYTES), "the herald lies")

    def dial(self, host, service):
        ours = argparse.Namespace(host=host, port=0, source=None, sport=0, patience=self.args.patience, prime=False)
        return peer.dial(ours, service)

    def attend(self, kind, host):
        try:
            getattr(self, kind.replace("-", "_"))(host)
            with self.lock:
                self.finished[kind] += 1
        except (OSError, peer.Unexpected) as error:
            with self.lock:
                self.wrong[f"{kind} {host}: {error or type(error).__name__}"] += 1

    def run(self):
        threads = []
        for number in range(self.args.count):
            kind = self.args.kind or KINDS[number % len(KINDS)]
            host = self.args.hosts[number // len(KINDS) % len(self.args.hosts)]
            threads.append(threading.Thread(target=self.attend, args=(kind, host), daemon=True))
            threads[-1].start()
            time.sleep(0.002)
        while self.held < self.args.count and any(thread.is_alive() for thread in threads):
            time.sleep(0.02)
        print("held", self.held, flush=True)
        for thread in threads:
            thread.join()
        print(json.dumps({"finished": sum(self.finished.values()), "of": self.args.count, "wrong": self.wrong,
                          "longest_gap_s": round(self.gap_s, 3)}))
        return sum(self.finished.values()) == self.args.count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", nargs="+", metavar="HOST", help="they take turns")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--kind", choices=KINDS, help="all of this kind")
    parser.add_argument("--say", required=True, metavar="FILE")
    parser.add_argument("--until", required=True, metavar="FILE")
    parser.add_argument("--patience", type=float, default=peer.PATIENCE_S, metavar="SECONDS")
    sys.exit(not Crowd(parser.parse_args()).run())


if __name__ == "__main__":
    main()
