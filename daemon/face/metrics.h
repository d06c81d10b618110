/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics: all numbers for a machine that keeps them, as the Prometheus text exposition format 0.0.4 has it, or as one JSON
 * object; synmoatctl(1) lists the names. What is known is filled in by others; pure.
 *
 * Outcomes that are alternatives to each other are one family with a label, so that its sum means something: each SYN has
 * one outcome of synmoat_syns_total, each queued ACK one of synmoat_acks_total. The label's value is outcome_name(). A number
 * that cannot be read is left out; it never turns up as 0. */
#ifndef SYNMOAT_METRICS_H
#define SYNMOAT_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "edge/kernel_counters.h"
#include "face/report.h"
#include "synmoat/latency.h"
#include "synmoat/tally.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics_service {
	struct tally_totals totals;
	uint64_t begun,
		completed;  /* handshakes of the last seconds, with cookies or without; as completion_percent has it */
	bool allowed_press; /* SYNs of allowed sources fill its backlog */
};

struct metrics {
	const struct report *report;
	const struct metrics_service *services; /* [report->service_count] */
	uint64_t started_s;                     /* Unix time */
	uint32_t handover_entries, handover_capacity;
	uint32_t ban_capacity; /* of each address family */
	struct latency handover;
	struct kernel_counters kernel;
};

/* Writes them to `out`: `json` is one line with {"format":1,"metrics":[...]}. */
void metrics_write(const struct metrics *metrics, bool json, FILE *out);

#endif
