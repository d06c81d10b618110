/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/incident.h"

#include "wire.h"

#define START_NS (5000 * NSEC_PER_SEC)

#define CALM CHARACTER_CALM
#define RANDOM CHARACTER_RANDOM_SOURCES
#define FEW CHARACTER_FEW_SOURCES
#define SLOW CHARACTER_SLOW_BACKEND

static struct incident incident;
static uint64_t now_ns;

static void quiet(void)
{
	incident = (struct incident){.noted = false};
	now_ns = START_NS;
}

static enum incident_event look(enum character seen)
{
	return incident_update(&incident, seen, false, now_ns);
}

static void note(uint32_t syn_pps, uint64_t syns)
{
	struct incident_counts counts = {syns, syns / 2, syns / 4, syns / 8};

	incident_note(&incident, syn_pps, &counts);
}

/* Seen ten times a second for so long; the events there were, the last of them in `last`. */
static unsigned look_for(enum character seen, uint64_t span_ns, enum incident_event *last)
{
	uint64_t end_ns = now_ns + span_ns;
	unsigned events = 0;

	*last = INCIDENT_NOTHING;
	for (;; now_ns += 100 * NSEC_PER_MSEC) {
		enum incident_event event = look(seen);

		if (event != INCIDENT_NOTHING) {
			*last = event;
			events++;
		}
		if (now_ns >= end_ns)
			return events;
	}
}

static void begin(enum character seen)
{
	ck_assert_int_eq(incident_update(&incident, seen, true, now_ns), INCIDENT_BEGUN);
}

/* ---- the beginning ---- */

START_TEST(calm_is_nothing_to_speak_of)
{
	enum incident_event last;

	ck_assert_uint_eq(look_for(CALM, 3600 * NSEC_PER_SEC, &last), 0);
	ck_assert_int_eq(incident_update(&incident, CALM, true, now_ns), INCIDENT_NOTHING);
	ck_assert_int_eq(incident_end(&incident), INCIDENT_NOTHING);
}
END_TEST

START_TEST(what_has_been_seen_for_a_second_has_begun)
{
	ck_assert_int_eq(look(RANDOM), INCIDENT_NOTHING);
	now_ns += INCIDENT_SETTLE_NS - 1;
	ck_assert_int_eq(look(RANDOM), INCIDENT_NOTHING);
	ck_assert_int_eq(incident.character, CALM);
	now_ns++;
	ck_assert_int_eq(look(RANDOM), INCIDENT_BEGUN);
	ck_assert_int_eq(incident.character, RANDOM);
	ck_assert_int_eq(incident.said_before, CALM);
	ck_assert_uint_eq(incident.since_ns, START_NS);
}
END_TEST

START_TEST(a_beginning_is_said_once)
{
	enum incident_event last;

	ck_assert_uint_eq(look_for(RANDOM, 600 * NSEC_PER_SEC, &last), 1);
	ck_assert_int_eq(last, INCIDENT_BEGUN);
	ck_assert_int_eq(incident_update(&incident, RANDOM, true, now_ns), INCIDENT_NOTHING);
}
END_TEST

START_TEST(an_armed_service_is_spoken_of_at_once)
{
	begin(RANDOM);
	ck_assert_uint_eq(incident.since_ns, START_NS);
	ck_assert_int_eq(look(RANDOM), INCIDENT_NOTHING);
}
END_TEST

START_TEST(one_that_is_armed_while_it_settles_is_too)
{
	look(RANDOM);
	now_ns += NSEC_PER_SEC / 2;
	begin(RANDOM);
	ck_assert_uint_eq(incident.since_ns, START_NS);
}
END_TEST

START_TEST(a_break_starts_the_wait_anew)
{
	look(RANDOM);
	now_ns += NSEC_PER_SEC / 2;
	look(CALM);
	now_ns += NSEC_PER_SEC / 2;
	ck_assert_int_eq(look(RANDOM), INCIDENT_NOTHING);
	now_ns += INCIDENT_SETTLE_NS;
	ck_assert_int_eq(look(RANDOM), INCIDENT_BEGUN);
	ck_assert_uint_eq(incident.since_ns, START_NS + NSEC_PER_SEC);
}
END_TEST

START_TEST(another_class_starts_the_wait_anew_but_not_the_incident)
{
	look(RANDOM);
	now_ns += NSEC_PER_SEC / 2;
	look(FEW);
	now_ns += NSEC_PER_SEC / 2;
	ck_assert_int_eq(look(FEW), INCIDENT_NOTHING);
	now_ns += NSEC_PER_SEC / 2;
	ck_assert_int_eq(look(FEW), INCIDENT_BEGUN);
	ck_assert_int_eq(incident.character, FEW);
	ck_assert_uint_eq(incident.since_ns, START_NS);
}
END_TEST

/* ---- the change ---- */

START_TEST(another_class_is_said_after_a_second)
{
	begin(RANDOM);
	ck_assert_int_eq(look(SLOW), INCIDENT_NOTHING);
	now_ns += INCIDENT_SETTLE_NS - 1;
	ck_assert_int_eq(look(SLOW), INCIDENT_NOTHING);
	now_ns++;
	ck_assert_int_eq(look(SLOW), INCIDENT_CHANGED);
	ck_assert_int_eq(incident.character, SLOW);
	ck_assert_int_eq(incident.said_before, RANDOM);
	ck_assert_uint_eq(incident.since_ns, START_NS);
	ck_assert_int_eq(look(SLOW), INCIDENT_NOTHING);
}
END_TEST

START_TEST(a_class_that_comes_and_goes_is_not_said)
{
	begin(RANDOM);
	for (unsigned i = 0; i < 100; i++, now_ns += INCIDENT_SETTLE_NS - 1)
		ck_assert_int_eq(look(i % 2 ? FEW : RANDOM), INCIDENT_NOTHING);
	ck_assert_int_eq(incident.character, RANDOM);
}
END_TEST

START_TEST(a_change_that_arms_is_said_at_once)
{
	begin(SLOW);
	ck_assert_int_eq(incident_update(&incident, RANDOM, true, now_ns), INCIDENT_CHANGED);
	ck_assert_int_eq(incident.said_before, SLOW);
}
END_TEST

/* ---- the end ---- */

START_TEST(ten_seconds_of_calm_end_it)
{
	begin(RANDOM);
	now_ns += 30 * NSEC_PER_SEC;
	look(RANDOM);
	now_ns += NSEC_PER_SEC;
	ck_assert_int_eq(look(CALM), INCIDENT_NOTHING);
	now_ns += INCIDENT_CALM_NS - 1;
	ck_assert_int_eq(look(CALM), INCIDENT_NOTHING);
	now_ns++;
	ck_assert_int_eq(look(CALM), INCIDENT_ENDED);
	ck_assert_int_eq(incident.character, CALM);
	ck_assert_int_eq(incident.said_before, RANDOM);
	ck_assert_uint_eq(incident_lasted_ns(&incident), 30 * NSEC_PER_SEC);
	ck_assert_int_eq(look(CALM), INCIDENT_NOTHING);
}
END_TEST

START_TEST(a_lull_is_not_the_end)
{
	begin(RANDOM);
	for (unsigned i = 0; i < 100; i++) {
		look(CALM);
		now_ns += INCIDENT_CALM_NS - 1;
		ck_assert_int_eq(look(CALM), INCIDENT_NOTHING);
		now_ns++;
		ck_assert_int_eq(look(RANDOM), INCIDENT_NOTHING);
	}
	ck_assert_int_eq(incident.character, RANDOM);
}
END_TEST

START_TEST(a_disarmed_service_ends_it_at_once)
{
	begin(RANDOM);
	now_ns += NSEC_PER_SEC;
	look(FEW); /* not said yet */
	ck_assert_int_eq(incident_end(&incident), INCIDENT_ENDED);
	ck_assert_int_eq(incident.said_before, RANDOM);
	ck_assert_uint_eq(incident_lasted_ns(&incident), NSEC_PER_SEC);
	ck_assert_int_eq(incident_end(&incident), INCIDENT_NOTHING);
	ck_assert_int_eq(look(CALM), INCIDENT_NOTHING);
}
END_TEST

START_TEST(a_service_that_is_gone_leaves_nothing_waiting)
{
	look(RANDOM);
	ck_assert_int_eq(incident_end(&incident), INCIDENT_NOTHING);
	now_ns += INCIDENT_SETTLE_NS;
	ck_assert_int_eq(look(RANDOM), INCIDENT_NOTHING);
}
END_TEST

START_TEST(what_comes_after_the_end_is_another_incident)
{
	enum incident_event last;

	begin(RANDOM);
	look_for(CALM, INCIDENT_CALM_NS, &last);
	ck_assert_int_eq(last, INCIDENT_ENDED);
	now_ns += NSEC_PER_SEC;
	begin(FEW);
	ck_assert_int_eq(incident.said_before, CALM);
	ck_assert_uint_eq(incident.since_ns, now_ns);
	ck_assert_uint_eq(incident_lasted_ns(&incident), 0);
}
END_TEST

/* ---- its numbers ---- */

START_TEST(totals_count_from_the_first_sight)
{
	struct incident_counts totals;
	uint64_t syns = 800000;

	note(10, syns);
	look(CALM);
	for (unsigned i = 1; i <= 20; i++) {
		now_ns += 100 * NSEC_PER_MSEC;
		note(i == 15 ? 9000 : 8000, syns += 800);
		look(RANDOM);
	}
	ck_assert_int_eq(incident.character, RANDOM);
	totals = incident_totals(&incident);
	ck_assert_uint_eq(totals.syns, 16000);
	ck_assert_uint_eq(totals.challenged, 8000);
	ck_assert_uint_eq(totals.completed, 4000);
	ck_assert_uint_eq(totals.refused, 2000);
	ck_assert_uint_eq(incident.peak_pps, 9000);
}
END_TEST

START_TEST(numbers_last_until_the_next_note_after_the_end)
{
	note(10, 100);
	note(500, 200);
	begin(RANDOM);
	note(400, 300);
	ck_assert_int_eq(incident_end(&incident), INCIDENT_ENDED);
	ck_assert_uint_eq(incident_totals(&incident).syns, 200);
	ck_assert_uint_eq(incident.peak_pps, 500);
	note(20, 310);
	ck_assert_uint_eq(incident_totals(&incident).syns, 10);
	ck_assert_uint_eq(incident.peak_pps, 20);
}
END_TEST

START_TEST(a_peak_of_calm_times_is_forgotten)
{
	note(UINT32_MAX, 100);
	look(CALM);
	note(300, 200);
	begin(RANDOM);
	ck_assert_uint_eq(incident.peak_pps, 300);
}
END_TEST

START_TEST(a_burst_that_was_none_is_not_counted_later)
{
	note(10, 100);
	look(CALM);
	note(9000, 5000);
	look(RANDOM);
	now_ns += NSEC_PER_SEC / 2;
	note(10, 5100);
	look(CALM);
	note(10, 5200);
	look(CALM);
	note(700, 5300);
	begin(RANDOM);
	ck_assert_uint_eq(incident_totals(&incident).syns, 100);
	ck_assert_uint_eq(incident.peak_pps, 700);
}
END_TEST

START_TEST(what_came_before_the_first_note_is_not_counted)
{
	note(300, 1000000);
	begin(RANDOM);
	ck_assert_uint_eq(incident_totals(&incident).syns, 0);
	note(300, 1000300);
	ck_assert_uint_eq(incident_totals(&incident).syns, 300);
}
END_TEST

START_TEST(numbers_that_shrink_are_no_total)
{
	note(300, 1000);
	begin(RANDOM);
	note(300, 0);
	ck_assert_uint_eq(incident_totals(&incident).syns, 0);
	note(300, UINT64_MAX);
	ck_assert_uint_eq(incident_totals(&incident).syns, UINT64_MAX - 1000);
}
END_TEST

/* ---- jumps of the clock ---- */

START_TEST(a_clock_that_is_set_back_starts_the_wait_anew)
{
	look(RANDOM);
	now_ns -= 3600 * NSEC_PER_SEC;
	ck_assert_int_eq(look(RANDOM), INCIDENT_NOTHING);
	now_ns += INCIDENT_SETTLE_NS - 1;
	ck_assert_int_eq(look(RANDOM), INCIDENT_NOTHING);
	now_ns++;
	ck_assert_int_eq(look(RANDOM), INCIDENT_BEGUN);
	ck_assert_uint_eq(incident_lasted_ns(&incident), 0);
	look(CALM);
	now_ns -= NSEC_PER_SEC;
	ck_assert_int_eq(look(CALM), INCIDENT_NOTHING);
	now_ns += INCIDENT_CALM_NS;
	ck_assert_int_eq(look(CALM), INCIDENT_ENDED);
}
END_TEST

START_TEST(a_clock_that_leaps_ends_each_wait_once)
{
	look(RANDOM);
	now_ns = UINT64_MAX;
	ck_assert_int_eq(look(RANDOM), INCIDENT_BEGUN);
	ck_assert_int_eq(look(RANDOM), INCIDENT_NOTHING);
	now_ns = 0;
	ck_assert_int_eq(look(CALM), INCIDENT_NOTHING);
	now_ns = UINT64_MAX;
	ck_assert_int_eq(look(CALM), INCIDENT_ENDED);
	ck_assert_int_eq(look(CALM), INCIDENT_NOTHING);
}
END_TEST

static Suite *incident_suite(void)
{
	Suite *suite = suite_create("incident");
	TCase *events = tcase_create("events");
	TCase *numbers = tcase_create("numbers");

	suite_add_tcase(suite, events);
	tcase_add_checked_fixture(events, quiet, NULL);
	tcase_add_test(events, calm_is_nothing_to_speak_of);
	tcase_add_test(events, what_has_been_seen_for_a_second_has_begun);
	tcase_add_test(events, a_beginning_is_said_once);
	tcase_add_test(events, an_armed_service_is_spoken_of_at_once);
	tcase_add_test(events, one_that_is_armed_while_it_settles_is_too);
	tcase_add_test(events, a_break_starts_the_wait_anew);
	tcase_add_test(events, another_class_starts_the_wait_anew_but_not_the_incident);
	tcase_add_test(events, another_class_is_said_after_a_second);
	tcase_add_test(events, a_class_that_comes_and_goes_is_not_said);
	tcase_add_test(events, a_change_that_arms_is_said_at_once);
	tcase_add_test(events, ten_seconds_of_calm_end_it);
	tcase_add_test(events, a_lull_is_not_the_end);
	tcase_add_test(events, a_disarmed_service_ends_it_at_once);
	tcase_add_test(events, a_service_that_is_gone_leaves_nothing_waiting);
	tcase_add_test(events, what_comes_after_the_end_is_another_incident);
	tcase_add_test(events, a_clock_that_is_set_back_starts_the_wait_anew);
	tcase_add_test(events, a_clock_that_leaps_ends_each_wait_once);

	suite_add_tcase(suite, numbers);
	tcase_add_checked_fixture(numbers, quiet, NULL);
	tcase_add_test(numbers, totals_count_from_the_first_sight);
	tcase_add_test(numbers, numbers_last_until_the_next_note_after_the_end);
	tcase_add_test(numbers, a_peak_of_calm_times_is_forgotten);
	tcase_add_test(numbers, a_burst_that_was_none_is_not_counted_later);
	tcase_add_test(numbers, what_came_before_the_first_note_is_not_counted);
	tcase_add_test(numbers, numbers_that_shrink_are_no_total);
	return suite;
}

int main(void)
{
	return unit_main(incident_suite());
}
