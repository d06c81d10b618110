#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the section STANDARDS of synmoat(7) says, item by item, on the wire.

Prints "ok TAG" or "not ok TAG why". TIER says who is there: bare (nobody: what is kept must be so, and what differs must
not), queue, xdp, gateway.
"""
import argparse
import concurrent.futures
import contextlib
import random
import socket
import struct
import time

import wire
from wire import (ACK, AE, CWR, ECE, FIN, M32, PSH, RST, SACK_PERMITTED, SYN, TCP_FASTOPEN, URG, Client, Server, Unexpected,
                  expect, inside, mss, run_echo, sack, timestamps, wscale)

MAIN, FULL4, FULL6, GONE4, GONE6, CROSSED, FAST, ODD, LESS4, LESS6, CLOSED = range(7001, 7012)
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


# ---- the SYN-ACK

@item("synack-once", ALL)
def synack_once(b):
    c = b.new()
    c.asked()
    c.silent(2.5)
    c.say()
    run_echo(b.servers[MAIN].of(c))
    c.ping()


@item("isn", ALL)
def isn(b):
    b.echoing()     # or a gateway lets a SYN pass, to see whether the server is there
    c, numbers = b.new(), []
    for _ in range(16):
        numbers.append(c.asked().seq)
        c.isn = c.isn + 70000 & M32
    falls = sum(after - before & M32 > M32 // 2 for before, after in zip(numbers, numbers[1:]))
    expect(falls, "the numbers only rise:", numbers)


@item("syn-repeated")
def syn_repeated(b):
    c = b.new()
    first = c.asked(b.full())
    time.sleep(0.02)
    c.inbox.queue.clear()
    second = c.asked(b.full())
    expect(second.seq == first.seq or b.tier != "bare" and second.seq != first.seq and retried(b),
           "two numbers:", first.seq, second.seq)


def retried(b):
    """A new epoch may have begun between the two; not twice."""
    c = b.new()
    return c.asked().seq == c.asked().seq


@item("synack-options")
def synack_options(b):
    """As Linux has it: bare shows that."""
    stamp = timestamps(77)
    for options, kinds in ((b"", [2]), (SACK_PERMITTED, [2, 1, 1, 4]), (stamp, [2, 1, 1, 8]), (wscale(7), [2, 1, 3]),
                           (SACK_PERMITTED + stamp, [2, 4, 8]), (b.full(), [2, 4, 8, 1, 3])):
        answer = b.new().asked(mss(b.mss) + options if options else b"")
        expect(answer.kinds == kinds, "to", options, "came", answer.kinds)
        expect(struct.unpack("!H", answer.value[2])[0] == b.mss, "MSS", answer.value[2])
        expect(b.tier == "bare" or answer.sum_is_right(), "wrong checksum")    # a kernel leaves it to the link
        expect(3 not in kinds or answer.value[3][0] == b.args.wscale, "window scale", answer.value.get(3))
    expect(answer.tsopt()[1] != 0, "our timestamp does not come back")


@item("window")
def window(b):
    expect(b.new().asked(b.full()).window >= 10 * b.mss, "a small window")


@item("ip-header", ALL)
def ip_header(b):
    """The listener has hops and a traffic class of its own."""
    answer = b.new(ODD).asked(tos=0x88, hops=99)
    expect(answer.hops == 64 and answer.tos == 0 and answer.label == 0, "hops", answer.hops, "TOS", answer.tos,
           "label", answer.label)
    expect(b.v6 or answer.fragment == 0x4000, "no DF")
    expect(b.v6 or b.tier != "xdp" or answer.ip_id == 0, "identification", None if b.v6 else answer.ip_id)


@item("ecn", ALL)
def ecn(b):
    for flags in (SYN | ECE | CWR, SYN | ECE | CWR | AE):
        answer = b.new().asked(flags=flags)
        expect(answer.flags == SYN | ACK, "flags", hex(answer.flags))


@item("tfo", ALL)
def tfo(b):
    expect(34 not in b.new(FAST).asked(mss(b.mss) + b"\x22\x02\1\1").kinds, "a cookie for fast open")


@item("mptcp", ALL, bare=False)
def mptcp(b):
    answer = b.new().asked(mss(b.mss) + struct.pack("!BBBBB", 30, 4, 1, 0, 1))
    expect(30 not in answer.kinds, "MPTCP")


@item("tsval-zero", ALL)
def tsval_zero(b):
    c = b.new()
    value, returned = c.open(mss(b.mss) + timestamps(4242)).tsopt()
    expect(value == 0 and returned == 4242, "timestamps", value, returned)
    run_echo(b.servers[MAIN].of(c))
    c.ping()
    expect(c.echo != 0, "the server's clock is 0")


@item("icmp-synack", ALL)
def icmp_synack(b):
    c = b.new()
    icmp(c, c.asked(), 1 if b.v6 else 3, 4 if b.v6 else 1)
    time.sleep(0.1)
    c.say()
    run_echo(b.servers[MAIN].of(c))
    c.ping()


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


# ---- which SYNs

@item("syn-data")
def syn_data(b):
    c = b.new()
    c.asked(data=b"early")     # and acknowledges the SYN alone
    c.say(b"early")
    run_echo(b.servers[MAIN].of(c))
    expect(b"".join(s.data for s in c.hear(5)) == b"early", "other data")
    c.silent(0.2, lambda s: s.data)


@item("odd-flags")
def odd_flags(b):
    for flags in (0, FIN, SYN | FIN, SYN | RST, RST):
        c = b.new()
        c.syn(flags=flags)
        c.silent(0.1)


@item("synack-unasked")
def synack_unasked(b):
    c = b.new()
    c.send(SYN | ACK, c.isn, 12345, mss(b.mss))
    answer = c.recv(1)
    expect(answer and answer.flags == RST and answer.seq == 12345, "answer:", answer)


@item("odd-options")
def odd_options(b):
    for options in (b"\x02\x00\0\0", b"\x02\x28\0\0", b"\x02\x03\x05\0", b"\x01\x01\x01\x03", b"\xfd\x06\1\2\3\4" + mss(b.mss),
                    b"\x08\x02\1\1"):
        expect(b.new().asked(options, reserved=7).kinds == [2], "options in the answer")


@item("odd-source")
def odd_source(b):
    c = b.new(source="ff02::1" if b.v6 else "224.0.0.1")
    c.syn()
    c.silent(0.2)


@item("syn-checksum", ("xdp",))
def syn_checksum(b):
    c = b.new()
    c.syn(bad_sum=True)
    if b.tier == "xdp":
        c.synack()
    else:
        c.silent(0.2)


@item("capped", ALL, bare=False)
def capped(b):
    flood = [b.new(source="fd78::99:1" if b.v6 else "10.78.99.1") for _ in range(1500)]
    for packet in [c.packet(SYN, c.isn, 0, mss(b.mss)) for c in flood]:
        b.wire.send(packet)
    time.sleep(0.5)
    answered = sum(c.recv(0.001) is not None for c in flood)
    expect(0 < answered < 1400, answered, "of 1500 are answered")


@item("closed-port")
def closed_port(b):
    c = b.new(CLOSED)
    c.syn()
    answer = c.recv(1)
    expect(answer and answer.flags == RST | ACK and answer.ack == c.isn + 1 & M32, "answer:", answer)


# ---- the third ACK

@item("mss-classes", ALL)
def mss_classes(b):
    c = b.sends(5000, mss(1439))
    sizes = [len(s.data) for s in c.hear(5000)]
    expect(max(sizes) == (1432 if b.v6 else 1400), "segments of", sizes)


@item("mss-small", ALL)
def mss_small(b):
    sizes = [len(s.data) for s in b.sends(3000, mss(300)).hear(3000)]
    expect(max(sizes) == (1220 if b.v6 else 536), "segments of", sizes)


@item("mss-default")
def mss_default(b):
    sizes = [len(s.data) for s in b.sends(3000, b"").hear(3000)]
    expect(max(sizes) == (1220 if b.v6 else 536), "segments of", sizes)


@item("wscale-classes", ALL)
def wscale_classes(b):
    """The window is 32 << 9; rounded down to a shift of 8 it is half."""
    c = b.sends(16384, mss(b.mss) + wscale(9), 32)
    size = sum(len(s.data) for s in c.collect(0.15) if c.take(s))
    expect(4096 < size <= 8192, size, "bytes came")


@item("wscale-less", ALL)
def wscale_less(b):
    """The scale that the server answers with is that of its receive buffer; the client that shows the lower one is reset."""
    port, options = LESS6 if b.v6 else LESS4, mss(b.mss) + wscale(7)
    buffer = b.servers[port].sock
    buffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
    scaled(b, port, options, True, 7)
    c = b.new(port)
    c.open(options)
    b.servers[port].of(c)
    buffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 14)
    b.new(port).open(options)
    c = scaled(b, port, options, False, 2)
    c.say()
    run_echo(b.servers[port].of(c))
    c.ping()


def scaled(b, port, options, wanted, seconds):
    """A client whose SYN-ACK has a window scale, or has none, soon."""
    deadline = time.monotonic() + seconds
    while True:
        c = b.new(port)
        if (3 in c.asked(options).kinds) == wanted:
            return c
        expect(time.monotonic() < deadline, "a window scale" if not wanted else "no window scale")
        c.send(RST, c.sent, 0)
        time.sleep(0.1)


@item("stamps-dropped", ALL)
def stamps_dropped(b):
    """Negotiated, and then the third ACK has none."""
    c = b.new()
    c.asked(b.full())
    c.stamped = False
    c.say(b"ping")
    run_echo(b.servers[MAIN].of(c))
    expect(8 not in c.hear(4)[0].kinds, "timestamps")


@item("ack-ahead", ALL)
def ack_ahead(b):
    """What follows a lost third ACK with data comes first."""
    c = b.new()
    c.asked()
    c.send(PSH | ACK, c.sent + 4, c.got, data=b"tail")
    c.silent(0.3)
    c.say(b"head")
    c.say(b"tail")
    run_echo(b.servers[MAIN].of(c))
    expect(b"".join(s.data for s in c.hear(8)) == b"headtail", "other data")


@item("rst-forgotten", ALL)
def rst_forgotten(b):
    c = b.new()
    c.asked()
    c.send(RST, c.sent, 0)
    time.sleep(0.1)
    c.say()
    run_echo(b.servers[MAIN].of(c))
    c.ping()


@item("ack-stray", ALL)
def ack_stray(b):
    """No cookie is returned, and no connection known."""
    c = b.new()
    c.send(ACK, c.isn, 54321)
    c.send(PSH | ACK, c.isn, 54321, data=b"hello")
    c.silent(0.5)


@item("ack-data")
def ack_data(b):
    c = b.new()
    c.asked(b.full())
    c.say(b"all of it", PSH | ACK | FIN)
    end = b.servers[MAIN].of(c)
    expect(end.recv(100) == b"all of it" and end.recv(100) == b"", "other data")
    end.sendall(b"answer")
    end.close()
    expect(b"".join(s.data for s in c.hear(6)) == b"answer", "other answer")


@item("data-behind")
def data_behind(b):
    c, data = b.new(), random.randbytes(9 * b.mss)
    c.asked()
    c.say()
    for at in range(0, len(data), b.mss):
        c.say(data[at:at + b.mss])
    end = b.servers[MAIN].of(c)
    got = b""
    while len(got) < len(data):
        got += end.recv(65536)
    expect(got == data, "other data")


@item("urgent")
def urgent(b):
    c = b.new()
    c.asked()
    c.say(b"abcU", PSH | ACK | URG, urgent=4)
    end = b.servers[MAIN].of(c)
    expect(end.recv(100) == b"abc", "other data")
    end.setblocking(False)
    expect(end.recv(1, socket.MSG_OOB) == b"U", "no urgent data")


@item("checksum")
def checksum(b):
    """A third ACK that was damaged on its way is none; its repetition is."""
    c = b.new()
    c.asked()
    c.send(PSH | ACK, c.sent, c.got, data=b"damaged", bad_sum=True)
    time.sleep(0.3)
    expect(not b.servers[MAIN].has(c), "accepted")
    c.say(b"correct")
    expect(b.servers[MAIN].of(c).recv(100) == b"correct", "other data")


@item("ack-repeated")
def ack_repeated(b):
    c = b.new()
    c.asked()
    for _ in range(4):
        c.say()
    run_echo(b.servers[MAIN].of(c))
    c.say()
    c.ping()
    c.silent(0.2, lambda s: s.flags & (SYN | RST))


@item("listener-gone")
def listener_gone(b):
    port = GONE6 if b.v6 else GONE4
    c = b.new(port)
    c.asked()
    b.servers[port].close()
    time.sleep(0.1)
    c.say()
    answer = c.recv(2, lambda s: s.flags & RST)
    expect(answer and answer.seq == c.got, "answer:", answer)


@item("server-silent", ALL)
def server_silent(b):
    """Its accept queue is full."""
    port = FULL6 if b.v6 else FULL4
    b.new(port).open()
    time.sleep(0.2)
    c = b.new(port)
    c.open()
    begun, probes = time.monotonic(), 0
    while answer := c.recv(13 - (time.monotonic() - begun)):
        if answer.flags & RST:
            break
        expect(answer.flags == ACK and answer.seq == c.got - 1 & M32 and not answer.data, "answer:", answer)
        probes += 1
        c.say()
    expect(answer and answer.seq == c.got, "no RST")
    expect(probes == 3 and 9 < time.monotonic() - begun < 13, probes, "probes in", time.monotonic() - begun, "s")


@item("first-rtt", ALL)
def first_rtt(b):
    """The client is 0.4 s away, and answers what it hears as late."""
    c = b.new()
    c.asked(b.full())
    time.sleep(0.4)
    c.say()
    end = b.servers[MAIN].of(c)
    end.sendall(random.randbytes(4000))
    sent = [s.seq for s in c.collect(0.4) if s.data]
    expect(len(set(sent)) < len(sent), "nothing was repeated of", len(sent))
    c.got = c.got + 4000 & M32
    c.say()
    run_echo(end)
    c.ping()


# ---- connections

@item("syn-established", ALL)
def syn_established(b):
    """Anybody may have sent that SYN: the connection goes on."""
    c = b.echoing()
    again = b.new(sport=c)
    again.isn = c.sent + 5000 & M32
    again.asked()
    c.ping()


@item("begun-anew")
def begun_anew(b):
    """The client has lost the connection, and uses the port again; its kernel refuses what it does not know."""
    old = b.echoing()
    c = b.new(sport=old)
    c.isn = old.sent + 5000 & M32
    c.syn()
    answer = c.recv(2)
    expect(answer, "no answer")
    if not answer.flags & SYN:      # RFC 9293 3.5.1
        c.send(RST, answer.ack, 0)
        c.syn()
        answer = c.recv(2)
    expect(answer and answer.flags == SYN | ACK and answer.ack == c.isn + 1 & M32, "answer:", answer)
    c.sent, c.got = answer.ack, answer.seq + 1 & M32
    c.say()
    deadline = time.monotonic() + 4
    while not b.servers[MAIN].has(c) and time.monotonic() < deadline:
        probe = c.recv(0.1)
        expect(not probe or probe.flags == ACK, "came", probe)
        if probe:
            c.say()
    run_echo(b.servers[MAIN].of(c))
    c.ping()


@item("crossed-syns", ALL)
def crossed_syns(b):
    c = b.new(CROSSED)
    with inside(b.args.server_ns):
        sock = socket.socket(socket.AF_INET6 if b.v6 else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((b.server, CROSSED))
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sock.connect((b.client, c.sport))
    theirs = c.recv(2, lambda s: s.flags & (SYN | ACK) == SYN)
    expect(theirs, "no SYN")
    answer = c.asked()
    sock.close()
    expect(answer.seq != theirs.seq, "their own SYN was acknowledged")


@item("rst-checked")
def rst_checked(b):
    c = b.echoing(b.full())
    c.send(RST, c.sent + 100, 0)        # in the window: to be asked about (RFC 5961 3)
    asked = c.recv(1)
    expect(asked and asked.flags == ACK and (asked.seq, asked.ack) == (c.got, c.sent), "answer:", asked)
    c.send(RST, c.sent - 70000, 0)      # outside
    c.ping()


@item("ack-checked")
def ack_checked(b):
    c = b.echoing()
    c.send(PSH | ACK, c.sent, c.got + 100000, data=b"inject")    # of what was never sent (RFC 5961 5)
    c.send(PSH | ACK, c.sent, c.got - 0x40000000, data=b"inject")
    c.ping(b"honest")


@item("rst-ends")
def rst_ends(b):
    c, end = b.opened(b.full())
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
    answer = c.recv(2, lambda s: s.flags & RST)
    expect(answer and answer.seq == c.got, "answer:", answer)
    c, end = b.opened()
    c.send(RST, c.sent, 0)
    try:
        expect(end.recv(1) is None, "no reset")
    except ConnectionResetError:
        pass


@item("closing")
def closing(b):
    c, end = b.opened(b.full())
    end.sendall(b"last")
    end.shutdown(socket.SHUT_WR)
    c.hear(4)
    fin = c.recv(2, lambda s: s.flags & FIN)
    expect(fin and fin.seq == c.got, "no FIN")
    c.got = c.got + 1 & M32
    c.say(b"half", PSH | ACK | FIN)
    expect(end.recv(10) == b"half" and end.recv(10) == b"", "other data")
    answer = c.recv(2, lambda s: s.ack == c.sent)
    expect(answer and answer.seq == c.got, "the FIN is not acknowledged")


@item("time-wait")
def time_wait(b):
    """The server closed first: a later SYN on the same ports opens anew (RFC 9293 3.6.1)."""
    c, end = b.opened()
    end.shutdown(socket.SHUT_WR)
    expect(c.recv(2, lambda s: s.flags & FIN), "no FIN")
    c.got = c.got + 1 & M32
    c.say(flags=FIN | ACK)
    expect(c.recv(2, lambda s: s.ack == c.sent), "our FIN is not acknowledged")
    end.close()
    again = b.new(sport=c)
    again.isn = c.sent + 200000 & M32
    again.open()
    run_echo(b.servers[MAIN].of(again))
    again.ping()


@item("keepalive")
def keepalive(b):
    c = b.echoing(b.full())
    c.send(ACK, c.sent - 1, c.got, c.stamp())
    answer = c.recv(1)
    expect(answer and (answer.seq, answer.ack) == (c.got, c.sent), "answer:", answer)


@item("zero-window")
def zero_window(b):
    c, end = b.opened()
    run_echo(end)
    c.ping()
    c.window = 0
    c.say(b"answer me")
    expect(c.recv(2, lambda s: s.ack == c.sent), "not acknowledged")
    probe = c.recv(3)
    expect(probe and not probe.data and not probe.flags & (SYN | RST), "no probe:", probe)
    c.window = 65535
    c.say()
    c.hear(9)


@item("first-probe", ALL)
def first_probe(b):
    """Before the server has sent anything else. The second answer is understood."""
    c = b.sends(1000, None, 0)
    expect(c.recv(3), "no probe")
    c.window = 65535
    c.say()
    c.silent(0.15, lambda s: s.data)
    c.say()
    c.hear(1000)


@item("sack")
def sack_holes(b):
    """Only the hole is filled."""
    c = b.sends(5 * b.mss, mss(b.mss) + SACK_PERMITTED)
    first = c.recv(2)
    expect(first and first.seq == c.got and len(first.data) == b.mss, "no first segment:", first)
    hole, size = c.got, b.mss
    for _ in range(4):
        s = c.recv(1)
        expect(s, "no more segments")
        c.send(ACK, c.sent, hole, sack((hole + size & M32, s.seq + len(s.data) & M32)))
    repeated = {s.seq - hole & M32 for s in c.collect(0.6) if s.data}
    expect(repeated - {4 * size} == {0}, "repeated", repeated)      # the last may be a probe (RFC 8985 7)


@item("paws")
def paws(b):
    """A segment with a timestamp of before is of before (RFC 7323 5)."""
    c, end = b.opened(b.full())
    run_echo(end)
    c.ping()
    c.send(PSH | ACK, c.sent, c.got, timestamps(c.clock - 100000, c.echo), b"old!")
    answer = c.recv(1)
    expect(answer and not answer.data and answer.ack == c.sent, "answer:", answer)
    c.ping(b"new!")


@item("stamps-kept")
def stamps_kept(b):
    c, end = b.opened(b.full())
    run_echo(end)
    for _ in range(3):
        c.say(b"ping")
        segment = c.hear(4)[0]
        expect(8 in segment.kinds and segment.tsopt()[0], "no timestamps:", segment)
        expect(c.clock - segment.tsopt()[1] in range(0, 3), "another's clock comes back:", segment.tsopt(), c.clock)


@item("path-mtu")
def path_mtu(b):
    c = b.sends(3 * b.mss)
    first = c.recv(2, lambda s: s.data)
    expect(first and len(first.data) == b.mss, "no full segment")
    c.collect(0.05)
    icmp(c, first, 2 if b.v6 else 3, 0 if b.v6 else 4, 1300)
    smaller = c.recv(1, lambda s: s.data and s.seq == first.seq)
    expect(smaller and len(smaller.packet) <= 1300, "nothing smaller:", smaller)


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
            FAST: Server(FAST, set_up=fast), ODD: Server(ODD, set_up=odd), LESS4: Server(LESS4), LESS6: Server(LESS6)}


def scale_of(server):
    """The window scale that the server's kernel announces."""
    with socket.create_connection((server, MAIN), 3) as sock:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[6] & 15     # tcpi_snd_wscale


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
