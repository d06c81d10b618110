/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/splice.h"

#include "wire.h"

#define CAPACITY 4

static const struct siphash_key key = {{5, 6}};
static struct splice_table *table;

static void table_make(void)
{
	table = splice_new(CAPACITY, &key);
	ck_assert_ptr_nonnull(table);
}

static void table_drop(void)
{
	splice_free(table);
}

static struct flow flow_of(uint32_t n)
{
	return (struct flow){host(false, n), address("192.0.2.1"), 40000, 80};
}

static struct splice *add(uint32_t n, uint64_t now_ns)
{
	struct flow flow = flow_of(n);

	return splice_add(table, &flow, now_ns);
}

static struct splice *find(uint32_t n)
{
	struct flow flow = flow_of(n);

	return splice_find(table, &flow);
}

START_TEST(the_stages_are_told_in_the_design)
{
	static const uint8_t expected[SPLICE_STAGES] = {1, 2, 4, 4, 2};

	ck_assert_mem_eq(splice_stage_s, expected, sizeof(expected));
}
END_TEST

START_TEST(a_new_entry_waits_in_the_first_stage)
{
	struct flow flow = flow_of(1);
	struct splice *splice = add(1, 500);

	ck_assert_ptr_eq(find(1), splice);
	ck_assert_mem_eq(&splice->flow, &flow, sizeof(flow));
	ck_assert_int_eq(splice->state, SPLICE_SYN_SENT);
	ck_assert_uint_eq(splice->stage, 0);
	ck_assert_uint_eq(splice->deadline_ns, 500 + NSEC_PER_SEC);
	ck_assert_uint_eq(splice_count(table), 1);
}
END_TEST

START_TEST(in_an_empty_table_there_is_nothing)
{
	ck_assert_ptr_null(find(1));
	ck_assert_ptr_null(splice_due(table, UINT64_MAX));
	ck_assert_ptr_null(splice_any(table));
}
END_TEST

START_TEST(an_entry_is_due_at_its_deadline_and_not_before)
{
	struct splice *splice = add(1, 0);
	uint64_t now = 0;

	for (unsigned stage = 0; stage < SPLICE_STAGES; stage++) {
		ck_assert_uint_eq(splice->stage, stage);
		now += splice_stage_s[stage] * NSEC_PER_SEC;
		ck_assert_ptr_null(splice_due(table, now - 1));
		ck_assert_ptr_eq(splice_due(table, now), splice);
		if (stage + 1 < SPLICE_STAGES)
			splice_enter(table, splice, stage + 1, now);
	}
}
END_TEST

START_TEST(entries_of_one_stage_are_due_oldest_first)
{
	struct splice *one = add(1, 0), *two = add(2, 1), *three = add(3, 2);

	splice_enter(table, one, 0, 3); /* again from the start: now the youngest */
	ck_assert_ptr_eq(splice_due(table, NSEC_PER_SEC + 9), two);
	splice_remove(table, two);
	ck_assert_ptr_eq(splice_due(table, NSEC_PER_SEC + 9), three);
	splice_remove(table, three);
	ck_assert_ptr_eq(splice_due(table, NSEC_PER_SEC + 9), one);
}
END_TEST

START_TEST(a_later_stage_does_not_hide_behind_an_earlier_one)
{
	struct splice *one = add(1, 0);

	splice_enter(table, one, SPLICE_LINGER, 0);
	add(2, 2 * NSEC_PER_SEC);
	ck_assert_ptr_eq(splice_due(table, 2 * NSEC_PER_SEC), one);
}
END_TEST

START_TEST(a_removed_entry_is_gone_and_its_room_is_used_again)
{
	struct splice *splice;

	for (uint32_t n = 0; n < CAPACITY; n++)
		add(n, 0);
	splice = find(2);
	splice->held_count = 9;
	splice->retry_due = true;
	splice_remove(table, splice);
	ck_assert_ptr_null(find(2));
	ck_assert_uint_eq(splice_count(table), CAPACITY - 1);
	ck_assert_ptr_eq(add(100, 0), splice);
	ck_assert_uint_eq(splice->held_count, 0);
	ck_assert(!splice->retry_due);
	for (uint32_t n = 0; n < CAPACITY; n++)
		ck_assert_int_eq(find(n) != NULL, n != 2);
}
END_TEST

START_TEST(a_table_full_of_handovers_refuses_the_newcomer)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		splice_enter(table, add(n, 0), SPLICE_TRIES - 1, 0);
	ck_assert_ptr_null(add(100, 0));
	ck_assert_ptr_null(find(100));
	ck_assert_uint_eq(splice_count(table), CAPACITY);
	for (uint32_t n = 0; n < CAPACITY; n++)
		ck_assert_ptr_nonnull(find(n));
}
END_TEST

START_TEST(in_a_full_table_the_one_that_lingered_longest_gives_way)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		add(n, 0);
	splice_enter(table, find(2), SPLICE_LINGER, 10);
	splice_enter(table, find(1), SPLICE_LINGER, 20);
	ck_assert_ptr_nonnull(add(100, 30));
	ck_assert_ptr_null(find(2));
	ck_assert_ptr_nonnull(find(1));
	ck_assert_ptr_nonnull(add(101, 30));
	ck_assert_ptr_null(find(1));
	ck_assert_ptr_null(add(102, 30));
	ck_assert_uint_eq(splice_count(table), CAPACITY);
}
END_TEST

START_TEST(payloads_do_not_overlap)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		memset(splice_payload(table, add(n, 0)), (int)n + 1, SPLICE_PAYLOAD_BYTES);
	for (uint32_t n = 0; n < CAPACITY; n++)
		for (unsigned i = 0; i < SPLICE_PAYLOAD_BYTES; i++)
			must(splice_payload(table, find(n))[i] == n + 1);
}
END_TEST

START_TEST(any_gives_each_entry_until_none_is_left)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		splice_enter(table, add(n, 0), n + 1, 0);
	for (uint32_t n = CAPACITY; n > 0; n--) {
		struct splice *splice = splice_any(table);

		ck_assert_ptr_nonnull(splice);
		splice_remove(table, splice);
		ck_assert_uint_eq(splice_count(table), n - 1);
	}
	ck_assert_ptr_null(splice_any(table));
}
END_TEST

/* Against what a plain array says: who is in, and who is due. */
START_TEST(a_long_random_life_agrees_with_a_plain_list)
{
	uint64_t deadline[12] = {0}, seed = 6, now = 1;
	bool lingers[12] = {false};

	for (unsigned round = 0; round < 100000; round++, now += random_below(&seed, 1000) * NSEC_PER_MSEC) {
		uint32_t n = random_below(&seed, 12);
		struct splice *splice = find(n), *due;
		unsigned present = 0, lingering = 0;
		bool any_due = false;

		for (unsigned i = 0; i < 12; i++) {
			present += deadline[i] != 0;
			lingering += deadline[i] && lingers[i];
			any_due |= deadline[i] && deadline[i] <= now;
		}
		must(splice_count(table) == present);
		must((splice != NULL) == (deadline[n] != 0));
		due = splice_due(table, now);
		must((due != NULL) == any_due);
		must(!due || due->deadline_ns <= now);
		if (splice && random_below(&seed, 3) == 0) {
			splice_remove(table, splice);
			deadline[n] = 0;
		} else if (splice) {
			unsigned stage = random_below(&seed, SPLICE_STAGES);

			splice_enter(table, splice, stage, now);
			deadline[n] = now + splice_stage_s[stage] * NSEC_PER_SEC;
			lingers[n] = stage == SPLICE_LINGER;
		} else if (present == CAPACITY && !lingering) {
			must(!add(n, now));
		} else {
			must(add(n, now) != NULL);
			for (unsigned i = 0; i < 12; i++) /* at the most one gave way, and it lingered */
				if (deadline[i] && !find(i)) {
					must(present == CAPACITY && lingers[i]);
					deadline[i] = 0;
				}
			deadline[n] = now + NSEC_PER_SEC;
			lingers[n] = false;
		}
	}
}
END_TEST

/* In the first stage nobody has been asked again yet, and who lingers waits for nothing. */
START_TEST(the_one_that_waits_longest_is_of_the_last_stage_but_the_first)
{
	static const struct {
		unsigned stage;
		bool waits;
	} stages[] = {{0, false}, {1, true}, {2, true}, {3, true}, {SPLICE_LINGER, false}};
	struct splice *splice = add(1, 0), *other;

	for (unsigned i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		splice_enter(table, splice, stages[i].stage, 0);
		ck_assert_ptr_eq(splice_longest_waiting(table), stages[i].waits ? splice : NULL);
		ck_assert_ptr_eq(splice_any(table), splice);
	}
	other = add(2, 0);
	splice_enter(table, other, 1, 0);
	splice_enter(table, splice, 2, 0);
	ck_assert_ptr_eq(splice_longest_waiting(table), splice);
}
END_TEST

START_TEST(who_lingers_does_not_wait_until_it_is_gone_or_begins_anew)
{
	struct splice *first = add(1, 0), *second = add(2, 0);

	ck_assert_uint_eq(splice_waiting(table), 2);
	splice_enter(table, first, SPLICE_LINGER, 0);
	splice_enter(table, second, SPLICE_LINGER, 0);
	ck_assert_uint_eq(splice_waiting(table), 0);
	splice_remove(table, first);
	ck_assert_uint_eq(splice_waiting(table), 0);
	splice_enter(table, second, 0, 0);
	ck_assert_uint_eq(splice_waiting(table), 1);
}
END_TEST

static Suite *splice_suite(void)
{
	Suite *suite = suite_create("splice");
	TCase *entries = tcase_create("entries");

	suite_add_tcase(suite, entries);
	tcase_add_checked_fixture(entries, table_make, table_drop);
	tcase_add_test(entries, the_stages_are_told_in_the_design);
	tcase_add_test(entries, a_new_entry_waits_in_the_first_stage);
	tcase_add_test(entries, in_an_empty_table_there_is_nothing);
	tcase_add_test(entries, an_entry_is_due_at_its_deadline_and_not_before);
	tcase_add_test(entries, entries_of_one_stage_are_due_oldest_first);
	tcase_add_test(entries, a_later_stage_does_not_hide_behind_an_earlier_one);
	tcase_add_test(entries, a_removed_entry_is_gone_and_its_room_is_used_again);
	tcase_add_test(entries, a_table_full_of_handovers_refuses_the_newcomer);
	tcase_add_test(entries, the_one_that_waits_longest_is_of_the_last_stage_but_the_first);
	tcase_add_test(entries, who_lingers_does_not_wait_until_it_is_gone_or_begins_anew);
	tcase_add_test(entries, in_a_full_table_the_one_that_lingered_longest_gives_way);
	tcase_add_test(entries, payloads_do_not_overlap);
	tcase_add_test(entries, any_gives_each_entry_until_none_is_left);
	tcase_add_test(entries, a_long_random_life_agrees_with_a_plain_list);
	return suite;
}

int main(void)
{
	return unit_main(splice_suite());
}
