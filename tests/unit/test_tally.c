/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/tally.h"

#include <math.h>

#include "synmoat/siphash.h"
#include "wire.h"

#define AT(seconds) ((uint64_t)(seconds)*NSEC_PER_SEC)
#define LATE_IN_SECOND (NSEC_PER_SEC - 1)

static const struct siphash_key key = {{7, 8}};
static struct tally tally;

static uint64_t hash_of(const struct addr *net)
{
	uint64_t words[2];

	memcpy(words, net, sizeof(words));
	return siphash(&key, words, 2);
}

static void syns_from(struct tally *into, uint32_t n, unsigned times, uint64_t now_ns)
{
	struct addr net = host(false, n);

	while (times--)
		tally_syn(into, &net, hash_of(&net), now_ns);
}

START_TEST(of_nothing_everything_is_zero)
{
	ck_assert_uint_eq(tally_rate_pps(&tally, AT(5)), 0);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(5)), 0);
	ck_assert_uint_eq(tally_distinct(&tally.sketch), 0);
	ck_assert_ptr_null(tally_heaviest(&tally.sketch));
}
END_TEST

START_TEST(the_first_second_of_the_clock_works)
{
	syns_from(&tally, 1, 3, 0);
	tally_cookie_sent(&tally, 0);
	ck_assert_uint_eq(tally_rate_pps(&tally, 0), 0);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, 0), 1);
	ck_assert_uint_eq(tally_rate_pps(&tally, AT(1)), 3);
}
END_TEST

START_TEST(the_rate_is_that_of_the_last_full_second)
{
	syns_from(&tally, 1, 3, AT(10));
	syns_from(&tally, 2, 4, AT(10) + LATE_IN_SECOND);
	syns_from(&tally, 1, 5, AT(11));
	ck_assert_uint_eq(tally_rate_pps(&tally, AT(10) + LATE_IN_SECOND), 0);
	ck_assert_uint_eq(tally_rate_pps(&tally, AT(11)), 7);
	ck_assert_uint_eq(tally_rate_pps(&tally, AT(12)), 5);
	ck_assert_uint_eq(tally_rate_pps(&tally, AT(13)), 0);
}
END_TEST

START_TEST(a_second_one_round_ago_is_not_counted)
{
	syns_from(&tally, 1, 3, AT(10));
	tally_cookie_sent(&tally, AT(10));
	ck_assert_uint_eq(tally_rate_pps(&tally, AT(11 + TALLY_SECONDS)), 0);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(10 + TALLY_SECONDS)), 0);
	syns_from(&tally, 1, 2, AT(10 + TALLY_SECONDS));
	tally_cookie_sent(&tally, AT(10 + TALLY_SECONDS));
	ck_assert_uint_eq(tally_rate_pps(&tally, AT(11 + TALLY_SECONDS)), 2);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(10 + TALLY_SECONDS)), 1);
}
END_TEST

/* At least the window, at most a second more: whole seconds are counted. */
START_TEST(a_cookie_counts_for_the_window_and_the_rest_of_its_second)
{
	tally_cookie_sent(&tally, AT(100) + LATE_IN_SECOND);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(100) + LATE_IN_SECOND), 1);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(130) + LATE_IN_SECOND), 1);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(131)), 0);
}
END_TEST

START_TEST(the_longest_window_reaches_back_all_the_way)
{
	tally_cookie_sent(&tally, AT(1000));
	ck_assert_uint_eq(tally_unanswered(&tally, TALLY_SECONDS - 2, AT(1000 + TALLY_SECONDS - 2)), 1);
	ck_assert_uint_eq(tally_unanswered(&tally, TALLY_SECONDS - 2, AT(1000 + TALLY_SECONDS - 1)), 0);
}
END_TEST

START_TEST(a_returned_cookie_is_not_unanswered)
{
	for (unsigned i = 0; i < 5; i++)
		tally_cookie_sent(&tally, AT(100));
	tally_cookie_returned(&tally, AT(100));
	tally_cookie_returned(&tally, AT(102));
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(102)), 3);
}
END_TEST

START_TEST(more_returned_than_sent_is_zero)
{
	tally_cookie_sent(&tally, AT(100));
	tally_cookie_returned(&tally, AT(102));
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(131)), 0); /* the sending is out of the window */
}
END_TEST

/* ---- distinct sources ---- */

static uint32_t distinct_of(uint32_t sources, uint64_t seed)
{
	memset(&tally, 0, sizeof(tally));
	for (uint32_t n = 0; n < sources; n++) {
		struct addr net = host(false, n);
		uint64_t hash = hash_of(&net) ^ seed;

		tally_syn(&tally, &net, random_next(&hash), 0);
	}
	return tally_distinct(&tally.sketch);
}

static const uint32_t distinct_counts[] = {100, 300, 600, 700, 1000, 3000, 10000, 30000, 100000};

START_TEST(the_distinct_estimate_is_within_three_standard_errors)
{
	uint32_t sources = distinct_counts[_i];
	double error = 1.04 / sqrt(TALLY_REGISTERS);

	for (uint64_t seed = 1; seed <= 4; seed++)
		ck_assert_double_le(fabs(distinct_of(sources, seed) / (double)sources - 1), 3 * error);
}
END_TEST

START_TEST(few_sources_are_counted_almost_exactly)
{
	ck_assert_uint_eq(distinct_of(1, 0), 1);
	ck_assert_uint_ge(distinct_of(10, 0), 9);
	ck_assert_uint_le(distinct_of(10, 0), 11);
}
END_TEST

START_TEST(a_source_seen_again_is_not_distinct)
{
	syns_from(&tally, 1, 1000, 0);
	ck_assert_uint_eq(tally_distinct(&tally.sketch), 1);
	ck_assert_uint_eq(tally.sketch.syns, 1000);
}
END_TEST

/* ---- heaviest source ---- */

START_TEST(with_few_sources_the_heaviest_is_counted_exactly)
{
	struct addr heaviest = host(false, 3);

	for (uint32_t n = 0; n < TALLY_TOP; n++)
		syns_from(&tally, n, n == 3 ? 50 : 40, 0);
	ck_assert(addr_equal(&tally_heaviest(&tally.sketch)->net, &heaviest));
	ck_assert_uint_eq(tally_heaviest(&tally.sketch)->syns, 50);
}
END_TEST

START_TEST(a_source_above_an_eighth_is_found_in_a_flood_of_random_ones)
{
	struct addr heaviest = host(false, 0);
	uint64_t seed = 5;

	for (unsigned i = 0; i < 100000; i++)
		syns_from(&tally, i % 7 == 0 ? 0 : 1 + random_below(&seed, 100000), 1, 0);
	ck_assert(addr_equal(&tally_heaviest(&tally.sketch)->net, &heaviest));
	ck_assert_uint_ge(tally_heaviest(&tally.sketch)->syns, 100000 / 7);
	ck_assert_uint_le(tally_heaviest(&tally.sketch)->syns, 100000 / 7 + 100000 / TALLY_TOP);
}
END_TEST

START_TEST(a_source_that_was_heaviest_first_is_still_found)
{
	struct addr heaviest = host(false, 0);

	syns_from(&tally, 0, 2000, 0);
	for (uint32_t n = 1; n < 14000; n++)
		syns_from(&tally, n, 1, 0);
	ck_assert(addr_equal(&tally_heaviest(&tally.sketch)->net, &heaviest));
}
END_TEST

/* ---- sketches ---- */

START_TEST(a_reset_sketch_starts_anew)
{
	syns_from(&tally, 1, 10, 0);
	tally_sketch_reset(&tally.sketch, 42);
	ck_assert_uint_eq(tally.sketch.since_ns, 42);
	ck_assert_uint_eq(tally.sketch.syns, 0);
	ck_assert_uint_eq(tally_distinct(&tally.sketch), 0);
	ck_assert_ptr_null(tally_heaviest(&tally.sketch));
}
END_TEST

START_TEST(merged_sketches_know_what_one_would_have)
{
	static struct tally whole, parts[2], merged;
	struct addr heaviest = host(false, 7);

	for (uint32_t n = 0; n < 4000; n++) {
		syns_from(&whole, n, 1, 0);
		syns_from(&parts[n % 2], n, 1, 0);
	}
	for (unsigned i = 0; i < 2; i++) { /* a client's SYNs may come in at both shards */
		syns_from(&parts[i], 7, 600, 0);
		syns_from(&whole, 7, 600, 0);
		tally_sketch_merge(&merged.sketch, &parts[i].sketch);
	}
	ck_assert_uint_eq(merged.sketch.syns, 4000 + 1200);
	ck_assert_uint_eq(tally_distinct(&merged.sketch), tally_distinct(&whole.sketch));
	ck_assert(addr_equal(&tally_heaviest(&merged.sketch)->net, &heaviest));
	ck_assert_uint_ge(tally_heaviest(&merged.sketch)->syns, 1200);
}
END_TEST

START_TEST(a_merged_sketch_is_as_old_as_its_oldest_part)
{
	struct tally_sketch into = {.since_ns = 0}, older = {.since_ns = 5}, newer = {.since_ns = 9}, never = {0};

	tally_sketch_merge(&into, &newer);
	ck_assert_uint_eq(into.since_ns, 9);
	tally_sketch_merge(&into, &older);
	ck_assert_uint_eq(into.since_ns, 5);
	tally_sketch_merge(&into, &newer);
	tally_sketch_merge(&into, &never);
	ck_assert_uint_eq(into.since_ns, 5);
	ck_assert_ptr_null(tally_heaviest(&into));
}
END_TEST

/* What a newcomer inherits from the one that gave way is not its own. */
START_TEST(of_sources_that_send_once_each_none_is_said_to_send_more)
{
	for (uint32_t n = 0; n < 1000; n++) {
		struct addr net = host(false, n);

		tally_syn(&tally, &net, n * 0x9e3779b97f4a7c15ULL, AT(5));
	}
	ck_assert_uint_eq(tally_heaviest(&tally.sketch)->syns - tally_heaviest(&tally.sketch)->over, 1);
	ck_assert_uint_eq(tally_this_second(&tally, AT(5)), 1000);
	ck_assert_uint_eq(tally_this_second(&tally, AT(6)), 0);
}
END_TEST

static Suite *tally_suite(void)
{
	Suite *suite = suite_create("tally");
	TCase *seconds = tcase_create("seconds");
	TCase *sources = tcase_create("sources");

	suite_add_tcase(suite, seconds);
	tcase_add_test(seconds, of_nothing_everything_is_zero);
	tcase_add_test(seconds, the_first_second_of_the_clock_works);
	tcase_add_test(seconds, the_rate_is_that_of_the_last_full_second);
	tcase_add_test(seconds, a_second_one_round_ago_is_not_counted);
	tcase_add_test(seconds, a_cookie_counts_for_the_window_and_the_rest_of_its_second);
	tcase_add_test(seconds, the_longest_window_reaches_back_all_the_way);
	tcase_add_test(seconds, a_returned_cookie_is_not_unanswered);
	tcase_add_test(seconds, more_returned_than_sent_is_zero);

	suite_add_tcase(suite, sources);
	tcase_add_loop_test(sources, the_distinct_estimate_is_within_three_standard_errors, 0,
			    sizeof(distinct_counts) / sizeof(distinct_counts[0]));
	tcase_add_test(sources, few_sources_are_counted_almost_exactly);
	tcase_add_test(sources, a_source_seen_again_is_not_distinct);
	tcase_add_test(sources, with_few_sources_the_heaviest_is_counted_exactly);
	tcase_add_test(sources, a_source_above_an_eighth_is_found_in_a_flood_of_random_ones);
	tcase_add_test(sources, a_source_that_was_heaviest_first_is_still_found);
	tcase_add_test(sources, of_sources_that_send_once_each_none_is_said_to_send_more);
	tcase_add_test(sources, a_reset_sketch_starts_anew);
	tcase_add_test(sources, merged_sketches_know_what_one_would_have);
	tcase_add_test(sources, a_merged_sketch_is_as_old_as_its_oldest_part);
	return suite;
}

int main(void)
{
	return unit_main(tally_suite());
}
