/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard and its policy: what becomes of the SYNs of one source when it has proven itself, and in each posture. */
#include "guard_sources.h"

/* ---- a source that is proven ---- */

START_TEST(a_proven_source_goes_direct_up_to_its_budget)
{
	prove(1);
	enter(SERVICE_ARMED);
	for (uint32_t port = 0; port < DIRECT; port++) {
		syn_from(1 + port * PORT);
		passes();
		ck_assert_int_eq(decision.trip, -1);
	}
	syn_from(1 + DIRECT * PORT);
	is_challenged();
	syn_from(2);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), DIRECT);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 2);
	ck_assert_uint_eq(services[WEB].half_open, DIRECT);
	ck_assert_uint_eq(source_of(1)->half_open, DIRECT);

	first_ack_from(1, TCP_ACK); /* the first is done: there is room for another */
	syn_from(1 + DIRECT * PORT);
	passes();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), DIRECT + 1);
}
END_TEST

START_TEST(direct_handshakes_are_watched_like_others)
{
	prove(1);
	enter(SERVICE_ARMED);
	syn_from(1);
	syn_from(1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RETRANSMITTED), 1);
	now_ns += TIMEOUT_S * NSEC_PER_SEC;
	due();
	ck_assert_uint_eq(services[WEB].half_open, 0);
	ck_assert_uint_eq(source_of(1)->half_open, 0);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_EXPIRED), 1);
}
END_TEST

START_TEST(a_proven_source_is_challenged_when_the_service_has_no_room)
{
	prove(1);
	enter(SERVICE_ARMED);
	services[WEB].half_open = 107;
	syn_from(1);
	passes();
	syn_from(1 + PORT);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
	services[WEB].half_open--;
	syn_from(1 + PORT);
	passes();
}
END_TEST

/* 107 of 108, where a crowd would arm, are held by then: half-open with us, with the kernel, or begun since it was
 * asked. */
START_TEST(the_larger_of_what_we_and_the_kernel_know_counts_against_the_room)
{
	static const struct {
		uint32_t half_open, kernel_held;
		int32_t begun_since;
	} held[] = {{107, 0, 0}, {0, 107, 0}, {0, 0, 107}, {0, 100, 7}, {107, 107, 0}, {107, 60, 40}, {0, 120, -13}};

	prove(1);
	enter(SERVICE_ARMED);
	services[WEB].half_open = held[_i].half_open;
	services[WEB].kernel_held = held[_i].kernel_held;
	services[WEB].begun_since = held[_i].begun_since;
	ck_assert_int_eq(explain(1), OUTCOME_SYN_DIRECT);
	syn_from(1);
	passes();
	ck_assert_int_eq(explain(1), OUTCOME_SYN_CHALLENGED);
	syn_from(1 + PORT);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 1);
}
END_TEST

/* What we give up on after a while the kernel may hold for longer. */
START_TEST(what_clients_end_gives_room_and_what_expires_does_not_until_the_kernel_is_asked)
{
	prove(1);
	services[WEB].begun_since = 0;
	syn_from(2);
	syn_from(3);
	syn_from(3); /* repeated */
	syn_from(4);
	ck_assert_int_eq(services[WEB].begun_since, 3);
	first_ack_from(2, TCP_ACK);
	ck_assert_int_eq(services[WEB].begun_since, 2);
	first_ack_from(3, TCP_RST);
	ck_assert_int_eq(services[WEB].begun_since, 1);
	now_ns += (TIMEOUT_S + 1) * NSEC_PER_SEC;
	while (due())
		;
	ck_assert_uint_eq(services[WEB].half_open, 0);
	ck_assert_int_eq(services[WEB].begun_since, 1);
	ck_assert_uint_eq(service_held(&services[WEB]), 1);
	ck_assert_int_eq(services[OLD].begun_since, 0);
}
END_TEST

START_TEST(what_the_kernel_holds_is_never_less_than_nothing)
{
	services[WEB].half_open = 0;
	services[WEB].kernel_held = 3;
	services[WEB].begun_since = -5;
	ck_assert_uint_eq(service_held(&services[WEB]), 0);
}
END_TEST

/* It is room for proven sources alone: no SYN is challenged for it in peace. */
START_TEST(what_the_kernel_holds_neither_trips_nor_challenges)
{
	services[WEB].kernel_held = 1000;
	for (unsigned posture = 0; posture < POSTURES; posture++) {
		enter((enum service_posture)posture);
		syn_from(1 + posture);
		if (posture == SERVICE_ARMED)
			is_challenged();
		else
			passes();
		ck_assert_int_eq(decision.trip, -1);
	}
}
END_TEST

/* cookies = always */
START_TEST(where_everybody_gets_a_cookie_a_proven_source_does_too)
{
	prove(1);
	services[WEB].everybody = true;
	enter(SERVICE_ARMED);
	ck_assert_int_eq(explain(1), OUTCOME_SYN_CHALLENGED);
	syn_from(1);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 1);
	hand_over(1);
	syn_from(1 + PORT); /* as often as it comes */
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 0);

	services[WEB].everybody = false;
	ck_assert_int_eq(explain(1), OUTCOME_SYN_DIRECT);
	syn_from(1 + PORT);
	passes();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
}
END_TEST

/* Until it is armed, and while it cannot be. */
START_TEST(where_everybody_gets_a_cookie_nobody_does_without_rules_that_honour_it)
{
	services[WEB].everybody = true;
	prove(2);
	for (uint32_t n = 1; n <= 2; n++) {
		enter(SERVICE_WATCHING);
		syn_from(n);
		passes();
		enter(SERVICE_ARMED);
		guard_cookies_fail(&guard, now_ns);
		syn_from(n + PORT);
		passes();
		guard.cookies_fail_until_ns = 0;
	}
}
END_TEST

START_TEST(a_handshake_proves_for_exactly_its_time)
{
	prove(1);
	enter(SERVICE_ARMED);
	now_ns += PROVEN_S * NSEC_PER_SEC - 1;
	syn_from(1);
	passes();
	now_ns++;
	syn_from(1 + PORT);
	is_challenged();
}
END_TEST

START_TEST(a_proven_source_that_is_wary_is_challenged_on_its_own_account)
{
	prove(1);
	syns_from(1, LIMIT);
	end_all(1, LIMIT);
	enter(SERVICE_ARMED);
	syn_from(1);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 1);
	now_ns += SPAN_S * NSEC_PER_SEC;
	syn_from(1);
	passes();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
}
END_TEST

START_TEST(connections_beyond_the_rate_end_the_direct_way)
{
	guard.limits.policy.rate_per_s = 10;
	guard.limits.policy.rate_burst = 2;
	prove(1);
	enter(SERVICE_ARMED);
	for (uint32_t port = 0; port < 2; port++) {
		syn_from(1 + port * PORT);
		passes();
		first_ack_from(1 + port * PORT, TCP_ACK);
	}
	syn_from(1 + 2 * PORT);
	is_challenged();
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 1);
}
END_TEST

/* An ACK; but no RST, no SYN that conntrack does not see, and no timeout. */
START_TEST(an_ack_alone_ends_a_handshake_so_that_it_proves_its_source)
{
	static const uint8_t flags[] = {TCP_ACK, TCP_RST, TCP_SYN};

	syn_from(1);
	if (_i < 3) {
		first_ack_from(1, flags[_i]);
	} else {
		now_ns += TIMEOUT_S * NSEC_PER_SEC;
		due();
	}
	ck_assert_uint_eq(source_of(1)->half_open, 0);
	ck_assert_uint_eq(source_of(1)->completed, _i == 0);
	ck_assert_uint_eq(source_of(1)->proven_s, _i == 0 ? START_NS / NSEC_PER_SEC : 0);
	enter(SERVICE_ARMED);
	syn_from(1 + PORT);
	ck_assert_int_eq(decision.act, _i == 0 ? ACT_PASS : ACT_DROP);
}
END_TEST

START_TEST(a_returned_cookie_proves_its_source)
{
	uint32_t n = (_i ? V6 : 0) + 1;

	enter(SERVICE_ARMED);
	hand_over(n);
	ck_assert_uint_eq(source_of(n)->completed, 1);
	ck_assert_uint_eq(source_of(n)->proven_s, START_NS / NSEC_PER_SEC);
	syn_from(n + PORT);
	passes();
	ck_assert_uint_eq(counted(OUTCOME_SYN_DIRECT), 1);
}
END_TEST

START_TEST(an_ack_without_a_valid_cookie_proves_nothing)
{
	enter(SERVICE_ARMED);
	third_ack(1, challenge(1) + 1);
	decided(ACT_PASS, TREAT_UNPROVEN, SEND_NOTHING);
	ck_assert_uint_eq(source_of(1)->completed, 0);
	third_ack(2, 0x12345678);
	ck_assert_ptr_null(source_of(2));
	syn_from(1 + PORT);
	is_challenged();
}
END_TEST

/* An armed service that knows nothing of its server learns by SYNs that it would challenge. */
START_TEST(a_syn_to_learn_from_is_counted_against_its_source)
{
	services[WEB].learned[0] = 0;
	guard.learn_at_ns[WEB][0] = 0;
	enter(SERVICE_ARMED);
	for (uint32_t port = 0; port < LIMIT; port++, now_ns += LEARN_NEW_NS) {
		syn_from(1 + port * PORT);
		decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_TO_LEARN), LIMIT);
	ck_assert_uint_eq(source_of(1)->half_open, LIMIT);
	ck_assert_uint_eq(source_of(1)->challenged, 0);
	ck_assert_uint_gt(source_of(1)->wary_since_s, 0);
}
END_TEST

/* ---- all together ---- */

/* Client 1 is new, 2 proven, 3 wary, 4 at its limit, 5 proven and wary. */
static void five_clients(void)
{
	prove(2);
	syns_from(3, LIMIT);
	end_all(3, LIMIT);
	syns_from(4, LIMIT);
	prove(5);
	syns_from(5, LIMIT);
	end_all(5, LIMIT);
}

static const enum outcome outcomes[6][POSTURES] = {
	[1] = {OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_CHALLENGED, OUTCOME_SYN_ACCEPTED},
	[2] = {OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_DIRECT, OUTCOME_SYN_ACCEPTED},
	[3] = {OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_SOURCE_CHALLENGED, OUTCOME_SYN_SOURCE_CHALLENGED,
	       OUTCOME_SYN_SOURCE_CHALLENGED},
	[4] = {OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_SOURCE_CHALLENGED, OUTCOME_SYN_SOURCE_CHALLENGED,
	       OUTCOME_SYN_SOURCE_CHALLENGED},
	[5] = {OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_SOURCE_CHALLENGED, OUTCOME_SYN_SOURCE_CHALLENGED,
	       OUTCOME_SYN_SOURCE_CHALLENGED},
};

/* In each posture, of each client. */
START_TEST(an_observer_counts_each_outcome_and_neither_sends_nor_drops)
{
	uint32_t n = 1 + (uint32_t)_i / POSTURES;
	unsigned posture = (unsigned)_i % POSTURES;
	uint64_t before;

	five_clients();
	guard.limits.observe = true;
	cap_init(guard.replies, 1, &key, now_ns);
	enter((enum service_posture)posture);
	before = counted(outcomes[n][posture]);
	for (uint32_t port = 100; port < 110; port++) {
		uint32_t half_open = services[WEB].half_open;

		syn_from(n + port * PORT);
		passes();
		ck_assert(!decision.drop_held && !decision.forget_flow && !decision.ban);
		ck_assert_uint_eq(services[WEB].half_open, half_open + 1);
		first_ack_from(n + port * PORT, TCP_RST);
		decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
		ck_assert_uint_eq(services[WEB].half_open, half_open);
	}
	ck_assert_uint_eq(counted(outcomes[n][posture]), before + 10);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CAPPED), 0);
	ck_assert_uint_eq(tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns), 0);
}
END_TEST

START_TEST(an_exempt_service_challenges_nobody_in_any_posture)
{
	uint32_t n = 1 + (uint32_t)_i / POSTURES;
	unsigned posture = (unsigned)_i % POSTURES;
	uint64_t until_ns, before;

	five_clients();
	services[WEB].exempt = true;
	services[WEB].patience = SERVICE_ARMS_NEVER;
	enter((enum service_posture)posture);
	until_ns = services[WEB].wary_until_ns;
	before = counted(OUTCOME_SYN_ACCEPTED);
	now_ns += NSEC_PER_SEC;
	for (uint32_t port = 100; port < 200; port++) {
		ck_assert_int_eq(explain(n), OUTCOME_SYN_ACCEPTED);
		syn_from(n + port * PORT);
		passes();
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_ACCEPTED), before + 100);
	ck_assert_uint_eq(services[WEB].wary_until_ns, until_ns);
}
END_TEST

START_TEST(an_exempt_service_honours_the_cookies_of_before)
{
	uint32_t cookie;

	enter(SERVICE_ARMED);
	cookie = challenge(1);
	services[WEB].exempt = true;
	enter(SERVICE_DRAINING);
	third_ack(1, cookie);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
}
END_TEST

/* As the table says, and with cookies that cannot be sent (1) or not be honoured (2). */
START_TEST(what_is_explained_is_what_happens)
{
	uint32_t n = 1 + (uint32_t)_i / POSTURES;
	unsigned posture = (unsigned)_i % POSTURES;

	five_clients();
	for (unsigned off = 0; off < 3; off++) {
		enum outcome expected = off ? OUTCOME_SYN_ACCEPTED : outcomes[n][posture];
		enum outcome explained;
		uint64_t before = counted(expected);

		enter((enum service_posture)posture);
		guard.cookies_fail_until_ns = off == 1 ? now_ns + 1 : 0;
		services[WEB].untracked = off == 2;
		explained = explain(n);
		ck_assert_int_eq(explained, expected);
		syn_from(n + (100 + off) * PORT);
		ck_assert_uint_eq(counted(expected), before + 1);
		first_ack_from(n + (100 + off) * PORT, TCP_RST);
	}
}
END_TEST

static const enum outcome syn_outcomes[] = {
	OUTCOME_SYN_ACCEPTED,          OUTCOME_SYN_RETRANSMITTED, OUTCOME_SYN_DIRECT,   OUTCOME_SYN_CHALLENGED,
	OUTCOME_SYN_SOURCE_CHALLENGED, OUTCOME_SYN_CAPPED,        OUTCOME_SYN_TO_LEARN,
};
#define SYN_OUTCOMES (sizeof(syn_outcomes) / sizeof(syn_outcomes[0]))

/* Which of them went up, by one, since `before`. */
static enum outcome counted_since(const uint64_t before[OUTCOME_COUNT])
{
	enum outcome outcome = OUTCOME_COUNT;

	for (unsigned i = 0; i < SYN_OUTCOMES; i++) {
		uint64_t more = counted(syn_outcomes[i]) - before[syn_outcomes[i]];

		must(more == 0 || (more == 1 && outcome == OUTCOME_COUNT));
		if (more)
			outcome = syn_outcomes[i];
	}
	return outcome;
}

/* What the supervisor and the rest of the world do. */
static void world_turns(uint64_t *seed)
{
	now_ns +=
		random_below(seed, 50) ? random_below(seed, 5) * NSEC_PER_MSEC : random_below(seed, 12) * NSEC_PER_SEC;
	if (random_below(seed, 50) == 0)
		enter((enum service_posture)random_below(seed, POSTURES));
	if (random_below(seed, 300) == 0)
		guard_cookies_fail(&guard, now_ns);
	services[WEB].untracked = random_below(seed, 300) == 0;
	services[WEB].exempt = random_below(seed, 300) == 0;
	if (random_below(seed, 100) == 0)
		services[WEB].everybody = !services[WEB].everybody;
	if (random_below(seed, 50) == 0) {
		services[WEB].kernel_held = services[WEB].half_open;
		services[WEB].begun_since = 0;
	}
	guard.limits.observe = random_below(seed, 10) == 0;
	while (due())
		guard_let_go(&guard, decision.splice);
}

static void client_goes_on(uint64_t *seed, uint32_t n)
{
	if (decision.send == SEND_TO_CLIENT && random_below(seed, 2))
		third_ack(n, decision.segment.seq);
	else if (decision.act == ACT_PASS && random_below(seed, 2))
		first_ack_from(n, random_below(seed, 4) ? TCP_ACK : TCP_RST);
}

/* Each SYN has one outcome, the explained one, and to explain it changes nothing. */
START_TEST(over_a_long_random_life_what_is_foretold_happens_and_each_syn_counts_once)
{
	uint64_t before[OUTCOME_COUNT], seed = 77, sum = 0;

	guard.limits.policy.rate_per_s = 20;
	guard.limits.policy.rate_burst = 10;
	cap_init(guard.replies, 40, &key, now_ns);
	for (unsigned i = 0; i < 50000; i++) {
		uint32_t n = random_below(&seed, 12) + random_below(&seed, 40) * PORT;
		struct segment syn = syn_of(n);
		struct flow flow = flow_from_client(&syn);
		bool begun = halfopen_find(guard.halfopen, &flow);
		struct source *source = source_of(n), noted = source ? *source : (struct source){.syns = 0};
		enum outcome explained = explain(n), outcome;
		bool challenged;

		must(!source || memcmp(source, &noted, sizeof(noted)) == 0);
		memcpy(before, guard.counters, sizeof(before));
		challenged = guard_challenges(&guard, &syn, now_ns);
		offer(&syn);
		outcome = counted_since(before);
		must(challenged == (decision.send == SEND_TO_CLIENT || outcome == OUTCOME_SYN_CAPPED));
		must(begun ? outcome == OUTCOME_SYN_RETRANSMITTED
			   : outcome == explained || (outcome == OUTCOME_SYN_CAPPED && !guard.limits.observe &&
						      (explained == OUTCOME_SYN_CHALLENGED ||
						       explained == OUTCOME_SYN_SOURCE_CHALLENGED)));
		must((decision.act == ACT_PASS) ==
		     (guard.limits.observe || outcome == OUTCOME_SYN_ACCEPTED || outcome == OUTCOME_SYN_DIRECT ||
		      outcome == OUTCOME_SYN_RETRANSMITTED));
		must((decision.send == SEND_TO_CLIENT) == (decision.act == ACT_DROP && outcome != OUTCOME_SYN_CAPPED));
		must(services[WEB].half_open == halfopen_count(guard.halfopen));
		client_goes_on(&seed, n);
		world_turns(&seed);
	}
	for (unsigned i = 0; i < SYN_OUTCOMES; i++) {
		ck_assert(syn_outcomes[i] == OUTCOME_SYN_TO_LEARN || counted(syn_outcomes[i]) > 100);
		sum += counted(syn_outcomes[i]);
	}
	ck_assert_uint_eq(sum, 50000);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RECEIVED), 50000);
}
END_TEST

static Suite *guard_policy_suite(void)
{
	Suite *suite = suite_create("guard_policy");
	TCase *proven = tcase_create("proven");
	TCase *all = tcase_create("all");

	suite_add_tcase(suite, proven);
	tcase_add_checked_fixture(proven, guard_make_policy, guard_drop);
	tcase_add_test(proven, a_proven_source_goes_direct_up_to_its_budget);
	tcase_add_test(proven, direct_handshakes_are_watched_like_others);
	tcase_add_test(proven, a_proven_source_is_challenged_when_the_service_has_no_room);
	tcase_add_loop_test(proven, the_larger_of_what_we_and_the_kernel_know_counts_against_the_room, 0, 7);
	tcase_add_test(proven, what_clients_end_gives_room_and_what_expires_does_not_until_the_kernel_is_asked);
	tcase_add_test(proven, what_the_kernel_holds_is_never_less_than_nothing);
	tcase_add_test(proven, what_the_kernel_holds_neither_trips_nor_challenges);
	tcase_add_test(proven, where_everybody_gets_a_cookie_a_proven_source_does_too);
	tcase_add_test(proven, where_everybody_gets_a_cookie_nobody_does_without_rules_that_honour_it);
	tcase_add_test(proven, a_handshake_proves_for_exactly_its_time);
	tcase_add_test(proven, a_proven_source_that_is_wary_is_challenged_on_its_own_account);
	tcase_add_test(proven, connections_beyond_the_rate_end_the_direct_way);
	tcase_add_loop_test(proven, an_ack_alone_ends_a_handshake_so_that_it_proves_its_source, 0, 4);
	tcase_add_loop_test(proven, a_returned_cookie_proves_its_source, 0, 2);
	tcase_add_test(proven, an_ack_without_a_valid_cookie_proves_nothing);
	tcase_add_test(proven, a_syn_to_learn_from_is_counted_against_its_source);

	suite_add_tcase(suite, all);
	tcase_add_checked_fixture(all, guard_make_policy, guard_drop);
	tcase_add_loop_test(all, an_observer_counts_each_outcome_and_neither_sends_nor_drops, 0, 5 * POSTURES);
	tcase_add_loop_test(all, an_exempt_service_challenges_nobody_in_any_posture, 0, 5 * POSTURES);
	tcase_add_test(all, an_exempt_service_honours_the_cookies_of_before);
	tcase_add_loop_test(all, what_is_explained_is_what_happens, 0, 5 * POSTURES);
	tcase_add_test(all, over_a_long_random_life_what_is_foretold_happens_and_each_syn_counts_once);
	return suite;
}

int main(void)
{
	return unit_main(guard_policy_suite());
}
