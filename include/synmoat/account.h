/* SPDX-License-Identifier: GPL-2.0-or-later */
/* account: every SYN received is accounted for by exactly one reason.
 *
 * SYNs come to the shards through three doors: two lanes of queues, and the copies of what spills. The kernel counts what
 * arrives at a door, the shards what they take in there; they decide about it, and count why. What has arrived and neither
 * was taken in nor still waits found no room: it was dropped, or, where the configuration says so, it passed unseen. Of the
 * first the kernel tells some. The rest is told when it is certain, and not a moment earlier: either the number of those
 * that wait is known, and as many are missing for a while, or the door was found empty since.
 *
 * Numbers since the daemon's start. All zero bytes is an account of nothing. Owned by the supervisor. */
#ifndef SYNMOAT_ACCOUNT_H
#define SYNMOAT_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

enum account_door {
	ACCOUNT_WATCHED,
	ACCOUNT_ARMED,
	ACCOUNT_SPILL,
	ACCOUNT_DOORS,
};

/* What arrives is in the shards' hands or queues by then: copies wait for a message to fill up (edge/spill.c), and a virtual
 * CPU may stand still between a rule's counter and its queue. */
#define ACCOUNT_SETTLED_NS 50000000ULL

/* By one shard. */
struct account_taken {
	uint64_t syns[ACCOUNT_DOORS];
	uint64_t empty_ns[ACCOUNT_DOORS]; /* when the door was last found empty */
};

/* Adds a shard's to what all have taken: a door is empty since it was so for each. Begin with account_taken_none(). */
struct account_taken account_taken_none(void);
void account_taken_add(struct account_taken *sum, const struct account_taken *taken);

struct account_door_look {
	uint64_t arrived;
	bool waiting_known;
	uint64_t waiting; /* read after `arrived` */
	uint64_t dropped; /* as far as the kernel tells */
	bool passes;      /* what finds no room passes unseen */
};

/* In this order: `arrived_ns`, what has arrived, what waits, what the shards have taken. */
struct account_look {
	uint64_t arrived_ns;
	struct account_door_look doors[ACCOUNT_DOORS];
	struct account_taken taken;
};

struct account {
	struct {
		uint64_t noted, noted_ns; /* what had arrived by then; 0 = nothing is noted */
		uint64_t least, least_ns; /* missing at every look since then; 0 = no look yet */
		uint64_t dropped, passed; /* for want of room */
	} doors[ACCOUNT_DOORS];
};

void account_look(struct account *account, const struct account_look *look);

uint64_t account_dropped(const struct account *account);
uint64_t account_passed(const struct account *account);

#endif
