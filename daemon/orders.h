/* SPDX-License-Identifier: GPL-2.0-or-later */
/* orders: what an operator asks the supervisor for over the control socket, once verbs.c has understood it. Each order
 * returns 0 and says in `message` what was done; or -1, and `message` says why not, or why not yet. What was ordered
 * lasts until the daemon ends, over reloads, as long as the service is among those protected. */
#ifndef SYNMOAT_ORDERS_H
#define SYNMOAT_ORDERS_H

#include "face/report.h"
#include "supervisor.h"

/* Of every service of that name, or the one at that address and port. */
int supervisor_override(struct supervisor *supervisor, const char *service, enum service_override override,
			char *message, size_t bytes);

int supervisor_list_change(struct supervisor *supervisor, bool allow, bool add, const struct cidr *cidr, char *message,
			   size_t bytes);

int supervisor_ban_lift(struct supervisor *supervisor, const struct addr *source, char *message, size_t bytes);

/* A secret of our own changes at once; one shared with other gateways some epochs later. */
int supervisor_secret_rotate(struct supervisor *supervisor, char *message, size_t bytes);
void supervisor_epoch_read(const struct supervisor *supervisor, struct report_epoch *epoch);

/* ---- questions: a number of answers in an array for the caller to free, or -1: out of memory ---- */

int supervisor_list_read(struct supervisor *supervisor, bool allow, struct report_cidr **cidrs);
int supervisor_bans_read(struct supervisor *supervisor, struct report_ban **bans);

/* What a SYN of a new handshake would meet at the destination, or if that is NULL at each service. */
int supervisor_explain(struct supervisor *supervisor, const struct addr *source, const struct addr *destination,
		       uint16_t port, struct report_verdict **verdicts);

#endif
