#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""soaked.py CSV: whether what a soak measured stayed as it was. A line for each question: "ok" or "not ok", a tab, and the
answer with its numbers. Phases are compared with their like: what a flood holds, it holds while it is on."""
import csv
import os
import statistics
import sys

GROWTH_KB = 1024       # of memory over the second half: what allocation by chance may do
GROWTH_PART = 0.02     # or this part of it
PEAK_FACTOR = 2        # of entries: some attacks are longer than others
PEAK_MORE = 5000
LATENCY_FACTOR = 3     # the machine is not ours alone
LATENCY_MORE_MS = {"connect_p50": 1, "connect_p99": 100}
STARVED_LOAD = 4       # per CPU: others had them
FAILED_PARTS = {"quiet": 0, "begin": 0.02, "flood": 0.001, "after": 0.001}


def slope(points):
    """Least squares: y per x."""
    mean_x = statistics.fmean(x for x, _ in points)
    mean_y = statistics.fmean(y for _, y in points)
    below = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / below if below else 0


def say(good, text):
    print("ok" if good else "not ok", text, sep="\t")


def thirds(rows, column):
    values = [float(row[column]) for row in rows]
    third = max(1, len(values) // 3)
    return statistics.median(values[:third]), statistics.median(values[-third:])


def memory_is_flat(rows, column):
    half = rows[len(rows) // 2:]
    points = [(float(row["at_s"]), float(row[column])) for row in half]
    grown = slope(points) * (points[-1][0] - points[0][0])
    allowed = max(GROWTH_KB, GROWTH_PART * statistics.fmean(y for _, y in points))
    say(grown <= allowed, f"{column} is flat: {grown:+.0f} kB over the second half of the soak (at most "
                          f"{allowed:.0f}), {points[-1][1]:.0f} kB at the end, {len(points)} samples")


def is_as_before(rows, column, factor, more):
    first, last = thirds(rows, column)
    say(last <= first * factor + more, f"{column} in quiet windows: median {first:g} in the first third, {last:g} in the last")


def peaks_as_before(rows, column, factor, more):
    values = [float(row[column]) for row in rows]
    half = len(values) // 2
    first, last = max(values[:half]), max(values[half:])
    say(last <= first * factor + more, f"{column}: at most {first:g} in the first half, {last:g} in the second")


def clients_are_served(rows, phase, starved):
    tried = sum(int(row["tried"]) for row in rows)
    failed = tried - sum(int(row["served"]) for row in rows)
    slow = max((float(row["connect_p99"]) for row in rows), default=0)
    say(failed <= tried * FAILED_PARTS[phase], f"clients in `{phase}` windows: {failed} of {tried} failed, in {len(rows)} "
                                               f"windows; worst 99th percentile {slow:g} ms"
        + (f"; {starved} more while others had the CPUs" if starved else ""))


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    quiet = [row for row in rows if row["phase"] == "quiet"]
    floods = [row for row in rows if row["phase"] in ("begin", "flood")]
    say(len(quiet) >= 4 and floods, f"measured: {len(rows)} windows, {len(quiet)} quiet, {len(floods)} of a flood")
    if len(quiet) < 4:
        return
    for column in ("rss_kb", "anon_kb"):
        memory_is_flat(rows, column)
    is_as_before(quiet, "fds", 1, 4)  # followers come and go
    is_as_before(quiet, "threads", 1, 0)
    since = rows[next(i for i, row in enumerate(rows) if row["phase"] == "begin"):]  # before that the sets are others
    for column in ("conntrack", "set_elements"):
        peaks_as_before(since, column, PEAK_FACTOR, PEAK_MORE)
    is_as_before(quiet, "waiting", 1, 64)
    for column, more in LATENCY_MORE_MS.items():
        is_as_before(quiet, column, LATENCY_FACTOR, more)
    for phase in FAILED_PARTS:
        of_it = [row for row in rows if row["phase"] == phase]
        fed = [row for row in of_it if phase == "quiet" or float(row["load"]) <= STARVED_LOAD * os.cpu_count()]
        clients_are_served(fed, phase, len(of_it) - len(fed))


main()
