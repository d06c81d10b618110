/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/source.h"

#include "wire.h"

#define CAPACITY 16
#define PUT_BACK_MAX 8 /* SECOND_CHANCES */

static const struct siphash_key key = {{5, 6}};
static struct source_table *table;
static bool evicted;

static void table_make(void)
{
	table = source_new(CAPACITY, &key);
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

START_TEST(ipv4_is_counted_by_address)
{
	struct addr one = address("198.51.100.7"), next = address("198.51.100.6");

	ck_assert_ptr_ne(source_touch(table, &one, 0, &evicted), source_touch(table, &next, 0, &evicted));
}
END_TEST

START_TEST(ipv6_is_counted_by_its_64_bits)
{
	struct addr one = address("2001:db8:0:1::1"), same = address("2001:db8:0:1:ffff:ffff:ffff:ffff");
	struct addr other = address("2001:db8:0:2::1"), net = address("2001:db8:0:1::");
	struct source *source = source_touch(table, &one, 0, &evicted);

	ck_assert(addr_equal(&source->net, &net));
	ck_assert_ptr_eq(source_find(table, &same), source);
	ck_assert_ptr_null(source_find(table, &other));
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
	struct source_table *small = source_new(2, &key);

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

START_TEST(the_top_is_by_half_open_then_by_syns)
{
	static const uint32_t half_open[] = {1, 5, 0, 5, 2}, syns[] = {50, 10, 90, 20, 2};
	static const uint32_t expected[] = {3, 1, 4, 0, 2};
	struct source top[CAPACITY];

	for (uint32_t n = 0; n < 5; n++) {
		touch(n)->half_open = half_open[n];
		find(n)->syns = syns[n];
	}
	for (unsigned most = 0; most <= 6; most++) {
		unsigned count = source_top(table, top, most);

		ck_assert_uint_eq(count, most < 5 ? most : 5);
		for (unsigned i = 0; i < count; i++)
			ck_assert(addr_equal(&top[i].net, &find(expected[i])->net));
	}
}
END_TEST

START_TEST(the_top_of_nothing_is_empty)
{
	struct source top[1];

	ck_assert_uint_eq(source_top(table, top, 1), 0);
}
END_TEST

/* Against a plain list in order of last sight. */
START_TEST(a_long_random_life_agrees_with_a_plain_list)
{
	uint32_t list[CAPACITY + 1];
	unsigned count = 0, i;
	uint64_t seed = 4;

	for (unsigned round = 0; round < 100000; round++) {
		uint32_t n = random_below(&seed, 3 * CAPACITY);

		for (i = 0; i < count && list[i] != n; i++)
			;
		must((find(n) != NULL) == (i < count));
		touch(n);
		must(evicted == (i == count && count == CAPACITY));
		if (i == count && count < CAPACITY)
			count++;
		if (i == count) { /* the last one gave way */
			must(!find(list[count - 1]));
			i--;
		}
		memmove(list + 1, list, i * sizeof(*list));
		list[0] = n;
		must(source_count(table) == count);
	}
}
END_TEST

static Suite *source_suite(void)
{
	Suite *suite = suite_create("source");
	TCase *entries = tcase_create("entries");
	TCase *eviction = tcase_create("eviction");
	TCase *top = tcase_create("top");

	suite_add_tcase(suite, entries);
	tcase_add_checked_fixture(entries, table_make, table_drop);
	tcase_add_test(entries, a_new_source_starts_from_zero);
	tcase_add_test(entries, a_source_seen_again_keeps_its_numbers);
	tcase_add_test(entries, ipv4_is_counted_by_address);
	tcase_add_test(entries, ipv6_is_counted_by_its_64_bits);
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
	tcase_add_test(eviction, a_long_random_life_agrees_with_a_plain_list);

	suite_add_tcase(suite, top);
	tcase_add_checked_fixture(top, table_make, table_drop);
	tcase_add_test(top, the_top_is_by_half_open_then_by_syns);
	tcase_add_test(top, the_top_of_nothing_is_empty);
	return suite;
}

int main(void)
{
	return unit_main(source_suite());
}
