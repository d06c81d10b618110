/* SPDX-License-Identifier: GPL-2.0-or-later */
/* follow: an answer without an end: `events --follow`. */
#ifndef SYNMOAT_CTL_FOLLOW_H
#define SYNMOAT_CTL_FOLLOW_H

#include <stdbool.h>

#include "daemon.h"

bool follow_is_asked(const char *request);

/* Prints what happens, line by line as it comes, until a signal, or until nobody reads it: CTL_OK. Other ends it tells on
 * stderr. */
enum ctl_exit follow_events(const char *path, const char *request);

#endif
