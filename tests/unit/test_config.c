/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sys/stat.h>

#include "config_file.h"

START_TEST(without_a_file_the_defaults_count)
{
	config_defaults(&config);
	check_defaults(&config);
}
END_TEST

START_TEST(an_empty_file_gives_the_defaults)
{
	accepts("");
	check_defaults(&config);
}
END_TEST

START_TEST(the_shipped_example_gives_the_defaults)
{
	char shipped[4096];

	snprintf(shipped, sizeof(shipped), "%.*sconf/synmoat.conf", (int)(strstr(__FILE__, "tests/unit") - __FILE__),
		 __FILE__);
	ck_assert_msg(config_load(&config, shipped, error, sizeof(error)) == 0, "%s", error);
	check_defaults(&config);
}
END_TEST

/* What it says of the gateway is a comment there. */
START_TEST(the_shipped_example_tells_the_defaults_of_a_gateway)
{
	char shipped[4096], line[512], *text = NULL;
	bool inside = false;
	FILE *in, *out;
	size_t bytes;

	snprintf(shipped, sizeof(shipped), "%.*sconf/synmoat.conf", (int)(strstr(__FILE__, "tests/unit") - __FILE__),
		 __FILE__);
	in = fopen(shipped, "r");
	out = open_memstream(&text, &bytes);
	ck_assert(in && out);
	fprintf(out, "mode = \"gateway\";\n" BEHIND);
	while (fgets(line, sizeof(line), in)) {
		inside = inside || strcmp(line, "# gateway = {\n") == 0;
		if (inside)
			fputs(line + 2, out);
		inside = inside && strcmp(line, "# };\n") != 0;
	}
	fclose(in);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, "gateway = {"));
	ck_assert_ptr_nonnull(strstr(text, "  grace_s = "));
	accepts(text);
	ck_assert_str_eq(config.gateway.secret_file, "");
	ck_assert_int_eq(config.gateway.strays, STRAYS_DROP);
	ck_assert_uint_eq(config.gateway.grace_s, 7200);
	config_free(&config);
	free(text);
}
END_TEST

START_TEST(a_missing_file_is_named)
{
	ck_assert_int_eq(config_load(&config, "/nonexistent/x.conf", error, sizeof(error)), -1);
	ck_assert_str_eq(error, "/nonexistent/x.conf: No such file or directory");
}
END_TEST

START_TEST(a_directory_is_refused)
{
	ck_assert_int_eq(config_load(&config, "/tmp", error, sizeof(error)), -1);
	ck_assert_str_eq(error, "/tmp: Is a directory");
}
END_TEST

static int load_from(const char *from, bool required)
{
	struct config_file file = {from, required};

	memset(&config, 0xee, sizeof(config));
	error[0] = '\0';
	return config_load_from(&config, &file, error, sizeof(error));
}

START_TEST(a_file_that_is_not_there_means_the_defaults_unless_it_was_asked_for)
{
	ck_assert_int_eq(load_from("/nonexistent/x.conf", false), 0);
	ck_assert_str_eq(error, "");
	check_defaults(&config);
	ck_assert_int_eq(load_from("/nonexistent/x.conf", true), -1);
	ck_assert_str_eq(error, "/nonexistent/x.conf: No such file or directory");
}
END_TEST

START_TEST(a_file_that_is_there_is_read_asked_for_or_not)
{
	accepts("allow = [\"192.0.2.0/24\"];\nbacklog = { hold_s = 77; };\n");
	config_free(&config);
	ck_assert_int_eq(load_from(path, _i), 0);
	ck_assert_uint_eq(config.backlog.hold_s, 77);
	ck_assert_uint_eq(config.allow_count, 1);
	config_free(&config);
}
END_TEST

/* Only that there is none means the defaults: else a slip would leave everything unprotected in silence. */
START_TEST(a_file_that_is_there_and_cannot_be_used_is_an_error_asked_for_or_not)
{
	char expected[1200], below[64];

	ck_assert_int_eq(load_from("/tmp", _i), -1);
	ck_assert_str_eq(error, "/tmp: Is a directory");

	refuses("policy = \"no\";\n", "1: policy is \"no\": allowed is \"enforce\" or \"observe\"");
	snprintf(expected, sizeof(expected), "%s", error);
	ck_assert_int_eq(load_from(path, _i), -1);
	ck_assert_str_eq(error, expected);

	snprintf(below, sizeof(below), "%s/x.conf", path);
	ck_assert_int_eq(load_from(below, _i), -1);
	snprintf(expected, sizeof(expected), "%s: Not a directory", below);
	ck_assert_str_eq(error, expected);
}
END_TEST

START_TEST(a_file_that_may_not_be_read_is_an_error_asked_for_or_not)
{
	uid_t nobody = 65534, before = geteuid();
	char expected[128];
	int result;

	accepts("");
	ck_assert_int_eq(chmod(path, 0), 0);
	ck_assert(before != 0 || seteuid(nobody) == 0); /* root may read everything */
	result = load_from(path, _i);
	ck_assert(before != 0 || seteuid(before) == 0);
	snprintf(expected, sizeof(expected), "%s: Permission denied", path);
	ck_assert_int_eq(result, -1);
	ck_assert_str_eq(error, expected);
}
END_TEST

START_TEST(a_file_too_large_is_refused)
{
	char expected[128];
	size_t bytes = (1U << 20) + 1;
	char *text = malloc(bytes);

	memset(text, '\n', bytes);
	ck_assert_int_eq(load_bytes(text, bytes - 1), 0);
	ck_assert_int_eq(load_bytes(text, bytes), -1);
	snprintf(expected, sizeof(expected), "%s: larger than 1048576 bytes", path);
	ck_assert_str_eq(error, expected);
	free(text);
}
END_TEST

START_TEST(a_syntax_error_is_given_with_its_line)
{
	refuses("policy = \"enforce\";\nbacklog = {\n  hold_s = ;\n};\n", "3: syntax error: see synmoat.conf(5)");
}
END_TEST

START_TEST(a_key_given_twice_is_refused)
{
	refuses("policy = \"enforce\";\npolicy = \"observe\";\n", "2: duplicate setting name: see synmoat.conf(5)");
}
END_TEST

START_TEST(an_include_is_refused)
{
	refuses("mode = \"host\";\n  @include \"/tmp\"\n",
		"2: @include is not supported: everything goes into this one file");
}
END_TEST

START_TEST(a_nul_byte_is_refused)
{
	char expected[128];

	ck_assert_int_eq(load_bytes("mode = \"host\";\n\0x = 1;\n", 23), -1);
	snprintf(expected, sizeof(expected), "%s:2: NUL byte: this is not a text file", path);
	ck_assert_str_eq(error, expected);
}
END_TEST

START_TEST(a_number_that_would_wrap_around_is_refused)
{
	refuses("services = ( { name = \"web\";\n  ports = [4294967376]; } );\n",
		"2: number too large: no key allows more than 16777216");
	refuses("tables = { half_open = 0x100001000; };\n", "1: number too large: no key allows more than 16777216");
	refuses("tables = { half_open = 99999999999999999999L; };\n",
		"1: number too large: no key allows more than 16777216");
}
END_TEST

START_TEST(long_digits_in_strings_comments_and_names_are_no_numbers)
{
	accepts("# 4294967376 @include\n// 4294967376\n/* 4294967376\n @include */\n"
		"services = ( { name = \"n4294967376\"; ports = [0000000000080, 0x00000051]; },\n"
		"             { name = \"42949673760\"; ports = [1]; } );\n");
	ck_assert_uint_eq(config.services[0].ports[0], 80);
	ck_assert_uint_eq(config.services[0].ports[1], 81);
	config_free(&config);
	refuses("control = { socket = \"\\\"4294967376\"; };\n",
		"1: control.socket is \"\"4294967376\": allowed is an absolute path of at most 107 bytes");
	refuses("x4294967376 = 1;\n", "1: x4294967376 is not a known key: known are " ROOT_KEYS);
}
END_TEST

/* What is shown of it is JSON, too, and that is UTF-8. */
START_TEST(a_path_is_utf8_without_control_characters)
{
	static const char *const good[] = {"~",      "\u00e9", "\u07ff",     "\u0800",
					   "\u20ac", "\ufffd", "\U00010000", "\U0010ffff"};
	static const char *const bad[] = {"\xeb",
					  "\x80",
					  "\xc1\xbf",
					  "\xc3",
					  "\xc3(",
					  "\xe0\x9f\xbf",
					  "\xed\xa0\x80",
					  "\xf0\x8f\xbf\xbf",
					  "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80",
					  "\xe2\x82",
					  "\x7f",
					  "\x1f",
					  "\xc2\x9f"};
	char text[128];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "control = { socket = \"/run/%s\"; };\n", good[i]);
		accepts(text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "control = { socket = \"/run/%s\"; };\n", bad[i]);
		ck_assert_int_eq(load_bytes(text, strlen(text)), -1);
		snprintf(text, sizeof(text), "xdp = { interfaces = [ \"%s\" ]; };\n", bad[i]);
		ck_assert_int_eq(load_bytes(text, strlen(text)), -1);
	}
	refuses("control = { socket = \"/\xeb\"; };\n",
		"1: control.socket is \"/?\": allowed is an absolute path of at most 107 bytes");
}
END_TEST

START_TEST(control_characters_of_a_value_stay_out_of_the_error)
{
	refuses("policy = \"a\\n\\x1b[31m\";\n", "1: policy is \"a??[31m\": allowed is \"enforce\" or \"observe\"");
}
END_TEST

START_TEST(a_short_error_buffer_is_not_overrun)
{
	char small[8];

	ck_assert_int_eq(config_load(&config, "/nonexistent/x.conf", small, sizeof(small)), -1);
	ck_assert_str_eq(small, "/nonexi");
}
END_TEST

static Suite *config_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *file = tcase_create("file");

	suite_add_tcase(suite, file);
	tcase_add_checked_fixture(file, file_make, file_remove);
	tcase_add_test(file, without_a_file_the_defaults_count);
	tcase_add_test(file, a_path_is_utf8_without_control_characters);
	tcase_add_test(file, an_empty_file_gives_the_defaults);
	tcase_add_test(file, the_shipped_example_gives_the_defaults);
	tcase_add_test(file, the_shipped_example_tells_the_defaults_of_a_gateway);
	tcase_add_test(file, a_missing_file_is_named);
	tcase_add_test(file, a_directory_is_refused);
	tcase_add_test(file, a_file_that_is_not_there_means_the_defaults_unless_it_was_asked_for);
	tcase_add_loop_test(file, a_file_that_is_there_is_read_asked_for_or_not, 0, 2);
	tcase_add_loop_test(file, a_file_that_is_there_and_cannot_be_used_is_an_error_asked_for_or_not, 0, 2);
	tcase_add_loop_test(file, a_file_that_may_not_be_read_is_an_error_asked_for_or_not, 0, 2);
	tcase_add_test(file, a_file_too_large_is_refused);
	tcase_add_test(file, a_syntax_error_is_given_with_its_line);
	tcase_add_test(file, a_key_given_twice_is_refused);
	tcase_add_test(file, an_include_is_refused);
	tcase_add_test(file, a_nul_byte_is_refused);
	tcase_add_test(file, a_number_that_would_wrap_around_is_refused);
	tcase_add_test(file, long_digits_in_strings_comments_and_names_are_no_numbers);
	tcase_add_test(file, control_characters_of_a_value_stay_out_of_the_error);
	tcase_add_test(file, a_short_error_buffer_is_not_overrun);
	return suite;
}

int main(void)
{
	return unit_main(config_suite());
}
