#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many legitimate HTTP clients, from many source addresses of the test bench.

Prints one JSON object: connections that were `ok` and `failed`, those that were `slow` (0.9 s or more: a SYN had to
be sent again), the reasons of the failures, and how many `seconds` it all took. Nothing is tried twice.
"""
import argparse
import asyncio
import collections
import itertools
import json
import os
import time

SOURCES = 500       # addresses to spread over
SOURCE_BASE = 0x8000  # above those that requests() in lib.sh uses
SLOW_S = 0.9


def source(i, dst, args):
    n = args.base + i % args.sources
    return f"fd78::{n:x}" if ":" in dst else f"10.78.{n >> 8}.{n & 255}"


async def get(reader, writer, last):
    writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n" + (b"Connection: close\r\n\r\n" if last else b"\r\n"))
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    await reader.readexactly(length)
    if " 200 " not in head.split("\r\n")[0]:
        raise RuntimeError(head.split("\r\n")[0])
    if last and await reader.read():
        raise RuntimeError("bytes after the end")


async def client(i, dst, args, together):
    reader, writer = await asyncio.open_connection(dst, args.port, local_addr=(source(i, dst, args), 0))
    try:
        if together:
            await together.wait()
        for left in reversed(range(args.rounds)):
            await get(reader, writer, left == 0)
    finally:
        writer.close()


async def worker(which, numbers, args, result, together):
    await asyncio.sleep(args.ramp * which / args.parallel)
    for i in numbers:
        if args.while_file and not os.path.exists(args.while_file):
            return
        start = time.monotonic()
        try:
            await asyncio.wait_for(client(i, args.dst[i % len(args.dst)], args, together), args.limit)
            result["ok"] += 1
        except Exception as why:  # whatever it was, the client did not get its page
            result["failed"] += 1
            result["why"][f"{type(why).__name__}: {why}"] += 1
        result["slow"] += time.monotonic() - start >= SLOW_S


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, help="connections in all (default: no end)")
    parser.add_argument("-p", "--parallel", type=int, default=50)
    parser.add_argument("-r", "--rounds", type=int, default=1, help="requests on each connection")
    parser.add_argument("-l", "--limit", type=float, default=10, help="seconds for each connection")
    parser.add_argument("--sources", type=int, default=SOURCES, help="addresses to spread over")
    parser.add_argument("--base", type=int, default=SOURCE_BASE, help="the first of them, as client_address in lib.sh")
    parser.add_argument("--ramp", type=float, default=0, help="seconds until all of --parallel have begun")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--at-once", action="store_true", help="open all before the first request")
    parser.add_argument("--while-file", help="go on as long as this file exists")
    parser.add_argument("dst", nargs="+")
    args = parser.parse_args()

    numbers = iter(range(args.n)) if args.n else itertools.count()
    together = None
    if args.at_once:
        args.parallel = args.n
        together = asyncio.Barrier(args.n)
    result = {"ok": 0, "failed": 0, "slow": 0, "why": collections.Counter()}
    start = time.monotonic()
    await asyncio.gather(*(worker(which, numbers, args, result, together) for which in range(args.parallel)))
    result["seconds"] = round(time.monotonic() - start, 3)
    print(json.dumps(result))


asyncio.run(main())
