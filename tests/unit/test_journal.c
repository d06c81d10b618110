/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/journal.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "unit.h"

static char directory[] = "/tmp/synmoat-journal-XXXXXX", path[64];
static int journald, fd;

static void journal_start(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/socket", directory);
	strcpy(address.sun_path, path);
	journald = socket(AF_UNIX, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(journald, (struct sockaddr *)&address, sizeof(address)), 0);
	fd = journal_open();
	ck_assert_int_ge(fd, 0);
}

static void journal_stop(void)
{
	close(journald);
	close(fd);
	unlink(path);
	rmdir(directory);
}

static const struct journal_field fields[] = {{"MESSAGE", "armed = yes"}, {"PRIORITY", "5"}};

START_TEST(an_entry_is_a_datagram_of_lines)
{
	char entry[256];
	ssize_t got;

	ck_assert_int_eq(journal_send(fd, path, fields, 2), 0);
	got = recv(journald, entry, sizeof(entry) - 1, MSG_DONTWAIT);
	ck_assert_int_gt(got, 0);
	entry[got] = '\0';
	ck_assert_str_eq(entry, "MESSAGE=armed = yes\nPRIORITY=5\n");
}
END_TEST

START_TEST(a_journald_that_does_not_read_is_not_waited_for)
{
	int sent = 0, error;

	while ((error = journal_send(fd, path, fields, 2)) == 0)
		ck_assert_int_lt(sent++, 100000);
	ck_assert_int_eq(error, -EAGAIN);
	ck_assert_int_gt(sent, 0);
}
END_TEST

START_TEST(a_missing_journald_is_told)
{
	close(journald);
	ck_assert_int_eq(journal_send(fd, path, fields, 2), -ECONNREFUSED);
	unlink(path);
	ck_assert_int_eq(journal_send(fd, path, fields, 2), -ENOENT);
}
END_TEST

START_TEST(what_is_no_line_or_too_long_is_refused)
{
	const struct journal_field two = {"MESSAGE", "two\nlines"};
	char large[JOURNAL_ENTRY_BYTES];
	const struct journal_field long_one = {"MESSAGE", large};

	memset(large, 'x', sizeof(large));
	large[sizeof(large) - 1] = '\0';
	ck_assert_int_eq(journal_send(fd, path, &two, 1), -EINVAL);
	ck_assert_int_eq(journal_send(fd, path, &long_one, 1), -EMSGSIZE);
	large[JOURNAL_ENTRY_BYTES - sizeof("MESSAGE=\n")] = '\0';
	ck_assert_int_eq(journal_send(fd, path, &long_one, 1), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("journal");
	TCase *all = tcase_create("all");

	suite_add_tcase(suite, all);
	tcase_add_checked_fixture(all, journal_start, journal_stop);
	tcase_add_test(all, an_entry_is_a_datagram_of_lines);
	tcase_add_test(all, a_journald_that_does_not_read_is_not_waited_for);
	tcase_add_test(all, a_missing_journald_is_told);
	tcase_add_test(all, what_is_no_line_or_too_long_is_refused);
	return unit_main(suite);
}
