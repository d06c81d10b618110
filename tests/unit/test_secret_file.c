/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/secret_file.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "unit.h"

#define STRANGER 65534
#define KEY_A "000102030405060708090a0b0c0d0e0f"
#define KEY_B "FFeeddccbbaa99887766554433221100"
#define NO_SECRET "no secret: allowed is an epoch in decimal and 32 hexadecimal digits, or a comment after #"

static char directory[64], path[128], error[1024];
static struct secret_file file;

static void directory_make(void)
{
	strcpy(directory, "/tmp/synmoat-secret-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/secret", directory);
	memset(&file, 0xff, sizeof(file));
	error[0] = '\0';
}

/* How many files there are, after removing them if asked to. */
static int directory_count(bool remove_them)
{
	DIR *dir = opendir(directory);
	char name[512];
	int count = 0;

	ck_assert_ptr_nonnull(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		snprintf(name, sizeof(name), "%s/%s", directory, entry->d_name);
		if (remove_them)
			ck_assert_int_eq(remove(name), 0);
	}
	closedir(dir);
	return count;
}

static void directory_remove(void)
{
	directory_count(true);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void write_bytes(const char *text, size_t bytes)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(text, 1, bytes, out), bytes);
	ck_assert_int_eq(fchmod(fileno(out), 0600), 0);
	fclose(out);
}

static void write_text(const char *text)
{
	write_bytes(text, strlen(text));
}

static void loads(void)
{
	ck_assert_msg(secret_file_load(path, &file, error, sizeof(error)) == 0, "%s", error);
}

/* `what` is the error without the path; nothing of a secret may be left. */
static void is_refused(int result, const char *what)
{
	static const struct secret_file empty;
	char expected[1200];

	snprintf(expected, sizeof(expected), "%s%s", path, what);
	ck_assert_int_eq(result, -1);
	ck_assert_str_eq(error, expected);
	ck_assert_ptr_null(strstr(error, "0405060708"));
	ck_assert_mem_eq(&file, &empty, sizeof(file));
}

static void refuses(const char *what)
{
	memset(&file, 0xff, sizeof(file));
	is_refused(secret_file_load(path, &file, error, sizeof(error)), what);
}

static void refuses_text(const char *text, const char *what)
{
	write_text(text);
	refuses(what);
}

static int rotate(uint32_t now, uint32_t from)
{
	memset(&file, 0xff, sizeof(file));
	return secret_file_rotate(path, now, from, &file, error, sizeof(error));
}

static void rotates(uint32_t now, uint32_t from)
{
	ck_assert_msg(rotate(now, from) == 0, "%s", error);
}

/* ---- reading ---- */

START_TEST(secrets_are_read_in_their_order)
{
	write_text("# a comment\n\n0 " KEY_A "\n \t \n  28000000\t" KEY_B "  \r\n4294967295 " KEY_A);
	loads();
	ck_assert_uint_eq(file.count, 3);
	ck_assert_uint_eq(file.masters[0].from, 0);
	ck_assert_uint_eq(file.masters[1].from, 28000000);
	ck_assert_uint_eq(file.masters[2].from, 4294967295);
}
END_TEST

/* The first byte is the lowest on every host: gateways of either byte order understand each other. */
START_TEST(a_key_is_read_byte_by_byte)
{
	write_text("0 " KEY_A "\n1 " KEY_B "\n");
	loads();
	ck_assert_uint_eq(file.masters[0].key.words[0], 0x0706050403020100);
	ck_assert_uint_eq(file.masters[0].key.words[1], 0x0f0e0d0c0b0a0908);
	ck_assert_uint_eq(file.masters[1].key.words[0], 0x8899aabbccddeeff);
	ck_assert_uint_eq(file.masters[1].key.words[1], 0x0011223344556677);
}
END_TEST

START_TEST(a_missing_file_comes_with_the_command_that_makes_it)
{
	char expected[512], command[512], *start, *end;

	snprintf(expected, sizeof(expected),
		 ": there is no such file: make one by (umask 077; echo \"0 $(od -An -N16 -tx1 /dev/urandom | tr -d ' "
		 "\\n')\" >%s), or copy it from the other gateways, all of which need the same",
		 path);
	refuses(expected);

	/* and the command does */
	start = strstr(error, "(umask");
	end = strstr(error, ", or copy");
	snprintf(command, sizeof(command), "%.*s", (int)(end - start), start);
	ck_assert_int_eq(system(command), 0);
	loads();
	ck_assert_uint_eq(file.count, 1);
	ck_assert_uint_eq(file.masters[0].from, 0);
}
END_TEST

START_TEST(a_file_that_others_may_use_is_refused)
{
	static const mode_t bad[] = {0640, 0620, 0604, 0602, 0610, 0644, 0666, 0777};
	char what[256];

	write_text("0 " KEY_A "\n");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(chmod(path, bad[i]), 0);
		snprintf(what, sizeof(what), ": others than its owner may read or write it (mode %04o): chmod 600 %s",
			 (unsigned)bad[i], path);
		refuses(what);
	}
	ck_assert_int_eq(chmod(path, 0400), 0);
	loads();
}
END_TEST

START_TEST(a_file_of_another_user_is_refused)
{
	char what[256];

	write_text("0 " KEY_A "\n");
	ck_assert_int_eq(chown(path, STRANGER, 0), 0);
	snprintf(what, sizeof(what),
		 ": it belongs to user 65534: a secret belongs to the user that synmoatd runs as: chown root %s", path);
	refuses(what);
}
END_TEST

START_TEST(whoever_is_not_root_may_have_a_file_of_his_own)
{
	int result;

	write_text("0 " KEY_A "\n");
	ck_assert_int_eq(chown(path, STRANGER, 0), 0);
	ck_assert_int_eq(chmod(directory, 0755), 0);
	ck_assert_int_eq(seteuid(STRANGER), 0);
	result = secret_file_load(path, &file, error, sizeof(error));
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_msg(result == 0, "%s", error);
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused)
{
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	refuses(": not a regular file");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	refuses(": not a regular file");
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(symlink("secret", path), 0);
	refuses(": Too many levels of symbolic links");
}
END_TEST

START_TEST(what_is_no_secret_is_refused_with_its_line_and_not_shown)
{
	static const char *const bad[] = {
		KEY_A,
		"0",
		"0 ",
		"0" KEY_A,
		"0 " KEY_A "0",
		"0 00010203040506070809",
		"0 " KEY_A " 1",
		"0 " KEY_A "# a comment",
		"0 g00102030405060708090a0b0c0d0e0f",
		"-1 " KEY_A,
		"+1 " KEY_A,
		"0x1 " KEY_A,
		"4294967296 " KEY_A,
		"18446744073709551616 " KEY_A,
		"key " KEY_A,
		KEY_A " 0",
	};
	char text[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "# first\n\n%s\n", bad[i]);
		refuses_text(text, ":3: " NO_SECRET);
	}
	write_bytes("0 " KEY_A "\n\0\n", 37);
	refuses(":2: NUL byte: this is not a text file");
}
END_TEST

START_TEST(a_file_without_a_secret_is_refused)
{
	char what[512];

	snprintf(what, sizeof(what),
		 ": no secret in it: make one by (umask 077; echo \"0 $(od -An -N16 -tx1 /dev/urandom | tr -d ' "
		 "\\n')\" >%s)",
		 path);
	refuses_text("", what);
	refuses_text("# nothing\n\n", what);
}
END_TEST

START_TEST(secrets_out_of_order_are_refused)
{
	refuses_text("5 " KEY_A "\n5 " KEY_B "\n",
		     ":2: epoch 5 does not come after that of the secret before, 5: allowed is ascending order");
	refuses_text("5 " KEY_A "\n# \n4 " KEY_B "\n",
		     ":3: epoch 4 does not come after that of the secret before, 5: allowed is ascending order");
}
END_TEST

static void write_many(unsigned count)
{
	char text[1024] = "";

	for (unsigned i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u %s\n", 10 + i, KEY_A);
	write_text(text);
}

START_TEST(eight_secrets_are_taken_and_nine_refused)
{
	write_many(8);
	loads();
	ck_assert_uint_eq(file.count, 8);
	write_many(9);
	refuses(":9: more secrets than 8: remove the oldest ones, at the top");
}
END_TEST

START_TEST(a_file_too_large_is_refused)
{
	char *text = malloc(16385);

	memset(text, '\n', 16385);
	memcpy(text, "0 " KEY_A "\n", 35);
	write_bytes(text, 16384);
	loads();
	write_bytes(text, 16385);
	refuses(": larger than 16384 bytes");
	free(text);
}
END_TEST

START_TEST(a_short_error_buffer_is_not_overrun)
{
	char small[8];

	ck_assert_int_eq(secret_file_load("/nonexistent/x", &file, small, sizeof(small)), -1);
	ck_assert_str_eq(small, "/nonexi");
}
END_TEST

/* ---- writing ---- */

static void check_key(const struct cookie_master *master, const char *key)
{
	struct secret_file before = file;
	struct cookie_master had = *master;
	char text[64];

	snprintf(text, sizeof(text), "0 %s\n", key);
	write_text(text);
	loads();
	ck_assert_mem_eq(&file.masters[0].key, &had.key, sizeof(had.key));
	file = before;
}

START_TEST(rotation_adds_a_fresh_secret_that_is_in_the_file_too)
{
	struct secret_file written;
	struct stat status;

	write_text("0 " KEY_A "\n");
	rotates(100, 105);
	ck_assert_uint_eq(file.count, 2);
	ck_assert_uint_eq(file.masters[0].from, 0);
	ck_assert_uint_eq(file.masters[1].from, 105);
	ck_assert_uint_ne(file.masters[1].key.words[0], 0);
	ck_assert_uint_ne(file.masters[1].key.words[0], file.masters[0].key.words[0]);

	written = file;
	loads();
	ck_assert_mem_eq(&file, &written, sizeof(file));
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	ck_assert_int_eq(directory_count(false), 1);
	check_key(&file.masters[0], KEY_A);
}
END_TEST

START_TEST(two_rotations_give_two_secrets)
{
	struct siphash_key one;

	write_text("0 " KEY_A "\n");
	rotates(100, 105);
	one = file.masters[1].key;
	write_text("0 " KEY_A "\n");
	rotates(100, 105);
	ck_assert_mem_ne(&file.masters[1].key, &one, sizeof(one));
}
END_TEST

START_TEST(what_made_cookies_of_the_last_epoch_is_kept_and_what_is_older_forgotten)
{
	write_text("0 " KEY_A "\n50 " KEY_B "\n100 " KEY_A "\n");
	rotates(100, 105); /* the cookies of epoch 99 are of 50's */
	ck_assert_uint_eq(file.count, 3);
	ck_assert_uint_eq(file.masters[0].from, 50);
	ck_assert_uint_eq(file.masters[1].from, 100);
	ck_assert_uint_eq(file.masters[2].from, 105);

	rotates(101, 106); /* and those of epoch 100 of 100's */
	ck_assert_uint_eq(file.count, 3);
	ck_assert_uint_eq(file.masters[0].from, 100);
	ck_assert_uint_eq(file.masters[1].from, 105);
	ck_assert_uint_eq(file.masters[2].from, 106);
}
END_TEST

START_TEST(a_secret_that_would_begin_then_or_later_gives_way)
{
	struct siphash_key replaced;

	write_text("0 " KEY_A "\n105 " KEY_B "\n110 " KEY_B "\n");
	loads();
	replaced = file.masters[1].key;
	rotates(100, 105);
	ck_assert_uint_eq(file.count, 2);
	ck_assert_uint_eq(file.masters[1].from, 105);
	ck_assert_mem_ne(&file.masters[1].key, &replaced, sizeof(replaced));
}
END_TEST

/* It counts before its time, since there is no other: what it made must not become worthless. */
START_TEST(the_only_secret_stays_although_it_would_begin_later)
{
	struct siphash_key kept;

	write_text("200 " KEY_A "\n");
	loads();
	kept = file.masters[0].key;
	rotates(100, 105);
	ck_assert_uint_eq(file.count, 2);
	ck_assert_uint_eq(file.masters[0].from, 0);
	ck_assert_mem_eq(&file.masters[0].key, &kept, sizeof(kept));
	ck_assert_uint_eq(file.masters[1].from, 105);
}
END_TEST

START_TEST(no_number_of_rotations_fills_the_file)
{
	write_text("0 " KEY_A "\n");
	for (uint32_t now = 0; now < 100; now++) {
		rotates(now, now + 5);
		rotates(now, now + 5);
		ck_assert_uint_le(file.count, 7);
	}
	rotates(UINT32_MAX - 1, UINT32_MAX);
	ck_assert_uint_eq(file.count, 2);
}
END_TEST

static void check_untouched(const char *text)
{
	char read[1024];
	FILE *in = fopen(path, "r");
	size_t bytes = fread(read, 1, sizeof(read) - 1, in);

	read[bytes] = '\0';
	fclose(in);
	ck_assert_str_eq(read, text);
	ck_assert_int_eq(directory_count(false), 1);
}

START_TEST(a_full_file_is_left_as_it_is)
{
	char before[1024];
	FILE *in;

	write_many(8); /* 10 to 17 */
	in = fopen(path, "r");
	before[fread(before, 1, sizeof(before) - 1, in)] = '\0';
	fclose(in);
	is_refused(rotate(11, 20), ": it holds 8 secrets that still count: wait until epoch 12");
	check_untouched(before);
	rotates(12, 20);
	ck_assert_uint_eq(file.count, 8);
}
END_TEST

START_TEST(a_bad_file_is_left_as_it_is)
{
	write_text("# mine\nnonsense\n");
	is_refused(rotate(1, 5), ":2: " NO_SECRET);
	check_untouched("# mine\nnonsense\n");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rotate(1, 5), -1);
	ck_assert_int_eq(directory_count(false), 0);
}
END_TEST

START_TEST(where_no_file_can_be_made_the_old_one_stays)
{
	int result;

	write_text("0 " KEY_A "\n");
	ck_assert_int_eq(chown(path, STRANGER, 0), 0);
	ck_assert_int_eq(chmod(directory, 0755), 0);
	ck_assert_int_eq(seteuid(STRANGER), 0); /* root may write everywhere */
	result = rotate(1, 5);
	ck_assert_int_eq(seteuid(0), 0);
	is_refused(result, ": cannot make a file beside it: Permission denied: the directory has to be writable for "
			   "synmoatd");
	check_untouched("0 " KEY_A "\n");
}
END_TEST

START_TEST(a_symbolic_link_stays_and_what_it_leads_to_is_replaced)
{
	char target[160];
	struct stat status;

	write_text("0 " KEY_A "\n");
	snprintf(target, sizeof(target), "%s/target", directory);
	ck_assert_int_eq(rename(path, target), 0);
	ck_assert_int_eq(symlink("target", path), 0);
	rotates(1, 5);
	ck_assert_int_eq(lstat(path, &status), 0);
	ck_assert(S_ISLNK(status.st_mode));
	loads();
	ck_assert_uint_eq(file.count, 2);
	ck_assert_int_eq(directory_count(false), 2);
}
END_TEST

static Suite *secret_file_suite(void)
{
	Suite *suite = suite_create("secret_file");
	TCase *reading = tcase_create("reading"), *writing = tcase_create("writing");

	suite_add_tcase(suite, reading);
	tcase_add_checked_fixture(reading, directory_make, directory_remove);
	tcase_add_test(reading, secrets_are_read_in_their_order);
	tcase_add_test(reading, a_key_is_read_byte_by_byte);
	tcase_add_test(reading, a_missing_file_comes_with_the_command_that_makes_it);
	tcase_add_test(reading, a_file_that_others_may_use_is_refused);
	tcase_add_test(reading, what_is_no_regular_file_is_refused);
	tcase_add_test(reading, what_is_no_secret_is_refused_with_its_line_and_not_shown);
	tcase_add_test(reading, a_file_without_a_secret_is_refused);
	tcase_add_test(reading, secrets_out_of_order_are_refused);
	tcase_add_test(reading, eight_secrets_are_taken_and_nine_refused);
	tcase_add_test(reading, a_file_too_large_is_refused);
	tcase_add_test(reading, a_short_error_buffer_is_not_overrun);

	suite_add_tcase(suite, writing);
	tcase_add_checked_fixture(writing, directory_make, directory_remove);
	tcase_add_test(writing, rotation_adds_a_fresh_secret_that_is_in_the_file_too);
	tcase_add_test(writing, two_rotations_give_two_secrets);
	tcase_add_test(writing, what_made_cookies_of_the_last_epoch_is_kept_and_what_is_older_forgotten);
	tcase_add_test(writing, a_secret_that_would_begin_then_or_later_gives_way);
	tcase_add_test(writing, the_only_secret_stays_although_it_would_begin_later);
	tcase_add_test(writing, no_number_of_rotations_fills_the_file);
	tcase_add_test(writing, a_full_file_is_left_as_it_is);
	tcase_add_test(writing, a_bad_file_is_left_as_it_is);
	tcase_add_test(writing, a_symbolic_link_stays_and_what_it_leads_to_is_replaced);

	if (geteuid() != 0)
		return suite;
	tcase_add_test(reading, a_file_of_another_user_is_refused);
	tcase_add_test(reading, whoever_is_not_root_may_have_a_file_of_his_own);
	tcase_add_test(writing, where_no_file_can_be_made_the_old_one_stays);
	return suite;
}

int main(void)
{
	return unit_main(secret_file_suite());
}
