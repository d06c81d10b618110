/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_source.h"

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

static Suite *policy_rate_suite(void)
{
	Suite *suite = suite_create("policy_rate");
	TCase *rate = tcase_create("rate");

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
	return unit_main(policy_rate_suite());
}
