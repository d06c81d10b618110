/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control: the Unix stream socket. One line of at most 256 bytes in, one answer out, then the daemon closes. Never
 * blocks its caller: slow clients are served piecemeal and closed when they stall for 5 s. A client beyond the 64th, or
 * with a longer line, gets "error: ..." at once. */
#ifndef SYNMOAT_CONTROL_H
#define SYNMOAT_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct control;

/* Answers one request line (no newline) to `out`, a memory stream. */
typedef void control_answer(void *context, const char *request, FILE *out);

/* Binds and listens. A socket file that nobody answers on is replaced; one that is in use is an error, so is a path
 * whose directory is missing (the last directory is created, mode 0755). The socket file gets mode 0660. On error it
 * returns NULL and `error` says what is wrong. */
struct control *control_open(const char *path, control_answer *answer, void *context, char *error, size_t error_bytes);

/* An epoll descriptor, readable when control_serve() has something to do. Owned by the control. */
int control_fd(const struct control *control);

/* Does what can be done now without waiting; `now_ns` is CLOCK_MONOTONIC. Call it when control_fd() is readable, and
 * about once a second so that idle clients are closed. */
void control_serve(struct control *control, uint64_t now_ns);

/* Closes all and removes the socket file. */
void control_close(struct control *control);

#endif
