/* SPDX-License-Identifier: GPL-2.0-or-later */
/* journal: entries with fields for systemd-journald, by its native protocol (systemd.io, "Journal native protocol"; that is
 * stable). Not by sd_journal_sendv(3): that waits while journald's queue is full, as when journald hangs or is started
 * anew (its socket stays), and takes a missing socket for success. Never waits, and the caller is told. */
#ifndef SYNMOAT_JOURNAL_H
#define SYNMOAT_JOURNAL_H

#include <stddef.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define JOURNAL_ENTRY_BYTES 16384

struct journal_field {
	const char *name;  /* upper case letters, digits and underscores */
	const char *value; /* no newline */
};

/* A socket to send from, closed on exec; or -errno. */
int journal_open(void);

/* One entry to the journald that listens at `path`. 0 or -errno: -EAGAIN when journald does not keep up, -EMSGSIZE when it
 * is longer than JOURNAL_ENTRY_BYTES. */
int journal_send(int fd, const char *path, const struct journal_field *fields, size_t count);

#endif
