/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pulse: tells the service manager how we are, from the main thread: that every shard makes progress, and in a sentence
 * what is armed. */
#ifndef SYNMOAT_PULSE_H
#define SYNMOAT_PULSE_H

#include "supervisor.h"

#define PULSE_STATUS_BYTES 640

struct pulse {
	uint64_t every_ns; /* a sign of life; 0 = nobody waits for one */
	uint64_t due_ns;   /* when the shards' answers are looked at */
	bool asked;
	uint64_t status_due_ns; /* the sentence may change then */
	char status[PULSE_STATUS_BYTES];
};

/* After the start: the manager hears that we are ready. */
void pulse_begin(struct pulse *pulse, struct supervisor *supervisor);

/* Call it after supervisor_tick(), and again within the milliseconds it returns, at most `wait_ms`. It never waits for a
 * shard: one that is stuck is not vouched for. */
int pulse_tick(struct pulse *pulse, struct supervisor *supervisor, int wait_ms);

#endif
