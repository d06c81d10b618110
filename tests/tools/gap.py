#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""gap.py DEVICE BYTES FILE: says "watching", and until FILE exists watches how much DEVICE receives. Then prints the longest time, in seconds,
in which fewer than BYTES came, to 10 ms."""
import os
import sys
import time


def main():
    device, least, stop = sys.argv[1], int(sys.argv[2]), sys.argv[3]

    def received():
        with open(f"/sys/class/net/{device}/statistics/rx_bytes", encoding="ascii") as counter:
            return int(counter.read())

    last, since, gap = received(), time.monotonic(), 0.0
    print("watching", flush=True)
    while not os.path.exists(stop):
        time.sleep(0.01)
        if received() - last >= least:
            gap = max(gap, time.monotonic() - since)
            last, since = received(), time.monotonic()
    print(f"{gap:.2f}")


if __name__ == "__main__":
    main()
