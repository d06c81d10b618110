/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who gives way in a full table, and who is kept in it. */
#include "source_table.h"

START_TEST(in_a_full_table_the_least_recently_seen_gives_way)
{
	fill(0);
	ck_assert(!evicted);
	touch(0);
	ck_assert(!evicted);
	touch(100);
	ck_assert(evicted);
	ck_assert_ptr_nonnull(find(0));
	ck_assert_ptr_null(find(1));
	ck_assert_uint_eq(source_count(table), CAPACITY);
}
END_TEST

START_TEST(the_order_of_eviction_is_that_of_sight_whatever_the_clock_says)
{
	for (uint32_t n = 0; n < CAPACITY; n++) {
		struct addr addr = host(false, n);

		source_touch(table, &addr, (1000 - n) * NSEC_PER_SEC, &evicted);
	}
	touch(100);
	ck_assert_ptr_null(find(0));
	ck_assert_ptr_nonnull(find(CAPACITY - 1));
}
END_TEST

START_TEST(finding_does_not_count_as_seeing)
{
	fill(0);
	ck_assert_ptr_nonnull(find(0));
	touch(100);
	ck_assert_ptr_null(find(0));
}
END_TEST

START_TEST(holders_outlive_a_flood_of_one_shot_sources)
{
	fill(0);
	for (uint32_t n = 0; n < 4; n++)
		find(n)->half_open = 1;
	for (uint32_t n = 100; n < 5000; n++)
		touch(n);
	for (uint32_t n = 0; n < 4; n++)
		ck_assert_ptr_nonnull(find(n));
}
END_TEST

START_TEST(one_behind_the_last_holder_put_back_gives_way)
{
	fill(0);
	for (uint32_t n = 0; n < PUT_BACK_MAX; n++)
		find(n)->half_open = 1;
	touch(100);
	ck_assert_ptr_null(find(PUT_BACK_MAX));
	for (uint32_t n = 0; n < PUT_BACK_MAX; n++)
		ck_assert_ptr_nonnull(find(n));
}
END_TEST

START_TEST(if_the_last_few_all_hold_the_one_that_holds_least_gives_way)
{
	fill(5);
	find(3)->half_open = 2;
	find(PUT_BACK_MAX)->half_open = 1; /* lighter, but too far from the end to be looked at */
	touch(100);
	ck_assert(evicted);
	ck_assert_ptr_null(find(3));
	ck_assert_ptr_nonnull(find(PUT_BACK_MAX));
	ck_assert_uint_eq(touch(100)->half_open, 0);
}
END_TEST

START_TEST(a_table_smaller_than_the_holders_put_back_works)
{
	struct source_table *small = source_new(2, &defaults, &key);

	for (uint32_t n = 0; n < 100; n++) {
		struct addr addr = host(false, n);

		source_touch(small, &addr, 0, &evicted)->half_open = 1;
		ck_assert_int_eq(evicted, n >= 2);
		ck_assert_ptr_nonnull(source_find(small, &addr));
	}
	ck_assert_uint_eq(source_count(small), 2);
	source_free(small);
}
END_TEST

START_TEST(an_evicted_source_starts_again_from_zero)
{
	touch(0)->syns = 7;
	for (uint32_t n = 1; n <= CAPACITY; n++)
		touch(n);
	ck_assert_ptr_null(find(0));
	ck_assert_uint_eq(touch(0)->syns, 0);
}
END_TEST

START_TEST(who_shows_nothing_is_not_kept)
{
	ck_assert_uint_eq(touch(1)->kept, 0);
	ck_assert_uint_eq(touch(1)->kept, 0);
	ck_assert_uint_eq(hold(2, SOURCE_HEAVY - 1)->kept, 0);
}
END_TEST

START_TEST(who_completes_a_handshake_is_kept_at_once)
{
	ck_assert_uint_eq(prove(1)->kept, 1);
}
END_TEST

START_TEST(who_is_seen_again_while_it_holds_two_is_kept)
{
	touch(1)->half_open = SOURCE_HEAVY;
	ck_assert_uint_eq(find(1)->kept, 0);
	ck_assert_uint_eq(touch(1)->kept, 1);
}
END_TEST

START_TEST(at_most_three_quarters_are_kept)
{
	for (uint32_t n = 0; n < KEPT_MAX; n++)
		prove(n);
	ck_assert_uint_eq(find(0)->kept, 1);
	ck_assert_uint_eq(prove(KEPT_MAX)->kept, 1);
	ck_assert_uint_eq(find(0)->kept, 0);
	ck_assert_uint_eq(find(1)->kept, 1);
	ck_assert_uint_eq(source_count(table), KEPT_MAX + 1);
}
END_TEST

START_TEST(who_is_kept_no_longer_gives_way_after_those_seen_once_before)
{
	for (uint32_t n = 0; n < KEPT_MAX; n++)
		prove(n);
	for (uint32_t n = KEPT_MAX; n < CAPACITY; n++)
		touch(n);
	source_completed(table, find(CAPACITY - 1), 0); /* and 0 goes back */
	for (uint32_t n = 0; n < 3; n++) {
		touch(100 + n);
		ck_assert_ptr_null(find(KEPT_MAX + n));
		ck_assert_ptr_nonnull(find(0));
	}
	touch(200);
	ck_assert_ptr_null(find(0));
	ck_assert_ptr_nonnull(find(100));
}
END_TEST

START_TEST(a_proven_source_seen_again_is_kept_again)
{
	for (uint32_t n = 0; n <= KEPT_MAX; n++)
		prove(n);
	ck_assert_uint_eq(find(0)->kept, 0);
	ck_assert_uint_eq(touch(0)->kept, 1);
	ck_assert_uint_eq(find(1)->kept, 0);
}
END_TEST

START_TEST(who_has_nothing_left_to_show_stays_in_its_place)
{
	hold(0, SOURCE_HEAVY)->half_open = 0;
	for (uint32_t n = 1; n < KEPT_MAX; n++)
		prove(n);
	ck_assert_uint_eq(touch(0)->kept, 1);
	prove(1);
	prove(KEPT_MAX);
	ck_assert_uint_eq(find(0)->kept, 0);
	ck_assert_uint_eq(find(1)->kept, 1);
	ck_assert_uint_eq(find(2)->kept, 1);
}
END_TEST

START_TEST(proven_sources_go_before_heavy_holders)
{
	hold(0, SOURCE_HEAVY);
	hold(1, 100);
	for (uint32_t n = 2; n <= KEPT_MAX; n++)
		prove(n);
	ck_assert_uint_eq(find(0)->kept & find(1)->kept, 1);
	ck_assert_uint_eq(find(2)->kept, 0);
	ck_assert_uint_eq(find(3)->kept, 1);
}
END_TEST

/* Newcomers that all prove themselves: the worst that can come to those in the table. */
START_TEST(one_shot_sources_go_first_then_proven_ones_and_heavy_holders_stay)
{
	static const uint32_t expected[] = {9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5};
	unsigned gone = 0;

	for (uint32_t n = 6; n < 9; n++)
		hold(n, n);
	for (uint32_t n = 0; n < 6; n++)
		prove(n);
	for (uint32_t n = 9; n < CAPACITY; n++)
		touch(n);
	for (uint32_t n = 100; n < 100 + 13; n++) {
		prove(n);
		ck_assert_ptr_null(find(expected[gone++]));
		for (unsigned i = gone; i < 13; i++)
			ck_assert_ptr_nonnull(find(expected[i]));
	}
	for (uint32_t n = 200; n < 1000; n++)
		prove(n);
	for (uint32_t n = 6; n < 9; n++)
		ck_assert_uint_eq(find(n)->kept, 1);
}
END_TEST

START_TEST(in_a_table_full_of_proven_sources_newcomers_evict_each_other)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		prove(n);
	for (uint32_t n = 100; n < 1000; n++) {
		touch(n);
		ck_assert(evicted);
	}
	for (uint32_t n = 0; n < CAPACITY; n++)
		ck_assert_int_eq(find(n) != NULL, n >= CAPACITY - KEPT_MAX);
	ck_assert_uint_eq(source_count(table), CAPACITY);
}
END_TEST

START_TEST(in_a_table_full_of_heavy_holders_a_newcomer_finds_a_place)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		hold(n, 50 + n);
	ck_assert_uint_eq(source_count(table), CAPACITY);
	for (uint32_t n = 100; n < 200; n++) {
		hold(n, 10);
		ck_assert_ptr_nonnull(find(n));
		ck_assert_uint_eq(source_count(table), CAPACITY);
	}
}
END_TEST

/* 4096 holders in one list, each lighter than the one before it: a search that looked at one more would choose it. */
START_TEST(an_eviction_looks_at_the_last_few_and_no_further)
{
	enum {
		MANY = 4096
	};
	struct source_table *large = source_new(MANY, &defaults, &key);

	for (uint32_t n = 0; n < MANY; n++) {
		struct addr addr = host(false, n);

		source_touch(large, &addr, 0, &evicted)->half_open = MANY - n;
	}
	for (uint32_t n = 0; n < MANY / PUT_BACK_MAX; n++) {
		struct addr addr = host(false, MANY + n);

		source_touch(large, &addr, 0, &evicted);
		must(evicted);
		for (uint32_t i = 0; i < MANY; i++) {
			struct addr old = host(false, i);
			bool gone = i % PUT_BACK_MAX == PUT_BACK_MAX - 1 && i / PUT_BACK_MAX <= n;

			must((source_find(large, &old) == NULL) == gone);
		}
	}
	source_free(large);
}
END_TEST

START_TEST(a_newly_kept_source_moves_the_last_few_and_no_more)
{
	enum {
		MANY = 4096,
		MANY_KEPT = MANY / 4 * 3
	};
	struct source_table *large = source_new(MANY, &defaults, &key);

	for (uint32_t n = 0; n < MANY_KEPT; n++) {
		struct addr addr = host(false, n);

		source_touch(large, &addr, 0, &evicted)->half_open = 2 * MANY - n;
		must(source_touch(large, &addr, 0, &evicted)->kept);
	}
	for (uint32_t n = 0; n < MANY_KEPT / PUT_BACK_MAX - 1; n++) { /* till the first newcomer is the oldest */
		struct addr addr = host(false, MANY_KEPT + n);

		source_completed(large, source_touch(large, &addr, 0, &evicted), 0);
		must(!evicted);
		for (uint32_t i = 0; i < MANY_KEPT; i++) {
			struct addr old = host(false, i);
			bool back = i % PUT_BACK_MAX == PUT_BACK_MAX - 1 && i / PUT_BACK_MAX <= n;

			must(source_find(large, &old)->kept == !back);
		}
	}
	source_free(large);
}
END_TEST

/* In peace each invented source holds one half-open connection, while armed none. */
START_TEST(a_million_invented_sources_drive_out_none_that_is_kept)
{
	enum {
		PROVEN = 100,
		HEAVY = 10
	};
	struct source_table *large = source_new(4096, &defaults, &key);
	uint64_t seed = 7;

	for (uint32_t n = 0; n < PROVEN + HEAVY; n++) {
		struct addr addr = host(n % 2, n);
		struct source *source = source_touch(large, &addr, 0, &evicted);

		source->syns = n;
		if (n < PROVEN) {
			source_completed(large, source, 0);
		} else {
			source->half_open = 20;
			source_touch(large, &addr, 0, &evicted);
		}
	}
	for (unsigned i = 0; i < 1000000; i++) {
		uint32_t wire = (uint32_t)random_next(&seed);
		struct addr addr = addr_from_v4(&wire);

		source_touch(large, &addr, 0, &evicted)->half_open = (uint32_t)_i;
	}
	for (uint32_t n = 0; n < PROVEN + HEAVY; n++) {
		struct addr addr = host(n % 2, n);

		must(source_find(large, &addr) && source_find(large, &addr)->syns == n);
	}
	ck_assert_uint_eq(source_count(large), 4096);
	source_free(large);
}
END_TEST

START_TEST(tables_of_one_to_five_entries_work)
{
	uint32_t capacity = (uint32_t)_i;
	struct source_table *small = source_new(capacity, &defaults, &key);
	uint64_t seed = capacity;

	for (unsigned round = 0; round < 10000; round++) {
		struct addr addr = host(false, random_below(&seed, 8));
		struct source *source = source_touch(small, &addr, 0, &evicted);

		source->half_open = random_below(&seed, 4);
		if (random_below(&seed, 3) == 0)
			source_completed(small, source, 0);
		must(source_find(small, &addr) == source);
		must(source_count(small) <= capacity);
	}
	ck_assert_uint_eq(source_count(small), capacity);
	source_free(small);
}
END_TEST

/* ---- against two plain arrays, newest first ---- */

struct plain {
	uint32_t n, half_open;
	bool proven;
};
static struct plain plain[2][CAPACITY + 1]; /* once, kept */
static unsigned plain_count[2];

static struct plain plain_take(unsigned list, unsigned at)
{
	struct plain taken = plain[list][at];

	plain_count[list]--;
	memmove(&plain[list][at], &plain[list][at + 1], (plain_count[list] - at) * sizeof(taken));
	return taken;
}

static void plain_put(unsigned list, struct plain entry)
{
	memmove(&plain[list][1], &plain[list][0], plain_count[list] * sizeof(entry));
	plain[list][0] = entry;
	plain_count[list]++;
}

static bool plain_find(uint32_t n, unsigned *list, unsigned *at)
{
	for (*list = 0; *list < 2; ++*list)
		for (*at = 0; *at < plain_count[*list]; ++*at)
			if (plain[*list][*at].n == n)
				return true;
	return false;
}

static struct plain plain_last(unsigned list, uint32_t spared)
{
	struct plain lightest = plain[list][plain_count[list] - 1];
	unsigned at = plain_count[list] - 1;

	for (unsigned i = 0; i < PUT_BACK_MAX; i++) {
		struct plain last = plain[list][plain_count[list] - 1];

		if (last.half_open < spared)
			return plain_take(list, at);
		if (last.half_open < lightest.half_open)
			lightest = last;
		plain_put(list, plain_take(list, at));
	}
	if (plain[list][at].half_open >= spared)
		plain_find(lightest.n, &list, &at);
	return plain_take(list, at);
}

static void plain_keep(unsigned list, unsigned at)
{
	plain_put(1, plain_take(list, at));
	if (plain_count[1] > KEPT_MAX)
		plain_put(0, plain_last(1, SOURCE_HEAVY));
}

/* Returns whether another gave way. */
static bool plain_touch(uint32_t n)
{
	bool full = plain_count[0] + plain_count[1] == CAPACITY;
	unsigned list, at;

	if (plain_find(n, &list, &at)) {
		if (plain[list][at].proven || plain[list][at].half_open >= SOURCE_HEAVY)
			plain_keep(list, at);
		else if (list == 0)
			plain_put(0, plain_take(0, at));
		return false;
	}
	if (full)
		plain_last(0, 1);
	plain_put(0, (struct plain){.n = n});
	return full;
}

START_TEST(a_long_random_life_agrees_with_plain_lists)
{
	uint64_t seed = 4;
	unsigned list, at;

	for (unsigned round = 0; round < 200000; round++) {
		uint32_t n = random_below(&seed, 2 * CAPACITY);
		bool gave_way = plain_touch(n);
		struct source *source = touch(n);

		must(evicted == gave_way);
		must(source->syns == 0 || source->syns == n + 1);
		source->syns = n + 1;
		must(plain_find(n, &list, &at));
		must(source->half_open == plain[list][at].half_open);
		source->half_open = plain[list][at].half_open = random_below(&seed, 20) ? random_below(&seed, 4) : 50;
		if (random_below(&seed, 8) == 0) {
			plain[list][at].proven = true;
			plain_keep(list, at);
			source_completed(table, source, round);
		}
		for (n = 0; n < 2 * CAPACITY; n++) {
			source = find(n);
			must((source != NULL) == plain_find(n, &list, &at));
			must(!source || (source->kept == list && !source->proven_s == !plain[list][at].proven));
		}
		must(source_count(table) == plain_count[0] + plain_count[1]);
	}
}
END_TEST

static Suite *source_eviction_suite(void)
{
	Suite *suite = suite_create("source_eviction");
	TCase *eviction = tcase_create("eviction");
	TCase *kept = tcase_create("kept");

	suite_add_tcase(suite, eviction);
	tcase_add_checked_fixture(eviction, table_make, table_drop);
	tcase_set_timeout(eviction, 60);
	tcase_add_test(eviction, in_a_full_table_the_least_recently_seen_gives_way);
	tcase_add_test(eviction, finding_does_not_count_as_seeing);
	tcase_add_test(eviction, holders_outlive_a_flood_of_one_shot_sources);
	tcase_add_test(eviction, one_behind_the_last_holder_put_back_gives_way);
	tcase_add_test(eviction, if_the_last_few_all_hold_the_one_that_holds_least_gives_way);
	tcase_add_test(eviction, a_table_smaller_than_the_holders_put_back_works);
	tcase_add_test(eviction, an_evicted_source_starts_again_from_zero);
	tcase_add_test(eviction, the_order_of_eviction_is_that_of_sight_whatever_the_clock_says);
	tcase_add_test(eviction, an_eviction_looks_at_the_last_few_and_no_further);
	tcase_add_loop_test(eviction, a_million_invented_sources_drive_out_none_that_is_kept, 0, 2);
	tcase_add_loop_test(eviction, tables_of_one_to_five_entries_work, 1, 6);
	tcase_add_test(eviction, a_long_random_life_agrees_with_plain_lists);

	suite_add_tcase(suite, kept);
	tcase_add_checked_fixture(kept, table_make, table_drop);
	tcase_set_timeout(kept, 60);
	tcase_add_test(kept, who_shows_nothing_is_not_kept);
	tcase_add_test(kept, who_completes_a_handshake_is_kept_at_once);
	tcase_add_test(kept, who_is_seen_again_while_it_holds_two_is_kept);
	tcase_add_test(kept, at_most_three_quarters_are_kept);
	tcase_add_test(kept, who_is_kept_no_longer_gives_way_after_those_seen_once_before);
	tcase_add_test(kept, a_proven_source_seen_again_is_kept_again);
	tcase_add_test(kept, who_has_nothing_left_to_show_stays_in_its_place);
	tcase_add_test(kept, proven_sources_go_before_heavy_holders);
	tcase_add_test(kept, one_shot_sources_go_first_then_proven_ones_and_heavy_holders_stay);
	tcase_add_test(kept, in_a_table_full_of_proven_sources_newcomers_evict_each_other);
	tcase_add_test(kept, in_a_table_full_of_heavy_holders_a_newcomer_finds_a_place);
	tcase_add_test(kept, a_newly_kept_source_moves_the_last_few_and_no_more);
	return suite;
}

int main(void)
{
	return unit_main(source_eviction_suite());
}
