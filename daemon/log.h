/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log: a handful of verbs. One line each, to stderr, with the priority prefix of sd-daemon(3) when stderr is the journal
 * (JOURNAL_STREAM set); that is never waited for. Never called per packet. Safe from any thread. */
#ifndef SYNMOAT_LOG_H
#define SYNMOAT_LOG_H

#include "face/event.h"

void log_open(void);
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Its sentence, at its level; to the journal with its message id and fields, or as a line where that is not to be had. For
 * the main thread: see supervisor_tell(), which is how events come here. */
void log_event(const struct event *event);

#endif
