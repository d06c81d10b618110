/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report: what the daemon tells about itself. The supervisor fills a struct report, this file turns it into the text or
 * JSON of one control request. Nothing here is shared with a running shard. */
#ifndef SYNMOAT_REPORT_H
#define SYNMOAT_REPORT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "synmoat/outcome.h"

struct report_service {
	char name[64];
	char address[INET6_ADDRSTRLEN]; /* or "any" */
	uint16_t port;
	const char *cookies; /* "auto", "always", "never" */
	const char *state;   /* "watching", "armed", "draining", "not listening" */
	bool armed;
	uint32_t half_open;        /* entries; while armed: unanswered cookies within a handshake's lifetime */
	uint32_t limit;            /* entries; 0 = unknown */
	uint32_t arm_at;           /* entries */
	uint32_t disarm_at;        /* entries */
	uint32_t syn_per_s;        /* over the last full second */
	uint32_t distinct_sources; /* estimate over the last seconds */
	struct {
		uint16_t mss; /* bytes, 0 = not learned yet */
		int wscale;   /* -1 = none */
		bool sack;
		bool timestamps;
	} learned;
};

struct report_source {
	char address[INET6_ADDRSTRLEN + 4]; /* IPv6 as prefix: 2001:db8::/64 */
	uint32_t half_open;
	uint64_t syns;
	uint64_t challenged;
	uint64_t completed;
	uint32_t idle_s; /* since its last SYN */
};

struct report {
	const char *version;
	uint64_t uptime_s;
	const char *mode;   /* "host" */
	const char *policy; /* "enforce", "observe" */
	bool armed;         /* any service */
	unsigned shards;
	uint32_t half_open_entries, half_open_capacity;
	uint32_t source_entries, source_capacity;
	uint64_t counters[OUTCOME_COUNT];
	size_t service_count;
	const struct report_service *services;
	size_t source_count; /* heaviest half-open holders first */
	const struct report_source *sources;
};

/* Writes the answer to one request line ("status", "services json", "sources", ...) to `out`. Returns 0, or -1 for an
 * unknown request after writing a line "error: ..." that names the known ones. */
int report_answer(const struct report *report, const char *request, FILE *out);

#endif
