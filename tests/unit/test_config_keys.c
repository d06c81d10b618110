/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <grp.h>

#include "config_file.h"

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

static Suite *config_keys_suite(void)
{
	Suite *suite = suite_create("config_keys");
	TCase *keys = tcase_create("keys");
	TCase *gateway = tcase_create("gateway");

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
	return suite;
}

int main(void)
{
	return unit_main(config_keys_suite());
}
