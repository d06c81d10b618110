/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/report.h"

#include <jansson.h>

#include "unit.h"

/* clang-format off */
static const struct report_service services[] = {
	{
		.name = "web", .address = "192.0.2.1", .port = 80, .cookies = "auto", .state = "watching",
		.half_open = 3, .limit = 128, .arm_at = 64, .disarm_at = 32,
	},
	{
		.name = "tls", .address = "2001:db8::1", .port = 443, .cookies = "always", .state = "armed",
		.armed = true, .half_open = 70, .limit = 4294967295, .arm_at = 64, .disarm_at = 32, .syn_per_s = 20000,
		.distinct_sources = 4000,
		.learned = {.mss = 1440, .wscale = 7, .sack = true, .timestamps = true},
	},
	{
		.name = "old", .address = "any", .port = 25, .cookies = "never", .state = "not listening",
		.learned = {.mss = 536, .wscale = -1},
	},
};

static const struct report_source sources[] = {
	{.address = "198.51.100.7", .half_open = 12, .syns = 18446744073709551615U >> 1, .completed = 2, .idle_s = 1},
	{.address = "2001:db8:0:1::/64", .half_open = 1, .syns = 5, .challenged = 4, .idle_s = 60},
};
/* clang-format on */

static struct report report;
static char *answer;
static size_t answer_bytes;
static json_t *json;

static void report_fill(void)
{
	report = (struct report){
		.version = "0.1.0",
		.uptime_s = 8000,
		.mode = "host",
		.policy = "enforce",
		.armed = true,
		.shards = 2,
		.half_open_entries = 73,
		.half_open_capacity = 262144,
		.source_entries = 44,
		.source_capacity = 4294967295,
		.service_count = 3,
		.services = services,
		.source_count = 2,
		.sources = sources,
	};
	for (int i = 0; i < OUTCOME_COUNT; i++)
		report.counters[i] = 1000000000000 + (uint64_t)i;
}

static void answer_free(void)
{
	json_decref(json);
	free(answer);
}

static int ask(const char *request)
{
	FILE *out;
	int result;

	free(answer);
	out = open_memstream(&answer, &answer_bytes);
	result = report_answer(&report, request, out);
	fclose(out);
	ck_assert_uint_gt(answer_bytes, 0);
	ck_assert_int_eq(answer[answer_bytes - 1], '\n');
	return result;
}

static void ask_json(const char *request)
{
	json_error_t error;

	ck_assert_int_eq(ask(request), 0);
	json_decref(json);
	json = json_loads(answer, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(json != NULL, "%s in %s", error.text, answer);
}

static void says(const char *words)
{
	ck_assert_msg(strstr(answer, words) != NULL, "no \"%s\" in:\n%s", words, answer);
}

START_TEST(status_json_has_every_key_of_the_contract)
{
	const char *version, *mode, *policy;
	json_int_t uptime, shards;
	json_t *list, *counters;
	int armed;

	ask_json("status json");
	ck_assert_int_eq(json_unpack(json, "{s:s, s:I, s:s, s:s, s:b, s:I, s:o, s:o}", "version", &version, "uptime_s",
				     &uptime, "mode", &mode, "policy", &policy, "armed", &armed, "shards", &shards,
				     "services", &list, "counters", &counters),
			 0);
	ck_assert_str_eq(version, "0.1.0");
	ck_assert_int_eq(uptime, 8000);
	ck_assert_str_eq(mode, "host");
	ck_assert_str_eq(policy, "enforce");
	ck_assert(armed);
	ck_assert_int_eq(shards, 2);
	ck_assert_uint_eq(json_array_size(list), 3);
	ck_assert(json_is_object(counters));
}
END_TEST

START_TEST(status_json_counts_every_outcome_under_its_name)
{
	json_t *counters;

	ask_json("status json");
	counters = json_object_get(json, "counters");
	ck_assert_uint_eq(json_object_size(counters), OUTCOME_COUNT);
	for (int i = 0; i < OUTCOME_COUNT; i++)
		ck_assert_int_eq(json_integer_value(json_object_get(counters, outcome_name(i))), 1000000000000 + i);
}
END_TEST

START_TEST(a_service_is_told_with_what_was_learned)
{
	const char *name, *address, *state, *cookies;
	json_int_t port, half_open, limit, arm_at, disarm_at, rate, distinct, mss, wscale;
	int armed, sack, timestamps;

	ask_json("services json");
	ck_assert_int_eq(
		json_unpack(json_array_get(json_object_get(json, "services"), 1),
			    "{s:s, s:s, s:I, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:b, s:b}!}",
			    "name", &name, "address", &address, "port", &port, "armed", &armed, "state", &state,
			    "cookies", &cookies, "half_open", &half_open, "limit", &limit, "arm_at", &arm_at,
			    "disarm_at", &disarm_at, "syn_per_s", &rate, "distinct_sources", &distinct, "learned",
			    "mss", &mss, "wscale", &wscale, "sack", &sack, "timestamps", &timestamps),
		0);
	ck_assert_str_eq(name, "tls");
	ck_assert_str_eq(address, "2001:db8::1");
	ck_assert_int_eq(port, 443);
	ck_assert(armed && sack && timestamps);
	ck_assert_str_eq(state, "armed");
	ck_assert_str_eq(cookies, "always");
	ck_assert_int_eq(half_open, 70);
	ck_assert_int_eq(limit, 4294967295);
	ck_assert_int_eq(arm_at, 64);
	ck_assert_int_eq(disarm_at, 32);
	ck_assert_int_eq(rate, 20000);
	ck_assert_int_eq(distinct, 4000);
	ck_assert_int_eq(mss, 1440);
	ck_assert_int_eq(wscale, 7);
}
END_TEST

START_TEST(what_was_not_learned_is_null)
{
	json_t *learned;

	ask_json("services json");
	learned = json_object_get(json_array_get(json_object_get(json, "services"), 0), "learned");
	ck_assert(json_is_null(json_object_get(learned, "mss")));
	ck_assert(json_is_null(json_object_get(learned, "wscale")));
	ck_assert(json_is_false(json_object_get(learned, "sack")));
	ck_assert(json_is_false(json_object_get(learned, "timestamps")));
}
END_TEST

START_TEST(a_server_without_window_scaling_has_wscale_null)
{
	json_t *learned;

	ask_json("services json");
	learned = json_object_get(json_array_get(json_object_get(json, "services"), 2), "learned");
	ck_assert_int_eq(json_integer_value(json_object_get(learned, "mss")), 536);
	ck_assert(json_is_null(json_object_get(learned, "wscale")));
}
END_TEST

START_TEST(sources_json_tells_each_source)
{
	json_t *source;
	const char *address;
	json_int_t half_open, syns, challenged, completed, idle;

	ask_json("sources json");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "sources")), 2);
	source = json_array_get(json_object_get(json, "sources"), 1);
	ck_assert_int_eq(json_unpack(source, "{s:s, s:I, s:I, s:I, s:I, s:I !}", "address", &address, "half_open",
				     &half_open, "syns", &syns, "challenged", &challenged, "completed", &completed,
				     "idle_s", &idle),
			 0);
	ck_assert_str_eq(address, "2001:db8:0:1::/64");
	ck_assert_int_eq(half_open, 1);
	ck_assert_int_eq(syns, 5);
	ck_assert_int_eq(challenged, 4);
	ck_assert_int_eq(completed, 0);
	ck_assert_int_eq(idle, 60);
}
END_TEST

START_TEST(with_nothing_to_tell_the_lists_are_empty)
{
	report.service_count = report.source_count = 0;
	report.services = NULL;
	report.sources = NULL;
	ask_json("services json");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "services")), 0);
	ask_json("sources json");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "sources")), 0);
	ask_json("status json");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "services")), 0);
	ck_assert_int_eq(ask("status"), 0);
	ck_assert_int_eq(ask("services"), 0);
	ck_assert_int_eq(ask("sources"), 0);
}
END_TEST

START_TEST(status_tells_thresholds_and_counters_in_about_ten_lines)
{
	int lines = 0;

	ck_assert_int_eq(ask("status"), 0);
	for (const char *c = answer; *c; c++)
		lines += *c == '\n';
	ck_assert_int_le(lines, 12);
	says("synmoatd 0.1.0: mode host, policy enforce, 2 shards, up 2 h 13 min\n");
	says("ARMED: 1 of 3 services get SYN cookies\n");
	says("  tls [2001:db8::1]:443: armed, half-open 70 of 4294967295 (arms at 64, disarms below 32), "
	     "20000 SYN/s from about 4000 sources\n");
	says("  web 192.0.2.1:80: watching, half-open 3 of 128 (arms at 64, disarms below 32)\n");
	says("  old any:25: not listening, half-open 0\n");
	says("tables: 73 of 262144 half-open entries, 44 of 4294967295 sources\n");
	says("SYNs: 1000000000000 received, 1000000000001 accepted, 1000000000003 challenged\n");
	ck_assert(strstr(answer, "  tls") < strstr(answer, "  web"));
}
END_TEST

START_TEST(status_in_peace_says_so)
{
	report.armed = false;
	report.service_count = 1;
	ck_assert_int_eq(ask("status"), 0);
	says("not armed: 0 of 1 services get SYN cookies\n");
}
END_TEST

START_TEST(status_of_an_observer_says_would)
{
	report.policy = "observe";
	ck_assert_int_eq(ask("status"), 0);
	says("ARMED: 1 of 3 services would get SYN cookies\n");
}
END_TEST

START_TEST(status_of_many_services_stays_short)
{
	struct report_service many[100];

	for (int i = 0; i < 100; i++)
		many[i] = services[i == 99]; /* the last one is armed */
	report.services = many;
	report.service_count = 100;
	ck_assert_int_eq(ask("status"), 0);
	says("  tls ");
	says("  and 92 more: see 'services'\n");
}
END_TEST

START_TEST(uptime_is_told_in_two_units)
{
	static const struct {
		uint64_t seconds;
		const char *words;
	} times[] = {{0, "up 0 s\n"},
		     {59, "up 59 s\n"},
		     {61, "up 1 min 1 s\n"},
		     {3600, "up 1 h 0 min\n"},
		     {90000, "up 1 d 1 h\n"}};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		report.uptime_s = times[i].seconds;
		ck_assert_int_eq(ask("status"), 0);
		says(times[i].words);
	}
}
END_TEST

START_TEST(services_and_sources_are_tables)
{
	ck_assert_int_eq(ask("services"), 0);
	says("ENDPOINT");
	says("mss 1440 wscale 7 sack timestamps\n");
	says("mss 536\n");
	says("192.0.2.1:80");
	ck_assert_int_eq(ask("sources"), 0);
	says("HALF-OPEN");
	says("9223372036854775807");
	says("2001:db8:0:1::/64 ");
}
END_TEST

START_TEST(version_and_help_answer)
{
	ck_assert_int_eq(ask("version"), 0);
	ck_assert_str_eq(answer, "synmoatd 0.1.0\n");
	ask_json("version json");
	ck_assert_str_eq(json_string_value(json_object_get(json, "version")), "0.1.0");
	ck_assert_int_eq(ask("help"), 0);
	says("sources  ");
	ask_json("help json");
	ck_assert_uint_eq(json_object_size(json_object_get(json, "requests")), 5);
}
END_TEST

START_TEST(blanks_around_words_do_not_matter)
{
	ck_assert_int_eq(ask("  version \r"), 0);
	ck_assert_str_eq(answer, "synmoatd 0.1.0\n");
	ck_assert_int_eq(ask("version\t json"), 0);
	ck_assert_str_eq(answer, "{\"version\":\"0.1.0\"}\n");
}
END_TEST

START_TEST(an_unknown_request_is_answered_with_the_known_ones)
{
	static const char *const bad[] = {"", "stat", "statuses", "status xml", "status json json", "json"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char expected[256];

		ck_assert_int_eq(ask(bad[i]), -1);
		snprintf(expected, sizeof(expected),
			 "error: unknown request \"%s\": known are status, services, sources, version, help, each also "
			 "followed by \"json\"\n",
			 bad[i]);
		ck_assert_str_eq(answer, expected);
	}
}
END_TEST

START_TEST(an_unknown_request_is_not_echoed_raw_nor_at_length)
{
	char request[257];

	memset(request, 'x', sizeof(request));
	request[0] = '\x1b';
	request[256] = '\0';
	ck_assert_int_eq(ask(request), -1);
	says("request \"?xxx");
	ck_assert_ptr_null(strchr(answer, '\x1b'));
	ck_assert_uint_lt(answer_bytes, 200);
}
END_TEST

static Suite *report_suite(void)
{
	Suite *suite = suite_create("report");
	TCase *answers = tcase_create("answers");

	suite_add_tcase(suite, answers);
	tcase_add_checked_fixture(answers, report_fill, answer_free);
	tcase_add_test(answers, status_json_has_every_key_of_the_contract);
	tcase_add_test(answers, status_json_counts_every_outcome_under_its_name);
	tcase_add_test(answers, a_service_is_told_with_what_was_learned);
	tcase_add_test(answers, what_was_not_learned_is_null);
	tcase_add_test(answers, a_server_without_window_scaling_has_wscale_null);
	tcase_add_test(answers, sources_json_tells_each_source);
	tcase_add_test(answers, with_nothing_to_tell_the_lists_are_empty);
	tcase_add_test(answers, status_tells_thresholds_and_counters_in_about_ten_lines);
	tcase_add_test(answers, status_in_peace_says_so);
	tcase_add_test(answers, status_of_an_observer_says_would);
	tcase_add_test(answers, status_of_many_services_stays_short);
	tcase_add_test(answers, uptime_is_told_in_two_units);
	tcase_add_test(answers, services_and_sources_are_tables);
	tcase_add_test(answers, version_and_help_answer);
	tcase_add_test(answers, blanks_around_words_do_not_matter);
	tcase_add_test(answers, an_unknown_request_is_answered_with_the_known_ones);
	tcase_add_test(answers, an_unknown_request_is_not_echoed_raw_nor_at_length);
	return suite;
}

int main(void)
{
	return unit_main(report_suite());
}
