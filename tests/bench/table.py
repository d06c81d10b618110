#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""table.py SAMPLES JSON: from lines `row mode repetition value` of tests/bench/flooded to Markdown, and to JSON with every sample.

Shown are medians, and in brackets their range. A ratio is taken within each repetition. Exit code 1 when a target is missed.
"""
import collections
import datetime
import json
import os
import re
import statistics
import sys

MODES = {
    "none": "no cookies", "syncookies": "tcp_syncookies=1", "synproxy": "SYNPROXY", "nfqueue": "synmoat, queue",
    "xdp_native": "synmoat, XDP", "xdp_generic": "synmoat, generic XDP", "drop": "XDP_DROP",
}

# title, [(label, row, divisor)]
TABLES = [
    ("As many SYNs as one CPU sends", [
        ("answered, 1000/s, counted at the attacker", "saturated_answered", 1e3),
        ("answered, 1000/s, as the host counts", "saturated_answers", 1e3),
        ("answered in a second of the host's CPU time, 1000", "saturated_per_cpu_s", 1e3),
        ("arrived at the host, 1000/s", "saturated_arrived", 1e3),
        ("offered, 1000/s", "saturated_offered", 1e3),
        ("lost on the rig's wire, %", "saturated_lost", 1),
        ("clients served, %", "saturated_served", 1),
        ("connect, median, ms", "saturated_connect_p50", 1),
        ("connect, 99 %, ms", "saturated_connect_p99", 1),
        ("first byte, median, ms", "saturated_first_p50", 1),
        ("first byte, 99 %, ms", "saturated_first_p99", 1),
        ("connections/s, 20 at once", "saturated_setup", 1),
    ]),
    ("100,000 SYNs per second", [
        ("CPU per SYN, ns: the host's threads", "paced_ns", 1),
        ("CPU per SYN, ns: all that is busy", "paced_busy_ns", 1),
        ("answered, 1000/s, counted at the attacker", "paced_answered", 1e3),
        ("answered, 1000/s, as the host counts", "paced_answers", 1e3),
        ("arrived at the host, 1000/s", "paced_arrived", 1e3),
        ("lost on the rig's wire, %", "paced_lost", 1),
        ("clients served, %", "paced_served", 1),
        ("connect, median, ms", "paced_connect_p50", 1),
        ("connect, 99 %, ms", "paced_connect_p99", 1),
        ("first byte, median, ms", "paced_first_p50", 1),
        ("first byte, 99 %, ms", "paced_first_p99", 1),
        ("connections/s, 20 at once", "paced_setup", 1),
    ]),
]

# label, row, mode, row and mode it is compared with, target
RATIOS = [
    ("queue: answered, vs tcp_syncookies=1", "saturated_answered", "nfqueue", None, "syncookies", (">=", 0.6)),
    ("queue: CPU per SYN, vs tcp_syncookies=1", "paced_ns", "nfqueue", None, "syncookies", ("<=", 1.5)),
    ("XDP: answered, vs tcp_syncookies=1", "saturated_answered", "xdp_native", None, "syncookies", (">=", 4)),
    ("XDP: answered, vs SYNPROXY", "saturated_answered", "xdp_native", None, "synproxy", (">=", 4.5)),
    ("XDP: answered, vs dropped by XDP_DROP", "saturated_answered", "xdp_native", "saturated_arrived", "drop", (">=", 0.4)),
    ("XDP: CPU per SYN, vs tcp_syncookies=1", "paced_ns", "xdp_native", None, "syncookies", ("<=", 0.35)),
    ("generic XDP: answered, vs tcp_syncookies=1", "saturated_answered", "xdp_generic", None, "syncookies", None),
    ("XDP: answered with 100,000 bans, vs none", "bans_100000_saturated_answered", "xdp_native",
     "bans_0_saturated_answered", "xdp_native", (">=", 0.9)),
    ("queue: answered with 100,000 bans, vs none", "bans_100000_saturated_answered", "nfqueue",
     "bans_0_saturated_answered", "nfqueue", None),
]

# label, row, mode, target
VALUES = [
    ("queue, saturated: clients served, %", "saturated_served", "nfqueue", (">=", 99)),
    ("queue, saturated: connect, 99 %, ms", "saturated_connect_p99", "nfqueue", ("<=", 250)),
    ("queue, paced: clients served, %", "paced_served", "nfqueue", (">=", 99)),
    ("queue, paced: connect, 99 %, ms", "paced_connect_p99", "nfqueue", ("<=", 250)),
    ("XDP, saturated: clients served, %", "saturated_served", "xdp_native", (">=", 99)),
    ("XDP, saturated: connect, 99 %, ms", "saturated_connect_p99", "xdp_native", ("<=", 250)),
    ("XDP, paced: clients served, %", "paced_served", "xdp_native", (">=", 99)),
    ("XDP, paced: connect, 99 %, ms", "paced_connect_p99", "xdp_native", ("<=", 250)),
]

GROWTH = re.compile(r"(services|sources|bans)_(\d+)_(paced_ns|saturated_answered|tracked|there)$")
GROWN = {"paced_ns": ("CPU per SYN, ns", 1), "saturated_answered": ("answered, 1000/s", 1e3),
         "tracked": ("sources tracked", 1), "there": ("bans in force", 1)}


def read_samples(path):
    samples = collections.defaultdict(dict)
    with open(path, encoding="ascii") as lines:
        for line in lines:
            row, mode, repetition, value = line.split()
            samples[row, mode][int(repetition)] = float(value)
    return samples


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def spread(values, divisor=1):
    values = [value / divisor for value in values]
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}-{number(max(values))})"


def met(value, target):
    if target is None:
        return None
    return value >= target[1] if target[0] == ">=" else value <= target[1]


def print_row(cells):
    print("| " + " | ".join(cells) + " |")


def print_head(cells):
    print_row(cells)
    print_row(["---"] + ["---:"] * (len(cells) - 1))


def print_modes(samples):
    modes = [mode for mode in MODES if ("saturated_answered", mode) in samples]
    for title, rows in TABLES:
        if not modes:
            return
        print()
        print_head([title] + [MODES[mode] for mode in modes])
        for label, row, divisor in rows:
            cells = [spread(samples[row, mode].values(), divisor) if (row, mode) in samples else "" for mode in modes]
            print_row([label] + cells)


def print_growth(samples):
    rows = [(GROWTH.match(row), mode, values) for (row, mode), values in samples.items()]
    rows = sorted(((match[1], match[3], int(match[2]), mode, values) for match, mode, values in rows if match),
                  key=lambda row: row[:4])
    if rows:
        print()
        print_head(["Growth", "of", "queue", "XDP"])
    for what, row, count in sorted({row[:3] for row in rows}):
        label, divisor = GROWN[row]
        cells = [spread(samples[f"{what}_{count}_{row}", mode].values(), divisor)
                 if (f"{what}_{count}_{row}", mode) in samples else "" for mode in ("nfqueue", "xdp_native")]
        print_row([label, f"{count:,} {what}"] + cells)


def ratio(samples, label, row, mode, base_row, base_mode, target):
    ours, theirs = samples.get((row, mode)), samples.get((base_row or row, base_mode))
    ratios = [ours[rep] / theirs[rep] for rep in ours or {} if theirs and theirs.get(rep)]
    if not ratios:
        return None
    return judged(label, ratios, target)


def value(samples, label, row, mode, target):
    values = samples.get((row, mode))
    return judged(label, list(values.values()), target) if values else None


def judged(label, values, target):
    middle = statistics.median(values)
    return {"label": label, "value": middle, "values": values, "target": target and f"{target[0]} {target[1]}",
            "met": met(middle, target)}


def print_judged(results):
    if results:
        print()
        print_head(["Compared", "", "target", "met"])
    for result in results:
        verdict = {None: "", True: "yes", False: "**no**"}[result["met"]]
        print_row([result["label"], spread(result["values"]), result["target"] or "", verdict])


def processor():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return os.uname().machine


def main():
    samples = read_samples(sys.argv[1])
    about = {"date": datetime.date.today().isoformat(), "kernel": os.uname().release, "cpus": os.cpu_count(),
             "processor": processor(), "command": os.environ.get("COMMAND", "sudo make bench")}
    print(f"{about['date']}, Linux {about['kernel']}, {about['cpus']} x {about['processor']}, `{about['command']}`; "
          "medians and their range.")
    if samples["disturbed", "-"].get(1):
        print(f"\nOthers used the CPUs when {samples['disturbed', '-'][1]:.0f} of {samples['runs', '-'][1]:.0f} runs began.")
    print_modes(samples)
    print_growth(samples)
    results = [result for row in RATIOS if (result := ratio(samples, *row))]
    results += [result for row in VALUES if (result := value(samples, *row))]
    print_judged(results)

    missed = [result["label"] for result in results if result["met"] is False]
    rows = [{"row": row, "mode": mode, "median": statistics.median(values.values()), "samples": list(values.values())}
            for (row, mode), values in samples.items()]
    with open(sys.argv[2], "w", encoding="ascii") as out:
        json.dump(about | {"load": os.getloadavg(), "missed": missed, "compared": results, "rows": rows}, out, indent=1)
        out.write("\n")
    if missed:
        sys.exit(f"\nmissed: {', '.join(missed)}")


main()
