/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_show: a configuration as text that config_load() reads again, and as an object with the same keys. Every key
 * is there, those left to their default, too: but for `services` where they are found by themselves, and for `gateway`
 * unless mode = "gateway", for then the file must not have them. The object has null in their place. */
#ifndef SYNMOAT_CONFIG_SHOW_H
#define SYNMOAT_CONFIG_SHOW_H

#include <stdbool.h>
#include <stdio.h>

#include "face/config.h"

/* Writes one answer to `out`, or "error: out of memory"; secrets are in files of their own and never in it. */
void config_show(const struct config *config, bool json, FILE *out);

#endif
