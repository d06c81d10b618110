/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control_socket: the control socket's file: made with its directory, owner and mode, and removed again. See control.h. */
#ifndef SYNMOAT_CONTROL_SOCKET_H
#define SYNMOAT_CONTROL_SOCKET_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

#include "face/control.h"

struct control_socket {
	int fd; /* that listens, non-blocking; -1: none */
	struct sockaddr_un address;
	dev_t device; /* of the file, to remove only our own */
	ino_t inode;
	char warning[384]; /* "", or why the file is not the control group's */
};

/* As control_open() says. On error it returns -1, nothing is left, and `error` says what is wrong. */
int control_socket_open(struct control_socket *made, const struct control_setup *setup, char *error,
			size_t error_bytes);

void control_socket_close(struct control_socket *made);

#endif
