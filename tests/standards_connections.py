# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of standards.py: connections, from the handover on."""
import contextlib
import errno
import socket
import struct
import time

from standards_bench import ALL, CROSSED, MAIN, STRICT, icmp, item
from wire import ACK, FIN, M32, PSH, RST, SACK_PERMITTED, SYN, expect, inside, mss, run_echo, sack, timestamps


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


PROBES = 3


def kept_alive(b, port):
    """Nobody says anything: the server asks each second, and gives up when PROBES are not answered. Each is, here; the first
    segment that is none ends it."""
    c = b.new(port)
    c.open(b.full())
    end = b.servers[port].of(c)
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, PROBES)):
        end.setsockopt(socket.IPPROTO_TCP, option, value)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    begun, asked = time.monotonic(), 0
    while asked < 2 * PROBES and time.monotonic() < begun + 4 * PROBES:
        s = c.recv(2)
        expect(s, "no more probes after", asked)
        if s.flags & RST:
            return c, end, asked, s
        expect(not s.data and not s.flags & (SYN | FIN), "no probe:", s)
        if s.seq == c.got - 1 & M32:
            asked += 1
            c.say()
    return c, end, asked, None


@item("first-probe")
def first_keepalive(b):
    c, end, asked, reset = kept_alive(b, MAIN)
    expect(not reset, "reset after", asked, "probes:", reset)
    expect(asked == 2 * PROBES, asked, "probes")
    run_echo(end)
    c.ping()


@item("first-probe", ALL)
def first_keepalive_strict(b):
    """Where conntrack's INVALID is dropped: standards.sh."""
    _, end, asked, reset = kept_alive(b, STRICT)
    expect(reset, "alive after", asked, "probes")
    expect(asked == PROBES, asked, "probes")
    expect(end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT, "not by its keepalives")


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
    expect(c.recv(2, lambda s: s.data and s.seq == first.seq and len(s.packet) <= 1300), "nothing smaller")
