# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of standards.py: the SYN-ACK, which SYNs get one, the third ACK."""
import random
import socket
import struct
import time

from standards_bench import (ALL, CLOSED, FAST, FULL4, FULL6, GONE4, GONE6, LESS4, LESS6, MAIN, ODD, SO_RCVBUFFORCE, icmp,
                             item)
from wire import ACK, AE, CWR, ECE, FIN, M32, PSH, RST, SACK_PERMITTED, SYN, URG, expect, mss, run_echo, timestamps, wscale

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
