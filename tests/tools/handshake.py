#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Handshakes of IPv4 built by hand, sent by a packet socket, in whoever's name: see the commands.

handshake.py -i DEV -m NEXT_HOP_MAC [--source S] [--sport P] DST PORT COMMAND
  shake       a SYN; prints the answer as JSON: isn, cookie, and the bytes of both packets (IP)
  prove N     N handshakes, from SPORT on, one after the other; prints how many were answered
  ack N ISN COOKIE [CPU...]   N times the third ACK, from each of the CPUs at once"""
import argparse
import json
import os
import socket
import struct
import sys
import time

# As a Linux client sends them.
OPTIONS = bytes([2, 4, 5, 0xB4, 4, 2, 8, 10, 0, 1, 2, 3, 0, 0, 0, 0, 1, 3, 3, 7])
SYN, ACK = 0x02, 0x10
PATIENCE_S = 1.0


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Line:
    def __init__(self, args):
        self.args = args
        self.source, self.target = socket.inet_aton(args.source), socket.inet_aton(args.address)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.socket.bind((args.device, 0x0800))
        self.ethernet = bytes.fromhex(args.mac.replace(":", "")) + b"\x02\0\0\0\0\xad\x08\0"

    def packet(self, sport, flags, seq, ack):
        options = OPTIONS if flags == SYN else b""
        tcp = struct.pack("!HHIIBBHHH", sport, self.args.port, seq, ack, (20 + len(options)) // 4 << 4, flags, 64240,
                          0, 0) + options
        pseudo = self.source + self.target + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, socket.IPPROTO_TCP, 0, self.source,
                         self.target)
        return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp

    def send(self, packet):
        self.socket.send(self.ethernet + packet)

    def answer(self, sport):
        """The SYN-ACK to that port: (its ISN, its bytes)"""
        end = time.monotonic() + PATIENCE_S
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame, where = self.socket.recvfrom(2048)
            except TimeoutError:
                break
            ip = frame[14:]
            if where[2] == socket.PACKET_OUTGOING or ip[9] != socket.IPPROTO_TCP or ip[12:16] != self.target:
                continue
            tcp = ip[(ip[0] & 15) * 4:]
            if struct.unpack("!HH", tcp[:4]) == (self.args.port, sport) and tcp[13] == SYN | ACK:
                return struct.unpack("!I", tcp[4:8])[0], struct.unpack("!H", ip[2:4])[0]
        return None, 0

    def shake(self, sport):
        isn = int.from_bytes(os.urandom(4), "big")
        syn = self.packet(sport, SYN, isn, 0)
        for _ in range(5):
            self.send(syn)
            cookie, answer_bytes = self.answer(sport)
            if cookie is not None:
                break
        return {"isn": isn, "cookie": cookie, "syn_bytes": len(syn), "answer_bytes": answer_bytes}

    def third(self, sport, isn, cookie):
        return self.packet(sport, ACK, (isn + 1) & 0xFFFFFFFF, (cookie + 1) & 0xFFFFFFFF)


def repeat(line, packet, count, cpus):
    children = []
    for cpu in cpus:
        child = os.fork()
        if not child:
            os.sched_setaffinity(0, {cpu})
            for _ in range(count):
                line.send(packet)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", dest="device", required=True)
    parser.add_argument("-m", dest="mac", required=True)
    parser.add_argument("--source", default="11.1.1.1")
    parser.add_argument("--sport", type=int, default=40000)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("command", choices=("shake", "prove", "ack"))
    parser.add_argument("numbers", type=int, nargs="*")
    args = parser.parse_args()
    line = Line(args)

    if args.command == "shake":
        shaken = line.shake(args.sport)
        print(json.dumps(shaken))
        sys.exit(shaken["cookie"] is None)
    if args.command == "prove":
        answered = 0
        for sport in range(args.sport, args.sport + args.numbers[0]):
            shaken = line.shake(sport)
            if shaken["cookie"] is not None:
                line.send(line.third(sport, shaken["isn"], shaken["cookie"]))
                answered += 1
        print(answered)
    else:
        count, isn, cookie, *cpus = args.numbers
        repeat(line, line.third(args.sport, isn, cookie), count, cpus or [min(os.sched_getaffinity(0))])


main()
