/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sys/resource.h>

#include "guard_world.h"

/* ---- peace ---- */

START_TEST(a_syn_in_peace_passes_and_is_half_open)
{
	learn(false);
	guard.learn_at_ns[WEB][0] = guard.learn_at_ns[WEB][1] = UINT64_MAX;
	syn_from(1);
	decided(ACT_PASS, TREAT_HALF_OPEN, SEND_NOTHING);
	ck_assert_int_eq(decision.trip, -1);
	ck_assert_ptr_null(decision.splice);
	ck_assert(!decision.drop_held && !decision.forget_flow);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RECEIVED), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_ACCEPTED), 1);
}
END_TEST

START_TEST(a_syn_is_counted_against_its_source)
{
	struct segment syn = syn_of(1);
	struct source *source;

	offer(&syn);
	syn.source_port++;
	offer(&syn);
	offer(&syn);
	source = source_find(guard.sources, &syn.source);
	ck_assert_uint_eq(source->syns, 3);
	ck_assert_uint_eq(source->half_open, 2);
	first_ack_from(1, TCP_ACK);
	ck_assert_uint_eq(source->half_open, 1);
	ck_assert_uint_eq(source->completed, 1);
	ck_assert_uint_eq(source->last_s, START_NS / NSEC_PER_SEC);
	ck_assert_uint_eq(tally_distinct(&guard.tallies[WEB].current), 1);
	syn_from(2);
	ck_assert_uint_eq(tally_distinct(&guard.tallies[WEB].current), 2);
	ck_assert_uint_eq(guard.tallies[WEB].totals.syns, 4);
	ck_assert_uint_eq(guard.tallies[WEB].totals.begun, 3);
	ck_assert_uint_eq(guard.tallies[WEB].totals.retransmitted, 1);
	ck_assert_uint_eq(guard.tallies[WEB].totals.completed, 1);
}
END_TEST

START_TEST(a_source_that_was_forgotten_meanwhile_owes_nothing)
{
	struct segment syn = syn_of(1);

	offer(&syn);
	source_find(guard.sources, &syn.source)->half_open = 0; /* evicted, and here again */
	first_ack_from(1, TCP_ACK);
	ck_assert_uint_eq(source_find(guard.sources, &syn.source)->half_open, 0);
}
END_TEST

START_TEST(the_numbers_of_a_source_do_not_wrap_around)
{
	struct segment syn = syn_of(1);
	struct source *source;

	learn(false);
	arm();
	offer(&syn);
	source = source_find(guard.sources, &syn.source);
	source->syns = source->challenged = UINT32_MAX;
	offer(&syn);
	ck_assert_uint_eq(source->syns, UINT32_MAX);
	ck_assert_uint_eq(source->challenged, UINT32_MAX);
}
END_TEST

START_TEST(a_syn_to_no_service_passes_unwatched)
{
	struct segment syn = syn_of(1);

	syn.destination_port = 81;
	offer(&syn);
	decided(ACT_PASS, TREAT_SEEN, SEND_NOTHING);
	ck_assert_int_eq(decision.trip, -1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_UNKNOWN), 1);
	ck_assert_uint_eq(halfopen_count(guard.halfopen), 0);
	ck_assert_uint_eq(source_count(guard.sources), 0);
}
END_TEST

START_TEST(a_retransmitted_syn_counts_once)
{
	for (unsigned i = 0; i < 4; i++) {
		syn_from(1);
		ck_assert_int_eq(decision.act, ACT_PASS);
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RECEIVED), 4);
	ck_assert_uint_eq(counted(OUTCOME_SYN_ACCEPTED), 1);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RETRANSMITTED), 3);
}
END_TEST

static const struct {
	uint8_t flags;
	enum outcome outcome;
} first_packets[] = {
	{TCP_ACK, OUTCOME_HALF_OPEN_COMPLETED},
	{TCP_ACK | TCP_PSH | TCP_FIN, OUTCOME_HALF_OPEN_COMPLETED},
	{TCP_RST, OUTCOME_HALF_OPEN_RESET},
	{TCP_RST | TCP_ACK, OUTCOME_HALF_OPEN_RESET},
};

START_TEST(the_first_ack_or_rst_ends_the_half_open_entry)
{
	syn_from(1);
	syn_from(2);
	first_ack_from(1, first_packets[_i].flags);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(halfopen_count(guard.halfopen), 1);
	ck_assert_uint_eq(counted(first_packets[_i].outcome), 1);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_COMPLETED) + counted(OUTCOME_HALF_OPEN_RESET), 1);
	first_ack_from(1, first_packets[_i].flags); /* once more */
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(counted(OUTCOME_PACKET_PASSED), 1);
}
END_TEST

/* A RST that the kernel would not take must not end our entry: its own would stay. */
START_TEST(a_rst_that_the_kernel_ignores_does_not_end_the_half_open_entry)
{
	struct segment rst = client_to_web(1, TCP_RST);

	syn_from(1);
	rst.seq += _i == 0 ? 0 : _i == 1 ? 2 : 1;
	rst.options.timestamps = _i == 2;
	forget_decision();
	guard_first_ack(&guard, &rst, now_ns, &decision);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_RESET), 0);
}
END_TEST

START_TEST(a_syn_that_conntrack_does_not_see_counts_as_half_open_no_longer)
{
	struct segment syn = syn_of(1);

	offer(&syn);
	forget_decision();
	guard_first_ack(&guard, &syn, now_ns, &decision);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(services[WEB].half_open, 0);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_UNTRACKED), 1);
}
END_TEST

/* The kernel keeps its half-open entry: nor does ours end. */
START_TEST(what_has_a_syn_in_it_and_is_none_ends_no_half_open_entry)
{
	static const uint8_t flags[] = {TCP_SYN | TCP_ACK, TCP_SYN | TCP_FIN, TCP_SYN | TCP_RST,
					TCP_SYN | TCP_FIN | TCP_ACK};
	struct segment syn = syn_of(1);
	struct segment odd = syn;

	offer(&syn);
	forget_decision();
	odd.flags = flags[_i];
	odd.seq++;
	odd.options.timestamps = false;
	guard_first_ack(&guard, &odd, now_ns, &decision);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(services[WEB].half_open, 1);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_UNTRACKED), 0);
}
END_TEST

START_TEST(a_rst_of_the_server_ends_the_half_open_entry)
{
	syn_from(1);
	answer_from_server(1, TCP_RST | TCP_ACK);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(services[WEB].half_open, 0);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_RESET), 1);
	ck_assert_uint_eq(counted(OUTCOME_OPTIONS_LEARNED), 0);
}
END_TEST

START_TEST(an_answer_to_nothing_we_know_passes)
{
	answer_from_server(1, TCP_SYN | TCP_ACK);
	decided(ACT_PASS, TREAT_PLAIN, SEND_NOTHING);
	ck_assert_uint_eq(counted(OUTCOME_PACKET_PASSED), 1);
	ck_assert_uint_eq(service_learned(&services[WEB], false).known, 0);
}
END_TEST

START_TEST(the_timeout_ends_the_half_open_entry_at_exactly_its_time)
{
	syn_from(1);
	now_ns += TIMEOUT_S * NSEC_PER_SEC - 1;
	ck_assert(!due());
	ck_assert_uint_eq(services[WEB].half_open, 1);
	now_ns++;
	ck_assert(!due());
	ck_assert_uint_eq(services[WEB].half_open, 0);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_EXPIRED), 1);
}
END_TEST

START_TEST(a_retransmission_does_not_delay_the_timeout)
{
	syn_from(1);
	now_ns += (TIMEOUT_S - 1) * NSEC_PER_SEC;
	syn_from(1);
	now_ns += NSEC_PER_SEC;
	due();
	ck_assert_uint_eq(services[WEB].half_open, 0);
}
END_TEST

START_TEST(right_after_boot_nothing_expires)
{
	now_ns = 0;
	syn_from(1);
	now_ns = TIMEOUT_S * NSEC_PER_SEC - 1; /* now - timeout would be before 0 */
	due();
	ck_assert_uint_eq(services[WEB].half_open, 1);
	now_ns++;
	due();
	ck_assert_uint_eq(services[WEB].half_open, 0);
}
END_TEST

START_TEST(a_flood_expires_in_bounded_batches)
{
	for (uint32_t n = 0; n < 1500; n++)
		syn_from(n);
	now_ns += TIMEOUT_S * NSEC_PER_SEC;
	due();
	ck_assert_uint_eq(halfopen_count(guard.halfopen), 1500 - 1024);
	due();
	ck_assert_uint_eq(halfopen_count(guard.halfopen), 0);
	ck_assert_uint_eq(services[WEB].half_open, 0);
}
END_TEST

START_TEST(in_a_full_table_the_oldest_half_open_entry_gives_way)
{
	struct segment first = syn_of(0);

	for (uint32_t n = 0; n <= HALF_OPEN_MAX; n++)
		syn_from(n);
	ck_assert_int_eq(decision.act, ACT_PASS);
	ck_assert_uint_eq(services[WEB].half_open, HALF_OPEN_MAX);
	ck_assert_uint_eq(counted(OUTCOME_HALF_OPEN_EVICTED), 1);
	ck_assert_uint_eq(source_find(guard.sources, &first.source)->half_open, 0);
	ck_assert_uint_eq(source_find(guard.sources, &first.source)->completed, 0);
}
END_TEST

START_TEST(a_source_that_gives_way_is_counted)
{
	struct segment syn = syn_of(0);

	syn.destination_port = 25; /* watched, too */
	for (uint32_t n = 0; n <= SOURCES_MAX; n++) {
		syn.source = host(false, n);
		offer(&syn);
		syn.flags = TCP_ACK;
		guard_first_ack(&guard, &syn, now_ns, &decision);
		syn.flags = TCP_SYN;
	}
	ck_assert_uint_eq(counted(OUTCOME_SOURCE_EVICTED), 1);
	ck_assert_uint_eq(source_count(guard.sources), SOURCES_MAX);
}
END_TEST

/* ---- trip ---- */

START_TEST(a_service_trips_at_exactly_its_threshold)
{
	for (uint32_t n = 1; n <= 3; n++) {
		syn_from(n);
		ck_assert_int_eq(decision.trip, -1);
	}
	syn_from(4);
	ck_assert_int_eq(decision.trip, WEB);
	decided(ACT_PASS, TREAT_HALF_OPEN, SEND_NOTHING); /* this one still passes */
}
END_TEST

START_TEST(what_other_shards_let_through_counts)
{
	services[WEB].half_open = 3;
	syn_from(1);
	ck_assert_int_eq(decision.trip, WEB);
}
END_TEST

START_TEST(completed_handshakes_do_not_trip)
{
	for (uint32_t n = 0; n < 1000; n++) {
		syn_from(n);
		ck_assert_int_eq(decision.trip, -1);
		first_ack_from(n, TCP_ACK);
	}
}
END_TEST

START_TEST(a_service_told_never_does_not_trip)
{
	struct segment syn = syn_of(1);

	syn.destination_port = 25;
	for (uint16_t port = 1; port < 100; port++) {
		syn.source_port = port;
		offer(&syn);
		ck_assert_int_eq(decision.act, ACT_PASS);
		ck_assert_int_eq(decision.trip, -1);
	}
	ck_assert_uint_eq(services[OLD].half_open, 99);
}
END_TEST

/* ---- the books ---- */

static const enum outcome syn_outcomes[] = {
	OUTCOME_SYN_ACCEPTED, OUTCOME_SYN_RETRANSMITTED, OUTCOME_SYN_CHALLENGED, OUTCOME_SYN_TO_LEARN,
	OUTCOME_SYN_SIGNED,   OUTCOME_SYN_UNKNOWN,       OUTCOME_SYN_MALFORMED,
};

START_TEST(each_syn_is_accounted_for_once)
{
	uint64_t seed = 8, sum = 0;

	for (unsigned i = 0; i < 20000; i++, now_ns += NSEC_PER_MSEC) {
		struct segment syn = syn_of(random_below(&seed, 5000));

		syn.destination_port = random_below(&seed, 9) ? 80 : 81;
		syn.options.sack = random_below(&seed, 2);
		syn.options.md5 = random_below(&seed, 9) == 0;
		guard.limits.kernel_checks_md5 = random_below(&seed, 2);
		service_enter(&services[WEB], i / 500 % 4, now_ns);
		guard.limits.observe = i / 2000 % 2;
		offer(&syn);
		must(decision.act == ACT_PASS || decision.act == ACT_DROP);
		must((decision.act == ACT_DROP) == (decision.send == SEND_TO_CLIENT));
		due();
	}
	for (unsigned i = 0; i < sizeof(syn_outcomes) / sizeof(syn_outcomes[0]); i++) {
		ck_assert(syn_outcomes[i] == OUTCOME_SYN_MALFORMED || counted(syn_outcomes[i]) > 10);
		sum += counted(syn_outcomes[i]);
	}
	ck_assert_uint_eq(sum, 20000);
	ck_assert_uint_eq(counted(OUTCOME_SYN_RECEIVED), 20000);
}
END_TEST

START_TEST(every_outcome_has_a_name_and_a_help_of_its_own)
{
	for (int i = 0; i < OUTCOME_COUNT; i++) {
		ck_assert_str_ne(outcome_name(i), "");
		ck_assert_str_ne(outcome_help(i), "");
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(outcome_name(i), outcome_name(j));
	}
	ck_assert_str_eq(outcome_name(OUTCOME_HANDED_OVER), "handed_over");
}
END_TEST

/* A worker of our own: it gives verdicts as the daemon's does, and counts them. */
#define PACKETS 60000
static uint8_t verdicts[PACKETS];
static uint32_t packet_id;

static void verdict(uint32_t id)
{
	must(id < PACKETS && verdicts[id] == 0);
	verdicts[id]++;
}

static void act_on_rest(void)
{
	struct splice *splice = decision.splice;

	must(!decision.drop_held || splice);
	must(!decision.forget_flow || splice);
	if (decision.drop_held) {
		for (unsigned i = 0; i < splice->held_count; i++)
			verdict(splice->held[i]);
		guard_let_go(&guard, splice);
	}
}

static void act_on_packet(bool conntrack_works)
{
	uint32_t id = packet_id++;
	struct splice *splice = decision.splice;

	if (decision.act == ACT_HOLD) {
		guard_held(&guard, splice, id);
		return;
	}
	verdict(id);
	if (decision.act == ACT_TAKE_OVER && conntrack_works) {
		for (unsigned i = 0; i < splice->held_count; i++)
			verdict(splice->held[i]);
		guard_taken_over(&guard, splice, now_ns);
		return;
	}
	if (decision.act == ACT_TAKE_OVER)
		guard_take_over_failed(&guard, splice, now_ns, &decision);
	act_on_rest();
}

static void something_happens(uint64_t *seed, uint32_t cookies[8])
{
	static const uint8_t answers[] = {TCP_SYN | TCP_ACK, TCP_SYN | TCP_ACK, TCP_RST | TCP_ACK, TCP_RST, TCP_ACK};
	uint32_t n = random_below(seed, 8);
	struct segment segment = ack_of(n, cookies[n]);

	switch (random_below(seed, 8)) {
	case 0:
		syn_from(n);
		if (decision.send == SEND_TO_CLIENT)
			cookies[n] = decision.segment.seq;
		break;
	case 1:
		segment = answer_to(n, answers[random_below(seed, sizeof(answers))]);
		segment.ack += random_below(seed, 4) == 0;
		segment.options.wscale = (int8_t)(random_below(seed, 20) ? 6 : 5);
		answer(&segment);
		break;
	case 2:
		first_ack_from(n, TCP_ACK);
		break;
	case 3:
		segment.ack++; /* no cookie */
		ack(&segment);
		break;
	default:
		segment.payload_bytes = random_below(seed, 2) ? 5 : 0;
		segment.payload = (const uint8_t *)"hello";
		for (unsigned repeat = random_below(seed, 300) ? 0 : SPLICE_HELD_MAX + 2; repeat; repeat--) {
			ack(&segment);
			act_on_packet(true);
		}
		ack(&segment);
	}
	act_on_packet(random_below(seed, 8) > 0);
}

START_TEST(no_packet_gets_two_verdicts_and_none_is_left_without)
{
	uint64_t seed = 9;
	uint32_t cookies[8] = {0};
	struct siphash_key fresh = {{5, 5}};

	while (packet_id < PACKETS - SPLICE_HELD_MAX - 3) {
		something_happens(&seed, cookies);
		now_ns += random_below(&seed, 40) ? 10000 : random_below(&seed, 800) * NSEC_PER_MSEC;
		while (due())
			act_on_rest();
		if (random_below(&seed, 500) == 0) {
			cookie_rotate(&guard_secret, &fresh);
			fresh.words[0]++;
		}
		if (random_below(&seed, 100) == 0)
			service_enter(&services[WEB], random_below(&seed, 4) ? SERVICE_ARMED : SERVICE_WATCHING,
				      now_ns);
		must(splice_count(guard.splices) <= HANDOVERS_MAX);
		must(services[WEB].half_open == halfopen_count(guard.halfopen));
	}
	for (unsigned s = 0; s < 1 + 2 + 4 + 4 + 2; s++) { /* nobody says anything any more */
		now_ns += NSEC_PER_SEC;
		while (due())
			act_on_rest();
	}
	ck_assert_uint_eq(splice_count(guard.splices), 0);
	for (uint32_t id = 0; id < packet_id; id++)
		must(verdicts[id] == 1);
	ck_assert_uint_gt(counted(OUTCOME_HANDED_OVER), 100);
	ck_assert_uint_gt(counted(OUTCOME_HANDOVER_FAILED), 100);
	ck_assert_uint_gt(counted(OUTCOME_HANDOVER_RETRIED), 10);
	ck_assert_uint_gt(counted(OUTCOME_ACK_HOLD_FULL), 0);
	ck_assert_uint_gt(counted(OUTCOME_HANDOVER_TABLE_FULL), 0);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__
START_TEST(without_memory_there_is_no_guard)
{
	struct guard_limits limits = {
		.policy = no_policy,
		.handshake_timeout_s = TIMEOUT_S,
		.half_open_max = 64,
		.sources_max = 64,
		.handovers_max = 64,
		.prefixes = single_hosts,
	};
	struct rlimit memory = {256 << 20, 256 << 20};
	struct cookie_secret secret = {.epoch = 1};
	uint32_t *tables[] = {&limits.half_open_max, &limits.sources_max, &limits.handovers_max};
	struct guard refused;

	ck_assert_int_eq(setrlimit(RLIMIT_AS, &memory), 0);
	*tables[_i] = 64 << 20;
	ck_assert_int_eq(guard_init(&refused, &limits, services, &secret, &key, START_NS), -1);
	*tables[_i] = 6 << 20; /* the buckets fit, the entries do not */
	ck_assert_int_eq(guard_init(&refused, &limits, services, &secret, &key, START_NS), -1);
}
END_TEST
#endif

static Suite *guard_suite(void)
{
	Suite *suite = suite_create("guard");
	TCase *peace = tcase_create("peace");
	TCase *books = tcase_create("books");

	suite_add_tcase(suite, peace);
	tcase_add_checked_fixture(peace, guard_make, guard_drop);
	tcase_add_test(peace, a_syn_in_peace_passes_and_is_half_open);
	tcase_add_test(peace, a_syn_is_counted_against_its_source);
	tcase_add_test(peace, a_source_that_was_forgotten_meanwhile_owes_nothing);
	tcase_add_test(peace, the_numbers_of_a_source_do_not_wrap_around);
	tcase_add_test(peace, a_syn_to_no_service_passes_unwatched);
	tcase_add_test(peace, a_retransmitted_syn_counts_once);
	tcase_add_loop_test(peace, the_first_ack_or_rst_ends_the_half_open_entry, 0, 4);
	tcase_add_loop_test(peace, a_rst_that_the_kernel_ignores_does_not_end_the_half_open_entry, 0, 3);
	tcase_add_test(peace, a_syn_that_conntrack_does_not_see_counts_as_half_open_no_longer);
	tcase_add_loop_test(peace, what_has_a_syn_in_it_and_is_none_ends_no_half_open_entry, 0, 4);
	tcase_add_test(peace, a_rst_of_the_server_ends_the_half_open_entry);
	tcase_add_test(peace, an_answer_to_nothing_we_know_passes);
	tcase_add_test(peace, the_timeout_ends_the_half_open_entry_at_exactly_its_time);
	tcase_add_test(peace, a_retransmission_does_not_delay_the_timeout);
	tcase_add_test(peace, right_after_boot_nothing_expires);
	tcase_add_test(peace, a_flood_expires_in_bounded_batches);
	tcase_add_test(peace, in_a_full_table_the_oldest_half_open_entry_gives_way);
	tcase_add_test(peace, a_source_that_gives_way_is_counted);
	tcase_add_test(peace, a_service_trips_at_exactly_its_threshold);
	tcase_add_test(peace, what_other_shards_let_through_counts);
	tcase_add_test(peace, completed_handshakes_do_not_trip);
	tcase_add_test(peace, a_service_told_never_does_not_trip);

	suite_add_tcase(suite, books);
	tcase_add_checked_fixture(books, guard_make, guard_drop);
	tcase_add_test(books, each_syn_is_accounted_for_once);
	tcase_add_test(books, every_outcome_has_a_name_and_a_help_of_its_own);
	tcase_add_test(books, no_packet_gets_two_verdicts_and_none_is_left_without);
#ifndef __SANITIZE_ADDRESS__
	tcase_add_loop_test(books, without_memory_there_is_no_guard, 0, 3);
#endif
	return suite;
}

int main(void)
{
	return unit_main(guard_suite());
}
