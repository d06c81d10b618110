/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard's rate limit: which third ACKs are refused, how, and who is banned. */
#include "guard_world.h"

#define BURST 3
#define INTERVAL_NS (100 * NSEC_PER_MSEC)
#define OTHER 100 /* another client of the same /24, and thus the same source */

static const struct policy with_rate = {
	.half_open_limit = 64,
	.span_s = 10,
	.rate_per_s = 10,
	.rate_burst = BURST,
};

static void guard_make_rate(void)
{
	static const struct source_prefixes nets = {24, 64};

	guard_make_with(&with_rate, &nets);
	service_set_limit(&services[WEB], 128, &thresholds);
	learn(false);
	learn(true);
	guard.learn_at_ns[WEB][0] = guard.learn_at_ns[WEB][1] = UINT64_MAX;
	arm();
}

static struct source *source_of(uint32_t n)
{
	struct segment syn = syn_of(n);

	return source_find(guard.sources, &syn.source);
}

static bool was_refused(void)
{
	return decision.act == ACT_DROP;
}

/* Its cookie comes back, until the server has the connection; false if it is refused. */
static bool returns(uint32_t n, uint32_t cookie)
{
	struct splice *splice;

	third_ack(n, cookie);
	if (was_refused())
		return false;
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	splice = splice_of(n);
	answer_from_server(n, TCP_SYN | TCP_ACK);
	ck_assert_int_eq(decision.act, ACT_TAKE_OVER);
	guard_taken_over(&guard, splice, now_ns);
	return true;
}

/* A connection of the client from the given port on. */
static bool connects(uint32_t n, uint32_t port)
{
	n += port * PORT;
	return returns(n, challenge(n));
}

/* Wary, with nothing left of its burst, and refused once. */
static void use_up(uint32_t n)
{
	uint32_t port = 0;

	while (connects(n, port))
		ck_assert_uint_lt(port++, 100);
	ck_assert_uint_eq(port, 2 * BURST + 1); /* a burst, the one that makes it wary, and another burst */
}

START_TEST(the_third_ack_beyond_the_rate_is_dropped)
{
	use_up(_i ? V6 : 0);
	decided(ACT_DROP, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_int_eq(decision.trip, -1);
	ck_assert_ptr_null(decision.splice);
	ck_assert(!decision.drop_held && !decision.forget_flow && !decision.ban);
	ck_assert_ptr_null(splice_of((_i ? V6 : 0) + (2 * BURST + 1) * PORT));
	ck_assert_uint_eq(counted(OUTCOME_ACK_OVER_RATE), 1);
	ck_assert_uint_eq(counted(OUTCOME_ACK_COOKIE_VALID), 2 * BURST + 1);
	ck_assert_uint_eq(tally_unanswered(&guard.tallies[WEB], TIMEOUT_S, now_ns), 0);
	ck_assert_uint_eq(counted(OUTCOME_SOURCE_BANNED), 0);
	ck_assert_uint_eq(guard.ban_count, 0);
}
END_TEST

START_TEST(a_wary_source_has_one_burst)
{
	guard.limits.policy.half_open_limit = 1;
	service_enter(&services[WEB], SERVICE_WATCHING, now_ns);
	syn_from(0);
	ck_assert_int_eq(decision.trip, WEB);
	service_enter(&services[WEB], SERVICE_WARY, now_ns);
	for (uint32_t port = 1; port <= BURST; port++)
		ck_assert(connects(0, port));
	ck_assert(!connects(0, BURST + 1));
}
END_TEST

START_TEST(an_interval_later_one_more_is_taken)
{
	use_up(0);
	now_ns += INTERVAL_NS - 1;
	ck_assert(!connects(0, 50));
	now_ns++;
	ck_assert(connects(0, 51));
	ck_assert(!connects(0, 52));
	ck_assert_uint_eq(counted(OUTCOME_ACK_OVER_RATE), 3);
}
END_TEST

START_TEST(a_refused_client_gets_in_with_its_repeated_ack_an_interval_later)
{
	uint32_t n = 50 * PORT, cookie;

	use_up(0);
	cookie = challenge(n);
	third_ack(n, cookie);
	ck_assert(was_refused());
	third_ack(n, cookie);
	ck_assert(was_refused());
	now_ns += INTERVAL_NS;
	third_ack(n, cookie);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	ck_assert_uint_eq(decision.segment.seq, n * 1000);
	ck_assert_int_eq(splice_of(n)->state, SPLICE_SYN_SENT);
	ck_assert_uint_eq(counted(OUTCOME_ACK_OVER_RATE), 3);
}
END_TEST

/* Once it is let in, it is the handover's. */
START_TEST(further_packets_of_a_client_are_no_connections)
{
	uint32_t n = 50 * PORT, cookie;

	use_up(0);
	now_ns += 2 * INTERVAL_NS;
	cookie = challenge(n);
	third_ack(n, cookie);
	decided(ACT_REWRITE, TREAT_HANDOVER, SEND_NOTHING);
	for (uint32_t id = 0; id < 5; id++) {
		third_ack(n, cookie);
		decided(ACT_HOLD, TREAT_PLAIN, SEND_NOTHING);
		guard_held(&guard, decision.splice, id);
	}
	ck_assert(connects(0, 51)); /* the other that was due */
	ck_assert(!connects(0, 52));
}
END_TEST

START_TEST(an_ack_without_a_valid_cookie_is_no_connection)
{
	for (unsigned i = 0; i < 1000; i++) {
		third_ack(50 * PORT, 0x1234567 * i);
		must(decision.act == ACT_PASS && decision.treatment == TREAT_STRAY);
	}
	ck_assert_ptr_null(source_of(0));
	use_up(0);
}
END_TEST

START_TEST(other_sources_are_not_refused)
{
	use_up(0);
	ck_assert(connects(0x100, 0)); /* the next /24 */
	ck_assert(connects(V6, 0));
	ck_assert(!connects(OTHER, 0));
	ck_assert(!connects(0, 50));
}
END_TEST

START_TEST(without_a_rate_nobody_is_refused)
{
	guard.limits.policy.rate_per_s = 0;
	for (uint32_t port = 0; port < 200; port++)
		ck_assert(connects(0, port));
}
END_TEST

/* It was to observe no sooner than the cookies were sent. */
START_TEST(an_observer_refuses_and_bans_nobody)
{
	uint32_t n = 50 * PORT, cookies[20];

	guard.limits.policy.refusal = POLICY_RESET;
	use_up(0);
	guard.limits.policy.ban_s = 60;
	for (uint32_t port = 0; port < 20; port++)
		cookies[port] = challenge(n + port * PORT);
	guard.limits.observe = true;
	for (uint32_t port = 0; port < 20; port++)
		ck_assert(returns(n + port * PORT, cookies[port]));
	ck_assert_uint_eq(counted(OUTCOME_ACK_OVER_RATE), 1);
	ck_assert_uint_eq(counted(OUTCOME_SOURCE_BANNED), 0);
	ck_assert_uint_eq(guard.ban_count, 0);
	guard.limits.observe = false;
	ck_assert(!connects(0, 100));
}
END_TEST

/* ---- reset ---- */

/* 0: bare; 1: without timestamps; 2: with a request; 3: with a FIN; 4: with both. */
START_TEST(a_refused_client_gets_the_rst_that_it_will_take)
{
	static const char request[] = "GET /";
	uint32_t n = (_i ? V6 : 0) + 50 * PORT, bytes = _i == 2 || _i == 4 ? sizeof(request) : 0;
	struct segment segment, rst = answer_to(n, TCP_RST | TCP_ACK);
	uint32_t cookie;

	guard.limits.policy.refusal = POLICY_RESET;
	use_up(_i ? V6 : 0);
	cookie = challenge(n);
	segment = ack_of(n, cookie);
	segment.options.timestamps = _i != 1;
	segment.payload = (const uint8_t *)request;
	segment.payload_bytes = (uint16_t)bytes;
	if (_i >= 3)
		segment.flags |= TCP_FIN;
	ack(&segment);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	rst.seq = cookie + 1;                       /* RFC 9293 3.10.7.4: at exactly the next sequence number */
	rst.ack = n * 1000 + 1 + bytes + (_i >= 3); /* RFC 9293 3.4: a FIN takes one, too */
	rst.window = 0;
	rst.options = (struct tcp_options){.wscale = -1, .timestamps = _i != 1, .tsecr = 5100};
	segment_is(&rst);
	ck_assert_uint_eq(decision.interface, INTERFACE);
	ck_assert_ptr_null(decision.splice);
	ck_assert(!decision.forget_flow); /* conntrack has none */
	ck_assert_ptr_null(splice_of(n));
	ck_assert_uint_eq(counted(OUTCOME_ACK_OVER_RATE), 2);
}
END_TEST

/* ---- bans ---- */

START_TEST(a_refused_source_is_banned_by_its_network)
{
	struct addr net = address(_i ? "2001:db8:1::" : "198.18.0.0");

	guard.limits.policy.ban_s = 60;
	guard.limits.policy.refusal = _i ? POLICY_RESET : POLICY_DROP;
	use_up((_i ? V6 : 0) + (_i ? 0 : 7)); /* 198.18.0.7; 2001:db8:1::1 */
	decided(ACT_DROP, TREAT_PLAIN, _i ? SEND_TO_CLIENT : SEND_NOTHING);
	ck_assert(decision.ban);
	ck_assert_uint_eq(guard.ban_count, 1);
	ck_assert(addr_equal(&guard.bans[0], &net));
	ck_assert_uint_eq(counted(OUTCOME_SOURCE_BANNED), 1);
	ck_assert_uint_eq(counted(OUTCOME_ACK_OVER_RATE), 1);
}
END_TEST

START_TEST(bans_are_listed_in_order_until_they_are_taken)
{
	guard.limits.policy.ban_s = 60;
	use_up(0x300);
	use_up(0x100);
	ck_assert(decision.ban);
	ck_assert_uint_eq(guard.ban_count, 2);
	ck_assert(addr_equal(&guard.bans[0], &source_of(0x300)->net));
	ck_assert(addr_equal(&guard.bans[1], &source_of(0x100)->net));
	guard.ban_count = 0; /* the supervisor has them */
	use_up(0x200);
	ck_assert_uint_eq(guard.ban_count, 1);
	ck_assert(addr_equal(&guard.bans[0], &source_of(0x200)->net));
}
END_TEST

START_TEST(a_source_waits_for_its_ban_once)
{
	use_up(0);
	guard.limits.policy.ban_s = 60;
	ck_assert(!connects(0, 100));
	ck_assert(decision.ban);
	ck_assert(!connects(0, 101));
	ck_assert(!decision.ban);
	ck_assert_uint_eq(guard.ban_count, 1);
	ck_assert_uint_eq(counted(OUTCOME_SOURCE_BANNED), 1);

	use_up(0x100); /* another, in between */
	ck_assert(decision.ban);
	ck_assert(!connects(0, 102));
	ck_assert(!decision.ban);
	ck_assert(!connects(OTHER, 103));
	ck_assert(!decision.ban);
	ck_assert_uint_eq(guard.ban_count, 2);
	ck_assert_uint_eq(counted(OUTCOME_SOURCE_BANNED), 2);

	guard.ban_count = 0; /* the supervisor has them; the rules are not changed yet */
	ck_assert(!connects(0, 104));
	ck_assert(decision.ban);
	ck_assert_uint_eq(guard.ban_count, 1);
}
END_TEST

START_TEST(bans_beyond_the_bound_wait_for_the_next_refusal)
{
	use_up(0);
	guard.limits.policy.ban_s = 60;
	for (unsigned i = 0; i < GUARD_BANS_MAX; i++)
		guard.bans[i] = addr_from_v4((const uint8_t[]){203, 0, 113, (uint8_t)i});
	guard.ban_count = GUARD_BANS_MAX;
	ck_assert(!connects(0, 1000));
	ck_assert(!decision.ban);
	ck_assert_uint_eq(guard.ban_count, GUARD_BANS_MAX);
	ck_assert_uint_eq(counted(OUTCOME_SOURCE_BANNED), 0);
	guard.ban_count = 0;
	ck_assert(!connects(0, 1001));
	ck_assert(decision.ban);
	ck_assert_uint_eq(guard.ban_count, 1);
}
END_TEST

START_TEST(without_a_ban_time_nobody_is_banned)
{
	use_up(0);
	for (uint32_t port = 50; port < 60; port++)
		ck_assert(!connects(0, port));
	ck_assert_uint_eq(guard.ban_count, 0);
	ck_assert_uint_eq(counted(OUTCOME_SOURCE_BANNED), 0);
}
END_TEST

/* ---- what is forged ---- */

/* In the client's name: new ones, repeated ones, and those with ACKs that bring no cookie. */
static void forge(uint64_t *seed)
{
	uint32_t n = OTHER + random_below(seed, 5000) * PORT;

	switch (random_below(seed, 4)) {
	case 0:
		third_ack(n, (uint32_t)random_next(seed));
		break;
	case 1:
		first_ack_from(n, TCP_RST);
		break;
	default:
		syn_from(n);
	}
	now_ns += random_below(seed, 2000);
}

/* 0: watching, 1: wary, 2: armed, 3: draining. */
START_TEST(syns_alone_lead_to_no_refusal)
{
	uint64_t seed = 5;

	guard.limits.policy.ban_s = 60;
	for (unsigned i = 0; i < 20000; i++) {
		service_enter(&services[WEB], (enum service_posture)_i, now_ns);
		forge(&seed);
	}
	ck_assert_uint_eq(counted(OUTCOME_ACK_OVER_RATE), 0);
	service_enter(&services[WEB], SERVICE_ARMED, now_ns);
	for (uint32_t port = 0; port < BURST; port++)
		ck_assert(connects(0, port));
	ck_assert_uint_eq(counted(OUTCOME_ACK_OVER_RATE), 0);
	ck_assert_uint_eq(guard.ban_count, 0);
}
END_TEST

START_TEST(handshakes_that_the_kernel_answered_lead_to_no_refusal)
{
	service_enter(&services[WEB], SERVICE_WATCHING, now_ns);
	for (uint32_t port = 0; port < 1000; port++) {
		syn_from(OTHER + port * PORT);
		first_ack_from(OTHER + port * PORT, TCP_ACK); /* guessed */
	}
	service_enter(&services[WEB], SERVICE_WARY, now_ns);
	for (uint32_t port = 0; port < BURST; port++)
		ck_assert(connects(0, port));
	ck_assert(!connects(0, BURST));
}
END_TEST

/* ---- the table of sources ---- */

static void evict(uint32_t n)
{
	struct segment syn = syn_of(n);

	for (uint32_t i = 0; i < SOURCES_MAX; i++) {
		struct addr addr = host(true, i + 1);
		bool evicted;

		source_touch(guard.sources, &addr, now_ns, &evicted);
	}
	ck_assert_ptr_null(source_find(guard.sources, &syn.source));
}

/* Its cookies come back after it was forgotten: it has all of its burst, and no more. */
static void returns_after_eviction(void)
{
	uint32_t cookies[BURST + 1];

	for (uint32_t port = 0; port <= BURST; port++)
		cookies[port] = challenge(port * PORT);
	evict(0);
	for (uint32_t port = 0; port < BURST; port++) {
		ck_assert(returns(port * PORT, cookies[port]));
		ck_assert_uint_eq(source_of(0)->wary_since_s, 0);
	}
	ck_assert(returns(BURST * PORT, cookies[BURST]));
	ck_assert_uint_gt(source_of(0)->wary_since_s, 0);
}

START_TEST(a_source_forgotten_between_its_syn_and_its_ack_begins_anew)
{
	uint32_t cookie = challenge(0);

	ck_assert_uint_eq(source_of(0)->owed, 1);
	evict(0);
	ck_assert(returns(0, cookie));
	ck_assert_uint_eq(source_of(0)->owed, 0);
	ck_assert_uint_eq(source_of(0)->syns, 0);
	ck_assert_uint_eq(source_of(0)->completed, 1);
	ck_assert_uint_eq(source_of(0)->proven_s, START_NS / NSEC_PER_SEC);
	ck_assert_uint_eq(counted(OUTCOME_SOURCE_EVICTED), 1);
	ck_assert_uint_eq(counted(OUTCOME_ACK_OVER_RATE), 0);
}
END_TEST

START_TEST(a_source_forgotten_after_its_syns_has_its_burst)
{
	returns_after_eviction();
}
END_TEST

START_TEST(a_source_that_only_returns_cookies_has_its_burst_once)
{
	uint32_t cookies[20], passed = 0;

	for (uint32_t port = 0; port < 20; port++)
		cookies[port] = challenge(port * PORT);
	evict(0);
	for (uint32_t port = 0; port < 20; port++)
		passed += returns(port * PORT, cookies[port]);
	ck_assert_uint_eq(passed, 2 * BURST + 1);
	ck_assert_uint_eq(source_of(0)->completed, 20);
}
END_TEST

/* At boot; where 32 bits of milliseconds reach half of their circle and all of it; and 48 bits of 128 ns. */
static const uint64_t uptimes_s[] = {
	0,           1,           26 * 86400,  49 * 86400,  50 * 86400,
	75 * 86400,  208 * 86400, 209 * 86400, 416 * 86400, 36028797 /* 2^55 ns */,
	417 * 86400, 418 * 86400,
};
#define UPTIMES ((int)(sizeof(uptimes_s) / sizeof(uptimes_s[0])))

START_TEST(a_source_begins_with_its_burst_at_any_uptime)
{
	now_ns = uptimes_s[_i] * NSEC_PER_SEC;
	service_enter(&services[WEB], SERVICE_WATCHING, now_ns);
	for (uint32_t port = 0; port < BURST; port++) {
		syn_from(0x100 + port * PORT);
		ck_assert_int_eq(decision.trip, -1);
		first_ack_from(0x100 + port * PORT, TCP_ACK);
	}
	arm();
	use_up(0x200);
	returns_after_eviction();
}
END_TEST

static Suite *guard_rate_suite(void)
{
	Suite *suite = suite_create("guard_rate");
	TCase *rate = tcase_create("rate");
	TCase *forged = tcase_create("forged");

	suite_add_tcase(suite, rate);
	tcase_add_checked_fixture(rate, guard_make_rate, guard_drop);
	tcase_add_loop_test(rate, the_third_ack_beyond_the_rate_is_dropped, 0, 2);
	tcase_add_test(rate, a_wary_source_has_one_burst);
	tcase_add_test(rate, an_interval_later_one_more_is_taken);
	tcase_add_test(rate, a_refused_client_gets_in_with_its_repeated_ack_an_interval_later);
	tcase_add_test(rate, further_packets_of_a_client_are_no_connections);
	tcase_add_test(rate, an_ack_without_a_valid_cookie_is_no_connection);
	tcase_add_test(rate, other_sources_are_not_refused);
	tcase_add_test(rate, without_a_rate_nobody_is_refused);
	tcase_add_test(rate, an_observer_refuses_and_bans_nobody);
	tcase_add_loop_test(rate, a_refused_client_gets_the_rst_that_it_will_take, 0, 5);
	tcase_add_loop_test(rate, a_refused_source_is_banned_by_its_network, 0, 2);
	tcase_add_test(rate, bans_are_listed_in_order_until_they_are_taken);
	tcase_add_test(rate, a_source_waits_for_its_ban_once);
	tcase_add_test(rate, bans_beyond_the_bound_wait_for_the_next_refusal);
	tcase_add_test(rate, without_a_ban_time_nobody_is_banned);

	suite_add_tcase(suite, forged);
	tcase_add_checked_fixture(forged, guard_make_rate, guard_drop);
	tcase_add_loop_test(forged, syns_alone_lead_to_no_refusal, SERVICE_WATCHING, SERVICE_DRAINING + 1);
	tcase_add_test(forged, handshakes_that_the_kernel_answered_lead_to_no_refusal);
	tcase_add_test(forged, a_source_forgotten_between_its_syn_and_its_ack_begins_anew);
	tcase_add_test(forged, a_source_forgotten_after_its_syns_has_its_burst);
	tcase_add_test(forged, a_source_that_only_returns_cookies_has_its_burst_once);
	tcase_add_loop_test(forged, a_source_begins_with_its_burst_at_any_uptime, 0, UPTIMES);
	return suite;
}

int main(void)
{
	return unit_main(guard_rate_suite());
}
