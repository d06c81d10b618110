/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The formulas of tally.c, by number: each register, each entry of the tops and each event, one at a time. */
#include "synmoat/tally.h"
#include "wire.h"

#define START_S 5000U
#define START_NS (START_S * NSEC_PER_SEC)
#define RANK_MAX 56 /* of what is left of a hash */

static struct tally tally;
static struct tally_sketch into, from;

static void fresh(void)
{
	memset(&tally, 0, sizeof(tally));
	into = from = (struct tally_sketch){.syns = 0};
}

static void see(uint64_t hash)
{
	struct tally_sight sight = {.net = host(false, 1), .hash = hash};

	tally_syn(&tally, &sight, START_NS);
}

/* ---- registers ---- */

START_TEST(the_lowest_byte_of_a_hash_is_its_register_and_the_zeros_above_its_rank)
{
	for (unsigned zeros = 0; zeros < RANK_MAX; zeros++) {
		fresh();
		see((1ULL << zeros) << 8 | 0x7f);
		see((1ULL << zeros) << 8 | 0x80);
		must(tally.current.registers[0x7f] == zeros + 1);
		must(tally.current.registers[0x80] == zeros + 1);
		must(tally.current.registers[0] == 0);
	}
	fresh();
	see(0xff);
	see(0);
	ck_assert_uint_eq(tally.current.registers[0xff], RANK_MAX);
	ck_assert_uint_eq(tally.current.registers[0], RANK_MAX);
}
END_TEST

START_TEST(a_register_holds_the_highest_rank)
{
	see(1ULL << 10);
	ck_assert_uint_eq(tally.current.registers[0], 3);
	see(1ULL << 8);
	ck_assert_uint_eq(tally.current.registers[0], 3);
	see(1ULL << 11);
	ck_assert_uint_eq(tally.current.registers[0], 4);
}
END_TEST

START_TEST(a_merge_takes_the_higher_of_each_register_and_nothing_else)
{
	struct addr net = address("2001:db8::1"), other = address("ff02::1");

	into.syns = from.syns = 2;
	into.sources[0] = (struct tally_top){.net = net, .syns = 2};
	from.sources[0] = (struct tally_top){.net = other, .syns = 1};
	for (unsigned i = 0; i < TALLY_REGISTERS; i++) {
		into.registers[i] = (uint8_t)(i % 7);
		from.registers[i] = (uint8_t)(6 - i % 7);
	}
	tally_sketch_merge(&into, &from);
	for (unsigned i = 0; i < TALLY_REGISTERS; i++)
		must(into.registers[i] == (i % 7 > 3 ? i % 7 : 6 - i % 7));
	ck_assert(addr_equal(&into.sources[0].net, &net));
	ck_assert_uint_eq(into.syns, 4);
}
END_TEST

/* HyperLogLog (Flajolet et al. 2007, figure 3): 0.7213 / (1 + 1.079 / 256) * 256^2 / sum of 2^-rank; up to 640, if any
 * register is empty, 256 * ln(256 / empty). */
static const struct {
	unsigned empty;
	uint8_t rank; /* of all others */
	uint32_t distinct;
} estimates[] = {
	{0, 1, 368},     /* 367.76: no register is empty */
	{0, 10, 188291}, /* 188290.6 */
	{1, 10, 37688},  /* 37687.6: above 640 */
	{128, 1, 177},   /* 177.4 */
	{100, 1, 241},   /* 240.6 */
	{255, 56, 1},    /* 1.002 */
	{256, 0, 0},
};

START_TEST(the_estimate_is_that_of_the_paper)
{
	for (unsigned at = 0; at < TALLY_REGISTERS; at++)
		into.registers[at] = at < estimates[_i].empty ? 0 : estimates[_i].rank;
	into.syns = UINT64_MAX;
	ck_assert_uint_eq(tally_distinct(&into), estimates[_i].distinct);
}
END_TEST

START_TEST(no_more_are_distinct_than_have_been_sent)
{
	memset(into.registers, 1, sizeof(into.registers));
	into.syns = 368;
	ck_assert_uint_eq(tally_distinct(&into), 368);
	into.syns = 367;
	ck_assert_uint_eq(tally_distinct(&into), 367);
}
END_TEST

/* ---- tops ---- */

static struct tally_top *entry(struct tally_sketch *sketch, uint32_t n)
{
	struct addr net = host(false, n);

	for (unsigned i = 0; i < TALLY_TOP; i++)
		if (sketch->sources[i].syns && addr_equal(&sketch->sources[i].net, &net))
			return &sketch->sources[i];
	return NULL;
}

/* Entry i is network `first` + i with `counts[i]`, of which 1 may be too high. */
static void tops(struct tally_sketch *sketch, uint32_t first, const uint64_t counts[TALLY_TOP])
{
	sketch->syns = 1000;
	for (unsigned i = 0; i < TALLY_TOP; i++)
		sketch->sources[i] = (struct tally_top){.net = host(false, first + i), .syns = counts[i], .over = 1};
}

/* The one with the lowest count stands at _i. */
START_TEST(a_newcomer_takes_the_place_of_the_lowest)
{
	uint64_t counts[TALLY_TOP] = {20, 21, 22, 23, 24, 25, 26, 27};

	counts[_i] = 10;
	tops(&tally.current, 100, counts);
	tally.half = START_S / TALLY_HALF_S;
	see(0);
	ck_assert_ptr_eq(entry(&tally.current, 1), &tally.current.sources[_i]);
	ck_assert_uint_eq(entry(&tally.current, 1)->syns, 11);
	ck_assert_uint_eq(entry(&tally.current, 1)->over, 10);
	for (unsigned i = 0; i < TALLY_TOP; i++)
		must(i == (unsigned)_i || tally.current.sources[i].syns == counts[i]);
}
END_TEST

START_TEST(an_entry_is_counted_on_wherever_it_stands)
{
	uint64_t counts[TALLY_TOP] = {20, 21, 22, 23, 24, 25, 26, 27};

	tops(&tally.current, 1 - (uint32_t)_i + 100, counts);
	tally.current.sources[_i].net = host(false, 1);
	tally.half = START_S / TALLY_HALF_S;
	see(0);
	for (unsigned i = 0; i < TALLY_TOP; i++) {
		must(tally.current.sources[i].syns == counts[i] + (i == (unsigned)_i));
		must(tally.current.sources[i].over == 1);
	}
}
END_TEST

/* Of all on both sides the highest stay, wherever the lowest of `into` stands. */
START_TEST(a_merge_puts_the_highest_of_the_other_in_the_place_of_the_lowest)
{
	uint64_t counts[TALLY_TOP] = {20, 21, 22, 23, 24, 25, 26, 27};
	static const uint64_t one[TALLY_TOP] = {100};

	counts[_i] = 10;
	tops(&into, 100, counts);
	tops(&from, 200, one);
	tally_sketch_merge(&into, &from);
	ck_assert_ptr_eq(entry(&into, 200), &into.sources[_i]);
	ck_assert_uint_eq(entry(&into, 200)->syns, 100 + 10); /* it may have been the lowest there */
	ck_assert_uint_eq(entry(&into, 200)->over, 1 + 10);
	for (unsigned i = 0; i < TALLY_TOP; i++)
		must(i == (unsigned)_i || into.sources[i].syns == counts[i]); /* there was room, so 0 at the other */
}
END_TEST

START_TEST(a_merge_adds_what_both_have_wherever_it_stands)
{
	static const uint64_t counts[TALLY_TOP] = {20, 21, 22, 23, 24, 25, 26, 27};

	tops(&into, 100, counts);
	tops(&from, 200, counts);
	from.sources[TALLY_TOP - 1 - _i].net = host(false, 100 + (uint32_t)_i);
	tally_sketch_merge(&into, &from);
	ck_assert_uint_eq(entry(&into, 100 + (uint32_t)_i)->syns, counts[_i] + counts[TALLY_TOP - 1 - _i]);
	ck_assert_uint_eq(entry(&into, 100 + (uint32_t)_i)->over, 2);
}
END_TEST

/* Entries without a count are none, whatever they may hold. */
START_TEST(a_merge_into_a_part_of_a_top_begins_no_entries_from_nothing)
{
	static const uint64_t three[TALLY_TOP] = {5, 6, 7}, lots[TALLY_TOP] = {20, 21, 22, 23, 24, 25, 26, 27};
	unsigned entries = 0;

	tops(&into, 100, three);
	tops(&from, 200, lots);
	for (unsigned i = 3; i < TALLY_TOP; i++)
		into.sources[i] = (struct tally_top){.syns = 0};
	tally_sketch_merge(&into, &from);
	for (unsigned i = 0; i < TALLY_TOP; i++)
		entries += into.sources[i].syns > 0;
	ck_assert_uint_eq(entries, TALLY_TOP);
	for (uint32_t n = 0; n < TALLY_TOP; n++) { /* 25, 26 and 27: 5 to 7, and the lowest of the other */
		must(!entry(&into, 200 + n) || entry(&into, 200 + n)->syns == lots[n]);
		must(!entry(&into, 100 + n) || entry(&into, 100 + n)->syns == three[n] + 20);
	}
	ck_assert_ptr_null(entry(&into, 200));
	ck_assert_ptr_null(entry(&into, 201));
	ck_assert_ptr_nonnull(entry(&into, 207));
	ck_assert_ptr_nonnull(entry(&into, 102));
}
END_TEST

START_TEST(a_merge_of_parts_of_tops_has_the_entries_of_both)
{
	static const uint64_t three[TALLY_TOP] = {5, 6, 7}, two[TALLY_TOP] = {30, 31};

	tops(&into, 100, three);
	tops(&from, 200, two);
	tally_sketch_merge(&into, &from);
	for (uint32_t n = 0; n < 3; n++)
		ck_assert_uint_eq(entry(&into, 100 + n)->syns, three[n]);
	for (uint32_t n = 0; n < 2; n++)
		ck_assert_uint_eq(entry(&into, 200 + n)->syns, two[n]);
	for (unsigned i = 5; i < TALLY_TOP; i++)
		ck_assert_uint_eq(into.sources[i].syns, 0);
}
END_TEST

START_TEST(the_heaviest_is_found_wherever_it_stands)
{
	uint64_t counts[TALLY_TOP] = {20, 20, 20, 20, 20, 20, 20, 20};

	counts[_i] = 21;
	tops(&into, 100, counts);
	ck_assert_ptr_eq(tally_heaviest(&into), &into.sources[_i]);
}
END_TEST

START_TEST(of_one_syn_there_is_a_heaviest)
{
	into.sources[0].syns = 1;
	ck_assert_ptr_eq(tally_heaviest(&into), &into.sources[0]);
}
END_TEST

/* ---- half-windows ---- */

START_TEST(who_reads_a_half_behind_sees_both_halves)
{
	static struct tally_sketch behind, before;

	tally.half = START_S / TALLY_HALF_S;
	tally.previous.syns = 3;
	tally.current.syns = 4;
	tally_sketch_window(&tally, START_NS - 1, &behind);
	ck_assert_uint_eq(behind.syns, 7);
	tally_sketch_window(&tally, START_NS - TALLY_HALF_S * NSEC_PER_SEC - 1, &before);
	ck_assert_uint_eq(before.syns, 0);
}
END_TEST

START_TEST(a_syn_a_half_behind_turns_nothing_and_one_two_behind_does)
{
	struct tally_sight sight = {.net = host(false, 1)};

	tally.half = START_S / TALLY_HALF_S;
	tally.current.syns = 4;
	tally_syn(&tally, &sight, START_NS - 1);
	ck_assert_uint_eq(tally.current.syns, 5);
	ck_assert_uint_eq(tally.half, START_S / TALLY_HALF_S);
	tally_syn(&tally, &sight, START_NS - TALLY_HALF_S * NSEC_PER_SEC - 1);
	ck_assert_uint_eq(tally.current.syns, 1);
	ck_assert_uint_eq(tally.previous.syns, 0);
	ck_assert_uint_eq(tally.total.syns, 5);
	ck_assert_uint_eq(tally.half, START_S / TALLY_HALF_S - 2);
}
END_TEST

/* ---- events ---- */

static void syn_event(struct tally *counted, uint64_t now_ns)
{
	struct tally_sight sight = {.net = host(false, 1)};

	tally_syn(counted, &sight, now_ns);
}

static void sent_event(struct tally *counted, uint64_t now_ns)
{
	tally_cookie_sent(counted, false, now_ns);
}

static void returned_event(struct tally *counted, uint64_t now_ns)
{
	tally_cookie_returned(counted, false, now_ns);
}

static void (*const events[])(struct tally *, uint64_t) = {
	syn_event, tally_begun, tally_retransmitted, tally_completed, sent_event, returned_event,
};

START_TEST(a_window_begins_with_any_event)
{
	struct tally_window window = {.syns = 0};

	events[_i](&tally, START_NS);
	tally_window(&tally, START_NS + 4 * NSEC_PER_SEC, &window);
	ck_assert_uint_eq(window.seconds, 5);
}
END_TEST

START_TEST(every_number_of_a_second_is_summed_up_by_itself_and_stays_at_its_highest)
{
	static const struct tally_second second = {START_S, 1, 2, 3, 4, 5, 6, 7};
	struct tally_window window = {.syns = 10, .elsewhere = 20, .begun = 30, .retransmitted = 40};
	struct tally_window most;

	tally.seconds[START_S % TALLY_BINS] = second;
	tally_window(&tally, START_NS, &window);
	ck_assert_uint_eq(window.syns, 11);
	ck_assert_uint_eq(window.elsewhere, 22);
	ck_assert_uint_eq(window.begun, 33);
	ck_assert_uint_eq(window.retransmitted, 44);
	ck_assert_uint_eq(window.completed, 5);
	ck_assert_uint_eq(window.cookies_sent, 6);
	ck_assert_uint_eq(window.cookies_returned, 7);
	memset(&most, 0xff, sizeof(most));
	tally_window(&tally, START_NS, &most);
	ck_assert_uint_eq(most.syns & most.elsewhere & most.begun & most.retransmitted, UINT32_MAX);
	ck_assert_uint_eq(most.completed & most.cookies_sent & most.cookies_returned, UINT32_MAX);
}
END_TEST

START_TEST(the_totals_of_two_add_up)
{
	struct tally_totals sum = {10, 20, 30, 40, 50, 60};

	tally.totals = (struct tally_totals){1, 2, 3, 4, 5, 6};
	tally_totals(&tally, &sum);
	ck_assert_uint_eq(sum.syns, 11);
	ck_assert_uint_eq(sum.begun, 22);
	ck_assert_uint_eq(sum.retransmitted, 33);
	ck_assert_uint_eq(sum.completed, 44);
	ck_assert_uint_eq(sum.cookies_sent, 55);
	ck_assert_uint_eq(sum.cookies_returned, 66);
}
END_TEST

START_TEST(a_second_begins_anew_with_any_event)
{
	unsigned bin = START_S % TALLY_BINS;

	tally.seconds[bin] = (struct tally_second){START_S - TALLY_BINS, 9, 9, 9, 9, 9, 9, 9};
	events[_i](&tally, START_NS);
	ck_assert_uint_eq(tally.seconds[bin].second, START_S);
	ck_assert_uint_eq(tally.seconds[bin].syns + tally.seconds[bin].begun + tally.seconds[bin].retransmitted +
				  tally.seconds[bin].completed + tally.seconds[bin].cookies_sent +
				  tally.seconds[bin].cookies_returned + tally.seconds[bin].elsewhere,
			  1);
}
END_TEST

START_TEST(cookies_counted_elsewhere_are_owed_to_the_last)
{
	tally_syns_elsewhere(&tally, 0, (uint32_t)INT32_MAX - 1, START_NS);
	ck_assert_int_eq(tally_unanswered(&tally, 0, START_NS), INT32_MAX - 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("tally edges");
	TCase *tcase = tcase_create("numbers");

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, fresh, NULL);
	tcase_add_test(tcase, the_lowest_byte_of_a_hash_is_its_register_and_the_zeros_above_its_rank);
	tcase_add_test(tcase, a_register_holds_the_highest_rank);
	tcase_add_test(tcase, a_merge_takes_the_higher_of_each_register_and_nothing_else);
	tcase_add_loop_test(tcase, the_estimate_is_that_of_the_paper, 0, sizeof(estimates) / sizeof(estimates[0]));
	tcase_add_test(tcase, no_more_are_distinct_than_have_been_sent);
	tcase_add_loop_test(tcase, a_newcomer_takes_the_place_of_the_lowest, 0, TALLY_TOP);
	tcase_add_loop_test(tcase, an_entry_is_counted_on_wherever_it_stands, 0, TALLY_TOP);
	tcase_add_loop_test(tcase, a_merge_puts_the_highest_of_the_other_in_the_place_of_the_lowest, 0, TALLY_TOP);
	tcase_add_loop_test(tcase, a_merge_adds_what_both_have_wherever_it_stands, 0, TALLY_TOP);
	tcase_add_test(tcase, a_merge_into_a_part_of_a_top_begins_no_entries_from_nothing);
	tcase_add_test(tcase, a_merge_of_parts_of_tops_has_the_entries_of_both);
	tcase_add_loop_test(tcase, the_heaviest_is_found_wherever_it_stands, 0, TALLY_TOP);
	tcase_add_test(tcase, of_one_syn_there_is_a_heaviest);
	tcase_add_test(tcase, who_reads_a_half_behind_sees_both_halves);
	tcase_add_test(tcase, a_syn_a_half_behind_turns_nothing_and_one_two_behind_does);
	tcase_add_loop_test(tcase, a_window_begins_with_any_event, 0, sizeof(events) / sizeof(events[0]));
	tcase_add_test(tcase, every_number_of_a_second_is_summed_up_by_itself_and_stays_at_its_highest);
	tcase_add_test(tcase, the_totals_of_two_add_up);
	tcase_add_loop_test(tcase, a_second_begins_anew_with_any_event, 0, sizeof(events) / sizeof(events[0]));
	tcase_add_test(tcase, cookies_counted_elsewhere_are_owed_to_the_last);
	return suite;
}

int main(void)
{
	return unit_main(suite());
}
