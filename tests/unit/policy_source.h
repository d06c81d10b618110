/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_source: a policy, and one source that it judges. */
#ifndef SYNMOAT_POLICY_SOURCE_H
#define SYNMOAT_POLICY_SOURCE_H

#include "synmoat/policy.h"

#include "wire.h"

#define START_S 5000U
#define START_NS (START_S * NSEC_PER_SEC)
#define SPAN_S 10
#define PROVEN_S 600
#define LIMIT 4
#define DIRECT 2
#define BURST 5
#define RATE 10 /* a connection each 100 ms */
#define INTERVAL_NS (100 * NSEC_PER_MSEC)
#define TICK_NS 128
#define SERVICE_POSTURES 4

static struct policy policy;
static struct source source;
static uint32_t limit; /* of half-open entries, as policy_limit() has it */
static uint64_t now_ns;

static inline void policy_make(void)
{
	policy = (struct policy){
		.span_s = SPAN_S,
		.proven_s = PROVEN_S,
		.direct_half_open = DIRECT,
		.rate_per_s = RATE,
		.rate_burst = BURST,
	};
	source = (struct source){.syns = 1};
	limit = LIMIT;
	now_ns = START_NS;
	policy_source_begins(&source, now_ns);
}

static inline bool wary(void)
{
	return policy_wary(&policy, &source, limit, now_ns);
}

static inline bool proven(void)
{
	return policy_proven(&policy, &source, now_ns);
}

static inline bool passed(void)
{
	return policy_passed(&policy, &source, limit, now_ns);
}

static inline void challenged(unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		policy_challenged(&policy, &source, limit, now_ns);
}

static inline bool returned(void)
{
	return policy_returned(&policy, &source, now_ns);
}

/* By holding too many for a moment. */
static inline void become_wary(void)
{
	source.half_open = LIMIT;
	ck_assert(passed());
	source.half_open = 0;
}

/* As many cookies as are returned in one moment until one is refused. */
static inline unsigned returned_till_refused(void)
{
	unsigned count = 0;

	while (count < 100000 && returned())
		count++;
	return count;
}

/* Wary, and nothing is left of its burst. */
static inline void use_up(void)
{
	become_wary();
	ck_assert_uint_eq(returned_till_refused(), policy.rate_burst);
}

#endif
