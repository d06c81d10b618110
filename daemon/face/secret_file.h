/* SPDX-License-Identifier: GPL-2.0-or-later */
/* secret_file: the secrets that several gateways share, one per line, "EPOCH HEX": see gateway.secret_file in
 * synmoat.conf(5). No secret ever appears in an error. */
#ifndef SYNMOAT_SECRET_FILE_H
#define SYNMOAT_SECRET_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "synmoat/cookie.h"

#define SECRET_MASTERS_MAX 8

/* As cookie_shared() wants them: ascending by `from`, at least one. Whoever has no use for it any more wipes it. */
struct secret_file {
	size_t count;
	struct cookie_master masters[SECRET_MASTERS_MAX];
};

/* On error both return -1, `file` is empty, and `error` tells what is wrong, with the line if there is one, and what to
 * do. */
int secret_file_load(const char *path, struct secret_file *file, char *error, size_t error_bytes);

/* Adds a fresh secret that counts from `from_epoch` on, in place of those that would begin then or later, and forgets
 * those that no longer count in the epoch before `now_epoch`. The secret that counts now goes on until `from_epoch`, which
 * must be later. `file` is what has been written. On error the old file stays whole. */
int secret_file_rotate(const char *path, uint32_t now_epoch, uint32_t from_epoch, struct secret_file *file, char *error,
		       size_t error_bytes);

#endif
