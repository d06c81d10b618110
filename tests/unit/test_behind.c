/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Servers behind this host: what is known of their answers, and what follows for SYNs. */
#include "guard_world.h"

#define NET 7 /* 10.1.0.0/16:80 */

static struct service *const web = &services[WEB];

static void behind(void)
{
	web->behind = true;
	web->answers = SERVICE_ANSWERS_NOT_YET;
}

/* WEB answers, has just done so, and all about it is known. */
static void guard_make_behind(void)
{
	guard_make();
	learn(false);
	learn(true);
	behind();
	service_answered(web, now_ns);
}

static void guard_make_behind_and_armed(void)
{
	guard_make_behind();
	arm();
}

static void answers_are(enum service_answers answers)
{
	ck_assert_int_eq(web->answers, answers);
	ck_assert_int_eq(service_may_be_answered_for(web), answers == SERVICE_ANSWERS);
}

/* ---- the service ---- */

START_TEST(of_a_server_on_this_host_nothing_is_noted_and_it_may_be_answered_for)
{
	for (unsigned i = 0; i < 5; i++) {
		service_refused(web, now_ns);
		service_unanswered(web, now_ns);
	}
	service_answered(web, now_ns);
	ck_assert_int_eq(web->answers, SERVICE_ANSWERS);
	ck_assert_uint_eq(web->answered_ns, 0);
	ck_assert_uint_eq(web->unanswered, 0);
	ck_assert(service_may_be_answered_for(web));
	ck_assert(!service_answer_is_stale(web, UINT64_MAX));
	ck_assert(!service_bore(web, 100000, 1000, 1000));
	ck_assert_uint_eq(web->learned_limit, 0);
}
END_TEST

START_TEST(a_server_that_has_said_nothing_yet_may_not_be_answered_for)
{
	behind();
	answers_are(SERVICE_ANSWERS_NOT_YET);
	ck_assert(!service_answer_is_stale(web, now_ns));
	service_answered(web, now_ns);
	answers_are(SERVICE_ANSWERS);
	ck_assert_uint_eq(web->answered_ns, now_ns);
}
END_TEST

START_TEST(a_syn_ack_changes_whatever_was_known)
{
	behind();
	web->answers = (uint8_t)_i;
	web->unanswered = 17;
	service_answered(web, now_ns);
	answers_are(SERVICE_ANSWERS);
	ck_assert_uint_eq(web->unanswered, 0);
}
END_TEST

START_TEST(the_time_of_an_answer_is_noted_ten_times_a_second)
{
	uint64_t first = now_ns;

	behind();
	service_answered(web, first);
	service_answered(web, first + 100 * NSEC_PER_MSEC - 1);
	ck_assert_uint_eq(web->answered_ns, first);
	service_answered(web, first + 100 * NSEC_PER_MSEC);
	ck_assert_uint_eq(web->answered_ns, first + 100 * NSEC_PER_MSEC);
	service_answered(web, first); /* another shard, a little late */
	ck_assert_uint_eq(web->answered_ns, first + 100 * NSEC_PER_MSEC);
}
END_TEST

START_TEST(an_answer_is_stale_after_exactly_a_second)
{
	behind();
	service_answered(web, now_ns);
	ck_assert(!service_answer_is_stale(web, now_ns));
	ck_assert(!service_answer_is_stale(web, now_ns - 5));
	ck_assert(!service_answer_is_stale(web, now_ns + NSEC_PER_SEC - 1));
	ck_assert(service_answer_is_stale(web, now_ns + NSEC_PER_SEC));
	service_refused(web, now_ns + SERVICE_REFUSAL_NS);
	ck_assert(!service_answer_is_stale(web, now_ns + SERVICE_REFUSAL_NS)); /* there is none */
}
END_TEST

START_TEST(a_rst_counts_two_seconds_after_the_last_syn_ack_and_not_before)
{
	behind();
	service_answered(web, now_ns);
	service_refused(web, now_ns + SERVICE_REFUSAL_NS - 1);
	answers_are(SERVICE_ANSWERS);
	service_refused(web, now_ns + SERVICE_REFUSAL_NS);
	answers_are(SERVICE_REFUSES);
}
END_TEST

START_TEST(a_rst_counts_where_there_never_was_a_syn_ack)
{
	behind();
	service_refused(web, 1);
	answers_are(SERVICE_REFUSES);
	web->answers = SERVICE_ANSWERS_ELSEWHERE; /* so its answers do come by */
	service_refused(web, 1);
	answers_are(SERVICE_REFUSES);
}
END_TEST

START_TEST(three_silent_handovers_in_a_row_and_half_a_minute_of_silence_mean_answers_elsewhere)
{
	uint64_t last = now_ns;

	behind();
	service_answered(web, last);
	for (unsigned i = 0; i < 10; i++)
		service_unanswered(web, last + SERVICE_SILENCE_NS - 1); /* too early, however many */
	answers_are(SERVICE_ANSWERS);
	service_unanswered(web, last + SERVICE_SILENCE_NS);
	answers_are(SERVICE_ANSWERS_ELSEWHERE);
}
END_TEST

START_TEST(two_silent_handovers_are_not_enough_and_an_answer_between_them_counts)
{
	uint64_t late = now_ns + 2 * SERVICE_SILENCE_NS;

	behind();
	service_answered(web, now_ns);
	service_unanswered(web, late);
	service_unanswered(web, late);
	answers_are(SERVICE_ANSWERS);
	service_answered(web, late);
	service_unanswered(web, late + SERVICE_SILENCE_NS);
	service_unanswered(web, late + SERVICE_SILENCE_NS);
	answers_are(SERVICE_ANSWERS);
	service_unanswered(web, late + SERVICE_SILENCE_NS);
	answers_are(SERVICE_ANSWERS_ELSEWHERE);
}
END_TEST

START_TEST(a_server_never_heard_of_answers_elsewhere_after_three)
{
	behind();
	service_unanswered(web, now_ns);
	service_unanswered(web, now_ns);
	answers_are(SERVICE_ANSWERS_NOT_YET);
	service_unanswered(web, now_ns);
	answers_are(SERVICE_ANSWERS_ELSEWHERE);
}
END_TEST

START_TEST(a_network_is_never_answered_for_and_no_server_in_it_speaks_for_the_others)
{
	behind();
	web->host_bits = 1;
	for (unsigned i = 0; i < 5; i++) {
		service_refused(web, now_ns);
		service_unanswered(web, now_ns);
	}
	ck_assert_int_eq(web->answers, SERVICE_ANSWERS_NOT_YET);
	service_answered(web, now_ns);
	ck_assert_int_eq(web->answers, SERVICE_ANSWERS);
	ck_assert(!service_may_be_answered_for(web));
	learn(false);
	ck_assert_uint_eq(service_learned(web, false).known, 0);
}
END_TEST

START_TEST(whom_nobody_may_answer_for_is_not_armed_whatever_is_ordered)
{
	static const struct service_timing timing = {NSEC_PER_SEC, NSEC_PER_SEC};

	behind();
	web->answers = (uint8_t)_i;
	for (unsigned order = SERVICE_OVERRIDE_AUTO; order <= SERVICE_OVERRIDE_DISARM; order++) {
		web->override = order;
		web->cookies = SERVICE_COOKIES_ALWAYS;
		service_enter(web, SERVICE_WATCHING, now_ns);
		if (_i == SERVICE_ANSWERS && order != SERVICE_OVERRIDE_DISARM) {
			ck_assert_int_eq(service_cookies(web), SERVICE_COOKIES_ALWAYS);
			ck_assert_int_eq(service_next(web, &timing, UINT32_MAX, now_ns), SERVICE_ARMED);
		} else {
			ck_assert_int_eq(service_cookies(web), SERVICE_COOKIES_NEVER);
			ck_assert_int_eq(service_next(web, &timing, UINT32_MAX, now_ns), SERVICE_WATCHING);
			service_enter(web, SERVICE_ARMED, now_ns);
			ck_assert_int_eq(service_next(web, &timing, UINT32_MAX, now_ns), SERVICE_DRAINING);
		}
	}
}
END_TEST

START_TEST(the_limit_grows_to_what_was_borne_beyond_the_default)
{
	behind();
	ck_assert_uint_eq(SERVICE_LIMIT_DEFAULT, 256); /* the manual's */
	ck_assert(!service_bore(web, SERVICE_LIMIT_DEFAULT, 1000, 1000));
	ck_assert_uint_eq(web->learned_limit, SERVICE_LIMIT_DEFAULT);
	ck_assert(service_bore(web, SERVICE_LIMIT_DEFAULT + 1, 1000, 1000));
	ck_assert_uint_eq(web->learned_limit, SERVICE_LIMIT_DEFAULT + 1);
	ck_assert(!service_bore(web, SERVICE_LIMIT_DEFAULT + 1, 1000, 1000));
	ck_assert(service_bore(web, UINT32_MAX, UINT32_MAX, UINT32_MAX));
	ck_assert(!service_bore(web, 300, 1000, 1000));
	ck_assert_uint_eq(web->learned_limit, UINT32_MAX);
}
END_TEST

START_TEST(the_limit_grows_only_when_most_of_enough_handshakes_are_completed)
{
	behind();
	ck_assert(!service_bore(web, 1000, 1000, 899));
	ck_assert(!service_bore(web, 1000, 49, 49));
	ck_assert(!service_bore(web, 1000, 0, 0));
	ck_assert(!service_bore(web, 1000, 47721859, 100000)); /* 90 times that is 14 in 32 bits */
	ck_assert_uint_eq(web->learned_limit, 0);
	ck_assert(service_bore(web, 1000, 50, 45));
	ck_assert(service_bore(web, 1001, 1000, 900));
}
END_TEST

START_TEST(a_limit_that_is_configured_is_not_learned)
{
	behind();
	web->configured_limit = 1;
	ck_assert(!service_bore(web, 1000, 1000, 1000));
	ck_assert_uint_eq(web->learned_limit, 0);
}
END_TEST

/* ---- SYNs to whom does not answer ---- */

START_TEST(armed_or_wary_syns_pass_to_whom_does_not_answer)
{
	guard_drop();
	guard_make_behind_and_armed();
	service_enter(web, _i % 2 ? SERVICE_WARY : SERVICE_ARMED, now_ns);
	web->answers = (uint8_t)(SERVICE_ANSWERS_NOT_YET + _i / 2);
	for (uint32_t n = 1; n <= 3; n++) {
		syn_from(n);
		ck_assert_int_eq(decision.act, ACT_PASS);
		ck_assert_int_eq(decision.send, SEND_NOTHING);
		ck_assert_uint_eq(web->half_open, n); /* counted as ever */
	}
	ck_assert_uint_eq(counted(OUTCOME_SYN_ACCEPTED), 3);
	ck_assert_int_eq(guard_explain(&guard, &(struct addr){{9}}, WEB, now_ns), OUTCOME_SYN_ACCEPTED);

	web->answers = SERVICE_ANSWERS;
	service_enter(web, SERVICE_ARMED, now_ns);
	ck_assert_int_eq(guard_explain(&guard, &(struct addr){{9}}, WEB, now_ns), OUTCOME_SYN_CHALLENGED);
	syn_from(4);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
}
END_TEST

static void bare_syn_from(uint32_t n)
{
	struct segment syn = syn_of(n);

	syn.options = (struct tcp_options){.wscale = -1};
	offer(&syn);
}

START_TEST(whom_nothing_is_heard_of_is_listened_to_every_20_ms_whatever_a_syn_offers)
{
	guard_drop();
	guard_make_behind();
	web->answers = (uint8_t)_i; /* NOT_YET, REFUSES, ELSEWHERE */
	bare_syn_from(1);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	now_ns += LEARN_NEW_NS - 1;
	bare_syn_from(2);
	decided(ACT_PASS, TREAT_HALF_OPEN, SEND_NOTHING);
	now_ns++;
	bare_syn_from(3);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);

	service_answered(web, now_ns);
	now_ns += LEARN_NEW_NS;
	syn_from(4);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING); /* to see whether what is known is still so, */
	now_ns += LEARN_NEW_NS;
	syn_from(5);
	decided(ACT_PASS, TREAT_HALF_OPEN, SEND_NOTHING); /* once a second */
}
END_TEST

/* Four cookies since somebody was last let through: it is more than a client that comes alone. */
static void cookies_pile_up(void)
{
	for (uint32_t n = 101; n <= 104; n++) {
		bare_syn_from(n);
		decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	}
}

START_TEST(armed_a_client_that_comes_alone_is_not_asked_to_see_whether_the_server_answers)
{
	guard_drop();
	guard_make_behind();
	service_enter(web, SERVICE_ARMED, now_ns);
	for (uint32_t n = 1; n <= 4; n++) {
		now_ns += 10 * NSEC_PER_SEC;
		bare_syn_from(n);
		decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	}
	bare_syn_from(5);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
}
END_TEST

/* Each of them shows that the server answers. */
START_TEST(armed_clients_that_are_handed_over_are_not_asked_either)
{
	guard_drop();
	guard_make_behind_and_armed();
	for (uint32_t n = 1; n <= 20; n++) {
		now_ns += 10 * NSEC_PER_SEC;
		hand_over(n);
	}
}
END_TEST

START_TEST(armed_one_syn_a_second_passes_to_see_whether_the_server_still_answers)
{
	guard_drop();
	guard_make_behind();
	service_enter(web, SERVICE_ARMED, now_ns);
	cookies_pile_up();
	now_ns += NSEC_PER_SEC - 1;
	bare_syn_from(2);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	now_ns++;
	bare_syn_from(3); /* whatever it offers */
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_SYN_TO_LEARN), 1);
	syn_from(4);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	cookies_pile_up();
	now_ns += NSEC_PER_SEC - 1; /* no answer came */
	syn_from(5);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	now_ns++;
	syn_from(6);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	answer_from_server(6, TCP_SYN | TCP_ACK);
	cookies_pile_up();
	now_ns += NSEC_PER_SEC - 1;
	syn_from(7);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
}
END_TEST

START_TEST(wary_too_a_challenged_source_lets_one_syn_a_second_pass)
{
	struct policy policy = no_policy;

	guard_drop();
	policy.half_open_limit = 1;
	guard_make_with(&policy, &single_hosts);
	learn(false);
	behind();
	service_answered(web, now_ns);
	service_enter(web, SERVICE_WARY, now_ns);
	syn_from(1);
	ck_assert_int_eq(decision.act, ACT_PASS);
	for (uint32_t i = 1; i <= 4; i++) {
		syn_from(1 + i * PORT);
		decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	}
	now_ns += NSEC_PER_SEC;
	syn_from(1 + 5 * PORT);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	syn_from(1 + 6 * PORT);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
}
END_TEST

START_TEST(on_this_host_no_syn_passes_for_that)
{
	guard_drop();
	guard_make_armed();
	for (uint32_t n = 1; n <= 5; n++) {
		now_ns += 10 * NSEC_PER_SEC;
		syn_from(n);
		decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	}
}
END_TEST

/* ---- answers ---- */

START_TEST(a_syn_ack_that_nobody_waits_for_tells_that_there_is_a_server)
{
	uint32_t n = _i ? V6 + 1 : 1;

	behind();
	answer_from_server(n, TCP_SYN);
	answers_are(SERVICE_ANSWERS_NOT_YET);
	answer_from_server(n, TCP_RST | TCP_ACK); /* to whatever: it refuses nobody that we know */
	answers_are(SERVICE_ANSWERS_NOT_YET);
	answer_from_server(n, TCP_SYN | TCP_ACK);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	answers_are(SERVICE_ANSWERS);
	ck_assert_uint_eq(counted(OUTCOME_PACKET_PASSED), 3);
}
END_TEST

START_TEST(the_answer_to_a_watched_syn_says_that_the_server_answers)
{
	uint32_t n = _i ? V6 + 1 : 1;

	guard_drop();
	guard_make();
	behind();
	syn_from(n);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	answer_from_server(n, TCP_SYN); /* the other half of a simultaneous open is no answer */
	answers_are(SERVICE_ANSWERS_NOT_YET);
	ck_assert_uint_eq(service_learned(web, _i).known, 0);
	answer_from_server(n, TCP_SYN | TCP_ACK);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert(!decision.found); /* it is a service of its own */
	answers_are(SERVICE_ANSWERS);
	ck_assert_uint_eq(service_learned(web, _i).known, ALL_OPTIONS);
}
END_TEST

START_TEST(a_rst_to_a_watched_syn_says_that_the_server_refuses)
{
	guard_drop();
	guard_make_behind();
	syn_from(1);
	now_ns += SERVICE_REFUSAL_NS;
	answer_from_server(1, TCP_RST); /* to an ACK that nobody waits for */
	answers_are(SERVICE_ANSWERS);
	answer_from_server(1, TCP_RST | TCP_ACK);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	answers_are(SERVICE_REFUSES);
	ck_assert_uint_eq(web->half_open, 0);
	syn_from(2);
	answer_from_server(2, TCP_SYN | TCP_ACK);
	answers_are(SERVICE_ANSWERS);
}
END_TEST

START_TEST(the_clients_own_rst_says_nothing_of_the_server)
{
	guard_drop();
	guard_make_behind();
	syn_from(1);
	now_ns += SERVICE_REFUSAL_NS;
	first_ack_from(1, TCP_RST);
	ck_assert_uint_eq(web->half_open, 0);
	answers_are(SERVICE_ANSWERS);
}
END_TEST

START_TEST(the_answer_to_a_handover_says_that_the_server_answers)
{
	guard_drop();
	guard_make_behind_and_armed();
	begin_handover(1);
	web->unanswered = 2;
	now_ns += NSEC_PER_SEC;
	answer_from_server(1, TCP_SYN | TCP_ACK);
	ck_assert_int_eq(decision.act, ACT_TAKE_OVER);
	ck_assert(!decision.found);
	ck_assert_uint_eq(web->answered_ns, now_ns);
	ck_assert_uint_eq(web->unanswered, 0);
}
END_TEST

START_TEST(a_rst_to_a_handover_says_that_the_server_refuses_and_no_port_looks_open_after_that)
{
	guard_drop();
	guard_make_behind_and_armed();
	begin_handover(1);
	now_ns += SERVICE_REFUSAL_NS;
	answer_from_server(1, TCP_RST | TCP_ACK);
	ck_assert_int_eq(decision.act, ACT_RENUMBER);
	answers_are(SERVICE_REFUSES);
	syn_from(2);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
}
END_TEST

/* Until the last try of client `n` is over. */
static void wait_in_vain(void)
{
	for (unsigned i = 0; i < SPLICE_TRIES; i++) {
		now_ns += splice_stage_s[i] * NSEC_PER_SEC;
		ck_assert(due());
	}
	ck_assert_uint_eq(decision.segment.flags, TCP_RST | TCP_ACK);
	ck_assert(!due());
}

static void third_ack_with(uint32_t n, uint16_t payload_bytes)
{
	static uint8_t payload[SPLICE_PAYLOAD_BYTES + 1];
	struct segment segment = ack_of(n, challenge(n));

	segment.payload = payload;
	segment.payload_bytes = payload_bytes;
	ack(&segment);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
}

START_TEST(a_handover_without_an_answer_counts_if_its_client_has_sent_data)
{
	struct segment more;

	guard_drop();
	guard_make_behind_and_armed();
	third_ack_with(1, 0);
	wait_in_vain();
	ck_assert_uint_eq(web->unanswered, 0);
	guard_drop();
	guard_make_behind_and_armed();
	third_ack_with(2, 1);
	wait_in_vain();
	ck_assert_uint_eq(web->unanswered, 1);
	guard_drop();
	guard_make_behind_and_armed();
	third_ack_with(3, SPLICE_PAYLOAD_BYTES + 1); /* not kept, but sent */
	wait_in_vain();
	ck_assert_uint_eq(web->unanswered, 1);
	guard_drop();
	guard_make_behind_and_armed();
	third_ack_with(4, 0);
	third_ack(4, splice_of(4)->cookie); /* once more: held, and no data */
	ck_assert_int_eq(decision.act, ACT_HOLD);
	ck_assert(!splice_of(4)->data_sent);
	more = ack_of(4, splice_of(4)->cookie);
	more.payload = (const uint8_t *)"GET /";
	more.payload_bytes = 5;
	guard.limits.held_max = 0; /* dropped, but sent */
	ack(&more);
	ck_assert_int_eq(decision.act, ACT_DROP);
	wait_in_vain();
	ck_assert_uint_eq(web->unanswered, 1);
}
END_TEST

START_TEST(a_handover_that_the_server_has_asked_back_about_is_not_one_without_an_answer)
{
	struct segment challenge_ack = answer_to(1, TCP_ACK);

	guard_drop();
	guard_make_behind_and_armed();
	third_ack_with(1, 5);
	challenge_ack.ack = 0x77777777;
	answer(&challenge_ack);
	ck_assert_int_eq(decision.send, SEND_TO_SERVER);
	wait_in_vain();
	ck_assert_uint_eq(web->unanswered, 0);
}
END_TEST

START_TEST(a_client_that_begins_anew_is_heard_and_answered_anew)
{
	struct segment challenge_ack = answer_to(1, TCP_ACK), anew = syn_of(1);
	uint32_t cookie;

	guard_drop();
	guard_make_behind_and_armed();
	third_ack_with(1, 5);
	challenge_ack.ack = 0x77777777;
	answer(&challenge_ack);
	ck_assert(splice_of(1)->data_sent && splice_of(1)->heard);
	anew.seq += 5000;
	offer(&anew);
	cookie = decision.segment.seq;
	anew = ack_of(1, cookie);
	anew.seq += 5000;
	ack(&anew);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	ck_assert(!splice_of(1)->data_sent && !splice_of(1)->heard);
}
END_TEST

START_TEST(asymmetric_routing_is_noticed_after_three_handovers_and_syns_pass_from_then_on)
{
	guard_drop();
	guard_make_behind_and_armed();
	for (uint32_t n = 1; n <= SERVICE_SILENT_HANDOVERS; n++) {
		answers_are(SERVICE_ANSWERS);
		syn_from(100 + n); /* the one that passes each second is answered elsewhere, too */
		third_ack_with(n, 5);
		wait_in_vain();
	}
	answers_are(SERVICE_ANSWERS_ELSEWHERE);
	now_ns += LEARN_NEW_NS;
	syn_from(10);
	decided(ACT_PASS, TREAT_LEARN, SEND_NOTHING);
	answer_from_server(10, TCP_SYN | TCP_ACK); /* the route has changed */
	answers_are(SERVICE_ANSWERS);
}
END_TEST

/* ---- servers that are found ---- */

static void map_as(const struct service_binding *bindings, unsigned count)
{
	service_map_free(map);
	map = service_map_new(bindings, count);
	guard.map = map;
}

static void guard_make_network(void)
{
	struct service_binding bindings[] = {{address("192.0.2.1"), 80, WEB, 0},
					     {address("10.1.0.0"), 80, NET, 16},
					     {address("10.1.0.0"), 81, NET + 1, 16},
					     {address("2001:db8:99::"), 80, NET + 2, 64}};

	guard_make();
	map_as(bindings, 4);
	for (unsigned i = NET; i <= NET + 2; i++) {
		services[i].behind = true;
		services[i].answers = SERVICE_ANSWERS_NOT_YET;
		services[i].host_bits = bindings[i - NET + 1].host_bits;
		service_set_limit(&services[i], 8, &thresholds);
	}
}

/* Host `n` of the network, asked by a client of its own. */
static struct segment syn_to_host(uint32_t n)
{
	struct segment syn = syn_of(n);

	syn.destination = address("10.1.0.0");
	syn.destination.bytes[14] = (uint8_t)(n >> 8);
	syn.destination.bytes[15] = (uint8_t)n;
	return syn;
}

static void syn_ack_from(const struct segment *syn)
{
	struct segment syn_ack = answer_to(0, TCP_SYN | TCP_ACK);

	syn_ack.source = syn->destination;
	syn_ack.source_port = syn->destination_port;
	syn_ack.destination = syn->source;
	syn_ack.destination_port = syn->source_port;
	syn_ack.ack = syn->seq + 1;
	answer(&syn_ack);
}

static void host_answers(uint32_t n)
{
	struct segment syn = syn_to_host(n);

	offer(&syn);
	ck_assert_int_eq(decision.act, ACT_PASS);
	syn_ack_from(&syn);
	ck_assert_int_eq(decision.act, ACT_PASS);
}

START_TEST(a_server_in_a_network_that_answers_is_found_once)
{
	struct segment syn = syn_to_host(3);

	host_answers(3);
	ck_assert(decision.found);
	ck_assert_uint_eq(guard.found_count, 1);
	ck_assert(addr_equal(&guard.found[0].address, &syn.destination));
	ck_assert_uint_eq(guard.found[0].port, 80);
	ck_assert_uint_eq(guard.found[0].service, NET);
	ck_assert_int_eq(services[NET].answers, SERVICE_ANSWERS);

	syn_ack_from(&syn); /* repeated */
	ck_assert(!decision.found);
	ck_assert_uint_eq(guard.found_count, 1);

	syn.destination_port = 81; /* another port of it is another server */
	syn.source_port++;
	offer(&syn);
	syn_ack_from(&syn);
	ck_assert(decision.found);
	ck_assert_uint_eq(guard.found_count, 2);
	ck_assert_uint_eq(guard.found[1].port, 81);
	ck_assert_uint_eq(guard.found[1].service, NET + 1);
	host_answers(4);
	ck_assert(decision.found);
	ck_assert_uint_eq(guard.found_count, 3);
}
END_TEST

START_TEST(a_server_in_an_ipv6_network_is_found)
{
	struct segment syn = syn_of(V6 + 1);

	syn.destination = address("2001:db8:99::7");
	offer(&syn);
	syn_ack_from(&syn);
	ck_assert(decision.found);
	ck_assert_uint_eq(guard.found[0].service, NET + 2);
	ck_assert(addr_equal(&guard.found[0].address, &syn.destination));
}
END_TEST

START_TEST(a_server_in_a_network_that_refuses_is_not_found)
{
	struct segment syn = syn_to_host(3), rst;

	offer(&syn);
	rst = answer_to(0, TCP_RST | TCP_ACK);
	rst.source = syn.destination;
	rst.destination = syn.source;
	rst.destination_port = syn.source_port;
	rst.ack = syn.seq + 1;
	answer(&rst);
	ck_assert(!decision.found);
	ck_assert_uint_eq(guard.found_count, 0);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_RESET), 1);
}
END_TEST

START_TEST(a_server_that_has_become_a_service_meanwhile_is_not_found_again)
{
	struct segment syn = syn_to_host(3);
	struct service_binding bindings[] = {{address("10.1.0.0"), 80, NET, 16}, {syn.destination, 80, WEB, 0}};

	offer(&syn);
	map_as(bindings, 2);
	syn_ack_from(&syn);
	ck_assert(!decision.found);
	ck_assert_uint_eq(guard.found_count, 0);
	ck_assert_int_eq(services[NET].answers, SERVICE_ANSWERS);
}
END_TEST

START_TEST(of_several_found_none_is_listed_twice_before_it_is_taken_away)
{
	struct segment first = syn_to_host(3), second = syn_to_host(4);

	host_answers(3);
	host_answers(4);
	syn_ack_from(&second);
	ck_assert(!decision.found);
	ck_assert_uint_eq(guard.found_count, 2);
	guard.found_count = 0; /* by the supervisor; it is no service yet */
	syn_ack_from(&first);
	ck_assert(decision.found);
	ck_assert_uint_eq(guard.found_count, 1);
}
END_TEST

START_TEST(with_no_room_for_more_a_server_is_found_by_its_next_answer)
{
	for (uint32_t n = 1; n <= GUARD_FOUND_MAX; n++) {
		host_answers(n);
		ck_assert(decision.found);
	}
	host_answers(GUARD_FOUND_MAX + 1);
	ck_assert(!decision.found);
	ck_assert_uint_eq(guard.found_count, GUARD_FOUND_MAX);
	guard.found_count = 0; /* taken away by the supervisor */
	host_answers(GUARD_FOUND_MAX + 1);
	ck_assert(decision.found);
	ck_assert_uint_eq(guard.found_count, 1);
}
END_TEST

START_TEST(a_network_gets_no_cookies_and_is_listened_to_every_20_ms)
{
	struct segment syn;

	for (uint32_t n = 1; n <= 100; n++) {
		service_enter(&services[NET], SERVICE_ARMED, now_ns);
		syn = syn_to_host(n);
		offer(&syn);
		decided(ACT_PASS, n % 2 ? TREAT_LEARN : TREAT_SEEN, SEND_NOTHING);
		if (n % 2)
			syn_ack_from(&syn);
		now_ns += LEARN_NEW_NS / 2;
	}
	ck_assert_uint_eq(services[NET].half_open, 50); /* the others take no room from those that can be armed */
	ck_assert_uint_eq(counted(OUTCOME_SYN_UNFOUND), 50);
	ck_assert_uint_eq(service_learned(&services[NET], false).known, 0);
}
END_TEST

/* Another gateway, which has the same secret, has found the server and sent the cookie. */
START_TEST(a_server_is_found_by_a_handover_of_another_gateways_cookie)
{
	struct cookie_options options = {.mss = 1460, .wscale = 7, .sack = true};
	struct segment segment = ack_of(3, 0);
	struct segment syn = syn_to_host(3);
	struct flow flow;

	segment.destination = syn.destination;
	flow = flow_from_client(&segment);
	segment.ack = cookie_make(&guard_secret, &flow, segment.seq - 1, &options) + 1;
	ack(&segment);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	syn_ack_from(&syn);
	ck_assert_int_eq(decision.act, ACT_TAKE_OVER); /* though nothing is known of the server's window scale */
	ck_assert(decision.found);
	ck_assert_uint_eq(guard.found_count, 1);
}
END_TEST

static Suite *behind_suite(void)
{
	Suite *suite = suite_create("behind");
	TCase *service = tcase_create("service");
	TCase *syns = tcase_create("syns");
	TCase *answers = tcase_create("answers");
	TCase *found = tcase_create("found");

	suite_add_tcase(suite, service);
	tcase_add_checked_fixture(service, guard_make, guard_drop);
	tcase_add_test(service, of_a_server_on_this_host_nothing_is_noted_and_it_may_be_answered_for);
	tcase_add_test(service, a_server_that_has_said_nothing_yet_may_not_be_answered_for);
	tcase_add_loop_test(service, a_syn_ack_changes_whatever_was_known, 0, 4);
	tcase_add_test(service, the_time_of_an_answer_is_noted_ten_times_a_second);
	tcase_add_test(service, an_answer_is_stale_after_exactly_a_second);
	tcase_add_test(service, a_rst_counts_two_seconds_after_the_last_syn_ack_and_not_before);
	tcase_add_test(service, a_rst_counts_where_there_never_was_a_syn_ack);
	tcase_add_test(service, three_silent_handovers_in_a_row_and_half_a_minute_of_silence_mean_answers_elsewhere);
	tcase_add_test(service, two_silent_handovers_are_not_enough_and_an_answer_between_them_counts);
	tcase_add_test(service, a_server_never_heard_of_answers_elsewhere_after_three);
	tcase_add_test(service, a_network_is_never_answered_for_and_no_server_in_it_speaks_for_the_others);
	tcase_add_loop_test(service, whom_nobody_may_answer_for_is_not_armed_whatever_is_ordered, 0, 4);
	tcase_add_test(service, the_limit_grows_to_what_was_borne_beyond_the_default);
	tcase_add_test(service, the_limit_grows_only_when_most_of_enough_handshakes_are_completed);
	tcase_add_test(service, a_limit_that_is_configured_is_not_learned);

	suite_add_tcase(suite, syns);
	tcase_add_checked_fixture(syns, guard_make, guard_drop);
	tcase_add_loop_test(syns, armed_or_wary_syns_pass_to_whom_does_not_answer, 0, 6);
	tcase_add_loop_test(syns, whom_nothing_is_heard_of_is_listened_to_every_20_ms_whatever_a_syn_offers, 1, 4);
	tcase_add_test(syns, armed_a_client_that_comes_alone_is_not_asked_to_see_whether_the_server_answers);
	tcase_add_test(syns, armed_clients_that_are_handed_over_are_not_asked_either);
	tcase_add_test(syns, armed_one_syn_a_second_passes_to_see_whether_the_server_still_answers);
	tcase_add_test(syns, wary_too_a_challenged_source_lets_one_syn_a_second_pass);
	tcase_add_test(syns, on_this_host_no_syn_passes_for_that);

	suite_add_tcase(suite, answers);
	tcase_add_checked_fixture(answers, guard_make, guard_drop);
	tcase_add_loop_test(answers, a_syn_ack_that_nobody_waits_for_tells_that_there_is_a_server, 0, 2);
	tcase_add_loop_test(answers, the_answer_to_a_watched_syn_says_that_the_server_answers, 0, 2);
	tcase_add_test(answers, a_rst_to_a_watched_syn_says_that_the_server_refuses);
	tcase_add_test(answers, the_clients_own_rst_says_nothing_of_the_server);
	tcase_add_test(answers, the_answer_to_a_handover_says_that_the_server_answers);
	tcase_add_test(answers, a_rst_to_a_handover_says_that_the_server_refuses_and_no_port_looks_open_after_that);
	tcase_add_test(answers, a_handover_without_an_answer_counts_if_its_client_has_sent_data);
	tcase_add_test(answers, a_handover_that_the_server_has_asked_back_about_is_not_one_without_an_answer);
	tcase_add_test(answers, a_client_that_begins_anew_is_heard_and_answered_anew);
	tcase_add_test(answers, asymmetric_routing_is_noticed_after_three_handovers_and_syns_pass_from_then_on);

	suite_add_tcase(suite, found);
	tcase_add_checked_fixture(found, guard_make_network, guard_drop);
	tcase_add_test(found, a_server_in_a_network_that_answers_is_found_once);
	tcase_add_test(found, a_server_in_an_ipv6_network_is_found);
	tcase_add_test(found, a_server_in_a_network_that_refuses_is_not_found);
	tcase_add_test(found, a_server_that_has_become_a_service_meanwhile_is_not_found_again);
	tcase_add_test(found, of_several_found_none_is_listed_twice_before_it_is_taken_away);
	tcase_add_test(found, with_no_room_for_more_a_server_is_found_by_its_next_answer);
	tcase_add_test(found, a_network_gets_no_cookies_and_is_listened_to_every_20_ms);
	tcase_add_test(found, a_server_is_found_by_a_handover_of_another_gateways_cookie);
	return suite;
}

int main(void)
{
	return unit_main(behind_suite());
}
