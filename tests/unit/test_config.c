/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/config.h"

#include <arpa/inet.h>
#include <grp.h>
#include <sys/stat.h>

#include "unit.h"

#define ROOT_KEYS \
	"mode, policy, on_overload, on_exit, services, allow, deny, gateway, backlog, sources, rate_limit, reflection, " \
	"tables, queues, accelerator, xdp, control, metrics"

/* A gateway needs services. */
#define BEHIND "services = ( { name = \"web\"; address = \"192.0.2.0/24\"; ports = [80]; } );\n"

static char path[] = "/tmp/synmoat-config-XXXXXX";
static char error[1024];
static struct config config;

static void file_make(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void file_remove(void)
{
	unlink(path);
}

static int load_bytes(const char *text, size_t bytes)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, bytes, file), bytes);
	fclose(file);
	error[0] = '\0';
	return config_load(&config, path, error, sizeof(error));
}

static void accepts(const char *text)
{
	int result = load_bytes(text, strlen(text));

	ck_assert_msg(result == 0, "%s", error);
}

/* `what` is the error without its "FILE:". */
static void refuses(const char *text, const char *what)
{
	char expected[1024];

	snprintf(expected, sizeof(expected), "%s:%s", path, what);
	ck_assert_int_eq(load_bytes(text, strlen(text)), -1);
	ck_assert_str_eq(error, expected);
	ck_assert_ptr_null(config.services);
	ck_assert_ptr_null(config.allow);
	ck_assert_ptr_null(config.deny);
}

static struct addr literal(const char *text)
{
	uint8_t wire[16];

	if (inet_pton(AF_INET, text, wire) == 1)
		return addr_from_v4(wire);
	ck_assert_int_eq(inet_pton(AF_INET6, text, wire), 1);
	return addr_from_v6(wire);
}

static void check_defaults(const struct config *checked)
{
	ck_assert_int_eq(checked->mode, MODE_HOST);
	ck_assert_int_eq(checked->policy, POLICY_ENFORCE);
	ck_assert_int_eq(checked->on_overload, UNSEEN_PASS);
	ck_assert_int_eq(checked->on_exit, UNSEEN_PASS);
	ck_assert(checked->auto_services);
	ck_assert_uint_eq(checked->service_count, 0);
	ck_assert_ptr_null(checked->allow);
	ck_assert_uint_eq(checked->allow_count, 0);
	ck_assert_ptr_null(checked->deny);
	ck_assert_uint_eq(checked->deny_count, 0);
	ck_assert_uint_eq(checked->backlog.arm_percent, 50);
	ck_assert_uint_eq(checked->backlog.crowd_percent, 85);
	ck_assert_uint_eq(checked->backlog.disarm_percent, 25);
	ck_assert_uint_eq(checked->backlog.hold_s, 10);
	ck_assert_uint_eq(checked->backlog.handshake_timeout_s, 30);
	ck_assert_uint_eq(checked->sources.half_open_limit, 64);
	ck_assert_uint_eq(checked->sources.prefix_v4, 32);
	ck_assert_uint_eq(checked->sources.prefix_v6, 64);
	ck_assert_uint_eq(checked->sources.proven_s, 600);
	ck_assert_uint_eq(checked->sources.direct_half_open, 8);
	ck_assert_uint_eq(checked->rate_limit.connections_per_s, 0);
	ck_assert_uint_eq(checked->rate_limit.burst, 100);
	ck_assert_int_eq(checked->rate_limit.action, ACTION_DROP);
	ck_assert_uint_eq(checked->rate_limit.ban_s, 0);
	ck_assert_uint_eq(checked->reflection.unanswered_per_s, 2000);
	ck_assert_uint_eq(checked->tables.half_open, 262144);
	ck_assert_uint_eq(checked->tables.sources, 262144);
	ck_assert_uint_eq(checked->tables.handovers, 16384);
	ck_assert_uint_eq(checked->tables.bans, 65536);
	ck_assert_uint_eq(checked->queues.shards, 0);
	ck_assert_uint_eq(checked->queues.first, 16384);
	ck_assert_int_eq(checked->queues.spill, SPILL_ANSWER);
	ck_assert_str_eq(checked->control_socket, "/run/synmoat/control.sock");
	ck_assert(!checked->has_control_group);
	ck_assert_str_eq(checked->control_group, "");
	ck_assert_int_eq(checked->control_access, ACCESS_GROUP);
	ck_assert_str_eq(checked->metrics.listen, "");
}

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

START_TEST(mode_is_host_or_gateway)
{
	accepts("mode = \"host\";\n");
	ck_assert_int_eq(config.mode, MODE_HOST);
	accepts("mode = \"gateway\";\n" BEHIND);
	ck_assert_int_eq(config.mode, MODE_GATEWAY);
	config_free(&config);
	refuses("mode = \"bridge\";\n", "1: mode is \"bridge\": allowed is \"host\" or \"gateway\"");
	refuses("mode = 1;\n", "1: mode is 1: allowed is \"host\" or \"gateway\"");
}
END_TEST

START_TEST(policy_is_enforce_or_observe)
{
	accepts("policy = \"observe\";\n");
	ck_assert_int_eq(config.policy, POLICY_OBSERVE);
	accepts("policy = \"enforce\";\n");
	ck_assert_int_eq(config.policy, POLICY_ENFORCE);
	refuses("policy = \"Enforce\";\n", "1: policy is \"Enforce\": allowed is \"enforce\" or \"observe\"");
	refuses("policy = true;\n", "1: policy is true: allowed is \"enforce\" or \"observe\"");
}
END_TEST

/* One row per number: its edges are taken, one beyond them is not. */
static const struct number {
	const char *section, *key, *context, *allowed;
	unsigned low, high;
	const unsigned *value;
} numbers[] = {
	{"backlog", "arm_percent", "disarm_percent = 0; ", "1 to 100 percent", 1, 100, &config.backlog.arm_percent},
	{"backlog", "crowd_percent", "arm_percent = 1; disarm_percent = 0; ", "1 to 100 percent", 1, 100,
	 &config.backlog.crowd_percent},
	{"backlog", "disarm_percent", "arm_percent = 100; ", "0 to 99 percent", 0, 99, &config.backlog.disarm_percent},
	{"backlog", "hold_s", "", "0 to 3600 seconds", 0, 3600, &config.backlog.hold_s},
	{"backlog", "handshake_timeout_s", "", "1 to 300 seconds", 1, 300, &config.backlog.handshake_timeout_s},
	{"sources", "half_open_limit", "", "0 to 1000000 half-open handshakes (0: no limit)", 0, 1000000,
	 &config.sources.half_open_limit},
	{"sources", "prefix_v4", "", "8 to 32 bits", 8, 32, &config.sources.prefix_v4},
	{"sources", "prefix_v6", "", "16 to 128 bits", 16, 128, &config.sources.prefix_v6},
	{"sources", "proven_s", "", "0 to 86400 seconds (0: never)", 0, 86400, &config.sources.proven_s},
	{"sources", "direct_half_open", "", "0 to 1024 half-open handshakes (0: always challenge)", 0, 1024,
	 &config.sources.direct_half_open},
	{"rate_limit", "connections_per_s", "", "0 to 30000 connections per second (0: no limit)", 0, 30000,
	 &config.rate_limit.connections_per_s},
	{"rate_limit", "burst", "", "1 to 60000 connections", 1, 60000, &config.rate_limit.burst},
	{"rate_limit", "ban_s", "", "0 to 86400 seconds (0: never)", 0, 86400, &config.rate_limit.ban_s},
	{"reflection", "unanswered_per_s", "", "0 to 1000000 SYN-ACKs per second", 0, 1000000,
	 &config.reflection.unanswered_per_s},
	{"tables", "half_open", "", "1024 to 16777216 entries", 1024, 16777216, &config.tables.half_open},
	{"tables", "sources", "", "1024 to 16777216 entries", 1024, 16777216, &config.tables.sources},
	{"tables", "handovers", "", "64 to 1048576 entries", 64, 1048576, &config.tables.handovers},
	{"tables", "bans", "", "64 to 1048576 entries", 64, 1048576, &config.tables.bans},
	{"queues", "shards", "", "0 to 64 (0: one per CPU)", 0, 64, &config.queues.shards},
	{"queues", "first", "", "0 to 65000", 0, 65000, &config.queues.first},
	{"xdp", "sample_per_s", "", "1 to 100000 SYNs per second and CPU", 1, 100000, &config.xdp.sample_per_s},
};
#define NUMBER_COUNT ((int)(sizeof(numbers) / sizeof(numbers[0])))

static void number_text(char text[256], const struct number *number, const char *value)
{
	snprintf(text, 256, "# first line\n%s = { %s\n%s = %s; };\n", number->section, number->context, number->key,
		 value);
}

START_TEST(a_number_at_the_edge_of_its_range_is_taken)
{
	const struct number *number = &numbers[_i];
	unsigned edges[] = {number->low, number->high};
	char text[256], value[16];

	for (int i = 0; i < 2; i++) {
		snprintf(value, sizeof(value), "%u", edges[i]);
		number_text(text, number, value);
		accepts(text);
		ck_assert_uint_eq(*number->value, edges[i]);
		snprintf(value, sizeof(value), "%uL", edges[i]);
		number_text(text, number, value);
		accepts(text);
		ck_assert_uint_eq(*number->value, edges[i]);
	}
}
END_TEST

START_TEST(a_number_out_of_its_range_or_no_whole_number_is_refused)
{
	const struct number *number = &numbers[_i];
	char low[16], high[16], text[256], what[256];
	const char *values[] = {low, high, "\"50\"", "1.5", "true", "a list", "a group", "empty"};

	snprintf(low, sizeof(low), "%d", (int)number->low - 1);
	snprintf(high, sizeof(high), "%u", number->high + 1);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		number_text(text, number,
			    strcmp(values[i], "a list") == 0    ? "[1, 2]"
			    : strcmp(values[i], "a group") == 0 ? "{ a = 1; }"
			    : strcmp(values[i], "empty") == 0   ? "()"
								: values[i]);
		snprintf(what, sizeof(what), "3: %s.%s is %s: allowed is %s", number->section, number->key, values[i],
			 number->allowed);
		refuses(text, what);
	}
}
END_TEST

START_TEST(disarm_percent_must_be_below_arm_percent)
{
	accepts("backlog = { arm_percent = 60; disarm_percent = 59; };\n");
	refuses("backlog = { arm_percent = 60;\n disarm_percent = 60; };\n",
		"2: backlog.disarm_percent is 60: allowed is 0 to 59 percent (less than arm_percent)");
	refuses("backlog = { disarm_percent = 50; };\n",
		"1: backlog.disarm_percent is 50: allowed is 0 to 49 percent (less than arm_percent)");
	accepts("backlog = { arm_percent = 26; };\n");
	refuses("backlog = {\n arm_percent = 25; };\n",
		"2: backlog.arm_percent is 25: allowed is 26 to 100 percent, as long as disarm_percent is not set (its "
		"default is 25)");
}
END_TEST

START_TEST(crowd_percent_is_at_least_arm_percent)
{
	accepts("backlog = { arm_percent = 60; crowd_percent = 60; };\n");
	refuses("backlog = { arm_percent = 60;\n crowd_percent = 59; };\n",
		"2: backlog.crowd_percent is 59: allowed is 60 to 100 percent (at least arm_percent)");
	refuses("backlog = { crowd_percent = 49; };\n",
		"1: backlog.crowd_percent is 49: allowed is 50 to 100 percent (at least arm_percent)");
	refuses("backlog = { arm_percent = 100;\n crowd_percent = 85; };\n",
		"2: backlog.crowd_percent is 85: allowed is 100 to 100 percent (at least arm_percent)");
}
END_TEST

START_TEST(crowd_percent_not_given_follows_an_arm_percent_above_it)
{
	accepts("backlog = { arm_percent = 85; };\n");
	ck_assert_uint_eq(config.backlog.crowd_percent, 85);
	accepts("backlog = { arm_percent = 86; };\n");
	ck_assert_uint_eq(config.backlog.crowd_percent, 86);
	accepts("backlog = { arm_percent = 100; };\n");
	ck_assert_uint_eq(config.backlog.crowd_percent, 100);
}
END_TEST

START_TEST(rate_limit_action_is_drop_or_reset)
{
	accepts("rate_limit = { action = \"reset\"; };\n");
	ck_assert_int_eq(config.rate_limit.action, ACTION_RESET);
	accepts("rate_limit = { action = \"drop\"; };\n");
	ck_assert_int_eq(config.rate_limit.action, ACTION_DROP);
	refuses("rate_limit = {\n action = \"ban\"; };\n",
		"2: rate_limit.action is \"ban\": allowed is \"drop\" or \"reset\"");
	refuses("rate_limit = { action = 1; };\n", "1: rate_limit.action is 1: allowed is \"drop\" or \"reset\"");
}
END_TEST

/* ---- in front of servers ---- */

START_TEST(what_cannot_be_looked_at_passes_on_a_host_and_not_to_armed_services_through_a_gateway)
{
	accepts("mode = \"gateway\";\n" BEHIND);
	ck_assert_int_eq(config.on_overload, UNSEEN_DROP_ARMED);
	ck_assert_int_eq(config.on_exit, UNSEEN_DROP_ARMED);
	config_free(&config);
	accepts(BEHIND "on_exit = \"pass\";\non_overload = \"drop\";\nmode = \"gateway\";\n");
	ck_assert_int_eq(config.on_overload, UNSEEN_DROP);
	ck_assert_int_eq(config.on_exit, UNSEEN_PASS);
	config_free(&config);
	accepts("on_overload = \"drop-armed\";\non_exit = \"drop\";\n");
	ck_assert_int_eq(config.on_overload, UNSEEN_DROP_ARMED);
	ck_assert_int_eq(config.on_exit, UNSEEN_DROP);
	refuses("policy = \"enforce\";\non_overload = \"open\";\n",
		"2: on_overload is \"open\": allowed is \"pass\" or \"drop-armed\" or \"drop\"");
	refuses("on_exit = true;\n", "1: on_exit is true: allowed is \"pass\" or \"drop-armed\" or \"drop\"");
}
END_TEST

START_TEST(a_gateway_has_defaults_of_its_own)
{
	accepts("mode = \"gateway\";\n" BEHIND);
	ck_assert(!config.auto_services);
	ck_assert_str_eq(config.gateway.secret_file, "");
	ck_assert_int_eq(config.gateway.strays, STRAYS_DROP);
	ck_assert_uint_eq(config.gateway.grace_s, 7200);
	ck_assert_uint_eq(config.services[0].limit, 256);
	config_free(&config);
}
END_TEST

START_TEST(every_key_of_the_gateway_is_read_wherever_the_mode_stands)
{
	accepts("gateway = { secret_file = \"/var/lib/synmoat/secret\"; strays = \"reset\"; grace_s = 0; };\n" BEHIND
		"mode = \"gateway\";\n");
	ck_assert_str_eq(config.gateway.secret_file, "/var/lib/synmoat/secret");
	ck_assert_int_eq(config.gateway.strays, STRAYS_RESET);
	ck_assert_uint_eq(config.gateway.grace_s, 0);
	config_free(&config);
	accepts("mode = \"gateway\";\ngateway = { grace_s = 86400; strays = \"drop\"; secret_file = \"\"; };\n" BEHIND);
	ck_assert_str_eq(config.gateway.secret_file, "");
	ck_assert_int_eq(config.gateway.strays, STRAYS_DROP);
	ck_assert_uint_eq(config.gateway.grace_s, 86400);
	config_free(&config);
}
END_TEST

START_TEST(the_keys_of_the_gateway_are_checked)
{
	static const char *const bad[][2] = {
		{"grace_s = 86401", "grace_s is 86401: allowed is 0 to 86400 seconds"},
		{"grace_s = -1", "grace_s is -1: allowed is 0 to 86400 seconds"},
		{"strays = \"pass\"", "strays is \"pass\": allowed is \"drop\" or \"reset\""},
		{"strays = 1", "strays is 1: allowed is \"drop\" or \"reset\""},
		{"secret_file = \"secret\"",
		 "secret_file is \"secret\": allowed is \"\" or an absolute path of at most 255 bytes"},
		{"secret_file = \"/etc/\"",
		 "secret_file is \"/etc/\": allowed is \"\" or an absolute path of at most 255 bytes"},
		{"secret_file = 1", "secret_file is 1: allowed is \"\" or an absolute path of at most 255 bytes"},
		{"secret = 1", "secret is not a known key: known are secret_file, strays, grace_s"},
	};
	char text[512], what[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), BEHIND "gateway = {\n %s; };\nmode = \"gateway\";\n", bad[i][0]);
		snprintf(what, sizeof(what), "3: gateway.%s", bad[i][1]);
		refuses(text, what);
	}
	refuses("mode = \"gateway\";\n" BEHIND "gateway = 1;\n", "3: gateway is 1: allowed is a group, { ... }");
}
END_TEST

START_TEST(a_path_of_a_secret_file_fills_its_room)
{
	char text[512], longest[257];

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[255] = '\0';
	snprintf(text, sizeof(text), "mode = \"gateway\";\n" BEHIND "gateway = { secret_file = \"%s\"; };\n", longest);
	accepts(text);
	ck_assert_str_eq(config.gateway.secret_file, longest);
	config_free(&config);
	longest[255] = 'x';
	longest[256] = '\0';
	snprintf(text, sizeof(text), "mode = \"gateway\";\n" BEHIND "gateway = { secret_file = \"%s\"; };\n", longest);
	ck_assert_int_eq(load_bytes(text, strlen(text)), -1);
}
END_TEST

START_TEST(a_gateway_section_on_a_host_is_refused)
{
	static const char what[] = "2: gateway is a group: allowed is none unless mode = \"gateway\"";

	refuses("policy = \"enforce\";\ngateway = { };\n", what);
	refuses("mode = \"host\";\ngateway = { grace_s = 7200; };\n", what);
}
END_TEST

START_TEST(a_gateway_without_services_is_refused)
{
	refuses("policy = \"enforce\";\nmode = \"gateway\";\n",
		"2: mode is \"gateway\": services is missing: what is behind this host cannot be found by itself");
}
END_TEST

START_TEST(behind_a_gateway_are_addresses_and_networks)
{
	struct addr v4 = literal("192.0.2.7"), v6 = literal("2001:db8::7");
	struct addr net4 = literal("192.0.2.0"), net6 = literal("2001:db8::");

	accepts("services = (\n"
		"  { name = \"a\"; address = \"192.0.2.7\"; ports = [80]; limit = \"auto\"; },\n"
		"  { name = \"b\"; address = \"192.0.2.0/24\"; ports = [80]; limit = 1; },\n"
		"  { name = \"c\"; address = \"2001:db8::7/128\"; ports = [80]; },\n"
		"  { name = \"d\"; address = \"2001:db8::/32\"; ports = [80]; },\n"
		"  { name = \"e\"; address = \"2001:db8::/127\"; ports = [80]; },\n"
		"  { name = \"f\"; address = \"128.0.0.0/1\"; ports = [80]; },\n"
		"  { name = \"g\"; address = \"8000::/1\"; ports = [80]; } );\n"
		"mode = \"gateway\";\n");
	ck_assert_uint_eq(config.service_count, 7);
	ck_assert(!config.services[0].any_address && addr_equal(&config.services[0].address, &v4));
	ck_assert_uint_eq(config.services[0].host_bits, 0);
	ck_assert_uint_eq(config.services[0].limit, 0);
	ck_assert(!config.services[1].any_address && addr_equal(&config.services[1].address, &net4));
	ck_assert_uint_eq(config.services[1].host_bits, 8);
	ck_assert_uint_eq(config.services[1].limit, 1);
	ck_assert(addr_equal(&config.services[2].address, &v6));
	ck_assert_uint_eq(config.services[2].host_bits, 0);
	ck_assert_uint_eq(config.services[2].limit, 256);
	ck_assert(addr_equal(&config.services[3].address, &net6));
	ck_assert_uint_eq(config.services[3].host_bits, 96);
	ck_assert_uint_eq(config.services[4].host_bits, 1);
	ck_assert_uint_eq(config.services[5].host_bits, 31);
	ck_assert_uint_eq(config.services[6].host_bits, 127);
	config_free(&config);
}
END_TEST

START_TEST(behind_a_gateway_an_address_that_takes_in_everything_or_none_is_refused)
{
	static const char reach[] = "would take in the connections of your own hosts to others, too";
	static const char allowed[] = "allowed is one IPv4 or IPv6 address or network, \"192.0.2.0/24\"";
	static const char *const none[] = {"", "web", "0.0.0.0", "::", "0.0.0.0/32", "::/128", "192.0.2"};
	char text[256], what[256];

	snprintf(what, sizeof(what),
		 "2: services[0] has no address: with mode = \"gateway\" a service needs one, for \"any\" %s", reach);
	refuses("mode = \"gateway\"; services = (\n { name = \"web\"; ports = [80]; } );\n", what);
	snprintf(what, sizeof(what), "2: services[0].address is \"any\": it %s: name the addresses behind this host",
		 reach);
	refuses("mode = \"gateway\"; services = ( { name = \"web\";\n address = \"any\"; ports = [80]; } );\n", what);
	for (int i = 0; i < 2; i++) {
		const char *net = i ? "::/0" : "0.0.0.0/0";

		snprintf(text, sizeof(text),
			 "services = ( { name = \"web\";\n address = \"%s\"; ports = [80]; } ); mode = \"gateway\";\n",
			 net);
		snprintf(what, sizeof(what),
			 "2: services[0].address is \"%s\": it %s: name the networks behind this host", net, reach);
		refuses(text, what);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		snprintf(text, sizeof(text),
			 "services = ( { name = \"web\";\n address = \"%s\"; ports = [80]; } ); mode = \"gateway\";\n",
			 none[i]);
		snprintf(what, sizeof(what), "2: services[0].address is \"%s\": %s", none[i], allowed);
		refuses(text, what);
	}
}
END_TEST

START_TEST(a_network_behind_a_gateway_is_written_without_host_bits)
{
	refuses("mode = \"gateway\";\nservices = ( { name = \"a\";\n address = \"192.0.2.1/24\"; ports = [1]; } );\n",
		"3: services[0].address is \"192.0.2.1/24\": host bits are set: did you mean 192.0.2.0/24?");
	refuses("mode = \"gateway\";\nservices = ( { name = \"a\";\n address = \"192.0.2.0/33\"; ports = [1]; } );\n",
		"3: services[0].address is \"192.0.2.0/33\": the prefix length is a number from 0 to 32");
}
END_TEST

START_TEST(networks_behind_a_gateway_may_be_nested_but_none_counts_twice)
{
	accepts("mode = \"gateway\"; services = (\n"
		" { name = \"a\"; address = \"10.0.0.0/8\"; ports = [80]; },\n"
		" { name = \"b\"; address = \"10.0.0.0/24\"; ports = [80]; },\n"
		" { name = \"c\"; address = \"10.0.0.0\"; ports = [80]; } );\n");
	config_free(&config);
	refuses("mode = \"gateway\"; services = ( { name = \"a\"; address = \"10.0.0.0/8\"; ports = [80]; },\n"
		" { name = \"b\"; address = \"10.0.0.0/8\"; ports = [81,\n 80]; } );\n",
		"3: port 80 is listed twice for the same address (in service \"a\"): allowed is once");
}
END_TEST

START_TEST(control_access_is_group_or_everybody)
{
	accepts("control = { access = \"everybody\"; };\n");
	ck_assert_int_eq(config.control_access, ACCESS_EVERYBODY);
	accepts("control = { access = \"group\"; };\n");
	ck_assert_int_eq(config.control_access, ACCESS_GROUP);
	refuses("control = {\n access = \"nobody\"; };\n",
		"2: control.access is \"nobody\": allowed is \"group\" or \"everybody\"");
	refuses("control = { access = true; };\n", "1: control.access is true: allowed is \"group\" or \"everybody\"");
}
END_TEST

START_TEST(control_group_is_resolved_to_its_number)
{
	const struct group *daemon_group = getgrnam("daemon"); /* of every Debian, and not 0 */

	ck_assert_ptr_nonnull(daemon_group);
	accepts("control = { group = \"daemon\"; };\n");
	ck_assert(config.has_control_group);
	ck_assert_str_eq(config.control_group, "daemon");
	ck_assert_uint_eq(config.control_gid, daemon_group->gr_gid);
	accepts("control = { group = \"root\"; };\n");
	ck_assert(config.has_control_group);
	ck_assert_uint_eq(config.control_gid, 0);
	accepts("control = { group = \"\"; };\n");
	ck_assert(!config.has_control_group);
}
END_TEST

START_TEST(a_control_group_that_the_host_does_not_know_is_refused)
{
	static const char allowed[] = "allowed is \"\" or a group that this host knows, of at most 32 bytes";
	const char *bad[] = {"\"no such group\"", "\"123456789012345678901234567890123\"", "0", "true"};
	char text[256], what[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "control = {\n  group = %s; };\n", bad[i]);
		snprintf(what, sizeof(what), "2: control.group is %s: %s", bad[i], allowed);
		refuses(text, what);
	}
}
END_TEST

START_TEST(control_socket_is_an_absolute_path)
{
	char text[256], longest[108];

	accepts("control = { socket = \"/tmp/x.sock\"; };\n");
	ck_assert_str_eq(config.control_socket, "/tmp/x.sock");

	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	snprintf(text, sizeof(text), "control = { socket = \"%s\"; };\n", longest);
	accepts(text);
	ck_assert_str_eq(config.control_socket, longest);

	snprintf(text, sizeof(text), "control = { socket = \"%sx\"; };\n", longest);
	ck_assert_int_eq(load_bytes(text, strlen(text)), -1);
	refuses("control = { socket = \"x.sock\"; };\n",
		"1: control.socket is \"x.sock\": allowed is an absolute path of at most 107 bytes");
	refuses("control = { socket = \"/tmp/\"; };\n",
		"1: control.socket is \"/tmp/\": allowed is an absolute path of at most 107 bytes");
	refuses("control = { socket = \"\"; };\n",
		"1: control.socket is \"\": allowed is an absolute path of at most 107 bytes");
	refuses("control = { socket = 1; };\n",
		"1: control.socket is 1: allowed is an absolute path of at most 107 bytes");
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

START_TEST(metrics_are_served_on_loopback_alone)
{
	static const char *const elsewhere[] = {"0.0.0.0:9464", "192.0.2.1:9464",     "126.255.255.255:9464",
						"[::]:9464",    "[2001:db8::1]:9464", "[::2]:9464"};
	char text[128], what[256];

	accepts("metrics = { listen = \"127.0.0.1:9464\"; };\n");
	ck_assert_str_eq(config.metrics.listen, "127.0.0.1:9464");
	ck_assert_uint_eq(config.metrics.port, 9464);
	ck_assert(addr_is_v4(&config.metrics.address));
	ck_assert_mem_eq(addr_wire(&config.metrics.address), "\x7f\0\0\1", 4);
	config_free(&config);
	accepts("metrics = { listen = \"127.255.255.254:1\"; };\n");
	ck_assert_uint_eq(config.metrics.port, 1);
	config_free(&config);
	accepts("metrics = { listen = \"[::1]:65535\"; };\n");
	ck_assert_uint_eq(config.metrics.port, 65535);
	ck_assert(!addr_is_v4(&config.metrics.address));
	ck_assert_mem_eq(addr_wire(&config.metrics.address), "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	config_free(&config);
	accepts("metrics = { listen = \"\"; };\n");
	ck_assert_str_eq(config.metrics.listen, "");
	config_free(&config);
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		snprintf(text, sizeof(text), "metrics = {\n listen = \"%s\"; };\n", elsewhere[i]);
		snprintf(what, sizeof(what),
			 "2: metrics.listen is \"%s\": allowed is loopback alone, 127.0.0.0/8 or [::1]: everybody who "
			 "reaches it reads it",
			 elsewhere[i]);
		refuses(text, what);
	}
}
END_TEST

START_TEST(metrics_listen_is_an_address_and_a_port)
{
	static const char *const bad[] = {"\"127.0.0.1\"",
					  "\"127.0.0.1:0\"",
					  "\"127.0.0.1:65536\"",
					  "\"127.0.0.1:\"",
					  "\"127.0.0.1:+80\"",
					  "\"127.0.0.1:80 \"",
					  "\":9464\"",
					  "\"localhost:9464\"",
					  "\"::1:9464\"",
					  "\"[::1]\"",
					  "\"[::1]9464\"",
					  "\"[::1:9464\"",
					  "\"[127.0.0.1]:80\"",
					  "\"unix:/x\"",
					  "9464",
					  "true"};
	char text[128], what[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "metrics = {\n listen = %s; };\n", bad[i]);
		snprintf(what, sizeof(what),
			 "2: metrics.listen is %s: allowed is \"\", \"127.0.0.1:PORT\" or \"[::1]:PORT\", with a port "
			 "of 1 to 65535",
			 bad[i]);
		refuses(text, what);
	}
	refuses("metrics = { port = 1; };\n", "1: metrics.port is not a known key: known are listen");
}
END_TEST

START_TEST(the_accelerator_is_a_word)
{
	accepts("");
	ck_assert_int_eq(config.accelerator, ACCELERATOR_AUTO);
	config_free(&config);
	accepts("accelerator = \"xdp\";\n");
	ck_assert_int_eq(config.accelerator, ACCELERATOR_XDP);
	config_free(&config);
	accepts("accelerator = \"off\";\n");
	ck_assert_int_eq(config.accelerator, ACCELERATOR_OFF);
	config_free(&config);
	refuses("accelerator = \"on\";\n", "1: accelerator is \"on\": allowed is \"auto\" or \"xdp\" or \"off\"");
}
END_TEST

START_TEST(xdp_interfaces_are_names_each_once)
{
	static const char *const bad[] = {
		"\"\"", "\".\"", "\"..\"", "\"a/b\"", "\"eth0:1\"", "\"a b\"", "\"0123456789abcdef\"", "1"};
	char text[128], what[256];

	accepts("xdp = { interfaces = [ \"eth0\", \"0123456789abcde\" ]; mode = \"native\"; };\n");
	ck_assert_uint_eq(config.xdp.interface_count, 2);
	ck_assert_str_eq(config.xdp.interfaces[1], "0123456789abcde");
	ck_assert_int_eq(config.xdp.mode, XDP_MODE_NATIVE);
	config_free(&config);
	accepts("xdp = { interfaces = []; };\n");
	ck_assert_uint_eq(config.xdp.interface_count, 0);
	ck_assert_int_eq(config.xdp.mode, XDP_MODE_AUTO);
	config_free(&config);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "xdp = {\n interfaces = [%s]; };\n", bad[i]);
		snprintf(what, sizeof(what),
			 "2: xdp.interfaces[0] is %s: allowed is an interface's name in quotes, of at most 15 bytes",
			 bad[i]);
		refuses(text, what);
	}
	refuses("xdp = { interfaces = [\"a\",\n\"a\"]; };\n",
		"2: xdp.interfaces[1] is \"a\": allowed is each interface once");
	refuses("xdp = { interfaces = \"a\"; };\n",
		"1: xdp.interfaces is \"a\": allowed is a list of at most 16 interfaces' names, [\"eth0\"]");
}
END_TEST

START_TEST(an_unknown_key_is_answered_with_the_known_ones)
{
	refuses("policy = \"enforce\";\nservice = ();\n", "2: service is not a known key: known are " ROOT_KEYS);
	refuses("backlog = { arm = 50; };\n",
		"1: backlog.arm is not a known key: known are arm_percent, crowd_percent, disarm_percent, "
		"hold_s, handshake_timeout_s");
	refuses("tables = { x = 1; };\n",
		"1: tables.x is not a known key: known are half_open, sources, handovers, bans");
	refuses("queues = { x = 1; };\n", "1: queues.x is not a known key: known are shards, first, spill");
	refuses("control = { x = 1; };\n", "1: control.x is not a known key: known are socket, group, access");
	refuses("sources = { x = 1; };\n", "1: sources.x is not a known key: known are half_open_limit, prefix_v4, "
					   "prefix_v6, proven_s, direct_half_open");
	refuses("rate_limit = { x = 1; };\n",
		"1: rate_limit.x is not a known key: known are connections_per_s, burst, action, ban_s");
	refuses("services = ( { name = \"web\"; ports = [80]; },\n { name = \"b\";\n port = 80; } );\n",
		"3: services[1].port is not a known key: known are name, address, ports, cookies, limit");
}
END_TEST

START_TEST(a_section_of_the_wrong_type_is_refused)
{
	refuses("backlog = 50;\n", "1: backlog is 50: allowed is a group, { ... }");
	refuses("tables = ( );\n", "1: tables is empty: allowed is a group, { ... }");
	refuses("services = {};\n",
		"1: services is a group: allowed is a list of at least one group, ( { name = \"web\"; "
		"ports = [80]; } )");
	refuses("services = ();\n",
		"1: services is empty: allowed is a list of at least one group, ( { name = \"web\"; "
		"ports = [80]; } )");
	refuses("services = [80];\n",
		"1: services is a list: allowed is a list of at least one group, ( { name = \"web\"; "
		"ports = [80]; } )");
	refuses("services = ( 80 );\n", "1: services[0] is 80: allowed is a group, { ... }");
}
END_TEST

START_TEST(a_service_with_name_and_ports_has_defaults_for_the_rest)
{
	const struct config_service *service;

	accepts("services = ( { name = \"web\"; ports = [80, 443]; } );\n");
	ck_assert(!config.auto_services);
	ck_assert_uint_eq(config.service_count, 1);
	service = &config.services[0];
	ck_assert_str_eq(service->name, "web");
	ck_assert(service->any_address);
	ck_assert_int_eq(service->cookies, COOKIES_AUTO);
	ck_assert_uint_eq(service->limit, 0);
	ck_assert_uint_eq(service->port_count, 2);
	ck_assert_uint_eq(service->ports[0], 80);
	ck_assert_uint_eq(service->ports[1], 443);
	config_free(&config);
}
END_TEST

START_TEST(every_key_of_a_service_is_read)
{
	struct addr v4 = literal("192.0.2.1"), v6 = literal("2001:db8::1");

	accepts("services = (\n"
		"  { name = \"a\"; address = \"192.0.2.1\"; ports = [1]; cookies = \"always\"; limit = 1; },\n"
		"  { name = \"b\"; address = \"2001:db8::1\"; ports = (65535);\n"
		"    cookies = \"never\"; limit = 16777216; },\n"
		"  { name = \"c\"; address = \"any\"; ports = [1]; cookies = \"auto\"; limit = \"auto\"; } );\n");
	ck_assert_uint_eq(config.service_count, 3);
	ck_assert(!config.services[0].any_address && addr_equal(&config.services[0].address, &v4));
	ck_assert(!config.services[1].any_address && addr_equal(&config.services[1].address, &v6));
	ck_assert(config.services[2].any_address);
	ck_assert_int_eq(config.services[0].cookies, COOKIES_ALWAYS);
	ck_assert_int_eq(config.services[1].cookies, COOKIES_NEVER);
	ck_assert_int_eq(config.services[2].cookies, COOKIES_AUTO);
	ck_assert_uint_eq(config.services[0].limit, 1);
	ck_assert_uint_eq(config.services[1].limit, 16777216);
	ck_assert_uint_eq(config.services[2].limit, 0);
	ck_assert_uint_eq(config.services[1].ports[0], 65535);
	config_free(&config);
}
END_TEST

START_TEST(a_service_without_name_or_ports_is_refused)
{
	refuses("services = (\n { ports = [80]; } );\n",
		"2: services[0] has no name: a service needs a name and ports");
	refuses("services = (\n { name = \"web\"; } );\n",
		"2: services[0] has no ports: a service needs a name and ports");
}
END_TEST

START_TEST(a_service_name_is_checked)
{
	static const char allowed[] = "allowed is 1 to 63 letters, digits, dots, underscores and hyphens";
	const char *bad[] = {"", "a b", "a/b", "\xc3\xa4"};
	char text[256], what[256], name[65];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "services = ( { name = \"%s\"; ports = [1]; } );\n", bad[i]);
		snprintf(what, sizeof(what), "1: services[0].name is \"%s\": %s", bad[i], allowed);
		refuses(text, what);
	}
	memset(name, 'n', sizeof(name));
	name[64] = '\0';
	snprintf(text, sizeof(text), "services = ( { name = \"%s\"; ports = [1]; } );\n", name);
	ck_assert_int_eq(load_bytes(text, strlen(text)), -1);
	name[63] = '\0';
	snprintf(text, sizeof(text), "services = ( { name = \"%s\"; ports = [1]; } );\n", name);
	accepts(text);
	ck_assert_str_eq(config.services[0].name, name);
	config_free(&config);
	accepts("services = ( { name = \"A-z_0.9\"; ports = [1]; } );\n");
	config_free(&config);
}
END_TEST

START_TEST(a_service_name_used_twice_is_refused)
{
	refuses("services = ( { name = \"web\"; ports = [80]; },\n { name = \"web\"; ports = [81]; } );\n",
		"2: the name \"web\" is used by services[0]: allowed is one service per name");
}
END_TEST

START_TEST(a_service_address_is_checked)
{
	const char *bad[] = {
		"", "all", "0.0.0.0", "::", "192.0.2.1/24", "192.0.2", "fe80::1%eth0", "example.com", "2001:db8::/129"};
	char text[256], what[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "services = ( { name = \"a\";\n address = \"%s\"; ports = [1]; } );\n",
			 bad[i]);
		snprintf(what, sizeof(what),
			 "2: services[0].address is \"%s\": allowed is \"any\" or one IPv4 or IPv6 address", bad[i]);
		refuses(text, what);
	}
}
END_TEST

START_TEST(a_network_on_a_host_is_refused)
{
	refuses("services = ( { name = \"a\";\n address = \"192.0.2.0/24\"; ports = [1]; } );\n",
		"2: services[0].address is \"192.0.2.0/24\": a network takes mode = \"gateway\": here allowed is \"any\" "
		"or one address");
	refuses("services = ( { name = \"a\"; address = \"::/0\"; ports = [1]; } );\nmode = \"host\";\n",
		"1: services[0].address is \"::/0\": a network takes mode = \"gateway\": here allowed is \"any\" or one "
		"address");
	accepts("services = ( { name = \"a\"; address = \"192.0.2.1/32\"; ports = [1]; } );\n");
	ck_assert_uint_eq(config.services[0].host_bits, 0);
	config_free(&config);
}
END_TEST

START_TEST(ports_are_checked)
{
	const char *bad[] = {"0", "65536", "-1", "\"80\"", "1.5"};
	char text[256], what[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "services = ( { name = \"a\"; ports = ( 80,\n %s ); } );\n", bad[i]);
		snprintf(what, sizeof(what), "2: services[0].ports[1] is %s: allowed is 1 to 65535", bad[i]);
		refuses(text, what);
	}
	refuses("services = ( { name = \"a\"; ports = []; } );\n",
		"1: services[0].ports is empty: allowed is a list of ports, [80, 443]");
	refuses("services = ( { name = \"a\"; ports = 80; } );\n",
		"1: services[0].ports is 80: allowed is a list of ports, [80, 443]");
}
END_TEST

START_TEST(the_same_port_twice_at_one_address_is_refused)
{
	refuses("services = ( { name = \"a\"; ports = [80,\n 80]; } );\n",
		"2: port 80 is listed twice for the same address (in service \"a\"): allowed is once");
	refuses("services = ( { name = \"a\"; ports = [80]; },\n { name = \"b\"; address = \"any\"; "
		"ports = [81, 80]; } );\n",
		"2: port 80 is listed twice for the same address (in service \"a\"): allowed is once");
	refuses("services = ( { name = \"a\"; address = \"192.0.2.1\"; ports = [80]; },\n"
		" { name = \"b\"; address = \"::ffff:192.0.2.1\"; ports = [80]; } );\n",
		"2: port 80 is listed twice for the same address (in service \"a\"): allowed is once");
	accepts("services = ( { name = \"a\"; address = \"192.0.2.1\"; ports = [80]; },\n"
		" { name = \"b\"; address = \"192.0.2.2\"; ports = [80]; }, { name = \"c\"; ports = [80]; } );\n");
	config_free(&config);
}
END_TEST

START_TEST(cookies_and_limit_are_checked)
{
	refuses("services = ( { name = \"a\"; ports = [1]; cookies = \"on\"; } );\n",
		"1: services[0].cookies is \"on\": allowed is \"auto\" or \"always\" or \"never\"");
	refuses("services = ( { name = \"a\"; ports = [1]; limit = 0; } );\n",
		"1: services[0].limit is 0: allowed is \"auto\" or 1 to 16777216 entries");
	refuses("services = ( { name = \"a\"; ports = [1]; limit = 16777217; } );\n",
		"1: services[0].limit is 16777217: allowed is \"auto\" or 1 to 16777216 entries");
	refuses("services = ( { name = \"a\"; ports = [1]; limit = \"128\"; } );\n",
		"1: services[0].limit is \"128\": allowed is \"auto\" or 1 to 16777216 entries");
}
END_TEST

/* Two services of `first` and `second` ports each. */
static int load_many_ports(int first, int second)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	int result;

	fprintf(out, "services = (\n{ name = \"a\"; ports = [1");
	for (int i = 2; i <= first; i++)
		fprintf(out, ", %d", i);
	fprintf(out, "]; },\n{ name = \"b\"; address = \"192.0.2.1\"; ports = [1");
	for (int i = 2; i <= second; i++)
		fprintf(out, ", %d", i);
	fprintf(out, "]; } );\n");
	fclose(out);
	result = load_bytes(text, bytes);
	free(text);
	return result;
}

START_TEST(more_than_1024_ports_in_all_are_refused)
{
	char expected[128];

	ck_assert_int_eq(load_many_ports(1000, 24), 0);
	ck_assert_uint_eq(config.services[0].port_count, 1000);
	config_free(&config);
	ck_assert_int_eq(load_many_ports(1000, 25), -1);
	snprintf(expected, sizeof(expected), "%s:3: 1025 ports in all services so far: allowed are 1024", path);
	ck_assert_str_eq(error, expected);
}
END_TEST

static void check_net(const struct cidr *cidr, const char *net, unsigned bits)
{
	struct addr expected = literal(net);

	ck_assert(addr_equal(&cidr->net, &expected));
	ck_assert_uint_eq(cidr->bits, bits);
}

START_TEST(allow_and_deny_take_networks_and_addresses_of_both_families)
{
	accepts("allow = [ \"192.0.2.0/24\", \"2001:db8::/32\" ];\n"
		"deny = ( \"198.51.100.7\", \"2001:db8::7\", \"0.0.0.0/0\", \"::/0\" );\n");
	ck_assert_uint_eq(config.allow_count, 2);
	check_net(&config.allow[0], "192.0.2.0", 96 + 24);
	check_net(&config.allow[1], "2001:db8::", 32);
	ck_assert_uint_eq(config.deny_count, 4);
	check_net(&config.deny[0], "198.51.100.7", 128);
	check_net(&config.deny[1], "2001:db8::7", 128);
	check_net(&config.deny[2], "0.0.0.0", 96);
	check_net(&config.deny[3], "::", 0);
	config_free(&config);
	ck_assert_ptr_null(config.allow);
	ck_assert_ptr_null(config.deny);
	ck_assert_uint_eq(config.allow_count + config.deny_count, 0);
}
END_TEST

START_TEST(an_empty_list_of_networks_is_none)
{
	accepts("allow = [ ];\ndeny = ( );\n");
	check_defaults(&config);
}
END_TEST

START_TEST(a_network_of_both_lists_is_taken)
{
	accepts("allow = [ \"192.0.2.1\" ];\ndeny = [ \"192.0.2.1\", \"192.0.2.0/24\" ];\n");
	ck_assert_uint_eq(config.allow_count, 1);
	ck_assert_uint_eq(config.deny_count, 2);
	config_free(&config);
}
END_TEST

START_TEST(a_network_twice_in_one_list_is_refused)
{
	refuses("allow = [ \"192.0.2.0/24\",\n \"192.0.2.0/25\",\n \"192.0.2.0/24\" ];\n",
		"3: allow[2] is \"192.0.2.0/24\": the same as allow[0]: allowed is each once");
	refuses("allow = [ \"::1\" ];\ndeny = [ \"192.0.2.1\",\n \"2001:db8::1\",\n \"2001:DB8:0::1/128\" ];\n",
		"4: deny[2] is \"2001:DB8:0::1/128\": the same as deny[1]: allowed is each once");
}
END_TEST

START_TEST(what_is_no_network_is_refused_with_its_line)
{
	static const char quotes[] = "allowed is an address or network in quotes, \"192.0.2.0/24\"";
	char what[256];

	refuses("allow = [ \"192.0.2.0/24\",\n \"192.0.2.1/24\" ];\n",
		"2: allow[1] is \"192.0.2.1/24\": host bits are set: did you mean 192.0.2.0/24?");
	refuses("deny = [\n \"192.0.2.0/33\" ];\n",
		"2: deny[0] is \"192.0.2.0/33\": the prefix length is a number from 0 to 32");
	refuses("deny = [ \"example.com\" ];\n",
		"1: deny[0] is \"example.com\": neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32");
	snprintf(what, sizeof(what), "2: deny[0] is 10: %s", quotes);
	refuses("deny = [\n 10 ];\n", what);
	snprintf(what, sizeof(what), "2: deny[1] is a group: %s", quotes);
	refuses("deny = ( \"192.0.2.1\",\n { net = \"192.0.2.2\"; } );\n", what);
}
END_TEST

START_TEST(a_network_is_refused_with_its_own_line_wherever_commas_and_brackets_are)
{
	static const char why[] = "the prefix length is a number from 0 to 32";
	char what[256];

	snprintf(what, sizeof(what), "4: deny[1] is \"10.0.0.0/99\": %s", why);
	refuses("deny = [\n \"192.0.2.1\", # [, \"\n # one more:\n \"10.0.0.0/99\"\n\n ];\n", what);
	refuses("/* allow = [\n */ allow = [ \"192.0.2.1\" ]; deny\n = ( \"192.0.2.2\"\n , \"10.0.0.0/99\"\n );\n",
		what);
	refuses("deny = [ \"192.0.2.1\"\n\n ,\n \"10.0.0\"\n \".0/99\"\n ];\n", what);
	snprintf(what, sizeof(what), "3: deny[1] is \"10.0.0.0/99\": %s", why);
	refuses("# deny = [\nallow = [ \"192.0.2.1\" ]; deny = [ \"192.0.2.2\",\n \"10.0.0.0/99\"\n ];\n", what);
}
END_TEST

START_TEST(networks_come_in_a_list)
{
	refuses("\nallow = \"192.0.2.0/24\";\n",
		"2: allow is \"192.0.2.0/24\": allowed is a list of addresses and networks, [\"192.0.2.0/24\"]");
	refuses("deny = { net = \"192.0.2.0/24\"; };\n",
		"1: deny is a group: allowed is a list of addresses and networks, [\"192.0.2.0/24\"]");
	refuses("deny = 10;\n", "1: deny is 10: allowed is a list of addresses and networks, [\"192.0.2.0/24\"]");
}
END_TEST

/* One network per line, from line 2 on. */
static int load_many_networks(const char *key, int count)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	int result;

	fprintf(out, "%s = [\n", key);
	for (int i = 0; i < count; i++)
		fprintf(out, "\"10.%d.%d.0/24\"%s\n", i / 256, i % 256, i + 1 < count ? "," : "");
	fprintf(out, "];\n");
	fclose(out);
	result = load_bytes(text, bytes);
	free(text);
	return result;
}

START_TEST(more_than_4096_networks_in_one_list_are_refused)
{
	const char *key = _i ? "deny" : "allow";
	char expected[128];

	ck_assert_int_eq(load_many_networks(key, 4096), 0);
	ck_assert_uint_eq(config.allow_count + config.deny_count, 4096);
	check_net(&(_i ? config.deny : config.allow)[4095], "10.15.255.0", 96 + 24);
	config_free(&config);
	ck_assert_int_eq(load_many_networks(key, 4097), -1);
	snprintf(expected, sizeof(expected), "%s:4098: %s has 4097 entries: allowed are at most 4096", path, key);
	ck_assert_str_eq(error, expected);
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
	TCase *file = tcase_create("file"), *keys = tcase_create("keys"), *services = tcase_create("services");
	TCase *networks = tcase_create("networks"), *gateway = tcase_create("gateway");

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

	suite_add_tcase(suite, keys);
	tcase_add_checked_fixture(keys, file_make, file_remove);
	tcase_add_test(keys, mode_is_host_or_gateway);
	tcase_add_test(keys, policy_is_enforce_or_observe);
	tcase_add_loop_test(keys, a_number_at_the_edge_of_its_range_is_taken, 0, NUMBER_COUNT);
	tcase_add_loop_test(keys, a_number_out_of_its_range_or_no_whole_number_is_refused, 0, NUMBER_COUNT);
	tcase_add_test(keys, disarm_percent_must_be_below_arm_percent);
	tcase_add_test(keys, crowd_percent_is_at_least_arm_percent);
	tcase_add_test(keys, crowd_percent_not_given_follows_an_arm_percent_above_it);
	tcase_add_test(keys, rate_limit_action_is_drop_or_reset);
	tcase_add_test(keys, control_socket_is_an_absolute_path);
	tcase_add_test(keys, control_group_is_resolved_to_its_number);
	tcase_add_test(keys, a_control_group_that_the_host_does_not_know_is_refused);
	tcase_add_test(keys, control_access_is_group_or_everybody);
	tcase_add_test(keys, metrics_are_served_on_loopback_alone);
	tcase_add_test(keys, metrics_listen_is_an_address_and_a_port);
	tcase_add_test(keys, the_accelerator_is_a_word);
	tcase_add_test(keys, xdp_interfaces_are_names_each_once);
	tcase_add_test(keys, an_unknown_key_is_answered_with_the_known_ones);
	tcase_add_test(keys, a_section_of_the_wrong_type_is_refused);

	suite_add_tcase(suite, gateway);
	tcase_add_checked_fixture(gateway, file_make, file_remove);
	tcase_add_test(gateway, what_cannot_be_looked_at_passes_on_a_host_and_not_to_armed_services_through_a_gateway);
	tcase_add_test(gateway, a_gateway_has_defaults_of_its_own);
	tcase_add_test(gateway, every_key_of_the_gateway_is_read_wherever_the_mode_stands);
	tcase_add_test(gateway, the_keys_of_the_gateway_are_checked);
	tcase_add_test(gateway, a_path_of_a_secret_file_fills_its_room);
	tcase_add_test(gateway, a_gateway_section_on_a_host_is_refused);
	tcase_add_test(gateway, a_gateway_without_services_is_refused);
	tcase_add_test(gateway, behind_a_gateway_are_addresses_and_networks);
	tcase_add_test(gateway, behind_a_gateway_an_address_that_takes_in_everything_or_none_is_refused);
	tcase_add_test(gateway, a_network_behind_a_gateway_is_written_without_host_bits);
	tcase_add_test(gateway, networks_behind_a_gateway_may_be_nested_but_none_counts_twice);

	suite_add_tcase(suite, networks);
	tcase_add_checked_fixture(networks, file_make, file_remove);
	tcase_add_test(networks, allow_and_deny_take_networks_and_addresses_of_both_families);
	tcase_add_test(networks, an_empty_list_of_networks_is_none);
	tcase_add_test(networks, a_network_of_both_lists_is_taken);
	tcase_add_test(networks, a_network_twice_in_one_list_is_refused);
	tcase_add_test(networks, what_is_no_network_is_refused_with_its_line);
	tcase_add_test(networks, a_network_is_refused_with_its_own_line_wherever_commas_and_brackets_are);
	tcase_add_test(networks, networks_come_in_a_list);
	tcase_add_loop_test(networks, more_than_4096_networks_in_one_list_are_refused, 0, 2);

	suite_add_tcase(suite, services);
	tcase_add_checked_fixture(services, file_make, file_remove);
	tcase_add_test(services, a_service_with_name_and_ports_has_defaults_for_the_rest);
	tcase_add_test(services, every_key_of_a_service_is_read);
	tcase_add_test(services, a_service_without_name_or_ports_is_refused);
	tcase_add_test(services, a_service_name_is_checked);
	tcase_add_test(services, a_service_name_used_twice_is_refused);
	tcase_add_test(services, a_service_address_is_checked);
	tcase_add_test(services, a_network_on_a_host_is_refused);
	tcase_add_test(services, ports_are_checked);
	tcase_add_test(services, the_same_port_twice_at_one_address_is_refused);
	tcase_add_test(services, cookies_and_limit_are_checked);
	tcase_add_test(services, more_than_1024_ports_in_all_are_refused);
	return suite;
}

int main(void)
{
	return unit_main(config_suite());
}
