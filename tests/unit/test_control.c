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
static char path[108], error[256], last_request[1024], received[LARGE_BYTES + 16];
static struct control_peer last_peer;
static struct control *control;
static uint64_t now_ns;
static bool follows_large, tells; /* what answer_request() does besides */
static unsigned answers;

static enum control_then answer_request(void *context, const struct control_peer *peer, const char *request, FILE *out)
{
	ck_assert_ptr_eq(context, &last_request);
	last_peer = *peer;
	answers++;
	if (tells)
		control_tell(control, "told\n", "{}\n");
	snprintf(last_request, sizeof(last_request), "%s", request);
	if (strcmp(request, "large") == 0)
		for (unsigned i = 0; i < LARGE_BYTES; i++)
			fputc('a' + i % 26, out);
	else
		fprintf(out, "you said %s\n", request);
	if (strcmp(request, "follow") == 0 || follows_large)
		return CONTROL_FOLLOW_TEXT;
	return strcmp(request, "follow json") == 0 ? CONTROL_FOLLOW_JSON : CONTROL_CLOSE;
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

#define FOLLOWERS_OTHERS (CONTROL_FOLLOWERS_MAX - CONTROL_FOLLOWERS_KEPT)

/* What has come so far, of a connection that stays. */
static const char *heard(int fd)
{
	ssize_t got = recv(fd, received, LARGE_BYTES, MSG_DONTWAIT);

	ck_assert_msg(got >= 0 || errno == EAGAIN, "recv: %s", strerror(errno));
	received[got > 0 ? got : 0] = '\0';
	return received;
}

static int follower(const char *request)
{
	char answer[64];
	int fd = socket_to(path, false);

	say(fd, request);
	serve();
	snprintf(answer, sizeof(answer), "you said %s", request);
	ck_assert_str_eq(heard(fd), answer);
	return fd;
}

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

START_TEST(strangers_who_follow_leave_places_for_those_who_may_change)
{
	int fds[FOLLOWERS_OTHERS], extra;

	restart(&(struct control_setup){.path = path, .everybody_reads = true});
	for (int i = 0; i < FOLLOWERS_OTHERS; i++) {
		fds[i] = socket_as(STRANGER, STRANGER, NULL, 0);
		say(fds[i], "follow\n");
		serve();
		ck_assert_str_eq(heard(fds[i]), "you said follow\n");
	}
	extra = socket_as(STRANGER, STRANGER, NULL, 0);
	say(extra, "follow\n");
	serve();
	hear(extra);
	ck_assert_str_eq(received, "error: too many followers, try again\n");
	close(follower("follow\n"));
	for (int i = 0; i < FOLLOWERS_OTHERS; i++)
		close(fds[i]);
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
		ck_assert_str_eq(control_warning(control), "");
	}
}
END_TEST

START_TEST(a_group_that_we_may_not_give_the_file_to_is_a_warning)
{
	struct control *ungiven;
	struct stat status;

	ck_assert_int_eq(chmod(directory, 0777), 0);
	snprintf(path, sizeof(path), "%s/other.sock", directory);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setegid(STRANGER), 0);
	ck_assert_int_eq(seteuid(STRANGER), 0);
	ungiven = open_as(&(struct control_setup){.path = path, .has_group = true, .group = CONTROL_GROUP});
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_msg(ungiven != NULL, "%s", error);
	ck_assert_ptr_nonnull(strstr(control_warning(ungiven), "to group 4711: "));
	ck_assert_ptr_nonnull(strstr(control_warning(ungiven), "own group 65534, which may look"));
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_gid, STRANGER);
	ck_assert_uint_eq(status.st_mode & 07777, 0660);
	control_close(ungiven);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

/* Its members may connect as everybody may, and are known by their groups. */
START_TEST(a_group_is_not_needed_where_everybody_may_connect)
{
	struct control *ungiven;

	ck_assert_int_eq(chmod(directory, 0777), 0);
	snprintf(path, sizeof(path), "%s/other.sock", directory);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setegid(STRANGER), 0);
	ck_assert_int_eq(seteuid(STRANGER), 0);
	ungiven = open_as(&(struct control_setup){
		.path = path, .has_group = true, .group = CONTROL_GROUP, .everybody_reads = true});
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_msg(ungiven != NULL, "%s", error);
	ck_assert_str_eq(control_warning(ungiven), "");
	control_close(ungiven);
}
END_TEST

static Suite *control_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *clients = tcase_create("clients"), *file = tcase_create("file"), *peers = tcase_create("peers");
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
	tcase_add_test(clients, without_descriptors_accepting_pauses_and_does_not_spin);

	suite_add_tcase(suite, followers);
	tcase_add_checked_fixture(followers, control_start, control_stop);
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
	tcase_add_test(peers, strangers_who_follow_leave_places_for_those_who_may_change);
	tcase_add_test(peers, the_file_belongs_to_the_group_and_is_as_open_as_asked);
	tcase_add_test(peers, a_group_that_we_may_not_give_the_file_to_is_a_warning);
	tcase_add_test(peers, a_group_is_not_needed_where_everybody_may_connect);
	return suite;
}

int main(void)
{
	return unit_main(control_suite());
}
