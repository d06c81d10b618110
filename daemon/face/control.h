/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control: the Unix stream socket. One line of at most 512 bytes in, one answer out, then the daemon closes, or the
 * client follows: it gets every later line of control_tell(), too. Never blocks its caller: slow clients are served
 * piecemeal and closed when they stall for 5 s, followers when they are too far behind. There is room for 64 clients, 16
 * of them those who may change things, whoever else keeps coming; and besides for 16 followers, 4 of them likewise. One
 * that finds no room, or sends a longer line, gets "error: ..." at once. */
#ifndef SYNMOAT_CONTROL_H
#define SYNMOAT_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define CONTROL_FOLLOWERS_MAX 16
#define CONTROL_FOLLOWERS_KEPT 4 /* for those who may change things */
#define CONTROL_BEHIND_MAX 65536 /* bytes, beside what the socket takes */

struct control;

/* Who is at the other end, as the kernel knew it when they connected (SO_PEERCRED, SO_PEERGROUPS: unix(7)). */
struct control_peer {
	uid_t uid;
	pid_t pid;       /* 0: in a PID namespace that we do not see */
	bool may_change; /* root, our own user, or in the control group by whichever of its groups */
};

/* What becomes of the client behind its answer. */
enum control_then {
	CONTROL_CLOSE,
	CONTROL_FOLLOW_TEXT, /* it gets the text of every later control_tell(), too */
	CONTROL_FOLLOW_JSON,
};

/* Answers one request line (no newline) to `out`, a memory stream. */
typedef enum control_then control_answer(void *context, const struct control_peer *peer, const char *request,
					 FILE *out);

struct control_setup {
	const char *path;
	bool has_group; /* else the file stays with our own group, and only root and our own user may change things */
	gid_t group;
	bool everybody_reads; /* any local user may connect: mode 0666 instead of 0660 */
};

/* Binds and listens. A socket file that nobody answers on is replaced; one that is in use is an error, so is a path
 * whose directory is missing (the last directory is created, mode 0755). With a group that we may not give the file to it
 * stays with our own: control_warning().
 * At no moment is the file open to anybody whom `setup` does not name. On error it returns NULL and `error` says what is
 * wrong. */
struct control *control_open(const struct control_setup *setup, control_answer *answer, void *context, char *error,
			     size_t error_bytes);

/* "", or a sentence: the socket could not be given to the control group, whose members it keeps out. */
const char *control_warning(const struct control *control);

/* An epoll descriptor, readable when control_serve() has something to do. Owned by the control. */
int control_fd(const struct control *control);

/* Does what can be done now without waiting, but answers only a few requests: the others come with the next call. `now_ns`
 * is CLOCK_MONOTONIC. Call it when control_fd() is readable, and about once a second so that idle clients are closed. */
void control_serve(struct control *control, uint64_t now_ns);

/* Sends one line, with its newline, to those who follow, each in its form. Never blocks: one who does not keep up is closed
 * when more than CONTROL_BEHIND_MAX bytes wait for him. Followers have no time limit, may shut down their side, and are
 * closed when they hang up. May be called while a request is answered. */
void control_tell(struct control *control, const char *text, const char *json);

/* Closes all and removes the socket file. */
void control_close(struct control *control);

#endif
