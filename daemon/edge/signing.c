/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/signing.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef TCP_AO_ADD_KEY
#define TCP_AO_ADD_KEY 38 /* linux/tcp.h */
#endif

/* Too short for a key: a kernel that knows the option finds fault with that, one that does not with the option. */
static bool knows(int fd, int option)
{
	int too_short = 0;

	return setsockopt(fd, IPPROTO_TCP, option, &too_short, sizeof(too_short)) < 0 && errno == EINVAL;
}

struct signing signing_probe(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct signing signing = {.md5 = knows(fd, TCP_MD5SIG), .ao = knows(fd, TCP_AO_ADD_KEY)};

	if (fd >= 0)
		close(fd);
	return signing;
}
