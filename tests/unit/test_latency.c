/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/latency.h"
#include "unit.h"

#define NSEC_PER_USEC 1000ULL
#define BEGUN_NS 77000000000ULL

static struct latency latency;

static void clear(void)
{
	latency = (struct latency){.sum_ns = 0};
}

/* The one bucket that has something. */
static unsigned bucket(void)
{
	unsigned found = LATENCY_BOUNDS + 1;

	for (unsigned i = 0; i <= LATENCY_BOUNDS; i++)
		if (latency.counts[i]) {
			ck_assert_uint_eq(found, LATENCY_BOUNDS + 1);
			found = i;
		}
	return found;
}

START_TEST(an_empty_one_has_counted_nothing)
{
	ck_assert_uint_eq(latency_count(&latency), 0);
	ck_assert_uint_eq(latency.sum_ns, 0);
}
END_TEST

START_TEST(the_bounds_ascend_from_a_quarter_of_a_millisecond_to_two_and_a_half_seconds)
{
	ck_assert_uint_eq(latency_bounds_us[0], 250);
	ck_assert_uint_eq(latency_bounds_us[LATENCY_BOUNDS - 1], 2500000);
	for (unsigned i = 1; i < LATENCY_BOUNDS; i++)
		ck_assert_uint_gt(latency_bounds_us[i], latency_bounds_us[i - 1]);
}
END_TEST

START_TEST(what_takes_exactly_a_bound_belongs_to_it)
{
	latency_add(&latency, BEGUN_NS, BEGUN_NS + latency_bounds_us[_i] * NSEC_PER_USEC);
	ck_assert_uint_eq(bucket(), (unsigned)_i);
	ck_assert_uint_eq(latency_count(&latency), 1);
}
END_TEST

START_TEST(a_nanosecond_more_belongs_to_the_next)
{
	latency_add(&latency, BEGUN_NS, BEGUN_NS + latency_bounds_us[_i] * NSEC_PER_USEC + 1);
	ck_assert_uint_eq(bucket(), (unsigned)_i + 1);
}
END_TEST

START_TEST(no_time_at_all_is_the_first)
{
	latency_add(&latency, BEGUN_NS, BEGUN_NS);
	ck_assert_uint_eq(bucket(), 0);
	ck_assert_uint_eq(latency.sum_ns, 0);
}
END_TEST

START_TEST(a_clock_that_went_back_is_no_time_at_all)
{
	latency_add(&latency, BEGUN_NS, BEGUN_NS - 1);
	ck_assert_uint_eq(bucket(), 0);
	ck_assert_uint_eq(latency.sum_ns, 0);
}
END_TEST

START_TEST(the_longest_time_is_beyond_all_bounds)
{
	latency_add(&latency, 0, UINT64_MAX);
	ck_assert_uint_eq(bucket(), LATENCY_BOUNDS);
}
END_TEST

START_TEST(shards_add_up)
{
	struct latency other = {.sum_ns = 0};

	latency_add(&latency, 0, 300 * NSEC_PER_USEC);
	latency_add(&latency, 0, 400 * NSEC_PER_USEC);
	latency_add(&other, 0, 500 * NSEC_PER_USEC);
	latency_add(&other, 0, 9000000000ULL);
	latency_merge(&latency, &other);
	ck_assert_uint_eq(latency.counts[1], 3);
	ck_assert_uint_eq(latency.counts[LATENCY_BOUNDS], 1);
	ck_assert_uint_eq(latency_count(&latency), 4);
	ck_assert_uint_eq(latency.sum_ns, 9000000000ULL + 1200 * NSEC_PER_USEC);
	ck_assert_uint_eq(latency_count(&other), 2);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("latency");
	TCase *tcase = tcase_create("latency");

	tcase_add_checked_fixture(tcase, clear, NULL);
	tcase_add_test(tcase, an_empty_one_has_counted_nothing);
	tcase_add_test(tcase, the_bounds_ascend_from_a_quarter_of_a_millisecond_to_two_and_a_half_seconds);
	tcase_add_loop_test(tcase, what_takes_exactly_a_bound_belongs_to_it, 0, LATENCY_BOUNDS);
	tcase_add_loop_test(tcase, a_nanosecond_more_belongs_to_the_next, 0, LATENCY_BOUNDS);
	tcase_add_test(tcase, no_time_at_all_is_the_first);
	tcase_add_test(tcase, a_clock_that_went_back_is_no_time_at_all);
	tcase_add_test(tcase, the_longest_time_is_beyond_all_bounds);
	tcase_add_test(tcase, shards_add_up);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_main(suite());
}
