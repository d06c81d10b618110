/* SPDX-License-Identifier: GPL-2.0-or-later */
/* supervisor: everything that is not per packet: which services there are, when they are armed, the rules that follow
 * from it, secrets, reload, and what the daemon tells about itself. Runs in the main thread. */
#ifndef SYNMOAT_SUPERVISOR_H
#define SYNMOAT_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "edge/ruleset.h"
#include "face/config.h"
#include "registry.h"
#include "worker.h"

struct supervisor {
	struct config config;
	struct registry registry;
	struct service_map *map;
	struct ruleset ruleset;
	struct conntrack conntrack;
	struct worker *workers; /* [shards] */
	unsigned shards;
	int alarm_fd; /* eventfd that shards raise */
	struct cookie_secret secret;
	uint64_t started_ns;
	uint64_t listeners_due_ns; /* when listeners are next read */
	uint64_t epoch_due_ns;     /* when the cookie secret next changes */
	uint64_t honour_until_ns;  /* policy is observe now, but cookies are still out until then; 0 = none */
	bool said_unsent, said_untracked;
	uint32_t unanswered[SERVICES_MAX]; /* of all shards, at the last look */
};

/* Binds queues, makes the rules, starts the shards. Takes `config` over. On error it says so in the log, undoes all, and returns -1. */
int supervisor_open(struct supervisor *supervisor, const struct config *config);

/* What time or an alarm demands. Call it when alarm_fd or supervisor_events_fd() is readable, and when the milliseconds
 * it returned are over. */
int supervisor_tick(struct supervisor *supervisor);

/* Readable when somebody changed nftables. */
int supervisor_events_fd(const struct supervisor *supervisor);

/* Takes over a new configuration, which it owns from then on. Tables, queues and the socket stay as they are. */
void supervisor_reload(struct supervisor *supervisor, const struct config *config);

/* Answers a control request. */
void supervisor_answer(struct supervisor *supervisor, const char *request, FILE *out);

/* Rules first, then shards: every packet gets through. */
void supervisor_close(struct supervisor *supervisor);

#endif
