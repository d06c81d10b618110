#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""summary.py SAMPLES JSON: from lines `row pair mode block value` to a table, and to JSON with every sample.

A ratio is taken within each block, of the block's means; shown are the median of those and their range. `best` is the
ratio of the best runs: others on the machine only ever slow a run down. Exit code 1 when a target is missed.
"""
import collections
import json
import os
import statistics
import sys

# label, row of samples, mode, baseline mode, target (">=" or "<=", number) or None, unit
RATIOS = [
    ("set-up in peace, vs bare kernel", "setup", "peace", "bare", (">=", 0.9), "conn/s"),
    ("  CPU per connection, the same way", "setup_cpu", "peace", "bare", None, "us"),
    ("set-up in peace, vs conntrack", "setup", "peace", "conntrack", None, "conn/s"),
    ("set-up handed over, vs bare kernel", "setup", "always", "bare", (">=", 0.85), "conn/s"),
    ("  CPU per connection, the same way", "setup_cpu", "always", "bare", None, "us"),
    ("  kernel tcp_syncookies=2, vs bare kernel", "setup", "syncookies", "bare", None, "conn/s"),
    ("  kernel SYNPROXY, vs bare kernel", "setup", "synproxy", "bare", None, "conn/s"),
    ("upload in peace, vs bare kernel", "upload", "peace", "bare", (">=", 0.97), "Gbit/s"),
    ("upload in peace, vs conntrack", "upload", "peace", "conntrack", None, "Gbit/s"),
    ("download in peace, vs bare kernel", "download", "peace", "bare", (">=", 0.97), "Gbit/s"),
    ("download in peace, vs conntrack", "download", "peace", "conntrack", None, "Gbit/s"),
    ("upload, no offloads, vs bare kernel", "upload_mtu", "peace", "bare", (">=", 0.97), "Gbit/s"),
    ("upload, no offloads, vs conntrack", "upload_mtu", "peace", "conntrack", None, "Gbit/s"),
    ("upload, accelerator on, vs bare kernel", "upload", "accelerated", "bare", (">=", 0.97), "Gbit/s"),
    ("download, accelerator on", "download", "accelerated", "bare", (">=", 0.97), "Gbit/s"),
    ("upload, accelerator on, no offloads", "upload_mtu", "accelerated", "bare", (">=", 0.97), "Gbit/s"),
    ("upload armed, vs conntrack", "upload", "armed", "conntrack", None, "Gbit/s"),
    ("download armed, vs conntrack", "download", "armed", "conntrack", None, "Gbit/s"),
    ("upload armed, no offloads, vs conntrack", "upload_mtu", "armed", "conntrack", (">=", 0.9), "Gbit/s"),
    ("gateway: set-up in peace", "setup", "gw_peace", "forward", None, "conn/s"),
    ("gateway: set-up handed over", "setup", "gw_always", "forward", (">=", 0.75), "conn/s"),
    ("  CPU per connection, the same way", "setup_cpu", "gw_always", "forward", None, "us"),
    ("gateway, NAT: set-up handed over", "setup", "nat_always", "nat", (">=", 0.8), "conn/s"),
    ("  CPU per connection, the same way", "setup_cpu", "nat_always", "nat", None, "us"),
    ("gateway: upload in peace", "upload", "gw_peace", "forward", (">=", 0.97), "Gbit/s"),
    ("gateway: download in peace", "download", "gw_peace", "forward", (">=", 0.97), "Gbit/s"),
    ("gateway: upload in peace, no offloads", "upload_mtu", "gw_peace", "forward", None, "Gbit/s"),
    ("gateway: upload handed over", "upload", "gw_always", "forward", (">=", 0.97), "Gbit/s"),
    ("gateway: download handed over", "download", "gw_always", "forward", (">=", 0.97), "Gbit/s"),
    ("gateway: upload h. o., no offloads", "upload_mtu", "gw_always", "forward", None, "Gbit/s"),
    ("gateway, NAT: upload handed over", "upload", "nat_always", "nat", (">=", 0.97), "Gbit/s"),
    ("gateway, NAT: download handed over", "download", "nat_always", "nat", (">=", 0.97), "Gbit/s"),
    ("gateway, NAT: upload, no offloads", "upload_mtu", "nat_always", "nat", None, "Gbit/s"),
    ("first byte of a page, handed over", "first_byte_page", "always", "bare", ("<=", 3), "us"),
    ("first byte, server speaks first", "first_byte_greeting", "always", "bare", None, "us"),
    ("CPU per SYN, 10^6 sources vs 1,000", "sources_cpu", "many_counted", "few_counted", ("<=", 1.3), "ns"),
    ("  the same, answered with cookies", "sources_cpu", "many_always", "few_always", ("<=", 1.3), "ns"),
]

# label, row of samples, mode or pair/mode, target, unit
VALUES = [
    ("resident memory, idle", "rss_idle", "peace", None, "MiB"),
    ("resident memory, tables full", "rss_full", "peace", ("<=", 48), "MiB"),
    ("  half-open entries then", "half_open_entries", "peace", None, ""),
    ("  sources then", "source_entries", "peace", None, ""),
    ("  SYNs lost on the way to them", "queue_dropped", "peace", None, ""),
    ("resident memory after cookies", "rss_after_cookies", "always", None, "MiB"),
    ("daemon CPU per SYN, in peace", "cpu_per_syn", "counted", None, "ns"),
    ("daemon CPU per SYN, cookies", "cpu_per_syn", "always", None, "ns"),
    ("resident memory after 10^6 sources", "sources_rss", "many_counted", ("<=", 64), "MiB"),
    ("  the same, answered with cookies", "sources_rss", "many_always", ("<=", 64), "MiB"),
    ("  sources seen of these, in peace", "sources_seen", "many_counted", None, ""),
    ("  the same, answered with cookies", "sources_seen", "many_always", None, ""),
    ("flood: of 100 served, unprotected", "flood_served", "flooded", None, ""),
    ("  with tcp_syncookies=1", "flood_served", "flooded_syncookies", None, ""),
    ("  with SYNPROXY", "flood_served", "flooded_synproxy", None, ""),
    ("  with synmoat", "flood_served", "flooded_synmoat", (">=", 99), ""),
    ("flood: slowest page, tcp_syncookies=1", "flood_slowest", "flooded_syncookies", None, "ms"),
    ("  with SYNPROXY", "flood_slowest", "flooded_synproxy", None, "ms"),
    ("  with synmoat", "flood_slowest", "flooded_synmoat", None, "ms"),
    ("failed connections, bare kernel", "failed", "bare", None, "sum"),
    ("failed connections, in peace", "failed", "peace", None, "sum"),
    ("failed connections, handed over", "failed", "always", None, "sum"),
    ("failed connections, forwarded", "failed", "forward", None, "sum"),
    ("failed connections, gateway in peace", "failed", "gw_peace", None, "sum"),
    ("failed connections, gateway", "failed", "gw_always", None, "sum"),
    ("failed connections, gateway, NAT", "failed", "nat_always", None, "sum"),
    ("runs", "runs", "-", None, ""),
    ("  begun while others used the CPUs", "disturbed", "-", None, ""),
]


def read_samples(path):
    samples = collections.defaultdict(lambda: collections.defaultdict(list))
    with open(path, encoding="ascii") as lines:
        for line in lines:
            row, pair, mode, block, value = line.split()
            samples[row, pair, mode][int(block)].append(float(value))
    return samples


def flat(blocks):
    return [value for values in blocks.values() for value in values]


def met(value, target):
    if target is None:
        return None
    return value >= target[1] if target[0] == ">=" else value <= target[1]


def ratio_row(samples, label, row, mode, baseline, target, unit):
    pair = f"{mode}/{baseline}"
    ours, theirs = samples[row, pair, mode], samples[row, pair, baseline]
    best = min if unit in ("us", "ns") else max
    ratios = [statistics.mean(ours[block]) / statistics.mean(theirs[block]) for block in ours]
    ratio = statistics.median(ratios)
    return {
        "label": label.strip(), "row": row, "mode": mode, "baseline": baseline, "unit": unit,
        "value": statistics.median(flat(ours)), "baseline_value": statistics.median(flat(theirs)),
        "ratio": ratio, "ratio_min": min(ratios), "ratio_max": max(ratios), "ratios": ratios,
        "ratio_best": best(flat(ours)) / best(flat(theirs)),
        "target": target and f"{target[0]} {target[1]}", "met": met(ratio, target),
        "samples": flat(ours), "baseline_samples": flat(theirs),
    }


def values_of(samples, row, mode):
    return [value for key, blocks in samples.items() if (key[0], key[2]) == (row, mode) for value in flat(blocks)]


def value_row(values, label, row, mode, target, unit):
    value = sum(values) if unit == "sum" else statistics.median(values)
    return {
        "label": label.strip(), "row": row, "mode": mode, "unit": unit, "value": value,
        "target": target and f"{target[0]} {target[1]}", "met": met(value, target), "samples": values,
    }


def number(value):
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def verdict(result):
    return "" if result["met"] is None else "yes" if result["met"] else "NO"


def main():
    samples = read_samples(sys.argv[1])
    results = []

    print(f"\n{'':38} {'with':>9} {'without':>9} {'':6} {'ratio':>6}  {'range':13} {'best':>5}  {'target':8} met")
    for label, row, mode, baseline, target, unit in RATIOS:
        if (row, f"{mode}/{baseline}", mode) not in samples:
            continue
        result = ratio_row(samples, label, row, mode, baseline, target, unit)
        results.append(result)
        spread = f"{result['ratio_min']:.2f} - {result['ratio_max']:.2f}"
        print(f"{label:38} {number(result['value']):>9} {number(result['baseline_value']):>9} {unit:6} "
              f"{result['ratio']:6.2f}  {spread:13} {result['ratio_best']:5.2f}  {result['target'] or '':8} {verdict(result)}")
    print()
    for label, row, mode, target, unit in VALUES:
        values = values_of(samples, row, mode)
        if not values:
            continue
        result = value_row(values, label, row, mode, target, unit)
        results.append(result)
        spread = ""
        if len(result["samples"]) > 1 and unit != "sum":
            spread = f"{number(min(result['samples']))} - {number(max(result['samples']))}"
        print(f"{label:38} {number(result['value']):>9} {'':9} {unit if unit != 'sum' else '':6} {'':6}  "
              f"{spread:13} {'':5}  {result['target'] or '':8} {verdict(result)}")

    missed = [result["label"] for result in results if result["met"] is False]
    with open(sys.argv[2], "w", encoding="ascii") as out:
        json.dump({"kernel": os.uname().release, "cpus": os.cpu_count(), "load": os.getloadavg(),
                   "missed": missed, "rows": results}, out, indent=1)
        out.write("\n")
    if missed:
        sys.exit(f"\nmissed: {', '.join(missed)}")


main()
