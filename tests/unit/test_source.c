/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sys/mman.h>

#include "source_table.h"

START_TEST(a_new_source_starts_from_zero)
{
	struct addr addr = address("198.51.100.7");
	struct source *source = source_touch(table, &addr, 77 * NSEC_PER_SEC + 999999999, &evicted);

	ck_assert(!evicted);
	ck_assert(addr_equal(&source->net, &addr));
	ck_assert_uint_eq(source->half_open | source->syns | source->challenged | source->completed, 0);
	ck_assert_uint_eq(source->proven_s | source->wary_since_s, 0);
	ck_assert_uint_eq(source->due | source->owed | source->kept, 0);
	ck_assert_uint_eq(source->last_s, 77);
	ck_assert_uint_eq(source_count(table), 1);
}
END_TEST

START_TEST(a_source_seen_again_keeps_its_numbers)
{
	struct source *source = touch(1);

	source->syns = 9;
	touch(2);
	ck_assert_ptr_eq(touch(1), source);
	ck_assert_uint_eq(source->syns, 9);
	ck_assert_uint_eq(source_count(table), 2);
}
END_TEST

static bool counted_as_one(const struct source_prefixes *prefixes, const char *one, const char *other)
{
	struct source_table *of = source_new(CAPACITY, prefixes, &key);
	struct addr first = address(one), second = address(other);
	struct source *source = source_touch(of, &first, 0, &evicted);
	bool same = source_find(of, &second) == source;
	struct addr net = source_net(of, &first), other_net = source_net(of, &second);

	ck_assert(addr_equal(&source->net, &net));
	ck_assert_int_eq(addr_equal(&net, &other_net), same);
	source_touch(of, &second, 0, &evicted);
	ck_assert_uint_eq(source_count(of), same ? 1 : 2);
	source_free(of);
	return same;
}

static const struct prefix_case {
	struct source_prefixes prefixes;
	const char *one, *within, *outside;
} prefix_cases[] = {
	{{8, 64}, "10.0.0.0", "10.255.255.255", "11.0.0.0"},
	{{24, 64}, "198.51.100.0", "198.51.100.255", "198.51.101.0"},
	{{31, 64}, "198.51.100.6", "198.51.100.7", "198.51.100.8"},
	{{32, 64}, "198.51.100.7", "198.51.100.7", "198.51.100.6"},
	{{1, 64}, "10.0.0.0", "127.255.255.255", "128.0.0.0"},
	{{32, 32}, "2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::1"},
	{{32, 48}, "2001:db8:7::1", "2001:db8:7:ffff:ffff:ffff:ffff:ffff", "2001:db8:8::1"},
	{{32, 64}, "2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:2::1"},
	{{32, 128}, "2001:db8::1", "2001:db8::1", "2001:db8::"},
	{{8, 127}, "2001:db8::2", "2001:db8::3", "2001:db8::1"},
};

START_TEST(a_source_is_the_leading_bits_of_an_address)
{
	const struct prefix_case *tried = &prefix_cases[_i];

	ck_assert(counted_as_one(&tried->prefixes, tried->one, tried->within));
	ck_assert(!counted_as_one(&tried->prefixes, tried->one, tried->outside));
}
END_TEST

START_TEST(both_families_with_the_same_bytes_are_two_sources)
{
	static const struct source_prefixes finest = {32, 128}, coarse = {8, 8};

	ck_assert(!counted_as_one(&finest, "198.51.100.7", "c633:6407::"));
	ck_assert(!counted_as_one(&finest, "198.51.100.7", "::198.51.100.7"));
	ck_assert(!counted_as_one(&finest, "0.0.0.0", "::"));
	ck_assert(!counted_as_one(&coarse, "198.51.100.7", "c633:6407::"));
	ck_assert(!counted_as_one(&coarse, "198.51.100.7", "::198.51.100.7"));
	ck_assert(!counted_as_one(&coarse, "0.0.0.0", "::"));
}
END_TEST

START_TEST(each_entry_is_one_cache_line)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		ck_assert_uint_eq((uintptr_t)touch(n) % 64, 0);
}
END_TEST

START_TEST(memory_is_touched_as_it_is_used)
{
	static unsigned char resident[8192]; /* pages */
	size_t page_bytes = (size_t)getpagesize(), checked_bytes = 32 << 20;
	struct source_table *large = source_new(1 << 20, &defaults, &key);
	unsigned pages = 0;
	struct source *last = NULL;
	uintptr_t rest;

	ck_assert_ptr_nonnull(large);
	for (uint32_t n = 0; n < 1000; n++) {
		struct addr addr = host(false, n);

		last = source_touch(large, &addr, 0, &evicted);
	}
	/* The half of the table from there on; a huge page (2 MiB) may have come with the last entry. */
	rest = ((uintptr_t)last + page_bytes - 1) & ~(page_bytes - 1);
	ck_assert_int_eq(mincore((void *)rest, checked_bytes, resident), 0);
	for (size_t i = 0; i < checked_bytes / page_bytes; i++)
		pages += resident[i] & 1;
	ck_assert_uint_le(pages * page_bytes, 2 << 20);
	ck_assert_uint_eq((uintptr_t)last % 64, 0);
	source_free(large);
}
END_TEST

START_TEST(the_count_of_handshakes_goes_no_further_than_it_can)
{
	struct source *source = prove(1);

	source->completed = UINT32_MAX - 1;
	source_completed(table, source, 0);
	ck_assert_uint_eq(source->completed, UINT32_MAX);
	source_completed(table, source, 0);
	ck_assert_uint_eq(source->completed, UINT32_MAX);
}
END_TEST

START_TEST(a_handshake_in_the_first_second_is_one_too)
{
	struct source *source = touch(1);

	ck_assert_uint_eq(source->proven_s, 0);
	source_completed(table, source, NSEC_PER_SEC - 1);
	ck_assert_uint_eq(source->proven_s, 1);
	ck_assert_uint_eq(source->completed, 1);
	source_completed(table, source, 2 * NSEC_PER_SEC);
	ck_assert_uint_eq(source->proven_s, 2);
}
END_TEST

START_TEST(a_clock_that_jumps_is_followed_both_ways)
{
	static const uint64_t jumps_s[] = {1000, 5, 0, UINT32_MAX, 7};
	struct addr addr = host(false, 1);

	for (unsigned i = 0; i < sizeof(jumps_s) / sizeof(jumps_s[0]); i++) {
		uint64_t now_ns = jumps_s[i] * NSEC_PER_SEC;
		struct source *source = source_touch(table, &addr, now_ns, &evicted);

		source_completed(table, source, now_ns);
		ck_assert_uint_eq(source->last_s, jumps_s[i]);
		ck_assert_uint_eq(source->proven_s, jumps_s[i] ? jumps_s[i] : 1);
		ck_assert_uint_eq(source->kept, 1);
	}
}
END_TEST

START_TEST(an_age_is_never_negative)
{
	ck_assert_uint_eq(source_age_s(7, 0), 0);
	ck_assert_uint_eq(source_age_s(7, 7 * NSEC_PER_SEC - 1), 0);
	ck_assert_uint_eq(source_age_s(7, 7 * NSEC_PER_SEC), 0);
	ck_assert_uint_eq(source_age_s(7, 8 * NSEC_PER_SEC - 1), 0);
	ck_assert_uint_eq(source_age_s(7, 8 * NSEC_PER_SEC), 1);
	ck_assert_uint_eq(source_age_s(0, UINT32_MAX * NSEC_PER_SEC), UINT32_MAX);
}
END_TEST

#define DUE_MAX ((1ULL << 48) - 1)

START_TEST(the_table_leaves_the_policys_numbers_alone)
{
	struct source *source = touch(1);

	source->wary_since_s = UINT32_MAX;
	source->due = DUE_MAX;
	source->owed = SOURCE_OWED_MAX;
	ck_assert_uint_eq(source->kept, 0);
	source_completed(table, source, 0);
	for (uint32_t n = 2; n <= KEPT_MAX + 1; n++)
		prove(n);
	ck_assert_uint_eq(source->kept, 0); /* back again */
	ck_assert_ptr_eq(touch(1), source);
	ck_assert_uint_eq(source->wary_since_s, UINT32_MAX);
	ck_assert_uint_eq(source->due, DUE_MAX);
	ck_assert_uint_eq(source->owed, SOURCE_OWED_MAX);
}
END_TEST

START_TEST(a_source_never_seen_is_not_found)
{
	ck_assert_ptr_null(find(1));
	touch(2);
	ck_assert_ptr_null(find(1));
}
END_TEST

/* ---- top ---- */

static void ck_assert_top(enum source_order order, const uint32_t *expected, unsigned known)
{
	struct source top[CAPACITY];

	for (unsigned most = 0; most <= known + 1; most++) {
		unsigned count = source_top(table, top, most, order);

		ck_assert_uint_eq(count, most < known ? most : known);
		for (unsigned i = 0; i < count; i++)
			ck_assert(addr_equal(&top[i].net, &find(expected[i])->net));
	}
}

START_TEST(the_top_is_by_half_open_or_by_challenged_then_by_syns)
{
	static const uint32_t half_open[] = {1, 5, 0, 5, 2}, syns[] = {50, 10, 90, 20, 2};
	static const uint32_t challenged[] = {7, 0, 7, 0, 9};
	static const uint32_t by_half_open[] = {3, 1, 4, 0, 2}, by_challenged[] = {4, 2, 0, 3, 1};

	for (uint32_t n = 0; n < 5; n++) {
		touch(n)->half_open = half_open[n];
		find(n)->syns = syns[n];
		find(n)->challenged = challenged[n];
	}
	ck_assert_top(SOURCE_BY_HALF_OPEN, by_half_open, 5);
	ck_assert_top(SOURCE_BY_CHALLENGED, by_challenged, 5);
}
END_TEST

START_TEST(the_top_shows_equals_each_once)
{
	struct source top[CAPACITY];
	unsigned seen = 0;

	for (uint32_t n = 0; n < 5; n++)
		touch(n)->syns = 3;
	for (enum source_order order = SOURCE_BY_HALF_OPEN; order <= SOURCE_BY_CHALLENGED; order++) {
		ck_assert_uint_eq(source_top(table, top, 1, order), 1);
		ck_assert_uint_eq(source_top(table, top, CAPACITY, order), 5);
		seen = 0;
		for (unsigned i = 0; i < 5; i++)
			seen |= 1U << top[i].net.bytes[15];
		ck_assert_uint_eq(seen, 0x1f);
	}
}
END_TEST

START_TEST(the_top_is_of_kept_and_others)
{
	static const uint32_t expected[] = {2, 0, 1, 3};

	prove(0)->half_open = 5;
	touch(1)->half_open = 4;
	hold(2, 6);
	touch(3);
	ck_assert_top(SOURCE_BY_HALF_OPEN, expected, 4);
}
END_TEST

START_TEST(the_top_of_nothing_is_empty)
{
	struct source top[1];

	ck_assert_uint_eq(source_top(table, top, 1, SOURCE_BY_HALF_OPEN), 0);
	ck_assert_uint_eq(source_top(table, top, 0, SOURCE_BY_CHALLENGED), 0);
}
END_TEST

START_TEST(a_top_of_none_is_left_alone)
{
	struct source top = {.half_open = 0};

	touch(1)->half_open = 7;
	ck_assert_uint_eq(source_top(table, &top, 0, SOURCE_BY_HALF_OPEN), 0);
	ck_assert_uint_eq(top.half_open, 0);
}
END_TEST

enum {
	CROWD = 500
};

/* What source_top() copies has no two that are equal, so that there is one right order. */
static struct source_table *crowd_of(int pattern, struct source all[CROWD])
{
	struct source_table *crowd = source_new(CROWD, &defaults, &key);
	uint64_t seed = 3;

	for (uint32_t n = 0; n < CROWD; n++) {
		uint32_t weight = pattern == 0 ? n : pattern == 1 ? CROWD - n : random_below(&seed, 40);
		struct addr addr = host(n % 2, n);
		struct source *source = source_touch(crowd, &addr, 0, &evicted);

		source->half_open = weight / 3;
		source->challenged = CROWD - weight / 2;
		source->syns = pattern == 0 ? n : pattern == 1 ? CROWD - n : n * 7919 % CROWD;
		all[n] = *source;
	}
	return crowd;
}

/* By comparing each with each. */
static unsigned rank_of(const struct source *source, const struct source all[CROWD], enum source_order order)
{
	uint32_t weight = order == SOURCE_BY_HALF_OPEN ? source->half_open : source->challenged;
	unsigned before = 0;

	for (unsigned i = 0; i < CROWD; i++) {
		uint32_t other = order == SOURCE_BY_HALF_OPEN ? all[i].half_open : all[i].challenged;

		before += other > weight || (other == weight && all[i].syns > source->syns);
	}
	return before;
}

/* 0: the heaviest come last, 1: first, 2: in no order. */
START_TEST(the_top_of_many_is_that_of_a_sorted_list)
{
	static const unsigned mosts[] = {1, 2, 3, 7, 8, 31, 100, CROWD - 1, CROWD, CROWD + 1};
	static struct source all[CROWD], ranked[CROWD], top[CROWD + 1];
	struct source_table *crowd = crowd_of(_i, all);

	for (enum source_order order = SOURCE_BY_HALF_OPEN; order <= SOURCE_BY_CHALLENGED; order++) {
		for (unsigned i = 0; i < CROWD; i++)
			ranked[rank_of(&all[i], all, order)] = all[i];
		for (unsigned i = 0; i < sizeof(mosts) / sizeof(mosts[0]); i++) {
			unsigned expected = mosts[i] < CROWD ? mosts[i] : CROWD;

			ck_assert_uint_eq(source_top(crowd, top, mosts[i], order), expected);
			for (unsigned at = 0; at < expected; at++) {
				must(addr_equal(&top[at].net, &ranked[at].net));
				must(top[at].syns == ranked[at].syns);
			}
		}
	}
	source_free(crowd);
}
END_TEST

START_TEST(copies_of_several_tables_are_sorted_in_the_same_order)
{
	static struct source all[CROWD], sorted[CROWD];

	source_free(crowd_of(_i, all));
	for (enum source_order order = SOURCE_BY_HALF_OPEN; order <= SOURCE_BY_CHALLENGED; order++) {
		memcpy(sorted, all, sizeof(all));
		source_sort(sorted, CROWD, order);
		for (unsigned i = 0; i < CROWD; i++)
			must(rank_of(&sorted[i], all, order) == i);
	}
	source_sort(sorted, 1, SOURCE_BY_HALF_OPEN);
	source_sort(sorted, 0, SOURCE_BY_HALF_OPEN);
	ck_assert_uint_eq(rank_of(&sorted[0], all, SOURCE_BY_CHALLENGED), 0);
}
END_TEST

static Suite *source_suite(void)
{
	Suite *suite = suite_create("source");
	TCase *entries = tcase_create("entries");
	TCase *top = tcase_create("top");

	suite_add_tcase(suite, entries);
	tcase_add_checked_fixture(entries, table_make, table_drop);
	tcase_add_test(entries, a_new_source_starts_from_zero);
	tcase_add_test(entries, a_source_seen_again_keeps_its_numbers);
	tcase_add_loop_test(entries, a_source_is_the_leading_bits_of_an_address, 0,
			    sizeof(prefix_cases) / sizeof(prefix_cases[0]));
	tcase_add_test(entries, both_families_with_the_same_bytes_are_two_sources);
	tcase_add_test(entries, each_entry_is_one_cache_line);
	tcase_add_test(entries, memory_is_touched_as_it_is_used);
	tcase_add_test(entries, the_count_of_handshakes_goes_no_further_than_it_can);
	tcase_add_test(entries, a_handshake_in_the_first_second_is_one_too);
	tcase_add_test(entries, a_clock_that_jumps_is_followed_both_ways);
	tcase_add_test(entries, an_age_is_never_negative);
	tcase_add_test(entries, the_table_leaves_the_policys_numbers_alone);
	tcase_add_test(entries, a_source_never_seen_is_not_found);

	suite_add_tcase(suite, top);
	tcase_add_checked_fixture(top, table_make, table_drop);
	tcase_add_test(top, the_top_is_by_half_open_or_by_challenged_then_by_syns);
	tcase_add_test(top, the_top_shows_equals_each_once);
	tcase_add_test(top, the_top_is_of_kept_and_others);
	tcase_add_test(top, the_top_of_nothing_is_empty);
	tcase_add_test(top, a_top_of_none_is_left_alone);
	tcase_add_loop_test(top, the_top_of_many_is_that_of_a_sorted_list, 0, 3);
	tcase_add_loop_test(top, copies_of_several_tables_are_sorted_in_the_same_order, 0, 3);
	return suite;
}

int main(void)
{
	return unit_main(source_suite());
}
