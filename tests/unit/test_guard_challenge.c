/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who gets a cookie, what it looks like, and how the server's options are learned for it. */
#include "guard_world.h"

/* Anybody can make some fail, by a source that is not to be reached. */
START_TEST(cookies_that_cannot_be_sent_prove_nothing_while_others_are)
{
	learn(false);
	arm();
	guard_cookies_work(&guard, now_ns);
	now_ns += NSEC_PER_SEC - 1;
	guard_cookies_fail(&guard, now_ns);
	syn_from(1);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	now_ns++;
	guard_cookies_fail(&guard, now_ns);
	syn_from(2);
	ck_assert_int_eq(decision.act, ACT_PASS);
}
END_TEST

START_TEST(while_cookies_cannot_be_sent_syns_pass)
{
	learn(false);
	arm();
	syn_from(1);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	guard_cookies_fail(&guard, now_ns);
	syn_from(2);
	ck_assert_int_eq(decision.act, ACT_PASS);
	now_ns += 5 * NSEC_PER_SEC;
	syn_from(3);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
}
END_TEST

/* Sources 1, 2, 3 are of one /24. */
START_TEST(a_network_that_answers_nothing_is_left_in_peace)
{
	cap_init(guard.replies, 2, &key, now_ns);
	learn(false);
	arm();
	syn_from(1);
	syn_from(2);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	syn_from(3);
	decided(ACT_DROP, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CAPPED), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 2);
}
END_TEST

START_TEST(clients_that_answer_are_not_capped)
{
	cap_init(guard.replies, 1, &key, now_ns);
	learn(false);
	arm();
	for (uint32_t n = 1; n <= 3; n++) {
		struct segment segment;

		syn_from(n);
		decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
		segment = ack_of(n, decision.segment.seq);
		ack(&segment);
		decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	}
}
END_TEST

/* TCP-MD5 or TCP-AO, and whether the kernel checks the one or the other. */
static void offer_signed(uint32_t n, bool ao, bool checks_md5, bool checks_ao)
{
	struct segment syn = syn_of(n);

	guard.limits.kernel_checks_md5 = checks_md5;
	guard.limits.kernel_checks_ao = checks_ao;
	syn.options.md5 = !ao;
	syn.options.ao = ao;
	offer(&syn);
}

#define POSTURES 4

/* In each posture: with TCP-MD5, with TCP-AO, from IPv6, and while we only observe. */
START_TEST(a_signed_syn_is_the_kernels_to_judge)
{
	unsigned how = (unsigned)_i / POSTURES;
	bool ao = how == 1;

	service_enter(&services[WEB], (enum service_posture)(_i % POSTURES), now_ns);
	guard.limits.observe = how == 3;
	for (uint32_t n = 1; n <= 100; n++) { /* from anybody, at any number */
		offer_signed(how == 2 ? V6 + n : n, ao, !ao, ao);
		decided(ACT_PASS, TREAT_SEEN, SEND_NOTHING);
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_RECEIVED), 100);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SIGNED), 100);
	ck_assert_uint_eq(services[WEB].half_open, 0);
	ck_assert_uint_eq(halfopen_count(guard.halfopen), 0);
	ck_assert_uint_eq(source_count(guard.sources), 0);
	ck_assert_uint_eq(guard.tallies[WEB].totals.syns, 0);
	ck_assert_uint_eq(tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns), 0);
	ck_assert_uint_eq(services[WEB].wary_until_ns, 0);
}
END_TEST

/* Anybody can write it. 0, 2: the kernel checks none; 1, 3: the other. */
START_TEST(a_signature_that_the_kernel_does_not_check_is_just_an_option)
{
	bool ao = _i >= 2, other = _i % 2;

	learn(false);
	offer_signed(1, ao, other && ao, other && !ao);
	ck_assert_int_eq(decision.act, ACT_PASS);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_ACCEPTED), 1);
	arm();
	for (uint32_t n = 2; n < 10; n++) {
		offer_signed(n, ao, other && ao, other && !ao);
		decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
		ck_assert(!decision.segment.options.md5 && !decision.segment.options.ao);
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 8);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SIGNED), 0);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(source_count(guard.sources), 9);
	ck_assert_uint_eq(tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns), 8);
}
END_TEST

START_TEST(an_unsigned_syn_is_challenged_where_the_kernel_checks_signatures)
{
	guard.limits.kernel_checks_md5 = guard.limits.kernel_checks_ao = true;
	learn(false);
	arm();
	challenge(1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SIGNED), 0);
}
END_TEST

START_TEST(a_signed_syn_to_no_service_is_one_to_no_service)
{
	struct segment syn = syn_of(1);

	guard.limits.kernel_checks_md5 = true;
	syn.options.md5 = true;
	syn.destination_port = 81;
	offer(&syn);
	decided(ACT_PASS, TREAT_SEEN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_SYN_UNKNOWN), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SIGNED), 0);
}
END_TEST

/* ---- challenge ---- */

static void challenge_is(const struct segment *syn, struct segment expected)
{
	struct cookie_options carried;
	struct flow flow = flow_from_client(syn);

	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	expected.source = syn->destination;
	expected.destination = syn->source;
	expected.source_port = 80;
	expected.destination_port = 40000;
	expected.seq = decision.segment.seq;
	expected.ack = syn->seq + 1;
	expected.flags = TCP_SYN | TCP_ACK;
	expected.hops = 64;
	segment_is(&expected);
	ck_assert_uint_eq(decision.interface, INTERFACE);
	ck_assert(cookie_check(&guard_secret, &flow, syn->seq, decision.segment.seq, &carried));
	ck_assert_int_eq(carried.sack, expected.options.sack);
	ck_assert_int_eq(carried.wscale >= 0, expected.options.wscale >= 0);
}

START_TEST(a_challenge_looks_like_the_servers_own_syn_ack)
{
	struct segment syn = syn_of(_i ? V6 + 1 : 1);
	struct segment expected = {.window = SERVER_WINDOW, .options = server_options};

	expected.options.tsval = 0;
	expected.options.tsecr = 5000;
	offer(&syn);
	challenge_is(&syn, expected);
	ck_assert_int_eq(decision.trip, -1);
	ck_assert_ptr_null(decision.splice);
}
END_TEST

START_TEST(a_challenge_stores_nothing_but_numbers)
{
	struct segment syn = syn_of(1);

	offer(&syn);
	offer(&syn);
	ck_assert_uint_eq(halfopen_count(guard.halfopen), 0);
	ck_assert_uint_eq(services[WEB].half_open, 0);
	ck_assert_uint_eq(splice_count(guard.splices), 0);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 2);
	ck_assert_uint_eq(source_find(guard.sources, &syn.source)->challenged, 2);
	ck_assert_uint_eq(tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns), 2);
}
END_TEST

START_TEST(a_client_that_offers_nothing_is_offered_nothing)
{
	struct segment syn = syn_of(_i ? V6 + 1 : 1);
	struct cookie_options carried;
	struct flow flow = flow_from_client(&syn);

	syn.options = (struct tcp_options){.wscale = -1};
	offer(&syn);
	challenge_is(&syn, (struct segment){.window = SERVER_WINDOW, .options = {.mss = 1380, .wscale = -1}});
	cookie_check(&guard_secret, &flow, syn.seq, decision.segment.seq, &carried);
	ck_assert_uint_eq(carried.mss, _i ? 1220 : 536); /* the protocol's default */
}
END_TEST

START_TEST(a_window_scale_of_zero_is_one)
{
	struct segment syn = syn_of(1);

	syn.options.wscale = 0;
	offer(&syn);
	ck_assert_int_eq(decision.segment.options.wscale, 6);
}
END_TEST

START_TEST(what_the_server_does_not_want_is_not_offered)
{
	struct tcp_options bare = {.mss = 1000, .wscale = -1};
	struct segment syn = syn_of(1);

	service_learn(&services[WEB], false, &bare, 4096, ALL_OPTIONS, 0);
	offer(&syn);
	challenge_is(&syn, (struct segment){.window = 4096, .options = {.mss = 1000, .wscale = -1, .tsecr = 5000}});
}
END_TEST

START_TEST(before_the_server_is_known_a_challenge_promises_little)
{
	struct segment syn = syn_of(_i ? V6 + 1 : 1);

	services[WEB].learned[_i] = 0;
	guard.learn_at_ns[WEB][0] = guard.learn_at_ns[WEB][1] = UINT64_MAX;
	offer(&syn);
	challenge_is(&syn, (struct segment){.window = 64240,
					    .options = {.mss = _i ? 1440 : 1460, .wscale = -1, .tsecr = 5000}});
}
END_TEST

START_TEST(a_handshake_the_kernel_has_begun_goes_on_with_the_kernel)
{
	service_enter(&services[WEB], SERVICE_WATCHING, now_ns);
	syn_from(1);
	arm();
	syn_from(1);
	ck_assert_int_eq(decision.act, ACT_PASS);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RETRANSMITTED), 1);
	challenge(2);
}
END_TEST

START_TEST(a_draining_service_lets_syns_pass)
{
	service_enter(&services[WEB], SERVICE_DRAINING, now_ns);
	syn_from(1);
	ck_assert_int_eq(decision.act, ACT_PASS);
	ck_assert_uint_eq(services[WEB].half_open, 1);
}
END_TEST

START_TEST(an_observer_counts_what_it_would_challenge_and_sends_nothing)
{
	guard.limits.observe = true;
	guard.learn_at_ns[WEB][0] = guard.learn_at_ns[WEB][1] = UINT64_MAX;
	for (unsigned i = 0; i < 2; i++) {
		syn_from(1);
		decided(ACT_PASS, TREAT_HALF_OPEN, SEND_NOTHING);
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RETRANSMITTED), 1);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns), 0);
}
END_TEST

/* ---- learning ---- */

START_TEST(in_peace_the_first_syn_is_learned_from_and_then_one_a_second)
{
	syn_from(1);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	answer_from_server(1, TCP_SYN | TCP_ACK);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	now_ns += LEARN_NEW_NS;
	syn_from(2);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING); /* is it still so? */
	now_ns += NSEC_PER_SEC - 1;
	syn_from(3);
	decided(ACT_PASS, TREAT_HALF_OPEN, SEND_NOTHING);
	now_ns++;
	syn_from(3);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
}
END_TEST

START_TEST(a_syn_that_offers_less_than_is_known_has_nothing_to_teach)
{
	struct segment syn = syn_of(1);

	service_learn(&services[WEB], false, &server_options, SERVER_WINDOW, LEARNED_BASE | LEARNED_SACK, 0);
	syn.options.sack = syn.options.timestamps = false;
	syn.options.wscale = -1;
	offer(&syn);
	decided(ACT_PASS, TREAT_HALF_OPEN, SEND_NOTHING);
	syn.options.timestamps = true; /* news, though SACK is missing */
	offer(&syn);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
}
END_TEST

START_TEST(a_servers_answer_teaches_its_options)
{
	struct service_learned learned;

	syn_from(_i ? V6 + 1 : 1);
	answer_from_server(_i ? V6 + 1 : 1, TCP_SYN | TCP_ACK);
	learned = service_learned(&services[WEB], _i);
	ck_assert_uint_eq(learned.known, ALL_OPTIONS);
	ck_assert_uint_eq(learned.mss, 1380);
	ck_assert_uint_eq(learned.window, SERVER_WINDOW);
	ck_assert_int_eq(learned.wscale, 6);
	ck_assert(learned.sack && learned.timestamps);
	ck_assert_uint_eq(service_learned(&services[WEB], !_i).known, 0);
	ck_assert_uint_eq(counted(OUTCOME_OPTIONS_LEARNED), 1);
	ck_assert_uint_eq(services[WEB].half_open, 1); /* its third ACK is still to come */
}
END_TEST

START_TEST(an_option_the_syn_did_not_offer_is_not_learned_as_refused)
{
	struct segment syn = syn_of(1), bare = answer_to(1, TCP_SYN | TCP_ACK);

	syn.options = (struct tcp_options){.mss = 1460, .wscale = -1};
	bare.options = (struct tcp_options){.mss = 1380, .wscale = -1};
	offer(&syn);
	answer(&bare);
	ck_assert_uint_eq(service_learned(&services[WEB], false).known, LEARNED_BASE);
}
END_TEST

START_TEST(an_armed_service_not_known_yet_lets_a_syn_pass_every_20_ms_until_it_is)
{
	arm();
	syn_from(1);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_SYN_TO_LEARN), 1);
	now_ns += LEARN_NEW_NS - 1;
	challenge(2);
	now_ns++;
	syn_from(3);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	answer_from_server(3, TCP_SYN | TCP_ACK);
	for (uint32_t n = 4; n < 100; n++, now_ns += NSEC_PER_SEC)
		challenge(n);
	ck_assert_uint_eq(counted(OUTCOME_SYN_TO_LEARN), 2);
}
END_TEST

START_TEST(an_armed_service_lets_a_syn_pass_that_offers_something_new)
{
	struct tcp_options bare = {.mss = 1380, .wscale = -1};
	struct segment syn = syn_of(2);

	service_learn(&services[WEB], false, &bare, 100, LEARNED_BASE | LEARNED_SACK, 0);
	arm();
	syn.options = (struct tcp_options){.mss = 1460, .wscale = -1, .sack = true};
	offer(&syn);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	syn_from(1);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
}
END_TEST

static Suite *guard_challenge_suite(void)
{
	Suite *suite = suite_create("guard_challenge");
	TCase *watching = tcase_create("watching");
	TCase *armed = tcase_create("armed");

	suite_add_tcase(suite, watching);
	tcase_add_checked_fixture(watching, guard_make, guard_drop);
	tcase_add_test(watching, while_cookies_cannot_be_sent_syns_pass);
	tcase_add_test(watching, cookies_that_cannot_be_sent_prove_nothing_while_others_are);
	tcase_add_test(watching, a_network_that_answers_nothing_is_left_in_peace);
	tcase_add_test(watching, clients_that_answer_are_not_capped);
	tcase_add_loop_test(watching, a_signed_syn_is_the_kernels_to_judge, 0, 4 * POSTURES);
	tcase_add_loop_test(watching, a_signature_that_the_kernel_does_not_check_is_just_an_option, 0, 4);
	tcase_add_test(watching, an_unsigned_syn_is_challenged_where_the_kernel_checks_signatures);
	tcase_add_test(watching, a_signed_syn_to_no_service_is_one_to_no_service);
	tcase_add_test(watching, in_peace_the_first_syn_is_learned_from_and_then_one_a_second);
	tcase_add_test(watching, a_syn_that_offers_less_than_is_known_has_nothing_to_teach);
	tcase_add_loop_test(watching, a_servers_answer_teaches_its_options, 0, 2);
	tcase_add_test(watching, an_option_the_syn_did_not_offer_is_not_learned_as_refused);
	tcase_add_test(watching, an_armed_service_not_known_yet_lets_a_syn_pass_every_20_ms_until_it_is);
	tcase_add_test(watching, an_armed_service_lets_a_syn_pass_that_offers_something_new);

	suite_add_tcase(suite, armed);
	tcase_add_checked_fixture(armed, guard_make_armed, guard_drop);
	tcase_add_loop_test(armed, a_challenge_looks_like_the_servers_own_syn_ack, 0, 2);
	tcase_add_test(armed, a_challenge_stores_nothing_but_numbers);
	tcase_add_loop_test(armed, a_client_that_offers_nothing_is_offered_nothing, 0, 2);
	tcase_add_test(armed, a_window_scale_of_zero_is_one);
	tcase_add_test(armed, what_the_server_does_not_want_is_not_offered);
	tcase_add_loop_test(armed, before_the_server_is_known_a_challenge_promises_little, 0, 2);
	tcase_add_test(armed, a_handshake_the_kernel_has_begun_goes_on_with_the_kernel);
	tcase_add_test(armed, a_draining_service_lets_syns_pass);
	tcase_add_test(armed, an_observer_counts_what_it_would_challenge_and_sends_nothing);
	return suite;
}

int main(void)
{
	return unit_main(guard_challenge_suite());
}
