#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An HTTP server that is stuck: it listens, but accepts nobody until it gets SIGUSR1; then it serves all who wait.

SIGUSR1 arrives whenever it likes: it is noted from before the port is open.
"""
import argparse
import asyncio
import signal
import socket

PAGE = b"At last.\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(PAGE) + PAGE


async def serve(reader, writer):
    try:
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        writer.write(ANSWER)
        await writer.drain()
    except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        pass  # the client has given up
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backlog", type=int, default=32)
    parser.add_argument("port", type=int)
    args = parser.parse_args()

    go = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, go.set)
    with socket.create_server(("", args.port), backlog=args.backlog) as listener:
        await go.wait()
        server = await asyncio.start_server(serve, sock=listener, backlog=args.backlog)
        await server.serve_forever()


asyncio.run(main())
