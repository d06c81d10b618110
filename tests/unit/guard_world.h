/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guard_world: a guard, its services, and the packets around it, for the tests that tell the story by packets in and
 * decisions out. Clients are numbered; their SYNs, ACKs and the server's answers are made from the number. */
#ifndef SYNMOAT_GUARD_WORLD_H
#define SYNMOAT_GUARD_WORLD_H

#include "synmoat/guard.h"
#include "wire.h"

#define WEB 5 /* 192.0.2.1:80 and [2001:db8::1]:80: limit 8, arms at 4, disarms below 2 */
#define OLD 6 /* 192.0.2.1:25: never */
#define INTERFACE 3
#define HALF_OPEN_MAX 2048
#define SOURCES_MAX 4096
#define HANDOVERS_MAX 4
#define TIMEOUT_S 30
#define START_NS (5000 * NSEC_PER_SEC)
#define SERVER_ISN 0x40000000U
#define LEARN_NEW_NS (20 * NSEC_PER_MSEC)
#define ALL_OPTIONS 15

static const struct siphash_key key = {{11, 12}};
static const struct tcp_options client_options = {
	.mss = 1450, .wscale = 9, .sack = true, .timestamps = true, .tsval = 5000};
static const struct tcp_options server_options = {
	.mss = 1380, .wscale = 6, .sack = true, .timestamps = true, .tsval = 777, .tsecr = 5000};
#define SERVER_WINDOW 28960

static struct service services[SERVICES_MAX];
static struct service_map *map;
static struct guard guard;
static struct decision decision;
static uint64_t now_ns;

/* A policy that asks nothing of a source. */
static const struct policy no_policy = {.span_s = 10, .rate_burst = 1};

static const struct service_thresholds thresholds = {50, 85, 25};
static const struct source_prefixes single_hosts = {SOURCE_PREFIX_V4_BITS, SOURCE_PREFIX_V6_BITS};

static struct cookie_secret guard_secret;

static inline void guard_make_with(const struct policy *policy, const struct source_prefixes *prefixes)
{
	struct guard_limits limits = {
		.policy = *policy,
		.handshake_timeout_s = TIMEOUT_S,
		.half_open_max = HALF_OPEN_MAX,
		.sources_max = SOURCES_MAX,
		.handovers_max = HANDOVERS_MAX,
		.held_max = 1000,
		.prefixes = *prefixes,
	};
	struct service_binding bindings[] = {{address("192.0.2.1"), 80, WEB, 0},
					     {address("2001:db8::1"), 80, WEB, 0},
					     {address("192.0.2.1"), 25, OLD, 0}};

	guard_secret = (struct cookie_secret){.epoch = 78, .keys = {{{1, 2}}, {{3, 4}}}};
	memset(services, 0, sizeof(services));
	service_set_limit(&services[WEB], 8, &thresholds);
	service_set_limit(&services[OLD], 8, &thresholds);
	services[OLD].cookies = SERVICE_COOKIES_NEVER;
	services[OLD].patience = SERVICE_ARMS_NEVER;
	services[OLD].exempt = true;
	map = service_map_new(bindings, 3);
	ck_assert_int_eq(guard_init(&guard, &limits, services, &guard_secret, &key, START_NS), 0);
	guard.map = map;
	now_ns = START_NS;
}

static inline void guard_make(void)
{
	guard_make_with(&no_policy, &single_hosts);
}

static inline void guard_drop(void)
{
	guard_free(&guard);
	service_map_free(map);
}

static inline void learn(bool v6)
{
	service_learn(&services[WEB], v6, &server_options, SERVER_WINDOW, ALL_OPTIONS, 0);
}

static inline void arm(void)
{
	service_enter(&services[WEB], SERVICE_ARMED, now_ns);
}

/* Armed, and everything about the server known. */
static inline void guard_make_armed(void)
{
	guard_make();
	learn(false);
	learn(true);
	arm();
}

/* ---- packets ---- */

/* Added to a client's number: an IPv6 client; another port of the same client. */
#define V6 0x10000U
#define PORT 0x20000U

static inline struct segment client_to_web(uint32_t n, uint8_t flags)
{
	return (struct segment){
		.source = host(n & V6, n & 0xffff),
		.destination = address(n & V6 ? "2001:db8::1" : "192.0.2.1"),
		.source_port = (uint16_t)(40000 + n / PORT),
		.destination_port = 80,
		.seq = n * 1000,
		.flags = flags,
		.hops = 99,
		.tos = 0x28,
		.window = 500,
		.options = {.wscale = -1},
	};
}

static inline struct segment syn_of(uint32_t n)
{
	struct segment syn = client_to_web(n, TCP_SYN);

	syn.options = client_options;
	return syn;
}

static inline struct segment ack_of(uint32_t n, uint32_t cookie)
{
	struct segment ack = client_to_web(n, TCP_ACK);

	ack.seq++;
	ack.ack = cookie + 1;
	ack.options = (struct tcp_options){.wscale = -1, .timestamps = true, .tsval = 5100};
	return ack;
}

static inline struct segment answer_to(uint32_t n, uint8_t flags)
{
	struct segment syn = client_to_web(n, TCP_SYN);

	return (struct segment){
		.source = syn.destination,
		.destination = syn.source,
		.source_port = syn.destination_port,
		.destination_port = syn.source_port,
		.seq = flags & TCP_SYN ? SERVER_ISN : 0,
		.ack = syn.seq + 1,
		.flags = flags,
		.hops = 64,
		.window = SERVER_WINDOW,
		.options = flags & TCP_SYN ? server_options : (struct tcp_options){.wscale = -1},
	};
}

/* ---- what happens ---- */

static inline uint64_t counted(enum outcome outcome)
{
	return guard.counters[outcome];
}

/* So that what a decision leaves unsaid is seen. */
static inline void forget_decision(void)
{
	memset(&decision, 0xee, sizeof(decision));
}

static inline void offer(const struct segment *syn)
{
	forget_decision();
	guard_syn(&guard, syn, INTERFACE, now_ns, &decision);
}

static inline void syn_from(uint32_t n)
{
	struct segment syn = syn_of(n);

	offer(&syn);
}

static inline void first_ack_from(uint32_t n, uint8_t flags)
{
	struct segment ack = client_to_web(n, flags);

	ack.seq++;
	forget_decision();
	guard_first_ack(&guard, &ack, now_ns, &decision);
}

static inline void answer(const struct segment *segment)
{
	struct flow flow = flow_from_server(segment);

	forget_decision();
	guard_answer(&guard, &flow, segment, now_ns, &decision);
}

static inline void answer_from_server(uint32_t n, uint8_t flags)
{
	struct segment segment = answer_to(n, flags);

	answer(&segment);
}

static inline void ack(const struct segment *segment)
{
	forget_decision();
	guard_ack(&guard, segment, INTERFACE, now_ns, &decision);
}

static inline void decided(enum act act, enum treatment treatment, enum decision_send send)
{
	ck_assert_int_eq(decision.act, act);
	ck_assert_int_eq(decision.treatment, treatment);
	ck_assert_int_eq(decision.send, send);
}

static inline bool due(void)
{
	forget_decision();
	return guard_due(&guard, now_ns, &decision);
}

static inline struct splice *splice_of(uint32_t n)
{
	struct segment syn = syn_of(n);
	struct flow flow = flow_from_client(&syn);

	return splice_find(guard.splices, &flow);
}

/* Gets client `n` its cookie. */
static inline uint32_t challenge(uint32_t n)
{
	syn_from(n);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	return decision.segment.seq;
}

static inline void third_ack(uint32_t n, uint32_t cookie)
{
	struct segment segment = ack_of(n, cookie);

	ack(&segment);
}

/* Until the rewritten SYN is on its way. */
static inline struct splice *begin_handover(uint32_t n)
{
	third_ack(n, challenge(n));
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	return splice_of(n);
}

static inline struct splice *hand_over(uint32_t n)
{
	struct splice *splice = begin_handover(n);

	answer_from_server(n, TCP_SYN | TCP_ACK);
	ck_assert_int_eq(decision.act, ACT_TAKE_OVER);
	guard_taken_over(&guard, splice, now_ns);
	return splice;
}

static inline void segment_is(const struct segment *expected)
{
	const struct segment *is = &decision.segment;

	ck_assert(addr_equal(&is->source, &expected->source));
	ck_assert(addr_equal(&is->destination, &expected->destination));
	ck_assert_uint_eq(is->source_port, expected->source_port);
	ck_assert_uint_eq(is->destination_port, expected->destination_port);
	ck_assert_uint_eq(is->seq, expected->seq);
	ck_assert_uint_eq(is->ack, expected->ack);
	ck_assert_uint_eq(is->flags, expected->flags);
	ck_assert_uint_eq(is->hops, expected->hops);
	ck_assert_uint_eq(is->tos, expected->tos);
	ck_assert_uint_eq(is->window, expected->window);
	ck_assert_uint_eq(is->urgent, expected->urgent);
	ck_assert_uint_eq(is->options.mss, expected->options.mss);
	ck_assert_int_eq(is->options.wscale, expected->options.wscale);
	ck_assert_int_eq(is->options.sack, expected->options.sack);
	ck_assert_int_eq(is->options.timestamps, expected->options.timestamps);
	ck_assert_uint_eq(is->options.tsval, expected->options.tsval);
	ck_assert_uint_eq(is->options.tsecr, expected->options.tsecr);
	ck_assert_uint_eq(is->payload_bytes, expected->payload_bytes);
	if (expected->payload_bytes)
		ck_assert_mem_eq(is->payload, expected->payload, expected->payload_bytes);
}

#endif
