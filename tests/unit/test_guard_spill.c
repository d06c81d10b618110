/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guard_world.h"

static void spill(const struct segment *syn)
{
	forget_decision();
	guard_spilled_soon(&guard, syn);
	guard_spilled(&guard, syn, INTERFACE, now_ns, &decision);
}

static void is_shed(void)
{
	decided(ACT_DROP, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RECEIVED), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SHED), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 0);
}

START_TEST(a_spilled_syn_gets_the_cookie_that_it_would_have_got_queued)
{
	struct segment syn = syn_of(1);
	struct segment queued;

	learn(false);
	arm();
	offer(&syn);
	queued = decision.segment;
	spill(&syn);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(decision.interface, INTERFACE);
	ck_assert_uint_eq(decision.segment.seq, queued.seq);
	ck_assert_uint_eq(decision.segment.ack, queued.ack);
	ck_assert_uint_eq(decision.segment.window, queued.window);
	ck_assert_mem_eq(&decision.segment.options, &queued.options, sizeof(queued.options));
	ck_assert_uint_eq(counted(OUTCOME_SYN_RECEIVED), 2);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 2);
	ck_assert_uint_eq(guard.tallies[WEB].totals.syns, 2);
	ck_assert_uint_eq(guard.tallies[WEB].totals.cookies_sent, 2);
}
END_TEST

START_TEST(a_spilled_syn_counts_against_a_known_source_and_makes_none_known)
{
	struct segment syn = syn_of(1);

	learn(false);
	arm();
	spill(&syn);
	ck_assert_ptr_null(source_find(guard.sources, &syn.source));
	offer(&syn);
	spill(&syn);
	ck_assert_uint_eq(source_find(guard.sources, &syn.source)->syns, 2);
	ck_assert_uint_eq(source_find(guard.sources, &syn.source)->challenged, 2);
}
END_TEST

START_TEST(whoever_may_pass_gets_a_cookie_when_spilled)
{
	struct segment syn = syn_of(1);

	learn(false);
	offer(&syn); /* begun */
	service_enter(&services[WEB], SERVICE_WARY + _i, now_ns);
	spill(&syn);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 1);
}
END_TEST

START_TEST(a_spilled_syn_whose_cookie_nobody_would_honour_is_shed)
{
	struct segment syn = syn_of(1);

	learn(false);
	if (_i == 0)
		syn.destination_port = 81;
	if (_i != 1) /* watching: disarmed in the meantime */
		arm();
	if (_i == 2)
		guard_cookies_fail(&guard, now_ns);
	if (_i == 3)
		services[WEB].untracked = true;
	if (_i == 4)
		guard.limits.observe = true;
	if (_i == 5)
		guard.limits.kernel_checks_md5 = syn.options.md5 = true;
	if (_i == 6)
		guard.limits.kernel_checks_ao = syn.options.ao = true;
	if (_i == 7)
		services[WEB].exempt = true;
	spill(&syn);
	is_shed();
}
END_TEST

/* For whoever is not noted may be in the middle of a handshake all the same. */
START_TEST(that_a_source_not_known_has_got_a_cookie_is_noted)
{
	struct segment syn = syn_of(1);

	learn(false);
	arm();
	offer(&syn);
	spill(&syn); /* known */
	ck_assert_uint_eq(services[WEB].spilled_ns, 0);
	syn = syn_of(300);
	spill(&syn);
	ck_assert_uint_eq(services[WEB].spilled_ns, now_ns);
}
END_TEST

/* Sources 1, 2, 3 are of one /24. */
START_TEST(the_cap_on_replies_holds_for_spilled_syns_and_queued_ones_together)
{
	struct segment syns[] = {syn_of(1), syn_of(2), syn_of(3)};

	cap_init(guard.replies, 2, &key, now_ns);
	learn(false);
	arm();
	offer(&syns[0]);
	spill(&syns[1]);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	spill(&syns[2]);
	decided(ACT_DROP, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CAPPED), 1);
}
END_TEST

static Suite *guard_spill_suite(void)
{
	Suite *suite = suite_create("guard_spill");
	TCase *spilled = tcase_create("spilled");

	suite_add_tcase(suite, spilled);
	tcase_add_checked_fixture(spilled, guard_make, guard_drop);
	tcase_add_test(spilled, a_spilled_syn_gets_the_cookie_that_it_would_have_got_queued);
	tcase_add_test(spilled, a_spilled_syn_counts_against_a_known_source_and_makes_none_known);
	tcase_add_loop_test(spilled, whoever_may_pass_gets_a_cookie_when_spilled, 0,
			    SERVICE_DRAINING - SERVICE_WARY + 1);
	tcase_add_loop_test(spilled, a_spilled_syn_whose_cookie_nobody_would_honour_is_shed, 0, 8);
	tcase_add_test(spilled, that_a_source_not_known_has_got_a_cookie_is_noted);
	tcase_add_test(spilled, the_cap_on_replies_holds_for_spilled_syns_and_queued_ones_together);
	return suite;
}

int main(void)
{
	return unit_main(guard_spill_suite());
}
