/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/command.h"

#include <arpa/inet.h>

#include "unit.h"

static struct command command;
static char error[COMMAND_ERROR_BYTES];

static void parsed(const char *request)
{
	memset(&command, 0xff, sizeof(command));
	error[0] = '\0';
	ck_assert_msg(command_parse(request, &command, error, sizeof(error)) == 0, "%s: %s", request, error);
}

static void refused(const char *request)
{
	ck_assert_msg(command_parse(request, &command, error, sizeof(error)) == -1, "taken: %s", request);
	ck_assert_str_ne(error, "");
	ck_assert_ptr_null(strchr(error, '\n'));
	ck_assert_uint_lt(strlen(error), sizeof(error) - 1); /* not cut short */
}

static void refused_with(const char *request, const char *expected)
{
	refused(request);
	ck_assert_str_eq(error, expected);
}

static struct addr addr(const char *text)
{
	uint8_t wire[16];

	if (inet_pton(AF_INET, text, wire) == 1)
		return addr_from_v4(wire);
	ck_assert_int_eq(inet_pton(AF_INET6, text, wire), 1);
	return addr_from_v6(wire);
}

/* clang-format off */
static const struct {
	const char *request;
	enum verb verb;
	bool changes;
} complete[] = {
	{"status", VERB_STATUS, false},
	{"services", VERB_SERVICES, false},
	{"sources", VERB_SOURCES, false},
	{"explain 192.0.2.7", VERB_EXPLAIN, false},
	{"allow list", VERB_ALLOW_LIST, false},
	{"deny list", VERB_DENY_LIST, false},
	{"ban list", VERB_BAN_LIST, false},
	{"check", VERB_CHECK, false},
	{"secret show-epoch", VERB_SECRET_SHOW_EPOCH, false},
	{"version", VERB_VERSION, false},
	{"events", VERB_EVENTS, false},
	{"metrics", VERB_METRICS, false},
	{"config show", VERB_CONFIG_SHOW, false},
	{"help", VERB_HELP, false},
	{"arm web", VERB_ARM, true},
	{"disarm web", VERB_DISARM, true},
	{"auto web", VERB_AUTO, true},
	{"allow add 192.0.2.0/24", VERB_ALLOW_ADD, true},
	{"allow del 192.0.2.0/24", VERB_ALLOW_DEL, true},
	{"deny add 2001:db8::/32", VERB_DENY_ADD, true},
	{"deny del 2001:db8::/32", VERB_DENY_DEL, true},
	{"ban lift 192.0.2.7", VERB_BAN_LIFT, true},
	{"secret rotate", VERB_SECRET_ROTATE, true},
	{"reload", VERB_RELOAD, true},
};
/* clang-format on */
#define COMPLETE_COUNT (sizeof(complete) / sizeof(complete[0]))
_Static_assert(COMPLETE_COUNT == VERB_COUNT, "every verb is tested");

START_TEST(every_verb_is_known_and_what_it_changes)
{
	const char *request = complete[_i].request;

	parsed(request);
	ck_assert_int_eq(command.verb, complete[_i].verb);
	ck_assert(!command.json);
	ck_assert(verb_changes(command.verb) == complete[_i].changes);
	ck_assert_uint_eq(strncmp(request, verb_words(command.verb), strlen(verb_words(command.verb))), 0);
	ck_assert_ptr_nonnull(verb_arguments(command.verb));
	ck_assert_uint_gt(strlen(verb_help(command.verb)), 0);
}
END_TEST

START_TEST(every_verb_may_be_followed_by_json)
{
	static const char *const forms[] = {"%s json", "%s --json", "--json %s", "\t%s  json \r", "--json %s json"};
	char request[128];

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		snprintf(request, sizeof(request), forms[i], complete[_i].request);
		parsed(request);
		ck_assert_int_eq(command.verb, complete[_i].verb);
		ck_assert(command.json);
	}
}
END_TEST

START_TEST(one_word_too_many_is_refused_and_the_right_form_named)
{
	char request[128], expected[COMMAND_ERROR_BYTES];
	const char *const more[] = {"%s surplus", "%s json surplus", "%s json json surplus"};

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		snprintf(request, sizeof(request), more[i], complete[_i].request);
		refused(request);
	}
	if (complete[_i].verb == VERB_SOURCES || complete[_i].verb == VERB_EXPLAIN || complete[_i].verb == VERB_EVENTS)
		return; /* they have more to say: see their own tests */
	snprintf(request, sizeof(request), "%s surplus", complete[_i].request);
	snprintf(expected, sizeof(expected), "%s: \"surplus\" is one word too many: allowed is %s%s%s [json]",
		 verb_words(complete[_i].verb), verb_words(complete[_i].verb),
		 *verb_arguments(complete[_i].verb) ? " " : "", verb_arguments(complete[_i].verb));
	refused_with(request, expected);
}
END_TEST

START_TEST(a_missing_argument_is_named)
{
	static const char service[] = "SERVICE, a name, ADDRESS:PORT, [IPV6]:PORT or any:PORT, is missing";
	static const char cidr[] = "CIDR, as 192.0.2.0/24 or 2001:db8::/32, is missing";
	static const char source[] = "SRC, an address or a network as \"ban list\" shows it, is missing";
	static const struct {
		const char *verb, *words;
	} missing[] = {{"arm", service},    {"disarm", service},  {"auto", service},
		       {"allow add", cidr}, {"allow del", cidr},  {"deny add", cidr},
		       {"deny del", cidr},  {"ban lift", source}, {"explain", source}};
	char request[64], expected[COMMAND_ERROR_BYTES];

	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		snprintf(expected, sizeof(expected), "%s: %s", missing[i].verb, missing[i].words);
		refused_with(missing[i].verb, expected);
		snprintf(request, sizeof(request), "%s --json", missing[i].verb);
		refused_with(request, expected);
	}
}
END_TEST

START_TEST(an_unknown_request_is_answered_with_the_known_ones)
{
	static const char *const bad[] = {"",           "stat",   "statuses",    "json",        "allow",
					  "allow json", "ban",    "deny lift",   "ban add ::1", "Status",
					  "list",       "secret", "secret show", "show-epoch",  "rotate"};
	char expected[COMMAND_ERROR_BYTES];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(expected, sizeof(expected),
			 "unknown request \"%s\": known are status, services, sources, explain, allow list, "
			 "deny list, ban list, events, metrics, check, config show, secret show-epoch, version, help, "
			 "arm, disarm, auto, allow add, allow del, deny add, deny del, ban lift, secret rotate, "
			 "reload, each also followed by \"json\"",
			 bad[i]);
		refused_with(bad[i], expected);
	}
}
END_TEST

START_TEST(what_was_asked_is_not_echoed_raw_nor_at_length)
{
	static const char *const before[] = {"",         "arm ",   "explain ", "allow add ", "explain 192.0.2.7 ",
					     "sources ", "status "};
	char request[512], word[256];

	for (size_t bytes = 2; bytes < sizeof(word); bytes += 11) {
		memset(word, 'x', bytes);
		word[0] = '\x1b';
		word[1] = '\xc3';
		word[bytes] = '\0';
		for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
			snprintf(request, sizeof(request), "%s%s", before[i], word);
			refused(request);
			for (const char *c = error; *c; c++)
				ck_assert_msg(*c >= ' ' && *c <= '~', "%s", error);
			ck_assert_ptr_null(
				strstr(error, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
		}
	}
}
END_TEST

START_TEST(too_many_and_too_long_words_are_refused)
{
	char request[512] = "status ";

	memset(request + 7, 'x', 256);
	refused_with(request, "a word is longer than 255 bytes");
	refused_with("a b c d e f g h i", "more than 8 words");
	refused_with("status a b c d e f g", "status: \"a\" is one word too many: allowed is status [json]");
}
END_TEST

START_TEST(an_error_is_cut_to_its_room)
{
	char small[16];

	memset(small, 'x', sizeof(small));
	ck_assert_int_eq(command_parse("nonsense", &command, small, 12), -1);
	ck_assert_str_eq(small, "unknown req");
	ck_assert_int_eq(small[12], 'x');
	ck_assert_int_eq(command_parse("nonsense", &command, small, 4), -1);
	ck_assert_str_eq(small, "unk");
}
END_TEST

START_TEST(an_error_is_wanted_in_the_form_that_was_asked_for)
{
	static const struct {
		const char *request;
		bool json;
	} asked[] = {{"nonsense", false},          {"nonsense json", true},
		     {"--json nonsense", true},    {"json", true},
		     {"json nonsense", false},     {"arm --json", true},
		     {"status x json", true},      {"status json x", false},
		     {"a b c d e f g h i", false}, {"sources --top json", true}};

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		refused(asked[i].request);
		ck_assert_msg(command.json == asked[i].json, "%s", asked[i].request);
	}
}
END_TEST

START_TEST(events_are_the_last_twenty_unless_asked_otherwise)
{
	parsed("events");
	ck_assert_uint_eq(command.last, 20);
	ck_assert(!command.follow && !command.json);
	parsed("events --follow json");
	ck_assert_uint_eq(command.last, 20);
	ck_assert(command.follow && command.json);
	parsed("events --last 0 --follow");
	ck_assert_uint_eq(command.last, 0);
	ck_assert(command.follow);
	parsed("events --last 256");
	ck_assert_uint_eq(command.last, 256);
	ck_assert(!command.follow);
}
END_TEST

START_TEST(events_refuses_other_numbers_and_options)
{
	static const char *const numbers[] = {"", " 257", " -1", " x", " json", " 99999999999"};
	char request[64];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		snprintf(request, sizeof(request), "events --last%s", numbers[i]);
		refused_with(request, "events: --last takes a number of 0 to 256");
	}
	refused_with("events 10", "events: unknown option \"10\": known are [--last N] [--follow]");
	refused("events json --follow");
}
END_TEST

START_TEST(sources_are_the_fifty_that_hold_most_unless_asked_otherwise)
{
	parsed("sources");
	ck_assert_uint_eq(command.top, 50);
	ck_assert_int_eq(command.by, COMMAND_BY_HALF_OPEN);
	parsed("sources --by challenged --top 1000 json");
	ck_assert_uint_eq(command.top, 1000);
	ck_assert_int_eq(command.by, COMMAND_BY_CHALLENGED);
	ck_assert(command.json);
	parsed("sources --json --top 1 --by half-open");
	ck_assert_uint_eq(command.top, 1);
	ck_assert_int_eq(command.by, COMMAND_BY_HALF_OPEN);
	ck_assert(command.json);
}
END_TEST

START_TEST(sources_refuses_other_numbers_orders_and_options)
{
	static const char *const numbers[] = {"",   " 0",    " 1001", " -1",   " +1",         " 5x",
					      " x", " json", " 1.5",  " 0x10", " 4294967297", " 99999999999999999999"};
	static const char *const orders[] = {"", " syns", " half_open", " json", " challengedx"};
	char request[64];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		snprintf(request, sizeof(request), "sources --top%s", numbers[i]);
		refused_with(request, "sources: --top takes a number of 1 to 1000");
	}
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		snprintf(request, sizeof(request), "sources --by%s", orders[i]);
		refused_with(request, "sources: --by takes \"half-open\" or \"challenged\"");
	}
	refused_with("sources 10", "sources: unknown option \"10\": known are [--top N] [--by "
				   "half-open|challenged]");
	refused("sources json --top 5");
}
END_TEST

START_TEST(a_service_is_kept_as_it_was_named)
{
	static const char *const names[] = {
		"web", "web-2.example_x", "192.0.2.1:80", "[2001:db8::1]:443", "any:25", "json",
		"-",   "192.0.2.1:70000", "list"};
	char request[256], name[COMMAND_SERVICE_BYTES + 1];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(request, sizeof(request), "disarm %s", names[i]);
		parsed(request);
		ck_assert_str_eq(command.service, names[i]);
		ck_assert(!command.json);
	}
	parsed("arm json json");
	ck_assert_str_eq(command.service, "json");
	ck_assert(command.json);

	memset(name, 'x', sizeof(name));
	name[127] = '\0';
	snprintf(request, sizeof(request), "arm %s", name);
	parsed(request);
	ck_assert_str_eq(command.service, name);
	name[127] = 'x';
	name[128] = '\0';
	snprintf(request, sizeof(request), "arm %s", name);
	refused_with(request, "arm: SERVICE is longer than 127 bytes: allowed is a name, ADDRESS:PORT, "
			      "[IPV6]:PORT or any:PORT");
	refused_with("arm w\xc3\xa9"
		     "b",
		     "arm: no service is called \"w??b\": allowed is a name, ADDRESS:PORT, [IPV6]:PORT or any:PORT");
}
END_TEST

START_TEST(networks_are_read_and_bad_ones_refused_with_the_reason)
{
	static const char *const bad[] = {"web",  "192.0.2.1/33", "192.0.2.1/24", "2001:db8::/129",  "192.0.2",
					  "json", "/24",          "192.0.2.0/",   "::ffff:192.0.2.1"};
	static const char *const verbs[] = {"allow add", "allow del", "deny add", "deny del"};
	char request[64], expected[COMMAND_ERROR_BYTES], why[CIDR_WHY_BYTES], text[CIDR_TEXT_BYTES];
	struct cidr unused;

	parsed("deny add 192.0.2.0/24");
	cidr_text(&command.cidr, text);
	ck_assert_str_eq(text, "192.0.2.0/24");
	parsed("allow del 2001:db8::1");
	cidr_text(&command.cidr, text);
	ck_assert_str_eq(text, "2001:db8::1");
	for (size_t v = 0; v < 4; v++)
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			ck_assert(!cidr_parse(bad[i], &unused, why));
			snprintf(request, sizeof(request), "%s %s", verbs[v], bad[i]);
			snprintf(expected, sizeof(expected), "%s: \"%s\": %s", verbs[v], bad[i], why);
			refused_with(request, expected);
		}
}
END_TEST

START_TEST(a_source_is_an_address_or_a_network)
{
	struct addr expected;

	parsed("ban lift 192.0.2.7");
	expected = addr("192.0.2.7");
	ck_assert(addr_equal(&command.source, &expected));
	ck_assert_uint_eq(command.cidr.bits, 128);
	parsed("ban lift 2001:db8:0:1::/64");
	expected = addr("2001:db8:0:1::");
	ck_assert(addr_equal(&command.source, &expected));
	ck_assert_uint_eq(command.cidr.bits, 64);
	parsed("explain 198.51.100.0/24 json");
	expected = addr("198.51.100.0");
	ck_assert(addr_equal(&command.source, &expected));
	ck_assert_uint_eq(command.cidr.bits, CIDR_V4_BITS + 24);
	ck_assert(!command.has_destination && command.json);
	refused("ban lift web");
	refused("explain 192.0.2.7:80");
	refused("explain json");
}
END_TEST

START_TEST(explain_takes_a_destination_of_the_same_family)
{
	struct addr expected;

	parsed("explain 198.51.100.7 192.0.2.1:80");
	expected = addr("192.0.2.1");
	ck_assert(command.has_destination);
	ck_assert(addr_equal(&command.destination, &expected));
	ck_assert_uint_eq(command.destination_port, 80);
	parsed("explain 2001:db8::7 [2001:db8::1]:65535 json");
	expected = addr("2001:db8::1");
	ck_assert(command.has_destination && command.json);
	ck_assert(addr_equal(&command.destination, &expected));
	ck_assert_uint_eq(command.destination_port, 65535);

	refused_with("explain 198.51.100.7 [2001:db8::1]:80", "explain: SRC and DST must both be IPv4 or both be IPv6");
	refused_with("explain 2001:db8::7 192.0.2.1:80", "explain: SRC and DST must both be IPv4 or both be IPv6");
	refused_with("explain 198.51.100.7 192.0.2.1:80 443",
		     "explain: \"443\" is one word too many: allowed is explain SRC [DST:PORT] [json]");
}
END_TEST

START_TEST(explain_refuses_what_is_no_destination)
{
	static const char *const bad[] = {"192.0.2.1",
					  "192.0.2.1:",
					  "192.0.2.1:0",
					  "192.0.2.1:65536",
					  "192.0.2.1:-1",
					  "192.0.2.1:80x",
					  ":80",
					  "any:80",
					  "2001:db8::1:80",
					  "[2001:db8::1]",
					  "[2001:db8::1]:",
					  "[2001:db8::1]80",
					  "[::1:80",
					  "[]:80",
					  "[192.0.2.1]:80",
					  "web",
					  "192.0.2.1:http",
					  "192.0.2.1: 80",
					  "[fe80::1%lo]:80",
					  "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]:80"};
	char request[128], expected[COMMAND_ERROR_BYTES];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(request, sizeof(request), "explain 198.51.100.7 %s", bad[i]);
		snprintf(expected, sizeof(expected),
			 "explain: \"%.*s\" is no DST:PORT: allowed is 192.0.2.1:80 or [2001:db8::1]:80, with a "
			 "port of 1 to 65535",
			 (int)strcspn(bad[i], " "), bad[i]);
		refused_with(request, expected);
	}
}
END_TEST

static Suite *command_suite(void)
{
	Suite *suite = suite_create("command");
	TCase *verbs = tcase_create("verbs"), *arguments = tcase_create("arguments");

	suite_add_tcase(suite, verbs);
	tcase_add_loop_test(verbs, every_verb_is_known_and_what_it_changes, 0, COMPLETE_COUNT);
	tcase_add_loop_test(verbs, every_verb_may_be_followed_by_json, 0, COMPLETE_COUNT);
	tcase_add_loop_test(verbs, one_word_too_many_is_refused_and_the_right_form_named, 0, COMPLETE_COUNT);
	tcase_add_test(verbs, a_missing_argument_is_named);
	tcase_add_test(verbs, an_unknown_request_is_answered_with_the_known_ones);
	tcase_add_test(verbs, what_was_asked_is_not_echoed_raw_nor_at_length);
	tcase_add_test(verbs, too_many_and_too_long_words_are_refused);
	tcase_add_test(verbs, an_error_is_cut_to_its_room);

	tcase_add_test(verbs, an_error_is_wanted_in_the_form_that_was_asked_for);

	suite_add_tcase(suite, arguments);
	tcase_add_test(arguments, events_are_the_last_twenty_unless_asked_otherwise);
	tcase_add_test(arguments, events_refuses_other_numbers_and_options);
	tcase_add_test(arguments, sources_are_the_fifty_that_hold_most_unless_asked_otherwise);
	tcase_add_test(arguments, sources_refuses_other_numbers_orders_and_options);
	tcase_add_test(arguments, a_service_is_kept_as_it_was_named);
	tcase_add_test(arguments, networks_are_read_and_bad_ones_refused_with_the_reason);
	tcase_add_test(arguments, a_source_is_an_address_or_a_network);
	tcase_add_test(arguments, explain_takes_a_destination_of_the_same_family);
	tcase_add_test(arguments, explain_refuses_what_is_no_destination);
	return suite;
}

int main(void)
{
	return unit_main(command_suite());
}
