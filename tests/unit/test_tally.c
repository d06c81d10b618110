/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/tally.h"

#include <math.h>

#include "synmoat/siphash.h"
#include "wire.h"

#define AT(seconds) ((uint64_t)(seconds)*NSEC_PER_SEC)
#define LATE_IN_SECOND (NSEC_PER_SEC - 1)
#define HOUR_S 3600

static const struct siphash_key key = {{7, 8}};
static const struct tally_signature linux_client = {64, TALLY_MSS | TALLY_WSCALE | TALLY_SACK | TALLY_TIMESTAMPS,
						    64240};
static const struct tally_signature flood_tool = {255, 0, 512};
static struct tally tally;

static void sight_of(uint32_t n, const struct tally_signature *signature, struct tally_sight *sight)
{
	uint64_t words[2];

	*sight = (struct tally_sight){.net = host(false, n), .signature = *signature};
	memcpy(words, &sight->net, sizeof(words));
	sight->hash = siphash(&key, words, 2);
}

static void syns_from(struct tally *into, uint32_t n, unsigned times, uint64_t now_ns)
{
	struct tally_sight sight;

	sight_of(n, &linux_client, &sight);
	while (times--)
		tally_syn(into, &sight, now_ns);
}

static struct tally_window window_at(const struct tally *from, uint64_t now_ns)
{
	struct tally_window window = {.syns = 0};

	tally_window(from, now_ns, &window);
	return window;
}

static struct tally_sketch window_sketch_at(const struct tally *from, uint64_t now_ns)
{
	struct tally_sketch sketch = {.syns = 0};

	tally_sketch_window(from, now_ns, &sketch);
	return sketch;
}

static struct tally_sketch total_sketch(const struct tally *from)
{
	struct tally_sketch sketch = {.syns = 0};

	tally_sketch_total(from, &sketch);
	return sketch;
}

START_TEST(of_nothing_everything_is_zero)
{
	struct tally_sketch window = window_sketch_at(&tally, AT(_i)), total = total_sketch(&tally);
	struct tally_window numbers = window_at(&tally, AT(_i)), none = {.syns = 0};
	struct tally_totals totals = {.syns = 0}, nothing = {.syns = 0};

	tally_totals(&tally, &totals);
	ck_assert_mem_eq(&numbers, &none, sizeof(none));
	ck_assert_mem_eq(&totals, &nothing, sizeof(nothing));
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(_i)), 0);
	ck_assert_uint_eq(window.syns + total.syns, 0);
	ck_assert_uint_eq(tally_distinct(&window), 0);
	ck_assert_ptr_null(tally_heaviest(&window));
	ck_assert_ptr_null(tally_commonest(&total));
	ck_assert_uint_eq(tally_certain(tally_heaviest(&window)), 0);
}
END_TEST

/* ---- seconds ---- */

START_TEST(the_first_second_of_the_clock_works)
{
	struct tally_sketch sketch;

	syns_from(&tally, 1, 3, 0);
	tally_cookie_sent(&tally, true, 0);
	ck_assert_uint_eq(window_at(&tally, 0).last_second, 0);
	ck_assert_uint_eq(window_at(&tally, 0).this_second, 3);
	ck_assert_uint_eq(window_at(&tally, 0).seconds, 1);
	ck_assert_uint_eq(window_at(&tally, AT(1)).last_second, 3);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, 0), 1);
	sketch = window_sketch_at(&tally, 0);
	ck_assert_uint_eq(sketch.syns, 3);
}
END_TEST

START_TEST(the_last_second_is_the_last_full_one)
{
	syns_from(&tally, 1, 3, AT(10));
	syns_from(&tally, 2, 4, AT(10) + LATE_IN_SECOND);
	syns_from(&tally, 1, 5, AT(11));
	ck_assert_uint_eq(window_at(&tally, AT(10) + LATE_IN_SECOND).last_second, 0);
	ck_assert_uint_eq(window_at(&tally, AT(10) + LATE_IN_SECOND).this_second, 7);
	ck_assert_uint_eq(window_at(&tally, AT(11)).last_second, 7);
	ck_assert_uint_eq(window_at(&tally, AT(11)).this_second, 5);
	ck_assert_uint_eq(window_at(&tally, AT(12)).last_second, 5);
	ck_assert_uint_eq(window_at(&tally, AT(13)).last_second, 0);
	ck_assert_uint_eq(window_at(&tally, AT(13)).syns, 12);
}
END_TEST

static void cookie_sent(struct tally *counted, uint64_t now_ns)
{
	tally_cookie_sent(counted, true, now_ns);
}

static void cookie_returned(struct tally *counted, uint64_t now_ns)
{
	tally_cookie_returned(counted, true, now_ns);
}

START_TEST(each_event_has_its_number)
{
	static void (*const events[])(struct tally *, uint64_t) = {cookie_returned, cookie_sent, tally_completed,
								   tally_retransmitted, tally_begun};
	struct tally_window window;
	struct tally_totals totals = {.syns = 0};

	syns_from(&tally, 1, 6, AT(20));
	for (unsigned i = 0; i < 5; i++)
		for (unsigned n = 0; n <= i; n++)
			events[i](&tally, AT(20));
	window = window_at(&tally, AT(20));
	tally_totals(&tally, &totals);
	ck_assert_uint_eq(window.syns, 6);
	ck_assert_uint_eq(window.begun, 5);
	ck_assert_uint_eq(window.retransmitted, 4);
	ck_assert_uint_eq(window.completed, 3);
	ck_assert_uint_eq(window.cookies_sent, 2);
	ck_assert_uint_eq(window.cookies_returned, 1);
	ck_assert_uint_eq(totals.syns, 6);
	ck_assert_uint_eq(totals.begun, 5);
	ck_assert_uint_eq(totals.retransmitted, 4);
	ck_assert_uint_eq(totals.completed, 3);
	ck_assert_uint_eq(totals.cookies_sent, 2);
	ck_assert_uint_eq(totals.cookies_returned, 1);
}
END_TEST

START_TEST(a_second_leaves_the_window_when_the_tenth_after_it_begins)
{
	syns_from(&tally, 1, 3, AT(100) + LATE_IN_SECOND);
	tally_begun(&tally, AT(100));
	ck_assert_uint_eq(window_at(&tally, AT(109) + LATE_IN_SECOND).syns, 3);
	ck_assert_uint_eq(window_at(&tally, AT(109) + LATE_IN_SECOND).begun, 1);
	ck_assert_uint_eq(window_at(&tally, AT(110)).syns, 0);
	ck_assert_uint_eq(window_at(&tally, AT(110)).begun, 0);
}
END_TEST

START_TEST(the_window_is_the_sum_of_its_ten_seconds)
{
	for (uint32_t second = 100; second < 200; second++) {
		syns_from(&tally, second, second, AT(second));
		if (second >= 109) /* 10 numbers, the last of them `second` */
			ck_assert_uint_eq(window_at(&tally, AT(second)).syns, 10 * second - 45);
	}
}
END_TEST

START_TEST(the_seconds_covered_are_counted_from_the_first_event)
{
	tally_completed(&tally, AT(100) + LATE_IN_SECOND);
	ck_assert_uint_eq(window_at(&tally, AT(100) + LATE_IN_SECOND).seconds, 1);
	ck_assert_uint_eq(window_at(&tally, AT(101)).seconds, 2);
	ck_assert_uint_eq(window_at(&tally, AT(109)).seconds, TALLY_WINDOW_S);
	tally_begun(&tally, AT(109));
	ck_assert_uint_eq(window_at(&tally, AT(109)).seconds, TALLY_WINDOW_S);
	ck_assert_uint_eq(window_at(&tally, AT(110)).seconds, 2);
	ck_assert_uint_eq(window_at(&tally, AT(119)).seconds, 0);
}
END_TEST

START_TEST(windows_of_two_shards_add_up)
{
	static struct tally other;
	struct tally_window sum = {.syns = 0};
	struct tally_totals totals = {.syns = 0};

	syns_from(&tally, 1, 3, AT(100));
	syns_from(&other, 2, 4, AT(102));
	syns_from(&other, 2, 5, AT(103));
	tally_begun(&tally, AT(103));
	tally_begun(&other, AT(103));
	tally_window(&tally, AT(103), &sum);
	tally_window(&other, AT(103), &sum);
	ck_assert_uint_eq(sum.syns, 12);
	ck_assert_uint_eq(sum.begun, 2);
	ck_assert_uint_eq(sum.last_second, 4);
	ck_assert_uint_eq(sum.this_second, 5);
	ck_assert_uint_eq(sum.seconds, 4); /* the longer */
	tally_totals(&tally, &totals);
	tally_totals(&other, &totals);
	ck_assert_uint_eq(totals.syns, 12);
	ck_assert_uint_eq(totals.begun, 2);
}
END_TEST

START_TEST(a_windows_sums_stay_at_their_highest)
{
	struct tally_window sum;

	memset(&sum, 0xff, sizeof(sum));
	sum.seconds = 0;
	sum.begun--;
	sum.completed -= 2;
	syns_from(&tally, 1, 2, AT(99));
	syns_from(&tally, 1, 2, AT(100));
	for (unsigned i = 0; i < 2; i++) {
		tally_begun(&tally, AT(100));
		tally_completed(&tally, AT(100));
		tally_cookie_sent(&tally, true, AT(100));
	}
	tally_window(&tally, AT(100), &sum);
	ck_assert_uint_eq(sum.syns, UINT32_MAX);
	ck_assert_uint_eq(sum.begun, UINT32_MAX);
	ck_assert_uint_eq(sum.completed, UINT32_MAX);
	ck_assert_uint_eq(sum.cookies_sent, UINT32_MAX);
	ck_assert_uint_eq(sum.last_second, UINT32_MAX);
	ck_assert_uint_eq(sum.this_second, UINT32_MAX);
}
END_TEST

/* ---- unanswered cookies ---- */

START_TEST(a_second_one_round_ago_is_not_counted)
{
	syns_from(&tally, 1, 3, AT(16));
	tally_cookie_sent(&tally, true, AT(16));
	ck_assert_uint_eq(window_at(&tally, AT(16 + TALLY_BINS)).syns, 0);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(16 + TALLY_SECONDS)), 0);
	syns_from(&tally, 1, 2, AT(16 + TALLY_BINS));
	ck_assert_uint_eq(window_at(&tally, AT(16 + TALLY_BINS)).syns, 2);
	tally_cookie_sent(&tally, true, AT(16 + TALLY_SECONDS));
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(16 + TALLY_SECONDS)), 1);
}
END_TEST

/* At least the window, at most a second more: whole seconds are counted. */
START_TEST(a_cookie_counts_for_the_window_and_the_rest_of_its_second)
{
	tally_cookie_sent(&tally, true, AT(100) + LATE_IN_SECOND);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(100) + LATE_IN_SECOND), 1);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(130) + LATE_IN_SECOND), 1);
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(131)), 0);
}
END_TEST

START_TEST(the_longest_window_reaches_back_all_the_way)
{
	tally_cookie_sent(&tally, true, AT(1000));
	ck_assert_uint_eq(tally_unanswered(&tally, TALLY_SECONDS - 2, AT(1000 + TALLY_SECONDS - 2)), 1);
	ck_assert_uint_eq(tally_unanswered(&tally, TALLY_SECONDS - 2, AT(1000 + TALLY_SECONDS - 1)), 0);
}
END_TEST

START_TEST(a_returned_cookie_is_not_unanswered)
{
	for (unsigned i = 0; i < 5; i++)
		tally_cookie_sent(&tally, true, AT(100));
	tally_cookie_returned(&tally, true, AT(100));
	tally_cookie_returned(&tally, true, AT(102));
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(102)), 3);
}
END_TEST

START_TEST(more_returned_than_sent_is_less_than_none)
{
	tally_cookie_sent(&tally, true, AT(100));
	tally_cookie_returned(&tally, true, AT(102));
	ck_assert_int_eq(tally_unanswered(&tally, 30, AT(131)), -1); /* the sending is out of the window */
}
END_TEST

START_TEST(what_was_counted_elsewhere_is_in_all_numbers_and_in_no_sketch)
{
	struct tally_totals totals = {.syns = 0};
	struct tally_window window;

	syns_from(&tally, 1, 3, AT(100));
	tally_syns_elsewhere(&tally, 1000, 900, AT(100));
	tally_syns_elsewhere(&tally, 500, 500, AT(101));
	tally_cookie_returned(&tally, true, AT(101));
	window = window_at(&tally, AT(101));
	tally_totals(&tally, &totals);
	ck_assert_uint_eq(window.syns, 1503);
	ck_assert_uint_eq(window.elsewhere, 1500);
	ck_assert_uint_eq(window.last_second, 1003);
	ck_assert_uint_eq(window.this_second, 500);
	ck_assert_uint_eq(window.cookies_sent, 1400);
	ck_assert_uint_eq(totals.syns, 1503);
	ck_assert_uint_eq(totals.cookies_sent, 1400);
	ck_assert_int_eq(tally_unanswered(&tally, 30, AT(101)), 1399);
	ck_assert_int_eq(tally_unanswered(&tally, 30, AT(131)), 499);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(101)).syns, 3);
}
END_TEST

START_TEST(more_counted_elsewhere_than_a_second_holds_stays_at_the_most)
{
	for (unsigned i = 0; i < 3; i++)
		tally_syns_elsewhere(&tally, UINT32_MAX, UINT32_MAX, AT(100));
	ck_assert_uint_eq(window_at(&tally, AT(100)).syns, UINT32_MAX);
	ck_assert_uint_eq(window_at(&tally, AT(100)).cookies_sent, UINT32_MAX);
	ck_assert_int_eq(tally_unanswered(&tally, 30, AT(100)), INT32_MAX);
}
END_TEST

/* 0: sent; 1: sent and returned; 2: returned alone. Beside 3 that are. */
START_TEST(a_cookie_that_is_no_load_is_counted_but_not_as_unanswered)
{
	struct tally_totals totals = {.syns = 0};
	struct tally_window window;

	for (unsigned i = 0; i < 3; i++)
		tally_cookie_sent(&tally, true, AT(100));
	for (unsigned i = 0; i < 5; i++) {
		if (_i != 2)
			tally_cookie_sent(&tally, false, AT(100));
		if (_i != 0)
			tally_cookie_returned(&tally, false, AT(101));
		ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(101)), 3);
	}
	window = window_at(&tally, AT(101));
	tally_totals(&tally, &totals);
	ck_assert_uint_eq(window.cookies_sent, _i == 2 ? 3 : 8);
	ck_assert_uint_eq(window.cookies_returned, _i == 0 ? 0 : 5);
	ck_assert_uint_eq(totals.cookies_sent, window.cookies_sent);
	ck_assert_uint_eq(totals.cookies_returned, window.cookies_returned);
	tally_cookie_returned(&tally, true, AT(101));
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(101)), 2);
}
END_TEST

START_TEST(a_cookie_that_is_no_load_begins_its_second_anew)
{
	tally_cookie_sent(&tally, true, AT(100));
	tally_cookie_sent(&tally, false, AT(100 + TALLY_SECONDS));
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(100 + TALLY_SECONDS)), 0);
	tally_cookie_sent(&tally, true, AT(100 + TALLY_SECONDS));
	ck_assert_uint_eq(tally_unanswered(&tally, 30, AT(100 + TALLY_SECONDS)), 1);
}
END_TEST

/* ---- distinct sources ---- */

static uint32_t distinct_of(uint32_t sources, uint64_t seed)
{
	struct tally_sight sight;

	memset(&tally, 0, sizeof(tally));
	for (uint32_t n = 0; n < sources; n++) {
		uint64_t state;

		sight_of(n, &flood_tool, &sight);
		state = sight.hash ^ seed;
		sight.hash = random_next(&state);
		tally_syn(&tally, &sight, 0);
	}
	return tally_distinct(&tally.current);
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
	ck_assert_uint_eq(tally_distinct(&tally.current), 1);
	ck_assert_uint_eq(tally.current.syns, 1000);
}
END_TEST

/* ---- heaviest source ---- */

START_TEST(with_few_sources_the_heaviest_is_counted_exactly)
{
	struct addr heaviest = host(false, 3);

	for (uint32_t n = 0; n < TALLY_TOP; n++)
		syns_from(&tally, n, n == 3 ? 50 : 40, 0);
	ck_assert(addr_equal(&tally_heaviest(&tally.current)->net, &heaviest));
	ck_assert_uint_eq(tally_heaviest(&tally.current)->syns, 50);
}
END_TEST

START_TEST(a_source_above_an_eighth_is_found_in_a_flood_of_random_ones)
{
	struct addr heaviest = host(false, 0);
	uint64_t seed = 5;

	for (unsigned i = 0; i < 100000; i++)
		syns_from(&tally, i % 7 == 0 ? 0 : 1 + random_below(&seed, 100000), 1, 0);
	ck_assert(addr_equal(&tally_heaviest(&tally.current)->net, &heaviest));
	ck_assert_uint_ge(tally_heaviest(&tally.current)->syns, 100000 / 7);
	ck_assert_uint_le(tally_heaviest(&tally.current)->syns, 100000 / 7 + 100000 / TALLY_TOP);
}
END_TEST

START_TEST(a_source_that_was_heaviest_first_is_still_found)
{
	struct addr heaviest = host(false, 0);

	syns_from(&tally, 0, 2000, 0);
	for (uint32_t n = 1; n < 14000; n++)
		syns_from(&tally, n, 1, 0);
	ck_assert(addr_equal(&tally_heaviest(&tally.current)->net, &heaviest));
}
END_TEST

/* What a newcomer inherits from the one that gave way is not its own. */
START_TEST(of_sources_that_send_once_each_none_is_said_to_send_more)
{
	syns_from(&tally, 0, 1, AT(5));
	for (uint32_t n = 1; n < 1000; n++)
		syns_from(&tally, n, 1, AT(5));
	ck_assert_uint_eq(tally_certain(tally_heaviest(&tally.current)), 1);
	ck_assert_uint_eq(tally.current.syns, 1000);
}
END_TEST

/* ---- signatures ---- */

static const struct {
	uint8_t received, at_start;
} hops[] = {{0, 32},   {1, 32},    {32, 32},   {33, 64},   {57, 64},  {64, 64},
	    {65, 128}, {128, 128}, {129, 255}, {254, 255}, {255, 255}};

START_TEST(hops_are_rounded_up_to_what_the_sender_began_with)
{
	struct segment syn = {.hops = hops[_i].received, .options = {.wscale = -1}};

	ck_assert_uint_eq(tally_signature_of(&syn).hops, hops[_i].at_start);
}
END_TEST

START_TEST(each_option_has_its_bit)
{
	struct segment syn = {.hops = 57, .window = 64240, .options = {.wscale = -1}};

	ck_assert_uint_eq(tally_signature_of(&syn).options, 0);
	syn.options.mss = 1;
	ck_assert_uint_eq(tally_signature_of(&syn).options, TALLY_MSS);
	syn.options = (struct tcp_options){.wscale = 0};
	ck_assert_uint_eq(tally_signature_of(&syn).options, TALLY_WSCALE);
	syn.options = (struct tcp_options){.wscale = -1, .sack = true};
	ck_assert_uint_eq(tally_signature_of(&syn).options, TALLY_SACK);
	syn.options = (struct tcp_options){.wscale = -1, .timestamps = true};
	ck_assert_uint_eq(tally_signature_of(&syn).options, TALLY_TIMESTAMPS);
	ck_assert_uint_eq(tally_signature_of(&syn).window, 64240);
	ck_assert_uint_eq(tally_signature_of(&syn).hops, 64);
}
END_TEST

START_TEST(a_signature_has_a_text)
{
	struct tally_signature some = {32, TALLY_WSCALE | TALLY_TIMESTAMPS, 0}, longest = {255, 15, 65535};
	char text[TALLY_SIGNATURE_BYTES];

	tally_signature_text(&linux_client, text);
	ck_assert_str_eq(text, "ttl 64 window 64240 mss,wscale,sack,ts");
	tally_signature_text(&flood_tool, text);
	ck_assert_str_eq(text, "ttl 255 window 512 no options");
	tally_signature_text(&some, text);
	ck_assert_str_eq(text, "ttl 32 window 0 wscale,ts");
	some.options = TALLY_SACK;
	tally_signature_text(&some, text);
	ck_assert_str_eq(text, "ttl 32 window 0 sack");
	tally_signature_text(&longest, text);
	ck_assert_str_eq(text, "ttl 255 window 65535 mss,wscale,sack,ts");
}
END_TEST

START_TEST(the_commonest_signature_is_that_of_the_flood)
{
	struct tally_sight sight;

	syns_from(&tally, 1, 300, AT(100));
	for (uint32_t n = 0; n < 700; n++) {
		sight_of(n, &flood_tool, &sight);
		tally_syn(&tally, &sight, AT(100));
	}
	ck_assert_mem_eq(&tally_commonest(&tally.current)->signature, &flood_tool, sizeof(flood_tool));
	ck_assert_uint_eq(tally_certain(tally_commonest(&tally.current)), 700);
}
END_TEST

START_TEST(of_signatures_at_random_none_has_a_share)
{
	struct tally_sight sight;
	uint64_t seed = 3;

	for (uint32_t n = 0; n < 10000; n++) {
		struct tally_signature signature = {64, 0, (uint16_t)random_next(&seed)};

		sight_of(1, &signature, &sight);
		tally_syn(&tally, &sight, AT(100));
	}
	ck_assert_uint_le(tally_certain(tally_commonest(&tally.current)), 10);
	ck_assert_uint_eq(tally_certain(tally_heaviest(&tally.current)), 10000);
}
END_TEST

/* ---- sketches of the window and of all ---- */

START_TEST(the_window_is_this_half_and_the_one_before)
{
	syns_from(&tally, 1, 3, AT(100));
	syns_from(&tally, 2, 4, AT(104) + LATE_IN_SECOND);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(104) + LATE_IN_SECOND).syns, 7);
	syns_from(&tally, 3, 5, AT(105));
	ck_assert_uint_eq(tally.current.syns, 5);
	ck_assert_uint_eq(tally.previous.syns, 7);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(109) + LATE_IN_SECOND).syns, 12);
	syns_from(&tally, 1, 1, AT(110));
	ck_assert_uint_eq(window_sketch_at(&tally, AT(110)).syns, 6);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(110)).since_ns, AT(105));
}
END_TEST

/* The reader's time counts, not that of the last SYN. */
START_TEST(the_window_ages_without_a_syn)
{
	syns_from(&tally, 1, 3, AT(100));
	syns_from(&tally, 2, 4, AT(105));
	ck_assert_uint_eq(window_sketch_at(&tally, AT(109)).syns, 7);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(110)).syns, 4);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(114) + LATE_IN_SECOND).syns, 4);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(115)).syns, 0);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(100 + HOUR_S)).syns, 0);
	ck_assert_uint_eq(total_sketch(&tally).syns, 7);
}
END_TEST

START_TEST(a_half_that_nobody_sent_in_is_empty)
{
	syns_from(&tally, 1, 3, AT(100));
	syns_from(&tally, 2, 4, AT(110));
	ck_assert_uint_eq(tally.previous.syns, 0);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(110)).syns, 4);
	ck_assert_uint_eq(total_sketch(&tally).syns, 7);
	ck_assert_uint_eq(total_sketch(&tally).since_ns, AT(100));
}
END_TEST

START_TEST(the_total_holds_every_half_once)
{
	struct tally_sketch total;
	struct addr heaviest = host(false, 3);

	for (uint32_t second = 100; second < 140; second++) {
		syns_from(&tally, second, 1, AT(second));
		syns_from(&tally, 3, 2, AT(second));
		ck_assert_uint_eq(total_sketch(&tally).syns, 3 * (second - 99));
	}
	total = total_sketch(&tally);
	ck_assert(addr_equal(&tally_heaviest(&total)->net, &heaviest));
	ck_assert_uint_eq(tally_certain(tally_heaviest(&total)), 80);
	ck_assert_uint_ge(tally_distinct(&total), 38);
	ck_assert_uint_le(tally_distinct(&total), 44);
	ck_assert_uint_eq(total.since_ns, AT(100));
}
END_TEST

START_TEST(a_total_begins_anew_with_what_the_window_holds)
{
	syns_from(&tally, 1, 1, AT(100));
	syns_from(&tally, 2, 2, AT(105));
	syns_from(&tally, 3, 4, AT(110));
	tally_total_reset(&tally);
	ck_assert_uint_eq(total_sketch(&tally).syns, 6);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(110)).syns, 6);
	syns_from(&tally, 4, 8, AT(115));
	syns_from(&tally, 5, 16, AT(120));
	ck_assert_uint_eq(total_sketch(&tally).syns, 30);
	ck_assert_uint_eq(total_sketch(&tally).since_ns, AT(105));
	ck_assert_uint_eq(tally.totals.syns, 31);
}
END_TEST

START_TEST(merged_sketches_know_what_one_would_have)
{
	static struct tally whole, parts[2];
	struct tally_sketch merged = {.syns = 0};
	struct addr heaviest = host(false, 7);

	for (uint32_t n = 0; n < 4000; n++) {
		syns_from(&whole, n, 1, 0);
		syns_from(&parts[n % 2], n, 1, 0);
	}
	for (unsigned i = 0; i < 2; i++) { /* a network's SYNs may come in at both shards */
		syns_from(&parts[i], 7, 600, 0);
		syns_from(&whole, 7, 600, 0);
		tally_sketch_merge(&merged, &parts[i].current);
	}
	ck_assert_uint_eq(merged.syns, 4000 + 1200);
	ck_assert_uint_eq(tally_distinct(&merged), tally_distinct(&whole.current));
	ck_assert(addr_equal(&tally_heaviest(&merged)->net, &heaviest));
	ck_assert_uint_ge(tally_heaviest(&merged)->syns, 1201);
	ck_assert_uint_le(tally_certain(tally_heaviest(&merged)), 1201);
	ck_assert_uint_eq(tally_certain(tally_commonest(&merged)), 5200);
}
END_TEST

/* Whatever the two have seen, the count is between `certain` and `syns`, and nothing above an eighth is missed. */
START_TEST(a_merged_count_is_within_its_bounds)
{
	static struct tally parts[2];
	static uint32_t sent[64];
	struct tally_sketch merged = {.syns = 0};
	uint64_t seed = (uint64_t)_i;

	memset(sent, 0, sizeof(sent));
	memset(parts, 0, sizeof(parts));
	for (unsigned i = 0; i < 4000; i++) {
		uint32_t n = random_below(&seed, 1 + random_below(&seed, 64));

		syns_from(&parts[random_below(&seed, 1 + n % 2)], n, 1, 0);
		sent[n]++;
	}
	tally_sketch_window(&parts[0], 0, &merged);
	tally_sketch_window(&parts[1], 0, &merged);
	for (uint32_t n = 0; n < 64; n++) {
		struct addr net = host(false, n);
		bool found = false;

		for (unsigned i = 0; i < TALLY_TOP; i++) {
			if (!addr_equal(&merged.sources[i].net, &net))
				continue;
			found = true;
			must(merged.sources[i].syns >= sent[n]);
			must(tally_certain(&merged.sources[i]) <= sent[n]);
		}
		must(found || sent[n] <= 4000 / TALLY_TOP);
	}
}
END_TEST

START_TEST(a_merged_sketch_is_as_old_as_its_oldest_part)
{
	struct tally_sketch into = {.syns = 0}, older = {.since_ns = 5, .syns = 1};
	struct tally_sketch newer = {.since_ns = 9, .syns = 1}, never = {.syns = 0};

	tally_sketch_merge(&into, &newer);
	ck_assert_uint_eq(into.since_ns, 9);
	tally_sketch_merge(&into, &older);
	ck_assert_uint_eq(into.since_ns, 5);
	tally_sketch_merge(&into, &newer);
	tally_sketch_merge(&into, &never);
	ck_assert_uint_eq(into.since_ns, 5);
	ck_assert_uint_eq(into.syns, 3);
	ck_assert_ptr_null(tally_heaviest(&into));
}
END_TEST

START_TEST(counts_of_a_sketch_go_beyond_32_bits)
{
	struct tally_sketch into = {.syns = 0}, from = {.syns = UINT32_MAX};

	from.sources[0] = (struct tally_top){.net = host(false, 1), .syns = UINT32_MAX, .over = 1};
	tally_sketch_merge(&into, &from);
	tally_sketch_merge(&into, &from);
	ck_assert_uint_eq(into.syns, 2 * (uint64_t)UINT32_MAX);
	ck_assert_uint_eq(tally_certain(tally_heaviest(&into)), 2 * (uint64_t)UINT32_MAX - 2);
}
END_TEST

START_TEST(a_full_sketch_has_a_distinct_estimate_that_fits)
{
	struct tally_sketch sketch = {.syns = UINT64_MAX};

	memset(sketch.registers, 56, sizeof(sketch.registers));
	ck_assert_uint_eq(tally_distinct(&sketch), UINT32_MAX);
}
END_TEST

/* ---- jumps of the clock ---- */

START_TEST(a_jump_ahead_empties_the_window)
{
	uint64_t later_ns = AT(100) + AT(_i) * HOUR_S;

	syns_from(&tally, 1, 3, AT(100));
	tally_begun(&tally, AT(100));
	tally_cookie_sent(&tally, true, AT(100));
	ck_assert_uint_eq(window_at(&tally, later_ns).syns, 0);
	syns_from(&tally, 2, 1, later_ns);
	ck_assert_uint_eq(window_at(&tally, later_ns).syns, 1);
	ck_assert_uint_eq(window_at(&tally, later_ns).begun, 0);
	ck_assert_uint_eq(window_at(&tally, later_ns).seconds, 1);
	ck_assert_uint_eq(window_sketch_at(&tally, later_ns).syns, 1);
	ck_assert_uint_eq(tally_unanswered(&tally, 300, later_ns), 0);
	ck_assert_uint_eq(total_sketch(&tally).syns, 4);
}
END_TEST

START_TEST(a_second_back_is_no_jump)
{
	syns_from(&tally, 1, 3, AT(105));
	syns_from(&tally, 2, 4, AT(104) + LATE_IN_SECOND);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(104)).syns, 7);
	ck_assert_uint_eq(window_sketch_at(&tally, AT(105)).syns, 7);
	ck_assert_uint_eq(window_at(&tally, AT(104)).syns, 4);
	ck_assert_uint_eq(window_at(&tally, AT(104)).this_second, 4);
	ck_assert_uint_eq(window_at(&tally, AT(105)).syns, 7);
}
END_TEST

START_TEST(a_jump_back_begins_a_new_window)
{
	uint64_t earlier_ns = AT(9000) - AT(_i) * 10;

	syns_from(&tally, 1, 3, AT(9000));
	tally_cookie_sent(&tally, true, AT(9000));
	ck_assert_uint_eq(window_at(&tally, earlier_ns).syns, 0);
	ck_assert_uint_eq(window_sketch_at(&tally, earlier_ns).syns, 0);
	syns_from(&tally, 2, 1, earlier_ns);
	tally_cookie_returned(&tally, true, earlier_ns);
	ck_assert_uint_eq(window_at(&tally, earlier_ns).syns, 1);
	ck_assert_uint_eq(window_at(&tally, earlier_ns).seconds, 1);
	ck_assert_uint_eq(window_sketch_at(&tally, earlier_ns).syns, 1);
	ck_assert_int_le(tally_unanswered(&tally, 300, earlier_ns), 0);
	ck_assert_uint_eq(total_sketch(&tally).syns, 4);
}
END_TEST

START_TEST(the_end_of_the_clock_works)
{
	syns_from(&tally, 1, 3, UINT64_MAX);
	tally_cookie_sent(&tally, true, UINT64_MAX);
	ck_assert_uint_eq(window_at(&tally, UINT64_MAX).syns, 3);
	ck_assert_uint_eq(window_sketch_at(&tally, UINT64_MAX).syns, 3);
	ck_assert_uint_eq(tally_unanswered(&tally, 300, UINT64_MAX), 1);
	syns_from(&tally, 1, 1, 0);
	ck_assert_uint_eq(window_at(&tally, 0).syns, 1);
	ck_assert_uint_eq(total_sketch(&tally).syns, 4);
}
END_TEST

static void fresh(void)
{
	memset(&tally, 0, sizeof(tally));
}

static TCase *seconds_tests(void)
{
	TCase *seconds = tcase_create("seconds");

	tcase_add_checked_fixture(seconds, fresh, NULL);
	tcase_add_loop_test(seconds, of_nothing_everything_is_zero, 0, 12);
	tcase_add_test(seconds, the_first_second_of_the_clock_works);
	tcase_add_test(seconds, the_last_second_is_the_last_full_one);
	tcase_add_test(seconds, each_event_has_its_number);
	tcase_add_test(seconds, a_second_leaves_the_window_when_the_tenth_after_it_begins);
	tcase_add_test(seconds, the_window_is_the_sum_of_its_ten_seconds);
	tcase_add_test(seconds, the_seconds_covered_are_counted_from_the_first_event);
	tcase_add_test(seconds, windows_of_two_shards_add_up);
	tcase_add_test(seconds, a_windows_sums_stay_at_their_highest);
	tcase_add_test(seconds, a_second_one_round_ago_is_not_counted);
	tcase_add_test(seconds, a_cookie_counts_for_the_window_and_the_rest_of_its_second);
	tcase_add_test(seconds, the_longest_window_reaches_back_all_the_way);
	tcase_add_test(seconds, a_returned_cookie_is_not_unanswered);
	tcase_add_test(seconds, more_returned_than_sent_is_less_than_none);
	tcase_add_test(seconds, what_was_counted_elsewhere_is_in_all_numbers_and_in_no_sketch);
	tcase_add_test(seconds, more_counted_elsewhere_than_a_second_holds_stays_at_the_most);
	tcase_add_loop_test(seconds, a_cookie_that_is_no_load_is_counted_but_not_as_unanswered, 0, 3);
	tcase_add_test(seconds, a_cookie_that_is_no_load_begins_its_second_anew);
	return seconds;
}

static TCase *sources_tests(void)
{
	TCase *sources = tcase_create("sources");

	tcase_add_checked_fixture(sources, fresh, NULL);
	tcase_add_loop_test(sources, the_distinct_estimate_is_within_three_standard_errors, 0,
			    sizeof(distinct_counts) / sizeof(distinct_counts[0]));
	tcase_add_test(sources, few_sources_are_counted_almost_exactly);
	tcase_add_test(sources, a_source_seen_again_is_not_distinct);
	tcase_add_test(sources, with_few_sources_the_heaviest_is_counted_exactly);
	tcase_add_test(sources, a_source_above_an_eighth_is_found_in_a_flood_of_random_ones);
	tcase_add_test(sources, a_source_that_was_heaviest_first_is_still_found);
	tcase_add_test(sources, of_sources_that_send_once_each_none_is_said_to_send_more);
	tcase_add_loop_test(sources, hops_are_rounded_up_to_what_the_sender_began_with, 0,
			    sizeof(hops) / sizeof(hops[0]));
	tcase_add_test(sources, each_option_has_its_bit);
	tcase_add_test(sources, a_signature_has_a_text);
	tcase_add_test(sources, the_commonest_signature_is_that_of_the_flood);
	tcase_add_test(sources, of_signatures_at_random_none_has_a_share);
	return sources;
}

static TCase *sketches_tests(void)
{
	TCase *sketches = tcase_create("sketches");

	tcase_add_checked_fixture(sketches, fresh, NULL);
	tcase_add_test(sketches, the_window_is_this_half_and_the_one_before);
	tcase_add_test(sketches, the_window_ages_without_a_syn);
	tcase_add_test(sketches, a_half_that_nobody_sent_in_is_empty);
	tcase_add_test(sketches, the_total_holds_every_half_once);
	tcase_add_test(sketches, a_total_begins_anew_with_what_the_window_holds);
	tcase_add_test(sketches, merged_sketches_know_what_one_would_have);
	tcase_add_loop_test(sketches, a_merged_count_is_within_its_bounds, 0, 20);
	tcase_add_test(sketches, a_merged_sketch_is_as_old_as_its_oldest_part);
	tcase_add_test(sketches, counts_of_a_sketch_go_beyond_32_bits);
	tcase_add_test(sketches, a_full_sketch_has_a_distinct_estimate_that_fits);
	tcase_add_loop_test(sketches, a_jump_ahead_empties_the_window, 1, 100);
	tcase_add_test(sketches, a_second_back_is_no_jump);
	tcase_add_loop_test(sketches, a_jump_back_begins_a_new_window, 1, 100);
	tcase_add_test(sketches, the_end_of_the_clock_works);
	return sketches;
}

static Suite *tally_suite(void)
{
	Suite *suite = suite_create("tally");

	suite_add_tcase(suite, seconds_tests());
	suite_add_tcase(suite, sources_tests());
	suite_add_tcase(suite, sketches_tests());
	return suite;
}

int main(void)
{
	return unit_main(tally_suite());
}
