/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control_clients.h"

START_TEST(a_request_is_answered_and_closed)
{
	int fd = socket_to(path, false);

	say(fd, "status json\n");
	serve();
	hear(fd);
	ck_assert_str_eq(received, "you said status json\n");
	ck_assert(!ready());
}
END_TEST

START_TEST(a_request_in_pieces_is_put_together)
{
	int fd = socket_to(path, false);

	say(fd, "sta");
	serve();
	ck_assert_str_eq(last_request, "");
	say(fd, "tus\nand more");
	serve();
	hear(fd);
	ck_assert_str_eq(received, "you said status\n");
}
END_TEST

START_TEST(the_end_of_input_ends_the_line)
{
	int fd = socket_to(path, false);

	say(fd, "status");
	shutdown(fd, SHUT_WR);
	serve();
	hear(fd);
	ck_assert_str_eq(received, "you said status\n");
}
END_TEST

START_TEST(a_client_that_says_nothing_gets_nothing)
{
	int fd = socket_to(path, false);

	shutdown(fd, SHUT_WR);
	serve();
	ck_assert_uint_eq(hear(fd), 0);
	ck_assert_str_eq(last_request, "");
}
END_TEST

START_TEST(a_line_of_512_bytes_is_taken)
{
	int fd = socket_to(path, false);
	char line[514];

	memset(line, 'x', sizeof(line));
	strcpy(line + 512, "\n");
	say(fd, line);
	serve();
	hear(fd);
	ck_assert_uint_eq(strlen(last_request), 512);
}
END_TEST

START_TEST(a_longer_line_is_refused_without_a_reset)
{
	char line[1024];

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	for (size_t bytes = 513; bytes < sizeof(line); bytes += 127) {
		int fd = socket_to(path, false);

		say(fd, line + sizeof(line) - 1 - bytes);
		serve();
		hear(fd);
		ck_assert_str_eq(received, "error: request longer than 512 bytes\n");
		ck_assert_str_eq(last_request, "");
	}
}
END_TEST

START_TEST(a_large_answer_is_written_as_the_client_reads)
{
	int fd = socket_to(path, false), other = socket_to(path, false);
	unsigned wrong = 0;

	say(fd, "large\n");
	serve(); /* returns, with most of the answer still to go */
	say(other, "status\n");
	serve();
	hear(other);
	ck_assert_str_eq(received, "you said status\n");
	ck_assert_uint_eq(hear(fd), LARGE_BYTES);
	for (unsigned i = 0; i < LARGE_BYTES; i++)
		wrong += received[i] != (char)('a' + i % 26); /* an assertion per byte would take seconds */
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(a_client_that_leaves_in_the_middle_of_its_answer_is_forgotten)
{
	int fd = socket_to(path, false);

	say(fd, "large\n");
	serve();
	close(fd);
	serve(); /* no SIGPIPE */
	ck_assert(!ready());
}
END_TEST

START_TEST(a_silent_client_is_closed_after_5_s)
{
	int fd = socket_to(path, false);

	serve();
	now_ns += 5 * SECOND;
	serve();
	ck_assert(!closed(fd));
	now_ns++;
	serve();
	ck_assert(closed(fd));
	close(fd);
}
END_TEST

START_TEST(a_client_that_stops_reading_is_closed_after_5_s)
{
	int fd = socket_to(path, false);
	size_t bytes = 0;
	ssize_t got;

	say(fd, "large\n");
	serve();
	now_ns += 4 * SECOND;
	ck_assert_int_gt(recv(fd, received, LARGE_BYTES, MSG_DONTWAIT), 0);
	serve(); /* progress: the 5 s begin again */
	now_ns += 5 * SECOND;
	serve();
	now_ns++;
	serve();
	while ((got = recv(fd, received, LARGE_BYTES, MSG_DONTWAIT)) > 0)
		bytes += (size_t)got;
	ck_assert_int_eq(got, 0);
	ck_assert_uint_lt(bytes, LARGE_BYTES);
	close(fd);
}
END_TEST

START_TEST(one_client_too_many_is_refused_and_the_others_served)
{
	int fds[CLIENTS_MAX], extra, places = geteuid() == 0 ? CLIENTS_MAX : CLIENTS_OTHERS;

	for (int i = 0; i < places; i++) {
		fds[i] = socket_to(path, false);
		serve();
	}
	extra = socket_to(path, false);
	serve();
	hear(extra);
	ck_assert_str_eq(received, "error: too many clients, try again\n");

	for (int i = 0; i < places; i++) {
		say(fds[i], "status\n");
		serve();
		hear(fds[i]);
		ck_assert_str_eq(received, "you said status\n");
	}
	extra = socket_to(path, false);
	say(extra, "again\n");
	serve();
	hear(extra);
	ck_assert_str_eq(received, "you said again\n");
}
END_TEST

/* An answer may take long: the caller has something else to do in between. */
START_TEST(many_requests_at_once_are_answered_a_few_at_a_time)
{
	unsigned before = answers;
	int fds[20], rounds = 0;

	for (int i = 0; i < 20; i++) {
		fds[i] = socket_to(path, false);
		serve();
	}
	for (int i = 0; i < 20; i++)
		say(fds[i], "status\n");
	while (answers - before < 20) {
		unsigned begun = answers;

		ck_assert(ready());
		ck_assert_int_lt(rounds++, 20);
		now_ns += 4 * SECOND; /* whoever is kept waiting is not idle */
		control_serve(control, now_ns);
		ck_assert_uint_le(answers - begun, 4);
	}
	for (int i = 0; i < 20; i++) {
		hear(fds[i]);
		ck_assert_str_eq(received, "you said status\n");
	}
}
END_TEST

/* --- followers ---------------------------------------------------------------------------------------------------- */

START_TEST(a_follower_gets_every_later_line_in_its_form)
{
	int text = follower("follow\n"), json = follower("follow json\n"), other = socket_to(path, false);

	serve();
	control_tell(control, "one\n", "{1}\n");
	control_tell(control, "two\n", "{2}\n");
	ck_assert_str_eq(heard(text), "one\ntwo\n");
	ck_assert_str_eq(heard(json), "{1}\n{2}\n");
	ck_assert_str_eq(heard(other), "");
	ck_assert(!ready());
	close(text);
	close(json);
	close(other);
}
END_TEST

START_TEST(lines_come_behind_the_whole_answer)
{
	int fd = socket_to(path, false);
	size_t bytes = 0;

	follows_large = true;
	say(fd, "large\n");
	serve();
	control_tell(control, "one\n", "{1}\n");
	control_tell(control, "two\n", "{2}\n");
	while (bytes < LARGE_BYTES + 8) {
		ssize_t got = recv(fd, received + bytes, LARGE_BYTES + 9 - bytes, MSG_DONTWAIT);

		ck_assert_int_gt(got, 0);
		bytes += (size_t)got;
		serve();
	}
	ck_assert_mem_eq(received + LARGE_BYTES, "one\ntwo\n", 8);
	control_tell(control, "three\n", "{3}\n");
	ck_assert_str_eq(heard(fd), "three\n");
	close(fd);
}
END_TEST

START_TEST(a_follower_has_no_time_limit)
{
	int fd = follower("follow\n");

	now_ns += 3600 * SECOND;
	serve();
	ck_assert(!closed(fd));
	control_tell(control, "one\n", "{1}\n");
	ck_assert_str_eq(heard(fd), "one\n");
	close(fd);
}
END_TEST

START_TEST(a_follower_that_has_nothing_more_to_say_gets_lines)
{
	int fd = socket_to(path, false);

	say(fd, "follow");
	shutdown(fd, SHUT_WR);
	serve(); /* would count to 1000 */
	ck_assert_str_eq(heard(fd), "you said follow\n");
	ck_assert(!ready());
	control_tell(control, "one\n", "{1}\n");
	ck_assert_str_eq(heard(fd), "one\n");
	ck_assert(!ready());
	close(fd);
}
END_TEST

START_TEST(what_a_follower_goes_on_saying_is_not_listened_to)
{
	int fd = follower("follow\n");

	last_request[0] = '\0';
	say(fd, "status\n");
	serve();
	ck_assert(!ready());
	ck_assert_str_eq(last_request, "");
	control_tell(control, "one\n", "{1}\n");
	ck_assert_str_eq(heard(fd), "one\n");
	close(fd);
}
END_TEST

START_TEST(a_follower_that_hangs_up_is_forgotten_at_once)
{
	for (int i = 0; i < 3 * CONTROL_FOLLOWERS_MAX; i++) {
		close(follower("follow\n"));
		ck_assert(ready());
		serve();
	}
	close(follower("follow\n"));
	control_tell(control, "one\n", "{1}\n"); /* no SIGPIPE */
	serve();
	ck_assert(!ready());
}
END_TEST

/* Sends numbered lines until the follower is closed, or `most` bytes. Returns how many bytes, and lines. */
static size_t tell_many(int fd, size_t most, unsigned *lines)
{
	struct pollfd hung_up = {.fd = fd};
	size_t bytes = 0;
	char text[64];

	for (*lines = 0; bytes < most && poll(&hung_up, 1, 0) == 0; bytes += strlen(text)) {
		snprintf(text, sizeof(text), "%u\n", (*lines)++);
		control_tell(control, text, "{}\n");
	}
	return bytes;
}

START_TEST(a_follower_who_does_not_read_is_closed_and_harms_nobody)
{
	int slow = follower("follow\n"), quick = follower("follow json\n"), other = socket_to(path, false);
	unsigned lines, got = 0;
	size_t bytes = tell_many(slow, LARGE_BYTES, &lines);

	ck_assert_uint_gt(bytes, CONTROL_BEHIND_MAX);
	ck_assert_uint_lt(bytes, LARGE_BYTES); /* the socket's buffer is bounded, too: unix(7), net.core.wmem_default */
	say(other, "status\n");
	serve();
	hear(other);
	ck_assert_str_eq(received, "you said status\n");
	while (*heard(quick)) {
		got += (unsigned)strlen(received) / 3;
		serve();
	}
	ck_assert_uint_eq(got, lines);
	ck_assert(strncmp(heard(slow), "0\n1\n2\n", 6) == 0); /* what was sent comes still */
	while (*heard(slow))
		;
	ck_assert(closed(slow));
	close(slow);
	close(quick);
}
END_TEST

START_TEST(a_follower_who_reads_again_in_time_has_missed_nothing)
{
	int fd = follower("follow\n");
	struct pollfd room = {.fd = fd, .events = POLLIN};
	char *pending = received;
	size_t bytes = 0, told;
	unsigned lines;

	told = tell_many(fd, CONTROL_BEHIND_MAX, &lines); /* some in the socket, most behind */
	while (poll(&room, 1, 0) == 1) {
		ssize_t got = recv(fd, received + bytes, LARGE_BYTES - bytes, MSG_DONTWAIT);

		ck_assert_int_gt(got, 0);
		bytes += (size_t)got;
		serve();
	}
	ck_assert_uint_eq(bytes, told);
	received[bytes] = '\0';
	for (unsigned next = 0; next < lines; next++)
		ck_assert_uint_eq(strtoul(pending, &pending, 10), next);
	ck_assert_str_eq(pending, "\n");
	ck_assert(!ready());
	close(fd);
}
END_TEST

START_TEST(one_follower_too_many_is_refused)
{
	int fds[CONTROL_FOLLOWERS_MAX], extra;
	int places = geteuid() == 0 ? CONTROL_FOLLOWERS_MAX : FOLLOWERS_OTHERS;

	for (int i = 0; i < places; i++)
		fds[i] = follower("follow\n");
	extra = socket_to(path, false);
	say(extra, "follow\n");
	serve();
	hear(extra);
	ck_assert_str_eq(received, "error: too many followers, try again\n");
	for (int i = 0; i < places; i++) {
		control_tell(control, "one\n", "{1}\n");
		ck_assert_ptr_nonnull(strstr(heard(fds[i]), "one\n"));
	}
	close(fds[0]);
	serve();
	close(follower("follow\n"));
	for (int i = 1; i < places; i++)
		close(fds[i]);
}
END_TEST

START_TEST(followers_take_no_place_of_those_who_ask)
{
	int followers[CONTROL_FOLLOWERS_MAX], fds[CLIENTS_MAX], extra;
	int follow = geteuid() == 0 ? CONTROL_FOLLOWERS_MAX : FOLLOWERS_OTHERS;
	int places = geteuid() == 0 ? CLIENTS_MAX : CLIENTS_OTHERS;

	for (int i = 0; i < follow; i++)
		followers[i] = follower("follow\n");
	for (int i = 0; i < places; i++) {
		fds[i] = socket_to(path, false);
		serve();
	}
	extra = socket_to(path, false);
	serve();
	hear(extra);
	ck_assert_str_eq(received, "error: too many clients, try again\n");
	for (int i = 0; i < places; i++) {
		say(fds[i], "status\n");
		serve();
		hear(fds[i]);
		ck_assert_str_eq(received, "you said status\n");
	}
	for (int i = 0; i < follow; i++)
		close(followers[i]);
}
END_TEST

START_TEST(a_line_may_be_told_while_a_request_is_answered)
{
	int fd = follower("follow\n"), gone = follower("follow\n"), other = socket_to(path, false);

	tells = true;
	close(gone); /* and whoever hung up in the same round is closed once */
	say(other, "change\n");
	serve();
	hear(other);
	ck_assert_str_eq(received, "you said change\n");
	ck_assert_str_eq(heard(fd), "told\n");
	close(fd);
}
END_TEST

START_TEST(without_descriptors_accepting_pauses_and_does_not_spin)
{
	int fd = socket_to(path, false);
	struct rlimit limit, none;

	say(fd, "status\n");
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	serve(); /* would count to 1000 */
	ck_assert(!ready());
	setrlimit(RLIMIT_NOFILE, &limit);
	now_ns += SECOND;
	serve();
	hear(fd);
	ck_assert_str_eq(received, "you said status\n");
}
END_TEST

START_TEST(directory_and_socket_have_their_modes)
{
	char run[64];
	struct stat status;

	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0660);
	snprintf(run, sizeof(run), "%s/run", directory);
	ck_assert_int_eq(stat(run, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0755);
}
END_TEST

START_TEST(a_socket_in_use_is_refused_and_left_alone)
{
	int fd;

	ck_assert_ptr_null(open_at(path));
	ck_assert_ptr_nonnull(strstr(error, "is in use"));
	fd = socket_to(path, false);
	say(fd, "status\n");
	serve();
	hear(fd);
	ck_assert_str_eq(received, "you said status\n");
}
END_TEST

START_TEST(a_stale_socket_is_replaced)
{
	control_close(control);
	close(socket_to(path, true)); /* bound, and nobody listens any more */
	control = open_at(path);
	ck_assert_msg(control != NULL, "%s", error);
	close(socket_to(path, false));
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_left_alone)
{
	struct stat status;

	control_close(control);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	control = open_at(path);
	ck_assert_ptr_null(control);
	ck_assert_ptr_nonnull(strstr(error, "the file exists and is no socket"));
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert(S_ISREG(status.st_mode));
}
END_TEST

START_TEST(closing_removes_the_file_but_not_another_one)
{
	struct stat status;
	int other;

	control_close(control);
	ck_assert_int_eq(stat(path, &status), -1);

	control = open_at(path);
	unlink(path);
	other = socket_to(path, true);
	control_close(control);
	control = NULL;
	ck_assert_int_eq(stat(path, &status), 0);
	close(other);
}
END_TEST

START_TEST(an_impossible_path_is_an_error)
{
	char expected[256];
	char longest[200];

	ck_assert_ptr_null(open_at("/nonexistent/deep/control.sock"));
	snprintf(expected, sizeof(expected), "cannot create /nonexistent/deep for the control socket: %s",
		 strerror(ENOENT));
	ck_assert_str_eq(error, expected);

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[108] = '\0';
	ck_assert_ptr_null(open_at(longest));
	ck_assert_ptr_nonnull(strstr(error, "the path is longer than 107 bytes"));
}
END_TEST

static Suite *control_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *clients = tcase_create("clients");
	TCase *file = tcase_create("file");
	TCase *followers = tcase_create("followers");

	suite_add_tcase(suite, clients);
	tcase_add_checked_fixture(clients, control_start, control_stop);
	tcase_add_test(clients, a_request_is_answered_and_closed);
	tcase_add_test(clients, a_request_in_pieces_is_put_together);
	tcase_add_test(clients, the_end_of_input_ends_the_line);
	tcase_add_test(clients, a_client_that_says_nothing_gets_nothing);
	tcase_add_test(clients, a_line_of_512_bytes_is_taken);
	tcase_add_test(clients, a_longer_line_is_refused_without_a_reset);
	tcase_add_test(clients, a_large_answer_is_written_as_the_client_reads);
	tcase_add_test(clients, a_client_that_leaves_in_the_middle_of_its_answer_is_forgotten);
	tcase_add_test(clients, a_silent_client_is_closed_after_5_s);
	tcase_add_test(clients, a_client_that_stops_reading_is_closed_after_5_s);
	tcase_add_test(clients, one_client_too_many_is_refused_and_the_others_served);
	tcase_add_test(clients, many_requests_at_once_are_answered_a_few_at_a_time);
	tcase_add_test(clients, without_descriptors_accepting_pauses_and_does_not_spin);

	suite_add_tcase(suite, file);
	tcase_add_checked_fixture(file, control_start, control_stop);
	tcase_add_test(file, directory_and_socket_have_their_modes);
	tcase_add_test(file, a_socket_in_use_is_refused_and_left_alone);
	tcase_add_test(file, a_stale_socket_is_replaced);
	tcase_add_test(file, a_file_that_is_no_socket_is_left_alone);
	tcase_add_test(file, closing_removes_the_file_but_not_another_one);
	tcase_add_test(file, an_impossible_path_is_an_error);

	suite_add_tcase(suite, followers);
	tcase_add_checked_fixture(followers, control_start, control_stop);
	tcase_add_test(followers, a_follower_gets_every_later_line_in_its_form);
	tcase_add_test(followers, lines_come_behind_the_whole_answer);
	tcase_add_test(followers, a_follower_has_no_time_limit);
	tcase_add_test(followers, a_follower_that_has_nothing_more_to_say_gets_lines);
	tcase_add_test(followers, what_a_follower_goes_on_saying_is_not_listened_to);
	tcase_add_test(followers, a_follower_that_hangs_up_is_forgotten_at_once);
	tcase_add_test(followers, a_follower_who_does_not_read_is_closed_and_harms_nobody);
	tcase_add_test(followers, a_follower_who_reads_again_in_time_has_missed_nothing);
	tcase_add_test(followers, one_follower_too_many_is_refused);
	tcase_add_test(followers, followers_take_no_place_of_those_who_ask);
	tcase_add_test(followers, a_line_may_be_told_while_a_request_is_answered);
	return suite;
}

int main(void)
{
	return unit_main(control_suite());
}
