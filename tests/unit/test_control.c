/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Server and clients live in one process and one thread: control_serve() never waits, so the test turns the crank. Time
 * is an argument: nothing here sleeps. */
#include "face/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "unit.h"

#define SECOND UINT64_C(1000000000)
#define LARGE_BYTES (4U << 20) /* more than any socket buffer takes at once */
#define CLIENTS_MAX 64

static char directory[] = "/tmp/synmoat-control-XXXXXX";
static char path[108], error[256], last_request[512], received[LARGE_BYTES + 1];
static struct control *control;
static uint64_t now_ns;

static void answer_request(void *context, const char *request, FILE *out)
{
	ck_assert_ptr_eq(context, &last_request);
	snprintf(last_request, sizeof(last_request), "%s", request);
	if (strcmp(request, "large") == 0)
		for (unsigned i = 0; i < LARGE_BYTES; i++)
			fputc('a' + i % 26, out);
	else
		fprintf(out, "you said %s\n", request);
}

static struct control *open_at(const char *where)
{
	error[0] = '\0';
	return control_open(where, answer_request, last_request, error, sizeof(error));
}

static void control_start(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/run/control.sock", directory);
	now_ns = SECOND;
	control = open_at(path);
	ck_assert_msg(control != NULL, "%s", error);
}

static void control_stop(void)
{
	char run[64];

	if (control)
		control_close(control);
	control = NULL;
	unlink(path);
	snprintf(run, sizeof(run), "%s/run", directory);
	rmdir(run);
	rmdir(directory);
}

static int socket_to(const char *where, bool binding)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, where);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((binding ? bind : connect)(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static bool ready(void)
{
	struct pollfd waiting = {.fd = control_fd(control), .events = POLLIN};

	return poll(&waiting, 1, 0) == 1;
}

/* As a caller does: serve while there is something to do. That it ends shows that nothing spins. */
static void serve(void)
{
	int rounds = 0;

	control_serve(control, now_ns);
	while (ready()) {
		ck_assert_int_lt(rounds++, 1000);
		control_serve(control, now_ns);
	}
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Everything up to the end of the connection, which is closed. Returns the number of bytes. */
static size_t hear(int fd)
{
	size_t bytes = 0;
	ssize_t got;

	while (bytes < LARGE_BYTES && (got = recv(fd, received + bytes, LARGE_BYTES - bytes, MSG_DONTWAIT)) != 0) {
		ck_assert_msg(got > 0 || errno == EAGAIN, "recv: %s", strerror(errno));
		if (got > 0)
			bytes += (size_t)got;
		else
			ck_assert(ready());
		serve();
	}
	received[bytes] = '\0';
	close(fd);
	return bytes;
}

/* Whether the other side has closed, with nothing left to read. */
static bool closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

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

START_TEST(a_line_of_256_bytes_is_taken)
{
	int fd = socket_to(path, false);
	char line[258];

	memset(line, 'x', sizeof(line));
	strcpy(line + 256, "\n");
	say(fd, line);
	serve();
	hear(fd);
	ck_assert_uint_eq(strlen(last_request), 256);
}
END_TEST

START_TEST(a_longer_line_is_refused_without_a_reset)
{
	char line[1024];

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	for (size_t bytes = 257; bytes < sizeof(line); bytes += 383) {
		int fd = socket_to(path, false);

		say(fd, line + sizeof(line) - 1 - bytes);
		serve();
		hear(fd);
		ck_assert_str_eq(received, "error: request longer than 256 bytes\n");
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
	int fds[CLIENTS_MAX], extra;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		fds[i] = socket_to(path, false);
		serve();
	}
	extra = socket_to(path, false);
	serve();
	hear(extra);
	ck_assert_str_eq(received, "error: too many clients, try again\n");

	for (int i = 0; i < CLIENTS_MAX; i++) {
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
	TCase *clients = tcase_create("clients"), *file = tcase_create("file");

	suite_add_tcase(suite, clients);
	tcase_add_checked_fixture(clients, control_start, control_stop);
	tcase_add_test(clients, a_request_is_answered_and_closed);
	tcase_add_test(clients, a_request_in_pieces_is_put_together);
	tcase_add_test(clients, the_end_of_input_ends_the_line);
	tcase_add_test(clients, a_client_that_says_nothing_gets_nothing);
	tcase_add_test(clients, a_line_of_256_bytes_is_taken);
	tcase_add_test(clients, a_longer_line_is_refused_without_a_reset);
	tcase_add_test(clients, a_large_answer_is_written_as_the_client_reads);
	tcase_add_test(clients, a_client_that_leaves_in_the_middle_of_its_answer_is_forgotten);
	tcase_add_test(clients, a_silent_client_is_closed_after_5_s);
	tcase_add_test(clients, a_client_that_stops_reading_is_closed_after_5_s);
	tcase_add_test(clients, one_client_too_many_is_refused_and_the_others_served);
	tcase_add_test(clients, without_descriptors_accepting_pauses_and_does_not_spin);

	suite_add_tcase(suite, file);
	tcase_add_checked_fixture(file, control_start, control_stop);
	tcase_add_test(file, directory_and_socket_have_their_modes);
	tcase_add_test(file, a_socket_in_use_is_refused_and_left_alone);
	tcase_add_test(file, a_stale_socket_is_replaced);
	tcase_add_test(file, a_file_that_is_no_socket_is_left_alone);
	tcase_add_test(file, closing_removes_the_file_but_not_another_one);
	tcase_add_test(file, an_impossible_path_is_an_error);
	return suite;
}

int main(void)
{
	return unit_main(control_suite());
}
