/* SPDX-License-Identifier: GPL-2.0-or-later */
/* signing: which ways of signing TCP segments this kernel knows. One that it knows, it checks: it drops the SYN of a
 * stranger before that takes room in a backlog (tcp_inbound_hash(), net/ipv4/tcp.c). One that it does not know is just an
 * option to it, and anybody's SYN may carry that. */
#ifndef SYNMOAT_SIGNING_H
#define SYNMOAT_SIGNING_H

#include <stdbool.h>

struct signing {
	bool md5; /* RFC 2385: CONFIG_TCP_MD5SIG */
	bool ao;  /* RFC 5925: CONFIG_TCP_AO, from Linux 6.7 on */
};

/* If in doubt, it is not known. */
struct signing signing_probe(void);

#endif
