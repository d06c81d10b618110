/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/latency.h"

#define NSEC_PER_USEC 1000ULL

const uint32_t latency_bounds_us[LATENCY_BOUNDS] = {250,   500,    1000,   2500,   5000,    10000,  25000,
						    50000, 100000, 250000, 500000, 1000000, 2500000};

void latency_add(struct latency *latency, uint64_t begun_ns, uint64_t ended_ns)
{
	uint64_t took_ns = ended_ns > begun_ns ? ended_ns - begun_ns : 0;
	unsigned bucket = 0;

	while (bucket < LATENCY_BOUNDS && took_ns > latency_bounds_us[bucket] * NSEC_PER_USEC)
		bucket++;
	latency->counts[bucket]++;
	latency->sum_ns += took_ns;
}

void latency_merge(struct latency *into, const struct latency *from)
{
	for (unsigned i = 0; i <= LATENCY_BOUNDS; i++)
		into->counts[i] += from->counts[i];
	into->sum_ns += from->sum_ns;
}

uint64_t latency_count(const struct latency *latency)
{
	uint64_t count = 0;

	for (unsigned i = 0; i <= LATENCY_BOUNDS; i++)
		count += latency->counts[i];
	return count;
}
