# SPDX-License-Identifier: GPL-2.0-or-later
"""A client without a kernel: it makes every byte of what it sends, and sees every byte of what comes.

Its addresses are nobody's in the namespace that it is in, so that no kernel answers in its name. Servers are sockets of
another namespace in the same process.
"""
import contextlib
import ctypes
import itertools
import queue
import random
import socket
import struct
import threading
import time

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = 1, 2, 4, 8, 16, 32, 64, 128, 256
M32 = 0xffffffff
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x800, 0x86dd
LINK = bytes.fromhex("020000000101")    # of the other end of c0: lib.sh
TCP_FASTOPEN = 23
CLOCK = 1 << 20         # where the clients' timestamps begin


class Unexpected(Exception):
    """Not what the manual page says."""


def expect(condition, *words):
    if not condition:
        raise Unexpected(" ".join(map(str, words)))


@contextlib.contextmanager
def inside(namespace):
    """What is opened here belongs to another network namespace; of this thread alone."""
    setns = ctypes.CDLL(None, use_errno=True).setns
    with open("/proc/thread-self/ns/net", "rb") as ours, open(f"/run/netns/{namespace}", "rb") as theirs:
        expect(setns(theirs.fileno(), 0) == 0, "no namespace", namespace)
        try:
            yield
        finally:
            setns(ours.fileno(), 0)


def internet_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


# Options of TCP.

def mss(value):
    return struct.pack("!BBH", 2, 4, value)


def wscale(shift):
    return struct.pack("!BBBB", 1, 3, 3, shift)


def timestamps(value, echo=0):
    return struct.pack("!BBBBII", 1, 1, 8, 10, value & M32, echo & M32)


SACK_PERMITTED = b"\1\1\4\2"


def sack(*blocks):
    return struct.pack("!BBBB", 1, 1, 5, 2 + 8 * len(blocks)) + b"".join(struct.pack("!II", *block) for block in blocks)


class Segment:
    """One that has come. `flags` has AE as its ninth bit; `options` are (kind, value)."""

    def __init__(self, packet):
        self.at, self.packet = time.monotonic(), packet
        self.v6 = packet[0] >> 4 == 6
        if self.v6:
            word, length, protocol, self.hops = struct.unpack_from("!IHBB", packet)
            self.tos, self.label, start, end = word >> 20 & 255, word & 0xfffff, 40, 40 + length
            self.source, self.to = (socket.inet_ntop(socket.AF_INET6, packet[i:i + 16]) for i in (8, 24))
        else:
            self.tos, end, self.ip_id, self.fragment, self.hops, protocol = struct.unpack_from("!xBHHHBB", packet)
            self.label, start = 0, (packet[0] & 15) * 4
            self.source, self.to = (socket.inet_ntop(socket.AF_INET, packet[i:i + 4]) for i in (12, 16))
        self.tcp = packet[start:end]
        self.is_tcp = protocol == socket.IPPROTO_TCP and len(self.tcp) >= 20
        if self.is_tcp:
            self._tcp()

    def _tcp(self):
        self.sport, self.dport, self.seq, self.ack, flags, self.window, _, self.urgent = \
            struct.unpack_from("!HHIIHHHH", self.tcp)
        self.flags, header = flags & 0x1ff, (flags >> 12) * 4
        self.data, self.options, options = self.tcp[header:], [], self.tcp[20:header]
        while options and options[0]:
            size = 1 if options[0] == 1 else options[1]
            self.options.append((options[0], options[2:size]))
            options = options[size:]
        self.kinds = [kind for kind, _ in self.options]
        self.value = dict(self.options)

    def tsopt(self):
        return struct.unpack("!II", self.value[8])

    def sum_is_right(self):
        size = 16 if self.v6 else 4
        ends = self.packet[8:40] if self.v6 else self.packet[12:20]
        expect(len(ends) == 2 * size, "no addresses")
        return internet_sum(ends + struct.pack("!HH", socket.IPPROTO_TCP, len(self.tcp)) + self.tcp) == 0

    def __str__(self):
        names = "".join(c for bit, c in enumerate("FSRPAUECN") if self.flags >> bit & 1)
        return f"{names} seq {self.seq} ack {self.ack} window {self.window} {self.kinds} {len(self.data)} bytes"


class Wire:
    """The link; what comes for a port is kept for the one who asked for it."""

    def __init__(self, device):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.sock.bind((device, ETH_P_ALL))
        self.ports, self.next_port = {}, itertools.count(random.randrange(20000, 40000))
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while True:
            frame, address = self.sock.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING or address[1] not in (ETH_P_IP, ETH_P_IPV6):
                continue
            segment = Segment(frame[14:])
            if segment.is_tcp and (segment.v6, segment.dport) in self.ports:
                self.ports[segment.v6, segment.dport].put(segment)

    def port(self, v6):
        number = next(self.next_port)
        self.ports[v6, number] = queue.Queue()
        return number, self.ports[v6, number]

    def send(self, packet):
        kind = ETH_P_IPV6 if packet[0] >> 4 == 6 else ETH_P_IP
        self.sock.send(LINK + bytes.fromhex("020000000102") + struct.pack("!H", kind) + packet)


def ip_packet(source, to, protocol, payload, tos=0, hops=64):
    """From SOURCE to TO, which are packed addresses."""
    if len(to) == 16:
        return struct.pack("!IHBB", 6 << 28 | tos << 20, len(payload), protocol, hops) + source + to + payload
    header = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(payload), random.getrandbits(16), 0x4000, hops, protocol, 0)
    check = internet_sum(header + source + to)
    return header[:10] + struct.pack("!H", check) + source + to + payload


class Client:
    """One connection by hand. `sent` and `got` are the next sequence numbers; `echo` is what timestamps return."""

    def __init__(self, bench, port, source=None, sport=None):
        self.wire, self.port, self.v6 = bench.wire, port, ":" in bench.server
        family = socket.AF_INET6 if self.v6 else socket.AF_INET
        self.source, self.to = (socket.inet_pton(family, a) for a in (source or bench.client, bench.server))
        self.sport, self.inbox = (sport.sport, sport.inbox) if sport else self.wire.port(self.v6)
        self.isn = random.getrandbits(32)
        self.sent, self.got = self.isn, 0
        self.window, self.clock, self.echo, self.stamped = 65535, CLOCK, 0, False

    def packet(self, flags, seq, ack, options=b"", data=b"", urgent=0, reserved=0, bad_sum=False, **ip):
        options += b"\0" * (-len(options) % 4)
        words = (20 + len(options)) // 4 << 12 | reserved << 9 | flags
        tcp = struct.pack("!HHIIHHHH", self.sport, self.port, seq & M32, ack & M32, words, self.window, 0, urgent)
        tcp += options + data
        check = internet_sum(self.source + self.to + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp)) + tcp)
        if bad_sum:
            check = check ^ 0x55aa
        return ip_packet(self.source, self.to, socket.IPPROTO_TCP, tcp[:16] + struct.pack("!H", check) + tcp[18:], **ip)

    def send(self, flags, seq, ack, options=b"", data=b"", **more):
        self.wire.send(self.packet(flags, seq, ack, options, data, **more))

    def recv(self, timeout=2.0, want=lambda segment: True):
        """The next segment that is wanted; None when none comes in time."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                segment = self.inbox.get(timeout=left)
            except queue.Empty:
                return None
            if want(segment):
                return segment
        return None

    def silent(self, seconds, want=lambda segment: True):
        segment = self.recv(seconds, want)
        expect(segment is None, "there came", segment)

    # ---- the handshake

    def syn(self, options=None, flags=SYN, data=b"", **more):
        if options is None:
            options = mss(1440 if self.v6 else 1460)
        self.send(flags, self.isn, 0, options, data, **more)

    def synack(self, timeout=2.0):
        segment = self.recv(timeout, lambda s: s.flags & (SYN | ACK) == SYN | ACK)
        expect(segment, "no SYN-ACK")
        expect(segment.ack == self.isn + 1 & M32, "the SYN-ACK acknowledges", segment.ack - self.isn & M32)
        self.sent, self.got = self.isn + 1 & M32, segment.seq + 1 & M32
        self.stamped = 8 in segment.kinds
        self.echo = segment.tsopt()[0] if self.stamped else 0
        return segment

    def asked(self, options=None, **more):
        """The SYN-ACK to a SYN of ours."""
        self.syn(options, **more)
        return self.synack()

    def stamp(self):
        self.clock += 1
        return timestamps(self.clock, self.echo) if self.stamped else b""

    def say(self, data=b"", flags=None, options=b"", **more):
        """The next of our data, or an ACK."""
        self.send((PSH | ACK if data else ACK) if flags is None else flags, self.sent, self.got,
                  self.stamp() + options, data, **more)
        self.sent = self.sent + len(data) + bool(flags and flags & FIN) & M32

    def open(self, options=None, **more):
        answer = self.asked(options, **more)
        self.say()
        return answer

    # ---- data

    def take(self, segment):
        """Whether it is the next: then it is taken, and not yet acknowledged."""
        expect(not segment.flags & RST, "reset:", segment)
        if 8 in segment.kinds:
            self.echo = segment.tsopt()[0]
        if segment.seq != self.got or not segment.data:
            return False
        self.got = self.got + len(segment.data) & M32
        return True

    def hear(self, size, timeout=3.0):
        """So many bytes, each segment acknowledged; returns the segments."""
        deadline, segments = time.monotonic() + timeout, []
        while sum(len(s.data) for s in segments) < size:
            segment = self.recv(deadline - time.monotonic())
            expect(segment, "the server is silent after", sum(len(s.data) for s in segments), "of", size, "bytes")
            if self.take(segment):
                segments.append(segment)
                self.say()
        return segments

    def collect(self, seconds):
        """What comes in so many seconds, nothing of it acknowledged."""
        deadline, segments = time.monotonic() + seconds, []
        while segment := self.recv(deadline - time.monotonic()):
            segments.append(segment)
        return segments

    def ping(self, data=b"ping"):
        """They come back."""
        self.say(data)
        got = b"".join(s.data for s in self.hear(len(data)))
        expect(got == data, "echo differs:", got)


class Server:
    """Listens on a port. What was accepted is kept under its client's port."""

    def __init__(self, port, backlog=256, accepting=True, set_up=lambda sock: None):
        self.port, self.accepted, self.changed = port, {}, threading.Condition()
        self.sock = socket.socket(socket.AF_INET6)
        self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        set_up(self.sock)
        self.sock.bind(("::", port))
        self.sock.listen(backlog)
        if accepting:
            threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, peer = self.sock.accept()
                with self.changed:
                    self.accepted[peer[0].removeprefix("::ffff:"), peer[1]] = sock
                    self.changed.notify_all()

    def of(self, client, timeout=3.0):
        """The server's end of a connection."""
        family = socket.AF_INET6 if client.v6 else socket.AF_INET
        key = socket.inet_ntop(family, client.source), client.sport
        with self.changed:
            expect(self.changed.wait_for(lambda: key in self.accepted, timeout), "not accepted")
            sock = self.accepted.pop(key)
        sock.settimeout(timeout)
        return sock

    def has(self, client):
        family = socket.AF_INET6 if client.v6 else socket.AF_INET
        with self.changed:
            return (socket.inet_ntop(family, client.source), client.sport) in self.accepted

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def echo(sock):
    with contextlib.suppress(OSError):
        while data := sock.recv(1 << 16):
            sock.sendall(data)


def run_echo(sock):
    threading.Thread(target=echo, args=(sock,), daemon=True).start()


