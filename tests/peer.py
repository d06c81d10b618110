#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Both ends of the TCP connections under test.

`peer.py serve` offers one behaviour per port (SERVICES below) and logs one line per event.
Every other subcommand is one client scenario: exit 0 when the connection behaved, else 1 and why.
Nothing waits for ever: each socket gives up after --patience seconds without progress.
"""
import argparse
import errno
import hashlib
import os
import random
import signal
import socket
import struct
import sys
import threading
import time

BLOCK = random.Random(1).randbytes((1 << 20) + 13)   # odd length: a shift by any power of two shows
PATIENCE_S = 30
HOLD_S = 120            # the longest silence that a test may order
HERALD_BYTES = 50000


class Unexpected(Exception):
    """The connection did not behave."""


def expect(condition, *words):
    if not condition:
        raise Unexpected(" ".join(map(str, words)))


def wait_for(path):
    """The test releases its connections by touching a file."""
    deadline = time.monotonic() + HOLD_S
    while not os.path.exists(path):
        expect(time.monotonic() < deadline, "nobody released us")
        time.sleep(0.02)


# Streams: the same bytes in each direction, known to both ends.

def blocks(size):
    """SIZE bytes of the stream, block by block."""
    view = memoryview(BLOCK)
    while size > 0:
        yield view[:size]
        size -= len(BLOCK)


def stream_sum(size):
    digest = hashlib.sha256()
    for block in blocks(size):
        digest.update(block)
    return f"{size} {digest.hexdigest()}"


def send_stream(sock, size):
    for block in blocks(size):
        sock.sendall(block)


def recv_sum(sock):
    """Read to the end: "BYTES SHA256"."""
    digest, size, buffer = hashlib.sha256(), 0, bytearray(1 << 18)
    while got := sock.recv_into(buffer):
        digest.update(memoryview(buffer)[:got])
        size += got
    return f"{size} {digest.hexdigest()}"


def recv_all(sock):
    return b"".join(iter(lambda: sock.recv(1 << 16), b""))


def recv_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        expect(more, "end of stream after", len(data), "of", size, "bytes")
        data += more
    return data


def recv_line(sock):
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        expect(byte, "end of stream in a line:", line)
        line += byte
    return line


def close_with_reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# The server's behaviours. What each returns is logged.

def serve_sink(sock):
    """Upload: read to the end, answer with the checksum."""
    answer = recv_sum(sock)
    sock.sendall(answer.encode())
    return answer


def serve_source(sock):
    """Download: the client says how many bytes."""
    send_stream(sock, int(recv_line(sock)))


def serve_duplex(sock):
    """Both at once. The client learns by the log what arrived here."""
    sender = threading.Thread(target=send_stream, args=(sock, int(recv_line(sock))))
    sender.start()
    answer = recv_sum(sock)
    sender.join()
    return answer


def serve_patient(sock):
    """Half-close by the client: its end of stream comes first, then our bytes."""
    request = recv_all(sock)
    send_stream(sock, int(request))


def serve_mute(sock):
    """Half-close by the server: our end of stream comes first, then the client's bytes."""
    sock.shutdown(socket.SHUT_WR)
    return recv_sum(sock)


def serve_banner(sock):
    """The server speaks first."""
    sock.sendall(b"220 ready\n")
    return serve_echo(sock)


def serve_echo(sock):
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def serve_reset(sock):
    recv_line(sock)
    close_with_reset(sock)


def serve_farewell(sock):
    """One line back, then the server is the first to close."""
    sock.sendall(recv_line(sock))
    sock.shutdown(socket.SHUT_WR)
    return recv_all(sock).decode()


def serve_herald(sock):
    """Silent until the file that the client names appears, then the server speaks first."""
    path = recv_line(sock).decode().strip()
    wait_for(path)
    send_stream(sock, HERALD_BYTES)


SERVICES = {
    "sink": (7001, serve_sink),
    "source": (7002, serve_source),
    "duplex": (7003, serve_duplex),
    "patient": (7004, serve_patient),
    "mute": (7005, serve_mute),
    "banner": (7006, serve_banner),
    "echo": (7007, serve_echo),
    "reset": (7008, serve_reset),
    "farewell": (7009, serve_farewell),
    "herald": (7010, serve_herald),
}


def log(*words):
    print(*words, flush=True)


def attend(sock, peer, name, behaviour):
    """One connection, from accept to end, in its own thread."""
    who = f"{name} {peer[0].removeprefix('::ffff:')}"
    log("accept", who)
    sock.settimeout(PATIENCE_S * 2)
    try:
        log("end", who, behaviour(sock) or "")
    except ConnectionResetError:
        log("reset", who)
    except (OSError, ValueError, Unexpected) as error:
        log("error", who, error)
    finally:
        sock.close()


def listener(port, device=None):
    """IPv6 and IPv4 on one socket."""
    sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    sock.bind(("::", port))
    sock.listen(256)
    return sock


def accept_forever(sock, name, behaviour):
    while True:
        connection, peer = sock.accept()
        threading.Thread(target=attend, args=(connection, peer, name, behaviour), daemon=True).start()


def serve(args):
    for name, (port, behaviour) in SERVICES.items():
        sock = listener(port, args.device if name == "banner" else None)
        threading.Thread(target=accept_forever, args=(sock, name, behaviour), daemon=True).start()
    log("serving")
    signal.pause()


def listen(args):
    """A lone echo server, for tests that take it away."""
    sock = listener(args.port)
    log("serving")
    accept_forever(sock, "echo", serve_echo)


# The client's scenarios.

def resolve(host, port):
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]


PRIME_PORTS = range(1100, 1200)     # ours, as ends.sh knows, too


def prime(args, family, target):
    """A connection before the one that counts: a gateway lets the first to a server pass, to see who answers."""
    if not args.prime or target in PRIMED:
        return
    PRIMED.add(target)
    for port in random.sample(PRIME_PORTS, len(PRIME_PORTS)):
        with socket.socket(family) as sock:
            sock.settimeout(3)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((args.source or "", port))
                sock.connect(target)
                return
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):  # an earlier one's TIME_WAIT
                    return


PRIMED = set()


def client_socket(args, service):
    """A socket ready to connect, and where to."""
    family, kind, _, _, target = resolve(args.host, args.port or SERVICES[service][0])
    prime(args, family, target)
    sock = socket.socket(family, kind)
    sock.settimeout(args.patience)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if args.source or args.sport:
        sock.bind((args.source or "", args.sport))
    return sock, target


def dial(args, service):
    sock, target = client_socket(args, service)
    sock.connect(target)
    return sock


def knock(args):
    """A connection to every service, or to --port, closed at once."""
    for service in [None] if args.port else SERVICES:
        dial(args, service).close()


def ping(sock, message=b"ping\n"):
    sock.sendall(message)
    answer = recv_exactly(sock, len(message))
    expect(answer == message, "echo differs:", answer[:40])


def push(args):
    """Upload, half-close, compare the server's checksum."""
    with dial(args, "sink") as sock:
        send_stream(sock, args.bytes)
        sock.shutdown(socket.SHUT_WR)
        answer = recv_all(sock).decode()
    expect(answer == stream_sum(args.bytes), "server got", answer)


def pull(args):
    """Download, compare checksums."""
    with dial(args, "source") as sock:
        sock.sendall(b"%d\n" % args.bytes)
        answer = recv_sum(sock)
    expect(answer == stream_sum(args.bytes), "client got", answer)


def both(args):
    """Up and down at once. Prints the checksum that must be in the server's log."""
    with dial(args, "duplex") as sock:
        sock.sendall(b"%d\n" % args.bytes)
        sender = threading.Thread(target=lambda: (send_stream(sock, args.bytes), sock.shutdown(socket.SHUT_WR)))
        sender.start()
        answer = recv_sum(sock)
        sender.join()
    expect(answer == stream_sum(args.bytes), "client got", answer)
    print(answer)


def halfclose(args):
    """We shut down first; all bytes still come."""
    with dial(args, "patient") as sock:
        sock.sendall(b"%d" % args.bytes)
        sock.shutdown(socket.SHUT_WR)
        answer = recv_sum(sock)
    expect(answer == stream_sum(args.bytes), "client got", answer)


def halfclose_mirror(args):
    """The server shuts down first; all our bytes still go. Prints the checksum for the log."""
    with dial(args, "mute") as sock:
        expect(sock.recv(1) == b"", "data from a mute server")
        send_stream(sock, args.bytes)
    print(stream_sum(args.bytes))


def banner(args):
    """The server speaks first; we have said nothing yet."""
    with dial(args, "banner") as sock:
        line = recv_line(sock)
        expect(line == b"220 ready\n", "banner:", line)
        ping(sock)


def echo(args):
    with dial(args, "echo") as sock:
        ping(sock, BLOCK[:args.bytes])


TCPI_TOTAL_RETRANS, TCPI_SEGS_OUT = 100, 136   # offsets in struct tcp_info, linux/tcp.h


def segments_sent(sock):
    """Not counting repetitions."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return struct.unpack_from("I", info, TCPI_SEGS_OUT)[0] - struct.unpack_from("I", info, TCPI_TOTAL_RETRANS)[0]


def ack_with_data(args):
    """The third ACK is held back until there is data to ride on it."""
    sock, target = client_socket(args, "echo")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
    sock.connect(target)
    expect(segments_sent(sock) == 1, "the third ACK went out without data")
    with sock:
        ping(sock, BLOCK[:args.bytes])


def hold(args):
    """Connect, say "held", wait in silence for a file to appear; then the connection must still be "alive"."""
    with dial(args, "echo") as sock:
        ping(sock)
        log("held")
        wait_for(args.until)
        ping(sock, BLOCK[:args.bytes])
        log("alive")


def hold_to_hear(args):
    """The same, but it is the server who breaks the silence."""
    with dial(args, "herald") as sock:
        sock.sendall(args.until.encode() + b"\n")
        log("held")
        sock.settimeout(HOLD_S)
        expect(recv_sum(sock) == stream_sum(HERALD_BYTES), "the herald lies")
        log("alive")


def idle(args):
    """Only keepalives for a while, then data."""
    with dial(args, "echo") as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        ping(sock)
        time.sleep(args.seconds)
        ping(sock, BLOCK[:args.bytes])


def reset_by_server(args):
    with dial(args, "reset") as sock:
        sock.sendall(b"reset me\n")
        try:
            expect(False, "no reset but", sock.recv(1))
        except ConnectionResetError:
            pass


def reset_by_client(args):
    sock = dial(args, "echo")
    ping(sock)
    close_with_reset(sock)


def close_first(args):
    """We close, the server answers with its own end of stream: TIME_WAIT is ours."""
    with dial(args, "echo") as sock:
        ping(sock)
        sock.shutdown(socket.SHUT_WR)
        expect(sock.recv(1) == b"", "data after the end")


def close_last(args):
    """The server closes, we follow: TIME_WAIT is the server's."""
    with dial(args, "farewell") as sock:
        ping(sock)
        expect(sock.recv(1) == b"", "data after the end")


def close_together(args):
    """Our FIN leaves before the server's arrives (the test drops the first of each)."""
    with dial(args, "farewell") as sock:
        sock.sendall(b"bye\n")
        sock.shutdown(socket.SHUT_WR)
        expect(recv_all(sock) == b"bye\n", "farewell lost")


def redial(args, service):
    """Connect from a port whose last connection may still be on its way out."""
    deadline = time.monotonic() + args.patience
    while True:
        try:
            return dial(args, service)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EADDRINUSE) or time.monotonic() > deadline:
                raise
        time.sleep(0.001)


def reuse(args):
    """Round after round on one 4-tuple; --first says who closes, and so holds TIME_WAIT."""
    service = {"client": "echo", "server": "farewell"}[args.first]
    for number in range(args.rounds):
        try:
            with redial(args, service) as sock:
                ping(sock, b"round %d\n" % number)
                if args.first == "client":
                    sock.shutdown(socket.SHUT_WR)
                expect(sock.recv(1) == b"", "data after the end")
        except (OSError, Unexpected) as error:
            raise Unexpected(f"round {number}: {error}") from error


def refused(args):
    """A closed port says so at once."""
    sock, target = client_socket(args, "echo")
    try:
        sock.connect(target)
        raise Unexpected("connected")
    except ConnectionRefusedError:
        pass


def silenced(args):
    """The server never answers: we hear a reset in the end, not nothing."""
    sock, target = client_socket(args, "echo")
    try:
        sock.connect(target)
        sock.recv(1)
        raise Unexpected("served")
    except (ConnectionResetError, ConnectionRefusedError):
        pass


def banned(args):
    """No service: refused, reset or silence, but never an answer."""
    try:
        echo(args)
    except OSError:
        return
    raise Unexpected("served")


# A client without a kernel behind it, to stop between the packets of the handshake.

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def internet_sum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class RawClient:
    """One TCP handshake by hand. The test must drop the kernel's own RSTs from this port."""

    def __init__(self, args):
        family, _, _, _, target = resolve(args.host, args.port)
        prime(args, family, target)
        self.to, self.sport, self.dport = target[0], args.sport, args.port
        self.inet4 = family == socket.AF_INET
        self.deadline = time.monotonic() + args.patience
        self.sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.sock.connect((self.to, 0))
        ends = self.sock.getsockname()[0], self.to
        self.pseudo = b"".join(socket.inet_pton(family, end) for end in ends)

    def send(self, flags, seq, ack, options=b"", data=b""):
        length = 20 + len(options)
        header = struct.pack("!HHIIBBHHH", self.sport, self.dport, seq, ack, length << 2, flags, 65535, 0, 0)
        header += options + data
        check = internet_sum(self.pseudo + struct.pack("!HH", socket.IPPROTO_TCP, len(header)) + header)
        self.sock.send(header[:16] + struct.pack("!H", check) + header[18:])

    def recv(self, flags):
        """The next segment with all of FLAGS set: (seq, ack)."""
        while True:
            self.sock.settimeout(max(self.deadline - time.monotonic(), 0.001))
            packet = self.sock.recv(4096)
            if self.inet4:
                packet = packet[(packet[0] & 15) * 4:]
            sport, dport, seq, ack, _, got = struct.unpack_from("!HHIIBB", packet)
            if (sport, dport) == (self.dport, self.sport) and got & flags == flags:
                return seq, ack


def has_ended(pid):
    """With all its sockets closed: gone, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def refused_late(args):
    """The listener goes away between its SYN-ACK and our ACK: the ACK must be answered by a reset."""
    client, seq = RawClient(args), random.getrandbits(32)
    client.send(SYN, seq, 0, struct.pack("!BBH", 2, 4, 1460))
    server_seq, _ = client.recv(SYN | ACK)
    os.kill(args.kill, signal.SIGKILL)
    while not has_ended(args.kill):
        time.sleep(0.001)
    seq, server_seq = (seq + 1) & 0xffffffff, (server_seq + 1) & 0xffffffff
    client.send(ACK, seq, server_seq)
    reset_seq, _ = client.recv(RST)
    expect(reset_seq == server_seq, "the reset is outside our window:", reset_seq - server_seq)


def untimely(args):
    """A copy of our first ACK when all is over already, or data in its place: says how long it takes until one is answered
    by a reset."""
    client, seq = RawClient(args), random.getrandbits(32)
    client.send(SYN, seq, 0, struct.pack("!BBH", 2, 4, 1460))
    server_seq, _ = client.recv(SYN | ACK)
    seq, server_seq = (seq + 1) & 0xffffffff, (server_seq + 1) & 0xffffffff
    client.send(ACK, seq, server_seq)
    begun = time.monotonic()
    client.send(FIN | ACK, seq, server_seq)
    server_fin, _ = client.recv(FIN | ACK)
    expect(server_fin == server_seq, "the server said something")
    client.send(ACK, (seq + 1) & 0xffffffff, (server_seq + 1) & 0xffffffff)
    while True:
        client.deadline = min(time.monotonic() + 0.2, begun + args.patience)
        client.send(PSH | ACK if args.data else ACK, seq, server_seq, data=args.data.encode())
        try:
            reset_seq, _ = client.recv(RST)
        except TimeoutError:
            expect(time.monotonic() < begun + args.patience, "no reset at all")
            continue
        expect(reset_seq == server_seq, "the reset is outside our window:", reset_seq - server_seq)
        print(round((time.monotonic() - begun) * 1000))
        return


def late_ack(args):
    """Our ACK follows the SYN-ACK only when a file appears; with data, which must come back."""
    client, seq = RawClient(args), random.getrandbits(32)
    client.send(SYN, seq, 0, struct.pack("!BBH", 2, 4, 1460))
    server_seq, _ = client.recv(SYN | ACK)
    log("answered")
    wait_for(args.until)
    client.deadline = time.monotonic() + args.patience
    seq, server_seq = (seq + 1) & 0xffffffff, (server_seq + 1) & 0xffffffff
    client.send(PSH | ACK, seq, server_seq, data=b"late")
    while True:
        echoed, acked = client.recv(ACK)
        if (acked - seq) & 0xffffffff == 4 and echoed == server_seq:
            log("served")
            return


SCENARIOS = (knock, push, pull, both, halfclose, halfclose_mirror, banner, echo, ack_with_data, hold, hold_to_hear,
             idle, reset_by_server, reset_by_client, close_first, close_last, close_together, reuse,
             refused, silenced, banned, refused_late, untimely, late_ack)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve", help="every behaviour on its port")
    server.add_argument("--device", help="bind the banner's listener to it")
    server.set_defaults(run=serve)
    lone = commands.add_parser("listen", help=listen.__doc__)
    lone.add_argument("port", type=int)
    lone.set_defaults(run=listen)
    for scenario in SCENARIOS:
        client = commands.add_parser(scenario.__name__.replace("_", "-"), help=scenario.__doc__)
        client.add_argument("host")
        client.add_argument("--bytes", type=int, default=1000)
        client.add_argument("--port", type=int, help="instead of the behaviour's own")
        client.add_argument("--source", help="our address")
        client.add_argument("--sport", type=int, default=0, help="our port")
        client.add_argument("--prime", action="store_true", help=prime.__doc__)
        client.add_argument("--patience", type=float, default=PATIENCE_S, metavar="SECONDS")
        if scenario is refused_late:
            client.add_argument("--kill", type=int, required=True, metavar="PID", help="who holds the listener")
        if scenario in (hold, hold_to_hear, late_ack):
            client.add_argument("--until", required=True, metavar="FILE")
        if scenario is reuse:
            client.add_argument("--first", choices=("client", "server"), required=True)
            client.add_argument("--rounds", type=int, default=1)
        if scenario is untimely:
            client.add_argument("--data", default="", help="an even number of bytes")
        if scenario is idle:
            client.add_argument("--seconds", type=float, default=10)
        client.set_defaults(run=scenario)
    return parser.parse_args()


def main():
    args = arguments()
    try:
        args.run(args)
    except (OSError, Unexpected) as error:
        sys.exit(f"{args.command}: {error or type(error).__name__}")


if __name__ == "__main__":
    main()
