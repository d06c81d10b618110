/* SPDX-License-Identifier: GPL-2.0-or-later */
/* supervisor: everything that is not per packet: which services there are, when they are armed, the rules that follow
 * from it, secrets, reload, and what the daemon tells about itself. Runs in the main thread. */
#ifndef SYNMOAT_SUPERVISOR_H
#define SYNMOAT_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "edge/ruleset.h"
#include "face/command.h"
#include "face/config.h"
#include "face/control.h"
#include "face/secret_file.h"
#include "registry.h"
#include "synmoat/character.h"
#include "synmoat/cidr.h"
#include "synmoat/incident.h"
#include "worker.h"

/* A service, as all shards together see it. */
struct look {
	bool wanted;
	uint32_t half_open;
	uint32_t load;       /* half-open entries, and unanswered cookies where they are sent */
	uint32_t unanswered; /* cookies within a handshake's lifetime */
	struct tally_window window;
	struct tally_totals totals;
	struct tally_sketch sketch; /* of the window */
};

struct supervisor {
	struct config config;
	struct config_file config_file;
	struct registry registry;
	struct service_map *map;
	struct ruleset ruleset;
	struct conntrack conntrack;
	struct worker *workers; /* [shards] */
	unsigned shards;
	int alarm_fd; /* eventfd that shards raise */
	struct cookie_secret secret;
	struct secret_file masters; /* what it is made of, when others share it; else none */
	uint32_t masters_read;      /* in this epoch */
	bool said_masters;          /* that they cannot be read */
	uint64_t epoch_due_ns;      /* when a secret of our own next changes */
	uint64_t started_ns;
	uint64_t grace_until_ns;   /* strays pass until then; 0 = that is over */
	uint64_t listeners_due_ns; /* when listeners are next read */
	uint64_t honour_until_ns;  /* policy is observe now, but cookies are still out until then; 0 = none */
	bool limits_stale;         /* the shards have not heard of the configuration yet */
	bool unasked;              /* a server behind us is pressed, and has not answered as far as we have seen */
	bool rules_stale;          /* what is bound, listed or armed is not yet what the rules say */
	uint64_t rules_due_ns;     /* when they are tried again, after the kernel has refused them */
	uint64_t half_open_due_ns; /* when the kernel's half-open connections are next counted */
	bool said_half_open;
	bool said_unsent, said_untracked, said_bans_full, said_found;
	bool bans_used;       /* there may be banned sources */
	uint32_t bans_unsaid; /* bans that the log has not heard of */
	uint64_t bans_said_ns;
	struct addr last_banned;
	struct cidr_list allow, deny;
	struct look looks[SERVICES_MAX]; /* at the last tick; those of services at peace are empty */
	struct incident incidents[SERVICES_MAX];
};

/* Binds queues, makes the rules, starts the shards. Takes `config` over, which `file` told. On error it says so in the
 * log, undoes all, and returns -1. */
int supervisor_open(struct supervisor *supervisor, const struct config_file *file, const struct config *config);

/* What time or an alarm demands. Call it when alarm_fd or supervisor_events_fd() is readable, and when the milliseconds
 * it returned are over. */
int supervisor_tick(struct supervisor *supervisor);

/* Readable when somebody changed nftables. */
int supervisor_events_fd(const struct supervisor *supervisor);

/* Reads the configuration again, checks it whole, and takes it over; what was counted, learned, armed, added and banned
 * stays. On error it returns -1, nothing has changed, and `error` says so; or the kernel has refused the rules, and
 * `error` says that they are tried again. */
int supervisor_reload(struct supervisor *supervisor, char *error, size_t error_bytes);

/* Answers a control request. */
void supervisor_answer(struct supervisor *supervisor, const struct control_peer *peer, const char *request, FILE *out);

/* The answer to VERB_STATUS, VERB_SERVICES or VERB_SOURCES. */
void supervisor_report(struct supervisor *supervisor, const struct command *command, FILE *out);

/* What may be wrong with this host, or with another gateway: VERB_CHECK. */
void supervisor_check(struct supervisor *supervisor, bool json, FILE *out);

/* Whether a start would fail for what this host is, or for the shared secret's file: 0, or -1 with the reason in `error`. */
int supervisor_refuses(const struct config *config, char *error, size_t error_bytes);

/* As supervisor_close(), for a start that fails later: SYNs are not closed out by on_exit, unless they were before. */
void supervisor_fail(struct supervisor *supervisor);

/* Rules first, then shards: every packet gets through. */
void supervisor_close(struct supervisor *supervisor);

#endif
