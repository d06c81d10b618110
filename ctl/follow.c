/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "follow.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

/* Whoever ends us by a signal, or takes no more of what we say, has had what he wanted. */
static void catch_stops(void)
{
	struct sigaction action = {.sa_handler = stop}; /* without SA_RESTART: a wait ends */

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool follow_is_asked(const char *request)
{
	return strncmp(request, "events ", 7) == 0 && strstr(request, " --follow");
}

/* Whether the answer begins at once: there always is an event that has been, the daemon's own start at least. */
static bool begins_at_once(const char *request)
{
	const char *last = strstr(request, " --last ");

	return !last || strtoul(last + 8, NULL, 10) > 0;
}

enum waited {
	MORE,
	NOTHING,
	STOP
};

/* Waits for more of the answer, with a limit or without (NULL). STOP: nobody reads ours any more, or a signal said so. */
static enum waited follow_wait(int fd, const struct timespec *limit, const sigset_t *before)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};
	int ready;

	if (stopped)
		return STOP;
	ready = ppoll(fds, 2, limit, before);
	if (ready < 0)
		return errno == EINTR && !stopped ? MORE : STOP;
	if (fds[1].revents & (POLLERR | POLLHUP))
		return STOP;
	return ready ? MORE : NOTHING;
}

/* Copies what comes, as it comes, until the daemon closes. */
static enum ctl_exit follow_copy(int fd, const char *path, bool at_once, const sigset_t *before)
{
	static const struct timespec first = {.tv_sec = DAEMON_ANSWER_TIMEOUT_S};
	enum ctl_exit result = CTL_OK;
	char chunk[4096], error[DAEMON_ERROR_BYTES];
	bool begun = false;
	enum waited waited;

	while ((waited = follow_wait(fd, at_once && !begun ? &first : NULL, before)) != STOP) {
		ssize_t got;

		if (waited == NOTHING) {
			result = daemon_hangs(path, DAEMON_ANSWER_TIMEOUT_S, error);
			fprintf(stderr, "synmoatctl: %s\n", error);
			return result;
		}
		got = recv(fd, chunk, sizeof(chunk) - 1, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0) {
			if (result == CTL_OK)
				fputs("synmoatctl: the daemon has closed: it stopped, or we were too slow\n", stderr);
			return result == CTL_OK ? CTL_NO_DAEMON : result;
		}
		chunk[got] = '\0';
		if (!begun) /* an error is a line that comes at once */
			result = daemon_judge(chunk);
		begun = true;
		if (!daemon_show(chunk, (size_t)got, result == CTL_OK ? stdout : stderr)) {
			if (errno == EPIPE)
				return CTL_OK;
			fprintf(stderr, "synmoatctl: cannot write the answer: %s\n", strerror(errno));
			return CTL_ERROR;
		}
	}
	return result;
}

enum ctl_exit follow_events(const char *path, const char *request)
{
	char error[DAEMON_ERROR_BYTES];
	enum ctl_exit result;
	sigset_t stops, before;
	int fd = -1;

	/* Signals come while we wait, and at no other time. */
	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGHUP);
	sigprocmask(SIG_BLOCK, &stops, &before);
	catch_stops();
	result = daemon_connect(path, DAEMON_ANSWER_TIMEOUT_S, &fd, error);
	if (result != CTL_OK) {
		fprintf(stderr, "synmoatctl: %s\n", error);
		return result;
	}
	(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
	result = follow_copy(fd, path, begins_at_once(request), &before);
	close(fd);
	return result;
}
