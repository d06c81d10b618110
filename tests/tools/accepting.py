#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""accepting.py PORT COUNT_FILE CLOSE_FILE: a server that says nothing and counts: COUNT_FILE holds how many connections it
ever had. While CLOSE_FILE exists it ends all it has, by a RST."""
import os
import select
import socket
import struct
import sys

server = socket.create_server(("", int(sys.argv[1])), backlog=1024)
clients = []
count = -1
had = 0
while True:
    if select.select([server], [], [], 0.05)[0]:
        clients.append(server.accept()[0])
        had += 1
    if os.path.exists(sys.argv[3]):
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        clients = []
    if had != count:
        count = had
        with open(sys.argv[2] + ".new", "w", encoding="ascii") as file:
            print(count, file=file)
        os.rename(sys.argv[2] + ".new", sys.argv[2])
