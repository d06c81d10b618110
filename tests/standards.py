#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the section STANDARDS of synmoat(7) says, item by item, on the wire.

Prints "ok TAG" or "not ok TAG why". TIER says who is there: bare (nobody: what is kept must be so, and what differs must
not), queue, xdp, gateway.
"""
import argparse
import concurrent.futures
import contextlib
import time

# Their checks enter themselves, in this order: path-mtu leaves the kernel with a narrow path to the client.
import standards_handshake  # noqa: F401 isort: skip
import standards_connections  # noqa: F401 isort: skip
import wire
from standards_bench import ALL, CHECKS, Bench, scale_of, servers
from wire import Unexpected, inside


def verdict(tier, differs, error):
    """What differs must not be so without us."""
    if tier != "bare" or not differs:
        return error
    return None if error else "it is so without synmoatd, too"


def run(bench, entry):
    tag, tiers, shown, _, check = entry
    error = None
    if bench.tier == "bare" and not shown:
        return tag, None
    for _ in range(3 if tiers and bench.tier != "bare" else 1):     # now and then a SYN passes, to learn
        try:
            check(bench)
            error = None
            break
        except (OSError, Unexpected, IndexError, KeyError) as wrong:
            error = f"{type(wrong).__name__}: {wrong}"
    return tag, verdict(bench.tier, tiers == ALL, error)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tier", choices=("bare",) + ALL)
    parser.add_argument("--server-ns", required=True)
    parser.add_argument("--client", nargs="+", required=True, help="nobody's address, one per family")
    parser.add_argument("--server", nargs="+", required=True)
    parser.add_argument("--ready", required=True, help="a file to make when the servers listen")
    parser.add_argument("--go", required=True, help="a file to wait for")
    parser.add_argument("--only", default="", help="tags")
    args = parser.parse_args()
    with inside(args.server_ns):
        listening = servers()
    link = wire.Wire("c0")
    args.wscale = scale_of(args.server[0])
    with open(args.ready, "w", encoding="ascii"):
        pass
    while True:
        with contextlib.suppress(FileNotFoundError), open(args.go, encoding="ascii"):
            break
        time.sleep(0.05)
    benches = [Bench(args, link, listening, server, client, args.tier) for server, client in zip(args.server, args.client)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [(b, pool.submit(run, b, entry)) for entry in sorted(CHECKS, key=lambda e: e[0] != "server-silent")
                for b in benches if entry[3] in (None, 6 if b.v6 else 4) and (not args.only or entry[0] in args.only.split())]
        for bench, job in jobs:
            tag, error = job.result()
            print(f"{'not ok' if error else 'ok'} {tag} IPv{6 if bench.v6 else 4}{f' # {error}' if error else ''}", flush=True)


if __name__ == "__main__":
    main()
