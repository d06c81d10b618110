/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_file.h"

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

static Suite *config_services_suite(void)
{
	Suite *suite = suite_create("config_services");
	TCase *services = tcase_create("services");
	TCase *networks = tcase_create("networks");

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
	return suite;
}

int main(void)
{
	return unit_main(config_services_suite());
}
