/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_services: the key `services`, a list of groups, each checked against those before it. */
#ifndef SYNMOAT_CONFIG_SERVICES_H
#define SYNMOAT_CONFIG_SERVICES_H

#include "face/config_reader.h"

/* Reads into the `struct config` at `target`, whose mode must be known. Returns 0, or -1 with the error written; config_free() frees in both
 * cases. */
int config_services_read(struct reader *reader, const config_setting_t *list, const struct key *key, void *target);

/* The rows of one service, a section of this name. */
#define CONFIG_SERVICE "service"
const struct key *config_service_keys(void);

#endif
