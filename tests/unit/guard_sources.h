/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guard_sources: a guard whose policy asks something of each source, for the tests that tell what becomes of some. */
#ifndef SYNMOAT_GUARD_SOURCES_H
#define SYNMOAT_GUARD_SOURCES_H

#include "guard_world.h"

#define SPAN_S 10
#define PROVEN_S 600
#define LIMIT 4
#define DIRECT 2
#define POSTURES 4

static const struct policy with_policy = {
	.half_open_limit = LIMIT,
	.span_s = SPAN_S,
	.proven_s = PROVEN_S,
	.direct_half_open = DIRECT,
	.rate_burst = 1,
};

/* The service has room for 64 before it arms, and everything about the server is known. */
static inline void guard_make_policy(void)
{
	guard_make_with(&with_policy, &single_hosts);
	service_set_limit(&services[WEB], 128, &thresholds);
	learn(false);
	learn(true);
	for (unsigned index = WEB; index <= OLD; index++)
		guard.learn_at_ns[index][0] = guard.learn_at_ns[index][1] = UINT64_MAX;
}

static inline void enter(enum service_posture posture)
{
	service_enter(&services[WEB], posture, now_ns);
}

static inline struct source *source_of(uint32_t n)
{
	struct segment syn = syn_of(n);

	return source_find(guard.sources, &syn.source);
}

static inline enum outcome explain(uint32_t n)
{
	struct segment syn = syn_of(n);

	return guard_explain(&guard, &syn.source, WEB, now_ns);
}

/* The first `count` ports of client `n`. */
static inline void syns_from(uint32_t n, unsigned count)
{
	for (uint32_t port = 0; port < count; port++)
		syn_from(n + port * PORT);
}

/* A handshake in peace. */
static inline void prove(uint32_t n)
{
	uint8_t before = services[WEB].posture;

	enter(SERVICE_WATCHING);
	syn_from(n);
	first_ack_from(n, TCP_ACK);
	enter(before);
}

static inline void end_all(uint32_t n, unsigned count)
{
	for (uint32_t port = 0; port < count; port++)
		first_ack_from(n + port * PORT, TCP_RST);
}

static inline void passes(void)
{
	decided(ACT_PASS, TREAT_HALF_OPEN, SEND_NOTHING);
}

static inline void is_challenged(void)
{
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(decision.segment.flags, TCP_SYN | TCP_ACK);
	ck_assert_uint_eq(decision.interface, INTERFACE);
	ck_assert_int_eq(decision.trip, -1);
	ck_assert(!decision.ban);
}

#endif
