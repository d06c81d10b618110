/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard and its policy: what becomes of the SYNs of one source when it holds too much, or has proven itself. */
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
static void guard_make_policy(void)
{
	guard_make_with(&with_policy, &single_hosts);
	service_set_limit(&services[WEB], 128, &thresholds);
	learn(false);
	learn(true);
	for (unsigned index = WEB; index <= OLD; index++)
		guard.learn_at_ns[index][0] = guard.learn_at_ns[index][1] = UINT64_MAX;
}

static void enter(enum service_posture posture)
{
	service_enter(&services[WEB], posture, now_ns);
}

static struct source *source_of(uint32_t n)
{
	struct segment syn = syn_of(n);

	return source_find(guard.sources, &syn.source);
}

static enum outcome explain(uint32_t n)
{
	struct segment syn = syn_of(n);

	return guard_explain(&guard, &syn.source, WEB, now_ns);
}

/* The first `count` ports of client `n`. */
static void syns_from(uint32_t n, unsigned count)
{
	for (uint32_t port = 0; port < count; port++)
		syn_from(n + port * PORT);
}

/* A handshake in peace. */
static void prove(uint32_t n)
{
	uint8_t before = services[WEB].posture;

	enter(SERVICE_WATCHING);
	syn_from(n);
	first_ack_from(n, TCP_ACK);
	enter(before);
}

static void end_all(uint32_t n, unsigned count)
{
	for (uint32_t port = 0; port < count; port++)
		first_ack_from(n + port * PORT, TCP_RST);
}

static void passes(void)
{
	decided(ACT_PASS, TREAT_HALF_OPEN, SEND_NOTHING);
}

static void is_challenged(void)
{
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(decision.segment.flags, TCP_SYN | TCP_ACK);
	ck_assert_uint_eq(decision.interface, INTERFACE);
	ck_assert_int_eq(decision.trip, -1);
	ck_assert(!decision.ban);
}

/* ---- a source that holds too much ---- */

START_TEST(a_source_at_its_limit_trips_the_service_and_is_challenged_while_others_pass)
{
	for (uint32_t port = 0; port < LIMIT - 1; port++) {
		syn_from(1 + port * PORT);
		passes();
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(services[WEB].wary_until_ns, 0);
	syn_from(1 + (LIMIT - 1) * PORT);
	passes(); /* this one still does */
	ck_assert_int_eq(decision.trip, WEB);
	ck_assert_uint_eq(services[WEB].wary_until_ns, now_ns + SPAN_S * NSEC_PER_SEC);

	enter(SERVICE_WARY);
	for (uint32_t port = LIMIT; port < 3 * LIMIT; port++) {
		syn_from(1 + port * PORT);
		is_challenged();
	}
	for (uint32_t n = 2; n < 10; n++) {
		syn_from(n);
		passes();
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(source_of(1)->half_open, LIMIT);
	ck_assert_uint_eq(source_of(1)->challenged, 2 * LIMIT);
	ck_assert_uint_eq(counted(OUTCOME_SYN_ACCEPTED), LIMIT + 8);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 2 * LIMIT);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 0);
}
END_TEST

START_TEST(until_the_service_is_wary_each_syn_of_a_greedy_source_asks_for_it)
{
	syns_from(1, LIMIT);
	ck_assert_int_eq(decision.trip, WEB);
	syn_from(2);
	ck_assert_int_eq(decision.trip, -1);
	syn_from(1 + LIMIT * PORT);
	passes();
	ck_assert_int_eq(decision.trip, WEB);
}
END_TEST

START_TEST(completed_handshakes_make_no_source_greedy)
{
	for (uint32_t port = 0; port < 1000; port++) {
		syn_from(1 + port * PORT);
		passes();
		ck_assert_int_eq(decision.trip, -1);
		first_ack_from(1 + port * PORT, TCP_ACK);
	}
	ck_assert_uint_eq(services[WEB].wary_until_ns, 0);
}
END_TEST

START_TEST(a_challenged_client_of_a_wary_service_is_handed_over)
{
	uint32_t n = (_i ? V6 : 0) + 1;

	syns_from(n, LIMIT);
	enter(SERVICE_WARY);
	n += LIMIT * PORT;
	syn_from(n);
	is_challenged();
	third_ack(n, decision.segment.seq);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	answer_from_server(n, TCP_SYN | TCP_ACK);
	ck_assert_int_eq(decision.act, ACT_TAKE_OVER);
	ck_assert_uint_eq(source_of(n)->half_open, LIMIT);
	ck_assert_uint_eq(source_of(n)->owed, 0);
	ck_assert_uint_eq(counted(OUTCOME_ACK_COOKIE_VALID), 1);
}
END_TEST

START_TEST(a_greedy_source_is_trusted_again_after_a_calm_span)
{
	syns_from(1, LIMIT);
	enter(SERVICE_WARY);
	end_all(1, LIMIT);
	ck_assert_uint_eq(source_of(1)->half_open, 0);
	now_ns += SPAN_S * NSEC_PER_SEC - 1;
	syn_from(1);
	is_challenged();
	ck_assert_uint_eq(services[WEB].wary_until_ns, now_ns + SPAN_S * NSEC_PER_SEC);
	now_ns++;
	syn_from(1);
	passes();
	ck_assert_int_eq(decision.trip, -1);
	ck_assert_uint_eq(source_of(1)->wary_since_s, 0);
}
END_TEST

START_TEST(the_service_is_wary_for_as_long_as_a_source_is_challenged)
{
	uint64_t until_ns;

	syns_from(1, LIMIT);
	enter(SERVICE_WARY);
	for (unsigned s = 0; s < 3 * SPAN_S; s++, now_ns += NSEC_PER_SEC) {
		for (unsigned i = 0; i < POLICY_OWED_CALM; i++) { /* no answer to any */
			syn_from(1 + LIMIT * PORT);
			is_challenged();
		}
		ck_assert_uint_eq(services[WEB].wary_until_ns, now_ns + SPAN_S * NSEC_PER_SEC);
	}
	until_ns = services[WEB].wary_until_ns;
	syn_from(2); /* others put nothing off */
	passes();
	ck_assert_uint_eq(services[WEB].wary_until_ns, until_ns);
}
END_TEST

/* 0: just not yet; 1: now. */
START_TEST(a_greedy_source_is_trusted_again_after_a_span_of_silence_whatever_it_owes)
{
	syns_from(1, LIMIT);
	enter(SERVICE_WARY);
	end_all(1, LIMIT);
	for (unsigned i = 0; i < 10 * POLICY_OWED_CALM; i++)
		syn_from(1);
	is_challenged();
	now_ns += 2 * SPAN_S * NSEC_PER_SEC - !_i;
	syn_from(1);
	if (_i)
		passes();
	else
		is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 10 * POLICY_OWED_CALM + !_i);
	ck_assert_int_eq(source_of(1)->wary_since_s == 0, _i);
}
END_TEST

/* A backlog of 128 arms at 64: a source gets half of that, whatever the policy would let it have. */
START_TEST(one_source_is_challenged_at_half_of_what_arms_the_service_and_does_not_arm_it)
{
	struct service_timing timing = {.hold_ns = NSEC_PER_SEC, .drain_ns = NSEC_PER_SEC};
	uint32_t load;

	guard.limits.policy.half_open_limit = _i ? 64 : 32;
	for (uint32_t port = 0; port < 32; port++) {
		ck_assert_int_eq(services[WEB].half_open, port);
		syn_from(1 + port * PORT);
		passes();
		ck_assert_int_eq(decision.trip, port < 31 ? -1 : WEB);
	}
	ck_assert_int_eq(service_next(&services[WEB], &timing, services[WEB].half_open, now_ns), SERVICE_WARY);
	enter(SERVICE_WARY);
	for (uint32_t port = 32; port < 1032; port++) {
		ck_assert_int_eq(explain(1), OUTCOME_SYN_SOURCE_CHALLENGED);
		syn_from(1 + port * PORT);
		is_challenged();
	}
	load = services[WEB].half_open + tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns);
	ck_assert_uint_eq(load, 32);
	ck_assert_int_eq(service_next(&services[WEB], &timing, load, now_ns), SERVICE_WARY);
	syn_from(2); /* the rest is others' */
	passes();
	ck_assert_int_eq(decision.trip, -1);
}
END_TEST

START_TEST(a_service_with_more_room_lets_a_source_have_what_the_policy_says)
{
	guard.limits.policy.half_open_limit = 64;
	service_set_limit(&services[WEB], 1024, &thresholds);
	syns_from(1, 63);
	ck_assert_int_eq(decision.trip, -1);
	enter(SERVICE_WARY);
	syn_from(1 + 63 * PORT);
	passes();
	syn_from(1 + 64 * PORT);
	is_challenged();
}
END_TEST

/* ---- what is load ---- */

static uint32_t unanswered(void)
{
	return tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns);
}

/* 0: the service is wary; 1: it is armed. */
START_TEST(cookies_of_a_wary_source_are_no_load)
{
	uint32_t cookie = 0;

	syns_from(1, LIMIT);
	enter(_i ? SERVICE_ARMED : SERVICE_WARY);
	for (uint32_t port = LIMIT; port < 100; port++)
		cookie = challenge(1 + port * PORT);
	ck_assert_uint_eq(guard.tallies[WEB].totals.cookies_sent, 100 - LIMIT);
	ck_assert_uint_eq(unanswered(), 0);
	enter(SERVICE_ARMED);
	for (uint32_t n = 2; n < 12; n++)
		challenge(n);
	ck_assert_uint_eq(unanswered(), 10);
	third_ack(1 + 99 * PORT, cookie);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	ck_assert_uint_eq(guard.tallies[WEB].totals.cookies_returned, 1);
	ck_assert_uint_eq(unanswered(), 10); /* it answers for no other */
	hand_over(12);
	ck_assert_uint_eq(unanswered(), 10);
}
END_TEST

START_TEST(a_cookie_whose_return_makes_its_source_wary_is_answered)
{
	guard.limits.policy.rate_per_s = 1;
	guard.limits.policy.rate_burst = 3;
	enter(SERVICE_ARMED);
	for (uint32_t port = 0; port < 4; port++) {
		guard_taken_over(&guard, begin_handover(1 + port * PORT), now_ns);
		ck_assert_uint_eq(unanswered(), 0);
		source_of(1)->proven_s = 0; /* so that it is challenged again */
	}
	ck_assert_uint_gt(source_of(1)->wary_since_s, 0); /* by the last one */
	guard_taken_over(&guard, begin_handover(1 + 4 * PORT), now_ns);
	ck_assert_uint_eq(unanswered(), 0);
	ck_assert_uint_eq(guard.tallies[WEB].totals.cookies_sent, 5);
	ck_assert_uint_eq(guard.tallies[WEB].totals.cookies_returned, 5);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 4);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 1);
}
END_TEST

/* It holds 40 with a service that lets it have 64; this one would let it have 32. */
START_TEST(what_a_source_holds_with_another_service_counts_by_the_limit_of_this_one)
{
	uint32_t cookie;

	guard.limits.policy.half_open_limit = 64;
	syn_from(1);
	first_ack_from(1, TCP_RST);
	source_of(1)->half_open = 40;
	enter(SERVICE_WARY);
	ck_assert_int_eq(explain(1), OUTCOME_SYN_SOURCE_CHALLENGED);
	cookie = challenge(1);
	enter(SERVICE_ARMED);
	challenge(2);
	third_ack(1, cookie);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	ck_assert_uint_eq(unanswered(), 1);

	source_of(1)->wary_since_s = START_NS / NSEC_PER_SEC;
	now_ns += SPAN_S * NSEC_PER_SEC;
	challenge(1 + PORT);
	ck_assert_uint_eq(source_of(1)->wary_since_s, now_ns / NSEC_PER_SEC); /* another span of it */
	source_of(1)->half_open = 31;
	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert_int_eq(explain(1), OUTCOME_SYN_CHALLENGED);
}
END_TEST

START_TEST(other_services_are_not_wary_of_a_source_that_is_greedy_at_one)
{
	struct segment syn = syn_of(1 + LIMIT * PORT);

	syns_from(1, LIMIT);
	enter(SERVICE_WARY);
	syn.destination_port = 25;
	offer(&syn);
	passes(); /* it is watching: no rule would bring us the third ACK */
	ck_assert_int_eq(decision.trip, -1);
	ck_assert_uint_eq(services[OLD].wary_until_ns, 0);
}
END_TEST

START_TEST(a_full_backlog_trips_a_wary_service)
{
	enter(SERVICE_WARY);
	services[WEB].half_open = 62;
	syn_from(1);
	ck_assert_int_eq(decision.trip, -1);
	syn_from(2);
	passes();
	ck_assert_int_eq(decision.trip, WEB);
}
END_TEST

START_TEST(a_greedy_source_trips_no_service_that_is_not_watching)
{
	enter((enum service_posture)_i);
	services[WEB].untracked = true; /* so that its SYNs pass */
	syns_from(1, LIMIT + 2);
	passes();
	ck_assert_uint_eq(source_of(1)->half_open, LIMIT + 2);
	ck_assert_int_eq(decision.trip, -1);
	ck_assert_uint_eq(services[WEB].wary_until_ns, now_ns + SPAN_S * NSEC_PER_SEC);
}
END_TEST

/* 0: its own doing, 1: others'. */
START_TEST(an_exempt_service_is_never_wary)
{
	services[WEB].exempt = true;
	services[WEB].patience = SERVICE_ARMS_NEVER;
	guard.limits.policy.rate_per_s = _i;
	for (uint32_t port = 0; port < 200; port++) {
		syn_from(1 + port * PORT);
		passes();
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(services[WEB].wary_until_ns, 0);
	ck_assert_uint_eq(source_of(1)->half_open, 200);
}
END_TEST

/* 0: it completes what it begins; 1: it lets it be reset; 2: it completes, but nobody observes. */
START_TEST(an_observer_trusts_a_source_again_that_completes_its_handshakes)
{
	bool calm = _i == 0;

	syns_from(1, LIMIT);
	end_all(1, LIMIT);
	enter(SERVICE_WARY);
	guard.limits.observe = true;
	for (uint32_t port = 0; port < 10 * POLICY_OWED_CALM; port++) {
		syn_from(1 + port * PORT);
		passes();
		guard.limits.observe = _i != 2;
		first_ack_from(1 + port * PORT, _i == 1 ? TCP_RST : TCP_ACK);
		guard.limits.observe = true;
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 10 * POLICY_OWED_CALM);
	ck_assert_uint_eq(source_of(1)->owed, calm ? 0 : 10 * POLICY_OWED_CALM);

	now_ns += SPAN_S * NSEC_PER_SEC;
	syn_from(1);
	passes();
	ck_assert_int_eq(source_of(1)->wary_since_s == 0, calm);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 10 * POLICY_OWED_CALM + !calm);
}
END_TEST

static void same_but_for_syns(const struct source *source, struct source before)
{
	before.syns = source->syns;
	ck_assert_mem_eq(source, &before, sizeof(before));
}

START_TEST(retransmitted_syns_change_nothing_but_their_count)
{
	struct source before;

	guard.limits.policy.rate_per_s = 1;
	guard.limits.policy.rate_burst = 100;
	syns_from(1, LIMIT - 1);
	before = *source_of(1);
	for (unsigned posture = 0; posture < POSTURES; posture++) {
		enter((enum service_posture)posture);
		for (unsigned i = 0; i < 200; i++) {
			syn_from(1 + i % (LIMIT - 1) * PORT);
			passes();
			ck_assert_int_eq(decision.trip, -1);
		}
		same_but_for_syns(source_of(1), before);
	}
	ck_assert_uint_eq(source_of(1)->syns, LIMIT - 1 + POSTURES * 200);
	ck_assert_uint_eq(services[WEB].half_open, LIMIT - 1);
	ck_assert_uint_eq(services[WEB].wary_until_ns, 0);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RETRANSMITTED), POSTURES * 200);
	ck_assert_uint_eq(counted(OUTCOME_SYN_ACCEPTED), LIMIT - 1);
}
END_TEST

START_TEST(a_wary_sources_handshakes_under_way_go_on_with_the_kernel)
{
	syns_from(1, LIMIT);
	for (unsigned posture = SERVICE_WARY; posture < POSTURES; posture++) {
		enter((enum service_posture)posture);
		syns_from(1, LIMIT);
		passes();
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_RETRANSMITTED), 3 * LIMIT);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 0);
}
END_TEST

START_TEST(a_wary_source_passes_where_a_cookie_would_not_work)
{
	struct segment syn = syn_of(1 + LIMIT * PORT);

	syns_from(1, LIMIT);
	enter(SERVICE_WARY);
	switch (_i) {
	case 0:
		guard_cookies_fail(&guard, now_ns);
		break;
	case 1:
		services[WEB].untracked = true;
		break;
	}
	offer(&syn);
	passes();
	ck_assert_uint_eq(counted(OUTCOME_SYN_ACCEPTED), LIMIT + 1);
}
END_TEST

START_TEST(connections_beyond_the_rate_make_a_source_wary_in_peace)
{
	guard.limits.policy.rate_per_s = 10;
	guard.limits.policy.rate_burst = 3;
	for (uint32_t port = 0; port < 3; port++) {
		prove(1 + port * PORT);
		ck_assert_int_eq(decision.trip, -1);
	}
	now_ns += 100 * NSEC_PER_MSEC;
	prove(1 + 3 * PORT); /* the next is due */
	ck_assert_uint_eq(source_of(1)->wary_since_s, 0);
	syn_from(1 + 4 * PORT);
	passes();
	ck_assert_int_eq(decision.trip, WEB);
	enter(SERVICE_WARY);
	syn_from(1 + 5 * PORT);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 1);
}
END_TEST

/* ---- a source that is proven ---- */

START_TEST(a_proven_source_goes_direct_up_to_its_budget)
{
	prove(1);
	enter(SERVICE_ARMED);
	for (uint32_t port = 0; port < DIRECT; port++) {
		syn_from(1 + port * PORT);
		passes();
		ck_assert_int_eq(decision.trip, -1);
	}
	syn_from(1 + DIRECT * PORT);
	is_challenged();
	syn_from(2);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), DIRECT);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 2);
	ck_assert_uint_eq(services[WEB].half_open, DIRECT);
	ck_assert_uint_eq(source_of(1)->half_open, DIRECT);

	first_ack_from(1, TCP_ACK); /* the first is done: there is room for another */
	syn_from(1 + DIRECT * PORT);
	passes();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), DIRECT + 1);
}
END_TEST

START_TEST(direct_handshakes_are_watched_like_others)
{
	prove(1);
	enter(SERVICE_ARMED);
	syn_from(1);
	syn_from(1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RETRANSMITTED), 1);
	now_ns += TIMEOUT_S * NSEC_PER_SEC;
	due();
	ck_assert_uint_eq(services[WEB].half_open, 0);
	ck_assert_uint_eq(source_of(1)->half_open, 0);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_EXPIRED), 1);
}
END_TEST

START_TEST(a_proven_source_is_challenged_when_the_service_has_no_room)
{
	prove(1);
	enter(SERVICE_ARMED);
	services[WEB].half_open = 107;
	syn_from(1);
	passes();
	syn_from(1 + PORT);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
	services[WEB].half_open--;
	syn_from(1 + PORT);
	passes();
}
END_TEST

/* 107 of 108, where a crowd would arm, are held by then: half-open with us, with the kernel, or begun since it was
 * asked. */
START_TEST(the_larger_of_what_we_and_the_kernel_know_counts_against_the_room)
{
	static const struct {
		uint32_t half_open, kernel_held;
		int32_t begun_since;
	} held[] = {{107, 0, 0}, {0, 107, 0}, {0, 0, 107}, {0, 100, 7}, {107, 107, 0}, {107, 60, 40}, {0, 120, -13}};

	prove(1);
	enter(SERVICE_ARMED);
	services[WEB].half_open = held[_i].half_open;
	services[WEB].kernel_held = held[_i].kernel_held;
	services[WEB].begun_since = held[_i].begun_since;
	ck_assert_int_eq(explain(1), OUTCOME_SYN_DIRECT);
	syn_from(1);
	passes();
	ck_assert_int_eq(explain(1), OUTCOME_SYN_CHALLENGED);
	syn_from(1 + PORT);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 1);
}
END_TEST

/* What we give up on after a while the kernel may hold for longer. */
START_TEST(what_clients_end_gives_room_and_what_expires_does_not_until_the_kernel_is_asked)
{
	prove(1);
	services[WEB].begun_since = 0;
	syn_from(2);
	syn_from(3);
	syn_from(3); /* repeated */
	syn_from(4);
	ck_assert_int_eq(services[WEB].begun_since, 3);
	first_ack_from(2, TCP_ACK);
	ck_assert_int_eq(services[WEB].begun_since, 2);
	first_ack_from(3, TCP_RST);
	ck_assert_int_eq(services[WEB].begun_since, 1);
	now_ns += (TIMEOUT_S + 1) * NSEC_PER_SEC;
	while (due())
		;
	ck_assert_uint_eq(services[WEB].half_open, 0);
	ck_assert_int_eq(services[WEB].begun_since, 1);
	ck_assert_uint_eq(service_held(&services[WEB]), 1);
	ck_assert_int_eq(services[OLD].begun_since, 0);
}
END_TEST

START_TEST(what_the_kernel_holds_is_never_less_than_nothing)
{
	services[WEB].half_open = 0;
	services[WEB].kernel_held = 3;
	services[WEB].begun_since = -5;
	ck_assert_uint_eq(service_held(&services[WEB]), 0);
}
END_TEST

/* It is room for proven sources alone: no SYN is challenged for it in peace. */
START_TEST(what_the_kernel_holds_neither_trips_nor_challenges)
{
	services[WEB].kernel_held = 1000;
	for (unsigned posture = 0; posture < POSTURES; posture++) {
		enter((enum service_posture)posture);
		syn_from(1 + posture);
		if (posture == SERVICE_ARMED)
			is_challenged();
		else
			passes();
		ck_assert_int_eq(decision.trip, -1);
	}
}
END_TEST

/* cookies = always */
START_TEST(where_everybody_gets_a_cookie_a_proven_source_does_too)
{
	prove(1);
	services[WEB].everybody = true;
	enter(SERVICE_ARMED);
	ck_assert_int_eq(explain(1), OUTCOME_SYN_CHALLENGED);
	syn_from(1);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 1);
	hand_over(1);
	syn_from(1 + PORT); /* as often as it comes */
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 0);

	services[WEB].everybody = false;
	ck_assert_int_eq(explain(1), OUTCOME_SYN_DIRECT);
	syn_from(1 + PORT);
	passes();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
}
END_TEST

/* Until it is armed, and while it cannot be. */
START_TEST(where_everybody_gets_a_cookie_nobody_does_without_rules_that_honour_it)
{
	services[WEB].everybody = true;
	prove(2);
	for (uint32_t n = 1; n <= 2; n++) {
		enter(SERVICE_WATCHING);
		syn_from(n);
		passes();
		enter(SERVICE_ARMED);
		guard_cookies_fail(&guard, now_ns);
		syn_from(n + PORT);
		passes();
		guard.cookies_fail_until_ns = 0;
	}
}
END_TEST

START_TEST(a_handshake_proves_for_exactly_its_time)
{
	prove(1);
	enter(SERVICE_ARMED);
	now_ns += PROVEN_S * NSEC_PER_SEC - 1;
	syn_from(1);
	passes();
	now_ns++;
	syn_from(1 + PORT);
	is_challenged();
}
END_TEST

START_TEST(a_proven_source_that_is_wary_is_challenged_on_its_own_account)
{
	prove(1);
	syns_from(1, LIMIT);
	end_all(1, LIMIT);
	enter(SERVICE_ARMED);
	syn_from(1);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 1);
	now_ns += SPAN_S * NSEC_PER_SEC;
	syn_from(1);
	passes();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
}
END_TEST

START_TEST(connections_beyond_the_rate_end_the_direct_way)
{
	guard.limits.policy.rate_per_s = 10;
	guard.limits.policy.rate_burst = 2;
	prove(1);
	enter(SERVICE_ARMED);
	for (uint32_t port = 0; port < 2; port++) {
		syn_from(1 + port * PORT);
		passes();
		first_ack_from(1 + port * PORT, TCP_ACK);
	}
	syn_from(1 + 2 * PORT);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 1);
}
END_TEST

/* An ACK; but no RST, no SYN that conntrack does not see, and no timeout. */
START_TEST(an_ack_alone_ends_a_handshake_so_that_it_proves_its_source)
{
	static const uint8_t flags[] = {TCP_ACK, TCP_RST, TCP_SYN};

	syn_from(1);
	if (_i < 3) {
		first_ack_from(1, flags[_i]);
	} else {
		now_ns += TIMEOUT_S * NSEC_PER_SEC;
		due();
	}
	ck_assert_uint_eq(source_of(1)->half_open, 0);
	ck_assert_uint_eq(source_of(1)->completed, _i == 0);
	ck_assert_uint_eq(source_of(1)->proven_s, _i == 0 ? START_NS / NSEC_PER_SEC : 0);
	enter(SERVICE_ARMED);
	syn_from(1 + PORT);
	ck_assert_int_eq(decision.act, _i == 0 ? ACT_PASS : ACT_DROP);
}
END_TEST

START_TEST(a_returned_cookie_proves_its_source)
{
	uint32_t n = (_i ? V6 : 0) + 1;

	enter(SERVICE_ARMED);
	hand_over(n);
	ck_assert_uint_eq(source_of(n)->completed, 1);
	ck_assert_uint_eq(source_of(n)->proven_s, START_NS / NSEC_PER_SEC);
	syn_from(n + PORT);
	passes();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
}
END_TEST

START_TEST(an_ack_without_a_valid_cookie_proves_nothing)
{
	enter(SERVICE_ARMED);
	third_ack(1, challenge(1) + 1);
	decided(ACT_PASS, TREAT_UNPROVEN, SEND_NOTHING);
	ck_assert_uint_eq(source_of(1)->completed, 0);
	third_ack(2, 0x12345678);
	ck_assert_ptr_null(source_of(2));
	syn_from(1 + PORT);
	is_challenged();
}
END_TEST

/* An armed service that knows nothing of its server learns by SYNs that it would challenge. */
START_TEST(a_syn_to_learn_from_is_counted_against_its_source)
{
	services[WEB].learned[0] = 0;
	guard.learn_at_ns[WEB][0] = 0;
	enter(SERVICE_ARMED);
	for (uint32_t port = 0; port < LIMIT; port++, now_ns += LEARN_NEW_NS) {
		syn_from(1 + port * PORT);
		decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_TO_LEARN), LIMIT);
	ck_assert_uint_eq(source_of(1)->half_open, LIMIT);
	ck_assert_uint_eq(source_of(1)->challenged, 0);
	ck_assert_uint_gt(source_of(1)->wary_since_s, 0);
}
END_TEST

START_TEST(a_greedy_source_in_a_capped_network_is_left_without_an_answer)
{
	cap_init(guard.replies, 1, &key, now_ns);
	syns_from(1, LIMIT);
	enter(SERVICE_WARY);
	syn_from(1 + LIMIT * PORT);
	is_challenged();
	syn_from(1 + LIMIT * PORT);
	decided(ACT_DROP, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_int_eq(decision.trip, -1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CAPPED), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 1);
}
END_TEST

/* 0: wary, on its own account; 1: armed. */
START_TEST(a_source_owes_no_cookie_that_was_not_sent)
{
	cap_init(guard.replies, 1, &key, now_ns);
	syns_from(1, LIMIT);
	end_all(1, LIMIT);
	enter(_i ? SERVICE_ARMED : SERVICE_WARY);
	syn_from(1);
	is_challenged();
	for (unsigned i = 0; i < 10 * POLICY_OWED_CALM; i++) {
		syn_from(1);
		decided(ACT_DROP, TREAT_PLAIN, SEND_NOTHING);
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_CAPPED), 10 * POLICY_OWED_CALM);
	ck_assert_uint_eq(source_of(1)->challenged, 1);
	ck_assert_uint_eq(source_of(1)->owed, 1);
	ck_assert_uint_eq(guard.tallies[WEB].totals.cookies_sent, 1);
	ck_assert_uint_eq(services[WEB].wary_until_ns, now_ns + SPAN_S * NSEC_PER_SEC);

	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert(!policy_wary(&guard.limits.policy, source_of(1), LIMIT, now_ns));
}
END_TEST

/* ---- all together ---- */

/* Client 1 is new, 2 proven, 3 wary, 4 at its limit, 5 proven and wary. */
static void five_clients(void)
{
	prove(2);
	syns_from(3, LIMIT);
	end_all(3, LIMIT);
	syns_from(4, LIMIT);
	prove(5);
	syns_from(5, LIMIT);
	end_all(5, LIMIT);
}

static const enum outcome outcomes[6][POSTURES] = {
	[1] = {OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_CHALLENGED, OUTCOME_SYN_ACCEPTED},
	[2] = {OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_DIRECT, OUTCOME_SYN_ACCEPTED},
	[3] = {OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_SOURCE_CHALLENGED, OUTCOME_SYN_SOURCE_CHALLENGED,
	       OUTCOME_SYN_SOURCE_CHALLENGED},
	[4] = {OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_SOURCE_CHALLENGED, OUTCOME_SYN_SOURCE_CHALLENGED,
	       OUTCOME_SYN_SOURCE_CHALLENGED},
	[5] = {OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_SOURCE_CHALLENGED, OUTCOME_SYN_SOURCE_CHALLENGED,
	       OUTCOME_SYN_SOURCE_CHALLENGED},
};

/* In each posture, of each client. */
START_TEST(an_observer_counts_each_outcome_and_neither_sends_nor_drops)
{
	uint32_t n = 1 + (uint32_t)_i / POSTURES;
	unsigned posture = (unsigned)_i % POSTURES;
	uint64_t before;

	five_clients();
	guard.limits.observe = true;
	cap_init(guard.replies, 1, &key, now_ns);
	enter((enum service_posture)posture);
	before = counted(outcomes[n][posture]);
	for (uint32_t port = 100; port < 110; port++) {
		uint32_t half_open = services[WEB].half_open;

		syn_from(n + port * PORT);
		passes();
		ck_assert(!decision.drop_held && !decision.forget_flow && !decision.ban);
		ck_assert_uint_eq(services[WEB].half_open, half_open + 1);
		first_ack_from(n + port * PORT, TCP_RST);
		decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
		ck_assert_uint_eq(services[WEB].half_open, half_open);
	}
	ck_assert_uint_eq(counted(outcomes[n][posture]), before + 10);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CAPPED), 0);
	ck_assert_uint_eq(tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns), 0);
}
END_TEST

START_TEST(an_exempt_service_challenges_nobody_in_any_posture)
{
	uint32_t n = 1 + (uint32_t)_i / POSTURES;
	unsigned posture = (unsigned)_i % POSTURES;
	uint64_t until_ns, before;

	five_clients();
	services[WEB].exempt = true;
	services[WEB].patience = SERVICE_ARMS_NEVER;
	enter((enum service_posture)posture);
	until_ns = services[WEB].wary_until_ns;
	before = counted(OUTCOME_SYN_ACCEPTED);
	now_ns += NSEC_PER_SEC;
	for (uint32_t port = 100; port < 200; port++) {
		ck_assert_int_eq(explain(n), OUTCOME_SYN_ACCEPTED);
		syn_from(n + port * PORT);
		passes();
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_ACCEPTED), before + 100);
	ck_assert_uint_eq(services[WEB].wary_until_ns, until_ns);
}
END_TEST

START_TEST(an_exempt_service_honours_the_cookies_of_before)
{
	uint32_t cookie;

	enter(SERVICE_ARMED);
	cookie = challenge(1);
	services[WEB].exempt = true;
	enter(SERVICE_DRAINING);
	third_ack(1, cookie);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
}
END_TEST

/* As the table says, and with cookies that cannot be sent (1) or not be honoured (2). */
START_TEST(what_is_explained_is_what_happens)
{
	uint32_t n = 1 + (uint32_t)_i / POSTURES;
	unsigned posture = (unsigned)_i % POSTURES;

	five_clients();
	for (unsigned off = 0; off < 3; off++) {
		enum outcome expected = off ? OUTCOME_SYN_ACCEPTED : outcomes[n][posture];
		enum outcome explained;
		uint64_t before = counted(expected);

		enter((enum service_posture)posture);
		guard.cookies_fail_until_ns = off == 1 ? now_ns + 1 : 0;
		services[WEB].untracked = off == 2;
		explained = explain(n);
		ck_assert_int_eq(explained, expected);
		syn_from(n + (100 + off) * PORT);
		ck_assert_uint_eq(counted(expected), before + 1);
		first_ack_from(n + (100 + off) * PORT, TCP_RST);
	}
}
END_TEST

static const enum outcome syn_outcomes[] = {
	OUTCOME_SYN_ACCEPTED,          OUTCOME_SYN_RETRANSMITTED, OUTCOME_SYN_DIRECT,   OUTCOME_SYN_CHALLENGED,
	OUTCOME_SYN_SOURCE_CHALLENGED, OUTCOME_SYN_CAPPED,        OUTCOME_SYN_TO_LEARN,
};
#define SYN_OUTCOMES (sizeof(syn_outcomes) / sizeof(syn_outcomes[0]))

/* Which of them went up, by one, since `before`. */
static enum outcome counted_since(const uint64_t before[OUTCOME_COUNT])
{
	enum outcome outcome = OUTCOME_COUNT;

	for (unsigned i = 0; i < SYN_OUTCOMES; i++) {
		uint64_t more = counted(syn_outcomes[i]) - before[syn_outcomes[i]];

		must(more == 0 || (more == 1 && outcome == OUTCOME_COUNT));
		if (more)
			outcome = syn_outcomes[i];
	}
	return outcome;
}

/* What the supervisor and the rest of the world do. */
static void world_turns(uint64_t *seed)
{
	now_ns +=
		random_below(seed, 50) ? random_below(seed, 5) * NSEC_PER_MSEC : random_below(seed, 12) * NSEC_PER_SEC;
	if (random_below(seed, 50) == 0)
		enter((enum service_posture)random_below(seed, POSTURES));
	if (random_below(seed, 300) == 0)
		guard_cookies_fail(&guard, now_ns);
	services[WEB].untracked = random_below(seed, 300) == 0;
	services[WEB].exempt = random_below(seed, 300) == 0;
	if (random_below(seed, 100) == 0)
		services[WEB].everybody = !services[WEB].everybody;
	if (random_below(seed, 50) == 0) {
		services[WEB].kernel_held = services[WEB].half_open;
		services[WEB].begun_since = 0;
	}
	guard.limits.observe = random_below(seed, 10) == 0;
	while (due())
		guard_let_go(&guard, decision.splice);
}

static void client_goes_on(uint64_t *seed, uint32_t n)
{
	if (decision.send == SEND_TO_CLIENT && random_below(seed, 2))
		third_ack(n, decision.segment.seq);
	else if (decision.act == ACT_PASS && random_below(seed, 2))
		first_ack_from(n, random_below(seed, 4) ? TCP_ACK : TCP_RST);
}

/* Each SYN has one outcome, the explained one, and to explain it changes nothing. */
START_TEST(over_a_long_random_life_what_is_foretold_happens_and_each_syn_counts_once)
{
	uint64_t before[OUTCOME_COUNT], seed = 77, sum = 0;

	guard.limits.policy.rate_per_s = 20;
	guard.limits.policy.rate_burst = 10;
	cap_init(guard.replies, 40, &key, now_ns);
	for (unsigned i = 0; i < 50000; i++) {
		uint32_t n = random_below(&seed, 12) + random_below(&seed, 40) * PORT;
		struct segment syn = syn_of(n);
		struct flow flow = flow_from_client(&syn);
		bool begun = halfopen_find(guard.halfopen, &flow);
		struct source *source = source_of(n), noted = source ? *source : (struct source){.syns = 0};
		enum outcome explained = explain(n), outcome;
		bool challenged;

		must(!source || memcmp(source, &noted, sizeof(noted)) == 0);
		memcpy(before, guard.counters, sizeof(before));
		challenged = guard_challenges(&guard, &syn, now_ns);
		offer(&syn);
		outcome = counted_since(before);
		must(challenged == (decision.send == SEND_TO_CLIENT || outcome == OUTCOME_SYN_CAPPED));
		must(begun ? outcome == OUTCOME_SYN_RETRANSMITTED
			   : outcome == explained || (outcome == OUTCOME_SYN_CAPPED && !guard.limits.observe &&
						      (explained == OUTCOME_SYN_CHALLENGED ||
						       explained == OUTCOME_SYN_SOURCE_CHALLENGED)));
		must((decision.act == ACT_PASS) ==
		     (guard.limits.observe || outcome == OUTCOME_SYN_ACCEPTED || outcome == OUTCOME_SYN_DIRECT ||
		      outcome == OUTCOME_SYN_RETRANSMITTED));
		must((decision.send == SEND_TO_CLIENT) == (decision.act == ACT_DROP && outcome != OUTCOME_SYN_CAPPED));
		must(services[WEB].half_open == halfopen_count(guard.halfopen));
		client_goes_on(&seed, n);
		world_turns(&seed);
	}
	for (unsigned i = 0; i < SYN_OUTCOMES; i++) {
		ck_assert(syn_outcomes[i] == OUTCOME_SYN_TO_LEARN || counted(syn_outcomes[i]) > 100);
		sum += counted(syn_outcomes[i]);
	}
	ck_assert_uint_eq(sum, 50000);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RECEIVED), 50000);
}
END_TEST

static Suite *guard_policy_suite(void)
{
	Suite *suite = suite_create("guard_policy");
	TCase *wary = tcase_create("wary");
	TCase *proven = tcase_create("proven");
	TCase *all = tcase_create("all");

	suite_add_tcase(suite, wary);
	tcase_add_checked_fixture(wary, guard_make_policy, guard_drop);
	tcase_add_test(wary, a_source_at_its_limit_trips_the_service_and_is_challenged_while_others_pass);
	tcase_add_test(wary, until_the_service_is_wary_each_syn_of_a_greedy_source_asks_for_it);
	tcase_add_test(wary, completed_handshakes_make_no_source_greedy);
	tcase_add_loop_test(wary, a_challenged_client_of_a_wary_service_is_handed_over, 0, 2);
	tcase_add_test(wary, a_greedy_source_is_trusted_again_after_a_calm_span);
	tcase_add_loop_test(wary, a_greedy_source_is_trusted_again_after_a_span_of_silence_whatever_it_owes, 0, 2);
	tcase_add_loop_test(wary, one_source_is_challenged_at_half_of_what_arms_the_service_and_does_not_arm_it, 0, 2);
	tcase_add_test(wary, a_service_with_more_room_lets_a_source_have_what_the_policy_says);
	tcase_add_loop_test(wary, cookies_of_a_wary_source_are_no_load, 0, 2);
	tcase_add_test(wary, what_a_source_holds_with_another_service_counts_by_the_limit_of_this_one);
	tcase_add_test(wary, a_cookie_whose_return_makes_its_source_wary_is_answered);
	tcase_add_test(wary, the_service_is_wary_for_as_long_as_a_source_is_challenged);
	tcase_add_test(wary, other_services_are_not_wary_of_a_source_that_is_greedy_at_one);
	tcase_add_test(wary, a_full_backlog_trips_a_wary_service);
	tcase_add_loop_test(wary, a_greedy_source_trips_no_service_that_is_not_watching, SERVICE_WARY, POSTURES);
	tcase_add_loop_test(wary, an_exempt_service_is_never_wary, 0, 2);
	tcase_add_test(wary, retransmitted_syns_change_nothing_but_their_count);
	tcase_add_test(wary, a_wary_sources_handshakes_under_way_go_on_with_the_kernel);
	tcase_add_loop_test(wary, a_wary_source_passes_where_a_cookie_would_not_work, 0, 2);
	tcase_add_test(wary, connections_beyond_the_rate_make_a_source_wary_in_peace);
	tcase_add_test(wary, a_greedy_source_in_a_capped_network_is_left_without_an_answer);
	tcase_add_loop_test(wary, a_source_owes_no_cookie_that_was_not_sent, 0, 2);
	tcase_add_loop_test(wary, an_observer_trusts_a_source_again_that_completes_its_handshakes, 0, 3);

	suite_add_tcase(suite, proven);
	tcase_add_checked_fixture(proven, guard_make_policy, guard_drop);
	tcase_add_test(proven, a_proven_source_goes_direct_up_to_its_budget);
	tcase_add_test(proven, direct_handshakes_are_watched_like_others);
	tcase_add_test(proven, a_proven_source_is_challenged_when_the_service_has_no_room);
	tcase_add_loop_test(proven, the_larger_of_what_we_and_the_kernel_know_counts_against_the_room, 0, 7);
	tcase_add_test(proven, what_clients_end_gives_room_and_what_expires_does_not_until_the_kernel_is_asked);
	tcase_add_test(proven, what_the_kernel_holds_is_never_less_than_nothing);
	tcase_add_test(proven, what_the_kernel_holds_neither_trips_nor_challenges);
	tcase_add_test(proven, where_everybody_gets_a_cookie_a_proven_source_does_too);
	tcase_add_test(proven, where_everybody_gets_a_cookie_nobody_does_without_rules_that_honour_it);
	tcase_add_test(proven, a_handshake_proves_for_exactly_its_time);
	tcase_add_test(proven, a_proven_source_that_is_wary_is_challenged_on_its_own_account);
	tcase_add_test(proven, connections_beyond_the_rate_end_the_direct_way);
	tcase_add_loop_test(proven, an_ack_alone_ends_a_handshake_so_that_it_proves_its_source, 0, 4);
	tcase_add_loop_test(proven, a_returned_cookie_proves_its_source, 0, 2);
	tcase_add_test(proven, an_ack_without_a_valid_cookie_proves_nothing);
	tcase_add_test(proven, a_syn_to_learn_from_is_counted_against_its_source);

	suite_add_tcase(suite, all);
	tcase_add_checked_fixture(all, guard_make_policy, guard_drop);
	tcase_add_loop_test(all, an_observer_counts_each_outcome_and_neither_sends_nor_drops, 0, 5 * POSTURES);
	tcase_add_loop_test(all, an_exempt_service_challenges_nobody_in_any_posture, 0, 5 * POSTURES);
	tcase_add_test(all, an_exempt_service_honours_the_cookies_of_before);
	tcase_add_loop_test(all, what_is_explained_is_what_happens, 0, 5 * POSTURES);
	tcase_add_test(all, over_a_long_random_life_what_is_foretold_happens_and_each_syn_counts_once);
	return suite;
}

int main(void)
{
	return unit_main(guard_policy_suite());
}
