/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/options.h"

#include "wire.h"

#define PARSE(...) options_parse((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static bool same(const struct tcp_options *one, const struct tcp_options *other)
{
	return one->mss == other->mss && one->wscale == other->wscale && one->sack == other->sack &&
	       one->timestamps == other->timestamps && one->tsval == other->tsval && one->tsecr == other->tsecr;
}

static void is(struct tcp_options parsed, struct tcp_options expected)
{
	ck_assert_uint_eq(parsed.mss, expected.mss);
	ck_assert_int_eq(parsed.wscale, expected.wscale);
	ck_assert_int_eq(parsed.sack, expected.sack);
	ck_assert_int_eq(parsed.timestamps, expected.timestamps);
	ck_assert_uint_eq(parsed.tsval, expected.tsval);
	ck_assert_uint_eq(parsed.tsecr, expected.tsecr);
	ck_assert_int_eq(parsed.md5, expected.md5);
	ck_assert_int_eq(parsed.ao, expected.ao);
}

static const struct tcp_options none = {.wscale = -1};

START_TEST(no_options_are_none)
{
	is(options_parse((const uint8_t *)"", 0), none);
}
END_TEST

START_TEST(linux_syn_is_read)
{
	is(PARSE(2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 5, 1, 3, 3, 7),
	   (struct tcp_options){
		   .mss = 1460, .wscale = 7, .sack = true, .timestamps = true, .tsval = 0x01020304, .tsecr = 5});
}
END_TEST

START_TEST(what_follows_the_end_is_not_read)
{
	is(PARSE(0, 2, 2, 4, 5, 0xb4), none); /* nor taken for its length */
	is(PARSE(4, 2, 0, 3, 3, 7, 2, 4, 5, 0xb4), (struct tcp_options){.wscale = -1, .sack = true});
}
END_TEST

START_TEST(an_unknown_option_is_skipped)
{
	is(PARSE(254, 5, 3, 3, 9, 3, 3, 2, 30, 2, 4, 2), (struct tcp_options){.wscale = 2, .sack = true});
}
END_TEST

START_TEST(an_option_of_a_wrong_length_is_skipped)
{
	is(PARSE(2, 3, 9, 2, 5, 9, 9, 9), none);
	is(PARSE(3, 2, 3, 4, 9, 9), none);
	is(PARSE(4, 3, 9), none);
	is(PARSE(8, 9, 1, 1, 1, 1, 1, 1, 1, 4, 2), (struct tcp_options){.wscale = -1, .sack = true});
	is(PARSE(8, 11, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 2), (struct tcp_options){.wscale = -1, .sack = true});
}
END_TEST

START_TEST(a_length_below_two_ends_the_reading)
{
	is(PARSE(3, 0, 4, 2), none);
	is(PARSE(3, 1, 4, 2), none);
}
END_TEST

START_TEST(a_length_past_the_end_is_not_followed)
{
	is(PARSE(4, 2, 2, 4, 5), (struct tcp_options){.wscale = -1, .sack = true});
	is(PARSE(4, 2, 3, 255, 7), (struct tcp_options){.wscale = -1, .sack = true});
	is(PARSE(2, 4, 5, 0xb4, 8, 10, 1, 1, 1, 1, 1, 1, 1), (struct tcp_options){.mss = 1460, .wscale = -1});
}
END_TEST

START_TEST(an_option_without_its_length_byte_is_not_read)
{
	is(PARSE(4, 2, 3), (struct tcp_options){.wscale = -1, .sack = true});
	is(PARSE(4), none);
}
END_TEST

START_TEST(an_option_that_ends_with_the_data_is_read)
{
	is(PARSE(2, 4, 2, 24), (struct tcp_options){.mss = 536, .wscale = -1});
	is(PARSE(4, 2), (struct tcp_options){.wscale = -1, .sack = true});
}
END_TEST

START_TEST(a_window_scale_above_14_counts_as_14)
{
	is(PARSE(3, 3, 14), (struct tcp_options){.wscale = 14});
	is(PARSE(3, 3, 15), (struct tcp_options){.wscale = 14});
	is(PARSE(3, 3, 255), (struct tcp_options){.wscale = 14});
}
END_TEST

START_TEST(of_an_option_given_twice_the_last_counts)
{
	is(PARSE(2, 4, 5, 0xb4, 3, 3, 7, 2, 4, 2, 24, 3, 3, 0), (struct tcp_options){.mss = 536, .wscale = 0});
}
END_TEST

/* An option of `kind` that says to be of `length`, between two others. */
static struct tcp_options with_option(uint8_t kind, uint8_t length)
{
	uint8_t data[OPTIONS_BYTES_MAX + 8] = {1, 3, 3, 7};
	size_t bytes = 4;

	data[bytes] = kind;
	data[bytes + 1] = length;
	bytes += length;
	data[bytes++] = 4;
	data[bytes++] = 2;
	return options_parse(data, bytes);
}

/* RFC 2385 2: 16 bytes of digest. */
START_TEST(a_md5_signature_is_one_of_exactly_its_length)
{
	for (uint8_t length = 2; length <= OPTIONS_BYTES_MAX; length++)
		is(with_option(19, length), (struct tcp_options){.wscale = 7, .sack = true, .md5 = length == 18});
	is(options_parse((const uint8_t[18]){19, 18}, 17), none);
	is(options_parse((const uint8_t[18]){19, 18}, 18), (struct tcp_options){.wscale = -1, .md5 = true});
}
END_TEST

/* tcp_parse_md5sig_option(), net/ipv4/tcp_input.c, before Linux 6.7: after a first of another length it sees none. */
START_TEST(of_two_md5_signatures_the_first_counts)
{
	is(options_parse((const uint8_t[20]){19, 2, 19, 18}, 20), none);
	is(options_parse((const uint8_t[20]){19, 18, [18] = 19, 2}, 20),
	   (struct tcp_options){.wscale = -1, .md5 = true});
}
END_TEST

/* RFC 5925 2.2: two key ids, and a MAC of any length; none is no signature. */
START_TEST(an_ao_signature_has_a_mac)
{
	for (uint8_t length = 2; length <= OPTIONS_BYTES_MAX; length++)
		is(with_option(29, length), (struct tcp_options){.wscale = 7, .sack = true, .ao = length > 4});
	is(options_parse((const uint8_t[16]){29, 16}, 15), none);
	is(options_parse((const uint8_t[16]){29, 16}, 16), (struct tcp_options){.wscale = -1, .ao = true});
}
END_TEST

START_TEST(a_signature_after_the_end_is_none)
{
	is(options_parse((const uint8_t[19]){0, 19, 18}, 19), none);
	is(options_parse((const uint8_t[17]){0, 29, 16}, 17), none);
	is(options_parse((const uint8_t[19]){1, 19, 18}, 19), (struct tcp_options){.wscale = -1, .md5 = true});
}
END_TEST

START_TEST(both_signatures_are_seen)
{
	is(options_parse((const uint8_t[34]){19, 18, [18] = 29, 16}, 34),
	   (struct tcp_options){.wscale = -1, .md5 = true, .ao = true});
}
END_TEST

START_TEST(signatures_are_not_written)
{
	struct tcp_options options = {.mss = 1460, .wscale = 7, .sack = true};
	uint8_t without[OPTIONS_BYTES_MAX], with[OPTIONS_BYTES_MAX];
	size_t bytes = options_write(without, &options);

	options.md5 = options.ao = true;
	ck_assert_uint_eq(options_write(with, &options), bytes);
	ck_assert_mem_eq(with, without, bytes);
}
END_TEST

START_TEST(options_are_laid_out_as_linux_does)
{
	static const struct tcp_options full = {
		.mss = 1460, .wscale = 7, .sack = true, .timestamps = true, .tsval = 1, .tsecr = 2};
	static const uint8_t expected[20] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7};
	uint8_t out[OPTIONS_BYTES_MAX];

	ck_assert_uint_eq(options_write(out, &full), sizeof(expected));
	ck_assert_mem_eq(out, expected, sizeof(expected));
}
END_TEST

START_TEST(without_timestamps_the_padding_comes_first)
{
	static const struct tcp_options modest = {.mss = 1460, .wscale = -1, .sack = true};
	static const uint8_t expected[8] = {2, 4, 5, 0xb4, 1, 1, 4, 2};
	uint8_t out[OPTIONS_BYTES_MAX];

	ck_assert_uint_eq(options_write(out, &modest), sizeof(expected));
	ck_assert_mem_eq(out, expected, sizeof(expected));
}
END_TEST

/* Bits of `_i`: MSS, window scale, SACK, timestamps. */
START_TEST(what_is_written_is_read_again_and_padded_to_words)
{
	struct tcp_options options = {
		.mss = _i & 1 ? 65535 : 0,
		.wscale = (int8_t)(_i & 2 ? 0 : -1),
		.sack = _i & 4,
		.timestamps = _i & 8,
		.tsval = _i & 8 ? 0xfffffffe : 0,
		.tsecr = _i & 8 ? 0x80000001 : 0,
	};
	uint8_t out[OPTIONS_BYTES_MAX];
	size_t bytes = options_write(out, &options);

	ck_assert_uint_eq(bytes % 4, 0);
	ck_assert_uint_le(bytes, OPTIONS_BYTES_MAX);
	ck_assert(_i || bytes == 0);
	is(options_parse(out, bytes), options);
}
END_TEST

/* Fresh memory of exact size each time, so that a sanitizer sees a read past the end. */
START_TEST(random_bytes_are_read_within_bounds)
{
	static const uint8_t kinds[] = {0, 1, 2, 3, 4, 5, 8, 19, 29, 30, 254};
	static const uint8_t lengths[] = {0, 1, 2, 3, 4, 10, 16, 18, 40, 255};
	uint64_t seed = 1;
	unsigned found = 0, signatures = 0;

	for (unsigned round = 0; round < 400000; round++) {
		size_t bytes = random_below(&seed, OPTIONS_BYTES_MAX + 1);
		uint8_t *data = malloc(bytes), out[OPTIONS_BYTES_MAX];
		struct tcp_options options, again;

		for (size_t i = 0; i < bytes; i++) {
			uint64_t dice = random_next(&seed);

			data[i] = dice & 1 ? kinds[dice / 256 % sizeof(kinds)]
					   : (dice & 6 ? lengths[dice / 256 % sizeof(lengths)] : (uint8_t)(dice >> 8));
		}
		options = options_parse(data, bytes);
		must(options.wscale >= -1 && options.wscale <= 14);
		must(options.timestamps || (options.tsval == 0 && options.tsecr == 0));
		again = options_parse(out, options_write(out, &options));
		must(same(&options, &again));
		found += options.mss && options.sack;
		signatures += options.md5 || options.ao;
		free(data);
	}
	ck_assert_uint_gt(found, 100); /* not everything was noise */
	ck_assert_uint_gt(signatures, 100);
}
END_TEST

static Suite *options_suite(void)
{
	Suite *suite = suite_create("options");
	TCase *reading = tcase_create("reading");
	TCase *writing = tcase_create("writing");

	suite_add_tcase(suite, reading);
	tcase_add_test(reading, no_options_are_none);
	tcase_add_test(reading, linux_syn_is_read);
	tcase_add_test(reading, what_follows_the_end_is_not_read);
	tcase_add_test(reading, an_unknown_option_is_skipped);
	tcase_add_test(reading, an_option_of_a_wrong_length_is_skipped);
	tcase_add_test(reading, a_length_below_two_ends_the_reading);
	tcase_add_test(reading, a_length_past_the_end_is_not_followed);
	tcase_add_test(reading, an_option_without_its_length_byte_is_not_read);
	tcase_add_test(reading, an_option_that_ends_with_the_data_is_read);
	tcase_add_test(reading, a_window_scale_above_14_counts_as_14);
	tcase_add_test(reading, of_an_option_given_twice_the_last_counts);
	tcase_add_test(reading, a_md5_signature_is_one_of_exactly_its_length);
	tcase_add_test(reading, of_two_md5_signatures_the_first_counts);
	tcase_add_test(reading, an_ao_signature_has_a_mac);
	tcase_add_test(reading, a_signature_after_the_end_is_none);
	tcase_add_test(reading, both_signatures_are_seen);
	tcase_add_test(reading, random_bytes_are_read_within_bounds);

	suite_add_tcase(suite, writing);
	tcase_add_test(writing, options_are_laid_out_as_linux_does);
	tcase_add_test(writing, without_timestamps_the_padding_comes_first);
	tcase_add_test(writing, signatures_are_not_written);
	tcase_add_loop_test(writing, what_is_written_is_read_again_and_padded_to_words, 0, 16);
	return suite;
}

int main(void)
{
	return unit_main(options_suite());
}
