/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int journal_open(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* A datagram is an entry, a line "NAME=value" a field. */
int journal_send(int fd, const char *path, const struct journal_field *fields, size_t count)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char entry[JOURNAL_ENTRY_BYTES];
	size_t used = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	for (size_t i = 0; i < count; i++) {
		if (strchr(fields[i].value, '\n'))
			return -EINVAL;
		if (used + strlen(fields[i].name) + strlen(fields[i].value) + sizeof("=\n") > sizeof(entry))
			return -EMSGSIZE;
		used += (size_t)sprintf(entry + used, "%s=%s\n", fields[i].name, fields[i].value);
	}
	if (sendto(fd, entry, used, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}
