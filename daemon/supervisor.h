/* SPDX-License-Identifier: GPL-2.0-or-later */
/* supervisor: everything that is not per packet: which services there are, when they are armed, the rules that follow
 * from it, secrets, reload, and what the daemon tells about itself. Runs in the main thread. */
#ifndef SYNMOAT_SUPERVISOR_H
#define SYNMOAT_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "accelerator.h"
#include "edge/ruleset.h"
#include "face/command.h"
#include "face/config.h"
#include "face/control.h"
#include "face/event.h"
#include "face/secret_file.h"
#include "registry.h"
#include "synmoat/account.h"
#include "synmoat/character.h"
#include "synmoat/cidr.h"
#include "synmoat/incident.h"
#include "worker.h"

/* A service, as all shards together see it. */
struct look {
	bool wanted;
	uint32_t half_open;
	uint32_t held;      /* entries of the kernel, about: service_held() */
	uint32_t load;      /* half-open entries, and unanswered cookies where they are sent */
	int64_t unanswered; /* cookies within a handshake's lifetime */
	struct tally_window window;
	struct tally_totals totals;
	struct tally_sketch sketch; /* of the window */
};

/* Who is under attack: by the time that its end is told, another service may have the slot. */
struct attacked {
	char name[SERVICE_NAME_BYTES];
	char endpoint[REGISTRY_ENDPOINT_BYTES];
};

/* The metrics, as they were a moment ago. */
struct metrics_words {
	uint64_t made_ns;
	char *text; /* NULL: not yet made */
	size_t bytes;
};

/* A table of ours that others took away or changed. */
struct restored {
	uint64_t said_ns;
	unsigned unsaid; /* times that the log has not heard of */
};

/* In a vault: all that must not leave this process. */
struct kept_secrets {
	struct cookie_secret secret;
	struct secret_file masters;   /* what it is made of, when others share it; else none */
	struct secret_file read;      /* a file that is being read */
	struct cookie_secret derived; /* of the masters, at this moment */
	struct {
		_Alignas(64) struct cookie_secret secret;
	} shards[WORKERS_MAX]; /* what each of them makes cookies with */
};

/* Whether SYNs of allowed sources fill a backlog. */
struct allowed_press {
	uint64_t looked_ns; /* 0: nothing fills one unseen */
	uint64_t counted;   /* of them, then */
	uint64_t said_ns;
	int service; /* -1: none */
};

struct supervisor {
	struct config config;
	struct config_file config_file;
	struct registry registry;
	struct service_map *map;
	struct ruleset ruleset;
	struct conntrack conntrack;
	struct accelerator accelerator;
	struct worker *workers; /* [shards] */
	unsigned shards;
	int alarm_fd; /* eventfd that shards raise */
	struct kept_secrets *kept;
	uint32_t masters_read; /* in this epoch */
	bool said_masters;     /* that they cannot be read */
	uint64_t epoch_due_ns; /* when a secret of our own next changes */
	uint64_t started_ns;
	uint64_t started_s;        /* Unix time */
	uint64_t grace_until_ns;   /* strays pass until then; 0 = that is over */
	uint64_t listeners_due_ns; /* when listeners are next read */
	uint64_t honour_until_ns;  /* policy is observe now, but cookies are still out until then; 0 = none */
	bool limits_stale;         /* the shards have not heard of the configuration yet */
	bool spills;               /* the rules let SYNs to armed services spill */
	bool unasked;              /* a server behind us is pressed, and does not answer as far as we have seen */
	bool rules_stale;          /* what is bound, listed or armed is not yet what the rules say */
	uint64_t rules_due_ns;     /* when they are tried again, after the kernel has refused them */
	uint64_t half_open_due_ns; /* when the kernel's half-open connections are next counted */
	char reload_refused[384];  /* why the last reload changed nothing; "" = it did not fail so */
	bool said_half_open;
	bool said_unsent, said_untracked, said_bans_full, said_found;
	bool bans_used;       /* there may be banned sources */
	uint32_t bans_unsaid; /* bans that the log has not heard of */
	uint64_t bans_said_ns;
	struct addr last_banned;
	uint64_t orders_refused;  /* of who may not change anything, */
	uint64_t refused_said_ns; /* and when that was last said */
	struct cidr_list allow, deny;
	struct allowed_press allowed_press;
	struct event_ring events;
	struct control *control; /* whose followers hear of events; NULL before there is one, and after */
	bool keeper_lost;        /* and could not be made again yet */
	uint64_t events_due_ns;  /* what others do to nftables is not listened to before */
	struct restored restored_keeper, restored_closed;
	uint64_t rules_restored; /* times, of both tables */
	bool said_refused;       /* that the kernel does not take the rules */
	bool said_attack[SERVICES_MAX];
	struct attacked attacked[SERVICES_MAX]; /* those of which it is said */
	struct look looks[SERVICES_MAX];        /* at the last tick; those of services at peace are empty */
	struct incident incidents[SERVICES_MAX];
	struct metrics_words metrics[2]; /* as text, as JSON */
	struct account account;
};

/* Binds queues, makes the rules, starts the shards. Takes `config` over, which `file` told. On error it says so in the
 * log, undoes all, and returns -1. */
int supervisor_open(struct supervisor *supervisor, const struct config_file *file, const struct config *config);

/* What time or an alarm demands. Call it when alarm_fd or supervisor_events_fd() is readable, and when the milliseconds
 * it returned are over. */
int supervisor_tick(struct supervisor *supervisor);

/* Readable when somebody changed nftables; -1 for a moment after that, lest they keep us busy. */
int supervisor_events_fd(const struct supervisor *supervisor);

/* Reads the configuration again, checks it whole, takes it over, and tells so; what was counted, learned, armed, added and banned
 * stays. On error it returns -1, nothing has changed, and `message` says so; or the kernel has refused the rules, and
 * `message` says that they are tried again. Else it says that it is done, and which changed keys wait for a restart. */
int supervisor_reload(struct supervisor *supervisor, char *message, size_t message_bytes);

/* Numbers the event, keeps it, logs it, and tells it to those who follow. */
void supervisor_tell(struct supervisor *supervisor, const struct event *event);

/* That we protect, and what; and an event that is a sentence and no more. */
void supervisor_tell_ready(struct supervisor *supervisor);
void supervisor_tell_control(struct supervisor *supervisor); /* if there is something to say about its socket */
void supervisor_tell_plain(struct supervisor *supervisor, enum event_kind kind, const char *text);

/* Before the end: of every attack whose begin was told. */
void supervisor_end_attacks(struct supervisor *supervisor);

/* Answers a control request. */
enum control_then supervisor_answer(struct supervisor *supervisor, const struct control_peer *peer, const char *request,
				    FILE *out);

/* The answer to VERB_STATUS, VERB_SERVICES or VERB_SOURCES. */
void supervisor_report(struct supervisor *supervisor, const struct command *command, FILE *out);

/* All numbers, as Prometheus reads them: VERB_METRICS. Gathered anew 4 times a second at most, however often it is called.
 * NULL when out of memory; what is returned counts until the next call. */
const struct metrics_words *supervisor_metrics(struct supervisor *supervisor, bool json);

/* What may be wrong with this host, or with another gateway: VERB_CHECK. */
void supervisor_check(struct supervisor *supervisor, bool json, FILE *out);

/* Whether a start would fail for what this host is, or for the shared secret's file: 0, or -1 with the reason in `error`. */
int supervisor_refuses(const struct config *config, char *error, size_t error_bytes);

/* As supervisor_close(), for a start that fails later: SYNs are not closed out by on_exit, unless they were before. */
void supervisor_fail(struct supervisor *supervisor);

/* Rules first, then shards: every packet gets through. */
void supervisor_close(struct supervisor *supervisor);

#endif
