/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/account.h"

#include "guard_world.h"

#define SEC NSEC_PER_SEC
#define ROUNDS 400

static struct account account;
static struct account_look look;

static void begin(void)
{
	account = (struct account){.doors = {{0}}};
	look = (struct account_look){.arrived_ns = 10 * SEC};
}

/* When it is so for as long as it takes to settle. */
static void is_told_after_a_while(uint64_t dropped, uint64_t passed)
{
	for (unsigned i = 0; i < 2; i++) {
		look.arrived_ns += ACCOUNT_SETTLED_NS + 1;
		account_look(&account, &look);
	}
	ck_assert_uint_eq(account_dropped(&account), dropped);
	ck_assert_uint_eq(account_passed(&account), passed);
}

static void is_told(uint64_t dropped, uint64_t passed)
{
	account_look(&account, &look);
	ck_assert_uint_eq(account_dropped(&account), dropped);
	ck_assert_uint_eq(account_passed(&account), passed);
}

/* ---- one door ---- */

START_TEST(what_was_taken_in_is_not_missing)
{
	look.doors[_i] = (struct account_door_look){.arrived = 100, .waiting_known = true, .passes = true};
	look.taken.syns[_i] = 100;
	is_told_after_a_while(0, 0);
}
END_TEST

START_TEST(what_waits_is_not_missing)
{
	look.doors[_i] =
		(struct account_door_look){.arrived = 100, .waiting_known = true, .waiting = 40, .passes = true};
	look.taken.syns[_i] = 60;
	is_told_after_a_while(0, 0);
}
END_TEST

START_TEST(what_is_missing_has_passed_where_that_is_wanted_and_else_it_was_dropped)
{
	look.doors[_i] = (struct account_door_look){.arrived = 100, .waiting_known = true, .waiting = 30};
	look.taken.syns[_i] = 60;
	look.doors[_i].passes = true;
	is_told_after_a_while(0, 10);
	look.doors[_i].passes = false;
	look.taken.syns[_i] = 59;
	is_told_after_a_while(1, 10);
}
END_TEST

START_TEST(what_the_kernel_says_it_dropped_has_not_passed)
{
	look.doors[_i] =
		(struct account_door_look){.arrived = 100, .waiting_known = true, .dropped = 25, .passes = true};
	look.taken.syns[_i] = 60;
	is_told_after_a_while(25, 15);
}
END_TEST

/* The shards go on taking in while we look. */
START_TEST(taken_in_after_it_was_found_waiting_makes_no_number_fall)
{
	look.doors[_i] =
		(struct account_door_look){.arrived = 100, .waiting_known = true, .waiting = 20, .passes = true};
	look.taken.syns[_i] = 70;
	is_told_after_a_while(0, 10);
	look.taken.syns[_i] = 90;
	is_told_after_a_while(0, 10);
}
END_TEST

/* Counted by a rule, and not in its queue yet. */
START_TEST(what_is_on_its_way_to_its_queue_is_not_missing)
{
	look.doors[_i] = (struct account_door_look){.arrived = 1, .waiting_known = true, .passes = true};
	is_told(0, 0);
	look.arrived_ns += ACCOUNT_SETTLED_NS;
	is_told(0, 0);
	look.arrived_ns++;
	look.doors[_i].waiting = 1;
	is_told(0, 0);
	look.arrived_ns += SEC;
	look.doors[_i].waiting = 0;
	is_told(0, 0);
	look.taken.syns[_i] = 1;
	is_told_after_a_while(0, 0);
}
END_TEST

START_TEST(of_what_is_missing_only_what_was_so_at_every_look_for_a_while_is_told)
{
	look.doors[_i] = (struct account_door_look){.arrived = 100, .waiting_known = true, .passes = true};
	look.taken.syns[_i] = 60;
	is_told(0, 0);
	look.arrived_ns += ACCOUNT_SETTLED_NS;
	look.taken.syns[_i] = 90;
	is_told(0, 0);
	look.arrived_ns++;
	look.doors[_i].arrived = 120;
	is_told(0, 10);
	look.arrived_ns += ACCOUNT_SETTLED_NS + 1;
	is_told(0, 30);
}
END_TEST

/* ---- where nobody tells what waits ---- */

START_TEST(without_the_number_that_waits_nothing_is_told_before_the_door_was_empty)
{
	look.doors[_i] = (struct account_door_look){.arrived = 100};
	look.taken.syns[_i] = 60;
	look.taken.empty_ns[_i] = look.arrived_ns;
	is_told(0, 0);
	look.arrived_ns += SEC;
	is_told(0, 0);
	look.taken.empty_ns[_i] = 10 * SEC + ACCOUNT_SETTLED_NS;
	is_told(0, 0);
	look.taken.empty_ns[_i]++;
	is_told(40, 0);
}
END_TEST

/* Of those that came since, some may wait. */
START_TEST(once_it_was_empty_only_what_had_come_before_is_missing)
{
	look.doors[_i] = (struct account_door_look){.arrived = 100};
	look.taken.syns[_i] = 60;
	is_told(0, 0);
	look.arrived_ns += SEC;
	look.doors[_i].arrived = 1000;
	look.taken.empty_ns[_i] = look.arrived_ns;
	look.taken.syns[_i] = 90;
	is_told(10, 0);
	look.arrived_ns += SEC;
	look.taken.empty_ns[_i] = look.arrived_ns;
	is_told(910, 0);
}
END_TEST

START_TEST(a_door_is_empty_since_it_was_so_for_the_last_shard)
{
	struct account_taken sum = account_taken_none();
	struct account_taken one = {.syns = {1, 2, 3}, .empty_ns = {10, 20, 30}};
	struct account_taken other = {.syns = {10, 20, 30}, .empty_ns = {20, 10, 30}};

	account_taken_add(&sum, &one);
	account_taken_add(&sum, &other);
	for (unsigned door = 0; door < ACCOUNT_DOORS; door++)
		ck_assert_uint_eq(sum.syns[door], 11 * (door + 1));
	ck_assert_uint_eq(sum.empty_ns[ACCOUNT_WATCHED], 10);
	ck_assert_uint_eq(sum.empty_ns[ACCOUNT_ARMED], 10);
	ck_assert_uint_eq(sum.empty_ns[ACCOUNT_SPILL], 30);
}
END_TEST

/* ---- any sequence: nobody is told of twice, and in the end everybody once ---- */

static uint64_t seed;

static unsigned dice(unsigned sides)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % sides;
}

/* What is really so at a door. */
struct door {
	uint64_t arrived, waiting, taken, dropped, passed;
	bool passes;
	bool late; /* at the last look one was on its way to the queue: that lasts for no two */
};

static void arrive(struct door *door, unsigned count)
{
	for (; count; count--) {
		door->arrived++;
		if (door->waiting < 50)
			door->waiting++;
		else if (door->passes)
			door->passed++;
		else
			door->dropped++;
	}
}

static void take(struct door *door, unsigned count)
{
	uint64_t taken = count < door->waiting ? count : door->waiting;

	door->waiting -= taken;
	door->taken += taken;
}

/* Between the readings of one look, more comes and goes. */
static void look_at(struct door doors[ACCOUNT_DOORS], bool tells, uint64_t *time_ns)
{
	look.arrived_ns = *time_ns;
	for (unsigned i = 0; i < ACCOUNT_DOORS; i++)
		look.doors[i] = (struct account_door_look){.arrived = doors[i].arrived, .passes = doors[i].passes};
	for (unsigned i = 0; i < ACCOUNT_DOORS; i++) {
		arrive(&doors[i], dice(9));
		take(&doors[i], dice(9));
		look.doors[i].waiting_known = tells;
		look.doors[i].waiting = tells ? doors[i].waiting : 0;
		look.doors[i].dropped = tells ? doors[i].dropped : 0;
		arrive(&doors[i], doors[i].late + dice(9));
		take(&doors[i], dice(9));
		look.taken.syns[i] = doors[i].taken;
		if (!doors[i].waiting)
			look.taken.empty_ns[i] = *time_ns;
	}
	account_look(&account, &look);
	*time_ns += ACCOUNT_SETTLED_NS * dice(3) + 1;
}

START_TEST(no_look_tells_too_much_and_the_last_one_tells_all)
{
	bool tells = _i & 1;
	struct door doors[ACCOUNT_DOORS] = {{.passes = _i & 2}, {.passes = _i & 4}, {.passes = false}};
	uint64_t time_ns = 10 * SEC, dropped = 0, passed = 0;

	seed = (uint64_t)_i + 1;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t most_dropped = 0, most_passed = 0;

		for (unsigned i = 0; i < ACCOUNT_DOORS; i++) {
			arrive(&doors[i], dice(100));
			take(&doors[i], dice(130));
		}
		look_at(doors, tells, &time_ns);
		for (unsigned i = 0; i < ACCOUNT_DOORS; i++) {
			most_dropped += doors[i].dropped;
			most_passed += doors[i].passed;
		}
		must(account_dropped(&account) <= most_dropped);
		must(account_passed(&account) <= most_passed);
		must(account_dropped(&account) >= dropped);
		must(account_passed(&account) >= passed);
		dropped = account_dropped(&account);
		passed = account_passed(&account);
	}
	for (unsigned last = 0; last < 2; last++) { /* nothing comes any more */
		time_ns += SEC;
		look.arrived_ns = time_ns;
		for (unsigned i = 0; i < ACCOUNT_DOORS; i++) {
			take(&doors[i], 1000);
			look.doors[i].arrived = doors[i].arrived;
			look.doors[i].waiting = 0;
			look.doors[i].dropped = tells ? doors[i].dropped : 0;
			look.taken.syns[i] = doors[i].taken;
			look.taken.empty_ns[i] = time_ns;
		}
		account_look(&account, &look);
	}
	for (unsigned i = 0; i < ACCOUNT_DOORS; i++) {
		ck_assert_uint_eq(account.doors[i].dropped, doors[i].dropped);
		ck_assert_uint_eq(account.doors[i].passed, doors[i].passed);
		ck_assert_uint_eq(doors[i].arrived, doors[i].taken + doors[i].dropped + doors[i].passed);
	}
	ck_assert_uint_gt(dropped, 0);
}
END_TEST

/* ---- what the guard decides ---- */

static uint64_t reasons(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < OUTCOME_COUNT; i++)
		if (strncmp(outcome_name(i), "syn_", 4) == 0 && i != OUTCOME_SYN_RECEIVED)
			sum += counted(i);
	return sum;
}

static struct segment any_syn(void)
{
	struct segment syn = syn_of(1 + dice(200) + V6 * dice(2) + PORT * dice(3));

	syn.destination_port = (uint16_t[]){80, 80, 80, 80, 25, 443}[dice(6)];
	syn.options.md5 = dice(20) == 0;
	syn.options.timestamps = dice(2);
	syn.hops = (uint8_t)dice(256);
	return syn;
}

/* A step of a life in which everything happens; the SYNs of it. */
static unsigned any_step(void)
{
	struct segment syn = any_syn();
	struct segment stray = ack_of(1 + dice(200), dice(1000));

	now_ns += dice(100) * NSEC_PER_MSEC;
	switch (dice(16)) {
	case 0:
		service_enter(&services[WEB], dice(SERVICE_DRAINING + 1), now_ns);
		return 0;
	case 1:
		guard.limits.observe = dice(4) == 0;
		guard.limits.kernel_checks_md5 = dice(2);
		return 0;
	case 2:
		services[WEB].exempt = dice(4) == 0;
		services[WEB].untracked = dice(8) == 0;
		services[WEB].host_bits = dice(4) == 0 ? 8 : 0;
		return 0;
	case 3:
		cap_init(guard.replies, dice(2), &guard.key, now_ns);
		return 0;
	case 4:
		guard_cookies_fail(&guard, now_ns - dice(10) * SEC);
		return 0;
	case 5:
		while (due())
			;
		return 0;
	case 6:
		ack(&stray);
		return 0;
	case 7:
		first_ack_from(1 + dice(200), TCP_ACK);
		return 0;
	case 8:
		guard_spilled_soon(&guard, &syn);
		guard_spilled(&guard, &syn, INTERFACE, now_ns, &decision);
		return 1;
	default:
		offer(&syn);
		return 1;
	}
}

START_TEST(whatever_happens_each_syn_has_one_reason)
{
	struct tally_totals totals = {0};
	uint64_t offered = 0;

	seed = (uint64_t)_i + 77;
	guard_make();
	learn(_i & 1);
	for (unsigned step = 0; step < 20000; step++) {
		offered += any_step();
		must(counted(OUTCOME_SYN_RECEIVED) == offered);
		must(reasons() == offered);
	}
	tally_totals(&guard.tallies[WEB], &totals);
	tally_totals(&guard.tallies[OLD], &totals);
	ck_assert_uint_le(totals.begun + totals.retransmitted + totals.cookies_sent, totals.syns);
	ck_assert_uint_eq(totals.cookies_sent + counted(OUTCOME_SYN_CAPPED) > 0, true);
	for (enum outcome each = OUTCOME_SYN_ACCEPTED; each <= OUTCOME_SYN_SHED; each++)
		if (each != OUTCOME_SYN_ALLOWED && each != OUTCOME_SYN_DENIED && each != OUTCOME_SYN_BANNED &&
		    each != OUTCOME_SYN_UNANSWERED && each != OUTCOME_SYN_MALFORMED && each != OUTCOME_SYN_DIRECT &&
		    each != OUTCOME_SYN_SOURCE_CHALLENGED)
			ck_assert_msg(counted(each) > 0, "%s has never happened", outcome_name(each));
	guard_drop();
}
END_TEST

static Suite *account_suite(void)
{
	Suite *suite = suite_create("account");
	TCase *doors = tcase_create("doors");
	TCase *sequences = tcase_create("sequences");

	suite_add_tcase(suite, doors);
	tcase_add_checked_fixture(doors, begin, NULL);
	tcase_add_loop_test(doors, what_was_taken_in_is_not_missing, 0, ACCOUNT_DOORS);
	tcase_add_loop_test(doors, what_waits_is_not_missing, 0, ACCOUNT_DOORS);
	tcase_add_loop_test(doors, what_is_missing_has_passed_where_that_is_wanted_and_else_it_was_dropped, 0,
			    ACCOUNT_DOORS);
	tcase_add_loop_test(doors, what_the_kernel_says_it_dropped_has_not_passed, 0, ACCOUNT_DOORS);
	tcase_add_loop_test(doors, taken_in_after_it_was_found_waiting_makes_no_number_fall, 0, ACCOUNT_DOORS);
	tcase_add_loop_test(doors, what_is_on_its_way_to_its_queue_is_not_missing, 0, ACCOUNT_DOORS);
	tcase_add_loop_test(doors, of_what_is_missing_only_what_was_so_at_every_look_for_a_while_is_told, 0,
			    ACCOUNT_DOORS);
	tcase_add_loop_test(doors, without_the_number_that_waits_nothing_is_told_before_the_door_was_empty, 0,
			    ACCOUNT_DOORS);
	tcase_add_loop_test(doors, once_it_was_empty_only_what_had_come_before_is_missing, 0, ACCOUNT_DOORS);
	tcase_add_test(doors, a_door_is_empty_since_it_was_so_for_the_last_shard);

	suite_add_tcase(suite, sequences);
	tcase_add_checked_fixture(sequences, begin, NULL);
	tcase_add_loop_test(sequences, no_look_tells_too_much_and_the_last_one_tells_all, 0, 32);
	tcase_add_loop_test(sequences, whatever_happens_each_syn_has_one_reason, 0, 8);
	return suite;
}

int main(void)
{
	return unit_main(account_suite());
}
