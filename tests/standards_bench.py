# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checks of standards.py are done on: both families' ends, the servers, and the list of the checks."""
import random
import socket
import struct

import wire
from wire import SACK_PERMITTED, TCP_FASTOPEN, Client, Server, mss, run_echo, timestamps, wscale

MAIN, FULL4, FULL6, GONE4, GONE6, CROSSED, FAST, ODD, LESS4, LESS6, STRICT, CLOSED = range(7001, 7013)
SO_RCVBUFFORCE = 33
CHECKS = []


def item(tag, tiers=None, bare=None, only=None):
    """TIERS: where it differs from the RFC: none, for what is kept. BARE False: nothing to be shown without us. ONLY 4 or 6."""
    def entered(check):
        CHECKS.append((tag, tiers or (), bare is not False, only, check))
        return check
    return entered


ALL = ("queue", "xdp", "gateway")


class Bench:
    """One family's ends, and the servers that both share."""

    def __init__(self, args, link, servers, server, client, tier):
        self.args, self.wire, self.servers, self.server, self.client, self.tier = args, link, servers, server, client, tier
        self.v6 = ":" in server
        self.mss = 1440 if self.v6 else 1460

    def full(self, scale=7):
        return mss(self.mss) + SACK_PERMITTED + timestamps(wire.CLOCK) + wscale(scale)

    def new(self, port=MAIN, **more):
        return Client(self, port, **more)

    def opened(self, options=None, window=None, **more):
        """A connection, and the server's end of it."""
        client = self.new()
        client.asked(options, **more)
        if window is not None:
            client.window = window
        client.say()
        return client, self.servers[MAIN].of(client)

    def echoing(self, options=None, **more):
        client, end = self.opened(options, **more)
        run_echo(end)
        client.ping()
        return client

    def sends(self, size, options=None, window=None):
        """A connection on which the server sends so much, as far as the window lets it."""
        client, end = self.opened(options, window)
        end.setblocking(False)
        end.send(random.randbytes(size))
        client.end = end
        return client


def servers():
    """All that must be there before the daemon learns of them."""
    def odd(sock):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 77)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 77)

    def crossed(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def fast(sock):
        sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 16)
    return {MAIN: Server(MAIN), FULL4: Server(FULL4, 0, False), FULL6: Server(FULL6, 0, False), GONE4: Server(GONE4), GONE6: Server(GONE6),
            CROSSED: Server(CROSSED, set_up=crossed),
            FAST: Server(FAST, set_up=fast), ODD: Server(ODD, set_up=odd), LESS4: Server(LESS4), LESS6: Server(LESS6),
            STRICT: Server(STRICT)}


def scale_of(server):
    """The window scale that the server's kernel announces."""
    with socket.create_connection((server, MAIN), 3) as sock:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[6] & 15     # tcpi_snd_wscale


def icmp(client, about, kind, code, word=0):
    """An ICMP error about a segment that has come."""
    body = struct.pack("!BBHI", kind, code, 0, word) + about.packet[:68]
    if client.v6:
        pseudo = client.source + client.to + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6)
        body = body[:2] + struct.pack("!H", wire.internet_sum(pseudo + body)) + body[4:]
        client.wire.send(wire.ip_packet(client.source, client.to, socket.IPPROTO_ICMPV6, body))
    else:
        body = body[:2] + struct.pack("!H", wire.internet_sum(body)) + body[4:]
        client.wire.send(wire.ip_packet(client.source, client.to, socket.IPPROTO_ICMP, body))
