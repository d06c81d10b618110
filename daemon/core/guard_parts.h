/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guard_parts: what guard.c (SYNs and half-open entries), challenge.c (cookies sent) and handover.c (from the third
 * ACK on) share. */
#ifndef SYNMOAT_GUARD_PARTS_H
#define SYNMOAT_GUARD_PARTS_H

#include "synmoat/challenge.h"
#include "synmoat/guard.h"

#define NSEC_PER_SEC 1000000000ULL

static inline void guard_count(struct guard *guard, enum outcome outcome)
{
	guard->counters[outcome]++;
}

static inline void guard_decide(struct decision *decision, enum act act, enum treatment treatment)
{
	decision->act = act;
	decision->treatment = treatment;
	decision->send = SEND_NOTHING;
	decision->splice = NULL;
	decision->drop_held = false;
	decision->forget_flow = false;
	decision->trip = -1;
	decision->ban = false;
	decision->found = false;
}

/* ---- guard.c ---- */

/* A SYN to service `index`, whatever becomes of it. */
void guard_tally_syn(struct guard *guard, const struct segment *syn, unsigned index, uint64_t now_ns);
/* Its signature is the kernel's to check. */
bool guard_is_signed(const struct guard *guard, const struct segment *syn);
/* No cookie may be sent for the service. */
bool guard_cookies_off(const struct guard *guard, const struct service *service, uint64_t now_ns);
/* What a SYN of `source` (NULL = not known) meets; `begun`: its handshake is known already. */
enum outcome guard_syn_outcome(const struct guard *guard, const struct service *service, const struct source *source,
			       bool begun, uint64_t now_ns);

/* ---- challenge.c ---- */

/* Whether an answer may be sent; if not, it is counted, and decided. */
bool guard_may_reply(struct guard *guard, const struct segment *syn, uint64_t now_ns, struct decision *decision);
/* Counted against its source, and answered. */
void guard_source_challenged(struct guard *guard, struct source *source, unsigned index, uint64_t now_ns);
void guard_challenge(struct guard *guard, const struct segment *syn, unsigned index, enum outcome outcome,
		     uint64_t now_ns, struct decision *decision);

/* A half-open entry is gone: service and source hold one less. */
void guard_half_open_ended(struct guard *guard, const struct halfopen_entry *ended, enum outcome outcome,
			   uint64_t now_ns);

/* Ends a handover with a RST to the client, and drops what is held of it. */
void guard_reset_client(struct guard *guard, struct splice *splice, uint64_t now_ns, struct decision *decision);

/* The handovers' part of guard_due(). */
bool guard_handover_due(struct guard *guard, uint64_t now_ns, struct decision *decision);

#endif
