/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy: which rule decides about a SYN, and what a source has to prove.
 *
 * Never on evidence that can be forged: a SYN's source may be invented, and so may, for one who guesses, the first ACK
 * of a handshake that the kernel itself answers. What follows from those is at worst a challenge, which costs a real
 * client nothing: its SYN is answered with a cookie. Only returned cookies count towards a refusal.
 *
 *   half_open_limit reached, or             more than a few cookies of each span_s
 *   rate_per_s exceeded by SYNs             unanswered, or rate_per_s still exceeded
 *          ----------------------->  wary  ---------------------------------------->  wary, and so on
 *                               (challenged)
 *                                            ---------------------------------------->  as before
 *                                            all but a few answered, or a span of silence
 */
#ifndef SYNMOAT_POLICY_H
#define SYNMOAT_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/outcome.h"
#include "synmoat/service.h"
#include "synmoat/source.h"

/* A source that leaves fewer cookies than that unanswered in a span is trusted again. Real clients lose a SYN-ACK now
 * and then, or go away. */
#define POLICY_OWED_CALM 16

enum policy_refusal {
	POLICY_DROP,
	POLICY_RESET,
};

struct policy {
	uint32_t half_open_limit;  /* entries of one source; 0 = no limit */
	uint32_t span_s;           /* a wary source is looked at again after that */
	uint32_t proven_s;         /* so long a completed handshake proves its source; 0 = not at all */
	uint32_t direct_half_open; /* entries of a proven source while armed */
	uint32_t rate_per_s;       /* connections of one source; 0 = no limit */
	uint32_t rate_burst;       /* connections at once; at least 1, and at most what 100 days bring */
	enum policy_refusal refusal;
	uint32_t ban_s; /* 0 = no ban */
};

/* A SYN, as the policy sees it. */
struct policy_syn {
	const struct source *source; /* NULL = never seen */
	enum service_posture posture;
	bool cookies_off;         /* they cannot be sent, or not be honoured */
	bool begun;               /* the kernel has its handshake already */
	uint32_t half_open_limit; /* of one source, as policy_limit() has it */
	bool room;                /* for proven sources: the backlog is below the threshold of a crowd */
};

/* SYN_ACCEPTED, SYN_DIRECT, SYN_CHALLENGED or SYN_SOURCE_CHALLENGED. */
enum outcome policy_syn(const struct policy *policy, const struct policy_syn *syn, uint64_t now_ns);

/* Whether the source is challenged on its own account. */
bool policy_wary(const struct policy *policy, const struct source *source, uint32_t half_open_limit, uint64_t now_ns);

/* The half-open entries that one source may have with a service that arms at `arm_at`: the policy's limit, or less, so
 * that no source alone makes the service arm for all. 0 = no limit. */
uint32_t policy_limit(const struct policy *policy, uint32_t arm_at);

bool policy_proven(const struct policy *policy, const struct source *source, uint64_t now_ns);

/* ---- what changes a source ---- */

/* Its first SYN: it has all of its burst. */
void policy_source_begins(struct source *source, uint64_t now_ns);

/* A SYN passes to the kernel, its half-open entry counted. Returns whether the source is wary from now on. */
bool policy_passed(const struct policy *policy, struct source *source, uint32_t half_open_limit, uint64_t now_ns);

/* A cookie goes to the source: it owes one. Ends spans that are over. */
void policy_challenged(const struct policy *policy, struct source *source, uint32_t half_open_limit, uint64_t now_ns);

/* It has answered for one by other means: while we only observe, by completing the handshake. */
void policy_answered(struct source *source);

/* It has returned one. False: it has more connections than it may, proven by cookies alone; this one is to be refused.
 * That begins after a burst of SYNs or cookies that makes it wary, and a second burst of cookies; it is wary until both
 * are made up for. */
bool policy_returned(const struct policy *policy, struct source *source, uint64_t now_ns);

#endif
