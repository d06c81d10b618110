/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Server and clients live in one process and one thread: control_serve() never waits, so the test turns the crank. Time
 * is an argument: nothing here sleeps. */
#include "face/control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "unit.h"

#define SECOND UINT64_C(1000000000)
#define LARGE_BYTES (4U << 20) /* more than any socket buffer takes at once */
#define CLIENTS_MAX 64
#define CLIENTS_OTHERS 48 /* who may not change things */
#define STRANGER 65534
#define CONTROL_GROUP 4711

static char directory[] = "/tmp/synmoat-control-XXXXXX";
static char path[108], error[256], last_request[1024], received[LARGE_BYTES + 1];
static struct control_peer last_peer;
static struct control *control;
static uint64_t now_ns;

static void answer_request(void *context, const struct control_peer *peer, const char *request, FILE *out)
{
	ck_assert_ptr_eq(context, &last_request);
	last_peer = *peer;
	snprintf(last_request, sizeof(last_request), "%s", request);
	if (strcmp(request, "large") == 0)
		for (unsigned i = 0; i < LARGE_BYTES; i++)
			fputc('a' + i % 26, out);
	else
		fprintf(out, "you said %s\n", request);
}

static struct control *open_as(const struct control_setup *setup)
{
	error[0] = '\0';
	return control_open(setup, answer_request, last_request, error, sizeof(error));
}

static struct control *open_at(const char *where)
{
	const struct control_setup setup = {.path = where};

	return open_as(&setup);
}

static void control_start(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	chmod(directory, 0755); /* for strangers on their way to the socket */
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

/* --- who is there: as root, who can be somebody else for the time of a connect() ---------------------------------- */

static void restart(const struct control_setup *setup)
{
	control_close(control);
	control = open_as(setup);
	ck_assert_msg(control != NULL, "%s", error);
}

/* A connection of a user with these groups. The kernel notes whose it is in connect(). */
static int socket_as(uid_t uid, gid_t gid, const gid_t *groups, size_t group_count)
{
	int fd;

	ck_assert_int_eq(setgroups(group_count, groups), 0);
	ck_assert_int_eq(setegid(gid), 0);
	ck_assert_int_eq(seteuid(uid), 0);
	fd = socket_to(path, false);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(setegid(0), 0);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	return fd;
}

static bool may_change(int fd)
{
	say(fd, "who am I\n");
	serve();
	hear(fd);
	ck_assert_str_eq(received, "you said who am I\n");
	return last_peer.may_change;
}

START_TEST(root_may_change_and_is_told_by_uid_and_pid)
{
	ck_assert(may_change(socket_to(path, false)));
	ck_assert_uint_eq(last_peer.uid, 0);
	ck_assert_int_eq(last_peer.pid, getpid());
}
END_TEST

START_TEST(a_stranger_may_ask_where_everybody_reads_but_not_change)
{
	restart(&(struct control_setup){.path = path, .everybody_reads = true});
	ck_assert(!may_change(socket_as(STRANGER, STRANGER, NULL, 0)));
	ck_assert_uint_eq(last_peer.uid, STRANGER);
}
END_TEST

START_TEST(a_stranger_is_still_one_in_a_process_of_its_own)
{
	int go[2], status;
	pid_t child;
	char byte;

	restart(&(struct control_setup){
		.path = path, .has_group = true, .group = CONTROL_GROUP, .everybody_reads = true});
	ck_assert_int_eq(pipe(go), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		int fd;

		if (setgroups(0, NULL) != 0 || setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
		    setresuid(STRANGER, STRANGER, STRANGER) != 0)
			_exit(1);
		fd = socket_to(path, false);
		say(fd, "reload\n");
		(void)!write(go[1], "", 1);
		_exit(recv(fd, &byte, 1, 0) == 1 ? 0 : 1);
	}
	ck_assert_int_eq(read(go[0], &byte, 1), 1);
	serve();
	ck_assert_str_eq(last_request, "reload");
	ck_assert(!last_peer.may_change);
	ck_assert_int_eq(last_peer.pid, child);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	close(go[0]);
	close(go[1]);
}
END_TEST

START_TEST(the_control_group_may_change_as_primary_or_supplementary_group)
{
	const gid_t groups[] = {STRANGER - 1, CONTROL_GROUP}, others[] = {STRANGER - 1, CONTROL_GROUP + 1};

	restart(&(struct control_setup){
		.path = path, .has_group = true, .group = CONTROL_GROUP, .everybody_reads = true});
	ck_assert(may_change(socket_as(STRANGER, CONTROL_GROUP, NULL, 0)));
	ck_assert(may_change(socket_as(STRANGER, STRANGER, groups, 2)));
	ck_assert(!may_change(socket_as(STRANGER, STRANGER, others, 2)));
	ck_assert(!may_change(socket_as(STRANGER, 0, NULL, 0)));
}
END_TEST

START_TEST(a_group_among_very_many_counts)
{
	gid_t groups[5000];

	for (unsigned i = 0; i < 5000; i++)
		groups[i] = 10000 + i;
	restart(&(struct control_setup){.path = path, .has_group = true, .group = 14999, .everybody_reads = true});
	ck_assert(may_change(socket_as(STRANGER, STRANGER, groups, 5000)));
	ck_assert(!may_change(socket_as(STRANGER, STRANGER, groups, 4999)));
}
END_TEST

START_TEST(without_a_control_group_none_makes_a_difference)
{
	const gid_t root_group = 0;

	restart(&(struct control_setup){.path = path});
	ck_assert(!may_change(socket_as(STRANGER, 0, NULL, 0)));
	ck_assert(!may_change(socket_as(STRANGER, STRANGER, &root_group, 1)));
}
END_TEST

START_TEST(strangers_cannot_connect_unless_everybody_reads)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	restart(&(struct control_setup){.path = path, .has_group = true, .group = CONTROL_GROUP});
	strcpy(address.sun_path, path);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setegid(STRANGER), 0);
	ck_assert_int_eq(seteuid(STRANGER), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_eq(seteuid(0), 0);
	close(fd);
	ck_assert(may_change(socket_as(STRANGER, CONTROL_GROUP, NULL, 0)));
}
END_TEST

START_TEST(strangers_leave_places_for_those_who_may_change)
{
	int fds[CLIENTS_OTHERS], extra;

	restart(&(struct control_setup){.path = path, .everybody_reads = true});
	for (int i = 0; i < CLIENTS_OTHERS; i++) {
		fds[i] = socket_as(STRANGER, STRANGER, NULL, 0);
		serve();
	}
	extra = socket_as(STRANGER, STRANGER, NULL, 0);
	serve();
	hear(extra);
	ck_assert_str_eq(received, "error: too many clients, try again\n");
	ck_assert(may_change(socket_to(path, false)));
	for (int i = 0; i < CLIENTS_OTHERS; i++)
		ck_assert(!may_change(fds[i]));
}
END_TEST

START_TEST(the_file_belongs_to_the_group_and_is_as_open_as_asked)
{
	struct stat status;

	for (int everybody = 0; everybody <= 1; everybody++) {
		umask(everybody ? 077 : 0);
		restart(&(struct control_setup){
			.path = path, .has_group = true, .group = CONTROL_GROUP, .everybody_reads = everybody});
		ck_assert_int_eq(stat(path, &status), 0);
		ck_assert_uint_eq(status.st_mode & 07777, everybody ? 0666 : 0660);
		ck_assert_uint_eq(status.st_gid, CONTROL_GROUP);
		ck_assert_uint_eq(status.st_uid, 0);
	}
}
END_TEST

START_TEST(a_group_that_we_may_not_give_the_file_to_is_an_error)
{
	struct control *refused;

	ck_assert_int_eq(chmod(directory, 0777), 0);
	snprintf(path, sizeof(path), "%s/other.sock", directory);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setegid(STRANGER), 0);
	ck_assert_int_eq(seteuid(STRANGER), 0);
	refused = open_as(&(struct control_setup){.path = path, .has_group = true, .group = CONTROL_GROUP});
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_ptr_null(refused);
	ck_assert_ptr_nonnull(strstr(error, "to group 4711: "));
	ck_assert_ptr_nonnull(strstr(error, strerror(EPERM)));
	ck_assert_int_eq(access(path, F_OK), -1); /* nothing is left */
}
END_TEST

static Suite *control_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *clients = tcase_create("clients"), *file = tcase_create("file"), *peers = tcase_create("peers");

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
	tcase_add_test(clients, without_descriptors_accepting_pauses_and_does_not_spin);

	suite_add_tcase(suite, file);
	tcase_add_checked_fixture(file, control_start, control_stop);
	tcase_add_test(file, directory_and_socket_have_their_modes);
	tcase_add_test(file, a_socket_in_use_is_refused_and_left_alone);
	tcase_add_test(file, a_stale_socket_is_replaced);
	tcase_add_test(file, a_file_that_is_no_socket_is_left_alone);
	tcase_add_test(file, closing_removes_the_file_but_not_another_one);
	tcase_add_test(file, an_impossible_path_is_an_error);

	if (geteuid() != 0)
		return suite;
	suite_add_tcase(suite, peers);
	tcase_add_checked_fixture(peers, control_start, control_stop);
	tcase_add_test(peers, root_may_change_and_is_told_by_uid_and_pid);
	tcase_add_test(peers, a_stranger_may_ask_where_everybody_reads_but_not_change);
	tcase_add_test(peers, a_stranger_is_still_one_in_a_process_of_its_own);
	tcase_add_test(peers, the_control_group_may_change_as_primary_or_supplementary_group);
	tcase_add_test(peers, a_group_among_very_many_counts);
	tcase_add_test(peers, without_a_control_group_none_makes_a_difference);
	tcase_add_test(peers, strangers_cannot_connect_unless_everybody_reads);
	tcase_add_test(peers, strangers_leave_places_for_those_who_may_change);
	tcase_add_test(peers, the_file_belongs_to_the_group_and_is_as_open_as_asked);
	tcase_add_test(peers, a_group_that_we_may_not_give_the_file_to_is_an_error);
	return suite;
}

int main(void)
{
	return unit_main(control_suite());
}
