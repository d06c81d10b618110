/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/cookie.h"

#include "wire.h"

static struct cookie_secret secret;
static struct flow flow_v4, flow_v6;
static const struct cookie_options plain = {.mss = 1460, .wscale = 7, .sack = true};

static void secret_fill(void)
{
	secret = (struct cookie_secret){.epoch = 1000, .keys = {{{1, 2}}, {{3, 4}}}};
	flow_v4 = (struct flow){address("198.51.100.7"), address("192.0.2.1"), 40000, 80};
	flow_v6 = (struct flow){address("2001:db8:1::7"), address("2001:db8::1"), 40000, 80};
}

static void next_epoch(void)
{
	struct siphash_key fresh = {{secret.epoch * 7919ULL, 0x1234567}};

	cookie_rotate(&secret, &fresh);
}

static bool accepted(const struct flow *flow, uint32_t client_isn, uint32_t cookie)
{
	struct cookie_options options;

	return cookie_check(&secret, flow, client_isn, cookie, &options);
}

static struct cookie_options carried(const struct flow *flow, uint16_t mss, int8_t wscale, bool sack)
{
	struct cookie_options options = {mss, wscale, sack};
	uint32_t cookie = cookie_make(&secret, flow, 12345, &options);

	options = (struct cookie_options){0};
	ck_assert(cookie_check(&secret, flow, 12345, cookie, &options));
	return options;
}

/* vectors_sip64 of the reference code, those whose length is a multiple of eight: 0, 8, ... 56. */
START_TEST(siphash_2_4_equals_the_published_vectors)
{
	static const uint8_t published[8][8] = {
		{0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72}, {0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93},
		{0xdb, 0x9b, 0xc2, 0x57, 0x7f, 0xcc, 0x2a, 0x3f}, {0x94, 0xaf, 0x49, 0xf6, 0xc6, 0x50, 0xad, 0xb8},
		{0xce, 0x7c, 0xf2, 0x72, 0x2f, 0x51, 0x27, 0x71}, {0xd0, 0xa7, 0x04, 0x53, 0x6b, 0xa9, 0x3e, 0x0e},
		{0x51, 0xa9, 0xcb, 0x9e, 0xcb, 0xa3, 0x12, 0xe6}, {0xbd, 0x83, 0x8d, 0x3a, 0xaf, 0xbf, 0x8d, 0xb7},
	};
	static const struct siphash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	uint64_t words[8];
	uint64_t hash = 0;

	for (unsigned i = 0; i < 8; i++)
		words[i] = 0x0706050403020100 + i * 0x0808080808080808;
	for (unsigned i = 0; i < 8; i++)
		hash |= (uint64_t)published[_i][i] << 8 * i;
	ck_assert_uint_eq(siphash(&key, words, (unsigned)_i), hash);
}
END_TEST

START_TEST(a_cookie_is_accepted_in_its_own_epoch)
{
	ck_assert(accepted(&flow_v4, 12345, cookie_make(&secret, &flow_v4, 12345, &plain)));
	ck_assert(accepted(&flow_v6, 12345, cookie_make(&secret, &flow_v6, 12345, &plain)));
}
END_TEST

START_TEST(a_cookie_of_the_last_epoch_is_accepted)
{
	uint32_t cookie = cookie_make(&secret, &flow_v4, 12345, &plain);

	next_epoch();
	ck_assert(accepted(&flow_v4, 12345, cookie));
}
END_TEST

START_TEST(cookie_one_epoch_too_old_is_refused)
{
	uint32_t cookie = cookie_make(&secret, &flow_v4, 12345, &plain);

	for (unsigned age = 1; age <= 5; age++) {
		next_epoch();
		ck_assert_int_eq(accepted(&flow_v4, 12345, cookie), age < 2);
	}
}
END_TEST

START_TEST(an_old_cookie_is_refused_even_if_a_secret_came_back)
{
	uint32_t cookie = cookie_make(&secret, &flow_v4, 12345, &plain);
	struct siphash_key again = secret.keys[0];

	next_epoch();
	cookie_rotate(&secret, &again);
	ck_assert(!accepted(&flow_v4, 12345, cookie));
}
END_TEST

START_TEST(an_epoch_may_wrap_around)
{
	uint32_t cookie;

	secret.epoch = UINT32_MAX;
	cookie = cookie_make(&secret, &flow_v4, 12345, &plain);
	ck_assert(accepted(&flow_v4, 12345, cookie));
	next_epoch();
	ck_assert_uint_eq(secret.epoch, 0);
	ck_assert(accepted(&flow_v4, 12345, cookie));
	next_epoch();
	ck_assert(!accepted(&flow_v4, 12345, cookie));
}
END_TEST

START_TEST(rotation_replaces_the_older_secret_only)
{
	static const struct siphash_key fresh = {{77, 78}};
	struct siphash_key newer = secret.keys[secret.epoch & 1];

	cookie_rotate(&secret, &fresh);
	ck_assert_uint_eq(secret.epoch, 1001);
	ck_assert_mem_eq(&secret.keys[1], &fresh, sizeof(fresh));
	ck_assert_mem_eq(&secret.keys[0], &newer, sizeof(newer));
}
END_TEST

START_TEST(a_cookie_is_for_one_connection_only)
{
	uint32_t cookie = cookie_make(&secret, &flow_v4, 12345, &plain);
	struct flow other = flow_v4;

	for (unsigned bit = 0; bit < 8 * sizeof(other); bit++) {
		uint8_t bytes[sizeof(other)];

		memcpy(bytes, &flow_v4, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		memcpy(&other, bytes, sizeof(other));
		ck_assert(!accepted(&other, 12345, cookie));
	}
	for (unsigned bit = 0; bit < 32; bit++)
		ck_assert(!accepted(&flow_v4, 12345 ^ 1U << bit, cookie));
}
END_TEST

START_TEST(a_cookie_with_any_bit_changed_is_refused)
{
	uint32_t cookie = cookie_make(&secret, &flow_v4, 12345, &plain);

	for (unsigned bit = 0; bit < 32; bit++)
		ck_assert(!accepted(&flow_v4, 12345, cookie ^ 1U << bit));
}
END_TEST

START_TEST(a_cookie_under_another_secret_is_refused)
{
	uint32_t cookie = cookie_make(&secret, &flow_v4, 12345, &plain);

	secret.keys[secret.epoch & 1].words[1]++;
	ck_assert(!accepted(&flow_v4, 12345, cookie));
}
END_TEST

START_TEST(what_a_refused_cookie_says_is_not_told)
{
	struct cookie_options options = {.mss = 1, .wscale = 2, .sack = false};

	ck_assert(!cookie_check(&secret, &flow_v4, 12345, 1, &options));
	ck_assert_uint_eq(options.mss, 1);
	ck_assert_int_eq(options.wscale, 2);
	ck_assert(!options.sack);
}
END_TEST

/* Expected by chance: 1 in 2^24 each; the seed is fixed, so the number is, too. */
START_TEST(guessing_does_not_succeed)
{
	uint64_t seed = 2;
	unsigned hits = 0;

	for (unsigned i = 0; i < 200000; i++)
		hits += accepted(&flow_v4, 12345, (uint32_t)random_next(&seed));
	ck_assert_uint_le(hits, 1);
}
END_TEST

START_TEST(cookies_look_random_in_every_bit)
{
	unsigned ones[32] = {0};

	for (uint32_t isn = 0; isn < 4096; isn++) {
		uint32_t cookie = cookie_make(&secret, &flow_v4, isn, &plain);

		for (unsigned bit = 0; bit < 32; bit++)
			ones[bit] += cookie >> bit & 1;
	}
	for (unsigned bit = 0; bit < 32; bit++) /* 5 standard deviations of 32 */
		must(ones[bit] > 2048 - 160 && ones[bit] < 2048 + 160);
}
END_TEST

static const struct {
	uint16_t offered, carried_v4, carried_v6;
} mss_cases[] = {
	{65535, 8960, 8940}, {8960, 8960, 8940}, {8959, 1460, 8940}, {8940, 1460, 8940}, {8939, 1460, 1440},
	{1460, 1460, 1440},  {1459, 1452, 1440}, {1452, 1452, 1440}, {1451, 1440, 1440}, {1440, 1440, 1440},
	{1439, 1400, 1432},  {1400, 1400, 1400}, {1399, 1360, 1360}, {1359, 1200, 1280}, {1431, 1400, 1420},
	{1420, 1400, 1420},  {1419, 1400, 1400}, {1220, 1200, 1220}, {1199, 536, 1220},  {536, 536, 1220},
	{535, 536, 1220},    {1, 536, 1220},
};

START_TEST(an_mss_is_rounded_down_to_the_table_and_never_below_the_protocols_own)
{
	ck_assert_uint_eq(carried(&flow_v4, mss_cases[_i].offered, 7, true).mss, mss_cases[_i].carried_v4);
	ck_assert_uint_eq(carried(&flow_v6, mss_cases[_i].offered, 7, true).mss, mss_cases[_i].carried_v6);
}
END_TEST

START_TEST(a_window_scale_is_rounded_down_to_the_table)
{
	static const int8_t expected[] = {-1, 0, 0, 2, 2, 4, 4, 6, 7, 8, 8, 10, 10, 10, 10, 10};

	for (int8_t wscale = -1; wscale <= 14; wscale++)
		ck_assert_int_eq(carried(&flow_v4, 1460, wscale, false).wscale, expected[wscale + 1]);
}
END_TEST

START_TEST(every_combination_is_carried_unchanged)
{
	static const uint16_t mss[] = {536, 1200, 1360, 1400, 1440, 1452, 1460, 8960};
	static const int8_t wscale[] = {-1, 0, 2, 4, 6, 7, 8, 10};

	for (unsigned i = 0; i < 128; i++) {
		struct cookie_options options = carried(&flow_v4, mss[i & 7], wscale[i >> 3 & 7], i >> 6);

		must(options.mss == mss[i & 7]);
		must(options.wscale == wscale[i >> 3 & 7]);
		must(options.sack == (i >> 6 != 0));
		if (i % 3 == 0)
			next_epoch();
	}
}
END_TEST

/* All 2^24 cookies that say the same: exactly one of them is right, or two in an epoch that others may have left. Thus 256 of
 * 2^32 are right, and a guess is once in 2^24. */
START_TEST(of_all_cookies_that_say_the_same_one_is_right)
{
	uint8_t low = (uint8_t)(cookie_low(false, &plain, secret.epoch) ^ (unsigned)_i);
	unsigned right = 0;

	for (uint32_t upper = 0; upper < 1U << 24; upper++)
		right += accepted(&flow_v4, 12345, upper << 8 | (uint8_t)(low ^ upper >> 16));
	ck_assert_uint_eq(right, 1);
}
END_TEST

START_TEST(where_others_may_be_in_the_next_epoch_two_are_right)
{
	uint8_t low = cookie_low(false, &plain, secret.epoch + 1);
	unsigned right = 0;

	secret.next = (struct siphash_key){{55, 56}};
	secret.has_next = true;
	for (uint32_t upper = 0; upper < 1U << 24; upper++)
		right += accepted(&flow_v4, 12345, upper << 8 | (uint8_t)(low ^ upper >> 16));
	ck_assert_uint_eq(right, 2);
}
END_TEST

/* 2^26 of them, each for another connection: 4 on average. The guesses are always the same; for others it would be 1 to 12
 * with a probability of 98 %. */
START_TEST(of_many_guesses_as_many_are_right_as_24_bits_allow)
{
	unsigned right = 0;
	uint64_t state = 1;

	for (uint32_t i = 0; i < 1U << 26; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		flow_v4.client_port = (uint16_t)i;
		right += accepted(&flow_v4, i, (uint32_t)(state >> 32));
	}
	ck_assert_uint_ge(right, 1);
	ck_assert_uint_le(right, 12);
}
END_TEST

static Suite *cookie_suite(void)
{
	Suite *suite = suite_create("cookie");
	TCase *mac = tcase_create("mac");
	TCase *options = tcase_create("options");
	TCase *guesses = tcase_create("guesses");

	suite_add_tcase(suite, mac);
	tcase_add_checked_fixture(mac, secret_fill, NULL);
	tcase_add_loop_test(mac, siphash_2_4_equals_the_published_vectors, 0, 8);
	tcase_add_test(mac, a_cookie_is_accepted_in_its_own_epoch);
	tcase_add_test(mac, a_cookie_of_the_last_epoch_is_accepted);
	tcase_add_test(mac, cookie_one_epoch_too_old_is_refused);
	tcase_add_test(mac, an_old_cookie_is_refused_even_if_a_secret_came_back);
	tcase_add_test(mac, an_epoch_may_wrap_around);
	tcase_add_test(mac, rotation_replaces_the_older_secret_only);
	tcase_add_test(mac, a_cookie_is_for_one_connection_only);
	tcase_add_test(mac, a_cookie_with_any_bit_changed_is_refused);
	tcase_add_test(mac, a_cookie_under_another_secret_is_refused);
	tcase_add_test(mac, what_a_refused_cookie_says_is_not_told);
	tcase_add_test(mac, guessing_does_not_succeed);
	tcase_add_test(mac, cookies_look_random_in_every_bit);

	suite_add_tcase(suite, options);
	tcase_add_checked_fixture(options, secret_fill, NULL);
	tcase_add_loop_test(options, an_mss_is_rounded_down_to_the_table_and_never_below_the_protocols_own, 0,
			    sizeof(mss_cases) / sizeof(mss_cases[0]));
	tcase_add_test(options, a_window_scale_is_rounded_down_to_the_table);
	tcase_add_test(options, every_combination_is_carried_unchanged);

	suite_add_tcase(suite, guesses);
	tcase_add_checked_fixture(guesses, secret_fill, NULL);
	tcase_set_timeout(guesses, 120);
	tcase_set_tags(guesses, "long"); /* where every check is slow, it is left out: it runs through nothing new */
	tcase_add_loop_test(guesses, of_all_cookies_that_say_the_same_one_is_right, 0, 2); /* this epoch and the last */
	tcase_add_test(guesses, where_others_may_be_in_the_next_epoch_two_are_right);
	tcase_add_test(guesses, of_many_guesses_as_many_are_right_as_24_bits_allow);
	return suite;
}

int main(void)
{
	return unit_main(cookie_suite());
}
