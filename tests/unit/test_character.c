/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/character.h"

#include "wire.h"

#define ARM_AT 64

static struct observation seen;

static enum character now(void)
{
	return character_of(&seen);
}

/* A window in which nothing is completed or repeated, each SYN from another source. */
static void flood(void)
{
	seen = (struct observation){
		.begun = 10000,
		.syns = 10000,
		.distinct = 10000,
		.top_syns = 1,
		.arm_at = ARM_AT,
		.pressed_ns = CHARACTER_EVIDENCE_NS,
		.pressed = true,
		.pressed_before = true,
	};
}

/* ---- calm ---- */

START_TEST(what_does_not_press_is_calm_at_any_rate)
{
	for (unsigned before = 0; before < CHARACTER_COUNT; before++) {
		flood();
		seen.begun = seen.syns = UINT32_MAX;
		seen.crowded = seen.accept_queue_full = seen.armed = true;
		seen.before = (enum character)before;
		seen.pressed = false;
		ck_assert_int_eq(now(), CHARACTER_CALM);
	}
}
END_TEST

START_TEST(a_greedy_source_makes_few_of_what_would_be_calm)
{
	for (unsigned before = 0; before < CHARACTER_COUNT; before++) {
		flood();
		seen.before = (enum character)before;
		seen.pressed = false;
		seen.greedy = true;
		ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
		seen.armed = seen.crowded = seen.accept_queue_full = seen.accept_queue_was_full = true;
		seen.completed = seen.begun; /* crowd or not, slow or not: it alone is challenged */
		ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
		seen.begun = seen.completed = seen.syns = seen.distinct = seen.top_syns = 0;
		ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
	}
}
END_TEST

START_TEST(what_presses_is_named_without_a_look_at_a_greedy_source)
{
	seen.greedy = true;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.top_syns = seen.syns;
	ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
	seen.completed = seen.begun;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
	seen.accept_queue_full = seen.accept_queue_was_full = true;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
}
END_TEST

/* ---- floods ---- */

START_TEST(many_sources_that_complete_nothing_are_a_random_source_flood)
{
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.armed = true;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
}
END_TEST

START_TEST(a_source_with_half_of_the_syns_makes_it_few)
{
	seen.top_syns = 5000;
	ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
	seen.top_syns = 4990; /* 49.9 % */
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.top_syns = 4999;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
}
END_TEST

START_TEST(one_syn_is_no_share)
{
	seen.syns = seen.distinct = 2;
	seen.top_syns = 1;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.syns = 1;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.syns = 4;
	seen.top_syns = 2;
	ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
}
END_TEST

START_TEST(thirty_two_syns_of_each_source_make_it_few)
{
	seen.distinct = 100;
	seen.syns = 3200;
	ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
	seen.syns = 3199;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
}
END_TEST

START_TEST(no_syn_in_the_sketch_is_not_few_sources)
{
	seen.syns = seen.distinct = seen.top_syns = 0;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
}
END_TEST

START_TEST(a_flood_of_the_highest_numbers_does_not_wrap_around)
{
	seen.begun = seen.syns = seen.distinct = UINT32_MAX;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.completed = UINT32_MAX / 2; /* just below half */
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.top_syns = UINT32_MAX / 2;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.top_syns++;
	ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
	seen.completed++;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
	seen.completed = 0;
	seen.retransmitted = UINT32_MAX;
	seen.accept_queue_full = seen.accept_queue_was_full = true;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
	seen.completed = UINT32_MAX;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
}
END_TEST

/* ---- flash crowd ---- */

START_TEST(half_completed_is_a_flash_crowd)
{
	seen.completed = 5000;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
	seen.completed = 4999;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.completed = 4990; /* 49.9 % */
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
}
END_TEST

/* Handshakes that began before the window are completed within it. */
START_TEST(more_completed_than_begun_is_a_flash_crowd)
{
	seen.completed = 20000;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
}
END_TEST

START_TEST(a_crowd_behind_one_address_is_a_crowd)
{
	seen.completed = 9000;
	seen.top_syns = 10000;
	seen.distinct = 1;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
}
END_TEST

START_TEST(where_nothing_began_there_is_no_crowd)
{
	seen.begun = 0;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.completed = 1;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
}
END_TEST

START_TEST(repeated_syns_are_not_completed_ones)
{
	seen.retransmitted = 20000;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
}
END_TEST

/* ---- slow backend ---- */

START_TEST(a_full_accept_queue_and_persistent_clients_are_a_slow_backend)
{
	seen.accept_queue_full = seen.accept_queue_was_full = true;
	seen.completed = 1000;
	seen.retransmitted = 4000;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
	seen.retransmitted = 3999;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.retransmitted = 3990; /* 49.9 % */
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.completed = 0;
	seen.retransmitted = 5000;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
	seen.retransmitted = 0;
	seen.completed = 5000;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
}
END_TEST

START_TEST(persistent_clients_of_a_server_that_accepts_are_not)
{
	seen.completed = 1000;
	seen.retransmitted = 9000;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.completed = 9000;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
}
END_TEST

START_TEST(with_a_full_accept_queue_clients_get_three_seconds_to_repeat)
{
	seen.accept_queue_full = seen.accept_queue_was_full = true;
	seen.pressed_ns = 0;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
	seen.pressed_ns = 3 * NSEC_PER_SEC - 1;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
	seen.pressed_ns = 3 * NSEC_PER_SEC;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.pressed_ns = 0;
	seen.accept_queue_full = seen.accept_queue_was_full = false;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
}
END_TEST

/* A cookie comes back within a round trip, or never. */
START_TEST(clients_that_come_back_to_a_slow_backend_are_still_its_own)
{
	seen.accept_queue_full = false;
	seen.accept_queue_was_full = true;
	seen.begun = 100;
	seen.completed = 10;
	seen.retransmitted = 40;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
	seen.retransmitted = 39;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.retransmitted = 40;
	seen.accept_queue_was_full = false;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
}
END_TEST

/* Whether it is full now makes no difference then. */
START_TEST(after_three_seconds_a_full_accept_queue_is_one_that_was_full)
{
	seen.begun = 100;
	for (unsigned full = 0; full < 2; full++) {
		seen.accept_queue_full = full;
		seen.accept_queue_was_full = true;
		seen.completed = 0;
		ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
		seen.completed = 50; /* a crowd, but for the queue */
		ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
	}
	seen.accept_queue_full = seen.accept_queue_was_full = false;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
}
END_TEST

START_TEST(room_in_the_accept_queue_leaves_no_time_to_a_flood)
{
	seen.accept_queue_full = false;
	seen.accept_queue_was_full = true;
	seen.pressed_ns = 0;
	seen.begun = 100;
	seen.completed = 10;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
}
END_TEST

START_TEST(an_armed_service_needs_no_time_to_tell)
{
	seen.accept_queue_full = seen.accept_queue_was_full = true;
	seen.armed = true;
	seen.pressed_ns = 0;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.completed = 5000;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
}
END_TEST

START_TEST(a_full_accept_queue_with_nothing_new_is_a_slow_backend)
{
	seen.accept_queue_full = seen.accept_queue_was_full = true;
	seen.begun = seen.syns = seen.distinct = seen.top_syns = 0;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
}
END_TEST

/* ---- as before ---- */

static const enum character floods[] = {CHARACTER_RANDOM_SOURCES, CHARACTER_FEW_SOURCES};

START_TEST(a_flood_that_left_half_open_connections_behind_stays_what_it_was)
{
	enum character other = floods[!_i];

	seen.before = floods[_i];
	seen.top_syns = _i ? 1 : 10000; /* the other's numbers */
	seen.begun = ARM_AT;
	ck_assert_int_eq(now(), other);
	seen.completed = 1;
	ck_assert_int_eq(now(), floods[_i]);
	seen.completed = seen.begun;
	ck_assert_int_eq(now(), floods[_i]); /* and is no crowd */
	seen.completed = UINT32_MAX;
	ck_assert_int_eq(now(), floods[_i]);
}
END_TEST

START_TEST(a_flood_stays_what_it_was_when_its_syns_have_left_the_sketch)
{
	seen.before = floods[_i];
	seen.syns = seen.top_syns = _i ? 1 : ARM_AT - 1; /* the other's numbers */
	ck_assert_int_eq(now(), floods[_i]);
	seen.syns = ARM_AT;
	seen.top_syns = _i ? 1 : ARM_AT;
	ck_assert_int_eq(now(), floods[!_i]);
}
END_TEST

START_TEST(a_flood_that_goes_on_may_turn_into_anything)
{
	seen.before = floods[_i];
	seen.completed = 9000;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
	seen.accept_queue_full = seen.accept_queue_was_full = true;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
	seen.pressed = false;
	ck_assert_int_eq(now(), CHARACTER_CALM);
}
END_TEST

/* A slow flood must not hide behind what was there before it. */
START_TEST(unarmed_only_floods_stay_what_they_were)
{
	static const enum character others[] = {CHARACTER_CALM, CHARACTER_SLOW_BACKEND, CHARACTER_FLASH_CROWD};

	seen.before = others[_i];
	seen.begun = seen.syns = seen.distinct = 5;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.completed = 4;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
}
END_TEST

static const enum character armed_for[] = {CHARACTER_RANDOM_SOURCES, CHARACTER_FEW_SOURCES, CHARACTER_SLOW_BACKEND,
					   CHARACTER_FLASH_CROWD};

START_TEST(while_armed_what_is_left_over_keeps_its_name)
{
	seen.before = armed_for[_i];
	seen.armed = true;
	seen.begun = seen.syns = seen.distinct = seen.top_syns = 0;
	ck_assert_int_eq(now(), armed_for[_i]);
	seen.begun = seen.syns = seen.distinct = ARM_AT - 1; /* one less than what presses */
	ck_assert_int_eq(now(), armed_for[_i]);
	seen.completed = seen.begun;
	seen.accept_queue_full = seen.accept_queue_was_full = true;
	ck_assert_int_eq(now(), armed_for[_i]);
	seen.pressed = false;
	ck_assert_int_eq(now(), CHARACTER_CALM);
}
END_TEST

START_TEST(while_armed_what_is_new_and_presses_is_named_anew)
{
	seen.before = armed_for[_i];
	seen.armed = true;
	seen.begun = seen.syns = seen.distinct = ARM_AT;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.top_syns = ARM_AT;
	ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
	seen.begun = 10 * ARM_AT;
	seen.completed = 9 * ARM_AT;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
	seen.accept_queue_full = seen.accept_queue_was_full = true;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
}
END_TEST

/* It was said of a greedy source alone. From 2 on: armed. */
START_TEST(a_flood_that_did_not_press_before_does_not_stick)
{
	seen.pressed_before = false;
	seen.armed = _i >= 2;
	seen.before = floods[_i % 2];
	seen.begun = seen.syns = seen.distinct = 5;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.top_syns = 5;
	ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
	seen.completed = 4;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
	seen.accept_queue_full = seen.accept_queue_was_full = true;
	ck_assert_int_eq(now(), CHARACTER_SLOW_BACKEND);
	seen.pressed_before = true;
	ck_assert_int_eq(now(), floods[_i % 2]);
}
END_TEST

/* One window after the other, as they are seen. */
START_TEST(a_crowd_or_a_slow_backend_after_a_greedy_source_is_named_so)
{
	seen = (struct observation){.arm_at = ARM_AT, .greedy = true, .syns = 100, .distinct = 1, .top_syns = 100};
	seen.before = now();
	ck_assert_int_eq(seen.before, CHARACTER_FEW_SOURCES);

	seen.pressed_before = seen.pressed;
	seen.pressed = true;
	seen.begun = seen.syns = seen.distinct = 5000;
	seen.completed = 4990; /* what is open would not press by itself */
	seen.top_syns = 1;
	seen.accept_queue_full = seen.accept_queue_was_full = _i;
	seen.before = now();
	ck_assert_int_eq(seen.before, _i ? CHARACTER_SLOW_BACKEND : CHARACTER_FLASH_CROWD);
	ck_assert(!character_arms(seen.before, &seen));

	seen.pressed_before = seen.pressed;
	ck_assert_int_eq(now(), seen.before);
}
END_TEST

/* It was armed by order, or has just been. */
START_TEST(an_armed_service_that_was_calm_is_named_by_what_there_is)
{
	seen.before = CHARACTER_CALM;
	seen.armed = true;
	seen.begun = seen.syns = seen.distinct = 5;
	ck_assert_int_eq(now(), CHARACTER_RANDOM_SOURCES);
	seen.top_syns = 5;
	ck_assert_int_eq(now(), CHARACTER_FEW_SOURCES);
	seen.completed = 5;
	ck_assert_int_eq(now(), CHARACTER_FLASH_CROWD);
}
END_TEST

/* ---- names and arming ---- */

START_TEST(every_character_has_its_name)
{
	ck_assert_str_eq(character_name(CHARACTER_CALM), "calm");
	ck_assert_str_eq(character_name(CHARACTER_RANDOM_SOURCES), "random-source flood");
	ck_assert_str_eq(character_name(CHARACTER_FEW_SOURCES), "few-source flood");
	ck_assert_str_eq(character_name(CHARACTER_SLOW_BACKEND), "slow backend");
	ck_assert_str_eq(character_name(CHARACTER_FLASH_CROWD), "flash crowd");
}
END_TEST

START_TEST(floods_arm_and_a_crowd_does_when_the_backlog_is_nearly_full)
{
	for (unsigned crowded = 0; crowded < 2; crowded++) {
		seen.crowded = crowded;
		ck_assert(!character_arms(CHARACTER_CALM, &seen));
		ck_assert(character_arms(CHARACTER_RANDOM_SOURCES, &seen));
		ck_assert(character_arms(CHARACTER_FEW_SOURCES, &seen));
		ck_assert(!character_arms(CHARACTER_SLOW_BACKEND, &seen));
		ck_assert_int_eq(character_arms(CHARACTER_FLASH_CROWD, &seen), crowded);
	}
}
END_TEST

static Suite *character_suite(void)
{
	Suite *suite = suite_create("character");
	TCase *rules = tcase_create("rules");

	suite_add_tcase(suite, rules);
	tcase_add_checked_fixture(rules, flood, NULL);
	tcase_add_test(rules, what_does_not_press_is_calm_at_any_rate);
	tcase_add_test(rules, a_greedy_source_makes_few_of_what_would_be_calm);
	tcase_add_test(rules, what_presses_is_named_without_a_look_at_a_greedy_source);
	tcase_add_test(rules, many_sources_that_complete_nothing_are_a_random_source_flood);
	tcase_add_test(rules, a_source_with_half_of_the_syns_makes_it_few);
	tcase_add_test(rules, one_syn_is_no_share);
	tcase_add_test(rules, thirty_two_syns_of_each_source_make_it_few);
	tcase_add_test(rules, no_syn_in_the_sketch_is_not_few_sources);
	tcase_add_test(rules, a_flood_of_the_highest_numbers_does_not_wrap_around);
	tcase_add_test(rules, half_completed_is_a_flash_crowd);
	tcase_add_test(rules, more_completed_than_begun_is_a_flash_crowd);
	tcase_add_test(rules, a_crowd_behind_one_address_is_a_crowd);
	tcase_add_test(rules, where_nothing_began_there_is_no_crowd);
	tcase_add_test(rules, repeated_syns_are_not_completed_ones);
	tcase_add_test(rules, a_full_accept_queue_and_persistent_clients_are_a_slow_backend);
	tcase_add_test(rules, persistent_clients_of_a_server_that_accepts_are_not);
	tcase_add_test(rules, with_a_full_accept_queue_clients_get_three_seconds_to_repeat);
	tcase_add_test(rules, clients_that_come_back_to_a_slow_backend_are_still_its_own);
	tcase_add_test(rules, after_three_seconds_a_full_accept_queue_is_one_that_was_full);
	tcase_add_test(rules, room_in_the_accept_queue_leaves_no_time_to_a_flood);
	tcase_add_test(rules, an_armed_service_needs_no_time_to_tell);
	tcase_add_test(rules, a_full_accept_queue_with_nothing_new_is_a_slow_backend);
	tcase_add_loop_test(rules, a_flood_that_left_half_open_connections_behind_stays_what_it_was, 0, 2);
	tcase_add_loop_test(rules, a_flood_stays_what_it_was_when_its_syns_have_left_the_sketch, 0, 2);
	tcase_add_loop_test(rules, a_flood_that_goes_on_may_turn_into_anything, 0, 2);
	tcase_add_loop_test(rules, unarmed_only_floods_stay_what_they_were, 0, 3);
	tcase_add_loop_test(rules, while_armed_what_is_left_over_keeps_its_name, 0, 4);
	tcase_add_loop_test(rules, while_armed_what_is_new_and_presses_is_named_anew, 0, 4);
	tcase_add_loop_test(rules, a_flood_that_did_not_press_before_does_not_stick, 0, 4);
	tcase_add_loop_test(rules, a_crowd_or_a_slow_backend_after_a_greedy_source_is_named_so, 0, 2);
	tcase_add_test(rules, an_armed_service_that_was_calm_is_named_by_what_there_is);
	tcase_add_test(rules, every_character_has_its_name);
	tcase_add_test(rules, floods_arm_and_a_crowd_does_when_the_backlog_is_nearly_full);
	return suite;
}

int main(void)
{
	return unit_main(character_suite());
}
