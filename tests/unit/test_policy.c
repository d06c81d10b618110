/* SPDX-License-Identifier: GPL-2.0-or-later */
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

static void policy_make(void)
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

static bool wary(void)
{
	return policy_wary(&policy, &source, limit, now_ns);
}

static bool proven(void)
{
	return policy_proven(&policy, &source, now_ns);
}

static bool passed(void)
{
	return policy_passed(&policy, &source, limit, now_ns);
}

static void challenged(unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		policy_challenged(&policy, &source, limit, now_ns);
}

static bool returned(void)
{
	return policy_returned(&policy, &source, now_ns);
}

/* By holding too many for a moment. */
static void become_wary(void)
{
	source.half_open = LIMIT;
	ck_assert(passed());
	source.half_open = 0;
}

/* As many cookies as are returned in one moment until one is refused. */
static unsigned returned_till_refused(void)
{
	unsigned count = 0;

	while (count < 100000 && returned())
		count++;
	return count;
}

/* Wary, and nothing is left of its burst. */
static void use_up(void)
{
	become_wary();
	ck_assert_uint_eq(returned_till_refused(), policy.rate_burst);
}

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
	ck_assert_uint_eq(source.owed, SOURCE_OWED_MAX);
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

/* ---- rate ---- */

START_TEST(a_source_begins_with_a_full_burst)
{
	for (unsigned i = 0; i < BURST; i++)
		ck_assert(!passed());
	ck_assert(passed()); /* wary from now on */
	ck_assert(wary());
	ck_assert_uint_eq(source.wary_since_s, START_S);
}
END_TEST

START_TEST(syns_of_a_wary_source_count_as_no_connections)
{
	become_wary();
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(passed());
	challenged(1000);
	ck_assert_uint_eq(returned_till_refused(), BURST);
}
END_TEST

START_TEST(a_wary_source_is_refused_after_exactly_a_burst_of_cookies)
{
	become_wary();
	challenged(BURST + 1);
	for (unsigned i = 0; i < BURST; i++)
		ck_assert(returned());
	ck_assert(!returned());
	ck_assert(!returned());
}
END_TEST

/* The first that is one too many begins a span; only what comes in it is refused. */
START_TEST(a_source_that_is_not_wary_is_never_refused_but_becomes_wary)
{
	for (unsigned i = 0; i < BURST; i++)
		ck_assert(returned());
	ck_assert(!wary());
	ck_assert(returned());
	ck_assert(wary());
	ck_assert_uint_eq(returned_till_refused(), BURST);
}
END_TEST

START_TEST(without_a_rate_nothing_is_refused)
{
	policy.rate_per_s = 0;
	policy.rate_burst = 1;
	for (unsigned i = 0; i < 100; i++)
		ck_assert(!passed());
	become_wary();
	for (unsigned i = 0; i < 100; i++)
		ck_assert(returned());
}
END_TEST

START_TEST(a_refused_source_stays_wary_as_long_as_it_goes_on)
{
	use_up();
	ck_assert_uint_ge(source.owed, POLICY_OWED_CALM);
	for (unsigned span = 0; span < 5; span++) {
		now_ns += SPAN_S * NSEC_PER_SEC;
		ck_assert(wary());
		challenged(1); /* the new span owes nothing yet */
		ck_assert_uint_gt(returned_till_refused(), 0);
	}
	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert(wary());
	challenged(1);
	ck_assert(returned()); /* and no more */
	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert(!wary());
}
END_TEST

/* 200 s for a burst. */
static void use_up_for_long(void)
{
	policy.rate_per_s = 5;
	policy.rate_burst = 1000;
	use_up();
}

START_TEST(a_source_stays_wary_until_its_next_connection_is_due)
{
	use_up_for_long();
	for (unsigned s = 0; s < 200; s++) {
		now_ns = START_NS + s * NSEC_PER_SEC;
		ck_assert(wary()); /* though nothing is challenged */
	}
	now_ns = START_NS + 200 * NSEC_PER_SEC - TICK_NS;
	ck_assert(wary());
	ck_assert(passed());
	now_ns += TICK_NS;
	ck_assert(!wary());
	ck_assert(!passed());
}
END_TEST

START_TEST(a_challenge_begins_another_span_while_the_next_connection_is_not_due)
{
	use_up_for_long();
	now_ns += 150 * NSEC_PER_SEC;
	challenged(1);
	ck_assert_uint_eq(source.wary_since_s, START_S + 150);
	now_ns += 49 * NSEC_PER_SEC;
	ck_assert(wary());
	now_ns += NSEC_PER_SEC;
	ck_assert(!wary());
}
END_TEST

START_TEST(a_source_may_use_its_burst_and_is_not_wary_for_that)
{
	policy.rate_per_s = 5;
	policy.rate_burst = 1000;
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(i % 2 ? !passed() : returned());
	ck_assert(!wary());
}
END_TEST

START_TEST(without_a_rate_nothing_is_due)
{
	use_up_for_long();
	policy.rate_per_s = 0;
	ck_assert(returned());
	ck_assert_uint_lt(source.owed, POLICY_OWED_CALM);
	now_ns += SPAN_S * NSEC_PER_SEC - 1;
	ck_assert(wary());
	now_ns++;
	ck_assert(!wary());
	policy.rate_per_s = 5;
	ck_assert(wary());
}
END_TEST

/* Connections of a client that opens all that it gets, through the kernel or with a cookie, in each 10 ms. One that is
 * cautious returns no cookie that would be refused. */
static unsigned connections_in(unsigned duration_s, enum service_posture posture, bool cautious)
{
	struct policy_syn syn = {.source = &source, .posture = posture, .half_open_limit = limit, .room = true};
	unsigned count = 0;

	for (unsigned step = 0; step < 100 * duration_s; step++, now_ns += 10 * NSEC_PER_MSEC) {
		for (;;) {
			enum outcome outcome = policy_syn(&policy, &syn, now_ns);
			struct source before = source;

			if (outcome == OUTCOME_SYN_ACCEPTED || outcome == OUTCOME_SYN_DIRECT) {
				passed();
			} else {
				challenged(1);
				if (!returned()) {
					if (cautious)
						source = before;
					break;
				}
			}
			source.proven_s = (uint32_t)(now_ns / NSEC_PER_SEC);
			count++;
		}
	}
	return count;
}

/* 0, 1: a wary service; 2, 3: an armed one. */
START_TEST(in_the_long_run_no_more_than_the_rate_and_two_bursts_pass)
{
	enum service_posture posture = _i < 2 ? SERVICE_WARY : SERVICE_ARMED;
	unsigned count;

	policy.rate_per_s = 5;
	policy.rate_burst = 1000;
	count = connections_in(600, posture, _i % 2);
	ck_assert_uint_le(count, 2 * (5 * 600 + 1000) + 10);
	ck_assert_uint_ge(count, 5 * 600 + 1000);
}
END_TEST

/* It opens what the kernel lets it, and keeps still while it would be challenged. */
START_TEST(a_source_that_waits_till_it_is_trusted_has_no_more_than_the_rate_and_a_burst)
{
	struct policy_syn syn = {.source = &source, .posture = SERVICE_WARY, .half_open_limit = limit, .room = true};
	unsigned count = 0;

	policy.rate_per_s = 5;
	policy.rate_burst = 1000;
	for (unsigned step = 0; step < 60000; step++, now_ns += 10 * NSEC_PER_MSEC) {
		while (policy_syn(&policy, &syn, now_ns) == OUTCOME_SYN_ACCEPTED) {
			count++;
			source.half_open = _i && count % 1000 == 999 ? LIMIT : 0; /* 1: by what it holds */
			passed();
			source.half_open = 0;
		}
	}
	ck_assert_uint_ge(count, 1000);
	ck_assert_uint_le(count, 5 * 600 + 1000 + 10);
}
END_TEST

START_TEST(what_made_a_source_wary_is_made_up_for_before_its_span)
{
	policy.rate_per_s = 5;
	policy.rate_burst = 1000;
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(!passed());
	ck_assert(passed());
	ck_assert_uint_eq(returned_till_refused(), 1000); /* it was not for sure the source that did it */
	now_ns += (200 + SPAN_S) * NSEC_PER_SEC - 1;
	ck_assert(wary());
	now_ns++;
	challenged(1); /* what was refused once is owed */
	ck_assert(returned());
	now_ns += SPAN_S * NSEC_PER_SEC;
	ck_assert(!wary());
}
END_TEST

/* The cookie that is refused was returned all the same. */
START_TEST(a_refusal_forgives_no_cookie_that_is_owed)
{
	use_up();
	challenged(1000);
	ck_assert_uint_eq(source.owed, POLICY_OWED_CALM + 1000);
	for (unsigned i = 1; i <= 1000; i++) {
		ck_assert(!returned());
		ck_assert_uint_eq(source.owed, POLICY_OWED_CALM + 1000 - i);
	}
	ck_assert(!returned());
	ck_assert_uint_eq(source.owed, POLICY_OWED_CALM);
}
END_TEST

/* Of rates that ticks do not divide, each interval may be longer by up to one; none is shorter. */
static const struct {
	uint16_t rate;
	uint8_t slack_ns;
} dues[] = {{1, 0},          {2, 0},          {10, 0},          {100, 0},        {500, 0},
	    {2500, 0},       {3, TICK_NS},    {7, TICK_NS},     {60, TICK_NS},   {999, TICK_NS},
	    {1000, TICK_NS}, {1001, TICK_NS}, {29999, TICK_NS}, {30000, TICK_NS}};
#define DUE_ROWS ((int)(sizeof(dues) / sizeof(dues[0])))

START_TEST(the_next_connection_is_due_at_exactly_its_time)
{
	uint64_t rate = dues[_i].rate;

	policy.rate_per_s = dues[_i].rate;
	use_up();
	for (unsigned i = 1; i <= 10; i++) {
		now_ns = START_NS + i * NSEC_PER_SEC / rate - 1;
		ck_assert(!returned());
		now_ns += 1 + i * dues[_i].slack_ns;
		ck_assert(returned());
		ck_assert(!returned());
	}
}
END_TEST

START_TEST(asking_in_vain_puts_nothing_off)
{
	use_up();
	for (unsigned ms = 1; ms < 100; ms++) {
		now_ns += NSEC_PER_MSEC;
		ck_assert(!returned());
	}
	now_ns += NSEC_PER_MSEC;
	ck_assert(returned());
}
END_TEST

/* Rates that ticks divide. */
static const struct {
	uint16_t rate;
	uint32_t step_ns;
} steps[] = {
	{1, 1000000},    {2, 7000000},   {5, 3000000},    {10, 1000000},   {10, 30000000},
	{20, 7000000},   {50, 333333},   {100, 1000000},  {125, 3000000},  {250, 3000000},
	{500, 1000000},  {500, 7000000}, {625, 10007},    {1250, 333333},  {2500, 10007},
	{2500, 7000000}, {3125, 10007},  {12500, 333333}, {15625, 999999}, {12500, 127},
};
#define STEP_ROWS ((int)(sizeof(steps) / sizeof(steps[0])))

/* In steps, until so long after the burst was used up. */
static unsigned returned_in(uint64_t step_ns, uint64_t duration_ns)
{
	uint64_t until_ns = now_ns + duration_ns;
	unsigned count = 0;

	while (now_ns < until_ns) {
		now_ns += step_ns < until_ns - now_ns ? step_ns : until_ns - now_ns;
		count += returned_till_refused();
	}
	return count;
}

START_TEST(over_many_small_steps_no_part_of_an_interval_is_lost_or_gained)
{
	policy.rate_per_s = steps[_i].rate;
	policy.rate_burst = 1000;
	use_up();
	for (unsigned s = 0; s < 3; s++)
		ck_assert_uint_eq(returned_in(steps[_i].step_ns, NSEC_PER_SEC), steps[_i].rate);
}
END_TEST

static const uint32_t odd_rates[] = {3, 7, 60, 300, 333, 600, 700, 999, 1001, 1500, 2500, 29999};
#define ODD_RATES ((int)(sizeof(odd_rates) / sizeof(odd_rates[0])))
static const uint32_t odd_steps_ns[] = {10007, 333333, 1000000, 7000000};
#define ODD_ROWS (ODD_RATES * (int)(sizeof(odd_steps_ns) / sizeof(odd_steps_ns[0])))

START_TEST(a_rate_that_milliseconds_do_not_divide_is_kept)
{
	uint32_t expected, count;

	policy.rate_per_s = odd_rates[_i % ODD_RATES];
	policy.rate_burst = 1000;
	use_up();
	expected = 10 * policy.rate_per_s;
	count = returned_in(odd_steps_ns[_i / ODD_RATES], 10 * NSEC_PER_SEC);
	ck_assert_uint_ge(count, expected * 99 / 100 - 1);
	ck_assert_uint_le(count, expected + 1);
}
END_TEST

START_TEST(what_is_beyond_the_burst_is_lost)
{
	use_up();
	now_ns += BURST * INTERVAL_NS - NSEC_PER_MSEC;
	ck_assert_uint_eq(returned_till_refused(), BURST - 1);
	now_ns += 3600 * NSEC_PER_SEC;
	ck_assert_uint_eq(returned_till_refused(), BURST);
	now_ns += INTERVAL_NS; /* a full burst gathers nothing for later */
	ck_assert_uint_eq(returned_till_refused(), 1);
}
END_TEST

START_TEST(the_largest_burst_and_rate_do_not_overflow)
{
	policy.rate_per_s = 30000;
	policy.rate_burst = 60000;
	use_up();
	now_ns += NSEC_PER_SEC;
	ck_assert_uint_ge(returned_till_refused(), 30000 * 99 / 100);
	now_ns += 3 * NSEC_PER_SEC;
	ck_assert_uint_eq(returned_till_refused(), 60000);
	now_ns += 3 * NSEC_PER_SEC;
	for (unsigned i = 0; i < 20000; i++)
		ck_assert(returned());
	now_ns += NSEC_PER_SEC; /* 40000 and some 30000 are 60000 */
	ck_assert_uint_eq(returned_till_refused(), 60000);
	now_ns += 100 * 86400 * NSEC_PER_SEC;
	ck_assert_uint_eq(returned_till_refused(), 60000);
}
END_TEST

/* A burst that takes 17 hours to come back. */
START_TEST(the_largest_burst_at_the_lowest_rate_does_not_overflow)
{
	policy.rate_per_s = 1;
	policy.rate_burst = 60000;
	use_up();
	now_ns += NSEC_PER_SEC - 1;
	ck_assert(!returned());
	now_ns++;
	ck_assert_uint_eq(returned_till_refused(), 1);
	now_ns += 59999 * NSEC_PER_SEC;
	ck_assert_uint_eq(returned_till_refused(), 59999);
	now_ns += 60001 * NSEC_PER_SEC;
	ck_assert_uint_eq(returned_till_refused(), 60000);
	now_ns += 200 * 86400 * NSEC_PER_SEC;
	ck_assert_uint_eq(returned_till_refused(), 60000);
}
END_TEST

START_TEST(a_rate_taken_away_at_run_time_refuses_nobody)
{
	use_up();
	policy.rate_per_s = 0;
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(returned());
	policy.rate_per_s = RATE;
	ck_assert(!returned());
	now_ns += INTERVAL_NS;
	ck_assert_uint_eq(returned_till_refused(), 1);
}
END_TEST

START_TEST(a_burst_changed_at_run_time_counts_at_once)
{
	become_wary();
	policy.rate_burst = 2;
	ck_assert_uint_eq(returned_till_refused(), 2);
	policy.rate_burst = BURST;
	ck_assert_uint_eq(returned_till_refused(), BURST - 2);
	policy.rate_burst = 1;
	ck_assert(!returned());
	now_ns += INTERVAL_NS - 1;
	ck_assert(!returned());
	now_ns++;
	ck_assert_uint_eq(returned_till_refused(), 1);
	now_ns += 3600 * NSEC_PER_SEC;
	ck_assert_uint_eq(returned_till_refused(), 1);
}
END_TEST

/* Slow to fast, fast to slow, and the burst with them or not. */
static const struct {
	uint32_t rate, burst, new_rate, new_burst;
} changes[] = {
	{1, 60000, 10, 5},      {1, 60000, 500, 1}, {1, 60000, 500, 60000}, {1, 5, 10, 5},     {1, 1, 500, 10},
	{500, 60000, 1, 60000}, {500, 5, 1, 5},     {500, 1, 1, 10},        {10, 60000, 1, 1}, {2500, 60000, 10, 2},
};
#define CHANGES ((int)(sizeof(changes) / sizeof(changes[0])))

/* At once no more than a burst, and then what the new rate allows. */
START_TEST(a_burst_used_up_at_one_rate_takes_at_most_the_new_bursts_time_at_another)
{
	uint64_t interval_ns = NSEC_PER_SEC / changes[_i].new_rate;

	policy.rate_per_s = changes[_i].rate;
	policy.rate_burst = changes[_i].burst;
	use_up();
	policy.rate_per_s = changes[_i].new_rate;
	policy.rate_burst = changes[_i].new_burst;
	ck_assert_uint_le(returned_till_refused(), policy.rate_burst);
	for (unsigned i = 0; i < 10; i++) {
		now_ns += interval_ns;
		ck_assert_uint_eq(returned_till_refused(), 1);
	}
	now_ns += policy.rate_burst * interval_ns;
	ck_assert_uint_eq(returned_till_refused(), policy.rate_burst);
}
END_TEST

START_TEST(a_faster_rate_has_nobody_wait_longer_than_its_interval)
{
	policy.rate_per_s = 1;
	policy.rate_burst = 60000;
	use_up();
	policy.rate_per_s = RATE;
	policy.rate_burst = BURST;
	ck_assert(!returned());
	now_ns += INTERVAL_NS - 1;
	ck_assert(!returned());
	now_ns++;
	ck_assert_uint_eq(returned_till_refused(), 1);
}
END_TEST

START_TEST(a_clock_set_back_costs_the_burst_and_an_interval_and_no_more)
{
	become_wary();
	ck_assert(returned());
	now_ns -= 3600 * NSEC_PER_SEC;
	ck_assert_uint_le(returned_till_refused(), BURST - 1);
	now_ns += INTERVAL_NS - 1; /* counted from there on */
	ck_assert(!returned());
	now_ns++;
	ck_assert_uint_eq(returned_till_refused(), 1);
	now_ns += BURST * INTERVAL_NS;
	ck_assert_uint_eq(returned_till_refused(), BURST);
	now_ns += 3600 * NSEC_PER_SEC;
	ck_assert_uint_eq(returned_till_refused(), BURST);
}
END_TEST

START_TEST(a_clock_set_back_refuses_nobody_that_is_not_wary)
{
	ck_assert(returned());
	now_ns -= 3600 * NSEC_PER_SEC;
	ck_assert(returned());
	ck_assert(wary());
	ck_assert_uint_eq(returned_till_refused(), BURST);
}
END_TEST

#define DAY_NS (86400 * NSEC_PER_SEC)
#define CIRCLE_NS (1ULL << 55) /* 48 bits of ticks: 417 days */

/* Around the half and the whole circle of 32 bits of milliseconds, and up to half of that of 48 bits of ticks. */
static const uint64_t silences_ns[] = {
	INT32_MAX * NSEC_PER_MSEC,
	(1ULL + INT32_MAX) * NSEC_PER_MSEC,
	25 * DAY_NS,
	40 * DAY_NS,
	UINT32_MAX *NSEC_PER_MSEC,
	(1ULL + UINT32_MAX) * NSEC_PER_MSEC,
	50 * DAY_NS,
	75 * DAY_NS,
	100 * DAY_NS,
	150 * DAY_NS,
	200 * DAY_NS,
	CIRCLE_NS / 2,
};
#define SILENCES ((int)(sizeof(silences_ns) / sizeof(silences_ns[0])))

START_TEST(after_weeks_of_silence_the_burst_is_what_it_was)
{
	become_wary();
	now_ns += silences_ns[_i];
	ck_assert_uint_eq(returned_till_refused(), BURST); /* never more, and never less */
	for (unsigned i = 0; i < 3; i++) {
		now_ns += INTERVAL_NS;
		ck_assert_uint_eq(returned_till_refused(), 1);
	}
}
END_TEST

START_TEST(a_source_silent_for_weeks_after_a_refusal_is_back_within_the_time_of_a_burst)
{
	use_up();
	now_ns += silences_ns[_i];
	ck_assert_uint_eq(returned_till_refused(), BURST);
	now_ns += BURST * INTERVAL_NS;
	ck_assert_uint_eq(returned_till_refused(), BURST);
}
END_TEST

/* A silence of 209 to 417 days cannot be told from a clock that was set back. */
static const uint64_t circles_ns[] = {
	CIRCLE_NS / 2 + TICK_NS, 210 * DAY_NS, 400 * DAY_NS, CIRCLE_NS - TICK_NS, CIRCLE_NS,
	CIRCLE_NS + TICK_NS,     418 * DAY_NS,
};
#define CIRCLES ((int)(sizeof(circles_ns) / sizeof(circles_ns[0])))

START_TEST(after_more_than_half_a_circle_of_silence_the_burst_is_back_within_its_time)
{
	become_wary();
	now_ns += circles_ns[_i];
	ck_assert_uint_le(returned_till_refused(), BURST);
	now_ns += INTERVAL_NS;
	ck_assert_uint_eq(returned_till_refused(), 1);
	now_ns += BURST * INTERVAL_NS;
	ck_assert_uint_eq(returned_till_refused(), BURST);
}
END_TEST

/* So long before it. */
static const uint64_t wraps_ns[] = {
	0,
	TICK_NS,
	50 * NSEC_PER_MSEC,
	INTERVAL_NS,
	250 * NSEC_PER_MSEC,
	4 * INTERVAL_NS,
	5 * INTERVAL_NS,
	10 * INTERVAL_NS,
	3600 * NSEC_PER_SEC,
};
#define WRAPS ((int)(sizeof(wraps_ns) / sizeof(wraps_ns[0])))

START_TEST(the_rate_is_kept_where_the_clock_wraps)
{
	now_ns = CIRCLE_NS - wraps_ns[_i];
	policy_source_begins(&source, now_ns);
	for (unsigned i = 0; i < BURST; i++)
		ck_assert(!passed());
	ck_assert(passed()); /* wary from now on */
	ck_assert_uint_eq(returned_till_refused(), BURST);
	for (unsigned i = 0; i < 10; i++) {
		now_ns += INTERVAL_NS - 1;
		ck_assert(!returned());
		now_ns++;
		ck_assert_uint_eq(returned_till_refused(), 1);
	}
	now_ns += wraps_ns[_i];
	ck_assert_uint_le(returned_till_refused(), BURST);
	now_ns += BURST * INTERVAL_NS;
	ck_assert_uint_eq(returned_till_refused(), BURST);
}
END_TEST

/* ---- what is forged ---- */

/* SYNs in the source's name, at any time and in any number, some of them challenged, and spans that come and go. */
START_TEST(syns_alone_never_have_a_source_refused_before_its_burst)
{
	uint64_t seed = 100 + (uint64_t)_i;
	unsigned count = 0;

	policy.rate_burst = 30;
	for (;;) {
		switch (random_below(&seed, 8)) {
		case 0:
			if (!returned()) {
				ck_assert_uint_ge(count, policy.rate_burst);
				return;
			}
			count++;
			break;
		case 1:
			challenged(random_below(&seed, 2 * POLICY_OWED_CALM));
			break;
		case 2:
			source.half_open = random_below(&seed, LIMIT + 1);
			break;
		case 3:
			if (random_below(&seed, 20) == 0)
				now_ns += SPAN_S * NSEC_PER_SEC;
			break;
		default:
			for (unsigned syns = random_below(&seed, 100); syns; syns--)
				passed();
		}
	}
}
END_TEST

START_TEST(a_burst_that_syns_used_up_is_given_back_before_cookies_count)
{
	for (unsigned i = 0; i < 1000; i++)
		passed();
	ck_assert(wary());
	ck_assert_uint_eq(returned_till_refused(), BURST);

	policy_make();
	for (unsigned i = 0; i < BURST - 1; i++) /* one is left when it holds too many */
		ck_assert(!passed());
	become_wary();
	ck_assert_uint_eq(returned_till_refused(), BURST);
}
END_TEST

/* The service was not wary, but armed: SYNs of a proven source count when they pass. */
START_TEST(a_burst_that_syns_used_up_refuses_no_cookie_of_an_armed_service)
{
	for (unsigned i = 0; i < BURST; i++)
		ck_assert(!passed());
	ck_assert(!wary());
	ck_assert_uint_ge(returned_till_refused(), BURST);
}
END_TEST

static Suite *policy_suite(void)
{
	Suite *suite = suite_create("policy");
	TCase *syns = tcase_create("syns");
	TCase *spans = tcase_create("spans");
	TCase *rate = tcase_create("rate");

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

	suite_add_tcase(suite, rate);
	tcase_add_checked_fixture(rate, policy_make, NULL);
	tcase_add_test(rate, a_source_begins_with_a_full_burst);
	tcase_add_test(rate, syns_of_a_wary_source_count_as_no_connections);
	tcase_add_test(rate, a_wary_source_is_refused_after_exactly_a_burst_of_cookies);
	tcase_add_test(rate, a_source_that_is_not_wary_is_never_refused_but_becomes_wary);
	tcase_add_test(rate, without_a_rate_nothing_is_refused);
	tcase_add_test(rate, a_refused_source_stays_wary_as_long_as_it_goes_on);
	tcase_add_test(rate, a_source_stays_wary_until_its_next_connection_is_due);
	tcase_add_test(rate, a_challenge_begins_another_span_while_the_next_connection_is_not_due);
	tcase_add_test(rate, a_source_may_use_its_burst_and_is_not_wary_for_that);
	tcase_add_test(rate, without_a_rate_nothing_is_due);
	tcase_add_loop_test(rate, in_the_long_run_no_more_than_the_rate_and_two_bursts_pass, 0, 4);
	tcase_add_loop_test(rate, a_source_that_waits_till_it_is_trusted_has_no_more_than_the_rate_and_a_burst, 0, 2);
	tcase_add_test(rate, what_made_a_source_wary_is_made_up_for_before_its_span);
	tcase_add_test(rate, a_refusal_forgives_no_cookie_that_is_owed);
	tcase_add_loop_test(rate, the_next_connection_is_due_at_exactly_its_time, 0, DUE_ROWS);
	tcase_add_test(rate, asking_in_vain_puts_nothing_off);
	tcase_add_loop_test(rate, over_many_small_steps_no_part_of_an_interval_is_lost_or_gained, 0, STEP_ROWS);
	tcase_add_loop_test(rate, a_rate_that_milliseconds_do_not_divide_is_kept, 0, ODD_ROWS);
	tcase_add_test(rate, what_is_beyond_the_burst_is_lost);
	tcase_add_test(rate, the_largest_burst_and_rate_do_not_overflow);
	tcase_add_test(rate, the_largest_burst_at_the_lowest_rate_does_not_overflow);
	tcase_add_test(rate, a_rate_taken_away_at_run_time_refuses_nobody);
	tcase_add_test(rate, a_burst_changed_at_run_time_counts_at_once);
	tcase_add_loop_test(rate, a_burst_used_up_at_one_rate_takes_at_most_the_new_bursts_time_at_another, 0, CHANGES);
	tcase_add_test(rate, a_faster_rate_has_nobody_wait_longer_than_its_interval);
	tcase_add_test(rate, a_clock_set_back_costs_the_burst_and_an_interval_and_no_more);
	tcase_add_test(rate, a_clock_set_back_refuses_nobody_that_is_not_wary);
	tcase_add_loop_test(rate, after_weeks_of_silence_the_burst_is_what_it_was, 0, SILENCES);
	tcase_add_loop_test(rate, a_source_silent_for_weeks_after_a_refusal_is_back_within_the_time_of_a_burst, 0,
			    SILENCES);
	tcase_add_loop_test(rate, after_more_than_half_a_circle_of_silence_the_burst_is_back_within_its_time, 0,
			    CIRCLES);
	tcase_add_loop_test(rate, the_rate_is_kept_where_the_clock_wraps, 0, WRAPS);
	tcase_add_loop_test(rate, syns_alone_never_have_a_source_refused_before_its_burst, 0, 200);
	tcase_add_test(rate, a_burst_that_syns_used_up_is_given_back_before_cookies_count);
	tcase_add_test(rate, a_burst_that_syns_used_up_refuses_no_cookie_of_an_armed_service);
	return suite;
}

int main(void)
{
	return unit_main(policy_suite());
}
