/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/cookie.h"

#include "wire.h"

#define EPOCH_MS (COOKIE_EPOCH_S * 1000ULL)
#define NOW_EPOCH 27000000U /* of 2024 */
#define NOW_MS (NOW_EPOCH * EPOCH_MS)

static const struct cookie_options plain = {.mss = 1460, .wscale = 7, .sack = true};

/* The second counts from the epoch after NOW_EPOCH on, the third two epochs later. */
static const struct cookie_master masters[] = {
	{0, {{1, 2}}},
	{NOW_EPOCH + 1, {{3, 4}}},
	{NOW_EPOCH + 3, {{5, 6}}},
};
static struct flow flow;

static void flow_fill(void)
{
	flow = (struct flow){address("198.51.100.7"), address("192.0.2.1"), 40000, 80};
}

static struct cookie_secret secret_at(uint64_t unix_ms)
{
	return cookie_shared(masters, 3, unix_ms);
}

static uint32_t made_at(uint64_t unix_ms)
{
	struct cookie_secret secret = secret_at(unix_ms);

	return cookie_make(&secret, &flow, 12345, &plain);
}

static bool accepted_at(uint64_t unix_ms, uint32_t cookie)
{
	struct cookie_secret secret = secret_at(unix_ms);
	struct cookie_options options = {0};

	if (!cookie_check(&secret, &flow, 12345, cookie, &options))
		return false;
	must(options.mss == plain.mss && options.wscale == plain.wscale && options.sack == plain.sack);
	return true;
}

START_TEST(an_epoch_is_64_seconds_of_the_wall_clock)
{
	ck_assert_uint_eq(cookie_epoch_at(0), 0);
	ck_assert_uint_eq(cookie_epoch_at(63999), 0);
	ck_assert_uint_eq(cookie_epoch_at(64000), 1);
	ck_assert_uint_eq(cookie_epoch_at(NOW_MS), NOW_EPOCH);
	ck_assert_uint_eq(cookie_epoch_at(NOW_MS - 1), NOW_EPOCH - 1);
	ck_assert_uint_eq(secret_at(NOW_MS + 5).epoch, NOW_EPOCH);
}
END_TEST

/* Of moments up to four epochs on, so that each master comes into force, the edges most of all. */
static uint64_t moment(uint64_t *seed)
{
	uint64_t edge = NOW_MS + random_below(seed, 5) * EPOCH_MS;

	return random_below(seed, 2) ? edge + random_below(seed, 5001) - 2500 : edge + random_below(seed, EPOCH_MS);
}

START_TEST(what_one_host_makes_another_accepts_for_a_minute_though_their_clocks_differ)
{
	uint64_t seed = 5;

	for (unsigned i = 0; i < 100000; i++) {
		uint64_t when = moment(&seed);
		int32_t skew = (int32_t)random_below(&seed, 2 * COOKIE_SKEW_MS + 1) - COOKIE_SKEW_MS;
		uint32_t later = random_below(&seed, 4) ? random_below(&seed, 60001) : 0;

		must(accepted_at(when + (uint64_t)(int64_t)skew + later, made_at(when)));
	}
}
END_TEST

/* Each host may be COOKIE_RENEWAL_MS behind with its secret, too. */
START_TEST(what_one_host_makes_another_accepts_though_both_are_late_with_their_secrets)
{
	for (int32_t skew = -COOKIE_SKEW_MS; skew <= COOKIE_SKEW_MS; skew += 100) {
		for (int32_t ms = -3000; ms <= 3000; ms += 10) {
			uint64_t when = NOW_MS + EPOCH_MS + (uint64_t)(int64_t)ms;

			must(accepted_at(when + (uint64_t)(int64_t)skew - COOKIE_RENEWAL_MS, made_at(when)));
			must(accepted_at(when + (uint64_t)(int64_t)skew + 60000, made_at(when - COOKIE_RENEWAL_MS)));
		}
	}
}
END_TEST

START_TEST(the_next_epoch_counts_from_exactly_the_skew_before_it)
{
	uint64_t edge = NOW_MS + (uint64_t)_i * EPOCH_MS;
	uint64_t begin = edge - COOKIE_SKEW_MS - COOKIE_RENEWAL_MS;

	ck_assert(!secret_at(begin - 1).has_next);
	ck_assert(!accepted_at(begin - 1, made_at(edge)));
	ck_assert(secret_at(begin).has_next);
	ck_assert(accepted_at(begin, made_at(edge)));
	ck_assert(accepted_at(edge - 1, made_at(edge)));
	ck_assert(!secret_at(edge).has_next);
	ck_assert(accepted_at(edge, made_at(edge)));
}
END_TEST

START_TEST(no_cookie_is_accepted_beyond_the_epoch_after_its_own)
{
	uint64_t seed = 9;

	for (unsigned i = 0; i < 20000; i++) {
		uint64_t when = moment(&seed);
		uint64_t end = (when / EPOCH_MS + 2) * EPOCH_MS;

		must(accepted_at(end - 1, made_at(when)));
		must(!accepted_at(end, made_at(when)));
		must(!accepted_at(end + random_below(&seed, 10 * EPOCH_MS), made_at(when)));
		must(!accepted_at(end + EPOCH_MS - 1,
				  made_at(when))); /* when the next epoch counts and has its parity */
	}
}
END_TEST

START_TEST(no_cookie_of_the_epoch_after_the_next_is_accepted)
{
	for (uint64_t ms = 0; ms < EPOCH_MS; ms += 100)
		must(!accepted_at(NOW_MS + ms, made_at(NOW_MS + 2 * EPOCH_MS)));
}
END_TEST

START_TEST(while_the_next_epoch_counts_the_last_still_does)
{
	uint64_t late = NOW_MS + EPOCH_MS - 1;

	ck_assert(accepted_at(late, made_at(NOW_MS - EPOCH_MS)));
	ck_assert(accepted_at(late, made_at(NOW_MS)));
	ck_assert(accepted_at(late, made_at(NOW_MS + EPOCH_MS)));
}
END_TEST

/* So that a guess has two tries for one of the two parities only. */
START_TEST(a_cookie_of_the_next_epoch_has_to_say_so)
{
	struct cookie_secret secret = secret_at(NOW_MS + EPOCH_MS - 1);
	struct cookie_options options;
	unsigned accepted = 0;

	for (uint8_t parity = 0; parity < 2; parity++) { /* MSS 1460, window scale 7, SACK, as in `plain` */
		uint8_t low = (uint8_t)(6 << 5 | 5 << 2 | 2 | parity);
		uint64_t words[6];
		uint32_t mac;

		memcpy(words, &flow.client, 16);
		memcpy(words + 2, &flow.server, 16);
		words[4] = (uint64_t)flow.client_port << 48 | (uint64_t)flow.server_port << 32 | 12345;
		words[5] = (uint64_t)(secret.epoch + 1) << 8 | low;
		mac = (uint32_t)siphash(&secret.next, words, 6);
		mac = (mac & 0xffffff00) | (uint8_t)(low ^ mac >> 24);
		ck_assert_int_eq(mac == made_at(NOW_MS + EPOCH_MS), parity == ((secret.epoch + 1) & 1));
		accepted += cookie_check(&secret, &flow, 12345, mac, &options);
	}
	ck_assert_uint_eq(accepted, 1);
}
END_TEST

/* The MAC has 24 bits of the cookie's 32, the low byte may be anything. So all low bytes for a good MAC of one of them, and
 * random cookies: with the next epoch's secret half the guesses have two tries. */
START_TEST(guesses_do_not_succeed_with_or_without_the_next_epoch)
{
	uint64_t when = _i ? NOW_MS + EPOCH_MS - 1 : NOW_MS;
	struct cookie_secret secret = secret_at(when);
	struct cookie_options options;
	uint32_t good = made_at(when);
	unsigned accepted = 0, hits = 0;
	uint64_t seed = 2;

	ck_assert_int_eq(secret.has_next, _i);
	for (uint32_t low = 0; low < 256; low++)
		accepted += cookie_check(&secret, &flow, 12345, (good & 0xffffff00) | low, &options);
	ck_assert_uint_eq(accepted, 1);
	for (unsigned i = 0; i < 1000000; i++) /* 0.06 or 0.09 expected; the seed is fixed, so the number is, too */
		hits += cookie_check(&secret, &flow, 12345, (uint32_t)random_next(&seed), &options);
	ck_assert_uint_le(hits, 1);
}
END_TEST

START_TEST(each_epoch_has_a_key_of_its_own_and_the_hosts_agree_on_it)
{
	struct cookie_secret secrets[5];

	for (unsigned i = 0; i < 5; i++)
		secrets[i] = secret_at(NOW_MS + i * EPOCH_MS + EPOCH_MS - 1);
	for (unsigned i = 0; i < 5; i++) {
		uint32_t epoch = NOW_EPOCH + i;

		ck_assert_uint_eq(secrets[i].epoch, epoch);
		if (i > 0) {
			ck_assert_mem_eq(&secrets[i].keys[~epoch & 1], &secrets[i - 1].keys[~epoch & 1], 16);
			ck_assert_mem_eq(&secrets[i].keys[epoch & 1], &secrets[i - 1].next, 16);
		}
		for (unsigned j = 0; j < i; j++)
			ck_assert_mem_ne(&secrets[i].keys[epoch & 1], &secrets[j].keys[(NOW_EPOCH + j) & 1], 16);
		ck_assert_uint_ne(secrets[i].keys[epoch & 1].words[0], secrets[i].keys[epoch & 1].words[1]);
	}
}
END_TEST

START_TEST(a_key_is_the_masters_that_is_in_force_in_its_epoch)
{
	static const uint8_t in_force[] = {0, 1, 1, 2, 2};

	for (unsigned i = 0; i < 5; i++) {
		struct cookie_secret secret = secret_at(NOW_MS + i * EPOCH_MS);
		uint64_t words[2][2] = {{NOW_EPOCH + i, 0}, {NOW_EPOCH + i, 1}};
		const struct siphash_key *master = &masters[in_force[i]].key;

		ck_assert_uint_eq(secret.keys[secret.epoch & 1].words[0], siphash(master, words[0], 2));
		ck_assert_uint_eq(secret.keys[secret.epoch & 1].words[1], siphash(master, words[1], 2));
	}
}
END_TEST

START_TEST(the_first_master_counts_before_its_time_too)
{
	struct cookie_master late = {NOW_EPOCH + 100, masters[0].key};
	struct cookie_secret early = cookie_shared(&late, 1, NOW_MS), same = cookie_shared(masters, 1, NOW_MS);

	ck_assert_mem_eq(early.keys, same.keys, sizeof(early.keys));
}
END_TEST

/* A gateway that has been given the new master already, and one that has not: `from` is to lie ahead of both. */
START_TEST(a_master_to_come_changes_nothing_until_its_epoch)
{
	struct cookie_secret one = cookie_shared(masters, 1, NOW_MS), both = cookie_shared(masters, 2, NOW_MS);

	ck_assert_mem_eq(one.keys, both.keys, sizeof(one.keys));
	one = cookie_shared(masters, 1, NOW_MS + EPOCH_MS);
	both = cookie_shared(masters, 2, NOW_MS + EPOCH_MS);
	ck_assert_mem_eq(&one.keys[~one.epoch & 1], &both.keys[~one.epoch & 1], 16);
	ck_assert_mem_ne(&one.keys[one.epoch & 1], &both.keys[one.epoch & 1], 16);
}
END_TEST

START_TEST(hosts_tell_by_the_fingerprint_that_they_have_the_same_secret)
{
	static const struct cookie_master other = {0, {{1, 3}}};
	struct cookie_secret mine = secret_at(NOW_MS), same = secret_at(NOW_MS + EPOCH_MS - 1);
	struct cookie_secret later = secret_at(NOW_MS + EPOCH_MS), others = cookie_shared(&other, 1, NOW_MS);

	ck_assert_uint_eq(cookie_fingerprint(&mine), cookie_fingerprint(&same));
	ck_assert_uint_ne(cookie_fingerprint(&mine), cookie_fingerprint(&later));
	ck_assert_uint_ne(cookie_fingerprint(&mine), cookie_fingerprint(&others));
}
END_TEST

START_TEST(a_secret_of_ones_own_knows_of_no_next_epoch)
{
	static const struct siphash_key fresh = {{7, 8}};
	struct cookie_secret secret = secret_at(NOW_MS + EPOCH_MS - 1);

	ck_assert(secret.has_next);
	cookie_rotate(&secret, &fresh);
	ck_assert(!secret.has_next);
}
END_TEST

static Suite *cookie_shared_suite(void)
{
	Suite *suite = suite_create("cookie_shared");
	TCase *clocks = tcase_create("clocks");
	TCase *keys = tcase_create("keys");

	suite_add_tcase(suite, clocks);
	tcase_add_checked_fixture(clocks, flow_fill, NULL);
	tcase_add_test(clocks, an_epoch_is_64_seconds_of_the_wall_clock);
	tcase_add_test(clocks, what_one_host_makes_another_accepts_for_a_minute_though_their_clocks_differ);
	tcase_add_test(clocks, what_one_host_makes_another_accepts_though_both_are_late_with_their_secrets);
	tcase_add_loop_test(clocks, the_next_epoch_counts_from_exactly_the_skew_before_it, 0, 5);
	tcase_add_test(clocks, no_cookie_is_accepted_beyond_the_epoch_after_its_own);
	tcase_add_test(clocks, no_cookie_of_the_epoch_after_the_next_is_accepted);
	tcase_add_test(clocks, while_the_next_epoch_counts_the_last_still_does);
	tcase_add_test(clocks, a_cookie_of_the_next_epoch_has_to_say_so);
	tcase_add_loop_test(clocks, guesses_do_not_succeed_with_or_without_the_next_epoch, 0, 2);

	suite_add_tcase(suite, keys);
	tcase_add_checked_fixture(keys, flow_fill, NULL);
	tcase_add_test(keys, each_epoch_has_a_key_of_its_own_and_the_hosts_agree_on_it);
	tcase_add_test(keys, a_key_is_the_masters_that_is_in_force_in_its_epoch);
	tcase_add_test(keys, the_first_master_counts_before_its_time_too);
	tcase_add_test(keys, a_master_to_come_changes_nothing_until_its_epoch);
	tcase_add_test(keys, hosts_tell_by_the_fingerprint_that_they_have_the_same_secret);
	tcase_add_test(keys, a_secret_of_ones_own_knows_of_no_next_epoch);
	return suite;
}

int main(void)
{
	return unit_main(cookie_shared_suite());
}
