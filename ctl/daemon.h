/* SPDX-License-Identifier: GPL-2.0-or-later */
/* daemon: the other end of the control socket. synmoat-control(5) tells what is said over it. */
#ifndef SYNMOAT_CTL_DAEMON_H
#define SYNMOAT_CTL_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define DAEMON_ANSWER_TIMEOUT_S 10
#define DAEMON_ERROR_BYTES 512

/* What synmoatctl exits with; synmoatctl(1) lists them. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_ERROR = 1, /* the daemon answered with an error or too much, or found a fault */
	CTL_USAGE = 2,
	CTL_NO_DAEMON = 3,
	CTL_NO_PERMISSION = 4, /* for the socket, or the daemon says so */
};

/* A connection on which neither end is waited for longer than `timeout_s`. On failure `error` says what is wrong and what
 * to do, without a newline. The caller closes `fd`. */
enum ctl_exit daemon_connect(const char *path, unsigned timeout_s, int *fd, char error[DAEMON_ERROR_BYTES]);

/* Sends one request line, which has its newline, and reads all of the answer, with a NUL behind it: the caller's to free.
 * It has to be whole after `timeout_s`. On failure it is NULL, and `error` as above. */
enum ctl_exit daemon_ask(const char *path, unsigned timeout_s, const char *request, char **answer, size_t *answer_bytes,
			 char error[DAEMON_ERROR_BYTES]);

/* Whether an answer tells an error, as text or as JSON, and then of which kind. */
enum ctl_exit daemon_judge(const char *answer);

/* Returns CTL_NO_DAEMON and the words for a daemon that took a connection and said nothing. */
enum ctl_exit daemon_hangs(const char *path, unsigned timeout_s, char error[DAEMON_ERROR_BYTES]);

/* Writes what the daemon said, at once. A terminal gets '?' for each control character but newline and tab, in `text`: who
 * listens at a socket that -s names might be anybody. False, and errno is set, when it cannot be written. */
bool daemon_show(char *text, size_t bytes, FILE *out);

#endif
