/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/service.h"

#include "wire.h"

#define HOLD_NS (10 * NSEC_PER_SEC)
#define DRAIN_NS (64 * NSEC_PER_SEC)
#define START_NS (1000 * NSEC_PER_SEC)

static const struct service_timing timing = {HOLD_NS, DRAIN_NS};
static const struct service_thresholds thresholds = {50, 85, 25};
static struct service service;

/* Limit 128: arms at 64, crowded at 108, disarms below 32. */
static void service_make(void)
{
	memset(&service, 0, sizeof(service));
	service_set_limit(&service, 128, &thresholds);
}

static enum service_posture next(uint32_t load, uint64_t now_ns)
{
	return service_next(&service, &timing, load, now_ns);
}

START_TEST(a_threshold_is_its_percentage_rounded_down_but_at_least_one)
{
	ck_assert_uint_eq(service_threshold(128, 50), 64);
	ck_assert_uint_eq(service_threshold(129, 50), 64);
	ck_assert_uint_eq(service_threshold(128, 100), 128);
	ck_assert_uint_eq(service_threshold(4, 25), 1);
	ck_assert_uint_eq(service_threshold(3, 25), 1);
	ck_assert_uint_eq(service_threshold(0, 50), 1);
	ck_assert_uint_eq(service_threshold(UINT32_MAX, 100), UINT32_MAX);
}
END_TEST

START_TEST(a_limit_sets_all_thresholds)
{
	ck_assert_uint_eq(service.limit, 128);
	ck_assert_uint_eq(service.arm_at, 64);
	ck_assert_uint_eq(service.crowd_at, 108);
	ck_assert_uint_eq(service.disarm_at, 32);
}
END_TEST

START_TEST(without_a_limit_nothing_arms)
{
	service_set_limit(&service, 0, &thresholds);
	ck_assert_uint_eq(service.limit, 0);
	ck_assert_int_eq(next(UINT32_MAX - 1, START_NS), SERVICE_WATCHING);
	service.patience = SERVICE_ARMS_WHEN_CROWDED;
	ck_assert_int_eq(next(UINT32_MAX - 1, START_NS), SERVICE_WATCHING);
}
END_TEST

START_TEST(without_a_limit_an_armed_service_stands_down)
{
	service_set_limit(&service, 0, &thresholds);
	service_enter(&service, SERVICE_ARMED, START_NS);
	ck_assert_int_eq(next(UINT32_MAX - 1, START_NS), SERVICE_ARMED);
	ck_assert_int_eq(next(UINT32_MAX - 1, START_NS + HOLD_NS), SERVICE_DRAINING);
}
END_TEST

/* ---- patience ---- */

/* Half a backlog may be left there by the last flood. */
START_TEST(old_entries_of_the_kernel_count_once_there_are_many_new_ones)
{
	service.kernel_held = 76;
	service.begun_since = 31; /* crowd_at is 108 */
	service.patience = _i ? SERVICE_ARMS_WHEN_CROWDED : SERVICE_ARMS_AT_ONCE;
	ck_assert(!service_trips(&service, 32));
	ck_assert(!service_presses(&service, 63));
	ck_assert(!service_crowded(&service, 107));
	service.begun_since++;
	ck_assert(service_trips(&service, 32));
	ck_assert(service_presses(&service, 32));
	ck_assert(service_crowded(&service, 32));
	ck_assert(!service_trips(&service, 31)); /* others, who are not for us to stop */
	ck_assert(!service_presses(&service, 31));
	ck_assert(!service_crowded(&service, 31));
	service.patience = SERVICE_ARMS_NEVER;
	ck_assert(!service_trips(&service, 32));
}
END_TEST

START_TEST(old_entries_of_the_kernel_alone_never_press)
{
	for (uint32_t limit = 1; limit < 12; limit++) {
		service_set_limit(&service, limit, &thresholds);
		service.kernel_held = limit;
		ck_assert(!service_trips(&service, 0));
		ck_assert(!service_presses(&service, 0));
		ck_assert(!service_crowded(&service, 0));
		ck_assert(service_presses(&service, service.arm_at));
	}
}
END_TEST

START_TEST(what_would_arm_again_does_not_disarm)
{
	static const struct service_thresholds near = {.arm_percent = 50, .crowd_percent = 85, .disarm_percent = 40};

	service_set_limit(&service, 128, &near);
	service_enter(&service, SERVICE_ARMED, START_NS);
	service.kernel_held = 108;
	ck_assert_int_eq(next(32, START_NS), SERVICE_ARMED);
	ck_assert_int_eq(next(32, START_NS + 2 * HOLD_NS), SERVICE_ARMED);
	service.kernel_held = 107;
	ck_assert_int_eq(next(32, START_NS + 3 * HOLD_NS), SERVICE_ARMED);
	ck_assert_int_eq(next(32, START_NS + 4 * HOLD_NS), SERVICE_DRAINING);
}
END_TEST

START_TEST(an_impatient_service_trips_at_its_arm_threshold)
{
	ck_assert(!service_trips(&service, 63));
	ck_assert(service_trips(&service, 64));
	ck_assert(service_trips(&service, UINT32_MAX));
}
END_TEST

START_TEST(a_crowd_trips_at_exactly_the_crowd_threshold)
{
	service.patience = SERVICE_ARMS_WHEN_CROWDED;
	ck_assert(!service_trips(&service, 107));
	ck_assert(service_trips(&service, 108));
	for (unsigned posture = SERVICE_WATCHING; posture <= SERVICE_DRAINING; posture++) {
		if (posture == SERVICE_ARMED)
			continue;
		service_enter(&service, posture, START_NS);
		ck_assert_int_ne(next(107, START_NS), SERVICE_ARMED);
		ck_assert_int_eq(next(108, START_NS), SERVICE_ARMED);
	}
}
END_TEST

START_TEST(whom_arming_would_not_help_never_trips)
{
	service.patience = SERVICE_ARMS_NEVER;
	ck_assert(!service_trips(&service, UINT32_MAX));
	ck_assert_int_eq(next(UINT32_MAX, START_NS), SERVICE_WATCHING);
	service_enter(&service, SERVICE_DRAINING, START_NS);
	ck_assert_int_eq(next(UINT32_MAX, START_NS), SERVICE_DRAINING);
}
END_TEST

START_TEST(patience_says_nothing_about_when_to_disarm)
{
	service_enter(&service, SERVICE_ARMED, START_NS);
	service.patience = (uint8_t)_i;
	ck_assert_int_eq(next(32, START_NS), SERVICE_ARMED);
	ck_assert_int_eq(next(32, START_NS + 2 * HOLD_NS), SERVICE_ARMED);
	next(31, START_NS + 3 * HOLD_NS);
	ck_assert_int_eq(next(31, START_NS + 4 * HOLD_NS - 1), SERVICE_ARMED);
	ck_assert_int_eq(next(31, START_NS + 4 * HOLD_NS), SERVICE_DRAINING);
}
END_TEST

START_TEST(a_service_arms_at_exactly_its_threshold)
{
	ck_assert_int_eq(next(0, START_NS), SERVICE_WATCHING);
	ck_assert_int_eq(next(63, START_NS), SERVICE_WATCHING);
	ck_assert_int_eq(next(64, START_NS), SERVICE_ARMED);
	ck_assert_int_eq(next(UINT32_MAX, START_NS), SERVICE_ARMED);
}
END_TEST

START_TEST(asking_for_the_posture_does_not_change_it)
{
	next(64, START_NS);
	ck_assert_int_eq(service.posture, SERVICE_WATCHING);
	service_enter(&service, SERVICE_ARMED, START_NS);
	ck_assert_int_eq(service.posture, SERVICE_ARMED);
	ck_assert_uint_eq(service.since_ns, START_NS);
}
END_TEST

START_TEST(a_load_at_the_disarm_threshold_never_disarms)
{
	service_enter(&service, SERVICE_ARMED, START_NS);
	for (unsigned s = 0; s < 100; s++)
		ck_assert_int_eq(next(32, START_NS + s * NSEC_PER_SEC), SERVICE_ARMED);
}
END_TEST

START_TEST(a_load_below_it_disarms_at_exactly_the_end_of_the_hold_time)
{
	service_enter(&service, SERVICE_ARMED, START_NS);
	ck_assert_int_eq(next(31, START_NS), SERVICE_ARMED);
	ck_assert_int_eq(next(0, START_NS + HOLD_NS - 1), SERVICE_ARMED);
	ck_assert_int_eq(next(31, START_NS + HOLD_NS), SERVICE_DRAINING);
}
END_TEST

START_TEST(the_hold_time_starts_with_the_calm_and_not_with_the_arming)
{
	service_enter(&service, SERVICE_ARMED, START_NS);
	next(500, START_NS + 99 * NSEC_PER_SEC);
	ck_assert_int_eq(next(0, START_NS + 100 * NSEC_PER_SEC), SERVICE_ARMED);
	ck_assert_int_eq(next(0, START_NS + 110 * NSEC_PER_SEC - 1), SERVICE_ARMED);
	ck_assert_int_eq(next(0, START_NS + 110 * NSEC_PER_SEC), SERVICE_DRAINING);
}
END_TEST

START_TEST(one_loaded_moment_starts_the_hold_time_again)
{
	service_enter(&service, SERVICE_ARMED, START_NS);
	next(0, START_NS);
	next(32, START_NS + HOLD_NS - 1);
	ck_assert_int_eq(next(0, START_NS + HOLD_NS), SERVICE_ARMED);
	ck_assert_int_eq(next(0, START_NS + 2 * HOLD_NS - 1), SERVICE_ARMED);
	ck_assert_int_eq(next(0, START_NS + 2 * HOLD_NS), SERVICE_DRAINING);
}
END_TEST

START_TEST(without_a_hold_time_the_first_calm_moment_disarms)
{
	static const struct service_timing at_once = {0, DRAIN_NS};

	service_enter(&service, SERVICE_ARMED, START_NS);
	ck_assert_int_eq(service_next(&service, &at_once, 31, START_NS), SERVICE_DRAINING);
}
END_TEST

START_TEST(calm_of_an_earlier_arming_does_not_count)
{
	service_enter(&service, SERVICE_ARMED, START_NS);
	next(0, START_NS);
	service_enter(&service, SERVICE_ARMED, START_NS + HOLD_NS);
	ck_assert_int_eq(next(0, START_NS + HOLD_NS), SERVICE_ARMED);
}
END_TEST

START_TEST(draining_ends_at_exactly_the_drain_time)
{
	service_enter(&service, SERVICE_DRAINING, START_NS);
	ck_assert_int_eq(next(63, START_NS), SERVICE_DRAINING);
	ck_assert_int_eq(next(0, START_NS + DRAIN_NS - 1), SERVICE_DRAINING);
	ck_assert_int_eq(next(63, START_NS + DRAIN_NS), SERVICE_WATCHING);
}
END_TEST

START_TEST(a_draining_service_arms_again_at_its_threshold)
{
	service_enter(&service, SERVICE_DRAINING, START_NS);
	ck_assert_int_eq(next(64, START_NS + 1), SERVICE_ARMED);
	ck_assert_int_eq(next(64, START_NS + DRAIN_NS), SERVICE_ARMED);
}
END_TEST

START_TEST(always_is_armed_whatever_the_load)
{
	service.cookies = SERVICE_COOKIES_ALWAYS;
	for (unsigned posture = SERVICE_WATCHING; posture <= SERVICE_DRAINING; posture++) {
		service_enter(&service, posture, START_NS);
		ck_assert_int_eq(next(0, START_NS + 1000 * NSEC_PER_SEC), SERVICE_ARMED);
	}
}
END_TEST

START_TEST(never_stays_watching_under_any_load)
{
	service.cookies = SERVICE_COOKIES_NEVER;
	ck_assert_int_eq(next(UINT32_MAX, START_NS), SERVICE_WATCHING);
}
END_TEST

START_TEST(armed_and_told_never_it_drains_like_any_other)
{
	service_enter(&service, SERVICE_ARMED, START_NS);
	service.cookies = SERVICE_COOKIES_NEVER;
	ck_assert_int_eq(next(UINT32_MAX, START_NS + 1), SERVICE_DRAINING);
	service_enter(&service, SERVICE_DRAINING, START_NS);
	ck_assert_int_eq(next(UINT32_MAX, START_NS + DRAIN_NS - 1), SERVICE_DRAINING);
	ck_assert_int_eq(next(UINT32_MAX, START_NS + DRAIN_NS), SERVICE_WATCHING);
}
END_TEST

/* ---- wary ---- */

#define WARY_UNTIL_NS (START_NS + 10 * NSEC_PER_SEC)

START_TEST(a_greedy_source_makes_a_watching_service_wary_until_exactly_then)
{
	service_wary_until(&service, WARY_UNTIL_NS);
	ck_assert_int_eq(next(63, START_NS), SERVICE_WARY);
	ck_assert_int_eq(next(0, WARY_UNTIL_NS - 1), SERVICE_WARY);
	ck_assert_int_eq(next(0, WARY_UNTIL_NS), SERVICE_WATCHING);
}
END_TEST

START_TEST(a_wary_service_drains_when_there_is_no_greedy_source_any_more)
{
	service_wary_until(&service, WARY_UNTIL_NS);
	service_enter(&service, SERVICE_WARY, START_NS);
	ck_assert_int_eq(next(63, WARY_UNTIL_NS - 1), SERVICE_WARY);
	ck_assert_int_eq(next(63, WARY_UNTIL_NS), SERVICE_DRAINING); /* at once: nobody was challenged in vain */
}
END_TEST

START_TEST(a_full_backlog_arms_a_wary_service_at_its_threshold)
{
	service_wary_until(&service, WARY_UNTIL_NS);
	service_enter(&service, SERVICE_WARY, START_NS);
	ck_assert_int_eq(next(64, START_NS), SERVICE_ARMED);
	ck_assert_int_eq(next(64, WARY_UNTIL_NS), SERVICE_ARMED);
}
END_TEST

START_TEST(a_full_backlog_goes_before_a_greedy_source)
{
	service_wary_until(&service, WARY_UNTIL_NS);
	ck_assert_int_eq(next(64, START_NS), SERVICE_ARMED);
	service_enter(&service, SERVICE_DRAINING, START_NS);
	ck_assert_int_eq(next(64, START_NS), SERVICE_ARMED);
}
END_TEST

START_TEST(an_armed_service_with_a_greedy_source_becomes_wary_after_the_hold_time)
{
	service_wary_until(&service, START_NS + HOLD_NS + 1);
	service_enter(&service, SERVICE_ARMED, START_NS);
	ck_assert_int_eq(next(31, START_NS), SERVICE_ARMED);
	ck_assert_int_eq(next(31, START_NS + HOLD_NS - 1), SERVICE_ARMED);
	ck_assert_int_eq(next(31, START_NS + HOLD_NS), SERVICE_WARY);
	ck_assert_int_eq(next(31, START_NS + HOLD_NS + 1), SERVICE_DRAINING);
}
END_TEST

START_TEST(a_draining_service_becomes_wary_again_even_at_the_end)
{
	service_wary_until(&service, START_NS + DRAIN_NS + 1);
	service_enter(&service, SERVICE_DRAINING, START_NS);
	ck_assert_int_eq(next(0, START_NS), SERVICE_WARY);
	ck_assert_int_eq(next(0, START_NS + DRAIN_NS), SERVICE_WARY);
	ck_assert_int_eq(next(0, START_NS + DRAIN_NS + 1), SERVICE_WATCHING);
}
END_TEST

START_TEST(the_time_to_be_wary_is_only_ever_put_off)
{
	service_wary_until(&service, 500);
	ck_assert_uint_eq(service.wary_until_ns, 500);
	service_wary_until(&service, 499);
	ck_assert_uint_eq(service.wary_until_ns, 500);
	service_wary_until(&service, 500);
	ck_assert_uint_eq(service.wary_until_ns, 500);
	service_wary_until(&service, 501);
	ck_assert_uint_eq(service.wary_until_ns, 501);
}
END_TEST

/* ---- the operator's word ---- */

/* A service in `from` whose load is `load`, with or without a greedy source. */
static enum service_posture after(unsigned from, uint32_t load, bool greedy)
{
	service.wary_until_ns = greedy ? UINT64_MAX : 0;
	service_enter(&service, from, START_NS);
	return next(load, START_NS + 1);
}

START_TEST(an_override_goes_before_what_the_config_says)
{
	service.cookies = (enum service_cookies)_i;
	ck_assert_int_eq(service_cookies(&service), _i);
	service.override = SERVICE_OVERRIDE_ARM;
	ck_assert_int_eq(service_cookies(&service), SERVICE_COOKIES_ALWAYS);
	service.override = SERVICE_OVERRIDE_DISARM;
	ck_assert_int_eq(service_cookies(&service), SERVICE_COOKIES_NEVER);
	service.override = SERVICE_OVERRIDE_AUTO;
	ck_assert_int_eq(service_cookies(&service), _i);
}
END_TEST

START_TEST(an_order_to_arm_arms_whatever_the_config_the_load_and_the_posture)
{
	service.cookies = (enum service_cookies)_i;
	service.override = SERVICE_OVERRIDE_ARM;
	service.patience = SERVICE_ARMS_NEVER;
	for (unsigned posture = SERVICE_WATCHING; posture <= SERVICE_DRAINING; posture++) {
		ck_assert_int_eq(after(posture, 0, false), SERVICE_ARMED);
		ck_assert_int_eq(after(posture, UINT32_MAX, true), SERVICE_ARMED);
	}
	ck_assert_int_eq(next(0, START_NS + 1000 * NSEC_PER_SEC), SERVICE_ARMED);
}
END_TEST

START_TEST(an_order_to_disarm_drains_whatever_the_config_the_load_and_the_sources)
{
	service.cookies = (enum service_cookies)_i;
	service.override = SERVICE_OVERRIDE_DISARM;
	ck_assert_int_eq(after(SERVICE_WATCHING, UINT32_MAX, true), SERVICE_WATCHING);
	ck_assert_int_eq(after(SERVICE_WARY, UINT32_MAX, true), SERVICE_DRAINING);
	ck_assert_int_eq(after(SERVICE_ARMED, UINT32_MAX, true), SERVICE_DRAINING); /* no hold time */
	ck_assert_int_eq(after(SERVICE_DRAINING, UINT32_MAX, true), SERVICE_DRAINING);
	ck_assert_int_eq(next(UINT32_MAX, START_NS + DRAIN_NS - 1), SERVICE_DRAINING);
	ck_assert_int_eq(next(UINT32_MAX, START_NS + DRAIN_NS), SERVICE_WATCHING);
}
END_TEST

START_TEST(an_order_taken_back_leaves_an_armed_service_to_its_load)
{
	service.override = SERVICE_OVERRIDE_ARM;
	ck_assert_int_eq(after(SERVICE_ARMED, 0, false), SERVICE_ARMED);
	service.override = SERVICE_OVERRIDE_AUTO;
	ck_assert_int_eq(next(0, START_NS + 2), SERVICE_ARMED);
	ck_assert_int_eq(next(0, START_NS + 2 + HOLD_NS - 1), SERVICE_ARMED);
	ck_assert_int_eq(next(0, START_NS + 2 + HOLD_NS), SERVICE_DRAINING);
}
END_TEST

/* Its handovers cannot work, so no order and no setting makes it send cookies. */
START_TEST(a_service_hidden_from_conntrack_sends_no_cookies_whatever_is_ordered)
{
	service.untracked = true;
	service.cookies = (enum service_cookies)_i;
	for (unsigned order = SERVICE_OVERRIDE_AUTO; order <= SERVICE_OVERRIDE_DISARM; order++) {
		service.override = order;
		ck_assert_int_eq(service_cookies(&service), SERVICE_COOKIES_NEVER);
		ck_assert_int_eq(after(SERVICE_WATCHING, UINT32_MAX, true), SERVICE_WATCHING);
		ck_assert_int_eq(after(SERVICE_WARY, UINT32_MAX, true), SERVICE_DRAINING);
		ck_assert_int_eq(after(SERVICE_ARMED, UINT32_MAX, true), SERVICE_DRAINING);
		ck_assert_int_eq(after(SERVICE_DRAINING, UINT32_MAX, true), SERVICE_DRAINING);
	}
}
END_TEST

/* ---- learned options ---- */

START_TEST(what_a_syn_offers_is_one_bit_each)
{
	ck_assert_uint_eq(service_offered(&(struct tcp_options){.wscale = -1}), LEARNED_BASE);
	ck_assert_uint_eq(service_offered(&(struct tcp_options){.wscale = 0}), LEARNED_BASE | LEARNED_WSCALE);
	ck_assert_uint_eq(service_offered(&(struct tcp_options){.wscale = -1, .sack = true}),
			  LEARNED_BASE | LEARNED_SACK);
	ck_assert_uint_eq(service_offered(&(struct tcp_options){.wscale = -1, .timestamps = true}),
			  LEARNED_BASE | LEARNED_TIMESTAMPS);
}
END_TEST

START_TEST(at_first_nothing_is_known)
{
	struct service_learned learned = service_learned(&service, false);

	ck_assert_uint_eq(learned.known, 0);
	ck_assert_int_eq(learned.wscale, -1);
	ck_assert_uint_eq(learned.mss, 0);
	ck_assert(!learned.sack && !learned.timestamps);
}
END_TEST

START_TEST(the_largest_values_are_learned_whole)
{
	struct tcp_options answer = {.mss = 65535, .wscale = 14, .sack = true, .timestamps = true};
	struct service_learned learned;

	service_learn(&service, false, &answer, 65535, 15, 0);
	learned = service_learned(&service, false);
	ck_assert_uint_eq(learned.mss, 65535);
	ck_assert_uint_eq(learned.window, 65535);
	ck_assert_int_eq(learned.wscale, 14);
	ck_assert(learned.sack && learned.timestamps);
	ck_assert_uint_eq(learned.known, 15);
}
END_TEST

/* Each field alone, so that none leaks into another. */
START_TEST(each_field_is_learned_without_touching_another)
{
	static const struct {
		struct tcp_options answer;
		uint16_t window;
	} alone[] = {
		{{.mss = 65535, .wscale = -1}, 0}, {{.wscale = -1}, 65535}, {{.wscale = 14}, 0},
		{{.wscale = -1, .sack = true}, 0}, {{.wscale = 0}, 0},      {{.wscale = -1, .timestamps = true}, 0},
	};
	struct service_learned learned;

	service_learn(&service, false, &alone[_i].answer, alone[_i].window, 15, 0);
	learned = service_learned(&service, false);
	ck_assert_uint_eq(learned.mss, alone[_i].answer.mss);
	ck_assert_uint_eq(learned.window, alone[_i].window);
	ck_assert_int_eq(learned.wscale, alone[_i].answer.wscale);
	ck_assert_int_eq(learned.sack, alone[_i].answer.sack);
	ck_assert_int_eq(learned.timestamps, alone[_i].answer.timestamps);
}
END_TEST

START_TEST(an_option_counts_as_known_only_if_it_was_offered)
{
	struct tcp_options full = {.mss = 1460, .wscale = 7, .sack = true, .timestamps = true};
	struct tcp_options bare = {.mss = 1400, .wscale = -1};
	struct service_learned learned;

	service_learn(&service, false, &full, 100, LEARNED_BASE | LEARNED_SACK, 0);
	learned = service_learned(&service, false);
	ck_assert_uint_eq(learned.known, LEARNED_BASE | LEARNED_SACK);
	ck_assert(learned.sack && !learned.timestamps);
	ck_assert_int_eq(learned.wscale, -1);

	service_learn(&service, false, &full, 100, 15, 0);
	service_learn(&service, false, &bare, 200, LEARNED_BASE, 0); /* to a SYN without options */
	learned = service_learned(&service, false);
	ck_assert_uint_eq(learned.known, 15);
	ck_assert_uint_eq(learned.mss, 1400);
	ck_assert_uint_eq(learned.window, 200);
	ck_assert_int_eq(learned.wscale, 7);
	ck_assert(learned.sack && learned.timestamps);

	service_learn(&service, false, &bare, 200, 15, 0); /* a server that wants none any more */
	learned = service_learned(&service, false);
	ck_assert_int_eq(learned.wscale, -1);
	ck_assert(!learned.sack && !learned.timestamps);
}
END_TEST

START_TEST(the_families_are_learned_apart)
{
	struct tcp_options v4 = {.mss = 1460, .wscale = 7}, v6 = {.mss = 1440, .wscale = 8, .sack = true};

	service_learn(&service, false, &v4, 1, 15, 0);
	ck_assert_uint_eq(service_learned(&service, true).known, 0);
	service_learn(&service, true, &v6, 2, 15, 0);
	ck_assert_uint_eq(service_learned(&service, false).mss, 1460);
	ck_assert_int_eq(service_learned(&service, false).wscale, 7);
	ck_assert_uint_eq(service_learned(&service, true).mss, 1440);
	ck_assert_int_eq(service_learned(&service, true).wscale, 8);
}
END_TEST

/* ---- map ---- */

static struct service_map *map;

static void map_drop(void)
{
	service_map_free(map);
}

static int find(const char *text, uint16_t port)
{
	struct addr addr = address(text);

	return service_map_find(map, &addr, port);
}

START_TEST(an_exact_address_goes_before_any)
{
	struct service_binding bindings[] = {
		{address("192.0.2.1"), 80, 1, 0}, {address("0.0.0.0"), 80, 2, 0}, {address("2001:db8::1"), 80, 3, 0},
		{address("::"), 80, 4, 0},        {address("0.0.0.0"), 25, 5, 0},
	};

	map = service_map_new(bindings, 5);
	ck_assert_int_eq(find("192.0.2.1", 80), 1);
	ck_assert_int_eq(find("192.0.2.2", 80), 2);
	ck_assert_int_eq(find("2001:db8::1", 80), 3);
	ck_assert_int_eq(find("2001:db8::2", 80), 4);
	ck_assert_int_eq(find("192.0.2.1", 25), 5);
	ck_assert_int_eq(find("192.0.2.1", 81), -1);
}
END_TEST

START_TEST(any_address_of_one_family_is_none_of_the_other)
{
	struct service_binding bindings[] = {{address("::"), 80, 1, 0}, {address("0.0.0.0"), 25, 2, 0}};

	map = service_map_new(bindings, 2);
	ck_assert_int_eq(find("192.0.2.1", 80), -1);
	ck_assert_int_eq(find("2001:db8::1", 80), 1);
	ck_assert_int_eq(find("2001:db8::1", 25), -1);
	ck_assert_int_eq(find("192.0.2.1", 25), 2);
}
END_TEST

START_TEST(of_several_bindings_of_one_address_and_port_the_last_counts)
{
	struct service_binding bindings[] = {{address("192.0.2.1"), 80, 1, 0}, {address("192.0.2.1"), 80, 2, 0}};

	map = service_map_new(bindings, 2);
	ck_assert_int_eq(find("192.0.2.1", 80), 2);
}
END_TEST

START_TEST(an_empty_map_finds_nothing)
{
	map = service_map_new(NULL, 0);
	ck_assert_int_eq(find("192.0.2.1", 80), -1);
	ck_assert_int_eq(find("::", 0), -1);
}
END_TEST

START_TEST(port_0_belongs_to_no_service)
{
	struct service_binding bindings[] = {{address("0.0.0.0"), 80, 1, 0}, {address("192.0.2.1"), 0, 2, 0}};

	map = service_map_new(bindings, 2);
	ck_assert_int_eq(find("192.0.2.1", 0), -1);
	ck_assert_int_eq(find("192.0.2.9", 0), -1);
	ck_assert_int_eq(find("192.0.2.1", 80), 1);
}
END_TEST

START_TEST(every_port_from_first_to_last_is_found)
{
	struct service_binding *bindings = calloc(65535, sizeof(*bindings));
	struct addr addr = address("192.0.2.1");

	for (uint32_t port = 1; port <= 65535; port++)
		bindings[port - 1] = (struct service_binding){addr, (uint16_t)port, (uint16_t)(port % SERVICES_MAX), 0};
	map = service_map_new(bindings, 65535);
	free(bindings);
	for (uint32_t port = 1; port <= 65535; port++)
		must(service_map_find(map, &addr, (uint16_t)port) == (int)(port % SERVICES_MAX));
	ck_assert_int_eq(find("192.0.2.2", 80), -1);
}
END_TEST

START_TEST(many_addresses_of_both_families_are_told_apart)
{
	enum {
		MANY = 4000
	};
	struct service_binding *bindings = calloc(2 * MANY, sizeof(*bindings));

	for (uint32_t n = 0; n < 2 * MANY; n++)
		bindings[n] = (struct service_binding){host(n % 2, n / 2), 443, (uint16_t)(n % SERVICES_MAX), 0};
	map = service_map_new(bindings, 2 * MANY);
	free(bindings);
	for (uint32_t n = 0; n < 2 * MANY + 1000; n++) {
		struct addr addr = host(n % 2, n / 2);

		must(service_map_find(map, &addr, 443) == (n < 2 * MANY ? (int)(n % SERVICES_MAX) : -1));
		must(service_map_find(map, &addr, 444) == -1);
	}
}
END_TEST

static Suite *service_suite(void)
{
	Suite *suite = suite_create("service");
	TCase *posture = tcase_create("posture");
	TCase *wary = tcase_create("wary");
	TCase *orders = tcase_create("orders");
	TCase *learned = tcase_create("learned");
	TCase *binding = tcase_create("map");

	suite_add_tcase(suite, posture);
	tcase_add_checked_fixture(posture, service_make, NULL);
	tcase_add_test(posture, a_threshold_is_its_percentage_rounded_down_but_at_least_one);
	tcase_add_test(posture, a_limit_sets_all_thresholds);
	tcase_add_test(posture, without_a_limit_nothing_arms);
	tcase_add_test(posture, without_a_limit_an_armed_service_stands_down);
	tcase_add_test(posture, an_impatient_service_trips_at_its_arm_threshold);
	tcase_add_loop_test(posture, old_entries_of_the_kernel_count_once_there_are_many_new_ones, 0, 2);
	tcase_add_test(posture, old_entries_of_the_kernel_alone_never_press);
	tcase_add_test(posture, what_would_arm_again_does_not_disarm);
	tcase_add_test(posture, a_crowd_trips_at_exactly_the_crowd_threshold);
	tcase_add_test(posture, whom_arming_would_not_help_never_trips);
	tcase_add_loop_test(posture, patience_says_nothing_about_when_to_disarm, 0, 3);
	tcase_add_test(posture, a_service_arms_at_exactly_its_threshold);
	tcase_add_test(posture, asking_for_the_posture_does_not_change_it);
	tcase_add_test(posture, a_load_at_the_disarm_threshold_never_disarms);
	tcase_add_test(posture, a_load_below_it_disarms_at_exactly_the_end_of_the_hold_time);
	tcase_add_test(posture, the_hold_time_starts_with_the_calm_and_not_with_the_arming);
	tcase_add_test(posture, one_loaded_moment_starts_the_hold_time_again);
	tcase_add_test(posture, without_a_hold_time_the_first_calm_moment_disarms);
	tcase_add_test(posture, calm_of_an_earlier_arming_does_not_count);
	tcase_add_test(posture, draining_ends_at_exactly_the_drain_time);
	tcase_add_test(posture, a_draining_service_arms_again_at_its_threshold);
	tcase_add_test(posture, always_is_armed_whatever_the_load);
	tcase_add_test(posture, never_stays_watching_under_any_load);
	tcase_add_test(posture, armed_and_told_never_it_drains_like_any_other);

	suite_add_tcase(suite, wary);
	tcase_add_checked_fixture(wary, service_make, NULL);
	tcase_add_test(wary, a_greedy_source_makes_a_watching_service_wary_until_exactly_then);
	tcase_add_test(wary, a_wary_service_drains_when_there_is_no_greedy_source_any_more);
	tcase_add_test(wary, a_full_backlog_arms_a_wary_service_at_its_threshold);
	tcase_add_test(wary, a_full_backlog_goes_before_a_greedy_source);
	tcase_add_test(wary, an_armed_service_with_a_greedy_source_becomes_wary_after_the_hold_time);
	tcase_add_test(wary, a_draining_service_becomes_wary_again_even_at_the_end);
	tcase_add_test(wary, the_time_to_be_wary_is_only_ever_put_off);

	suite_add_tcase(suite, orders);
	tcase_add_checked_fixture(orders, service_make, NULL);
	tcase_add_loop_test(orders, an_override_goes_before_what_the_config_says, 0, 3);
	tcase_add_loop_test(orders, an_order_to_arm_arms_whatever_the_config_the_load_and_the_posture, 0, 3);
	tcase_add_loop_test(orders, an_order_to_disarm_drains_whatever_the_config_the_load_and_the_sources, 0, 3);
	tcase_add_test(orders, an_order_taken_back_leaves_an_armed_service_to_its_load);
	tcase_add_loop_test(orders, a_service_hidden_from_conntrack_sends_no_cookies_whatever_is_ordered, 0, 3);

	suite_add_tcase(suite, learned);
	tcase_add_checked_fixture(learned, service_make, NULL);
	tcase_add_test(learned, what_a_syn_offers_is_one_bit_each);
	tcase_add_test(learned, at_first_nothing_is_known);
	tcase_add_test(learned, the_largest_values_are_learned_whole);
	tcase_add_loop_test(learned, each_field_is_learned_without_touching_another, 0, 6);
	tcase_add_test(learned, an_option_counts_as_known_only_if_it_was_offered);
	tcase_add_test(learned, the_families_are_learned_apart);

	suite_add_tcase(suite, binding);
	tcase_add_checked_fixture(binding, NULL, map_drop);
	tcase_add_test(binding, an_exact_address_goes_before_any);
	tcase_add_test(binding, any_address_of_one_family_is_none_of_the_other);
	tcase_add_test(binding, of_several_bindings_of_one_address_and_port_the_last_counts);
	tcase_add_test(binding, an_empty_map_finds_nothing);
	tcase_add_test(binding, port_0_belongs_to_no_service);
	tcase_add_test(binding, every_port_from_first_to_last_is_found);
	tcase_add_test(binding, many_addresses_of_both_families_are_told_apart);
	return suite;
}

int main(void)
{
	return unit_main(service_suite());
}
