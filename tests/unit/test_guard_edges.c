/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rare company of conditions in the guard's decisions. */
#include "guard_world.h"
#include "synmoat/challenge.h"

static void spill(uint32_t n)
{
	struct segment syn = syn_of(n);

	forget_decision();
	guard_spilled(&guard, &syn, INTERFACE, now_ns, &decision);
}

static struct source *source_of(uint32_t n)
{
	struct segment syn = syn_of(n);

	return source_find(guard.sources, &syn.source);
}

/* ---- what was forgotten meanwhile ---- */

START_TEST(a_handshake_ends_though_its_source_was_forgotten)
{
	guard.limits.observe = _i;
	source_free(guard.sources);
	guard.sources = source_new(1, &single_hosts, &key);
	syn_from(1);
	syn_from(2); /* drives out the other */
	ck_assert_ptr_null(source_of(1));
	first_ack_from(1, TCP_ACK);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_COMPLETED), 1);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(source_of(2)->half_open, 1);
	ck_assert_uint_eq(source_of(2)->completed, 0);
}
END_TEST

START_TEST(a_source_known_by_its_cookie_alone_has_no_new_burst_with_its_first_syn)
{
	uint64_t due;

	guard.limits.policy.rate_per_s = 1;
	guard.limits.policy.rate_burst = 3;
	learn(false);
	arm();
	spill(1);
	third_ack(1, decision.segment.seq);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	due = source_of(1)->due;
	ck_assert_uint_eq(source_of(1)->syns, 0);
	ck_assert_uint_eq(source_of(1)->completed, 1);
	syn_from(1 + PORT);
	ck_assert_uint_eq(source_of(1)->syns, 1);
	ck_assert_uint_eq(source_of(1)->due, due);
}
END_TEST

/* ---- who answers ---- */

/* A server behind this host, armed, of which all is known, but nothing was heard for long. */
static void silent_server(void)
{
	learn(false);
	arm();
	services[WEB].behind = true;
	for (uint32_t n = 1; n <= 4; n++)
		challenge(n);
}

START_TEST(a_syn_that_would_not_reach_the_server_is_no_probe)
{
	struct segment syn = syn_of(5);

	silent_server();
	syn.hops = 7;
	offer(&syn);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	syn.hops = 8;
	offer(&syn);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_SYN_TO_LEARN), 1);
}
END_TEST

START_TEST(a_probe_is_the_fifth_syn_at_the_earliest_and_one_a_second_at_most)
{
	silent_server();
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 4);
	syn_from(5);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	now_ns += NSEC_PER_SEC - 1;
	for (uint32_t n = 6; n < 12; n++)
		challenge(n);
	now_ns++;
	syn_from(12);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_SYN_TO_LEARN), 2);
	now_ns += NSEC_PER_SEC;
	for (uint32_t n = 13; n < 17; n++)
		challenge(n);
	syn_from(17);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
}
END_TEST

START_TEST(a_syn_repeated_to_a_network_is_no_news_and_no_second_handshake)
{
	services[WEB].behind = true;
	services[WEB].host_bits = 8;
	syn_from(1);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	syn_from(1);
	decided(ACT_PASS, TREAT_HALF_OPEN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RETRANSMITTED), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_UNFOUND), 0);
	syn_from(2);
	decided(ACT_PASS, TREAT_SEEN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_SYN_UNFOUND), 1);
}
END_TEST

START_TEST(only_a_syn_ack_tells_that_a_server_is_there)
{
	static const uint8_t flags[] = {TCP_SYN, TCP_ACK, TCP_RST | TCP_ACK};

	services[WEB].behind = true;
	services[WEB].answers = SERVICE_ANSWERS_NOT_YET;
	for (unsigned i = 0; i < sizeof(flags); i++) {
		answer_from_server(1, flags[i]);
		ck_assert_int_eq(services[WEB].answers, SERVICE_ANSWERS_NOT_YET);
	}
	answer_from_server(1, TCP_SYN | TCP_ACK);
	ck_assert_int_eq(services[WEB].answers, SERVICE_ANSWERS);
}
END_TEST

START_TEST(only_a_syn_ack_teaches_options)
{
	static const uint8_t flags[] = {TCP_SYN, TCP_ACK, TCP_ACK | TCP_FIN, 0};

	syn_from(1);
	for (unsigned i = 0; i < sizeof(flags); i++) {
		answer_from_server(1, flags[i]);
		decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
		ck_assert_uint_eq(counted(OUTCOME_OPTIONS_LEARNED), 0);
		ck_assert_uint_eq(service_learned(&services[WEB], false).known, 0);
	}
	answer_from_server(1, TCP_SYN | TCP_ACK);
	ck_assert_uint_eq(counted(OUTCOME_OPTIONS_LEARNED), 1);
}
END_TEST

/* Timestamps, and a number further on (what was lost comes again), are nothing to what a RST has to look like. */
START_TEST(any_ack_of_the_client_ends_the_half_open_entry)
{
	struct segment first = client_to_web(1, TCP_ACK);

	syn_from(1);
	first.seq += 1 + (_i ? 100 : 0);
	first.options.timestamps = !_i;
	forget_decision();
	guard_first_ack(&guard, &first, now_ns, &decision);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_COMPLETED), 1);
}
END_TEST

START_TEST(whose_network_has_had_its_replies_is_told_so)
{
	struct addr client = host(false, 1);

	cap_init(guard.replies, 1, &key, now_ns);
	learn(false);
	service_enter(&services[WEB], _i ? SERVICE_WARY : SERVICE_ARMED, now_ns);
	if (_i) {
		guard.limits.policy.half_open_limit = 2;
		syn_from(1);
		source_of(1)->half_open = 2;
	}
	ck_assert_int_eq(guard_explain(&guard, &client, WEB, now_ns),
			 _i ? OUTCOME_SYN_SOURCE_CHALLENGED : OUTCOME_SYN_CHALLENGED);
	challenge(1 + PORT);
	ck_assert_int_eq(guard_explain(&guard, &client, WEB, now_ns), OUTCOME_SYN_CAPPED);
	guard.limits.observe = true; /* nothing would be sent */
	ck_assert_int_eq(guard_explain(&guard, &client, WEB, now_ns),
			 _i ? OUTCOME_SYN_SOURCE_CHALLENGED : OUTCOME_SYN_CHALLENGED);
}
END_TEST

/* ---- handovers ---- */

START_TEST(a_syn_that_conntrack_does_not_see_harms_no_handover_that_is_done)
{
	hand_over(1);
	first_ack_from(1, TCP_SYN);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert(!services[WEB].untracked);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_UNTRACKED), 0);
	first_ack_from(2, TCP_SYN); /* of nothing known */
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert(!services[WEB].untracked);
}
END_TEST

/* They were told of a scale: each would overrun the windows that the server now means. */
START_TEST(who_was_challenged_before_the_server_stopped_scaling_is_reset)
{
	uint32_t cookies[] = {challenge(1), challenge(2)};
	struct segment unscaled = answer_to(1, TCP_SYN | TCP_ACK);

	unscaled.options.wscale = -1;
	third_ack(1, cookies[0]);
	answer(&unscaled);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	third_ack(2, cookies[1]);
	unscaled = answer_to(2, TCP_SYN | TCP_ACK);
	unscaled.options.wscale = -1;
	answer(&unscaled);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
}
END_TEST

START_TEST(a_handover_is_pressed_out_when_more_than_three_quarters_of_what_may_be_held_is_held)
{
	struct splice *splice;

	guard.limits.held_max = 8;
	splice = begin_handover(1);
	now_ns += 2 * NSEC_PER_SEC;
	ck_assert(due()); /* asked again: it may be pressed out from now on */
	for (uint32_t id = 1; id <= 6; id++)
		guard_held(&guard, splice, id);
	ck_assert(!due());
	guard_held(&guard, splice, 7);
	ck_assert(due());
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_FAILED), 1);
}
END_TEST

/* Its time to be asked for again is that of a first SYN. */
START_TEST(a_client_that_begins_anew_is_asked_again_after_one_second)
{
	struct siphash_key other = {{91, 92}};
	struct splice *splice = begin_handover(1);

	now_ns += NSEC_PER_SEC;
	ck_assert(due());
	cookie_rotate(&guard_secret, &other);
	third_ack(1, challenge(1));
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	ck_assert_ptr_eq(splice_of(1), splice);
	now_ns += NSEC_PER_SEC - 1;
	ck_assert(!due());
	now_ns++;
	ck_assert(due());
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_ptr_eq(decision.splice, splice);
}
END_TEST

/* A byte, with the third ACK or after it: then the kernel may have the connection already, and its server says nothing. */
START_TEST(one_byte_is_data)
{
	uint32_t cookie = challenge(1);
	struct segment data = ack_of(1, cookie);

	if (_i)
		third_ack(1, cookie);
	data.payload = (const uint8_t *)"x";
	data.payload_bytes = 1;
	ack(&data);
	ck_assert_int_eq(decision.act, _i ? ACT_HOLD : ACT_REWRITE);
	ck_assert(!decision.drop_held);
	ck_assert(splice_of(1)->data_sent);
}
END_TEST

START_TEST(none_of_those_that_wait_for_their_ban_is_listed_twice)
{
	guard.limits.policy.rate_per_s = 1;
	guard.limits.policy.ban_s = 60;
	for (unsigned round = 0; round < 6; round++)
		for (uint32_t n = 1; n <= 3; n++) {
			third_ack(n + round * PORT, challenge(n + round * PORT));
			while (guard.splices && splice_any(guard.splices))
				splice_remove(guard.splices, splice_any(guard.splices));
		}
	ck_assert_uint_eq(guard.ban_count, 3);
	ck_assert_uint_gt(counted(OUTCOME_ACK_OVER_RATE), 3);
	for (uint32_t n = 1; n <= 3; n++)
		ck_assert(addr_equal(&guard.bans[n - 1], &source_of(n)->net));
}
END_TEST

/* Three quarters of twelve. */
START_TEST(handovers_are_pressed_out_as_soon_as_nine_of_twelve_places_are_taken)
{
	splice_free(guard.splices);
	guard.splices = splice_new(12, &key);
	guard.limits.handovers_max = 12;
	begin_handover(1);
	now_ns += NSEC_PER_SEC;
	ck_assert(due());
	for (uint32_t n = 2; n <= 8; n++)
		begin_handover(n);
	ck_assert(!due());
	begin_handover(9);
	ck_assert(due());
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_FAILED), 1);
	ck_assert(!due());
}
END_TEST

START_TEST(handovers_are_pressed_out_when_more_than_nine_of_twelve_packets_are_held)
{
	struct splice *splice = begin_handover(1);

	guard.limits.held_max = 12;
	now_ns += NSEC_PER_SEC;
	ck_assert(due());
	for (uint32_t id = 1; id <= 9; id++)
		guard_held(&guard, splice, id);
	ck_assert(!due());
	guard_held(&guard, splice, 10);
	ck_assert(due());
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_FAILED), 1);
}
END_TEST

START_TEST(a_payload_of_exactly_the_room_there_is_fits)
{
	static uint8_t payload[SPLICE_PAYLOAD_BYTES + 1];
	struct segment data = ack_of(1, challenge(1));

	data.flags |= TCP_FIN;
	data.payload = payload;
	data.payload_bytes = SPLICE_PAYLOAD_BYTES + (uint32_t)_i;
	ack(&data);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	ck_assert_uint_eq(splice_of(1)->payload_bytes, _i ? 0 : SPLICE_PAYLOAD_BYTES);
	ck_assert_uint_eq(splice_of(1)->flags & TCP_FIN, _i ? 0 : TCP_FIN);
}
END_TEST

START_TEST(an_answer_makes_the_next_four_cookies_go_out_before_a_probe)
{
	silent_server();
	answer_from_server(1, TCP_SYN | TCP_ACK);
	now_ns += 60 * NSEC_PER_SEC; /* stale again */
	for (uint32_t n = 11; n <= 14; n++)
		challenge(n);
	syn_from(15);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
}
END_TEST

/* Of an old connection on these ports, though its number be that of the SYN. */
START_TEST(an_ack_is_no_syn_ack_whatever_it_acknowledges)
{
	begin_handover(1);
	answer_from_server(1, TCP_ACK);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_SERVER);
	ck_assert_uint_eq(decision.segment.flags, TCP_RST);
	ck_assert_int_eq(splice_of(1)->state, SPLICE_SYN_SENT);
}
END_TEST

START_TEST(what_acknowledges_nothing_passes_by_a_handover)
{
	static const uint8_t flags[] = {TCP_SYN, 0, TCP_RST, TCP_FIN};

	begin_handover(1);
	answer_from_server(1, flags[_i]);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_int_eq(splice_of(1)->state, SPLICE_SYN_SENT);
}
END_TEST

/* ---- what has spilled ---- */

START_TEST(a_spilled_syn_of_a_wary_source_counts_as_such)
{
	guard.limits.policy.half_open_limit = 2;
	service_enter(&services[WEB], SERVICE_WARY, now_ns);
	syn_from(1);
	source_of(1)->half_open = 1;
	spill(1 + PORT);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 1);
	source_of(1)->half_open = 2;
	spill(1 + 2 * PORT);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(counted(OUTCOME_SYN_CHALLENGED), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_SOURCE_CHALLENGED), 1);
	ck_assert_uint_eq(guard.tallies[WEB].totals.cookies_sent, 2);
	ck_assert_int_eq(tally_unanswered(&guard.tallies[WEB], 1, now_ns), 1); /* that one is its source's matter */
}
END_TEST

START_TEST(the_numbers_of_a_source_do_not_wrap_around_when_its_syns_spill)
{
	learn(false);
	arm();
	syn_from(1);
	source_of(1)->syns = source_of(1)->challenged = UINT32_MAX - 1;
	for (unsigned i = 0; i < 3; i++)
		spill(1);
	ck_assert_uint_eq(source_of(1)->syns, UINT32_MAX);
	ck_assert_uint_eq(source_of(1)->challenged, UINT32_MAX);
}
END_TEST

START_TEST(after_a_failure_cookies_are_tried_again_at_exactly_its_time)
{
	learn(false);
	arm();
	guard_cookies_fail(&guard, now_ns);
	now_ns += 5 * NSEC_PER_SEC - 1;
	syn_from(1);
	ck_assert_int_eq(decision.act, ACT_PASS);
	now_ns++;
	syn_from(2);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
}
END_TEST

/* ---- what a cookie is made from ---- */

START_TEST(a_client_that_says_nothing_is_taken_at_the_protocols_word)
{
	struct segment syn = client_to_web(_i ? V6 : 1, TCP_SYN);
	struct service_learned learned = {.mss = 1380, .wscale = 6, .sack = true, .timestamps = true, .known = 15};
	struct cookie_options carried;
	struct segment said;

	challenge_answer(&syn, &learned, &said, &carried);
	ck_assert_uint_eq(carried.mss, _i ? 1220 : 536);
	ck_assert_int_eq(carried.wscale, -1);
	ck_assert(!carried.sack);
	ck_assert_uint_eq(said.options.mss, 1380);
	ck_assert_int_eq(said.options.wscale, -1);
	ck_assert(!said.options.sack);
	ck_assert(!said.options.timestamps);
	learned = (struct service_learned){.wscale = -1};
	challenge_answer(&syn, &learned, &said, &carried);
	ck_assert_uint_eq(said.options.mss, _i ? 1440 : 1460);
}
END_TEST

START_TEST(a_client_that_says_something_is_taken_at_its_word)
{
	struct segment syn = syn_of(1);
	struct service_learned learned = {.mss = 1380, .wscale = 0, .sack = true, .timestamps = true, .known = 15};
	struct cookie_options carried;
	struct segment said;

	syn.options.wscale = 0;
	syn.options.mss = 1;
	challenge_answer(&syn, &learned, &said, &carried);
	ck_assert_uint_eq(carried.mss, 1);
	ck_assert_int_eq(carried.wscale, 0);
	ck_assert(carried.sack);
	ck_assert_int_eq(said.options.wscale, 0);
	ck_assert(said.options.timestamps);
	ck_assert_uint_eq(said.options.tsval, 0);
}
END_TEST

/* ---- the first of the services ---- */

static void first_service(void)
{
	struct service_binding binding = {address("192.0.2.1"), 80, 0, 0};

	guard_make();
	service_map_free(map);
	map = service_map_new(&binding, 1);
	guard.map = map;
	service_set_limit(&services[0], 8, &thresholds);
	service_learn(&services[0], false, &server_options, SERVER_WINDOW, ALL_OPTIONS, 0);
}

START_TEST(the_service_with_the_index_0_trips_like_any_other)
{
	for (uint32_t n = 1; n < 4; n++) {
		syn_from(n);
		ck_assert_int_eq(decision.trip, -1);
	}
	syn_from(4);
	ck_assert_int_eq(decision.trip, 0);
}
END_TEST

START_TEST(the_service_with_the_index_0_is_protected_like_any_other)
{
	struct segment syn = syn_of(9);

	service_enter(&services[0], SERVICE_ARMED, now_ns);
	ck_assert(guard_challenges(&guard, &syn, now_ns));
	third_ack(1, challenge(1));
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	spill(2);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	third_ack(2, decision.segment.seq);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	ck_assert_uint_eq(guard.tallies[0].totals.syns, 2);
	ck_assert_uint_eq(guard.tallies[0].totals.cookies_sent, 2);
	ck_assert_uint_eq(guard.tallies[0].totals.cookies_returned, 2);
}
END_TEST

START_TEST(the_service_with_the_index_0_is_heard_like_any_other)
{
	services[0].behind = true;
	services[0].answers = SERVICE_ANSWERS_NOT_YET;
	answer_from_server(1, TCP_SYN | TCP_ACK);
	ck_assert_int_eq(services[0].answers, SERVICE_ANSWERS);
}
END_TEST

START_TEST(the_service_with_the_index_0_is_answered_for_ahead_like_any_other)
{
	services[0].ahead_until_ns = now_ns + 1;
	third_ack(1, 0x1234567);
	decided(ACT_PASS, TREAT_UNPROVEN, SEND_NOTHING);
}
END_TEST

static Suite *suite(void)
{
	TCase *first = tcase_create("first");
	Suite *suite = suite_create("guard edges");
	TCase *peace = tcase_create("peace");
	TCase *armed = tcase_create("armed");

	suite_add_tcase(suite, peace);
	tcase_add_checked_fixture(peace, guard_make, guard_drop);
	tcase_add_loop_test(peace, a_handshake_ends_though_its_source_was_forgotten, 0, 2);
	tcase_add_test(peace, a_source_known_by_its_cookie_alone_has_no_new_burst_with_its_first_syn);
	tcase_add_test(peace, a_syn_that_would_not_reach_the_server_is_no_probe);
	tcase_add_test(peace, a_probe_is_the_fifth_syn_at_the_earliest_and_one_a_second_at_most);
	tcase_add_test(peace, a_syn_repeated_to_a_network_is_no_news_and_no_second_handshake);
	tcase_add_test(peace, only_a_syn_ack_tells_that_a_server_is_there);
	tcase_add_test(peace, only_a_syn_ack_teaches_options);
	tcase_add_test(peace, the_numbers_of_a_source_do_not_wrap_around_when_its_syns_spill);
	tcase_add_test(peace, a_spilled_syn_of_a_wary_source_counts_as_such);
	tcase_add_loop_test(peace, any_ack_of_the_client_ends_the_half_open_entry, 0, 2);
	tcase_add_loop_test(peace, whose_network_has_had_its_replies_is_told_so, 0, 2);
	tcase_add_test(peace, after_a_failure_cookies_are_tried_again_at_exactly_its_time);
	tcase_add_test(peace, an_answer_makes_the_next_four_cookies_go_out_before_a_probe);
	tcase_add_loop_test(peace, a_client_that_says_nothing_is_taken_at_the_protocols_word, 0, 2);
	tcase_add_test(peace, a_client_that_says_something_is_taken_at_its_word);
	suite_add_tcase(suite, first);
	tcase_add_checked_fixture(first, first_service, guard_drop);
	tcase_add_test(first, the_service_with_the_index_0_trips_like_any_other);
	tcase_add_test(first, the_service_with_the_index_0_is_protected_like_any_other);
	tcase_add_test(first, the_service_with_the_index_0_is_heard_like_any_other);
	tcase_add_test(first, the_service_with_the_index_0_is_answered_for_ahead_like_any_other);
	suite_add_tcase(suite, armed);
	tcase_add_checked_fixture(armed, guard_make_armed, guard_drop);
	tcase_add_test(armed, a_syn_that_conntrack_does_not_see_harms_no_handover_that_is_done);
	tcase_add_test(armed, who_was_challenged_before_the_server_stopped_scaling_is_reset);
	tcase_add_test(armed, a_handover_is_pressed_out_when_more_than_three_quarters_of_what_may_be_held_is_held);
	tcase_add_test(armed, handovers_are_pressed_out_as_soon_as_nine_of_twelve_places_are_taken);
	tcase_add_test(armed, handovers_are_pressed_out_when_more_than_nine_of_twelve_packets_are_held);
	tcase_add_test(armed, a_client_that_begins_anew_is_asked_again_after_one_second);
	tcase_add_loop_test(armed, one_byte_is_data, 0, 2);
	tcase_add_test(armed, an_ack_is_no_syn_ack_whatever_it_acknowledges);
	tcase_add_loop_test(armed, what_acknowledges_nothing_passes_by_a_handover, 0, 4);
	tcase_add_test(armed, none_of_those_that_wait_for_their_ban_is_listed_twice);
	tcase_add_loop_test(armed, a_payload_of_exactly_the_room_there_is_fits, 0, 2);
	return suite;
}

int main(void)
{
	return unit_main(suite());
}
