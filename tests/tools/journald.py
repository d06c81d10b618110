#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""journald.py DIR CMD...: stands in for systemd-journald, for CMD alone.

To be run in a mount namespace of its own (unshare -m): it hides /run/systemd. CMD's stderr is the journal's stream socket,
as JOURNAL_STREAM tells it. DIR/entries gets a JSON object for each entry that comes with fields, DIR/lines each line that
comes by the stream; both come to our own stderr, too. Signals: TERM ends CMD, USR1 takes the entries' socket away. The exit
code is CMD's."""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys

RUN = "/run/systemd"
NATIVE = RUN + "/journal/socket"


def hide_run():
    os.makedirs(RUN, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", RUN.encode(), b"tmpfs", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "mount tmpfs on " + RUN)
    os.makedirs(os.path.dirname(NATIVE))


def fields_of(entry):
    return dict(line.split("=", 1) for line in entry.decode().splitlines())


def main():
    directory, command = sys.argv[1], sys.argv[2:]
    hide_run()
    native = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    native.bind(NATIVE)
    os.chmod(NATIVE, 0o666)  # as journald's own
    ours, theirs = socket.socketpair()
    status = os.fstat(theirs.fileno())
    environment = dict(os.environ, JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
    child = subprocess.Popen(command, stderr=theirs, env=environment)
    theirs.close()
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    signal.signal(signal.SIGUSR1, lambda *_: os.unlink(NATIVE))

    with open(directory + "/entries", "w") as entries, open(directory + "/lines", "wb") as lines:
        while True:
            readable, _, _ = select.select([native, ours], [], [])
            if native in readable:
                fields = fields_of(native.recv(65536))
                print(json.dumps(fields), file=entries, flush=True)
                print(fields["MESSAGE"], file=sys.stderr, flush=True)
            elif ours in readable:
                got = ours.recv(65536)
                if not got:
                    break
                lines.write(got)
                lines.flush()
                sys.stderr.buffer.write(got)
                sys.stderr.flush()
    sys.exit(child.wait())


main()
