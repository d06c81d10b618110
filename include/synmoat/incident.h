/* SPDX-License-Identifier: GPL-2.0-or-later */
/* incident: what is said of a service, once: that something began, that it turned into something else, that it is over.
 *
 *          other than calm for INCIDENT_SETTLE_NS, or armed            calm for INCIDENT_CALM_NS, or incident_end()
 *   quiet ----------------------------------------------------> begun --------------------------------------------> quiet
 *                                                               | ^
 *                                                               +-+ another for INCIDENT_SETTLE_NS, or armed: changed
 *
 * Each wait is without a break. A clock that is set back starts a wait anew. All zero bytes is a quiet one. */
#ifndef SYNMOAT_INCIDENT_H
#define SYNMOAT_INCIDENT_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/character.h"

/* The answers to a burst that is none come back within a second; and the end is not said between two waves. */
#define INCIDENT_SETTLE_NS 1000000000ULL
#define INCIDENT_CALM_NS (10 * 1000000000ULL)

enum incident_event {
	INCIDENT_NOTHING,
	INCIDENT_BEGUN,
	INCIDENT_CHANGED,
	INCIDENT_ENDED,
};

struct incident_counts {
	uint64_t syns;
	uint64_t challenged; /* SYNs answered with a cookie */
	uint64_t completed;  /* handshakes, with or without one */
	uint64_t refused;    /* SYNs left without an answer */
};

struct incident {
	enum character character; /* as last said */
	enum character said_before;
	enum character candidate; /* as last seen */
	uint64_t candidate_since_ns;
	uint64_t since_ns; /* first seen other than calm */
	uint64_t until_ns; /* last seen other than calm */
	uint32_t peak_pps; /* SYNs: the most that was noted */
	bool noted;
	struct incident_counts base, latest; /* when it began, and now */
};

/* The SYN rate now, and the service's numbers so far, which only grow. To be called before each incident_update(). */
void incident_note(struct incident *incident, uint32_t syn_pps, const struct incident_counts *counts);

/* `seen` is the character now. `at_once`: the service has just been armed, so whatever it is (but calm) is said now.
 * After INCIDENT_CHANGED and INCIDENT_ENDED said_before tells what it was, and all numbers stay those of the incident
 * until the next incident_note(). */
enum incident_event incident_update(struct incident *incident, enum character seen, bool at_once, uint64_t now_ns);

/* The service has just been disarmed, or is gone: INCIDENT_ENDED if something had begun, else INCIDENT_NOTHING. */
enum incident_event incident_end(struct incident *incident);

/* Of the incident: what came since it was first seen, and for how long it was seen. */
struct incident_counts incident_totals(const struct incident *incident);
uint64_t incident_lasted_ns(const struct incident *incident);

#endif
