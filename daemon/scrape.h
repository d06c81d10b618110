/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scrape: the metrics over HTTP, where the configuration wants them. */
#ifndef SYNMOAT_SCRAPE_H
#define SYNMOAT_SCRAPE_H

#include "edge/http.h"
#include "supervisor.h"

/* `http` stays as it is when nobody wants it; else http_close() is the caller's. On error it returns -1, with the reason in
 * `error`. */
int scrape_open(struct supervisor *supervisor, struct http **http, char *error, size_t error_bytes);

#endif
