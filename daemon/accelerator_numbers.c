/* SPDX-License-Identifier: GPL-2.0-or-later */
/* accelerator_numbers: what the XDP program has counted comes into the shards' numbers. */
#include <string.h>

#include "accelerator_parts.h"

struct fresh_counts {
	unsigned service_count;
	uint64_t now_ns;
	struct xdp_counts services[SERVICES_MAX];
};

static uint32_t clamped(uint64_t number)
{
	return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* In the first shard: what is told of all is the sum of all. */
static void job_take_counts(struct worker *worker, void *argument)
{
	const struct fresh_counts *fresh = argument;
	uint64_t *counters = worker->guard.counters;

	for (unsigned i = 0; i < fresh->service_count; i++) {
		const struct xdp_counts *counts = &fresh->services[i];
		uint64_t looked_at = counts->answered + counts->capped + counts->failed;

		if (looked_at)
			tally_syns_elsewhere(&worker->guard.tallies[i], clamped(looked_at), clamped(counts->answered),
					     fresh->now_ns);
		counters[OUTCOME_SYN_RECEIVED] += looked_at + counts->denied + counts->banned;
		counters[OUTCOME_SYN_CHALLENGED] += counts->answered;
		counters[OUTCOME_SYN_CAPPED] += counts->capped;
		counters[OUTCOME_SYN_UNANSWERED] += counts->failed;
		counters[OUTCOME_SYN_DENIED] += counts->denied;
		counters[OUTCOME_SYN_BANNED] += counts->banned;
		counters[OUTCOME_ACK_SHED] += counts->bad_ack;
	}
}

static struct xdp_counts counts_since(const struct xdp_counts *then, const struct xdp_counts *now)
{
	return (struct xdp_counts){
		.answered = now->answered - then->answered,
		.capped = now->capped - then->capped,
		.denied = now->denied - then->denied,
		.banned = now->banned - then->banned,
		.bad_ack = now->bad_ack - then->bad_ack,
		.passed_up = now->passed_up - then->passed_up,
		.failed = now->failed - then->failed,
	};
}

static void counts_add(struct xdp_counts *sum, const struct xdp_counts *more)
{
	sum->answered += more->answered;
	sum->capped += more->capped;
	sum->denied += more->denied;
	sum->banned += more->banned;
	sum->bad_ack += more->bad_ack;
	sum->passed_up += more->passed_up;
	sum->failed += more->failed;
}

void accelerator_count(struct supervisor *supervisor, uint64_t now_ns)
{
	static struct fresh_counts fresh;
	static const struct xdp_counts none;
	struct accelerator *accelerator = &supervisor->accelerator;
	bool any = false;

	if (!accelerator->xdp || !supervisor->shards)
		return;
	fresh.service_count = supervisor->registry.service_count;
	fresh.now_ns = now_ns;
	for (unsigned i = 0; i < fresh.service_count; i++) {
		struct xdp_counts now;

		fresh.services[i] = none;
		if (!accelerator->followed[i])
			continue;
		accelerator->followed[i]--;
		xdp_count(accelerator->xdp, i, &now);
		fresh.services[i] = counts_since(&accelerator->counted[i], &now);
		accelerator->counted[i] = now;
		counts_add(&accelerator->sum, &fresh.services[i]);
		any |= memcmp(&fresh.services[i], &none, sizeof(none)) != 0;
	}
	if (any)
		worker_call(&supervisor->workers[0], job_take_counts, &fresh);
}
