/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report: what the daemon tells about itself. The supervisor fills in what is known, this file words it as text or as
 * one JSON object; synmoat-control(5) lists the keys. Nothing here is shared with a running shard. */
#ifndef SYNMOAT_REPORT_H
#define SYNMOAT_REPORT_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "synmoat/cidr.h"
#include "synmoat/outcome.h"

/* "format" of every JSON answer. Keys may be added within it; when one goes or changes its meaning, it becomes another.
 * synmoat-control(5) lists them. */
#define REPORT_FORMAT 1

#define REPORT_SOURCE_BYTES (INET6_ADDRSTRLEN + sizeof("/128") - 1)
#define REPORT_ENDPOINT_BYTES 64

struct report_service {
	char name[64];
	char address[CIDR_TEXT_BYTES]; /* or "any" */
	uint16_t port;
	const char *cookies;   /* "auto", "always", "never" */
	const char *state;     /* "watching", "wary", "armed", "draining", "not listening", "no answer yet", "refusing",
				  "answers elsewhere", "network" */
	const char *override;  /* what an administrator said: "arm", "disarm", or "auto" */
	const char *character; /* of its load: "calm", "random-source flood", ... */
	bool armed;
	uint32_t half_open;          /* entries; while armed: unanswered cookies within a handshake's lifetime */
	uint32_t limit;              /* entries; 0 = unknown */
	uint32_t arm_at;             /* entries */
	uint32_t disarm_at;          /* entries */
	uint32_t syn_per_s;          /* over the last full second */
	uint32_t distinct_sources;   /* estimate over the last seconds */
	uint32_t completion_percent; /* of the handshakes of the last seconds; 0 if none */
	uint32_t top_source_percent; /* of the SYNs of the last seconds */
	char top_source[REPORT_SOURCE_BYTES]; /* "" = none stands out */
	uint32_t signature_percent;
	char signature[64]; /* what many of the SYNs have in common; "" = nothing */
	struct {
		uint16_t mss; /* bytes, 0 = not learned yet */
		int wscale;   /* -1 = none */
		bool sack;
		bool timestamps;
	} learned;
};

struct report_source {
	char address[REPORT_SOURCE_BYTES]; /* a network as 2001:db8::/64 */
	bool proven;                       /* it completed a handshake lately */
	bool wary;                         /* it is challenged on its own account */
	uint32_t half_open;
	uint64_t syns;
	uint64_t challenged;
	uint64_t completed;
	uint32_t idle_s; /* since its last SYN */
};

#define REPORT_INTERFACES_MAX 64

struct report_interface {
	char name[IF_NAMESIZE];
	const char *state; /* "native", "generic"; "ready"; "another program", "tags stripped", "refused" */
};

struct report_accelerator {
	const char *state;   /* "off", "unavailable", "ready", "attached" */
	const char *why_not; /* unavailable */
	uint64_t answered;   /* SYNs, among OUTCOME_SYN_CHALLENGED */
	uint64_t passed_up;  /* SYNs of armed services, to the daemon or to the kernel */
	size_t interface_count;
	struct report_interface interfaces[REPORT_INTERFACES_MAX];
};

struct report {
	const char *version;
	uint64_t uptime_s;
	const char *mode;   /* "host", "gateway" */
	const char *policy; /* "enforce", "observe" */
	bool armed;         /* any service */
	unsigned shards;
	uint64_t orders_refused; /* of who may not change anything */
	uint32_t half_open_entries, half_open_capacity;
	uint32_t source_entries, source_capacity;
	uint64_t counters[OUTCOME_COUNT];
	struct report_accelerator accelerator;
	size_t service_count;
	const struct report_service *services;
	size_t bans;             /* in force */
	uint64_t rules_restored; /* tables that others had changed */
	size_t source_count;     /* in the order of sources_by */
	const struct report_source *sources;
	const char *sources_by; /* "half-open", "challenged" */
};

/* What a SYN to one service would meet. */
struct report_verdict {
	char service[64];
	char endpoint[REPORT_ENDPOINT_BYTES];
	const char *outcome; /* outcome_name() */
	char why[192];
};

struct report_cidr {
	char cidr[CIDR_TEXT_BYTES];
	const char *origin; /* "config", "live", "config and live" */
};

struct report_ban {
	char source[REPORT_SOURCE_BYTES];
	uint32_t left_s;
};

/* One line of `check`. */
enum report_level {
	REPORT_OK,
	REPORT_WARNING,
	REPORT_FAULT,
};

struct report_check {
	enum report_level level;
	const char *what; /* a word or two, the same every time */
	char text[512];   /* what is so, and unless it is ok, what to do */
};

const char *report_level_name(enum report_level level); /* "ok", "warning", "fault" */

struct report_epoch {
	bool shared; /* by a file, else our own */
	uint32_t epoch;
	unsigned left_s;      /* of it */
	uint32_t fingerprint; /* of its secret */
	uint32_t next_from;   /* shared: the epoch in which the newest secret of the file begins */
};

bool report_epoch_has_next(const struct report_epoch *epoch); /* than the one that counts now */

/* Each writes one answer to `out`: with `json` one line with an object, which may be report_error()'s. */
void report_status(const struct report *report, bool json, FILE *out);
void report_services(const struct report *report, bool json, FILE *out);
void report_sources(const struct report *report, bool json, FILE *out);
void report_version(const struct report *report, bool json, FILE *out);
void report_help(bool json, FILE *out);

/* `source` as it was asked for, `policy` as in struct report. */
void report_explain(const char *source, const char *policy, const struct report_verdict *verdicts, size_t count,
		    bool json, FILE *out);

/* `list` is "allow" or "deny". */
void report_cidrs(const char *list, const struct report_cidr *cidrs, size_t count, bool json, FILE *out);
void report_bans(const struct report_ban *bans, size_t count, bool json, FILE *out);

void report_checks(const struct report_check *checks, size_t count, bool json, FILE *out);
void report_epoch(const struct report_epoch *epoch, bool json, FILE *out);

/* Something was changed: `what` says what. */
void report_done(const char *what, bool json, FILE *out);

/* Nothing was done or can be told: "error: WHY", or an object with the key "error". */
void report_error(bool json, FILE *out, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
