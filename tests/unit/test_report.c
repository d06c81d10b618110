/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/report.h"

#include <jansson.h>

#include "face/command.h"
#include "unit.h"

/* clang-format off */
static const struct report_service services[] = {
	{
		.name = "web", .address = "192.0.2.1", .port = 80, .cookies = "auto", .state = "watching",
		.override = "auto", .character = "calm",
		.half_open = 3, .limit = 128, .arm_at = 64, .disarm_at = 32,
	},
	{
		.name = "tls", .address = "2001:db8::1", .port = 443, .cookies = "always", .state = "armed",
		.armed = true, .half_open = 70, .limit = 4294967295, .arm_at = 64, .disarm_at = 32, .syn_per_s = 20000,
		.distinct_sources = 4000, .override = "auto", .character = "random-source flood",
		.completion_percent = 2, .top_source = "198.51.100.7", .top_source_percent = 12,
		.signature = "mss 1460, ttl 64", .signature_percent = 88,
		.learned = {.mss = 1440, .wscale = 7, .sack = true, .timestamps = true},
	},
	{
		.name = "old", .address = "any", .port = 25, .cookies = "never", .state = "not listening",
		.override = "disarm", .character = "calm",
		.learned = {.mss = 536, .wscale = -1},
	},
};

static const struct report_source sources[] = {
	{.address = "198.51.100.7", .half_open = 12, .syns = 18446744073709551615U >> 1, .completed = 2, .idle_s = 1,
	 .proven = true},
	{.address = "2001:db8:0:1::/64", .half_open = 1, .syns = 5, .challenged = 4, .idle_s = 60, .wary = true},
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
		.rules_restored = 3,
		.mode = "host",
		.policy = "enforce",
		.armed = true,
		.shards = 2,
		.orders_refused = 6,
		.accelerator = {.state = "attached",
				.why_not = "",
				.answered = 4000000000,
				.passed_up = 77,
				.interface_count = 2,
				.interfaces = {{"eth0", "native"}, {"eth1", "another program"}}},
		.half_open_entries = 73,
		.half_open_capacity = 262144,
		.source_entries = 44,
		.source_capacity = 4294967295,
		.service_count = 3,
		.services = services,
		.bans = 5,
		.source_count = 2,
		.sources = sources,
		.sources_by = "half-open",
	};
	for (int i = 0; i < OUTCOME_COUNT; i++)
		report.counters[i] = 1000000000000 + (uint64_t)i;
}

static void answer_free(void)
{
	json_decref(json);
	free(answer);
}

static FILE *answer_open(void)
{
	free(answer);
	answer = NULL;
	return open_memstream(&answer, &answer_bytes);
}

static void answer_close(FILE *out)
{
	fclose(out);
	ck_assert_uint_gt(answer_bytes, 0);
	ck_assert_int_eq(answer[answer_bytes - 1], '\n');
}

static void answer_close_json(FILE *out)
{
	json_error_t error;

	answer_close(out);
	json_decref(json);
	json = json_loads(answer, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(json != NULL, "%s in %s", error.text, answer);
	ck_assert_ptr_eq(strchr(answer, '\n'), answer + answer_bytes - 1); /* one line */
}

static void ask(void (*report_it)(const struct report *, bool, FILE *))
{
	FILE *out = answer_open();

	report_it(&report, false, out);
	answer_close(out);
}

static void ask_json(void (*report_it)(const struct report *, bool, FILE *))
{
	FILE *out = answer_open();

	report_it(&report, true, out);
	answer_close_json(out);
}

static void says(const char *words)
{
	ck_assert_msg(strstr(answer, words) != NULL, "no \"%s\" in:\n%s", words, answer);
}

START_TEST(status_json_has_every_key_of_the_contract)
{
	const char *version, *mode, *policy;
	json_int_t format, uptime, shards, bans, restored, entries, capacity, source_entries, source_capacity,
		orders_refused;
	const char *state, *names[2], *states[2];
	json_int_t answered, passed;
	json_t *list, *counters;
	int armed;

	ask_json(report_status);
	ck_assert_int_eq(
		json_unpack(
			json,
			"{s:I, s:s, s:I, s:s, s:s, s:b, s:I, s:I, s:{s:{s:I, s:I !}, s:{s:I, s:I !} !}, s:I, s:I, s:{s:s, s:n, s:I, s:I, s:[{s:s, s:s !}, {s:s, s:s !}!] !}, s:o, s:o !}",
			"format", &format, "version", &version, "uptime_s", &uptime, "mode", &mode, "policy", &policy,
			"armed", &armed, "shards", &shards, "orders_refused", &orders_refused, "tables", "half_open",
			"entries", &entries, "capacity", &capacity, "sources", "entries", &source_entries, "capacity",
			&source_capacity, "bans", &bans, "rules_restored", &restored, "accelerator", "state", &state,
			"reason", "answered", &answered, "passed_up", &passed, "interfaces", "name", &names[0], "state",
			&states[0], "name", &names[1], "state", &states[1], "services", &list, "counters", &counters),
		0);
	ck_assert_int_eq(format, 1);
	ck_assert_int_eq(entries, 73);
	ck_assert_int_eq(capacity, 262144);
	ck_assert_int_eq(source_entries, 44);
	ck_assert_int_eq(source_capacity, 4294967295);
	ck_assert_int_eq(bans, 5);
	ck_assert_int_eq(restored, 3);
	ck_assert_str_eq(version, "0.1.0");
	ck_assert_int_eq(uptime, 8000);
	ck_assert_str_eq(mode, "host");
	ck_assert_str_eq(policy, "enforce");
	ck_assert(armed);
	ck_assert_int_eq(shards, 2);
	ck_assert_int_eq(orders_refused, 6);
	ck_assert_uint_eq(json_array_size(list), 3);
	ck_assert(json_is_object(counters));
	ck_assert_str_eq(state, "attached");
	ck_assert_int_eq(answered, 4000000000);
	ck_assert_int_eq(passed, 77);
	ck_assert_str_eq(names[0], "eth0");
	ck_assert_str_eq(states[0], "native");
	ck_assert_str_eq(names[1], "eth1");
	ck_assert_str_eq(states[1], "another program");
}
END_TEST

START_TEST(status_tells_of_the_accelerator_unless_it_is_off)
{
	ask(report_status);
	says("policy enforce, XDP attached (eth0 native, eth1 another program), 2 shards");
	says(" challenged (4000000000 by XDP), ");
	report.accelerator = (struct report_accelerator){.state = "unavailable", .why_not = "no BTF"};
	ask(report_status);
	says("policy enforce, XDP unavailable, 2 shards");
	ask_json(report_status);
	says("\"reason\":\"no BTF\"");
	report.accelerator = (struct report_accelerator){.state = "off", .why_not = ""};
	ask(report_status);
	ck_assert_ptr_null(strstr(answer, "XDP"));
}
END_TEST

START_TEST(status_json_counts_every_outcome_under_its_name)
{
	json_t *counters;

	ask_json(report_status);
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
	json_t *service;

	ask_json(report_services);
	service = json_array_get(json_object_get(json, "services"), 1);
	ck_assert_uint_eq(json_object_size(service), 20);
	ck_assert_int_eq(
		json_unpack(service,
			    "{s:s, s:s, s:I, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:b, s:b !}}",
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

START_TEST(a_service_is_told_with_what_is_sent_to_it)
{
	const char *override, *character, *top_source, *signature;
	json_int_t completion, top_percent, signature_percent;

	ask_json(report_status);
	ck_assert_int_eq(json_unpack(json_array_get(json_object_get(json, "services"), 1),
				     "{s:s, s:s, s:I, s:s, s:I, s:s, s:I}", "override", &override, "character",
				     &character, "completion_percent", &completion, "top_source", &top_source,
				     "top_source_percent", &top_percent, "signature", &signature, "signature_percent",
				     &signature_percent),
			 0);
	ck_assert_str_eq(override, "auto");
	ck_assert_str_eq(character, "random-source flood");
	ck_assert_int_eq(completion, 2);
	ck_assert_str_eq(top_source, "198.51.100.7");
	ck_assert_int_eq(top_percent, 12);
	ck_assert_str_eq(signature, "mss 1460, ttl 64");
	ck_assert_int_eq(signature_percent, 88);
}
END_TEST

START_TEST(no_top_source_and_no_signature_are_null)
{
	json_t *service;

	ask_json(report_services);
	service = json_array_get(json_object_get(json, "services"), 0);
	ck_assert(json_is_null(json_object_get(service, "top_source")));
	ck_assert(json_is_null(json_object_get(service, "signature")));
}
END_TEST

START_TEST(what_was_not_learned_is_null)
{
	json_t *learned;

	ask_json(report_services);
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

	ask_json(report_services);
	learned = json_object_get(json_array_get(json_object_get(json, "services"), 2), "learned");
	ck_assert_int_eq(json_integer_value(json_object_get(learned, "mss")), 536);
	ck_assert(json_is_null(json_object_get(learned, "wscale")));
}
END_TEST

START_TEST(sources_json_tells_each_source_and_their_order)
{
	json_t *source;
	const char *address;
	json_int_t half_open, syns, challenged, completed, idle;
	int proven, wary;

	ask_json(report_sources);
	ck_assert_uint_eq(json_object_size(json), 3);
	ck_assert_str_eq(json_string_value(json_object_get(json, "by")), "half-open");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "sources")), 2);
	source = json_array_get(json_object_get(json, "sources"), 1);
	ck_assert_int_eq(json_unpack(source, "{s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:I !}", "address", &address,
				     "half_open", &half_open, "syns", &syns, "challenged", &challenged, "completed",
				     &completed, "proven", &proven, "wary", &wary, "idle_s", &idle),
			 0);
	ck_assert_str_eq(address, "2001:db8:0:1::/64");
	ck_assert_int_eq(half_open, 1);
	ck_assert_int_eq(syns, 5);
	ck_assert_int_eq(challenged, 4);
	ck_assert_int_eq(completed, 0);
	ck_assert(!proven && wary);
	ck_assert_int_eq(idle, 60);
}
END_TEST

START_TEST(with_nothing_to_tell_the_lists_are_empty)
{
	report.service_count = report.source_count = 0;
	report.services = NULL;
	report.sources = NULL;
	ask_json(report_services);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "services")), 0);
	ask_json(report_sources);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "sources")), 0);
	ask_json(report_status);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "services")), 0);
	ask(report_status);
	ask(report_services);
	ask(report_sources);
}
END_TEST

START_TEST(status_of_four_services_fits_ten_lines)
{
	char syns[160], cookies[160], lost[80];
	int lines = 0;

	ask(report_status);
	for (const char *c = answer; *c; c++)
		lines += *c == '\n';
	ck_assert_int_eq(lines, 6 + 3);
	says("synmoatd 0.1.0: mode host, policy enforce, XDP attached (eth0 native, eth1 another program), 2 shards, "
	     "up 2 h 13 min\n");
	says("ARMED: 1 of 3 protected services get SYN cookies\n");
	says("  tls [2001:db8::1]:443: armed, random-source flood, half-open 70 of 4294967295 (arms at 64, disarms below 32), "
	     "20000 SYN/s from about 4000 sources\n");
	says("  web 192.0.2.1:80: watching, half-open 3 of 128 (arms at 64, disarms below 32)\n");
	says("  old any:25: not listening (told to disarm), half-open 0\n");
	says("tables: 73 of 262144 half-open entries, 44 of 4294967295 sources, 5 bans\n");
	snprintf(syns, sizeof(syns),
		 "SYNs: %lld received, %lld accepted, %lld challenged (4000000000 by XDP), %lld refused\n",
		 1000000000000LL + OUTCOME_SYN_RECEIVED,
		 3000000000000LL + OUTCOME_SYN_ACCEPTED + OUTCOME_SYN_DIRECT + OUTCOME_SYN_ALLOWED,
		 2000000000000LL + OUTCOME_SYN_CHALLENGED + OUTCOME_SYN_SOURCE_CHALLENGED,
		 2000000000000LL + OUTCOME_SYN_DENIED + OUTCOME_SYN_BANNED);
	says(syns);
	snprintf(cookies, sizeof(cookies), "cookies: %lld valid, %lld invalid; handovers: %lld done, %lld failed\n",
		 1000000000000LL + OUTCOME_ACK_COOKIE_VALID, 1000000000000LL + OUTCOME_ACK_COOKIE_INVALID,
		 1000000000000LL + OUTCOME_HANDED_OVER, 1000000000000LL + OUTCOME_HANDOVER_FAILED);
	says(cookies);
	snprintf(lost, sizeof(lost), "; lost: %lld packets, because a queue was full\n",
		 1000000000000LL + OUTCOME_QUEUE_DROPPED);
	says(lost);
	ck_assert(strstr(answer, "  tls") < strstr(answer, "  web"));
}
END_TEST

START_TEST(status_in_peace_says_so)
{
	report.armed = false;
	report.service_count = 1;
	ask(report_status);
	says("not armed: 0 of 1 protected services get SYN cookies\n");
}
END_TEST

START_TEST(status_of_an_observer_says_would)
{
	report.policy = "observe";
	ask(report_status);
	says("ARMED: 1 of 3 protected services would get SYN cookies\n");
}
END_TEST

START_TEST(status_of_many_services_stays_short)
{
	struct report_service many[100];

	for (int i = 0; i < 100; i++)
		many[i] = services[i == 99]; /* the last one is armed */
	report.services = many;
	report.service_count = 100;
	ask(report_status);
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
		ask(report_status);
		says(times[i].words);
	}
}
END_TEST

START_TEST(a_service_under_attack_is_shown_before_calm_ones)
{
	struct report_service many[20];

	for (int i = 0; i < 20; i++)
		many[i] = services[0];
	many[19] = services[1];
	many[18].state = "wary";
	many[18].character = "few-source flood";
	report.services = many;
	report.service_count = 20;
	ask(report_status);
	says("  web 192.0.2.1:80: wary, few-source flood, half-open 3 of 128");
	ck_assert(strstr(answer, "  tls ") < strstr(answer, "wary, few"));
	ck_assert(strstr(answer, "wary, few") < strstr(answer, "watching"));
	says("  and 12 more: see 'services'\n");
}
END_TEST

START_TEST(services_is_a_table_with_what_is_sent_below)
{
	ask(report_services);
	says("ENDPOINT");
	says("OVERRIDE");
	says("mss 1440 wscale 7 sack timestamps\n"
	     "    random-source flood: 2% of handshakes complete, 12% of SYNs from 198.51.100.7, "
	     "88% alike: mss 1460, ttl 64\n");
	says("mss 536\n");
	says("192.0.2.1:80");
	says("  never    disarm  ");
	ck_assert_ptr_null(strstr(answer, "calm:")); /* two services are, and idle */
}
END_TEST

START_TEST(sources_is_a_table_that_tells_its_order)
{
	ask(report_sources);
	says("sources by half-open:\n");
	says("HALF-OPEN");
	says("9223372036854775807");
	says("       1  proven\n");
	says("2001:db8:0:1::/64 ");
	says("      60  wary\n");
	report.sources_by = "challenged";
	ask(report_sources);
	says("sources by challenged:\n");
}
END_TEST

START_TEST(version_answers)
{
	ask(report_version);
	ck_assert_str_eq(answer, "synmoatd 0.1.0\n");
	ask_json(report_version);
	ck_assert_str_eq(answer, "{\"format\":1,\"version\":\"0.1.0\"}\n");
}
END_TEST

START_TEST(help_names_every_verb_and_what_it_takes)
{
	FILE *out = answer_open();
	json_t *requests;
	char usage[64];

	report_help(false, out);
	answer_close(out);
	for (enum verb verb = 0; verb < VERB_COUNT; verb++) {
		snprintf(usage, sizeof(usage), "%s %s", verb_words(verb), verb_arguments(verb));
		says(usage);
		says(verb_help(verb));
	}
	out = answer_open();
	report_help(true, out);
	answer_close_json(out);
	requests = json_object_get(json, "requests");
	ck_assert_uint_eq(json_object_size(requests), VERB_COUNT);
	for (enum verb verb = 0; verb < VERB_COUNT; verb++)
		ck_assert_str_eq(json_string_value(json_object_get(requests, verb_words(verb))), verb_help(verb));
}
END_TEST

static void explain(const char *policy, size_t count, bool as_json)
{
	static const struct report_verdict verdicts[] = {
		{"web", "any:80", "syn_challenged", "the service is armed, and the source is not proven"},
		{"tls", "[2001:db8::1]:443", "syn_accepted", "the service is not armed"},
	};
	FILE *out = answer_open();

	report_explain("192.0.2.7", policy, verdicts, count, as_json, out);
	(as_json ? answer_close_json : answer_close)(out);
}

START_TEST(explain_tells_outcome_and_reason_for_each_service)
{
	explain("enforce", 2, false);
	ck_assert_str_eq(answer,
			 "192.0.2.7 -> web any:80: syn_challenged: the service is armed, and the source is not proven\n"
			 "192.0.2.7 -> tls [2001:db8::1]:443: syn_accepted: the service is not armed\n");
	explain("observe", 1, false);
	ck_assert_str_eq(
		answer,
		"policy observe: nothing of this is done, only counted\n"
		"192.0.2.7 -> web any:80: syn_challenged: the service is armed, and the source is not proven\n");
	explain("enforce", 0, false);
	ck_assert_str_eq(answer, "192.0.2.7 -> no protected service\n");
}
END_TEST

START_TEST(explain_json_has_every_key_of_the_contract)
{
	const char *source, *policy, *service, *endpoint, *outcome, *why;
	json_int_t format;

	explain("enforce", 1, true);
	ck_assert_int_eq(json_unpack(json, "{s:I, s:s, s:s, s:[{s:s, s:s, s:s, s:s !} !] !}", "format", &format,
				     "source", &source, "policy", &policy, "verdicts", "service", &service, "endpoint",
				     &endpoint, "outcome", &outcome, "why", &why),
			 0);
	ck_assert_str_eq(source, "192.0.2.7");
	ck_assert_str_eq(policy, "enforce");
	ck_assert_str_eq(service, "web");
	ck_assert_str_eq(endpoint, "any:80");
	ck_assert_str_eq(outcome, "syn_challenged");
	ck_assert_str_eq(why, "the service is armed, and the source is not proven");
	explain("observe", 0, true);
	ck_assert_str_eq(answer, "{\"format\":1,\"source\":\"192.0.2.7\",\"policy\":\"observe\",\"verdicts\":[]}\n");
}
END_TEST

static void list(size_t count, bool as_json)
{
	static const struct report_cidr cidrs[] = {{"192.0.2.0/24", "config"}, {"2001:db8::1", "config and live"}};
	FILE *out = answer_open();

	report_cidrs("deny", cidrs, count, as_json, out);
	(as_json ? answer_close_json : answer_close)(out);
}

START_TEST(a_list_tells_networks_and_where_they_come_from)
{
	list(2, false);
	says("CIDR ");
	says("192.0.2.0/24  ");
	says("  config\n");
	says("  config and live\n");
	list(0, false);
	ck_assert_str_eq(answer, "the deny list is empty\n");
	list(2, true);
	ck_assert_str_eq(
		answer,
		"{\"format\":1,\"list\":\"deny\",\"entries\":[{\"cidr\":\"192.0.2.0/24\",\"origin\":\"config\"},"
		"{\"cidr\":\"2001:db8::1\",\"origin\":\"config and live\"}]}\n");
	list(0, true);
	ck_assert_str_eq(answer, "{\"format\":1,\"list\":\"deny\",\"entries\":[]}\n");
}
END_TEST

static void bans(size_t count, bool as_json)
{
	static const struct report_ban rows[] = {{"192.0.2.7", 600}, {"2001:db8::/64", 4294967295}};
	FILE *out = answer_open();

	report_bans(rows, count, as_json, out);
	(as_json ? answer_close_json : answer_close)(out);
}

START_TEST(bans_tell_how_long_they_last)
{
	bans(2, false);
	says("LEFT-S\n");
	says("192.0.2.7  ");
	says("     600\n");
	bans(0, false);
	ck_assert_str_eq(answer, "no source is banned\n");
	bans(2, true);
	ck_assert_str_eq(answer, "{\"format\":1,\"bans\":[{\"source\":\"192.0.2.7\",\"left_s\":600},"
				 "{\"source\":\"2001:db8::/64\",\"left_s\":4294967295}]}\n");
	bans(0, true);
	ck_assert_str_eq(answer, "{\"format\":1,\"bans\":[]}\n");
}
END_TEST

START_TEST(what_was_done_is_told)
{
	FILE *out = answer_open();

	report_done("web: armed", false, out);
	answer_close(out);
	ck_assert_str_eq(answer, "ok: web: armed\n");
	out = answer_open();
	report_done("web: \"armed\"", true, out);
	answer_close_json(out);
	ck_assert_str_eq(answer, "{\"format\":1,\"ok\":true,\"message\":\"web: \\\"armed\\\"\"}\n");
}
END_TEST

START_TEST(an_error_is_told_in_the_form_asked_for)
{
	FILE *out = answer_open();

	report_error(false, out, "arm: no service \"%s\"", "web");
	answer_close(out);
	ck_assert_str_eq(answer, "error: arm: no service \"web\"\n");
	out = answer_open();
	report_error(true, out, "arm: no service \"%s\"", "web");
	answer_close_json(out);
	ck_assert_str_eq(answer, "{\"format\":1,\"error\":\"arm: no service \\\"web\\\"\"}\n");
}
END_TEST

START_TEST(what_is_not_utf8_is_told_nevertheless)
{
	FILE *out = answer_open();

	report_error(true, out, "line 1: \xe9t\xe9");
	answer_close_json(out);
	ck_assert_str_eq(answer, "{\"format\":1,\"error\":\"line 1: ?t?\"}\n");
	out = answer_open();
	report_error(true, out, "line 1: \xc3\xa9t\xc3\xa9");
	answer_close_json(out);
	ck_assert_str_eq(json_string_value(json_object_get(json, "error")), "line 1: \xc3\xa9t\xc3\xa9");
}
END_TEST

static void checks(size_t count, bool as_json)
{
	static const struct report_check rows[] = {
		{REPORT_OK, "forwarding", "IPv4 and IPv6"},
		{REPORT_WARNING, "conntrack", "\"tcp_loose\" is 1: set it to 0"},
		{REPORT_FAULT, "secret file", "mode 0644: chmod 600"},
		{REPORT_WARNING, "clock", "not synchronised"},
	};
	FILE *out = answer_open();

	report_checks(rows, count, as_json, out);
	(as_json ? answer_close_json : answer_close)(out);
}

START_TEST(checks_are_told_one_by_one_and_counted)
{
	checks(4, false);
	ck_assert_str_eq(answer, "ok      forwarding: IPv4 and IPv6\n"
				 "warning conntrack: \"tcp_loose\" is 1: set it to 0\n"
				 "fault   secret file: mode 0644: chmod 600\n"
				 "warning clock: not synchronised\n"
				 "2 warnings, 1 fault\n");
	checks(2, false);
	says("\n1 warning, 0 faults\n");
	checks(0, false);
	ck_assert_str_eq(answer, "0 warnings, 0 faults\n");
}
END_TEST

START_TEST(checks_json_has_every_key_of_the_contract)
{
	const char *level, *what, *text;

	checks(4, true);
	ck_assert_uint_eq(json_object_size(json), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "checks")), 4);
	ck_assert_int_eq(json_unpack(json_array_get(json_object_get(json, "checks"), 1), "{s:s, s:s, s:s !}", "level",
				     &level, "what", &what, "text", &text),
			 0);
	ck_assert_str_eq(level, "warning");
	ck_assert_str_eq(what, "conntrack");
	ck_assert_str_eq(text, "\"tcp_loose\" is 1: set it to 0");
	says("\"level\":\"fault\""); /* synmoatctl looks for it */
	checks(0, true);
	ck_assert_str_eq(answer, "{\"format\":1,\"checks\":[]}\n");
}
END_TEST

static void epoch(const struct report_epoch *row, bool as_json)
{
	FILE *out = answer_open();

	report_epoch(row, as_json, out);
	(as_json ? answer_close_json : answer_close)(out);
}

START_TEST(the_epoch_is_told_with_the_secret_of_it_and_the_next)
{
	const struct report_epoch shared = {true, 28000000, 41, 0xc0ffee, 28000005};

	epoch(&shared, false);
	ck_assert_str_eq(answer, "epoch: 28000000, 41 s left\n"
				 "secret: shared, from a file\n"
				 "fingerprint: 00c0ffee\n"
				 "next secret: from epoch 28000005 (in 297 s)\n");
	epoch(&shared, true);
	ck_assert_str_eq(answer,
			 "{\"format\":1,\"epoch\":28000000,\"left_s\":41,\"shared\":true,\"fingerprint\":\"00c0ffee\","
			 "\"next_from\":28000005}\n");
	epoch(&(struct report_epoch){true, 7, 64, 1, 8}, false);
	says("next secret: from epoch 8 (in 64 s)\n");
}
END_TEST

START_TEST(without_a_later_secret_there_is_no_next)
{
	epoch(&(struct report_epoch){true, 7, 1, 0xffffffff, 7}, false);
	ck_assert_str_eq(answer, "epoch: 7, 1 s left\nsecret: shared, from a file\nfingerprint: ffffffff\n");
	epoch(&(struct report_epoch){false, 7, 1, 0, 9}, false);
	ck_assert_str_eq(answer, "epoch: 7, 1 s left\nsecret: our own\nfingerprint: 00000000\n");
	epoch(&(struct report_epoch){false, 4294967295, 1, 0, 0}, true);
	ck_assert_str_eq(
		answer, "{\"format\":1,\"epoch\":4294967295,\"left_s\":1,\"shared\":false,\"fingerprint\":\"00000000\","
			"\"next_from\":null}\n");
}
END_TEST

START_TEST(a_network_is_told_as_one)
{
	struct report_service nets[2] = {services[0], services[1]};

	strcpy(nets[0].address, "10.0.0.0/24");
	nets[0].state = "network";
	strcpy(nets[1].address, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
	nets[1].state = "answers elsewhere";
	nets[1].port = 65535;
	report.services = nets;
	report.service_count = 2;
	ask(report_status);
	says("  web 10.0.0.0/24:80: network, ");
	says("  tls [ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127]:65535: answers elsewhere, ");
	ask(report_services);
	says("10.0.0.0/24:80 ");
	says("  answers elsewhere  always   auto  ");
	ask_json(report_services);
	says("\"address\":\"10.0.0.0/24\"");
}
END_TEST

static Suite *report_suite(void)
{
	Suite *suite = suite_create("report");
	TCase *answers = tcase_create("answers");

	suite_add_tcase(suite, answers);
	tcase_add_checked_fixture(answers, report_fill, answer_free);
	tcase_add_test(answers, status_json_has_every_key_of_the_contract);
	tcase_add_test(answers, status_tells_of_the_accelerator_unless_it_is_off);
	tcase_add_test(answers, status_json_counts_every_outcome_under_its_name);
	tcase_add_test(answers, a_service_is_told_with_what_was_learned);
	tcase_add_test(answers, a_service_is_told_with_what_is_sent_to_it);
	tcase_add_test(answers, no_top_source_and_no_signature_are_null);
	tcase_add_test(answers, what_was_not_learned_is_null);
	tcase_add_test(answers, a_server_without_window_scaling_has_wscale_null);
	tcase_add_test(answers, sources_json_tells_each_source_and_their_order);
	tcase_add_test(answers, with_nothing_to_tell_the_lists_are_empty);
	tcase_add_test(answers, status_of_four_services_fits_ten_lines);
	tcase_add_test(answers, status_in_peace_says_so);
	tcase_add_test(answers, status_of_an_observer_says_would);
	tcase_add_test(answers, status_of_many_services_stays_short);
	tcase_add_test(answers, uptime_is_told_in_two_units);
	tcase_add_test(answers, a_service_under_attack_is_shown_before_calm_ones);
	tcase_add_test(answers, services_is_a_table_with_what_is_sent_below);
	tcase_add_test(answers, sources_is_a_table_that_tells_its_order);
	tcase_add_test(answers, version_answers);
	tcase_add_test(answers, help_names_every_verb_and_what_it_takes);
	tcase_add_test(answers, explain_tells_outcome_and_reason_for_each_service);
	tcase_add_test(answers, explain_json_has_every_key_of_the_contract);
	tcase_add_test(answers, a_list_tells_networks_and_where_they_come_from);
	tcase_add_test(answers, bans_tell_how_long_they_last);
	tcase_add_test(answers, what_was_done_is_told);
	tcase_add_test(answers, an_error_is_told_in_the_form_asked_for);
	tcase_add_test(answers, what_is_not_utf8_is_told_nevertheless);
	tcase_add_test(answers, checks_are_told_one_by_one_and_counted);
	tcase_add_test(answers, checks_json_has_every_key_of_the_contract);
	tcase_add_test(answers, the_epoch_is_told_with_the_secret_of_it_and_the_next);
	tcase_add_test(answers, without_a_later_secret_there_is_no_next);
	tcase_add_test(answers, a_network_is_told_as_one);
	return suite;
}

int main(void)
{
	return unit_main(report_suite());
}
