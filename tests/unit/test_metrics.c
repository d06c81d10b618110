/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/metrics.h"

#include <jansson.h>
#include <math.h>

#include "face/metrics_writer.h"
#include "unit.h"

#define SERVICES 3

/* clang-format off */
static const struct report_service services[SERVICES] = {
	{
		.name = "web", .address = "192.0.2.1", .port = 80, .state = "watching", .character = "calm",
		.half_open = 3, .limit = 128, .arm_at = 64, .disarm_at = 32,
	},
	{
		.name = "tls", .address = "2001:db8::1", .port = 443, .state = "armed", .character = "slow backend",
		.armed = true, .half_open = 70, .limit = 4294967295, .arm_at = 64, .disarm_at = 32,
		.distinct_sources = 4000,
	},
	{.name = "q\"uo\\te\n", .address = "any", .port = 25, .state = "not listening", .character = "calm"},
};
static const struct metrics_service numbers[SERVICES] = {
	{.begun = 8, .completed = 2, .totals = {.syns = 11, .begun = 12, .completed = 13, .cookies_sent = 14,
						.cookies_returned = 15}},
	{.begun = 1, .completed = 2, .allowed_press = true},
	{.begun = 0},
};
/* clang-format on */

static struct report report;
static struct metrics metrics;
static char *answer;
static size_t answer_bytes;
static json_t *json;

static void fill(void)
{
	report = (struct report){
		.version = "0.1.0",
		.mode = "host",
		.policy = "enforce",
		.shards = 2,
		.half_open_entries = 73,
		.half_open_capacity = 262144,
		.source_entries = 44,
		.source_capacity = 4294967295,
		.service_count = SERVICES,
		.services = services,
		.bans = 5,
	};
	for (int i = 0; i < OUTCOME_COUNT; i++)
		report.counters[i] = 1000000000000 + (uint64_t)i;
	metrics = (struct metrics){
		.report = &report,
		.services = numbers,
		.started_s = 1795301144,
		.handover_entries = 6,
		.handover_capacity = 16384,
		.ban_capacity = 65536,
		.handover = {.counts = {[0] = 3, [2] = 4, [LATENCY_BOUNDS] = 5}, .sum_ns = 12500000000},
		.kernel = {.queues_known = true,
			   .queue_count = 2,
			   .queues = {{16384, 7, 8, 9}, {16385, 0, 0, 0}},
			   .conntrack_known = true,
			   .conntrack = {.insert_failed = 21,
					 .drop = 22,
					 .early_drop = 23,
					 .entries = 24,
					 .entries_max = 25}},
	};
	for (unsigned i = 0; i < KERNEL_TCP_COUNT; i++) {
		metrics.kernel.tcp_known[i] = true;
		metrics.kernel.tcp[i] = 300 + i;
	}
}

static void release(void)
{
	json_decref(json);
	free(answer);
}

static void ask(bool as_json)
{
	FILE *out;

	free(answer);
	answer = NULL;
	out = open_memstream(&answer, &answer_bytes);
	metrics_write(&metrics, as_json, out);
	fclose(out);
	if (!as_json)
		return;
	json_error_t error;

	json_decref(json);
	json = json_loads(answer, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(json != NULL, "%s in %s", error.text, answer);
	ck_assert_ptr_eq(strchr(answer, '\n'), answer + answer_bytes - 1); /* one line */
}

/* How many lines are this one. */
static unsigned lines(const char *line)
{
	size_t bytes = strlen(line);
	unsigned count = 0;

	for (const char *at = answer; (at = strstr(at, line)); at += bytes)
		count += (at == answer || at[-1] == '\n') && at[bytes] == '\n';
	return count;
}

static void says(const char *line)
{
	ck_assert_msg(lines(line) == 1, "not once: %s", line);
}

static void is_silent_of(const char *words)
{
	ck_assert_msg(!strstr(answer, words), "\"%s\"", words);
}

START_TEST(every_outcome_but_the_queues_is_told_once)
{
	ask(false);
	for (int i = 0; i < OUTCOME_COUNT; i++) {
		char value[32];
		const char *at;

		snprintf(value, sizeof(value), " %lu\n", 1000000000000 + (unsigned long)i);
		at = strstr(answer, value);
		if (i == OUTCOME_QUEUE_DROPPED) {
			ck_assert_ptr_null(at);
			continue;
		}
		ck_assert_msg(at && !strstr(at + 1, value), "%s", outcome_name(i));
	}
}
END_TEST

START_TEST(the_outcomes_of_syns_have_their_sum_beside_them)
{
	char value[128];

	ask(false);
	snprintf(value, sizeof(value), "synmoat_syns_received_total %lu", 1000000000000 + (long)OUTCOME_SYN_RECEIVED);
	says(value);
	for (int i = 0; i < OUTCOME_COUNT; i++) {
		snprintf(value, sizeof(value), "synmoat_syns_total{outcome=\"%s\"} %lu", outcome_name(i),
			 1000000000000 + (unsigned long)i);
		ck_assert_uint_eq(lines(value), strncmp(outcome_name(i), "syn_", 4) == 0 && i != OUTCOME_SYN_RECEIVED);
	}
}
END_TEST

START_TEST(handovers_that_ended_are_one_family)
{
	char value[128];

	ask(false);
	snprintf(value, sizeof(value), "synmoat_handovers_total{outcome=\"handover_failed\"} %lu",
		 1000000000000 + (long)OUTCOME_HANDOVER_FAILED);
	says(value);
	is_silent_of("synmoat_handovers_total{outcome=\"handover_table_full\"}"); /* that one has not begun */
	is_silent_of("synmoat_handovers_total{outcome=\"handover_retried\"}");
}
END_TEST

START_TEST(a_service_has_its_numbers)
{
	ask(false);
	says("synmoat_service_armed{service=\"web\",address=\"192.0.2.1\",port=\"80\"} 0");
	says("synmoat_service_armed{service=\"tls\",address=\"2001:db8::1\",port=\"443\"} 1");
	says("synmoat_service_half_open{service=\"tls\",address=\"2001:db8::1\",port=\"443\"} 70");
	says("synmoat_service_half_open_limit{service=\"tls\",address=\"2001:db8::1\",port=\"443\"} 4294967295");
	says("synmoat_service_arm_threshold{service=\"web\",address=\"192.0.2.1\",port=\"80\"} 64");
	says("synmoat_service_disarm_threshold{service=\"web\",address=\"192.0.2.1\",port=\"80\"} 32");
	says("synmoat_service_distinct_sources{service=\"tls\",address=\"2001:db8::1\",port=\"443\"} 4000");
	says("synmoat_service_syns_total{service=\"web\",address=\"192.0.2.1\",port=\"80\"} 11");
	says("synmoat_service_handshakes_begun_total{service=\"web\",address=\"192.0.2.1\",port=\"80\"} 12");
	says("synmoat_service_handshakes_completed_total{service=\"web\",address=\"192.0.2.1\",port=\"80\"} 13");
	says("synmoat_service_cookies_sent_total{service=\"web\",address=\"192.0.2.1\",port=\"80\"} 14");
	says("synmoat_service_cookies_returned_total{service=\"web\",address=\"192.0.2.1\",port=\"80\"} 15");
}
END_TEST

START_TEST(whose_backlog_allowed_sources_fill_is_told)
{
	ask(false);
	says("# TYPE synmoat_service_allowed_press gauge");
	says("synmoat_service_allowed_press{service=\"tls\",address=\"2001:db8::1\",port=\"443\"} 1");
	says("synmoat_service_allowed_press{service=\"web\",address=\"192.0.2.1\",port=\"80\"} 0");
	says("synmoat_service_allowed_press{service=\"q\\\"uo\\\\te\\n\",address=\"any\",port=\"25\"} 0");
}
END_TEST

START_TEST(a_service_is_in_exactly_one_state_and_of_one_character)
{
	ask(false);
	says("synmoat_service_state{service=\"tls\",address=\"2001:db8::1\",port=\"443\",state=\"armed\"} 1");
	says("synmoat_service_state{service=\"tls\",address=\"2001:db8::1\",port=\"443\",state=\"watching\"} 0");
	says("synmoat_service_state{service=\"tls\",address=\"2001:db8::1\",port=\"443\",state=\"not listening\"} 0");
	says("synmoat_service_character{service=\"tls\",address=\"2001:db8::1\",port=\"443\",character=\"slow backend\"} 1");
	says("synmoat_service_character{service=\"tls\",address=\"2001:db8::1\",port=\"443\",character=\"calm\"} 0");
}
END_TEST

START_TEST(completion_is_a_ratio_that_may_not_be_known)
{
	ask(false);
	says("synmoat_service_completion_ratio{service=\"web\",address=\"192.0.2.1\",port=\"80\"} 0.25");
	says("synmoat_service_completion_ratio{service=\"tls\",address=\"2001:db8::1\",port=\"443\"} 1");
	says("synmoat_service_completion_ratio{service=\"q\\\"uo\\\\te\\n\",address=\"any\",port=\"25\"} NaN");
}
END_TEST

START_TEST(quotes_backslashes_and_newlines_of_a_label_are_escaped)
{
	ask(false);
	says("synmoat_service_armed{service=\"q\\\"uo\\\\te\\n\",address=\"any\",port=\"25\"} 0");
}
END_TEST

START_TEST(a_histogram_adds_up_its_buckets)
{
	ask(false);
	says("# TYPE synmoat_handover_duration_seconds histogram");
	says("synmoat_handover_duration_seconds_bucket{le=\"0.00025\"} 3");
	says("synmoat_handover_duration_seconds_bucket{le=\"0.0005\"} 3");
	says("synmoat_handover_duration_seconds_bucket{le=\"0.001\"} 7");
	says("synmoat_handover_duration_seconds_bucket{le=\"2.5\"} 7");
	says("synmoat_handover_duration_seconds_bucket{le=\"+Inf\"} 12");
	says("synmoat_handover_duration_seconds_count 12");
	says("synmoat_handover_duration_seconds_sum 12.5");
}
END_TEST

START_TEST(the_kernels_counters_are_told)
{
	ask(false);
	says("synmoat_kernel_queue_length{queue=\"16384\"} 7");
	says("synmoat_kernel_queue_dropped_total{queue=\"16384\",reason=\"queue_full\"} 8");
	says("synmoat_kernel_queue_dropped_total{queue=\"16384\",reason=\"socket_full\"} 9");
	says("synmoat_kernel_listen_overflows_total 300");
	says("synmoat_kernel_listen_drops_total 301");
	says("synmoat_kernel_syncookies_sent_total 304");
	says("synmoat_kernel_conntrack_insert_failed_total 21");
	says("synmoat_kernel_conntrack_dropped_total 22");
	says("synmoat_kernel_conntrack_early_dropped_total 23");
	says("synmoat_kernel_conntrack_entries 24");
	says("synmoat_kernel_conntrack_entries_limit 25");
}
END_TEST

START_TEST(what_cannot_be_read_is_left_out)
{
	metrics.kernel = (struct kernel_counters){.queues_known = false};
	metrics.kernel.tcp_known[KERNEL_TCP_LISTEN_DROPS] = true;
	ask(false);
	is_silent_of("kernel_queue");
	is_silent_of("kernel_conntrack");
	is_silent_of("listen_overflows");
	says("synmoat_kernel_listen_drops_total 0");
}
END_TEST

START_TEST(each_family_is_explained_once_before_its_samples)
{
	char *line = NULL, *rest = NULL, family[128] = "", seen[8192] = "";
	unsigned explained = 0;

	ask(false);
	for (line = strtok_r(answer, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char name[128], type[32], word[132];

		if (sscanf(line, "# HELP %127s %31s", name, type) == 2) {
			snprintf(word, sizeof(word), " %s ", name);
			ck_assert_msg(!strstr(seen, word), "%s comes twice", name);
			strcat(seen, word);
			strcpy(family, name);
			explained = 1;
		} else if (sscanf(line, "# TYPE %127s %31s", name, type) == 2) {
			ck_assert_str_eq(name, family);
			ck_assert_uint_eq(explained++, 1);
			ck_assert_int_eq(strcmp(type, "counter") == 0,
					 strcmp(name + strlen(name) - strlen("_total"), "_total") == 0);
		} else {
			ck_assert_uint_eq(explained, 2);
			ck_assert_msg(strncmp(line, family, strlen(family)) == 0, "%s is none of %s", line, family);
		}
	}
	ck_assert_ptr_nonnull(strstr(seen, " synmoat_build_info "));
}
END_TEST

static json_t *family_of(const char *name)
{
	json_t *family;
	size_t i;

	json_array_foreach(json_object_get(json, "metrics"), i, family)
	{
		if (strcmp(json_string_value(json_object_get(family, "name")), name) == 0)
			return family;
	}
	ck_abort_msg("no %s in %s", name, answer);
}

START_TEST(json_tells_the_same)
{
	json_t *sample, *family;

	ask(true);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "format")), 1);
	family = family_of("synmoat_service_half_open_limit");
	ck_assert_str_eq(json_string_value(json_object_get(family, "type")), "gauge");
	ck_assert_ptr_nonnull(json_string_value(json_object_get(family, "help")));
	ck_assert_uint_eq(json_array_size(json_object_get(family, "samples")), SERVICES);
	sample = json_array_get(json_object_get(family, "samples"), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(sample, "value")), 4294967295);
	ck_assert_str_eq(json_string_value(json_object_get(sample, "name")), "synmoat_service_half_open_limit");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(sample, "labels"), "port")), "443");
	sample = json_array_get(json_object_get(family, "samples"), 2);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(sample, "labels"), "service")),
			 services[2].name);
}
END_TEST

START_TEST(json_has_each_sample_of_the_text)
{
	size_t in_text = 0, in_json = 0, i;
	json_t *family;

	ask(false);
	for (const char *at = answer; *at; at = strchr(at, '\n') + 1)
		in_text += *at != '#';
	ask(true);
	json_array_foreach(json_object_get(json, "metrics"), i, family)
	{
		in_json += json_array_size(json_object_get(family, "samples"));
	}
	ck_assert_uint_gt(in_text, 100);
	ck_assert_uint_eq(in_json, in_text);
}
END_TEST

START_TEST(json_knows_no_nan)
{
	json_t *samples;

	ask(true);
	samples = json_object_get(family_of("synmoat_service_completion_ratio"), "samples");
	ck_assert(json_is_real(json_object_get(json_array_get(samples, 0), "value")));
	ck_assert(json_is_null(json_object_get(json_array_get(samples, 2), "value")));
}
END_TEST

START_TEST(no_services_and_no_numbers_are_well_formed_too)
{
	report.service_count = 0;
	metrics.kernel = (struct kernel_counters){.queues_known = false};
	ask(true);
	ck_assert_uint_eq(json_array_size(json_object_get(family_of("synmoat_service_armed"), "samples")), 0);
}
END_TEST

START_TEST(control_characters_of_a_label_are_no_json)
{
	struct label label = {"name", "a\tb\x01"};
	struct writer writer;
	json_error_t error;
	FILE *out = open_memstream(&answer, &answer_bytes);

	writer_begin(&writer, true, out);
	writer_family(&writer, "x", METRIC_GAUGE, "help");
	writer_sample(&writer, "", &label, 1, UINT64_MAX >> 1);
	writer_end(&writer);
	fclose(out);
	json = json_loads(answer, 0, &error);
	ck_assert_msg(json != NULL, "%s in %s", error.text, answer);
}
END_TEST

START_TEST(as_many_services_as_there_can_be_are_told)
{
	static struct report_service many[1024];
	static struct metrics_service many_numbers[1024];

	for (unsigned i = 0; i < 1024; i++) {
		many[i] = (struct report_service){.port = (uint16_t)(i + 1), .state = "watching", .character = "calm"};
		memset(many[i].name, 'x', sizeof(many[i].name) - 1);
		strcpy(many[i].address, "2001:db8:1111:2222:3333:4444:5555:6666");
	}
	report.services = many;
	report.service_count = 1024;
	metrics.services = many_numbers;
	ask(false);
	ck_assert_uint_lt(answer_bytes, 8 * 1024 * 1024);
	ck_assert_int_eq(answer[answer_bytes - 1], '\n');
	ask(true);
	ck_assert_uint_eq(json_array_size(json_object_get(family_of("synmoat_service_armed"), "samples")), 1024);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("metrics");
	TCase *tcase = tcase_create("metrics");

	tcase_add_checked_fixture(tcase, fill, release);
	tcase_add_test(tcase, every_outcome_but_the_queues_is_told_once);
	tcase_add_test(tcase, the_outcomes_of_syns_have_their_sum_beside_them);
	tcase_add_test(tcase, handovers_that_ended_are_one_family);
	tcase_add_test(tcase, a_service_has_its_numbers);
	tcase_add_test(tcase, whose_backlog_allowed_sources_fill_is_told);
	tcase_add_test(tcase, a_service_is_in_exactly_one_state_and_of_one_character);
	tcase_add_test(tcase, completion_is_a_ratio_that_may_not_be_known);
	tcase_add_test(tcase, quotes_backslashes_and_newlines_of_a_label_are_escaped);
	tcase_add_test(tcase, a_histogram_adds_up_its_buckets);
	tcase_add_test(tcase, the_kernels_counters_are_told);
	tcase_add_test(tcase, what_cannot_be_read_is_left_out);
	tcase_add_test(tcase, each_family_is_explained_once_before_its_samples);
	tcase_add_test(tcase, json_tells_the_same);
	tcase_add_test(tcase, json_has_each_sample_of_the_text);
	tcase_add_test(tcase, json_knows_no_nan);
	tcase_add_test(tcase, no_services_and_no_numbers_are_well_formed_too);
	tcase_add_test(tcase, control_characters_of_a_label_are_no_json);
	tcase_add_test(tcase, as_many_services_as_there_can_be_are_told);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_main(suite());
}
