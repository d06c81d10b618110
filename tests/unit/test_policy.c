/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_source.h"

/* ---- the ladder ---- */

enum seen {
	NEVER_SEEN,
	SEEN,
	PROVEN,
	PROVEN_AT_BUDGET,
	WARY,
	WARY_AND_PROVEN,
	AT_LIMIT,
	AT_LIMIT_AND_PROVEN,
	SEEN_KINDS,
};

static const struct source *source_seen(enum seen seen)
{
	static const struct source kinds[SEEN_KINDS] = {
		[PROVEN] = {.proven_s = START_S, .half_open = DIRECT - 1},
		[PROVEN_AT_BUDGET] = {.proven_s = START_S, .half_open = DIRECT},
		[WARY] = {.wary_since_s = START_S},
		[WARY_AND_PROVEN] = {.wary_since_s = START_S, .proven_s = START_S},
		[AT_LIMIT] = {.half_open = LIMIT},
		[AT_LIMIT_AND_PROVEN] = {.half_open = LIMIT, .proven_s = START_S},
	};

	return seen == NEVER_SEEN ? NULL : &kinds[seen];
}

#define PASS OUTCOME_SYN_ACCEPTED
#define DIRECTLY OUTCOME_SYN_DIRECT
#define ALL OUTCOME_SYN_CHALLENGED
#define ITSELF OUTCOME_SYN_SOURCE_CHALLENGED

static const struct {
	enum seen seen;
	bool room;
	enum outcome outcomes[SERVICE_POSTURES]; /* watching, wary, armed, draining */
} ladder[] = {
	{NEVER_SEEN, true, {PASS, PASS, ALL, PASS}},
	{NEVER_SEEN, false, {PASS, PASS, ALL, PASS}},
	{SEEN, true, {PASS, PASS, ALL, PASS}},
	{SEEN, false, {PASS, PASS, ALL, PASS}},
	{PROVEN, true, {PASS, PASS, DIRECTLY, PASS}},
	{PROVEN, false, {PASS, PASS, ALL, PASS}},
	{PROVEN_AT_BUDGET, true, {PASS, PASS, ALL, PASS}},
	{PROVEN_AT_BUDGET, false, {PASS, PASS, ALL, PASS}},
	{WARY, true, {PASS, ITSELF, ITSELF, ITSELF}},
	{WARY, false, {PASS, ITSELF, ITSELF, ITSELF}},
	{WARY_AND_PROVEN, true, {PASS, ITSELF, ITSELF, ITSELF}},
	{WARY_AND_PROVEN, false, {PASS, ITSELF, ITSELF, ITSELF}},
	{AT_LIMIT, true, {PASS, ITSELF, ITSELF, ITSELF}},
	{AT_LIMIT, false, {PASS, ITSELF, ITSELF, ITSELF}},
	{AT_LIMIT_AND_PROVEN, true, {PASS, ITSELF, ITSELF, ITSELF}},
	{AT_LIMIT_AND_PROVEN, false, {PASS, ITSELF, ITSELF, ITSELF}},
};
#define LADDER_ROWS ((int)(sizeof(ladder) / sizeof(ladder[0])))

static struct policy_syn syn_of_row(int row, unsigned posture)
{
	return (struct policy_syn){
		.source = source_seen(ladder[row].seen),
		.half_open_limit = limit,
		.posture = (enum service_posture)posture,
		.room = ladder[row].room,
	};
}

START_TEST(each_source_gets_its_outcome_in_each_posture)
{
	for (unsigned posture = 0; posture < SERVICE_POSTURES; posture++) {
		struct policy_syn syn = syn_of_row(_i, posture);

		ck_assert_int_eq(policy_syn(&policy, &syn, now_ns), ladder[_i].outcomes[posture]);
	}
}
END_TEST

/* Either, or both. */
START_TEST(what_needs_no_cookie_or_cannot_have_one_passes)
{
	for (unsigned posture = 0; posture < SERVICE_POSTURES; posture++) {
		for (unsigned why = 1; why < 4; why++) {
			struct policy_syn syn = syn_of_row(_i, posture);

			syn.begun = why & 1;
			syn.cookies_off = why & 2;
			ck_assert_int_eq(policy_syn(&policy, &syn, now_ns), OUTCOME_SYN_ACCEPTED);
		}
	}
}
END_TEST

START_TEST(a_proven_source_passes_up_to_its_budget)
{
	struct policy_syn syn = {.source = &source, .posture = SERVICE_ARMED, .room = true};

	limit = 0;
	source.proven_s = START_S;
	for (source.half_open = 0; source.half_open < DIRECT; source.half_open++)
		ck_assert_int_eq(policy_syn(&policy, &syn, now_ns), OUTCOME_SYN_DIRECT);
	ck_assert_int_eq(policy_syn(&policy, &syn, now_ns), OUTCOME_SYN_CHALLENGED);
	source.half_open = UINT32_MAX;
	ck_assert_int_eq(policy_syn(&policy, &syn, now_ns), OUTCOME_SYN_CHALLENGED);
	policy.direct_half_open = 0;
	source.half_open = 0;
	ck_assert_int_eq(policy_syn(&policy, &syn, now_ns), OUTCOME_SYN_CHALLENGED);
}
END_TEST

/* ---- proven ---- */

START_TEST(a_handshake_proves_its_source_for_exactly_its_time)
{
	ck_assert(!proven());
	source.proven_s = START_S;
	ck_assert(proven());
	now_ns += PROVEN_S * NSEC_PER_SEC - 1;
	ck_assert(proven());
	now_ns++;
	ck_assert(!proven());
}
END_TEST

START_TEST(with_a_time_of_0_no_handshake_proves_anything)
{
	policy.proven_s = 0;
	source.proven_s = START_S;
	ck_assert(!proven());
	now_ns -= NSEC_PER_SEC;
	ck_assert(!proven());
}
END_TEST

START_TEST(a_clock_set_back_leaves_a_proven_source_proven)
{
	source.proven_s = START_S;
	now_ns = 0;
	ck_assert(proven());
	now_ns = START_NS + 3600 * NSEC_PER_SEC;
	ck_assert(!proven());
}
END_TEST

/* ---- wary ---- */

START_TEST(a_source_is_wary_at_exactly_its_limit)
{
	source.half_open = LIMIT - 1;
	ck_assert(!wary());
	ck_assert(!passed());
	ck_assert(!wary());
	source.half_open = LIMIT;
	ck_assert(wary());
	ck_assert(passed());
	ck_assert_uint_eq(source.wary_since_s, START_S);
	source.half_open = UINT32_MAX;
	ck_assert(wary());
	ck_assert(passed());
}
END_TEST

START_TEST(without_a_limit_a_source_may_hold_any_number)
{
	limit = 0;
	source.half_open = UINT32_MAX;
	ck_assert(!wary());
	ck_assert(!passed());
	ck_assert_uint_eq(source.wary_since_s, 0);
}
END_TEST

START_TEST(a_wary_source_stays_so_when_it_holds_less_until_the_span_is_over)
{
	become_wary();
	ck_assert(wary());
	ck_assert(passed());
	now_ns += SPAN_S * NSEC_PER_SEC - 1;
	ck_assert(wary());
	ck_assert(passed());
	now_ns++;
	ck_assert(!wary());
	ck_assert(!passed());
	ck_assert_uint_eq(source.wary_since_s, 0);
}
END_TEST

/* A span begins with the second in which its source became wary. */
START_TEST(a_span_is_of_whole_seconds)
{
	now_ns += NSEC_PER_SEC - 1;
	become_wary();
	now_ns = START_NS + SPAN_S * NSEC_PER_SEC - 1;
	ck_assert(wary());
	now_ns++;
	ck_assert(!wary());
}
END_TEST

START_TEST(a_source_that_still_holds_too_many_is_wary_after_any_span)
{
	become_wary();
	now_ns += SPAN_S * NSEC_PER_SEC;
	source.half_open = LIMIT;
	ck_assert(wary());
	ck_assert(passed());
	challenged(1);
	ck_assert_uint_eq(source.wary_since_s, START_S + SPAN_S);
	source.half_open = 0;
	now_ns += SPAN_S * NSEC_PER_SEC - 1;
	ck_assert(wary());
	now_ns++;
	ck_assert(!wary());
}
END_TEST

/* 0: one less than the calm number, 1: that. */
START_TEST(a_few_unanswered_cookies_do_not_make_another_span)
{
	become_wary();
	challenged(POLICY_OWED_CALM - 1 + (unsigned)_i);
	now_ns += SPAN_S * NSEC_PER_SEC - 1;
	ck_assert(wary());
	now_ns++;
	ck_assert_int_eq(wary(), _i);
	challenged(1);
	ck_assert_uint_eq(source.wary_since_s, _i ? START_S + SPAN_S : 0);
	ck_assert_uint_eq(source.owed, 1); /* each span has its own */
	ck_assert_int_eq(wary(), _i);
}
END_TEST

START_TEST(returned_cookies_are_not_owed)
{
	become_wary();
	policy.rate_per_s = 0;
	challenged(1000);
	for (unsigned i = 0; i < 1000 - POLICY_OWED_CALM; i++)
		ck_assert(returned());
	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert(wary());
	ck_assert(returned());
	ck_assert(!wary());
}
END_TEST

START_TEST(more_returned_than_owed_is_not_held_against_a_later_span)
{
	policy.rate_per_s = 0;
	for (unsigned i = 0; i < 100; i++)
		ck_assert(returned());
	ck_assert_uint_eq(source.owed, 0);
	become_wary();
	challenged(POLICY_OWED_CALM);
	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert(wary());
}
END_TEST

START_TEST(a_span_that_left_too_many_unanswered_is_followed_by_others_until_one_does_not)
{
	become_wary();
	for (unsigned span = 1; span <= 5; span++) {
		challenged(POLICY_OWED_CALM + 1);
		now_ns += SPAN_S * NSEC_PER_SEC;
		ck_assert(wary());
	}
	challenged(POLICY_OWED_CALM - 1);
	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert(!wary());
	ck_assert(!passed());
}
END_TEST

/* 0: it comes again; 1: and is challenged, the service being armed. */
START_TEST(a_span_without_a_challenge_ends_it_whatever_is_owed)
{
	become_wary();
	challenged(POLICY_OWED_CALM + 100);
	now_ns += 2 * SPAN_S * NSEC_PER_SEC - 1;
	ck_assert(wary());
	now_ns++;
	ck_assert(!wary());
	if (_i) {
		challenged(1);
		ck_assert_uint_eq(source.owed, 1);
	} else {
		ck_assert(!passed());
	}
	ck_assert_uint_eq(source.wary_since_s, 0);
	ck_assert(!wary());
}
END_TEST

/* 0: just when the span is over; 1: just before the silence is one. */
START_TEST(a_challenge_in_time_makes_another_span_of_what_is_owed)
{
	become_wary();
	challenged(POLICY_OWED_CALM);
	now_ns += _i ? 2 * SPAN_S * NSEC_PER_SEC - 1 : SPAN_S * NSEC_PER_SEC;
	challenged(1);
	ck_assert_uint_eq(source.wary_since_s, now_ns / NSEC_PER_SEC);
	ck_assert_uint_eq(source.owed, 1);
	now_ns = (source.wary_since_s + SPAN_S) * NSEC_PER_SEC - 1;
	ck_assert(wary());
	now_ns++;
	ck_assert(!wary());
}
END_TEST

START_TEST(a_source_silent_for_many_spans_is_trusted_when_it_comes_again)
{
	become_wary();
	challenged(SOURCE_OWED_MAX);
	now_ns += 1000 * SPAN_S * NSEC_PER_SEC + 7 * NSEC_PER_SEC;
	ck_assert(!wary());
	ck_assert(!passed());
}
END_TEST

START_TEST(silence_does_not_help_a_source_that_still_holds_too_many)
{
	become_wary();
	source.half_open = LIMIT;
	now_ns += 1000 * SPAN_S * NSEC_PER_SEC;
	ck_assert(wary());
	challenged(1);
	ck_assert_uint_eq(source.wary_since_s, now_ns / NSEC_PER_SEC);
}
END_TEST

START_TEST(what_is_answered_by_other_means_is_not_owed)
{
	policy_answered(&source);
	ck_assert_uint_eq(source.owed, 0);
	become_wary();
	challenged(POLICY_OWED_CALM);
	policy_answered(&source);
	ck_assert_uint_eq(source.owed, POLICY_OWED_CALM - 1);
	ck_assert(wary());
	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert(!wary());
}
END_TEST

START_TEST(what_was_owed_before_a_source_became_wary_does_not_count)
{
	challenged(1000); /* the service was armed */
	ck_assert(!wary());
	become_wary();
	ck_assert_uint_eq(source.owed, 0);
	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert(!wary());
}
END_TEST

START_TEST(what_is_owed_saturates)
{
	become_wary();
	challenged(SOURCE_OWED_MAX - 1);
	ck_assert_uint_eq(source.owed, SOURCE_OWED_MAX - 1);
	challenged(3);
	ck_assert_uint_eq(source.owed, (1U << 15) - 1);
	ck_assert_uint_eq(source.kept, 0); /* its neighbour */
	ck_assert(wary());
	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert(wary());
}
END_TEST

START_TEST(a_source_may_become_wary_in_the_first_second)
{
	now_ns = 0;
	become_wary();
	ck_assert_uint_eq(source.wary_since_s, 1);
	ck_assert(wary());
	now_ns = (1 + SPAN_S) * NSEC_PER_SEC - 1;
	ck_assert(wary());
	now_ns++;
	ck_assert(!wary());
}
END_TEST

START_TEST(a_clock_set_back_ends_no_span)
{
	become_wary();
	challenged(3);
	for (unsigned s = 0; s < 3; s++) {
		now_ns = (START_S - 4000 + s * 1999) * NSEC_PER_SEC;
		ck_assert(wary());
		challenged(1);
		ck_assert_uint_eq(source.wary_since_s, START_S);
		ck_assert_uint_eq(source.owed, 4 + s);
	}
	now_ns = START_NS + SPAN_S * NSEC_PER_SEC;
	ck_assert(!wary());
}
END_TEST

/* From half of a circle on, ahead is behind, with the span at 68 years and with the rate at 209 days: a challenge and an
 * interval to wait, at the worst. */
START_TEST(a_clock_set_forward_ends_the_span)
{
	static const struct {
		uint64_t ahead_s;
		bool trusted;
	} jumps[] = {
		{3600, true},       {24 * 3600, true},       {200 * 24 * 3600, true}, {210 * 24 * 3600, false},
		{INT32_MAX, false}, {1U + INT32_MAX, false},
	};

	become_wary();
	now_ns += jumps[_i].ahead_s * NSEC_PER_SEC;
	ck_assert_int_eq(wary(), !jumps[_i].trusted);
	ck_assert_int_eq(passed(), !jumps[_i].trusted);
	ck_assert(returned() || !jumps[_i].trusted);
	now_ns += INTERVAL_NS;
	ck_assert(returned());
}
END_TEST

START_TEST(a_limit_changed_at_run_time_counts_at_once)
{
	source.half_open = LIMIT;
	limit = LIMIT + 1;
	ck_assert(!wary());
	limit = LIMIT;
	ck_assert(wary());
	limit = 0;
	ck_assert(!wary());
}
END_TEST

static const struct {
	uint32_t of_policy, arm_at, limit;
} limits[] = {
	{0, 0, 0},
	{0, 1, 0},
	{0, 64, 0},
	{0, UINT32_MAX, 0}, /* no limit is none with any backlog */
	{64, 128, 64},
	{64, 127, 63},
	{64, 64, 32},
	{64, 1000000, 64},
	{64, UINT32_MAX, 64},
	{16, 64, 16}, /* it may be lower */
	{1, 64, 1},
	{1, 0, 1},
	{64, 6, 3},
	{64, 5, SOURCE_HEAVY}, /* two are nothing to hold against anybody */
	{64, 4, SOURCE_HEAVY},
	{64, 1, SOURCE_HEAVY},
	{64, 0, SOURCE_HEAVY},
	{UINT32_MAX, UINT32_MAX, UINT32_MAX / 2},
};
#define LIMITS ((int)(sizeof(limits) / sizeof(limits[0])))

START_TEST(a_source_may_have_half_of_what_arms_the_service_and_no_more_than_the_policy_says)
{
	policy.half_open_limit = limits[_i].of_policy;
	ck_assert_uint_eq(policy_limit(&policy, limits[_i].arm_at), limits[_i].limit);
}
END_TEST

START_TEST(a_source_at_its_limit_with_one_service_is_not_with_another_that_has_more_room)
{
	struct policy_syn syn = {.source = &source, .posture = SERVICE_WARY, .half_open_limit = LIMIT};

	source.half_open = LIMIT;
	ck_assert_int_eq(policy_syn(&policy, &syn, now_ns), OUTCOME_SYN_SOURCE_CHALLENGED);
	syn.half_open_limit = LIMIT + 1;
	ck_assert_int_eq(policy_syn(&policy, &syn, now_ns), OUTCOME_SYN_ACCEPTED);
	syn.half_open_limit = 0;
	ck_assert_int_eq(policy_syn(&policy, &syn, now_ns), OUTCOME_SYN_ACCEPTED);
}
END_TEST

static Suite *policy_suite(void)
{
	Suite *suite = suite_create("policy");
	TCase *syns = tcase_create("syns");
	TCase *spans = tcase_create("spans");

	suite_add_tcase(suite, syns);
	tcase_add_checked_fixture(syns, policy_make, NULL);
	tcase_add_loop_test(syns, each_source_gets_its_outcome_in_each_posture, 0, LADDER_ROWS);
	tcase_add_loop_test(syns, what_needs_no_cookie_or_cannot_have_one_passes, 0, LADDER_ROWS);
	tcase_add_test(syns, a_proven_source_passes_up_to_its_budget);
	tcase_add_test(syns, a_handshake_proves_its_source_for_exactly_its_time);
	tcase_add_test(syns, with_a_time_of_0_no_handshake_proves_anything);
	tcase_add_test(syns, a_clock_set_back_leaves_a_proven_source_proven);

	suite_add_tcase(suite, spans);
	tcase_add_checked_fixture(spans, policy_make, NULL);
	tcase_add_test(spans, a_source_is_wary_at_exactly_its_limit);
	tcase_add_test(spans, without_a_limit_a_source_may_hold_any_number);
	tcase_add_test(spans, a_wary_source_stays_so_when_it_holds_less_until_the_span_is_over);
	tcase_add_test(spans, a_span_is_of_whole_seconds);
	tcase_add_test(spans, a_source_that_still_holds_too_many_is_wary_after_any_span);
	tcase_add_loop_test(spans, a_few_unanswered_cookies_do_not_make_another_span, 0, 2);
	tcase_add_test(spans, returned_cookies_are_not_owed);
	tcase_add_test(spans, more_returned_than_owed_is_not_held_against_a_later_span);
	tcase_add_test(spans, a_span_that_left_too_many_unanswered_is_followed_by_others_until_one_does_not);
	tcase_add_loop_test(spans, a_span_without_a_challenge_ends_it_whatever_is_owed, 0, 2);
	tcase_add_loop_test(spans, a_challenge_in_time_makes_another_span_of_what_is_owed, 0, 2);
	tcase_add_test(spans, a_source_silent_for_many_spans_is_trusted_when_it_comes_again);
	tcase_add_test(spans, silence_does_not_help_a_source_that_still_holds_too_many);
	tcase_add_test(spans, what_is_answered_by_other_means_is_not_owed);
	tcase_add_test(spans, what_was_owed_before_a_source_became_wary_does_not_count);
	tcase_add_test(spans, what_is_owed_saturates);
	tcase_add_test(spans, a_source_may_become_wary_in_the_first_second);
	tcase_add_test(spans, a_clock_set_back_ends_no_span);
	tcase_add_loop_test(spans, a_clock_set_forward_ends_the_span, 0, 6);
	tcase_add_test(spans, a_limit_changed_at_run_time_counts_at_once);
	tcase_add_loop_test(spans, a_source_may_have_half_of_what_arms_the_service_and_no_more_than_the_policy_says, 0,
			    LIMITS);
	tcase_add_test(spans, a_source_at_its_limit_with_one_service_is_not_with_another_that_has_more_room);
	return suite;
}

int main(void)
{
	return unit_main(policy_suite());
}
