/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last value on one side of a threshold and the first on the other, wherever another file's tests go from far on one
 * side to far on the other: what was found by changing the code (tests/long/mutants.sh). */
#include "synmoat/cap.h"
#include "synmoat/character.h"
#include "synmoat/cidr.h"
#include "synmoat/cookie.h"
#include "synmoat/incident.h"
#include "synmoat/latency.h"
#include "synmoat/policy.h"
#include "synmoat/service.h"
#include "synmoat/tally.h"
#include "wire.h"

#define START_S 5000U
#define START_NS (START_S * NSEC_PER_SEC)
#define SPAN_S 10

static struct source source;
static struct service service;

static void fresh(void)
{
	source = (struct source){.syns = 1};
	memset(&service, 0, sizeof(service));
	policy_source_begins(&source, START_NS);
}

/* ---- policy ---- */

START_TEST(proven_for_a_second_means_within_the_same_second)
{
	struct policy policy = {.proven_s = 1, .rate_burst = 1};

	source.proven_s = START_S;
	ck_assert(policy_proven(&policy, &source, START_NS));
	ck_assert(policy_proven(&policy, &source, START_NS + NSEC_PER_SEC - 1));
	ck_assert(!policy_proven(&policy, &source, START_NS + NSEC_PER_SEC));
}
END_TEST

/* `due` is a number of 128 ns in 48 bits: what lies half a circle ahead is ahead, and what lies one further is past. */
START_TEST(due_half_a_circle_ahead_is_ahead_and_one_tick_more_is_past)
{
	struct policy policy = {.span_s = SPAN_S, .rate_per_s = 1, .rate_burst = 1};
	uint64_t now = START_NS >> 7;

	source.wary_since_s = START_S - 5 * SPAN_S;
	source.due = (now + (1ULL << 47) - 1) & ((1ULL << 48) - 1);
	ck_assert(policy_wary(&policy, &source, 0, START_NS));
	source.due = (now + (1ULL << 47)) & ((1ULL << 48) - 1);
	ck_assert(!policy_wary(&policy, &source, 0, START_NS));
}
END_TEST

START_TEST(the_share_of_a_source_is_never_less_than_what_makes_one_heavy)
{
	struct policy policy = {.half_open_limit = 1000};
	static const uint32_t shares[][2] = {{0, 2}, {1, 2}, {2, 2}, {3, 2}, {4, 2}, {5, 2}, {6, 3}, {7, 3}, {8, 4}};

	for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		ck_assert_uint_eq(policy_limit(&policy, shares[i][0]), shares[i][1]);
}
END_TEST

START_TEST(without_a_rate_a_span_begins_with_what_made_the_source_wary)
{
	struct policy policy = {.span_s = SPAN_S, .rate_burst = 1};

	source.half_open = 4;
	ck_assert(policy_passed(&policy, &source, 4, START_NS));
	source.half_open = 0;
	ck_assert(policy_wary(&policy, &source, 4, START_NS + SPAN_S * NSEC_PER_SEC - 1));
	ck_assert(!policy_wary(&policy, &source, 4, START_NS + SPAN_S * NSEC_PER_SEC));
}
END_TEST

START_TEST(the_last_cookie_owed_can_be_answered_for_and_no_more)
{
	source.owed = 2;
	policy_answered(&source);
	ck_assert_uint_eq(source.owed, 1);
	policy_answered(&source);
	ck_assert_uint_eq(source.owed, 0);
	policy_answered(&source);
	ck_assert_uint_eq(source.owed, 0);
}
END_TEST

/* ---- service ---- */

START_TEST(what_may_not_be_answered_for_never_trips)
{
	static const struct service_thresholds thresholds = {50, 85, 25};

	service_set_limit(&service, 128, &thresholds);
	service.behind = true;
	ck_assert(service_trips(&service, UINT32_MAX));
	service.answers = SERVICE_ANSWERS_NOT_YET;
	ck_assert(!service_trips(&service, UINT32_MAX));
	service.answers = SERVICE_ANSWERS;
	service.host_bits = 8;
	ck_assert(!service_trips(&service, UINT32_MAX));
}
END_TEST

START_TEST(that_a_syn_spilled_is_written_once_in_100_ms)
{
	service_spilled(&service, 1);
	ck_assert_uint_eq(service.spilled_ns, 1);
	service_spilled(&service, 100 * NSEC_PER_MSEC);
	ck_assert_uint_eq(service.spilled_ns, 1);
	service_spilled(&service, 1 + 100 * NSEC_PER_MSEC);
	ck_assert_uint_eq(service.spilled_ns, 1 + 100 * NSEC_PER_MSEC);
}
END_TEST

static const struct tcp_options scaled = {.mss = 1460, .wscale = 6, .sack = true, .timestamps = true};

START_TEST(after_a_server_scales_less_no_scale_is_announced_for_exactly_five_seconds)
{
	struct tcp_options less = scaled;

	less.wscale = 4;
	service_learn(&service, _i, &scaled, 1, 15, START_NS);
	ck_assert_int_eq(service_announced(&service, _i, START_NS).wscale, 6);
	service_learn(&service, _i, &less, 1, 15, START_NS);
	ck_assert(service_is_unscaled(&service, _i, START_NS));
	ck_assert(!service_is_unscaled(&service, !_i, START_NS));
	ck_assert_int_eq(service_announced(&service, _i, START_NS + 5 * NSEC_PER_SEC - 1).wscale, -1);
	ck_assert_int_eq(service_announced(&service, _i, START_NS + 5 * NSEC_PER_SEC).wscale, 4);
	service_learn(&service, _i, &less, 1, 15, START_NS + 9 * NSEC_PER_SEC); /* as much as before */
	ck_assert(!service_is_unscaled(&service, _i, START_NS + 9 * NSEC_PER_SEC));
}
END_TEST

START_TEST(an_answer_to_a_client_that_does_not_scale_says_nothing_of_the_scale)
{
	struct tcp_options none = scaled;

	none.wscale = -1;
	service_learn(&service, false, &scaled, 1, 15, START_NS);
	service_learn(&service, false, &none, 1, LEARNED_BASE | LEARNED_SACK | LEARNED_TIMESTAMPS, START_NS);
	ck_assert(!service_is_unscaled(&service, false, START_NS));
	ck_assert_int_eq(service_announced(&service, false, START_NS).wscale, 6);
}
END_TEST

/* ---- cap ---- */

static struct cap *cap;

static void cap_make(void)
{
	static const struct siphash_key key = {{5, 6}};

	fresh();
	cap = calloc(1, sizeof(*cap));
	cap_init(cap, 2, &key, START_NS);
}

static void cap_drop(void)
{
	free(cap);
}

START_TEST(a_network_has_a_reply_as_soon_as_one_has_come_and_not_a_millisecond_before)
{
	struct addr addr = address("192.0.2.1");

	ck_assert(cap_take(cap, &addr, START_NS) && cap_take(cap, &addr, START_NS));
	ck_assert(!cap_has(cap, &addr, START_NS + 499 * NSEC_PER_MSEC));
	ck_assert(cap_has(cap, &addr, START_NS + 500 * NSEC_PER_MSEC));
	ck_assert(!cap_take(cap, &addr, START_NS + 499 * NSEC_PER_MSEC));
	ck_assert(cap_take(cap, &addr, START_NS + 500 * NSEC_PER_MSEC));
	ck_assert(!cap_has(cap, &addr, START_NS + 500 * NSEC_PER_MSEC));
}
END_TEST

START_TEST(without_a_cap_there_is_always_one)
{
	static const struct siphash_key key = {{5, 6}};
	struct addr addr = address("192.0.2.1");

	cap_init(cap, 0, &key, START_NS);
	ck_assert(cap_has(cap, &addr, START_NS));
	ck_assert(cap_take(cap, &addr, START_NS));
}
END_TEST

START_TEST(the_last_token_of_a_full_bucket_can_be_given_back_and_no_more)
{
	struct addr addr = address("192.0.2.1");

	ck_assert(cap_take(cap, &addr, START_NS));
	cap_return(cap, &addr); /* full */
	cap_return(cap, &addr);
	ck_assert(cap_take(cap, &addr, START_NS) && cap_take(cap, &addr, START_NS));
	ck_assert(!cap_take(cap, &addr, START_NS));
}
END_TEST

START_TEST(a_network_is_a_24_or_a_48_and_no_wider)
{
	static const char *const networks[][2] = {{"192.0.2.1", "192.0.3.1"}, {"2001:db8::1", "2001:db8:1::1"}};
	static const char *const within[] = {"192.0.2.255", "2001:db8:0:ffff::1"};
	struct addr one = address(networks[_i][0]), other = address(networks[_i][1]), same = address(within[_i]);

	ck_assert(cap_take(cap, &one, START_NS) && cap_take(cap, &same, START_NS));
	ck_assert(!cap_take(cap, &one, START_NS));
	ck_assert(cap_take(cap, &other, START_NS));
}
END_TEST

/* Each bucket is filled: networks in plenty find as many tokens as there are. */
START_TEST(every_bucket_is_full_at_first)
{
	for (unsigned i = 0; i < CAP_BUCKETS; i++) {
		must(cap->buckets[i].tokens == 2000);
		must(cap->buckets[i].filled_ms == START_S * 1000);
	}
}
END_TEST

/* ---- cookies ----
 *
 * Hosts of different versions share these: what goes into them is for ever. */

START_TEST(a_shared_key_is_siphash_of_the_epoch_and_0_then_1)
{
	static const struct cookie_master masters[] = {{0, {{7, 8}}}, {79, {{9, 10}}}};
	struct cookie_secret secret = cookie_shared(masters, 2, 78ULL * 64 * 1000);
	uint64_t words[][2] = {{77, 0}, {77, 1}, {78, 0}, {78, 1}, {79, 0}, {79, 1}};

	ck_assert_uint_eq(secret.epoch, 78);
	ck_assert_uint_eq(secret.keys[1].words[0], siphash(&masters[0].key, words[0], 2));
	ck_assert_uint_eq(secret.keys[1].words[1], siphash(&masters[0].key, words[1], 2));
	ck_assert_uint_eq(secret.keys[0].words[0], siphash(&masters[0].key, words[2], 2));
	ck_assert_uint_eq(secret.keys[0].words[1], siphash(&masters[0].key, words[3], 2));
	ck_assert_uint_eq(secret.next.words[0], siphash(&masters[1].key, words[4], 2));
	ck_assert_uint_eq(secret.next.words[1], siphash(&masters[1].key, words[5], 2));
}
END_TEST

START_TEST(a_fingerprint_is_siphash_of_the_name_under_the_key_of_the_epoch)
{
	struct cookie_secret secret = {.epoch = 78 + (uint32_t)_i, .keys = {{{1, 2}}, {{3, 4}}}};
	uint64_t name = 0;

	for (unsigned i = 0; i < 7; i++)
		name = name << 8 | (uint8_t) "synmoat"[i];
	ck_assert_uint_eq(cookie_fingerprint(&secret), (uint32_t)siphash(&secret.keys[_i], &name, 1));
}
END_TEST

/* ---- numbers of tally.h ---- */

START_TEST(a_percentage_is_rounded_down_and_at_most_100)
{
	ck_assert_uint_eq(tally_percent(0, 0), 0);
	ck_assert_uint_eq(tally_percent(7, 0), 0);
	ck_assert_uint_eq(tally_percent(0, 7), 0);
	ck_assert_uint_eq(tally_percent(199, 200), 99);
	ck_assert_uint_eq(tally_percent(200, 200), 100);
	ck_assert_uint_eq(tally_percent(201, 200), 100);
	ck_assert_uint_eq(tally_percent(UINT64_MAX, 1), 100);
}
END_TEST

START_TEST(more_sources_than_can_be_counted_are_the_most_that_can)
{
	static struct tally_sketch sketch = {.syns = UINT64_MAX};

	memset(sketch.registers, 56, sizeof(sketch.registers));
	ck_assert_uint_eq(tally_distinct(&sketch), UINT32_MAX);
	sketch.syns = UINT32_MAX - 1;
	ck_assert_uint_eq(tally_distinct(&sketch), UINT32_MAX - 1);
}
END_TEST

/* Not helped by the bound that each has sent one. */
START_TEST(sources_that_send_several_each_are_estimated_within_three_standard_errors)
{
	static const struct siphash_key key = {{7, 8}};
	static const uint32_t counts[] = {100, 2000, 20000};
	static struct tally tally;
	uint32_t sources = counts[_i];
	uint32_t distinct;

	memset(&tally, 0, sizeof(tally));
	for (uint64_t n = 0; n < sources * 8ULL; n++) {
		uint64_t word = n % sources;
		struct tally_sight sight = {.net = host(false, (uint32_t)word), .hash = siphash(&key, &word, 1)};

		tally_syn(&tally, &sight, START_NS);
	}
	distinct = tally_distinct(&tally.current);
	ck_assert_uint_ge(distinct, sources * 8 / 10);
	ck_assert_uint_le(distinct, sources * 12 / 10);
}
END_TEST

START_TEST(unanswered_cookies_saturate_both_ways)
{
	static struct tally tally;
	unsigned slot = START_S % TALLY_SECONDS;

	memset(&tally, 0, sizeof(tally));
	tally.unanswered[slot] = (struct tally_unanswered){START_S, INT32_MIN + 1};
	tally_cookie_returned(&tally, true, START_NS);
	ck_assert_int_eq(tally_unanswered(&tally, 1, START_NS), INT32_MIN);
	tally_cookie_returned(&tally, true, START_NS);
	ck_assert_int_eq(tally_unanswered(&tally, 1, START_NS), INT32_MIN);
	tally.unanswered[slot].cookies = INT32_MAX;
	tally_cookie_sent(&tally, true, START_NS);
	ck_assert_int_eq(tally_unanswered(&tally, 1, START_NS), INT32_MAX);
}
END_TEST

/* Whatever has no entry on one side may have had the lowest count there, wherever that stands. */
START_TEST(a_merge_adds_the_lowest_count_of_the_other_side)
{
	static struct tally_sketch into, from;
	uint64_t sum = 0;

	into = from = (struct tally_sketch){.syns = 1000};
	for (unsigned i = 0; i < TALLY_TOP; i++) {
		into.sources[i] = (struct tally_top){.net = host(false, i), .syns = i == 0 ? 100 : 10 + i};
		from.sources[i] = (struct tally_top){.net = host(false, 100 + i), .syns = i == 0 ? 200 : 20 - i};
	}
	tally_sketch_merge(&into, &from);
	for (unsigned i = 0; i < TALLY_TOP; i++)
		sum += into.sources[i].syns;
	ck_assert_uint_eq(sum, 211 + 113 + 2 * (30 + 29 + 28)); /* the highest of both have stayed */
	ck_assert_uint_eq(into.sources[0].syns, 100 + 13);
	ck_assert_uint_eq(into.sources[0].over, 13);
	ck_assert_uint_eq(tally_heaviest(&into)->syns, 200 + 11);
	ck_assert_uint_eq(tally_certain(tally_heaviest(&into)), 200);
}
END_TEST

/* ---- character ---- */

/* Said to be a random-source flood; what there is now, by itself, would be a flash crowd. */
static struct observation crowd_after_flood(uint32_t begun, uint32_t completed, uint32_t syns, uint32_t elsewhere)
{
	return (struct observation){
		.begun = begun,
		.completed = completed,
		.syns = syns,
		.elsewhere = elsewhere,
		.distinct = syns,
		.arm_at = begun - completed,
		.pressed_ns = CHARACTER_EVIDENCE_NS,
		.pressed = true,
		.pressed_before = true,
		.before = CHARACTER_RANDOM_SOURCES,
	};
}

START_TEST(the_next_shared_key_is_there_for_the_last_two_and_a_half_seconds_of_an_epoch)
{
	static const struct cookie_master master = {.from = 0};
	const uint64_t end_ms = 1000 * 64000ULL;

	ck_assert(!cookie_shared(&master, 1, end_ms - 2501).has_next);
	ck_assert(cookie_shared(&master, 1, end_ms - 2500).has_next);
	ck_assert(!cookie_shared(&master, 1, end_ms).has_next);
}
END_TEST

START_TEST(syns_counted_elsewhere_press_as_those_counted_here)
{
	static const uint32_t syns[][2] = {{64, 0}, {63, 1}, {1, 63}, {0, 64}};

	for (unsigned i = 0; i < 4; i++) {
		struct observation seen = crowd_after_flood(128, 64, syns[i][0], syns[i][1]);

		ck_assert_int_eq(character_of(&seen), CHARACTER_FLASH_CROWD);
		*(syns[i][0] ? &seen.syns : &seen.elsewhere) -= 1;
		ck_assert_int_eq(character_of(&seen), CHARACTER_RANDOM_SOURCES);
	}
}
END_TEST

START_TEST(where_all_is_completed_nothing_presses_by_itself)
{
	struct observation seen = crowd_after_flood(8, 8, 8, 0);

	seen.arm_at = 1;
	ck_assert_int_eq(character_of(&seen), CHARACTER_RANDOM_SOURCES);
	seen.completed = 7;
	ck_assert_int_eq(character_of(&seen), CHARACTER_FLASH_CROWD);
	seen.completed = 9; /* of handshakes that began before the window */
	ck_assert_int_eq(character_of(&seen), CHARACTER_RANDOM_SOURCES);
}
END_TEST

/* ---- text, and time ---- */

START_TEST(a_prefix_length_of_anything_but_digits_is_none)
{
	static const char *const texts[] = {"192.0.2.0/2a", "192.0.2.0/:4", "192.0.2.0/+4", "192.0.2.0/ 4",
					    "192.0.2.0/2/"};
	char why[CIDR_WHY_BYTES];
	struct cidr cidr;

	ck_assert(!cidr_parse(texts[_i], &cidr, why));
	ck_assert_str_eq(why, "the prefix length is a number from 0 to 32");
}
END_TEST

/* The carry goes through all bytes to the first. */
START_TEST(networks_apart_in_the_first_byte_alone_are_two_ranges)
{
	static const char *const texts[][2] = {{"1000::/4", "3000::/4"}, {"1000::/4", "2000::/4"}};
	static struct cidr_list list;
	struct cidr_range ranges[2];
	char why[CIDR_WHY_BYTES];
	struct cidr cidr;

	list.count = 0;
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(cidr_parse(texts[_i][i], &cidr, why));
		ck_assert_int_eq(cidr_list_add(&list, &cidr), CIDR_CHANGED);
	}
	ck_assert_uint_eq(cidr_list_ranges(&list, true, ranges, 2), _i ? 1 : 2);
	ck_assert_uint_eq(ranges[0].last.bytes[0], _i ? 0x2f : 0x1f);
}
END_TEST

START_TEST(what_was_taken_off_a_list_does_not_come_back_with_a_new_configuration)
{
	static struct cidr_list list;
	struct cidr one, other;
	char why[CIDR_WHY_BYTES];

	list.count = 0;
	ck_assert(cidr_parse("192.0.2.0/24", &one, why) && cidr_parse("198.51.100.0/24", &other, why));
	ck_assert_int_eq(cidr_list_add(&list, &one), CIDR_CHANGED);
	ck_assert_int_eq(cidr_list_add(&list, &other), CIDR_CHANGED);
	ck_assert_int_eq(cidr_list_del(&list, &one), CIDR_CHANGED);
	ck_assert(cidr_list_configure(&list, NULL, 0));
	ck_assert_uint_eq(list.count, 1);
	ck_assert(cidr_equal(&list.entries[0].cidr, &other));
}
END_TEST

START_TEST(calm_is_not_said_at_once_though_the_service_has_just_been_armed)
{
	struct incident incident = {.character = CHARACTER_RANDOM_SOURCES, .candidate = CHARACTER_RANDOM_SOURCES};

	ck_assert_int_eq(incident_update(&incident, CHARACTER_CALM, true, START_NS), INCIDENT_NOTHING);
	ck_assert_int_eq(incident_update(&incident, CHARACTER_FEW_SOURCES, true, START_NS), INCIDENT_CHANGED);
}
END_TEST

START_TEST(an_incident_is_said_after_one_second_and_its_end_after_ten)
{
	const uint64_t calm_ns = START_NS + 2 * NSEC_PER_SEC;
	struct incident incident = {.noted = false};

	incident_update(&incident, CHARACTER_RANDOM_SOURCES, false, START_NS);
	ck_assert_int_eq(incident_update(&incident, CHARACTER_RANDOM_SOURCES, false, START_NS + NSEC_PER_SEC - 1),
			 INCIDENT_NOTHING);
	ck_assert_int_eq(incident_update(&incident, CHARACTER_RANDOM_SOURCES, false, START_NS + NSEC_PER_SEC),
			 INCIDENT_BEGUN);
	incident_update(&incident, CHARACTER_CALM, false, calm_ns);
	ck_assert_int_eq(incident_update(&incident, CHARACTER_CALM, false, calm_ns + 10 * NSEC_PER_SEC - 1),
			 INCIDENT_NOTHING);
	ck_assert_int_eq(incident_update(&incident, CHARACTER_CALM, false, calm_ns + 10 * NSEC_PER_SEC),
			 INCIDENT_ENDED);
}
END_TEST

START_TEST(a_merge_of_times_has_each_bucket_of_both)
{
	struct latency into, from;

	for (unsigned i = 0; i <= LATENCY_BOUNDS; i++) {
		into.counts[i] = i + 1;
		from.counts[i] = 100 * (i + 1);
	}
	into.sum_ns = 5;
	from.sum_ns = 6;
	latency_merge(&into, &from);
	for (unsigned i = 0; i <= LATENCY_BOUNDS; i++)
		ck_assert_uint_eq(into.counts[i], 101 * (i + 1));
	ck_assert_uint_eq(into.sum_ns, 11);
}
END_TEST

START_TEST(the_highest_rate_of_peace_is_the_last_one)
{
	struct incident incident = {.peak_pps = 7};
	struct incident_counts counts = {.syns = 1};

	incident_note(&incident, 2, &counts);
	ck_assert_uint_eq(incident.peak_pps, 2);
	incident_note(&incident, 0, &counts);
	ck_assert_uint_eq(incident.peak_pps, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("thresholds");
	TCase *values = tcase_create("values");
	TCase *caps = tcase_create("cap");

	suite_add_tcase(suite, values);
	tcase_add_checked_fixture(values, fresh, NULL);
	tcase_add_test(values, proven_for_a_second_means_within_the_same_second);
	tcase_add_test(values, due_half_a_circle_ahead_is_ahead_and_one_tick_more_is_past);
	tcase_add_test(values, the_share_of_a_source_is_never_less_than_what_makes_one_heavy);
	tcase_add_test(values, without_a_rate_a_span_begins_with_what_made_the_source_wary);
	tcase_add_test(values, the_last_cookie_owed_can_be_answered_for_and_no_more);
	tcase_add_test(values, what_may_not_be_answered_for_never_trips);
	tcase_add_test(values, that_a_syn_spilled_is_written_once_in_100_ms);
	tcase_add_loop_test(values, after_a_server_scales_less_no_scale_is_announced_for_exactly_five_seconds, 0, 2);
	tcase_add_test(values, an_answer_to_a_client_that_does_not_scale_says_nothing_of_the_scale);
	tcase_add_test(values, a_shared_key_is_siphash_of_the_epoch_and_0_then_1);
	tcase_add_loop_test(values, a_fingerprint_is_siphash_of_the_name_under_the_key_of_the_epoch, 0, 2);
	tcase_add_test(values, the_next_shared_key_is_there_for_the_last_two_and_a_half_seconds_of_an_epoch);
	tcase_add_test(values, syns_counted_elsewhere_press_as_those_counted_here);
	tcase_add_test(values, where_all_is_completed_nothing_presses_by_itself);
	tcase_add_test(values, a_merge_adds_the_lowest_count_of_the_other_side);
	tcase_add_test(values, a_percentage_is_rounded_down_and_at_most_100);
	tcase_add_test(values, more_sources_than_can_be_counted_are_the_most_that_can);
	tcase_add_loop_test(values, sources_that_send_several_each_are_estimated_within_three_standard_errors, 0, 3);
	tcase_add_test(values, unanswered_cookies_saturate_both_ways);
	tcase_add_loop_test(values, a_prefix_length_of_anything_but_digits_is_none, 0, 5);
	tcase_add_loop_test(values, networks_apart_in_the_first_byte_alone_are_two_ranges, 0, 2);
	tcase_add_test(values, what_was_taken_off_a_list_does_not_come_back_with_a_new_configuration);
	tcase_add_test(values, calm_is_not_said_at_once_though_the_service_has_just_been_armed);
	tcase_add_test(values, an_incident_is_said_after_one_second_and_its_end_after_ten);
	tcase_add_test(values, a_merge_of_times_has_each_bucket_of_both);
	tcase_add_test(values, the_highest_rate_of_peace_is_the_last_one);
	suite_add_tcase(suite, caps);
	tcase_add_checked_fixture(caps, cap_make, cap_drop);
	tcase_add_test(caps, a_network_has_a_reply_as_soon_as_one_has_come_and_not_a_millisecond_before);
	tcase_add_test(caps, without_a_cap_there_is_always_one);
	tcase_add_test(caps, the_last_token_of_a_full_bucket_can_be_given_back_and_no_more);
	tcase_add_loop_test(caps, a_network_is_a_24_or_a_48_and_no_wider, 0, 2);
	tcase_add_test(caps, every_bucket_is_full_at_first);
	return suite;
}

int main(void)
{
	return unit_main(suite());
}
