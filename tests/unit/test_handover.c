/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard's handover: from the third ACK until the kernel has the connection, or nobody. */
#include "guard_world.h"

/* ---- third ACK ---- */

START_TEST(a_valid_third_ack_becomes_the_syn_that_it_stands_for)
{
	uint32_t n = _i ? V6 + 1 : 1, cookie = challenge(n);
	struct segment expected = syn_of(n);
	struct splice *splice;

	third_ack(n, cookie);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	expected.window = 65535;     /* 500 << 8 */
	expected.options.mss = 1440; /* of 1450, in both tables */
	expected.options.wscale = 8;
	expected.options.tsval = 5100;
	segment_is(&expected);
	splice = splice_of(n);
	ck_assert_int_eq(splice->state, SPLICE_SYN_SENT);
	ck_assert_uint_eq(splice->service, WEB);
	ck_assert_uint_eq(splice->cookie, cookie);
	ck_assert_uint_eq(splice->client_isn, n * 1000);
	ck_assert_uint_eq(splice->interface, INTERFACE);
	ck_assert_uint_eq(counted(OUTCOME_ACK_COOKIE_VALID), 1);
	ck_assert_uint_eq(tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns), 0);
	ck_assert_uint_eq(source_find(guard.sources, &expected.source)->completed, 1);
}
END_TEST

START_TEST(the_window_of_a_third_ack_is_unscaled_for_the_syn)
{
	uint32_t cookie = challenge(1);
	struct segment segment = ack_of(1, cookie);

	segment.window = 255;
	ack(&segment);
	ck_assert_uint_eq(decision.segment.window, 255 << 8);
}
END_TEST

START_TEST(without_window_scaling_the_window_is_as_it_is)
{
	struct segment syn = syn_of(1);

	syn.options.wscale = -1;
	offer(&syn);
	third_ack(1, decision.segment.seq);
	ck_assert_uint_eq(decision.segment.window, 500);
	ck_assert_int_eq(decision.segment.options.wscale, -1);
}
END_TEST

START_TEST(a_client_without_timestamps_gets_a_syn_without)
{
	struct segment segment = ack_of(1, challenge(1));

	segment.options = (struct tcp_options){.wscale = -1};
	ack(&segment);
	ck_assert(!decision.segment.options.timestamps);
	ck_assert_uint_eq(decision.segment.options.tsval, 0);
}
END_TEST

START_TEST(an_ack_without_a_valid_cookie_is_left_to_conntrack)
{
	struct segment segment = ack_of(1, challenge(1));

	switch (_i) {
	case 0:
		segment.ack++;
		break;
	case 1:
		segment.seq++;
		break;
	case 2:
		segment.source_port++;
		break;
	case 3:
		segment.destination_port = 81; /* no service */
		break;
	}
	ack(&segment);
	decided(ACT_PASS, TREAT_UNPROVEN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_ACK_COOKIE_INVALID), 1);
	ck_assert_uint_eq(splice_count(guard.splices), 0);
	ck_assert_uint_eq(tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns), 1);
}
END_TEST

START_TEST(a_third_ack_is_good_for_two_epochs_and_too_old_in_the_third)
{
	struct siphash_key fresh = {{91, 92}};
	uint32_t cookie = challenge(1);

	for (int epoch = 0; epoch < _i; epoch++)
		cookie_rotate(&guard_secret, &fresh);
	third_ack(1, cookie);
	ck_assert_int_eq(decision.act, _i < 2 ? ACT_REWRITE : ACT_PASS);
	ck_assert_int_eq(decision.treatment, _i < 2 ? TREAT_HANDOVER : TREAT_UNPROVEN);
}
END_TEST

START_TEST(a_draining_service_honours_cookies_sent_before)
{
	uint32_t cookie = challenge(1);

	service_enter(&services[WEB], SERVICE_DRAINING, now_ns);
	third_ack(1, cookie);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
}
END_TEST

START_TEST(a_table_full_of_handovers_drops_the_third_ack)
{
	for (uint32_t n = 0; n < HANDOVERS_MAX; n++)
		begin_handover(n);
	third_ack(100, challenge(100));
	decided(ACT_DROP, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_TABLE_FULL), 1);
	ck_assert_ptr_null(splice_of(100));
	answer_from_server(0, TCP_RST | TCP_ACK); /* now one lingers: it gives way to the client's next try */
	begin_handover(100);
	ck_assert_ptr_null(splice_of(0));
}
END_TEST

/* Which passed before the arming, say. Anybody may send it: whether it is a client's, conntrack sees. */
START_TEST(an_ack_of_a_half_open_connection_passes_and_ends_nothing)
{
	uint32_t n = _i ? V6 + 1 : 1;
	struct segment syn = syn_of(n);
	struct source *source;

	service_enter(&services[WEB], SERVICE_WATCHING, now_ns);
	offer(&syn);
	arm();
	for (uint32_t guess = 0; guess < 1000; guess++) {
		third_ack(n, guess * 0x1234567);
		decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
		must(decision.trip == -1 && !decision.splice && !decision.drop_held && !decision.forget_flow);
	}
	source = source_find(guard.sources, &syn.source);
	ck_assert_uint_eq(counted(OUTCOME_PACKET_PASSED), 1000);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_COMPLETED), 0);
	ck_assert_uint_eq(counted(OUTCOME_ACK_COOKIE_INVALID), 0);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(halfopen_count(guard.halfopen), 1);
	ck_assert_uint_eq(source->half_open, 1);
	ck_assert_uint_eq(source->completed + source->proven_s, 0);
	ck_assert_uint_eq(guard.tallies[WEB].totals.completed, 0);

	first_ack_from(n, TCP_ACK); /* conntrack has judged this one */
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_COMPLETED), 1);
	ck_assert_uint_eq(services[WEB].half_open, 0);
	ck_assert_uint_eq(source->completed, 1);
	third_ack(n, 0x1234567); /* and that was that */
	decided(ACT_PASS, TREAT_STRAY, SEND_NOTHING);
}
END_TEST

/* What follows a third ACK that was lost must not meet the server, which would reset the connection. */
START_TEST(an_ack_with_no_cookie_is_a_strays_only_when_its_source_has_none)
{
	struct segment syn = syn_of(1);

	third_ack(1, 0x1234567);
	decided(ACT_PASS, TREAT_STRAY, SEND_NOTHING);
	offer(&syn); /* armed: it gets a cookie */
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	third_ack(1, 0x1234567);
	decided(ACT_PASS, TREAT_UNPROVEN, SEND_NOTHING);
	now_ns += guard.limits.handshake_timeout_s * NSEC_PER_SEC;
	third_ack(1, 0x1234567);
	decided(ACT_PASS, TREAT_UNPROVEN, SEND_NOTHING);
	now_ns += 2 * NSEC_PER_SEC;
	third_ack(1, 0x1234567);
	decided(ACT_PASS, TREAT_STRAY, SEND_NOTHING);
}
END_TEST

/* XDP has answered for the service: whom, no shard knows. */
START_TEST(while_others_answer_ahead_anybody_may_hold_a_cookie)
{
	services[WEB].ahead_until_ns = now_ns + 1;
	third_ack(1, 0x1234567);
	decided(ACT_PASS, TREAT_UNPROVEN, SEND_NOTHING);
	now_ns++;
	third_ack(1, 0x1234567);
	decided(ACT_PASS, TREAT_STRAY, SEND_NOTHING);
}
END_TEST

/* Of a cookie that XDP sent, so that its source owes none here. `size` bytes, `before` segments of `ahead` behind the third
 * ACK, which never came. */
static enum treatment following(uint32_t n, uint32_t cookie, unsigned ahead, unsigned before, uint16_t size)
{
	static const uint8_t payload[1500];
	struct segment segment = ack_of(n, cookie);

	segment.seq += ahead * before;
	segment.payload = payload;
	segment.payload_bytes = size;
	ack(&segment);
	ck_assert_int_eq(decision.act, ACT_PASS);
	ck_assert_int_eq(decision.send, SEND_NOTHING);
	ck_assert_uint_eq(splice_count(guard.splices), 0);
	return decision.treatment;
}

static uint32_t cookie_of_another(uint32_t n)
{
	struct cookie_options carried = {.mss = 1440, .wscale = 8, .sack = true};
	struct segment syn = syn_of(n);
	struct flow flow = flow_from_client(&syn);

	return cookie_make(&guard_secret, &flow, syn.seq, &carried);
}

/* While strays pass, the server would reset the client. */
START_TEST(what_follows_a_lost_third_ack_is_no_stray)
{
	uint32_t n = _i ? V6 + 1 : 1, cookie = cookie_of_another(n);

	services[WEB].ahead_or_stray_until_ns = now_ns; /* nobody asks any more */
	ck_assert_int_eq(following(n, cookie, 700, 1, 700), TREAT_STRAY);
	services[WEB].ahead_or_stray_until_ns = now_ns + 1;
	for (unsigned before = 1; before <= 10; before++) {
		ck_assert_int_eq(following(n, cookie, 700, before, 700), TREAT_UNPROVEN);
		ck_assert_int_eq(following(n, cookie, 1368, before, 1), TREAT_UNPROVEN); /* 1380 - 12 */
	}
	ck_assert_int_eq(following(n, cookie, 700, 11, 700), TREAT_STRAY);
	ck_assert_int_eq(following(n, cookie, 1368, 11, 1), TREAT_STRAY);
	ck_assert_int_eq(following(n, cookie, 1380, 1, 1), TREAT_STRAY);
	ck_assert_int_eq(following(n, cookie, 700, 1, 0), TREAT_STRAY); /* a bare ACK may be anybody's */
	ck_assert_int_eq(following(n, cookie + 0x100, 700, 1, 700), TREAT_STRAY);
	ck_assert_int_eq(following(n + PORT, cookie, 700, 1, 700), TREAT_STRAY);
	ck_assert_uint_eq(counted(OUTCOME_ACK_COOKIE_INVALID), 27);
}
END_TEST

START_TEST(what_follows_a_lost_third_ack_is_of_the_size_that_its_family_has)
{
	struct tcp_options narrow = server_options;
	uint32_t n = V6 + 1, cookie = cookie_of_another(n);

	narrow.mss = 1220;
	service_learn(&services[WEB], true, &narrow, SERVER_WINDOW, ALL_OPTIONS, 0);
	services[WEB].ahead_or_stray_until_ns = now_ns + 1;
	ck_assert_int_eq(following(n, cookie, 1208, 2, 1), TREAT_UNPROVEN);
	ck_assert_int_eq(following(n, cookie, 1368, 2, 1), TREAT_STRAY);
}
END_TEST

/* Ports of none, of another service, and of the very first. */
START_TEST(what_follows_a_lost_third_ack_is_asked_of_its_own_service)
{
	static const uint16_t ports[] = {81, 25, 26};
	static const uint8_t payload[700];
	struct service_binding first = {address("192.0.2.1"), 26, 0, 0};
	struct segment segment = ack_of(1, 0);
	struct cookie_options carried = {.mss = 1440, .wscale = 8, .sack = true};
	struct flow flow;

	if (_i == 2) {
		service_map_free(map);
		guard.map = map = service_map_new(&first, 1);
	}
	services[_i == 2 ? 0 : OLD].ahead_or_stray_until_ns = now_ns + 1;
	segment.payload = payload;
	segment.payload_bytes = 700;
	segment.destination_port = ports[_i];
	flow = flow_from_client(&segment);
	segment.ack = cookie_make(&guard_secret, &flow, segment.seq - 1, &carried) + 1;
	segment.seq += 700;
	ack(&segment);
	decided(ACT_PASS, _i ? TREAT_UNPROVEN : TREAT_STRAY, SEND_NOTHING);
}
END_TEST

START_TEST(what_follows_without_timestamps_is_larger)
{
	static const uint8_t payload[1] = {0};
	struct segment segment = ack_of(1, cookie_of_another(1));

	services[WEB].ahead_or_stray_until_ns = now_ns + 1;
	segment.options.timestamps = false;
	segment.payload = payload;
	segment.payload_bytes = 1;
	segment.seq += 3 * 1380;
	ack(&segment);
	decided(ACT_PASS, TREAT_UNPROVEN, SEND_NOTHING);
	segment.seq -= 3 * 12;
	ack(&segment);
	decided(ACT_PASS, TREAT_STRAY, SEND_NOTHING);
}
END_TEST

/* Its SYN was repeated while no cookies could be sent: the kernel has the handshake. */
START_TEST(a_half_open_connection_is_the_kernels_even_with_a_valid_cookie)
{
	uint32_t cookie = challenge(1);

	guard_cookies_fail(&guard, now_ns);
	syn_from(1);
	ck_assert_int_eq(decision.act, ACT_PASS);
	third_ack(1, cookie);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_ptr_null(splice_of(1));
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(counted(OUTCOME_ACK_COOKIE_VALID), 0);
}
END_TEST

START_TEST(a_handover_under_way_goes_on_though_its_flow_is_half_open)
{
	struct splice *splice = begin_handover(1);

	service_enter(&services[WEB], SERVICE_DRAINING, now_ns);
	syn_from(1);
	ck_assert_int_eq(decision.act, ACT_PASS);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	third_ack(1, splice->cookie);
	decided(ACT_HOLD, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_ptr_eq(decision.splice, splice);
	ck_assert_uint_eq(services[WEB].half_open, 1);
}
END_TEST

/* ---- waiting for the server ---- */

START_TEST(what_comes_before_the_servers_answer_is_held_in_order)
{
	struct splice *splice = begin_handover(1);
	struct segment data = ack_of(1, splice->cookie);

	data.payload = (const uint8_t *)"x";
	data.payload_bytes = 1;
	for (uint32_t id = 100; id < 103; id++) {
		ack(&data);
		decided(ACT_HOLD, TREAT_PLAIN, SEND_NOTHING);
		ck_assert_ptr_eq(decision.splice, splice);
		guard_held(&guard, splice, id);
	}
	ck_assert_uint_eq(splice->held_count, 3);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_uint_eq(splice->held[i], 100 + i);
	ck_assert_uint_eq(counted(OUTCOME_ACK_HELD), 3);
}
END_TEST

START_TEST(more_than_can_be_held_is_dropped)
{
	struct splice *splice = begin_handover(1);

	for (uint32_t id = 0; id < SPLICE_HELD_MAX; id++) {
		third_ack(1, splice->cookie);
		ck_assert_int_eq(decision.act, ACT_HOLD);
		guard_held(&guard, splice, id);
	}
	third_ack(1, splice->cookie);
	decided(ACT_DROP, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_ACK_HOLD_FULL), 1);
	ck_assert_uint_eq(splice->held_count, SPLICE_HELD_MAX);
}
END_TEST

START_TEST(all_clients_together_are_held_no_more_than_the_queue_has_room_for)
{
	begin_handover(1);
	begin_handover(2);
	guard.limits.held_max = 3;
	for (unsigned i = 0; i < 4; i++) {
		struct segment segment = ack_of(1 + i % 2, splice_of(1 + i % 2)->cookie);

		ack(&segment);
		ck_assert_int_eq(decision.act, i < 3 ? ACT_HOLD : ACT_DROP);
		if (i < 3)
			guard_held(&guard, decision.splice, i);
	}
	answer_from_server(1, TCP_SYN | TCP_ACK);
	guard_taken_over(&guard, decision.splice, now_ns);
	ck_assert_uint_eq(guard.held, 1);
}
END_TEST

START_TEST(a_silent_server_is_tried_again_through_the_client)
{
	struct splice *splice = begin_handover(1);
	uint32_t cookie = splice->cookie;
	struct segment probe = answer_to(1, TCP_ACK), first = decision.segment;

	now_ns += NSEC_PER_SEC - 1;
	ck_assert(!due());
	now_ns++;
	ck_assert(due());
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_int_eq(decision.trip, -1);
	ck_assert_ptr_eq(decision.splice, splice);
	ck_assert(!decision.drop_held && !decision.forget_flow);
	ck_assert_uint_eq(decision.interface, INTERFACE);
	probe.seq = cookie; /* one before the next: a keepalive */
	probe.window = 64240;
	probe.options = (struct tcp_options){.wscale = -1, .timestamps = true, .tsecr = 5100};
	segment_is(&probe);
	ck_assert(!due());

	third_ack(1, cookie); /* the client's answer */
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	segment_is(&first);
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_RETRIED), 1);
	ck_assert_uint_eq(counted(OUTCOME_ACK_COOKIE_VALID), 1);
	third_ack(1, cookie); /* once per probe */
	ck_assert_int_eq(decision.act, ACT_HOLD);
}
END_TEST

/* Or they would die on the way and the handover wait for nothing: the client chooses them. */
START_TEST(few_hops_left_are_enough_to_reach_the_server)
{
	uint32_t cookie = challenge(1);
	struct segment ack = ack_of(1, cookie);

	ack.hops = 1;
	guard_ack(&guard, &ack, INTERFACE, now_ns, &decision);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	ck_assert_uint_eq(decision.segment.hops, 64);
}
END_TEST

/* Three of four are in use: whoever has waited for a second is not waited for any longer. */
START_TEST(silent_handovers_give_way_while_there_is_little_room)
{
	struct splice *first = begin_handover(1);

	begin_handover(2);
	now_ns += splice_stage_s[0] * NSEC_PER_SEC;
	ck_assert(due()); /* asked for again */
	ck_assert(due());
	ck_assert(!due());
	begin_handover(3);
	ck_assert(due());
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(decision.segment.flags, TCP_RST | TCP_ACK);
	ck_assert_ptr_eq(decision.splice, first);
	ck_assert(decision.drop_held && decision.forget_flow);
	ck_assert(!due());
	ck_assert_uint_eq(splice_waiting(guard.splices), 2);
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_FAILED), 1);
}
END_TEST

START_TEST(data_and_fin_are_held_even_when_a_retry_is_due)
{
	struct splice *splice = begin_handover(1);
	struct segment data = ack_of(1, splice->cookie), fin = data;

	data.payload = (const uint8_t *)"x";
	data.payload_bytes = 1;
	fin.flags |= TCP_FIN;
	now_ns += NSEC_PER_SEC;
	ck_assert(due());
	ack(&data);
	ck_assert_int_eq(decision.act, ACT_HOLD);
	ack(&fin);
	ck_assert_int_eq(decision.act, ACT_HOLD);
	third_ack(1, splice->cookie);
	ck_assert_int_eq(decision.act, ACT_REWRITE);
}
END_TEST

START_TEST(after_three_retries_and_eleven_seconds_the_client_gets_a_rst)
{
	static const uint8_t at_s[] = {1, 3, 7};
	struct splice *splice = begin_handover(1);
	struct segment rst = answer_to(1, TCP_RST | TCP_ACK);
	uint32_t cookie = splice->cookie;

	for (unsigned i = 0; i < 3; i++) {
		now_ns = START_NS + at_s[i] * NSEC_PER_SEC - 1;
		ck_assert(!due());
		now_ns++;
		ck_assert(due());
		ck_assert_uint_eq(decision.segment.flags, TCP_ACK);
		ck_assert(!due());
	}
	now_ns = START_NS + 11 * NSEC_PER_SEC - 1;
	ck_assert(!due());
	now_ns++;
	ck_assert(due());
	rst.seq = cookie + 1;
	rst.window = 64240;
	rst.options = (struct tcp_options){.wscale = -1, .timestamps = true, .tsecr = 5100};
	ck_assert_int_eq(decision.send, SEND_TO_CLIENT);
	segment_is(&rst);
	ck_assert_uint_eq(decision.interface, INTERFACE);
	ck_assert_ptr_eq(decision.splice, splice);
	ck_assert(decision.drop_held && decision.forget_flow);
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_FAILED), 1);
	ck_assert(!due());

	third_ack(1, cookie); /* a late duplicate does not begin it again */
	decided(ACT_PASS, TREAT_UNPROVEN, SEND_NOTHING);
	ck_assert_ptr_eq(splice_of(1), splice);
	ck_assert_int_eq(splice->state, SPLICE_REFUSED);
}
END_TEST

/* ---- the server's answer ---- */

START_TEST(the_servers_syn_ack_makes_the_kernel_take_over)
{
	uint32_t n = _i ? V6 + 1 : 1;
	struct splice *splice = begin_handover(n);
	struct segment expected = ack_of(n, splice->cookie);

	guard_held(&guard, splice, 9);
	answer_from_server(n, TCP_SYN | TCP_ACK);
	decided(ACT_TAKE_OVER, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_ptr_eq(decision.splice, splice);
	ck_assert(!decision.drop_held && !decision.forget_flow);
	ck_assert_uint_eq(SERVER_ISN + decision.delta, splice->cookie);
	ck_assert(decision.wscale && decision.sack);
	ck_assert_int_eq(decision.server_wscale, 6);
	expected.options.tsecr = 777; /* the server's own */
	segment_is(&expected);

	guard_taken_over(&guard, splice, now_ns);
	ck_assert_int_eq(splice->state, SPLICE_ESTABLISHED);
	ck_assert_uint_eq(splice->held_count, 0);
	ck_assert_uint_eq(counted(OUTCOME_HANDED_OVER), 1);
}
END_TEST

START_TEST(a_handover_is_timed_from_its_third_ack_to_its_end)
{
	struct splice *splice = begin_handover(1);
	uint64_t begun_ns = now_ns;

	now_ns += 400000;
	answer_from_server(1, TCP_SYN | TCP_ACK);
	ck_assert_uint_eq(latency_count(&guard.handover_latency), 0);
	guard_taken_over(&guard, splice, now_ns + 100000);
	ck_assert_uint_eq(latency_count(&guard.handover_latency), 1);
	ck_assert_uint_eq(guard.handover_latency.sum_ns, 500000);
	ck_assert_uint_eq(guard.handover_latency.counts[1], 1); /* 0.25 to 0.5 ms */

	now_ns = begun_ns + NSEC_PER_SEC;
	splice = begin_handover(2);
	now_ns += splice_stage_s[0] * NSEC_PER_SEC; /* the client is asked again: it waits all the while */
	ck_assert(due());
	answer_from_server(2, TCP_SYN | TCP_ACK);
	guard_taken_over(&guard, splice, now_ns);
	ck_assert_uint_eq(guard.handover_latency.sum_ns, 500000 + splice_stage_s[0] * NSEC_PER_SEC);
}
END_TEST

START_TEST(a_handover_that_fails_is_not_timed)
{
	struct splice *splice = begin_handover(1);

	answer_from_server(1, TCP_SYN | TCP_ACK);
	guard_take_over_failed(&guard, splice, now_ns, &decision);
	begin_handover(2);
	answer_from_server(2, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(latency_count(&guard.handover_latency), 0);
}
END_TEST

START_TEST(payload_and_fin_of_the_third_ack_go_to_the_server)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	struct segment segment = ack_of(1, challenge(1)), expected;

	segment.flags |= TCP_PSH | TCP_FIN | TCP_URG;
	segment.urgent = 4;
	segment.payload = (const uint8_t *)request;
	segment.payload_bytes = sizeof(request);
	ack(&segment);
	ck_assert_uint_eq(decision.segment.payload_bytes, 0); /* of the SYN */
	ck_assert_uint_eq(decision.segment.flags, TCP_SYN);
	ck_assert_uint_eq(decision.segment.urgent, 0);
	answer_from_server(1, TCP_SYN | TCP_ACK);
	expected = segment;
	expected.options.tsecr = 777;
	segment_is(&expected);
}
END_TEST

/* 0: just fits; 1: one byte too long; 2: cut by the capture. */
START_TEST(a_payload_that_does_not_fit_is_left_to_the_client_with_its_fin)
{
	static uint8_t payload[SPLICE_PAYLOAD_BYTES + 1];
	struct segment segment = ack_of(1, challenge(1));

	memset(payload, 'x', sizeof(payload));
	segment.flags |= TCP_FIN;
	segment.payload = payload;
	segment.payload_bytes = SPLICE_PAYLOAD_BYTES + (_i == 1);
	segment.payload_cut = _i == 2;
	ack(&segment);
	answer_from_server(1, TCP_SYN | TCP_ACK);
	ck_assert_uint_eq(decision.segment.payload_bytes, _i ? 0 : SPLICE_PAYLOAD_BYTES);
	ck_assert_uint_eq(decision.segment.flags, _i ? TCP_ACK : TCP_ACK | TCP_FIN);
}
END_TEST

START_TEST(a_bare_fin_goes_to_the_server)
{
	struct segment segment = ack_of(1, challenge(1));

	segment.flags |= TCP_FIN;
	ack(&segment);
	answer_from_server(1, TCP_SYN | TCP_ACK);
	ck_assert_uint_eq(decision.segment.flags, TCP_ACK | TCP_FIN);
}
END_TEST

START_TEST(options_count_only_if_both_ends_have_them)
{
	struct segment bare = answer_to(1, TCP_SYN | TCP_ACK);
	struct segment syn = syn_of(1), segment;

	syn.options.wscale = -1; /* else it would be a shrunk scale */
	offer(&syn);
	segment = ack_of(1, decision.segment.seq);
	ack(&segment);
	bare.options = (struct tcp_options){.mss = 1380, .wscale = -1};
	answer(&bare);
	ck_assert_int_eq(decision.act, ACT_TAKE_OVER);
	ck_assert(!decision.wscale && !decision.sack);
	ck_assert(!decision.segment.options.timestamps);
}
END_TEST

START_TEST(what_the_client_did_not_offer_does_not_count)
{
	struct segment syn = syn_of(1), segment;

	syn.options = (struct tcp_options){.mss = 1450, .wscale = -1};
	offer(&syn);
	segment = ack_of(1, decision.segment.seq);
	segment.options.timestamps = false;
	ack(&segment);
	answer_from_server(1, TCP_SYN | TCP_ACK); /* with everything */
	ck_assert_int_eq(decision.act, ACT_TAKE_OVER);
	ck_assert(!decision.wscale && !decision.sack);
	ck_assert(!decision.segment.options.timestamps);
}
END_TEST

/* 0: agreed; 1: the server, that announced 6, scales no more. */
START_TEST(a_window_scale_of_zero_counts_as_one)
{
	struct segment syn = syn_of(1), zero = answer_to(1, TCP_SYN | TCP_ACK);

	zero.options.wscale = 0;
	if (!_i)
		service_learn(&services[WEB], false, &zero.options, SERVER_WINDOW, ALL_OPTIONS, 0);
	syn.options.wscale = 0;
	offer(&syn);
	third_ack(1, decision.segment.seq);
	answer(&zero);
	ck_assert_int_eq(decision.act, _i ? ACT_DROP : ACT_TAKE_OVER);
	ck_assert(_i || (decision.wscale && decision.server_wscale == 0));
}
END_TEST

START_TEST(a_handover_teaches_the_servers_options)
{
	struct segment changed = answer_to(1, TCP_SYN | TCP_ACK);
	struct service_learned learned;

	begin_handover(1);
	changed.options.mss = 1200;
	changed.options.wscale = 10;
	changed.window = 1234;
	answer(&changed);
	ck_assert_int_eq(decision.act, ACT_TAKE_OVER);
	learned = service_learned(&services[WEB], false);
	ck_assert_uint_eq(learned.mss, 1200);
	ck_assert_int_eq(learned.wscale, 10);
	ck_assert_uint_eq(learned.window, 1234);
}
END_TEST

/* Scale 6 was announced. */
START_TEST(a_server_that_scales_less_than_announced_ends_in_a_rst)
{
	static const int8_t scales[] = {6, 7, 5, 0, -1};
	struct segment changed = answer_to(1, TCP_SYN | TCP_ACK);
	struct splice *splice = begin_handover(1);

	changed.options.wscale = scales[_i];
	answer(&changed);
	if (scales[_i] >= 6) {
		ck_assert_int_eq(decision.act, ACT_TAKE_OVER);
		return;
	}
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(decision.segment.flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(decision.segment.seq, splice->cookie + 1);
	ck_assert(decision.drop_held && decision.forget_flow);
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_FAILED), 1);
	ck_assert_int_eq(splice->state, SPLICE_REFUSED);
	syn_from(2);
	ck_assert_int_eq(decision.segment.options.wscale, -1); /* the next client is told none */
	now_ns += SERVICE_UNSCALED_NS;
	syn_from(3);
	ck_assert_int_eq(decision.segment.options.wscale, scales[_i]); /* a later one the new */
}
END_TEST

/* Of two clients that were told the old scale, one comes back after the other had to be reset. 0: within the time; 1: after. */
START_TEST(clients_that_were_told_the_old_scale_are_told_from_those_that_were_told_none)
{
	struct segment changed = answer_to(1, TCP_SYN | TCP_ACK);
	uint32_t old = challenge(2), new;

	changed.options.wscale = 3;
	begin_handover(1);
	answer(&changed);
	ck_assert_int_eq(decision.act, ACT_DROP);
	now_ns += SERVICE_UNSCALED_NS - 1;
	new = challenge(3);
	third_ack(2, old);
	changed = answer_to(2, TCP_SYN | TCP_ACK);
	changed.options.wscale = 3;
	answer(&changed);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(decision.segment.flags, TCP_RST | TCP_ACK);
	now_ns += _i;
	third_ack(3, new);
	changed = answer_to(3, TCP_SYN | TCP_ACK);
	changed.options.wscale = -1; /* none was offered to it */
	answer(&changed);
	ck_assert_int_eq(decision.act, ACT_TAKE_OVER);
	ck_assert(!decision.wscale);
}
END_TEST

START_TEST(a_refusing_server_s_rst_reaches_the_client_in_its_sequence_space)
{
	struct splice *splice = begin_handover(1);

	guard_held(&guard, splice, 9);
	answer_from_server(1, TCP_RST | TCP_ACK);
	decided(ACT_RENUMBER, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(decision.seq, splice->cookie + 1);
	ck_assert_ptr_eq(decision.splice, splice);
	ck_assert(decision.drop_held && !decision.forget_flow);
	ck_assert_int_eq(splice->state, SPLICE_REFUSED);
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_REFUSED), 1);
	third_ack(1, splice->cookie);
	decided(ACT_PASS, TREAT_UNPROVEN, SEND_NOTHING);
	answer_from_server(1, TCP_RST | TCP_ACK); /* once */
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_REFUSED), 1);
}
END_TEST

START_TEST(a_rst_that_does_not_acknowledge_the_syn_changes_nothing)
{
	struct splice *splice = begin_handover(1);
	struct segment rst = answer_to(1, TCP_RST | TCP_ACK);

	rst.ack++;
	answer(&rst);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	rst.ack--;
	rst.flags = TCP_RST;
	answer(&rst);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_int_eq(splice->state, SPLICE_SYN_SENT);
	ck_assert_uint_eq(counted(OUTCOME_PACKET_PASSED), 2);
}
END_TEST

/* 0: a challenge ACK; 1: a SYN-ACK of another handshake. */
/* Its rewritten SYN comes by untracked: nobody would translate what follows. */
START_TEST(a_handover_that_is_hidden_from_conntrack_ends_in_a_rst_and_is_the_last)
{
	struct splice *splice = begin_handover(1);
	struct segment syn = syn_of(1);

	forget_decision();
	guard_first_ack(&guard, &syn, now_ns, &decision);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(decision.segment.flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(decision.segment.seq, splice->cookie + 1);
	ck_assert(decision.forget_flow);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_UNTRACKED), 1);
	syn_from(2);
	ck_assert_int_eq(decision.act, ACT_PASS);
}
END_TEST

START_TEST(a_server_in_time_wait_is_answered_with_the_rst_the_client_would_send)
{
	struct splice *splice = begin_handover(1);
	struct segment stray = answer_to(1, _i ? TCP_SYN | TCP_ACK : TCP_ACK);
	struct segment rst = client_to_web(1, TCP_RST);

	stray.ack = 0x12345678;
	answer(&stray);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_SERVER);
	rst.seq = 0x12345678;
	segment_is(&rst);
	ck_assert_int_eq(splice->state, SPLICE_SYN_SENT);
	now_ns += NSEC_PER_SEC;
	ck_assert(due()); /* the retry follows */
	third_ack(1, splice->cookie);
	ck_assert_int_eq(decision.act, ACT_REWRITE);
	answer_from_server(1, TCP_SYN | TCP_ACK);
	ck_assert_int_eq(decision.act, ACT_TAKE_OVER);
}
END_TEST

START_TEST(if_conntrack_cannot_take_over_both_sides_end)
{
	struct splice *splice = begin_handover(1);

	answer_from_server(1, TCP_SYN | TCP_ACK);
	guard_take_over_failed(&guard, splice, now_ns, &decision);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	ck_assert_uint_eq(decision.segment.flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(decision.segment.seq, splice->cookie + 1);
	ck_assert(decision.drop_held && decision.forget_flow);
	ck_assert_ptr_eq(decision.splice, splice);
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_FAILED), 1);
	ck_assert_uint_eq(counted(OUTCOME_HANDED_OVER), 0);
}
END_TEST

/* ---- after the handover ---- */

START_TEST(a_duplicate_of_the_third_ack_passes_after_the_handover)
{
	struct splice *splice = hand_over(1);

	third_ack(1, splice->cookie);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_ACK_AFTER_HANDOVER), 1);
	ck_assert_uint_eq(counted(OUTCOME_ACK_COOKIE_VALID), 1);
}
END_TEST

START_TEST(a_repeated_syn_ack_passes_after_the_handover)
{
	hand_over(1);
	answer_from_server(1, TCP_SYN | TCP_ACK);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_HANDED_OVER), 1);
}
END_TEST

START_TEST(a_handover_lingers_for_exactly_two_seconds)
{
	hand_over(1);
	now_ns += 2 * NSEC_PER_SEC - 1;
	ck_assert(!due());
	ck_assert_ptr_nonnull(splice_of(1));
	now_ns++;
	ck_assert(!due());
	ck_assert_ptr_null(splice_of(1));
	ck_assert_uint_eq(counted(OUTCOME_HANDOVER_FAILED), 0);
}
END_TEST

/* 0: after a handover, 1: after a refusal. */
START_TEST(the_same_ports_may_be_used_again_while_the_old_handover_lingers)
{
	struct segment syn = syn_of(1), segment;

	if (_i) {
		begin_handover(1);
		answer_from_server(1, TCP_RST | TCP_ACK);
	} else {
		hand_over(1);
	}
	syn.seq += 12345;
	offer(&syn);
	segment = ack_of(1, decision.segment.seq);
	segment.seq += 12345;
	ack(&segment);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	ck_assert_uint_eq(decision.segment.seq, syn.seq);
	ck_assert_int_eq(splice_of(1)->state, SPLICE_SYN_SENT);
	ck_assert_uint_eq(splice_of(1)->client_isn, syn.seq);
	ck_assert_uint_eq(splice_count(guard.splices), 1);
}
END_TEST

START_TEST(a_client_that_begins_anew_on_the_same_ports_is_not_held_for_its_old_self)
{
	struct segment syn = syn_of(1), segment;
	uint32_t old_cookie;

	begin_handover(1);
	old_cookie = splice_of(1)->cookie;
	segment = ack_of(1, old_cookie);
	ack(&segment);
	decided(ACT_HOLD, TREAT_PLAIN, SEND_NOTHING);
	guard_held(&guard, decision.splice, 77);

	syn.seq += 12345;
	offer(&syn);
	segment = ack_of(1, decision.segment.seq);
	segment.seq += 12345;
	ack(&segment);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	ck_assert_uint_eq(decision.segment.seq, syn.seq);
	ck_assert(decision.drop_held);
	ck_assert_uint_eq(decision.splice->held_count, 1);
	ck_assert_uint_eq(decision.splice->held[0], 77);
	ck_assert_uint_eq(splice_count(guard.splices), 1);
}
END_TEST

static Suite *handover_suite(void)
{
	Suite *suite = suite_create("handover");
	TCase *third = tcase_create("third_ack");
	TCase *handover = tcase_create("handover");

	suite_add_tcase(suite, third);
	tcase_add_checked_fixture(third, guard_make_armed, guard_drop);
	tcase_add_loop_test(third, a_valid_third_ack_becomes_the_syn_that_it_stands_for, 0, 2);
	tcase_add_test(third, the_window_of_a_third_ack_is_unscaled_for_the_syn);
	tcase_add_test(third, without_window_scaling_the_window_is_as_it_is);
	tcase_add_test(third, a_client_without_timestamps_gets_a_syn_without);
	tcase_add_loop_test(third, an_ack_without_a_valid_cookie_is_left_to_conntrack, 0, 4);
	tcase_add_loop_test(third, a_third_ack_is_good_for_two_epochs_and_too_old_in_the_third, 0, 4);
	tcase_add_test(third, a_draining_service_honours_cookies_sent_before);
	tcase_add_test(third, a_table_full_of_handovers_drops_the_third_ack);
	tcase_add_loop_test(third, an_ack_of_a_half_open_connection_passes_and_ends_nothing, 0, 2);
	tcase_add_test(third, an_ack_with_no_cookie_is_a_strays_only_when_its_source_has_none);
	tcase_add_test(third, while_others_answer_ahead_anybody_may_hold_a_cookie);
	tcase_add_loop_test(third, what_follows_a_lost_third_ack_is_no_stray, 0, 2);
	tcase_add_test(third, what_follows_without_timestamps_is_larger);
	tcase_add_test(third, what_follows_a_lost_third_ack_is_of_the_size_that_its_family_has);
	tcase_add_loop_test(third, what_follows_a_lost_third_ack_is_asked_of_its_own_service, 0, 3);
	tcase_add_test(third, a_half_open_connection_is_the_kernels_even_with_a_valid_cookie);
	tcase_add_test(third, a_handover_under_way_goes_on_though_its_flow_is_half_open);

	suite_add_tcase(suite, handover);
	tcase_add_checked_fixture(handover, guard_make_armed, guard_drop);
	tcase_add_test(handover, what_comes_before_the_servers_answer_is_held_in_order);
	tcase_add_test(handover, more_than_can_be_held_is_dropped);
	tcase_add_test(handover, all_clients_together_are_held_no_more_than_the_queue_has_room_for);
	tcase_add_test(handover, a_silent_server_is_tried_again_through_the_client);
	tcase_add_test(handover, few_hops_left_are_enough_to_reach_the_server);
	tcase_add_test(handover, silent_handovers_give_way_while_there_is_little_room);
	tcase_add_test(handover, data_and_fin_are_held_even_when_a_retry_is_due);
	tcase_add_test(handover, after_three_retries_and_eleven_seconds_the_client_gets_a_rst);
	tcase_add_loop_test(handover, the_servers_syn_ack_makes_the_kernel_take_over, 0, 2);
	tcase_add_test(handover, a_handover_is_timed_from_its_third_ack_to_its_end);
	tcase_add_test(handover, a_handover_that_fails_is_not_timed);
	tcase_add_test(handover, payload_and_fin_of_the_third_ack_go_to_the_server);
	tcase_add_loop_test(handover, a_payload_that_does_not_fit_is_left_to_the_client_with_its_fin, 0, 3);
	tcase_add_test(handover, a_bare_fin_goes_to_the_server);
	tcase_add_test(handover, options_count_only_if_both_ends_have_them);
	tcase_add_test(handover, what_the_client_did_not_offer_does_not_count);
	tcase_add_loop_test(handover, a_window_scale_of_zero_counts_as_one, 0, 2);
	tcase_add_test(handover, a_handover_teaches_the_servers_options);
	tcase_add_loop_test(handover, a_server_that_scales_less_than_announced_ends_in_a_rst, 0, 5);
	tcase_add_loop_test(handover, clients_that_were_told_the_old_scale_are_told_from_those_that_were_told_none, 0,
			    2);
	tcase_add_test(handover, a_refusing_server_s_rst_reaches_the_client_in_its_sequence_space);
	tcase_add_test(handover, a_rst_that_does_not_acknowledge_the_syn_changes_nothing);
	tcase_add_test(handover, a_handover_that_is_hidden_from_conntrack_ends_in_a_rst_and_is_the_last);
	tcase_add_loop_test(handover, a_server_in_time_wait_is_answered_with_the_rst_the_client_would_send, 0, 2);
	tcase_add_test(handover, if_conntrack_cannot_take_over_both_sides_end);
	tcase_add_test(handover, a_duplicate_of_the_third_ack_passes_after_the_handover);
	tcase_add_test(handover, a_repeated_syn_ack_passes_after_the_handover);
	tcase_add_test(handover, a_handover_lingers_for_exactly_two_seconds);
	tcase_add_loop_test(handover, the_same_ports_may_be_used_again_while_the_old_handover_lingers, 0, 2);
	tcase_add_test(handover, a_client_that_begins_anew_on_the_same_ports_is_not_held_for_its_old_self);
	return suite;
}

int main(void)
{
	return unit_main(handover_suite());
}
