#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""steady.py PORT FILE SOURCE HOST [SOURCE HOST...]: while FILE exists, a connection from each SOURCE to its HOST every
200 ms. Says "steady" after the first round."""
import os
import socket
import sys
import time


def main():
    port, stop = int(sys.argv[1]), sys.argv[2]
    pairs = list(zip(sys.argv[3::2], sys.argv[4::2]))
    said = False
    while os.path.exists(stop):
        for source, host in pairs:
            try:
                socket.create_connection((host, port), timeout=1, source_address=(source, 0)).close()
            except OSError:
                pass
        if not said:
            print("steady", flush=True)
        said = True
        time.sleep(0.2)


if __name__ == "__main__":
    main()
