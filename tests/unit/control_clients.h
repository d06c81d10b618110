/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control_clients: a control socket, and clients of it. All live in one process and one thread: control_serve() never waits, so
 * the test turns the crank. Time is an argument: nothing here sleeps. */
#ifndef SYNMOAT_CONTROL_CLIENTS_H
#define SYNMOAT_CONTROL_CLIENTS_H

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

static inline enum control_then answer_request(void *context, const struct control_peer *peer, const char *request,
					       FILE *out)
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

static inline struct control *open_as(const struct control_setup *setup)
{
	error[0] = '\0';
	return control_open(setup, answer_request, last_request, error, sizeof(error));
}

static inline struct control *open_at(const char *where)
{
	const struct control_setup setup = {.path = where};

	return open_as(&setup);
}

static inline void control_start(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	chmod(directory, 0755); /* for strangers on their way to the socket */
	snprintf(path, sizeof(path), "%s/run/control.sock", directory);
	now_ns = SECOND;
	control = open_at(path);
	ck_assert_msg(control != NULL, "%s", error);
}

static inline void control_stop(void)
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

static inline int socket_to(const char *where, bool binding)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, where);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((binding ? bind : connect)(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline bool ready(void)
{
	struct pollfd waiting = {.fd = control_fd(control), .events = POLLIN};

	return poll(&waiting, 1, 0) == 1;
}

/* As a caller does: serve while there is something to do. That it ends shows that nothing spins. */
static inline void serve(void)
{
	int rounds = 0;

	control_serve(control, now_ns);
	while (ready()) {
		ck_assert_int_lt(rounds++, 1000);
		control_serve(control, now_ns);
	}
}

static inline void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Everything up to the end of the connection, which is closed. Returns the number of bytes. */
static inline size_t hear(int fd)
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
static inline bool closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

#define FOLLOWERS_OTHERS (CONTROL_FOLLOWERS_MAX - CONTROL_FOLLOWERS_KEPT)

/* What has come so far, of a connection that stays. */
static inline const char *heard(int fd)
{
	ssize_t got = recv(fd, received, LARGE_BYTES, MSG_DONTWAIT);

	ck_assert_msg(got >= 0 || errno == EAGAIN, "recv: %s", strerror(errno));
	received[got > 0 ? got : 0] = '\0';
	return received;
}

static inline int follower(const char *request)
{
	char answer[64];
	int fd = socket_to(path, false);

	say(fd, request);
	serve();
	snprintf(answer, sizeof(answer), "you said %s", request);
	ck_assert_str_eq(heard(fd), answer);
	return fd;
}

#endif
