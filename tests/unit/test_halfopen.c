/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/halfopen.h"

#include "wire.h"

#define CAPACITY 8

static const struct siphash_key key = {{5, 6}};
static struct halfopen_table *table;
static struct halfopen_entry ended;

static void table_make(void)
{
	table = halfopen_new(CAPACITY, &key);
	ck_assert_ptr_nonnull(table);
}

static void table_drop(void)
{
	halfopen_free(table);
}

static struct flow flow_of(uint32_t n)
{
	return (struct flow){host(false, n >> 4), address("192.0.2.1"), (uint16_t)(1024 + (n & 15)), 80};
}

static enum halfopen_added add(uint32_t n, uint64_t now_ns)
{
	struct flow flow = flow_of(n);

	return halfopen_add(table, &flow, &(struct halfopen_syn){(uint16_t)n, (uint8_t)(n & 15), 0}, now_ns, &ended);
}

static bool end(uint32_t n)
{
	struct flow flow = flow_of(n);

	return halfopen_end(table, &flow, &ended);
}

static bool known(uint32_t n)
{
	struct flow flow = flow_of(n);

	return halfopen_find(table, &flow) != NULL;
}

START_TEST(an_added_entry_is_found_with_what_was_given)
{
	struct flow flow = flow_of(3);
	const struct halfopen_entry *entry;

	ck_assert_int_eq(halfopen_add(table, &flow, &(struct halfopen_syn){700, 9, 0}, 42, &ended), HALFOPEN_NEW);
	entry = halfopen_find(table, &flow);
	ck_assert_ptr_nonnull(entry);
	ck_assert_mem_eq(&entry->flow, &flow, sizeof(flow));
	ck_assert_uint_eq(entry->service, 700);
	ck_assert_uint_eq(entry->offered, 9);
	ck_assert_uint_eq(entry->since_ns, 42);
	ck_assert_uint_eq(halfopen_count(table), 1);
}
END_TEST

START_TEST(in_an_empty_table_nothing_is_found_ended_or_expired)
{
	ck_assert(!known(1));
	ck_assert(!end(1));
	ck_assert(!halfopen_expire(table, UINT64_MAX, &ended));
	ck_assert_uint_eq(halfopen_count(table), 0);
}
END_TEST

START_TEST(a_retransmitted_syn_counts_once_and_does_not_renew_its_entry)
{
	ck_assert_int_eq(add(1, 100), HALFOPEN_NEW);
	ck_assert_int_eq(add(1, 900), HALFOPEN_KNOWN);
	ck_assert_uint_eq(halfopen_count(table), 1);
	ck_assert(halfopen_expire(table, 100, &ended));
	ck_assert_uint_eq(ended.since_ns, 100);
}
END_TEST

START_TEST(another_port_is_another_entry)
{
	struct flow flow = flow_of(1);

	add(1, 0);
	flow.client_port++;
	ck_assert_int_eq(halfopen_add(table, &flow, &(struct halfopen_syn){0, 0, 0}, 0, &ended), HALFOPEN_NEW);
	flow.server_port++;
	ck_assert_int_eq(halfopen_add(table, &flow, &(struct halfopen_syn){0, 0, 0}, 0, &ended), HALFOPEN_NEW);
	ck_assert_uint_eq(halfopen_count(table), 3);
}
END_TEST

START_TEST(an_entry_ends_once)
{
	struct flow flow = flow_of(5);

	add(4, 0);
	add(5, 1);
	add(6, 2);
	ck_assert(end(5));
	ck_assert_mem_eq(&ended.flow, &flow, sizeof(flow));
	ck_assert_uint_eq(ended.service, 5);
	ck_assert(!end(5));
	ck_assert(known(4) && !known(5) && known(6));
	ck_assert_uint_eq(halfopen_count(table), 2);
}
END_TEST

START_TEST(an_entry_expires_at_its_deadline_and_not_before)
{
	add(1, 1000);
	ck_assert(!halfopen_expire(table, 999, &ended));
	ck_assert(halfopen_expire(table, 1000, &ended));
	ck_assert_uint_eq(ended.service, 1);
	ck_assert_uint_eq(halfopen_count(table), 0);
}
END_TEST

START_TEST(entries_expire_oldest_first)
{
	for (uint32_t n = 0; n < 5; n++)
		add(n, n);
	end(0);
	end(2);
	end(4);
	ck_assert(halfopen_expire(table, 10, &ended) && ended.service == 1);
	ck_assert(halfopen_expire(table, 10, &ended) && ended.service == 3);
	ck_assert(!halfopen_expire(table, 10, &ended));
}
END_TEST

START_TEST(in_a_full_table_the_oldest_gives_way)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		ck_assert_int_eq(add(n, n), HALFOPEN_NEW);
	ck_assert_int_eq(add(100, 50), HALFOPEN_NEW_EVICTED);
	ck_assert_uint_eq(ended.service, 0);
	ck_assert_uint_eq(halfopen_count(table), CAPACITY);
	ck_assert(!known(0) && known(1) && known(100));
	ck_assert_int_eq(add(101, 51), HALFOPEN_NEW_EVICTED);
	ck_assert_uint_eq(ended.service, 1);
}
END_TEST

START_TEST(a_known_flow_evicts_nothing_from_a_full_table)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		add(n, n);
	ck_assert_int_eq(add(3, 50), HALFOPEN_KNOWN);
	ck_assert(known(0));
}
END_TEST

START_TEST(a_table_of_one_entry_works)
{
	struct flow flow = flow_of(9);
	struct halfopen_table *one = halfopen_new(1, &key);

	ck_assert_int_eq(halfopen_add(one, &flow, &(struct halfopen_syn){1, 0, 0}, 1, &ended), HALFOPEN_NEW);
	flow.client_port = 9;
	ck_assert_int_eq(halfopen_add(one, &flow, &(struct halfopen_syn){2, 0, 0}, 2, &ended), HALFOPEN_NEW_EVICTED);
	ck_assert_uint_eq(ended.service, 1);
	ck_assert(halfopen_end(one, &flow, &ended));
	ck_assert_uint_eq(halfopen_count(one), 0);
	halfopen_free(one);
}
END_TEST

/* Against a plain array: what is in the table, in which order it leaves. */
START_TEST(all_are_told_the_newest_first)
{
	const struct halfopen_entry *entry;
	uint32_t n = 5;

	ck_assert_ptr_null(halfopen_newest(table));
	for (uint32_t i = 1; i <= 5; i++)
		add(i, i);
	end(3);
	for (entry = halfopen_newest(table); entry; entry = halfopen_older(table, entry)) {
		ck_assert_uint_eq(entry->service, n);
		n -= n == 4 ? 2 : 1;
	}
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(a_long_random_life_agrees_with_a_plain_list)
{
	uint32_t list[CAPACITY];
	unsigned count = 0, i;
	uint64_t seed = 3;

	for (uint64_t now = 1; now < 100000; now++) {
		uint32_t n = random_below(&seed, 24);

		for (i = 0; i < count && list[i] != n; i++)
			;
		must(known(n) == (i < count));
		if (random_below(&seed, 4) == 0) {
			must(end(n) == (i < count));
			if (i < count)
				memmove(list + i, list + i + 1, (--count - i) * sizeof(*list));
		} else if (random_below(&seed, 16) == 0) {
			must(halfopen_expire(table, now, &ended) == (count > 0));
			must(!count || ended.service == list[0]);
			if (count)
				memmove(list, list + 1, --count * sizeof(*list));
		} else if (i < count) {
			must(add(n, now) == HALFOPEN_KNOWN);
		} else {
			must(add(n, now) == (count == CAPACITY ? HALFOPEN_NEW_EVICTED : HALFOPEN_NEW));
			if (count == CAPACITY) {
				must(ended.service == list[0]);
				memmove(list, list + 1, --count * sizeof(*list));
			}
			list[count++] = n;
		}
		must(halfopen_count(table) == count);
	}
}
END_TEST

static Suite *halfopen_suite(void)
{
	Suite *suite = suite_create("halfopen");
	TCase *entries = tcase_create("entries");

	suite_add_tcase(suite, entries);
	tcase_add_checked_fixture(entries, table_make, table_drop);
	tcase_add_test(entries, an_added_entry_is_found_with_what_was_given);
	tcase_add_test(entries, in_an_empty_table_nothing_is_found_ended_or_expired);
	tcase_add_test(entries, a_retransmitted_syn_counts_once_and_does_not_renew_its_entry);
	tcase_add_test(entries, another_port_is_another_entry);
	tcase_add_test(entries, an_entry_ends_once);
	tcase_add_test(entries, an_entry_expires_at_its_deadline_and_not_before);
	tcase_add_test(entries, entries_expire_oldest_first);
	tcase_add_test(entries, in_a_full_table_the_oldest_gives_way);
	tcase_add_test(entries, a_known_flow_evicts_nothing_from_a_full_table);
	tcase_add_test(entries, a_table_of_one_entry_works);
	tcase_add_test(entries, all_are_told_the_newest_first);
	tcase_add_test(entries, a_long_random_life_agrees_with_a_plain_list);
	return suite;
}

int main(void)
{
	return unit_main(halfopen_suite());
}
