/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard and its policy: what becomes of the SYNs of one source when it holds too much. */
#include "guard_sources.h"

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

static Suite *guard_wary_suite(void)
{
	Suite *suite = suite_create("guard_wary");
	TCase *wary = tcase_create("wary");

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
	return suite;
}

int main(void)
{
	return unit_main(guard_wary_suite());
}
