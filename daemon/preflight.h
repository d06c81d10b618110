/* SPDX-License-Identifier: GPL-2.0-or-later */
/* preflight: whether this host lets synmoatd do what a configuration asks for, as far as that shows without a daemon.
 * Nothing is started, made or changed: see edge/features.h. */
#ifndef SYNMOAT_PREFLIGHT_H
#define SYNMOAT_PREFLIGHT_H

#include <stdbool.h>
#include <stdio.h>

#include "face/config.h"
#include "face/report.h"

#define CHECKS_MAX 64

struct checks {
	struct report_check lines[CHECKS_MAX];
	size_t count;
	uint64_t until_ns; /* until then others' rules are read (CLOCK_MONOTONIC); 0: to their end */
};

/* Adds a line; beyond CHECKS_MAX it is not told. */
__attribute__((format(printf, 4, 5))) void checks_note(struct checks *checks, enum report_level level, const char *what,
						       const char *format, ...);

/* The lines that are the same for a daemon that runs and for one that does not. */
void preflight_host(const struct config *config, struct checks *checks);

/* The sysctl without which nothing of a family that is wanted is forwarded; NULL if there is none. */
const char *preflight_forwarding_missing(const struct config *config);

/* All of it, before a start: writes the answer to `out`. 0, or -1 if there is a fault. */
int preflight_run(const struct config_file *file, bool json, FILE *out);

#endif
