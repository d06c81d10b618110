/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/config_show.h"

#include <ctype.h>
#include <jansson.h>

#include "unit.h"

/* Nothing in it is at its default. */
#define EVERYTHING \
	"mode = \"gateway\"; policy = \"observe\"; on_overload = \"drop\"; on_exit = \"pass\";\n" \
	"services = ( { name = \"web\"; address = \"192.0.2.0/24\"; ports = [80, 443]; cookies = \"never\"; },\n" \
	"  { name = \"shop\"; address = \"192.0.2.7\"; ports = [8080]; limit = 512; cookies = \"always\"; },\n" \
	"  { name = \"six\"; address = \"2001:db8::/64\"; ports = [1]; limit = \"auto\"; },\n" \
	"  { name = \"one\"; address = \"2001:db8::7\"; ports = [1]; } );\n" \
	"allow = [ \"192.0.2.1\", \"2001:db8:1::/48\" ]; deny = [ \"198.51.100.0/24\", \"2001:db8::9\" ];\n" \
	"gateway = { secret_file = \"/etc/syn\\\"moat/a b\"; strays = \"reset\"; grace_s = 1; };\n" \
	"backlog = { arm_percent = 99; crowd_percent = 100; disarm_percent = 98; hold_s = 9; handshake_timeout_s = 29; };\n" \
	"sources = { half_open_limit = 63; prefix_v4 = 31; prefix_v6 = 63; proven_s = 599; direct_half_open = 7; };\n" \
	"rate_limit = { connections_per_s = 1; burst = 99; action = \"reset\"; ban_s = 1; };\n" \
	"reflection = { unanswered_per_s = 1999; };\n" \
	"tables = { half_open = 262143; sources = 262142; handovers = 16383; bans = 65535; };\n" \
	"queues = { shards = 1; first = 16383; spill = \"off\"; };\n" \
	"accelerator = \"xdp\"; xdp = { interfaces = [ \"eth7\", \"bond0.12\" ]; mode = \"generic\"; sample_per_s = 77; };\n" \
	"control = { socket = \"/run/other.sock\"; group = \"root\"; access = \"everybody\"; };\n"

static char path[] = "/tmp/synmoat-show-XXXXXX";
static char *shown;
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
	free(shown);
	shown = NULL;
	config_free(&config);
}

static void load(const char *text)
{
	FILE *file = fopen(path, "w");
	char error[1024];

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	config_free(&config);
	ck_assert_msg(config_load(&config, path, error, sizeof(error)) == 0, "%s", error);
}

static void show(bool json)
{
	size_t bytes;
	FILE *out;

	free(shown);
	out = open_memstream(&shown, &bytes);
	config_show(&config, json, out);
	fclose(out);
}

static const char *const configurations[] = {
	"",
	EVERYTHING,
	"services = ( { name = \"web\"; ports = [80]; }, { name = \"six\"; address = \"2001:db8::1\"; ports = [80]; } );",
	"mode = \"gateway\"; services = ( { name = \"web\"; address = \"192.0.2.1\"; ports = [80]; } );",
	"backlog = { arm_percent = 95; };",
};

START_TEST(what_is_shown_is_taken_and_shown_the_same)
{
	char *first;

	load(configurations[_i]);
	show(false);
	first = strdup(shown);
	ck_assert_ptr_nonnull(first);
	load(first);
	show(false);
	ck_assert_str_eq(shown, first);
	free(first);
}
END_TEST

START_TEST(what_is_shown_means_the_same)
{
	struct config read;

	load(configurations[_i]);
	read = config;
	show(false);
	load(shown);
	read.services = config.services; /* compared as text, by the test before this one */
	read.allow = config.allow;
	read.deny = config.deny;
	read.service_count = config.service_count;
	read.allow_count = config.allow_count;
	read.deny_count = config.deny_count;
	ck_assert_mem_eq(&read, &config, sizeof(config));
}
END_TEST

START_TEST(nothing_of_a_configuration_without_defaults_is_lost)
{
	static const char *const values[] = {
		"\"192.0.2.0/24\"",
		"\"192.0.2.7\"",
		"\"2001:db8::/64\"",
		"\"2001:db8::7\"",
		"80, 443",
		"512",
		"\"auto\"",
		"256",
		"\"never\"",
		"\"always\"",
		"\"192.0.2.1\"",
		"\"2001:db8:1::/48\"",
		"\"198.51.100.0/24\"",
		"\"/etc/syn\\\"moat/a b\"",
		"\"reset\"",
		"\"/run/other.sock\"",
		"\"everybody\"",
		"\"root\"",
		"262142",
		"\"xdp\"",
		"\"eth7\"",
		"\"bond0.12\"",
		"\"generic\"",
	};

	load(EVERYTHING);
	show(false);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		ck_assert_msg(strstr(shown, values[i]) != NULL, "%s is missing in:\n%s", values[i], shown);
}
END_TEST

/* The key that a line of the shipped file sets, also in a comment: a word, then " = ". */
static bool line_key(const char *line, char key[64])
{
	size_t length;

	line += strspn(line, "# ");
	length = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
	if (!length || length >= 64 || strncmp(line + length, " = ", 3) != 0)
		return false;
	memcpy(key, line, length);
	key[length] = '\0';
	return true;
}

/* As libconfig writes it: "key = value;" or "key : ". */
static bool shows_key(const char *key)
{
	size_t length = strlen(key);

	for (const char *at = strstr(shown, key); at; at = strstr(at + 1, key))
		if ((at == shown || isspace((unsigned char)at[-1])) &&
		    (strncmp(at + length, " = ", 3) == 0 || strncmp(at + length, " : ", 3) == 0))
			return true;
	return false;
}

START_TEST(every_key_of_the_shipped_file_is_shown)
{
	char shipped[512], line[512], key[64];
	unsigned keys = 0;
	FILE *file;

	snprintf(shipped, sizeof(shipped), "%.*sconf/synmoat.conf", (int)(strstr(__FILE__, "tests/unit") - __FILE__),
		 __FILE__);
	file = fopen(shipped, "r");
	ck_assert_ptr_nonnull(file);
	load(EVERYTHING);
	show(false);
	while (fgets(line, sizeof(line), file)) {
		if (!line_key(line, key))
			continue;
		keys++;
		ck_assert_msg(shows_key(key), "%s is missing in:\n%s", key, shown);
	}
	fclose(file);
	ck_assert_uint_ge(keys, 35);
	for (size_t i = 0; i < 5; i++) {
		static const char *const of_a_service[] = {"name", "address", "ports", "cookies", "limit"};

		ck_assert_msg(shows_key(of_a_service[i]), "%s is missing", of_a_service[i]);
	}
}
END_TEST

START_TEST(the_object_has_the_same_keys)
{
	json_t *answer, *shown_config;

	load(EVERYTHING);
	show(true);
	answer = json_loads(shown, 0, NULL);
	shown_config = json_object_get(answer, "config");
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "format")), 1);
	ck_assert_uint_eq(json_object_size(shown_config), 18);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(shown_config, "gateway"), "secret_file")),
			 "/etc/syn\"moat/a b");
	ck_assert_uint_eq(json_array_size(json_object_get(shown_config, "services")), 4);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(shown_config, "backlog"), "arm_percent")),
			 99);
	json_decref(answer);
}
END_TEST

START_TEST(the_object_has_null_for_what_the_file_must_not_have)
{
	json_t *answer, *shown_config;

	load("");
	show(true);
	answer = json_loads(shown, 0, NULL);
	shown_config = json_object_get(answer, "config");
	ck_assert_uint_eq(json_object_size(shown_config), 18);
	ck_assert(json_is_null(json_object_get(shown_config, "services")));
	ck_assert(json_is_null(json_object_get(shown_config, "gateway")));
	json_decref(answer);
}
END_TEST

static Suite *config_show_suite(void)
{
	Suite *suite = suite_create("config_show");
	TCase *all = tcase_create("all");

	suite_add_tcase(suite, all);
	tcase_add_checked_fixture(all, file_make, file_remove);
	tcase_add_loop_test(all, what_is_shown_is_taken_and_shown_the_same, 0,
			    sizeof(configurations) / sizeof(configurations[0]));
	tcase_add_loop_test(all, what_is_shown_means_the_same, 0, sizeof(configurations) / sizeof(configurations[0]));
	tcase_add_test(all, nothing_of_a_configuration_without_defaults_is_lost);
	tcase_add_test(all, every_key_of_the_shipped_file_is_shown);
	tcase_add_test(all, the_object_has_the_same_keys);
	tcase_add_test(all, the_object_has_null_for_what_the_file_must_not_have);
	return suite;
}

int main(void)
{
	return unit_main(config_show_suite());
}
