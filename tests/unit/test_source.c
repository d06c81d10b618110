/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/source.h"

#include <sys/mman.h>

#include "wire.h"

#define CAPACITY 16
#define KEPT_MAX 12    /* 3/4 */
#define PUT_BACK_MAX 8 /* SECOND_CHANCES */

static const struct siphash_key key = {{5, 6}};
static const struct source_prefixes defaults = {SOURCE_PREFIX_V4_BITS, SOURCE_PREFIX_V6_BITS};
static struct source_table *table;
static bool evicted;

static void table_make(void)
{
	table = source_new(CAPACITY, &defaults, &key);
	ck_assert_ptr_nonnull(table);
}

static void table_drop(void)
{
	source_free(table);
}

static struct source *touch(uint32_t n)
{
	struct addr addr = host(false, n);

	return source_touch(table, &addr, 0, &evicted);
}

static struct source *find(uint32_t n)
{
	struct addr addr = host(false, n);

	return source_find(table, &addr);
}

/* Seen, and its handshake completed. */
static struct source *prove(uint32_t n)
{
	struct source *source = touch(n);

	source_completed(table, source, 0);
	return source;
}

/* Seen again while it holds that many. */
static struct source *hold(uint32_t n, uint32_t half_open)
{
	touch(n)->half_open = half_open;
	return touch(n);
}

static void fill(uint32_t half_open)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		touch(n)->half_open = half_open;
}

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

static Suite *source_suite(void)
{
	Suite *suite = suite_create("source");
	TCase *entries = tcase_create("entries");
	TCase *eviction = tcase_create("eviction");
	TCase *kept = tcase_create("kept");
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

	suite_add_tcase(suite, eviction);
	tcase_add_checked_fixture(eviction, table_make, table_drop);
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
	tcase_set_timeout(eviction, 60);

	suite_add_tcase(suite, kept);
	tcase_add_checked_fixture(kept, table_make, table_drop);
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
	tcase_set_timeout(kept, 60);

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
