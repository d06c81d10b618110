/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vault: memory for secrets. It is not swapped out, not in a core dump, not in a child, and pages that nobody may touch are
 * on both sides of it (mlock(2), madvise(2)). Root can read it, as all of our memory. */
#ifndef SYNMOAT_VAULT_H
#define SYNMOAT_VAULT_H

#include <stddef.h>

/* Zeroed and page-aligned, or NULL with errno. `error` is an errno value if it may be swapped out or dumped all the same,
 * else 0: that is worth a warning, not the end. */
void *vault_open(size_t bytes, int *error);

/* As many bytes as it was opened with; they are wiped. NULL is none. */
void vault_close(void *vault, size_t bytes);

/* Leaves the pages of a secret that is kept elsewhere out of core dumps. 0 or an errno value. */
int vault_hide(const void *secret, size_t bytes);

/* Overwrites what calls that have returned may have left of a secret below the caller's frame. */
void vault_sweep_stack(void);

#endif
