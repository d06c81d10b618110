/* SPDX-License-Identifier: GPL-2.0-or-later */
/* preflight_parts: what preflight.c asks of its other rooms. */
#ifndef SYNMOAT_PREFLIGHT_PARTS_H
#define SYNMOAT_PREFLIGHT_PARTS_H

#include "preflight.h"

/* Servers on this host: of mode = "host". */
void preflight_listeners(const struct config *config, struct checks *checks);

/* Others' rules in nftables. */
void preflight_rules(const struct config *config, struct checks *checks);

#endif
