/* SPDX-License-Identifier: GPL-2.0-or-later */
/* proc_text: what is written in files below /proc. Pure: host.h reads them. */
#ifndef SYNMOAT_PROC_TEXT_H
#define SYNMOAT_PROC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of /proc/PID/status: the capabilities in effect, a bit each. False if they are not in it. */
bool proc_capabilities(const char *status, uint64_t *effective);

/* Of /proc/net/netfilter/nfnetlink_queue (nfnetlink_log): the queues (groups) from `first` to `last` that somebody has bound. Returns how many, and
 * in `which` the first of them. */
unsigned proc_queues_bound(const char *text, unsigned first, unsigned last, unsigned *which);

/* Whether the text has a line that is `word`. */
bool proc_has_line(const char *text, const char *word);

#endif
