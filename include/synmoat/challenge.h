/* SPDX-License-Identifier: GPL-2.0-or-later */
/* challenge: what the SYN-ACK says that goes out in a server's name: the one source for the daemon and, by samples of it,
 * for the program in the kernel (edge/xdp.h). */
#ifndef SYNMOAT_CHALLENGE_H
#define SYNMOAT_CHALLENGE_H

#include "synmoat/cookie.h"
#include "synmoat/packet.h"
#include "synmoat/service.h"

/* Of segments that we make: the hops of Linux, and a window for when the server's own is not known. */
#define HOPS_DEFAULT 64
#define WINDOW_ANNOUNCED 64240

/* Answers as the server would, by what is learned of it. The ISN is the caller's to set: the cookie that carries
 * `carried`. */
void challenge_answer(const struct segment *syn, const struct service_learned *learned, struct segment *answer,
		      struct cookie_options *carried);

#endif
