/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/cap.h"
#include "unit.h"
#include "wire.h"

#define PER_S 10
#define START_NS (77 * NSEC_PER_SEC)

static struct cap cap;
static const struct siphash_key key = {{3, 4}};

static void make(void)
{
	cap_init(&cap, PER_S, &key, START_NS);
}

static unsigned taken(const char *text, unsigned tries, uint64_t now_ns)
{
	struct addr addr = address(text);
	unsigned count = 0;

	while (tries--)
		count += cap_take(&cap, &addr, now_ns);
	return count;
}

START_TEST(a_network_gets_a_seconds_worth_at_once_and_no_more)
{
	ck_assert_uint_eq(taken("192.0.2.1", PER_S, START_NS), PER_S);
	ck_assert_uint_eq(taken("192.0.2.1", 5, START_NS), 0);
}
END_TEST

START_TEST(a_24_and_a_48_share_their_tokens)
{
	taken("192.0.2.1", PER_S, START_NS);
	ck_assert_uint_eq(taken("192.0.2.254", 1, START_NS), 0);
	ck_assert_uint_eq(taken("192.0.3.1", 1, START_NS), 1);
	taken("2001:db8:1::1", PER_S, START_NS);
	ck_assert_uint_eq(taken("2001:db8:1:ffff::1", 1, START_NS), 0);
	ck_assert_uint_eq(taken("2001:db8:2::1", 1, START_NS), 1);
}
END_TEST

START_TEST(tokens_come_back_with_time_to_the_millisecond)
{
	taken("192.0.2.1", PER_S, START_NS);
	ck_assert_uint_eq(taken("192.0.2.1", 1, START_NS + 99 * NSEC_PER_MSEC), 0);
	ck_assert_uint_eq(taken("192.0.2.1", 2, START_NS + 100 * NSEC_PER_MSEC), 1);
	ck_assert_uint_eq(taken("192.0.2.1", 100, START_NS + 5 * NSEC_PER_SEC), PER_S);
}
END_TEST

/* Of 2^32 ms, 49.7 days. */
START_TEST(the_clock_may_wrap)
{
	uint64_t edge_ns = ((1ULL << 32) - 50) * NSEC_PER_MSEC;

	cap_init(&cap, PER_S, &key, edge_ns);
	taken("192.0.2.1", PER_S, edge_ns);
	ck_assert_uint_eq(taken("192.0.2.1", 2, edge_ns + 100 * NSEC_PER_MSEC), 1);
}
END_TEST

START_TEST(an_answer_returns_its_token)
{
	struct addr addr = address("192.0.2.9");

	taken("192.0.2.1", PER_S, START_NS);
	cap_return(&cap, &addr);
	ck_assert_uint_eq(taken("192.0.2.1", 2, START_NS), 1);
}
END_TEST

START_TEST(answers_do_not_save_up_more_than_a_seconds_worth)
{
	struct addr addr = address("192.0.2.9");

	for (unsigned i = 0; i < 50; i++)
		cap_return(&cap, &addr);
	ck_assert_uint_eq(taken("192.0.2.1", 50, START_NS), PER_S);
}
END_TEST

START_TEST(zero_is_no_limit)
{
	cap_init(&cap, 0, &key, START_NS);
	ck_assert_uint_eq(taken("192.0.2.1", 100000, START_NS), 100000);
}
END_TEST

START_TEST(the_highest_rate_does_not_overflow)
{
	cap_init(&cap, 1000000, &key, START_NS);
	ck_assert_uint_eq(taken("192.0.2.1", 1100000, START_NS), 1000000);
	ck_assert_uint_eq(taken("192.0.2.1", 1100000, START_NS + 3600 * NSEC_PER_SEC), 1000000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cap");
	TCase *all = tcase_create("all");

	suite_add_tcase(suite, all);
	tcase_add_checked_fixture(all, make, NULL);
	tcase_add_test(all, a_network_gets_a_seconds_worth_at_once_and_no_more);
	tcase_add_test(all, a_24_and_a_48_share_their_tokens);
	tcase_add_test(all, tokens_come_back_with_time_to_the_millisecond);
	tcase_add_test(all, the_clock_may_wrap);
	tcase_add_test(all, an_answer_returns_its_token);
	tcase_add_test(all, answers_do_not_save_up_more_than_a_seconds_worth);
	tcase_add_test(all, zero_is_no_limit);
	tcase_add_test(all, the_highest_rate_does_not_overflow);
	return unit_main(suite);
}
