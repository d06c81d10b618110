/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guard_parts: what guard.c (SYNs and half-open entries) and handover.c (from the third ACK on) share. */
#ifndef SYNMOAT_GUARD_PARTS_H
#define SYNMOAT_GUARD_PARTS_H

#include "synmoat/guard.h"

#define NSEC_PER_SEC 1000000000ULL

/* Of segments that we make: the hops of Linux, and a window for when the server's own is not known. */
#define HOPS_DEFAULT 64
#define WINDOW_ANNOUNCED 64240

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

/* A half-open entry is gone: service and source hold one less. */
void guard_half_open_ended(struct guard *guard, const struct halfopen_entry *ended, enum outcome outcome,
			   uint64_t now_ns);

/* Ends a handover with a RST to the client, and drops what is held of it. */
void guard_reset_client(struct guard *guard, struct splice *splice, uint64_t now_ns, struct decision *decision);

/* The handovers' part of guard_due(). */
bool guard_handover_due(struct guard *guard, uint64_t now_ns, struct decision *decision);

#endif
